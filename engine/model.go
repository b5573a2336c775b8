package engine

import (
	"fmt"
	"slices"
	"strings"
)

// modeler writes a model.
type modeler struct {
	strings.Builder
	wording bool
}

// Model returns a text of all that the set does: inputs, vars, rules and steps
// with their values, in canonical form. Titles, comments, places and the layout
// of the file are not in it, so that two files with one model run alike.
func (s *RuleSet) Model() string { return s.model(true) }

// Logic is Model without the words that stand between the holes of a text:
// like titles they are for people.
func (s *RuleSet) Logic() string { return s.model(false) }

func (s *RuleSet) model(wording bool) string {
	b := &modeler{wording: wording}
	for _, in := range s.Inputs {
		fmt.Fprintf(b, "input %s %s %v %v\n", in.Name, in.Type, in.HasDefault, in.Default)
	}
	for _, v := range s.vars {
		fmt.Fprintf(b, "var %s ", v.name)
		v.value.model(b)
		b.WriteString("\n")
	}
	for _, r := range s.Rules {
		r.model(b)
	}
	return b.String()
}

func (r *Rule) model(b *modeler) {
	fmt.Fprintf(b, "rule %s owner %s debounce %s %s limits %v portals %v\n", r.ID, r.Owner, r.Debounce, r.Ceiling, r.Limits, r.Portals)
	triggers := make([]string, len(r.Triggers))
	for i, t := range r.Triggers {
		triggers[i] = fmt.Sprintf("%s/%d", t.Code, t.EntityTypeID)
	}
	slices.Sort(triggers)
	fmt.Fprintf(b, "on %s\nwhen ", strings.Join(triggers, " "))
	r.when.model(b)
	b.WriteString(" entity ")
	r.entity.model(b)
	b.WriteString("\n")
	modelSteps(b, "steps", r.steps)
	modelSteps(b, "deleted", r.deleted)
}

func modelSteps(b *modeler, what string, steps []*step) {
	for i, s := range steps {
		fmt.Fprintf(b, "%s %d %s id %s limit %d timeout %s retry %d on_error %d", what, i, s.action.Name, s.id, s.limit, s.timeout, s.retry, s.onError)
		b.WriteString(" when ")
		s.when.model(b)
		b.WriteString(" once ")
		s.once.model(b)
		b.WriteString(" for_each ")
		s.forEach.model(b)
		b.WriteString("\n")
		for _, a := range s.args {
			fmt.Fprintf(b, "  %s %v ", a.field.Name, a.fixed)
			a.value.model(b)
			a.fields.model(b)
			for _, n := range a.names {
				fmt.Fprintf(b, " %s: ", n.name)
				n.value.model(b)
			}
			b.WriteString("\n")
		}
		modelSteps(b, what+"/on_error", s.inner)
	}
}

func (v *value) model(b *modeler) {
	switch {
	case v == nil:
		b.WriteString("-")
	case v.formula != nil:
		b.WriteString("=" + strings.Join(v.formula.Conjuncts(), " && "))
	case v.template != nil:
		b.WriteString("text ")
		if b.wording {
			fmt.Fprintf(b, "%q", v.node.Value)
		}
		for _, f := range v.template.Sources() {
			fmt.Fprintf(b, "{{%s}}", f)
		}
	case v.list != nil:
		b.WriteString("[")
		for _, e := range v.list {
			e.model(b)
			b.WriteString(", ")
		}
		b.WriteString("]")
	case v.record != nil:
		v.record.model(b)
	default:
		fmt.Fprintf(b, "%T %v", v.literal, v.literal)
	}
}

func (f *fieldsValue) model(b *modeler) {
	if f == nil {
		return
	}
	b.WriteString("{")
	for _, e := range f.entries {
		e.key.model(b)
		b.WriteString(": ")
		e.value.model(b)
		b.WriteString(", ")
	}
	b.WriteString("}")
}
