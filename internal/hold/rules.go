package hold

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/b24rules/b24rules/internal/queue"
)

const (
	// wallAt is how many entities in a row must get the same answer at the same step
	// before it is the rule's fault and not the entities'.
	wallAt = 5
	// mostNeeded bounds that number. It doubles when the answer was the entities' own.
	mostNeeded = 320
	// mostKept bounds how many entities, and how many different answers, a rule
	// remembers.
	mostKept = 1000
	// triedAnyway is after how many probes a run is let through although the scopes are
	// the same, about once an hour: they may have changed before they were first read.
	triedAnyway = 12
	// returning is how long Keep tries to return a run that is being parked.
	returning = time.Minute
	// returnedBy is who replays such a run.
	returnedBy = "serve, because the rule is stopped"
)

// RuleStore is what Rules need of the queue.
type RuleStore interface {
	Store
	// LetThrough lets one waiting run of a held rule start, and sets when the worker
	// looks again. run is 0 when none waits.
	LetThrough(ctx context.Context, portal, rule string, probe time.Time) (run int64, err error)
	// Replay makes a parked run wait again; queue.ErrState says that it is not parked.
	Replay(ctx context.Context, run int64, who string, also ...queue.Also) error
}

// RuleOptions are what Rules need. All fields but Changed are required.
type RuleOptions struct {
	Portal *Portal
	Store  RuleStore
	// Scopes asks the portal which scopes the credentials have. The order is that of
	// the portal.
	Scopes func(ctx context.Context) (string, error)
	// Version is the current version of a rule, "" without one.
	Version func(rule string) string
	// Changed is as Options.Changed.
	Changed func(h queue.Hold)
}

// Rules are the rules of one portal that meet a wall: the portal is fine, but it gives
// the same answer at the same step of a rule for one entity after another. The rule is
// then stopped, and its runs wait. From time to time one of them is let through. It is
// safe for concurrent use.
type Rules struct {
	opt  RuleOptions
	name string // the portal's
	log  *slog.Logger

	mu    sync.Mutex
	rules map[string]*rule
}

// NewRules returns the state of the rules of a portal. Keep reads stored holds.
func NewRules(opt RuleOptions) *Rules {
	if opt.Changed == nil {
		opt.Changed = func(queue.Hold) {}
	}
	return &Rules{opt: opt, name: opt.Portal.opt.Name, log: opt.Portal.opt.Log, rules: map[string]*rule{}}
}

// A wall is an answer at a step.
type wall struct{ step, answer string }

// met is an entity that met a wall.
type met struct {
	wall   wall
	entity string
}

// rule is the state of one rule.
type rule struct {
	name string
	// rows are the entities in a row that met a wall, with their runs.
	rows map[wall]map[string][]int64
	// need is how many entities make a wall, if not wallAt.
	need map[wall]int
	// own are entities that met a wall that others passed.
	own map[met]bool

	hold *queue.Hold // nil when the rule is fine
	// at is what the hold is about, if known: another process may have started it.
	at      wall
	known   bool
	changed time.Time // when hold was last changed here
	probes  int
	busy    bool   // a probe is in progress
	version string // of the rule, at the last probe
	scopes  string // of the credentials, at the last probe
	parked  map[int64]time.Time
}

func (r *Rules) of(name string) *rule {
	one := r.rules[name]
	if one == nil {
		one = &rule{name: name, rows: map[wall]map[string][]int64{}, need: map[wall]int{}, own: map[met]bool{}, parked: map[int64]time.Time{}}
		r.rules[name] = one
	}
	return one
}

// Attempt is how an attempt of a run ended.
type Attempt struct {
	Rule, Entity string
	Run          int64
	// Step is the step that failed, and Err its error. Err is nil after a success.
	Step string
	Err  error
	// Handled says that on_error of the step decides, so the failure stops no rule.
	Handled bool
	// Passed reports whether a step succeeded in the attempt.
	Passed func(step string) bool
}

// passed reports whether the attempt shows that a step works. A failure without a step
// happens before the first one.
func (a Attempt) passed(step string) bool {
	return a.Passed(step) || step == "" && (a.Err == nil || a.Step != "")
}

