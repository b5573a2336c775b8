package num_test

import (
	"encoding/json"
	"errors"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/engine/num"
)

func n(text string) num.Num { return num.MustParse(text) }

func TestParse(t *testing.T) {
	tests := []struct{ text, want string }{
		{"0", "0"},
		{"-0", "0"},
		{"-0.00", "0"},
		{"10.50", "10.5"},
		{"-3", "-3"},
		{"1e3", "1000"},
		{"1E+3", "1000"},
		{"1.5e-3", "0.0015"},
		{"007", "7"},
		{"1e30", "1" + strings.Repeat("0", 30)},
		{"1e-30", "0." + strings.Repeat("0", 29) + "1"},
		{"9007199254740993", "9007199254740993"},
		{"9223372036854775808", "9223372036854775808"},
		{"-9223372036854775808", "-9223372036854775808"},
		{"0.12345678901234567890123", "0.12345678901234567890123"},
		{strings.Repeat("9", 60), strings.Repeat("9", 60)},
		{"0" + strings.Repeat("0", 10_000) + ".10", "0.1"},
		{"1." + strings.Repeat("0", 10_000), "1"},
	}
	for _, test := range tests {
		got, err := num.Parse(test.text)
		if err != nil || got.String() != test.want {
			t.Errorf("Parse(%.50q) is %s, %v, want %s", test.text, got, err, test.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"": "not a number", " 1": "not a number", ".5": "not a number", "5.": "not a number", "+5": "not a number", "1e": "not a number", "1,5": "not a number",
		"0x10": "not a number", "NaN": "not a number", "Inf": "not a number", "1_000": "not a number", "--1": "not a number", "1.2.3": "not a number", "٣": "not a number",
		"1e9999": "exponent", "1e31": "exponent", "1e-31": "exponent", "1e99999999999999999999": "exponent",
		strings.Repeat("9", 61): "60 digits", "0." + strings.Repeat("0", 60) + "1": "60 digits", "1" + strings.Repeat("0", 60): "60 digits",
	} {
		got, err := num.Parse(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%.70q) is %s, %v, want an error with %q", text, got, err, want)
		}
	}
}

func TestArithmetic(t *testing.T) {
	tests := []struct {
		name string
		got  func() (num.Num, error)
		want string
	}{
		{"0.1 + 0.2", func() (num.Num, error) { return n("0.1").Add(n("0.2")) }, "0.3"},
		{"3 * 33.33", func() (num.Num, error) { return n("3").Mul(n("33.33")) }, "99.99"},
		{"0.3 - 0.1", func() (num.Num, error) { return n("0.3").Sub(n("0.1")) }, "0.2"},
		{"over int64", func() (num.Num, error) { return n("9223372036854775807").Add(n("1")) }, "9223372036854775808"},
		{"under int64", func() (num.Num, error) { return n("-9223372036854775808").Sub(n("1")) }, "-9223372036854775809"},
		{"product over int64", func() (num.Num, error) { return n("9223372036854775807").Mul(n("-10.1")) }, "-93156057572233235650.7"},
		{"1 / 3", func() (num.Num, error) { return n("1").Div(n("3")) }, "0.33333333333333333333"},
		{"-2 / 3", func() (num.Num, error) { return n("-2").Div(n("3")) }, "-0.66666666666666666667"},
		{"half away", func() (num.Num, error) { return n("1").Div(n("2e20")) }, "0.00000000000000000001"},
		{"-7 mod 3", func() (num.Num, error) { return n("-7").Mod(n("3")) }, "-1"},
		{"7.5 mod -2", func() (num.Num, error) { return n("7.5").Mod(n("-2")) }, "1.5"},
		{"1.00 to the 100", func() (num.Num, error) { return n("1.00").Pow(n("100")) }, "1"},
		{"1.1 ** 3", func() (num.Num, error) { return n("1.1").Pow(n("3")) }, "1.331"},
		{"2 ** -2", func() (num.Num, error) { return n("2").Pow(n("-2")) }, "0.25"},
		{"0 ** 0", func() (num.Num, error) { return n("0").Pow(n("0")) }, "1"},
	}
	for _, test := range tests {
		if got, err := test.got(); err != nil || got.String() != test.want {
			t.Errorf("%s is %s, %v, want %s", test.name, got, err, test.want)
		}
	}
}

func TestArithmeticErrors(t *testing.T) {
	tests := []struct {
		name string
		err  func() error
		want error
	}{
		{"1 / 0", func() error { _, err := n("1").Div(n("0.00")); return err }, num.ErrDivisionByZero},
		{"1 mod 0", func() error { _, err := n("1").Mod(num.Num{}); return err }, num.ErrDivisionByZero},
		{"0 ** -1", func() error { _, err := n("0").Pow(n("-1")); return err }, num.ErrDivisionByZero},
		{"1e30 * 1e30", func() error { _, err := n("1e30").Mul(n("1e30")); return err }, num.ErrTooLong},
		{"1e30 + 1e-31", func() error { _, err := n("1e30").Add(n("1.1e-30")); return err }, num.ErrTooLong},
		{"10 ** 10000", func() error { _, err := n("10").Pow(n("10000")); return err }, num.ErrTooLong},
		{"1.1 ** 999", func() error { _, err := n("1.1").Pow(n("999")); return err }, num.ErrTooLong},
	}
	for _, test := range tests {
		if err := test.err(); !errors.Is(err, test.want) {
			t.Errorf("%s gives %v, want %v", test.name, err, test.want)
		}
	}
	if _, err := n("2").Pow(n("0.5")); err == nil {
		t.Error("a root is exact")
	}
}

func TestRound(t *testing.T) {
	tests := []struct {
		text   string
		places int
		want   string
	}{
		{"-2.5", 0, "-3"},
		{"2.5", 0, "3"},
		{"2.4", 0, "2"},
		{"2.345", 2, "2.35"},
		{"-2.345", 2, "-2.35"},
		{"1.005", 2, "1.01"},
		{"1.5", 9, "1.5"},
		{"1250", -2, "1300"},
		{"1249", -2, "1200"},
		{"49", -2, "0"},
		{"1", -1 << 62, "0"},
		{"1.5", 1 << 62, "1.5"},
		{"123456789012345678901234567890.5", 0, "123456789012345678901234567891"},
	}
	for _, test := range tests {
		if got := n(test.text).Round(test.places); got.String() != test.want {
			t.Errorf("%s to %d places is %s, want %s", test.text, test.places, got, test.want)
		}
	}
	for text, want := range map[string][3]string{"2.5": {"2", "3", "2"}, "-2.5": {"-3", "-2", "-2"}, "2": {"2", "2", "2"}, "1e30": {n("1e30").String(), n("1e30").String(), n("1e30").String()}} {
		x := n(text)
		if got := [3]string{x.Floor().String(), x.Ceil().String(), x.Trunc().String()}; got != want {
			t.Errorf("floor, ceil and trunc of %s are %v, want %v", text, got, want)
		}
	}
}

func TestProperties(t *testing.T) {
	if i, ok := n("5.00").Int64(); i != 5 || !ok || !n("5.00").IsInt() {
		t.Error("5.00 is not 5")
	}
	if i, ok := n("5.5").Int64(); ok {
		t.Errorf("5.5 is %d", i)
	}
	if i, ok := n("9223372036854775808").Int64(); ok {
		t.Errorf("2^63 is %d", i)
	}
	if i, ok := n("1e18").Int64(); i != 1e18 || !ok {
		t.Errorf("1e18 is %d", i)
	}
	for text, want := range map[string]int{"1.50": 1, "100": 0, "0.00": 0, "1e30": 0, "0.001": 3} {
		if got := n(text).Scale(); got != want {
			t.Errorf("the scale of %s is %d, want %d", text, got, want)
		}
	}
	var zero num.Num
	if zero.String() != "0" || !zero.Equal(n("0.00")) || zero.Sign() != 0 || !zero.Neg().Equal(zero) {
		t.Error("the zero value is not 0")
	}
	if n("-9223372036854775808").Neg().String() != "9223372036854775808" || n("-9223372036854775808").Abs().String() != "9223372036854775808" {
		t.Error("the sign of the least int64 overflows")
	}
	if num.FromInt(-9223372036854775808).String() != "-9223372036854775808" {
		t.Error("the least int64 is lost")
	}
}

func TestJSON(t *testing.T) {
	var got struct{ A, B, C num.Num }
	if err := json.Unmarshal([]byte(`{"A": 10.50, "B": "10.50", "C": null}`), &got); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(got)
	if err != nil || string(data) != `{"A":10.5,"B":10.5,"C":0}` {
		t.Errorf("got %s, %v", data, err)
	}
	for _, bad := range []string{`""`, `"x"`, `true`, `[1]`, `1e99`} {
		if err := json.Unmarshal([]byte(bad), new(num.Num)); err == nil {
			t.Errorf("%s is a number", bad)
		}
	}
}

func rat(x num.Num) *big.Rat {
	r, ok := new(big.Rat).SetString(x.String())
	if !ok {
		panic(x.String() + " is no number")
	}
	return r
}

// random returns a number of any size, with a liking for the edges.
func random(r *rand.Rand) num.Num {
	digits := [...]int{1, 2, 5, 18, 19, 20, 29}[r.IntN(7)]
	var b strings.Builder
	if r.IntN(2) == 0 {
		b.WriteByte('-')
	}
	point := r.IntN(digits + 1)
	for i := range digits {
		if i == point && i > 0 {
			b.WriteByte('.')
		}
		b.WriteByte("0123456789990055"[r.IntN(16)])
	}
	return n(b.String())
}

// TestAgainstRat compares every operation with exact fractions.
func TestAgainstRat(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	type op struct {
		name string
		num  func(a, b num.Num) (num.Num, error)
		rat  func(z, a, b *big.Rat) *big.Rat
	}
	ops := []op{
		{"+", num.Num.Add, (*big.Rat).Add},
		{"-", num.Num.Sub, (*big.Rat).Sub},
		{"*", num.Num.Mul, (*big.Rat).Mul},
	}
	tolerance := big.NewRat(1, 2)
	for range 20 {
		tolerance.Mul(tolerance, big.NewRat(1, 10))
	}
	for range 20_000 {
		a, b := random(r), random(r)
		for _, op := range ops {
			got, err := op.num(a, b)
			if err != nil {
				t.Fatalf("%s %s %s: %v", a, op.name, b, err)
			}
			if want := op.rat(new(big.Rat), rat(a), rat(b)); rat(got).Cmp(want) != 0 {
				t.Fatalf("%s %s %s is %s", a, op.name, b, got)
			}
		}
		if a.Cmp(b) != rat(a).Cmp(rat(b)) || a.Equal(b) != (a.String() == b.String()) {
			t.Fatalf("%s compares with %s as %d", a, b, a.Cmp(b))
		}
		if b.Sign() != 0 {
			checkDivision(t, a, b, tolerance)
		}
		places := r.IntN(8) - 2
		checkRound(t, a, places)
		if again, err := num.Parse(a.String()); err != nil || !again.Equal(a) {
			t.Fatalf("%s reads as %s, %v", a, again, err)
		}
	}
}

func checkDivision(t *testing.T, a, b num.Num, tolerance *big.Rat) {
	t.Helper()
	got, err := a.Div(b)
	if errors.Is(err, num.ErrTooLong) {
		return
	}
	if err != nil {
		t.Fatalf("%s / %s: %v", a, b, err)
	}
	off := new(big.Rat).Sub(rat(got), new(big.Rat).Quo(rat(a), rat(b)))
	if off.Abs(off).Cmp(tolerance) > 0 || got.Scale() > 20 {
		t.Fatalf("%s / %s is %s", a, b, got)
	}
	rest, err := a.Mod(b)
	if err != nil {
		t.Fatalf("%s mod %s: %v", a, b, err)
	}
	quotient := new(big.Rat).Quo(new(big.Rat).Sub(rat(a), rat(rest)), rat(b))
	if !quotient.IsInt() || rest.Abs().Cmp(b.Abs()) >= 0 || rest.Sign() != 0 && rest.Sign() != a.Sign() {
		t.Fatalf("%s mod %s is %s", a, b, rest)
	}
}

func checkRound(t *testing.T, a num.Num, places int) {
	t.Helper()
	unit := big.NewRat(1, 1)
	for range max(places, 0) {
		unit.Mul(unit, big.NewRat(1, 10))
	}
	for range max(-places, 0) {
		unit.Mul(unit, big.NewRat(10, 1))
	}
	half := new(big.Rat).Mul(unit, big.NewRat(1, 2))
	got := a.Round(places)
	off := new(big.Rat).Sub(rat(got.Abs()), rat(a.Abs()))
	ratio := new(big.Rat).Quo(rat(got), unit)
	// half away from zero: the size grows by at most a half, shrinks by less
	if !ratio.IsInt() || off.Cmp(half) > 0 || off.Cmp(new(big.Rat).Neg(half)) <= 0 {
		t.Fatalf("%s to %d places is %s", a, places, got)
	}
}

// FuzzParse holds that what is read is written so that it reads the same.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"0", "-0.0", "10.50", "1e30", "1e-30", "007", "1e9999", ".5", "9223372036854775808", "0.00000000000000000000000000000000000000000001"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := num.Parse(text)
		if err != nil {
			return
		}
		want, ok := new(big.Rat).SetString(text)
		if !ok || rat(got).Cmp(want) != 0 {
			t.Fatalf("%q reads as %s", text, got)
		}
		again, err := num.Parse(got.String())
		if err != nil || again.String() != got.String() {
			t.Fatalf("%q is written as %s, which reads as %s, %v", text, got, again, err)
		}
	})
}
