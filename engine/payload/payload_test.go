package payload_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/payload"
)

// order is the form of an order of a shop.
var order = &payload.Form{Kind: formula.Record, Required: true, Fields: []payload.Field{
	{Name: "order", Form: &payload.Form{Kind: formula.String, Required: true}},
	{Name: "sum", Form: &payload.Form{Kind: formula.Number}},
	{Name: "count", Form: &payload.Form{Kind: formula.Int}},
	{Name: "paid", Form: &payload.Form{Kind: formula.Bool}},
	{Name: "more", Form: &payload.Form{Kind: formula.Any}},
	{Name: "rows", Form: &payload.Form{Kind: formula.List, Element: &payload.Form{Kind: formula.Record, Required: true, Fields: []payload.Field{
		{Name: "price", Form: &payload.Form{Kind: formula.Number, Required: true}},
	}}}},
}}

func TestRead(t *testing.T) {
	for text, want := range map[string]string{
		`{"order": "A-17", "sum": 10.50, "count": "3", "paid": "1", "more": {"a": [1]}, "rows": [{"price": "5"}], "x": 1}`: `map[count:3 more:map[a:[1]] order:A-17 paid:true rows:[map[price:5]] sum:10.5]`,
		`{"order": 18, "sum": "", "paid": false}`: `map[count:<nil> more:<nil> order:18 paid:false rows:<nil> sum:<nil>]`,
		`{}`:                               `order is missing`,
		`null`:                             ` is missing`,
		`[]`:                               `order is missing`,
		`[1]`:                              ` is a list, want record`,
		`{"order": "a", "paid": ""}`:       `map[count:<nil> more:<nil> order:a paid:<nil> rows:<nil> sum:<nil>]`,
		`{"order": "a", "paid": 1}`:        `map[count:<nil> more:<nil> order:a paid:true rows:<nil> sum:<nil>]`,
		`{"order": "a", "paid": 2}`:        `paid is a number, want true or false`,
		`{"order": null}`:                  `order is missing`,
		`{"order": {"a": 1}}`:              `order is a record, want text`,
		`{"order": "a", "sum": "many"}`:    `sum is text, want number`,
		`{"order": "a", "sum": true}`:      `sum is true or false, want number`,
		`{"order": "a", "count": 1.5}`:     `count is not a whole number`,
		`{"order": "a", "paid": "yes"}`:    `paid is text, want true or false`,
		`{"order": "a", "rows": {"0": 1}}`: `rows is a record, want list`,
		`{"order": "a", "rows": [{"price": 1}, null, {}, 5]}`:             `rows[1] is missing; rows[2].price is missing; rows[3] is a number, want record`,
		`{"order": "a", "rows": [` + strings.Repeat("{},", 1000) + `{}]}`: `rows has 1001 elements, at most 1000 are taken`,
	} {
		v, err := formula.FromJSON([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		read, problems := order.Read(v)
		got := fmt.Sprint(read)
		if len(problems) > 0 {
			var parts []string
			for _, p := range problems {
				parts = append(parts, p.Path+" "+p.Message)
			}
			got = strings.Join(parts, "; ")
		}
		if got != want {
			t.Errorf("%.80s\n got %s\nwant %s", text, got, want)
		}
	}
	if _, problems := order.Read(map[string]any{"order": "\xff"}); len(problems) != 1 {
		t.Errorf("text that is not UTF-8: %v", problems)
	}
	wide := &payload.Form{Kind: formula.List, Element: &payload.Form{Kind: formula.Number, Required: true}}
	if _, problems := wide.Read(make([]any, 500)); len(problems) != 20 {
		t.Errorf("%d problems of 500", len(problems))
	}
}

func TestDescriptions(t *testing.T) {
	want := `{count: whole number, more: any value, order: text, required, paid: true or false, rows: list of {price: number, required}, required, sum: number}, required`
	if got := order.Model(); got != want {
		t.Errorf("the model is %s", got)
	}
	typ := order.Type()
	if typ.Maybe || !typ.Fields["sum"].Maybe || typ.Fields["order"].Maybe || typ.Open || !reflect.DeepEqual(typ.Fields["rows"].Elem.Fields["price"], formula.Type{Kind: formula.Number}) {
		t.Errorf("the type is %+v", typ)
	}
	_, problems := order.Read(map[string]any{"sum": true})
	err := error(&payload.Error{Problems: problems})
	var unfit *payload.Error
	if !errors.As(err, &unfit) || err.Error() != "what was received does not fit: order is missing (and 1 more)" {
		t.Errorf("%v", err)
	}
}

// FuzzRead: whatever arrives, a value without problems has the fields of the form.
func FuzzRead(f *testing.F) {
	f.Add(`{"order": "a", "rows": [{"price": 1}]}`)
	f.Add(`[{"order": 1e999}]`)
	f.Fuzz(func(t *testing.T, text string) {
		v, err := formula.FromJSON([]byte(text))
		if err != nil {
			return
		}
		read, problems := order.Read(v)
		if len(problems) > 0 {
			return
		}
		m, ok := read.(map[string]any)
		if !ok || len(m) != len(order.Fields) {
			t.Fatalf("%v", read)
		}
		if _, ok := m["order"].(string); !ok {
			t.Fatalf("order is %v", m["order"])
		}
	})
}
