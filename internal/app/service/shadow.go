package service

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/dryrun"
	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/engine/run"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/shadow"
	"github.com/b24rules/b24rules/internal/store"
)

// shadowCeiling is how many delays the runs of an entity in shadow mode wait at most
// while more events arrive.
const shadowCeiling = 10

// errLookAgain postpones a run whose rule would write something. The script that works
// next to us may need more time.
var errLookAgain = errors.New("the portal differs from the rule, comparing once more")

// Shadow reports whether the rules of the portal only compare and write nothing.
func (p *Portal) Shadow() bool { return p.shadow != 0 }

// routes converts the rules that match an event into the form of the queue.
func (all *portals) routes(portal string, found []engine.Route) []queue.Route {
	p := all.get(portal)
	var out []queue.Route
	for _, r := range found {
		debounce, ceiling := p.debounce(r.Rule)
		out = append(out, queue.Route{
			Rule: r.Rule.ID, Entity: r.Entity.String(), Debounce: debounce, Ceiling: ceiling,
			Added: r.Added, Deleted: r.Deleted, AtOnce: p.early(r),
		})
	}
	return out
}

// debounce returns how long the runs of a rule wait for more events. In shadow mode they
// wait until the script that does the work has done it.
func (p *Portal) debounce(r *engine.Rule) (wait, ceiling time.Duration) {
	if p == nil || p.shadow == 0 {
		return r.Debounce, r.Ceiling
	}
	return max(r.Debounce, p.shadow), max(r.Ceiling, shadowCeiling*p.shadow)
}

// dryRun executes a run of a portal in shadow mode. It writes nothing to the portal and
// compares what the rule would write with what is there.
func (w *worker) dryRun(ctx context.Context, p *Portal, r *queue.Run, engineRun run.Run, rule *engine.Rule) (*history.Trace, error) {
	dry := &dryrun.Run{}
	engineRun.DryRun, engineRun.Shadow = dry, true
	trace, failed := engineRun.Do(ctx, rule)
	result := shadow.Comparison{Portal: p.Name, Rule: r.Rule, Entity: r.Entity, Version: trace.Version, Run: r.ID, At: time.Now()}
	if failed != nil {
		var re *run.RunError
		if !errors.As(failed, &re) || re.Verdict == run.Later || re.Verdict == run.Retry && !engineRun.LastAttempt {
			return trace, failed // another attempt follows
		}
		result.Error = failed.Error()
	} else {
		changes, err := dry.Changes(ctx)
		if err != nil {
			return trace, p.comparing(ctx, rule, err)
		}
		result.Add(rule, changes)
		if len(result.Differences) > 0 {
			again, err := shadow.LooksAgain(ctx, w.database, p.Name, r.Rule, r.Entity, r.ID)
			if err != nil {
				return trace, err
			}
			// A sync is not caused by an event, so no script works at the same time.
			if !again && r.Priority != journal.Backfill {
				r.AtEnd(result.LookAgain)
				return trace, &run.RunError{Rule: rule.ID, Pos: rule.Pos, Verdict: run.Later, NotBefore: time.Now().Add(p.shadow), Err: errLookAgain}
			}
		}
	}
	r.AtEnd(func(ctx context.Context, t store.Tx) error { return result.Store(ctx, t, w.redactor) })
	w.metrics.compared(result)
	w.log.LogAttrs(ctx, slog.LevelDebug, "compared with the portal", slog.String("portal", p.Name), slog.String("rule", r.Rule),
		slog.String("entity", r.Entity), slog.Int("differences", len(result.Differences)), slog.Int("would_send", len(result.Sent)))
	return trace, failed
}

// comparing returns the error of a run whose changes could not be compared, because a
// record could not be read.
func (p *Portal) comparing(ctx context.Context, rule *engine.Rule, err error) error {
	verdict := run.Retry
	if p.hold.Judge(ctx, err) {
		verdict = run.Later
	}
	return &run.RunError{Rule: rule.ID, Pos: rule.Pos, Verdict: verdict, Err: err}
}
