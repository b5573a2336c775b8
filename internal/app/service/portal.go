package service

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"sync/atomic"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/datetime"
	"github.com/b24rules/b24rules/engine/run"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/hold"
	"github.com/b24rules/b24rules/internal/ingest"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/wakeup"
)

// Portal is shared by all runs of a portal.
type Portal struct {
	Name   string
	Client *bitrix.Client
	// Zone is the portal's time zone; nil leaves times as the portal wrote them.
	Zone *time.Location

	// shadow is how long the runs of a portal in shadow mode wait, 0 in live mode.
	shadow time.Duration

	// address is the host of the portal.
	address  string
	language datetime.Language
	calendar *run.Calendar
	token    bitrix.Secret
	hooks    map[string]ingest.Credentials // what proves the requests of other systems
	robots   ingest.Credentials
	// encoding of the portal's events
	encoding bitrix.Encoding
	app      *application // nil for a webhook
	guard    *run.LoopGuard
	clock    *portalClock
	fields   *run.Fields
	permit   func() error
	hold     *hold.Portal
	rules    *hold.Rules

	// complete says that this process knows of no lost event since the last
	// heartbeat. It is false at the start.
	complete *atomic.Bool
	// started says that this process has stored a heartbeat.
	started *atomic.Bool
	// running counts the runs that use Client.
	running *atomic.Int64
}

// Later returns a client whose requests wait for those of live events.
func (p *Portal) Later() bitrix.Later { return bitrix.Later{Client: p.Client} }

// early reports whether a run for the first event of an entity may start at once.
func (p *Portal) early(r engine.Route) bool {
	if p == nil || !r.Rule.Early || r.Deleted || p.Shadow() {
		return false
	}
	s := p.Client.Stats() // an early request must delay no other
	return s.Waiting == 0 && s.HasBurst
}

// Connector is the auth_connector of the configuration, which marks the changes
// of this application among offline events.
func (p *Portal) Connector() string { return p.app.connector }

// newPortal makes the shared parts of a portal's runs.
func (s *Service) newPortal(ctx context.Context, c config.Portal) (*Portal, error) {
	p := &Portal{
		Name: c.Name, guard: &run.LoopGuard{}, clock: &portalClock{}, fields: &run.Fields{}, complete: &atomic.Bool{}, started: &atomic.Bool{}, running: &atomic.Int64{},
		permit: func() error { return s.permits.get(c.Name) },
	}
	p.configure(c)
	rest := s.restConfig(c)
	rest.Permit = p.permit
	if o := c.OAuth; o != nil {
		p.app = &application{
			portal: c.Name, home: o.Portal, tokens: tokensOf(s.queue, c.Name, s.config.Load().Redactor), changed: wakeup.New(),
			connector: o.Connector, offline: c.Offline, log: s.log,
		}
		rest.OAuth = &bitrix.OAuth{ClientID: o.ClientID, ClientSecret: o.ClientSecret, TokenURL: o.TokenURL, Store: p.app.tokens}
		p.app.config = rest
		p.app.config.Permit = nil // the process that receives an installation checks it
		if err := p.app.load(ctx); err != nil {
			return nil, err
		}
	}
	var err error
	p.Client, err = bitrix.NewClient(rest)
	if err != nil {
		return p, err
	}
	p.hold = hold.NewPortal(hold.Options{
		Name: c.Name, Store: s.queue, Log: s.log, Mine: p.permit,
		Probe: func(ctx context.Context) error {
			_, err := s.current(p).Client.Probe(ctx)
			return err
		},
		Changed: func(h queue.Hold) {
			s.metrics.hold(h)
			if h.Cause == "" {
				s.current(p).Client.UsedUntil(time.Now()) // a burst could block the portal again
			}
		},
	})
	p.rules = hold.NewRules(hold.RuleOptions{
		Portal: p.hold, Store: s.queue, Scopes: func(ctx context.Context) (string, error) { return s.current(p).scopes(ctx) }, Changed: s.metrics.hold,
		Version: func(rule string) string {
			if r, _, ok := s.rules.Current().Rule(rule, c.Name); ok {
				return r.Set.Version
			}
			return ""
		},
	})
	if p.app != nil {
		p.app.client = p.Client
		p.app.renewed = func(ctx context.Context) {
			if _, err := s.queue.ProbeNow(ctx, c.Name, ""); err != nil {
				s.log.Warn("cannot ask for a probe of the portal", "portal", c.Name, "error", err)
			}
		}
	}
	return p, nil
}

