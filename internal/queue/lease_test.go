package queue_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/lease"
	"github.com/b24rules/b24rules/internal/queue"

	"github.com/jackc/pgx/v5"
)

// behind changes a database without the queue.
func behind(t testing.TB, dsn, text string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), text); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

const takenByAnother = `UPDATE b24_lease SET owner = 'another', token = token + 1, beat = 0 WHERE portal = 'acme'`

// A worker whose lease another one has taken ends its runs, and their results are
// ignored.
func TestALostLease(t *testing.T) {
	dsn := newPostgres(t)
	synctest.Test(t, func(t *testing.T) {
		q := openDSN(t, dsn, queue.Options{})
		var ended atomic.Pointer[error]
		begun := make(chan bool, 10)
		work(t, q, func(ctx context.Context, r *queue.Run) error {
			begun <- true
			if r.Entity == "deal:2" {
				return nil
			}
			<-ctx.Done()
			err := context.Cause(ctx)
			ended.Store(&err)
			return nil // it claims success
		})
		push(t, q, "0", queue.Route{Rule: "r", Entity: "deal:1"})
		<-begun
		if err := q.Leases().Holds("acme"); err != nil {
			t.Errorf("holds: %v", err)
		}
		if err := q.Leases().Holds("nobody's"); !errors.Is(err, lease.ErrNotHeld) {
			t.Errorf("holds a portal that it does not work: %v", err)
		}
		// The other worker has found the run running and started it again.
		behind(t, dsn, takenByAnother+`; UPDATE b24_run SET claim = 7`)
		taken := time.Now()
		time.Sleep(2 * time.Second)
		if err := ended.Load(); err == nil || !errors.Is(*err, lease.ErrNotHeld) {
			t.Errorf("the run has ended with %v, want %v", err, lease.ErrNotHeld)
		}
		if err := q.Leases().Holds("acme"); !errors.Is(err, lease.ErrNotHeld) {
			t.Errorf("holds what another has: %v", err)
		}
		if r := runs(t, q, journal.Filter{})[0]; r.State != journal.Running || !r.Finished.IsZero() {
			t.Errorf("the run is %s, want it under way at the other", r.State)
		}
		push(t, q, "1", queue.Route{Rule: "r", Entity: "deal:2"})
		time.Sleep(2 * time.Second)
		if len(begun) > 0 {
			t.Error("a run began without the lease")
		}
		// The other worker sends no heartbeat any more: it is replaced within ten seconds.
		<-begun
		if took := time.Since(taken); took < 4*time.Second || took > 10*time.Second {
			t.Errorf("taken over after %v, want between a term of 4s and 10s", took)
		}
		if err := q.Leases().Holds("acme"); err != nil {
			t.Errorf("holds: %v", err)
		}
	})
}

// A worker that cannot renew its leases stops by its own clock, before another one
// may take over.
func TestALeaseThatCannotBeRenewed(t *testing.T) {
	dsn := newPostgres(t)
	synctest.Test(t, func(t *testing.T) {
		q := openDSN(t, dsn, queue.Options{Lease: 5 * time.Second, Grace: time.Second})
		var took atomic.Int64
		begun := make(chan time.Time, 10)
		stop := work(t, q, func(ctx context.Context, _ *queue.Run) error {
			begun <- time.Now()
			<-ctx.Done()
			took.Store(int64(time.Since(<-begun)))
			return ctx.Err()
		})
		push(t, q, "0", queue.Route{Rule: "r", Entity: "deal:1"})
		time.Sleep(time.Second)
		behind(t, dsn, `ALTER TABLE b24_worker RENAME TO b24_worker_away`)
		time.Sleep(10 * time.Second)
		if d := time.Duration(took.Load()); d < 4*time.Second || d > 6*time.Second {
			t.Errorf("the run ended after %v, want the term of 5s after the last renewal", d)
		}
		behind(t, dsn, `ALTER TABLE b24_worker_away RENAME TO b24_worker`)
		time.Sleep(10 * time.Second)
		if len(begun) != 1 {
			t.Errorf("%d runs begun after the renewals work again, want the same one", len(begun))
		}
		stop()
		if r := runs(t, q, journal.Filter{})[0]; r.State != journal.Waiting || r.Attempt != 0 {
			t.Errorf("the run is %s after attempt %d, want it waiting: being stopped is no attempt", r.State, r.Attempt)
		}
	})
}

