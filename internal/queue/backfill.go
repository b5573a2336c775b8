package queue

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/store"
)

// maxPage bounds a page of a backfill, so that no page delays for long the events
// that wait for the same transaction.
const maxPage = 1000

// Page is a part of a backfill: runs without an event of the portal.
type Page struct {
	Portal string

	// Code and Data are the event that history shows as the cause: one for the
	// whole page, made by us. A nil Data is stored as null.
	Code string
	Data json.RawMessage
	// Sent is the time of that event; zero when it has none.
	Sent time.Time

	// Routes ask for one run each, at most 1,000. Only Rule, Entity and Attempts
	// have an effect: a backfill has no debounce and neither adds nor deletes an
	// entity.
	Routes []Route

	// With, if not nil, is called in the same transaction with the result: it stores
	// the progress of the backfill, so that it resumes there after a kill. When it
	// fails, nothing of the page is stored, and Backfill returns its error.
	With func(ctx context.Context, t store.Tx, result BackfillResult) error
}

// BackfillResult is the result of a page.
type BackfillResult struct {
	Event   int64 // of the page; 0 when it started no run
	Started int   // runs
	Joined  int   // routes that already had a pending run, which does the work
}

// Backfill stores a page of runs of the lowest priority, due at once, and
// returns nil only after they are on disk. When the rule and entity of a route
// have a pending run, that run does not change. A later event joins a waiting run
// and makes it a live one.
func (q Input) Backfill(ctx context.Context, p Page) (BackfillResult, error) {
	e := journal.Event{Portal: p.Portal, Code: p.Code, Data: p.Data, Sent: p.Sent, Received: clock()}
	if e.Data == nil {
		e.Data = json.RawMessage("null")
	}
	if err := checkPush(e, p.Routes); err != nil {
		return BackfillResult{}, err
	}
	if len(p.Routes) > maxPage {
		return BackfillResult{}, fmt.Errorf("backfill of %s: %d routes in a page, at most %d are allowed", p.Portal, len(p.Routes), maxPage)
	}
	var result BackfillResult
	err := q.writes.doInOwnTransaction(ctx, func(ctx context.Context, t *tx) (err error) {
		result, err = q.backfill(ctx, t, e, p.Routes)
		if err == nil && p.With != nil {
			err = p.With(ctx, t, result)
		}
		return err
	})
	if err != nil {
		return BackfillResult{}, fmt.Errorf("backfill of %s: %w", p.Portal, err)
	}
	return result, nil
}

// insertBackfill inserts a run, or brings one forward that sleeps. Any other waiting run
// does the work.
const insertBackfill = `
INSERT INTO b24_run (portal, rule, entity, state, added, deleted, count, max_attempts, event_id, first_at, opened_at, due_at, priority)
VALUES ($1, $2, $3, 'waiting', FALSE, FALSE, 1, $4, $5, $6, $6, $6, 1)
ON CONFLICT (portal, rule, entity) WHERE state IN ('waiting', 'blocked', 'queued') DO UPDATE SET
    event_id = excluded.event_id, first_at = excluded.first_at, opened_at = excluded.opened_at, due_at = excluded.due_at
WHERE b24_run.state = 'waiting' AND b24_run.opened_at > excluded.opened_at AND b24_run.due_at > excluded.due_at
RETURNING id`

func (q Input) backfill(ctx context.Context, t *tx, e journal.Event, routes []Route) (BackfillResult, error) {
	if len(routes) == 0 {
		return BackfillResult{}, nil
	}
	if err := storeEvent(ctx, t, &e, len(routes)); err != nil {
		return BackfillResult{}, err
	}
	result := BackfillResult{Event: e.ID}
	for _, r := range routes {
		var id int64
		err := t.QueryRow(ctx, insertBackfill, e.Portal, r.Rule, r.Entity, q.attempts(r), result.Event, store.Micros(e.Received)).Scan(&id)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			result.Joined++
			continue
		case err != nil:
			return BackfillResult{}, fmt.Errorf("store a run of rule %s for %s: %w", r.Rule, r.Entity, err)
		}
		if _, err := t.Exec(ctx, insertRunEvent, id, result.Event); err != nil {
			return BackfillResult{}, fmt.Errorf("store a run of rule %s for %s: %w", r.Rule, r.Entity, err)
		}
		result.Started++
	}
	if result.Started == 0 {
		_, err := t.Exec(ctx, `DELETE FROM b24_event WHERE id = $1`, result.Event)
		result.Event = 0
		return result, err
	}
	t.touch(q.base, e.Portal, time.Time{})
	return result, nil
}
