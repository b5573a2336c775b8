package actions_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/engine"
)

// madeRecords knows that the step of a rule has made item 1 of type 1030 for deal 1.
type madeRecords struct{ engine.Records }

func (madeRecords) MadeFor(_ context.Context, rule, step, place string, e engine.Entity, _ int) ([]int, error) {
	if rule != "own" || step == "" || place != engine.PlaceOfItems(1030) || e.String() != "deal:1" {
		return nil, fmt.Errorf("asked for step %q of rule %s, %s, %s", step, rule, place, e)
	}
	return []int{1}, nil
}

// TestHiddenItems: a step that is about to add an item knows from the ledger which one it has made
// for the entity before. If the portal's list omits it, no second one is made.
func TestHiddenItems(t *testing.T) {
	for name, step := range map[string]string{
		"upsert_item": "upsert_item: {entityTypeId: 1030, key: {ufCrm1Note: =string(event.id)}, fields: {title: new}}",
		"sync_items":  "sync_items: {entityTypeId: 1030, scope: {ufCrm1Note: =string(event.id)}, rows: '=[1]', key: {xmlId: =string(row)}, fields: {title: new}}",
	} {
		t.Run(name, func(t *testing.T) {
			for _, tt := range []struct {
				name string
				do   func(s *script) // before the run
				item string          // fields of item 1
				want string          // the outcome
				adds int
			}{
				{"may not be read", func(s *script) {
					s.portal.AddUser(emulator.User{ID: 1, Name: "Anna", OwnItems: true})
				}, `"assignedById":2`, "park: ", 0},
				{"omitted by the list", func(s *script) {
					s.client.after = func(calls []bitrix.Call, answers []bitrix.Answer) {
						for i, c := range calls {
							if c.Method == "crm.item.list" {
								answers[i] = bitrix.Answer{Result: json.RawMessage(`{"items":[]}`)}
							}
						}
					}
				}, "", "done\n", 0},
				{"of another key", nil, `"ufCrm1Note":"other"`, "done\n", 1},
				{"deleted", func(s *script) { s.perform("rest", `crm.item.delete {"entityTypeId":1030,"id":1}`) }, "", "done\n", 1},
			} {
				t.Run(tt.name, func(t *testing.T) {
					s := newScript(t, emulator.Config{})
					s.perform("portal", "type Lines NOTE:string")
					s.portal.AddUser(emulator.User{ID: 2, Name: "Berta"})
					fields := `"ufCrm1Note":"1","xmlId":"1","title":"old"`
					if tt.item != "" {
						fields += "," + tt.item
					}
					s.perform("rest", `crm.deal.add {"fields":{"TITLE":"Roof"}}
crm.item.add {"entityTypeId":1030,"fields":{`+fields+`}}`)
					if tt.do != nil {
						tt.do(s)
					}
					s.records = madeRecords{}
					s.compile([]byte("version: 1\nrules:\n  own:\n    on: ONCRMDEALUPDATE\n    steps:\n      - " + step + "\n"))
					s.run([]string{"deal:1"})
					calls := s.client.take()
					if !strings.HasPrefix(s.outcome, tt.want) || strings.Count(calls, "crm.item.add") != tt.adds {
						t.Errorf("%s%s", s.outcome, calls)
					}
					if tt.want == "park: " && !strings.Contains(s.outcome, "the step has made item 1 of type 1030 for deal:1 before and may not read it now") {
						t.Errorf("outcome %s", s.outcome)
					}
				})
			}
		})
	}
}