// A lease was taken, but the answer was lost: the worker that took it does not know,
// and must not keep it from others.
func TestALeaseThatNobodyKnowsOf(t *testing.T) {
	dsn := newPostgres(t)
	synctest.Test(t, func(t *testing.T) {
		none := func(context.Context, *queue.Run) error { return nil }
		work(t, openDSN(t, dsn, queue.Options{Portals: []string{"acme"}}), none)
		time.Sleep(time.Second)
		behind(t, dsn, `INSERT INTO b24_lease (portal, owner, token, beat) SELECT 'zeta', id, 1, 0 FROM b24_worker`)
		begun := make(chan bool, 1)
		other := openDSN(t, dsn, queue.Options{Portals: []string{"zeta"}})
		work(t, other, func(context.Context, *queue.Run) error { begun <- true; return nil })
		if err := other.Push(t.Context(), journal.Event{Portal: "zeta", Code: "X"}, []queue.Route{{Rule: "r", Entity: "deal:1"}}); err != nil {
			t.Fatal(err)
		}
		select {
		case <-begun:
		case <-time.After(time.Minute):
			t.Error("nobody works the portal")
		}
	})
}

// A process that ends keeps its heartbeat and its leases until its runs have ended, and
// then removes its row. Other processes do not wait for it as one of them.
func TestAProcessThatEndsKeepsItsLeases(t *testing.T) {
	dsn := newPostgres(t)
	synctest.Test(t, func(t *testing.T) {
		first := openDSN(t, dsn, queue.Options{Grace: time.Minute})
		begun, ended := make(chan bool, 2), time.Time{}
		end := work(t, first, func(context.Context, *queue.Run) error {
			begun <- true
			time.Sleep(20 * time.Second)
			ended = time.Now()
			return nil
		})
		push(t, first, "0", queue.Route{Rule: "r", Entity: "deal:1"})
		<-begun
		stopped := make(chan bool)
		go func() { end(); close(stopped) }()
		second := openDSN(t, dsn, queue.Options{})
		again := make(chan time.Time, 2)
		work(t, second, func(context.Context, *queue.Run) error { again <- time.Now(); return nil })
		push(t, second, "1", queue.Route{Rule: "r", Entity: "deal:1"})
		if at := <-again; ended.IsZero() || at.Before(ended) {
			t.Errorf("the second process worked the portal at %v, while the first did so until %v", at, ended)
		}
		<-stopped
		if n := number(t, dsn, `SELECT COUNT(*) FROM b24_worker`); n != 1 {
			t.Errorf("%d processes are listed, want the second", n)
		}
	})
}

// One heartbeat of a process serves all its leases. A process of an older version reads
// those in the rows of the leases, so these grow while there is one.
func TestHeartbeats(t *testing.T) {
	dsn := newPostgres(t)
	synctest.Test(t, func(t *testing.T) {
		q := openDSN(t, dsn, queue.Options{Portals: []string{"acme", "zeta"}})
		work(t, q, func(context.Context, *queue.Run) error { return nil })
		time.Sleep(5 * time.Second)
		if process, leases := number(t, dsn, `SELECT beat FROM b24_worker`), number(t, dsn, `SELECT SUM(beat) FROM b24_lease`); process < 5 || leases != 0 {
			t.Errorf("%d heartbeats of the process and %d of its leases, want only the former", process, leases)
		}
		behind(t, dsn, `INSERT INTO b24_worker (id, info, beat, portals) VALUES ('zz old', 'process 7 on elsewhere, claims runs', 1, '["theirs"]')`)
		time.Sleep(5 * time.Second)
		if least := number(t, dsn, `SELECT MIN(beat) FROM b24_lease`); least < 5 {
			t.Errorf("%d heartbeats of a lease, want them for the older process", least)
		}
		if err := q.Leases().Holds("acme"); err != nil {
			t.Errorf("holds: %v", err)
		}
	})
}

// number reads one number of a database.
func number(t *testing.T, dsn, text string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.QueryRow(t.Context(), text).Scan(&n); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return n
}

