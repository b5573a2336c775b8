package database_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/internal/database"
)

var quiet = slog.New(slog.DiscardHandler)

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
		db, err := database.Open(t.Context(), dsn, quiet)
		if err == nil {
			t.Errorf("%q: accepted", dsn)
			_ = db.Close()
			continue
		}
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: error %q, want one with %q and no password", dsn, err, want)
		}
	}
}

func TestPathsThatAURIWouldMisread(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a?b#c %41 очередь.db")
	db, err := database.Open(t.Context(), "sqlite:"+path, quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 || info.Size() == 0 {
		t.Errorf("the file has mode %v and %d bytes, want it private and with the tables", info.Mode(), info.Size())
	}
}

func TestANewerDatabaseIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	db, err := database.Open(t.Context(), "sqlite:"+path, quiet)
	if err != nil {
		t.Fatal(err)
	}
	err = database.Transact(t.Context(), db, func(dt database.Tx) error {
		_, err := dt.Exec(t.Context(), `INSERT INTO b24_migration (version, applied_at) VALUES (99, 0)`)
		return err
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err = database.Open(t.Context(), "sqlite:"+path, quiet); !errors.Is(err, database.ErrNewer) || !strings.Contains(err.Error(), "99") {
		t.Errorf("error is %v, want %v with the version", err, database.ErrNewer)
	}
}

// Each commit waits for the disk.
func TestWritesWaitForTheDisk(t *testing.T) {
	db, err := database.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "queue.db"), quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for pragma, want := range map[string]string{"synchronous": "2", "journal_mode": "wal", "foreign_keys": "1"} {
		err := database.Transact(t.Context(), db, func(dt database.Tx) error {
			var got string
			if err := dt.QueryRow(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
				t.Errorf("%s is %s (%v), want %s", pragma, got, err, want)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}
