package emulator

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/value"
)

// application is the portal's one local application: its keys, what has been
// issued to it, and how it stands.
type application struct {
	clientID, clientSecret, memberID string

	token     string // application_token
	status    string // L, F, D, T or P
	version   string
	installed bool
	expired   bool // the time that was paid for is over
	days      int  // that are left of it
	url       string
	issued    int
	access    map[string]grant
	refresh   map[string]grant
	codes     map[string]grant
	sweepAt   int // how many tokens there are when the dead ones are dropped
}

// grant is what a token or a code is good for.
type grant struct {
	user    int64
	expires time.Time
	// hops is how many events may still follow one another: those of writes
	// with a token that came in an event.
	hops int
}

// Tokens are what an application talks to the portal with.
type Tokens struct {
	Access  string
	Refresh string
	Expires time.Time // of the access token
}

const (
	// tokenLife, refreshLife and codeLife are the portal's.
	// https://apidocs.bitrix24.com/settings/oauth/index.html
	tokenLife   = time.Hour
	refreshLife = 180 * 24 * time.Hour
	codeLife    = 30 * time.Second
	// firstHops is how many events may follow one another when each write
	// takes the token of the event before.
	firstHops = 3
)

func newApplication(secret string) *application {
	a := &application{
		clientID:     "local." + value.DeriveHex(secret, "client id", 14) + ".00000000",
		clientSecret: value.DeriveHex(secret, "client secret", 50),
		memberID:     value.DeriveHex(secret, "member id", 32),
	}
	a.install("1", value.DeriveHex(secret, "application token", 32))
	return a
}

// install begins anew: what was issued before is worth nothing.
func (a *application) install(version, token string) {
	a.installed, a.version, a.token, a.status, a.expired = true, version, token, "L", false
	a.access, a.refresh, a.codes = map[string]grant{}, map[string]grant{}, map[string]grant{}
	a.sweepAt = 1000
}

// issue makes tokens for a user. The lock is held.
func (p *Portal) issue(user int64, hops int) Tokens {
	now := time.Now()
	a := p.app
	a.issued++
	t := Tokens{
		Access:  value.DeriveHex(p.cfg.Secret, fmt.Sprint("access token ", a.issued), 64),
		Refresh: value.DeriveHex(p.cfg.Secret, fmt.Sprint("refresh token ", a.issued), 64),
		Expires: now.Add(p.cfg.TokenLife),
	}
	a.access[t.Access] = grant{user: user, expires: t.Expires, hops: hops}
	a.refresh[t.Refresh] = grant{user: user, expires: now.Add(p.cfg.RefreshLife)}
	if len(a.access) > a.sweepAt {
		a.sweep(now)
	}
	return t
}

// sweep drops tokens that have been dead for a while: for some time a portal
// still says of them that they are expired.
func (a *application) sweep(now time.Time) {
	for token, g := range a.access {
		if now.Sub(g.expires) > time.Hour {
			delete(a.access, token)
		}
	}
	for token, g := range a.refresh {
		if now.After(g.expires) {
			delete(a.refresh, token)
		}
	}
	a.sweepAt = 2 * len(a.access)
}

// AppToken returns an access token of the portal's one local application for
// the administrator. It goes with a call as the parameter auth, and lives as
// long as Config.TokenLife says.
func (p *Portal) AppToken() string {
	t, _ := p.Authorize(p.user.ID) // there is an administrator
	return t.Access
}

// Authorize gives the application tokens of a user, as though the user had
// allowed it.
func (p *Portal) Authorize(user int64) (Tokens, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.store.Users[user] == nil {
		return Tokens{}, fmt.Errorf("there is no user %d", user)
	}
	if !p.app.installed {
		return Tokens{}, errors.New("the application is not installed")
	}
	return p.issue(user, firstHops), nil
}

// ExpireTokens ends the life of all access tokens that have been issued. Refresh
// tokens stay.
func (p *Portal) ExpireTokens() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for token, g := range p.app.access {
		if g.expires.After(now) {
			g.expires = now
			p.app.access[token] = g
		}
	}
}

// ClientSecret returns the secret that the application proves itself with to
// the token endpoint.
func (p *Portal) ClientSecret() string { return p.app.clientSecret }

// ClientID returns the application's client_id.
func (p *Portal) ClientID() string { return p.app.clientID }

// MemberID returns the portal's member_id, which stays when its address
// changes.
func (p *Portal) MemberID() string { return p.app.memberID }

// InstallApp installs the application, anew if it is installed: handlers bound
// before are gone and tokens worth nothing. ONAPPINSTALL is posted to the URL,
// which may be empty.
func (p *Portal) InstallApp(url string) {
	p.mu.Lock()
	p.unbindApp()
	p.app.install("1", value.DeriveHex(p.cfg.Secret, "application token", 32))
	p.app.url = url
	p.mu.Unlock()
	p.tell("ONAPPINSTALL", authLong, "VERSION", "1", "ACTIVE", "Y", "INSTALLED", "Y", "LANGUAGE_ID", language)
}

