package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/dryrun"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/app/service"
)

// rehearsals is how many runs of a dry run are under way at once: they fill
// batches.
const rehearsals = 100

// dryResult is what a sync would do.
type dryResult struct {
	Portal   string `json:"portal"`
	Rule     string `json:"rule"`
	Entities int    `json:"entities"`
	Gone     int    `json:"gone"`
	// Changed are the entities for which something would be written.
	Changed int `json:"changed"`
	Add     int `json:"add"`
	Change  int `json:"change"`
	Delete  int `json:"delete"`
	Calls   int `json:"calls"`
	Failed  int `json:"failed"`
	// Plans are the first of them in detail.
	Plans []report.Plan `json:"plans"`
}

// maxPlans is how many plans the JSON of a dry run has.
const maxPlans = 1000

// rehearse shows what a sync would write.
func (s *syncing) rehearse(ctx context.Context, env environment, a *service.Service, t service.Target) error {
	job, err := s.job(ctx, a, t)
	if err != nil {
		return err
	}
	p := a.Portal(s.portal)
	if err := countAll(ctx, p.Later(), &job); err != nil {
		return err
	}
	out := dryResult{Portal: s.portal, Rule: s.rule, Plans: []report.Plan{}}
	lineAt := time.Now().Add(lineEvery)
	for more := true; more; {
		var typ int
		var ids []int
		if typ, ids, more, err = job.Next(ctx, p.Later()); err != nil {
			return err
		}
		plans, err := s.rehearsePage(ctx, a, t, typ, ids)
		if err != nil {
			return err
		}
		for _, one := range plans {
			out.add(one)
			if err := s.tellPlan(env.Out, one); err != nil {
				return err
			}
		}
		if now := time.Now(); now.After(lineAt) {
			env.say("%d/%d", job.Seen, max(job.Seen, job.Total))
			lineAt = now.Add(lineEvery)
		}
	}
	out.Entities, out.Gone = job.Seen, job.Orphans
	return s.tellDry(env, out)
}

// rehearsePage rehearses the runs of a page, in the order of its ids.
func (s *syncing) rehearsePage(ctx context.Context, a *service.Service, t service.Target, typ int, ids []int) ([]report.Plan, error) {
	out := make([]report.Plan, len(ids))
	errs := make([]error, len(ids))
	slots := make(chan struct{}, rehearsals)
	var wg sync.WaitGroup
	p := &planning{single: s.single, later: true}
	for i, id := range ids {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			one := t
			one.Entity = engine.Entity{Kind: service.KindOfType(typ), TypeID: typ, ID: strconv.Itoa(id)}
			one.Event = service.EntityEvent(typ, one.Entity.ID)
			one.Event.Time = time.Now()
			out[i], errs[i] = p.plan(ctx, a, one)
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (r *dryResult) add(p report.Plan) {
	if p.Error != "" {
		r.Failed++
	}
	if len(p.Changes) > 0 {
		r.Changed++
	}
	if (len(p.Changes) > 0 || p.Error != "") && len(r.Plans) < maxPlans {
		r.Plans = append(r.Plans, p)
	}
	for _, c := range p.Changes {
		switch c.Kind {
		case dryrun.ChangeAdd:
			r.Add++
		case dryrun.ChangeUpdate:
			r.Change++
		case dryrun.ChangeDelete:
			r.Delete++
		case dryrun.ChangeCall, dryrun.ChangeOutside:
			r.Calls++
		}
	}
}

// tellPlan writes the entities for which something would be done as they are
// found.
func (s *syncing) tellPlan(w io.Writer, p report.Plan) error {
	if s.format == "json" || len(p.Changes) == 0 && p.Error == "" {
		return nil
	}
	return report.WritePlans(w, s.format, []report.Plan{p})
}

func (s *syncing) tellDry(env environment, r dryResult) error {
	var err error
	if s.format == "json" {
		err = report.WriteJSON(env.Out, r)
	} else {
		_, err = fmt.Fprintf(env.Out, "%s would write for %d of %s: + %d  ~ %d  - %d  ! %d, and fail for %d\n",
			r.Rule, r.Changed, report.Plural(r.Entities+r.Gone, "entity", "entities"), r.Add, r.Change, r.Delete, r.Calls, r.Failed)
	}
	if err != nil {
		return err
	}
	if r.Failed > 0 {
		return errFindings
	}
	return nil
}