// Judge learns from an attempt. It reports whether the rule is stopped: then the run
// waits for the end of that, without an attempt.
func (r *Rules) Judge(ctx context.Context, a Attempt) (stopped bool) {
	answer := ""
	if a.Err != nil && !a.Handled {
		answer = AnswerOf(a.Err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rules[a.Rule] == nil && answer == "" {
		return false
	}
	one, w := r.of(a.Rule), wall{a.Step, answer}
	if one.hold != nil {
		return r.judgeStopped(ctx, one, a, w)
	}
	for other := range one.rows {
		if a.passed(other.step) {
			delete(one.rows, other)
		}
	}
	if answer == "" {
		return false
	}
	if who := (met{w, a.Entity}); one.own[who] {
		delete(one.own, who)
		one.need[w] = min(2*one.needed(w), mostNeeded)
		return false
	}
	one.add(w, a)
	if answer != answerScope && len(one.rows[w]) < one.needed(w) {
		return false
	}
	return r.stop(ctx, one, a, w)
}

func (one *rule) needed(w wall) int {
	if n := one.need[w]; n > 0 {
		return n
	}
	return wallAt
}

// add adds an entity to those in a row.
func (one *rule) add(w wall, a Attempt) {
	if len(one.rows) >= mostKept {
		clear(one.rows)
	}
	if one.rows[w] == nil {
		one.rows[w] = map[string][]int64{}
	}
	if runs := one.rows[w][a.Entity]; len(one.rows[w]) < mostKept && !slices.Contains(runs, a.Run) {
		one.rows[w][a.Entity] = append(runs, a.Run)
	}
}

// stop starts the hold of a rule. The runs of the entities that led to it wait again.
func (r *Rules) stop(ctx context.Context, one *rule, a Attempt, w wall) bool {
	now := time.Now()
	h := queue.Hold{Portal: r.name, Rule: one.name, Cause: Stopped, Reason: a.Err.Error(), Since: now, Probe: now.Add(pause(Stopped, 0))}
	if err := r.opt.Store.SetHold(ctx, h); err != nil {
		r.log.Error("cannot store that a rule is stopped, its runs are tried again or parked", "portal", r.name, "rule", one.name, "error", err)
		return false
	}
	one.hold, one.at, one.known, one.changed, one.probes = &h, w, true, now, 1
	one.version = r.opt.Version(one.name)
	for _, runs := range one.rows[w] {
		for _, run := range runs {
			if run != a.Run {
				one.parked[run] = now.Add(returning)
			}
		}
	}
	r.log.Error("rule is stopped, its runs wait", "portal", r.name, "rule", one.name, "cause", Stopped, "reason", h.Reason, "entities", len(one.rows[w]), "next_probe", h.Probe)
	r.opt.Changed(h)
	if w.answer == answerScope {
		one.busy = true
		go r.askScopes(context.WithoutCancel(ctx), one, "")
	}
	return true
}

// judgeStopped learns from an attempt that ended while the rule was stopped.
func (r *Rules) judgeStopped(ctx context.Context, one *rule, a Attempt, w wall) (stopped bool) {
	passing := one.hold.Pass == a.Run
	switch {
	case one.known && a.passed(one.at.step), !one.known && a.Err == nil:
		r.end(ctx, one, "took", time.Since(one.hold.Since).Round(time.Second))
		return false
	case w.answer == "" && !passing:
		return false
	}
	if w.answer != "" {
		one.add(w, a)
	}
	if !passing {
		return true
	}
	// The run must not start again before the next one has been let through.
	next := *one.hold
	next.Pass = 0
	if w.answer != "" {
		next.Reason = a.Err.Error()
	}
	if err := r.opt.Store.SetHold(ctx, next); err != nil {
		r.log.Error("cannot store that a rule is still stopped", "portal", r.name, "rule", one.name, "error", err)
		return false
	}
	one.hold, one.changed = &next, time.Now()
	if w.answer == "" { // the run did not come to the step
		one.hold.Probe = time.Now()
		r.letThrough(ctx, one)
		return false
	}
	one.at, one.known = w, true
	return true
}

// end ends the hold of a rule. The answers to the entities that met the wall are their
// own if they get them again.
func (r *Rules) end(ctx context.Context, one *rule, why ...any) {
	if err := r.opt.Store.EndHold(ctx, r.name, one.name); err != nil {
		r.log.Error("cannot end the hold of a rule, trying again", "portal", r.name, "rule", one.name, "error", err)
		one.hold.Probe = time.Now().Add(probeGap)
		return
	}
	r.log.Info("rule is no longer stopped, its runs start", append([]any{"portal", r.name, "rule", one.name, "cause", Stopped}, why...)...)
	for entity := range one.rows[one.at] {
		if len(one.own) >= mostKept {
			clear(one.own)
		}
		one.own[met{one.at, entity}] = true
	}
	r.forget(one)
}

// forget drops the hold of a rule: it has ended, or another process works the portal.
func (r *Rules) forget(one *rule) {
	if one.hold == nil {
		return
	}
	clear(one.rows)
	one.hold, one.known, one.probes, one.scopes, one.changed = nil, false, 0, "", time.Now()
	r.opt.Changed(queue.Hold{Portal: r.name, Rule: one.name})
}

// Held reports whether this process knows of a stopped rule, or has runs to return.
func (r *Rules) Held() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.rules {
		if one.hold != nil || len(one.parked) > 0 {
			return true
		}
	}
	return false
}

// continueFrom takes over the stored holds of the portal's rules that were read at a
// time, and lets runs through that are due.
func (r *Rules) continueFrom(ctx context.Context, stored map[string]queue.Hold, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.opt.Portal.opt.Mine() != nil {
		for _, one := range r.rules {
			r.forget(one)
		}
		return
	}
	for name, h := range stored {
		if one := r.of(name); one.hold == nil && !one.changed.After(at) {
			h.Probe = time.Now() // a process that starts does not wait
			one.hold, one.version = &h, r.opt.Version(name)
			r.opt.Changed(h)
		}
	}
	for name, one := range r.rules {
		h, is := stored[name]
		if one.hold != nil && !is && !one.changed.After(at) {
			r.forget(one)
		}
		if one.hold != nil && is && h.Probe.Before(one.hold.Probe) { // a person has asked for it
			one.hold.Probe = h.Probe
		}
		r.probe(ctx, one)
		r.returnRuns(ctx, one)
	}
}

// probe lets a run through if that is due, the rule has changed, or a missing scope has
// been given. A portal at fault is probed first.
func (r *Rules) probe(ctx context.Context, one *rule) {
	if one.hold == nil || one.busy || r.opt.Portal.Held() {
		return
	}
	version := r.opt.Version(one.name)
	if version == "" { // the rule may come back
		return
	}
	if version != one.version {
		one.version, one.scopes, one.hold.Probe = version, "", time.Now()
	}
	if time.Now().Before(one.hold.Probe) {
		return
	}
	if one.at.answer == answerScope && one.scopes != "" {
		one.busy = true
		go r.askScopes(ctx, one, one.scopes)
		return
	}
	r.letThrough(ctx, one)
	if one.at.answer == answerScope {
		one.busy = true
		go r.askScopes(ctx, one, "")
	}
}

// askScopes asks which scopes the credentials have. If they had others before, it lets
// a run through.
func (r *Rules) askScopes(ctx context.Context, one *rule, before string) {
	scopes, err := r.opt.Scopes(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	one.busy = false
	if one.hold == nil || err != nil && before == "" {
		return
	}
	if err == nil {
		one.scopes = scopes
	}
	switch {
	case before == "":
	case err == nil && scopes != before, one.probes%triedAnyway == 0:
		r.letThrough(ctx, one)
	default:
		next := *one.hold
		next.Probe = time.Now().Add(pause(Stopped, one.probes))
		if err := r.opt.Store.SetHold(ctx, next); err != nil {
			r.log.Error("cannot store when a stopped rule is tried again", "portal", r.name, "rule", one.name, "error", err)
			return
		}
		one.hold, one.changed = &next, time.Now()
		one.probes++
	}
}

// letThrough lets one waiting run start. Without one the next look tries again.
func (r *Rules) letThrough(ctx context.Context, one *rule) {
	next := time.Now().Add(pause(Stopped, one.probes))
	run, err := r.opt.Store.LetThrough(ctx, r.name, one.name, next)
	if err != nil {
		r.log.Error("cannot let a run of a stopped rule through, trying again", "portal", r.name, "rule", one.name, "error", err)
		return
	}
	if run == 0 {
		return
	}
	one.hold.Pass, one.hold.Probe, one.changed = run, next, time.Now()
	one.probes++
}

// returnRuns makes the runs wait again that were parked before it was clear that the
// rule has met a wall.
func (r *Rules) returnRuns(ctx context.Context, one *rule) {
	for run, until := range one.parked {
		err := r.opt.Store.Replay(ctx, run, returnedBy)
		switch {
		case err == nil, errors.Is(err, queue.ErrNoRun), time.Now().After(until):
			delete(one.parked, run)
		case errors.Is(err, queue.ErrState): // it is still being parked, or it waits
		default:
			r.log.Error("cannot return a run of a stopped rule, trying again", "portal", r.name, "rule", one.name, "run", run, "error", err)
		}
	}
}
