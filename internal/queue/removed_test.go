package queue_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

// TestRemovedFile removes or replaces the file of the database while it is worked. Work ends with the
// reason, and nothing that was stored is lost.
func TestRemovedFile(t *testing.T) {
	for _, tt := range []struct {
		name, want, rescued string
		change              func(path string) error
	}{
		{"removed", "was removed while it was in use", "queue.db", os.Remove},
		{"replaced", "was replaced while it was in use", "queue.db.replaced-*.bak", func(path string) error {
			if err := os.WriteFile(path+".new", []byte("another file"), 0o600); err != nil {
				return err
			}
			return os.Rename(path+".new", path)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "queue.db")
			q, err := queue.Open(t.Context(), "sqlite:"+path, queue.Options{Portals: []string{"acme"}})
			if err != nil {
				t.Fatal(err)
			}
			working := make(chan struct{})
			ended := make(chan error, 1)
			go func() {
				ended <- q.Work(t.Context(), func(context.Context, *queue.Run) error { close(working); return nil })
			}()
			push(t, q, "1", queue.Route{Rule: "r", Entity: "deal:1"})
			<-working
			if err := tt.change(path); err != nil {
				t.Fatal(err)
			}
			// Readers need more connections. They must not make a new file.
			var readers sync.WaitGroup
			for range 16 {
				readers.Go(func() { _, _ = journal.FindEvents(t.Context(), q.Database(), journal.EventFilter{}) })
			}
			readers.Wait()
			push(t, q, "2", queue.Route{Rule: "r", Entity: "deal:2", Debounce: time.Hour})
			if err := <-ended; err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("Work: %v, want one with %q", err, tt.want)
			}
			if err := q.Close(); err != nil {
				t.Fatal(err)
			}
			found, err := filepath.Glob(filepath.Join(filepath.Dir(path), tt.rescued))
			if err != nil || len(found) != 1 {
				t.Fatalf("rescued %v, %v", found, err)
			}
			if data, err := os.ReadFile(path); tt.name == "replaced" && string(data) != "another file" {
				t.Errorf("the new file has %d bytes, %v", len(data), err)
			}
			if got := runs(t, open(t, found[0], queue.Options{}), journal.Filter{}); len(got) != 2 {
				t.Errorf("%d runs, want 2: %+v", len(got), got)
			}
		})
	}
}
