package queue

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/store"
)

// Route asks for a run of a rule because of an event.
type Route struct {
	Rule   string // the rule's id
	Entity string // what the rule runs for, such as "deal:759"

	// Debounce is how long the run waits for further events, counted from the
	// last one. 0 starts it at once.
	Debounce time.Duration

	// Ceiling is how long further events can delay the run, counted from the
	// first one. 0 means ten times Debounce.
	Ceiling time.Duration

	// AtOnce starts the run without Debounce if no run of the rule and entity is
	// pending or running, and none has ended within Debounce. Further events then start
	// one more run, which waits as usual.
	AtOnce bool

	// Added and Deleted report that the event has added or deleted the entity.
	// After a deletion all runs of the entity are Deleted until an event adds it.
	Added, Deleted bool

	// Attempts is how often the run is tried before it is parked. 0 means
	// Options.Attempts.
	Attempts int
}

// tombstoneRetention is how long a deleted entity is remembered: late updates of it
// arrive within seconds, and people repeat runs within days.
const tombstoneRetention = 30 * 24 * time.Hour

// Push stores an event and the runs that its routes ask for, and returns nil only
// after they are on disk. Pushes that wait at the same time share one transaction.
// An event without routes is stored too, so that history shows it.
func (q Input) Push(ctx context.Context, e journal.Event, routes []Route, also ...Also) error {
	if err := checkPush(e, routes); err != nil {
		return err
	}
	if e.Received.IsZero() {
		e.Received = clock()
	}
	if e.Data == nil {
		e.Data = json.RawMessage("null")
	}
	key := ""
	if len(routes) > 0 {
		key = entityKey(e.Portal, routes[0].Entity)
	}
	err := q.writes.doUrgent(ctx, key, func(ctx context.Context, t *tx) error {
		if err := q.push(ctx, t, e, routes); err != nil {
			return err
		}
		return doAlso(ctx, t, len(routes), also)
	})
	if err != nil {
		return fmt.Errorf("push %s of %s: %w", e.Code, e.Portal, err)
	}
	return nil
}

func checkPush(e journal.Event, routes []Route) error {
	switch {
	case e.Portal == "":
		return errors.New("push: an event without a portal")
	case e.Code == "":
		return errors.New("push: an event without a code")
	case e.Data != nil && !json.Valid(e.Data):
		return fmt.Errorf("push %s of %s: the data is not JSON", e.Code, e.Portal)
	}
	for _, r := range routes {
		switch {
		case r.Rule == "" || r.Entity == "":
			return fmt.Errorf("push %s of %s: a route needs a rule and an entity", e.Code, e.Portal)
		case r.Debounce < 0 || r.Ceiling < 0 || r.Attempts < 0:
			return fmt.Errorf("push %s of %s: debounce, ceiling and attempts of rule %s cannot be negative", e.Code, e.Portal, r.Rule)
		}
	}
	return nil
}

const insertEvent = `
INSERT INTO b24_event (portal, code, data, routes, sent_at, received_at, missing, why)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
RETURNING id`

const insertRunEvent = `
INSERT INTO b24_run_event (run_id, event_id) VALUES ($1, $2)
ON CONFLICT (run_id, event_id) DO NOTHING`

func (q Input) push(ctx context.Context, t *tx, e journal.Event, routes []Route) error {
	if err := storeEvent(ctx, t, &e, len(routes)); err != nil {
		return err
	}
	return q.joinAll(ctx, t, e, routes)
}

// storeEvent stores an event and sets its ID.
func storeEvent(ctx context.Context, t *tx, e *journal.Event, routes int) error {
	err := t.QueryRow(ctx, insertEvent, e.Portal, e.Code, string(e.Data), routes, store.Micros(e.Sent), store.Micros(e.Received), strings.Join(e.Missing, " "), e.Why).Scan(&e.ID)
	if err != nil {
		return fmt.Errorf("store the event: %w", err)
	}
	return nil
}

// joinAll stores the runs of a stored event, or lets it join those that wait.
func (q Input) joinAll(ctx context.Context, t *tx, e journal.Event, routes []Route) error {
	for _, r := range routes {
		if err := noteLifecycle(ctx, t, e, r); err != nil {
			return fmt.Errorf("note that %s was added or deleted: %w", r.Entity, err)
		}
		id, due, err := q.join(ctx, t, e, r)
		if err != nil {
			return fmt.Errorf("store a run of rule %s for %s: %w", r.Rule, r.Entity, err)
		}
		if _, err := t.Exec(ctx, insertRunEvent, id, e.ID); err != nil {
			return fmt.Errorf("store a run of rule %s for %s: %w", r.Rule, r.Entity, err)
		}
		t.touch(q.base, e.Portal, due)
	}
	return nil
}