// Without a list of portals a worker finds them by their runs.
func TestAWorkerFindsItsPortals(t *testing.T) {
	dsn := newPostgres(t)
	synctest.Test(t, func(t *testing.T) {
		q, err := queue.Open(t.Context(), dsn, queue.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer closeQueue(t, q)
		work := work(t, queue.PollOnly(q), func(context.Context, *queue.Run) error { return nil })
		time.Sleep(3 * time.Second)
		push(t, q, "0", queue.Route{Rule: "r", Entity: "deal:1"})
		begun := time.Now()
		waitIdle(t, q)
		if took := time.Since(begun); took > time.Second {
			t.Errorf("found after %v, want within a second", took)
		}
		work()
	})
}

// Workers start and stop under load: never two runs of an entity at the same time,
// none is lost, none fails.
func TestWorkersComeAndGo(t *testing.T) {
	const entities, portals = 5, 6
	dsn := newPostgres(t)
	var names []string
	for i := range portals {
		names = append(names, fmt.Sprint("portal-", i))
	}
	options := queue.Options{Portals: names, RetryFirst: time.Millisecond, RetryMax: 10 * time.Millisecond, Attempts: 1000, Lease: time.Second}
	busy := map[string]*atomic.Bool{}
	for _, p := range names {
		for e := range entities {
			busy[fmt.Sprint(p, " deal:", e)] = new(atomic.Bool)
		}
	}
	do := func(ctx context.Context, r *queue.Run) error {
		mine := busy[r.Portal+" "+r.Entity]
		if !mine.CompareAndSwap(false, true) {
			t.Errorf("two runs of %s in %s at once", r.Entity, r.Portal)
			return nil
		}
		defer mine.Store(false)
		if err := wait(ctx, rand.N(5*time.Millisecond)); err != nil {
			return err
		}
		if rand.N(10) == 0 {
			return errPortal
		}
		return nil
	}
	first := openDSN(t, dsn, options)
	work(t, first, do)
	ctx, stop := context.WithTimeout(t.Context(), 4*time.Second)
	defer stop()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				e := journal.Event{Portal: names[rand.N(portals)], Code: "X"}
				routes := []queue.Route{{Rule: "a", Entity: fmt.Sprint("deal:", rand.N(entities))}, {Rule: "b", Entity: fmt.Sprint("deal:", rand.N(entities))}}
				if err := first.Push(t.Context(), e, routes); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for ctx.Err() == nil {
		other := openDSN(t, dsn, options)
		leave := work(t, other, do)
		_ = wait(ctx, 700*time.Millisecond)
		leave()
		closeQueue(t, other)
	}
	wg.Wait()
	patience, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	if err := first.WaitIdle(patience); err != nil {
		t.Fatalf("%v; left are %+v", err, runs(t, first, journal.Filter{States: []journal.State{journal.Waiting, journal.Blocked, journal.Queued, journal.Running}}))
	}
	s := stats(t, first)
	if len(s.Runs) != 1 || s.Runs[journal.Succeeded] == 0 {
		t.Errorf("runs are %v, want all succeeded", s.Runs)
	}
}

// The process that becomes the leader takes nothing away from those that work portals.
func TestTheLeaderTakesNoRuns(t *testing.T) {
	dsn := newPostgres(t)
	first := openDSN(t, dsn, queue.Options{Portals: []string{"acme"}})
	begun, end := make(chan bool, 10), make(chan bool)
	work(t, first, func(context.Context, *queue.Run) error {
		begun <- true
		<-end
		return nil
	})
	push(t, first, "0", queue.Route{Rule: "r", Entity: "deal:1"})
	<-begun
	leader := openDSN(t, dsn, queue.Options{Lease: time.Second, Portals: []string{""}})
	work(t, leader, func(context.Context, *queue.Run) error { return nil })
	for leader.Leases().Holds("") != nil {
		if err := wait(t.Context(), 10*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	if all := runs(t, first, journal.Filter{}); len(all) != 1 || all[0].State != journal.Running {
		t.Errorf("after the leader's start: %+v", all)
	}
	if first.Leases().Holds("") == nil || leader.Leases().Holds("acme") == nil {
		t.Error("a process holds a lease that it may not have")
	}
	close(end)
	waitIdle(t, first)
	if all := runs(t, first, journal.Filter{}); all[0].Attempt != 1 || len(begun) > 0 {
		t.Errorf("the run was executed again: %+v", all)
	}
}

// wait waits for a time or for the end of a context.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
