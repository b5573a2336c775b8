package store_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/b24rules/b24rules/internal/store"
	_ "modernc.org/sqlite"
)

func TestCopySQLite(t *testing.T) {
	dir := t.TempDir()
	path, to := filepath.Join(dir, "a.db"), filepath.Join(dir, "b.db")
	db, err := sql.Open("sqlite", path+"?_pragma=journal_mode(WAL)")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.Exec(`CREATE TABLE t (x INTEGER); INSERT INTO t VALUES (7)`); err != nil {
		t.Fatal(err)
	}
	check := func(want ...string) {
		t.Helper()
		for _, part := range []string{"*.part", "b.db"} {
			files, err := filepath.Glob(filepath.Join(dir, part))
			if err != nil || part == "*.part" && len(files) > 0 || part == "b.db" && len(files) != len(want) {
				t.Errorf("files %v, %v", files, err)
			}
		}
	}
	store.SetRoom(t, 100)
	if err := store.CopySQLite(t.Context(), db, to); !errors.Is(err, store.ErrNoRoom) {
		t.Errorf("without room: %v, want %v", err, store.ErrNoRoom)
	}
	check()
	store.SetRoom(t, 1<<30)
	if err := store.CopySQLite(t.Context(), db, filepath.Join(dir, "no", "b.db")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("into no directory: %v", err)
	}
	for range 2 { // the second one replaces the first
		if err := store.CopySQLite(t.Context(), db, to); err != nil {
			t.Fatal(err)
		}
		check(to)
	}
	copied, err := sql.Open("sqlite", to)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = copied.Close() }()
	var x int
	if err := copied.QueryRow(`SELECT x FROM t`).Scan(&x); err != nil || x != 7 {
		t.Errorf("the copy has %d, %v", x, err)
	}
}
