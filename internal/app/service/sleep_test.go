package service_test

import (
	"slices"
	"strconv"
	"testing"
	"testing/fstest"
	"time"

	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/jobs"
	"github.com/b24rules/b24rules/internal/queue"
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

// TestSleepersOfARule: sleeping runs of a rule that has changed plan again, also a step that
// has run for another time, and those of a rule that waits for nothing any more are discarded.
// They neither wait for ever nor become parked.
func TestSleepersOfARule(t *testing.T) {
	t.Parallel()
	files := newRuleFiles(t)
	var h *harness
	version := 0
	// rule changes the rule after all that an earlier change has started.
	rule := func(option string) {
		if h != nil {
			h.Until("the looks are over", func() bool {
				all, err := jobs.New(h.Service.Queue().Database()).List(h.Context(), jobs.Filter{Open: true, Portal: demo.PortalName})
				return err == nil && !slices.ContainsFunc(all, func(j jobs.Job) bool { return j.Kind == "look" || j.Kind == "replan" })
			})
			h.Wait()
			defer h.Service.Reload()
		}
		version++
		files.put("remind.yaml", &fstest.MapFile{ModTime: time.Now(), Data: []byte(`version: 1
rules:
  remind:
    on: [ONCRMDEALADD, ONCRMDEALUPDATE]
    debounce: 30ms
    steps:
      - id: deal
        fetch_item: {owner: deal, id: =event.id}
      - ` + option + `
        notify: {to: 1, message: "due, version ` + strconv.Itoa(version) + `"} # an equal text replaces the notification
`)})
	}
	at := func(formula string) string { return "id: due\n        at: =" + formula }
	rule(at("addDays(date(deal.title), 2)"))
	h = newHarness(t, apptest.Options{Rules: files, Inputs: demo.ShippedInputs(), Findings: true})
	runs := func(state queue.State) int {
		all, err := h.Service.Queue().Runs(h.Context(), queue.Filter{Rule: "remind", States: []queue.State{state}})
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	sent := func(n int) func() bool { return func() bool { return len(h.Portal.Notifications()) == n } }
	h.Rest("crm.deal.add", map[string]any{"fields": map[string]any{"TITLE": time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)}}, new(int))
	h.Until("the run sleeps", func() bool { return runs(queue.Asleep) == 1 })
	if !sent(0)() {
		t.Fatal("a notification before the time")
	}

	rule(at("date(deal.title)"))
	h.Until("a time that has passed by the change is kept", sent(1))
	h.Until("nothing sleeps", func() bool { return runs(queue.Asleep) == 0 })

	rule(at("addHours(date(deal.title), -1)"))
	h.Until("another time that has passed is kept, though nothing slept", sent(2))

	rule(at("addDays(date(deal.title), 3)"))
	h.Until("a later time is planned, though nothing slept", func() bool { return runs(queue.Asleep) == 1 })

	rule("id: due\n        once: =deal.title")
	h.Until("it is given up, because the rule waits for nothing", func() bool { return runs(queue.Discarded) == 1 && runs(queue.Asleep) == 0 })
	if n := runs(queue.Parked); n != 0 {
		t.Errorf("%d runs are parked", n)
	}
}
