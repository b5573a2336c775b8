package compile

import (
	"maps"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
)

// known holds the names that formulas see at one place of a rule, with the conditions
// under which each has a value.
type known struct {
	types  map[string]formula.Type
	guards map[string][]string // a name has a value when these conditions hold; most names have no conditions
	later  map[string]string   // names that are not visible here, with the reason
	// trusted are the names and paths whose values are not data.
	trusted map[string]bool
	// present is what the conditions around this place make certain.
	present formula.Facts
	// implied is what a computed condition says when it is true.
	implied map[string]formula.Facts
	// given is what holds where a result has a value.
	given map[string]formula.Facts
}

func (k *known) clone() *known {
	out := &known{types: make(map[string]formula.Type, len(k.types)), guards: k.guards, later: k.later, trusted: maps.Clone(k.trusted), present: k.present, implied: maps.Clone(k.implied), given: maps.Clone(k.given)}
	for n, t := range k.types {
		out.types[n] = t
	}
	out.guards = make(map[string][]string, len(k.guards))
	for n, g := range k.guards {
		out.guards[n] = g
	}
	return out
}

// never is a condition that no step can have. It guards the result of a step that may
// fail while the run continues.
const never = "\x00"

// define adds a name that has a value when all guards hold.
func (k *known) define(name string, t formula.Type, guards []string) {
	k.types[name] = t
	if delete(k.guards, name); len(guards) > 0 {
		k.guards[name] = guards
	}
}

// knowing returns the same names at a place where more facts are known.
func (k *known) knowing(facts formula.Facts) *known {
	out := *k
	out.present = k.present.And(facts)
	return &out
}

// env is the environment of formulas at a place where all conditions hold. A name whose
// guards are among the conditions has a value; the others may be missing. The result is
// valid until the next name is defined.
func (k *known) env(conditions []string) formula.Env {
	var missing []string
	guards := map[string][]string{}
	for n, conds := range k.guards {
		if rest := without(conds, conditions); len(rest) > 0 {
			missing = append(missing, n)
			guards[n] = rest
		}
	}
	vars := k.types
	if len(missing) > 0 { // otherwise no copy is needed, and a rule may have thousands of names
		vars = maps.Clone(vars)
	}
	for _, n := range missing {
		vars[n] = vars[n].Optional()
	}
	return formula.Env{Vars: vars, Later: k.later, Absent: absent, Present: k.present, Trusted: k.trusted, Guards: guards, Implied: k.implied, Given: k.given}
}

// without returns the conditions that are not among others.
func without(conditions, others []string) []string {
	var rest []string
	for _, c := range conditions {
		if !slices.Contains(others, c) {
			rest = append(rest, c)
		}
	}
	return rest
}

// with returns the environment with the names of one place, such as row. trusted says
// that their values are not data.
func with(env formula.Env, extra map[string]formula.Type, trusted bool) formula.Env {
	vars := make(map[string]formula.Type, len(env.Vars)+len(extra))
	for n, t := range env.Vars {
		vars[n] = t
	}
	known := map[string]bool{}
	maps.Copy(known, env.Trusted)
	for n, t := range extra {
		vars[n] = t
		if delete(known, n); trusted {
			known[n] = true
		}
	}
	env.Vars, env.Trusted = vars, known
	return env
}

// rowNames are the names inside rows and for_each.
func rowNames(list formula.Type) map[string]formula.Type {
	return map[string]formula.Type{engine.NameRow: elemOf(list), engine.NameIndex: {Kind: formula.Int}}
}

// groupNames are the names inside a group of rows. Without a key all rows are one group,
// which may be empty.
func groupNames(list formula.Type, key *engine.Argument) map[string]formula.Type {
	fields := map[string]formula.Type{"key": {Kind: formula.Any}, "rows": formula.ListOf(elemOf(list))}
	if key != nil {
		fields["key"], fields["rows"] = key.Type, formula.SizedList(elemOf(list), 1)
	}
	return map[string]formula.Type{engine.NameGroup: formula.RecordOf(fields)}
}

func elemOf(list formula.Type) formula.Type {
	if list.Kind == formula.List && list.Elem != nil {
		return *list.Elem
	}
	return formula.Type{Kind: formula.Any}
}

const ruleIDHint = "use at most 64 lower-case letters, digits, - and _, start with a letter, and do not end with -"

// ruleID reports whether a text may be the id of a rule.
func ruleID(s string) bool {
	if s == "" || len(s) > 64 || s[0] < 'a' || s[0] > 'z' || s[len(s)-1] == '-' {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}) < 0
}
