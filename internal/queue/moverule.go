package queue

import (
	"context"
	"fmt"
)

// moveRule are the statements that give a rule what another one has: $1 is the portal, $2 the
// old rule and $3 the new one. What the new rule has already stays.
var moveRule = []string{
	`UPDATE b24_run SET rule = $3 WHERE portal = $1 AND rule = $2 AND state IN ('waiting', 'blocked', 'queued') AND NOT EXISTS (
    SELECT 1 FROM b24_run n WHERE n.portal = $1 AND n.rule = $3 AND n.entity = b24_run.entity AND n.state IN ('waiting', 'blocked', 'queued'))`,
	// The run of the new rule does the work of the old one.
	`UPDATE b24_run SET state = 'discarded', finished_at = opened_at WHERE portal = $1 AND rule = $2 AND state IN ('waiting', 'blocked', 'queued') AND rule <> $3`,
	`UPDATE b24_run SET rule = $3 WHERE portal = $1 AND rule = $2 AND state = 'parked'`,
	`UPDATE b24_memory SET rule = $3 WHERE portal = $1 AND rule = $2 AND NOT EXISTS (
    SELECT 1 FROM b24_memory n WHERE n.portal = $1 AND n.rule = $3 AND n.entity = b24_memory.entity AND n.key = b24_memory.key)`,
	`DELETE FROM b24_memory WHERE portal = $1 AND rule = $2 AND rule <> $3`,
	`UPDATE b24_pause SET rule = $3 WHERE portal = $1 AND rule = $2 AND NOT EXISTS (SELECT 1 FROM b24_pause n WHERE n.portal = $1 AND n.rule = $3)`,
	`DELETE FROM b24_pause WHERE portal = $1 AND rule = $2 AND rule <> $3`,
	`DELETE FROM b24_hold WHERE portal = $1 AND rule = $2 AND rule <> $3`,
	`UPDATE b24_window SET rule = $3 WHERE portal = $1 AND rule = $2`,
	`UPDATE b24_mark SET rule = $3 WHERE portal = $1 AND rule = $2 AND NOT EXISTS (
    SELECT 1 FROM b24_mark n WHERE n.portal = $1 AND n.rule = $3 AND n.step = b24_mark.step AND n.place = b24_mark.place AND n.kind = b24_mark.kind AND n.identity = b24_mark.identity)`,
}

// hasRule looks for what a rule has that moveRule moves.
const hasRule = `
SELECT EXISTS (SELECT 1 FROM b24_memory WHERE portal = $1 AND rule = $2)
    OR EXISTS (SELECT 1 FROM b24_run WHERE portal = $1 AND rule = $2 AND state IN ('waiting', 'blocked', 'queued', 'parked'))
    OR EXISTS (SELECT 1 FROM b24_pause WHERE portal = $1 AND rule = $2)
    OR EXISTS (SELECT 1 FROM b24_hold WHERE portal = $1 AND rule = $2)
    OR EXISTS (SELECT 1 FROM b24_window WHERE portal = $1 AND rule = $2)
    OR EXISTS (SELECT 1 FROM b24_mark WHERE portal = $1 AND rule = $2)`

// MoveRule gives a rule what another one has: its waiting and parked runs, its memory, pause and
// windows, and what it has made. Its hold ends. It reports whether there was anything.
func (q Repairs) MoveRule(ctx context.Context, portal, from, to string) (moved bool, err error) {
	if err = q.db.read.QueryRow(ctx, hasRule, portal, from).Scan(&moved); err == nil && moved {
		err = q.writes.doInOwnTransaction(ctx, func(ctx context.Context, t *tx) error {
			for _, text := range moveRule {
				if _, err := t.Exec(ctx, text, portal, from, to); err != nil {
					return err
				}
			}
			t.touchAll(q.base)
			return nil
		})
	}
	if err != nil {
		return false, fmt.Errorf("move what rule %s has to rule %s: %w", from, to, err)
	}
	return moved, nil
}
