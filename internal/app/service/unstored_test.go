package service

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/internal/journal"
)

// TestUnstoredAtTheEnd: the end of the process stores the kept events while run stores them
// too. Each event is stored once, in order, and none is lost.
func TestUnstoredAtTheEnd(t *testing.T) {
	var mu sync.Mutex
	var stored []string
	u := &unstored{log: slog.New(slog.DiscardHandler), store: func(_ context.Context, e journal.Event) error {
		time.Sleep(10 * time.Millisecond) // a slow database
		mu.Lock()
		defer mu.Unlock()
		stored = append(stored, e.Code)
		return nil
	}}
	var want []string
	for i := range 3 {
		want = append(want, fmt.Sprint("EVENT", i))
		u.keep(journal.Event{Portal: "acme", Code: want[i]})
	}
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() { u.flush(t.Context()) })
	}
	all.Wait()
	if diff := cmp.Diff(want, stored); diff != "" {
		t.Errorf("stored events (-want +got):\n%s", diff)
	}
	if left := u.portals(); len(left) != 0 {
		t.Errorf("%v have events that are kept", left)
	}
}
