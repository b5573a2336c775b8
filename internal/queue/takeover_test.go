package queue_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/b24rules/b24rules/internal/queue"

	"github.com/google/go-cmp/cmp"
)

// takeover is a call of Options.Takeover.
type takeover struct {
	Portal string
	Ago    time.Duration
}

// On SQLite a process may follow another one that ended in order, and noted when,
// or that was killed. The work that belongs to no portal has no limits.
func TestTakeoverOfAFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dsn := newDSN(t)
		var got []takeover
		spare := map[string]time.Duration{"main": 20 * time.Second}
		reopen := func() *queue.Queue {
			return openDSN(t, dsn, queue.Options{Portals: []string{"main", "other", ""}, Spare: func(portal string) time.Duration { return spare[portal] }, Takeover: func(portal string, until time.Time) {
				got = append(got, takeover{portal, time.Since(until).Round(time.Second)})
			}})
		}
		rest := func(context.Context, *queue.Run) error { return nil }
		q := reopen()
		stop := work(t, q, rest)
		time.Sleep(time.Minute)
		stop()
		closeQueue(t, q)
		if len(got) > 0 {
			t.Errorf("a new database is takeovers over: %v", got)
		}
		time.Sleep(10 * time.Second)
		q = reopen()
		if err := q.Lock(t.Context()); err != nil {
			t.Fatal(err)
		}
		closeQueue(t, q) // it does not end its work: as if it were killed
		time.Sleep(10 * time.Second)
		q = reopen()
		stop = work(t, q, rest)
		time.Sleep(time.Second)
		stop()
		if diff := cmp.Diff([]takeover{{"main", 30 * time.Second}, {"other", 10 * time.Second}, {"", 0}}, got); diff != "" {
			t.Errorf("takeovers (-want +got):\n%s", diff)
		}
	})
}

// On PostgreSQL a process takes over a portal while it works.
func TestTakeoverOfALease(t *testing.T) {
	dsn := newPostgres(t)
	synctest.Test(t, func(t *testing.T) {
		takeovers := make(chan takeover, 10)
		q := openDSN(t, dsn, queue.Options{Portals: []string{"acme", "zeta"}, Takeover: func(portal string, until time.Time) {
			takeovers <- takeover{portal, time.Since(until).Round(time.Second)}
		}})
		work(t, q, func(context.Context, *queue.Run) error { return nil })
		push(t, q, "0", queue.Route{Rule: "r", Entity: "deal:1"})
		waitIdle(t, q)
		if len(takeovers) > 0 {
			t.Errorf("portals that nobody had are takeovers over: %v", <-takeovers)
		}
		behind(t, dsn, takenByAnother)
		if got := <-takeovers; got != (takeover{"acme", 0}) {
			t.Errorf("takeover %v, want acme until now", got)
		}
		push(t, q, "1", queue.Route{Rule: "r", Entity: "deal:1"})
		waitIdle(t, q)
		if len(takeovers) > 0 {
			t.Errorf("what was not takeovers over: %v", <-takeovers)
		}
		// The other process gives it back, and notes how much of the limits it has left.
		behind(t, dsn, takenByAnother)
		behind(t, dsn, `UPDATE b24_lease SET owner = '', token = token + 1, rested = 7000000 WHERE portal = 'acme'`)
		if got := <-takeovers; got != (takeover{"acme", 7 * time.Second}) {
			t.Errorf("takeover %v, want acme until 7 s ago", got)
		}
		behind(t, dsn, takenByAnother)
		if got := <-takeovers; got != (takeover{"acme", 0}) {
			t.Errorf("takeover %v, want acme until now: the other process has not said since when", got)
		}
	})
}

// A process that falls silent is reported once, by one of the others.
func TestAnotherProcessFallsSilent(t *testing.T) {
	dsn := newPostgres(t)
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		behind(t, dsn, `INSERT INTO b24_worker (id, info, beat) VALUES ('zz long gone', '', 7), ('zz other', '', 1)`)
		for range 2 {
			q := openDSN(t, dsn, queue.Options{Silenced: func() { calls.Add(1) }})
			work(t, q, func(context.Context, *queue.Run) error { return nil })
		}
		for range 3 {
			time.Sleep(2 * time.Second)
			behind(t, dsn, `UPDATE b24_worker SET beat = beat + 1 WHERE id = 'zz other'`)
		}
		if n := calls.Load(); n != 0 {
			t.Errorf("Silenced was called %d times for processes that live or never did", n)
		}
		time.Sleep(time.Minute)
		if n := calls.Load(); n != 1 {
			t.Errorf("Silenced was called %d times for a process that fell silent, want once", n)
		}
		time.Sleep(5 * time.Minute)
		if left := number(t, dsn, `SELECT COUNT(*) FROM b24_worker`); left != 2 {
			t.Errorf("%d rows of workers, want the two that live", left)
		}
	})
}
