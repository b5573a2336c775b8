package actions_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/run"
)

// runAt runs the script's rule for deal 1 with a time zone of the portal.
func (s *script) runAt(zone *time.Location) (writes, outcome string) {
	s.t.Helper()
	if s.rules == nil {
		s.t.Fatal(s.findings)
	}
	s.client.take()
	_, err := run.Run{
		Portal: "test", Client: s.client, Entity: engine.Entity{Kind: "deal", TypeID: 2, ID: "1"}, Count: 1, Attempt: 1,
		Memory: s.memory, Zone: zone,
	}.Do(s.t.Context(), s.rules.Rules[0])
	for line := range strings.Lines(s.client.take()) {
		if strings.Contains(line, "write ") {
			writes += line
		}
	}
	if err != nil {
		return writes, err.Error()
	}
	return writes, "done"
}

// TestTerminates: whatever the form of a value and however the portal keeps it, the
// first run leaves the portal as the rule requires, and the second run writes
// nothing.
func TestTerminates(t *testing.T) {
	berlin := time.FixedZone("", 3600) // the emulator's portal is at +03:00
	for _, tt := range []struct {
		name, step string
		zone       *time.Location
		rest       string // what people do before the run
		read, want string // state after the first run
	}{
		{
			name: "a number keeps the digits of its field",
			step: `update_item: {entityTypeId: 1030, id: 1, fields: {ufCrm1Num: =1/3, ufCrm1Whole: 2.6}}`,
			read: `crm.item.list {"entityTypeId":1030,"select":["ufCrm1Num","ufCrm1Whole"]}`, want: `{"ufCrm1Num":0.33,"ufCrm1Whole":3}`,
		},
		{
			name: "a flag that is N where the portal begins with Y",
			step: `upsert_item: {owner: contact, key: {name: Ann}, fields: {opened: false, export: false}}`,
			read: `crm.item.list {"entityTypeId":3,"select":["opened","export"]}`, want: `{"export":"N","opened":"N"}`,
		},
		{
			name: "a field that is empty where the portal fills it in",
			step: `upsert_item: {owner: contact, key: {name: Ann}, fields: {typeId: ""}}`,
			read: `crm.item.list {"entityTypeId":3,"select":["typeId"]}`, want: `{}`,
		},
		{
			name: "items with an empty field where the portal fills it in",
			step: `sync_items: {owner: contact, scope: {secondName: =event.id}, rows: '=[{"k": "a"}]', key: {name: =row.k}, fields: {typeId: "", opened: false}}`,
			read: `crm.item.list {"entityTypeId":3,"select":["typeId","opened"]}`, want: `{"opened":"N"}`,
		},
		{
			name: "choices of an item by their texts, in any order",
			step: `update_item: {entityTypeId: 1030, id: 1, fields: {ufCrm1Color: red, ufCrm1Sizes: '=["L", "S"]'}}`,
			rest: `crm.item.update {"entityTypeId":1030,"id":1,"fields":{"ufCrm1Sizes":[3,5]}}`,
			read: `crm.item.list {"entityTypeId":1030,"select":["ufCrm1Color","ufCrm1Sizes"]}`, want: `{"ufCrm1Color":1,"ufCrm1Sizes":[3,5]}`,
		},
		{
			name: "choices of a list in any order",
			step: `upsert_element: {list: 1, key: 1, fields: {NAME: x, TAGS: '=["No", "Yes"]'}}`,
			rest: `lists.element.add {"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":1,"ELEMENT_CODE":"CODE","FIELDS":{"NAME":"x","PROPERTY_1":["1","2"]}}`,
		},
		{
			name: "a name that is longer than its column",
			step: `upsert_element: {list: 1, key: 1, fields: {NAME: "` + strings.Repeat("имя", 100) + `"}}`,
			read: `lists.element.get {"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":1}`, want: strings.Repeat("имя", 85) + `"`,
		},
		{
			name: "a time without an offset is the portal's", zone: berlin,
			step: `update_item: {entityTypeId: 1030, id: 1, fields: {ufCrm1At: "2026-03-04T10:00:00"}}`,
			read: `crm.item.list {"entityTypeId":1030,"select":["ufCrm1At"]}`, want: `{"ufCrm1At":"2026-03-04T12:00:00+03:00"}`,
		},
		{
			name: "a time of another zone is written in the portal's", zone: time.FixedZone("", 3*3600),
			step: `upsert_element: {list: 1, key: 1, fields: {NAME: x, AT: "2026-03-04T10:00:00Z"}}`,
			read: `lists.element.get {"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":1}`, want: `03/04/2026 01:00:00 pm`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newScript(t, emulator.Config{})
			s.compile([]byte("version: 1\nrules:\n  r:\n    on: ONCRMDEALUPDATE\n    steps:\n      - " + tt.step + "\n"))
			s.portal.AddType(emulator.Type{EntityTypeID: 1030, ID: 1, Title: "Things", NoStages: true, Fields: []emulator.UserField{
				{Name: "UF_CRM_1_NUM", Type: "double", Precision: 2},
				{Name: "UF_CRM_1_WHOLE", Type: "integer"},
				{Name: "UF_CRM_1_AT", Type: "datetime"},
				{Name: "UF_CRM_1_COLOR", Type: "enumeration", Options: []string{"red", "blue"}},
				{Name: "UF_CRM_1_SIZES", Type: "enumeration", Multiple: true, Options: []string{"S", "M", "L"}},
			}})
			s.portal.AddList(emulator.List{ID: 1, Name: "list", Fields: []emulator.ListField{
				{ID: 1, Code: "TAGS", Name: "TAGS", Type: "L", Multiple: true, Options: []string{"Yes", "No"}},
				{ID: 2, Code: "AT", Name: "AT", Type: "S:DateTime"},
			}})
			s.perform("rest", `crm.deal.add {"fields":{"TITLE":"Roof"}}
crm.item.add {"entityTypeId":1030,"fields":{"title":"Thing"}}`)
			s.perform("rest", tt.rest)
			first, outcome := s.runAt(tt.zone)
			if outcome != "done" {
				t.Fatal(outcome)
			}
			if state := s.state(tt.read); !strings.Contains(state, tt.want) {
				t.Errorf("after\n%sthe portal has\n%swant %s", first, state, tt.want)
			}
			if again, outcome := s.runAt(tt.zone); again != "" || outcome != "done" {
				t.Errorf("the second run writes\n%s%s\nafter the first\n%s", again, outcome, first)
			}
		})
	}
}

