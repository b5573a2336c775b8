package queue

import (
	"strings"
	"testing"
)

// A database that can only be read, as on a file system that was remounted
// after an error, refuses events, says why, and takes them again afterwards.
func TestAReadOnlyDatabase(t *testing.T) {
	q := openTest(t)
	only := func(on string) {
		t.Helper()
		// The only connection that writes; what it is in the midst of ends first.
		_, err := sqliteOf(q).write.ExecContext(t.Context(), "PRAGMA query_only = "+on)
		if err != nil {
			t.Fatal(err)
		}
	}
	push := func() error { return q.Push(t.Context(), Event{Portal: "acme", Code: "X"}, nil) }
	if err := push(); err != nil {
		t.Fatal(err)
	}
	only("ON")
	for range 3 {
		if err := push(); err == nil || !strings.Contains(err.Error(), "readonly") {
			t.Errorf("a push to a read-only database: %v", err)
		}
	}
	only("OFF")
	if err := push(); err != nil {
		t.Errorf("a push afterwards: %v", err)
	}
	if s, err := q.Stats(t.Context()); err != nil || s.Events != 2 {
		t.Errorf("%d events, %v, want 2", s.Events, err)
	}
}
