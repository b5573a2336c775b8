package actions

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/actions/internal/value"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/schemas"
)

func TestKeyed(t *testing.T) {
	row := func(id, sort, product int64, name string) map[string]any {
		return map[string]any{"id": num.FromInt(id), "sort": num.FromInt(sort), "productId": num.FromInt(product), "productName": name}
	}
	keys := func(rows ...map[string]any) string {
		var out []string
		for _, r := range keyed(rows) {
			m, _ := r.(map[string]any)
			out = append(out, fmt.Sprintf("%s=%v", value.TextOf(m["id"]), m["key"]))
		}
		return strings.Join(out, " ")
	}
	for _, tt := range []struct {
		name, want, got string
	}{
		{"sorted, then numbered", "2=10#1 3=10#2 1=11#1", keys(row(1, 30, 11, "B"), row(2, 10, 10, "A"), row(3, 20, 10, "A"))},
		{"an edit gives a new id", "9=10#1 3=10#2 1=11#1", keys(row(1, 30, 11, "B"), row(9, 10, 10, "A"), row(3, 20, 10, "A"))},
		{"free text", "1=name:Delivery#1 2=name:Delivery#2", keys(row(2, 10, 0, "Delivery"), row(1, 10, 0, "Delivery"))},
		{"nothing", "", keys()},
	} {
		if diff := cmp.Diff(tt.want, tt.got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", tt.name, diff)
		}
	}
}

func TestDecodeProductRows(t *testing.T) {
	deal := schemas.OwnerByType(schemas.TypeDeal)
	for _, tt := range []struct{ name, rows, err string }{
		{"the owner's", `[{"id":1,"ownerId":7,"ownerType":"D","price":"10.50"}]`, ""},
		{"ids as text", `[{"id":"1","ownerId":"7","ownerType":"d"}]`, ""},
		{"another deal's", `[{"id":1,"ownerId":8,"ownerType":"D"}]`, "asked for the product rows of D 7, the portal returned a row of D 8: it does not apply the filter"},
		{"an invoice's", `[{"id":1,"ownerId":7,"ownerType":"SI"}]`, "asked for the product rows of D 7, the portal returned a row of SI 7: it does not apply the filter"},
		{"twice", `[{"id":1,"ownerId":7,"ownerType":"D"},{"id":1,"ownerId":7,"ownerType":"D"}]`, "product row 1 came twice: the rows changed while they were read"},
		{"no object", `["x"]`, "read a product row: got another text instead of an object"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var raw []json.RawMessage
			if err := json.Unmarshal([]byte(tt.rows), &raw); err != nil {
				t.Fatal(err)
			}
			_, err := decodeProductRows(raw, deal, 7)
			if got := fmt.Sprint(err); (tt.err == "") != (err == nil) || (err != nil && got != tt.err) {
				t.Errorf("got %v, want %s", err, tt.err)
			}
		})
	}
}

// TestRowsKeepTheirPromise holds the values of a row against its type: a
// formula that was checked must not meet anything else.
func TestRowsKeepTheirPromise(t *testing.T) {
	for _, text := range []string{
		`{}`,
		`{"id":"1","price":"10.50","quantity":3,"taxRate":null,"taxIncluded":"Y","productName":null,"storeId":"7","sort":"10","xmlId":[]}`,
	} {
		v, err := formula.FromJSON([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := v.(map[string]any)
		row := productRow(raw, schemas.ProductRowFields())
		row["key"] = "x"
		typ := productRowType()
		for name, f := range typ.Fields {
			v, there := row[name]
			if !there {
				t.Errorf("%s: field %s is missing", text, name)
				continue
			}
			ok := false
			switch x := v.(type) {
			case nil:
				ok = f.Maybe
			case num.Num:
				ok = f.Kind == formula.Number || f.Kind == formula.Int && x.IsInt()
			case string:
				ok = f.Kind == formula.String
			case bool:
				ok = f.Kind == formula.Bool
			}
			if !ok {
				t.Errorf("%s: field %s is %v, its type says %s", text, name, v, f)
			}
		}
		if len(row) != len(typ.Fields) {
			t.Errorf("%d values, %d fields", len(row), len(typ.Fields))
		}
	}
}
