package bitrix

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Tokens are what a portal has given an application. The zero value says that
// the application is not installed.
type Tokens struct {
	// Access goes with every call and lives an hour.
	Access Secret
	// Refresh gives new tokens, once: the answer brings its successor.
	Refresh Secret
	// Endpoint is where the portal's REST API is: https://portal/rest/.
	Endpoint string
	// MemberID is the portal's id, which survives a renaming.
	MemberID string
	// Application is the token that the portal's events carry.
	Application Secret
	// Changed is when these tokens came.
	Changed time.Time
}

// storedTokens is how tokens are kept: nowhere else are they written in the
// clear.
type storedTokens struct {
	Access      string    `json:"access"`
	Refresh     string    `json:"refresh"`
	Endpoint    string    `json:"endpoint"`
	MemberID    string    `json:"member_id"`
	Application string    `json:"application"`
	Changed     time.Time `json:"changed"`
}

// Reveal writes tokens out in the clear, for the one place that keeps them.
func (t Tokens) Reveal() []byte {
	data, err := json.Marshal(storedTokens{
		Access: t.Access.Reveal(), Refresh: t.Refresh.Reveal(), Endpoint: t.Endpoint, MemberID: t.MemberID,
		Application: t.Application.Reveal(), Changed: t.Changed.UTC(),
	})
	if err != nil {
		panic(err) // texts and a time of this century always marshal
	}
	return data
}

// ReadTokens reads what Reveal wrote. Nothing gives the zero value. The error
// repeats nothing of it.
func ReadTokens(data []byte) (Tokens, error) {
	if len(data) == 0 {
		return Tokens{}, nil
	}
	var s storedTokens
	if json.Unmarshal(data, &s) != nil {
		return Tokens{}, errors.New("the stored tokens cannot be read")
	}
	return Tokens{
		Access: Secret(s.Access), Refresh: Secret(s.Refresh), Endpoint: s.Endpoint, MemberID: s.MemberID,
		Application: Secret(s.Application), Changed: s.Changed,
	}, nil
}

// TokenStore keeps the tokens of one portal where they survive the process, and
// where every process that works for the portal finds them.
type TokenStore interface {
	// Load returns the current tokens, the zero value when there are none.
	Load(ctx context.Context) (Tokens, error)
	// Update gives the tokens to change and keeps what it returns, while no
	// other process can do the same. It returns nil only when they are on disk.
	// When change fails nothing is kept and its error comes back as it is.
	Update(ctx context.Context, change func(context.Context, Tokens) (Tokens, error)) error
}

// DefaultTokenURL is where all portals in the cloud renew tokens.
// Source: https://apidocs.bitrix24.com/settings/oauth/auto-renewal.html
const DefaultTokenURL = "https://oauth.bitrix.info/oauth/token/"

// OAuth says how an application is authorized: the counterpart of CRest's
// C_REST_CLIENT_ID and C_REST_CLIENT_SECRET.
type OAuth struct {
	// ClientID and ClientSecret are what the application's form shows.
	ClientID     string
	ClientSecret Secret
	// TokenURL is where tokens are renewed. Empty means DefaultTokenURL.
	TokenURL string
	// Connector, if set, goes with every request as auth_connector: the portal
	// then leaves the changes that the request makes out of the offline events
	// of handlers with the same connector.
	Connector string
	// Store keeps the tokens. Required.
	Store TokenStore
}

func (o OAuth) check() error {
	switch {
	case strings.TrimSpace(o.ClientID) == "":
		return errors.New("the client id is empty")
	case o.ClientSecret == "":
		return errors.New("the client secret is empty")
	case o.Store == nil:
		return errors.New("the tokens have no store")
	}
	if o.TokenURL != "" {
		u, err := url.Parse(o.TokenURL)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return errors.New("the token URL is no http(s) URL")
		}
	}
	return nil
}

// CheckEndpoint returns a REST endpoint with a trailing slash, or what is wrong
// with it.
func CheckEndpoint(s string) (string, error) {
	u, err := url.Parse(strings.TrimSpace(s))
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("%.100q is no address of a REST API, want https://PORTAL/rest/", s)
	}
	u.Path = strings.TrimRight(u.Path, "/") + "/"
	return u.String(), nil
}
