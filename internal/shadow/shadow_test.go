package shadow_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/engine/dryrun"
	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/internal/pgtemp"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/redact"
	"github.com/b24rules/b24rules/internal/shadow"
	"github.com/b24rules/b24rules/internal/store"
)

// postgres are the databases of this process.
var postgres pgtemp.Pool

func TestMain(m *testing.M) { os.Exit(postgres.Run(m)) }

// databases opens an empty database of each kind.
func databases(t *testing.T) map[string]store.DB {
	t.Helper()
	out := map[string]store.DB{}
	for name, dsn := range postgres.Each(t) {
		q, err := queue.Open(t.Context(), dsn, queue.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = q.Close() })
		out[name] = q.Database()
	}
	return out
}

// TestStore follows an entity that differs, is compared again, and agrees later.
func TestStore(t *testing.T) {
	for name, db := range databases(t) {
		t.Run(name, func(t *testing.T) {
			ctx, clock := t.Context(), time.Unix(1_700_000_000, 0)
			hide := redact.New("s3cr3t-token")
			c := shadow.Comparison{Portal: "main", Rule: "r", Entity: "deal:1", Version: "v1", Run: 7, At: clock}
			write := func(do func(context.Context, store.Tx) error) {
				t.Helper()
				if err := db.Write(ctx, do); err != nil {
					t.Fatal(err)
				}
			}
			add := func(c shadow.Comparison) {
				t.Helper()
				clock = clock.Add(time.Minute)
				c.At = clock
				write(func(ctx context.Context, tx store.Tx) error { return c.Store(ctx, tx, hide) })
			}
			read := func() *shadow.Result {
				t.Helper()
				all, err := shadow.Read(ctx, db, "main", 10)
				if err != nil {
					t.Fatal(err)
				}
				return all["r"]
			}
			again := func(want bool) {
				t.Helper()
				if got, err := shadow.LooksAgain(ctx, db, "main", "r", "deal:1", 7); err != nil || got != want {
					t.Errorf("looks again: %v, %v", got, err)
				}
			}
			again(false)
			write(c.LookAgain)
			again(true)
			if r := read(); r.Pending != 1 || r.Compared != 0 || len(r.Entities) != 0 {
				t.Errorf("pending: %+v", r)
			}
			add(c) // the script has done its work
			if r := read(); r.Pending != 0 || r.Agreed != 1 || len(r.Entities) != 0 {
				t.Errorf("agreed at the second look: %+v", r)
			}
			differs := c
			differs.Differences = []dryrun.Change{{Step: "s", Kind: dryrun.ChangeUpdate, Record: "element 47:12", Fields: []dryrun.FieldChange{{Name: "SUM", Before: "3", After: "s3cr3t-token"}}}}
			differs.Sent = []dryrun.Change{{Step: "tell", Kind: dryrun.ChangeCall, Method: "im.notify.personal.add"}}
			add(differs)
			add(differs)
			r := read()
			if r.Compared != 3 || r.Differed != 2 || r.Differing != 1 || len(r.Entities) != 1 || len(r.Sent) != 1 || r.Sent[0].Times != 2 {
				t.Fatalf("differs: %+v", r)
			}
			want := []dryrun.Change{{Step: "s", Kind: dryrun.ChangeUpdate, Record: "element 47:12", Fields: []dryrun.FieldChange{{Name: "SUM", Before: "3", After: "<secret>"}}}}
			if diff := cmp.Diff(want, r.Entities[0].Changes); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
			write(c.LookAgain) // a known difference does not vanish before the second comparison
			if r := read(); r.Pending != 1 || r.Differing != 1 {
				t.Errorf("compared again: %+v", r)
			}
			add(c)
			if r := read(); r.Differing != 0 || len(r.Entities) != 1 || !r.Entities[0].Agreed.Equal(clock) {
				t.Errorf("agrees later: %+v", r)
			}
			failed := c
			failed.Error = "the token s3cr3t-token is refused"
			add(failed)
			if r := read(); r.Failed != 1 || r.Differing != 1 || r.Entities[0].Error != "the token <secret> is refused" {
				t.Errorf("failed: %+v", r)
			}
			c.Version = "v2"
			add(c)
			if r := read(); r.Version != "v2" || r.Compared != 1 || r.Agreed != 1 || len(r.Entities) != 0 || len(r.Sent) != 0 {
				t.Errorf("another version: %+v", r)
			}
			if err := shadow.Forget(ctx, db, "main", ""); err != nil || read() != nil {
				t.Errorf("forgotten: %v", err)
			}
		})
	}
}

