package cli

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/ingest"
	"github.com/b24rules/b24rules/internal/wakeup"
)

// application is the part of a portal that is called with OAuth.
type application struct {
	config bitrix.Config // to prove what pretends to be an installation
	home   string        // the host of the portal
	tokens *tokenNote
	source string // the auth_connector of the configuration
	// offline says that the portal keeps its events until they are fetched.
	offline bool
	// changed wakes who attends to the application: it was installed, or the
	// portal has events.
	changed wakeup.Signal

	// These belong to attend.
	connector string // in use; "" when the portal's plan has none
	ready     bool   // offline events can be fetched
	told      string // the failure that was logged last

	mu sync.Mutex
	// installed says that the application was installed and nothing bound since.
	installed bool
	// token is the application token of the events, as it was stored last.
	token bitrix.Secret
	// proofs bounds what strangers can make us ask the portal.
	proofs []time.Time
}

// proofsPerMinute is how many installations of one portal are looked at.
const proofsPerMinute = 10

var errTooManyProofs = errors.New("too many installations in a minute, this one was not looked at")

// load reads the application token that events must carry.
func (p *application) load(ctx context.Context) error {
	t, err := p.tokens.Load(ctx)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.token != "" && t.Application != p.token { // another process took the installation
		p.installed = true
	}
	p.token = t.Application
	return nil
}

func (p *application) applicationToken() bitrix.Secret {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.token
}

// takeInstalled reports whether the application was installed since the last
// time.
func (p *application) takeInstalled() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	was := p.installed
	p.installed = false
	return was
}

// admit reports whether another proof may be asked for now.
func (p *application) admit(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.proofs) > 0 && now.Sub(p.proofs[0]) > time.Minute {
		p.proofs = p.proofs[1:]
	}
	if len(p.proofs) >= proofsPerMinute {
		return false
	}
	p.proofs = append(p.proofs, now)
	return true
}

// install takes the events that bring an application's tokens. Anybody can post
// them, so the portal itself is asked.
func (a *app) install(ctx context.Context, name string, e bitrix.Event) (taken bool, err error) {
	p := a.portals[name]
	if p == nil || p.app == nil || e.Code != bitrix.EventInstall && e.Code != bitrix.EventUpdate {
		return false, nil
	}
	given := bitrix.Tokens{
		Access: e.Auth.AccessToken, Refresh: e.Auth.RefreshToken, Endpoint: e.Auth.ClientEndpoint,
		MemberID: e.Auth.MemberID, Application: e.Auth.ApplicationToken, Changed: time.Now(),
	}
	endpoint, err := bitrix.CheckEndpoint(given.Endpoint)
	if u, urlErr := url.Parse(endpoint); err != nil || urlErr != nil || !strings.EqualFold(u.Scheme+"://"+u.Host, p.app.home) {
		return true, ingest.ErrUnproven // another portal's; nobody is asked
	}
	given.Endpoint = endpoint
	if !p.app.admit(time.Now()) {
		return true, errTooManyProofs
	}
	proven, err := bitrix.Prove(ctx, p.app.config, given)
	if errors.Is(err, bitrix.ErrUnproven) {
		return true, errors.Join(ingest.ErrUnproven, err)
	}
	if err != nil {
		return true, err
	}
	if err := p.app.tokens.put(ctx, proven); err != nil {
		return true, err
	}
	p.app.mu.Lock()
	p.app.token, p.app.installed = proven.Application, true
	p.app.mu.Unlock()
	p.client.Reauthorize()
	p.app.changed.Send()
	a.log.Info("the application is installed", slog.String("portal", name), slog.String("event", e.Code), slog.String("member", proven.MemberID))
	return true, nil
}

// life takes the events about the application itself that its token has proved.
// They are not for rules.
func (a *app) life(ctx context.Context, p *portal, e bitrix.Event) (taken bool, err error) {
	if p == nil || p.app == nil {
		return false, nil
	}
	switch e.Code {
	case bitrix.EventUninstall:
		if err := p.app.tokens.put(ctx, bitrix.Tokens{}); err != nil {
			return true, err
		}
		p.app.mu.Lock()
		p.app.token = ""
		p.app.mu.Unlock()
		p.client.Reauthorize()
		a.log.Error("the application was uninstalled: no event comes any more and runs wait until it is installed anew", "portal", p.name)
		return true, nil
	case bitrix.EventOffline:
		p.app.changed.Send()
		return true, a.mend(ctx, p, e)
	}
	return false, nil
}

// mend takes the tokens that come with a notice when ours are lost: a process
// that died between a renewal and its storing has lost the chain, and a portal
// sends a refresh token with these notices.
func (a *app) mend(ctx context.Context, p *portal, e bitrix.Event) error {
	if e.Auth.AccessToken == "" || e.Auth.RefreshToken == "" || !p.client.Lost() {
		return nil
	}
	err := p.app.tokens.Update(ctx, func(_ context.Context, t bitrix.Tokens) (bitrix.Tokens, error) {
		t.Access, t.Refresh, t.Changed = e.Auth.AccessToken, e.Auth.RefreshToken, time.Now()
		return t, nil
	})
	if err != nil {
		return err
	}
	p.client.Reauthorize()
	a.log.Warn("the application's tokens were lost, the portal has sent new ones", "portal", p.name)
	return nil
}
