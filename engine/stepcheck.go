package engine

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/engine/formula"
)

// StepCheck gives an action's Check access to one step and reports its findings.
type StepCheck struct {
	report  Reporter
	rule    *Rule
	step    *Step
	deleted bool
	before  []*Step
}

// Reporter receives findings at places in a rule file. Package compile implements it,
// and tests of an action's Check can do so.
type Reporter interface {
	// Errorf reports a mistake at a node. Callers may set a hint in the result, before
	// the next finding.
	Errorf(n *yaml.Node, code, format string, args ...any) *Finding
	// Warnf reports a likely mistake.
	Warnf(n *yaml.Node, code, format string, args ...any) *Finding
}

// NewStepCheck returns the argument for the Check of a step's action. before are the steps
// before it in the rule. deleted says that the step is one of the rule's deleted steps.
func NewStepCheck(report Reporter, rule *Rule, step *Step, before []*Step, deleted bool) *StepCheck {
	return &StepCheck{report: report, rule: rule, step: step, before: before, deleted: deleted}
}

// Types returns the types of the step's arguments.
func (s *StepCheck) Types() *ArgTypes { return s.step.Types }

// Source returns the formula of an argument, or of its only field, without the "=". It
// returns "" when the argument has no formula.
func (s *StepCheck) Source(arg string) string {
	a := s.step.Types.Arg(arg)
	if a == nil {
		return ""
	}
	v := a.Value
	if a.Fields != nil && len(a.Fields.Entries) == 1 {
		v = a.Fields.Entries[0].Value
	}
	if v == nil || v.Formula == nil {
		return ""
	}
	return v.Formula.Source()
}

// Errorf reports a mistake at an argument, or at the action's name when the file does
// not have the argument.
func (s *StepCheck) Errorf(arg, code, format string, args ...any) *Finding {
	return s.report.Errorf(s.node(arg), code, format, args...)
}

// Warnf reports a likely mistake at the same place as Errorf.
func (s *StepCheck) Warnf(arg, code, format string, args ...any) *Finding {
	return s.report.Warnf(s.node(arg), code, format, args...)
}

func (s *StepCheck) node(arg string) *yaml.Node {
	switch a := s.step.Types.Arg(arg); {
	case a == nil:
	case a.Value != nil:
		return a.Value.Node
	case a.Key != nil:
		return a.Key
	}
	return s.step.Verb
}

// Remembers reports whether the memory of earlier runs decides if the step runs.
func (s *StepCheck) Remembers() bool { return s.step.Remembers || s.step.AfterChange }

// Ordered reports whether each run of the rule is meant as one: only a schedule, a robot or a
// business process starts it, and no edit.
func (s *StepCheck) Ordered() bool {
	return len(s.rule.Triggers) == 0 && s.rule.Hook == nil && len(s.rule.Schedules)+len(s.rule.Robots) > 0
}

// Parks reports whether a failure of the step parks the run.
func (s *StepCheck) Parks() bool { return s.step.OnError == OnErrorPark }

// Repeated reports whether the step runs for each element of a list.
func (s *StepCheck) Repeated() bool { return s.step.ForEach != nil }

// Deleted reports whether the step runs for an entity that no longer exists.
func (s *StepCheck) Deleted() bool { return s.deleted }

