package formula_test

import (
	"time"

	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
)

var (
	number   = formula.Type{Kind: formula.Number}
	whole    = formula.Type{Kind: formula.Int}
	text     = formula.Type{Kind: formula.String}
	yesNo    = formula.Type{Kind: formula.Bool}
	dateTime = formula.Type{Kind: formula.Time}
)

// testEnv is an environment as a rule would have it.
var testEnv = formula.Env{
	Vars: map[string]formula.Type{
		"event": formula.RecordOf(map[string]formula.Type{"id": whole, "added": yesNo, "time": dateTime}),
		"rows": formula.ListOf(formula.RecordOf(map[string]formula.Type{
			"price": number, "quantity": number, "productName": text, "productId": whole.Optional(), "key": text,
		})),
		"deal": formula.OpenRecord(map[string]formula.Type{
			"id": whole, "title": text, "stage": text, "amount": number.Optional(), "closed": dateTime.Optional(),
			"contact": formula.RecordOf(map[string]formula.Type{"name": text, "phone": text.Optional()}).Optional(),
		}),
		"late":    formula.ListOf(number).Optional(),
		"names":   formula.ListOf(text),
		"x":       number,
		"n":       whole,
		"maybe":   number.Optional(),
		"s":       text,
		"ok":      yesNo,
		"thing":   {},
		"открыто": yesNo,
	},
	Later: map[string]string{"total": "is defined by the step on line 30, below"},
}

func n(text string) num.Num { return num.MustParse(text) }

func testVars() map[string]any {
	return map[string]any{
		"event": map[string]any{"id": n("759"), "added": true, "time": time.Date(2026, 1, 31, 15, 4, 5, 0, time.UTC)},
		"rows": []any{
			map[string]any{"price": n("33.33"), "quantity": n("3"), "productName": "Tile", "productId": n("7"), "key": "7"},
			map[string]any{"price": n("0.1"), "quantity": n("2"), "productName": "Nail", "productId": nil, "key": "Nail"},
			map[string]any{"price": n("10.50"), "quantity": n("1"), "productName": "Tile", "productId": n("7.0"), "key": "7-2"},
		},
		"deal": map[string]any{
			"id": n("5"), "title": "Крыша", "stage": "WON", "amount": n("12.50"), "closed": nil,
			"contact": map[string]any{"name": "Ann", "phone": nil}, "UF_CRM_1": "77", "UF_CRM_2": n("77"),
		},
		"late": nil, "names": []any{"b", "a", "b"}, "x": n("2.5"), "n": n("4"), "maybe": nil, "s": "text", "ok": true,
		"thing": n("3"), "открыто": false,
	}
}
