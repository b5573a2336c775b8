package queue_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

// open opens a queue in a file.
func open(t testing.TB, path string, o queue.Options) *queue.Queue {
	t.Helper()
	return openDSN(t, "sqlite:"+path, o)
}

// openDSN opens a queue that the test closes at its end.
func openDSN(t testing.TB, dsn string, o queue.Options) *queue.Queue {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Portals == nil {
		o.Portals = []string{"acme", "zeta", "slow", "quick", "Портал №1", "acme.bitrix24.com", "ACME"}
	}
	q, err := queue.Open(t.Context(), dsn, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	})
	return queue.PollOnly(q)
}

// emptyDatabase is a new database, created once: the tests would otherwise spend most
// of their time on migrations.
var emptyDatabase = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "queue")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "queue.db")
	q, err := queue.Open(context.Background(), "sqlite:"+path, queue.Options{})
	if err != nil {
		return nil, err
	}
	if err := q.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// newDSN names a new database of the kind that the test is for.
func newDSN(t testing.TB) string {
	t.Helper()
	if strings.HasPrefix(t.Name(), "TestPostgreSQL/") {
		return newPostgres(t)
	}
	path := filepath.Join(t.TempDir(), "queue.db")
	empty, err := emptyDatabase()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, empty, 0o600); err != nil {
		t.Fatal(err)
	}
	return "sqlite:" + path
}

// openNew opens a queue in a new database.
func openNew(t testing.TB, o queue.Options) *queue.Queue {
	t.Helper()
	return openDSN(t, newDSN(t), o)
}

// closeQueue closes a queue before the test's end. Tests do it before they let
// days pass, because connections are checked all the time.
func closeQueue(t testing.TB, q *queue.Queue) {
	t.Helper()
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
}

// work runs Work in the background; stop ends it and waits.
func work(t testing.TB, q *queue.Queue, do func(ctx context.Context, r *queue.Run) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- q.Work(ctx, do) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Work: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// push pushes an event with a number as its data.
func push(t testing.TB, q *queue.Queue, data string, routes ...queue.Route) {
	t.Helper()
	e := journal.Event{Portal: "acme", Code: "ONCRMDEALUPDATE", Data: json.RawMessage(data)}
	if err := q.Push(t.Context(), e, routes); err != nil {
		t.Fatal(err)
	}
}

func waitIdle(t testing.TB, q *queue.Queue) {
	t.Helper()
	if err := q.WaitIdle(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func runs(t testing.TB, q *queue.Queue, f journal.Filter) []journal.Run {
	t.Helper()
	all, err := journal.FindRuns(t.Context(), q.Database(), f)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func stats(t testing.TB, q *queue.Queue) journal.Counts {
	t.Helper()
	s, err := journal.Count(t.Context(), q.Database())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A runLog has the runs that a work function received.
type runLog struct {
	mu    sync.Mutex
	begun time.Time
	lines []entry
}

type entry struct {
	At      time.Duration // since the log was created
	Rule    string
	Entity  string
	Count   int
	Attempt int
	Data    string // of the latest event
	Added   bool
	Deleted bool
}

func newRunLog() *runLog { return &runLog{begun: time.Now()} }

func (j *runLog) note(r *queue.Run) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, entry{
		// A run starts within milliseconds; tests are not about that.
		At:   time.Since(j.begun).Round(100 * time.Millisecond),
		Rule: r.Rule, Entity: r.Entity, Count: r.Count, Attempt: r.Attempt, Data: string(r.Event.Data),
		Added: r.Added, Deleted: r.Deleted,
	})
}

func (j *runLog) all() []entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]entry(nil), j.lines...)
}
