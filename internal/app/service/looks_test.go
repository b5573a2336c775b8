package service_test

import (
	"fmt"
	"testing"
	"testing/fstest"
	"time"

	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/jobs"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/shadow"
)

// TestFirstLook: deals that were won before the rule came are not announced at their next
// edit. One that is won later is, once for each time.
func TestFirstLook(t *testing.T) {
	t.Parallel()
	var old int
	h := newHarness(t, apptest.Options{
		Inputs: map[string]map[string]string{},
		Rules: fstest.MapFS{"won.yaml": {Data: []byte(`version: 1
rules:
  won:
    on: [ONCRMDEALADD, ONCRMDEALUPDATE]
    debounce: 30ms
    steps:
      - id: deal
        fetch_item: {owner: deal, id: =event.id}
      - entered: =deal.stageId == "WON"
        notify: {to: 1, message: "{{ deal.title }} is won"}
`)}},
		Before: func(s *demo.Fixture) {
			if err := s.People.Client.Call(t.Context(), "crm.deal.add", map[string]any{"fields": map[string]any{"TITLE": "Old", "STAGE_ID": "WON"}}, &old); err != nil {
				t.Fatal(err)
			}
		},
	})
	h.waitLook()
	h.Wait()
	want := func(messages ...string) {
		t.Helper()
		h.Wait()
		var got []string
		for _, n := range h.Portal.Notifications() {
			got = append(got, n.Text)
		}
		if fmt.Sprint(got) != fmt.Sprint(messages) {
			t.Errorf("notifications %q, want %q", got, messages)
		}
	}
	want()
	change := func(deal int, field, value string) {
		h.Rest("crm.deal.update", map[string]any{"id": deal, "fields": map[string]any{field: value}}, nil)
		h.Wait()
		time.Sleep(50 * time.Millisecond) // so that two edits are two runs
	}
	change(old, "COMMENTS", "an edit")
	want()
	late := h.AddDeal("New")
	change(late, "STAGE_ID", "WON")
	want("New is won")
	change(old, "STAGE_ID", "NEW")
	change(old, "STAGE_ID", "WON")
	want("New is won", "Old is won")

	// A restart looks no second time.
	h.Stop()
	h.Start()
	h.Wait()
	if !h.looked() {
		t.Error("the rule looks again after a restart")
	}
	change(old, "COMMENTS", "another edit")
	want("New is won", "Old is won")
}

// TestEventBehindALook: a deal is won while the event of that is still on its way. The look does
// not remember the new state, so the event announces it, once. The same holds for a company
// that only the rule of its deals starts.
func TestEventBehindALook(t *testing.T) {
	t.Parallel()
	var deal int
	h := newHarness(t, apptest.Options{
		Inputs: map[string]map[string]string{}, Limits: config.Limits{EventDelay: time.Hour},
		Events: []string{"ONCRMLEADADD"}, // the test sends those of deals
		Rules: fstest.MapFS{"won.yaml": {Data: []byte(`version: 1
rules:
  won:
    on: ONCRMDEALUPDATE
    debounce: 30ms
    steps:
      - id: deal
        fetch_item: {owner: deal, id: =event.id}
      - start: {rule: total, id: =deal.companyId}
      - entered: =deal.stageId == "WON"
        notify: {to: 1, message: deal}
  total:
    about: company
    debounce: 30ms
    steps:
      - id: deals
        fetch_items: {owner: deal, filter: {companyId: =event.id}, select: [opportunity], limit: 100}
      - entered: =sum(deals, .opportunity) > 100
        notify: {to: 1, message: company}
`)}},
		Before: func(s *demo.Fixture) {
			var company int
			if err := s.People.Client.Call(t.Context(), "crm.company.add", map[string]any{"fields": map[string]any{"TITLE": "A"}}, &company); err != nil {
				t.Fatal(err)
			}
			fields := map[string]any{"TITLE": "New", "STAGE_ID": "WON", "OPPORTUNITY": 200, "COMPANY_ID": company}
			if err := s.People.Client.Call(t.Context(), "crm.deal.add", map[string]any{"fields": fields}, &deal); err != nil {
				t.Fatal(err)
			}
		},
	})
	h.Until("both looks wait for an event", func() bool {
		all, err := journal.FindRuns(h.Context(), h.Service.Queue().Database(), journal.Filter{States: []journal.State{journal.Waiting}, Text: "its event may still be on its way"})
		return err == nil && len(all) == 2
	})
	for range 2 { // the second one reports nothing new
		h.Post(h.HookURL, formType, h.dealEvent(deal))
		h.Wait()
		got := map[string]int{}
		for _, n := range h.Portal.Notifications() {
			got[n.Text]++
		}
		if len(got) != 2 || got["deal"] != 1 || got["company"] != 1 {
			t.Errorf("notifications %v, want one of the deal and one of the company", got)
		}
	}
}

// TestFirstLookInShadowMode: a first look is no comparison with a script, because the script has
// received no event of the entity either.
func TestFirstLookInShadowMode(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{
		Inputs: map[string]map[string]string{}, Shadow: 50 * time.Millisecond,
		Rules: fstest.MapFS{"title.yaml": {Data: []byte(`version: 1
rules:
  title:
    on: [ONCRMDEALUPDATE]
    debounce: 30ms
    steps:
      - id: deal
        fetch_item: {owner: deal, id: =event.id}
      - entered: =deal.stageId == "WON"
        notify: {to: 1, message: won}
      - update_item: {owner: deal, id: =event.id, fields: {comments: checked}}
`)}},
		Before: func(s *demo.Fixture) {
			if err := s.People.Client.Call(t.Context(), "crm.deal.add", map[string]any{"fields": map[string]any{"TITLE": "Old"}}, new(int)); err != nil {
				t.Fatal(err)
			}
		},
	})
	h.waitLook()
	h.Wait()
	if h.Logged("shadow=true") == 0 {
		t.Error("no run has looked at the deal")
	}
	all, err := shadow.Read(h.Context(), h.Service.Queue().Database(), demo.PortalName, 10)
	if err != nil || len(all) != 0 {
		t.Errorf("comparisons %v, %v; want none", all, err)
	}
}

// looked reports whether one first look was started and is over.
func (h *harness) looked() bool {
	h.T.Helper()
	all, err := jobs.New(h.Service.Queue().Database()).List(h.Context(), jobs.Filter{Kind: "look"})
	if err != nil {
		h.T.Fatal(err)
	}
	return len(all) == 1 && all[0].State == jobs.Done
}

// waitLook waits until the first look is over, and the runs that it has stored.
func (h *harness) waitLook() {
	h.T.Helper()
	h.Until("the first look is over", h.looked)
	h.Wait()
}

// TestTimesOfARemovedRule: a rule may be gone when the job comes that plans its times again.
func TestTimesOfARemovedRule(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{})
	table := jobs.New(h.Service.Queue().Database())
	if err := table.AddOnce(h.Context(), jobs.Job{Portal: demo.PortalName, Kind: "replan", Key: "gone", Place: []byte(`{"look": true}`)}); err != nil {
		t.Fatal(err)
	}
	h.Until("the job is over", func() bool {
		all, err := table.List(h.Context(), jobs.Filter{Kind: "replan", Key: "gone"})
		return err == nil && len(all) == 1 && all[0].State == jobs.Done
	})
}
