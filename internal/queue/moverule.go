package queue

import (
	"context"
	"fmt"

	"github.com/b24rules/b24rules/internal/store"
)

const (
	// moveWaiting gives a rule the waiting and sleeping runs of another one: $1 is the portal, $2
	// the old rule and $3 the new one.
	moveWaiting = `
UPDATE b24_run SET rule = $3 WHERE portal = $1 AND rule = $2 AND state IN ('waiting', 'blocked', 'queued') AND NOT EXISTS (
    SELECT 1 FROM b24_run n WHERE n.portal = $1 AND n.rule = $3 AND n.entity = b24_run.entity AND n.state IN ('waiting', 'blocked', 'queued'))`

	// mergeWaiting gives a waiting run of the new rule what that of the old one knows. It starts when
	// the earlier one of both would have started: it may sleep while the old one has an event.
	mergeWaiting = `
UPDATE b24_run SET
    added = (b24_run.added OR o.added), deleted = (b24_run.deleted OR o.deleted), count = b24_run.count + o.count,
    priority = CASE WHEN o.priority < b24_run.priority THEN o.priority ELSE b24_run.priority END,
    event_id = CASE WHEN o.event_id > b24_run.event_id THEN o.event_id ELSE b24_run.event_id END,
    first_at = CASE WHEN o.first_at < b24_run.first_at THEN o.first_at ELSE b24_run.first_at END,
    opened_at = CASE WHEN o.opened_at < b24_run.opened_at THEN o.opened_at ELSE b24_run.opened_at END,
    due_at = CASE WHEN o.due_at < b24_run.due_at THEN o.due_at ELSE b24_run.due_at END
FROM b24_run o
WHERE b24_run.portal = $1 AND b24_run.rule = $3 AND b24_run.state IN ('waiting', 'blocked', 'queued')
    AND o.portal = $1 AND o.rule = $2 AND o.entity = b24_run.entity AND o.state IN ('waiting', 'blocked', 'queued') AND o.rule <> $3`

	mergeEvents = `
INSERT INTO b24_run_event (run_id, event_id)
SELECT n.id, e.event_id FROM b24_run o
JOIN b24_run n ON n.portal = o.portal AND n.rule = $3 AND n.entity = o.entity AND n.state IN ('waiting', 'blocked', 'queued')
JOIN b24_run_event e ON e.run_id = o.id
WHERE o.portal = $1 AND o.rule = $2 AND o.state IN ('waiting', 'blocked', 'queued') AND o.rule <> $3
ON CONFLICT (run_id, event_id) DO NOTHING`

	// dropMoved gives up what is left. The run of the new rule does the work of the old one.
	dropMoved = `
UPDATE b24_run SET state = 'discarded', finished_at = $4 WHERE portal = $1 AND rule = $2 AND state IN ('waiting', 'blocked', 'queued') AND rule <> $3`
)

// moveRest are the statements that give a rule what else another one has. What the new rule has
// already stays.
var moveRest = []string{
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
	// A run of the old rule that ended late has made a mark that the new rule has, too.
	`INSERT INTO b24_made (mark, thing, entity, run, at)
SELECT n.id, d.thing, d.entity, d.run, d.at FROM b24_mark o
JOIN b24_mark n ON n.portal = o.portal AND n.rule = $3 AND n.step = o.step AND n.place = o.place AND n.kind = o.kind AND n.identity = o.identity
JOIN b24_made d ON d.mark = o.id
WHERE o.portal = $1 AND o.rule = $2 AND o.rule <> $3
ON CONFLICT (mark, thing) DO UPDATE SET entity = excluded.entity, run = excluded.run, at = excluded.at WHERE excluded.at > b24_made.at`,
	`DELETE FROM b24_made WHERE mark IN (SELECT id FROM b24_mark WHERE portal = $1 AND rule = $2 AND rule <> $3)`,
	`DELETE FROM b24_mark WHERE portal = $1 AND rule = $2 AND rule <> $3`,
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
	if err = q.db.Read.QueryRow(ctx, hasRule, portal, from).Scan(&moved); err == nil && moved {
		err = q.writes.doInOwnTransaction(ctx, func(ctx context.Context, t *tx) error {
			for _, text := range []string{moveWaiting, mergeWaiting, mergeEvents} {
				if _, err := t.Exec(ctx, text, portal, from, to); err != nil {
					return err
				}
			}
			if _, err := t.Exec(ctx, dropMoved, portal, from, to, store.Micros(clock())); err != nil {
				return err
			}
			for _, text := range moveRest {
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
