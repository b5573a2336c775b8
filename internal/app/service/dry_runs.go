package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/run"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/numbers"
)

// PlanRun returns the run of a target in a portal, for a dry run. It reads the memory
// of real runs.
func (s *Service) PlanRun(t Target, p *Portal, deleted bool) run.Run {
	return s.planRun(s.rules, t, p, deleted, t.Rule.ID)
}

// planRun is PlanRun with other rules of the portal. remembers is the rule that has the memory.
func (s *Service) planRun(rules *fleet.Rules, t Target, p *Portal, deleted bool, remembers string) run.Run {
	q := s.queue
	return run.Run{
		Rule: findRule(rules, p.Name), Records: recordsOf(p.Name, rules.Current(), q.Database(), s.worker.made),
		Portal: p.Name, Client: p.Client, Entity: t.Entity, Event: t.Event, Count: 1, Deleted: deleted,
		Attempt: 1, LastAttempt: true, Inputs: t.Inputs, Zone: p.Zone, Language: p.language, Calendar: p.calendar,
		Numbers: numbers.New(q.Database(), p.Name),
		Memory:  run.ReadOnly(q.Memory(p.Name, remembers, t.Entity.String())),
	}
}

// PlansOf plans the rules of a portal for an entity, or one rule if it is not "". With disk they are
// those on disk, which do not run yet, and refused says what of them would not run.
func (s *Service) PlansOf(ctx context.Context, portal, rule string, e engine.Entity, disk bool) (plans []report.Plan, refused []string, err error) {
	p := s.Portal(portal)
	if p == nil {
		return nil, nil, fmt.Errorf("portal %s does not run in this process", portal)
	}
	rules := s.rules
	if disk {
		if rules, err = s.rules.OnDisk(portal); err != nil {
			return nil, nil, err
		}
		for _, r := range rules.Current().Refused() {
			refused = append(refused, r.Reason())
		}
	}
	targets, err := TargetsOf(rules.Current(), portal, rule, e, false)
	if err != nil {
		return nil, refused, err
	}
	for _, t := range targets {
		if err := t.FindRequest(ctx, s.queue, portal); err != nil {
			return nil, refused, err
		}
		one, err := report.MakePlan(ctx, s.planRun(rules, t, p, false, t.Rule.ID), t.Rule, s.Config().Redactor)
		if err != nil {
			return nil, refused, err
		}
		plans = append(plans, one)
	}
	return plans, refused, nil
}

// For returns the target for an entity, without an event of the portal.
func (t Target) For(e engine.Entity) Target {
	t.Entity = e
	t.Event = EntityEvent(e.TypeID, e.ID)
	t.Event.Time = time.Now()
	return t
}

// dryRuns is the number of concurrent dry runs. Together they fill batches.
const dryRuns = 100

// Together calls do with the target for each of some entities of a type, several at a time. It
// returns the first error.
func (t Target) Together(typ int, ids []int, do func(i int, t Target) error) error {
	entities := make([]engine.Entity, len(ids))
	for i, id := range ids {
		entities[i] = engine.Entity{Kind: KindOfType(typ), TypeID: typ, ID: strconv.Itoa(id)}
	}
	return t.ForEach(entities, do)
}

// ForEach is Together for entities of any type.
func (t Target) ForEach(entities []engine.Entity, do func(i int, t Target) error) error {
	errs := make([]error, len(entities))
	slots := make(chan struct{}, dryRuns)
	var wg sync.WaitGroup
	for i, e := range entities {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			errs[i] = do(i, t.For(e))
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Plans returns what a rule would write for entities of a type, in their order. Requests of live
// runs go first. With alone, other systems are not asked. If the portal as a whole does not answer,
// that is the error.
func (s *Service) Plans(ctx context.Context, portal string, t Target, typ int, ids []int, alone bool) ([]report.Plan, error) {
	out := make([]report.Plan, len(ids))
	p := s.Portal(portal)
	err := t.Together(typ, ids, func(i int, one Target) (err error) {
		run := s.PlanRun(one, p, false)
		run.Client = p.Later()
		var fault error
		run.PortalDown = faultIn(&fault)
		if alone {
			run.Send = func(context.Context, engine.Request) (engine.Reply, error) {
				return engine.Reply{}, engine.ParkError("the step was not compared, because drift asks no other system")
			}
		}
		out[i], err = report.MakePlan(ctx, run, one.Rule, s.Config().Redactor)
		return errors.Join(fault, err)
	})
	return out, err
}

// faultIn returns a function for run.Run.PortalDown that stores the fault of a portal.
func faultIn(fault *error) func(context.Context, error) bool {
	var mu sync.Mutex
	return func(_ context.Context, err error) bool {
		if bitrix.FaultOf(err) == bitrix.NoFault {
			return false
		}
		mu.Lock()
		defer mu.Unlock()
		*fault = err
		return true
	}
}

// readOnce is a portal that is asked each question once: two dry runs over it see the same data. It
// is not asked to write.
type readOnce struct {
	engine.Portal

	mu      sync.Mutex
	answers map[string]bitrix.Answer
	rows    map[string][]json.RawMessage
}

func newReadOnce(p engine.Portal) *readOnce {
	return &readOnce{Portal: p, answers: map[string]bitrix.Answer{}, rows: map[string][]json.RawMessage{}}
}

// questionOf tells calls from each other.
func questionOf(c bitrix.Call, wrapper string) string {
	params, err := json.Marshal(c.Params)
	if err != nil {
		return "" // it is asked again
	}
	return c.Method + " " + wrapper + " " + string(params)
}

// Do implements engine.Portal.
func (r *readOnce) Do(ctx context.Context, calls ...bitrix.Call) []bitrix.Answer {
	out := make([]bitrix.Answer, len(calls))
	var ask []bitrix.Call
	var at []int
	for i, c := range calls {
		r.mu.Lock()
		a, ok := r.answers[questionOf(c, "")]
		r.mu.Unlock()
		if ok {
			out[i] = a
			continue
		}
		ask, at = append(ask, c), append(at, i)
	}
	if len(ask) == 0 {
		return out
	}
	for i, a := range r.Portal.Do(ctx, ask...) {
		out[at[i]] = a
		if key := questionOf(ask[i], ""); key != "" && (a.Err == nil || bitrix.IsNotFound(a.Err)) {
			r.mu.Lock()
			r.answers[key] = a
			r.mu.Unlock()
		}
	}
	return out
}

// List implements engine.Portal.
func (r *readOnce) List(ctx context.Context, call bitrix.Call, wrapper string) ([]json.RawMessage, error) {
	key := questionOf(call, wrapper)
	r.mu.Lock()
	rows, ok := r.rows[key]
	r.mu.Unlock()
	if ok {
		return rows, nil
	}
	rows, err := r.Portal.List(ctx, call, wrapper)
	if err == nil && key != "" {
		r.mu.Lock()
		r.rows[key] = rows
		r.mu.Unlock()
	}
	return rows, err
}
