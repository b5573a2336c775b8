package emulator

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// raised is an event that a command has raised.
type raised struct {
	*origin
	code string
	data *php.Array
	auth authKind
}

// origin is what an event came about by.
type origin struct {
	user      int64  // 0 for a robot or an agent
	app       bool   // by a call of the application
	connector string // its source key
	hops      int    // events that may still follow one another
}

// authKind is what an event tells an application about its authorization.
type authKind uint8

const (
	authUser authKind = iota // an access token, if a user is at the bottom of it
	authLong                 // a refresh token too
	authNone                 // no tokens
	authBare                 // no application_token either
)

// raise raises an event whose data is FIELDS.
func (c *call) raise(code string, fields *php.Array) {
	c.raiseData(code, value.Object("FIELDS", fields))
}

// raiseData raises an event with other data. Who writes with the token of an
// event raises no more than a few events in a row.
func (c *call) raiseData(code string, data *php.Array) {
	if c.req.by.hops > 0 {
		c.req.changes = append(c.req.changes, raised{origin: &c.req.by, code: code, data: data})
	}
}

// subscription is a handler of one event: chosen in an outbound webhook, or
// bound by the application.
type subscription struct {
	id    int64
	event string
	url   string
	token string // application_token of an outbound webhook
	app   bool
	user  int64 // auth_type

	offline    bool          // kept in the queue of offline events; without a URL
	connector  string        // its source key
	minTimeout time.Duration // of ONOFFLINEEVENT
	notified   time.Time
}

// eventBody is what a handler gets. Nothing in it says what was changed.
// https://apidocs.bitrix24.com/api-reference/events/index.html
func (p *Portal) eventBody(d delivery) *php.Array {
	p.mu.Lock()
	defer p.mu.Unlock()
	body := value.Object("event", d.code)
	if d.to.id > 0 {
		body.Set("event_handler_id", value.Text(value.FromInt(d.to.id)))
	}
	body.Set("data", d.data)
	body.Set("ts", value.Text(value.FromInt(time.Now().Unix())))
	body.Set("auth", p.eventAuth(d))
	return body
}

// eventAuth is the member auth: what proves an event and, for an application,
// lets it call back. Tokens are those of the user who caused the event, or of
// the one that the handler was bound for.
func (p *Portal) eventAuth(d delivery) *php.Array {
	endpoint := p.baseURL + "/rest/"
	if !d.to.app {
		return value.Object("domain", p.domain(), "client_endpoint", endpoint, "server_endpoint", endpoint,
			"member_id", p.app.memberID, "application_token", d.to.token)
	}
	user := d.to.user
	if user == 0 {
		user = d.user
	}
	if d.auth == authNone || d.auth == authBare || user == 0 || !p.app.installed {
		auth := value.Object("domain", p.domain(), "client_endpoint", endpoint, "server_endpoint", endpoint, "member_id", p.app.memberID)
		if d.auth != authBare {
			auth.Set("application_token", p.app.token)
		}
		return auth
	}
	t := p.issue(user, d.hops-1)
	auth := value.Object(
		"access_token", t.Access, "expires", value.Text(value.FromInt(t.Expires.Unix())),
		"expires_in", value.Text(value.FromInt(int64(p.cfg.TokenLife.Seconds()))), "scope", strings.Join(p.cfg.Scopes, ","),
		"domain", p.domain(), "server_endpoint", endpoint, "status", p.app.status, "client_endpoint", endpoint,
		"member_id", p.app.memberID, "user_id", value.Text(value.FromInt(user)),
	)
	if d.auth == authLong {
		auth.Set("refresh_token", t.Refresh)
	} else {
		delete(p.app.refresh, t.Refresh)
	}
	auth.Set("application_token", p.app.token)
	return auth
}

// checkHandlerURL refuses what a portal cannot call.
func checkHandlerURL(handler string) error {
	u, err := url.Parse(handler)
	switch {
	case err != nil || u.Host == "" && u.Scheme == "":
		return fail("ERROR_WRONG_HANDLER_URL", "Wrong handler URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return fail("ERROR_UNSUPPORTED_PROTOCOL", "Unsupported event handler protocol")
	case !strings.Contains(u.Hostname(), "."):
		return fail("ERROR_WRONG_HANDLER_URL", "Wrong handler URL")
	}
	return nil
}

// without returns the subscriptions that do not pass, and how many did.
func without(subs []*subscription, pass func(*subscription) bool) (rest []*subscription, dropped int) {
	rest = slices.DeleteFunc(slices.Clone(subs), pass)
	return rest, len(subs) - len(rest)
}
