package lint

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/schemas"
)

// access is a touch of one step, with what the file says about it.
type access struct {
	engine.Touch
	rule    *engine.Rule
	step    *engine.Step
	deleted bool // in the steps of a deleted entity
	// typ is the entityTypeId or the list's id, 0 when it is not known.
	typ int
	// of is a text that is equal for equal types or lists, "" when it is not known.
	of string
}

// writesOf lists what the steps of a rule may change. Without inputs, their defaults
// are used.
func writesOf(r *engine.Rule, inputs map[string]any) []access {
	var out []access
	add := func(steps []*engine.Step, deleted bool) {
		for _, s := range engine.Flatten(steps) {
			for _, t := range s.Touches() {
				if t.Reads {
					continue
				}
				a := access{Touch: t, rule: r, step: s, deleted: deleted}
				a.resolve(inputs)
				out = append(out, a)
			}
		}
	}
	add(r.Steps, false)
	add(r.Deleted, true)
	return out
}

// resolve finds the type or list that is touched.
func (a *access) resolve(inputs map[string]any) {
	if a.Kind == engine.TouchRule {
		a.Event = a.startedRule()
		return
	}
	if a.typ = a.Type; a.typ != 0 {
		a.of = "#" + strconv.Itoa(a.typ)
		return
	}
	arg := a.step.Types.Arg(a.Of)
	if arg == nil {
		return
	}
	switch v, _ := a.rule.Fixed(arg.Value, inputs); x := v.(type) {
	case num.Num:
		n, _ := x.Int64()
		a.typ = int(n)
	case string:
		a.typ = engine.OwnerTypeID(x)
	}
	if a.of = textOf(a.rule, arg.Value, inputs); a.typ != 0 {
		a.of = "#" + strconv.Itoa(a.typ)
	}
}

// startedRule is the id of the rule that the step starts.
func (a *access) startedRule() string {
	if arg := a.step.Types.Arg(a.Of); arg != nil && arg.Value != nil {
		if v, ok := arg.Value.Const(); ok {
			name, _ := v.(string)
			return name
		}
	}
	return ""
}

// node is the node that names what the step touches.
func (a *access) node() *yaml.Node {
	if arg := a.step.Types.Arg(a.Of); arg != nil && arg.Value != nil {
		return arg.Value.Node
	}
	return a.step.Verb
}

// written is the argument with the values to write.
func (a *access) written() string { return cmp.Or(a.Fields, "rows") }

// argNode is the node of an argument, or of the step when it has none of that name.
func (a *access) argNode(name string) *yaml.Node {
	name, _, _ = strings.Cut(name, ".")
	switch arg := a.step.Types.Arg(name); {
	case arg == nil:
	case arg.Value != nil:
		return arg.Value.Node
	case arg.Key != nil:
		return arg.Key
	}
	return a.step.Verb
}

// rows is the value of all product rows that a step sets; nil for a step that sets fields.
func (a *access) rows() *engine.Value {
	arg := a.step.Types.Arg("rows")
	if a.Fields != "" || !a.Updates || arg == nil {
		return nil
	}
	return arg.Value
}

// texts are the comparable texts of names and values.
func (a *access) texts(entries []*engine.FieldEntry) namedTexts {
	var out namedTexts
	for _, x := range entries {
		one := namedText{textOf(a.rule, x.Key, nil), textOf(a.rule, x.Value, nil)}
		if known := a.fieldName(x); known != "" {
			one.name = "'" + known
		}
		if i, both := slices.BinarySearchFunc(out, one.name, byName); both {
			out[i] = one
		} else {
			out = slices.Insert(out, i, one)
		}
	}
	return out
}

// entries are the names and values of an argument such as fields, key or scope.
func (a *access) entries(arg string) []*engine.FieldEntry {
	entries, _ := a.step.Types.Part(arg)
	return entries
}

// fieldName is the name of a written field as steps read it, "" when only a run knows it.
func (a *access) fieldName(x *engine.FieldEntry) string {
	name, _ := x.Key.Literal.(string)
	if a.StoredNames && name != "" {
		return schemas.ItemFieldName(a.typ, name)
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
