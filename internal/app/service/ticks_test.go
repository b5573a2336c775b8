package service_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/catchup"
	"github.com/b24rules/b24rules/internal/jobs"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/store"
)

// ticking is a program whose schedules can be made due.
type ticking struct{ *harness }

// job returns the open job of a schedule.
func (h ticking) job(key string) jobs.Job {
	h.T.Helper()
	all, err := jobs.New(h.Service.Queue().Database()).List(h.Context(), jobs.Filter{Kind: "tick", Key: key, Open: true})
	if err != nil {
		h.T.Fatal(err)
	}
	if len(all) != 1 {
		h.T.Fatalf("%d open jobs of schedule %s", len(all), key)
	}
	return all[0]
}

// fire makes a schedule due some time ago, and waits until its runs have ended.
func (h ticking) fire(key string, ago time.Duration) { h.fireAt(key, time.Now().Add(-ago)) }

func (h ticking) fireAt(key string, due time.Time) {
	h.T.Helper()
	h.makeDue(key, due)
	h.Until("the entities of the tick are in the queue", func() bool { return h.open("schedule") == 0 })
	h.Wait()
}

// open counts the open jobs of a kind.
func (h ticking) open(kind string) int {
	h.T.Helper()
	all, err := jobs.New(h.Service.Queue().Database()).List(h.Context(), jobs.Filter{Kind: kind, Open: true})
	if err != nil {
		h.T.Fatal(err)
	}
	return len(all)
}

// makeDue makes a schedule due at a time that has passed, and waits until its job waits for the
// next tick.
func (h ticking) makeDue(key string, due time.Time) {
	h.T.Helper()
	due = due.Truncate(time.Second)
	err := h.Service.Queue().Database().Write(h.Context(), func(ctx context.Context, t store.Tx) error {
		_, err := t.Exec(ctx, `UPDATE b24_job SET due_at = $2 WHERE kind = 'tick' AND key = $1 AND state = 'waiting'`, key, store.Micros(due))
		return err
	})
	if err != nil {
		h.T.Fatal(err)
	}
	h.Until("the tick has been worked", func() bool { j := h.job(key); return j.State == jobs.Waiting && j.Due.After(time.Now()) })
}

func (h ticking) messages() []string {
	h.Wait()
	var out []string
	for _, n := range h.Portal.Notifications() {
		out = append(out, n.Text)
	}
	slices.Sort(out)
	return out
}

// TestTicks checks the ticks of a rule about the portal, of one about deals with a filter,
// and of one with events: what runs, that a tick takes effect like an event, and what is
// missed.
func TestTicks(t *testing.T) {
	t.Parallel()
	h := ticking{newHarness(t, apptest.Options{
		Inputs: map[string]map[string]string{},
		Rules: fstest.MapFS{"ticks.yaml": {Data: []byte(`version: 1
rules:
  report:
    on: {schedule: "0 0 1 1 *", zone: Europe/Moscow}
    steps:
      - id: deals
        fetch_items: {owner: deal, select: [title]}
      - notify: {to: 1, message: "{{ len(deals) }} deals at {{ event.time }}"}
  open:
    about: deal
    on: {schedule: "0 0 1 1 *", filter: {stageId: NEW}}
    debounce: 30ms
    steps:
      - id: deal
        fetch_item: {owner: deal, id: =event.id}
      - once: =deal.title
        notify: {to: 1, message: "{{ deal.title }} is open"}
`)}},
	})}
	h.Until("the schedules have jobs", func() bool { return h.open("tick") == 2 })
	for _, deal := range []map[string]any{{"TITLE": "Roof"}, {"TITLE": "Wall", "STAGE_ID": "WON"}, {"TITLE": "Door"}} {
		h.Rest("crm.deal.add", map[string]any{"fields": deal}, nil)
	}
	moscow, err := time.LoadLocation("Europe/Moscow")
	if err != nil {
		t.Fatal(err)
	}
	if due := h.job("report/0").Due.In(moscow); due.Format("01-02 15:04") != "01-01 00:00" || !due.After(time.Now()) {
		t.Errorf("the report is due at %s", due)
	}
	h.fire("open/0", time.Minute)
	if got := h.messages(); fmt.Sprint(got) != "[Door is open Roof is open]" {
		t.Errorf("after the first tick: %q", got)
	}
	h.fire("open/0", time.Minute) // once: nothing is new
	if got := h.messages(); len(got) != 2 {
		t.Errorf("after the second tick: %q", got)
	}
	due := time.Now().Add(-time.Hour)
	h.fire("report/0", time.Hour)
	got := h.messages()
	if len(got) != 3 || got[0][:9] != "3 deals a" {
		t.Fatalf("after the report: %q", got)
	}
	said, err := time.Parse(time.RFC3339, got[0][len("3 deals at "):])
	if err != nil || said.Sub(due).Abs() > 2*time.Minute {
		t.Errorf("event.time of the report: %q, the tick was due at %s", got[0], due)
	}
	h.fire("report/0", 25*time.Hour) // more than a day
	if got := h.messages(); len(got) != 3 {
		t.Errorf("a tick that is a day late runs: %q", got)
	}
	if h.Logged("the ticks of a schedule were missed") != 1 {
		t.Error("nothing is said about the missed tick")
	}
	if h.Logged("a job is incomplete") > 0 {
		t.Error("the entities of a filter are taken for all of their type")
	}
	// A process that was killed after it has stored a tick does not start it again.
	key := "report/0"
	h.Stop()
	h.Start()
	h.fire(key, 2*time.Hour)
	if got := h.messages(); len(got) != 3 {
		t.Errorf("an older tick than the last one runs: %q", got)
	}
	stored := h.ticks()
	h.fireAt(key, due)
	if got := h.ticks(); got != stored {
		t.Errorf("the last tick is stored again: %d instead of %d", got, stored)
	}
}

