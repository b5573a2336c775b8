package lint

import (
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/schemas"
)

// effect is a touch of one step, with what the file says about it.
type effect struct {
	engine.Touch
	rule    *engine.Rule
	step    *engine.Step
	deleted bool // in the steps of a deleted entity
	// typ is the entityTypeId or the list's id, 0 when it is not known.
	typ int
	// of is a text that is equal for equal types or lists, "" when it is not known.
	of string
	// argTexts and whichText cache the results of texts and which.
	argTexts  map[string]map[string]string
	whichText *string
}

// effectsOf lists what the steps of a rule may change. Without inputs, their defaults
// are used.
func effectsOf(r *engine.Rule, inputs map[string]any) []effect {
	var out []effect
	add := func(steps []*engine.Step, deleted bool) {
		for _, s := range engine.Flatten(steps) {
			for _, t := range s.Touches() {
				if t.Reads {
					continue
				}
				e := effect{Touch: t, rule: r, step: s, deleted: deleted}
				e.resolve(inputs)
				out = append(out, e)
			}
		}
	}
	add(r.Steps, false)
	add(r.Deleted, true)
	return out
}

// resolve finds the type or list that is touched.
func (e *effect) resolve(inputs map[string]any) {
	if e.Kind == engine.TouchRule {
		e.Event = e.startedRule()
		return
	}
	if e.typ = e.Type; e.typ != 0 {
		e.of = "#" + strconv.Itoa(e.typ)
		return
	}
	a := e.step.Types.Arg(e.Of)
	if a == nil {
		return
	}
	switch v, _ := e.rule.Fixed(a.Value, inputs); x := v.(type) {
	case num.Num:
		n, _ := x.Int64()
		e.typ = int(n)
	case string:
		e.typ = engine.OwnerTypeID(x)
	}
	if e.of = textOf(e.rule, a.Value, inputs); e.typ != 0 {
		e.of = "#" + strconv.Itoa(e.typ)
	}
}

// startedRule is the id of the rule that the step starts.
func (e *effect) startedRule() string {
	if a := e.step.Types.Arg(e.Of); a != nil && a.Value != nil {
		if v, ok := a.Value.Const(); ok {
			name, _ := v.(string)
			return name
		}
	}
	return ""
}

// node is the node that names what the step touches.
func (e *effect) node() *yaml.Node {
	if a := e.step.Types.Arg(e.Of); a != nil && a.Value != nil {
		return a.Value.Node
	}
	return e.step.Verb
}

// ops lists the operations of the events that the touch may cause.
func (e *effect) ops() []string {
	var out []string
	if e.Updates { // first, because the second pass of an upsert updates
		out = append(out, schemas.OpUpdate)
	}
	if e.Adds {
		out = append(out, schemas.OpAdd)
	}
	if e.Deletes {
		out = append(out, schemas.OpDelete)
	}
	return out
}

// entries are the names and values of an argument such as fields, key or scope.
func (e *effect) entries(arg string) []*engine.FieldEntry {
	entries, _ := e.step.Types.Part(arg)
	return entries
}

// fieldName is the name of a written field as steps read it, "" when only a run knows it.
func (e *effect) fieldName(x *engine.FieldEntry) string {
	name, _ := x.Key.Literal.(string)
	if e.StoredNames && name != "" {
		return schemas.ItemFieldName(e.typ, name)
	}
	return name
}

// textOf returns a text that two values share if they are equal for one entity, ""
// when this is not known. Values that depend on the inputs of a set or on the results
// of a rule are equal only inside that set or rule.
func textOf(r *engine.Rule, v *engine.Value, inputs map[string]any) string {
	if v == nil {
		return ""
	}
	if x, ok := r.Fixed(v, inputs); ok {
		switch x := x.(type) {
		case num.Num:
			return "#" + x.String()
		case string:
			return "'" + x
		case bool:
			return map[bool]string{true: "true", false: "false"}[x]
		}
		return ""
	}
	var text string
	switch {
	case v.Formula != nil:
		text = strings.Join(v.Formula.Conjuncts(), " && ")
	case v.Template != nil:
		text = "{" + v.Node.Value
	default:
		return ""
	}
	home := ""
	v.Reads(func(name string) {
		switch {
		case name == engine.NameEvent:
		case name == engine.NameInputs || name == engine.NameVars:
			home = max(home, r.Set.Name+"/")
		default:
			home = r.Set.Name + "/" + r.ID + "/"
		}
	})
	return home + "=" + text
}
