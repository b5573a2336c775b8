package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/dryrun"
	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/engine/run"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/catchup"
	"github.com/b24rules/b24rules/internal/cause"
	"github.com/b24rules/b24rules/internal/hold"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/lease"
	"github.com/b24rules/b24rules/internal/ledger"
	"github.com/b24rules/b24rules/internal/numbers"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/redact"
	"github.com/b24rules/b24rules/internal/store"
)

// worker executes runs.
type worker struct {
	record   int // limit of the bytes of a record; 0 means the default
	redactor *redact.Redactor
	config   *settings
	rules    *fleet.Rules
	portals  *portals
	hold     func(ctx context.Context, h queue.Hold) error
	metrics  *metrics
	database store.DB
	made     *ledger.Entities
	log      *slog.Logger
}

// work executes a run with the current rule.
func (w *worker) work(ctx context.Context, r *queue.Run) error {
	started := time.Now()
	r.Describe("", 0, costs(0, 0, 0, false)...)
	p := w.portals.get(r.Portal)
	if p == nil {
		r.SetCause(cause.Cause{Kind: cause.Gone}.String())
		return w.absent(ctx, queue.Hold{Portal: r.Portal, Cause: hold.Removed, Reason: notConfigured})
	}
	gen := w.rules.Current()
	rule, inputs, ok := gen.Rule(r.Rule, r.Portal)
	if !ok {
		r.SetCause(cause.Cause{Kind: cause.NoRule, Rule: r.Rule}.String())
		return w.absent(ctx, holdOf(gen, r))
	}
	if w.portals.renamed(p) {
		return queue.Postpone(started.Add(time.Second), errors.New("runs of this portal under its old name are still in progress"))
	}
	p.running.Add(1)
	defer p.running.Add(-1)
	run, err := w.engineRun(p, r, gen, inputs)
	if err != nil {
		return queue.Park(err)
	}
	if run.Quiet && rule.Remembers() {
		waitForEvents(&run, p, r, rule, w.config.Load().Limits)
	}
	var items *listed
	if r.Event.Code == journal.CodeStart && !p.Shadow() {
		items = &listed{Portal: run.Client}
		run.Client = items
	}
	var trace *history.Trace
	if p.Shadow() && !run.Look { // no event: the script may never have worked on the entity
		trace, err = w.dryRun(ctx, p, r, run, rule)
	} else {
		trace, err = run.Do(ctx, rule)
	}
	if items != nil && err == nil {
		var until time.Time
		if until, err = items.again(ctx, p, r, gen, w.config.Load().Limits.EventsArrive()); err == nil && !until.IsZero() {
			r.SleepUntil(until)
		}
	}
	r.Record(trace.Record(w.record, w.redactor))
	if err != nil {
		r.SetCause(cause.Of(err).String())
	}
	if len(trace.Made) > 0 && !trace.DryRun {
		by := ledger.Run{Portal: r.Portal, Entity: run.Entity, ID: r.ID, At: started}
		r.AtEnd(func(ctx context.Context, t store.Tx) error { return ledger.Write(ctx, t, by, trace.Made) })
	}
	outcome := string(trace.Outcome)
	stopped := outdated(p, started, err)
	if stopped == nil {
		stopped = w.stopped(ctx, p, r, trace, err)
	}
	switch {
	case stopped != nil:
		outcome, err = "postponed", stopped
	case err != nil:
		outcome, err = verdict(err)
	}
	if run.Look && err != nil && (outcome == "parked" || outcome == "failed" && run.LastAttempt) {
		w.log.Warn("a first look has failed", "portal", r.Portal, "rule", r.Rule, "entity", r.Entity, "error", err)
		err = queue.GiveUp(err) // a live run will see the entity
	}
	took := time.Since(started)
	w.metrics.attempts.WithLabelValues(r.Portal, outcome).Inc()
	w.metrics.runSeconds.Observe(took.Seconds())
	if err == nil {
		w.metrics.delaySeconds.Observe(time.Since(r.First).Seconds())
	}
	r.Describe(outcome, trace.Writes, costs(trace.Calls, trace.Writes, took, p.Shadow())...)
	return err
}

// costs is what the line of an attempt in the log says about its costs.
func costs(calls, writes int, took time.Duration, isShadow bool) []slog.Attr {
	attrs := []slog.Attr{slog.Int("calls", calls), slog.Int("writes", writes), slog.Duration("took", took.Round(time.Microsecond))}
	if isShadow {
		attrs = append(attrs, slog.Bool("shadow", true))
	}
	return attrs
}

// stopped returns what the queue receives instead of a failure because of which the
// rule is stopped: the run waits for the end of that. It is nil otherwise.
func (w *worker) stopped(ctx context.Context, p *Portal, r *queue.Run, trace *history.Trace, err error) error {
	a := hold.Attempt{Rule: r.Rule, Entity: r.Entity, Run: r.ID, Err: err, Passed: trace.Passed}
	until := time.Now()
	if re := (*run.RunError)(nil); errors.As(err, &re) {
		if re.Verdict == run.Later {
			return nil
		}
		a.Step, a.Handled = re.Step, re.Handled
		if re.NotBefore.After(until) {
			until = re.NotBefore
		}
	}
	if ctx.Err() != nil || !p.rules.Judge(ctx, a) {
		return nil
	}
	return queue.Postpone(until, err)
}

