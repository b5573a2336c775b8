package actions

import (
	"context"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/actions/internal/plan"
	"github.com/b24rules/b24rules/actions/internal/value"
	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/schemas"
)

// SetProducts replaces the product rows of an entity.
var SetProducts = engine.Define(engine.Spec[setProductsArgs]{
	Name:   "set_products",
	Effect: engine.Writes,
	Doc: `set the product rows of a deal, a lead, an estimate, an invoice or an item

The step reads the rows of the entity and compares them with the desired ones, in
their order. If they differ, it replaces all rows, because the portal has no other
way. So rows that are not among the desired ones are deleted, and rows get new ids.

A row is a record with the columns of a product row, such as productId,
productName, price and quantity. The rows of fetch_products can be used
unchanged: columns that only the portal writes are omitted. If a row of the same product
exists, columns that the desired row does not have keep their values.

The result has the flag updated and the number of rows.`,
	Says: "reads the product rows of {owner|items of type @entityTypeId} {id} and replaces them by {rows} if they differ",
	Cost: engine.Cost{Least: engine.Pages("rows"), Typical: engine.Pages("rows").Plus(engine.Commands(1)), Worst: engine.Pages("rows").Plus(engine.Commands(3))},
	Run:  setProducts,
	Result: func(*engine.ArgTypes) formula.Type {
		return formula.RecordOf(map[string]formula.Type{"updated": {Kind: formula.Bool}, "rows": {Kind: formula.Int}})
	},
	Touches: func(t *engine.ArgTypes) []engine.Touch {
		return []engine.Touch{{Kind: engine.TouchItems, Of: ownerArg(t), Updates: true, Which: "id", Compares: true}}
	},
	Check: checkSetProducts,
})

type setProductsArgs struct {
	Owner        string `yaml:"owner" validate:"oneof=deal lead quote smart_invoice" doc:"the type of the entity with the rows" example:"deal"`
	EntityTypeID int    `yaml:"entityTypeId" validate:"min=1" doc:"instead of owner: the type of a smart process" example:"1072"`
	ID           int    `yaml:"id" validate:"required,min=1" doc:"the id of the entity with the rows" example:"=order.id"`
	Rows         []any  `yaml:"rows" validate:"required" doc:"the desired rows" example:"=rows"`
}

func setProducts(ctx context.Context, c *engine.Call, a setProductsArgs) (any, error) {
	typ, err := entityType(a.Owner, a.EntityTypeID)
	if err != nil {
		return nil, err
	}
	owner := schemas.OwnerByType(typ)
	if !owner.Rows {
		return nil, engine.ParkError("items of type %d have no product rows", typ)
	}
	desired, err := desiredRows(a.Rows)
	if err != nil {
		return nil, err
	}
	stored, err := readRows(ctx, c, owner, a.ID)
	if err == nil && len(stored) == 0 {
		stored, err = emptyForSure(ctx, c, owner, a.ID)
	}
	if err != nil {
		return nil, err
	}
	result := map[string]any{"updated": false, "rows": count(len(desired))}
	before := keyed(stored)
	if sameRows(before, desired) {
		return result, nil
	}
	answer := c.Portal.Do(ctx, setRowsCall(owner, a.ID, before, desired))[0]
	if bitrix.IsNotFound(answer.Err) {
		return nil, c.Missing(typ, a.ID, answer.Err)
	}
	if answer.Err != nil {
		return nil, answer.Err
	}
	c.Note("replaced %d product rows by %d", len(before), len(desired))
	result["updated"] = true
	return result, nil
}

// desiredRows keeps the columns of rows that can be written, and gives each row its key.
func desiredRows(rows []any) ([]any, error) {
	known := schemas.ProductRowFields()
	out := make([]map[string]any, len(rows))
	for i, r := range rows {
		m, ok := r.(map[string]any)
		if !ok {
			return nil, engine.ParkError("row %d: a product row is a record such as {productId: 7, price: 10, quantity: 2}, this is %s", i+1, value.KindOf(r))
		}
		out[i] = map[string]any{}
		for name, v := range m {
			at := slices.IndexFunc(known, func(f schemas.Field) bool { return f.Name == name })
			switch {
			case at < 0 && name != "key":
				return nil, engine.ParkError("row %d: product rows have no column %q", i+1, name)
			case at < 0 || known[at].ReadOnly || name == "sort" || v == formula.Omitted:
				continue
			}
			if err := rowColumn(known[at]).Check(v); err != nil {
				return nil, engine.ParkError("row %d: %w", i+1, err)
			}
			out[i][name] = v
		}
		if value.TextOf(out[i]["productName"]) == "" && value.TextOf(out[i]["productId"]) == "" {
			return nil, engine.ParkError("row %d has neither productId nor productName", i+1)
		}
		if out[i]["productId"] == nil {
			out[i]["productId"] = num.Num{}
		}
		out[i]["sort"] = num.FromInt(int64(10 * (i + 1))) // the order of rows
	}
	return keyed(out), nil
}

// rowColumn is a column for comparing and writing values.
func rowColumn(f schemas.Field) *value.Field {
	kind := plan.ItemKind(f.Type)
	return &value.Field{Name: f.Name, Kind: kind, Places: value.UnknownPlaces}
}

// sameRows reports whether the stored rows are the desired ones, in their order.
func sameRows(stored, desired []any) bool {
	return slices.EqualFunc(stored, desired, func(a, b any) bool {
		have, want := a.(map[string]any), b.(map[string]any)
		if have["key"] != want["key"] {
			return false
		}
		for _, f := range schemas.ProductRowFields() {
			v, there := want[f.Name]
			if there && f.Name != "sort" && !rowColumn(f).Same(have[f.Name], v) {
				return false
			}
		}
		return true
	})
}

// setRowsCall replaces all rows. Rows have no ids in it: the documentation does not say
// what they would mean.
// https://apidocs.bitrix24.com/api-reference/crm/universal/product-rows/crm-item-productrow-set.html
func setRowsCall(owner schemas.Owner, id int, stored, desired []any) bitrix.Call {
	rows := make([]any, len(desired))
	for i, d := range desired {
		want := d.(map[string]any)
		at := slices.IndexFunc(stored, func(s any) bool { return s.(map[string]any)["key"] == want["key"] })
		row := map[string]any{}
		for _, f := range schemas.ProductRowFields() {
			v, there := want[f.Name]
			if !there && at >= 0 && !f.ReadOnly {
				v = stored[at].(map[string]any)[f.Name]
			}
			if v != nil {
				row[f.Name] = rowColumn(f).ItemOne(v)
			}
		}
		rows[i] = row
	}
	return bitrix.Call{Method: "crm.item.productrow.set", Write: true, Params: map[string]any{
		"ownerType": strings.ToUpper(owner.Short), "ownerId": id, "productRows": rows,
	}}
}
