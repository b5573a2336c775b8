package queue_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
)

func testADeletedEntityWinsOverLateUpdates(t *testing.T) {
	update := queue.Route{Rule: "r", Entity: "deal:1"}
	other := queue.Route{Rule: "s", Entity: "deal:1"}
	elsewhere := queue.Route{Rule: "r", Entity: "deal:2"}
	deleted, added := update, update
	deleted.Deleted, added.Added = true, true
	slow := func(r queue.Route) queue.Route { r.Debounce = time.Minute; return r }
	type pushed struct {
		at    time.Duration
		route queue.Route
	}
	for _, tt := range []struct {
		name   string
		pushes []pushed
		want   []bool // Deleted of the runs, in order
	}{
		{"updates before it know nothing", []pushed{{0, update}, {time.Minute, deleted}}, []bool{false, true}},
		{"an update after it is late", []pushed{{0, deleted}, {time.Minute, update}}, []bool{true, true}},
		{"in one run too", []pushed{{0, slow(deleted)}, {time.Second, slow(update)}}, []bool{true}},
		{"for other rules too", []pushed{{0, deleted}, {time.Minute, other}}, []bool{true, true}},
		{"even for a run that waits already", []pushed{{0, slow(other)}, {time.Second, deleted}}, []bool{true, true}},
		{"not for other entities", []pushed{{0, deleted}, {time.Minute, elsewhere}}, []bool{true, false}},
		{"until it is added again", []pushed{{0, deleted}, {time.Minute, added}, {2 * time.Minute, update}}, []bool{true, false, false}},
		{"added again within one run", []pushed{{0, slow(deleted)}, {time.Second, slow(added)}}, []bool{false}},
		{"added again for other rules' runs that wait", []pushed{{0, deleted}, {time.Second, slow(other)}, {2 * time.Second, added}}, []bool{true, false, false}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := openNew(t, queue.Options{})
				j := newRunLog()
				work(t, q, func(_ context.Context, r *queue.Run) error { j.note(r); return nil })
				for _, p := range tt.pushes {
					time.Sleep(p.at - time.Since(j.begun))
					push(t, q, "0", p.route)
				}
				waitIdle(t, q)
				var got []bool
				for _, e := range j.all() {
					got = append(got, e.Deleted)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("deleted (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func testADeletedEntityIsRememberedForAMonth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dsn := newDSN(t)
		runIt := func(r queue.Route) (deleted bool) {
			q := openDSN(t, dsn, queue.Options{})
			stop := work(t, q, func(_ context.Context, r *queue.Run) error { deleted = r.Deleted; return nil })
			push(t, q, "0", r)
			waitIdle(t, q)
			stop()
			closeQueue(t, q)
			return deleted
		}
		runIt(queue.Route{Rule: "r", Entity: "deal:1", Deleted: true})
		time.Sleep(29 * 24 * time.Hour)
		if !runIt(queue.Route{Rule: "r", Entity: "deal:1"}) {
			t.Error("forgotten after 29 days")
		}
		time.Sleep(2 * 24 * time.Hour)
		if runIt(queue.Route{Rule: "r", Entity: "deal:1"}) {
			t.Error("remembered after 31 days")
		}
	})
}

func testMemoryChangesOnlyWithSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openNew(t, queue.Options{Attempts: 2})
		type seen struct {
			Value string
			OK    bool
		}
		var got []seen
		work(t, q, func(ctx context.Context, r *queue.Run) error {
			value, ok, err := r.Get(ctx, "announce")
			if err != nil {
				return err
			}
			got = append(got, seen{value, ok})
			r.Set("announce", string(r.Event.Data))
			if r.Attempt == 1 {
				return errPortal
			}
			return nil
		})
		deal := func(rule, entity string) queue.Route { return queue.Route{Rule: rule, Entity: entity} }
		push(t, q, `"NEW"`, deal("r", "deal:1"))
		waitIdle(t, q)
		push(t, q, `"WON"`, deal("r", "deal:1"))
		waitIdle(t, q)
		push(t, q, `"WON"`, deal("r", "deal:2"))
		waitIdle(t, q)
		push(t, q, `"WON"`, deal("s", "deal:1"))
		waitIdle(t, q)
		want := []seen{{"", false}, {"", false}, {`"NEW"`, true}, {`"NEW"`, true}, {"", false}, {"", false}, {"", false}, {"", false}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("memory (-want +got):\n%s", diff)
		}
	})
}

func testAValueThatIsEmptyIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openNew(t, queue.Options{Attempts: 2})
		steps := []func(r *queue.Run){
			func(r *queue.Run) { r.Set("a", "1"); r.Set("b", "2"); r.Set("c", "3") },
			func(r *queue.Run) { r.Set("a", ""); r.Set("d", "4") },
			func(r *queue.Run) { r.Set("b", "5"); r.Forget(); r.Set("e", "6") },
		}
		n := 0
		work(t, q, func(_ context.Context, r *queue.Run) error {
			steps[n](r)
			n++
			return nil
		})
		for i, want := range []string{"a=1 b=2 c=3 ", "b=2 c=3 d=4 ", "e=6 "} {
			push(t, q, "0", queue.Route{Rule: "r", Entity: "deal:1"})
			waitIdle(t, q)
			got, m := "", q.Memory("acme", "r", "deal:1")
			for _, key := range []string{"a", "b", "c", "d", "e"} {
				value, ok, err := m.Get(t.Context(), key)
				if err != nil {
					t.Fatal(err)
				}
				if ok {
					got += key + "=" + value + " "
				}
			}
			if got != want {
				t.Errorf("after run %d: %s, want %s", i+1, got, want)
			}
		}
	})
}

// While processes are replaced, one of the previous version may store a value of once.
func testThePreviousVersionStoresOnce(t *testing.T) {
	dsn := newDSN(t)
	q := openDSN(t, dsn, queue.Options{})
	for _, value := range []string{"v", "w"} {
		execDSN(t, dsn, `
INSERT INTO b24_once (portal, rule, entity, step, value) VALUES ('acme', 'r', 'deal:1', 'announce', '`+value+`')
ON CONFLICT (portal, rule, entity, step) DO UPDATE SET value = excluded.value`)
		got, _, err := q.Memory("acme", "r", "deal:1").Get(t.Context(), "announce")
		if err != nil || got != value {
			t.Errorf("remembered %q, %v, want %q", got, err, value)
		}
	}
}

// execDSN executes a statement as another process.
func execDSN(t *testing.T, dsn, text string) {
	t.Helper()
	if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		if _, err := db.ExecContext(t.Context(), text); err != nil {
			t.Fatal(err)
		}
		return
	}
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	if _, err := conn.Exec(t.Context(), text); err != nil {
		t.Fatal(err)
	}
}

func testDoneMarks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openNew(t, queue.Options{Attempts: 2})
		result := []error{errPortal, errPortal, errPortal, nil, nil}
		var got []bool
		work(t, q, func(ctx context.Context, r *queue.Run) error {
			done, err := r.Done(ctx, "post")
			if err != nil {
				return err
			}
			got = append(got, done)
			if err := r.MarkDone(ctx, "post"); err != nil {
				return err
			}
			return result[len(got)-1]
		})
		push(t, q, "0", queue.Route{Rule: "r", Entity: "deal:1"})
		waitIdle(t, q) // failed, failed: parked
		if err := q.Replay(t.Context(), 1, "anna@web1"); err != nil {
			t.Fatal(err)
		}
		waitIdle(t, q) // failed, succeeded
		push(t, q, "1", queue.Route{Rule: "r", Entity: "deal:1"})
		waitIdle(t, q)
		if diff := cmp.Diff([]bool{false, true, true, true, false}, got); diff != "" {
			t.Errorf("done before each attempt (-want +got):\n%s", diff)
		}
	})
}

func testDiscardForgetsDoneMarks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openNew(t, queue.Options{Attempts: 1})
		var got []bool
		work(t, q, func(ctx context.Context, r *queue.Run) error {
			done, err := r.Done(ctx, "post")
			if err != nil {
				return err
			}
			got = append(got, done)
			if err := r.MarkDone(ctx, "post"); err != nil {
				return err
			}
			return errPortal
		})
		push(t, q, "0", queue.Route{Rule: "r", Entity: "deal:1"})
		waitIdle(t, q)
		for _, step := range []func(context.Context, int64, string, ...queue.Also) error{q.Discard, q.Replay} {
			if err := step(t.Context(), 1, ""); err != nil {
				t.Fatal(err)
			}
		}
		waitIdle(t, q)
		if diff := cmp.Diff([]bool{false, false}, got); diff != "" {
			t.Errorf("done before each attempt (-want +got):\n%s", diff)
		}
	})
}

func testMarkDoneOutlivesItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openNew(t, queue.Options{Grace: time.Second})
		var done bool
		do := func(ctx context.Context, r *queue.Run) (err error) {
			if done, err = r.Done(ctx, "post"); err != nil || done {
				return err
			}
			<-ctx.Done() // the post went out, and now we are stopped
			if err := r.MarkDone(ctx, "post"); err != nil {
				t.Error(err)
			}
			return ctx.Err()
		}
		stop := work(t, q, do)
		push(t, q, "0", queue.Route{Rule: "r", Entity: "deal:1"})
		time.Sleep(time.Minute)
		stop()
		work(t, q, do)
		waitIdle(t, q)
		if !done {
			t.Error("the mark is lost")
		}
	})
}

func testReplayAndDiscardMindTheState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openNew(t, queue.Options{Attempts: 1})
		result := errPortal
		stop := work(t, q, func(context.Context, *queue.Run) error { return result })
		route := queue.Route{Rule: "r", Entity: "deal:1"}
		push(t, q, "0", route) // run 1 is parked
		waitIdle(t, q)
		result = nil
		push(t, q, "1", route) // run 2 succeeds
		waitIdle(t, q)
		stop()
		push(t, q, "2", route) // run 3 waits
		for _, tt := range []struct {
			name string
			do   func(context.Context, int64, string, ...queue.Also) error
			run  int64
			want error
		}{
			{"replay a success", q.Replay, 2, queue.ErrState},
			{"discard a success", q.Discard, 2, queue.ErrState},
			{"replay a waiting one", q.Replay, 3, queue.ErrState},
			{"replay nothing", q.Replay, 99, queue.ErrNoRun},
			{"discard nothing", q.Discard, 99, queue.ErrNoRun},
			{"replay a parked one beside a waiting one", q.Replay, 1, nil},
			{"which joined it", q.Discard, 3, queue.ErrNoRun},
			{"discard a waiting one", q.Discard, 1, nil},
		} {
			if err := tt.do(t.Context(), tt.run, "anna@web1"); !errors.Is(err, tt.want) {
				t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
			}
		}
		if s := stats(t, q); s.Runs[journal.Discarded] != 1 || s.Runs[journal.Succeeded] != 1 || len(s.Runs) != 2 {
			t.Errorf("runs are %v", s.Runs)
		}
	})
}

func testRepairsByFilter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openNew(t, queue.Options{Attempts: 1, Workers: 50})
		var broken atomic.Bool
		broken.Store(true)
		work(t, q, func(context.Context, *queue.Run) error {
			if broken.Load() {
				return errPortal
			}
			return nil
		})
		for i := range 250 {
			push(t, q, "0", queue.Route{Rule: []string{"a", "b"}[i%2], Entity: fmt.Sprint("deal:", i)})
		}
		waitIdle(t, q)
		if n, err := q.DiscardAll(t.Context(), journal.Filter{Rule: "b", Limit: 5}, "anna@web1"); err != nil || n != 5 {
			t.Errorf("discarded %d, %v, want 5", n, err)
		}
		broken.Store(false)
		if n, err := q.ReplayAll(t.Context(), journal.Filter{Rule: "a"}, "anna@web1"); err != nil || n != 125 {
			t.Errorf("replayed %d, %v, want 125", n, err)
		}
		waitIdle(t, q)
		if diff := cmp.Diff(map[journal.State]int{journal.Succeeded: 125, journal.Discarded: 5, journal.Parked: 120}, stats(t, q).Runs); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
		if n, err := q.DiscardAll(t.Context(), journal.Filter{States: []journal.State{journal.Succeeded, journal.Parked}}, "anna@web1"); err != nil || n != 120 {
			t.Errorf("discarded %d, %v, want the 120 parked ones", n, err)
		}
	})
}