// UpdateApp installs another version of the application. The handlers are
// dropped, and there is a new application token, which ONAPPUPDATE brings.
// https://apidocs.bitrix24.com/api-reference/common/events/on-app-update.html
func (p *Portal) UpdateApp(version string) {
	p.mu.Lock()
	before := p.app.version
	p.app.version = version
	p.app.token = value.DeriveHex(p.cfg.Secret, "application token of version "+version, 32)
	p.mu.Unlock()
	p.tell("ONAPPUPDATE", authLong, "VERSION", version, "PREVIOUS_VERSION", before, "LANGUAGE_ID", language)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unbindApp()
}

// UninstallApp removes the application with its handlers and tokens.
// ONAPPUNINSTALL goes to those who are bound to it, and says whether its data
// is to be cleared.
func (p *Portal) UninstallApp(clean bool) {
	flag := 0
	if clean {
		flag = 1
	}
	p.tell("ONAPPUNINSTALL", authNone, "LANGUAGE_ID", language, "CLEAN", flag)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unbindApp()
	p.app.installed = false
}

// AppPayment says how the application is paid for: its status, as in app.info,
// the days that are left, and whether they are over. Then calls are refused
// with PAYMENT_REQUIRED. ONAPPPAYMENT goes to those who are bound to it.
func (p *Portal) AppPayment(status string, days int, expired bool) {
	p.mu.Lock()
	p.app.status, p.app.days, p.app.expired = status, days, expired
	code, version := p.app.clientID, p.app.version
	p.mu.Unlock()
	p.tell("ONAPPPAYMENT", authBare, "CODE", code, "VERSION", version, "STATUS", status,
		"PAYMENT_EXPIRED", value.YesNo(expired), "DAYS", days, "LANGUAGE_ID", language)
}

// language is that of the portal.
const language = "en"

// unbindApp drops all handlers of the application. The lock is held.
func (p *Portal) unbindApp() {
	p.feeds.subscriptions, _ = without(p.feeds.subscriptions, func(sub *subscription) bool { return sub.app })
	p.offline = offlineQueue{}
}

// tell sends an event of the application's life to those who are bound to it,
// and those of its installation to the URL that was given for them.
func (p *Portal) tell(code string, kind authKind, data ...any) {
	e := raised{code: code, data: value.Object(data...), auth: kind, origin: &origin{user: p.user.ID, hops: firstHops}}
	p.mu.Lock()
	url, bound := p.app.url, false
	for _, sub := range p.feeds.subscriptions {
		bound = bound || sub.app && sub.event == code && sub.url == url
	}
	if kind == authLong && url != "" && !bound && p.delivery.Err() == nil {
		p.enqueue(delivery{raised: e, to: &subscription{event: code, url: url, token: p.app.token, app: true}, due: time.Now().Add(p.cfg.EventDelay)})
	}
	p.mu.Unlock()
	p.dispatch([]raised{e})
}

// appInfo is app.info.
// https://apidocs.bitrix24.com/api-reference/common/system/app-info.html
func appInfo(c *call) (any, error) {
	a := c.p.app
	if !c.req.app {
		return nil, fail("ACCESS_DENIED", "Access denied! Application context required")
	}
	license := map[string]string{PlanEnterprise: "ent250", PlanUnlimited: "self"}[c.p.cfg.Plan]
	license = cmp.Or(license, "pro100")
	var days any
	if a.status == "T" || a.status == "P" {
		days = value.FromInt(int64(a.days))
	}
	return value.Object(
		"ID", 1, "CODE", a.clientID, "VERSION", value.FromInt(value.Int(a.version)), "STATUS", a.status, "INSTALLED", a.installed,
		"PAYMENT_EXPIRED", value.YesNo(a.expired), "DAYS", days, "LANGUAGE_ID", language,
		"LICENSE", language+"_"+license, "LICENSE_TYPE", license, "LICENSE_FAMILY", strings.TrimRight(license, "0123456789"),
	), nil
}

// featureGet is feature.get.
// https://apidocs.bitrix24.com/api-reference/common/system/feature-get.html
func featureGet(c *call) (any, error) {
	code := value.Text(c.param("CODE"))
	if code == "" {
		return nil, fail("CODE_EMPTY", "CODE can't be empty")
	}
	return value.Object("value", value.YesNo(c.p.cfg.feature(code))), nil
}

// Features of plans that the methods ask for.
const (
	featureOfflineExtended = "rest_offline_extended"
	featureAuthConnector   = "rest_auth_connector"
)

func (c Config) feature(code string) bool {
	return code == featureOfflineExtended && !c.NoOfflineExtended || code == featureAuthConnector && !c.NoAuthConnector
}

// noLicense refuses what the portal's plan does not have.
func noLicense(what string) *restError {
	return failStatus(http.StatusForbidden, "WRONG_LICENSE", "This feature is not enabled for the current license: "+what)
}
