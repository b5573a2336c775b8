package actions_test

import (
	"strings"
	"testing"

	"github.com/b24rules/b24rules/emulator"
)

// TestValuesThatAreNotKept: a portal answers updates of a field with success and does
// not keep the value. The first run says so in its notes, the second one is parked,
// because the event of this update starts the same run again.
func TestValuesThatAreNotKept(t *testing.T) {
	s := newScript(t, emulator.Config{})
	s.perform("portal", "type Lines NOTE:string")
	s.perform("rest", `crm.deal.add {"fields":{"TITLE":"Roof","COMMENTS":"old"}}
crm.item.add {"entityTypeId":1030,"fields":{"title":"old"}}`)
	own := `version: 1
rules:
  own:
    on: ONCRMDEALUPDATE
    steps:
      - update_item: {owner: deal, id: =event.id, fields: {comments: new}}
`
	s.compile([]byte(own))
	s.fault(emulator.Fault{Kind: emulator.FaultUnkept, Method: "crm.item.update"})
	const says = "the portal does not keep field comments"
	if s.run([]string{"deal:1"}); s.outcome != "done\n" || !strings.Contains(s.notes, says) {
		t.Errorf("first run: %s%s", s.outcome, s.notes)
	}
	if s.run([]string{"deal:1"}); !strings.HasPrefix(s.outcome, "park: ") || !strings.Contains(s.outcome, says) {
		t.Errorf("second run: %s", s.outcome)
	}
	if calls := s.client.take(); strings.Contains(calls, "write") {
		t.Errorf("the second run writes\n%s", calls)
	}
	s.fault()
	clear(s.memory.Values)
	if s.run([]string{"deal:1"}); s.outcome != "done\n" || strings.Contains(s.notes, says) {
		t.Errorf("a run with a portal that keeps the value: %s%s", s.outcome, s.notes)
	}

	// The update of another item starts no run of this rule.
	s.compile([]byte(strings.Replace(own, "owner: deal, id: =event.id, fields: {comments: new}", "entityTypeId: 1030, id: 1, fields: {title: new}", 1)))
	s.fault(emulator.Fault{Kind: emulator.FaultUnkept, Method: "crm.item.update"})
	for range 3 {
		if s.run([]string{"deal:1"}); s.outcome != "done\n" || !strings.Contains(s.notes, "the portal does not keep field title") {
			t.Errorf("another item: %s%s", s.outcome, s.notes)
		}
	}
}
