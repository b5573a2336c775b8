package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"b24rules/engine/formula"
	"b24rules/num"
)

// checkLoops reports a rule that would feed itself without end: it hears the
// new items of a type and adds items of that type.
func (c *checker) checkLoops(r *Rule) {
	for _, s := range r.allSteps() {
		if !s.action.Creates {
			continue
		}
		for _, a := range s.args {
			if a.field.Name != "entityTypeId" {
				continue
			}
			written, constant := a.value.constant()
			id := 0
			if n, ok := written.(num.Num); ok && constant {
				i, _ := n.Int64()
				id = int(i)
			}
			for _, t := range r.Triggers {
				if t.Entity == "item" && t.EntityTypeID == 0 && !mentionsType(r) {
					c.errorf(a.value.node, "self-trigger", "rule %s hears %s of every type and adds items: each new item would start it again", r.ID, t.Code).Hint = "name the entityTypeId in on"
					break
				}
				if id != 0 && t.itemType() == id && t.Op != "delete" {
					c.errorf(a.value.node, "self-trigger", "rule %s hears the items of type %d and adds items of type %d: each new item would start it again", r.ID, id, id)
					break
				}
			}
		}
	}
}

// mentionsType reports whether the rule itself asks for the type of an item.
func mentionsType(r *Rule) bool {
	reads := false
	r.when.reads(func(name string) { reads = reads || name == nameEvent })
	return reads
}

// itemType is the type whose items a trigger is about; 0 when it is about
// something else or about all types.
func (t Trigger) itemType() int {
	if t.Entity == "item" {
		return t.EntityTypeID
	}
	return ownerTypeID(t.Entity)
}

func (r *Rule) allSteps() []*step {
	var out []*step
	var walk func([]*step)
	walk = func(steps []*step) {
		for _, s := range steps {
			out = append(out, s)
			walk(s.inner)
		}
	}
	walk(r.steps)
	walk(r.deleted)
	return out
}

// BindProblems reports loops that only a portal's inputs make visible: a helper
// type that is the very type the rule hears.
func (s *RuleSet) BindProblems(inputs map[string]any) []InputProblem {
	var out []InputProblem
	for _, r := range s.Rules {
		for _, st := range r.allSteps() {
			if p, found := r.boundLoop(st, inputs); found {
				out = append(out, p)
			}
		}
	}
	return out
}

// boundLoop evaluates the type that a step adds items of, when only inputs
// decide it, and compares it with what the rule hears.
func (r *Rule) boundLoop(s *step, inputs map[string]any) (InputProblem, bool) {
	if !s.action.Creates {
		return InputProblem{}, false
	}
	for _, a := range s.args {
		if a.field.Name != "entityTypeId" || a.value.formula == nil || !slices.Equal(a.value.formula.Vars(), []string{nameInputs}) {
			continue
		}
		sc := scope{vars: map[string]any{nameInputs: inputs}, machine: formula.NewMachine(context.Background())}
		v, err := a.value.eval(context.Background(), sc)
		n, isNum := v.(num.Num)
		if err != nil || !isNum {
			continue
		}
		id, _ := n.Int64()
		for _, t := range r.Triggers {
			if id != 0 && t.itemType() == int(id) && t.Op != "delete" {
				name := strings.TrimPrefix(a.value.formula.Source(), nameInputs+".")
				return InputProblem{Name: name, Message: fmt.Sprintf("rule %s would start itself: it hears the items of type %d and adds items of the same type", r.ID, id)}, true
			}
		}
	}
	return InputProblem{}, false
}
