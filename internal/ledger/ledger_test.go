package ledger_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/ledger"
	"github.com/b24rules/b24rules/internal/pgtemp"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/store"
)

// postgres are the databases of this process.
var postgres pgtemp.Pool

func TestMain(m *testing.M) { os.Exit(postgres.Run(m)) }

// databases are those of queues.
func databases(t *testing.T) map[string]store.DB {
	t.Helper()
	out := map[string]store.DB{}
	for name, q := range queues(t) {
		out[name] = q.Database()
	}
	return out
}

// queues opens an empty database of each kind.
func queues(t *testing.T) map[string]*queue.Queue {
	t.Helper()
	out := map[string]*queue.Queue{}
	for name, dsn := range postgres.Each(t) {
		q, err := queue.Open(t.Context(), dsn, queue.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = q.Close() })
		out[name] = q
	}
	return out
}

func deal(id int) engine.Entity { return engine.Entity{Kind: "deal", TypeID: 2, ID: fmt.Sprint(id)} }

// made is a record that a rule has written, kept or deleted.
func made(rule, version string, what engine.MadeWhat, ids ...int) []engine.Made {
	m := engine.Mark{
		Rule: rule, Step: "sync", Kind: engine.MarkElements, Place: engine.PlaceOfList(47), Identity: "1-" + rule, Owner: rule, Scope: "{DEAL: =event.id}", Key: "=row.id",
		Fields: []string{"NAME", "SUM"}, Version: version, Pos: engine.Pos{File: "a.yaml", Line: 3, Column: 7},
	}
	var out []engine.Made
	for _, id := range ids {
		out = append(out, engine.Made{Mark: m, ID: id, What: what})
	}
	return out
}

// world writes into one database and shows what it holds.
type world struct {
	*testing.T
	db  store.DB
	run int64
}

func (w *world) write(e engine.Entity, made ...engine.Made) {
	w.Helper()
	w.run++
	r := ledger.Run{Portal: "main", Entity: e, ID: w.run, At: time.Unix(1_700_000_000+w.run, 0)}
	if err := w.db.Write(w.Context(), func(ctx context.Context, t store.Tx) error { return ledger.Write(ctx, t, r, made) }); err != nil {
		w.Fatal(err)
	}
}

