//go:build unix

package service_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/testkit"
)

// TestKill kills the engine, a separate process, at random times and starts it again.
// In the meantime the engine receives events, and the portal refuses requests, loses
// answers and truncates them. Every event that was answered with 200 must have its
// effect in the end, no element and no helper may ever have existed twice, and what
// people wrote must still exist. KILL_ROUNDS makes the test longer, KILL_SEED repeats
// one.
func TestKill(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		kill(t, "", testkit.EnvInt(t, "KILL_ROUNDS", testkit.Rounds(6, 3)))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		kill(t, testkit.NewPostgres(t), testkit.EnvInt(t, "KILL_ROUNDS_POSTGRES", 2))
	})
}

func kill(t *testing.T, database string, rounds int) {
	seed := testkit.EnvInt(t, "KILL_SEED", 1)
	t.Logf("%d rounds, KILL_SEED=%d", rounds, seed)
	k := newKillTest(t, database, uint64(seed))
	// On a slow machine each kill may come before any fault: then more rounds follow.
	for round := 0; round < rounds || rounds > 4 && len(k.hit) == 0 && round < 10*rounds; round++ {
		if k.round(round); t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	k.finish()
	t.Logf("%d events were answered with 200 by a process that was killed, %d were not", k.heard, k.unheard)
	for kind, n := range k.hit {
		t.Logf("%d %s", n, kind)
	}
	if rounds > 4 && len(k.hit) == 0 {
		t.Error("no fault has struck: the scenario shows less than it says")
	}
}

type killTest struct {
	*harness
	rand *rand.Rand
	file string // the configuration of the process
	// model is what the portal should hold.
	model          *world
	heard, unheard int
	hit            map[emulator.FaultKind]int
}

func newKillTest(t *testing.T, database string, seed uint64) *killTest {
	dir := t.TempDir()
	// Requests take their time, so that kills fall between the writes of a run.
	h := newHarness(t, apptest.Options{Dir: dir, Database: database, Emulator: emulator.Config{Latency: emulator.Latency{Request: 3 * time.Millisecond}}})
	k := &killTest{
		harness: h, rand: rand.New(rand.NewPCG(seed, 1)), hit: map[emulator.FaultKind]int{},
		model: &world{portal: h.Portal, people: h.People, ids: h.IDs, edits: map[string][]string{}, alike: 1},
	}
	for i := range 6 {
		deal, err := k.People.AddDeal(k.Context(), fmt.Sprintf("Deal %d", i))
		if err != nil {
			t.Fatal(err)
		}
		bill, err := k.People.AddInvoice(k.Context(), fmt.Sprintf("Invoice %d", i))
		if err != nil {
			t.Fatal(err)
		}
		k.model.deals = append(k.model.deals, &modelOwner{id: deal})
		k.model.bills = append(k.model.bills, &modelOwner{id: bill})
	}
	k.change()
	k.Wait()
	k.tick()
	k.Stop()
	k.configure(dir, database)
	return k
}

// tick ticks every element there is: what people write where no rule does.
func (k *killTest) tick() {
	k.T.Helper()
	for _, d := range k.model.deals {
		for _, e := range k.Elements(d.id) {
			if err := k.People.Ship(k.Context(), e); err != nil {
				k.T.Fatal(err)
			}
			k.model.wrote("element", e.ID(), k.People.Shipped+"|")
		}
	}
}

var databaseLine = regexp.MustCompile(`(?m)^database: .*$`)

// configure writes the configuration of the process, which works the database
// of the harness.
func (k *killTest) configure(dir, database string) {
	k.T.Helper()
	files, err := k.Options.Rules() // with a short debounce, so that kills fall into runs
	if err != nil {
		k.T.Fatal(err)
	}
	for _, f := range files {
		testkit.WriteFile(k.T.(*testing.T), filepath.Join(dir, "rules", filepath.Base(f.Name)), string(f.Data))
	}
	if database == "" {
		database = "sqlite:b24rules.db"
	}
	inputs := fmt.Sprintf("    inputs: {invoice-total: {helper_type: %d}, deal-shipments: {list: %d}}\n", k.IDs.TotalsType, k.IDs.ShipmentList)
	k.file = testkit.ServeConfig(k.T.(*testing.T), dir, k.HookAddr, k.Webhook().Reveal(), inputs, "rules")
	data, err := os.ReadFile(k.file)
	if err != nil {
		k.T.Fatal(err)
	}
	text := databaseLine.ReplaceAllLiteralString(string(data), "database: "+database)
	// What fails often by our own doing need not be given up.
	testkit.WriteFile(k.T.(*testing.T), k.file, strings.Replace(text, "attempts: 8", "attempts: 100", 1))
}

// change gives every deal and invoice other rows: one to five, with quantities
// that tell every change.
func (k *killTest) change() {
	k.T.Helper()
	for short, owners := range map[string][]*modelOwner{"D": k.model.deals, "SI": k.model.bills} {
		for _, o := range owners {
			if o.gone {
				continue
			}
			o.rows = nil
			from := len(k.Portal.History())
			var rows []demo.Row
			for i := range 1 + k.rand.IntN(5) {
				r := modelRow{name: fmt.Sprintf("Part %d", i), cents: 110, tenths: 10 * int64(1+k.rand.IntN(1000))}
				o.rows = append(o.rows, r)
				rows = append(rows, row(r.name, r.price(), r.quantity()))
			}
			o.past = append(o.past, pastRows{at: from, rows: o.rows})
			if err := k.People.SetRows(k.Context(), short, o.id, rows); err != nil {
				k.T.Fatal(err)
			}
		}
	}
}

// faults are what goes wrong in a round: bounded, so that the round ends.
func (k *killTest) faults() []emulator.Fault {
	some := func(f emulator.Fault, p float64) emulator.Fault {
		f.Probability, f.Count, f.Seed = p, 1+k.rand.IntN(6), k.rand.Uint64N(1000)
		return f
	}
	after := k.rand.IntN(2) == 0
	all := []emulator.Fault{
		some(emulator.Fault{Kind: emulator.FaultRefuse, Code: "QUERY_LIMIT_EXCEEDED"}, 0.05),
		some(emulator.Fault{Kind: emulator.FaultRefuse, Code: "INTERNAL_SERVER_ERROR"}, 0.05),
		some(emulator.Fault{Kind: emulator.FaultTimeout, After: true, Delay: 150 * time.Millisecond}, 0.1),
		some(emulator.Fault{Kind: emulator.FaultReset, After: after}, 0.1),
		some(emulator.Fault{Kind: emulator.FaultReset, After: true, Method: "*.add"}, 0.3),
		some(emulator.Fault{Kind: emulator.FaultTruncate}, 0.1),
		some(emulator.Fault{Kind: emulator.FaultHTML, Status: 502, After: after}, 0.05),
	}
	k.rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:1+k.rand.IntN(len(all))]
}

