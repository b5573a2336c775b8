package formula_test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
)

// oracle computes what formulas about money must give, in exact fractions.
type oracle struct{ prices, quantities []*big.Rat }

func rat(text string) *big.Rat {
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		panic(text + " is no number")
	}
	return r
}

func (o oracle) sum(of func(p, q *big.Rat) *big.Rat) *big.Rat {
	total := new(big.Rat)
	for i := range o.prices {
		total.Add(total, of(o.prices[i], o.quantities[i]))
	}
	return total
}

func (o oracle) total() *big.Rat {
	return o.sum(func(p, q *big.Rat) *big.Rat { return new(big.Rat).Mul(p, q) })
}

// rounded is half away from zero, by the definition: the nearest multiple, and
// of two the one that is larger in size.
func rounded(x *big.Rat, places int) *big.Rat {
	scale := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(places)), nil))
	scaled := new(big.Rat).Mul(new(big.Rat).Abs(x), scale)
	scaled.Add(scaled, big.NewRat(1, 2))
	whole := new(big.Int).Quo(scaled.Num(), scaled.Denom())
	out := new(big.Rat).Quo(new(big.Rat).SetInt(whole), scale)
	if x.Sign() < 0 {
		out.Neg(out)
	}
	return out
}

func (o oracle) most(sign int) *big.Rat {
	best := o.prices[0]
	for _, p := range o.prices {
		if p.Cmp(best)*sign > 0 {
			best = p
		}
	}
	return best
}

// amount writes a random amount as people and portals do: cents mostly, at times
// many digits, thousandths, a negative discount, or .5 at the edge of a place.
func amount(r *rand.Rand) string {
	whole := []int{r.IntN(10), r.IntN(1000), r.IntN(1_000_000), r.IntN(2_000_000_000)}[r.IntN(4)]
	text := fmt.Sprint(whole)
	switch r.IntN(6) {
	case 0:
	case 1:
		text += fmt.Sprintf(".%d", r.IntN(10))
	case 2, 3:
		text += fmt.Sprintf(".%02d", r.IntN(100))
	case 4:
		text += fmt.Sprintf(".%02d5", r.IntN(100))
	case 5:
		text += fmt.Sprintf(".%08d", r.IntN(100_000_000))
	}
	if r.IntN(8) == 0 {
		text = "-" + text
	}
	return text
}

// money is the environment of these tests: the rows of an invoice.
func money(r *rand.Rand) (map[string]any, oracle) {
	var o oracle
	rows := []any{}
	for range 1 + r.IntN(40) {
		price, quantity := amount(r), amount(r)
		o.prices, o.quantities = append(o.prices, rat(price)), append(o.quantities, rat(quantity))
		rows = append(rows, map[string]any{
			"price": num.MustParse(price), "quantity": num.MustParse(quantity), "productName": "", "productId": nil, "key": "",
		})
	}
	vars := testVars()
	vars["rows"] = rows
	return vars, o
}

