package actions_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/emulator"
)

// peopleRule manages three of a list's properties.
const peopleRule = `version: 1
rules:
  shipments:
    on: ONCRMDEALUPDATE
    steps:
      - id: rows
        fetch_products: {owner: deal, id: =event.id}
      - sync_elements:
          list: 1
          scope: {DEAL: =event.id}
          rows: =rows
          key: =row.key
          delete_limit: 100%
          fields: {NAME: "{{ row.productName }}", PRODUCT: =row.productId, QTY: =row.quantity}
`

// peopleList has the managed properties and one property of each type for people
// to write into.
const peopleList = "list Shipments DEAL:S PRODUCT:S QTY:N SHIPPED:S TAGS:S* DAY:S:Date AT:S:DateTime HTML:S:HTML PRICE:S:Money WHO:S:employee NUM:N*" +
	" FILE:F FILES:F* DRIVE:S:DiskFile DRIVES:S:DiskFile* PICK:L PICKS:L* LINK:E LINKS:E:EList* SECTION:G CRM:S:ECrm CRMS:S:ECrm* SEQUENCE:N:Sequence" +
	" DAYS:S:Date* TIMES:S:DateTime* PRICES:S:Money* PAGES:S:HTML* PEOPLE:S:employee* P:PREVIEW_TEXT D:DETAIL_TEXT"

// TestPeopleWorkInTheList lets people edit a deal's rows and the list's other
// columns between syncs. Each sync must leave those columns alone, and a second
// sync must write nothing.
func TestPeopleWorkInTheList(t *testing.T) {
	s := newScript(t, emulator.Config{})
	s.compile([]byte(peopleRule))
	s.perform("portal", peopleList)
	s.perform("rest", `crm.deal.add {"fields":{"TITLE":"Roof"}}`)
	rnd := rand.New(rand.NewPCG(3, 4))
	filled := map[string]bool{} // columns that survived a write
	for round := range 60 {
		s.perform("rest", randomRows(rnd))
		for _, e := range s.elements() {
			if rnd.IntN(2) == 0 {
				s.edit(rnd, e)
			}
		}
		before := s.unmanaged()
		s.run([]string{"deal:1"})
		if s.outcome != "done\n" {
			t.Fatalf("round %d: %s", round, s.outcome)
		}
		first := s.client.take()
		after := s.unmanaged()
		for id, columns := range after {
			if old, lived := before[id]; lived {
				if diff := cmp.Diff(old, columns); diff != "" {
					t.Fatalf("round %d: the sync changed what people wrote into element %s (-before +after)\n%s\n%s", round, id, diff, first)
				}
				if strings.Contains(first, `"ELEMENT_ID":`+id+`,`) {
					for name := range columns {
						filled[name] = true
					}
				}
			}
		}
		s.run([]string{"deal:1"})
		if calls := s.client.take(); strings.Contains(calls, "write") {
			t.Fatalf("round %d: a second sync writes\n%s\nafter the first\n%s", round, calls, first)
		}
	}
	if columns := len(strings.Fields(peopleList)) - 2 - len(managed); len(filled) != columns {
		t.Errorf("updates preserved values in %d of %d columns: %v", len(filled), columns, slices.Sorted(maps.Keys(filled)))
	}
}

// TestPeopleWriteWhileAStepRuns lets people edit elements after a step has read them
// and before it updates them, also while it puts back what they wrote. Each column
// must keep what they wrote last into it.
func TestPeopleWriteWhileAStepRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("it does one thing after another, many times")
	}
	s := newScript(t, emulator.Config{})
	s.compile([]byte(peopleRule))
	s.perform("portal", peopleList)
	s.perform("rest", `crm.deal.add {"fields":{"TITLE":"Roof"}}`)
	rnd := rand.New(rand.NewPCG(5, 6))
	written := map[string]map[string]any{} // columns by element
	nested := map[string]int{}             // edits in one run
	edits, columns := 0, map[string]bool{}
	s.client.before = func(calls []bitrix.Call) {
		for _, e := range s.elements() {
			isUpdated := slices.ContainsFunc(calls, func(c bitrix.Call) bool {
				return c.Method == "lists.element.update" && fmt.Sprint(c.Params["ELEMENT_ID"]) == e["ID"]
			})
			id := e["ID"].(string)
			if isUpdated && rnd.IntN(2) == 0 && nested[id] < 4 {
				nested[id]++
				shown := s.unmanaged()[id]
				s.edit(rnd, e)
				edits++
				if written[id] == nil {
					written[id] = s.unmanaged()[id]
				}
				for name, v := range s.unmanaged()[id] {
					if !cmp.Equal(v, shown[name]) {
						written[id][name] = v
					}
				}
			}
		}
	}
	for round := range 150 {
		s.perform("rest", randomRows(rnd))
		clear(written)
		clear(nested)
		s.run([]string{"deal:1"})
		if s.outcome != "done\n" {
			t.Fatalf("round %d: the sync ended with %s", round, s.outcome)
		}
		after := s.unmanaged()
		for id, columnsOf := range written {
			if diff := cmp.Diff(columnsOf, after[id]); diff != "" {
				t.Fatalf("round %d: what people wrote into element %s is lost (-written +after)\n%s\n%s\n%s", round, id, diff, s.notes, s.client.take())
			}
			for name := range columnsOf {
				columns[name] = true
			}
		}
		before := s.client.before
		s.client.before = nil
		s.run([]string{"deal:1"})
		if calls := s.client.take(); strings.Contains(calls, "write") {
			t.Fatalf("round %d: a second sync writes\n%s", round, calls)
		}
		s.client.before = before
	}
	if all := len(strings.Fields(peopleList)) - 2 - len(managed); edits < 50 || len(columns) != all {
		t.Errorf("%d edits reached %d of %d columns: %v", edits, len(columns), all, slices.Sorted(maps.Keys(columns)))
	}
}

