package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/catchup"
	"github.com/b24rules/b24rules/internal/jobs"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/store"
)

// kindTick are the jobs of schedules: each is due at the next tick of one schedule.
const kindTick = "tick"

// ticks starts the runs of rules with a schedule. Each schedule of a rule in a portal has
// a job, which is due again at the next tick.
type ticks struct {
	queue   *queue.Queue
	rules   *fleet.Rules
	portals *portals
	metrics *metrics
	log     *slog.Logger
	adding  sync.Mutex // a start and a reload may come at the same time
}

// tickPlace is what the job of a schedule knows.
type tickPlace struct {
	// Schedule is the text of the schedule and its zone: a job of another one is replaced.
	Schedule string `json:"schedule"`
	// Last is the tick whose runs were stored last.
	Last time.Time `json:"last,omitzero"`
}

// tickKey names the job of the schedule with an index.
func tickKey(rule string, i int) string { return rule + "/" + strconv.Itoa(i) }

// add stores a job for each schedule that has none, and replaces those of schedules that
// have changed, or whose next tick the clock had passed before it was set back.
func (t *ticks) add(ctx context.Context) {
	t.adding.Lock()
	defer t.adding.Unlock()
	gen := t.rules.Current()
	for _, portal := range gen.Portals() {
		for rule := range gen.Rules(portal) {
			for i, s := range rule.Schedules {
				if err := t.addOne(ctx, portal, tickKey(rule.ID, i), s); err != nil && ctx.Err() == nil {
					t.log.Error("cannot store the next tick of a schedule", "portal", portal, "rule", rule.ID, "error", err)
				}
			}
		}
	}
}

func (t *ticks) addOne(ctx context.Context, portal, key string, s engine.Schedule) error {
	p := t.portals.get(portal)
	if p == nil {
		return nil
	}
	table := jobs.New(t.queue.Database())
	text := s.Cron.String() + " " + s.In(p.Zone).String()
	open, err := table.List(ctx, jobs.Filter{Portal: portal, Kind: kindTick, Key: key, Open: true})
	if err != nil {
		return err
	}
	next, last := s.Next(time.Now(), p.Zone), time.Time{}
	for _, j := range open {
		var place tickPlace
		if json.Unmarshal(j.Place, &place) != nil || place.Schedule != text {
			continue
		}
		if !j.Due.After(next) { // otherwise the clock was set back
			return nil
		}
		last = place.Last
	}
	place, err := json.Marshal(tickPlace{Schedule: text, Last: last})
	if err != nil {
		return err
	}
	return table.Replace(ctx, jobs.Job{Portal: portal, Kind: kindTick, Key: key, Due: next, Place: place})
}

// may reports whether the tick of a portal and schedule may run now.
func (t *ticks) may(syncs *syncJobs) func(portal, key string) bool {
	return func(portal, key string) bool {
		rule, _, _ := strings.Cut(key, "/")
		return syncs.may(portal, rule)
	}
}

// work starts the runs of a tick. It is due again at the next one.
func (t *ticks) work(ctx context.Context, j *jobs.Claimed) error {
	name, index, _ := strings.Cut(j.Key, "/")
	p := t.portals.get(j.Portal)
	rule, inputs, ok := t.rules.Current().Rule(name, j.Portal)
	i, err := strconv.Atoi(index)
	if !ok || err != nil || p == nil || i >= len(rule.Schedules) {
		return nil // add stores a new job when the rule has the schedule again
	}
	s := rule.Schedules[i]
	var place tickPlace
	if err := json.Unmarshal(j.Place, &place); err != nil {
		return jobs.Fail(fmt.Errorf("cannot read the place of the job: %w", err))
	}
	now := time.Now()
	next := s.Next(now, p.Zone)
	tick := s.Cron.Due(j.Due, now, s.In(p.Zone))
	result := "started"
	switch {
	case tick.IsZero():
		result = "missed"
		t.log.Warn("the ticks of a schedule were missed", "portal", j.Portal, "rule", name, "schedule", s.String(), "due", j.Due, "next", next)
	case tick.Equal(place.Last), tick.Before(place.Last) && !place.Last.After(now): // stored before the process was killed; after now, the clock was set back
		return jobs.At(next)
	default:
		place.Last = tick
		err := t.start(ctx, j, rule, s, inputs, tick, place)
		if errors.Is(err, errTickRuns) {
			result = "busy"
			t.log.Warn("a tick does nothing, because the runs of the last one are still being stored", "portal", j.Portal, "rule", name, "schedule", s.String(), "tick", tick)
		} else if err != nil {
			return err
		}
	}
	t.metrics.ticks.WithLabelValues(j.Portal, name, result).Inc()
	return jobs.At(next)
}

// errTickRuns says that the job of an earlier tick has not ended.
var errTickRuns = errors.New("the job of the last tick has not ended")

// start stores the runs of a tick, or the job that stores them, together with the place of
// j, so that a killed process starts no tick twice.
func (t *ticks) start(ctx context.Context, j *jobs.Claimed, r *engine.Rule, s engine.Schedule, inputs map[string]any, tick time.Time, place tickPlace) error {
	about, ok := r.Subject()
	if !ok {
		return jobs.Fail(fmt.Errorf("rule %s does not say what its runs are for", r.ID))
	}
	if about.Portal {
		data, err := json.Marshal(map[string]string{"schedule": s.String()})
		if err != nil {
			return err
		}
		_, err = t.queue.Backfill(ctx, queue.Page{
			Portal: j.Portal, Code: catchup.CodeTick, Data: data, Sent: tick,
			Routes: []queue.Route{{Rule: r.ID, Entity: about.EntityWithID(r, 0).String()}},
			With: func(ctx context.Context, tx store.Tx, _ queue.BackfillResult) error {
				return j.ProgressIn(ctx, tx, place)
			},
		})
		return err
	}
	filter, err := s.FilterAt(ctx, j.Portal, tick, inputs)
	if err != nil {
		return jobs.Fail(fmt.Errorf("the filter of the schedule: %w", err))
	}
	return catchup.StartTick(ctx, t.queue, catchup.Job{
		Portal: j.Portal, Rule: r.ID, Types: []int{about.TypeID}, Filter: filter, Tick: tick, Started: time.Now(),
	}, errTickRuns, func(ctx context.Context, tx store.Tx) error { return j.ProgressIn(ctx, tx, place) })
}