// configure sets what a configuration says of a portal, except its client.
func (p *Portal) configure(c config.Portal) {
	p.address = addressOf(c)
	p.hooks, p.robots = c.Hooks, c.Robots
	p.token, p.encoding, p.Zone, p.language, p.calendar, p.shadow = c.Token, c.Encoding, c.Zone, c.Language, &run.Calendar{Dates: c.Dates}, c.Shadow
}

// addressOf returns the host of a portal.
func addressOf(c config.Portal) string {
	if c.OAuth != nil {
		return strings.ToLower(c.OAuth.Portal)
	}
	u, err := url.Parse(string(c.Webhook))
	if err != nil {
		return "" // the client refuses it
	}
	return strings.ToLower(u.Host)
}

// current returns the portal with the name of p that runs now: its client may have been
// replaced since.
func (s *Service) current(p *Portal) *Portal {
	if now := s.portals.get(p.Name); now != nil {
		return now
	}
	return p
}

// changePortal returns a portal with another configuration. It keeps its state, and its client
// unless the address, the credentials or the rate limit change: the client has learned
// the portal's rate, and a new one would start with a burst.
func (s *Service) changePortal(ctx context.Context, old *Portal, was, c config.Portal) (*Portal, error) {
	if sameClient(was, c) {
		next := *old
		next.configure(c)
		return &next, nil
	}
	next, err := s.newPortal(ctx, c)
	if err != nil {
		return nil, err
	}
	next.hold, next.rules, next.guard, next.fields, next.complete, next.started = old.hold, old.rules, old.guard, old.fields, old.complete, old.started
	next.Client.UsedUntil(time.Now())
	return next, nil
}

// sameClient reports whether two configurations of a portal need the same client.
func sameClient(a, b config.Portal) bool {
	return a.Webhook == b.Webhook && reflect.DeepEqual(a.OAuth, b.OAuth) && a.Offline == b.Offline && a.Plan == b.Plan &&
		a.Encoding == b.Encoding && (a.Shadow != 0) == (b.Shadow != 0) && a.Shared == b.Shared && a.Insecure == b.Insecure && a.Transport == b.Transport
}

// scopes asks the portal which scopes the credentials have.
// Source: https://apidocs.bitrix24.com/api-reference/common/system/scope.html
func (p *Portal) scopes(ctx context.Context) (string, error) {
	a := p.Later().Do(ctx, bitrix.Call{Method: "scope"})[0]
	if a.Err != nil {
		return "", a.Err
	}
	return string(a.Result), nil
}

func (s *Service) restConfig(p config.Portal) bitrix.Config {
	log := s.log
	if s.config.Load().Log.Requests {
		log = slog.New(everything{log.Handler()})
	}
	transport := p.Transport
	if transport == nil {
		network := http.DefaultTransport.(*http.Transport)
		if p.Insecure {
			network = network.Clone()
			network.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} // the configuration asks for it: C_REST_IGNORE_SSL
		}
		transport = network
	}
	return bitrix.Config{
		Webhook: p.Webhook, Plan: p.Plan, Shared: p.Shared, ReadOnly: s.readOnly || p.Shadow != 0, Encoding: p.Encoding, Settle: s.config.Load().Limits.SettleTime(), Log: log.With("portal", p.Name), Hide: s.config.Load().Redactor.Text,
		HTTP: &http.Client{Transport: timed{s.dump.Transport(p.Name, p.Encoding, transport), s.metrics.restSeconds.WithLabelValues(p.Name)}},
	}
}
