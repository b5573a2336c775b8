package emulator

import (
	"crypto/subtle"
	"fmt"
	"net/http"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/value"
)

// application is the portal's one local application: its keys, the tokens that it
// received, and its state.
type application struct {
	clientID, clientSecret, memberID string

	token     string // application_token
	status    string // L, F, D, T or P
	version   string
	installed bool
	expired   bool // the paid time is over
	days      int  // days of it that are left
	url       string

	secret                 string // tokens are derived from it
	tokenLife, refreshLife time.Duration
	issued                 int
	access                 map[string]grant
	refresh                map[string]grant
	codes                  map[string]grant
	sweepAt                int // the number of tokens at which dead ones are dropped
}

// grant is what a token or a code is good for.
type grant struct {
	user    int64
	expires time.Time
	// hops is how many events may still follow one another: those of writes
	// with a token that came in an event.
	hops int
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
	// firstHops is how many events may follow one another when each write
	// takes the token of the event before.
	firstHops = 3
)

// newApplication makes an installed application whose keys are derived from a secret.
func newApplication(secret string, tokenLife, refreshLife time.Duration) *application {
	a := &application{
		clientID:     "local." + value.DeriveHex(secret, "client id", 14) + ".00000000",
		clientSecret: value.DeriveHex(secret, "client secret", 50),
		memberID:     value.DeriveHex(secret, "member id", 32),
		secret:       secret, tokenLife: tokenLife, refreshLife: refreshLife,
	}
	a.install()
	return a
}

// install installs the application again. Older tokens are no longer valid.
func (a *application) install() {
	a.installed, a.version, a.status, a.expired = true, "1", "L", false
	a.token = value.DeriveHex(a.secret, "application token", 32)
	a.access, a.refresh, a.codes = map[string]grant{}, map[string]grant{}, map[string]grant{}
	a.sweepAt = 1000
}

// update installs another version with a new application token.
func (a *application) update(version string) {
	a.version = version
	a.token = value.DeriveHex(a.secret, "application token of version "+version, 32)
}

// issue makes tokens for a user.
func (a *application) issue(user int64, hops int) Tokens {
	now := time.Now()
	a.issued++
	t := Tokens{
		Access:  value.DeriveHex(a.secret, fmt.Sprint("access token ", a.issued), 64),
		Refresh: value.DeriveHex(a.secret, fmt.Sprint("refresh token ", a.issued), 64),
		Expires: now.Add(a.tokenLife),
	}
	a.access[t.Access] = grant{user: user, expires: t.Expires, hops: hops}
	a.refresh[t.Refresh] = grant{user: user, expires: now.Add(a.refreshLife)}
	if len(a.access) > a.sweepAt {
		a.sweep(now)
	}
	return t
}

// issueAccess makes an access token without a refresh token.
func (a *application) issueAccess(user int64, hops int) Tokens {
	t := a.issue(user, hops)
	delete(a.refresh, t.Refresh)
	t.Refresh = ""
	return t
}

// issueCode makes an authorization code for a user.
func (a *application) issueCode(user int64) string {
	a.issued++
	code := value.DeriveHex(a.secret, fmt.Sprint("code ", a.issued), 32)
	a.codes[code] = grant{user: user, expires: time.Now().Add(codeLife)}
	return code
}

// sweep drops tokens that expired some time ago. For a while a portal still answers
// that they are expired.
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

// expireTokens ends the life of all access tokens.
func (a *application) expireTokens() {
	now := time.Now()
	for token, g := range a.access {
		if g.expires.After(now) {
			g.expires = now
			a.access[token] = g
		}
	}
}

// check reports what is wrong with an access token.
func (a *application) check(token string) (grant, *restError) {
	g, ok := a.access[token]
	switch {
	case !a.installed && ok:
		return g, refusalOf("ERROR_OAUTH")
	case !ok:
		return g, refusalOf("invalid_token")
	case !time.Now().Before(g.expires):
		return g, refusalOf("expired_token")
	case a.expired:
		return g, refusalOf("PAYMENT_REQUIRED")
	}
	return g, nil
}

// redeem checks the parameters of a request for tokens and returns the user. A code
// and a refresh token are valid once.
func (a *application) redeem(get func(string) string) (user int64, refused *restError) {
	kind, name, issued := get("grant_type"), "", map[string]grant(nil)
	switch kind {
	case "authorization_code":
		name, issued = "code", a.codes
	case "refresh_token":
		name, issued = "refresh_token", a.refresh
	}
	switch {
	case issued == nil || get("client_id") == "" || get(name) == "":
		return 0, refusalOf("invalid_request")
	case get("client_id") != a.clientID:
		// This one comes with the status of a success and without a text.
		return 0, failStatus(http.StatusOK, "wrong_client", "")
	case !sameSecret(get("client_secret"), a.clientSecret) || !a.installed:
		return 0, refusalOf("invalid_client")
	case a.expired:
		return 0, failStatus(http.StatusUnauthorized, "PAYMENT_REQUIRED", "Payment required")
	}
	g, ok := issued[get(name)]
	delete(issued, get(name))
	if !ok || time.Now().After(g.expires) {
		return 0, refusalOf("invalid_grant")
	}
	return g.user, nil
}

// sameSecret compares secrets in constant time.
func sameSecret(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
