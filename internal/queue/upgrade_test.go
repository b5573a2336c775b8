package queue_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/pgtemp"
	"github.com/b24rules/b24rules/internal/queue"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
)

// The fixtures are databases of the version that gave runs to River, whose process was
// killed. It had runs in every state:
//
//	1 zeta good  deal:1 succeeded      6 acme long  deal:4 blocked by 4, of its rule
//	2 zeta bad   deal:2 parked         7 acme other deal:5 queued: River had a job
//	3 zeta bad   deal:3 discarded      8 acme other deal:6 waiting, for an hour
//	4 acme long  deal:4 running        9 acme other deal:7 waiting, of a backfill
//	5 acme other deal:4 blocked by 4
func unpack(t *testing.T, name string) []byte {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// later makes the run that waits for an hour wait from now.
const later = `UPDATE b24_run SET due_at = due_at + 3153600000000000 WHERE id = 8`

func TestUpgradeOfAFileWithRiver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	if err := os.WriteFile(path, unpack(t, "river-sqlite.db.gz"), 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	var log lockedBuffer
	checkUpgrade(t, open(t, path, queue.Options{Log: slog.New(slog.NewTextHandler(&log, nil))}))
	checkCopy(t, path, log.String())
}

// checkCopy: before the tables of a file change, it is copied once, and the copy is as
// the old version left it.
func checkCopy(t *testing.T, path, log string) {
	t.Helper()
	closeQueue(t, open(t, path, queue.Options{}))
	copies, err := filepath.Glob(path + ".v*.bak")
	if err != nil || len(copies) != 1 {
		t.Fatalf("copies: %v, %v", copies, err)
	}
	if strings.Count(log, copies[0]) != 1 {
		t.Errorf("the log does not name the copy once:\n%s", log)
	}
	if info, err := os.Stat(copies[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the copy has mode %v, %v, want it private", info.Mode(), err)
	}
	db, err := sql.Open("sqlite", copies[0])
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var check string
	var version, runs, queued int
	err = db.QueryRow(`SELECT (SELECT integrity_check FROM pragma_integrity_check), (SELECT MAX(version) FROM b24_migration),
    (SELECT COUNT(*) FROM b24_run), (SELECT COUNT(*) FROM b24_run WHERE state IN ('queued', 'blocked', 'running'))`).Scan(&check, &version, &runs, &queued)
	if err != nil || check != "ok" || version != 2 || runs != 9 || queued != 4 {
		t.Errorf("the copy: %s, version %d, %d runs, %d of them not over, %v", check, version, runs, queued, err)
	}
}

func TestUpgradeOfPostgreSQLWithRiver(t *testing.T) {
	_, dsn, err := postgres.Create(t.Context(), "")
	if pgtemp.Missing(err) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	for _, text := range []string{string(unpack(t, "river-postgres.sql.gz")), later} {
		if _, err := conn.Exec(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	// A process of the old version is still there, without a portal.
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for wait(ctx, 50*time.Millisecond) == nil {
			_, _ = conn.Exec(ctx, `INSERT INTO b24_worker (id, info, beat, portals) VALUES ('old', 'process 7 on elsewhere', 1, '["theirs"]')
ON CONFLICT (id) DO UPDATE SET beat = b24_worker.beat + 1`)
		}
	})
	defer wg.Wait()
	defer stop()
	var log lockedBuffer
	checkUpgrade(t, openDSN(t, dsn, queue.Options{Lease: time.Second, Log: slog.New(slog.NewTextHandler(&log, nil))}))
	if text := log.String(); !strings.Contains(text, "older version") || !strings.Contains(text, "process 7 on elsewhere") {
		t.Errorf("the log does not name the old process:\n%s", text)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// checkUpgrade works a database of the old version: each unfinished run is executed
// once, the others are unchanged.
func checkUpgrade(t *testing.T, q *queue.Queue) {
	t.Helper()
	type ran struct {
		Entity, Data   string
		Count, Attempt int
		Done           bool
	}
	var mu sync.Mutex
	got := map[string]ran{}
	work(t, q, func(ctx context.Context, r *queue.Run) error {
		done, err := r.Done(ctx, "sent")
		mu.Lock()
		defer mu.Unlock()
		key := r.Rule + " " + r.Entity
		if _, twice := got[key]; twice {
			t.Errorf("%s ran twice", key)
		}
		got[key] = ran{r.Entity, string(r.Event.Data), r.Count, r.Attempt, done}
		return err
	})
	want := map[string]ran{
		"long deal:4":  {"deal:4", "6", 2, 1, true}, // with the event that came while it was running
		"other deal:4": {"deal:4", "5", 1, 1, false},
		"other deal:5": {"deal:5", "7", 1, 1, false},
		"other deal:7": {"deal:7", "null", 1, 1, false},
	}
	limit := time.Now().Add(time.Minute)
	for time.Now().Before(limit) && stats(t, q).Runs[journal.Succeeded] < 5 {
		time.Sleep(20 * time.Millisecond)
	}
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("executed (-want +got):\n%s", diff)
	}
	s := stats(t, q)
	counts := map[journal.State]int{journal.Succeeded: 5, journal.Parked: 1, journal.Discarded: 1, journal.Waiting: 1}
	if diff := cmp.Diff(counts, s.Runs); diff != "" || s.Events != 9 {
		t.Errorf("%d events, runs (-want +got):\n%s", s.Events, diff)
	}
	value, ok, err := q.Memory("zeta", "good", "deal:1").Get(t.Context(), "s")
	if err != nil || !ok || value != "v" {
		t.Errorf("once value %q, %v, %v", value, ok, err)
	}
}
