// Package service receives the events of portals, stores them, and runs rules for
// them.
package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	stdlog "log"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/app/certs"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/dump"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/catchup"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/hold"
	"github.com/b24rules/b24rules/internal/ingest"
	"github.com/b24rules/b24rules/internal/jobs"
	"github.com/b24rules/b24rules/internal/ledger"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/redact"
	"github.com/b24rules/b24rules/internal/refused"
	"github.com/b24rules/b24rules/internal/wakeup"
)

// Options configure a service.
type Options struct {
	Config *config.Config
	// Rules are loaded by New unless they are. New loads the last good versions that the
	// database has of files with errors.
	Rules *fleet.Rules
	Log   *slog.Logger
	// ReadOnly refuses all writes to the portals.
	ReadOnly bool
	// Path is the file of the configuration, and Read reads it again. Without Read only the
	// rules are loaded again.
	Path string
	Read func() (*config.Config, diag.List, error)
	// Logs, if not nil, are the files and the dump of the log.
	Logs *Logs
}

// Service receives the events of portals and runs rules for them. It makes its
// parts, and starts and stops them in order.
type Service struct {
	config   *settings
	readOnly bool
	log      *slog.Logger
	dump     *dump.Dump
	queue    *queue.Queue
	portals  *portals
	conns    *ingest.Conns
	metrics  *metrics
	permits  *permits
	rules    *fleet.Rules
	intake   *intake
	worker   *worker
	downtime *downtime
	runner   *jobs.Runner
	backlogs *backlogs
	keeper   *ruleKeeper
	looks    *looks
	ticks    *ticks
	clock    *clockWatch
	drifts   *drifts
	rights   *rights
	reread   *rereader // nil without Options.Read
	pollers  pollers
	changing sync.Mutex // one change of the configuration at a time
	// waits are the keys of the configuration whose change needs a restart. changing guards it.
	waits   []string
	outcome atomic.Pointer[outcome] // of the last reload; nil before one
}

