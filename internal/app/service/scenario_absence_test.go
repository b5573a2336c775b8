//go:build unix

package service_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/testkit"
)

// TestKillDowntimes kills the engine, a separate process, and lets people change, add and delete
// while no process receives events: for up to ABSENCE_MS milliseconds. Starts find a rule file
// that is broken and fixed later, or credentials that are revoked and renewed later, and
// a sync and a replay are in progress. In the end nothing is missing, nothing exists twice, and
// nothing of a deleted deal remains. ABSENCE_ROUNDS makes the test longer.
func TestKillDowntimes(t *testing.T) {
	t.Parallel()
	downtimes(t, "", testkit.EnvInt(t, "ABSENCE_ROUNDS", testkit.Rounds(5, 2)))
}

func downtimes(t *testing.T, database string, rounds int) {
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
	for round := range rounds {
		k.lifecycle(dir, round)
		k.add()
		k.change()
		k.remove()
		if err := k.Portal.WaitIdle(k.Context()); err != nil { // the events are lost
			t.Fatal(err)
		}
		time.Sleep(time.Duration(k.rand.IntN(most)) * time.Millisecond)
		if t.Failed() {
			t.Fatalf("in round %d, KILL_SEED=%d", round, seed)
		}
	}
	k.Start()
	k.Until("caught up", func() bool { return len(k.windows()) == 0 && len(k.holds()) == 0 })
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

// lifecycle starts the engine under changing troubles and kills it.
func (k *killTest) lifecycle(dir string, round int) {
	k.T.Helper()
	t := k.T.(*testing.T)
	env := []string{"TEST_TOKEN=" + k.Options.Emulator.ApplicationToken}
	rule := filepath.Join(dir, "rules", "deal-shipments.yaml")
	good, err := os.ReadFile(rule)
	if err != nil {
		t.Fatal(err)
	}
	broken := round%3 == 1
	if broken {
		testkit.WriteFile(t, rule, strings.Replace(string(good), "steps:", "stepps:", 1))
	}
	if round%3 == 2 {
		var revoked []emulator.Fault
		for _, method := range ofTheEngine {
			revoked = append(revoked, emulator.Fault{Kind: emulator.FaultRefuse, Code: "INVALID_CREDENTIALS", Status: 401, Method: method})
		}
		k.disturb(revoked...)
	}
	serve := testkit.StartProcess(t, env, "serve", "--config", k.file)
	serve.Log.Wait(t, 0, "events at")
	sync := testkit.StartProcess(t, env, "sync", "--rule", "deal-shipments", "--config", k.file)
	replay := testkit.StartProcess(t, env, "runs", "replay", "--state", "parked", "--yes", "--config", k.file)
	time.Sleep(time.Duration(k.rand.IntN(700)) * time.Millisecond)
	if broken {
		testkit.WriteFile(t, rule, string(good))
	}
	k.disturb()
	time.Sleep(time.Duration(k.rand.IntN(1500)) * time.Millisecond)
	for _, p := range []*testkit.Process{serve, sync, replay} {
		p.Signal(syscall.SIGKILL)
		p.Exit()
	}
}
