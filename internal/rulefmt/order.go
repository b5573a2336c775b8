package rulefmt

import (
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/internal/yamlfile"
)

// context is what a place of a rule file is for.
type context uint8

const (
	other context = iota
	inFile
	inRules
	inRule
	inSteps
	inStep
	inValues // formulas and text with holes are here
)

var (
	fileOrder = []string{"<<", "version", "title", "inputs", "vars", "rules"}
	ruleOrder = []string{"<<", "title", "moved", "about", "on", "entity", "when", "owner", "debounce", "limits", "portals", "steps", "deleted"}
	stepOrder = []string{"<<", "id", "when", "at", "entered", "once", "for_each", "limit", verb, "timeout", "retry", "on_error"}
)

// verb means the action of a step, whatever its name.
const verb = "(verb)"

// child is the context of an entry's value.
func (c context) child(it *item) context {
	name := ""
	if it.key != nil {
		name = it.key.Value
	}
	switch c {
	case inFile:
		switch name {
		case "rules":
			return inRules
		case "vars":
			return inValues
		}
	case inRules:
		return inRule
	case inRule:
		if name == "steps" || name == "deleted" {
			return inSteps
		}
	case inSteps:
		return inStep
	case inStep:
		if name == "on_error" && yamlfile.Resolve(it.value).Kind == yaml.SequenceNode {
			return inSteps
		}
		if slices.Index(stepOrder, name) < 0 {
			return inValues
		}
	case inValues:
		return inValues
	}
	return other
}

// block reports whether a collection is always written with an entry a line.
func (c context) block() bool { return c != other && c != inValues }

// ordered returns the entries in canonical order. Those that the language does
// not know come last; it has reported them.
func (c context) ordered(items []*item) []*item {
	var order []string
	switch c {
	case inFile:
		order = fileOrder
	case inRule:
		order = ruleOrder
	case inStep:
		order = stepOrder
	default:
		return items
	}
	rank := func(it *item) int {
		if it.key == nil {
			return 0
		}
		i := slices.Index(order, it.key.Value)
		if i < 0 && c == inStep {
			i = slices.Index(order, verb)
		}
		if i < 0 {
			i = len(order)
		}
		return i
	}
	out := slices.Clone(items)
	slices.SortStableFunc(out, func(a, b *item) int { return rank(a) - rank(b) })
	if len(out) > 0 && out[0] != items[0] {
		items[0].blank = false // it stood before the whole mapping
	}
	return out
}
