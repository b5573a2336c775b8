package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/b24rules/b24rules/internal/store"
)

// Pause keeps runs from starting. Events are still stored and join runs, and the
// runs start after Resume.
type Pause struct {
	Portal string // "" for all portals
	Rule   string // "" for all rules
	Reason string // for people
	Since  time.Time
}

const (
	setPause = `
INSERT INTO b24_pause (portal, rule, reason, paused_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (portal, rule) DO UPDATE SET reason = excluded.reason`

	// Runs that an older version of the program has queued wait again, and so do
	// those that they blocked.
	dequeuePaused = `
UPDATE b24_run SET state = 'waiting'
WHERE state = 'queued' AND ($1 = '' OR portal = $1) AND ($2 = '' OR rule = $2)`

	unblockPortal = `UPDATE b24_run SET state = 'waiting' WHERE state = 'blocked' AND ($1 = '' OR portal = $1)`
)

// Pause stops runs of a rule in a portal from starting. An empty rule means all
// rules of the portal, an empty portal the rule in all portals; one of them is
// required. Running runs end as usual. A second Pause only changes the reason.
func (q HoldTable) Pause(ctx context.Context, portal, rule, reason string, also ...Also) error {
	if portal == "" && rule == "" {
		return errors.New("pause: neither a portal nor a rule")
	}
	err := q.writes.doInOwnTransaction(ctx, func(ctx context.Context, t *tx) error {
		if _, err := t.Exec(ctx, setPause, portal, rule, reason, store.Micros(clock())); err != nil {
			return err
		}
		if _, err := t.Exec(ctx, dequeuePaused, portal, rule); err != nil {
			return err
		}
		if _, err := t.Exec(ctx, unblockPortal, portal); err != nil {
			return err
		}
		t.touchAll(q.base)
		return doAlso(ctx, t, 0, also)
	})
	if err != nil {
		return fmt.Errorf("pause: %w", err)
	}
	return nil
}

// Resume ends the pause that was set with the same portal and rule. It reports
// whether there was one, and only then does what else belongs to it.
func (q HoldTable) Resume(ctx context.Context, portal, rule string, also ...Also) (was bool, err error) {
	err = q.writes.do(ctx, func(ctx context.Context, t *tx) error {
		n, err := t.Exec(ctx, `DELETE FROM b24_pause WHERE portal = $1 AND rule = $2`, portal, rule)
		was = n > 0
		t.touchAll(q.base)
		if err != nil || !was {
			return err
		}
		return doAlso(ctx, t, 0, also)
	})
	if err != nil {
		return false, fmt.Errorf("resume: %w", err)
	}
	return was, nil
}

// Pauses returns all pauses, sorted by portal and rule.
func (q HoldTable) Pauses(ctx context.Context) ([]Pause, error) {
	return store.All(ctx, q.db.Read, "read pauses", func(row store.Row) (Pause, error) {
		var (
			p  Pause
			at int64
		)
		err := row.Scan(&p.Portal, &p.Rule, &p.Reason, &at)
		p.Since = store.Time(at)
		return p, err
	}, `SELECT portal, rule, reason, paused_at FROM b24_pause ORDER BY portal, rule`)
}
