package service

import (
	"context"
	"time"

	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/catchup"
	"github.com/b24rules/b24rules/internal/jobs"
)

// Kinds of jobs that belong to no portal.
const (
	kindRetention = "retention" // deletes what has been kept long enough
	kindAdopt     = "adopt"     // takes over the jobs of an older version that still runs
)

// kindReplan are the jobs that wake the sleeping runs of a rule that has changed.
const kindReplan = "replan"

// newRunner returns the runner of all kinds of jobs.
func (s *Service) newRunner() *jobs.Runner {
	table := jobs.New(s.queue.Database())
	r := jobs.NewRunner(table, s.queue.Leases(), s.log)
	syncs := &syncJobs{queue: s.queue, rules: s.rules, portals: s.portals, prepare: s.downtime.prepare, concerned: s.downtime.concerned, log: s.log}
	r.Handle(catchup.KindSync, syncs.kind())
	r.Handle(catchup.KindCatchUp, syncs.kind())
	r.Handle(catchup.KindLook, syncs.kind())
	r.Handle(catchup.KindTicked, syncs.kind())
	r.Handle(kindTick, jobs.Kind{May: s.ticks.may(syncs), Work: s.ticks.work})
	r.Handle(report.KindDrift, jobs.Kind{May: syncs.may, Work: s.drifts.work})
	r.Handle(kindRights, jobs.Kind{May: syncs.may, Work: s.rights.work})
	r.Handle(kindReplan, jobs.Kind{May: syncs.may, Work: s.looks.wake})
	r.Handle(kindRetention, jobs.Kind{Work: func(ctx context.Context, _ *jobs.Claimed) error {
		if err := s.queue.Retain(ctx); err != nil {
			return err
		}
		return table.Forget(ctx)
	}})
	r.Handle(kindAdopt, jobs.Kind{Work: func(ctx context.Context, _ *jobs.Claimed) error {
		return catchup.Adopt(ctx, s.queue, s.log)
	}})
	return r
}

// addJobs stores the jobs that repeat.
func (s *Service) addJobs(ctx context.Context) error {
	table := jobs.New(s.queue.Database())
	for kind, every := range map[string]time.Duration{kindRetention: time.Hour, kindAdopt: time.Minute} {
		if err := table.AddOnce(ctx, jobs.Job{Kind: kind, Every: every}); err != nil {
			return err
		}
	}
	return nil
}
