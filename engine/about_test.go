package engine_test

import (
	"errors"
	"testing"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/enginetest"
)

// TestSubject: what the runs of a rule are for, and the entity of an id.
func TestSubject(t *testing.T) {
	set := enginetest.Compile(t, `
version: 1
rules:
  company: {about: company, steps: [{make_rows: {count: 1}}]}
  portal: {about: portal, steps: [{make_rows: {count: 1}}]}
  deals: {on: [ONCRMDEALADD, ONCRMDEALUPDATE], steps: [{make_rows: {count: 1}}]}
  invoices: {on: {events: [ONCRMDYNAMICITEMUPDATE], entityTypeId: 31}, steps: [{make_rows: {count: 1}}]}
  several: {on: [ONCRMDEALADD, ONCRMLEADADD], steps: [{make_rows: {count: 1}}]}
  all-types: {on: {events: [ONCRMDYNAMICITEMUPDATE], entityTypeId: any}, steps: [{make_rows: {count: 1}}]}
  parent: {on: ONCRMDEALUPDATE, entity: =event.id, steps: [{make_rows: {count: 1}}]}
`, new([]enginetest.Saved))
	want := map[string]string{
		"company": "company:7", "portal": "portal:portal", "deals": "deal:7", "invoices": "item:31:7",
		"several": "", "all-types": "", "parent": "",
	}
	for _, r := range set.Rules {
		got := ""
		if a, ok := r.Subject(); ok {
			got = a.EntityWithID(r, 7).String()
		}
		if got != want[r.ID] {
			t.Errorf("rule %s is for %q, want %q", r.ID, got, want[r.ID])
		}
		if r.Starts() || r.Sleeps() || r.Remembers() {
			t.Errorf("rule %s starts, sleeps or remembers", r.ID)
		}
	}
}

// TestParkErrorOf: the kind and the cause of an error are found again.
func TestParkErrorOf(t *testing.T) {
	var parked *engine.ParkedError
	err := engine.ParkErrorOf(engine.ParkedByCycle, "a cycle of %d rules", 2)
	if !errors.As(err, &parked) || parked.Kind != engine.ParkedByCycle || err.Error() != "a cycle of 2 rules" {
		t.Errorf("%v, %+v", err, parked)
	}
}
