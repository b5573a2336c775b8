package emulator

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/emulator/internal/query"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// rowOwner finds the item that rows belong to.
func rowOwner(c *call, ownerType string, id int64) (*item, error) {
	s := c.store()
	for _, t := range s.types {
		if strings.EqualFold(t.short, ownerType) {
			if !t.rows {
				break
			}
			if it := s.item(t.id, id); it != nil {
				return it, nil
			}
			return nil, fail("OWNER_NOT_FOUND", "Owner was not found")
		}
	}
	return nil, fail("ENTITY_TYPE_NOT_SUPPORTED", fmt.Sprintf("Entity type %q is not supported", ownerType))
}

// rowOf finds the row that a call names.
func rowOf(c *call) (*row, error) {
	id, err := c.intParam("id")
	if err != nil {
		return nil, err
	}
	if r := c.store().rowsByID[id]; r != nil {
		return r, nil
	}
	return nil, fail("NOT_FOUND", "Item not found")
}

// rowInput are the fields of a row that crm.item.productrow.* takes: what is
// read-only or not known is dropped.
func rowInput(fields *php.Array) value.Fields {
	g := value.Fields{}
	for name, v := range fields.All() {
		switch stored := value.UpperName(name); stored {
		case "PRODUCT_ID", "PRODUCT_NAME", "PRICE", "QUANTITY", "DISCOUNT_TYPE_ID", "DISCOUNT_RATE", "DISCOUNT_SUM",
			"TAX_RATE", "TAX_INCLUDED", "CUSTOMIZED", "MEASURE_CODE", "MEASURE_NAME", "SORT":
			g[stored] = v
		}
	}
	return g
}

// rowGet is crm.item.productrow.get.
func rowGet(c *call) (any, error) {
	r, err := rowOf(c)
	if err != nil {
		return nil, err
	}
	return value.Object("productRow", storedRowJSON(c.store(), r)), nil
}

// rowsAvailable is crm.item.productrow.getAvailableForPayment: the rows that are
// in no payment. Payments are not emulated, so it is all rows.
func rowsAvailable(c *call) (any, error) {
	id, err := c.intParam("ownerId")
	if err != nil {
		return nil, err
	}
	if c.param("ownerType") == nil {
		return nil, c.missing("ownerType")
	}
	it, err := rowOwner(c, value.Text(c.param("ownerType")), id)
	if err != nil {
		return nil, err
	}
	rows := php.NewArray()
	for _, r := range sortedRows(c.store().rows[it.owner()]) {
		rows.Append(rowJSON(c.store(), r))
	}
	return value.Object("productRows", rows), nil
}

// rowList is crm.item.productrow.list.
func rowList(c *call) (any, error) {
	filter, order, err := c.conditions()
	if err != nil {
		return nil, err
	}
	candidates, err := ownersRows(c, filter)
	if err != nil {
		return nil, err
	}
	s := c.store()
	find := func(name string) (query.Column[*row], bool) { return rowColumn(s, name) }
	r := query.Rules[*row]{
		Find: find,
		Unknown: func(name string) error {
			return fail("100", fmt.Sprintf("Unknown field definition `%s` (%s) for \\Bitrix\\Crm\\ProductRow Entity.", value.UpperName(name), value.UpperName(name)))
		},
		Invalid: func(name string) error {
			return fail("INVALID_ARG_VALUE", fmt.Sprintf("Value for filter key '%s' should be either string or number", name))
		},
		Zone: s.zone,
	}
	pass, err := r.Compile(filter)
	if err != nil {
		return nil, err
	}
	found := query.Keep(candidates, pass)
	slices.SortFunc(found, func(a, b *row) int { return cmp.Compare(a.id, b.id) })
	query.Sort(found, query.LenientOrder(order, find))
	rows := php.NewArray()
	for _, r := range page(c, found) {
		rows.Append(storedRowJSON(s, r))
	}
	return value.Object("productRows", rows), nil
}

