package queue

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// checkEvery is how often a shard that has runs is compared with the database,
// and checkIdle is how often an idle one is.
const (
	checkEvery = 5 * time.Second
	checkIdle  = time.Minute
)

// A check is what differed between a shard and the database at the last
// comparison. A difference that is found twice is repaired.
//
// No difference should ever occur. But when a connection breaks, the last request
// may have succeeded or not: River may have taken a job and forgotten it, or the
// database may have stored a claim that no process knows. And another process may
// discard a run at the same time as a third run is blocked because of it.
type check struct {
	next        time.Time
	queued      map[int64]bool  // given to River, and not started
	lost        map[int64]int64 // running, but not here; by id, the claim
	blocked     int             // blocked, though their entity is not busy
	startedRuns int64           // shard.startedRuns at that time
}

const (
	// Every entity has a name: the condition makes SQLite use the index of busy runs.
	selectBusy = `
SELECT id, state, claim FROM b24_run WHERE portal = $1 AND entity > '' AND state IN ('queued', 'running')`

	blockedByNone = `
portal = $1 AND state = 'blocked' AND NOT EXISTS (
    SELECT 1 FROM b24_run b
    WHERE b.portal = b24_run.portal AND b.entity = b24_run.entity AND b.state IN ('queued', 'running'))`

	countBlockedByNone = `SELECT COUNT(*) FROM b24_run WHERE ` + blockedByNone
	freeBlockedByNone  = `UPDATE b24_run SET state = 'waiting' WHERE ` + blockedByNone
)

// check compares the shards whose time has come.
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
			return fmt.Errorf("repair portal %s: %w", s.portal, err)
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

// has reports whether a run is running here.
func (s *shard) has(run int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running[run] > 0
}

const (
	dequeueRun = `UPDATE b24_run SET state = 'waiting' WHERE id = $1 AND state = 'queued'`
	lostRun    = `UPDATE b24_run SET claim = 0 WHERE id = $1 AND state = 'running' AND claim = $2`
)

// repair makes runs wait again that differed at the last check and still differ.
func (d *dispatcher) repair(ctx context.Context, s *shard, found check) error {
	stuck := 0
	if s.checked.blocked > 0 && found.blocked > 0 {
		stuck += found.blocked
		err := d.q.writes.doInOwnTransaction(ctx, func(ctx context.Context, t *tx) error {
			_, err := t.Exec(ctx, freeBlockedByNone, s.portal)
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
			n, err := t.Exec(ctx, lostRun, id, claim)
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
				_, err := t.Exec(ctx, dequeueRun, id)
				return err
			})
			if err != nil {
				return err
			}
		}
		if stuck > 0 {
			s.forgetNotStarted() // their jobs have no run to start any more
			d.q.touched.add(s.portal)
		}
	}
	if stuck > 0 {
		d.q.options.Log.WarnContext(ctx, "restarted stuck runs", slog.String("portal", s.portal), slog.Int("runs", stuck))
	}
	return nil
}

// hasFreeWorker reports whether a worker is free.
func (s *shard) hasFreeWorker() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.running) < s.worker
}

// forgetNotStarted makes the shard count only the jobs that have started.
func (s *shard) forgetNotStarted() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.jobs = [priorities]int{Live: len(s.running)}
}
