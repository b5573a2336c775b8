package formula_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/engine/formula"
)

// generator writes formulas that are often right, of a wanted kind.
type generator struct {
	*rand.Rand
	loops int
	lets  int
}

func (g *generator) pick(forms ...string) string { return forms[g.IntN(len(forms))] }

// expr returns an expression that probably is of the kind: n(umber), t(ext),
// b(ool), l(ist of records), m (list of numbers), w (list of texts), d(ate), any.
func (g *generator) expr(kind byte, depth int) string {
	if g.IntN(25) == 0 {
		kind = "ntblmwda"[g.IntN(8)]
	}
	if depth <= 0 {
		return g.leaf(kind)
	}
	form := g.form(kind)
	var b strings.Builder
	for i := 0; i < len(form); i++ {
		if form[i] != '$' {
			b.WriteByte(form[i])
			continue
		}
		i++
		switch kind := form[i]; kind {
		case '{': // the body of a loop: a kind follows
			i++
			g.loops++
			b.WriteString(g.expr(form[i], depth-2))
			g.loops--
		case 'v':
			fmt.Fprintf(&b, "v%d", g.lets)
		case '+':
			g.lets++
		default:
			b.WriteString(g.expr(kind, depth-1))
		}
	}
	return b.String()
}

func (g *generator) leaf(kind byte) string {
	if g.loops > 0 && g.IntN(2) == 0 {
		switch kind {
		case 'n':
			return g.pick("#index", ".price", "#", "(.productId ?? 1)", ".quantity", ".productId")
		case 't':
			return g.pick(".productName", "#", ".key")
		case 'a':
			return g.pick("#", "#.productId", ".key")
		}
	}
	switch kind {
	case 'n':
		return g.pick("x", "n", "1", "0.1", "2.50", "maybe", "event.id", "(maybe ?? 2)", "deal.amount", "3", "-1", "thing")
	case 't':
		return g.pick("s", "'a'", "'Крыша'", "deal.title", "deal.contact?.name", "(deal.contact?.phone ?? '')", "names[0]", "deal.UF_CRM_1")
	case 'i':
		return g.pick("0", "-1", "1", "7", "8", "23", "24", "0.5")
	case 'c':
		return g.pick("'A'", "'a'", "''", "'Крыша'")
	case 'b':
		return g.pick("ok", "true", "false", "открыто", "event.added", "maybe == nil")
	case 'l':
		return g.pick("rows", "rows[1:]", "[rows[0]]")
	case 'm':
		return g.pick("[1, 0.5, 2]", "late", "(late ?? [])", "1..3", "[maybe]", "[]")
	case 'w':
		return g.pick("names", "['x', s]", "[]")
	case 'd':
		return g.pick("event.time", "date('2026-02-03')", "date('2026-02-03T10:00:00+03:00')", "deal.closed")
	}
	return g.pick("nil", "thing", "omit", "deal", "rows", "deal.UF_CRM_2", "1", "s", "event.time", "[]")
}

