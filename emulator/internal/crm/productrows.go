package crm

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/emulator/internal/model"
	"github.com/b24rules/b24rules/emulator/internal/query"
	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// rowOwner finds the item that rows belong to.
func rowOwner(c *rest.Call, ownerType string, id int64) (*model.Item, error) {
	s := c.Store
	for _, t := range s.Types {
		if strings.EqualFold(t.Short, ownerType) {
			if !t.Rows {
				break
			}
			it := s.Item(t.ID, id)
			switch {
			case it == nil:
				return nil, rest.Fail("OWNER_NOT_FOUND", "Owner was not found")
			case !sees(c, it):
				return nil, rest.Fail("ACCESS_DENIED", "Access denied")
			}
			return it, nil
		}
	}
	return nil, unsupportedType(ownerType)
}

func unsupportedType(ownerType string) error {
	return rest.Fail("ENTITY_TYPE_NOT_SUPPORTED", fmt.Sprintf("Entity type %q is not supported", ownerType))
}

// isOwnerType reports whether a text is the short code of a type.
func isOwnerType(s *model.Store, short string) bool {
	for _, t := range s.Types {
		if strings.EqualFold(t.Short, short) {
			return true
		}
	}
	return false
}

// rowOf finds the row that a call names.
func rowOf(c *rest.Call) (*model.Row, error) {
	id, err := c.IntParam("id")
	if err != nil {
		return nil, err
	}
	if r := c.Store.RowsByID[id]; r != nil {
		return r, nil
	}
	return nil, rest.Fail("NOT_FOUND", "Item not found")
}

// rowInput are the fields of a row that crm.item.productrow.* takes: what is
// read-only or not known is dropped.
func rowInput(c *rest.Call, fields *php.Array) value.Fields {
	g := value.Fields{}
	for name, v := range fields.All() {
		switch stored := value.UpperName(name); stored {
		case "PRODUCT_ID", "PRODUCT_NAME", "PRICE", "QUANTITY", "DISCOUNT_TYPE_ID", "DISCOUNT_RATE", "DISCOUNT_SUM",
			"TAX_RATE", "TAX_INCLUDED", "CUSTOMIZED", "MEASURE_CODE", "MEASURE_NAME", "SORT":
			if !c.Forgets(stored) {
				g[stored] = v
			}
		}
	}
	return g
}

// rowGet is crm.item.productrow.get.
func rowGet(c *rest.Call) (any, error) {
	r, err := rowOf(c)
	if err != nil {
		return nil, err
	}
	return value.Object("productRow", storedRowJSON(c.Store, r)), nil
}

// rowsAvailable is crm.item.productrow.getAvailableForPayment: the rows that are
// in no payment. Payments are not emulated, so it is all rows.
func rowsAvailable(c *rest.Call) (any, error) {
	id, err := c.IntParam("ownerId")
	if err != nil {
		return nil, err
	}
	if c.Param("ownerType") == nil {
		return nil, c.Missing("ownerType")
	}
	it, err := rowOwner(c, value.Text(c.Param("ownerType")), id)
	if err != nil {
		return nil, err
	}
	rows := php.NewArray()
	for _, r := range sortedRows(c.Store.Rows[it.Owner()]) {
		rows.Append(rowJSON(c.Store, r))
	}
	return value.Object("productRows", rows), nil
}

// rowList is crm.item.productrow.list.
func rowList(c *rest.Call) (any, error) {
	filter, order, err := c.Conditions()
	if err != nil {
		return nil, err
	}
	candidates, err := ownersRows(c, filter)
	if err != nil {
		return nil, err
	}
	s := c.Store
	find := func(name string) (query.Column[*model.Row], bool) { return rowColumn(s, name) }
	r := query.Rules[*model.Row]{
		Find: find,
		Unknown: func(name string) error {
			return rest.Fail("100", fmt.Sprintf("Unknown field definition `%s` (%s) for \\Bitrix\\Crm\\ProductRow Entity.", value.UpperName(name), value.UpperName(name)))
		},
		Invalid: func(name string) error {
			return rest.Fail("INVALID_ARG_VALUE", fmt.Sprintf("Value for filter key '%s' should be either string or number", name))
		},
		Zone: s.Zone,
	}
	pass, err := r.Compile(filter)
	if err != nil {
		return nil, err
	}
	found := query.Keep(candidates, pass)
	slices.SortFunc(found, func(a, b *model.Row) int { return cmp.Compare(a.ID, b.ID) })
	query.Sort(found, query.LenientOrder(order, find))
	rows := php.NewArray()
	for _, r := range rest.Page(c, found) {
		rows.Append(storedRowJSON(s, r))
	}
	return value.Object("productRows", rows), nil
}

