package queue_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/b24rules/b24rules/internal/database"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/notes"
	"github.com/b24rules/b24rules/internal/queue"
)

// TestBackup copies a database while it is worked, and restores it.
func TestBackup(t *testing.T) {
	dir := t.TempDir()
	path, file := filepath.Join(dir, "queue.db"), filepath.Join(dir, "copy.db")
	dsn := "sqlite:" + path
	q := openDSN(t, dsn, queue.Options{})
	stop := work(t, q, func(context.Context, *queue.Run) error { return nil })
	writing, end := context.WithCancel(t.Context())
	written := make(chan int)
	go func() {
		n := 0
		for ; writing.Err() == nil; n++ {
			push(t, q, fmt.Sprint(n), queue.Route{Rule: "r", Entity: fmt.Sprint("deal:", n)})
		}
		written <- n
	}()
	time.Sleep(100 * time.Millisecond)
	if err := notes.Set(t.Context(), q.Database(), "oauth.acme", "old"); err != nil {
		t.Fatal(err)
	}
	info, err := database.Backup(t.Context(), dsn, file)
	if err != nil {
		t.Fatal(err)
	}
	end()
	n := int64(<-written)
	if info.Events == 0 || info.Events > n || info.Bytes == 0 {
		t.Errorf("backup %+v of %d events", info, n)
	}
	if stat, err := os.Stat(file); err != nil || stat.Mode().Perm() != 0o600 {
		t.Errorf("file %v, %v", stat, err)
	}
	if _, err := database.Backup(t.Context(), dsn, file); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second backup to the file: %v", err)
	}
	if _, _, err := database.Restore(t.Context(), dsn, file, ".before"); !errors.Is(err, database.ErrInUse) {
		t.Errorf("restore while the database is worked: %v", err)
	}
	waitIdle(t, q)
	if err := notes.Set(t.Context(), q.Database(), "oauth.acme", "new"); err != nil {
		t.Fatal(err)
	}
	stop()
	closeQueue(t, q)
	replaced, kept, err := database.Restore(t.Context(), dsn, file, ".before")
	if err != nil || replaced != path+".before" || kept != 1 {
		t.Fatalf("restore: %s, %d tokens, %v", replaced, kept, err)
	}
	back := openDSN(t, dsn, queue.Options{})
	if s := stats(t, back); int64(s.Events) != info.Events {
		t.Errorf("%d events after the restore, want %d", s.Events, info.Events)
	}
	if note, _, err := notes.Get(t.Context(), back.Database(), "oauth.acme"); err != nil || note.Value != "new" {
		t.Errorf("tokens %+v, %v", note, err)
	}
	if s := stats(t, openDSN(t, "sqlite:"+replaced, queue.Options{})); int64(s.Events) != n {
		t.Errorf("%d events in the replaced database, want %d", s.Events, n)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*.restoring*"))
	if hidden, _ := filepath.Glob(filepath.Join(dir, ".b24rules*")); err != nil || len(left)+len(hidden) > 0 {
		t.Errorf("left over: %v %v", left, hidden)
	}
}

// TestDamagedBackups are refused, and the database stays.
func TestDamagedBackups(t *testing.T) {
	dir := t.TempDir()
	dsn := "sqlite:" + filepath.Join(dir, "queue.db")
	q := openDSN(t, dsn, queue.Options{})
	for i := range 200 {
		push(t, q, fmt.Sprint(i), queue.Route{Rule: "r", Entity: fmt.Sprint("deal:", i)})
	}
	whole := filepath.Join(dir, "whole.db")
	if _, err := database.Backup(t.Context(), dsn, whole); err != nil {
		t.Fatal(err)
	}
	closeQueue(t, q)
	data, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"short": data[:len(data)/2], "text": []byte("no database"), "empty": {}} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := database.Restore(t.Context(), dsn, file, ".before"); err == nil {
			t.Errorf("%s: restored", name)
		}
	}
	for name, statement := range map[string]string{
		"newer":   `INSERT INTO b24_migration VALUES (999, 0)`,
		"foreign": `DROP TABLE b24_migration`,
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := sql.Open("sqlite", file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if _, _, err := database.Restore(t.Context(), dsn, file, ".before"); err == nil || errors.Is(err, database.ErrNewer) != (name == "newer") {
			t.Errorf("%s: %v", name, err)
		}
		// A backup is for the version that has made the database.
		if _, err := database.Backup(t.Context(), "sqlite:"+file, file+".copy"); (err == nil) != (name == "newer") {
			t.Errorf("backup of %s: %v", name, err)
		}
	}
	if _, err := database.Backup(t.Context(), "postgres://x/y", filepath.Join(dir, "x")); !errors.Is(err, database.ErrNotSQLite) {
		t.Errorf("PostgreSQL: %v", err)
	}
	if s := stats(t, openDSN(t, dsn, queue.Options{})); s.Events != 200 {
		t.Errorf("%d events", s.Events)
	}
}

