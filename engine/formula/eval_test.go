package formula_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
)

// evaluate compiles and evaluates a formula that is expected to be right.
func evaluate(t testing.TB, src string) (*formula.Formula, any) {
	t.Helper()
	f, problems := formula.Compile(src, testEnv)
	if problems != nil {
		t.Fatalf("%s: %+v", src, problems)
	}
	v, err := f.Eval(formula.NewMachine(t.Context()), testVars())
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	return f, v
}

func list(v ...any) []any { return append([]any{}, v...) }

type record = map[string]any

func TestEval(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	tests := []struct {
		src  string
		want any
		typ  string
	}{
		// literals and exactness
		{"0.1 + 0.2", n("0.3"), "number"},
		{"0.1 + 0.2 == 0.3", true, "true or false"},
		{"3 * 33.33 == 99.99", true, "true or false"},
		{"9007199254740993 + 0.0", n("9007199254740993"), "number"},
		{"9223372036854775807 + 1", n("9223372036854775808"), "whole number"},
		{"12345678901234567890123.5 - 0.5", n("12345678901234567890123"), "number"},
		{"12345678901234567890123 + 0", n("12345678901234567890123"), "whole number"},
		{"0.12345678901234567890123", n("0.12345678901234567890123"), "number"},
		{"1_000.50", n("1000.5"), "number"},
		{".5 + 5.", n("5.5"), "number"},
		{"1e3", n("1000"), "number"},
		{"0xff + 0b11", n("258"), "whole number"},
		{"1.0 == 1.00", true, "true or false"},
		{"1.0 in [1.00]", true, "true or false"},
		{"uniq([1.0, 1.00, 1])", list(n("1")), "list of number"},
		{"uniq([[1.0], [1.00], [2]])", list(list(n("1")), list(n("2"))), "list of list of number"},
		{
			"groupBy([1.0, 2, 1.00], #)", list(record{"key": n("1"), "items": list(n("1"), n("1"))}, record{"key": n("2"), "items": list(n("2"))}),
			"list of {items: list of number, key: number}",
		},
		{"{a: 1.0} == {a: 1.00}", true, "true or false"},
		{"[[1.0]] == [[1.00]]", true, "true or false"},
		{"1 / 3", n("0.33333333333333333333"), "number"},
		{"2 / 3", n("0.66666666666666666667"), "number"},
		{"10 / 4", n("2.5"), "number"},
		{"7 % 3", n("1"), "whole number"},
		{"-7 % 3", n("-1"), "whole number"},
		{"7.5 % 2", n("1.5"), "number"},
		{"2 ** 10", n("1024"), "number"},
		{"2 ^ -1", n("0.5"), "number"},
		{"-x", n("-2.5"), "number"},
		{"+x", n("2.5"), "number"},
		{"n + 1", n("5"), "whole number"},
		{"n + x", n("6.5"), "number"},
		{"'Крыша' + \" \" + `x`", "Крыша x", "text"},
		{"nil", nil, "nil"},
		{"omit", formula.Omitted, "omit"},
		{"ok ? 'a' : omit", "a", "any value"},
		{"ok ? nil : omit", nil, "any value"},

		// rounding
		{"round(-2.5)", n("-3"), "whole number"},
		{"round(2.5)", n("3"), "whole number"},
		{"round(2.345, 2)", n("2.35"), "number"},
		{"round(1.005, 2)", n("1.01"), "number"},
		{"round(1250, -2)", n("1300"), "whole number"},
		{"floor(-2.5)", n("-3"), "whole number"},
		{"ceil(2.1)", n("3"), "whole number"},
		{"int(-2.9)", n("-2"), "whole number"},
		{"int('12')", n("12"), "whole number"},
		{"number(' 10.50 ')", n("10.5"), "number"},
		{"string(10.50)", "10.5", "text"},
		{"string(ok)", "true", "text"},
		{"abs(-x)", n("2.5"), "number"},
		{"abs(-3)", n("3"), "whole number"},

		// logic and nil
		{"not ok || x > 2", true, "true or false"},
		{"ok and 1 < x < 3", true, "true or false"},
		{"ok ?: false", true, "true or false"},
		{"maybe ?? 1", n("1"), "number"},
		{"maybe == nil", true, "true or false"},
		{"nil == nil", true, "true or false"},
		{"thing != nil && thing > 2", true, "true or false"},
		{"maybe != nil && maybe > 2", false, "true or false"},
		{"maybe == nil || maybe > 2", true, "true or false"},
		{"maybe != nil ? maybe + 1 : 0", n("0"), "number"},
		{"if maybe == nil { 0 } else { maybe + 1 }", n("0"), "number"},
		{"!(maybe == nil) ? maybe + 1 : 0", n("0"), "number"},
		{"deal.contact?.name", "Ann", "text or nil"},
		{"deal.contact?.phone ?? 'none'", "none", "text"},
		{"deal.contact != nil ? deal.contact.name : ''", "Ann", "text"},
		{"deal.contact?.name == 'Ann' && len(deal.contact.name) == 3", true, "true or false"},
		{"deal.contact?.phone != nil ? upper(deal.contact.phone) : 'none'", "none", "text"},
		{"deal.UF_CRM_1", "77", "any value"},
		{"deal.nothing?.at.all", nil, "any value"},
		{"late?.[0]", nil, "number or nil"},
		{"number(deal.UF_CRM_1) == deal.UF_CRM_2", true, "true or false"},

		// lists and records
		{"rows[0].price", n("33.33"), "number"},
		{"rows[-1].price", n("10.5"), "number"},
		{"rows[n - 4]['price']", n("33.33"), "number"},
		{"names[1:]", list("a", "b"), "list of text"},
		{"names[:-1]", list("b", "a"), "list of text"},
		{"'Крыша'[1:3]", "ры", "text"},
		{"1..3", list(n("1"), n("2"), n("3")), "list of whole number"},
		{"3..1", list(), "list of whole number"},
		{"[1, 'a']", list(n("1"), "a"), "list"},
		{"[]", list(), "list"},
		{"late ?? []", list(), "list of number"},
		{"{a: 1, 'b c': {d: s}}", record{"a": n("1"), "b c": record{"d": "text"}}, `{a: whole number, "b c": {d: text}}`},
		{"{(s): 1}.text", n("1"), "any value"},
		{"'price' in rows[0]", true, "true or false"},
		{"'a' in names", true, "true or false"},
		{"'z' not in names", true, "true or false"},
		{"nil in names", false, "true or false"},
		{"get(names, 9)", nil, "text or nil"},
		{"get(deal, 'stage')", "WON", "any value"},
		{"len('Крыша')", n("5"), "whole number"},
		{"len(rows) + len(deal.contact ?? {})", n("5"), "whole number"},
		{"isEmpty(deal.nothing) && isEmpty('') && isEmpty([]) && !isEmpty(0)", true, "true or false"},
		{"keys({b: 1, a: 2})", list("a", "b"), "list of text"},
		{"values({b: 1, a: 2.5})", list(n("2.5"), n("1")), "list of number"},
		{"toPairs({b: 1, a: 2})", list(list("a", n("2")), list("b", n("1"))), "list of list"},
		{"fromPairs([['a', 1]])", record{"a": n("1")}, "record"},
		{"first(names)", "b", "text or nil"},
		{"last([])", nil, "any value"},
		{"take(names, 2)", list("b", "a"), "list of text"},
		{"take(names, 20)", list("b", "a", "b"), "list of text"},
		{"reverse(names)", list("b", "a", "b"), "list of text"},
		{"uniq(names)", list("b", "a"), "list of text"},
		{"concat(names, ['c'], [])", list("b", "a", "b", "c"), "list of text"},
		{"flatten([[1], [2.5, 3]])", list(n("1"), n("2.5"), n("3")), "list of number"},
		{"sort([3, 1.5, 2])", list(n("1.5"), n("2"), n("3")), "list of number"},
		{"sort(names, 'desc')", list("b", "b", "a"), "list of text"},
		{"min([3, 1.5])", n("1.5"), "number or nil"},
		{"max(1, 2.5)", n("2.5"), "number"},
		{"max([])", nil, "any value"},
		{"min('b', 'a')", "a", "text"},
		{"mean([1, 2])", n("1.5"), "number or nil"},
		{"median([3, 1, 2, 10])", n("2.5"), "number or nil"},
		{"median([3, 1, 2])", n("2"), "number or nil"},

		// loops
		{"sum(rows, .price * .quantity)", n("110.69"), "number"},
		{"sum([0.1, 0.2])", n("0.3"), "number"},
		{"sum([1, 2])", n("3"), "whole number"},
		{"sum([])", n("0"), "number"},
		{"rows | filter(.price > 1) | map(.productName) | join(', ')", "Tile, Tile", "text"},
		{
			"map(rows, {sku: .productId, n: #index})", list(record{"sku": n("7"), "n": n("0")}, record{"sku": nil, "n": n("1")}, record{"sku": n("7"), "n": n("2")}),
			"list of {n: whole number, sku: whole number}",
		},
		{"map(1..2, {let y = # * 2; {y: y}})", list(record{"y": n("2")}, record{"y": n("4")}), "list of {y: whole number}"},
		{"rows | map({a: .price}) | map(.a)", list(n("33.33"), n("0.1"), n("10.5")), "list of number"},
		{"map(1..1, {})", list(record{}), "list of record"},
		{"map(1..2, map(names[:#], #index))", list(list(n("0")), list(n("0"), n("1"))), "list of list of whole number"},
		{"all(rows, .price > 0) && any(rows, .price > 33) && none(rows, .price > 34) && one(rows, .price > 33)", true, "true or false"},
		{"count(rows, .productName == 'Tile')", n("2"), "whole number"},
		{"count([true, false])", n("1"), "whole number"},
		{"find(rows, .price < 1)?.productName", "Nail", "text or nil"},
		{"findLast(rows, .productName == 'Tile')?.price", n("10.5"), "number or nil"},
		{"findIndex(rows, .price < 1)", n("1"), "whole number or nil"},
		{"[1, findLast(names, # == 'b'), findLastIndex(names, # == 'a')]", list(n("1"), "b", n("1")), "list"},
		{"findLastIndex(rows, .price > 99)", nil, "whole number or nil"},
		{
			"map(groupBy(rows, .productName), {name: .key, total: sum(.items, .price * .quantity)})",
			list(record{"name": "Tile", "total": n("110.49")}, record{"name": "Nail", "total": n("0.2")}), "list of {name: text, total: number}",
		},
		{"map(sortBy(rows, .price), .price)", list(n("0.1"), n("10.5"), n("33.33")), "list of number"},
		{"map(sortBy(rows, .productId ?? 0, 'desc'), .key)", list("7", "7-2", "Nail"), "list of text"},
		{"map(sortBy(rows, [.productId ?? 0, .price], ['desc', 'asc']), .key)", list("7-2", "7", "Nail"), "list of text"},
		{"map(sortBy(rows, [.productId ?? 0, .price], 'desc'), .key)", list("7", "7-2", "Nail"), "list of text"},
		{"map(sortBy(rows, [.quantity > 0, .price]), .key)", list("Nail", "7-2", "7"), "list of text"},
		{"sortBy([], [#, #])", list(), "list"},
		{"maxBy(rows, .price)?.key ?? 'none'", "7", "text"},
		{"minBy(rows, .price)?.key ?? 'none'", "Nail", "text"},
		{"maxBy([3, 1, 3.0, 2], # % 3)", n("2"), "number"},
		{"minBy([], #) ?? 'none'", "none", "any value"},
		{"maxBy([[1, 2], [3, 0]], maxBy(#, #) ?? 0)[1]", n("0"), "whole number"},
		{"len(rows | maxBy(.price) ?? {})", n("5"), "whole number"},
		{"let maxBy = 1; maxBy + 1", n("2"), "whole number"},
		{"map(sortBy(rows, .productId), .key)", list("Nail", "7", "7-2"), "list of text"},
		{"reduce(rows, #acc + .price, 0)", n("43.93"), "number"},
		{"reduce(1..4, #acc * #)", n("24"), "whole number"},
		{"reduce(rows, {n: #acc.n + 1, total: #acc.total + .price}, {n: 0, total: 0})", record{"n": n("3"), "total": n("43.93")}, "{n: number, total: number}"},
		{"sum(filter(rows, .productId != nil), .productId)", n("14"), "whole number"},
		{"map(filter(deal.contact?.phone != nil ? [deal.contact] : [], .phone != nil), len(.phone))", list(), "list of whole number"},
		{"map(1..2, reduce([10], #acc + #, #))", list(n("11"), n("12")), "list of whole number"},
		{"let y = 0.1; y * 3", n("0.3"), "number"},
		{"let a = sum(rows, .price); let b = a * 2; b - a", n("43.93"), "number"},

		// texts
		{"s contains 'ex' && s startsWith 'te' && s endsWith 'xt'", true, "true or false"},
		{"s matches '^t.*t$'", true, "true or false"},
		{"trim('  a ') + trim('xax', 'x')", "aa", "text"},
		{"upper('крыша') + lower('A')", "КРЫШАa", "text"},
		{"split('a,b,c', ',')", list("a", "b", "c"), "list of text"},
		{"split('a,b,c', ',', 2)", list("a", "b,c"), "list of text"},
		{"split('ab', '')", list("a", "b"), "list of text"},
		{"join([1.50, 2], '; ')", "1.5; 2", "text"},
		{"replace('a-b-c', '-', '+')", "a+b+c", "text"},
		{"repeat('ab', 3)", "ababab", "text"},
		{"indexOf('Крыша', 'ш') + lastIndexOf('ааа', 'а')", n("5"), "whole number"},
		{"indexOf('a', 'b')", n("-1"), "whole number"},
		{"hasPrefix(s, 'te') && hasSuffix(s, 'xt')", true, "true or false"},
		{"trimPrefix('D_5', 'D_') + trimSuffix('5%', '%')", "55", "text"},

		// times
		{"date('2026-01-31')", at("2026-01-31T00:00:00Z"), "time"},
		{"date('31.01.2026 15:04') == date('2026-01-31T18:04:00+03:00')", true, "true or false"},
		{"date('2026-07-01', 'Europe/Riga') < event.time", false, "true or false"},
		{"formatDate(event.time, 'dd.MM.yyyy HH:mm:ss, 12')", "31.01.2026 15:04:05, 12", "text"},
		{"formatDate(event.time, 'yyyyMMdd, yyyy-MM-ddTHH:mm:ssZ, dd месяца MM')", "20260131, 2026-01-31T15:04:05Z, 31 месяца 01", "text"},
		{"yearOf(event.time) * 100 + monthOf(event.time)", n("202601"), "whole number"},
		{"dayOf(event.time) + hourOf(event.time) + minuteOf(event.time)", n("50"), "whole number"},
		{"weekdayOf(event.time)", n("6"), "whole number"},
		{"addMonths(event.time, 1)", at("2026-02-28T15:04:05Z"), "time"},
		{"addDays(event.time, 1)", at("2026-02-01T15:04:05Z"), "time"},
		{"addHours(event.time, -16)", at("2026-01-30T23:04:05Z"), "time"},
		{"daysBetween(addHours(event.time, -16), event.time)", n("1"), "whole number"},
		{"string(event.time)", "2026-01-31T15:04:05Z", "text"},
	}
	for _, test := range tests {
		t.Run(test.src, func(t *testing.T) {
			f, got := evaluate(t, test.src)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("value (-want +got):\n%s", diff)
			}
			if f.Type().String() != test.typ {
				t.Errorf("type %q, want %q", f.Type(), test.typ)
			}
		})
	}
}

