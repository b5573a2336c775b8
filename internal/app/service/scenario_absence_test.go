//go:build unix

package service_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/testkit"
	"github.com/b24rules/b24rules/internal/catchup"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

// TestKillDowntimes kills the engine, a separate process, and lets people change, add and delete
// while no process receives events: for up to ABSENCE_MS milliseconds. While it runs, people continue
// to work, a sync and a replay are in progress, and something is wrong for a time: a rule file
// is broken or missing, the configuration changes, is invalid or lacks the portal, credentials are
// revoked, or the portal refuses single runs. In the end nothing is missing, nothing exists
// twice, nothing of a deleted deal remains, and what people wrote still exists.
// ABSENCE_ROUNDS and ABSENCE_ROUNDS_POSTGRES make the test longer, KILL_SEED repeats one.
func TestKillDowntimes(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		downtimes(t, "", testkit.EnvInt(t, "ABSENCE_ROUNDS", testkit.Rounds(5, 2)))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		downtimes(t, testkit.NewPostgres(t), testkit.EnvInt(t, "ABSENCE_ROUNDS_POSTGRES", testkit.Rounds(2, 1)))
	})
}

func downtimes(t *testing.T, database string, rounds int) {
	if rounds == 0 {
		t.Skip("no rounds are asked for")
	}
	seed, most := testkit.EnvInt(t, "KILL_SEED", 1), testkit.EnvInt(t, "ABSENCE_MS", 800)
	dir := t.TempDir()
	h := newHarness(t, apptest.Options{Dir: dir, Database: database, CatchUp: apptest.QuickCatchUp(), Emulator: emulator.Config{Latency: emulator.Latency{Request: 3 * time.Millisecond}}})
	k := &killTest{
		harness: h, rand: rand.New(rand.NewPCG(uint64(seed), 2)), hit: map[emulator.FaultKind]int{},
		model: &world{portal: h.Portal, people: h.People, ids: h.IDs, edits: map[string][]string{}, alike: 1},
	}
	for range 4 {
		k.add()
	}
	k.change()
	k.Wait()
	k.Stop()
	k.configure(dir, database)
	data, err := os.ReadFile(k.file)
	if err != nil {
		t.Fatal(err)
	}
	testkit.WriteFile(t, k.file, string(data)+"catch_up: {margin: 1s}\n")
	seen := map[string]int{}
	away := time.Duration(0)
	for round := range rounds {
		seen[k.lifecycle(dir, round)]++
		k.work()
		if err := k.Portal.WaitIdle(k.Context()); err != nil { // the events are lost
			t.Fatal(err)
		}
		downtime := time.Duration(k.rand.IntN(most)) * time.Millisecond
		away += downtime
		time.Sleep(downtime)
		if t.Failed() {
			t.Fatalf("in round %d, KILL_SEED=%d", round, seed)
		}
	}
	k.Back()
	k.Until("all is over", func() bool { return len(k.ownWindows()) == 0 && len(k.ownHolds()) == 0 })
	replayed, err := k.Service.Queue().ReplayAll(k.Context(), journal.Filter{States: []journal.State{journal.Parked}}, "")
	if err != nil {
		t.Fatal(err)
	}
	k.Wait()
	k.model.judgeDeals()
	k.model.judgeBills()
	k.model.judgeChanges(k.Portal.History())
	for _, wrong := range k.model.wrong {
		t.Error(wrong)
	}
	if n := k.States()["parked"]; n > 0 {
		t.Errorf("%d runs are parked", n)
	}
	t.Logf("%d rounds, %s without events, %d deals, %d changes, %d parked runs replayed in the end; troubles: %v",
		rounds, away.Round(time.Second), len(k.model.deals), len(k.Portal.History()), replayed, seen)
}

// ownWindows are the windows of the portal of the test, not of the one that a trouble adds.
func (k *killTest) ownWindows() []catchup.Window {
	return slices.DeleteFunc(k.windows(), func(w catchup.Window) bool { return w.Portal != demo.PortalName })
}

// ownHolds are the holds of the portal of the test.
func (k *killTest) ownHolds() []queue.Hold {
	return slices.DeleteFunc(k.holds(), func(h queue.Hold) bool { return h.Portal != demo.PortalName })
}

// work is what people do at one time.
func (k *killTest) work() {
	k.T.Helper()
	k.tickSome()
	k.add()
	k.change()
	k.remove()
}

// add adds a deal and an invoice.
func (k *killTest) add() {
	k.T.Helper()
	deal, err := k.People.AddDeal(k.Context(), "Deal")
	if err != nil {
		k.T.Fatal(err)
	}
	bill, err := k.People.AddInvoice(k.Context(), "Invoice")
	if err != nil {
		k.T.Fatal(err)
	}
	k.model.deals = append(k.model.deals, &modelOwner{id: deal})
	k.model.bills = append(k.model.bills, &modelOwner{id: bill})
}

// remove deletes a deal.
func (k *killTest) remove() {
	k.T.Helper()
	d := k.model.deals[k.rand.IntN(len(k.model.deals))]
	if d.gone {
		return
	}
	if err := k.People.DeleteDeal(k.Context(), d.id); err != nil {
		k.T.Fatal(err)
	}
	d.gone = true
	d.past = append(d.past, pastRows{at: len(k.Portal.History()), gone: true})
}

