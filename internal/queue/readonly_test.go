package queue

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/store"
	"modernc.org/sqlite"
)

// A read-only database, such as on a file system that was remounted after an error,
// refuses events with the reason, and stores them again afterwards.
func TestAReadOnlyDatabase(t *testing.T) {
	q := openTest(t)
	push := func() error { return q.Push(t.Context(), journal.Event{Portal: "acme", Code: "X"}, nil) }
	if err := push(); err != nil {
		t.Fatal(err)
	}
	if err := q.Ping(t.Context()); err != nil {
		t.Errorf("ping: %v", err)
	}
	setReadOnly(t, q, "ON")
	q.pinged.Store(nil) // a second later
	if err := q.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "readonly") {
		t.Errorf("ping of a read-only database: %v", err)
	}
	for range 3 {
		if err := push(); err == nil || !strings.Contains(err.Error(), "readonly") {
			t.Errorf("a push to a read-only database: %v", err)
		}
	}
	setReadOnly(t, q, "OFF")
	if err := push(); err != nil {
		t.Errorf("a push afterwards: %v", err)
	}
	if err := q.Ping(t.Context()); err != nil {
		t.Errorf("ping afterwards: %v", err)
	}
	if s, err := journal.Count(t.Context(), q.Database()); err != nil || s.Events != 2 {
		t.Errorf("%d events, %v, want 2", s.Events, err)
	}
}

// While runs cannot be started, the queue tries and logs it once a second, not in a
// busy loop: the log may be on the same full disk.
func TestADatabaseThatStartsNoRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var lines atomic.Int64
		q := openTest(t)
		q.options.Log = slog.New(slog.NewTextHandler(writerFunc(func(line []byte) {
			if strings.Contains(string(line), "cannot start due runs") && lines.Add(1) > 100 {
				cancel()
			}
		}), nil))
		route := Route{Rule: "r", Entity: "deal:1", Debounce: 5 * time.Second}
		if err := q.Push(t.Context(), journal.Event{Portal: "acme", Code: "X"}, []Route{route}); err != nil {
			t.Fatal(err)
		}
		ended, ran := make(chan error, 1), make(chan struct{})
		go func() { ended <- q.Work(ctx, func(context.Context, *Run) error { close(ran); return nil }) }()
		if err := execute(t, q, "CREATE TRIGGER full BEFORE UPDATE ON b24_run BEGIN SELECT RAISE(ABORT, 'no room'); END"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(15 * time.Second)
		if n := lines.Load(); n < 5 || n > 40 {
			t.Errorf("logged %d times in some 10 seconds, want about once a second", n)
		}
		if err := execute(t, q, "DROP TRIGGER full"); err != nil {
			t.Fatal(err)
		}
		select {
		case <-ran:
		case <-time.After(10 * time.Second):
			t.Error("there is room again, and the run has not begun")
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := q.Close(); err != nil { // in the bubble
			t.Error(err)
		}
	})
}

// writerFunc is a writer of whole lines.
type writerFunc func(line []byte)

func (f writerFunc) Write(line []byte) (int, error) { f(line); return len(line), nil }

// execute changes the database under the queue.
func execute(t *testing.T, q *Queue, statement string) error {
	t.Helper()
	return q.Database().Write(t.Context(), func(ctx context.Context, t store.Tx) error {
		_, err := t.Exec(ctx, statement)
		return err
	})
}

// writers are the connections of this process that write, by the names of their files.
var writers sync.Map

func init() {
	sqlite.RegisterConnectionHook(func(c sqlite.ExecQuerierContext, dsn string) error {
		if file, options, _ := strings.Cut(strings.TrimPrefix(dsn, "file:"), "?"); strings.Contains(options, "_txlock=immediate") {
			writers.Store(file, c)
		}
		return nil
	})
}

// setReadOnly makes the connection of an idle queue refuse writes, or take them again. In
// that state no transaction can start in which a statement could run.
func setReadOnly(t *testing.T, q *Queue, value string) {
	t.Helper()
	c, ok := writers.Load(q.db.String())
	if !ok {
		t.Fatalf("no connection to %s", q.db)
	}
	if _, err := c.(sqlite.ExecQuerierContext).ExecContext(t.Context(), "PRAGMA query_only = "+value, nil); err != nil {
		t.Fatal(err)
	}
}
