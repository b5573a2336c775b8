package queue

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/b24rules/b24rules/internal/database"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/store"
)

// A counter counts the statements of a database.
type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) add() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
}

func (c *counter) take() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.n
	c.n = 0
	return n
}

// countingDB counts what a backend executes.
type countingDB struct {
	database.Backend
	*counter
}

func (d countingDB) Begin(ctx context.Context) (database.Tx, error) {
	tx, err := d.Backend.Begin(ctx)
	return countingTx{tx, d.counter}, err
}

type countingTx struct {
	database.Tx
	*counter
}

func (t countingTx) Exec(ctx context.Context, text string, args ...any) (int64, error) {
	t.add()
	return t.Tx.Exec(ctx, text, args...)
}

func (t countingTx) Query(ctx context.Context, text string, args ...any) (store.Rows, error) {
	t.add()
	return t.Tx.Query(ctx, text, args...)
}

func (t countingTx) QueryRow(ctx context.Context, text string, args ...any) store.Row {
	t.add()
	return t.Tx.QueryRow(ctx, text, args...)
}

type countingReader struct {
	store.Reader
	*counter
}

func (r countingReader) Query(ctx context.Context, text string, args ...any) (store.Rows, error) {
	r.add()
	return r.Reader.Query(ctx, text, args...)
}

func (r countingReader) QueryRow(ctx context.Context, text string, args ...any) store.Row {
	r.add()
	return r.Reader.QueryRow(ctx, text, args...)
}

// TestStatementsOfARun holds the number of statements of one event and its run. A run
// that remembers nothing, starts nothing and plans nothing executes as many as before
// rules could do so: memory costs a query only when a key is asked for, and statements
// only for what has changed.
func TestStatementsOfARun(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(ctx context.Context, r *Run) error
		want int
	}{
		{"plain", func(context.Context, *Run) error { return nil }, plainStatements},
		{"the memory is read once", func(ctx context.Context, r *Run) error {
			for _, key := range []string{"a", "b", "c"} {
				if _, _, err := r.Get(ctx, key); err != nil {
					return err
				}
			}
			return nil
		}, plainStatements + 1},
		{"a key is stored", func(_ context.Context, r *Run) error {
			r.Set("a", "1")
			return nil
		}, plainStatements + 1},
		{"a run is planned", func(_ context.Context, r *Run) error {
			r.Sleep(clock().Add(time.Hour), false)
			return nil
		}, plainStatements + 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q, err := Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "queue.db"), Options{Log: slog.New(slog.DiscardHandler)})
				if err != nil {
					t.Fatal(err)
				}
				count := &counter{}
				q.writes.db, q.db.Read = countingDB{q.db.Backend, count}, countingReader{q.db.Read, count}
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- q.Work(ctx, tt.do) }()
				synctest.Wait()
				count.take()
				commits := q.writes.commits.Load()
				if err := q.Push(ctx, journal.Event{Portal: "acme", Code: "X"}, []Route{{Rule: "r", Entity: "deal:1"}}); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if n := count.take(); n != tt.want {
					t.Errorf("%d statements, want %d", n, tt.want)
				}
				// Each commit is one fsync of the write-ahead log: the event with its claim, and
				// the end of the run.
				if n := q.writes.commits.Load() - commits; n != 2 {
					t.Errorf("%d commits, want 2", n)
				}
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
				if err := q.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// plainStatements are those of an event and a run of one rule, without a debounce.
const plainStatements = 21

// TestOrderOfStarts: the transaction that ends a run and starts others changes their entities
// in the order of their keys, its own entity in its place. Two such transactions never wait
// for each other. What happens without that order depends on the load; the order itself does not.
func TestOrderOfStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, err := Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "queue.db"), Options{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		changed := &orderedDB{Backend: q.writes.db}
		q.writes.db = changed
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- q.Work(ctx, func(_ context.Context, r *Run) error {
				if r.Rule == "child" {
					for _, entity := range []string{"deal:9", "company:1", "deal:4", "deal:5", "company:3"} {
						r.Start(Route{Rule: "parent", Entity: entity})
					}
				}
				return nil
			})
		}()
		if err := q.Push(ctx, journal.Event{Portal: "acme", Code: "X"}, []Route{{Rule: "child", Entity: "deal:5"}}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		want := []string{"company:1", "company:3", "deal:4", "own", "deal:5", "deal:9"}
		if got := changed.of("own"); !slices.Equal(got, want) {
			t.Errorf("changed %v, want %v", got, want)
		}
		cancel()
		if err := errors.Join(<-ended, q.Close()); err != nil {
			t.Error(err)
		}
	})
}

// orderedDB notes the runs that each transaction changes: the entity of one that it stores,
// and "own" for the end of a run.
type orderedDB struct {
	database.Backend
	mu  sync.Mutex
	all []*orderedTx
}

// of returns the changes of the first transaction that has stored a run and has a word.
func (d *orderedDB) of(word string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range d.all {
		if len(t.changed) > 1 && slices.Contains(t.changed, word) {
			return t.changed
		}
	}
	return nil
}

func (d *orderedDB) Begin(ctx context.Context) (database.Tx, error) {
	tx, err := d.Backend.Begin(ctx)
	t := &orderedTx{Tx: tx}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = append(d.all, t)
	return t, err
}

type orderedTx struct {
	database.Tx
	changed []string
}

func (t *orderedTx) Exec(ctx context.Context, text string, args ...any) (int64, error) {
	if text == leaveRun {
		t.changed = append(t.changed, "own")
	}
	return t.Tx.Exec(ctx, text, args...)
}

func (t *orderedTx) QueryRow(ctx context.Context, text string, args ...any) store.Row {
	if text == upsertRun {
		entity, _ := args[2].(string)
		t.changed = append(t.changed, entity)
	}
	return t.Tx.QueryRow(ctx, text, args...)
}
