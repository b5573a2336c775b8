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
	err = job.EachPage(ctx, a.Portal(s.portal).Later(), env.pages(), func(typ int, ids []int) error {
		plans, err := a.Plans(ctx, s.portal, t, typ, ids, false)
		if err != nil {
			return err
		}
		for _, one := range plans {
			out.Count(one)
			if err := s.printPlan(env.Out, one); err != nil {
				return err
			}
		}
		return nil
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

// pages returns what says from time to time how many entities of a job were seen.
func (env environment) pages() func(j *catchup.Job) {
	lineAt := time.Now().Add(lineEvery)
	return func(j *catchup.Job) {
		if now := time.Now(); now.After(lineAt) {
			env.say("%d/%d", j.Seen, max(j.Seen, j.Total))
			lineAt = now.Add(lineEvery)
		}
	}
}

// printPlan prints a plan that has changes or an error.
func (s *syncing) printPlan(w io.Writer, p report.Plan) error {
	if s.format == "json" || len(p.Changes) == 0 && p.Error == "" {
		return nil
	}
	return report.WritePlans(w, s.format, []report.Plan{p})
}
