package formulas

import (
	"context"
	"fmt"
	"strconv"
	"testing"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"
	"github.com/google/cel-go/cel"

	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
)

// rowCount is the number of product rows.
const rowCount = 1000

// contest is one formula in the syntax of each engine. All must return the same value.
type contest struct {
	name string
	// ours is also the text for expr.
	ours, cel string
	want      float64
}

// CEL has no sum, so the case sum does not run on it.
var contests = []contest{
	{name: "condition", ours: `event.id > 100 && event.stage == "WON"`, cel: `event.id > 100.0 && event.stage == "WON"`, want: 1},
	{name: "arithmetic", ours: `total * (1 + rate) - 0.05`, cel: `total * (1.0 + rate) - 0.05`, want: 120.55},
	{name: "count", ours: `len(filter(rows, .price > 500))`, cel: `size(rows.filter(r, r.price > 500.0))`, want: 500},
	{name: "products", ours: `len(map(rows, .price * .quantity))`, cel: `size(rows.map(r, r.price * r.quantity))`, want: rowCount},
	{name: "sum", ours: `sum(rows, .price * .quantity)`, want: 2000402.95},
}

// numbers returns the variables of the formulas, with numbers of one kind.
func numbers(number func(text string) any) map[string]any {
	rows := make([]any, rowCount)
	for i := range rows {
		rows[i] = map[string]any{"price": number(strconv.Itoa(i) + ".35"), "quantity": number(strconv.Itoa(i%7 + 1)), "name": "Roof"}
	}
	return map[string]any{
		"rows": rows, "total": number("100.5"), "rate": number("0.2"),
		"event": map[string]any{"id": number("759"), "stage": "WON"},
	}
}

func exact() map[string]any {
	return numbers(func(text string) any { return num.MustParse(text) })
}

func floats() map[string]any {
	return numbers(func(text string) any {
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			panic(err)
		}
		return f
	})
}

var ourTypes = formula.Env{Vars: map[string]formula.Type{
	"rows": formula.ListOf(formula.RecordOf(map[string]formula.Type{
		"price": {Kind: formula.Number}, "quantity": {Kind: formula.Number}, "name": {Kind: formula.String},
	})),
	"total": {Kind: formula.Number}, "rate": {Kind: formula.Number},
	"event": formula.RecordOf(map[string]formula.Type{"id": {Kind: formula.Number}, "stage": {Kind: formula.String}}),
}}

// engine compiles a formula into a function that evaluates it. The function is nil if the
// engine cannot express the formula.
type engine struct {
	name    string
	compile func(c contest) (func() (any, error), error)
}

var engines = []engine{
	{"exact", func(c contest) (func() (any, error), error) {
		f, problems := formula.Compile(c.ours, ourTypes)
		if problems != nil {
			return nil, fmt.Errorf("%v", problems)
		}
		m, vars := formula.NewMachine(context.Background()), exact()
		return func() (any, error) { return f.Eval(m, vars) }, nil
	}},
	{"expr-float64", func(c contest) (func() (any, error), error) {
		vars := floats()
		program, err := expr.Compile(c.ours, expr.Env(vars))
		machine := vm.VM{}
		return func() (any, error) { return machine.Run(program, vars) }, err
	}},
	{"cel-float64", func(c contest) (func() (any, error), error) {
		if c.cel == "" {
			return nil, nil
		}
		env, err := celEnv()
		if err != nil {
			return nil, err
		}
		ast, issues := env.Compile(c.cel)
		if issues.Err() != nil {
			return nil, issues.Err()
		}
		program, err := env.Program(ast)
		vars := floats()
		return func() (any, error) {
			v, _, err := program.Eval(vars)
			if err != nil {
				return nil, err
			}
			return v.Value(), nil
		}, err
	}},
}

func celEnv() (*cel.Env, error) {
	record := cel.MapType(cel.StringType, cel.DynType)
	return cel.NewEnv(
		cel.Variable("rows", cel.ListType(record)), cel.Variable("total", cel.DoubleType),
		cel.Variable("rate", cel.DoubleType), cel.Variable("event", record),
	)
}

// TestContests checks that all engines return the same value, so that the figures are
// comparable.
func TestContests(t *testing.T) {
	for _, c := range contests {
		for _, e := range engines {
			eval, err := e.compile(c)
			if err != nil {
				t.Errorf("%s/%s: %v", c.name, e.name, err)
				continue
			}
			if eval == nil {
				continue
			}
			got, err := eval()
			if err != nil {
				t.Errorf("%s/%s: %v", c.name, e.name, err)
				continue
			}
			text := fmt.Sprint(got)
			switch got {
			case true:
				text = "1"
			case false:
				text = "0"
			}
			x, err := strconv.ParseFloat(text, 64)
			if err != nil || x-c.want > 1e-6 || c.want-x > 1e-6 {
				t.Errorf("%s/%s gives %v, want %v", c.name, e.name, got, c.want)
			}
		}
	}
}

// BenchmarkEvaluate evaluates compiled formulas.
func BenchmarkEvaluate(b *testing.B) {
	for _, c := range contests {
		for _, e := range engines {
			eval, err := e.compile(c)
			if err != nil {
				b.Fatal(err)
			}
			if eval == nil {
				continue
			}
			b.Run(c.name+"/"+e.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := eval(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkCompile compiles and checks formulas.
func BenchmarkCompile(b *testing.B) {
	env, err := celEnv()
	if err != nil {
		b.Fatal(err)
	}
	vars := floats()
	for _, c := range contests {
		if c.cel == "" {
			continue
		}
		b.Run(c.name+"/exact", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, problems := formula.Compile(c.ours, ourTypes); problems != nil {
					b.Fatal(problems)
				}
			}
		})
		b.Run(c.name+"/expr-float64", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := expr.Compile(c.ours, expr.Env(vars)); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(c.name+"/cel-float64", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ast, issues := env.Compile(c.cel)
				if issues.Err() != nil {
					b.Fatal(issues.Err())
				}
				if _, err := env.Program(ast); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
