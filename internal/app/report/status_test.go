package report_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/jobs"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/notes"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/store"
)

// TestStatusShowsJobs holds that a sync and a catch-up that are not over are shown,
// though the portal needs no attention.
func TestStatusShowsJobs(t *testing.T) {
	q, err := queue.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "queue.db"), queue.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = q.Close() }()
	at := time.Date(2100, 11, 29, 12, 0, 0, 0, time.Local)
	table := jobs.New(q.Database())
	for _, j := range []jobs.Job{
		{Portal: "acme", Kind: "sync", Key: "totals", Place: json.RawMessage(`{"total":120,"seen":60,"begun":59}`)},
		{Portal: "acme", Kind: "catchup", Key: "2026-11-29T08:00:00Z", Place: json.RawMessage(`{}`), Due: at},
		{Portal: "acme", Kind: "catchup", Key: "2026-11-29T09:00:00Z", Place: json.RawMessage(`[]`)},
		{Portal: "acme", Kind: "tick", Every: time.Hour},
		{Portal: "other", Kind: "sync", Key: "totals"},
		{Kind: "retention"},
	} {
		if err := table.AddOnce(t.Context(), j); err != nil {
			t.Fatal(err)
		}
	}
	s, err := report.ReadStatus(t.Context(), q, []string{"acme", "zeta"}, true)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := s.Write(&out, false); err != nil {
		t.Fatal(err)
	}
	want := `2 portals, no fault
acme  ok                                                          0 runs wait
acme  sync totals waiting                                         60 of 120 entities, 59 runs
acme  catchup 2026-11-29T08:00:00Z waiting until 2100-11-29 12:00:00  not started
acme  catchup 2026-11-29T09:00:00Z waiting                        cannot read job 3, a catchup of portal acme: json: cannot unmarshal array into Go value of type catchup.Job
`
	if diff := cmp.Diff(strings.Fields(want), strings.Fields(out.String())); diff != "" {
		t.Errorf("status (-want +got):\n%s\n%s", diff, out.String())
	}
}

// TestStatusOfANewPortal: after a while status says that a new portal has sent no event, and where to
// look. It is no fault: perhaps no entity has changed.
func TestStatusOfANewPortal(t *testing.T) {
	q, err := queue.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "queue.db"), queue.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = q.Close() }()
	text := func() string {
		t.Helper()
		s, err := report.ReadStatus(t.Context(), q, []string{"acme", "zeta"}, true)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := s.Write(&out, false); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	const hint = "acme  ok  0 runs wait; no event is stored; b24rules doctor --portal acme says whether events can arrive\n"
	if err := notes.Set(t.Context(), q.Database(), report.TokenNote("acme"), "digest"); err != nil {
		t.Fatal(err)
	}
	if got := text(); got != "2 portals, no fault\n" {
		t.Errorf("at once: %s", got)
	}
	earlier := func(ctx context.Context, t store.Tx) error {
		_, err := t.Exec(ctx, `UPDATE b24_note SET set_at = set_at - $1`, time.Hour.Microseconds())
		return err
	}
	if err := q.Database().Write(t.Context(), earlier); err != nil {
		t.Fatal(err)
	}
	if got := text(); got != "2 portals, no fault\n"+hint {
		t.Errorf("after an hour: %s", got)
	}
	if err := q.Push(t.Context(), journal.Event{Portal: "acme", Code: "ONCRMDEALADD"}, nil); err != nil {
		t.Fatal(err)
	}
	if got := text(); got != "2 portals, no fault\n" {
		t.Errorf("with an event: %s", got)
	}
}
