package cli

import (
	"context"
	"io"
	"time"

	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/app/service"
	"github.com/b24rules/b24rules/internal/catchup"
)

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
		plans, err := a.Plans(ctx, s.portal, t, typ, ids, false)
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

// printPlan prints a plan that has changes or an error.
func (s *syncing) printPlan(w io.Writer, p report.Plan) error {
	if s.format == "json" || len(p.Changes) == 0 && p.Error == "" {
		return nil
	}
	return report.WritePlans(w, s.format, []report.Plan{p})
}
