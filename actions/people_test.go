package actions_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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
const peopleList = "list Shipments DEAL:S PRODUCT:S QTY:N SHIPPED:S TAGS:S* DAY:S:Date AT:S:DateTime HTML:S:HTML PRICE:S:Money WHO:S:employee NUM:N*"

// TestPeopleWorkInTheList lets people edit a deal's rows and the list's other
// columns between syncs. Each sync must leave those columns alone, and a second
// sync must write nothing.
func TestPeopleWorkInTheList(t *testing.T) {
	s := newScript(t, emulator.Config{})
	s.compile([]byte(peopleRule))
	s.perform("portal", peopleList)
	s.perform("rest", `crm.deal.add {"fields":{"TITLE":"Roof"}}`)
	rnd := rand.New(rand.NewPCG(3, 4))
	for round := range 25 {
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
			}
		}
		s.run([]string{"deal:1"})
		if calls := s.client.take(); strings.Contains(calls, "write") {
			t.Fatalf("round %d: a second sync writes\n%s\nafter the first\n%s", round, calls, first)
		}
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

// unmanaged are the columns that the rule does not name, by element.
func (s *script) unmanaged() map[string]map[string]any {
	out := map[string]map[string]any{}
	for _, e := range s.elements() {
		columns := map[string]any{}
		for i := 4; i <= 11; i++ {
			name := fmt.Sprintf("PROPERTY_%d", i)
			if v, ok := e[name]; ok {
				columns[name] = valuesOf(v)
			}
		}
		out[fmt.Sprint(e["ID"])] = columns
	}
	return out
}

// edit changes an element as a person does in the list's form: everything else
// stays as it is.
func (s *script) edit(rnd *rand.Rand, e map[string]any) {
	s.t.Helper()
	fields := map[string]any{"NAME": e["NAME"]}
	for name, v := range e {
		if strings.HasPrefix(name, "PROPERTY_") {
			fields[name] = valuesOf(v)
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
	}
	for range 1 + rnd.IntN(3) {
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
