// Package stock has actions for a warehouse that sells goods in packs.
package stock

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
)

// dealType is the entityTypeId of deals.
const dealType = 2

// Reserve rounds quantities up to whole packs and stores them in a deal.
var Reserve = engine.Define(engine.Spec[reserveArgs]{
	Name:   "reserve_stock",
	Effect: engine.Writes,
	Doc: `reserve whole packs of goods for a deal

The step rounds each quantity up to whole packs, and stores the pieces in fields of the
deal. It reads the deal first and writes only fields that differ.

The result has the flag changed.`,
	AlsoCalled: []string{"reserve", "reserve_goods"},
	Says:       "reserves packs of {pack} pieces for deal {deal}: {quantities}",
	Cost:       engine.Cost{Least: engine.Commands(1), Typical: engine.Commands(2), Worst: engine.Commands(2)},
	Run:        reserve,
	Result: func(*engine.ArgTypes) formula.Type {
		return formula.RecordOf(map[string]formula.Type{"changed": {Kind: formula.Bool}})
	},
	// What the step changes. From this, explain finds that a rule which subscribes to
	// updates of deals starts itself, and that the second run writes nothing.
	Touches: func(*engine.ArgTypes) []engine.Touch {
		return []engine.Touch{{
			Kind: engine.TouchItems, Type: dealType, Updates: true, Which: "deal",
			Fields: "quantities", Names: []string{"quantities"}, Compares: true,
		}}
	},
	Check: checkReserve,
})

type reserveArgs struct {
	Deal       int           `yaml:"deal" validate:"required,min=1" doc:"the id of the deal" example:"=event.id"`
	Pack       int           `yaml:"pack" validate:"required,min=1" doc:"the number of pieces in a pack" example:"12"`
	Quantities engine.Fields `yaml:"quantities" validate:"required" doc:"fields of the deal, each with a number of pieces" example:"{ufCrm_RESERVED: '=sum(rows, .quantity)'}"`
}

// checkReserve finds quantities that cannot be numbers, when the rule file is loaded.
func checkReserve(c *engine.StepCheck) {
	c.EachName("quantities", func(n engine.NamedArg) {
		switch n.Type().Kind {
		case formula.Any, formula.Int, formula.Number:
		default:
			c.Errorf("quantities", "wrong-type", "%s takes a number of pieces, not %s", n.Name, n.Type()).Hint = "write a formula that results in a number"
		}
	})
}

func reserve(ctx context.Context, c *engine.Call, a reserveArgs) (any, error) {
	desired, err := wholePacks(ctx, c, a)
	if err != nil {
		return nil, err
	}
	stored, err := readDeal(ctx, c, a.Deal)
	if err != nil {
		return nil, err
	}
	changes := map[string]any{}
	for name, pieces := range desired {
		if !holds(stored[name], pieces) {
			changes[name] = pieces
		}
	}
	if len(changes) > 0 {
		call := bitrix.Call{Method: "crm.item.update", Write: true, Params: map[string]any{"entityTypeId": dealType, "id": a.Deal, "fields": changes}}
		if answer := c.Portal.Do(ctx, call)[0]; answer.Err != nil {
			return nil, fmt.Errorf("reserve_stock: %w", answer.Err)
		}
	}
	return map[string]any{"changed": len(changes) > 0}, nil
}

// wholePacks returns the pieces for each field. The portal ignores fields that a deal
// does not have, so an unknown name parks the run.
func wholePacks(ctx context.Context, c *engine.Call, a reserveArgs) (map[string]num.Num, error) {
	fields, err := c.Portal.ItemFields(ctx, dealType)
	if err != nil {
		return nil, fmt.Errorf("reserve_stock: %w", err)
	}
	pack := num.FromInt(int64(a.Pack))
	out := make(map[string]num.Num, len(a.Quantities))
	for _, x := range a.Quantities {
		field, known := fields.Lookup(x.Name)
		if !known {
			return nil, engine.ParkError("reserve_stock: deals have no field %q", x.Name)
		}
		quantity, ok := x.Value.(num.Num)
		if !ok || quantity.Sign() < 0 {
			return nil, engine.ParkError("reserve_stock: %s is not a number of pieces: %v", x.Name, x.Value)
		}
		packs, err := quantity.Div(pack)
		if err != nil {
			return nil, engine.ParkError("reserve_stock: %s: %w", x.Name, err)
		}
		if out[field.Name], err = packs.Ceil().Mul(pack); err != nil {
			return nil, engine.ParkError("reserve_stock: %s: %w", x.Name, err)
		}
	}
	return out, nil
}

func readDeal(ctx context.Context, c *engine.Call, id int) (map[string]json.RawMessage, error) {
	answer := c.Portal.Do(ctx, bitrix.Call{Method: "crm.item.get", Params: map[string]any{"entityTypeId": dealType, "id": id}})[0]
	if bitrix.IsNotFound(answer.Err) {
		return nil, c.Missing(dealType, id, fmt.Errorf("reserve_stock: %w", answer.Err))
	}
	if answer.Err != nil {
		return nil, fmt.Errorf("reserve_stock: %w", answer.Err)
	}
	var result struct {
		Item map[string]json.RawMessage `json:"item"`
	}
	if err := json.Unmarshal(answer.Result, &result); err != nil {
		return nil, fmt.Errorf("reserve_stock: read deal %d: %w", id, err)
	}
	return result.Item, nil
}

// holds reports whether a field has a value. The portal writes numbers as JSON numbers
// or as strings, and an empty field as null or "".
func holds(stored json.RawMessage, pieces num.Num) bool {
	var have num.Num
	if string(stored) == "null" || have.UnmarshalJSON(stored) != nil {
		return false
	}
	return have.Equal(pieces)
}
