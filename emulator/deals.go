package emulator

import (
	"slices"
	"time"

	"b24rules/bitrix/php"
	"b24rules/num"
)

// plainFail is an error of the legacy CRM methods: its code is empty, there is
// only the text.
func plainFail(text string) error { return fail("", text) }

// dealOf finds the deal that a legacy call names.
func dealOf(c *call) (*item, error) {
	id := toInt(c.param("ID"))
	if id <= 0 {
		return nil, plainFail("ID is not defined or invalid.")
	}
	if it := c.store().item(typeDeal, id); it != nil {
		return it, nil
	}
	return nil, plainFail("Not found")
}

// dealGet is crm.deal.get.
func dealGet(c *call) (any, error) {
	it, err := dealOf(c)
	if err != nil {
		return nil, err
	}
	return c.store().legacyJSON(it, nil), nil
}

// legacyJSON is an item as crm.deal.* shows it: everything is text or null.
func (s *store) legacyJSON(it *item, only map[*field]bool) *php.Array {
	a := php.NewArray()
	for _, f := range it.typ.fields.all {
		if !f.inLegacy() || only != nil && !only[f] {
			continue
		}
		a.Set(f.legacy, s.legacyValue(f, it.values[f.name]))
	}
	return a
}

// inLegacy tells whether crm.deal.get shows a field. It has no CONTACT_IDS.
func (f *field) inLegacy() bool { return !f.has(disabled|hidden) && f.name != "CONTACT_IDS" }

func (s *store) legacyValue(f *field, v any) any {
	switch v := v.(type) {
	case nil:
		if f.kind() == kindBool {
			return "N"
		}
		if f.has(multiple) {
			return false // an empty multiple custom field
		}
		return nil
	case bool:
		if f.user != nil {
			return boolDigit(v)
		}
		return yesNo(v)
	case int64:
		return toText(intValue(v))
	case num.Num:
		if f.user != nil {
			return v.String()
		}
		return fixed(v, 2)
	case time.Time:
		if f.kind() == kindDate {
			return s.stampDate(v)
		}
		return s.stamp(v)
	case []any:
		if len(v) == 0 {
			return false
		}
		values := php.NewArray()
		single := *f
		single.flags &^= multiple
		for _, x := range v {
			values.Append(s.legacyValue(&single, x))
		}
		return values
	}
	return v
}

