package events

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

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

// body is what a handler gets. Nothing in it says what was changed.
// https://apidocs.bitrix24.com/api-reference/events/index.html
func (h *Hub) body(d delivery) *php.Array {
	h.mu.Lock()
	defer h.mu.Unlock()
	body := value.Object("event", d.Code)
	if d.to.id > 0 {
		body.Set("event_handler_id", value.Text(value.FromInt(d.to.id)))
	}
	body.Set("data", d.Data)
	body.Set("ts", value.Text(value.FromInt(time.Now().Unix())))
	body.Set("auth", h.auth(d))
	return body
}

// auth is the member auth: what proves an event and, for an application,
// lets it call back. Tokens are those of the user who caused the event, or of
// the one that the handler was bound for.
func (h *Hub) auth(d delivery) *php.Array {
	domain, endpoint := h.address.Domain(), h.address.Endpoint()
	if !d.to.app {
		return value.Object("domain", domain, "client_endpoint", endpoint, "server_endpoint", endpoint,
			"member_id", h.app.MemberID, "application_token", d.to.token)
	}
	user := d.to.user
	if user == 0 {
		user = d.User
	}
	if d.Auth == rest.AuthNone || d.Auth == rest.AuthBare || user == 0 || !h.app.Installed {
		auth := value.Object("domain", domain, "client_endpoint", endpoint, "server_endpoint", endpoint, "member_id", h.app.MemberID)
		if d.Auth != rest.AuthBare {
			auth.Set("application_token", h.app.Token)
		}
		return auth
	}
	issue := h.app.IssueAccess
	if d.Auth == rest.AuthLong {
		issue = h.app.Issue
	}
	t := issue(user, d.Hops-1)
	auth := value.Object(
		"access_token", t.Access, "expires", value.Text(value.FromInt(t.Expires.Unix())),
		"expires_in", value.Text(value.FromInt(int64(h.app.TokenLife.Seconds()))), "scope", strings.Join(h.options.Scopes, ","),
		"domain", domain, "server_endpoint", endpoint, "status", h.app.Status, "client_endpoint", endpoint,
		"member_id", h.app.MemberID, "user_id", value.Text(value.FromInt(user)),
	)
	if t.Refresh != "" {
		auth.Set("refresh_token", t.Refresh)
	}
	auth.Set("application_token", h.app.Token)
	return auth
}

// checkHandlerURL refuses what a portal cannot call.
func checkHandlerURL(handler string) error {
	u, err := url.Parse(handler)
	switch {
	case err != nil || u.Host == "" && u.Scheme == "":
		return rest.Fail("ERROR_WRONG_HANDLER_URL", "Wrong handler URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return rest.Fail("ERROR_UNSUPPORTED_PROTOCOL", "Unsupported event handler protocol")
	case !strings.Contains(u.Hostname(), "."):
		return rest.Fail("ERROR_WRONG_HANDLER_URL", "Wrong handler URL")
	}
	return nil
}

// without returns the subscriptions that do not pass, and how many did.
func without(subs []*subscription, pass func(*subscription) bool) (others []*subscription, dropped int) {
	others = slices.DeleteFunc(slices.Clone(subs), pass)
	return others, len(subs) - len(others)
}