// New opens the database and the portals. The caller closes the service.
func New(ctx context.Context, o Options) (*Service, error) {
	c := o.Config
	if c.Redactor == nil {
		c.Redactor = redact.New()
	}
	c.Redactor.Set("configuration", c.Secrets()...)
	o.Log = c.Redactor.Logger(o.Log)
	o.Rules.HideSecrets(c.Redactor)
	all, current := newPortals(), &settings{}
	current.Store(c)
	s := &Service{
		config: current, readOnly: o.ReadOnly, log: o.Log, rules: o.Rules, portals: all,
		conns: &ingest.Conns{Most: maxConnections(c.Limits.Connections, len(c.Portals), maxFiles()), Log: o.Log}, metrics: newMetrics(), permits: &permits{},
	}
	if o.Read != nil {
		s.reread = &rereader{path: o.Path, read: o.Read}
		s.reread.files.Store(&c.Files)
		s.reread.stable(o.Path, c.Files)
		s.reread.stability.Strict()
	}
	if o.Logs != nil {
		s.dump = o.Logs.Dump
		s.metrics.countLost(o.Logs.files)
	}
	s.downtime = &downtime{losses: &losses{}, config: current, rules: o.Rules, portals: all, log: o.Log}
	var err error
	if s.queue, err = openQueue(ctx, c, all, s.downtime, o.Log); err != nil {
		return nil, err
	}
	s.permits.queue, s.downtime.queue = s.queue, s.queue
	s.downtime.refusals = &refusals{store: refused.New(s.queue.Database()), portals: all, log: o.Log}
	if err := catchup.Adopt(ctx, s.queue, s.log); err != nil {
		s.Close()
		return nil, fmt.Errorf("jobs of an older version: %w", err)
	}
	s.keeper = &ruleKeeper{
		config: current, portals: all,
		queue: s.queue, store: fleet.NewStore(s.queue.Database()), rules: o.Rules, permit: s.permits.get,
		changed: s.metrics.hold, wake: wakeup.New(), log: o.Log,
		ledger: ledger.New(s.queue.Database()), reload: func() { s.Reload() }, owned: map[string]*fleet.Generation{},
		remove: s.removePortal, downtime: s.downtime,
	}
	if err := errors.Join(s.loadRules(ctx), s.loadDigests(ctx)); err != nil {
		s.Close()
		return nil, err
	}
	for _, p := range c.Portals {
		one, err := s.newPortal(ctx, p)
		if err != nil {
			s.Close()
			return nil, fmt.Errorf("portal %s: %w", p.Name, err)
		}
		all.put(one)
	}
	for _, p := range c.Broken {
		s.holdPortal(ctx, p.Name, ingest.DigestOf(p.Token), hold.Broken, p.Reason())
	}
	s.intake = &intake{limits: c.Limits, rules: o.Rules, portals: all, queue: s.queue, downtime: s.downtime, metrics: s.metrics, dump: s.dump, log: o.Log}
	s.intake.refusals = s.downtime.refusals
	s.intake.unstored = &unstored{store: s.intake.storeAgain, log: o.Log}
	s.worker = &worker{record: c.History.Record, redactor: c.Redactor, config: current, rules: o.Rules, portals: all, hold: s.queue.SetHold, metrics: s.metrics, database: s.queue.Database(), made: ledger.NewEntities(s.queue.Database()), log: o.Log}
	s.looks = &looks{config: current, queue: s.queue, rules: o.Rules, log: o.Log}
	s.ticks = &ticks{queue: s.queue, rules: o.Rules, portals: all, metrics: s.metrics, log: o.Log}
	s.rights = &rights{config: current, queue: s.queue, portals: all, log: o.Log}
	s.drifts = &drifts{s: s, confirm: time.Minute}
	s.clock = &clockWatch{queue: s.queue, ticks: s.ticks, looks: s.looks, log: o.Log}
	s.runner = s.newRunner()
	s.backlogs = &backlogs{config: current, queue: s.queue, portals: all, log: o.Log}
	s.metrics.registry.MustRegister(gauges{backlogs: s.backlogs, conns: s.conns, portals: all, status: s.status, log: o.Log})
	return s, nil
}

// loadRules loads the rules unless they are loaded.
func (s *Service) loadRules(ctx context.Context) (err error) {
	if gen := s.rules.Current(); gen != nil {
		return s.moveLoaded(ctx, gen)
	}
	if s.rules.Source == nil {
		return nil
	}
	if s.rules.Before, err = s.keeper.store.Before(ctx); err != nil {
		return err
	}
	s.rules.Ledger = s.keeper.ledger
	if s.config.Load().Manual {
		s.rules.Applied = s.keeper.store.Applied
	}
	if !s.readOnly {
		s.rules.Move = s.keeper.move
	}
	_, _, err = s.rules.Load()
	return err
}

// moveLoaded gives the rules of a command what those with their earlier ids have. While serve runs,
// or if versions have to be applied, a rule with an earlier id may still run and need it.
func (s *Service) moveLoaded(ctx context.Context, gen *fleet.Generation) (err error) {
	if s.readOnly || s.config.Load().Manual {
		return nil
	}
	portals := slices.DeleteFunc(gen.Portals(), func(portal string) bool { return len(gen.Moved(portal)) == 0 })
	if len(portals) == 0 {
		return nil
	}
	if served, err := s.queue.Served(ctx); err != nil || served {
		return err
	}
	for _, portal := range portals {
		err = errors.Join(err, s.keeper.move(portal, gen.Moved(portal)))
	}
	return err
}

// openQueue opens the database for the portals of the configuration. The queue calls
// the methods of portals only while it works, so the map is filled later.
func openQueue(ctx context.Context, c *config.Config, all *portals, d *downtime, log *slog.Logger) (*queue.Queue, error) {
	return queue.Open(ctx, c.Database, queue.Options{
		Portals: portalNames(c), Takeover: all.takeover, Spare: all.spareSince, Silenced: d.allLost,
		Attempts: c.Limits.Attempts, RetryFor: c.Limits.RetryFor, RetryFirst: c.Limits.RetryFirst, RetryMax: c.Limits.RetryMax,
		Workers: c.Limits.Runs, Grace: c.Limits.ShutdownGrace(), Settle: c.Limits.SettleTime(), Log: log,
		RetainSucceeded: time.Duration(c.History.Succeeded), RetainDiscarded: time.Duration(c.History.Discarded),
		RetainParked: time.Duration(c.History.Parked), RetainEvents: time.Duration(c.History.Events),
	})
}