// ownersRows collects the rows of the owners that a filter names. Both keys
// must stand there literally.
func ownersRows(c *call, filter *php.Array) ([]*row, error) {
	ownerType, okType := value.Either(filter, "=ownerType", "=OWNER_TYPE")
	ownerID, okID := value.Either(filter, "=ownerId", "=OWNER_ID")
	if !okType || value.IsEmpty(ownerType) {
		return nil, fail("100", "Required field: =ownerType")
	}
	if !okID || value.IsEmpty(ownerID) {
		return nil, fail("100", "Required field: =ownerId")
	}
	if _, several := value.Array(ownerID); several && !c.p.cfg.ManyOwners {
		return nil, fail("INVALID_ARG_VALUE", "Value for filter key '=ownerId' should be either string or number")
	}
	s := c.store()
	var found []*row
	for _, short := range value.List(ownerType) {
		for _, t := range s.types {
			if !strings.EqualFold(t.short, value.Text(short)) {
				continue
			}
			for _, id := range value.List(ownerID) {
				found = append(found, s.rows[owner{t.id, value.Int(id)}]...)
			}
		}
	}
	return found, nil
}

// rowAdd is crm.item.productrow.add.
func rowAdd(c *call) (any, error) {
	fields, ok := value.Array(c.param("fields"))
	if !ok {
		return nil, c.wrongType("fields", "array")
	}
	short, _ := value.Either(fields, "ownerType", "OWNER_TYPE")
	id, _ := value.Either(fields, "ownerId", "OWNER_ID")
	it, err := rowOwner(c, value.Text(short), value.Int(id))
	if err != nil {
		return nil, err
	}
	values := newRowValues()
	if err := applyRow(&values, rowInput(fields)); err != nil {
		return nil, err
	}
	r := &row{owner: it.owner(), rowValues: values}
	if err := saveRows(c, it, append(slices.Clone(c.store().rows[it.owner()]), r), saveOptions{}); err != nil {
		return nil, err
	}
	return value.Object("productRow", rowJSON(c.store(), r)), nil
}

// rowUpdate is crm.item.productrow.update.
func rowUpdate(c *call) (any, error) {
	r, err := rowOf(c)
	if err != nil {
		return nil, err
	}
	fields, ok := value.Array(c.param("fields"))
	if !ok {
		return nil, c.wrongType("fields", "array")
	}
	g := rowInput(fields)
	if len(g) == 0 {
		name := "fields"
		if keys := fields.Keys(); len(keys) > 0 {
			name = keys[0]
		}
		return nil, fail("INVALID_ARG_VALUE", fmt.Sprintf("Field '%s' not available for update", name))
	}
	it, err := rowOwner(c, c.store().ownerType(r.owner), r.owner.id)
	if err != nil {
		return nil, err
	}
	changed := &row{id: r.id, owner: r.owner, rowValues: r.rowValues}
	if err := applyRow(&changed.rowValues, g); err != nil {
		return nil, err
	}
	rows := slices.Clone(c.store().rows[r.owner])
	rows[slices.Index(rows, r)] = changed
	if err := saveRows(c, it, rows, saveOptions{}); err != nil {
		return nil, err
	}
	return value.Object("productRow", rowJSON(c.store(), changed)), nil
}

// rowDelete is crm.item.productrow.delete. Its result is null.
func rowDelete(c *call) (any, error) {
	r, err := rowOf(c)
	if err != nil {
		return nil, err
	}
	it, err := rowOwner(c, c.store().ownerType(r.owner), r.owner.id)
	if err != nil {
		return nil, err
	}
	rest := slices.DeleteFunc(slices.Clone(c.store().rows[r.owner]), func(x *row) bool { return x == r })
	return nil, saveRows(c, it, rest, saveOptions{})
}

