package queue_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

func TestOpenRefusesOtherDatabases(t *testing.T) {
	for dsn, want := range map[string]string{
		"":                                       "want sqlite:PATH",
		"queue.db":                               "want sqlite:PATH",
		"sqlite:":                                "needs the path of a file",
		"sqlite::memory:":                        "needs the path of a file",
		"postgres://u:hunter2@127.0.0.1:1/b24":   "127.0.0.1/b24",
		"postgres://u:hunter2@127.0.0.1:1":       "names no database",
		"postgres://u:hun/ter2#@127.0.0.1:1/b24": "percent-encode",
		"mysql://u:hunter2@host/b24":             "want sqlite:PATH",
		"sqlite:/no/such/directory/q.db":         "no such file or directory",
		"sqlite:" + filepath.Dir(t.Name()):       "directory",
	} {
		q, err := queue.Open(t.Context(), dsn, queue.Options{})
		if err == nil {
			t.Errorf("%q: accepted", dsn)
			_ = q.Close()
			continue
		}
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: error %q, want one with %q and no password", dsn, err, want)
		}
	}
}

func TestOpenRefusesNonsenseOptions(t *testing.T) {
	for name, o := range map[string]queue.Options{
		"attempts": {Attempts: -1},
		"retries":  {RetryFirst: 2, RetryMax: 1},
		"workers":  {Workers: 20_000},
		"grace":    {Grace: -1},
	} {
		if _, err := queue.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "q.db"), o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestPathsThatAURIWouldMisread(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a?b#c %41 очередь.db")
	q := open(t, path, queue.Options{})
	push(t, q, "0")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v, want it private", info.Mode())
	}
}

func TestASecondWorkerIsRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "queue.db")
	link := filepath.Join(dir, "link.db")
	q := open(t, path, queue.Options{})
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := q.Lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := q.Lock(t.Context()); err != nil {
		t.Errorf("locked twice by one queue: %v", err)
	}
	who := fmt.Sprintf("process %d", os.Getpid())
	for _, name := range []string{path, link} {
		other := open(t, name, queue.Options{})
		if err := other.Lock(t.Context()); !errors.Is(err, queue.ErrInUse) || !strings.Contains(err.Error(), who) {
			t.Errorf("second worker of %s: %v, want %v and who it is", filepath.Base(name), err, queue.ErrInUse)
		}
		push(t, other, "0", queue.Route{Rule: "r", Entity: "deal:1"}) // that it may
	}
	out, err := child(t, "lock", path).CombinedOutput()
	if err == nil || !strings.Contains(string(out), queue.ErrInUse.Error()) {
		t.Errorf("worker in another process: %v, %s", err, out)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	work(t, open(t, path, queue.Options{}), func(context.Context, *queue.Run) error { return nil }) // free again
}

func TestANewerDatabaseIsRefused(t *testing.T) {
	for name, change := range map[string]string{
		"ours": `INSERT INTO b24_migration (version, applied_at) VALUES (99, 0)`,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "queue.db")
			q, err := queue.Open(t.Context(), "sqlite:"+path, queue.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := q.Close(); err != nil {
				t.Fatal(err)
			}
			db, err := sql.Open("sqlite", path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := db.Exec(change); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			_, err = queue.Open(t.Context(), "sqlite:"+path, queue.Options{})
			if !errors.Is(err, queue.ErrNewer) || !strings.Contains(err.Error(), "99") {
				t.Errorf("error is %v, want %v with the version", err, queue.ErrNewer)
			}
		})
	}
}

func TestReopeningKeepsEverything(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	q, err := queue.Open(t.Context(), "sqlite:"+path, queue.Options{})
	if err != nil {
		t.Fatal(err)
	}
	push(t, q, `{"FIELDS":{"ID":"7"}}`, queue.Route{Rule: "r", Entity: "deal:7"})
	before := runs(t, q, journal.Filter{})
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	q = open(t, path, queue.Options{})
	after := runs(t, q, journal.Filter{})
	if len(after) != 1 || len(before) != 1 || string(after[0].Event.Data) != `{"FIELDS":{"ID":"7"}}` || after[0].Entity != before[0].Entity {
		t.Errorf("run before is %+v and after %+v", before, after)
	}
}

// Any number of processes push; the one that works notices it within a second.
func TestAWorkerNoticesWhatOthersPush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "queue.db")
		q, other := open(t, path, queue.Options{}), open(t, path, queue.Options{})
		started := make(chan time.Duration, 100)
		work(t, q, func(_ context.Context, r *queue.Run) error {
			started <- time.Since(r.First)
			return nil
		})
		for i := range 5 {
			push(t, other, "0", queue.Route{Rule: "r", Entity: fmt.Sprint("deal:", i)})
			waitIdle(t, other)
			if took := <-started; took > time.Second {
				t.Errorf("a run began %v after another process pushed its event", took)
			}
		}
	})
}

// Processes that start at the same time create one database.
func TestProcessesThatMigrateAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			if out, err := child(t, "open", path).CombinedOutput(); err != nil {
				t.Errorf("open: %v, %s", err, out)
			}
		})
	}
	wg.Wait()
}

// TestOneOfTwoWaits: with only one of RetryFirst and RetryMax set, the other gets a
// default that fits, and the queue opens.
func TestOneOfTwoWaits(t *testing.T) {
	for name, o := range map[string]queue.Options{
		"a longest wait below the first": {RetryMax: time.Second},
		"a first wait above the longest": {RetryFirst: 2 * time.Hour},
	} {
		q, err := queue.Open(t.Context(), newDSN(t), o)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	}
}
