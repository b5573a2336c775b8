package queue_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/b24rules/b24rules/internal/database"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

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
		if err := other.Lock(t.Context()); !errors.Is(err, database.ErrInUse) || !strings.Contains(err.Error(), who) {
			t.Errorf("second worker of %s: %v, want %v and who it is", filepath.Base(name), err, database.ErrInUse)
		}
		push(t, other, "0", queue.Route{Rule: "r", Entity: "deal:1"}) // that it may
	}
	out, err := child(t, "lock", path).CombinedOutput()
	if err == nil || !strings.Contains(string(out), database.ErrInUse.Error()) {
		t.Errorf("worker in another process: %v, %s", err, out)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	work(t, open(t, path, queue.Options{}), func(context.Context, *queue.Run) error { return nil }) // free again
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
