package config

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/b24rules/b24rules/bitrix"
)

// OAuth is an application. ClientID and ClientSecret are C_REST_CLIENT_ID and
// C_REST_CLIENT_SECRET of CRest.
type OAuth struct {
	// Portal is the address of the portal that may install it.
	Portal       string
	ClientID     string
	ClientSecret bitrix.Secret
	// TokenURL is where tokens are renewed; "" means the address of all portals.
	TokenURL string
	// Connector is the auth_connector of offline events. The portal keeps no events for
	// changes with this connector.
	Connector string
}

type oauthFile struct {
	Portal           scalar `yaml:"portal" doc:"the address of the portal that installs the application" example:"https://acme.bitrix24.com"`
	ClientID         scalar `yaml:"client_id" doc:"the value in the application's form, or ${VARIABLE}" example:"local.5f0c1a2b3c4d5e.12345678"`
	ClientSecret     scalar `yaml:"client_secret" doc:"the value in the application's form, or ${VARIABLE}" example:"${B24_CLIENT_SECRET}"`
	ClientSecretFile scalar `yaml:"client_secret_file" doc:"instead of client_secret: a file with its value"`
	TokenURL         scalar `yaml:"token_url" default:"https://oauth.bitrix.info/oauth/token/" doc:"where tokens are renewed"`
	Connector        scalar `yaml:"connector" default:"b24rules" doc:"the auth_connector: the portal keeps no offline events for changes of this program"`
}

// DefaultConnector is the auth_connector of offline events.
const DefaultConnector = "b24rules"

// oauth reads the application of a portal. It returns nil after a mistake.
func (r *reader) oauth(p namedPortal) *OAuth {
	in := p.OAuth
	if in.bad {
		return nil
	}
	if p.Webhook.set() || p.WebhookFile.set() {
		r.errorf(in.pos, "duplicate-key", "portal %s has both a webhook and oauth", p.name).Hint = "remove one of them"
	}
	if s := firstSet(p.ApplicationToken, p.ApplicationTokenFile); s.set() {
		r.errorf(s.pos, "invalid-value", "with oauth, the portal sends the application token with the installation").Hint = "remove it"
	}
	out := &OAuth{Connector: DefaultConnector}
	ok := true
	out.Portal, ok = r.address(in.Portal, in, "oauth.portal", "the address of the portal such as https://acme.bitrix24.com")
	switch {
	case in.ClientID.bad:
		ok = false
	case !in.ClientID.set():
		r.errorf(in.pos, "missing-key", "portal %s needs client_id", p.name).Hint = "the application's form shows it: local.…"
		ok = false
	default:
		text, expanded := r.expand(in.ClientID)
		if expanded && strings.TrimSpace(text) == "" {
			r.errorf(in.ClientID.pos, "invalid-value", "client_id is empty")
			expanded = false
		}
		out.ClientID, ok = text, ok && expanded
	}
	at := namedPortal{name: p.name, pos: in.pos}
	secret, pos, found := r.secret(at, "client_secret", in.ClientSecret, in.ClientSecretFile)
	if found && secret == "" {
		r.errorf(pos, "invalid-value", "client_secret is empty").Hint = "the application's form shows it"
	}
	out.ClientSecret = bitrix.Secret(secret)
	if in.TokenURL.set() {
		if u, err := url.Parse(in.TokenURL.text); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			r.errorf(in.TokenURL.pos, "invalid-value", "token_url is not an http(s) address").Hint = "remove it, the default is " + bitrix.DefaultTokenURL
		}
		r.plainAddress(in.TokenURL, "token_url")
		out.TokenURL = in.TokenURL.text
	}
	if in.Connector.set() {
		out.Connector = in.Connector.text
		if !portalName.MatchString(out.Connector) {
			r.errorf(in.Connector.pos, "invalid-value", "connector %q has a character that is not a letter, digit, dot, dash or underscore", out.Connector)
		}
	}
	if !ok || !found || secret == "" {
		return nil
	}
	return out
}

func firstSet(all ...scalar) scalar {
	for _, s := range all {
		if s.set() {
			return s
		}
	}
	return scalar{}
}

// address reads an http(s) address without a path.
func (r *reader) address(s scalar, in oauthBlock, key, want string) (string, bool) {
	switch {
	case s.bad:
		return "", false
	case !s.set():
		r.errorf(in.pos, "missing-key", "%s is missing", key).Hint = "write " + want
		return "", false
	}
	text := strings.TrimRight(s.text, "/")
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || u.Path != "" {
		r.errorf(s.pos, "invalid-value", "%s %q is not an address", key, s.text).Hint = "write " + want
		return "", false
	}
	return text, true
}

// publicURL reads the address under which portals reach the program.
func (r *reader) publicURL(s scalar) string {
	if !s.set() {
		return ""
	}
	text := strings.TrimRight(s.text, "/")
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		r.errorf(s.pos, "invalid-value", "public_url %q is not an address", s.text).Hint = "write an address such as https://b24rules.example.com"
		return ""
	}
	r.plainAddress(s, "public_url")
	return text
}

// events reads how the program receives a portal's events.
func (r *reader) events(p namedPortal, out *Portal) {
	if !p.Events.set() || !r.words(p.Events, "events", "online", "offline") {
		return
	}
	out.Offline = p.Events.text == "offline"
	if out.Offline && !p.OAuth.set() {
		r.errorf(p.Events.pos, "invalid-value", "only applications have offline events, portal %s has a webhook", p.name).Hint = "add oauth, or write events: online"
	}
}

// CatchUp configures the catch-up after a downtime.
type CatchUp struct {
	Off bool
	// Longest is the longest downtime with a catch-up; a negative value means any.
	Longest time.Duration
	// Entities is the largest number of changed entities of one type.
	Entities int
	// Margin is how long before the last heartbeat the catch-up starts.
	Margin time.Duration
}

var DefaultCatchUp = CatchUp{Longest: 7 * 24 * time.Hour, Entities: 10_000, Margin: 5 * time.Minute}

type catchUpFile struct {
	Longest  retention     `yaml:"longest" default:"7d" doc:"the longest downtime with a catch-up"`
	Entities int           `yaml:"entities" validate:"min=1" default:"10000" doc:"the largest number of changed entities of one type"`
	Margin   time.Duration `yaml:"margin" validate:"min=1ms" default:"5m" doc:"how long before the last heartbeat the catch-up starts"`
}

func (r *reader) catchUp(in catchUpBlock) CatchUp {
	out := DefaultCatchUp
	out.Off = in.off
	if in.Longest != 0 {
		out.Longest = time.Duration(in.Longest)
	}
	if in.Entities > 0 {
		out.Entities = in.Entities
	}
	if in.Margin > 0 {
		out.Margin = in.Margin
	}
	if out.Longest > 0 && out.Margin > out.Longest {
		r.errorf(in.pos, "invalid-value", "catch_up: margin %s is longer than longest %s", out.Margin, out.Longest)
	}
	return out
}

// Hook returns the URL to which a portal posts its events, "" without public_url.
func (c *Config) Hook(portal string) string {
	if c.PublicURL == "" {
		return ""
	}
	return fmt.Sprintf("%s/hooks/%s", c.PublicURL, portal)
}
