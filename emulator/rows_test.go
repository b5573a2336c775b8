package emulator_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/emulator"
	"github.com/google/go-cmp/cmp"
)

// TestRowPrices holds the documented arithmetic.
func TestRowPrices(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{})
	p.add(2, `{}`)
	for _, c := range []struct{ row, want string }{
		{`{"price":80000,"taxRate":20,"discountTypeId":2,"discountRate":20}`, `66666.67 83333.34 100000.01 20 16666.67`},
		{`{"price":90000,"taxRate":10,"discountTypeId":2,"discountRate":10}`, `81818.18 90909.09 100000 10 9090.91`},
		{`{"price":899.1,"discountTypeId":1,"discountSum":99.9}`, `899.1 999 999 10 99.9`},
		{`{"price":899.1,"discountTypeId":2,"discountRate":10}`, `899.1 999 999 10 99.9`},
		{`{"price":"33.33"}`, `33.33 33.33 33.33 0 0`},
		{`{"price":22175.328,"taxRate":12,"discountTypeId":2,"discountRate":40}`, `19799.4 32999 36958.88 40 13199.6`},
		{`{"price":0,"discountTypeId":2,"discountRate":100,"discountSum":50}`, `0 50 50 100 50`},
		{`{"price":10,"taxRate":0}`, `10 10 10 0 0`},
	} {
		row := at(p.must("crm.item.productrow.set", `{"ownerType":"D","ownerId":1,"productRows":[`+c.row+`]}`), "productRows", 0)
		var got []string
		for _, name := range []string{"priceExclusive", "priceNetto", "priceBrutto", "discountRate", "discountSum"} {
			got = append(got, text(at(row, name)))
		}
		if diff := cmp.Diff(c.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s (-want +got)\n%s", c.row, diff)
		}
	}
	p.refused("crm.item.productrow.set", `{"ownerType":"D","ownerId":1,"productRows":[{"price":0,"discountTypeId":2,"discountRate":100}]}`, 400,
		`{"error":"CRM_PRODUCTROW_NORMALIZATION_DISCOUNT_SUM_REQUIRED","error_description":"*"}`)
}

// TestRowIdentity: set keeps the ids of rows that are equal and creates edited
// ones again; update keeps the id.
func TestRowIdentity(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{})
	p.add(2, `{}`)
	set := func(rows string) string {
		return strings.Join(ids(at(p.must("crm.item.productrow.set", `{"ownerType":"D","ownerId":"1","productRows":[`+rows+`]}`), "productRows"), "id"), " ")
	}
	for _, c := range []struct{ rows, want string }{
		{`{"productName":"a","price":1},{"productName":"b","price":2}`, "1 2"},
		{`{"productName":"a","price":1},{"productName":"b","price":2}`, "1 2"},
		{`{"id":7,"productName":"b","price":"2.00","quantity":"1"},{"productName":"a","price":1}`, "2 1"},
		{`{"productName":"a","price":1},{"productName":"b","price":3}`, "1 3"},
		{`{"productName":"a","price":1,"taxRate":0},{"productName":"b","price":3}`, "4 3"},                            // no tax is not 0 %
		{`{"productName":"b","price":3},{"productName":"b","price":3},{"productName":"b","price":3,"sort":1}`, "3 5"}, // equal rows become one
	} {
		if got := set(c.rows); got != c.want {
			t.Errorf("%s: ids %s, want %s", c.rows, got, c.want)
		}
	}
	if got := text(at(p.must("crm.item.productrow.update", `{"id":5,"fields":{"price":8}}`), "productRow", "id")); got != "5" {
		t.Errorf("update gives the id %s", got)
	}
	p.must("crm.deal.productrows.set", `{"id":1,"rows":[{"ID":5,"PRODUCT_NAME":"b","PRICE":8,"SORT":1},{"PRODUCT_NAME":"b","PRICE":3}]}`)
	if got := strings.Join(ids(p.must("crm.deal.productrows.get", `{"id":1}`), "ID"), " "); got != "5 6" {
		t.Errorf("the legacy set gives the ids %s, want 5 6: it keeps only ids that are named", got)
	}
}

