package queue

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// checkEvery is how often a shard that has something to do is compared with the
// database, and checkIdle one that has not.
const (
	checkEvery = 5 * time.Second
	checkIdle  = time.Minute
)

// A check is what was odd about a shard when it was last compared with the
// database. What is odd twice is put right.
//
// Nothing should ever be odd. But when a connection breaks, nobody knows whether
// what was asked last has been done: River may have taken a job and forgotten
// it, a claim may have been made that nobody knows of. And another process may
// discard the run that a third is being blocked by at this moment.
type check struct {
	next        time.Time
	queued      map[int64]bool  // handed on, and not begun
	lost        map[int64]int64 // running, but not here; by id, the claim
	blocked     int             // blocked, by nothing
	startedRuns int64           // how many had begun
}

const (
	// Entities have names: the condition makes SQLite take the index of busy runs.
	selectBusy = `
SELECT id, state, claim FROM b24_run WHERE portal = $1 AND entity > '' AND state IN ('queued', 'running')`

	blockedByNone = `
portal = $1 AND state = 'blocked' AND NOT EXISTS (
    SELECT 1 FROM b24_run b
    WHERE b.portal = b24_run.portal AND b.entity = b24_run.entity AND b.state IN ('queued', 'running'))`

	countBlockedByNone = `SELECT COUNT(*) FROM b24_run WHERE ` + blockedByNone
	freeBlockedByNone  = `UPDATE b24_run SET state = 'waiting' WHERE ` + blockedByNone
)

// check compares the shards that it is time for.
func (d *dispatcher) check(ctx context.Context) error {
	for _, s := range d.shards.all() {
		if time.Now().Before(s.checked.next) || !s.mayStart() {
			continue
		}
		found, err := d.q.compare(ctx, s)
		if err != nil {
			return fmt.Errorf("compare portal %s: %w", s.portal, err)
		}
		if err := d.repair(ctx, s, found); err != nil {
			return fmt.Errorf("mend portal %s: %w", s.portal, err)
		}
		s.checked = found
	}
	return nil
}

func (q *Queue) compare(ctx context.Context, s *shard) (found check, err error) {
	found = check{queued: map[int64]bool{}, lost: map[int64]int64{}}
	s.mu.Lock()
	found.startedRuns = s.startedRuns
	s.mu.Unlock()
	rows, err := q.db.read.QueryContext(ctx, selectBusy, s.portal)
	if err != nil {
		return check{}, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var (
			id, claim int64
			state     State
		)
		if err := rows.Scan(&id, &state, &claim); err != nil {
			return check{}, err
		}
		switch {
		case s.has(id):
		case state == Queued:
			found.queued[id] = true
		default:
			found.lost[id] = claim
		}
	}
	if err := rows.Err(); err != nil {
		return check{}, err
	}
	if err := q.db.read.QueryRowContext(ctx, countBlockedByNone, s.portal).Scan(&found.blocked); err != nil {
		return check{}, err
	}
	wait := checkIdle
	if len(found.queued)+len(found.lost)+found.blocked+s.notStarted() > 0 {
		wait = checkEvery
	}
	found.next = time.Now().Add(wait)
	return found, nil
}

// has tells whether a run is under way here.
func (s *shard) has(run int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running[run] > 0
}

const (
	dequeueRun = `UPDATE b24_run SET state = 'waiting' WHERE id = $1 AND state = 'queued'`
	lostRun    = `UPDATE b24_run SET claim = 0 WHERE id = $1 AND state = 'running' AND claim = $2`
)

// mend returns to the waiting ones what was odd before and still is.
func (d *dispatcher) repair(ctx context.Context, s *shard, found check) error {
	stuck := 0
	if s.checked.blocked > 0 && found.blocked > 0 {
		stuck += found.blocked
		err := d.q.writes.doAlone(ctx, func(ctx context.Context, t *tx) error {
			_, err := t.exec(ctx, freeBlockedByNone, s.portal)
			t.touch(d.q, s.portal)
			return err
		})
		if err != nil {
			return err
		}
	}
	for id, claim := range found.lost {
		if before, ok := s.checked.lost[id]; !ok || before != claim || s.has(id) {
			continue
		}
		stuck++
		err := d.q.writes.do(ctx, func(ctx context.Context, t *tx) error {
			n, err := t.exec(ctx, lostRun, id, claim)
			if err != nil || n == 0 {
				return err
			}
			t.touch(d.q, s.portal)
			return requeue(ctx, t, id, turn{due: time.Now(), atOnce: true})
		})
		if err != nil {
			return err
		}
	}
	if s.checked.startedRuns == found.startedRuns && s.hasFreeWorker() {
		for id := range found.queued {
			if !s.checked.queued[id] {
				continue
			}
			stuck++
			err := d.q.writes.do(ctx, func(ctx context.Context, t *tx) error {
				_, err := t.exec(ctx, dequeueRun, id)
				return err
			})
			if err != nil {
				return err
			}
		}
		if stuck > 0 {
			s.forgetNotStarted() // their jobs are summonses to nothing now
			d.q.touched.add(s.portal)
		}
	}
	if stuck > 0 {
		d.q.options.Log.WarnContext(ctx, "runs were stuck and are begun anew", slog.String("portal", s.portal), slog.Int("runs", stuck))
	}
	return nil
}

// roomToBegin tells whether a worker is free.
func (s *shard) hasFreeWorker() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.running) < s.worker
}

// forgetUnbegun counts only the jobs that have begun from now on.
func (s *shard) forgetNotStarted() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.jobs = [priorities]int{Live: len(s.running)}
}
