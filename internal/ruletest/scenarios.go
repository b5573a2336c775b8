package ruletest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/engine/run"
	"github.com/b24rules/b24rules/internal/ruletest/testfile"
	"github.com/b24rules/b24rules/internal/ruletest/testportal"
	"github.com/b24rules/b24rules/schemas"
)

// variation says how a built-in check changes the play of a test.
type variation struct {
	// count is the number of events per run; 0 means one.
	count int
	// again runs the rules a second time after each event.
	again bool
	// crashAfter is the number of writes after which the run is killed and retried; 0 means
	// never.
	crashAfter int
	arrange    testportal.RowOrder
}

// ruleRun is one run of one rule.
type ruleRun struct {
	rule    *engine.Rule
	route   engine.Route
	trace   *history.Trace
	outcome string
	err     error
	// followed says that another run or a time has started it.
	followed bool
}

// scenarioResult is the result of one scenario.
type scenarioResult struct {
	phase  testfile.Phase
	runs   []ruleRun
	writes []bitrix.Call
	// again are the writes of the second run, see variation.
	again []bitrix.Call
	// unused are the answers and faults of the test that no call has met.
	unused []Failure
	// before is the data when the event arrives, after is the data when all runs have ended.
	before, after *testportal.Snapshot
}

// sandbox is a new portal with a recorder and the memory of runs.
type sandbox struct {
	*testportal.Portal
	rec *recorder
	// faults of the portal while rules run.
	faults []emulator.Fault
	// idle are the faults that have met no call of the last event.
	idle []Failure
	// memory by rule and entity.
	memory map[string]*run.LocalMemory
	// numbers are those of the entities in their series.
	numbers run.LocalNumbers
	// sleeping are the runs that wait for a time, by rule and entity.
	sleeping map[string]sleeper
}

// sleeper is a run that waits for a time.
type sleeper struct {
	route engine.Route
	at    time.Time
}

func newSandbox(spec *testportal.Setup, s *testportal.Schema) (*sandbox, error) {
	w, err := testportal.NewPortal(spec, s)
	if err != nil {
		return nil, err
	}
	return &sandbox{Portal: w, rec: &recorder{Client: w.Client}, memory: map[string]*run.LocalMemory{}, sleeping: map[string]sleeper{}}, nil
}

// fixture is a test with its rule sets and their bound inputs.
type fixture struct {
	file   *testfile.File
	test   *testfile.Test
	sets   []boundSet
	schema *testportal.Schema
}

// boundSet is a rule set with the values of its inputs.
type boundSet struct {
	set    *engine.RuleSet
	inputs map[string]any
}

// runScenarios plays all scenarios of the test on a new portal, which the caller closes.
func (s *fixture) runScenarios(ctx context.Context, v variation) (*sandbox, []scenarioResult, error) {
	w, err := newSandbox(&s.file.Content.Portal, s.schema)
	if err != nil {
		return nil, nil, err
	}
	w.rec.crashAfter = v.crashAfter
	var scenes []scenarioResult
	for _, a := range s.test.Phases() {
		p, err := s.runScenario(ctx, w, a, v)
		if err != nil {
			w.Close()
			return nil, nil, err
		}
		scenes = append(scenes, p)
	}
	return w, scenes, nil
}

func (s *fixture) runScenario(ctx context.Context, w *sandbox, a testfile.Phase, v variation) (scenarioResult, error) {
	p := scenarioResult{phase: a}
	w.Now = a.Scenario.Event.Time()
	if err := w.Apply(a.Change, v.arrange); err != nil {
		return p, err
	}
	if a.Scenario.Event.Kind.Op == "delete" {
		if err := w.deleteEntity(a.Scenario.Event); err != nil {
			return p, err
		}
	}
	w.rec.setAnswers(a.Scenario)
	w.faults = a.Scenario.Faults
	var err error
	if p.before, err = w.Snapshot(); err != nil {
		return p, err
	}
	if p.runs, err = s.deliver(ctx, w, a.Scenario.Event, max(1, v.count)); err != nil {
		return p, err
	}
	p.writes = w.rec.takeWrites()
	p.unused = append(w.rec.unused(), w.idle...)
	if v.again {
		if _, err := s.deliver(ctx, w, a.Scenario.Event, 1); err != nil {
			return p, err
		}
		p.again = w.rec.takeWrites()
	}
	p.after, err = w.Snapshot()
	return p, err
}

// setAnswers sets the answers and refusals of a scenario.
func (r *recorder) setAnswers(s *testfile.Scenario) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers, r.needed, r.asked = s.Replies(), map[int]bool{}, nil
}