// TestRemovedWhileRunning: a person deletes what a step has just read. The next
// attempt adds it again, so the run is not parked.
func TestRemovedWhileRunning(t *testing.T) {
	for _, tt := range []struct{ name, step, method, code string }{
		{"element", `upsert_element: {list: 1, key: 1, fields: {NAME: =deal.title}}`, "lists.element.update", "ERROR_ELEMENT_NOT_FOUND"},
		{"item", `upsert_item: {owner: contact, key: {name: Ann}, fields: {post: =deal.title}}`, "crm.item.update", "NOT_FOUND"},
		{"items", `sync_items: {owner: contact, scope: {secondName: =event.id}, rows: '=[{"k": "a"}]', key: {name: =row.k}, fields: {post: =deal.title}}`, "crm.item.update", "NOT_FOUND"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newScript(t, emulator.Config{})
			s.compile([]byte("version: 1\nrules:\n  r:\n    on: ONCRMDEALUPDATE\n    steps:\n      - {id: deal, fetch_item: {owner: deal, id: =event.id}}\n      - " + tt.step + "\n"))
			s.portal.AddList(emulator.List{ID: 1, Name: "list"})
			s.perform("rest", `crm.deal.add {"fields":{"TITLE":"Roof"}}`)
			s.run([]string{"deal:1"})
			if s.outcome != "done\n" {
				t.Fatal(s.outcome)
			}
			s.perform("rest", `crm.deal.update {"id":1,"fields":{"TITLE":"Wall"}}`)
			if err := s.portal.SetFaults(emulator.Fault{Kind: emulator.FaultRefuse, Method: tt.method, Code: tt.code, Status: 400, Count: 1}); err != nil {
				t.Fatal(err)
			}
			s.run([]string{"deal:1"})
			if !strings.HasPrefix(s.outcome, "retry: ") || !strings.Contains(s.outcome, "deleted while the step ran") {
				t.Errorf("the run ends with %swant another attempt", s.outcome)
			}
		})
	}
}

