package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/catchup"
	"github.com/b24rules/b24rules/internal/jobs"
	"github.com/b24rules/b24rules/internal/wakeup"
)

const (
	// driftPage is how many entities are compared before the portal rests.
	driftPage = 50
	// driftAgain is how many entities of a rule are compared again.
	driftAgain = 10_000
)

// drifts compares the rules with what portals have. Each portal has a job, which is due again at the
// next time of the configuration.
type drifts struct {
	s *Service
	// confirm is how long after the first look what differs is compared again: a person may just
	// be editing it.
	confirm time.Duration
	adding  sync.Mutex // a start and a reload may come at the same time
}

// driftTimes names the part of the configuration that decides when a job is due.
func driftTimes(c config.Drift) string { return fmt.Sprint(c.Every, " ", c.Start) }

// add stores a job for each portal that has none for the times of the configuration, and cancels
// those that are not wanted any more.
func (d *drifts) add(ctx context.Context) {
	d.adding.Lock()
	defer d.adding.Unlock()
	c := d.s.config.Load()
	for _, p := range c.Portals {
		if c.Only != "" && c.Only != p.Name {
			continue
		}
		if err := d.addOne(ctx, c.Drift, p); err != nil && ctx.Err() == nil {
			d.s.log.Error("cannot store when a portal is compared next", "portal", p.Name, "error", err)
		}
	}
}

func (d *drifts) addOne(ctx context.Context, c config.Drift, p config.Portal) error {
	table := jobs.New(d.s.queue.Database())
	open, err := table.List(ctx, jobs.Filter{Portal: p.Name, Kind: report.KindDrift, Open: true})
	if err != nil {
		return err
	}
	if c.Every == 0 || p.Shadow != 0 {
		if len(open) > 0 {
			_, err = table.Cancel(ctx, p.Name, report.KindDrift, "")
		}
		return err
	}
	state := report.DriftState{Times: driftTimes(c)}
	for _, j := range open {
		was, err := report.ReadDriftState(j)
		if err == nil && was.Times == state.Times {
			return nil
		}
		state.Last = was.Last
	}
	place, err := json.Marshal(state)
	if err != nil {
		return err
	}
	due := nextDrift(c, p.Zone, time.Now())
	if c.Start < 0 && state.Last == nil { // nothing says that it should be later
		due = time.Now()
	}
	return table.Replace(ctx, jobs.Job{Portal: p.Name, Kind: report.KindDrift, Due: due, Place: place})
}

// nextDrift is the next time of a comparison after now.
func nextDrift(c config.Drift, zone *time.Location, now time.Time) time.Time {
	const day = 24 * time.Hour
	if c.Start < 0 {
		return now.Add(c.Every)
	}
	if zone != nil {
		now = now.In(zone)
	}
	at := func(days int) time.Time {
		y, m, d := now.Date()
		return time.Date(y, m, d+days, c.Start/60, c.Start%60, 0, 0, now.Location())
	}
	if c.Every < day {
		// From the start of today, or of yesterday if that is still to come.
		first := at(0)
		if first.After(now) {
			first = at(-1)
		}
		next := first.Add((now.Sub(first)/c.Every + 1) * c.Every)
		if restart := at(1); !first.Before(at(0)) && next.After(restart) {
			return restart
		}
		return next
	}
	every := int((c.Every + day - 1) / day)
	for days := 0; ; days++ {
		t := at(days)
		y, m, d := t.Date()
		if number := int(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / int64(day.Seconds())); number%every == 0 && t.After(now) {
			return t
		}
	}
}

// work compares the rules of a portal, one after another, and continues where it was stopped.
func (d *drifts) work(ctx context.Context, j *jobs.Claimed) error {
	state, err := report.ReadDriftState(j.Job)
	if err != nil {
		return jobs.Fail(err)
	}
	c := d.s.config.Load()
	p, own := d.s.portals.get(j.Portal), c.Portal(j.Portal)
	if c.Drift.Every == 0 || p == nil || own == nil {
		return nil // add stores a new job when the portal is compared again
	}
	if state.Began.IsZero() {
		state.Began, state.Rules, state.Now, state.Job, state.Used = time.Now(), nil, nil, nil, nil
	}
	one := &driftWork{drifts: d, job: j, state: &state, portal: p, share: c.Drift.Share, ignore: report.NewIgnores(*own, time.Now())}
	if state.Used != nil {
		one.ignore.Used = state.Used
	}
	for _, t := range d.targets(j.Portal) {
		if slices.ContainsFunc(state.Rules, func(r report.RuleDrift) bool { return r.Rule == t.Rule.ID }) {
			continue
		}
		if err := one.rule(ctx, t); err != nil {
			return err
		}
	}
	state.Last = &report.DriftResult{At: time.Now(), Drift: report.Drift{Rules: state.Rules, Unused: one.ignore.Unused(state.Rules)}}
	state.Began, state.Rules, state.Used = time.Time{}, nil, nil
	if err := j.Progress(ctx, state); err != nil {
		return err
	}
	d.logEnd(j.Portal, state.Last)
	return jobs.At(nextDrift(c.Drift, p.Zone, time.Now()))
}

// targets are the rules of a portal, in the order of their ids.
func (d *drifts) targets(portal string) []Target {
	var all []Target
	for rule, inputs := range d.s.rules.Current().Rules(portal) {
		all = append(all, Target{Rule: rule, Inputs: inputs})
	}
	return all
}