// entityType returns the type of an event's entity, 0 if test portals do not have it.
func (w *sandbox) entityType(e *testfile.Event) int {
	typ := e.TypeID
	if o, ok := schemas.LookupOwner(e.Kind.Entity); ok {
		typ = o.ID
	}
	if w.Schema.Types[typ] == nil {
		return 0
	}
	return typ
}

// deleteEntity deletes the entity of an event if it exists.
func (w *sandbox) deleteEntity(e *testfile.Event) error {
	typ := w.entityType(e)
	if typ == 0 {
		return nil
	}
	return w.AsPeople(func() error {
		params := map[string]any{"entityTypeId": typ, "id": e.ID}
		if _, err := w.Call("crm.item.get", params); err != nil {
			return nil // it does not exist
		}
		_, err := w.Call("crm.item.delete", params)
		return testportal.WrapSeedError(e.Pos, err)
	})
}

// deliver runs all rules that subscribe to an event, with the faults of the portal.
func (s *fixture) deliver(ctx context.Context, w *sandbox, e *testfile.Event, count int) (out []ruleRun, err error) {
	if err := w.Emulator.SetFaults(w.faults...); err != nil {
		return nil, err
	}
	defer func() {
		w.idle = idleFaults(e, w.Emulator.Faults())
		err = errors.Join(err, w.Emulator.SetFaults())
	}()
	heard := e.EngineEvent()
	var first []engine.Route
	switch {
	case e.Start != "":
		route, ok := s.startOf(e)
		if !ok {
			return nil, nil
		}
		first = append(first, route)
	case heard.Code == "":
		first = w.due(heard.Time)
	default:
		if refused, ok := refusedBy(s, heard); ok {
			return []ruleRun{refused}, nil
		}
		for _, b := range s.sets {
			first = append(first, b.set.Route(s.file.PortalName(), heard, b.inputs)...)
		}
	}
	turn, counts := first, map[string]int{} // how many runs have started one
	for link := 0; len(turn) > 0; link++ {
		if link > maxLinks {
			return nil, fmt.Errorf("the runs start each other without end: %d links", maxLinks)
		}
		var next []engine.Route
		named := map[string]int{}
		for _, route := range turn {
			event, n := heard, count
			if one, ok := w.sleeping[routeKey(route)]; ok && heard.Code == "" && e.Start == "" && link == 0 {
				event.Time = one.at
			}
			if link > 0 {
				event, n = engine.Event{Time: heard.Time}, counts[routeKey(route)]
			}
			r, starts := s.runRule(ctx, w, route, event, max(1, n), e.Time())
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			r.followed = link > 0
			out = append(out, r)
			for _, st := range starts {
				rule := s.ruleByID(st.Rule)
				if rule == nil {
					continue // the step that names it fails
				}
				route := engine.Route{Rule: rule, Entity: st.Entity}
				if named[routeKey(route)]++; named[routeKey(route)] == 1 {
					next = append(next, route)
				}
			}
		}
		turn, counts = next, named
	}
	return out, nil
}

// refusedBy returns the refusal of a request that does not fit the hook of its rule. No
// run starts then.
func refusedBy(s *fixture, e engine.Event) (ruleRun, bool) {
	if e.Code != engine.CodeHook {
		return ruleRun{}, false
	}
	name, _ := e.Sender()
	for _, b := range s.sets {
		for _, r := range b.set.Rules {
			if !r.TakesHook(name) || !r.Serves(s.file.PortalName()) {
				continue
			}
			if _, err := r.HookEntity(s.file.PortalName(), e, b.inputs); err != nil {
				return ruleRun{rule: r, trace: &history.Trace{Rule: r.ID}, outcome: outcomeRefused, err: err}, true
			}
		}
	}
	return ruleRun{}, false
}

// outcomeRefused is the outcome of a request to a hook that does not fit.
const outcomeRefused = "refused"

// maxLinks is how many runs may start each other in turn.
const maxLinks = 25

func routeKey(r engine.Route) string { return r.Rule.ID + " " + r.Entity.String() }

// due returns the runs whose time has come, the earliest first.
func (w *sandbox) due(now time.Time) []engine.Route {
	var keys []string
	for key, one := range w.sleeping {
		if !one.at.After(now) {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b string) int {
		return cmp.Or(w.sleeping[a].at.Compare(w.sleeping[b].at), strings.Compare(a, b))
	})
	var out []engine.Route
	for _, key := range keys {
		out = append(out, w.sleeping[key].route)
	}
	return out
}

