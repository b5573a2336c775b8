package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/mux"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine/run"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/ingest"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/wakeup"
)

// app is one running engine: everything that a configuration names.
type app struct {
	config  *config.Config
	log     *slog.Logger
	rules   *ruleLoader
	queue   *queue.Queue
	portals map[string]*portal
	conns   *ingest.Conns
	metrics *metrics
	working atomic.Bool // the queue is being worked off
	// hider takes the secrets of the configuration out of what is kept of runs.
	hider *bitrix.Hider
}

// portal is what all runs of a portal share.
type portal struct {
	name   string
	client *bitrix.Client
	token  bitrix.Secret
	app    *application // nil for a webhook
	guard  run.LoopGuard
	zone   *time.Location

	// heard says that no event has been missed since the last sign of life, as
	// far as this process knows: it does not when it starts.
	heard atomic.Bool
}

// later is the way to the portal for work that can wait.
func (p *portal) later() bitrix.Later { return bitrix.Later{Client: p.client} }

// newApp opens the database and the portals. The rules have been loaded. The
// caller closes the app.
func newApp(ctx context.Context, c *config.Config, rules *ruleLoader, log *slog.Logger) (*app, error) {
	a := &app{
		config: c, log: log, rules: rules, portals: map[string]*portal{},
		conns: &ingest.Conns{Most: c.Limits.Connections, Log: log}, metrics: newMetrics(), hider: c.Hider(),
	}
	var names []string
	for _, p := range c.Portals {
		if c.Only == "" || c.Only == p.Name {
			names = append(names, p.Name)
		}
	}
	q, err := queue.Open(ctx, c.Database, queue.Options{
		Portals: names, Handover: a.handover, Rested: a.rested, Silenced: a.allLost,
		Attempts: c.Limits.Attempts, RetryFirst: c.Limits.RetryFirst, RetryMax: c.Limits.RetryMax,
		Workers: c.Limits.Runs, Grace: c.Limits.ShutdownGrace(), Settle: c.Limits.SettleTime(), Log: log,
		KeepSucceeded: time.Duration(c.History.Succeeded), KeepDiscarded: time.Duration(c.History.Discarded),
		KeepParked: time.Duration(c.History.Parked), KeepEvents: time.Duration(c.History.Events),
	})
	if err != nil {
		a.close()
		return nil, err
	}
	a.queue = q
	for _, p := range c.Portals {
		if a.portals[p.Name], err = a.newPortal(ctx, p); err != nil {
			a.close()
			return nil, fmt.Errorf("portal %s: %w", p.Name, err)
		}
	}
	a.metrics.registry.MustRegister(gauges{a})
	return a, nil
}

func (a *app) restConfig(p config.Portal) bitrix.Config {
	log := a.log
	if a.config.Log.Requests {
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
		Gate:    func() error { return a.mayAct(p.Name) },
		Webhook: p.Webhook, Plan: p.Plan, Shared: p.Shared, Settle: a.config.Limits.SettleTime(), Log: log.With("portal", p.Name),
		HTTP: &http.Client{Transport: timed{transport, a.metrics.restSeconds.WithLabelValues(p.Name)}},
	}
}

// newPortal makes what the runs of a portal share.
func (a *app) newPortal(ctx context.Context, c config.Portal) (*portal, error) {
	p := &portal{name: c.Name, token: c.Token, zone: c.Zone}
	rest := a.restConfig(c)
	if o := c.OAuth; o != nil {
		p.app = &application{home: o.Portal, tokens: tokensOf(a.queue, c.Name), changed: wakeup.New(), source: o.Connector, offline: c.Offline}
		rest.OAuth = &bitrix.OAuth{ClientID: o.ClientID, ClientSecret: o.ClientSecret, TokenURL: o.TokenURL, Store: p.app.tokens}
		p.app.config = rest
		p.app.config.Gate = nil // whichever process hears of an installation proves it
		if err := p.app.load(ctx); err != nil {
			return nil, err
		}
	}
	var err error
	p.client, err = bitrix.NewClient(rest)
	return p, err
}