// disturb sets faults, and counts what those before have done.
func (k *killTest) disturb(faults ...emulator.Fault) {
	k.T.Helper()
	for _, f := range k.Portal.Faults() {
		if f.Hit > 0 {
			k.hit[f.Kind] += f.Hit
		}
	}
	if err := k.Portal.SetFaults(faults...); err != nil {
		k.T.Fatal(err)
	}
}

type sentEvent struct{ code, id, typ string }

// round starts the engine, changes what there is, tells the engine of each
// change until it answers 200, and kills it somewhere in between. Who posts
// waits for the next start, as no portal would.
func (k *killTest) round(n int) {
	k.T.Helper()
	t := k.T.(*testing.T)
	serve := testkit.StartProcess(t, []string{"TEST_TOKEN=" + k.Options.Emulator.ApplicationToken}, "serve", "--config", k.file)
	serve.Log.Wait(t, 0, "events at")
	if k.Options.Database != "" { // it has to take over from the one that was killed
		serve.Log.Wait(t, 0, "portal lease acquired")
	}
	k.change()
	k.disturb(k.faults()...)
	var events []sentEvent
	for _, d := range k.model.deals {
		events = append(events, sentEvent{"ONCRMDEALUPDATE", fmt.Sprint(d.id), ""})
	}
	for _, b := range k.model.bills {
		events = append(events, sentEvent{"ONCRMDYNAMICITEMUPDATE", fmt.Sprint(b.id), "31"})
	}
	after := time.Duration(k.rand.IntN(1400)) * time.Millisecond
	timer := time.AfterFunc(after, func() { serve.Signal(syscall.SIGKILL) })
	defer timer.Stop()
	unheard := k.send(events)
	if code := serve.Exit(); code != -1 {
		t.Fatalf("round %d: the engine ended by itself with %d", n, code)
	}
	k.disturb()
	k.heard += len(events) - len(unheard)
	k.unheard += len(unheard)
	if len(unheard) == 0 && n%2 == 1 {
		return // the next process finds what this one has left
	}
	// The next engine receives the events that were not answered.
	k.Start()
	for _, e := range unheard {
		k.event(e.code, map[string]string{"ID": e.id, "ENTITY_TYPE_ID": e.typ})
	}
	if n%3 == 0 { // sometimes the next process has to do the work
		k.Wait()
	}
	k.Stop()
}

// send posts a stream of events and returns those that were not taken.
func (k *killTest) send(events []sentEvent) (unheard []sentEvent) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, e := range events {
		form := k.form(e.code, map[string]string{"ID": e.id, "ENTITY_TYPE_ID": e.typ})
		when := time.After(time.Duration(k.rand.IntN(800)) * time.Millisecond)
		wg.Go(func() {
			<-when
			if k.try(form) != http.StatusOK {
				mu.Lock()
				defer mu.Unlock()
				unheard = append(unheard, e)
			}
		})
	}
	wg.Wait()
	return unheard
}

// try posts an event and returns the status, 0 without an answer.
func (k *killTest) try(form string) int {
	resp, err := http.Post(k.HookURL, formType, strings.NewReader(form))
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// finish lets the engine finish and compares the portal, and its history, with
// what a run without any trouble would have made of it.
func (k *killTest) finish() {
	k.Start()
	k.Wait()
	m := k.model
	m.judgeDeals()
	m.judgeBills()
	history := k.Portal.History()
	m.judgeChanges(history)
	for _, wrong := range m.wrong {
		k.T.Error(wrong)
	}
	if n := k.States()["parked"]; n > 0 {
		k.T.Errorf("%d runs are parked", n)
	}
	if len(history) < 20 {
		k.T.Errorf("the history has %d changes: it shows nothing", len(history))
	}
	// After the same events again, the engine writes nothing.
	writes := k.written(func() {
		for _, d := range m.deals {
			k.event("ONCRMDEALUPDATE", map[string]string{"ID": fmt.Sprint(d.id)})
		}
		for _, b := range m.bills {
			k.event("ONCRMDYNAMICITEMUPDATE", map[string]string{"ID": fmt.Sprint(b.id), "ENTITY_TYPE_ID": "31"})
		}
		k.Wait()
	})
	if writes != 0 {
		k.T.Errorf("%d writes though nothing had changed", writes)
	}
}
