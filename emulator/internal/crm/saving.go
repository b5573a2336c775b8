package crm

import (
	"fmt"
	"maps"

	"github.com/b24rules/b24rules/emulator/internal/model"
	"github.com/b24rules/b24rules/emulator/internal/query"
	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/php"
)

// addItem makes an item, fills in what is not given, and raises its event.
func addItem(c *rest.Call, t *model.EntityType, changes map[string]any) (*model.Item, error) {
	s := c.Store
	it := &model.Item{ID: s.Next(ItemCounter(t.ID)), Type: t, Values: map[string]any{}}
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
	it.Values = v
	s.Table(t.ID).Insert(it)
	s.MirrorLinks(it, nil)
	recordItem(c, it, rest.OpAdd)
	fire(c, t, rest.OpAdd, it.ID)
	return it, nil
}

// strip removes values for which the type has no field.
func strip(t *model.EntityType, v map[string]any) {
	for name := range v {
		if t.Fields.ByName[name] == nil {
			delete(v, name)
		}
	}
}

func ItemCounter(entityTypeID int) string { return fmt.Sprintf("item %d", entityTypeID) }

// mergeChanges brings what follows from the changes of a save up to date: the
// pipeline, links and multifields.
func mergeChanges(s *model.Store, t *model.EntityType, v, changes map[string]any, before map[string]any) {
	if v["CATEGORY_ID"] == nil && t.Fields.ByName["CATEGORY_ID"] != nil {
		v["CATEGORY_ID"] = t.DefaultCategory().ID // 0 is empty
	}
	t.LinkMain(v, changes)
	if input, ok := v[model.MultifieldsName].([]multifieldInput); ok {
		v[model.MultifieldsName] = mergeMultifields(s, before[model.MultifieldsName], input)
	}
	deriveFromMultifields(t, v)
}

// enterStage puts an item into the stage of its pipeline that is in v. Where that
// is a stage of another pipeline, the item stays in its stage, or enters the
// first one of a new pipeline.
func enterStage(t *model.EntityType, v map[string]any, current any) error {
	if t.Fields.ByName["STAGE_ID"] == nil {
		return nil
	}
	id, _ := v["CATEGORY_ID"].(int64)
	cat := t.Category(id) // 0 where the type has no pipelines
	if cat == nil {
		return invalidValue(t.Fields.ByName["CATEGORY_ID"])
	}
	now := cat.Stages[0]
	for _, stage := range []any{v["STAGE_ID"], current} {
		name, _ := stage.(string)
		if found, ok := cat.Stage(name); ok {
			now = found
			break
		}
	}
	for name, x := range map[string]any{
		"STAGE_ID": now.ID, "STAGE_SEMANTIC_ID": now.Semantics, "CLOSED": now.Semantics != "P", "IS_NEW": now.ID == cat.Stages[0].ID,
	} {
		if t.Fields.ByName[name] != nil {
			v[name] = x
		}
	}
	return nil
}

// closeLead notes when a lead entered a final status.
func closeLead(c *rest.Call, it *model.Item, v map[string]any) {
	if it.Type.Fields.ByName["DATE_CLOSED"] == nil {
		return
	}
	switch {
	case v["STAGE_SEMANTIC_ID"] == "P":
		v["DATE_CLOSED"] = nil
	case v["DATE_CLOSED"] == nil:
		v["DATE_CLOSED"] = c.SavedAt()
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
func saveItem(c *rest.Call, it *model.Item, changes map[string]any, how saveOptions) error {
	s := c.Store
	before := it.Values
	v := it.Working()
	maps.Copy(v, changes)
	mergeChanges(s, it.Type, v, changes, before)
	if err := enterStage(it.Type, v, before["STAGE_ID"]); err != nil {
		return err
	}
	closeLead(c, it, v)
	if err := recompute(s, it, v, how.rowsChanged); err != nil {
		return err
	}
	if !how.always && !how.rowsChanged && !c.Options.UnchangedUpdates && maps.EqualFunc(filled(before), filled(v), same) {
		return nil
	}
	strip(it.Type, v)
	moved := !same(before["CATEGORY_ID"], v["CATEGORY_ID"])
	now := c.SavedAt()
	v["UPDATED_TIME"], v["UPDATED_BY"] = now, c.Request.By.User
	if !same(before["STAGE_ID"], v["STAGE_ID"]) {
		v["MOVED_TIME"], v["MOVED_BY"] = now, c.Request.By.User
		v["PREVIOUS_STAGE_ID"] = before["STAGE_ID"]
	}
	it.Values = v
	s.MirrorLinks(it, before)
	recordItem(c, it, rest.OpUpdate)
	if moved && it.Type.ID == model.TypeDeal {
		fireMove(c, it)
		return nil
	}
	if !how.rowsChanged || !c.Options.SilentRows {
		fire(c, it.Type, rest.OpUpdate, it.ID)
	}
	return nil
}

// filled returns the values that are not null or empty.
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
func recompute(s *model.Store, it *model.Item, v map[string]any, rowsChanged bool) error {
	if it.Type.Fields.ByName["OPPORTUNITY"] == nil {
		return nil
	}
	rows := s.Rows[it.Owner()]
	sum, tax, err := totals(rows)
	if err != nil {
		return err
	}
	if it.Type.Fields.ByName["TAX_VALUE"] != nil {
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
func totals(rows []*model.Row) (sum, tax num.Num, err error) {
	for _, r := range rows {
		if sum, err = addProduct(sum, r.Price, r.Quantity); err != nil {
			return sum, tax, err
		}
		part, err := r.Price.Sub(r.PriceExclusive)
		if err != nil {
			return sum, tax, err
		}
		if tax, err = addProduct(tax, part, r.Quantity); err != nil {
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
func deleteItem(c *rest.Call, it *model.Item) {
	s := c.Store
	for _, r := range s.Rows[it.Owner()] {
		delete(s.RowsByID, r.ID)
	}
	delete(s.Rows, it.Owner())
	s.Unlink(it)
	s.DropComments(it)
	s.Table(it.Type.ID).Remove(it.ID)
	recordItem(c, it, rest.OpDelete)
	fire(c, it.Type, rest.OpDelete, it.ID)
}

// recordItem records a change of an item for History.
func recordItem(c *rest.Call, it *model.Item, op string) {
	title, _ := it.Values["TITLE"].(string)
	c.Journal.Change(rest.Change{At: c.Now, Op: op, EntityTypeID: it.Type.ID, ID: it.ID, Title: title},
		func() *php.Array { return itemJSON(c.Store, it, naming{}, nil) })
}
