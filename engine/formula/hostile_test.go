package formula_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/b24rules/b24rules/engine/formula"
)

// TestHostile holds that no formula takes the process down or keeps it busy:
// each of these kills plain expr, or keeps it busy for long, or would if a
// limit were missing. Each has to end with a problem, an error, or a value soon.
func TestHostile(t *testing.T) {
	many := make([]any, 1000)
	for i := range many {
		many[i] = testVars()["rows"].([]any)[i%3]
	}
	doubled := "let a0 = [1, 1]; "
	for i := range 30 {
		a, b := string(rune('a'+i%26))+strings.Repeat("x", i/26), ""
		if i == 0 {
			b = "a0"
		} else {
			b = "v" + string(rune('a'+(i-1)%26)) + strings.Repeat("x", (i-1)/26)
		}
		doubled += "let v" + a + " = [" + b + ", " + b + ", " + b + ", " + b + "]; "
	}
	types := "let va = {x: 1, y: 1}; "
	for i := range 19 {
		types += fmt.Sprintf("let v%c = {x: v%c, y: v%c, z: v%c, w: v%c}; ", 'b'+i, 'a'+i, 'a'+i, 'a'+i, 'a'+i)
	}
	tests := []struct{ name, src, want string }{
		{"brackets", strings.Repeat("(", 3_000_000), "longer than"},
		{"brackets within the limit", strings.Repeat("(", 4096), "closed"},
		{"minus", strings.Repeat("-", 4095) + "1", "parts"},
		{"not", strings.Repeat("!", 4000) + "ok", "parts"},
		{"many nodes", "1" + strings.Repeat("+1", 600), "parts"},
		{"shared nodes", strings.Repeat("(0 < ", 60) + "x" + strings.Repeat(" < 9)", 60), "too complex"},
		{"shared nodes of one type", strings.Repeat("(", 100) + "ok" + strings.Repeat(" ?: ok)", 100), "too complex"},
		{"repeat", `repeat(repeat("x", 999999), 999999)`, "MiB of text"},
		{"repeat often", `reduce(1..1000, repeat("x", 100000), "")`, "MiB of text"},
		{"replace", `replace(repeat("x", 900000), "x", repeat("y", 90000))`, "MiB of text"},
		{"replace of nothing", `replace(repeat("x", 900000), "", repeat("y", 90000))`, "MiB of text"},
		{"growing text", `reduce(1..40, #acc + #acc, "xxxxxxxx")`, "MiB of text"},
		{"growing join", `reduce(1..40, join([#acc, #acc]), "xxxxxxxx")`, "MiB of text"},
		{"growing list", `reduce(1..40, concat(#acc, #acc), [1])`, "more than 10000 elements"},
		{"shared lists", `reduce(1..40, [#acc, #acc], [1])`, "the result"},
		{"deep lists", `reduce(1..9000, [#acc], [1])`, "the result is nested"},
		{"shared records", `reduce(1..40, {a: #acc, b: #acc}, thing)`, "the result"},
		{"shared by let", doubled + "vdx", "the result"},
		{"shared types", types + "vt", "the result"},
		{"groups of groups", "rows" + strings.Repeat(" | groupBy({a: #, b: #})", 60), ""},
		{"shared problems", strings.Repeat("(", 80) + "s + 1 + rws" + strings.Repeat(" ?: ok)", 80), "too complex"},
		{"compare shared lists", `let a = reduce(1..40, [#acc, #acc], [1]); let b = reduce(1..40, [#acc, #acc], [1]); a == b`, ""},
		{"unique shared lists", `uniq([reduce(1..60, [#acc, #acc], [1])])`, ""},
		{"shared text", `let s2 = repeat("x", 4000000); map(1..9000, s2)`, "MiB of text"},
		{"join of shared text", `let s2 = repeat("x", 4000000); join(map(1..9000, s2))`, "MiB of text"},
		{"range", `1..9223372036854775807`, "more than 10000 elements"},
		{"range in a range", `len(map(1..10000, 1..10000))`, "steps"},
		{"three loops", `sum(rows, sum(rows, sum(rows, .price)))`, "steps"},
		{"three long loops", `count(1..10000, any(1..10000, any(1..10000, false)))`, "steps"},
		{"four loops", `sum(rows, sum(rows, sum(rows, sum(rows, 1))))`, "loops"},
		{"growing number", `reduce(1..1000, #acc * 1e30, 1)`, "more than 60 digits"},
		{"power", `10 ** 10000`, "more than 60 digits"},
		{"power of power", `9 ** 9 ** 9 ** 9`, "more than 60 digits"},
		{"large literal", `1e9999`, "beyond 30"},
		{"long literal", strings.Repeat("9", 3000), "more than 60 digits"},
		{"small literal", `1e-9999`, "beyond 30"},
		{"places", `round(x, -9223372036854775807)`, ""},
		{"pattern", `s matches "(a{1000}){1000}"`, "pattern"},
		{"long pattern", `s matches "` + strings.Repeat("a?", 300) + `"`, "pattern is longer"},
		{"pattern from data", `s matches repeat("a", 9)`, "fixed"},
		{"long match", `repeat("a", 8000000) matches "b"`, "at most 1 MiB"},
		{"slow pattern", `let big = repeat("a", 1000000); count(1..10000, big matches "(a|aa|aaa)*b")`, "steps"},
		{"slow compare", `let p = repeat("a", 4000000); let q = repeat("a", 4000000); count(1..10000, p == q)`, "steps"},
		{"slow order", `let p = repeat("a", 4000000); let q = repeat("a", 4000000); count(1..10000, p < q)`, "steps"},
		{"slow search", `let p = repeat("a", 4000000); count(1..10000, p contains "b")`, "steps"},
		{"slow case", `let p = repeat("a", 400000); count(1..10000, upper(p) == "b")`, "MiB of text"},
		{"slow split", `split(repeat("a,", 400000), ",")`, "elements"},
		{"slow sort", `count(1..1000, len(sort(1..1000)) > 0)`, "steps"},
		{"null byte", "\x00", "unexpected character"},
		{"not UTF-8", "'a\xff'", "UTF-8"},
		{"environment", `$env["x"]`, "unknown name"},
		{"method", `event.time.Unix()`, "no methods"},
		{"method by field", `thing.String`, "has no field"},
		{"method by ?.", `thing?.String`, "has no field"},
		{"method by index", `thing["String"]`, "has no"},
		{"method of time", `[event.time, 1][0]?.Unix`, "has no fields"},
		{"index", `rows[99999999999999999999]`, ""},
		{"nested record in brackets", `map(rows, {a: map(rows, {b: {c: 1}})})`, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			began := time.Now()
			message := outcome(t, test.src, many)
			if spent := time.Since(began); spent > time.Minute {
				t.Errorf("took %s", spent)
			}
			if strings.Contains(message, "takes longer than 1s") {
				return // on a slow machine the clock comes before the counter
			}
			if !strings.Contains(message, test.want) {
				t.Errorf("got %q, want … %s …", message, test.want)
			}
		})
	}
}

// outcome returns the problems or the error of a formula, or "a value".
func outcome(t *testing.T, src string, rows []any) string {
	t.Helper()
	f, problems := formula.Compile(src, testEnv)
	if problems != nil {
		var all []string
		checkPlaces(t, strings.ToValidUTF8(src, "?"), problems)
		for _, p := range problems {
			all = append(all, p.Text())
		}
		return strings.Join(all, "; ")
	}
	f.Const()
	vars := testVars()
	vars["rows"] = rows
	if _, err := f.Eval(formula.NewMachine(t.Context()), vars); err != nil {
		return err.Error()
	}
	return "a value"
}

func TestCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f, problems := formula.Compile("sum(1..9000, sum(1..100, 1))", testEnv)
	if problems != nil {
		t.Fatal(problems)
	}
	m := formula.NewMachine(ctx)
	cancel()
	if _, err := f.Eval(m, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
