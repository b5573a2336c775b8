package notes_test

import (
	"context"
	"errors"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/b24rules/b24rules/internal/notes"
	"github.com/b24rules/b24rules/internal/pgtemp"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/store"
)

var postgres pgtemp.Pool

func TestMain(m *testing.M) { os.Exit(postgres.Run(m)) }

// each runs a test on each kind of database, which two processes have open.
func each(t *testing.T, test func(t *testing.T, one, other store.DB)) {
	for name, dsn := range postgres.Each(t) {
		t.Run(name, func(t *testing.T) {
			var open [2]store.DB
			for i := range open {
				q, err := queue.Open(t.Context(), dsn, queue.Options{})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = q.Close() })
				open[i] = q.Database()
			}
			test(t, open[0], open[1])
		})
	}
}

func TestNotes(t *testing.T) {
	each(t, func(t *testing.T, db, _ store.DB) {
		for _, name := range []string{"sync b", "sync a", "alive"} {
			if err := notes.Set(t.Context(), db, name, "of "+name); err != nil {
				t.Fatal(err)
			}
		}
		if err := notes.Set(t.Context(), db, "sync a", "anew"); err != nil {
			t.Fatal(err)
		}
		if err := notes.Set(t.Context(), db, "", ""); err == nil {
			t.Error("a note without a name was accepted")
		}
		stored, err := notes.List(t.Context(), db, "sync ")
		if err != nil || len(stored) != 2 || stored[0].Value != "anew" || stored[1].Value != "of sync b" {
			t.Errorf("notes are %+v, %v", stored, err)
		}
		if err := notes.Delete(t.Context(), db, "alive"); err != nil {
			t.Fatal(err)
		}
		if n, ok, err := notes.Get(t.Context(), db, "alive"); err != nil || ok {
			t.Errorf("deleted note is %+v, %v", n, err)
		}
	})
}

func TestNotesAreUpdatedByOneProcessAtATime(t *testing.T) {
	each(t, func(t *testing.T, one, other store.DB) {
		var wg sync.WaitGroup
		for i := range 20 {
			db := one
			if i%2 == 1 {
				db = other
			}
			wg.Go(func() {
				err := notes.Update(t.Context(), db, "count", func(_ context.Context, old string) (string, error) {
					n, _ := strconv.Atoi(old)
					time.Sleep(time.Millisecond)
					return strconv.Itoa(n + 1), nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		n, ok, err := notes.Get(t.Context(), one, "count")
		if n.Value != "20" || !ok || err != nil {
			t.Errorf("the note is %q, %v, %v; want 20 updates", n.Value, ok, err)
		}
	})
}

func TestAFailedUpdateKeepsTheNote(t *testing.T) {
	each(t, func(t *testing.T, db, _ store.DB) {
		if err := notes.Set(t.Context(), db, "n", "before"); err != nil {
			t.Fatal(err)
		}
		mine := errors.New("no")
		err := notes.Update(t.Context(), db, "n", func(context.Context, string) (string, error) { return "after", mine })
		if !errors.Is(err, mine) {
			t.Errorf("error is %v, want that of the change", err)
		}
		if n, _, _ := notes.Get(t.Context(), db, "n"); n.Value != "before" {
			t.Errorf("the note is %q", n.Value)
		}
		// The claim is free again, and the note is stored even if the caller gives up in
		// the middle.
		ctx, cancel := context.WithCancel(t.Context())
		err = notes.Update(ctx, db, "n", func(ctx context.Context, _ string) (string, error) {
			cancel()
			return "after", ctx.Err()
		})
		if n, _, _ := notes.Get(t.Context(), db, "n"); n.Value != "after" || err != nil {
			t.Errorf("the note is %q, %v", n.Value, err)
		}
	})
}

// When a connection is lost, the transaction may or may not have been committed,
// and it is repeated.
func TestARepeatedClaimOfANoteIsTheSameClaim(t *testing.T) {
	each(t, func(t *testing.T, db, _ store.DB) {
		for range 2 {
			if mine, err := notes.Claim(t.Context(), db, "n", "me"); err != nil || !mine {
				t.Errorf("claim: %v, %v", mine, err)
			}
			if mine, err := notes.Claim(t.Context(), db, "n", "other"); err != nil || mine {
				t.Errorf("claim of another: %v, %v", mine, err)
			}
		}
		for range 2 {
			if err := notes.EndClaim(t.Context(), db, "n", "me", "", "new", true); err != nil {
				t.Errorf("end the claim: %v", err)
			}
		}
		if err := notes.EndClaim(t.Context(), db, "n", "me", "", "another", true); err == nil {
			t.Error("a note that was changed meanwhile is overwritten")
		}
	})
}