// rowSet is crm.item.productrow.set. Rows that are equal to what is there keep
// their ids, all others get new ones; equal rows of the call become one.
func rowSet(c *call) (any, error) {
	id, err := c.intParam("ownerId")
	if err != nil {
		return nil, err
	}
	if c.param("ownerType") == nil {
		return nil, c.missing("ownerType")
	}
	input, ok := value.Array(c.param("productRows"))
	if !ok {
		return nil, c.wrongType("productRows", "array")
	}
	it, err := rowOwner(c, value.Text(c.param("ownerType")), id)
	if err != nil {
		return nil, err
	}
	s := c.store()
	var rows []*row
	for _, v := range input.All() {
		fields, ok := value.Array(v)
		if !ok {
			return nil, c.wrongType("productRows", "array")
		}
		r := &row{owner: it.owner(), rowValues: newRowValues()}
		if err := applyRow(&r.rowValues, rowInput(fields)); err != nil {
			return nil, err
		}
		if twin(rows, r) == nil {
			if old := twin(s.rows[it.owner()], r); old != nil {
				r = old
			}
			rows = append(rows, r)
		}
	}
	if err := saveRows(c, it, rows, saveOptions{}); err != nil {
		return nil, err
	}
	answer := php.NewArray()
	for _, r := range rows {
		answer.Append(rowJSON(s, r))
	}
	return value.Object("productRows", answer), nil
}

// twin finds an equal row.
func twin(rows []*row, r *row) *row {
	for _, x := range rows {
		if x.equal(&r.rowValues) {
			return x
		}
	}
	return nil
}

// saveRows replaces an item's rows, gives new ones their ids, and saves the
// item: product rows have no events of their own. Nothing is saved where the
// rows are as they were.
func saveRows(c *call, it *item, rows []*row, how saveOptions) error {
	s := c.store()
	o := it.owner()
	before := s.rows[o]
	how.rowsChanged = how.rowsChanged || !slices.EqualFunc(sortedRows(before), sortedRows(rows), func(a, b *row) bool {
		return a.id == b.id && a.equal(&b.rowValues)
	})
	if !how.rowsChanged && !how.always {
		return nil
	}
	s.rows[o] = rows
	if err := saveItem(c, it, map[string]any{}, how); err != nil {
		s.rows[o] = before
		return err
	}
	for _, r := range before {
		delete(s.rowsByID, r.id)
	}
	for _, r := range rows {
		if r.id == 0 {
			r.id = s.next("row")
		}
		if r.productName == "" && r.productID == 0 {
			// A row without a product and a name is called by its id.
			r.productName = fmt.Sprintf("[%d]", r.id)
		}
		s.rowsByID[r.id] = r
	}
	return nil
}

func sortedRows(rows []*row) []*row {
	return slices.SortedFunc(slices.Values(rows), func(a, b *row) int { return cmp.Compare(a.id, b.id) })
}

// rowFields is crm.item.productrow.fields, which leaves priceAccount and xmlId
// out.
func rowFields(*call) (any, error) {
	fields := php.NewArray()
	add := func(name, typ, title string, set flags) {
		f := &field{name: name, typ: typ, title: title, flags: set}
		fields.Set(value.CamelName(name), describeField(f, nil))
	}
	add("ID", "integer", "ID", readOnly)
	add("OWNER_ID", "integer", "Owner ID", required|immutable)
	add("OWNER_TYPE", "string", "Owner Type", required|immutable)
	add("PRODUCT_ID", "integer", "Product", required)
	add("PRODUCT_NAME", "string", "Product Name", 0)
	add("PRICE", "double", "Price", 0)
	add("PRICE_EXCLUSIVE", "double", "Discounted price excluding tax", readOnly)
	add("PRICE_NETTO", "double", "PRICE_NETTO", readOnly)
	add("PRICE_BRUTTO", "double", "PRICE_BRUTTO", readOnly)
	add("QUANTITY", "double", "Quantity", 0)
	add("DISCOUNT_TYPE_ID", "integer", "Discount Type", 0)
	add("DISCOUNT_RATE", "double", "Discount Amount", 0)
	add("DISCOUNT_SUM", "double", "Discount Total", 0)
	add("TAX_RATE", "double", "Tax", 0)
	add("TAX_INCLUDED", "char", "Tax included in price", 0)
	add("CUSTOMIZED", "char", "Modified", 0)
	add("MEASURE_CODE", "integer", "Unit of Measure Code", 0)
	add("MEASURE_NAME", "string", "Unit of Measure", 0)
	add("SORT", "integer", "Sorting", 0)
	add("TYPE", "integer", "TYPE", readOnly)
	add("STORE_ID", "integer", "STORE_ID", readOnly)
	return value.Object("fields", fields), nil
}