// TestMove copies a database with a row in each table to PostgreSQL, where it is worked on.
func TestMove(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	dsn := "sqlite:" + path
	q := openDSN(t, dsn, queue.Options{Attempts: 1})
	stop := work(t, q, func(_ context.Context, r *queue.Run) error {
		r.Record([]byte(`{"step":"Плитка"}`))
		r.SetCause("cause")
		if r.Rule == "parks" {
			return errPortal
		}
		return nil
	})
	for i := range 300 {
		push(t, q, `{"name":"Плитка"}`, queue.Route{Rule: []string{"parks", "r"}[i%2], Entity: fmt.Sprint("deal:", i), Deleted: i%3 == 0})
	}
	waitIdle(t, q)
	if err := q.Replay(t.Context(), 1, "anna@web1"); err != nil {
		t.Fatal(err)
	}
	waitIdle(t, q)
	stop()
	push(t, q, "1", queue.Route{Rule: "r", Entity: "deal:9999"})
	before := stats(t, q)
	closeQueue(t, q)
	fillEmptyTables(t, path)

	to := newPostgres(t)
	if _, err := database.Move(t.Context(), dsn, "sqlite:"+path, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("moved to SQLite")
	}
	tables, err := database.Move(t.Context(), dsn, to, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		if table.Rows == 0 {
			t.Errorf("table %s is empty: the test shows nothing about it", table.Name)
		}
	}
	if _, err := database.Move(t.Context(), dsn, to, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "name an empty database") {
		t.Errorf("moved twice: %v", err)
	}
	moved := openDSN(t, to, queue.Options{Attempts: 1, Lease: time.Second})
	after := stats(t, moved)
	if after.Events != before.Events || after.Runs[journal.Parked] != before.Runs[journal.Parked] || after.Runs[journal.Succeeded] != before.Runs[journal.Succeeded] {
		t.Errorf("after %+v, before %+v", after, before)
	}
	attempts, err := journal.Attempts(t.Context(), moved.Database(), 1)
	if err != nil || len(attempts) != 2 || !strings.Contains(string(attempts[0].Record), "Плитка") {
		t.Errorf("attempts %+v, %v", attempts, err)
	}
	if _, err := moved.Resume(t.Context(), "x", "x"); err != nil { // of fillEmptyTables
		t.Fatal(err)
	}
	work(t, moved, func(context.Context, *queue.Run) error { return nil })
	push(t, moved, "2", queue.Route{Rule: "r", Entity: "deal:10000"})
	waitIdle(t, moved)
	if run := runs(t, moved, journal.Filter{Entity: "deal:10000"}); len(run) != 1 || run[0].ID <= 301 {
		t.Errorf("the next run is %+v", run)
	}
	if s := stats(t, moved); s.Runs[journal.Succeeded] != before.Runs[journal.Succeeded]+2 {
		t.Errorf("runs are %+v", s.Runs)
	}
}

// fillEmptyTables inserts a row into each table that has none, with some value in each
// column.
func fillEmptyTables(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	rows, err := db.Query(`SELECT m.name, GROUP_CONCAT(c.name), GROUP_CONCAT(
    CASE WHEN c.name = 'state' THEN '''done''' WHEN c.name = 'run_id' OR c.name = 'event_id' THEN '1' WHEN c.type LIKE '%INT%' OR c.type LIKE 'BOOL%' THEN '1' ELSE '''x''' END)
FROM sqlite_schema m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name LIKE 'b24%' GROUP BY m.name`)
	if err != nil {
		t.Fatal(err)
	}
	var inserts []string
	for rows.Next() {
		var name, columns, values string
		if err := rows.Scan(&name, &columns, &values); err != nil {
			t.Fatal(err)
		}
		inserts = append(inserts, fmt.Sprintf(`INSERT INTO %s (%s) SELECT %s WHERE NOT EXISTS (SELECT 1 FROM %[1]s)`, name, columns, values))
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	for _, text := range inserts {
		if _, err := db.Exec(text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
}
