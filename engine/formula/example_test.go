package formula_test

import (
	"context"
	"fmt"

	"github.com/b24rules/b24rules/engine/formula"
)

func Example() {
	env := formula.Env{Vars: map[string]formula.Type{
		"rows": formula.ListOf(formula.RecordOf(map[string]formula.Type{
			"price":    {Kind: formula.Number},
			"quantity": {Kind: formula.Number},
		})),
	}}
	_, problems := formula.Compile("sum(rows, .pryce) + totl", env)
	for _, p := range problems {
		fmt.Printf("%d-%d %s [%s] (%s)\n", p.From, p.To, p.Text(), p.Code, p.Hint)
	}

	total, _ := formula.Compile("round(sum(rows, .price * .quantity), 2)", env)
	rows, err := formula.FromJSON([]byte(`[{"price": 33.33, "quantity": 3}, {"price": 0.1, "quantity": 2}]`))
	if err != nil {
		fmt.Println(err)
		return
	}
	value, err := total.Eval(formula.NewMachine(context.Background()), map[string]any{"rows": rows})
	fmt.Println(total.Type(), total.Vars(), value, err)

	// Output:
	// 11-16 unknown field "pryce" [unknown-field] (did you mean "price"?)
	// 20-24 unknown name "totl" [unknown-name] (there is rows)
	// number [rows] 100.19 <nil>
}