// TestEvalErrors holds the places and words of what can only fail when it runs.
func TestEvalErrors(t *testing.T) {
	tests := []struct{ source, message string }{
		{"1 + x ‹/› (n - 4)", "division by zero"},
		{"x ‹%› (n - 4)", "division by zero"},
		{"1 + rows‹[›9].price", "there is no element 9 in a list of 3"},
		{"deal.nothing.‹x›", `nil has no field "x": write ?.x`},
		{"thing ‹==› s", "number cannot be compared with text: write number(…) or string(…)"},
		{"deal.UF_CRM_1 ‹==› 77", "text cannot be compared with number: write number(…) or string(…)"},
		{"thing ‹in› names", "number cannot be compared with text: write number(…) or string(…)"},
		{"deal.UF_CRM_1 ‹*› 2", "want a number, got text"},
		{"deal.nothing ‹+› 1", "the value is missing (nil): write `?? …` for what to take instead"},
		{"thing ‹+› deal.UF_CRM_1", "number and text cannot be joined: write string(…) or number(…)"},
		{"‹number›('ten')", `"ten" is not a number: write it like 10.50`},
		{"‹number›('1e9999')", `the exponent of "1e9999" is beyond 30`},
		{"‹date›(s)", `"text" is not a date: write it like 2026-01-31 or 31.01.2026 15:04`},
		{"‹date›('2026-01-01', s)", `unknown time zone "text": write one like "Europe/Riga"`},
		{"‹thing› ? 1 : 2", "want true or false, got number"},
		{"‹reduce›([], #acc + #)", "reduce of empty array with no initial value"},
		{"x ‹**› x", "the exponent 2.5 is not a whole number"},
		{"1e30 * 1e29 ‹*› 1e10", "the result has more than 60 digits: round before going on"},
	}
	for _, test := range tests {
		t.Run(test.source, func(t *testing.T) {
			src, places := marked(t, test.source)
			f, problems := formula.Compile(src, testEnv)
			if problems != nil {
				t.Fatal(problems)
			}
			v, err := f.Eval(formula.NewMachine(t.Context()), testVars())
			var got *formula.Error
			if !errors.As(err, &got) {
				t.Fatalf("got %v and the error %v, want a *formula.Error", v, err)
			}
			if got.Message != test.message {
				t.Errorf("message %q, want %q", got.Message, test.message)
			}
			if at := [2]int{got.From, got.To}; at != places[0] {
				t.Errorf("place %v, want %v", at, places[0])
			}
		})
	}
}

