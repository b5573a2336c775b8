package service_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/service"
	"github.com/b24rules/b24rules/internal/app/testkit"
)

// A world is a portal, its people, the post between portal and engine, and the
// engine, without a socket and in the time of a synctest bubble.
type world struct {
	kind   worldKind
	rules  *fleet.Generation
	dir    string // for databases
	empty  []byte // a database without anything in it
	portal *emulator.Portal
	ids    emulator.DemoIDs
	people *demo.People
	rnd    *rand.Rand // of the wire, not of the history
	faults []emulator.Fault
	link   atomic.Pointer[error] // what every request ends with before it is sent

	deals, bills []*modelOwner
	foreign      map[int64]*foreignElement // elements that people added
	edits        map[string][]string       // what people wrote where no rule writes, in order
	acts         []act                     // what of the portal's history people did
	mail         mail
	posted       []string // events that the engine has taken
	engines      int
	engine       *modelEngine // nil while there is none
	database     string       // its folder
	log          *testkit.Log
	wrong        []string       // what should not have happened
	alike        int            // rows of one key that there are at most, but for their numbers
	faultless    bool           // nothing goes wrong in this history
	ticks        bool           // engines execute jobs, such as the ticks of schedules
	flying       sync.WaitGroup // requests on their way
	arrived      time.Time      // when all that killed engines have sent has arrived
}

// act is a part of the portal's history that people made.
type act struct{ from, to int }

// modelOwner is a deal or an invoice as it should be.
type modelOwner struct {
	id   int
	rows []modelRow
	gone bool
	// past are its rows at each place of the portal's history where they changed.
	past []pastRows
}

type pastRows struct {
	at   int
	rows []modelRow
	gone bool
}

type foreignElement struct {
	deal    *modelOwner
	product int
}

// modelEngine is one life of the engine.
type modelEngine struct {
	service *service.Service
	hooks   http.Handler
	wire    *wire
	cancel  context.CancelFunc
	ended   chan error
}

func newWorld(h scenario, rules *fleet.Generation, dir string, empty []byte) (*world, error) {
	w := &world{
		kind: h.world, rules: rules, dir: dir, empty: empty, rnd: rand.New(rand.NewPCG(h.seed, 9)),
		foreign: map[int64]*foreignElement{}, alike: 4, edits: map[string][]string{}, log: testkit.NewLog(),
	}
	w.portal = emulator.New(emulator.Config{
		Plan: h.world.plan, SingleOwner: !h.world.many, StrictElementCode: h.world.strict,
		Client: &http.Client{Transport: &w.mail}, EventDelay: -1, EventWorkers: 1, ApplicationToken: modelToken,
	})
	w.ids = emulator.Demo(w.portal)
	w.portal.SetBaseURL("http://portal.example")
	w.portal.AddWebhook("http://engine.example/hooks/"+demo.PortalName, demo.CRMEvents...)
	client, err := bitrix.NewClient(bitrix.Config{Webhook: w.webhook(), Plan: bitrix.PlanUnlimited, HTTP: &http.Client{Transport: &inPerson{w: w}}})
	if err != nil {
		return nil, err
	}
	if w.people, err = demo.NewPeople(context.Background(), client, w.ids.ShipmentList); err != nil {
		return nil, err
	}
	w.database = filepath.Join(dir, "0")
	if err := os.Mkdir(w.database, 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(w.database, modelDatabase), empty, 0o600); err != nil {
		return nil, err
	}
	return w, nil
}

const (
	modelToken    = "m0del"
	modelDatabase = "model.db"
)

func (w *world) webhook() bitrix.Secret {
	return bitrix.Secret("http://portal.example" + w.portal.WebhookPath())
}

func (w *world) close() {
	w.stop()
	w.flying.Wait()
	w.people.Client.Close()
	w.portal.Close()
}

func (w *world) complain(format string, args ...any) {
	w.wrong = append(w.wrong, fmt.Sprintf(format, args...))
}

// start starts an engine on the database that the last one left.
func (w *world) start() {
	if w.engine != nil {
		return
	}
	e := &modelEngine{wire: &wire{w: w, cut: make(chan struct{})}, ended: make(chan error, 1)}
	c := &config.Config{
		Database: "sqlite:" + filepath.Join(w.database, modelDatabase),
		Portals:  []config.Portal{{Name: demo.PortalName, Webhook: w.webhook(), Token: modelToken, Plan: bitrix.Plan(w.kind.plan), Transport: e.wire}},
		// A run of a history is never given up: what it leaves undone would be
		// right to be undone.
		Limits: config.Limits{Attempts: 10_000, RetryMax: time.Minute, Grace: w.kind.grace},
	}
	rules := fleet.Fixed(w.rules)
	var err error
	if e.service, err = service.New(context.Background(), service.Options{Config: c, Rules: rules, Log: w.log.Logger()}); err != nil {
		w.complain("the engine does not start: %v", err)
		return
	}
	e.hooks = e.service.Handler()
	ctx, cancel := context.WithCancel(context.Background())
	e.cancel = cancel
	var holds sync.WaitGroup
	holds.Go(func() { e.service.KeepHolds(ctx) })
	if w.ticks {
		holds.Go(func() { e.service.RunTicks(ctx) })
	}
	go func() {
		err := e.service.RunQueue(ctx)
		holds.Wait()
		e.ended <- err
	}()
	w.engines++
	w.engine = e
}

