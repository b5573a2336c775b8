package service

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/catchup"
	"github.com/b24rules/b24rules/internal/jobs"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/notes"
	"github.com/b24rules/b24rules/internal/queue"
)

// looks starts the first looks of rules. A rule that remembers knows nothing of what was
// there before it: a deal that was won long ago would be announced at its next edit. So
// each of its entities gets one run that reads, remembers and plans, and writes nothing.
type looks struct {
	config *settings
	queue  *queue.Queue
	rules  *fleet.Rules
	log    *slog.Logger
	adding sync.Mutex // a start and a reload may come at the same time
}

// add stores a job for each rule that is new in a portal or remembers something else now,
// and one for each changed rule whose runs may sleep until another time.
func (l *looks) add(ctx context.Context) {
	l.adding.Lock()
	defer l.adding.Unlock()
	if err := l.endRemoved(ctx, l.rules.Current()); err != nil && ctx.Err() == nil {
		l.log.Error("cannot end the first looks of removed rules", "error", err)
	}
	known, err := l.known(ctx)
	if err != nil {
		if ctx.Err() == nil {
			l.log.Error("cannot read which rules have looked at their entities", "error", err)
		}
		return
	}
	gen := l.rules.Current()
	for _, portal := range gen.Portals() {
		for rule, inputs := range gen.Rules(portal) {
			if err := l.addOne(ctx, portal, rule, inputs, known); err != nil && ctx.Err() == nil {
				l.log.Error("cannot start the first look of a rule", "portal", portal, "rule", rule.ID, "error", err)
			}
		}
	}
}

// endRemoved ends the looks of rules that the portals no longer have. If such a rule is back, it
// looks again.
func (l *looks) endRemoved(ctx context.Context, gen *fleet.Generation) error {
	table := jobs.New(l.queue.Database())
	open, err := table.List(ctx, jobs.Filter{Kind: catchup.KindLook, Open: true})
	errs := []error{err}
	for _, j := range open {
		if _, _, runs := gen.Rule(j.Key, j.Portal); runs || len(gen.Missing(j.Portal)) > 0 {
			continue
		}
		_, err := table.Cancel(ctx, j.Portal, catchup.KindLook, j.Key)
		errs = append(errs, err, notes.Delete(ctx, l.queue.Database(), notePrefix+j.Portal+"."+j.Key))
	}
	return errors.Join(errs...)
}

// notePrefix starts the names of the notes of what the rules of the portals remember.
const notePrefix = "look."

// known reads the notes of all rules at once.
func (l *looks) known(ctx context.Context) (map[string]string, error) {
	all, err := notes.List(ctx, l.queue.Database(), notePrefix)
	if err != nil {
		return nil, err
	}
	known := make(map[string]string, len(all))
	for _, n := range all {
		known[n.Name] = n.Value
	}
	return known, nil
}

func (l *looks) addOne(ctx context.Context, portal string, r *engine.Rule, inputs map[string]any, stored map[string]string) error {
	types, _, _ := ScopeOf(r)
	name := notePrefix + portal + "." + r.ID
	note, known := stored[name]
	if !known {
		var err error
		if note, known, err = l.renamed(ctx, portal, r, stored); err != nil {
			return err
		}
	}
	shape := shapeOf(r)
	if shape == "" || len(types) == 0 || r.Derived() {
		if !known {
			return nil
		}
		if err := l.replan(ctx, portal, r, false); err != nil { // it may have planned times before
			return err
		}
		return notes.Delete(ctx, l.queue.Database(), name)
	}
	given := textOf(inputs)
	digest, times := shortSum(r.Set.Version+"\n"+given), shortSum(timesOf(r)+"\n"+given)
	now := shape + " " + digest + " " + times
	if note == now {
		return nil
	}
	looks := !l.config.Load().NoLooks
	before := strings.Fields(note + " - - -")
	var err error
	switch {
	case before[0] != shape && looks:
		if err = l.start(ctx, portal, r, types); err != nil {
			return err
		}
		text := "a rule that remembers is new: it looks at its entities once, behind all events"
		if known {
			text = "a rule remembers something else now: it looks at its entities once, behind all events"
		}
		l.log.Info(text, "portal", portal, "rule", r.ID)
		if known && r.Sleeps() {
			l.log.Warn("steps with at and without an id that have changed do not run for times that have passed, because the rule cannot know whether they ran for them", "portal", portal, "rule", r.ID)
		}
	case known && before[1] != digest:
		err = l.replan(ctx, portal, r, looks && r.Sleeps() && before[2] != times)
	}
	if err != nil {
		return err
	}
	return notes.Set(ctx, l.queue.Database(), name, now)
}

// renamed returns the note of a rule that has taken over another one. With the memory of the
// other rule it needs no own look.
func (l *looks) renamed(ctx context.Context, portal string, r *engine.Rule, stored map[string]string) (note string, known bool, err error) {
	for _, from := range slices.Backward(r.From) {
		old := notePrefix + portal + "." + from
		if note, known = stored[old]; !known {
			continue
		}
		return note, true, notes.Delete(ctx, l.queue.Database(), old)
	}
	return "", false, nil
}