// TestWrongVars holds that a value of another type than was promised is an error
// and not a wrong result.
func TestWrongVars(t *testing.T) {
	f, problems := formula.Compile("len(rows) + x", testEnv)
	if problems != nil {
		t.Fatal(problems)
	}
	_, err := f.Eval(formula.NewMachine(t.Context()), map[string]any{"rows": []any{}, "x": 1.5})
	if err == nil || err.Error() != "x must be a number, not a float64" {
		t.Errorf("error %v", err)
	}
}

func TestMachineIsReused(t *testing.T) {
	m := formula.NewMachine(t.Context())
	f, _ := formula.Compile("sum(1..100, sum(1..2000, 1))", testEnv)
	g, _ := formula.Compile("x / 0.0 + 1", formula.Env{Vars: map[string]formula.Type{"x": number}})
	if g != nil {
		t.Error("a division by a literal zero compiles")
	}
	for range 3 { // each evaluation has its own limits: three times 400,000 steps are too many for one
		v, err := f.Eval(m, nil)
		if err != nil || !v.(num.Num).Equal(n("200000")) {
			t.Fatalf("got %v, %v", v, err)
		}
		if _, v := evaluate(t, "x * 2"); !v.(num.Num).Equal(n("5")) {
			t.Fatalf("got %v", v)
		}
	}
}