// startOf returns the run that a scene starts as another rule would.
func (s *fixture) startOf(e *testfile.Event) (engine.Route, bool) {
	r := s.ruleByID(e.Start)
	if r == nil {
		return engine.Route{}, false
	}
	about, ok := r.Subject()
	id, err := strconv.Atoi(e.ID)
	if !ok || err != nil && !about.Portal {
		return engine.Route{}, false
	}
	return engine.Route{Rule: r, Entity: about.EntityWithID(r, id)}, true
}

func (s *fixture) ruleByID(id string) *engine.Rule {
	for _, b := range s.sets {
		for _, r := range b.set.Rules {
			if r.ID == id {
				return r
			}
		}
	}
	return nil
}

// inputsOf returns the inputs of a rule's set.
func (s *fixture) inputsOf(r *engine.Rule) map[string]any {
	for _, b := range s.sets {
		if b.set == r.Set {
			return b.inputs
		}
	}
	return nil
}

// runRule runs a rule as the queue does, and again if it was killed. It returns the runs
// that follow.
func (s *fixture) runRule(ctx context.Context, w *sandbox, route engine.Route, e engine.Event, count int, now time.Time) (ruleRun, []engine.Start) {
	r := ruleRun{rule: route.Rule, route: route}
	m := w.remember(route)
	m.Begin()
	for attempt := 1; ; attempt++ {
		alive, kill := context.WithCancel(ctx)
		w.rec.startAttempt(kill)
		r.trace, r.err = run.Run{
			Portal: s.file.PortalName(), Client: w.rec, Entity: route.Entity, Event: e, Count: count,
			Added: route.Added, Deleted: route.Deleted, LastAttempt: true, Attempt: attempt,
			Inputs: s.inputsOf(route.Rule), Memory: m, InOrder: true, Send: w.rec.outside, Numbers: &w.numbers, Rule: s.ruleByID, Now: now,
		}.Do(alive, route.Rule)
		kill()
		if !w.rec.killed() || ctx.Err() != nil {
			break
		}
		m.Fail()
	}
	r.outcome = string(r.trace.Outcome)
	if r.err != nil {
		r.outcome = verdict(r.err)
		return r, nil
	}
	gone := m.Gone
	starts, at := m.Succeed()
	if delete(w.sleeping, routeKey(route)); !at.IsZero() {
		w.sleeping[routeKey(route)] = sleeper{engine.Route{Rule: route.Rule, Entity: route.Entity, Deleted: gone}, at}
	}
	return r, starts
}

// startAttempt prepares for an attempt. killed reports whether it was killed.
func (r *recorder) startAttempt(kill context.CancelFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kill, r.crashed, r.used = kill, false, map[int]bool{}
}

func (r *recorder) killed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.crashed
}

func verdict(err error) string {
	var re *run.RunError
	if errors.As(err, &re) {
		switch re.Verdict {
		case run.Park:
			return "parked"
		case run.Later:
			return "postponed"
		case run.Retry:
		}
	}
	return "failed"
}

func (w *sandbox) remember(r engine.Route) *run.LocalMemory {
	m := w.memory[routeKey(r)]
	if m == nil {
		m = &run.LocalMemory{}
		w.memory[routeKey(r)] = m
	}
	return m
}

// noSubscriber explains why no rule ran for an event.
func (s *fixture) noSubscriber(e *testfile.Event) string {
	switch {
	case e.Start != "":
		return fmt.Sprintf("rule %s cannot be started: it does not say with about what it runs for, or the scene has no id", e.Start)
	case e.EngineEvent().Code == "":
		return "no run waits for " + e.Label
	}
	var b strings.Builder
	fmt.Fprintf(&b, "no rule subscribes to %s", e.Label)
	for _, set := range s.sets {
		for _, r := range set.set.Rules {
			var subscribed []string
			for _, t := range r.Triggers {
				text := t.Code
				if t.EntityTypeID != 0 {
					text = fmt.Sprintf("%s of type %d", t.Code, t.EntityTypeID)
				}
				subscribed = append(subscribed, text)
			}
			fmt.Fprintf(&b, "; %s subscribes to %s", r.ID, cmp.Or(strings.Join(subscribed, ", "), "no event"))
			if len(r.Portals) > 0 && !slices.Contains(r.Portals, s.file.PortalName()) {
				fmt.Fprintf(&b, " on the portals %s, and this portal is %s", strings.Join(r.Portals, ", "), s.file.PortalName())
			}
		}
	}
	return b.String()
}
