package rest

import (
	"crypto/subtle"
	"fmt"
	"net/http"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/value"
)

// Application is the portal's one local application: its keys, the tokens that it
// received, and its state.
type Application struct {
	ClientID, ClientSecret, MemberID string

	Token     string // application_token
	Status    string // L, F, D, T or P
	Version   string
	Installed bool
	Expired   bool // the paid time is over
	Days      int  // days of it that are left
	URL       string

	secret                 string // tokens are derived from it
	TokenLife, refreshLife time.Duration
	issued                 int
	access                 map[string]Grant
	refresh                map[string]Grant
	codes                  map[string]Grant
	sweepAt                int // the number of tokens at which dead ones are dropped
}

// Grant is what a token or a code is good for.
type Grant struct {
	User    int64
	expires time.Time
	// Hops is how many events may still follow one another: those of writes
	// with a token that came in an event.
	Hops int
}

// Tokens are the credentials of an application.
type Tokens struct {
	Access  string
	Refresh string
	Expires time.Time // of the access token
}

const (
	// codeLife is the life of an authorization code.
	// https://apidocs.bitrix24.com/settings/oauth/index.html
	codeLife = 30 * time.Second
	// FirstHops is how many events may follow one another when each write
	// takes the token of the event before.
	FirstHops = 3
)

// NewApplication makes an installed application whose keys are derived from a secret.
func NewApplication(secret string, tokenLife, refreshLife time.Duration) *Application {
	a := &Application{
		ClientID:     "local." + value.DeriveHex(secret, "client id", 14) + ".00000000",
		ClientSecret: value.DeriveHex(secret, "client secret", 50),
		MemberID:     value.DeriveHex(secret, "member id", 32),
		secret:       secret, TokenLife: tokenLife, refreshLife: refreshLife,
	}
	a.Install()
	return a
}

// Install installs the application again. Older tokens are no longer valid.
func (a *Application) Install() {
	a.Installed, a.Version, a.Status, a.Expired = true, "1", "L", false
	a.Token = value.DeriveHex(a.secret, "application token", 32)
	a.access, a.refresh, a.codes = map[string]Grant{}, map[string]Grant{}, map[string]Grant{}
	a.sweepAt = 1000
}

// Update installs another version with a new application token.
func (a *Application) Update(version string) {
	a.Version = version
	a.Token = value.DeriveHex(a.secret, "application token of version "+version, 32)
}

// Issue makes tokens for a user.
func (a *Application) Issue(user int64, hops int) Tokens {
	now := time.Now()
	a.issued++
	t := Tokens{
		Access:  value.DeriveHex(a.secret, fmt.Sprint("access token ", a.issued), 64),
		Refresh: value.DeriveHex(a.secret, fmt.Sprint("refresh token ", a.issued), 64),
		Expires: now.Add(a.TokenLife),
	}
	a.access[t.Access] = Grant{User: user, expires: t.Expires, Hops: hops}
	a.refresh[t.Refresh] = Grant{User: user, expires: now.Add(a.refreshLife)}
	if len(a.access) > a.sweepAt {
		a.sweep(now)
	}
	return t
}

// IssueAccess makes an access token without a refresh token.
func (a *Application) IssueAccess(user int64, hops int) Tokens {
	t := a.Issue(user, hops)
	delete(a.refresh, t.Refresh)
	t.Refresh = ""
	return t
}

// IssueCode makes an authorization code for a user.
func (a *Application) IssueCode(user int64) string {
	a.issued++
	code := value.DeriveHex(a.secret, fmt.Sprint("code ", a.issued), 32)
	a.codes[code] = Grant{User: user, expires: time.Now().Add(codeLife)}
	return code
}

// sweep drops tokens that expired some time ago. For a while a portal still answers
// that they are expired.
func (a *Application) sweep(now time.Time) {
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

// ExpireTokens ends the life of all access tokens.
func (a *Application) ExpireTokens() {
	now := time.Now()
	for token, g := range a.access {
		if g.expires.After(now) {
			g.expires = now
			a.access[token] = g
		}
	}
}

// Check reports what is wrong with an access token.
func (a *Application) Check(token string) (Grant, *Error) {
	g, ok := a.access[token]
	switch {
	case !a.Installed && ok:
		return g, Refusal("ERROR_OAUTH")
	case !ok:
		return g, Refusal("invalid_token")
	case !time.Now().Before(g.expires):
		return g, Refusal("expired_token")
	case a.Expired:
		return g, Refusal("PAYMENT_REQUIRED")
	}
	return g, nil
}

// Redeem checks the parameters of a request for tokens and returns the user. A code
// and a refresh token are valid once.
func (a *Application) Redeem(get func(string) string) (user int64, refused *Error) {
	kind, name, issued := get("grant_type"), "", map[string]Grant(nil)
	switch kind {
	case "authorization_code":
		name, issued = "code", a.codes
	case "refresh_token":
		name, issued = "refresh_token", a.refresh
	}
	switch {
	case issued == nil || get("client_id") == "" || get(name) == "":
		return 0, Refusal("invalid_request")
	case get("client_id") != a.ClientID:
		// This one comes with the status of a success and without a text.
		return 0, FailStatus(http.StatusOK, "wrong_client", "")
	case !SameSecret(get("client_secret"), a.ClientSecret) || !a.Installed:
		return 0, Refusal("invalid_client")
	case a.Expired:
		return 0, FailStatus(http.StatusUnauthorized, "PAYMENT_REQUIRED", "Payment required")
	}
	g, ok := issued[get(name)]
	delete(issued, get(name))
	if !ok || time.Now().After(g.expires) {
		return 0, Refusal("invalid_grant")
	}
	return g.User, nil
}

// SameSecret compares secrets in constant time.
func SameSecret(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
