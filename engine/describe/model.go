package describe

import (
	"fmt"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/engine"
)

// modeler writes a model. wording says that it also writes the words of texts.
type modeler struct {
	strings.Builder
	wording bool
}

// Model returns a canonical text of the set: its inputs, vars, rules and steps with
// their values. Titles, comments, places and the layout of the file are not part of
// it, so two files with the same model do the same.
func Model(s *engine.RuleSet) string { return model(s, true) }

// Logic is Model without the words of texts. Like titles, these words are for people.
func Logic(s *engine.RuleSet) string { return model(s, false) }

func model(s *engine.RuleSet, wording bool) string {
	b := &modeler{wording: wording}
	for _, in := range s.Inputs {
		fmt.Fprintf(b, "input %s %s %v %v\n", in.Name, in.Type, in.HasDefault, in.Default)
	}
	for _, v := range s.Vars {
		fmt.Fprintf(b, "var %s ", v.Name)
		modelValue(v.Value, b)
		b.WriteString("\n")
	}
	for _, r := range s.Rules {
		modelRule(r, b)
	}
	return b.String()
}

func modelRule(r *engine.Rule, b *modeler) {
	fmt.Fprintf(b, "rule %s owner %s debounce %s %s limits %v portals %v\n", r.ID, r.Owner, r.Debounce, r.Ceiling, r.Limits, r.Portals)
	triggers := make([]string, len(r.Triggers))
	for i, t := range r.Triggers {
		triggers[i] = fmt.Sprintf("%s/%d", t.Code, t.EntityTypeID)
	}
	slices.Sort(triggers)
	if r.AboutKind != nil {
		fmt.Fprintf(b, "about %+v\n", *r.AboutKind)
	}
	for _, s := range r.Schedules {
		fmt.Fprintf(b, "schedule %s filter ", s)
		if s.Filter != nil {
			modelValue(&engine.Value{Record: s.Filter}, b)
		}
		b.WriteString("\n")
	}
	if h := r.Hook; h != nil {
		fmt.Fprintf(b, "hook %s %s key ", h.Name, h.Form.Model())
		modelValue(h.Key, b)
		b.WriteString("\n")
	}
	for _, robot := range r.Robots {
		fmt.Fprintf(b, "robot %s %v\n", robot.Code, robot.Types)
	}
	fmt.Fprintf(b, "on %s\nwhen ", strings.Join(triggers, " "))
	modelValue(r.When, b)
	b.WriteString(" entity ")
	modelValue(r.Entity, b)
	b.WriteString("\n")
	modelSteps(b, "steps", r.Steps)
	modelSteps(b, "deleted", r.Deleted)
}

func modelSteps(b *modeler, what string, steps []*engine.Step) {
	for i, s := range steps {
		fmt.Fprintf(b, "%s %d %s id %s limit %d timeout %s retry %d on_error %d", what, i, s.Action.Name, s.ID, s.Limit, s.Timeout, s.Retry, s.OnError)
		b.WriteString(" when ")
		modelValue(s.When, b)
		if s.Entered != nil {
			b.WriteString(" entered ")
			modelValue(s.Entered, b)
		}
		if s.At != nil {
			fmt.Fprintf(b, " late %s at ", s.Late)
			modelValue(s.At, b)
		}
		b.WriteString(" once ")
		modelValue(s.Once, b)
		b.WriteString(" for_each ")
		modelValue(s.ForEach, b)
		b.WriteString("\n")
		for _, a := range s.Args {
			fmt.Fprintf(b, "  %s %v ", a.Field.Name, a.Fixed)
			modelValue(a.Value, b)
			modelFields(a.Fields, b)
			for _, n := range a.Names {
				fmt.Fprintf(b, " %s: ", n.Name)
				modelValue(n.Value, b)
			}
			b.WriteString("\n")
		}
		modelSteps(b, what+"/on_error", s.Instead)
	}
}

func modelValue(v *engine.Value, b *modeler) {
	switch {
	case v == nil:
		b.WriteString("-")
	case v.Formula != nil:
		b.WriteString("=" + strings.Join(v.Formula.Conjuncts(), " && "))
	case v.Template != nil:
		b.WriteString("text ")
		if b.wording {
			fmt.Fprintf(b, "%q", v.Node.Value)
		}
		for _, f := range v.Template.Sources() {
			fmt.Fprintf(b, "{{%s}}", f)
		}
	case v.List != nil:
		b.WriteString("[")
		for _, e := range v.List {
			modelValue(e, b)
			b.WriteString(", ")
		}
		b.WriteString("]")
	case v.Record != nil:
		modelFields(v.Record, b)
	default:
		fmt.Fprintf(b, "%T %v", v.Literal, v.Literal)
	}
}

func modelFields(f *engine.FieldsValue, b *modeler) {
	if f == nil {
		return
	}
	b.WriteString("{")
	for _, e := range f.Entries {
		modelValue(e.Key, b)
		b.WriteString(": ")
		modelValue(e.Value, b)
		b.WriteString(", ")
	}
	b.WriteString("}")
}
