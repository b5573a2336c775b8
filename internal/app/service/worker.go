package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/engine/run"
	"github.com/b24rules/b24rules/internal/catchup"
	"github.com/b24rules/b24rules/internal/cause"
	"github.com/b24rules/b24rules/internal/hold"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/redact"
)

// worker executes runs.
type worker struct {
	record   int // limit of the bytes of a record; 0 means the default
	redactor *redact.Redactor
	private  *engine.PrivateHosts // hosts that requests to other systems may reach
	rules    *Rules
	portals  portals
	metrics  *metrics
	log      *slog.Logger
}

// ruleWait is how long a run waits for a rule that may be in a broken rule file.
const ruleWait = 30 * time.Second

// work executes a run with the current rule.
func (w *worker) work(ctx context.Context, r *queue.Run) error {
	started := time.Now()
	p, ok := w.portals[r.Portal]
	if !ok {
		r.SetCause(cause.Cause{Kind: cause.Gone}.String())
		return queue.Park(fmt.Errorf("portal %q is no longer in the configuration", r.Portal))
	}
	gen := w.rules.Current()
	rule, inputs, ok := gen.Rule(r.Rule, r.Portal)
	if !ok {
		return absent(gen, r)
	}
	run, err := w.engineRun(p, r, inputs)
	if err != nil {
		return queue.Park(err)
	}
	trace, err := run.Do(ctx, rule)
	r.Record(trace.Record(w.record, w.redactor))
	if err != nil {
		r.SetCause(cause.Of(err).String())
	}
	outcome, stopped := string(trace.Outcome), w.stopped(ctx, p, r, trace, err)
	switch {
	case stopped != nil:
		outcome, err = "postponed", stopped
	case err != nil:
		outcome, err = verdict(err)
	}
	took := time.Since(started)
	w.metrics.attempts.WithLabelValues(r.Portal, outcome).Inc()
	w.metrics.runSeconds.Observe(took.Seconds())
	if err == nil {
		w.metrics.delaySeconds.Observe(time.Since(r.First).Seconds())
	}
	// The queue logs the text of a failure; this line has the costs of each attempt.
	w.log.LogAttrs(ctx, slog.LevelInfo, "run",
		slog.String("portal", r.Portal), slog.String("rule", r.Rule), slog.String("entity", r.Entity),
		slog.String("outcome", outcome), slog.Int("calls", trace.Calls), slog.Int("writes", trace.Writes),
		slog.Duration("took", took.Round(time.Microsecond)),
		slog.Int64("run", r.ID), slog.Int("attempt", r.Number()), slog.Int("events", r.Count))
	return err
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

// absent decides about a run whose rule is missing. The run is parked and not
// discarded: a deployment may remove a file for a short time, and a parked run can be
// replayed.
func absent(gen *Generation, r *queue.Run) error {
	r.SetCause(cause.Cause{Kind: cause.NoRule, Rule: r.Rule}.String())
	err := fmt.Errorf("rule %q is not among the rules of portal %s, replay the run when the rule is back", r.Rule, r.Portal)
	if gen.Missing() {
		return queue.Postpone(time.Now().Add(ruleWait), fmt.Errorf("%w (it may be in a rule file that is invalid)", err))
	}
	return queue.Park(err)
}

func (w *worker) engineRun(p *Portal, r *queue.Run, inputs map[string]any) (run.Run, error) {
	entity, err := engine.ParseEntity(r.Entity)
	if err != nil {
		return run.Run{}, err
	}
	event, err := engineEvent(r.Event)
	if err != nil {
		return run.Run{}, err
	}
	if r.Event.Code == catchup.CodeSync || r.Event.Code == catchup.CodeDowntime {
		event.Data, event.Time = EntityEvent(entity.TypeID, entity.ID).Data, r.Event.Received // the portal has sent no event
	}
	var client engine.Portal = p.Client
	if r.Priority == queue.Backfill { // the burst is for live events
		client = p.Later()
	}
	return run.Run{
		// The ids of a new database start at 1 again.
		ID:     fmt.Sprintf("%d/%d", r.ID, r.First.UnixMicro()),
		Portal: p.Name, Client: client, Entity: entity, Event: event,
		Count: r.Count, Added: r.Added, Deleted: r.Deleted,
		Attempt: r.Attempt, LastAttempt: r.Attempt >= r.MaxAttempts,
		Inputs: inputs, Memory: r, Guard: &p.guard, Zone: p.Zone, Language: p.language, Calendar: &p.calendar, Log: w.log, Private: w.private,
		PortalDown: p.hold.Judge,
	}, nil
}

// verdict translates the engine's verdict about a failure for the queue. The engine
// decides whether to try again, the queue decides when.
func verdict(err error) (outcome string, forQueue error) {
	var re *run.RunError
	if !errors.As(err, &re) {
		return "failed", err
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