func TestConst(t *testing.T) {
	for src, want := range map[string]any{"1 == 1": true, "2 * 21": n("42"), "x > 1": nil, "number('a')": nil, "sum(1..9999, sum(1..99, 1))": nil} {
		f, problems := formula.Compile(src, testEnv)
		if problems != nil {
			t.Fatal(src, problems)
		}
		got, ok := f.Const()
		if ok != (want != nil) || !cmp.Equal(want, got) {
			t.Errorf("%s: got %v, %t, want %v", src, got, ok, want)
		}
	}
}

func TestVarsAndConjuncts(t *testing.T) {
	f, problems := formula.Compile("(x>1.50) and (deal.contact?.name==\"A\" && not ok) && any(rows,.price>0)", testEnv)
	if problems != nil {
		t.Fatal(problems)
	}
	if diff := cmp.Diff([]string{"deal", "ok", "rows", "x"}, f.Vars()); diff != "" {
		t.Error(diff)
	}
	other, problems := formula.Compile("x  > 1.50 && ( deal.contact?.name == 'A' ) and !ok && any(rows, .price > 0)", testEnv)
	if problems != nil {
		t.Fatal(problems)
	}
	if diff := cmp.Diff(f.Conjuncts(), other.Conjuncts()); diff != "" || len(f.Conjuncts()) != 4 {
		t.Errorf("%v\n%s", f.Conjuncts(), diff)
	}
}