// ticks counts the stored ticks about the portal.
func (h ticking) ticks() int {
	h.T.Helper()
	events, err := journal.FindEvents(h.Context(), h.Service.Queue().Database(), journal.EventFilter{Code: catchup.CodeTick, Limit: 100})
	if err != nil {
		h.T.Fatal(err)
	}
	return len(events)
}

// TestTickOverTick: a tick that comes while the entities of the last one are still being read does
// nothing, and says so.
func TestTickOverTick(t *testing.T) {
	t.Parallel()
	h := ticking{newHarness(t, apptest.Options{
		Inputs: map[string]map[string]string{},
		Rules: fstest.MapFS{"tick.yaml": {Data: []byte(`version: 1
rules:
  open:
    about: deal
    on: {schedule: "0 0 1 1 *"}
    steps: [{log: {message: a}}]
`)}},
	})}
	h.Until("the schedule has a job", func() bool { return h.open("tick") == 1 })
	if err := h.Portal.SetFaults(emulator.Fault{Method: "crm.item.list", Kind: emulator.FaultDelay, Delay: time.Hour}); err != nil {
		t.Fatal(err)
	}
	due := time.Now()
	h.makeDue("open/0", due.Add(-30*time.Second))
	h.Until("the entities are being read", func() bool { return h.Portal.Faults()[0].Hit > 0 })
	const busy = "a tick does nothing, because the runs of the last one are still being stored"
	if n := h.Logged(busy); n != 0 {
		t.Errorf("the first tick: %d", n)
	}
	h.makeDue("open/0", due.Add(-10*time.Second))
	if n := h.Logged(busy); n != 1 {
		t.Errorf("the second tick: %d", n)
	}
	if n := h.open("schedule"); n != 1 {
		t.Errorf("%d jobs read entities", n)
	}
	if err := h.Portal.SetFaults(); err != nil {
		t.Fatal(err)
	}
}

// TestTicksOverReload checks that a schedule that has changed is due at its new time, and
// that one of a removed rule ends.
func TestTicksOverReload(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{}
	rule := func(cron string) {
		files["tick.yaml"] = &fstest.MapFile{ModTime: time.Now(), Data: []byte(`version: 1
rules:
  tick:
    on: {schedule: "` + cron + `"}
    steps:
      - log: {message: tick}
`)}
	}
	rule("0 0 1 1 *")
	h := ticking{newHarness(t, apptest.Options{Inputs: map[string]map[string]string{}, Rules: files})}
	has := func(month time.Month) func() bool {
		return func() bool {
			all, err := jobs.New(h.Service.Queue().Database()).List(h.Context(), jobs.Filter{Kind: "tick", Open: true})
			return err == nil && len(all) == 1 && all[0].Due.In(time.UTC).Month() == month
		}
	}
	h.Until("the schedule is due in January", has(time.January))
	rule("0 12 15 6 *")
	h.Until("the schedule is due in June", func() bool { h.Service.Reload(); return has(time.June)() })
}