const (
	bury = `
INSERT INTO b24_tombstone (portal, entity, seen_at) VALUES ($1, $2, $3)
ON CONFLICT (portal, entity) DO UPDATE SET seen_at = excluded.seen_at`

	unbury = `DELETE FROM b24_tombstone WHERE portal = $1 AND entity = $2`

	revive = `
UPDATE b24_run SET deleted = FALSE
WHERE portal = $1 AND entity = $2 AND deleted AND state NOT IN ('succeeded', 'discarded')`
)

// noteLifecycle inserts and deletes tombstones: a deleted entity wins over updates
// that arrive late (the order of events is not guaranteed), not over its
// restoration.
func noteLifecycle(ctx context.Context, t *tx, e journal.Event, r Route) error {
	if r.Deleted {
		_, err := t.Exec(ctx, bury, e.Portal, r.Entity, store.Micros(e.Received))
		return err
	}
	if r.Added {
		if _, err := t.Exec(ctx, unbury, e.Portal, r.Entity); err != nil {
			return err
		}
		_, err := t.Exec(ctx, revive, e.Portal, r.Entity)
		return err
	}
	return nil
}

// upsertRun inserts a pending run, or lets the event join the existing one.
//
// Its due time: a run that the portal has postponed keeps it, and so does one that is
// due and only waits for another run of its entity; a run that waits for a retry is
// brought forward; the due time of any other moves with its last event, up to the
// ceiling after its first. A run of a backfill becomes a live one, as if this were its
// first event, and so does a run that sleeps: otherwise the ceiling would count from the
// time for which it waits.
//
// Another version of the program blocks and queues runs.
const upsertRun = `
INSERT INTO b24_run (portal, rule, entity, state, added, deleted, count, max_attempts, event_id, first_at, opened_at, due_at)
VALUES ($1, $2, $3, 'waiting', $4, $5, 1, $6, $7, $8, $8, $9)
ON CONFLICT (portal, rule, entity) WHERE state IN ('waiting', 'blocked', 'queued') DO UPDATE SET
    added = (b24_run.added OR excluded.added),
    deleted = (b24_run.deleted OR excluded.deleted),
    count = b24_run.count + 1,
    earlier = b24_run.earlier + b24_run.attempt,
    attempt = 0,
    max_attempts = excluded.max_attempts,
    event_id = excluded.event_id,
    priority = 0,
    state = CASE
        WHEN b24_run.priority > 0 AND b24_run.state = 'queued' THEN 'waiting'
        ELSE b24_run.state END,
    first_at = CASE
        WHEN b24_run.first_at > $8 THEN excluded.first_at
        ELSE b24_run.first_at END,
    opened_at = CASE
        WHEN b24_run.attempt > 0 OR b24_run.priority > 0 OR b24_run.opened_at > $8 THEN excluded.opened_at
        ELSE b24_run.opened_at END,
    due_at = CASE
        WHEN b24_run.state <> 'waiting' THEN b24_run.due_at
        WHEN b24_run.not_before > $8 THEN b24_run.due_at
        WHEN b24_run.attempt > 0 AND b24_run.due_at < excluded.due_at THEN b24_run.due_at
        WHEN b24_run.attempt > 0 OR b24_run.priority > 0 THEN excluded.due_at
        WHEN b24_run.due_at <= $8 AND EXISTS (
            SELECT 1 FROM b24_run b
            WHERE b.portal = b24_run.portal AND b.entity = b24_run.entity AND b.state = 'running') THEN b24_run.due_at
        WHEN b24_run.opened_at + $10 < excluded.due_at THEN b24_run.opened_at + $10
        ELSE excluded.due_at END
RETURNING id, due_at`

// selectRecent reports whether a run of a rule and entity is unfinished, or has ended
// after a time.
const selectRecent = `
SELECT EXISTS (
    SELECT 1 FROM b24_run r WHERE r.portal = $1 AND r.entity = $2 AND r.rule = $3
    AND (r.state IN ('waiting', 'blocked', 'queued', 'running') OR r.finished_at > $4))`

func (q Input) join(ctx context.Context, t *tx, e journal.Event, r Route) (id int64, due time.Time, err error) {
	ceiling := r.Ceiling
	if ceiling == 0 {
		ceiling = 10 * r.Debounce
	}
	debounce := r.Debounce
	if r.AtOnce && debounce > 0 {
		var recent bool
		if err := t.QueryRow(ctx, selectRecent, e.Portal, r.Entity, r.Rule, store.Micros(e.Received.Add(-debounce))).Scan(&recent); err != nil {
			return 0, time.Time{}, err
		}
		if !recent {
			debounce = 0
		}
	}
	var at int64
	err = t.QueryRow(ctx, upsertRun, e.Portal, r.Rule, r.Entity, r.Added, r.Deleted, q.attempts(r), e.ID,
		store.Micros(e.Received), store.Micros(e.Received.Add(min(debounce, ceiling))), ceiling.Microseconds()).Scan(&id, &at)
	return id, store.Time(at), err
}

func (q Input) attempts(r Route) int { return cmp.Or(r.Attempts, q.options.Attempts) }
