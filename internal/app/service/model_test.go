package service_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/testkit"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/rules"
)

// TestModel runs short random histories of a portal, its people, its post and
// the engine with the shipped rules, and compares the end, and what happened on
// the way, with a simple reference (see judge). A history that goes wrong is
// made as short as it gets and printed. B24_MODEL_ROUNDS is how many histories
// there are, B24_MODEL_SEED the seed of the first; one round of the seed that
// a failure names shows it again.
func TestModel(t *testing.T) {
	t.Parallel()
	newModel(t).histories(t, testkit.Rounds(100, 30), newScenario)
}

// histories runs random histories until one goes wrong.
func (m *model) histories(t *testing.T, rounds int, scenarioOf func(seed uint64) scenario) {
	rounds, seed := testkit.EnvInt(t, "B24_MODEL_ROUNDS", rounds), testkit.EnvInt(t, "B24_MODEL_SEED", 1)
	t.Logf("B24_MODEL_ROUNDS=%d B24_MODEL_SEED=%d", rounds, seed)
	var next, failed atomic.Int64
	for worker := range min(runtime.GOMAXPROCS(0), rounds) {
		t.Run(fmt.Sprint("worker ", worker), func(t *testing.T) {
			t.Parallel()
			for failed.Load() == 0 {
				i := int(next.Add(1)) - 1
				if i >= rounds {
					return
				}
				h := scenarioOf(uint64(seed + i))
				if wrong, _ := m.run(t, h); len(wrong) > 0 {
					failed.Add(1)
					m.report(t, h, wrong)
				}
			}
		})
	}
}

// TestLateWrites are histories of writes that the portal makes after the engine
// has given up on them: its connection was lost, or it was killed. An engine that
// checks too early whether they were made makes them twice.
func TestLateWrites(t *testing.T) {
	t.Parallel()
	m := newModel(t)
	rows := []modelRow{{name: "Bolt", cents: 110, tenths: 25}}
	late := 40 * time.Second
	for name, steps := range map[string][]step{
		"lost":              {{op: opLose, wait: late}, {op: opDeliverAll}},
		"lost, and told":    {{op: opLose, wait: late}, {op: opDeliverAll}, {op: opSleep, wait: 5 * time.Second}, {op: opAgain}},
		"killed":            {{op: opDeliverAll}, {op: opCrashAtWork, flag: true, wait: late}, {op: opStart}},
		"killed, and told":  {{op: opDeliverAll}, {op: opCrashAtWork, flag: true, wait: late}, {op: opStart}, {op: opAgain}},
		"stopped in a rush": {{op: opLose, wait: late}, {op: opDeliverAll}, {op: opSleep, wait: 1010 * time.Millisecond}, {op: opStop}, {op: opStart}, {op: opTouchBill}, {op: opDeliverAll}},
	} {
		for _, add := range []op{opAddBill, opAddDeal} {
			h := scenario{world: worldKind{plan: emulator.PlanUnlimited, latency: 20 * time.Millisecond, grace: time.Millisecond}}
			h.steps = append([]step{{op: add, rows: rows}}, steps...)
			if wrong, log := m.run(t, h); len(wrong) > 0 {
				t.Errorf("%s:\n%s\nwent wrong:\n  - %s\n%s", name, h, strings.Join(wrong, "\n  - "), log)
			}
		}
	}
}

// model is what all histories share.
type model struct {
	rules *fleet.Generation
	empty []byte
	runs  atomic.Int64
	// play returns what does the steps in a world and judges its end.
	play func(w *world) player
}

// player does the steps of a history and judges its end.
type player interface {
	do(s step)
	judge()
}

// shippedRules plays the histories of the shipped rules.
type shippedRules struct{ *world }

func (p shippedRules) judge() {
	p.world.judge()
	p.judgeQuiet()
}

func newModel(t *testing.T) *model {
	t.Helper()
	portal := emulator.New(emulator.Config{})
	ids := emulator.Demo(portal)
	portal.Close()
	s := demo.Fixture{Options: demo.FixtureOptions{Inputs: demo.ShippedInputs()}, IDs: ids, Portal: portal}
	m := loadModel(t, fleet.FilesIn(rules.FS), s.Config().Portals, func(w *world) player { return shippedRules{w} })
	if m.rules.Sets() != 2 {
		t.Fatalf("%d shipped rule sets", m.rules.Sets())
	}
	return m
}

// loadModel returns a model of histories with these rules.
func loadModel(t *testing.T, source fleet.RuleSource, portals []config.Portal, play func(w *world) player) *model {
	t.Helper()
	_, gen, err := (&fleet.Rules{Actions: actions.All, Source: source, Portals: portals}).Load()
	if err != nil || len(gen.Findings()) > 0 {
		t.Fatalf("the rule sets: %v, %+v", err, gen.Findings())
	}
	path := filepath.Join(t.TempDir(), modelDatabase)
	q, err := queue.Open(context.Background(), "sqlite:"+path, queue.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	empty, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return &model{rules: gen, empty: empty, play: play}
}

// run runs a history in a bubble with its own time, and returns what went wrong.
func (m *model) run(t *testing.T, h scenario) (wrong []string, log string) {
	t.Helper()
	m.runs.Add(1)
	dir, err := os.MkdirTemp("", "b24rules-model-")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	synctest.Test(t, func(t *testing.T) {
		w, err := newWorld(h, m.rules, dir, m.empty)
		if err != nil {
			t.Fatal(err)
		}
		defer w.close()
		w.faultless = !slices.ContainsFunc(h.steps, func(s step) bool { return s.op == opFaults })
		p := m.play(w)
		w.start()
		for _, s := range h.steps {
			p.do(s)
		}
		w.do(step{op: opHeal})
		w.finish()
		w.flying.Wait() // what killed engines have sent
		w.finish()
		if w.engine != nil {
			p.judge()
		}
		wrong, log = w.wrong, w.logText()
	})
	return wrong, log
}

// report makes a failing history short and prints it.
func (m *model) report(t *testing.T, h scenario, wrong []string) {
	t.Helper()
	short, wrong := m.shrink(t, h, wrong)
	_, log := m.run(t, short)
	t.Errorf("history of %d steps, of %d, after %d runs:\n%s\nwent wrong:\n  - %s\n\nthe engine's log:\n%s",
		len(short.steps), len(h.steps), m.runs.Load(), short, strings.Join(wrong, "\n  - "), log)
}

// shrink removes steps and makes the world simpler, as long as the history still goes
// wrong.
func (m *model) shrink(t *testing.T, h scenario, wrong []string) (scenario, []string) {
	t.Helper()
	fails := func(try scenario) bool {
		for range 2 { // the order of goroutines is not the history's
			if w, _ := m.run(t, try); len(w) > 0 {
				wrong = w
				return true
			}
		}
		return false
	}
	for size := len(h.steps) / 2; size > 0; size /= 2 {
		for from := 0; from < len(h.steps); {
			try := h
			try.steps = slices.Concat(h.steps[:from], h.steps[min(len(h.steps), from+size):])
			if fails(try) {
				h = try
			} else {
				from += size
			}
		}
	}
	for _, simpler := range []func(*worldKind){
		func(k *worldKind) { k.plan = emulator.PlanUnlimited },
		func(k *worldKind) { k.many = false },
		func(k *worldKind) { k.strict = false },
		func(k *worldKind) { k.latency = 0 },
	} {
		try := h
		if simpler(&try.world); try.world != h.world && fails(try) {
			h = try
		}
	}
	return h, wrong
}
