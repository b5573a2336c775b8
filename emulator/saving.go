package emulator

import (
	"fmt"
	"maps"

	"github.com/b24rules/b24rules/emulator/internal/query"
	"github.com/b24rules/b24rules/engine/num"
)

// addItem makes an item, fills in what is not given, and raises its event.
func addItem(c *call, t *entityType, changes map[string]any) (*item, error) {
	s := c.store()
	it := &item{id: s.next(itemCounter(t.id)), typ: t, values: map[string]any{}}
	v := newValues(c, it)
	maps.Copy(v, changes)
	if query.IsBlank(v["TITLE"]) {
		v["TITLE"] = defaultTitle(it)
	}
	mergeChanges(s, t, v, changes, nil)
	if err := enterStage(t, v, nil); err != nil {
		return nil, err
	}
	closeLead(c, it, v)
	if err := recompute(s, it, v, false); err != nil {
		return nil, err
	}
	strip(t, v)
	it.values = v
	s.table(t.id).insert(it)
	s.mirrorLinks(it, nil)
	recordItem(c, it, opAdd)
	fire(c, t, opAdd, it.id)
	return it, nil
}

// strip leaves out what the type has no field for.
func strip(t *entityType, v map[string]any) {
	for name := range v {
		if t.fields.byName[name] == nil {
			delete(v, name)
		}
	}
}

func itemCounter(entityTypeID int) string { return fmt.Sprintf("item %d", entityTypeID) }

// mergeChanges brings what follows from the changes of a save up to date: the
// pipeline, links and multifields.
func mergeChanges(s *store, t *entityType, v, changes map[string]any, before map[string]any) {
	if v["CATEGORY_ID"] == nil && t.fields.byName["CATEGORY_ID"] != nil {
		v["CATEGORY_ID"] = t.defaultCategory().id // 0 is empty
	}
	t.linkMain(v, changes)
	if input, ok := v[multifieldsName].([]multifieldInput); ok {
		v[multifieldsName] = mergeMultifields(s, before[multifieldsName], input)
	}
	deriveFromMultifields(t, v)
}

// enterStage puts an item into the stage of its pipeline that is in v. Where that
// is a stage of another pipeline, the item stays in its stage, or enters the
// first one of a new pipeline.
func enterStage(t *entityType, v map[string]any, current any) error {
	if t.fields.byName["STAGE_ID"] == nil {
		return nil
	}
	id, _ := v["CATEGORY_ID"].(int64)
	cat := t.category(id) // 0 where the type has no pipelines
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
	for name, x := range map[string]any{
		"STAGE_ID": now.id, "STAGE_SEMANTIC_ID": now.semantics, "CLOSED": now.semantics != "P", "IS_NEW": now.id == cat.stages[0].id,
	} {
		if t.fields.byName[name] != nil {
			v[name] = x
		}
	}
	return nil
}

// closeLead notes when a lead entered a final status.
func closeLead(c *call, it *item, v map[string]any) {
	if it.typ.fields.byName["DATE_CLOSED"] == nil {
		return
	}
	switch {
	case v["STAGE_SEMANTIC_ID"] == "P":
		v["DATE_CLOSED"] = nil
	case v["DATE_CLOSED"] == nil:
		v["DATE_CLOSED"] = c.savedAt()
	}
}

// saveOptions say how an item is saved.
type saveOptions struct {
	rowsChanged bool // its product rows have changed
	always      bool // as the legacy methods do: also when nothing differs
}

// saveItem changes an item and raises its event, unless nothing differs: the
// universal methods skip such a save.
// https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-update.html
func saveItem(c *call, it *item, changes map[string]any, how saveOptions) error {
	s := c.store()
	before := it.values
	v := it.working()
	maps.Copy(v, changes)
	mergeChanges(s, it.typ, v, changes, before)
	if err := enterStage(it.typ, v, before["STAGE_ID"]); err != nil {
		return err
	}
	closeLead(c, it, v)
	if err := recompute(s, it, v, how.rowsChanged); err != nil {
		return err
	}
	if !how.always && !how.rowsChanged && maps.EqualFunc(filled(before), filled(v), same) {
		return nil
	}
	strip(it.typ, v)
	moved := !same(before["CATEGORY_ID"], v["CATEGORY_ID"])
	now := c.savedAt()
	v["UPDATED_TIME"], v["UPDATED_BY"] = now, c.req.by.user
	if !same(before["STAGE_ID"], v["STAGE_ID"]) {
		v["MOVED_TIME"], v["MOVED_BY"] = now, c.req.by.user
		v["PREVIOUS_STAGE_ID"] = before["STAGE_ID"]
	}
	it.values = v
	s.mirrorLinks(it, before)
	recordItem(c, it, opUpdate)
	if moved && it.typ.id == typeDeal {
		fireMove(c, it)
		return nil
	}
	fire(c, it.typ, opUpdate, it.id)
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
func recompute(s *store, it *item, v map[string]any, rowsChanged bool) error {
	if it.typ.fields.byName["OPPORTUNITY"] == nil {
		return nil
	}
	rows := s.rows[it.owner()]
	sum, tax, err := totals(rows)
	if err != nil {
		return err
	}
	if it.typ.fields.byName["TAX_VALUE"] != nil {
		v["TAX_VALUE"] = tax
	}
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

// deleteItem takes an item away, and its product rows and comments with it.
func deleteItem(c *call, it *item) {
	s := c.store()
	for _, r := range s.rows[it.owner()] {
		delete(s.rowsByID, r.id)
	}
	delete(s.rows, it.owner())
	s.unlink(it)
	s.dropComments(it)
	s.table(it.typ.id).remove(it.id)
	recordItem(c, it, opDelete)
	fire(c, it.typ, opDelete, it.id)
}