func TestOwnerAmount(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{})
	p.add(31, `{"opportunity":500}`)
	amount := func() string {
		item := at(p.must("crm.item.get", `{"entityTypeId":31,"id":1}`), "item")
		return fmt.Sprintf("%s %s", text(at(item, "opportunity")), text(at(item, "taxValue")))
	}
	rows := func(list string) func() {
		return func() {
			p.must("crm.item.productrow.set", `{"ownerType":"SI","ownerId":1,"productRows":[`+list+`]}`)
		}
	}
	update := func(fields string) func() {
		return func() { p.must("crm.item.update", `{"entityTypeId":31,"id":1,"fields":`+fields+`}`) }
	}
	for _, c := range []struct {
		name string
		do   func()
		want string
	}{
		{"an item that never had rows keeps its amount", update(`{"title":"x","taxValue":3}`), "500 0"},
		{"rows make the amount, exactly", rows(`{"productName":"a","price":33.33,"quantity":3},{"productName":"b","price":0.1},{"productName":"c","price":0.2}`), "100.29 0"},
		{"an amount by hand is overwritten", update(`{"opportunity":7}`), "100.29 0"},
		{"unless it is said to be set by hand", update(`{"opportunity":7,"isManualOpportunity":"Y"}`), "7 0"},
		{"which rows do not change", rows(`{"productName":"a","price":50,"taxRate":25}`), "7 10"},
		{"until it is automatic again", update(`{"isManualOpportunity":"N"}`), "50 10"},
		{"no rows are no amount", rows(``), "0 0"},
	} {
		c.do()
		if got := amount(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestOwnerLists: filters take lists of owners, and a strict portal refuses them.
func TestOwnerLists(t *testing.T) {
	t.Parallel()
	strict := open(t, emulator.Config{SingleOwner: true})
	emulator.Demo(strict.Portal)
	strict.refused("crm.item.productrow.list", `{"filter":{"=ownerType":"D","=ownerId":[1,3]}}`, 400,
		`{"error":"INVALID_ARG_VALUE","error_description":"Value for filter key '=ownerId' should be either string or number"}`)
	strict.refused("lists.element.get", `{"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":47,"FILTER":{"@PROPERTY_101":[1,3]}}`, 400,
		`{"error":"ERROR_ARGUMENT","error_description":"Filter operation not allowed: @","argument":"filter"}`)
	p := open(t, emulator.Config{})
	emulator.Demo(p.Portal)
	for i := 1; i <= 3; i++ {
		p.must("crm.item.productrow.set", fmt.Sprintf(`{"ownerType":"D","ownerId":%s,"productRows":[{"productName":"a","price":%d}]}`, p.add(2, `{}`), i))
		p.must("lists.element.add", fmt.Sprintf(`{"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":47,"ELEMENT_CODE":"c%d","FIELDS":{"NAME":"n","PROPERTY_101":%d}}`, i, i))
	}
	rows := at(p.must("crm.item.productrow.list", `{"filter":{"=ownerType":"D","=ownerId":[1,3]},"order":{"id":"asc"}}`), "productRows")
	if diff := cmp.Diff([]string{"1", "3"}, ids(rows, "ownerId")); diff != "" {
		t.Errorf("rows (-want +got)\n%s", diff)
	}
	for _, filter := range []string{`{"@PROPERTY_101":[1,3]}`, `{"=PROPERTY_DEAL":["1","3"]}`, `{"PROPERTY_101":[3,1]}`} {
		elements := p.must("lists.element.get", `{"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":47,"FILTER":`+filter+`}`)
		if diff := cmp.Diff([]string{"1", "3"}, ids(elements, "ID")); diff != "" {
			t.Errorf("%s (-want +got)\n%s", filter, diff)
		}
	}
}