// boolDigit is how legacy methods show custom yes/no fields.
func boolDigit(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

// dealList is crm.deal.list. It ignores filter fields that it does not know,
// so that a misspelt name finds everything.
func dealList(c *call) (any, error) {
	t := c.store().types[typeDeal]
	filter, ok := c.optionalArray("FILTER")
	if !ok {
		return nil, plainFail("Parameter 'filter' must be array.")
	}
	order, ok := c.optionalArray("ORDER")
	if !ok {
		return nil, plainFail("Parameter 'order' must be array.")
	}
	chosen, ok := c.optionalArray("SELECT")
	if !ok {
		return nil, plainFail("Parameter 'select' must be array.")
	}
	find := itemColumns(func(name string) *field {
		f := t.fields.byLegacy[name]
		if f == nil || !f.inLegacy() {
			return nil
		}
		return f
	})
	r := rules[*item]{find: find, parse: c.store().parseItemValue}
	pass, err := r.compile(filter)
	if err != nil {
		return nil, err
	}
	rows := keep(c.store().table(typeDeal).all(), pass)
	sortRows(rows, looseOrder(order, find))
	only := legacySelection(t, chosen)
	answer := php.NewArray()
	for _, it := range page(c, rows) {
		answer.Append(c.store().legacyJSON(it, only))
	}
	return answer, nil
}

// legacySelection reads select: "*" is everything but custom and multiple
// fields, "UF_*" are the custom ones; without any it is both. ID is always in
// the answer.
func legacySelection(t *entityType, chosen *php.Array) map[*field]bool {
	only := map[*field]bool{t.fields.byName["ID"]: true}
	add := func(pass func(*field) bool) {
		for _, f := range t.fields.all {
			if pass(f) {
				only[f] = true
			}
		}
	}
	system := func(f *field) bool { return f.user == nil && !f.has(multiple) }
	custom := func(f *field) bool { return f.user != nil }
	if chosen.Len() == 0 {
		add(system)
		add(custom)
		return only
	}
	for _, v := range chosen.All() {
		switch name := toText(v); name {
		case "*":
			add(system)
		case "UF_*":
			add(custom)
		default:
			if f := t.fields.byLegacy[name]; f != nil {
				only[f] = true
			}
		}
	}
	return only
}

// legacyFields reads the fields of a legacy call. Empty text clears; 0 is 0.
func legacyFields(c *call, t *entityType, adding bool) (map[string]any, error) {
	fields, ok := asArray(c.param("FIELDS"))
	if !ok {
		return nil, plainFail("Parameter 'fields' must be array.")
	}
	changes := map[string]any{}
	for name, v := range fields.All() {
		f := t.fields.byLegacy[name]
		if f == nil || f.has(readOnly|disabled|hidden) || !adding && f.name == "CATEGORY_ID" {
			continue
		}
		if v == nil || v == "" || v == false {
			changes[f.name] = nil
			continue
		}
		if _, isArray := asArray(v); f.has(multiple) && !isArray {
			v = php.List(v)
		}
		stored, ok, err := c.store().read(f, v)
		if err != nil {
			return nil, plainFail("Invalid value of the field " + f.legacy + ".")
		}
		if ok {
			changes[f.name] = stored
		}
	}
	if checkStage(t, changes) != nil {
		delete(changes, "STAGE_ID")
	}
	return changes, nil
}

// dealAdd is crm.deal.add. Its result is the id, a number.
func dealAdd(c *call) (any, error) {
	t := c.store().types[typeDeal]
	changes, err := legacyFields(c, t, true)
	if err != nil {
		return nil, err
	}
	it, err := c.addItem(t, changes)
	if err != nil {
		return nil, plainFail("Invalid value of the field CATEGORY_ID.")
	}
	return intValue(it.id), nil
}

// dealUpdate is crm.deal.update. A stage of another pipeline changes nothing:
// only crm.item.update moves a deal.
// https://apidocs.bitrix24.com/api-reference/crm/deals/index.html
func dealUpdate(c *call) (any, error) {
	it, err := dealOf(c)
	if err != nil {
		return nil, err
	}
	changes, err := legacyFields(c, it.typ, false)
	if err != nil {
		return nil, err
	}
	if err := c.saveItem(it, changes, saveOptions{always: true}); err != nil {
		return nil, err
	}
	return true, nil
}

// dealDelete is crm.deal.delete.
func dealDelete(c *call) (any, error) {
	it, err := dealOf(c)
	if err != nil {
		return nil, err
	}
	c.deleteItem(it)
	return true, nil
}

// dealFieldsMethod is crm.deal.fields.
func dealFieldsMethod(c *call) (any, error) {
	t := c.store().types[typeDeal]
	fields := php.NewArray()
	for _, f := range t.fields.all {
		if f.has(disabled | hidden) {
			continue
		}
		shown := *f
		if f.typ == "boolean" && f.user == nil {
			shown.typ = "char"
		}
		if f.name == "CATEGORY_ID" {
			shown.flags |= immutable
		}
		fields.Set(f.legacy, shown.describe(t))
	}
	return fields, nil
}

// dealRowsOf finds the deal of crm.deal.productrows.*.
func dealRowsOf(c *call) (*item, error) {
	id := toInt(c.param("ID"))
	if id <= 0 {
		return nil, plainFail("The parameter id is invalid or not defined.")
	}
	if it := c.store().item(typeDeal, id); it != nil {
		return it, nil
	}
	return nil, plainFail("Not found")
}

// dealRowsGet is crm.deal.productrows.get.
func dealRowsGet(c *call) (any, error) {
	it, err := dealRowsOf(c)
	if err != nil {
		return nil, err
	}
	rows := php.NewArray()
	for _, r := range sortedRows(c.store().rows[it.owner()]) {
		rows.Append(c.store().legacyRowJSON(r))
	}
	return rows, nil
}

// dealRowsSet is crm.deal.productrows.set. It makes every row anew, unless the
// row names its id, and updates the deal.
func dealRowsSet(c *call) (any, error) {
	it, err := dealRowsOf(c)
	if err != nil {
		return nil, err
	}
	input, ok := asArray(c.param("ROWS"))
	if !ok {
		return nil, plainFail("The parameter rows must be array.")
	}
	var rows []*row
	for _, v := range input.All() {
		fields, ok := asArray(v)
		if !ok {
			continue
		}
		r, err := c.legacyRow(it, fields)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(rows, func(x *row) bool { return x.id == r.id }) {
			r.id = 0
		}
		rows = append(rows, r)
	}
	had := len(c.store().rows[it.owner()]) > 0
	if !had && len(rows) == 0 {
		return true, nil
	}
	if err := c.saveRows(it, rows, saveOptions{always: true, rowsChanged: true}); err != nil {
		return nil, err
	}
	return true, nil
}

// legacyRow reads a row of crm.deal.productrows.set, where the prices that are
// computed elsewhere may be given too.
func (c *call) legacyRow(it *item, fields *php.Array) (*row, error) {
	g := given{}
	for name, v := range fields.All() {
		g[name] = v
	}
	if err := checkLegacyDiscount(g); err != nil {
		return nil, err
	}
	r := &row{owner: it.owner(), rowValues: newRowValues()}
	if old := c.store().rowsByID[toInt(g["ID"])]; old != nil && old.owner == it.owner() {
		r.id = old.id
	}
	if err := r.apply(g); err != nil {
		return nil, fail("ERROR_CORE", err.Error())
	}
	g.num("PRICE_EXCLUSIVE", 8, &r.priceExclusive)
	g.num("PRICE_NETTO", 8, &r.priceNetto)
	g.num("PRICE_BRUTTO", 8, &r.priceBrutto)
	return r, nil
}

// checkLegacyDiscount wants what a discount of the sent type is made of.
func checkLegacyDiscount(g given) error {
	v, sent := g["DISCOUNT_TYPE_ID"]
	if !sent {
		return nil
	}
	want := "DISCOUNT_RATE"
	if toInt(v) == discountSum {
		want = "DISCOUNT_SUM"
	}
	if _, ok := g[want]; !ok {
		return fail("ERROR_CORE", "Discount "+want+" is required for the discount type.<br>")
	}
	return nil
}