// Queue is the queue of the service, which other commands read too.
func (s *Service) Queue() *queue.Queue { return s.queue }

// Config is the configuration that runs.
func (s *Service) Config() *config.Config { return s.config.Load() }

// Broken returns the portals whose configuration on disk has errors. Those that had a valid
// one before run with that.
func (s *Service) Broken() []config.BrokenPortal {
	broken := s.config.Load().Broken
	if o := s.outcome.Load(); o != nil {
		broken = slices.Concat(broken, o.older)
	}
	return broken
}

// status is how the portals are.
func (s *Service) status(ctx context.Context) (report.Status, error) {
	c := s.config.Load()
	var names []string
	for _, p := range c.Portals {
		names = append(names, p.Name)
	}
	for _, b := range c.Broken {
		names = append(names, b.Name)
	}
	status, err := report.ReadStatus(ctx, s.queue, names, true)
	for _, b := range s.Broken() {
		status.Outdated(b.Name, b.Reason())
	}
	return status, err
}

// Generation are the rules that run.
func (s *Service) Generation() *fleet.Generation { return s.rules.Current() }

// Rule returns a function that finds a rule of a portal, and nil if it has no such rule.
func (s *Service) Rule(portal string) func(id string) *engine.Rule { return findRule(s.rules, portal) }

func findRule(rules *fleet.Rules, portal string) func(id string) *engine.Rule {
	return func(id string) *engine.Rule {
		found, _, _ := rules.Current().Rule(id, portal)
		return found
	}
}

// Portal returns a portal of the configuration.
func (s *Service) Portal(name string) *Portal { return s.portals.get(name) }

// Close releases what New opened. Serve and Work must have ended.
func (s *Service) Close() {
	if err := s.queue.Close(); err != nil {
		s.log.Error("cannot close the database", "error", err)
	}
	for _, p := range s.portals.all() {
		p.Client.Close()
	}
}

// Limits of one connection. A portal sends a small form and reads a short answer.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	writeTimeout      = 30 * time.Second
	idleTimeout       = time.Minute
	maxHeaderBytes    = 32 << 10
)

// NewServer returns a server for a handler that is open to the internet.
func NewServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          stdlog.New(serverErrors{log}, "", 0),
	}
}

// serverErrors logs the errors of a server. Failed TLS handshakes are those of strangers who
// look for open ports: anybody can cause them.
type serverErrors struct{ log *slog.Logger }

// Write implements io.Writer.
func (e serverErrors) Write(line []byte) (int, error) {
	level := slog.LevelWarn
	if bytes.HasPrefix(line, []byte("http: TLS handshake error")) {
		level = slog.LevelDebug
	}
	e.log.Log(context.Background(), level, string(bytes.TrimSpace(line)))
	return len(line), nil
}

