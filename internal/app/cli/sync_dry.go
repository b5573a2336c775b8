package cli

import (
	"context"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/app/service"
	"github.com/b24rules/b24rules/internal/catchup"
)

// dryRuns is the number of concurrent dry runs. Together they fill batches.
const dryRuns = 100

// dryRun prints the changes that a sync would make.
func (s *syncing) dryRun(ctx context.Context, env environment, a *service.Service, t service.Target) error {
	job, err := s.job(ctx, a, t)
	if err != nil {
		return err
	}
	out := report.DrySync{Portal: s.portal, Rule: s.rule, Plans: []report.Plan{}}
	err = s.eachPlan(ctx, env, a, t, &job, func(_, _ int, one report.Plan) error {
		out.Count(one)
		return s.printPlan(env.Out, one)
	})
	if err != nil {
		return err
	}
	out.Entities, out.Gone = job.Seen, job.Orphans
	if err := report.WriteDrySync(env.Out, s.format, out); err != nil {
		return err
	}
	if out.Failed > 0 || s.exitCode && out.Changed > 0 {
		return errFindings
	}
	return nil
}

// eachPlan dry-runs the rule for each entity of a job and calls do with its type, its id
// and its plan.
func (s *syncing) eachPlan(ctx context.Context, env environment, a *service.Service, t service.Target, job *catchup.Job, do func(typ, id int, p report.Plan) error) error {
	return s.eachPage(ctx, env, a, job, func(typ int, ids []int) error {
		plans, err := s.dryRunPage(ctx, a, t, typ, ids)
		if err != nil {
			return err
		}
		for i, one := range plans {
			if err := do(typ, ids[i], one); err != nil {
				return err
			}
		}
		return nil
	})
}

// eachPage calls do with the entities of a job, page by page.
func (s *syncing) eachPage(ctx context.Context, env environment, a *service.Service, job *catchup.Job, do func(typ int, ids []int) error) error {
	p := a.Portal(s.portal)
	if err := countAll(ctx, p.Later(), job); err != nil {
		return err
	}
	reader := catchup.NewReader(p.Later())
	lineAt := time.Now().Add(lineEvery)
	for more := true; more; {
		var typ int
		var ids []int
		var err error
		if typ, ids, more, err = job.Next(ctx, reader); err != nil {
			return err
		}
		if err := do(typ, ids); err != nil {
			return err
		}
		if now := time.Now(); now.After(lineAt) {
			env.say("%d/%d", job.Seen, max(job.Seen, job.Total))
			lineAt = now.Add(lineEvery)
		}
	}
	return nil
}

// dryRunPage dry-runs the entities of a page and returns the plans in their order.
func (s *syncing) dryRunPage(ctx context.Context, a *service.Service, t service.Target, typ int, ids []int) ([]report.Plan, error) {
	out := make([]report.Plan, len(ids))
	p := &planning{single: s.single, later: true, alone: s.alone}
	err := together(t, typ, ids, func(i int, one service.Target) (err error) {
		out[i], err = p.plan(ctx, a, one)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// together calls do with the target of a rule for each of some entities, several at a time. It
// returns the first error.
func together(t service.Target, typ int, ids []int, do func(i int, t service.Target) error) error {
	errs := make([]error, len(ids))
	slots := make(chan struct{}, dryRuns)
	var wg sync.WaitGroup
	for i, id := range ids {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			one := t
			one.Entity = engine.Entity{Kind: service.KindOfType(typ), TypeID: typ, ID: strconv.Itoa(id)}
			one.Event = service.EntityEvent(typ, one.Entity.ID)
			one.Event.Time = time.Now()
			errs[i] = do(i, one)
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

// printPlan prints a plan that has changes or an error.
func (s *syncing) printPlan(w io.Writer, p report.Plan) error {
	if s.format == "json" || len(p.Changes) == 0 && p.Error == "" {
		return nil
	}
	return report.WritePlans(w, s.format, []report.Plan{p})
}