// TestOtherSpelling: a database takes texts that differ in case or accents for
// equal. What is spelt otherwise is somebody else's: it is left alone, and no
// run is parked for it.
func TestOtherSpelling(t *testing.T) {
	s := newScript(t, emulator.Config{})
	s.compile([]byte(`version: 1
rules:
  r:
    on: ONCRMDEALUPDATE
    steps:
      - sync_items: {owner: contact, scope: {secondName: Roof}, rows: '=[{"k": 1}]', key: {name: =row.k}, fields: {post: x}}
      - delete_items: {owner: contact, filter: {lastName: Roof}}
`))
	s.perform("rest", `crm.deal.add {"fields":{"TITLE":"Roof"}}
crm.item.add {"entityTypeId":3,"fields":{"name":"1","secondName":"ROOF"}}
crm.item.add {"entityTypeId":3,"fields":{"name":"Ann","lastName":"ROOF"}}
crm.item.add {"entityTypeId":3,"fields":{"name":"Bob","lastName":"Roof"}}`)
	s.run([]string{"deal:1"})
	const want = `crm.item.list {"entityTypeId":3,"select":["id","name","lastName","secondName"],"order":{"id":"ASC"}}
	{"id":1,"name":"1","secondName":"ROOF"}
	{"id":2,"lastName":"ROOF","name":"Ann"}
	{"id":4,"name":"1","secondName":"Roof"}
`
	got := s.state(`crm.item.list {"entityTypeId":3,"select":["id","name","lastName","secondName"],"order":{"id":"ASC"}}` + "\n")
	if diff := cmp.Diff(want, got); diff != "" || s.outcome != "done\n" {
		t.Errorf("%s(-want +got)\n%s", s.outcome, diff)
	}
}

// TestDayFirst: nothing in a scope may tell how the portal orders the parts of a
// date. Dates that people wrote into other columns stay all the same.
func TestDayFirst(t *testing.T) {
	for _, dayFirst := range []bool{false, true} {
		s := newScript(t, emulator.Config{DayFirst: dayFirst})
		s.compile([]byte(`version: 1
rules:
  r:
    on: ONCRMDEALUPDATE
    steps:
      - {id: deal, fetch_item: {owner: deal, id: =event.id}}
      - sync_elements: {list: 1, scope: {DEAL: =event.id}, rows: '=[{"k": 1}]', key: =row.k, fields: {NAME: =deal.title, DAY: 2026-05-06}}
`))
		s.perform("portal", "list Shipments DEAL:S DAY:S:Date SHIPPED:S:Date")
		s.perform("rest", `crm.deal.add {"fields":{"TITLE":"Roof"}}`)
		s.run([]string{"deal:1"})
		e := s.elements()[0]
		s.perform("rest", `lists.element.update {"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":1,"ELEMENT_ID":1,"ELEMENT_CODE":"`+e["CODE"].(string)+`","FIELDS":{"NAME":"Roof","PROPERTY_1":"1","PROPERTY_2":"2026-05-06","PROPERTY_3":"2026-03-04"}}`)
		s.run([]string{"deal:1"})
		if calls := s.client.take(); strings.Contains(calls, "write") {
			t.Errorf("day first %v: nothing has changed, and the run writes\n%s", dayFirst, calls)
		}
		s.perform("rest", `crm.deal.update {"id":1,"fields":{"TITLE":"Wall"}}`)
		s.run([]string{"deal:1"})
		state := s.state(`lists.element.get {"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":1,"FILTER":{"=PROPERTY_3":"2026-03-04"}}` + "\n")
		if !strings.Contains(state, `"NAME":"Wall"`) {
			t.Errorf("day first %v: the day that a person wrote is another one: %s\n%s", dayFirst, s.state(`lists.element.get {"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":1}`), s.client.take())
		}
	}
}
