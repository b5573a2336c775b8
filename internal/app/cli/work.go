package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/run"
	"github.com/b24rules/b24rules/internal/catchup"
	"github.com/b24rules/b24rules/internal/queue"
)

// push stores an event with the runs that it asks for. Its data is kept as it
// came, so that a run sees what the portal has sent.
func (a *app) push(ctx context.Context, portal string, e bitrix.Event) error {
	if taken, err := a.life(ctx, a.portals[portal], e); taken {
		return err
	}
	data := json.RawMessage("null")
	if e.Data != nil {
		text, err := json.Marshal(e.Data)
		if err != nil {
			return fmt.Errorf("event %s: %w", e.Code, err)
		}
		data = text
	}
	stored := queue.Event{Portal: portal, Code: e.Code, Data: data, Sent: e.Time}
	event, err := engineEvent(stored)
	if err != nil {
		return err
	}
	var routes []queue.Route
	for _, r := range a.rules.current.Load().route(portal, event) {
		routes = append(routes, queue.Route{
			Rule: r.Rule.ID, Entity: r.Entity.String(), Debounce: r.Rule.Debounce, Ceiling: r.Rule.Ceiling,
			Added: r.Added, Deleted: r.Deleted,
		})
	}
	storing := a.metrics.storing.WithLabelValues(portal)
	storing.Inc()
	defer storing.Dec()
	return a.queue.Push(ctx, stored, routes)
}

// engineEvent reads a stored event the way rules see it.
func engineEvent(e queue.Event) (engine.Event, error) {
	v, err := formula.FromJSON(e.Data)
	if err != nil {
		return engine.Event{}, fmt.Errorf("data of event %s: %w", e.Code, err)
	}
	data, _ := v.(map[string]any) // PHP writes an empty array for an empty map
	return engine.Event{Code: e.Code, Data: data, Time: e.Sent}, nil
}

// absence is how long a run waits for a rule that may stand in a file that is
// broken at the moment.
const absence = 30 * time.Second

// work executes a run with the rule as it is now.
func (a *app) work(ctx context.Context, r *queue.Run) error {
	started := time.Now()
	p, ok := a.portals[r.Portal]
	if !ok {
		return queue.Park(fmt.Errorf("portal %q is no longer in the configuration", r.Portal))
	}
	gen := a.rules.current.Load()
	rule, inputs, ok := gen.rule(r.Rule, r.Portal)
	if !ok {
		return absent(gen, r)
	}
	run, err := a.engineRun(p, r, inputs)
	if err != nil {
		return queue.Park(err)
	}
	trace, err := run.Do(ctx, rule)
	r.Record(trace.Record(a.config.History.Record, a.hider))
	outcome := string(trace.Outcome)
	if err != nil {
		outcome, err = verdict(err)
	}
	took := time.Since(started)
	a.metrics.attempts.WithLabelValues(r.Portal, outcome).Inc()
	a.metrics.runSeconds.Observe(took.Seconds())
	if err == nil {
		a.metrics.delaySeconds.Observe(time.Since(r.First).Seconds())
	}
	// The queue tells the text of a failure; this line tells what each run cost.
	a.log.LogAttrs(ctx, slog.LevelInfo, "run",
		slog.String("portal", r.Portal), slog.String("rule", r.Rule), slog.String("entity", r.Entity),
		slog.String("outcome", outcome), slog.Int("calls", trace.Calls), slog.Int("writes", trace.Writes),
		slog.Duration("took", took.Round(time.Microsecond)),
		slog.Int64("run", r.ID), slog.Int("attempt", r.Attempt), slog.Int("events", r.Count))
	return err
}

// absent decides about a run whose rule is not there. It is parked, not
// forgotten: a deployment may remove a file for a moment, and a parked run can
// be replayed when the rule is back.
func absent(gen *generation, r *queue.Run) error {
	err := fmt.Errorf("rule %q is not among the rules of portal %s: replay the run when it is back", r.Rule, r.Portal)
	if gen.missing() {
		return queue.Postpone(time.Now().Add(absence), fmt.Errorf("%w (a rule file is broken, it may stand there)", err))
	}
	return queue.Park(err)
}

func (a *app) engineRun(p *portal, r *queue.Run, inputs map[string]any) (run.Run, error) {
	entity, err := engine.ParseEntity(r.Entity)
	if err != nil {
		return run.Run{}, err
	}
	event, err := engineEvent(r.Event)
	if err != nil {
		return run.Run{}, err
	}
	if r.Event.Code == catchup.CodeSync || r.Event.Code == catchup.CodeAbsence {
		event.Data, event.Time = entityEvent(entity.TypeID, entity.ID).Data, r.Event.Received // no portal has sent it
	}
	var client engine.Portal = p.client
	if r.Priority == queue.Backfill { // the burst is for the events of people
		client = p.later()
	}
	return run.Run{
		// A new database counts from 1 again.
		ID:     fmt.Sprintf("%d/%d", r.ID, r.First.UnixMicro()),
		Portal: p.name, Client: client, Entity: entity, Event: event,
		Count: r.Count, Added: r.Added, Deleted: r.Deleted,
		Attempt: r.Attempt, LastAttempt: r.Attempt >= r.MaxAttempts,
		Inputs: inputs, Memory: r, Guard: &p.guard, Zone: p.zone, Log: a.log,
	}, nil
}

// verdict translates what the engine says of a failure for the queue. The
// engine says whether to try again, the queue alone says when.
func verdict(err error) (outcome string, forQueue error) {
	var re *run.RunError
	if !errors.As(err, &re) {
		return "failed", err
	}
	switch re.Verdict {
	case run.Park:
		return "parked", queue.Park(err)
	case run.Later:
		return "postponed", queue.Postpone(re.NotBefore, err)
	case run.Retry:
		if !re.NotBefore.IsZero() {
			return "failed", queue.RetryFrom(re.NotBefore, err)
		}
	}
	return "failed", err
}