// randomRows sets a few product rows, some of the same product.
func randomRows(rnd *rand.Rand) string {
	rows := []string{}
	for i := range rnd.IntN(6) {
		product := 10 + rnd.IntN(4)
		rows = append(rows, fmt.Sprintf(`{"productId":%d,"productName":"Product %d","price":%d.5,"quantity":%d.%d,"sort":%d}`,
			product, product, rnd.IntN(9), 1+rnd.IntN(3), rnd.IntN(10), (i+1)*10))
	}
	return `crm.item.productrow.set {"ownerType":"D","ownerId":1,"productRows":[` + strings.Join(rows, ",") + `]}`
}

func (s *script) elements() []map[string]any {
	s.t.Helper()
	result, err := s.rest(`lists.element.get {"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":1}`)
	if err != nil {
		s.t.Fatal(err)
	}
	var out []map[string]any
	for _, e := range rowsOf(result) {
		if m, ok := e.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// managed are the properties that peopleRule writes.
var managed = []string{"PROPERTY_1", "PROPERTY_2", "PROPERTY_3"}

// unmanaged are the columns that the rule does not name, by element.
func (s *script) unmanaged() map[string]map[string]any {
	out := map[string]map[string]any{}
	for _, e := range s.elements() {
		columns := map[string]any{}
		for name, v := range e {
			if strings.HasSuffix(name, "_TEXT") || strings.HasPrefix(name, "PROPERTY_") && !slices.Contains(managed, name) {
				columns[name] = valuesOf(v)
			}
		}
		out[fmt.Sprint(e["ID"])] = columns
	}
	return out
}

// option returns the id of an option of a property.
func (s *script) option(code string) string {
	s.t.Helper()
	result, err := s.rest(`lists.field.get {"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":1}`)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range result.(map[string]any) {
		field := f.(map[string]any)
		if field["CODE"] == code {
			for id := range field["DISPLAY_VALUES_FORM"].(map[string]any) {
				return id
			}
		}
	}
	s.t.Fatalf("the list has no property %s with options", code)
	return ""
}

// formValue is what the list's form sends for a value: of HTML only the text.
func formValue(v any) any {
	switch x := v.(type) {
	case map[string]any:
		return x["TEXT"]
	case []any:
		out := make([]any, len(x))
		for i := range x {
			out[i] = formValue(x[i])
		}
		return out
	}
	return v
}

// edit changes an element as a person does in the list's form: everything else
// stays as it is.
func (s *script) edit(rnd *rand.Rand, e map[string]any) {
	s.t.Helper()
	fields := map[string]any{"NAME": e["NAME"]}
	for name, v := range e {
		isFile := name == "PROPERTY_12" || name == "PROPERTY_13"
		if !isFile && (strings.HasPrefix(name, "PROPERTY_") || strings.HasSuffix(name, "_TEXT")) {
			fields[name] = formValue(valuesOf(v))
		}
	}
	choices := []struct {
		name  string
		value any
	}{
		{"PROPERTY_4", "yes, by Ольга\nand \"carefully\""},
		{"PROPERTY_5", []any{"fragile", "heavy", "fragile"}},
		{"PROPERTY_6", fmt.Sprintf("2024-0%d-1%d", 1+rnd.IntN(9), rnd.IntN(9))},
		{"PROPERTY_7", fmt.Sprintf("2024-0%d-0%d 23:0%d:59", 1+rnd.IntN(9), 1+rnd.IntN(9), rnd.IntN(9))},
		{"PROPERTY_8", "<b>bold</b> & more"},
		{"PROPERTY_9", "300|USD"},
		{"PROPERTY_10", "1"},
		{"PROPERTY_11", []any{"1.5", "3", "2"}},
		{"PROPERTY_12", []any{"a.txt", "YQ=="}},
		{"PROPERTY_13", map[string]any{"n0": []any{"b.txt", "Yg=="}, "n1": []any{"c.txt", "Yw=="}}},
		{"PROPERTY_14", 55},
		{"PROPERTY_15", []any{56, 57}},
		{"PROPERTY_16", s.option("PICK")},
		{"PROPERTY_17", []any{s.option("PICKS")}},
		{"PROPERTY_18", 7},
		{"PROPERTY_19", []any{8, 9}},
		{"PROPERTY_20", 3},
		{"PROPERTY_21", "D_1"},
		{"PROPERTY_22", []any{"C_1", "CO_2"}},
		{"PROPERTY_23", 100 + rnd.IntN(9)},
		{"PROPERTY_24", []any{"2024-02-03", "2024-03-02"}},
		{"PROPERTY_25", []any{"2024-02-03 10:00:00", "2024-03-02 11:00:00"}},
		{"PROPERTY_26", []any{"300|USD", "10.50|EUR"}},
		{"PROPERTY_27", []any{"<b>one</b>", "two"}},
		{"PROPERTY_28", []any{"1", "2"}},
		{"PREVIEW_TEXT", "short & plain"},
		{"DETAIL_TEXT", "long\nand <i>rich</i>"},
	}
	for range 1 + rnd.IntN(8) {
		c := choices[rnd.IntN(len(choices))]
		fields[c.name] = c.value
	}
	params, err := json.Marshal(map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": 1, "ELEMENT_ID": e["ID"], "ELEMENT_CODE": e["CODE"], "FIELDS": fields})
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.rest("lists.element.update " + string(params)); err != nil {
		s.t.Fatal(err)
	}
}