// tickSome ticks some elements that no person has ticked.
func (k *killTest) tickSome() {
	k.T.Helper()
	for _, d := range k.model.deals {
		if d.gone || k.rand.IntN(3) > 0 {
			continue
		}
		for _, e := range k.Elements(d.id) {
			if k.model.prop(e, "SHIPPED") != "" || k.rand.IntN(2) > 0 {
				continue
			}
			if err := k.People.Ship(k.Context(), e); err != nil {
				k.T.Fatal(err)
			}
			k.model.wrote("element", e.ID(), k.People.Shipped+"|")
		}
	}
}

// A trouble is something that is wrong for a time. end is the way back.
type trouble struct {
	name       string
	begin, end func()
	// early says that serve can start while it lasts.
	early bool
}

// troubles are what can be wrong.
func (k *killTest) troubles(dir string) []trouble {
	t := k.T.(*testing.T)
	rule := filepath.Join(dir, "rules", "deal-shipments.yaml")
	change := func(name, file, old, text string, early bool) trouble {
		good, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		bad := strings.Replace(string(good), old, text, 1)
		if bad == string(good) {
			t.Fatalf("%s changes nothing", name)
		}
		return trouble{name, func() { testkit.WriteFile(t, file, bad) }, func() { testkit.WriteFile(t, file, string(good)) }, early}
	}
	aside := rule + ".aside"
	faults := func(name, code string, status, count int, methods ...string) trouble {
		var all []emulator.Fault
		for _, m := range methods {
			all = append(all, emulator.Fault{Kind: emulator.FaultRefuse, Code: code, Status: status, Method: m, Count: count})
		}
		return trouble{name, func() { k.disturb(all...) }, func() { k.disturb() }, true}
	}
	rename := func(from, to string) func() {
		return func() {
			if err := os.Rename(from, to); err != nil {
				t.Fatal(err)
			}
		}
	}
	return []trouble{
		change("rule file with errors", rule, "steps:", "stepps:", true),
		{"rule file missing", rename(rule, aside), rename(aside, rule), true},
		faults("credentials revoked", "INVALID_CREDENTIALS", 401, 0, ofTheEngine...),
		faults("overloaded", "OVERLOAD_LIMIT", 503, 0, ofTheEngine...),
		faults("single runs refused", "ACCESS_DENIED", 403, 2, "crm.item.productrow.list"),
		change("configuration changed", k.file, "margin: 1s", "margin: 1s, entities: 9999", true),
		change("portal changed", k.file, "    plan: unlimited\n", "    plan: unlimited\n    language: en\n", true),
		change("portal with a new client", k.file, "    plan: unlimited\n", "    plan: unlimited\n    shared: true\n", true),
		change("portal with errors", k.file, "    plan: unlimited\n", "    plan: unlimeted\n", false),
		// The other portal must not be the same one: both would work on one list at the same time.
		change("portal removed", k.file, "  demo:\n    webhook: ", "  other:\n    webhook: http://127.0.0.1:1/rest/1/x/ # ", true),
		change("configuration invalid", k.file, "portals:\n", "portals: [\n", false),
	}
}

// serve starts the engine, again if a loaded machine does not reach PostgreSQL in time.
func (k *killTest) serve(env []string) *testkit.Process {
	k.T.Helper()
	t := k.T.(*testing.T)
	for range 3 {
		p := testkit.StartProcess(t, env, "serve", "--config", k.file)
		slow := false
		k.Until("started", func() bool {
			slow = strings.Contains(p.Log.String(), "no connection in time")
			return slow || strings.Contains(p.Log.String(), "events at")
		})
		if !slow {
			return p
		}
		p.Exit()
	}
	t.Fatal("the engine does not start")
	return nil
}

// lifecycle starts the engine, lets people work and something be wrong, and kills it. It
// returns what was wrong.
func (k *killTest) lifecycle(dir string, round int) string {
	k.T.Helper()
	t := k.T.(*testing.T)
	env := []string{"TEST_TOKEN=" + k.Options.Emulator.ApplicationToken}
	all := k.troubles(dir)
	bad := all[(round+k.rand.IntN(2))%len(all)]
	pause := func(most int) { time.Sleep(time.Duration(k.rand.IntN(most)) * time.Millisecond) }
	early := bad.early && k.rand.IntN(2) == 0
	late := k.rand.IntN(3) == 0 // it is over only after the kill
	if early {
		bad.begin()
	}
	serve := k.serve(env)
	processes := []*testkit.Process{serve}
	for _, args := range [][]string{{"sync", "--rule", "deal-shipments"}, {"runs", "replay", "--state", "parked", "--yes"}} {
		processes = append(processes, testkit.StartProcess(t, env, append(args, "--config", k.file)...))
	}
	if !early {
		pause(400)
		bad.begin()
	}
	if k.rand.IntN(2) == 0 {
		k.change() // events arrive while it is wrong
	}
	pause(900)
	if !late {
		bad.end()
		pause(1200)
	}
	for _, p := range processes {
		p.Signal(syscall.SIGKILL)
		p.Exit()
	}
	if late {
		bad.end()
	}
	return fmt.Sprintf("%s, over %s", bad.name, map[bool]string{true: "after the kill", false: "before the kill"}[late])
}
