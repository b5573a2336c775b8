package actions

import (
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/actions/internal/value"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/schemas"
)

// portalForms are the ways in which portals write one number: as a number of
// JSON with and without decimals, as PHP writes a float, as text, and as the
// form of a list takes it.
func portalForms(r *rand.Rand, cents int64) (text string, forms []string) {
	text = fmt.Sprintf("%d.%02d", cents/100, cents%100)
	short := strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
	forms = []string{text, short, strconv.Quote(text), strconv.Quote(short), strconv.Quote(text + "00"), short + "e0", text + "E+0"}
	if whole := text[:len(text)-3]; len(whole) > 3 {
		forms = append(forms, strconv.Quote(whole[:len(whole)-3]+" "+whole[len(whole)-3:]+","+text[len(text)-2:]))
	} else {
		forms = append(forms, strconv.Quote(strings.Replace(text, ".", ",", 1)))
	}
	if cents%100 == 0 {
		forms = append(forms, fmt.Sprintf("%de-2", cents), fmt.Sprintf("%.1f", float64(cents/100)))
	}
	r.Shuffle(len(forms), func(i, j int) { forms[i], forms[j] = forms[j], forms[i] })
	return text, forms
}

// TestPortalNumbers reads product rows whose prices come in every form, sums
// them as a rule does, and holds the result, and the form in which it travels
// back, against exact fractions.
func TestPortalNumbers(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 5))
	total, problems := formula.Compile("round(sum(rows, .price * .quantity), 2)", formula.Env{Vars: map[string]formula.Type{
		"rows": formula.ListOf(formula.RecordOf(map[string]formula.Type{"price": {Kind: formula.Number}, "quantity": {Kind: formula.Number}})),
	}})
	if problems != nil {
		t.Fatal(problems)
	}
	field := value.Field{Name: "ufCrm5Total", Kind: value.KindNumber, Places: 2}
	for range 500 {
		var raw []json.RawMessage
		want := new(big.Rat)
		for i := range 1 + r.IntN(20) {
			price, prices := portalForms(r, r.Int64N(100_000_000))
			quantity, quantities := portalForms(r, 100*r.Int64N(1000)+[]int64{0, 0, 50, 25}[r.IntN(4)])
			raw = append(raw, json.RawMessage(fmt.Sprintf(
				`{"id": %d, "ownerId": 7, "ownerType": "D", "productName": "a", "price": %s, "quantity": %s}`, i+1, prices[0], quantities[0])))
			p, _ := new(big.Rat).SetString(price)
			q, _ := new(big.Rat).SetString(quantity)
			want.Add(want, p.Mul(p, q))
		}
		rows, err := decodeProductRows(raw, schemas.OwnerByType(2), 7)
		if err != nil {
			t.Fatal(err)
		}
		var list []any
		for _, row := range rows {
			list = append(list, row)
		}
		v, err := total.Eval(formula.NewMachine(t.Context()), map[string]any{"rows": list})
		if err != nil {
			t.Fatal(err)
		}
		travels, err := json.Marshal(field.ItemValue(v))
		if err != nil {
			t.Fatal(err)
		}
		got, ok := new(big.Rat).SetString(strings.Trim(string(travels), `"`))
		// Four decimals at most: rounding to two by adding half a cent is exact.
		cents := new(big.Rat).Mul(want, big.NewRat(100, 1))
		cents.Add(cents, big.NewRat(1, 2))
		whole := new(big.Int).Quo(cents.Num(), cents.Denom())
		if !ok || got.Cmp(new(big.Rat).SetFrac(whole, big.NewInt(100))) != 0 {
			t.Fatalf("the total travels as %s, want %s/100, of %s", travels, whole, raw)
		}
		// The portal may answer it in any form: nothing is written again.
		_, forms := portalForms(r, whole.Int64())
		for _, form := range forms {
			stored, err := formula.FromJSON([]byte(form))
			if err != nil {
				t.Fatal(err)
			}
			if !field.Same(stored, v) {
				t.Fatalf("the stored %s is taken to differ from %v", form, v)
			}
			if more, err := v.(num.Num).Add(num.MustParse("0.01")); err != nil || field.Same(stored, more) {
				t.Fatalf("the stored %s is taken for %v", form, more)
			}
		}
	}
}
