package service_test

import (
	"testing"
	"testing/fstest"
	"time"

	"github.com/b24rules/b24rules/internal/app/apptest"
)

// TestSleepers: a step with at runs at its time, once, also if the engine was stopped
// before, and another time replaces the first.
func TestSleepers(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{
		Inputs: map[string]map[string]string{},
		Rules: fstest.MapFS{"remind.yaml": {Data: []byte(`version: 1
rules:
  remind:
    on: [ONCRMDEALADD, ONCRMDEALUPDATE]
    debounce: 30ms
    steps:
      - id: deal
        fetch_item: {owner: deal, id: =event.id}
      - at: =date(deal.title)
        notify: {to: 1, message: "deal {{ event.id }} is due"}
`)}},
	})
	title := func(in time.Duration) string { return time.Now().Add(in).UTC().Format(time.RFC3339) }
	var deal int
	h.Rest("crm.deal.add", map[string]any{"fields": map[string]any{"TITLE": title(time.Hour)}}, &deal)
	h.Wait()
	due := time.Now().Add(3 * time.Second)
	h.Rest("crm.deal.update", map[string]any{"id": deal, "fields": map[string]any{"TITLE": title(3 * time.Second)}}, nil)
	h.Wait()
	if n := len(h.Portal.Notifications()); n != 0 {
		t.Fatalf("%d notifications before the time", n)
	}
	h.Stop()
	h.Start()
	h.Until("the notification arrives", func() bool { return len(h.Portal.Notifications()) == 1 })
	if early := time.Until(due); early > time.Second {
		t.Errorf("the notification came %s early", early)
	}
	h.Rest("crm.deal.update", map[string]any{"id": deal, "fields": map[string]any{"COMMENTS": "an edit"}}, nil)
	h.Wait()
	if n := len(h.Portal.Notifications()); n != 1 {
		t.Errorf("%d notifications, want 1", n)
	}
}