func (g *generator) form(kind byte) string {
	switch kind {
	case 'n':
		return g.pick("($n + $n)", "$n - $n", "$n * $n", "$n / $n", "$n % $n", "$n ** 2", "-$n", "round($n)", "round($n, 2)", "floor($n)", "abs($n)", "int($n)",
			"sum($l, ${n)", "sum($m)", "count($l, ${b)", "len($l)", "len($t)", "($b ? $n : $n)", "($n ?? $n)", "min($n, $n)", "(max($m) ?? $n)", "mean($m)", "median($m)",
			"find($l, ${b)?.price", "findIndex($w, ${b)", "reduce($m, #acc + ${n, $n)", "first($m)", "$m[0]", "get($m, $n)", "number($t)", "yearOf($d)", "daysBetween($d, $d)",
			"indexOf($t, $t)", "({a: $n, b: $t}.a)", "(let $+$v = $n; $v * $v)", "(deal.amount != nil ? deal.amount + $n : $n)", "(maybe != nil && maybe > $n ? maybe : $n)")
	case 'i':
		return g.pick("len($l)", "indexOf($t, $t)", "weekdayOf($d)", "hourOf($d)", "count($l, ${b)", "-len($l)", "(findIndex($l, ${b) ?? 0)", "sum($l, len(.key))", "max(len($l), 0)")
	case 'c':
		return g.pick("lower($t)", "upper($t)", "trim(lower($t))", "lower($t)[1:]", "lower($t) + 'A'")
	case 't':
		return g.pick("$t + $t", "upper($t)", "string($n)", "join($w, $t)", "trim($t)", "replace($t, $t, $t)", "repeat($t, 2)", "$t[1:]", "($b ? $t : $t)", "($t ?? $t)",
			"join(map($l, ${t), '-')", "formatDate($d, 'dd.MM.yyyy')", "first($w)", "groupBy($l, ${t)[0].key", "string($d)")
	case 'b':
		return g.pick("$n < $n", "$n >= $n", "$i < $i", "$i >= $i", "$i == $i", "$i > $i", "$i != $i", "$i <= $i", "$c == $c", "$c contains $c", "$i != nil", "$c == nil", "$n == $n", "$t == $t", "$t != $t", "$b && $b", "$b || $b", "!$b", "$n in $m", "$t in $w", "$t contains $t", "any($l, ${b)", "all($m, ${n > 1)",
			"none($l, ${b)", "one($l, ${b)", "$a == nil", "$a == $a", "isEmpty($a)", "$t matches '^a'", "$d < $d", "$l == $l", "(1 < $n < 3)", "($b ?: $b)", "not ($b)", "$t < $t", "'price' in rows[0]")
	case 'l':
		return g.pick("filter($l, ${b)", "sortBy($l, ${n)", "sortBy($l, ${t, 'desc')", "reverse($l)", "concat($l, $l)", "take($l, 2)", "uniq($l)", "$l[1:]", "($b ? $l : $l)",
			"map($l, {price: ${n, key: ${t, quantity: 1, productName: s, productId: ${a})", "groupBy($l, ${a)[0].items", "flatten(map($l, [#]))", "flatten([$l, $l])")
	case 'm':
		return g.pick("map($l, ${n)", "map($m, ${n)", "filter($m, ${b)", "[$n, $n]", "sort($m)", "uniq($m)", "1..len($l)", "concat($m, $m)", "(late ?? $m)", "map(groupBy($l, ${n), .key)", "flatten(map($l, [${n]))", "reverse($m)")
	case 'w':
		return g.pick("map($l, ${t)", "[$t, $t]", "split($t, 'a')", "sort($w, 'desc')", "uniq($w)", "keys({a: $n})", "filter($w, ${b)", "concat($w, $w)", "map(groupBy($w, ${t), .key)")
	case 'd':
		return g.pick("addDays($d, 1)", "addMonths($d, $n)", "($b ? $d : $d)", "($d ?? $d)", "date('31.01.2026', 'Europe/Riga')", "addWorkdays($d, $n)",
			"toWorkTime($d)", "atTime($d, '09:00')", "inZone($d, 'Asia/Tokyo')", "tryDate($t)")
	}
	return g.pick("{a: $a, b: $n}", "[$a, $a]", "($b ? $a : $a)", "($a ?? $a)", "$n", "$t", "$b", "$l", "$m", "{a: $l}.a[0]?.price", "map($l, ${a)", "reduce($m, [#acc], $a)",
		"toPairs({a: $a, b: $n})", "values({a: $n, b: $n})", "fromPairs([['a', $a]])", "groupBy($l, ${a)", "if $b { $a } else { $a }", "first($l)", "findLast($l, ${b)", "min($w)", "$a?.price", "{($t): $a}")
}

// checkAlways holds that a condition has the value that a warning says it always has.
func checkAlways(t *testing.T, f *formula.Formula, v any) {
	t.Helper()
	for _, d := range f.Doubts() {
		outcome, said := strings.CutPrefix(d.Text(), "this condition is always ")
		if said && d.From == 0 && d.To == len([]rune(f.Source())) && !strings.HasPrefix(outcome, fmt.Sprint(v)) {
			t.Errorf("%s: %s, but it is %v", f.Source(), d.Text(), v)
		}
	}
}

// TestRandomFormulas holds that what compiles gives a value of the inferred type,
// or an error with a place, and that a formula never breaks expr's compiler.
func TestRandomFormulas(t *testing.T) {
	count := 20_000
	if testing.Short() {
		count = 2_000
	}
	m, vars := formula.NewMachine(t.Context()), testVars()
	var compiled, evaluated, known int
	for seed := range count {
		g := &generator{Rand: rand.New(rand.NewPCG(7, uint64(seed)))}
		src := g.expr("ntblmwda"[seed%8], 1+seed%4)
		f, problems := formula.Compile(src, testEnv)
		if problems != nil {
			checkPlaces(t, src, problems)
			for _, p := range problems {
				if strings.Contains(p.Text(), "cannot be compiled") {
					t.Errorf("%s: %s", src, p.Text())
				}
			}
			continue
		}
		compiled++
		v, err := f.Eval(m, vars)
		var failed *formula.Error
		switch {
		case errors.As(err, &failed):
			checkError(t, src, err)
		case err != nil:
			t.Errorf("%s: %v", src, err)
		case !formula.Conforms(v, f.Type()):
			t.Errorf("%s: %v is not of the type %s", src, v, f.Type())
		default:
			checkAlways(t, f, v)
			evaluated++
			if f.Type().Kind != formula.Any {
				known++
			}
		}
		if t.Failed() && compiled > 100 {
			t.FailNow()
		}
	}
	t.Logf("%d formulas: %d compile, %d give a value, of %d the type is known", count, compiled, evaluated, known)
	if compiled < count/5 || known < compiled/2 {
		t.Error("the generator writes too few good formulas")
	}
}