// Serve receives events from the listener and runs rules for them until ctx ends.
// Then it receives no more events, waits for running runs within the shutdown grace,
// and keeps the other runs for the next start.
func (s *Service) Serve(ctx context.Context, ln net.Listener) error {
	if err := s.addJobs(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	server := NewServer(s.intake.handler(), s.log)
	working, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	if s.conns.Most < s.config.Load().Limits.Connections {
		s.log.Warn("the process may open too few files, limiting connections", slog.Uint64("files", maxFiles()),
			slog.Int("configured", s.config.Load().Limits.Connections), slog.Int("connections", s.conns.Most))
	}
	ln = s.conns.Guard(server, ln)
	ended := make(chan error, 2)
	var wg, heartbeats sync.WaitGroup
	if c := s.config.Load().HTTPS; c != nil {
		manager := certs.New(ctx, *c, s.queue.Database(), s.log)
		ln = manager.Listener(ln)
		wg.Go(func() { manager.Obtain(ctx) })
	}
	listening, stopListening := context.WithCancel(working)
	defer stopListening()
	heartbeats.Go(func() { s.downtime.watch(listening) })
	wg.Go(func() { s.backlogs.watch(working) })
	if keeper := s.newKeeper(); keeper != nil {
		wg.Go(func() { keeper.Run(working) })
	}
	wg.Go(func() { repeat(working, storeAgain, s.intake.unstored.flush) })
	wg.Go(func() { repeat(working, storeRefusals, s.intake.refusals.flush) })
	wg.Go(func() { s.keepHolds(working) })
	wg.Go(func() { s.keeper.run(working) })
	wg.Go(func() { s.answerReloads(working) })
	wg.Go(func() { s.ticks.add(working) })
	wg.Go(func() { s.clock.watch(working) })
	wg.Go(func() { s.drifts.add(working) })
	wg.Go(func() { s.rights.add(working) })
	wg.Go(func() { s.looks.add(working) }) // events are received while the jobs are stored
	s.permits.required.Store(true)
	wg.Go(func() {
		if err := s.queue.Work(working, s.worker.work); err != nil {
			ended <- err
		}
	})
	wg.Go(func() { s.runner.Run(working, "") })
	s.pollers.start(working)
	defer s.pollers.stop()
	for _, p := range s.portals.all() {
		s.poll(p)
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
	// From here on the process may miss events, so it must store no heartbeat while
	// the last runs end.
	stopListening()
	heartbeats.Wait()
	s.downtime.lastHeartbeats(context.WithoutCancel(ctx))
	// The handler stops before the runs, because it still stores the events that it
	// is receiving.
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.Load().Limits.ShutdownGrace())
	defer cancel()
	if err := server.Shutdown(patience); err != nil {
		_ = server.Close()
	}
	s.intake.unstored.flush(patience)
	s.intake.refusals.flush(patience)
	stopWork()
	wg.Wait()
	return failed
}

// keepHolds looks whether faults are over until ctx ends.
func (s *Service) keepHolds(ctx context.Context) {
	hold.Keep(ctx, s.queue, s.portals.holds, s.log)
}

// Work executes due runs until end is called. It also executes the jobs of a portal
// unless its name is "". It fails with queue.ErrInUse if another process works the
// database.
func (s *Service) Work(ctx context.Context, jobsOf string) (end func(), err error) {
	if err := s.queue.Lock(ctx); err != nil {
		return nil, err
	}
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.permits.required.Store(true)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.queue.Work(working, s.worker.work); err != nil {
			s.log.Error("the queue stopped", "error", err)
		}
	})
	wg.Go(func() { s.keepHolds(working) })
	if jobsOf != "" {
		wg.Go(func() { s.runner.Run(working, jobsOf) })
	}
	return func() {
		stop()
		wg.Wait()
	}, nil
}

// DesiredSubscriptions returns the subscriptions that the rules of a portal need,
// without an auth_connector.
func (s *Service) DesiredSubscriptions(ctx context.Context, p *Portal) ([]bitrix.Subscription, error) {
	offers, err := p.Client.EventCodes(ctx)
	if err != nil {
		return nil, err
	}
	sub := &subscriptions{portal: p, hook: s.config.Load().Hook(p.Name), log: s.log}
	desired, _ := sub.desired(s.rules.Current(), offers, "")
	return desired, nil
}

// permits decide whether this process may send requests to a portal. If several
// processes share a database, only the holder of a portal's lease may.
type permits struct {
	queue    *queue.Queue
	required atomic.Bool // this process works the queue; a command does not
}

func (p *permits) get(portal string) error {
	if !p.required.Load() {
		return nil
	}
	return p.queue.Leases().Holds(portal)
}

// repeat calls do at each interval until ctx ends.
func repeat(ctx context.Context, interval time.Duration, do func(ctx context.Context)) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			do(ctx)
		}
	}
}
