package service

import (
	"cmp"
	"context"
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

// A DryRun is a run of a rule for an entity that writes nothing. It reads the memory of real runs.
type DryRun struct {
	Target
	Portal *Portal
	// Deleted says that the run is one after a delete event.
	Deleted bool
	// Rules are those that run in the portal, nil means those of the service.
	Rules *fleet.Generation
	// Remembers is the id of the rule whose memory is read, "" means the rule itself.
	Remembers string
	// Client answers what the run reads. Nil is the portal, as for a live run.
	Client engine.Portal
	// Quiet is that of run.Run.
	Quiet bool
	// Send is that of run.Run.
	Send func(context.Context, engine.Request) (engine.Reply, error)
	// Faults says that a portal that does not answer as a whole is the error of Plan. Otherwise it is
	// why the planned run fails.
	Faults bool
}

// Plan returns what a dry run would write.
func (s *Service) Plan(ctx context.Context, d DryRun) (report.Plan, error) {
	r := s.dryRun(d)
	var fault error
	if d.Faults {
		r.PortalDown = faultIn(&fault)
	}
	p, err := report.MakePlan(ctx, r, d.Rule, s.Config().Redactor)
	return p, errors.Join(fault, err)
}

func (s *Service) dryRun(d DryRun) run.Run {
	p, db := d.Portal, s.queue.Database()
	rules := d.Rules
	if rules == nil {
		rules = s.rules.Current()
	}
	var client engine.Portal = p.Client
	if d.Client != nil {
		client = d.Client
	}
	return run.Run{
		Rule: func(id string) *engine.Rule { found, _, _ := rules.Rule(id, p.Name); return found }, Records: recordsOf(p.Name, rules, db, s.worker.made),
		Portal: p.Name, Client: client, Entity: d.Entity, Event: d.Event, Count: 1, Deleted: d.Deleted, Quiet: d.Quiet,
		Attempt: 1, LastAttempt: true, Inputs: d.Inputs, Zone: p.Zone, Language: p.language, Calendar: p.calendar,
		Numbers: numbers.New(db, p.Name), Send: d.Send,
		Memory: run.ReadOnly(s.queue.Memory(p.Name, cmp.Or(d.Remembers, d.Rule.ID), d.Entity.String())),
	}
}

// PlansOf plans the rules of a portal for an entity, or one rule if it is not "". With disk they are
// those on disk, which do not run yet, and refused says what of them would not run.
func (s *Service) PlansOf(ctx context.Context, portal, rule string, e engine.Entity, disk bool) (plans []report.Plan, refused []string, err error) {
	p := s.Portal(portal)
	if p == nil {
		return nil, nil, fmt.Errorf("portal %s does not run in this process", portal)
	}
	rules := s.rules.Current()
	if disk {
		if rules, err = s.rules.OnDisk(portal); err != nil {
			return nil, nil, err
		}
		for _, r := range rules.Refused() {
			refused = append(refused, r.Reason())
		}
	}
	targets, err := TargetsOf(rules, portal, rule, e, false)
	if err != nil {
		return nil, refused, err
	}
	for _, t := range targets {
		if err := t.FindRequest(ctx, s.queue, portal); err != nil {
			return nil, refused, err
		}
		one, err := s.Plan(ctx, DryRun{Target: t, Portal: p, Rules: rules})
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
	d := DryRun{Portal: p, Client: p.Later(), Faults: true}
	if alone {
		d.Send = func(context.Context, engine.Request) (engine.Reply, error) {
			return engine.Reply{}, engine.ParkError("the step was not compared, because drift asks no other system")
		}
	}
	err := t.Together(typ, ids, func(i int, one Target) (err error) {
		d := d
		d.Target = one
		out[i], err = s.Plan(ctx, d)
		return err
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