// Reads returns the names that an argument's formulas read, sorted.
func (s *StepCheck) Reads(arg string) []string {
	var out []string
	if a := s.step.Types.Arg(arg); a != nil {
		a.EachValue(func(v *Value) { v.Reads(func(name string) { out = append(out, name) }) })
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// DependsOnEvent reports whether an argument depends on the event of the run, directly or
// by the steps before it.
func (s *StepCheck) DependsOnEvent(arg string) bool {
	a := s.step.Types.Arg(arg)
	if a == nil {
		return false
	}
	out := false
	origins := s.origins()
	a.EachValue(func(v *Value) {
		origins.Sources(v, func(path string) { out = out || PathPrefix(path, 1) == NameEvent })
	})
	return out
}

// StepBefore returns the step with an id before this one in the rule, or nil.
func (s *StepCheck) StepBefore(id string) *Step { return s.origins().Fetched[id] }

// ReadFor returns the paths that an argument depends on by one step: those that its
// formulas read, and those that the arguments of the steps read whose results it reads.
func (s *StepCheck) ReadFor(arg string) []string {
	a := s.step.Types.Arg(arg)
	if a == nil {
		return nil
	}
	var out []string
	o := s.origins()
	a.EachValue(func(v *Value) {
		v.Paths(func(p string) {
			out = append(out, p)
			if before := o.Fetched[PathPrefix(p, 1)]; before != nil {
				before.EachValue(func(v *Value) { v.Paths(func(p string) { out = append(out, p) }) })
			}
		})
	})
	return out
}

// origins reads the names of the steps before this one.
func (s *StepCheck) origins() *Origins {
	o := newOrigins()
	for _, before := range s.before {
		o.add(before)
	}
	return o
}

// Rule returns the rule that holds the step. Its steps are not complete yet.
func (s *StepCheck) Rule() *Rule { return s.rule }

// EventTypes returns the entityTypeIds of the entities that event.id can name, 0 for
// entities outside the CRM. It is nil when the types are not known.
func (r *Rule) EventTypes() []int {
	if r.Entity != nil {
		return nil
	}
	var out []int
	for _, t := range r.Triggers {
		if t.Entity == "item" && t.EntityTypeID == 0 {
			return nil // items of any type
		}
		out = append(out, t.ItemType())
	}
	for _, b := range r.Robots {
		out = append(out, b.Types...)
	}
	if r.AboutKind != nil && !r.AboutKind.Portal {
		out = append(out, r.AboutKind.TypeID)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// NamedArg is one entry of an argument such as fields. Its name is known from the file,
// or from the default of an input.
type NamedArg struct {
	Name   string
	report Reporter
	entry  *FieldEntry
	types  *ArgTypes
}

// Type returns the type of the value.
func (n NamedArg) Type() formula.Type { return n.entry.Value.Type }

// Source returns the formula of the value without the "=", "" when it is no formula.
func (n NamedArg) Source() string {
	if f := n.entry.Value.Formula; f != nil {
		return strings.TrimSpace(f.Source())
	}
	return ""
}

// Reads returns the names that the formulas of the value read.
func (n NamedArg) Reads() (names []string) {
	n.entry.Value.Reads(func(name string) { names = append(names, name) })
	return names
}

// Const returns the value if it is the same in every run. For a known portal that includes
// the values of inputs.
func (n NamedArg) Const() (any, bool) { return n.types.constant(n.entry.Value) }

// WarnNamef reports a likely mistake at the name.
func (n NamedArg) WarnNamef(code, format string, args ...any) *Finding {
	return n.report.Warnf(n.entry.Key.Node, code, format, args...)
}

// WarnValuef reports a likely mistake at the value.
func (n NamedArg) WarnValuef(code, format string, args ...any) *Finding {
	return n.report.Warnf(n.entry.Value.Node, code, format, args...)
}

// Warner reports a likely mistake at a place.
type Warner func(code, format string, args ...any) *Finding

// EachConst calls f for each constant that the value can be: the value itself, if it is the same in
// every run, or what a choice such as deal.paid ? "WON" : "NEW" can give. warn reports a mistake in it.
func (n NamedArg) EachConst(f func(v any, warn Warner)) {
	if v, constant := n.Const(); constant {
		f(v, n.WarnValuef)
		return
	}
	value := n.entry.Value
	if value.Formula == nil {
		return
	}
	for _, o := range value.Formula.Outcomes() {
		f(o.Value, func(code, format string, args ...any) *Finding {
			if r, places := n.report.(partReporter); places {
				return r.WarnPartf(value.Node, o.From, o.To, code, format, args...)
			}
			return n.WarnValuef(code, format, args...)
		})
	}
}

// partReporter is a Reporter that knows the places of the parts of a formula.
type partReporter interface {
	WarnPartf(n *yaml.Node, from, to int, code, format string, args ...any) *Finding
}

// EachName calls f for each entry of an argument whose name is known.
func (s *StepCheck) EachName(arg string, f func(n NamedArg)) {
	entries, _ := s.step.Types.Part(arg)
	if a := s.step.Types.Arg(arg); a != nil {
		for _, n := range a.Names {
			f(NamedArg{Name: n.Name, report: s.report, entry: &FieldEntry{Key: n.Value, Value: n.Value}, types: s.step.Types})
		}
	}
	for _, e := range entries {
		if x, ok := s.rule.Fixed(e.Key, s.step.Types.inputs); ok {
			if name, err := formula.ToText(x); err == nil {
				f(NamedArg{Name: name, report: s.report, entry: e, types: s.step.Types})
			}
		}
	}
}

// EachElement calls f for each constant element of an argument that is a list. warn
// reports a likely mistake at the element.
func (s *StepCheck) EachElement(arg string, f func(v any, warn func(code, format string, args ...any) *Finding)) {
	a := s.step.Types.Arg(arg)
	if a == nil || a.Value == nil {
		return
	}
	for _, e := range a.Value.List {
		if v, constant := e.Const(); constant {
			f(v, func(code, format string, args ...any) *Finding {
				return s.report.Warnf(e.Node, code, format, args...)
			})
		}
	}
}
