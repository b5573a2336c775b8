package lint

import (
	"cmp"
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/schemas"
)

// flow follows values through a rule and from one rule to another.
type flow struct {
	*engine.Origins
	rule  *engine.Rule
	known map[string]any // the result of constants
}

func newFlow(r *engine.Rule) *flow { return &flow{Origins: engine.NewOrigins(r), rule: r} }

// depends reports whether a value depends on the run, and not only on the file and its
// inputs.
func (f *flow) depends(v *engine.Value) bool {
	out := false
	f.Sources(v, func(p string) {
		name := engine.PathPrefix(p, 1)
		out = out || name != engine.NameInputs && name != engine.NameVars && f.Computed[name] == nil
	})
	return out
}

// grows reports whether a step adds new items in every run: it adds without a key, or its
// key depends on the run.
func (f *flow) grows(a *access) bool {
	return a.Which == "" || slices.ContainsFunc(a.entries(a.Which), func(x *engine.FieldEntry) bool { return f.depends(x.Value) })
}

// writesAgain says why a step that updates writes again when the event of that update
// arrives. unstable says why one of its fields gets another value in each pass. The phrase
// is empty when the step finds nothing to write.
func (f *flow) writesAgain(a *access, unstable diag.Phrase) diag.Phrase {
	switch {
	case a.step.Entered != nil || a.step.At != nil:
		return diag.Phrase{} // the condition stays true, and the time is the same
	case a.step.Once != nil && f.varying(a, a.step.Once).Empty():
		return diag.Phrase{}
	case !a.Compares && a.step.Once != nil:
		return diag.Phrasef("once is computed from %s, which differs in every pass", f.varying(a, a.step.Once))
	case !a.Compares:
		return diag.Phrasef("%s writes even when nothing differs", a.step.Action.Name)
	case !unstable.Empty():
		return unstable
	}
	return f.growing(a)
}

// growing says that a step makes a list longer in each pass, because it adds to what it has read.
// The phrase is empty when it does not.
func (f *flow) growing(a *access) diag.Phrase {
	v, base := a.rows(), ""
	if v == nil || v.Formula == nil {
		return diag.Phrase{}
	}
	vars := maps.Clone(f.constants())
	for _, p := range v.Formula.Paths() {
		name := engine.PathPrefix(p, 1)
		switch s := f.Fetched[name]; {
		case vars[name] != nil:
		case s != nil && p == name && s.Effect() == engine.Reads && f.reads(s, a.of) && (base == "" || base == name):
			base = name
		default:
			formula.SetPath(vars, p, num.FromInt(5))
		}
	}
	guarded := base == ""
	for _, c := range []*engine.Value{a.step.When, f.rule.When} {
		f.Sources(c, func(p string) { guarded = guarded || engine.PathPrefix(p, 1) == base })
	}
	if guarded {
		return diag.Phrase{}
	}
	m := formula.NewMachine(context.Background())
	var rows any = []any{}
	for size, pass := 0, 0; pass < 3; pass++ {
		vars[base] = rows
		next, err := v.Formula.Eval(m, vars)
		list, isList := next.([]any)
		if err != nil || !isList || len(list) <= size {
			return diag.Phrase{}
		}
		rows, size = next, len(list)
	}
	return diag.Phrasef("each pass adds to the rows that it has read")
}

// unstable says why a field gets another value in each pass. The phrase is empty when
// it does not.
func (f *flow) unstable(e *effect, a *access, x *field, v *engine.Value) diag.Phrase {
	if what := f.varying(a, v); !what.Empty() {
		return diag.Phrasef("%s is computed from %s, which differs in every pass", cmp.Or(x.name, "a field"), what)
	}
	if x.name == "" || !x.readsField(e, x.name) || e.step.reads(x.name) || x.value.repeats(x.name) {
		return diag.Phrase{}
	}
	return diag.Phrasef("%s is computed from itself", x.name)
}

// varying names what differs from pass to pass while no person changes data: the time of
// the event, or what every write of a changes. The phrase is empty when nothing does.
func (f *flow) varying(a *access, v *engine.Value) diag.Phrase {
	var out diag.Phrase
	f.Sources(v, func(p string) {
		switch p {
		case "event.time":
			if f.fineTime(v, 0) {
				out = diag.Phrasef("%s", p)
			}
		case "event.count":
			out = diag.Phrasef("%s", p)
		case engine.NameEvent:
			out = diag.Phrasef("the whole event")
		}
		name, field, _ := strings.Cut(p, ".")
		if s := f.Fetched[name]; s != nil && schemas.ChangesWithEachEdit(field) && f.reads(s, a.of) && !coarse(v) {
			out = diag.Phrasef("%s", p)
		}
	})
	return out
}