// outdated returns what the queue receives instead of a failure because a field does not exist or
// was not kept, if the description of the fields is older than the run: people add and
// delete fields. The run starts again with the current description.
func outdated(p *Portal, started time.Time, err error) error {
	var parked *engine.ParkedError
	if !errors.As(err, &parked) || parked.Kind != engine.ParkedByMissing && parked.Kind != engine.ParkedByLostField {
		return nil
	}
	if !p.Client.ForgetFields(started) {
		return nil
	}
	return queue.Postpone(time.Now(), err)
}

// holdOf is the hold of a rule that does not run now.
func holdOf(gen *fleet.Generation, r *queue.Run) queue.Hold {
	h := queue.Hold{Portal: r.Portal, Rule: r.Rule, Cause: hold.Removed, Reason: removedRule}
	for _, refused := range gen.Refused() {
		if refused.Portal == r.Portal && refused.Running == "" && !refused.Removed() {
			h.Cause, h.Reason = hold.Broken, "the rule is in no valid rule file: "+refused.Reason()
		}
	}
	return h
}

// absent holds the runs of a rule or a portal that files have removed. They start when
// it is back: see ruleKeeper.
func (w *worker) absent(ctx context.Context, h queue.Hold) error {
	h.Since = time.Now()
	if err := w.hold(ctx, h); err != nil {
		return err
	}
	return queue.Postpone(time.Now(), errors.New(h.Reason))
}

func (w *worker) engineRun(p *Portal, r *queue.Run, gen *fleet.Generation, inputs map[string]any) (run.Run, error) {
	entity, err := engine.ParseEntity(r.Entity)
	if err != nil {
		return run.Run{}, err
	}
	event, err := engineEvent(r.Event)
	if err != nil {
		return run.Run{}, err
	}
	quiet := r.Priority == journal.Backfill // no event has reported a change
	if r.Event.Code == journal.CodeStart {
		event.Data, event.Time = nil, r.Event.Received
	}
	switch {
	case !r.Woken.IsZero():
		event.Time = r.Woken
	case r.Event.Code == catchup.CodeTick:
		quiet = false // a tick is meant: steps take effect as for an event
		event.Data = EntityEvent(entity.TypeID, entity.ID).Data
		if entity.Kind == engine.KindPortal {
			event.Data = nil
		}
	case r.Event.Code == catchup.CodeSync, r.Event.Code == catchup.CodeApply, r.Event.Code == catchup.CodeDowntime, r.Event.Code == catchup.CodeLook:
		quiet = true
		event.Data, event.Time = EntityEvent(entity.TypeID, entity.ID).Data, r.Event.Received // the portal has sent no event
	}
	find := findRule(w.rules, r.Portal)
	var client engine.Portal = p.Client
	if r.Priority == journal.Backfill { // the burst is for live events
		client = p.Later()
	}
	out := run.Run{
		// The ids of a new database start at 1 again.
		ID:     fmt.Sprintf("%d/%d", r.ID, r.First.UnixMicro()),
		Portal: p.Name, Client: client, Entity: entity, Event: event,
		Count: r.Count, Added: r.Added, Deleted: r.Deleted, Quiet: quiet,
		Attempt: r.Attempt, Repeated: r.Repeated, LastAttempt: r.Attempt >= r.MaxAttempts,
		Inputs: inputs, Memory: runMemory{r, p, find}, Rule: find, Guard: p.guard, Fields: p.fields, Zone: p.Zone, Language: p.language, Calendar: p.calendar, Log: w.log, Numbers: numbers.New(w.database, p.Name), Records: recordsOf(p.Name, gen, w.database, w.made), Private: w.config.Load().PrivateHosts,
		PortalDown: w.portals.down(p),
	}
	if r.Event.Code == catchup.CodeLook && r.Woken.IsZero() {
		out.Look, out.DryRun = true, &dryrun.Run{}
	}
	return out, nil
}

// verdict translates the engine's verdict about a failure for the queue. The engine
// decides whether to try again, the queue decides when.
func verdict(err error) (outcome string, forQueue error) {
	var re *run.RunError
	if errors.Is(err, lease.ErrNotHeld) { // the next holder of the lease repeats the run
		return "postponed", queue.Postpone(time.Now(), err)
	}
	if !errors.As(err, &re) {
		return "failed", err
	}
	if soon := (*run.TooSoonError)(nil); errors.As(err, &soon) {
		return "postponed", queue.AwaitEvent(soon.Until, err)
	}
	switch re.Verdict {
	case run.Park:
		return "parked", queue.Park(err)
	case run.Later:
		until := re.NotBefore
		if until.IsZero() { // the portal is held, and the run starts when the hold ends
			until = time.Now()
		}
		return "postponed", queue.Postpone(until, err)
	case run.Retry:
		if !re.NotBefore.IsZero() {
			return "failed", queue.RetryFrom(re.NotBefore, err)
		}
	}
	return "failed", err
}
