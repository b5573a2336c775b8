package formula_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
)

// moneyEnv is a deal of a known portal, one of an unknown portal, and what else may be there.
var moneyEnv = formula.Env{Vars: map[string]formula.Type{
	"deal": formula.OpenRecord(map[string]formula.Type{
		"ufCrm_RATE": formula.MoneyText.Optional(), "ufCrm_ALL": formula.ListOf(formula.MoneyText), "title": text, "opportunity": number,
	}),
	"item": formula.OpenRecord(nil),
	"x":    {},
}}

// TestMoneyParts reads the amount and the currency of money fields.
func TestMoneyParts(t *testing.T) {
	vars := map[string]any{
		"deal": record{"ufCrm_RATE": "1500.50|RUB", "ufCrm_ALL": list("1|RUB", "2.5|RUB"), "title": "Roof", "opportunity": n("5")},
		"item": record{"ufCrm_RATE": "1500.50|RUB", "ufCrm_NONE": nil, "ufCrm_EMPTY": "", "ufCrm_BARE": "|RUB", "ufCrm_HALF": "12|", "ufCrm_TEXT": "Roof", "ufCrm_SUM": n("7")},
		"x":    record{"amount": n("3"), "currency": "EUR"},
	}
	for source, want := range map[string]any{
		"deal.ufCrm_RATE?.amount ?? 0":                               n("1500.5"),
		"deal.ufCrm_RATE?.currency":                                  "RUB",
		"deal.ufCrm_RATE ?? ''":                                      "1500.50|RUB",
		"(deal.ufCrm_RATE?.amount ?? 0) * 2":                         n("3001"),
		"deal.ufCrm_RATE != nil ? deal.ufCrm_RATE.currency : 'none'": "RUB",
		"sum(deal.ufCrm_ALL, .amount ?? 0)":                          n("3.5"),
		"map(deal.ufCrm_ALL, .currency)":                             list("RUB", "RUB"),
		"item.ufCrm_RATE.amount + 1":                                 n("1501.5"),
		"item.ufCrm_RATE?.currency":                                  "RUB",
		"item.ufCrm_NONE?.amount":                                    nil,
		"item.ufCrm_EMPTY?.amount":                                   nil,
		"item.ufCrm_EMPTY.currency":                                  nil,
		"item.ufCrm_BARE.amount":                                     nil,
		"item.ufCrm_BARE.currency":                                   "RUB",
		"item.ufCrm_HALF.amount":                                     n("12"),
		"item.ufCrm_HALF?.currency":                                  nil,
		"get(item, 'ufCrm_RATE')?.amount":                            n("1500.5"),
		"x.amount":                                                   n("3"),
		"x?.currency":                                                "EUR",
		"money(12.5, 'RUB').amount ?? 0":                             n("12.5"),
		"let m = money(0.1 + 0.2, 'KZT'); m.currency":                "KZT",
		"money(deal.ufCrm_RATE?.amount ?? 0, deal.ufCrm_RATE?.currency ?? 'RUB')": "1500.5|RUB",
	} {
		f, problems := formula.Compile(source, moneyEnv)
		if problems != nil {
			t.Errorf("%s: %v", source, problems)
			continue
		}
		got, err := f.Eval(formula.NewMachine(t.Context()), vars)
		if err != nil || !cmp.Equal(want, got, cmp.Comparer(func(a, b num.Num) bool { return a.Equal(b) })) {
			t.Errorf("%s is %v, %v, want %v", source, got, err, want)
		}
	}
	for source, want := range map[string]string{
		"item.ufCrm_TEXT.amount":    `"Roof" has no amount and no currency: it is not the value of a money field`,
		"item.ufCrm_TEXT?.currency": `"Roof" has no amount and no currency`,
		"item.ufCrm_SUM.amount":     `number has no field "amount"`,
		"item.ufCrm_NONE.amount":    `nil has no field "amount"`,
		"item.ufCrm_RATE.sum":       `text has no field "sum"`,
	} {
		f, problems := formula.Compile(source, moneyEnv)
		if problems != nil {
			t.Errorf("%s: %v", source, problems)
			continue
		}
		if got, err := f.Eval(formula.NewMachine(t.Context()), vars); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is %v, %v, want %s", source, got, err, want)
		}
	}
	for source, want := range map[string]string{
		"deal.title.amount":               "only a money field has an amount and a currency",
		"deal.opportunity.amount":         "this is the amount",
		"deal.ufCrm_RATE.amount":          "write ?.amount",
		"deal.ufCrm_RATE?.sum":            "write + to join texts",
		"(deal.ufCrm_RATE?.amount) * 2":   "??",
		"deal.ufCrm_RATE == '1500'":       "compare its .amount or its .currency",
		"(deal.ufCrm_RATE ?? '0').amount": "only a money field",
	} {
		f, problems := formula.Compile(source, moneyEnv)
		if problems == nil {
			problems = f.Doubts()
		}
		if len(problems) != 1 || !strings.Contains(problems[0].Hint, want) {
			t.Errorf("%s: %+v, want %s", source, problems, want)
		}
	}
}

// TestMoneyPaths: a formula that reads a part of a money field reads the field.
func TestMoneyPaths(t *testing.T) {
	for source, want := range map[string]string{
		"deal.ufCrm_RATE?.amount":                                "deal.ufCrm_RATE",
		"item.ufCrm_RATE.amount * len(item.ufCrm_RATE.currency)": "item.ufCrm_RATE",
		"x.amount":      "x.amount",
		"item.y.amount": "item.y.amount",
	} {
		f, problems := formula.Compile(source, moneyEnv)
		if problems != nil {
			t.Errorf("%s: %v", source, problems)
			continue
		}
		if got := strings.Join(f.Paths(), " "); got != want || f.IsPath() != (want == source) {
			t.Errorf("%s reads %s (a path: %t), want %s", source, got, f.IsPath(), want)
		}
	}
}