// TestManyDifferences: a rule that is wrong for all entities stores and shows a bounded
// part of it.
func TestManyDifferences(t *testing.T) {
	db := databases(t)["SQLite"]
	c := shadow.Comparison{Portal: "main", Rule: "r", Version: "v", At: time.Now(), Run: 1}
	for range 30 {
		c.Differences = append(c.Differences, dryrun.Change{Kind: dryrun.ChangeAdd, Fields: []dryrun.FieldChange{{Name: "NAME", After: strings.Repeat("я", 5000)}}})
	}
	err := db.Write(t.Context(), func(ctx context.Context, tx store.Tx) error {
		for i := range 5 {
			c.Entity = fmt.Sprint("deal:", i)
			if err := c.Store(ctx, tx, nil); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	all, err := shadow.Read(t.Context(), db, "main", 3)
	if err != nil {
		t.Fatal(err)
	}
	r := all["r"]
	if r.Differing != 5 || len(r.Entities) != 3 || len(r.Entities[0].Changes) != 20 || r.Entities[0].More != 10 {
		t.Errorf("%d differ, %d shown with %d changes", r.Differing, len(r.Entities), len(r.Entities[0].Changes))
	}
	if text := fmt.Sprint(r.Entities[0].Changes[0].Fields[0].After); len([]rune(text)) != 501 {
		t.Errorf("a value of %d characters", len([]rune(text)))
	}
}

const effects = `version: 1
rules:
  r:
    on: ONCRMDEALUPDATE
    steps:
      - id: field
        update_item: {owner: deal, id: =event.id, fields: {comments: x}}
      - id: title
        once: =event.id
        update_item: {owner: deal, id: =event.id, fields: {title: x}}
      - notify: {to: 1, message: x}
      - id: comment
        call: {method: crm.timeline.comment.add, params: {fields: {COMMENT: x}}}
`

// TestAdd: what a later read can show is a difference, and the rest would have been sent.
func TestAdd(t *testing.T) {
	set, findings := load.File("r.yaml", []byte(effects), actions.All)
	if findings.HasErrors() {
		t.Fatal(findings)
	}
	update := func(step string, fields ...dryrun.FieldChange) dryrun.Change {
		return dryrun.Change{Step: step, Kind: dryrun.ChangeUpdate, Fields: fields}
	}
	var c shadow.Comparison
	c.Add(set.Rules[0], []dryrun.Change{
		update("field", dryrun.FieldChange{Name: "comments", Before: "y", After: "x"}),
		update("field"), // the same values again
		update("field", dryrun.FieldChange{Name: "CODE", Before: "deal-1", After: "b24r-1"}), // a takeover
		update("title", dryrun.FieldChange{Name: "title", Before: "y", After: "x"}),
		{Step: set.Rules[0].Steps[2].Label, Kind: dryrun.ChangeCall},
		{Step: "comment", Kind: dryrun.ChangeCall},
		{Step: "field", Kind: dryrun.ChangeDelete},
		{Step: "field", Kind: dryrun.ChangeAdd},
	})
	var sent []string
	for _, s := range c.Sent {
		sent = append(sent, s.Step)
	}
	if len(c.Differences) != 3 || c.Agreed() || !slices.Equal(sent, []string{"title", set.Rules[0].Steps[2].Label, "comment"}) {
		t.Errorf("differences %v, sent %v", c.Differences, sent)
	}
}
