package crm

import (
	"slices"

	"github.com/b24rules/b24rules/emulator/internal/model"
	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/php"
)

// rowsOwner finds the item of crm.deal.productrows.* and the like.
func (e legacyEntity) rowsOwner(c *rest.Call) (*model.Item, error) {
	id := value.Int(c.Param("ID"))
	if id <= 0 {
		return nil, rest.FailText("The parameter id is invalid or not defined.")
	}
	if it := c.Store.Item(e.typ, id); it != nil {
		return legacySeen(c, it)
	}
	return nil, rest.FailText("Not found")
}

// rowsGet is crm.deal.productrows.get and the like.
func (e legacyEntity) rowsGet(c *rest.Call) (any, error) {
	it, err := e.rowsOwner(c)
	if err != nil {
		return nil, err
	}
	rows := php.NewArray()
	for _, r := range sortedRows(c.Store.Rows[it.Owner()]) {
		rows.Append(legacyRowJSON(c.Store, r, e))
	}
	return rows, nil
}

// rowsSet is crm.deal.productrows.set and the like. It creates every row again,
// unless the row names its id, and updates the owner.
func (e legacyEntity) rowsSet(c *rest.Call) (any, error) {
	it, err := e.rowsOwner(c)
	if err != nil {
		return nil, err
	}
	input, ok := value.Array(c.Param("ROWS"))
	if !ok {
		return nil, rest.FailText("The parameter rows must be array.")
	}
	var rows []*model.Row
	for _, v := range input.All() {
		fields, ok := value.Array(v)
		if !ok {
			continue
		}
		r, err := legacyRow(c, it, fields)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(rows, func(x *model.Row) bool { return x.ID == r.ID }) {
			r.ID = 0
		}
		rows = append(rows, r)
	}
	had := len(c.Store.Rows[it.Owner()]) > 0
	if !had && len(rows) == 0 {
		return true, nil
	}
	if err := saveRows(c, it, rows, saveOptions{always: true, rowsChanged: true}); err != nil {
		return nil, err
	}
	return true, nil
}

// legacyRow reads a row of crm.deal.productrows.set, where the prices that are
// computed elsewhere may be given too.
func legacyRow(c *rest.Call, it *model.Item, fields *php.Array) (*model.Row, error) {
	g := value.Fields{}
	for name, v := range fields.All() {
		g[name] = v
	}
	if err := checkLegacyDiscount(g); err != nil {
		return nil, err
	}
	r := &model.Row{Owner: it.Owner(), RowValues: model.NewRowValues()}
	if old := c.Store.RowsByID[value.Int(g["ID"])]; old != nil && old.Owner == it.Owner() {
		r.ID = old.ID
	}
	if err := applyRow(&r.RowValues, g); err != nil {
		return nil, rest.Fail("ERROR_CORE", err.Error())
	}
	g.Num("PRICE_EXCLUSIVE", 8, &r.PriceExclusive)
	g.Num("PRICE_NETTO", 8, &r.PriceNetto)
	g.Num("PRICE_BRUTTO", 8, &r.PriceBrutto)
	return r, nil
}

// checkLegacyDiscount checks that a discount has the parts of its type.
// https://apidocs.bitrix24.com/api-reference/crm/leads/crm-lead-productrows-set.html
func checkLegacyDiscount(g value.Fields) error {
	typ, sent := g["DISCOUNT_TYPE_ID"]
	_, hasRate := g["DISCOUNT_RATE"]
	_, hasSum := g["DISCOUNT_SUM"]
	bad := ""
	switch {
	case !sent:
	case value.Int(typ) == model.DiscountSum:
		if !hasSum {
			bad = "Discount Sum (DISCOUNT_SUM) is required if Monetary Discount Type (DISCOUNT_TYPE_ID) is defined"
		}
	case !hasRate:
		bad = "Discount Rate (DISCOUNT_RATE) is required if Percentage Discount Type (DISCOUNT_TYPE_ID) is defined"
	case value.Num(g["DISCOUNT_RATE"]).Equal(num.FromInt(100)) && !hasSum:
		bad = "Discount Sum (DISCOUNT_SUM) is required if Percentage Discount Type (DISCOUNT_TYPE_ID) is defined and Discount Rate (DISCOUNT_RATE) is 100%"
	}
	if bad == "" {
		return nil
	}
	return rest.Fail("ERROR_CORE", bad+"<br>")
}
