package service_test

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/hold"
	"github.com/b24rules/b24rules/internal/jobs"
	"github.com/b24rules/b24rules/internal/journal"
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
	title := func(due time.Time) string { return due.UTC().Format(time.RFC3339) }
	var deal int
	h.Rest("crm.deal.add", map[string]any{"fields": map[string]any{"TITLE": title(time.Now().Add(time.Hour))}}, &deal)
	h.Wait()
	due := time.Now().Add(3 * time.Second).Truncate(time.Second)
	h.Rest("crm.deal.update", map[string]any{"id": deal, "fields": map[string]any{"TITLE": title(due)}}, nil)
	h.Wait()
	if n := len(h.Portal.Notifications()); n != 0 && time.Now().Before(due) {
		t.Fatalf("%d notifications before the time", n)
	}
	h.Stop()
	h.Start()
	h.Until("the notification arrives", func() bool { return len(h.Portal.Notifications()) == 1 })
	if early := time.Until(due); early > 0 {
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
	runs := func(state journal.State) int {
		all, err := journal.FindRuns(h.Context(), h.Service.Queue().Database(), journal.Filter{Rule: "remind", States: []journal.State{state}})
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	sent := func(n int) func() bool { return func() bool { return len(h.Portal.Notifications()) == n } }
	h.Rest("crm.deal.add", map[string]any{"fields": map[string]any{"TITLE": time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)}}, new(int))
	h.Until("the run sleeps", func() bool { return runs(journal.Asleep) == 1 })
	if !sent(0)() {
		t.Fatal("a notification before the time")
	}

	rule(at("date(deal.title)"))
	h.Until("a time that has passed by the change is kept", sent(1))
	h.Until("nothing sleeps", func() bool { return runs(journal.Asleep) == 0 })

	rule(at("addHours(date(deal.title), -1)"))
	h.Until("another time that has passed is kept, though nothing slept", sent(2))

	rule(at("addDays(date(deal.title), 3)"))
	h.Until("a later time is planned, though nothing slept", func() bool { return runs(journal.Asleep) == 1 })

	rule("id: due\n        once: =deal.title")
	h.Until("it is given up, because the rule waits for nothing", func() bool { return runs(journal.Discarded) == 1 && runs(journal.Asleep) == 0 })
	if n := runs(journal.Parked); n != 0 {
		t.Errorf("%d runs are parked", n)
	}
}

// sleepingRule is a rule with a run that sleeps for each deal, next to another file.
func sleepingRule(id, moved string) map[string]string {
	return map[string]string{
		"other.yaml": "version: 1\nrules:\n  other:\n    on: ONCRMLEADADD\n    steps: [{log: {message: x}}]\n",
		"a.yaml": "version: 1\nrules:\n  " + id + ":\n" + moved + `    on: [ONCRMDEALADD, ONCRMDEALUPDATE]
    debounce: 30ms
    steps:
      - id: deal
        fetch_item: {owner: deal, id: =event.id}
      - when: =deal.createdTime != nil
        at: =addDays(date(deal.createdTime), 300)
        notify: {to: 1, message: due}
`,
	}
}

// ofState returns the runs of a rule in a state.
func (h *harness) ofState(rule string, state journal.State) []journal.Run {
	h.T.Helper()
	all, err := journal.FindRuns(h.Context(), h.Service.Queue().Database(), journal.Filter{Rule: rule, States: []journal.State{state}})
	if err != nil {
		h.T.Fatal(err)
	}
	return all
}

// TestSleepersOfARemovedRule: sleeping runs wait for a rule that is removed, and are given up
// with all that waits for it, a week after the removal and not after their own time.
func TestSleepersOfARemovedRule(t *testing.T) {
	t.Parallel()
	files := &ruleFiles{files: fstest.MapFS{}}
	files.set(sleepingRule("remind", ""))
	h := newHarness(t, apptest.Options{Rules: files, Inputs: map[string]map[string]string{}, Findings: true})
	h.AddDeal("Roof")
	held := func(rule string) bool {
		return slices.ContainsFunc(h.holds(), func(o queue.Hold) bool { return o.Rule == rule && o.Cause == hold.Removed })
	}
	file := files.remove("a.yaml")
	h.Service.Reload()
	h.Until("the rule is held", func() bool { return held("remind") })
	files.put("a.yaml", file)
	h.Service.Reload()
	h.Until("the rule runs again", func() bool { return len(h.holds()) == 0 })
	h.Until("a run of the rule that is back sleeps", func() bool { return len(h.ofState("remind", journal.Asleep)) == 1 })
	files.remove("a.yaml")
	h.Service.Reload()
	h.Until("the rule is held again", func() bool { return held("remind") && held(queue.AllOf("a")) })
	db, err := openRaw(filepath.Join(h.Options.Dir, "b24rules.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.Exec(`UPDATE b24_hold SET since = since - $1`, (8 * 24 * time.Hour).Microseconds()); err != nil {
		t.Fatal(err)
	}
	h.Service.Reload()
	h.Until("given up", func() bool { return len(h.holds()) == 0 && len(h.ofState("remind", journal.Asleep)) == 0 })
	gone := h.ofState("remind", journal.Discarded)
	if len(gone) != 1 {
		t.Fatalf("given up %+v", gone)
	}
	if acts, err := journal.Acts(h.Context(), h.Service.Queue().Database(), gone[0].ID); err != nil || len(acts) != 1 || !strings.Contains(acts[0].Who, "the rule was removed") {
		t.Errorf("acts %+v, %v", acts, err)
	}
}

// TestSleepersOfARenamedRule: a renamed rule takes over the sleeping runs, which wake at the same
// time, and the first look.
func TestSleepersOfARenamedRule(t *testing.T) {
	t.Parallel()
	files := &ruleFiles{files: fstest.MapFS{}}
	files.set(sleepingRule("remind", ""))
	h := newHarness(t, apptest.Options{Rules: files, Inputs: map[string]map[string]string{}, Findings: true})
	h.AddDeal("Roof")
	h.waitLook()
	before := h.ofState("remind", journal.Asleep)
	files.set(sleepingRule("reminder", "    moved: {from: remind}\n"))
	h.Service.Reload()
	h.Until("the times are planned again", func() bool {
		all, err := jobs.New(h.Service.Queue().Database()).List(h.Context(), jobs.Filter{Kind: "replan"})
		return err == nil && len(all) == 1 && all[0].Key == "reminder" && all[0].State == jobs.Done
	})
	h.Wait()
	after := h.ofState("reminder", journal.Asleep)
	if len(before) != 1 || len(after) != 1 || !before[0].Due.Equal(after[0].Due) {
		t.Errorf("slept %+v, sleep %+v", before, after)
	}
	if len(h.holds()) != 0 || !h.looked() {
		t.Errorf("holds %v, and the look is the only one: %t", h.holds(), h.looked())
	}
}
