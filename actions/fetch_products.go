package actions

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/b24rules/b24rules/actions/internal/plan"
	"github.com/b24rules/b24rules/actions/internal/value"
	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/schemas"
)

// FetchProducts reads the product rows of an entity.
var FetchProducts = engine.Define(engine.Spec[fetchProductsArgs]{
	Name:   "fetch_products",
	Effect: engine.Reads,
	Doc: `read the product rows of a deal, a lead, an estimate, an invoice or an item

The result is the list of rows in the order of the product tab. The price of a
row is final: it includes discount and tax, so a row costs price * quantity.

The id of a row does not identify it: when a person saves the product tab, each
changed row gets a new id. row.key stays the same. It is the id of the product
(or the name, for a row of free text) and the number of the row among the rows of
that product: "9621#1".

If the entity has no rows, the step reads the entity itself. If it does not
exist, the run continues with its deleted steps.`,
	Says:   "reads the product rows of {owner|items of type @entityTypeId} {id}",
	Cost:   engine.Cost{Least: engine.Pages("rows"), Typical: engine.Pages("rows"), Worst: engine.Pages("rows").Plus(engine.Commands(2))},
	Run:    fetchProducts,
	Result: func(*engine.ArgTypes) formula.Type { return formula.ListOf(productRowType()) },
	Touches: func(t *engine.ArgTypes) []engine.Touch {
		return []engine.Touch{{Kind: engine.TouchItems, Reads: true, Of: ownerArg(t), Which: "id"}}
	},
	Check: checkItemOfEvent,
})

type fetchProductsArgs struct {
	Owner        string `yaml:"owner" validate:"oneof=deal lead quote smart_invoice" doc:"the type of the entity with the rows" example:"deal"`
	EntityTypeID int    `yaml:"entityTypeId" validate:"min=1" doc:"instead of owner: the type of a smart process" example:"1072"`
	ID           int    `yaml:"id" validate:"required,min=1" doc:"the id of the entity with the rows" example:"=event.id"`
}

// productRowType is the type of one row. It is closed, so that a misspelt field is
// found when the file is loaded.
var productRowType = sync.OnceValue(func() formula.Type {
	fields := map[string]formula.Type{"key": {Kind: formula.String}}
	for _, f := range schemas.ProductRowFields() {
		fields[f.Name] = formula.Type{Kind: rowKind(f), Maybe: f.Maybe, Domain: partOfPrice[f.Name]}
	}
	return formula.RecordOf(fields)
})

// partOfPrice says what the prices of a row include.
//
// Source: https://apidocs.bitrix24.com/api-reference/crm/universal/product-rows/crm-item-productrow-fields.html
var partOfPrice = map[string]*formula.Domain{
	"price": {Part: formula.FinalPrice}, "priceAccount": {Part: formula.FinalPrice}, "priceExclusive": {Part: formula.NetPrice},
	"discountSum": {Part: formula.Discount}, "discountRate": {Part: formula.Discount}, "taxRate": {Part: formula.Tax},
}

// rowKind is schemaKind, with true and false for the flags of a row.
func rowKind(f schemas.Field) formula.Kind {
	if f.Type == "boolean" {
		return formula.Bool
	}
	return schemaKind(f.Type)
}

func fetchProducts(ctx context.Context, c *engine.Call, a fetchProductsArgs) (any, error) {
	typ, err := entityType(a.Owner, a.EntityTypeID)
	if err != nil {
		return nil, err
	}
	owner := schemas.OwnerByType(typ)
	if !owner.Rows {
		return nil, engine.ParkError("items of type %d have no product rows", typ)
	}
	rows, err := readRows(ctx, c, owner, a.ID)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		rows, err = emptyForSure(ctx, c, owner, a.ID)
	}
	return keyed(rows), err
}

// rowsCall lists the rows of one owner. Both keys must be written like this.
// https://apidocs.bitrix24.com/api-reference/crm/universal/product-rows/crm-item-productrow-list.html
func rowsCall(owner schemas.Owner, id int) bitrix.Call {
	return bitrix.Call{Method: "crm.item.productrow.list", Params: map[string]any{
		"filter": map[string]any{"=ownerType": owner.Short, "=ownerId": id},
		"order":  map[string]any{"id": "asc"},
	}, Many: &bitrix.Many{
		Param: "filter", Key: "=ownerId", Wrapper: "productRows", Owner: strconv.Itoa(id), Owners: rowOwner,
	}}
}