// stop stops the engine as Ctrl-C does.
func (w *world) stop() {
	if w.engine == nil {
		return
	}
	w.engine.cancel()
	if err := <-w.engine.ended; err != nil {
		w.complain("the engine ended with: %v", err)
	}
	w.engine.service.Close()
	w.engine = nil
}

// kill ends the engine with nothing but what its database holds now: it is the
// copy that the next engine starts on, and nothing of this one reaches anybody
// any more but, with keep, the requests that are on their way.
func (w *world) kill(keep bool) {
	if w.engine == nil {
		return
	}
	synctest.Wait() // so that no goroutine writes while the files are copied
	next := filepath.Join(w.dir, fmt.Sprint(w.engines))
	if err := copyDatabase(w.database, next); err != nil {
		w.complain("copy the database: %v", err)
	}
	w.engine.wire.keep = keep
	close(w.engine.wire.cut)
	w.stop()
	w.database = next
	w.arrived = time.Now().Add(2 * w.kind.latency)
}

func copyDatabase(from, to string) error {
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	for _, name := range []string{modelDatabase, modelDatabase + "-wal"} {
		data, err := os.ReadFile(filepath.Join(from, name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// killAtWork waits for the next write of the engine and kills it: when it has
// sent it, or when the portal has made it and the engine has no answer yet.
func (w *world) killAtWork(early, keep bool, lag time.Duration) {
	if w.engine == nil {
		return
	}
	trap := make(chan struct{})
	x := w.engine.wire
	x.mu.Lock()
	x.trap, x.early, x.lag = trap, early, lag
	x.mu.Unlock()
	select {
	case <-trap:
		w.kill(keep)
		if early && keep {
			w.arrived = w.arrived.Add(lag)
		}
	case <-time.After(30 * time.Second):
		x.mu.Lock()
		x.trap = nil
		x.mu.Unlock()
	}
}

// deliver posts an event to the engine; what it does not take stays with the
// portal.
func (w *world) deliver(form string) {
	if !w.post(form) {
		w.mail.putBack(form)
		return
	}
	w.posted = append(w.posted, form)
}

func (w *world) post(form string) bool {
	if w.engine == nil {
		return false
	}
	r := httptest.NewRequest(http.MethodPost, "/hooks/"+demo.PortalName, strings.NewReader(form))
	r.Header.Set("Content-Type", formType)
	rec := httptest.NewRecorder()
	w.engine.hooks.ServeHTTP(rec, r)
	if rec.Code != http.StatusOK {
		w.complain("an event was answered with %d", rec.Code)
	}
	return rec.Code == http.StatusOK
}

// deliverAll posts what there is; it does not wait for what comes of it.
func (w *world) deliverAll() {
	for range w.mail.size() {
		form, ok := w.mail.take(0)
		if !ok {
			return
		}
		w.deliver(form)
	}
}

// finish lets the engine work until it has nothing to do, also for the events of its
// writes.
func (w *world) finish() {
	w.start()
	if w.engine == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 24*time.Hour)
	defer cancel()
	for {
		if err := w.portal.WaitIdle(ctx); err != nil {
			w.complain("events do not end: %v", err)
			return
		}
		if err := w.engine.service.Queue().WaitIdle(ctx); err != nil {
			w.complain("runs do not end: %v", err)
			return
		}
		synctest.Wait()
		if w.mail.size() == 0 {
			return
		}
		w.deliverAll()
	}
}

// act lets people do something: at once, with nothing in their way, and noted
// as theirs.
func (w *world) act(what func(ctx context.Context) error) {
	synctest.Wait()
	if err := w.portal.SetFaults(); err != nil {
		w.complain("%v", err)
	}
	from := len(w.portal.History())
	if err := what(context.Background()); err != nil {
		w.complain("people: %v", err)
	}
	w.acts = append(w.acts, act{from, len(w.portal.History())})
	w.arm()
	synctest.Wait()
}

// arm sets the faults again, with other seeds.
func (w *world) arm() {
	for i := range w.faults {
		w.faults[i].Seed += 17
	}
	if err := w.portal.SetFaults(w.faults...); err != nil {
		w.complain("%v", err)
	}
}

// logText is the end of the engine's log, without what it is of no use.
func (w *world) logText() string {
	var lines []string
	for line := range strings.Lines(w.log.String()) {
		if !strings.Contains(line, "level=DEBUG") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-60):], "")
}