// fineTime reports whether a value depends on the time of the event in more than its day: itself, or
// by a computed value or the arguments of a step.
func (f *flow) fineTime(v *engine.Value, depth int) bool {
	if depth > 8 {
		return true
	}
	out := false
	v.Paths(func(p string) {
		name := engine.PathPrefix(p, 1)
		switch {
		case p == "event.time":
			out = out || !daily(v)
		case f.Computed[name] != nil:
			out = out || f.fineTime(f.Computed[name], depth+1)
		case f.Fetched[name] != nil:
			selecting := selects(f.Fetched[name])
			f.Fetched[name].EachValue(func(v *engine.Value) { out = out || !selecting[v] && f.fineTime(v, depth+1) })
		}
	})
	return out
}

// selects returns the values with which a step selects the records that it reads. When such a value
// is a time, a later pass finds the same records, unless the time of one of them has come.
func selects(s *engine.Step) map[*engine.Value]bool {
	out := map[*engine.Value]bool{}
	for _, t := range s.Touches() {
		if !t.Reads {
			continue
		}
		entries, _ := s.Types.Part(t.Which)
		for _, x := range entries {
			out[x.Value] = true
		}
	}
	return out
}

// eventTime finds the time of the event, and dailyTime its parts that stay the same for a day.
var (
	eventTime = regexp.MustCompile(`\bevent\.time\b`)
	dailyTime = regexp.MustCompile(`\b(?:(?:yearOf|monthOf|dayOf|weekdayOf|isWorkday|daysBetween|workdaysBetween)\([^()]*\bevent\.time\b|formatDate\(\s*event\.time\s*,\s*(?:"[^"Hhms]*"|'[^'Hhms]*'))`)
)

// daily reports whether a value uses only the day of the time of the event.
func daily(v *engine.Value) bool {
	text := ""
	if v.Node != nil {
		text = v.Node.Value
	}
	return text != "" && len(eventTime.FindAllString(text, -1)) == len(dailyTime.FindAllString(text, -1))
}

// coarseParts are functions that give the same value for many times.
var coarseParts = regexp.MustCompile(`\b(formatDate|yearOf|monthOf|dayOf|weekdayOf|hourOf|daysBetween|isWorkday|workdaysBetween)\(`)

// coarse reports whether a value uses only a part of a time, such as its day.
func coarse(v *engine.Value) bool {
	return v.Node != nil && coarseParts.MatchString(v.Node.Value)
}

// readsOf lists what a value depends on of the records that the rule reads.
func (f *flow) readsOf(v *engine.Value) []readOf {
	var out []readOf
	f.Sources(v, func(p string) {
		name, rest, _ := strings.Cut(p, ".")
		s := f.Fetched[name]
		if s == nil || s.Effect() != engine.Reads {
			return
		}
		for _, of := range f.kindsRead(s) {
			if one := (readOf{of, engine.PathPrefix(rest, 1)}); !slices.Contains(out, one) {
				out = append(out, one)
			}
		}
	})
	return out
}

// kindsRead lists the kinds of records that a step reads, as access.of names them.
func (f *flow) kindsRead(s *engine.Step) []string {
	var out []string
	for _, t := range s.Touches() {
		if !t.Reads {
			continue
		}
		a := access{Touch: t, rule: f.rule, step: s}
		if a.resolve(nil); a.of != "" {
			out = append(out, a.of)
		}
	}
	return out
}

// reads reports whether a step reads records of a kind.
func (f *flow) reads(s *engine.Step, of string) bool { return slices.Contains(f.kindsRead(s), of) }

// constants are the vars and inputs whose values are known before any run.
func (f *flow) constants() map[string]any {
	if f.known != nil {
		return f.known
	}
	vars, inputs := map[string]any{}, map[string]any{}
	for _, n := range f.rule.Set.Vars {
		if x, ok := n.Value.Const(); ok {
			vars[n.Name] = x
		}
	}
	for _, in := range f.rule.Set.Inputs {
		if in.HasDefault {
			inputs[in.Name] = in.Default
		}
	}
	f.known = map[string]any{engine.NameVars: vars, engine.NameInputs: inputs}
	return f.known
}
