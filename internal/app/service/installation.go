package service

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/ingest"
	"github.com/b24rules/b24rules/internal/wakeup"
)

// application is an OAuth application in one portal: its tokens, its installations
// and its removal.
type application struct {
	portal    string
	config    bitrix.Config // of the client that checks installations
	client    *bitrix.Client
	log       *slog.Logger
	home      string // the host of the portal
	tokens    *tokenNote
	connector string // the auth_connector of the configuration
	// offline says that the portal keeps its events until they are fetched.
	offline bool
	// changed wakes the offlinePoller: the application was installed, or the
	// portal has events.
	changed wakeup.Signal
	// renewed asks for a probe of the portal, because its runs may be waiting for
	// new tokens.
	renewed func(context.Context)

	mu sync.Mutex
	// installed says that the application was installed and its events are not
	// bound yet.
	installed bool
	// token is the application token of the events that was stored last.
	token bitrix.Secret
	// checks are the last checks of installations. They limit the
	// requests that strangers can cause.
	checks []installCheck
}

// checksPerMinute limits the checks of installations of one portal that come from one
// address. So strangers cannot use up the attempts of the portal itself, which has other
// addresses. allChecksPerMinute limits those from all addresses.
const (
	checksPerMinute    = 10
	allChecksPerMinute = 200
)

// installCheck is one check of an installation.
type installCheck struct {
	at   time.Time
	from netip.Addr
}

var errTooManyChecks = errors.New("too many installations in a minute, this one was not checked")

// load reads the application token that events must carry.
func (a *application) load(ctx context.Context) error {
	t, err := a.tokens.Load(ctx)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.token != "" && t.Application != a.token { // another process received the installation
		a.installed = true
	}
	a.token = t.Application
	return nil
}

func (a *application) applicationToken() bitrix.Secret {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.token
}

// takeInstalled reports whether the application was installed since the last call.
func (a *application) takeInstalled() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	was := a.installed
	a.installed = false
	return was
}

// admit reports whether an installation from an address may be checked now.
func (a *application) admit(now time.Time, from netip.Addr) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.checks) > 0 && now.Sub(a.checks[0].at) > time.Minute {
		a.checks = a.checks[1:]
	}
	here := 0
	for _, c := range a.checks {
		if c.from == from {
			here++
		}
	}
	if here >= checksPerMinute || len(a.checks) >= allChecksPerMinute {
		return false
	}
	a.checks = append(a.checks, installCheck{now, from})
	return true
}

// install handles the events that bring an application's tokens. Anybody can post
// them, so install asks the portal whether the tokens are genuine.
func (a *application) install(ctx context.Context, e bitrix.Event) (taken bool, err error) {
	if e.Code != bitrix.EventInstall && e.Code != bitrix.EventUpdate {
		return false, nil
	}
	given := bitrix.Tokens{
		Access: e.Auth.AccessToken, Refresh: e.Auth.RefreshToken, Endpoint: e.Auth.ClientEndpoint,
		MemberID: e.Auth.MemberID, Application: e.Auth.ApplicationToken, Changed: time.Now(),
	}
	endpoint, err := bitrix.CheckEndpoint(given.Endpoint)
	if u, urlErr := url.Parse(endpoint); err != nil || urlErr != nil || !strings.EqualFold(u.Scheme+"://"+u.Host, a.home) {
		return true, ingest.ErrUnproven // of another portal
	}
	given.Endpoint = endpoint
	if !a.admit(time.Now(), ingest.Source(ctx)) {
		return true, errTooManyChecks
	}
	proven, err := bitrix.Prove(ctx, a.config, given)
	if errors.Is(err, bitrix.ErrUnproven) {
		return true, errors.Join(ingest.ErrUnproven, err)
	}
	if err != nil {
		return true, err
	}
	if err := a.tokens.put(ctx, proven); err != nil {
		return true, err
	}
	a.mu.Lock()
	a.token, a.installed = proven.Application, true
	a.mu.Unlock()
	a.client.Reauthorize()
	a.renewed(ctx)
	a.changed.Send()
	a.log.Info("application installed", slog.String("portal", a.portal), slog.String("event", e.Code), slog.String("member", proven.MemberID))
	return true, nil
}

// lifecycle handles the events about the application itself. They are not for
// rules.
func (a *application) lifecycle(ctx context.Context, e bitrix.Event) (taken bool, err error) {
	switch e.Code {
	case bitrix.EventUninstall:
		if err := a.tokens.put(ctx, bitrix.Tokens{}); err != nil {
			return true, err
		}
		a.mu.Lock()
		a.token = ""
		a.mu.Unlock()
		a.client.Reauthorize()
		a.log.Error("application uninstalled, runs wait until it is installed again", "portal", a.portal)
		return true, nil
	case bitrix.EventOffline:
		a.changed.Send()
		return true, a.recoverTokens(ctx, e)
	}
	return false, nil
}

// recoverTokens stores the tokens of a notice if the stored ones are lost. A process
// that died between renewing and storing tokens has lost them, and the portal sends
// a refresh token with each notice.
func (a *application) recoverTokens(ctx context.Context, e bitrix.Event) error {
	if e.Auth.AccessToken == "" || e.Auth.RefreshToken == "" || !a.client.Lost() {
		return nil
	}
	err := a.tokens.Update(ctx, func(_ context.Context, t bitrix.Tokens) (bitrix.Tokens, error) {
		t.Access, t.Refresh, t.Changed = e.Auth.AccessToken, e.Auth.RefreshToken, time.Now()
		return t, nil
	})
	if err != nil {
		return err
	}
	a.client.Reauthorize()
	a.renewed(ctx)
	a.log.Warn("received new tokens from the portal", "portal", a.portal)
	return nil
}
