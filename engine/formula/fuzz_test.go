package formula_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/b24rules/b24rules/engine/formula"
)

// FuzzCompile holds that no source panics, that every problem is inside of its
// source, and that a value has the type that was inferred for it.
func FuzzCompile(f *testing.F) {
	for _, src := range []string{
		"sum(rows, .price * .quantity)", "map(rows, {a: .price, b: #index})", "rows | filter(.price > 1) | map(.productName)",
		"deal.contact?.phone ?? 'x'", "reduce(rows, #acc + .price, 0)", "let y = 0.1; y * 3", "groupBy(rows, .productId)",
		"maybe != nil && maybe > 1 ? maybe : omit", "x / 0.0", "1 < x < 3", "[1, 'a', nil][n]", "{a: 1, (s): [2]}.text", "late?.[0]",
		"sortBy(rows, .price, 'desc')[0:2]", "if ok { 1 } else { nil }", "min(map(rows, .price), 2)", "'a' in names || 1..n == []",
		"toPairs(deal)[0][1] ?: thing", "concat(names, late ?? [], [thing])", "flatten([[1], []])", "date(s) ?? event.time", "1e400 + .5 + 0x1f",
		"map(groupBy(rows, .productName), {k: .key, n: len(.items)})", "first(rows)?.productId + 1", "-(-x) ** 2 % 3", "// c\nx /* d */",
		"reduce(rows, {n: #acc.n + 1}, {n: 0}).n", "#", ".x", "sum(rows, .", "\"\\u{1F600}\" + `a`", "открыто", "find(rows, .price == nil)?.key",
	} {
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src string) {
		compiled, problems := formula.Compile(src, testEnv)
		if (compiled == nil) == (problems == nil) {
			t.Fatalf("%q: formula %v and problems %v", src, compiled, problems)
		}
		if problems != nil {
			if utf8.ValidString(src) {
				checkPlaces(t, src, problems)
			}
			return
		}
		compiled.Const()
		compiled.Conjuncts()
		v, err := compiled.Eval(formula.NewMachine(t.Context()), testVars())
		if err != nil {
			checkError(t, src, err)
			return
		}
		if !formula.Conforms(v, compiled.Type()) {
			t.Errorf("%q: %v is not of the type %s", src, v, compiled.Type())
		}
	})
}

func checkError(t *testing.T, src string, err error) {
	t.Helper()
	var e *formula.Error
	if !errors.As(err, &e) || e.Message == "" {
		t.Fatalf("%q: error %v", src, err)
	}
	if strings.Contains(e.Message, "is not what its type says") || strings.Contains(e.Message, "runtime error") {
		t.Errorf("%q: %s", src, e.Message)
	}
	if length := utf8.RuneCountInString(src); e.From < 0 || e.To < e.From || e.To > length {
		t.Errorf("%q: place %d-%d", src, e.From, e.To)
	}
}

// FuzzTemplate holds the same for texts with holes.
func FuzzTemplate(f *testing.F) {
	for _, text := range []string{"{{ x }}", "a {{= event.id }} b {{ 'c' }}", "{{{a: {b: 1}}.a.b}}", "{{ \"}}\" }}", "{{", "}}", "{{}}", "{{ x / 0.0 }}", "Привет {{ dael }}", "{{ `}}` }} {{ /* }} */ s }}"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		compiled, problems := formula.CompileTemplate(text, testEnv)
		if (compiled == nil) == (problems == nil) {
			t.Fatalf("%q: template %v and problems %v", text, compiled, problems)
		}
		if problems != nil {
			if utf8.ValidString(text) {
				checkPlaces(t, text, problems)
			}
			return
		}
		got, err := compiled.Eval(formula.NewMachine(t.Context()), testVars())
		if err != nil {
			checkError(t, text, err)
			return
		}
		if !formula.HasHole(text) && got != text {
			t.Errorf("%q became %q", text, got)
		}
	})
}