// ownersRows collects the rows of the owners that a filter names. Both keys
// must be written exactly so.
func ownersRows(c *rest.Call, filter *php.Array) ([]*model.Row, error) {
	ownerType, okType := value.Either(filter, "=ownerType", "=OWNER_TYPE")
	ownerID, okID := value.Either(filter, "=ownerId", "=OWNER_ID")
	if !okType || value.IsEmpty(ownerType) {
		return nil, rest.Fail("100", "Required field: =ownerType")
	}
	if !okID || value.IsEmpty(ownerID) {
		return nil, rest.Fail("100", "Required field: =ownerId")
	}
	if _, several := value.Array(ownerID); several && c.Options.SingleOwner {
		return nil, rest.Fail("INVALID_ARG_VALUE", "Value for filter key '=ownerId' should be either string or number")
	}
	s := c.Store
	var found []*model.Row
	for _, short := range value.List(ownerType) {
		if !isOwnerType(s, value.Text(short)) {
			return nil, unsupportedType(value.Text(short))
		}
		for _, t := range s.Types {
			if !strings.EqualFold(t.Short, value.Text(short)) {
				continue
			}
			for _, id := range value.List(ownerID) {
				if it := s.Item(t.ID, value.Int(id)); it != nil && !sees(c, it) {
					return nil, rest.Fail("ACCESS_DENIED", "Access denied")
				}
				found = append(found, s.Rows[model.Owner{EntityTypeID: t.ID, ID: value.Int(id)}]...)
			}
		}
	}
	return found, nil
}

// rowAdd is crm.item.productrow.add.
func rowAdd(c *rest.Call) (any, error) {
	fields, ok := value.Array(c.Param("fields"))
	if !ok {
		return nil, c.WrongType("fields", "array")
	}
	short, _ := value.Either(fields, "ownerType", "OWNER_TYPE")
	id, _ := value.Either(fields, "ownerId", "OWNER_ID")
	it, err := rowOwner(c, value.Text(short), value.Int(id))
	if err != nil {
		return nil, err
	}
	values := model.NewRowValues()
	if err := applyRow(&values, rowInput(c, fields)); err != nil {
		return nil, err
	}
	r := &model.Row{Owner: it.Owner(), RowValues: values}
	if err := saveRows(c, it, append(slices.Clone(c.Store.Rows[it.Owner()]), r), saveOptions{}); err != nil {
		return nil, err
	}
	return value.Object("productRow", rowJSON(c.Store, r)), nil
}

// rowUpdate is crm.item.productrow.update.
func rowUpdate(c *rest.Call) (any, error) {
	r, err := rowOf(c)
	if err != nil {
		return nil, err
	}
	fields, ok := value.Array(c.Param("fields"))
	if !ok {
		return nil, c.WrongType("fields", "array")
	}
	g := rowInput(c, fields)
	if len(g) == 0 {
		name := "fields"
		if keys := fields.Keys(); len(keys) > 0 {
			name = keys[0]
		}
		return nil, rest.Fail("INVALID_ARG_VALUE", fmt.Sprintf("Field '%s' not available for update", name))
	}
	it, err := rowOwner(c, c.Store.OwnerType(r.Owner), r.Owner.ID)
	if err != nil {
		return nil, err
	}
	changed := &model.Row{ID: r.ID, Owner: r.Owner, RowValues: r.RowValues}
	if err := applyRow(&changed.RowValues, g); err != nil {
		return nil, err
	}
	rows := slices.Clone(c.Store.Rows[r.Owner])
	rows[slices.Index(rows, r)] = changed
	if err := saveRows(c, it, rows, saveOptions{}); err != nil {
		return nil, err
	}
	return value.Object("productRow", rowJSON(c.Store, changed)), nil
}

