package emulator

import (
	"fmt"
	"maps"
	"time"

	"b24rules/num"
)

// addItem makes an item, fills in what is not given, and raises its event.
func (c *call) addItem(t *entityType, changes map[string]any) (*item, error) {
	s := c.store()
	it := &item{id: s.next(itemCounter(t.id)), typ: t, values: map[string]any{}}
	v := it.values
	v["ID"] = it.id
	now := c.now.In(s.zone).Truncate(time.Second)
	for _, name := range []string{"CREATED_TIME", "UPDATED_TIME", "MOVED_TIME", "LAST_ACTIVITY_TIME"} {
		v[name] = now
	}
	for _, name := range []string{"CREATED_BY", "UPDATED_BY", "MOVED_BY", "LAST_ACTIVITY_BY", "ASSIGNED_BY_ID"} {
		v[name] = c.req.by.user
	}
	v["OPENED"] = true
	v["CATEGORY_ID"] = t.categories[0].id
	v["BEGINDATE"], v["CLOSEDATE"] = dateOf(now), dateOf(now.AddDate(0, 0, 7))
	v["CURRENCY_ID"] = c.p.cfg.Currency
	v["SOURCE_ID"] = "CALL"
	v["TYPE_ID"] = "SALE"
	v["XML_ID"] = ""
	if t.id == typeSmartInvoice {
		v["ACCOUNT_NUMBER"] = fmt.Sprint(it.id)
	}
	maps.Copy(v, changes)
	if blank(v["TITLE"]) {
		v["TITLE"] = it.defaultTitle()
	}
	linkContacts(v, changes)
	if err := enterStage(t, v, nil); err != nil {
		return nil, err
	}
	if err := s.recompute(it, v, false); err != nil {
		return nil, err
	}
	for name := range v {
		if t.fields.byName[name] == nil {
			delete(v, name)
		}
	}
	s.table(t.id).insert(it)
	c.record(it, opAdd)
	c.fire(t.id, opAdd, it.id)
	return it, nil
}

func itemCounter(entityTypeID int) string { return fmt.Sprintf("item %d", entityTypeID) }

// linkContacts keeps the main contact and the list of contacts in step.
func linkContacts(v, changes map[string]any) {
	if several, ok := changes["CONTACT_IDS"]; ok {
		v["CONTACT_ID"] = first(several)
		return
	}
	if main, ok := changes["CONTACT_ID"]; ok {
		v["CONTACT_IDS"] = []any{}
		if main != nil && main != int64(0) {
			v["CONTACT_IDS"] = []any{main}
		}
	}
}

// enterStage puts an item into the stage of its pipeline that is in v. Where that
// is a stage of another pipeline, the item stays in its stage, or enters the
// first one of a new pipeline.
func enterStage(t *entityType, v map[string]any, current any) error {
	if t.fields.byName["STAGE_ID"] == nil {
		return nil
	}
	id, _ := v["CATEGORY_ID"].(int64)
	cat := t.category(id)
	if cat == nil {
		return invalidValue(t.fields.byName["CATEGORY_ID"])
	}
	now := cat.stages[0]
	for _, wished := range []any{v["STAGE_ID"], current} {
		name, _ := wished.(string)
		if found, ok := cat.stage(name); ok {
			now = found
			break
		}
	}
	v["STAGE_ID"] = now.id
	if t.fields.byName["STAGE_SEMANTIC_ID"] != nil {
		v["STAGE_SEMANTIC_ID"] = now.semantics
		v["CLOSED"] = now.semantics != "P"
		v["IS_NEW"] = now.id == cat.stages[0].id
	}
	return nil
}

// saveOptions say how an item is saved.
type saveOptions struct {
	rowsChanged bool // its product rows have changed
	always      bool // as the legacy methods do: also when nothing differs
}

// saveItem changes an item and raises its event, unless nothing differs: the
// universal methods skip such a save.
// https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-update.html
func (c *call) saveItem(it *item, changes map[string]any, how saveOptions) error {
	s := c.store()
	before := it.values
	v := it.working()
	if _, ok := changes["CATEGORY_ID"]; ok && changes["CATEGORY_ID"] == nil {
		changes["CATEGORY_ID"] = it.typ.categories[0].id
	}
	maps.Copy(v, changes)
	linkContacts(v, changes)
	if err := enterStage(it.typ, v, before["STAGE_ID"]); err != nil {
		return err
	}
	if err := s.recompute(it, v, how.rowsChanged); err != nil {
		return err
	}
	if !how.always && !how.rowsChanged && maps.EqualFunc(filled(before), filled(v), same) {
		return nil
	}
	moved := !same(before["CATEGORY_ID"], v["CATEGORY_ID"])
	now := c.now.In(s.zone).Truncate(time.Second)
	v["UPDATED_TIME"], v["UPDATED_BY"] = now, c.req.by.user
	if !same(before["STAGE_ID"], v["STAGE_ID"]) {
		v["MOVED_TIME"], v["MOVED_BY"] = now, c.req.by.user
		v["PREVIOUS_STAGE_ID"] = before["STAGE_ID"]
	}
	it.values = v
	c.record(it, opUpdate)
	if moved && it.typ.id == typeDeal {
		c.fireMove(it)
		return nil
	}
	c.fire(it.typ.id, opUpdate, it.id)
	return nil
}

// filled leaves out what is null or empty.
func filled(values map[string]any) map[string]any {
	out := make(map[string]any, len(values))
	for name, v := range values {
		if !same(nil, v) {
			out[name] = v
		}
	}
	return out
}

// recompute gives an item the amount of its product rows, unless it is set by
// hand or never had rows, and always their tax, whatever was sent. An amount
// that is not given is 0 and never null.
// https://apidocs.bitrix24.com/api-reference/crm/deals/crm-deal-add.html
// https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-add.html
func (s *store) recompute(it *item, v map[string]any, rowsChanged bool) error {
	if it.typ.fields.byName["OPPORTUNITY"] == nil {
		return nil
	}
	rows := s.rows[it.owner()]
	sum, tax, err := totals(rows)
	if err != nil {
		return err
	}
	v["TAX_VALUE"] = tax
	manual, _ := v["IS_MANUAL_OPPORTUNITY"].(bool)
	switch {
	case !manual && (len(rows) > 0 || rowsChanged):
		v["OPPORTUNITY"] = sum
	case v["OPPORTUNITY"] == nil:
		v["OPPORTUNITY"] = num.Num{}
	}
	return nil
}

// totals adds up rows: the amount and the tax in it.
func totals(rows []*row) (sum, tax num.Num, err error) {
	for _, r := range rows {
		if sum, err = addProduct(sum, r.price, r.quantity); err != nil {
			return sum, tax, err
		}
		part, err := r.price.Sub(r.priceExclusive)
		if err != nil {
			return sum, tax, err
		}
		if tax, err = addProduct(tax, part, r.quantity); err != nil {
			return sum, tax, err
		}
	}
	return sum.Round(2), tax.Round(2), nil
}

func addProduct(sum, a, b num.Num) (num.Num, error) {
	product, err := a.Mul(b)
	if err != nil {
		return sum, err
	}
	return sum.Add(product)
}

// deleteItem takes an item away, and its product rows with it.
func (c *call) deleteItem(it *item) {
	s := c.store()
	for _, r := range s.rows[it.owner()] {
		delete(s.rowsByID, r.id)
	}
	delete(s.rows, it.owner())
	s.table(it.typ.id).remove(it.id)
	c.record(it, opDelete)
	c.fire(it.typ.id, opDelete, it.id)
}