// mayAct is asked before each request to a portal. Where several processes work
// one database, runs of a portal act for it only under its lease.
func (a *app) mayAct(portal string) error {
	if !a.working.Load() {
		return nil // somebody works by hand
	}
	return a.queue.Holds(portal)
}

// handover makes the clients of portals ("" for all) mind what another process
// may have used of the portals' rates until a moment.
func (a *app) handover(portal string, until time.Time) {
	for name, p := range a.portals {
		if portal == "" || portal == name {
			p.client.UsedUntil(until)
		}
	}
}

// rested is how long ago the rate of a portal was used up.
func (a *app) rested(portal string) time.Duration { return a.portals[portal].client.SpareSince() }

// close ends what newApp began. serve must have returned.
func (a *app) close() {
	if a.queue != nil {
		if err := a.queue.Close(); err != nil {
			a.log.Error("close the database", "error", err)
		}
	}
	for _, p := range a.portals {
		if p != nil && p.client != nil {
			p.client.Close()
		}
	}
}

// handler takes events at /hooks/PORTAL and probes at /healthz.
func (a *app) handler() http.Handler {
	r := mux.NewRouter().SkipClean(true) // a redirect would lose an event
	r.Handle("/healthz", ingest.Ready(a.queue.Ping, a.log)).Methods(http.MethodGet, http.MethodHead)
	r.PathPrefix("/").Handler(ingest.New(ingest.Config{
		Portal: a.token, Push: a.push, Lost: a.lost, Install: a.install, MaxBody: a.config.Limits.MaxBody, PortalEvents: a.config.Limits.PortalEvents,
		Log: a.log, Done: a.metrics.event,
	}))
	return r
}

// token is the application token of a portal's events.
func (a *app) token(portal string) (bitrix.Secret, bool) {
	p, ok := a.portals[portal]
	if !ok {
		return "", false
	}
	if p.app != nil {
		return p.app.applicationToken(), true
	}
	return p.token, true
}

// Limits of one connection. A portal's queue server sends a small form and
// wants a short answer.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	writeTimeout      = 30 * time.Second
	idleTimeout       = time.Minute
	maxHeaderBytes    = 32 << 10
)

// serve takes events from the listener and works them off until ctx ends. Then
// it takes no more, lets what is under way finish within the grace period and
// keeps the rest for the next start.
func (a *app) serve(ctx context.Context, ln net.Listener) error {
	server := &http.Server{
		Handler:           a.handler(),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(a.log.Handler(), slog.LevelWarn),
	}
	working, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	ln = a.conns.Guard(server, ln)
	ended := make(chan error, 2)
	var wg, present sync.WaitGroup
	listening, stopListening := context.WithCancel(working)
	defer stopListening()
	present.Go(func() { a.watchAbsence(listening) })
	wg.Go(func() { a.watchBacklog(working) })
	a.working.Store(true)
	wg.Go(func() {
		if err := a.queue.Work(working, a.work); err != nil {
			ended <- err
		}
	})
	for _, p := range a.portals {
		wg.Go(func() { a.feeder(p).Run(working) })
		if p.app != nil {
			wg.Go(func() { a.attend(working, p) })
		}
	}
	wg.Go(func() {
		if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			ended <- err
		}
	})
	var failed error
	select {
	case <-ctx.Done():
	case failed = <-ended:
	}
	// From here on events may be missed; that we live on for a while must not hide it.
	stopListening()
	present.Wait()
	a.lastBeats(context.WithoutCancel(ctx))
	// Events first: what was answered with 200 is stored, and runs of it may
	// still begin while the last requests end.
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.config.Limits.ShutdownGrace())
	defer cancel()
	if err := server.Shutdown(patience); err != nil {
		_ = server.Close()
	}
	stopWork()
	wg.Wait()
	return failed
}