// rowOwner returns the id of the entity that a product row belongs to.
func rowOwner(row json.RawMessage) []string {
	var r struct {
		OwnerID bitrix.ID `json:"ownerId"`
	}
	if json.Unmarshal(row, &r) != nil {
		return nil
	}
	return []string{strconv.FormatInt(int64(r.OwnerID), 10)}
}

func readRows(ctx context.Context, c *engine.Call, owner schemas.Owner, id int) ([]map[string]any, error) {
	raw, err := c.Portal.List(ctx, rowsCall(owner, id), "productRows")
	if err != nil {
		return nil, err
	}
	return decodeProductRows(raw, owner, id)
}

// emptyForSure reads the entity and its rows once more. The portal answers an
// unknown owner with an empty list, and saving a product tab deletes rows before
// it adds the new ones.
func emptyForSure(ctx context.Context, c *engine.Call, owner schemas.Owner, id int) ([]map[string]any, error) {
	answers := c.Portal.Do(ctx, plan.GetItemCall(owner.ID, id), rowsCall(owner, id))
	if bitrix.IsNotFound(answers[0].Err) {
		return nil, c.Missing(owner.ID, id, answers[0].Err)
	}
	if answers[0].Err != nil {
		return nil, answers[0].Err
	}
	raw, _, err := bitrix.FirstPage("crm.item.productrow.list", answers[1], "productRows")
	if err != nil {
		return nil, err
	}
	if len(raw) > 0 {
		return readRows(ctx, c, owner, id)
	}
	return nil, nil
}

// decodeProductRows decodes rows. It is an error when a row belongs to another
// owner or comes twice.
func decodeProductRows(raw []json.RawMessage, owner schemas.Owner, id int) ([]map[string]any, error) {
	seen := map[string]bool{}
	out := make([]map[string]any, 0, len(raw))
	fields := schemas.ProductRowFields()
	for _, r := range raw {
		v, err := formula.FromJSON(r)
		if err != nil {
			return nil, fmt.Errorf("read a product row: %w", err)
		}
		m, ok := v.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("read a product row: got %s instead of an object", value.KindOf(v))
		}
		row := productRow(m, fields)
		if value.TextOf(row["ownerId"]) != strconv.Itoa(id) || !strings.EqualFold(value.TextOf(row["ownerType"]), owner.Short) {
			return nil, engine.ParkError("asked for the product rows of %s %d, the portal returned a row of %s %s: it does not apply the filter", owner.Short, id, value.TextOf(row["ownerType"]), value.TextOf(row["ownerId"]))
		}
		if rowID := value.TextOf(row["id"]); seen[rowID] {
			return nil, fmt.Errorf("product row %s came twice: the rows changed while they were read", rowID)
		} else {
			seen[rowID] = true
		}
		out = append(out, row)
	}
	return out, nil
}

// productRow keeps the documented fields of a row and converts each to its type.
func productRow(raw map[string]any, fields []schemas.Field) map[string]any {
	row := make(map[string]any, len(fields)+1) // and its key
	for _, f := range fields {
		row[f.Name] = value.Typed(raw[f.Name], rowKind(f), f.Maybe)
	}
	return row
}

// keyed sorts rows as the product tab shows them and gives each its key.
func keyed(rows []map[string]any) []any {
	slices.SortStableFunc(rows, func(a, b map[string]any) int {
		return cmp.Or(compareNumbers(a["sort"], b["sort"]), compareNumbers(a["id"], b["id"]))
	})
	nth := map[string]int{}
	out := make([]any, len(rows))
	for i, row := range rows {
		product := value.TextOf(row["productId"])
		if product == "0" {
			product = "name:" + value.TextOf(row["productName"])
		}
		nth[product]++
		row["key"] = product + "#" + strconv.Itoa(nth[product])
		out[i] = row
	}
	return out
}

func compareNumbers(a, b any) int {
	x, _ := a.(num.Num)
	y, _ := b.(num.Num)
	return x.Cmp(y)
}