// TestMoney compares formulas about random invoices with exact fractions.
func TestMoney(t *testing.T) {
	if testing.Short() {
		t.Skip("it does one thing after another, many times")
	}
	product := func(p, q *big.Rat) *big.Rat { return new(big.Rat).Mul(p, q) }
	hundredth := big.NewRat(1, 100)
	numbers := map[string]func(o oracle) *big.Rat{
		"sum(rows, .price * .quantity)":           oracle.total,
		"round(sum(rows, .price * .quantity), 2)": func(o oracle) *big.Rat { return rounded(o.total(), 2) },
		"sum(rows, round(.price * .quantity, 2))": func(o oracle) *big.Rat {
			return o.sum(func(p, q *big.Rat) *big.Rat { return rounded(product(p, q), 2) })
		},
		"round(sum(rows, .price * .quantity) * 0.2, 2)": func(o oracle) *big.Rat {
			return rounded(product(o.total(), big.NewRat(1, 5)), 2)
		},
		"round(sum(rows, .price * .quantity))":                                            func(o oracle) *big.Rat { return rounded(o.total(), 0) },
		"reduce(rows, #acc + .price * .quantity, 0) - sum(map(rows, .price * .quantity))": func(oracle) *big.Rat { return new(big.Rat) },
		"min(map(rows, .price)) ?? 0":                                                     func(o oracle) *big.Rat { return o.most(-1) },
		"max(map(rows, .price)) ?? 0":                                                     func(o oracle) *big.Rat { return o.most(1) },
		"sum(rows, .price * .quantity * (1 - 7.5 / 100))": func(o oracle) *big.Rat {
			return product(o.total(), big.NewRat(925, 1000))
		},
		"abs(-sum(rows, .price)) + 0.01": func(o oracle) *big.Rat {
			s := o.sum(func(p, _ *big.Rat) *big.Rat { return p })
			return s.Add(s.Abs(s), hundredth)
		},
		"sum(sortBy(rows, .price), .quantity)": func(o oracle) *big.Rat {
			return o.sum(func(_, q *big.Rat) *big.Rat { return q })
		},
	}
	truths := map[string]func(o oracle) bool{
		"sum(rows, .price * .quantity) == sum(reverse(rows), .quantity * .price)":  func(oracle) bool { return true },
		"all(rows, .price == number(string(.price)))":                              func(oracle) bool { return true },
		"sum(rows, .price * .quantity) > 0":                                        func(o oracle) bool { return o.total().Sign() > 0 },
		"round(sum(rows, .price * .quantity), 2) == sum(rows, .price * .quantity)": func(o oracle) bool { return rounded(o.total(), 2).Cmp(o.total()) == 0 },
		"rows[0].price <= rows[len(rows) - 1].price":                               func(o oracle) bool { return o.prices[0].Cmp(o.prices[len(o.prices)-1]) <= 0 },
		"any(rows, .price * .quantity < 0.01 && .price * .quantity > -0.01)": func(o oracle) bool {
			return slices.ContainsFunc(o.cents(), func(x *big.Rat) bool { return x.Cmp(hundredth) < 0 })
		},
		"len(uniq(map(rows, .price))) == len(rows)": func(o oracle) bool { return o.distinct() == len(o.prices) },
		"rows[0].price in map(rows, .price + 0.0)":  func(oracle) bool { return true },
	}
	r := rand.New(rand.NewPCG(7, 9))
	for range 400 {
		vars, o := money(r)
		for src, want := range numbers {
			got, ok := evalMoney(t, src, vars).(num.Num)
			if !ok || rat(got.String()).Cmp(want(o)) != 0 {
				t.Fatalf("%s is %s, want %s, of prices %v and quantities %v", src, got, want(o).FloatString(12), o.prices, o.quantities)
			}
			checkFormat(t, vars, src, want(o))
		}
		for src, want := range truths {
			if got := evalMoney(t, src, vars); got != want(o) {
				t.Fatalf("%s is %v, of prices %v and quantities %v", src, got, o.prices, o.quantities)
			}
		}
	}
}

// cents are the sizes of the products.
func (o oracle) cents() []*big.Rat {
	out := make([]*big.Rat, len(o.prices))
	for i := range o.prices {
		out[i] = new(big.Rat).Mul(o.prices[i], o.quantities[i])
		out[i].Abs(out[i])
	}
	return out
}

func (o oracle) distinct() int {
	seen := map[string]bool{}
	for _, p := range o.prices {
		seen[p.RatString()] = true
	}
	return len(seen)
}

// checkFormat holds that a number as text is the number, in its shortest form.
func checkFormat(t *testing.T, vars map[string]any, src string, want *big.Rat) {
	t.Helper()
	text, problems := formula.CompileTemplate("{{ "+src+" }}", testEnv)
	if problems != nil {
		t.Fatalf("%s: %v", src, problems)
	}
	got, err := text.Eval(formula.NewMachine(t.Context()), vars)
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	places := 0
	if _, decimals, ok := strings.Cut(got, "."); ok {
		places = len(decimals)
	}
	if got != want.FloatString(places) || strings.Contains(got, ".") && strings.HasSuffix(got, "0") || got == "-0" {
		t.Fatalf("%s is written %q, want %s", src, got, want.FloatString(places))
	}
}

func evalMoney(t *testing.T, src string, vars map[string]any) any {
	t.Helper()
	f, problems := formula.Compile(src, testEnv)
	if problems != nil {
		t.Fatalf("%s: %v", src, problems)
	}
	v, err := f.Eval(formula.NewMachine(t.Context()), vars)
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	return v
}
