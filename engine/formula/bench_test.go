package formula_test

import (
	"strconv"
	"testing"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"

	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
)

const benchSum = "sum(rows, .price * .quantity)"

// BenchmarkSum1000Rows compares exact sums with those of plain expr over floats,
// in one run.
func BenchmarkSum1000Rows(b *testing.B) {
	exact, floats := make([]any, 1000), make([]any, 1000)
	for i := range exact {
		price, quantity := strconv.Itoa(i)+".35", strconv.Itoa(i%7+1)
		p, _ := strconv.ParseFloat(price, 64)
		q, _ := strconv.ParseFloat(quantity, 64)
		exact[i] = map[string]any{"price": num.MustParse(price), "quantity": num.MustParse(quantity), "productName": "Roof"}
		floats[i] = map[string]any{"price": p, "quantity": q, "productName": "Roof"}
	}
	b.Run("exact", func(b *testing.B) {
		f, problems := formula.Compile(benchSum, testEnv)
		if problems != nil {
			b.Fatal(problems)
		}
		m := formula.NewMachine(b.Context())
		vars := map[string]any{"rows": exact}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := f.Eval(m, vars); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("expr-float64", func(b *testing.B) {
		vars := map[string]any{"rows": floats}
		program, err := expr.Compile(benchSum, expr.Env(vars))
		if err != nil {
			b.Fatal(err)
		}
		machine := vm.VM{}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := machine.Run(program, vars); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkCompile compiles a formula of common size.
func BenchmarkCompile(b *testing.B) {
	const src = "round(sum(filter(rows, .quantity > 0), .price * .quantity * (1 - x / 100)), 2)"
	b.ReportAllocs()
	for b.Loop() {
		if _, problems := formula.Compile(src, testEnv); problems != nil {
			b.Fatal(problems)
		}
	}
}

// BenchmarkShort evaluates what most conditions look like.
func BenchmarkShort(b *testing.B) {
	f, problems := formula.Compile(`event.id > 100 && deal.stage == "WON"`, testEnv)
	if problems != nil {
		b.Fatal(problems)
	}
	m := formula.NewMachine(b.Context())
	vars := testVars()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Eval(m, vars); err != nil {
			b.Fatal(err)
		}
	}
}
