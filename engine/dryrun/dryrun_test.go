package dryrun_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine/dryrun"
	"github.com/b24rules/b24rules/internal/enginetest"
)

type params = map[string]any

// portal is a portal with a smart process, a list and a deal.
func portal(t *testing.T) *enginetest.Answers {
	return enginetest.NewAnswers(t, map[string]string{
		"crm.item.get 7":    `{"item": {"id": 7, "title": "Roof", "opportunity": "100.00", "closedate": "2026-03-04T00:00:00+03:00", "opened": "Y", "comments": null}}`,
		"crm.item.list":     `{"items": [{"id": 8, "title": "Wall", "stageId": "NEW"}]}`,
		"crm.item.fields":   `{"fields": {"title": {"type": "string"}}}`,
		"lists.field.get":   `{"PROPERTY_1": {"FIELD_ID": "PROPERTY_1", "CODE": "SUM", "TYPE": "N"}, "PROPERTY_2": {"FIELD_ID": "PROPERTY_2", "CODE": "DONE", "TYPE": "L", "MULTIPLE": "Y", "DISPLAY_VALUES_FORM": {"31": "Yes", "32": "No"}}}`,
		"lists.element.get": `[{"ID": "12", "NAME": "Tile", "CODE": "b24-1", "PROPERTY_1": {"501": "3"}, "PROPERTY_2": {"502": "31", "503": "32"}}]`,
	})
}

