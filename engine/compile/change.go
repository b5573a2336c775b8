package compile

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
)

// maxTries bounds how many values onlyAfterChange tries.
const maxTries = 4000

// onlyAfterChange reports whether a condition is true only in runs that see something new:
// a value that differs from the one of the last run (before), or the result of a step that
// itself runs only then (at, once, entered). Such a condition is false again in the next
// run. It is tried with the values that the condition names. steps are those before it.
func onlyAfterChange(when *engine.Value, steps []*engine.Step) bool {
	if when == nil || when.Formula == nil {
		return false
	}
	t := &trial{formulas: map[string]*engine.Value{}, rare: map[string]bool{}, values: []any{nil, "", true, false, num.FromInt(0), num.FromInt(1)}}
	for _, s := range steps {
		t.rare[s.ID] = s.Remembers
		for _, a := range s.Args {
			for _, n := range a.Names {
				t.formulas[n.Name], t.rare[n.Name] = n.Value, s.Remembers
			}
		}
	}
	if t.collect(when); !t.ok() {
		return false
	}
	return t.canBeTrue(when, false) && !t.canBeTrue(when, true)
}

// A trial computes a condition with many values of what it reads.
type trial struct {
	formulas map[string]*engine.Value // of computed names
	rare     map[string]bool          // names of results that are missing in a run without news
	leaves   []string                 // the paths that get values
	past     []string                 // the paths below before
	computed []string                 // the names that are computed, each after those that it reads
	values   []any
	lists    bool // values has lists
}

// ofLists finds the functions that take a list.
var ofLists = regexp.MustCompile(`\b(len|count|sum|map|filter|find|any|all|none|first|last|join|uniq|concat|sort|max|min)\(| in \w`)

// constants finds the texts and numbers in a formula.
var constants = regexp.MustCompile(`"([^"\\]*)"|'([^'\\]*)'|\b\d+(?:\.\d+)?\b`)

// collect finds what a value reads.
func (t *trial) collect(v *engine.Value) {
	if v.Formula != nil {
		for _, m := range constants.FindAllStringSubmatch(v.Formula.Source(), -1) {
			if n, err := num.Parse(m[0]); err == nil {
				t.add(n)
				if next, err := n.Add(num.FromInt(1)); err == nil {
					t.add(next)
				}
			} else {
				t.add(m[1] + m[2])
			}
		}
	}
	if v.Formula != nil && ofLists.MatchString(v.Formula.Source()) && !t.lists {
		t.lists = true
		t.values = append(t.values, []any{}, []any{num.FromInt(1)})
	}
	v.Paths(func(p string) {
		if rest, ok := strings.CutPrefix(p, engine.NameBefore+"."); ok {
			if !slices.Contains(t.past, rest) {
				t.past = append(t.past, rest)
			}
			p = rest
		}
		name := engine.PathPrefix(p, 1)
		c := t.formulas[name]
		switch {
		case slices.Contains(t.leaves, p) || slices.Contains(t.computed, name):
		case c == nil || t.rare[name]:
			t.leaves = append(t.leaves, p)
		default:
			t.collect(c)
			t.computed = append(t.computed, name)
		}
	})
}

func (t *trial) add(v any) {
	if !slices.ContainsFunc(t.values, func(x any) bool { _, isList := x.([]any); return !isList && x == v }) {
		t.values = append(t.values, v)
	}
}

// ok reports whether the condition reads something that changes, and little enough to
// try it.
func (t *trial) ok() bool {
	changes := len(t.past) > 0
	for _, p := range t.leaves {
		changes = changes || t.rare[engine.PathPrefix(p, 1)]
		inside := func(other string) bool { return strings.HasPrefix(other, p+".") }
		if slices.ContainsFunc(t.leaves, inside) || slices.ContainsFunc(t.past, inside) {
			return false
		}
	}
	return changes
}

// canBeTrue reports whether some values make the condition true. With still, nothing has
// changed since the last run, and the results of steps that did not run are missing.
func (t *trial) canBeTrue(when *engine.Value, still bool) bool {
	free := len(t.leaves)
	if !still {
		free += len(t.past)
	}
	chosen := make([]int, free)
	for range maxTries {
		vars := map[string]any{}
		for i, p := range t.leaves {
			v := t.values[chosen[i]]
			if still && t.rare[engine.PathPrefix(p, 1)] {
				v = nil
			}
			formula.SetPath(vars, p, v)
		}
		m := formula.NewMachine(context.Background())
		for _, name := range t.computed {
			if c := t.formulas[name]; c.Formula != nil {
				vars[name], _ = c.Formula.Eval(m, vars) // nil when it fails
			}
		}
		for i, p := range t.past {
			if still {
				formula.SetPath(vars, engine.NameBefore+"."+p, getPath(vars, p))
			} else {
				formula.SetPath(vars, engine.NameBefore+"."+p, t.values[chosen[len(t.leaves)+i]])
			}
		}
		if v, err := when.Formula.Eval(m, vars); err == nil && v == true {
			return true
		}
		i := 0
		for ; i < free; i++ {
			if chosen[i]++; chosen[i] < len(t.values) {
				break
			}
			chosen[i] = 0
		}
		if i == free {
			return false
		}
	}
	return still // too many to try: nothing is known
}

func getPath(vars map[string]any, path string) any {
	var v any = vars
	for name := range strings.SplitSeq(path, ".") {
		inner, _ := v.(map[string]any)
		v = inner[name]
	}
	return v
}
