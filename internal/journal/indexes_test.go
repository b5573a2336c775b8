package journal_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/internal/database"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/pgtemp"
	"github.com/b24rules/b24rules/internal/store"
)

// postgres are the databases of this process; TestMain closes them.
var postgres pgtemp.Pool

func TestMain(m *testing.M) { os.Exit(postgres.Run(m)) }

// open opens a new database.
func open(t *testing.T, dsn string) store.Reader {
	t.Helper()
	db, err := database.Open(t.Context(), dsn, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db.Read
}

// plan returns the steps in which SQLite executes a statement.
func plan(t *testing.T, from store.Reader, name, text string) []string {
	t.Helper()
	n := 0 // arguments
	for i := range 20 {
		if strings.Contains(text, fmt.Sprintf("$%d", i)) {
			n = i
		}
	}
	args := make([]any, n)
	for i := range args {
		args[i] = "1"
	}
	steps, err := store.All(t.Context(), from, name, func(row store.Row) (step string, err error) {
		var id, parent, unused int
		err = row.Scan(&id, &parent, &unused, &step)
		return step, err
	}, "EXPLAIN QUERY PLAN "+text, args...)
	if err != nil {
		t.Fatal(err)
	}
	return steps
}

// Frequent statements find their rows by an index, however many runs are stored.
// The choice of SQLite does not depend on the number of rows.
func TestQueriesUseTheirIndexes(t *testing.T) {
	db := open(t, "sqlite:"+filepath.Join(t.TempDir(), "queue.db"))
	for _, s := range journal.Statements(db) {
		if all := strings.Join(plan(t, db, s.Name, s.Text), "\n"); !strings.Contains(all, s.Index) {
			t.Errorf("%s: want %s in\n%s", s.Name, s.Index, all)
		}
	}
}

// The pages of the console read windows of ids, or an index, and never all runs or events. On
// PostgreSQL, TestPagesUseIndexesOfPostgres does the same.
func TestPagesUseIndexes(t *testing.T) {
	db := open(t, "sqlite:"+filepath.Join(t.TempDir(), "queue.db"))
	for name, text := range journal.PageStatements() {
		steps := plan(t, db, name, text)
		for _, step := range steps {
			if step == "SCAN r" || step == "SCAN e" || step == "SCAN b24_run" || step == "SCAN b24_event" || strings.Contains(step, "USE TEMP B-TREE FOR ORDER BY") {
				t.Errorf("%s: %q in\n%s", name, step, strings.Join(steps, "\n"))
			}
		}
	}
}