// replan stores the job that wakes the sleeping runs of a rule that has changed. With look, a
// look follows: entities without a sleeping run may have a time now, too.
func (l *looks) replan(ctx context.Context, portal string, r *engine.Rule, look bool) error {
	table := jobs.New(l.queue.Database())
	open, err := table.List(ctx, jobs.Filter{Portal: portal, Kind: kindReplan, Key: r.ID, Open: true})
	if err != nil {
		return err
	}
	for _, j := range open { // the look of an earlier change is still owed
		var before replanned
		look = look || json.Unmarshal(j.Place, &before) == nil && before.Look
	}
	place, err := json.Marshal(replanned{Look: look})
	if err != nil {
		return err
	}
	return table.Replace(ctx, jobs.Job{Portal: portal, Kind: kindReplan, Key: r.ID, Place: place})
}

// again looks once more at the entities of rules that plan times, after the clock was set
// back: while it was ahead, a step may have been omitted because its time had passed for
// longer than late.
func (l *looks) again(ctx context.Context, by time.Duration) {
	if l.config.Load().NoLooks {
		return
	}
	gen := l.rules.Current()
	for _, portal := range gen.Portals() {
		for rule := range gen.Rules(portal) {
			types, _, _ := ScopeOf(rule)
			omitted := slices.ContainsFunc(engine.Flatten(rule.Steps), func(s *engine.Step) bool { return s.At != nil && s.Late < by })
			if !omitted || len(types) == 0 || rule.Derived() {
				continue
			}
			if err := l.start(ctx, portal, rule, types); err != nil && ctx.Err() == nil {
				l.log.Error("cannot look again at the entities of a rule", "portal", portal, "rule", rule.ID, "error", err)
			}
		}
	}
}

// start stores the job of a look.
func (l *looks) start(ctx context.Context, portal string, r *engine.Rule, types []int) error {
	return catchup.Start(ctx, l.queue, catchup.Job{Portal: portal, Rule: r.ID, Types: types, Look: true, Started: time.Now()})
}

// shapeOf is a digest of what the runs of a rule remember about an entity that a look can
// see, "" when that is nothing. Values of once are not among it.
func shapeOf(r *engine.Rule) string {
	var parts []string
	for _, s := range engine.Flatten(r.Steps) {
		switch {
		case s.Entered != nil:
			parts = append(parts, "entered "+s.Key)
		case s.At != nil:
			parts = append(parts, "at "+s.Key)
		case s.Action.Starts:
			parts = append(parts, "start")
		}
	}
	for _, p := range r.Before {
		parts = append(parts, "before "+strings.Join(p.Path, "."))
	}
	if len(parts) == 0 {
		return ""
	}
	return shortSum(strings.Join(parts, "\n"))
}

// textOf is a text that changes with the inputs of a rule. Secrets are hidden in it: they plan
// no times.
func textOf(inputs map[string]any) string {
	b, err := json.Marshal(inputs)
	if err != nil {
		return fmt.Sprint(inputs)
	}
	return string(b)
}

func shortSum(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:6])
}

// timesOf changes when the steps with at of a rule may have other times: it is their formulas and
// the steps before them.
func timesOf(r *engine.Rule) string {
	var parts, since []string
	for _, s := range engine.Flatten(r.Steps) {
		add := func(v *engine.Value) {
			if v != nil && v.Node != nil {
				since = append(since, v.Node.Value)
			}
		}
		for _, v := range []*engine.Value{s.When, s.At, s.ForEach} {
			add(v)
		}
		if s.At == nil || s.Action.Spread { // the text of a reminder decides no time
			s.EachValue(add)
		}
		if s.At != nil {
			parts, since = append(parts, since...), nil
		}
	}
	return strings.Join(parts, "\n")
}

// replanned is the place of a job that wakes sleeping runs.
type replanned struct {
	After string `json:"after"`          // the last entity that was woken
	Look  bool   `json:"look,omitempty"` // a look follows
}

// wake wakes the sleeping runs of a rule that has changed, page by page: it may mean
// other times now. It gives up those of a rule that waits for no time any more.
func (l *looks) wake(ctx context.Context, j *jobs.Claimed) error {
	var place replanned
	if len(j.Place) > 0 {
		if err := json.Unmarshal(j.Place, &place); err != nil {
			return jobs.Fail(fmt.Errorf("cannot read the place of the job: %w", err))
		}
	}
	r, _, ok := l.rules.Current().Rule(j.Key, j.Portal)
	if ok && !r.Sleeps() {
		n, err := l.queue.DiscardAll(ctx, journal.Filter{Portal: j.Portal, Rule: j.Key, States: []journal.State{journal.Asleep}}, "serve, because the rule waits for no time any more")
		if n > 0 {
			l.log.Warn("gave up the sleeping runs of a rule that waits for no time any more", "portal", j.Portal, "rule", j.Key, "runs", n)
		}
		return err
	}
	for {
		last, err := l.queue.WakeSleepers(ctx, j.Portal, j.Key, place.After)
		if err != nil {
			return err
		}
		if last == "" {
			break
		}
		place.After = last
		if err := j.Progress(ctx, place); err != nil {
			return err
		}
	}
	if !ok || !place.Look {
		return nil
	}
	types, _, _ := ScopeOf(r)
	if len(types) == 0 {
		return nil
	}
	l.log.Info("the times of a rule have changed: it looks at its entities once more, behind all events", "portal", j.Portal, "rule", j.Key)
	return l.start(ctx, j.Portal, r, types)
}
