package service_test

import (
	"fmt"
	"testing"
	"testing/fstest"
	"time"

	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/journal"
)

// TestRollUp: the sum of the deals of a company is right after a deal has moved to another
// company and after one was deleted, also with a restart in between.
func TestRollUp(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{
		Inputs: map[string]map[string]string{},
		Rules: fstest.MapFS{"won.yaml": {Data: []byte(`version: 1
rules:
  total:
    about: company
    debounce: 30ms
    steps:
      - id: deals
        fetch_items: {owner: deal, filter: {companyId: =event.id}, select: [opportunity], limit: 1000}
      - update_item:
          owner: company
          id: =event.id
          fields: {comments: "total {{ sum(deals, .opportunity) }}"}
  deal-changed:
    on: [ONCRMDEALADD, ONCRMDEALUPDATE, ONCRMDEALDELETE]
    debounce: 30ms
    steps:
      - id: deal
        fetch_item: {owner: deal, id: =event.id}
      - start: {rule: total, id: =deal.companyId}
`)}},
	})
	company := func(title string) (id int) {
		h.Rest("crm.company.add", map[string]any{"fields": map[string]any{"TITLE": title}}, &id)
		return id
	}
	a, b := company("A"), company("B")
	deal := func(company int, sum string) (id int) {
		h.Rest("crm.deal.add", map[string]any{"fields": map[string]any{"COMPANY_ID": company, "OPPORTUNITY": sum}}, &id)
		return id
	}
	want := func(company int, total string) {
		t.Helper()
		h.Wait()
		var got struct{ Item struct{ Comments string } }
		h.Rest("crm.item.get", map[string]any{"entityTypeId": 4, "id": company}, &got)
		if got.Item.Comments != "total "+total {
			t.Errorf("company %d says %q, want %q", company, got.Item.Comments, "total "+total)
		}
	}
	first, second := deal(a, "10.10"), deal(a, "5")
	want(a, "15.1")
	h.Rest("crm.deal.update", map[string]any{"id": first, "fields": map[string]any{"COMPANY_ID": b}}, nil)
	want(a, "5")
	want(b, "10.1")
	h.Stop()
	h.Start()
	h.Rest("crm.deal.delete", map[string]any{"id": first}, nil)
	want(b, "0")
	h.Rest("crm.deal.delete", map[string]any{"id": second}, nil)
	want(a, "0")
	if n := h.Logged("level=ERROR"); n > 0 {
		t.Error(fmt.Sprint(n, " errors are logged"))
	}
}

// TestItemLeavesBeforeItsFirstRun: the run of a company counts a deal whose event is still on its way, and the
// deal leaves the company, or is deleted, before its first run. The company that it has left is counted once more.
func TestItemLeavesBeforeItsFirstRun(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{
		Inputs: map[string]map[string]string{}, Limits: config.Limits{EventDelay: time.Hour}, // longer than the test
		Events: []string{"ONCRMLEADADD"}, // the test sends those of deals
		Rules: fstest.MapFS{"all.yaml": {Data: []byte(`version: 1
rules:
  total:
    about: company
    debounce: 10ms
    steps:
      - id: deals
        fetch_items: {owner: deal, filter: {companyId: =event.id}, select: [opportunity], limit: 1000}
      - update_item: {owner: company, id: =event.id, fields: {comments: "total {{ sum(deals, .opportunity) }}"}}
  deal-changed:
    on: [ONCRMDEALADD, ONCRMDEALUPDATE, ONCRMDEALDELETE]
    debounce: 10ms
    steps:
      - id: deal
        fetch_item: {owner: deal, id: =event.id}
      - start: {rule: total, id: =deal.companyId}
`)}},
	})
	h.waitLook() // it would know the deals before their events
	var a, b int
	for _, id := range []*int{&a, &b} {
		h.Rest("crm.company.add", map[string]any{"fields": map[string]any{"TITLE": "A company"}}, id)
	}
	deal := func(company, sum int) (id int) {
		h.Rest("crm.deal.add", map[string]any{"fields": map[string]any{"COMPANY_ID": company, "OPPORTUNITY": sum}}, &id)
		return id
	}
	want := func(company, total int) {
		t.Helper()
		h.Wait()
		var got struct{ Item struct{ Comments string } }
		h.Rest("crm.item.get", map[string]any{"entityTypeId": 4, "id": company}, &got)
		if got.Item.Comments != fmt.Sprint("total ", total) {
			t.Errorf("company %d says %q, want %d", company, got.Item.Comments, total)
		}
	}
	known, moves, goes := deal(a, 1), deal(a, 10), deal(a, 100)
	h.event("ONCRMDEALADD", map[string]string{"ID": fmt.Sprint(known)})
	want(a, 111)
	if asleep := h.ofState("total", journal.Asleep); len(asleep) != 1 || time.Until(asleep[0].Due) < 59*time.Minute {
		t.Errorf("the run that is repeated: %+v", asleep)
	}
	h.Rest("crm.deal.update", map[string]any{"id": moves, "fields": map[string]any{"COMPANY_ID": b}}, nil)
	h.event("ONCRMDEALADD", map[string]string{"ID": fmt.Sprint(moves)})
	want(b, 10)
	want(a, 101)
	h.Rest("crm.deal.delete", map[string]any{"id": goes}, nil)
	h.event("ONCRMDEALDELETE", map[string]string{"ID": fmt.Sprint(goes)})
	want(a, 1)
	h.event("ONCRMDEALUPDATE", map[string]string{"ID": fmt.Sprint(known)})
	want(a, 1)
	if asleep := h.ofState("total", journal.Asleep); len(asleep) != 0 {
		t.Errorf("all deals are known, and a run is repeated: %+v", asleep)
	}
}

// TestStartedRunsWait: a started run waits for the debounce of its rule, so that many starts become
// one run.
func TestStartedRunsWait(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{
		Inputs: map[string]map[string]string{},
		Rules: fstest.MapFS{"all.yaml": {Data: []byte(`version: 1
rules:
  changed:
    on: [ONCRMDEALADD, ONCRMDEALUPDATE]
    debounce: 10ms
    steps: [{start: {rule: all}}]
  all:
    about: portal
    debounce: 1h
    steps: [{log: {message: "all deals"}}]
`)}},
	})
	h.waitLook() // it starts nothing
	started := func() []journal.Run {
		all, err := journal.FindRuns(h.Context(), h.Service.Queue().Database(), journal.Filter{Rule: "all"})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	for i := range 3 {
		h.Rest("crm.deal.add", map[string]any{"fields": map[string]any{"TITLE": fmt.Sprint("Deal ", i)}}, new(int))
		h.Until("the deal has started the rule", func() bool {
			all := started()
			return len(all) > 1 || len(all) == 1 && all[0].Count > i
		})
	}
	if all := started(); len(all) != 1 || all[0].State != journal.Waiting || all[0].Due.Sub(all[0].First) < time.Hour {
		t.Errorf("started %+v, want one run that waits for an hour", all)
	}
}
