package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/store"
)

// Hold keeps runs from starting because of a fault. Events are still stored and join
// runs, and the runs start when the hold has ended. Unlike a Pause, a hold starts and
// ends automatically.
type Hold struct {
	Portal string
	Rule   string // "" for all rules of the portal; see also AllOf
	Cause  string // one word
	Reason string // for people
	Since  time.Time
	Probe  time.Time // when the worker looks next whether the fault is over
	// Pass is the one run that may start, to find out whether the fault is over. 0
	// means none.
	Pass int64
}

// allRules ends the Rule of a hold of a rule set. No rule has a name with it.
const allRules = "/*"

// AllOf is the Rule of a hold of a rule set, whose rules are not known: it keeps no runs from
// starting. See also Event.Missing.
func AllOf(set string) string { return set + allRules }

// SetOf returns the rule set of a Rule that AllOf has returned.
func SetOf(rule string) (set string, ok bool) { return strings.CutSuffix(rule, allRules) }

const (
	setHold = `
INSERT INTO b24_hold (portal, rule, cause, reason, since, probe_at, pass) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (portal, rule) DO UPDATE SET
    cause = excluded.cause, reason = excluded.reason, since = excluded.since, probe_at = excluded.probe_at, pass = excluded.pass`

	// bringForward makes the runs that wait for a retry due. A run whose write
	// may still be running waits until not_before.
	bringForward = `
UPDATE b24_run SET due_at = $3
WHERE portal = $1 AND ($2 = '' OR rule = $2) AND state = 'waiting' AND attempt > 0 AND due_at > $3 AND not_before <= $3`
)

// SetHold replaces the hold of the same portal and rule. Runs that
// have started end as usual.
func (q HoldTable) SetHold(ctx context.Context, h Hold) error {
	err := q.writes.doInOwnTransaction(ctx, func(ctx context.Context, t *tx) error {
		if _, err := t.Exec(ctx, setHold, h.Portal, h.Rule, h.Cause, h.Reason, store.Micros(h.Since), store.Micros(h.Probe), h.Pass); err != nil {
			return err
		}
		t.afterCommit(q.changes.send)
		return nil
	})
	if err != nil {
		return fmt.Errorf("hold: %w", err)
	}
	return nil
}

// EndHold removes the hold of a portal and a rule, if there is one. Runs that it covered
// and that wait for a retry are due now: they may have failed because of the same fault.
func (q HoldTable) EndHold(ctx context.Context, portal, rule string) error {
	err := q.writes.doInOwnTransaction(ctx, func(ctx context.Context, t *tx) error {
		n, err := t.Exec(ctx, `DELETE FROM b24_hold WHERE portal = $1 AND rule = $2`, portal, rule)
		if err == nil && n > 0 {
			_, err = t.Exec(ctx, bringForward, portal, rule, store.Micros(clock()))
		}
		t.touchAll(q.base) // runs that are due later need a timer, too
		return err
	})
	if err != nil {
		return fmt.Errorf("end a hold: %w", err)
	}
	return nil
}

// ProbeNow asks the worker to look now whether the faults behind the holds of a portal
// and a rule are over. An empty portal means all portals, an empty rule all holds. It
// returns how many holds there are.
func (q HoldTable) ProbeNow(ctx context.Context, portal, rule string) (holds int, err error) {
	err = q.writes.do(ctx, func(ctx context.Context, t *tx) error {
		n, err := t.Exec(ctx, `UPDATE b24_hold SET probe_at = 0 WHERE ($1 = '' OR portal = $1) AND ($2 = '' OR rule = $2)`, portal, rule)
		holds = int(n)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("probe now: %w", err)
	}
	return holds, nil
}

// HoldList returns all holds, sorted by portal and rule.
func (q HoldTable) HoldList(ctx context.Context) ([]Hold, error) {
	return store.All(ctx, q.db.Read, "read holds", func(row store.Row) (Hold, error) {
		var (
			h            Hold
			since, probe int64
		)
		err := row.Scan(&h.Portal, &h.Rule, &h.Cause, &h.Reason, &since, &probe, &h.Pass)
		h.Since, h.Probe = store.Time(since), store.Time(probe)
		return h, err
	}, `SELECT portal, rule, cause, reason, since, probe_at, pass FROM b24_hold ORDER BY portal, rule`)
}

const (
	// selectPass prefers a run that has not failed yet: its entity may not meet the fault.
	selectPass = `
SELECT r.id FROM b24_run r
WHERE r.state = 'waiting' AND r.portal = $1 AND r.rule = $2 AND ` + journal.WhereNotPaused + `
  AND (r.due_at <= $3 OR r.attempt > 0 AND r.not_before <= $3)
ORDER BY r.error <> '', r.priority, r.due_at, r.id LIMIT 1`

	makeDue = `UPDATE b24_run SET due_at = $2 WHERE id = $1 AND state = 'waiting' AND due_at > $2`

	setPass = `UPDATE b24_hold SET pass = $3, probe_at = $4 WHERE portal = $1 AND rule = $2`
)

// LetThrough lets one waiting run of a held rule start, the hold's Pass, and sets when
// the worker looks again. run is 0 when none waits; then the hold does not change.
func (q HoldTable) LetThrough(ctx context.Context, portal, rule string, probe time.Time) (run int64, err error) {
	err = q.writes.doInOwnTransaction(ctx, func(ctx context.Context, t *tx) error {
		now := clock()
		run = 0
		err := t.QueryRow(ctx, selectPass+t.ForUpdate("r"), portal, rule, store.Micros(now)).Scan(&run)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := t.Exec(ctx, makeDue, run, store.Micros(now)); err != nil {
			return err
		}
		if _, err := t.Exec(ctx, setPass, portal, rule, run, store.Micros(probe)); err != nil {
			return err
		}
		t.touch(q.base, portal, time.Time{})
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("let a run through: %w", err)
	}
	return run, nil
}
