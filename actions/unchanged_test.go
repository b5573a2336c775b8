package actions_test

import (
	"testing"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/run"
)

// unchangedRule writes every form of a value by every action that writes one.
const unchangedRule = `version: 1
rules:
  forms:
    on: ONCRMDEALUPDATE
    steps:
      - update_item:
          owner: deal
          id: =event.id
          fields: {title: " Roof ", opportunity: 10.50, isManualOpportunity: true, closedate: 2026-03-04, opened: false, comments: ""}
      - upsert_item:
          entityTypeId: 1030
          key: {ufCrm1Deal: =event.id}
          fields: {title: x, ufCrm1Num: 0.1, ufCrm1Flag: true, ufCrm1Day: 2026-03-04, ufCrm1At: "2026-03-04T10:00:00+02:00", ufCrm1Money: "300|USD", ufCrm1Text: "007"}
      - upsert_element:
          list: 1
          key: =event.id
          fields: {DEAL: =event.id, NAME: x, NUM: 33.333333333333333333, DAY: 2026-03-04, AT: "2026-03-04T10:00:00", PRICE: "300|USD", DONE: Yes, TAGS: '=["b", "a"]', NUMS: "=[2, 1.50]", NOTE: "<b>x</b>", TEXT: "007"}
      - sync_elements:
          list: 2
          scope: {DEAL: =event.id}
          rows: '=[{"k": 1}, {"k": 2}]'
          key: =row.k
          fields: {NAME: x, NUM: =row.k / 3, DAY: 2026-03-04, AT: "2026-03-04T10:00:00", PRICE: "300|USD", DONE: Yes, TAGS: '=["b", "a"]', NUMS: "=[2, 1.50]", NOTE: "<b>x</b>", TEXT: "007"}
      - sync_items:
          entityTypeId: 1030
          scope: {ufCrm1Scope: "S{{ event.id }}"}
          rows: '=[{"k": "007"}, {"k": "7"}]'
          key: {ufCrm1Text: =row.k}
          fields: {title: x, ufCrm1Num: =1/3, ufCrm1Flag: true, ufCrm1Off: false, ufCrm1Day: 2026-03-04, ufCrm1At: "2026-03-04T10:00:00+02:00", ufCrm1Money: "10.50|RUB", ufCrm1Color: red, ufCrm1Colors: '=["blue", "red"]', ufCrm1Tags: '=["b", "a"]'}
`

// TestUnchangedIsNotWritten: the second run finds everything as it is, in the
// portal's own way of writing it down, and writes nothing.
func TestUnchangedIsNotWritten(t *testing.T) {
	s := newScript(t, emulator.Config{})
	s.compile([]byte(unchangedRule))
	if s.findings != "" {
		t.Fatal(s.findings)
	}
	var fields []emulator.ListField
	for i, f := range []emulator.ListField{
		{Code: "DEAL", Type: "N"},
		{Code: "NUM", Type: "N"},
		{Code: "DAY", Type: "S:Date"},
		{Code: "AT", Type: "S:DateTime"},
		{Code: "PRICE", Type: "S:Money"},
		{Code: "DONE", Type: "L", Options: []string{"Yes", "No"}},
		{Code: "TAGS", Type: "S", Multiple: true},
		{Code: "NUMS", Type: "N", Multiple: true},
		{Code: "NOTE", Type: "S:HTML"},
		{Code: "TEXT", Type: "S"},
	} {
		f.ID, f.Name = i+1, f.Code
		fields = append(fields, f)
	}
	for id := range 2 {
		for i := range fields {
			fields[i].ID = 100*id + i + 1
		}
		s.portal.AddList(emulator.List{ID: id + 1, Name: "forms", Fields: append([]emulator.ListField(nil), fields...)})
	}
	s.perform("portal", "type Forms Deal:integer Num:double Flag:boolean Day:date At:datetime Money:money Text:string Scope:string Off:boolean Color:enumeration Colors:enumeration* Tags:string*")
	s.perform("rest", `crm.deal.add {"fields":{"TITLE":"Roof"}}`)
	work := func() int64 {
		before := s.client.Stats().Writes
		run := run.Run{
			Portal: "test", Client: s.client, Entity: engine.Entity{Kind: "deal", TypeID: 2, ID: "1"}, Count: 1, Attempt: 1,
			Memory: s.memory,
		}
		if _, err := run.Do(t.Context(), s.rules.Rules[0]); err != nil {
			t.Fatal(err)
		}
		return s.client.Stats().Writes - before
	}
	if n := work(); n != 7 {
		t.Errorf("%d writes at first, want one for each thing", n)
	}
	s.client.take()
	if n := work(); n != 0 {
		t.Errorf("%d writes though nothing has changed:\n%s", n, s.client.take())
	}
}
