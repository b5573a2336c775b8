package queue

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/store"
)

// A following is what a run leaves behind if it succeeds.
type following struct {
	starts []Route
	wake   time.Time
	gone   bool // the entity of the run at wake does not exist
}

// Start starts runs for other entities if this one succeeds, in the same transaction.
// Each has the priority of this one: what a backfill starts is a backfill.
func (r *Run) Start(routes ...Route) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next.starts = append(r.next.starts, routes...)
}

// Sleep plans the next run of the same rule and entity if this one succeeds. If an event
// has started it already, nothing is planned. deleted says that the entity does not exist
// any more, like journal.Run.Deleted. The latest call counts.
func (r *Run) Sleep(until time.Time, deleted bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next.wake, r.next.gone = until, deleted
}

// SleepUntil plans the next run like Sleep for an entity that exists, unless it is planned for an earlier
// time.
func (r *Run) SleepUntil(latest time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next.wake.IsZero() || latest.Before(r.next.wake) {
		r.next.wake = latest
	}
}

// following returns what follows the run, its starts in the order of their keys.
func (r *Run) following(v verdict) following {
	r.mu.Lock()
	defer r.mu.Unlock()
	if v.outcome != journal.OutcomeSucceeded {
		return following{}
	}
	out := r.next
	out.starts = slices.Clone(out.starts)
	slices.SortStableFunc(out.starts, func(a, b Route) int {
		return cmp.Or(strings.Compare(a.Entity, b.Entity), strings.Compare(a.Rule, b.Rule))
	})
	out.starts = slices.CompactFunc(out.starts, func(a, b Route) bool { return a.Entity == b.Entity && a.Rule == b.Rule })
	return out
}

// finishWith stores the success of a run and the runs that it starts. It touches many
// entities, so it goes through them in the order of their keys, and its own entity has
// its place in that order: no other transaction waits for this one while this one waits
// for it.
func (q finisher) finishWith(ctx context.Context, t *tx, r *Run, v verdict, next following) error {
	data, err := json.Marshal(journal.Starter{Run: r.ID, Rule: r.Rule, Entity: r.Entity})
	if err != nil {
		return err
	}
	e := journal.Event{Portal: r.Portal, Code: journal.CodeStart, Data: data, Received: clock()}
	if err := storeEvent(ctx, t, &e, len(next.starts)); err != nil {
		return err
	}
	ended := false
	end := func() error {
		ended = true
		return q.end(ctx, t, r, v, next)
	}
	for _, s := range next.starts {
		if !ended && s.Entity >= r.Entity {
			if err := end(); err != nil {
				return err
			}
		}
		if err := q.start(ctx, t, r.Priority, e, s); err != nil {
			return fmt.Errorf("start rule %s for %s: %w", s.Rule, s.Entity, err)
		}
	}
	if !ended {
		return end()
	}
	return nil
}

// start starts one run. A waiting run of a backfill stays one if a backfill starts it.
func (q finisher) start(ctx context.Context, t *tx, p journal.Priority, e journal.Event, s Route) error {
	var id int64
	var due time.Time
	var err error
	if p == journal.Backfill {
		err = t.QueryRow(ctx, insertBackfill, e.Portal, s.Rule, s.Entity, Input(q).attempts(s), e.ID, store.Micros(e.Received)).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) { // it waits already, and does the work
			return nil
		}
	} else {
		id, due, err = Input(q).join(ctx, t, e, s)
	}
	if err != nil {
		return err
	}
	_, err = t.Exec(ctx, insertRunEvent, id, e.ID)
	t.touch(q.base, e.Portal, due)
	return err
}

// insertSleeper stores a run that sleeps: it waits, and its first event counts as
// received when it wakes up. Its event is the one of the run before it.
const insertSleeper = `
INSERT INTO b24_run (portal, rule, entity, state, added, deleted, count, max_attempts, event_id, first_at, opened_at, due_at, priority)
VALUES ($1, $2, $3, 'waiting', FALSE, $7, 1, $4, $5, $6, $6, $6, 1)
ON CONFLICT (portal, rule, entity) WHERE state IN ('waiting', 'blocked', 'queued') DO NOTHING
RETURNING id`

// sleep stores the next run of a run that has succeeded. The sweep deletes no event of
// a run, however long it sleeps.
func (q finisher) sleep(ctx context.Context, t *tx, r *Run, until time.Time, deleted bool) error {
	var id int64
	err := t.QueryRow(ctx, insertSleeper, r.Portal, r.Rule, r.Entity, r.MaxAttempts, r.Event.ID, store.Micros(until), deleted).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) { // an event came in the meantime, and its run plans again
		return nil
	}
	if err == nil {
		_, err = t.Exec(ctx, insertRunEvent, id, r.Event.ID)
	}
	if err != nil {
		return fmt.Errorf("plan the next run: %w", err)
	}
	t.touch(q.base, r.Portal, until)
	return nil
}

const selectSleepers = `
SELECT r.id, r.entity FROM b24_run r
WHERE r.portal = $2 AND r.rule = $3 AND r.state IN ('waiting', 'blocked', 'queued') AND r.entity > $4 AND ` + journal.WhereAsleep + `
ORDER BY r.entity LIMIT $5`

// WakeSleepers makes runs of a rule due that sleep, at most a page of them: those of
// entities after a name. It returns the last entity, "" when there are no more.
func (q Input) WakeSleepers(ctx context.Context, portal, rule, after string) (last string, err error) {
	err = q.writes.doInOwnTransaction(ctx, func(ctx context.Context, t *tx) error {
		now := store.Micros(clock())
		type sleeper struct {
			id     int64
			entity string
		}
		page, err := store.All(ctx, t, "", func(row store.Row) (s sleeper, err error) {
			err = row.Scan(&s.id, &s.entity)
			return s, err
		}, selectSleepers+t.ForUpdate("r"), now, portal, rule, after, maxPage)
		if err != nil {
			return err
		}
		last = ""
		for _, s := range page {
			last = s.entity
			if _, err := t.Exec(ctx, `UPDATE b24_run SET first_at = $1, opened_at = $1, due_at = $1 WHERE id = $2`, now, s.id); err != nil {
				return err
			}
		}
		if last != "" {
			t.touch(q.base, portal, time.Time{})
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("wake the sleeping runs of rule %s: %w", rule, err)
	}
	return last, nil
}
