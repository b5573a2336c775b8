package emulator

import (
	"errors"
	"fmt"

	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/emulator/internal/value"
)

// App is the portal's one local application: its keys, its tokens and what happens to
// it. Its methods are safe for concurrent use.
type App struct{ p *Portal }

// App returns the portal's local application.
func (p *Portal) App() App { return App{p} }

// Token returns an access token for the administrator. A call sends it as the
// parameter auth. It is valid as long as Config.TokenLife says.
func (a App) Token() string {
	t, _ := a.Authorize(a.p.user.ID) // the administrator always exists
	return t.Access
}

// Authorize gives the application tokens of a user, as though the user had
// allowed it.
func (a App) Authorize(user int64) (rest.Tokens, error) {
	p := a.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.store.Users[user] == nil {
		return rest.Tokens{}, fmt.Errorf("no user has the id %d", user)
	}
	if !p.app.Installed {
		return rest.Tokens{}, errors.New("the application is not installed")
	}
	return p.app.Issue(user, rest.FirstHops), nil
}

// ExpireTokens ends the life of all access tokens that were issued. Refresh tokens
// stay.
func (a App) ExpireTokens() {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	a.p.app.ExpireTokens()
}

// ClientID returns the application's client_id.
func (a App) ClientID() string { return a.p.app.ClientID }

// ClientSecret returns the secret with which the application identifies itself to the
// token endpoint.
func (a App) ClientSecret() string { return a.p.app.ClientSecret }

// MemberID returns the portal's member_id, which stays when its address changes.
func (a App) MemberID() string { return a.p.app.MemberID }

// Install installs the application, again if it is installed: handlers bound before are
// dropped and tokens are no longer valid. The portal posts ONAPPINSTALL to the URL,
// which may be empty.
func (a App) Install(url string) {
	p := a.p
	p.mu.Lock()
	p.events.UnbindApp()
	p.app.Install()
	p.app.URL = url
	p.mu.Unlock()
	a.raise("ONAPPINSTALL", rest.AuthLong, "VERSION", "1", "ACTIVE", "Y", "INSTALLED", "Y", "LANGUAGE_ID", language)
}

// Update installs another version of the application. Its handlers are dropped, and
// ONAPPUPDATE brings a new application token.
// https://apidocs.bitrix24.com/api-reference/common/events/on-app-update.html
func (a App) Update(version string) {
	p := a.p
	p.mu.Lock()
	before := p.app.Version
	p.app.Update(version)
	p.mu.Unlock()
	a.raise("ONAPPUPDATE", rest.AuthLong, "VERSION", version, "PREVIOUS_VERSION", before, "LANGUAGE_ID", language)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events.UnbindApp()
}

// Uninstall removes the application with its handlers and tokens. ONAPPUNINSTALL goes
// to the handlers that are bound to it and says whether the application's data is to be
// deleted.
func (a App) Uninstall(clean bool) {
	flag := 0
	if clean {
		flag = 1
	}
	a.raise("ONAPPUNINSTALL", rest.AuthNone, "LANGUAGE_ID", language, "CLEAN", flag)
	p := a.p
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events.UnbindApp()
	p.app.Installed = false
}

// Payment sets how the application is paid for: its status, as in app.info, the days
// that are left, and whether the paid time is over. Then calls are refused with
// PAYMENT_REQUIRED. ONAPPPAYMENT goes to the handlers that are bound to it.
func (a App) Payment(status string, days int, expired bool) {
	p := a.p
	p.mu.Lock()
	p.app.Status, p.app.Days, p.app.Expired = status, days, expired
	code, version := p.app.ClientID, p.app.Version
	p.mu.Unlock()
	a.raise("ONAPPPAYMENT", rest.AuthBare, "CODE", code, "VERSION", version, "STATUS", status,
		"PAYMENT_EXPIRED", value.YesNo(expired), "DAYS", days, "LANGUAGE_ID", language)
}

// language is that of the portal.
const language = "en"

// raise sends an event about the application itself.
func (a App) raise(code string, kind rest.AuthKind, data ...any) {
	a.p.events.SendLifecycle(rest.Event{Code: code, Data: value.Object(data...), Auth: kind, Origin: &rest.Origin{User: a.p.user.ID, Hops: rest.FirstHops}})
}
