//go:build unix

package service_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/testkit"
	"github.com/b24rules/b24rules/rules"
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
	model *world
	// changes are the companies and the past of the deals, for the rules that remember.
	changes        *changeWorld
	heard, unheard int
	hit            map[emulator.FaultKind]int
}

func newKillTest(t *testing.T, database string, seed uint64) *killTest {
	dir := t.TempDir()
	// Requests take their time, so that kills fall between the writes of a run.
	all := fstest.MapFS{"change.yaml": {Data: []byte(changeRules)}}
	for _, name := range []string{"invoice-total.yaml", "deal-shipments.yaml"} {
		data, err := rules.FS.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = &fstest.MapFile{Data: data}
	}
	model := &world{edits: map[string][]string{}, alike: 1}
	changes := &changeWorld{world: model}
	h := newHarness(t, apptest.Options{
		Dir: dir, Database: database, Emulator: emulator.Config{Latency: emulator.Latency{Request: 3 * time.Millisecond}},
		Rules: all, Inputs: demo.ShippedInputs(),
		Before: func(s *demo.Fixture) {
			model.portal, model.people, model.ids = s.Portal, s.People, s.IDs
			if err := changes.addCompanies(t.Context()); err != nil {
				t.Fatal(err)
			}
		},
	})
	k := &killTest{harness: h, rand: rand.New(rand.NewPCG(seed, 1)), hit: map[emulator.FaultKind]int{}, model: model, changes: changes}
	for i := range 6 {
		k.addDeal()
		bill, err := k.People.AddInvoice(k.Context(), fmt.Sprintf("Invoice %d", i))
		if err != nil {
			t.Fatal(err)
		}
		k.model.bills = append(k.model.bills, &modelOwner{id: bill})
	}
	k.change()
	k.Wait()
	k.tick()
	k.Stop()
	k.configure(dir, database)
	return k
}

// addDeal adds a deal of one of the companies.
func (k *killTest) addDeal() {
	k.T.Helper()
	d := &changingDeal{}
	if err := k.changes.save(k.Context(), d, dealState{company: k.changes.companies[k.rand.IntN(2)], amount: "100", won: k.rand.IntN(2) == 0}); err != nil {
		k.T.Fatal(err)
	}
	k.changes.deals = append(k.changes.deals, d)
	k.model.deals = append(k.model.deals, &modelOwner{id: d.id, past: []pastRows{{at: 0}}})
}

// deleteDeal deletes one of the deals that exist, and tells the engine.
func (k *killTest) deleteDeal() {
	k.T.Helper()
	var exist []int
	for i, d := range k.model.deals {
		if !d.gone {
			exist = append(exist, i)
		}
	}
	i := exist[k.rand.IntN(len(exist))]
	d := k.model.deals[i]
	if err := k.People.DeleteDeal(k.Context(), d.id); err != nil {
		k.T.Fatal(err)
	}
	d.gone, k.changes.deals[i].gone = true, true
	d.past = append(d.past, pastRows{at: len(k.Portal.History()), gone: true})
	k.event("ONCRMDEALDELETE", map[string]string{"ID": fmt.Sprint(d.id)})
}

// move gives each deal another company, stage, amount and reminder, or some of them.
func (k *killTest) move() {
	k.T.Helper()
	for _, d := range k.changes.deals {
		if d.gone {
			continue
		}
		st := d.now()
		st.company, st.won = k.changes.companies[k.rand.IntN(2)], k.rand.IntN(2) == 0
		if k.rand.IntN(2) == 0 {
			st.amount = fmt.Sprint(1 + k.rand.IntN(900))
		}
		if k.rand.IntN(3) > 0 {
			st.remind = remindTime(time.Duration(k.rand.IntN(3000)) * time.Millisecond)
		}
		if err := k.changes.save(k.Context(), d, st); err != nil {
			k.T.Fatal(err)
		}
	}
}

// win opens all deals again and wins them, with a run after each, and expects that the
// win of each is announced.
func (k *killTest) win() {
	k.T.Helper()
	for _, won := range []bool{false, true} {
		for _, d := range k.changes.deals {
			if d.gone {
				continue
			}
			st := d.now()
			st.won = won
			if err := k.changes.save(k.Context(), d, st); err != nil {
				k.T.Fatal(err)
			}
		}
		k.Wait()
	}
	for i, d := range k.changes.deals {
		if d.gone {
			continue
		}
		if wins := k.changes.commentsOf(d).wins; len(wins) == 0 || wins[len(wins)-1] != d.now().title {
			k.T.Errorf("deal %d was won with %s, and the comments are %v", i, d.now().title, wins)
		}
	}
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
	k.move()
	k.disturb(k.faults()...)
	k.changes.disturbed += 2 // the kill, and the faults of a run
	var events []sentEvent
	for _, d := range k.model.deals {
		if !d.gone {
			events = append(events, sentEvent{"ONCRMDEALUPDATE", fmt.Sprint(d.id), ""})
		}
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
		// The totals of the company follow in this process or in the next one.
		k.deleteDeal()
		k.addDeal()
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
	k.changes.judgeCompanies()
	k.win()
	k.Until("the last reminders are sent", func() bool {
		return !slices.ContainsFunc(k.changes.deals, func(d *changingDeal) bool {
			at, err := time.Parse(time.RFC3339, d.now().remind)
			return !d.gone && err == nil && !slices.ContainsFunc(k.changes.commentsOf(d).reminders, func(r reminder) bool { return r.at.Equal(at) })
		})
	})
	k.Wait()
	k.changes.judgeComments()
	k.changes.judgeCompanies()
	history = k.Portal.History()
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
			if d.gone {
				continue
			}
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