// rows are the records of all marks: rule:id by run of entity.
func (w *world) rows() (out []string) {
	w.Helper()
	l := ledger.New(w.db)
	marks, err := l.Marks(w.Context(), "main")
	if err != nil {
		w.Fatal(err)
	}
	for _, m := range marks {
		for after := int64(0); ; {
			page, err := l.Page(w.Context(), m, after, 2)
			if err != nil {
				w.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, r := range page {
				out = append(out, fmt.Sprintf("%s:%d by %d of %d:%d", m.Rule, r.ID, r.Run, r.EntityTypeID, r.EntityID))
				after = r.ID
			}
		}
		if n, err := l.Count(w.Context(), m.ID); err != nil || m.Made != (n > 0) {
			w.Errorf("%s has %d records, Made is %t: %v", m.Rule, n, m.Made, err)
		}
	}
	return out
}

func (w *world) want(want ...string) {
	w.Helper()
	if diff := cmp.Diff(want, w.rows()); diff != "" {
		w.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLedger(t *testing.T) {
	for name, db := range databases(t) {
		t.Run(name, func(t *testing.T) {
			w := &world{T: t, db: db}
			l := ledger.New(db)
			w.write(deal(7), made("a", "v1", engine.MadeWritten, 12, 11, 12)...)
			w.want("a:11 by 1 of 2:7", "a:12 by 1 of 2:7")
			w.write(deal(7), append(made("a", "v2", engine.MadeKept, 11, 13), made("b", "v1", engine.MadeWritten, 11)...)...)
			w.want("a:11 by 1 of 2:7", "a:12 by 1 of 2:7", "a:13 by 2 of 2:7", "b:11 by 2 of 2:7")
			w.write(deal(8), made("a", "v2", engine.MadeWritten, 11)...)
			w.write(engine.Entity{Kind: "currency", ID: "EUR"}, made("a", "v2", engine.MadeDeleted, 12)...)
			w.want("a:11 by 3 of 2:8", "a:13 by 2 of 2:7", "b:11 by 2 of 2:7")

			got, err := l.Writers(t.Context(), "main", "list:47", 11)
			if err != nil || len(got) != 2 || got[0].Mark.Rule != "a" || got[0].Mark.Version != "v2" || got[0].Mark.File != "a.yaml:3:7" ||
				!cmp.Equal(got[0].Mark.Fields, []string{"NAME", "SUM"}) || !got[0].At.Equal(time.Unix(1_700_000_003, 0)) {
				t.Errorf("writers %+v, %v", got, err)
			}
			if got, err := l.Writers(t.Context(), "main", "list:48", 11); err != nil || len(got) != 0 {
				t.Errorf("writers of another list %+v, %v", got, err)
			}

			from := func(id int64, n int) (out []string) {
				rows, err := l.From(t.Context(), "main", 2, id, n)
				if err != nil {
					t.Error(err)
				}
				for _, r := range rows {
					out = append(out, fmt.Sprintf("%s:%d by %d", r.Mark.Rule, r.ID, r.Run))
				}
				return out
			}
			if diff := cmp.Diff([][]string{{"a:13 by 2", "b:11 by 2"}, {"a:13 by 2"}, {"a:11 by 3"}, nil}, [][]string{from(7, 9), from(7, 1), from(8, 9), from(9, 9)}); diff != "" {
				t.Errorf("made from deals 7, 7 and 8 (-want +got):\n%s", diff)
			}

			known := ledger.NewEntities(db)
			madeFor := func(e engine.Entity, n int) []int {
				ids, err := known.Made(t.Context(), "main", "a", "sync", "list:47", e, n)
				if err != nil {
					t.Error(err)
				}
				return ids
			}
			if diff := cmp.Diff([][]int{{13}, {11}, nil, nil}, [][]int{madeFor(deal(7), 9), madeFor(deal(8), 9), madeFor(deal(9), 9), madeFor(engine.Entity{Kind: "currency", ID: "EUR"}, 9)}); diff != "" {
				t.Errorf("made for entities (-want +got):\n%s", diff)
			}

			marks, err := l.Marks(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			at := time.Unix(1_700_000_100, 0)
			if err := l.Release(t.Context(), at, nil, marks[1]); err != nil {
				t.Fatal(err)
			}
			if err := l.SetOrphans(t.Context(), at, marks[0], marks[1]); err != nil {
				t.Fatal(err)
			}
			if err := l.SetOrphans(t.Context(), time.Time{}, marks[0]); err != nil {
				t.Fatal(err)
			}
			if err := db.Write(t.Context(), func(ctx context.Context, t store.Tx) error {
				return ledger.Forget(ctx, t, "main", "list:47", []int64{11, 99})
			}); err != nil {
				t.Fatal(err)
			}
			w.want("a:13 by 2 of 2:7")
			if marks, err = l.Marks(t.Context(), "main"); err != nil || !marks[1].Released.Equal(at) || !marks[0].Released.IsZero() || marks[1].Made || !marks[1].Orphan.Equal(at) || !marks[0].Orphan.IsZero() {
				t.Errorf("marks %+v, %v", marks, err)
			}
			if none, err := l.Marks(t.Context(), "other"); err != nil || len(none) != 0 {
				t.Errorf("marks of another portal %+v, %v", none, err)
			}
		})
	}
}

// TestRowsAreSmall: a row takes at most 30 bytes of a SQLite file.
func TestRowsAreSmall(t *testing.T) {
	db := databases(t)["SQLite"]
	w := &world{T: t, db: db}
	const runs, each = 100, 200
	var before, after int64
	size := func() (n int64) {
		var pages, page int64
		if err := db.QueryRow(t.Context(), `PRAGMA page_count`).Scan(&pages); err != nil {
			t.Fatal(err)
		}
		if err := db.QueryRow(t.Context(), `PRAGMA page_size`).Scan(&page); err != nil {
			t.Fatal(err)
		}
		return pages * page
	}
	before = size()
	w.run = 1_000_000
	for i := range runs {
		ids := make([]int, each)
		for j := range ids {
			ids[j] = 1_000_000 + i*each + j
		}
		w.write(deal(500_000+i), made("a", "v1", engine.MadeWritten, ids...)...)
	}
	after = size()
	if n := (after - before) / (runs * each); n > 30 {
		t.Errorf("a row takes %d bytes, want at most 30", n)
	}
}

// TestMoveRule: a rule takes over what another one has made, and what it remembers.
func TestMoveRule(t *testing.T) {
	for name, q := range queues(t) {
		t.Run(name, func(t *testing.T) {
			w := &world{T: t, db: q.Database()}
			w.write(deal(7), made("old", "v1", engine.MadeWritten, 11)...)
			memory := func(rule, entity, key, value string) {
				if err := q.Database().Write(t.Context(), func(ctx context.Context, t store.Tx) error {
					_, err := t.Exec(ctx, `INSERT INTO b24_memory (portal, rule, entity, key, value) VALUES ('main', $1, $2, $3, $4)`, rule, entity, key, value)
					return err
				}); err != nil {
					t.Fatal(err)
				}
			}
			memory("old", "deal:7", "a", "1")
			memory("old", "deal:8", "a", "1")
			memory("new", "deal:8", "a", "2")
			push := func(routes ...queue.Route) {
				if err := q.Push(t.Context(), journal.Event{Portal: "main", Code: "X", Data: []byte("{}")}, routes); err != nil {
					t.Fatal(err)
				}
			}
			push(queue.Route{Rule: "new", Entity: "deal:8"}, queue.Route{Rule: "new", Entity: "deal:9"})
			push(
				queue.Route{Rule: "old", Entity: "deal:7"},
				queue.Route{Rule: "old", Entity: "deal:8"},
				queue.Route{Rule: "old", Entity: "deal:9", Deleted: true, Added: true},
			)
			if err := q.Database().Write(t.Context(), func(ctx context.Context, t store.Tx) error { // that of the new rule sleeps
				_, err := t.Exec(ctx, `UPDATE b24_run SET first_at = $1, opened_at = $1, due_at = $1, priority = 1 WHERE rule = 'new' AND entity = 'deal:9'`, store.Micros(time.Now().Add(time.Hour)))
				return err
			}); err != nil {
				t.Fatal(err)
			}
			if err := q.Pause(t.Context(), "main", "old", "why"); err != nil {
				t.Fatal(err)
			}
			for i, want := range []bool{true, false} {
				if moved, err := q.MoveRule(t.Context(), "main", "old", "new"); err != nil || moved != want {
					t.Errorf("move %d: %t, %v", i, moved, err)
				}
			}
			w.want("new:11 by 1 of 2:7")
			// A run of the old rule ends after the move.
			w.write(deal(8), made("old", "v1", engine.MadeWritten, 11, 12)...)
			for i, want := range []bool{true, false} {
				if moved, err := q.MoveRule(t.Context(), "main", "old", "new"); err != nil || moved != want {
					t.Errorf("move %d after a late run: %t, %v", i, moved, err)
				}
			}
			w.want("new:11 by 2 of 2:8", "new:12 by 2 of 2:8")
			for rule, want := range map[string]bool{"old": false, "new": true} {
				if got, err := ledger.New(w.db).Remembers(t.Context(), "main", rule, ""); err != nil || got != want {
					t.Errorf("rule %s remembers %t, %v", rule, got, err)
				}
			}
			for entity, want := range map[string]string{"deal:7": "1", "deal:8": "2"} {
				if got, ok, err := q.Memory("main", "new", entity).Get(t.Context(), "a"); err != nil || !ok || got != want {
					t.Errorf("%s remembers %q, %v", entity, got, err)
				}
			}
			if pauses, err := q.Pauses(t.Context()); err != nil || len(pauses) != 1 || pauses[0].Rule != "new" {
				t.Errorf("pauses %+v, %v", pauses, err)
			}
			waiting, err := journal.FindRuns(t.Context(), q.Database(), journal.Filter{Rule: "new", States: []journal.State{journal.Waiting}})
			if err != nil || len(waiting) != 3 {
				t.Fatalf("runs %+v, %v", waiting, err)
			}
			i := slices.IndexFunc(waiting, func(r journal.Run) bool { return r.Entity == "deal:9" })
			if i < 0 {
				t.Fatalf("no run of deal 9: %+v", waiting)
			}
			r := waiting[i]
			if !r.Deleted || !r.Added || r.Count != 2 || r.Priority != journal.Live || r.Event.ID != 2 || r.First.After(time.Now()) || r.Due.After(time.Now()) {
				t.Errorf("the run that slept is %+v", r)
			}
			var events int
			var opened int64
			if err := q.Database().QueryRow(t.Context(), `SELECT (SELECT count(*) FROM b24_run_event e WHERE e.run_id = r.id), r.opened_at FROM b24_run r WHERE r.id = $1`, r.ID).Scan(&events, &opened); err != nil || events != 2 || opened > store.Micros(time.Now()) {
				t.Errorf("the run that slept has %d events and is open from %d, %v", events, opened, err)
			}
			given, err := journal.FindRuns(t.Context(), q.Database(), journal.Filter{Rule: "old", States: []journal.State{journal.Discarded}})
			if err != nil || len(given) != 2 || given[0].Finished.After(time.Now()) {
				t.Errorf("given up %+v, %v", given, err)
			}
			if all, err := journal.WaitingRules(t.Context(), q.Database(), "main"); err != nil || len(all) != 1 || all[0] != "new" {
				t.Errorf("rules with waiting runs %v, %v", all, err)
			}
		})
	}
}