func (d *drifts) logEnd(portal string, r *report.DriftResult) {
	differing := 0
	for _, one := range r.Rules {
		differing += one.Differing
	}
	switch {
	case !r.Complete():
		d.s.log.Warn("drift: not everything was compared", "portal", portal, "differing", differing)
	case differing > 0:
		d.s.log.Warn("drift: the portal differs from what the rules would write", "portal", portal, "differing", differing)
	default:
		d.s.log.Info("drift: nothing differs", "portal", portal)
	}
}

// driftWork is the comparison of one portal.
type driftWork struct {
	*drifts
	job    *jobs.Claimed
	state  *report.DriftState
	portal *Portal
	share  float64
	ignore *report.Ignores
	// since is when the portal has rested last, and sent how many requests its client had sent then.
	since time.Time
	sent  int64
}

// rule compares one rule. Its error is not about the rule: the job is tried again.
func (d *driftWork) rule(ctx context.Context, t Target) error {
	if d.state.Now == nil || d.state.Now.Rule != t.Rule.ID || d.state.Job == nil {
		d.state.Now, d.state.Again = &report.RuleDrift{Portal: d.portal.Name, Rule: t.Rule.ID, Plans: []report.Plan{}}, nil
		if err := CanList(t.Rule); err != nil {
			d.state.Now.NotCompared = err.Error()
			return d.end(ctx)
		}
		job, err := d.s.SyncJob(ctx, d.portal.Name, t, "")
		if err != nil {
			return d.judge(ctx, err)
		}
		d.state.Job = &job
	}
	if d.state.Again == nil { // an empty map is not stored
		d.state.Again = map[int][]int{}
	}
	reader := catchup.NewReader(d.portal.Later())
	for more := true; more; {
		var typ int
		var ids []int
		var err error
		if typ, ids, more, err = d.state.Job.Next(ctx, reader); err == nil {
			err = d.page(ctx, t, typ, ids, true)
		}
		if err != nil {
			return d.judge(ctx, err)
		}
		if err := d.progress(ctx); err != nil {
			return err
		}
	}
	if err := d.again(ctx, t); err != nil {
		return d.judge(ctx, err)
	}
	return d.end(ctx)
}

// judge returns an error that is about the portal or the job. Any other one ends the comparison of
// the rule, which then is not known.
func (d *driftWork) judge(ctx context.Context, err error) error {
	var limit *catchup.LimitError
	if ctx.Err() != nil || d.s.portals.down(d.portal)(ctx, err) || !catchup.Permanent(err) && !errors.As(err, &limit) {
		return err
	}
	d.state.Now.NotSeen = d.s.Config().Redactor.Text(err.Error())
	return d.end(ctx)
}

// page compares entities. remember notes those that differ, to look at them again.
func (d *driftWork) page(ctx context.Context, t Target, typ int, ids []int, remember bool) error {
	for some := range slices.Chunk(ids, driftPage) {
		if d.since.IsZero() {
			d.noteRest()
		}
		plans, err := d.s.Plans(ctx, d.portal.Name, t, typ, some, true)
		if err != nil {
			return err
		}
		for i, p := range plans {
			if d.state.Now.Add(p, d.ignore, report.KeptDifferences) && remember {
				d.state.Again[typ] = append(d.state.Again[typ], some[i])
			}
		}
		requests := d.portal.Client.Stats().Requests - d.sent
		if err := wakeup.Sleep(ctx, restOf(time.Since(d.since), requests, d.portal.Client.Rate(), d.share)); err != nil {
			return err
		}
		d.noteRest()
	}
	return nil
}

// noteRest notes that the portal has rested.
func (d *driftWork) noteRest() { d.since, d.sent = time.Now(), d.portal.Client.Stats().Requests }

// restOf is how long a portal rests after work: so that this was at most a share of the time, and its
// requests at most a share of those that the portal allows at a rate a second. Requests of events
// count, too, so the comparison leaves more to them.
func restOf(work time.Duration, requests int64, rate, share float64) time.Duration {
	rest := float64(work) * (1/share - 1)
	if rate > 0 {
		rest = max(rest, float64(requests)/(rate*share)*float64(time.Second)-float64(work))
	}
	return time.Duration(rest)
}

// again looks once more at the entities that differ.
func (d *driftWork) again(ctx context.Context, t Target) error {
	n := 0
	for _, ids := range d.state.Again {
		n += len(ids)
	}
	if n == 0 || n > driftAgain {
		return nil
	}
	if err := wakeup.Sleep(ctx, d.confirm); err != nil {
		return err
	}
	seen := d.state.Now.Entities
	d.state.Now.Differing, d.state.Now.Plans = 0, []report.Plan{}
	for typ, ids := range d.state.Again {
		if err := d.page(ctx, t, typ, ids, false); err != nil {
			return err
		}
	}
	d.state.Now.Entities = seen
	return nil
}

// end notes that a rule is compared.
func (d *driftWork) end(ctx context.Context) error {
	d.state.Rules = append(d.state.Rules, *d.state.Now)
	d.state.Now, d.state.Job, d.state.Again = nil, nil, nil
	return d.progress(ctx)
}

func (d *driftWork) progress(ctx context.Context) error {
	d.state.Used = d.ignore.Used
	return d.job.Progress(ctx, d.state)
}