func changes(t *testing.T, r *dryrun.Run) string {
	t.Helper()
	list, err := r.Changes(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, c := range list {
		fmt.Fprintf(&b, "%s %s %s %s|%s\n", c.Step, c.Kind, c.Method, c.Record, c.Title)
		for _, f := range c.Fields {
			before, _ := json.Marshal(f.Before) // values of JSON
			after, _ := json.Marshal(f.After)
			fmt.Fprintf(&b, "  %s: %s -> %s\n", f.Name, before, after)
		}
	}
	return b.String()
}

// TestChanges checks the differences of each kind of write, and that no write reaches the
// portal.
func TestChanges(t *testing.T) {
	list := func(id int, fields params) params {
		p := params{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": 47, "FIELDS": fields}
		if id != 0 {
			p["ELEMENT_ID"] = id
		}
		return p
	}
	for _, tt := range []struct {
		name   string
		method string
		params params
		want   string
	}{
		{
			"an update shows only what differs", "crm.item.update",
			params{"entityTypeId": 2, "id": 7, "fields": params{"title": "Roof", "opportunity": 120, "opened": true, "closedate": "2026-03-04T00:00:00+03:00"}},
			"s change crm.item.update item 2:7|Roof\n  opportunity: \"100.00\" -> 120\n",
		},
		{
			"the same values in another form are no change", "crm.item.update",
			params{"entityTypeId": 2, "id": 7, "fields": params{"opportunity": "100", "closedate": "2026-03-03T21:00:00Z", "comments": ""}},
			"s change crm.item.update item 2:7|Roof\n",
		},
		{
			"a new item has the title of its fields", "crm.item.add",
			params{"entityTypeId": 1030, "fields": params{"title": "Total"}},
			"s add crm.item.add item 1030:new|Total\n  title: null -> \"Total\"\n",
		},
		{"a deletion has no fields", "crm.item.delete", params{"entityTypeId": 2, "id": 7}, "s delete crm.item.delete item 2:7|Roof\n"},
		{
			"a property has its code and the texts of its options", "lists.element.update",
			list(12, params{"NAME": "Tile", "PROPERTY_1": 5, "PROPERTY_2": []any{"32"}}),
			"s change lists.element.update element 47:12|Tile\n  SUM: \"3\" -> 5\n  DONE: [\"Yes\",\"No\"] -> [\"No\"]\n",
		},
		{
			"values with the ids of before are preserved", "lists.element.update",
			list(12, params{"NAME": "Tile", "PROPERTY_2": params{"502": "31", "503": "32"}}),
			"s change lists.element.update element 47:12|Tile\n",
		},
		{
			"a code that changes is a change", "lists.element.update",
			func() params { p := list(12, params{"NAME": "Tile"}); p["ELEMENT_CODE"] = "b24-2"; return p }(),
			"s change lists.element.update element 47:12|Tile\n  CODE: \"b24-1\" -> \"b24-2\"\n",
		},
		{"a new element", "lists.element.add", list(0, params{"NAME": "Brick"}), "s add lists.element.add element 47:new|Brick\n  NAME: null -> \"Brick\"\n"},
		{"an element is deleted", "lists.element.delete", list(12, nil), "s delete lists.element.delete element 47:12|Tile\n"},
		{
			"another method shows its parameters", "crm.timeline.comment.add",
			params{"fields": params{"COMMENT": "x"}},
			"s call crm.timeline.comment.add |\n  fields: null -> {\"COMMENT\":\"x\"}\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, r := portal(t), &dryrun.Run{}
			over := r.Over(p, "s")
			if _, err := over.ListFields(t.Context(), "lists", 47); err != nil {
				t.Fatal(err)
			}
			// Write is false: the table of methods knows the writes too.
			if a := over.Do(t.Context(), bitrix.Call{Method: tt.method, Params: tt.params}); a[0].Err != nil {
				t.Fatal(a[0].Err)
			}
			if diff := cmp.Diff(tt.want, changes(t, r)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			for _, method := range p.Sent() {
				if strings.HasSuffix(method, ".add") || strings.HasSuffix(method, ".update") || strings.HasSuffix(method, ".delete") {
					t.Errorf("the dry run sent %s", method)
				}
			}
		})
	}
}

// TestLaterSteps checks that a later step reads what an earlier step would have written.
func TestLaterSteps(t *testing.T) {
	p, r := portal(t), &dryrun.Run{}
	one := func(method string, params params) bitrix.Answer {
		return r.Over(p, "s").Do(t.Context(), bitrix.Call{Method: method, Params: params})[0]
	}
	var added struct{ Item struct{ ID int } }
	if err := json.Unmarshal(one("crm.item.add", params{"entityTypeId": 1030, "fields": params{"title": "Total"}}).Result, &added); err != nil {
		t.Fatal(err)
	}
	id := added.Item.ID
	one("crm.item.update", params{"entityTypeId": 1030, "id": id, "fields": params{"title": "Sum", "ufCrm1": 5}})
	got := string(one("crm.item.get", params{"entityTypeId": 1030, "id": id}).Result)
	if want := fmt.Sprintf(`{"item":{"entityTypeId":1030,"id":%d,"title":"Sum","ufCrm1":5}}`, id); got != want {
		t.Errorf("the item is %s, want %s", got, want)
	}
	if a := one("crm.item.get", params{"entityTypeId": 1030, "id": id + 1}); !bitrix.IsNotFound(a.Err) {
		t.Errorf("an item that was not added: %v", a.Err)
	}
	want := "s add crm.item.add item 1030:new|Total\n  title: null -> \"Total\"\ns change crm.item.update item 1030:new|Sum\n  title: null -> \"Sum\"\n  ufCrm1: null -> 5\n"
	if diff := cmp.Diff(want, changes(t, r)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if len(p.Sent()) != 0 {
		t.Errorf("the dry run sent %v", p.Sent())
	}
}

// TestReads checks that reads reach the portal, and that Changes reads nothing twice.
func TestReads(t *testing.T) {
	p, r := portal(t), &dryrun.Run{}
	over := r.Over(p, "s")
	rows, err := over.List(t.Context(), bitrix.Call{Method: "crm.item.list", Params: params{"entityTypeId": 2}}, "items")
	if err != nil || len(rows) != 1 {
		t.Fatal(rows, err)
	}
	a := over.Do(t.Context(), bitrix.Call{Method: "crm.item.get", Params: params{"entityTypeId": 2, "id": 7}}, bitrix.Call{Method: "crm.item.update", Params: params{"entityTypeId": 2, "id": 8, "fields": params{"stageId": "WON"}}})
	if a[0].Err != nil || a[1].Err != nil {
		t.Fatal(a)
	}
	over.Do(t.Context(), bitrix.Call{Method: "crm.item.update", Params: params{"entityTypeId": 2, "id": 7, "fields": params{"title": "Roof 2"}}})
	over.Do(t.Context(), bitrix.Call{Method: "crm.item.update", Params: params{"entityTypeId": 2, "id": 7, "fields": params{"title": "Roof 3"}}})
	r.Outside("post", bitrix.Call{Method: "http_post", Params: params{"url": "https://example.com"}})
	want := `s change crm.item.update item 2:8|Wall
  stageId: "NEW" -> "WON"
s change crm.item.update item 2:7|Roof
  title: "Roof" -> "Roof 2"
s change crm.item.update item 2:7|Roof 2
  title: "Roof 2" -> "Roof 3"
post outside http_post |
  url: null -> "https://example.com"
`
	if diff := cmp.Diff(want, changes(t, r)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]string{"crm.item.list", "crm.item.get"}, p.Sent()); diff != "" {
		t.Errorf("calls (-want +got)\n%s", diff)
	}
	if _, err := over.List(t.Context(), bitrix.Call{Method: "crm.item.add"}, ""); err == nil {
		t.Error("a write was read page by page")
	}
}

// TestChangesNeedTheRecord checks that a failed read is an error, and that a record that no
// longer exists has no values before.
func TestChangesNeedTheRecord(t *testing.T) {
	for _, tt := range []struct {
		code string
		fail bool
	}{{"NOT_FOUND", false}, {"ACCESS_DENIED", true}} {
		r := &dryrun.Run{}
		over := r.Over(enginetest.Portal{Err: &bitrix.Error{Method: "crm.item.get", Status: 400, Code: tt.code, Outcome: bitrix.Executed}}, "s")
		over.Do(t.Context(), bitrix.Call{Method: "crm.item.update", Params: params{"entityTypeId": 2, "id": 7, "fields": params{"title": "x"}}})
		if _, err := r.Changes(t.Context()); (err != nil) != tt.fail {
			t.Errorf("%s: %v", tt.code, err)
		}
	}
}
