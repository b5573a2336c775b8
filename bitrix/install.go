package bitrix

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Events of an application's life. The first two bring tokens.
// Source: https://apidocs.bitrix24.com/api-reference/common/events/index.html
const (
	EventInstall   = "ONAPPINSTALL"
	EventUpdate    = "ONAPPUPDATE"
	EventUninstall = "ONAPPUNINSTALL"
	EventOffline   = "ONOFFLINEEVENT"
)

// ErrUnproven says that tokens are not what they pretend to be.
var ErrUnproven = errors.New("the portal does not confirm these tokens")

// Prove asks the portal itself about tokens that somebody has posted: they must
// be those of the application that cfg names, and of an administrator. Anybody
// can post an installation, and any user of the portal has tokens of the
// application. It returns the tokens to keep, which may be newer ones. An error
// is ErrUnproven, or says that the portal could not be asked.
// Source: https://apidocs.bitrix24.com/api-reference/events/safe-event-handlers.html
func Prove(ctx context.Context, cfg Config, t Tokens) (Tokens, error) {
	if t.Access == "" || t.Refresh == "" || t.Application == "" {
		return Tokens{}, ErrUnproven
	}
	store := &provenTokens{t: t}
	oauth := *cfg.OAuth
	oauth.Store = store
	cfg.OAuth, cfg.InFlight = &oauth, 1
	cfg.Log = nil // tokens of a stranger that are refused are no error of ours
	c, err := NewClient(cfg)
	if err != nil {
		return Tokens{}, err
	}
	defer c.Close()
	answers := c.Do(ctx, Call{Method: "app.info"}, Call{Method: "profile"})
	for _, a := range answers {
		if err := unproven(a.Err); err != nil {
			return Tokens{}, err
		}
	}
	var info struct {
		Code string `json:"CODE"`
	}
	_ = json.Unmarshal(answers[0].Result, &info) // of another shape it proves nothing
	if user, err := readProfile(answers[1].Result); err != nil || !user.Admin {
		return Tokens{}, fmt.Errorf("%w: they are not those of an administrator", ErrUnproven)
	}
	if !strings.EqualFold(info.Code, oauth.ClientID) {
		// An application of the market is named there by its code. Only tokens
		// of this application can be renewed with its secret.
		if _, fault := c.transport.auth.renew(ctx, store.t.Access); fault != nil {
			return Tokens{}, unproven(fault)
		}
	}
	return store.t, nil
}

// unproven tells a refusal from a failure to ask.
func unproven(err error) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	if e.Status == 0 && e.code() == CodeNetwork || e.Status >= 500 || e.code() == CodeQueryLimit || e.Outcome == Unknown {
		return err
	}
	return errors.Join(ErrUnproven, err)
}

// provenTokens is a store for the time of a proof.
type provenTokens struct{ t Tokens }

func (p *provenTokens) Load(context.Context) (Tokens, error) { return p.t, nil }

func (p *provenTokens) Update(ctx context.Context, change func(context.Context, Tokens) (Tokens, error)) error {
	t, err := change(ctx, p.t)
	if err == nil {
		p.t = t
	}
	return err
}