// rowDelete is crm.item.productrow.delete. Its result is null.
func rowDelete(c *rest.Call) (any, error) {
	r, err := rowOf(c)
	if err != nil {
		return nil, err
	}
	it, err := rowOwner(c, c.Store.OwnerType(r.Owner), r.Owner.ID)
	if err != nil {
		return nil, err
	}
	others := slices.DeleteFunc(slices.Clone(c.Store.Rows[r.Owner]), func(x *model.Row) bool { return x == r })
	return nil, saveRows(c, it, others, saveOptions{})
}

// rowSet is crm.item.productrow.set. Rows that are equal to what is there keep
// their ids, all others get new ones; equal rows of the call become one.
func rowSet(c *rest.Call) (any, error) {
	id, err := c.IntParam("ownerId")
	if err != nil {
		return nil, err
	}
	if c.Param("ownerType") == nil {
		return nil, c.Missing("ownerType")
	}
	input, ok := value.Array(c.Param("productRows"))
	if !ok {
		return nil, c.WrongType("productRows", "array")
	}
	it, err := rowOwner(c, value.Text(c.Param("ownerType")), id)
	if err != nil {
		return nil, err
	}
	s := c.Store
	var rows []*model.Row
	for _, v := range input.All() {
		fields, ok := value.Array(v)
		if !ok {
			return nil, c.WrongType("productRows", "array")
		}
		r := &model.Row{Owner: it.Owner(), RowValues: model.NewRowValues()}
		if err := applyRow(&r.RowValues, rowInput(c, fields)); err != nil {
			return nil, err
		}
		if twin(rows, r) == nil {
			if old := twin(s.Rows[it.Owner()], r); old != nil {
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
func twin(rows []*model.Row, r *model.Row) *model.Row {
	for _, x := range rows {
		if x.Equal(&r.RowValues) {
			return x
		}
	}
	return nil
}

// saveRows replaces an item's rows, gives new ones their ids, and saves the
// item: product rows have no events. Nothing is saved where the
// rows are as they were.
func saveRows(c *rest.Call, it *model.Item, rows []*model.Row, how saveOptions) error {
	s := c.Store
	o := it.Owner()
	before := s.Rows[o]
	how.rowsChanged = how.rowsChanged || !slices.EqualFunc(sortedRows(before), sortedRows(rows), func(a, b *model.Row) bool {
		return a.ID == b.ID && a.Equal(&b.RowValues)
	})
	if !how.rowsChanged && !how.always {
		return nil
	}
	s.Rows[o] = rows
	if err := saveItem(c, it, map[string]any{}, how); err != nil {
		s.Rows[o] = before
		return err
	}
	for _, r := range before {
		delete(s.RowsByID, r.ID)
	}
	for _, r := range rows {
		if r.ID == 0 {
			r.ID = s.Next("row")
		}
		if r.ProductName == "" && r.ProductID == 0 {
			// A row without a product and a name is called by its id.
			r.ProductName = fmt.Sprintf("[%d]", r.ID)
		}
		s.RowsByID[r.ID] = r
	}
	return nil
}

func sortedRows(rows []*model.Row) []*model.Row {
	return slices.SortedFunc(slices.Values(rows), func(a, b *model.Row) int { return cmp.Compare(a.ID, b.ID) })
}

// rowFields is crm.item.productrow.fields, which leaves priceAccount and xmlId
// out.
func rowFields(*rest.Call) (any, error) {
	fields := php.NewArray()
	add := func(name, typ, title string, set model.Flags) {
		f := &model.Field{Name: name, Type: typ, Title: title, Flags: set}
		fields.Set(value.CamelName(name), describeField(f, nil))
	}
	add("ID", "integer", "ID", model.ReadOnly)
	add("OWNER_ID", "integer", "Owner ID", model.Required|model.Immutable)
	add("OWNER_TYPE", "string", "Owner Type", model.Required|model.Immutable)
	add("PRODUCT_ID", "integer", "Product", model.Required)
	add("PRODUCT_NAME", "string", "Product Name", 0)
	add("PRICE", "double", "Price", 0)
	add("PRICE_EXCLUSIVE", "double", "Discounted price excluding tax", model.ReadOnly)
	add("PRICE_NETTO", "double", "PRICE_NETTO", model.ReadOnly)
	add("PRICE_BRUTTO", "double", "PRICE_BRUTTO", model.ReadOnly)
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
	add("TYPE", "integer", "TYPE", model.ReadOnly)
	add("STORE_ID", "integer", "STORE_ID", model.ReadOnly)
	return value.Object("fields", fields), nil
}
