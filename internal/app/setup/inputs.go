// Package setup makes the files of a new configuration. It finds out what the inputs of a
// rule set can be in a portal, and writes everything or nothing.
package setup

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/snapshot"
	"github.com/b24rules/b24rules/schemas"
)

// Option is a value that an input can have.
type Option struct {
	// Value is what the configuration holds, Title what people call it.
	Value, Title string
	// also are further names.
	also []string
	// unnamed options are taken, but a question does not name them: most people look for
	// another one.
	unnamed bool
}

func (o Option) String() string {
	if o.Title == "" || o.Title == o.Value {
		return o.Value
	}
	return o.Value + " (" + o.Title + ")"
}

// isCalled reports whether a text is the value or a name of an option.
func (o Option) isCalled(text string) bool {
	return slices.ContainsFunc(append([]string{o.Value, o.Title}, o.also...), func(n string) bool { return n != "" && strings.EqualFold(n, text) })
}

// kind is what an input names.
type kind int

const (
	ofAnything kind = iota
	ofList
	ofType
	ofProperty // of the list of a step
	ofField    // of the type of a step
)

// use is how the rules use an input. For a property and a field, place is the list or the
// type: an input or a number. A built-in type has no place, but its number.
type use struct {
	kind   kind
	place  *engine.Value
	typeID int
}

// fieldOfResult matches a formula that reads the field of a result that an input names:
// get(deal, inputs.field).
var fieldOfResult = regexp.MustCompile(`\bget\(([a-z][a-z0-9_]*), inputs\.([a-z][a-z0-9_]*)\)`)

// usesOf finds out what the inputs of a set name.
func usesOf(set *engine.RuleSet) map[string]use {
	out := map[string]use{}
	note := func(v *engine.Value, u use) {
		if name := inputOf(v); name != "" && out[name].kind == ofAnything {
			out[name] = u
		}
	}
	for _, r := range set.Rules {
		results := map[string]use{} // of steps that read items
		for _, s := range r.AllSteps() {
			place := use{}
			for arg, k := range map[string]kind{"list": ofList, "entityTypeId": ofType} {
				if a := s.Types.Arg(arg); a != nil {
					note(a.Value, use{kind: k})
					place = use{kind: map[kind]kind{ofList: ofProperty, ofType: ofField}[k], place: a.Value}
				}
			}
			if id := ownerOf(s); id > 0 {
				place = use{kind: ofField, typeID: id}
			}
			for _, a := range s.Args {
				if a.Fields == nil || place.kind == ofAnything {
					continue
				}
				for _, e := range a.Fields.Entries {
					note(e.Key, place)
				}
			}
			if place.kind == ofField && s.ID != "" {
				results[s.ID] = place
			}
			s.EachValue(func(v *engine.Value) {
				if v.Formula == nil {
					return
				}
				for _, m := range fieldOfResult.FindAllStringSubmatch(v.Formula.Source(), -1) {
					if u, ok := results[m[1]]; ok && out[m[2]].kind == ofAnything {
						out[m[2]] = u
					}
				}
			})
		}
	}
	return out
}

// ownerOf returns the built-in type of the items of a step, 0 if it has none.
func ownerOf(s *engine.Step) int {
	a := s.Types.Arg("owner")
	if a == nil {
		return 0
	}
	name, _ := a.Value.Const()
	for _, o := range schemas.Owners() {
		if o.Name == name {
			return o.ID
		}
	}
	return 0
}

// inputOf returns the input that a formula is, "" if it is something else.
func inputOf(v *engine.Value) string {
	if v == nil || v.Formula == nil {
		return ""
	}
	name, isInput := strings.CutPrefix(strings.TrimSpace(v.Formula.Source()), engine.NameInputs+".")
	if !isInput {
		return ""
	}
	return name
}

// Inputs are the inputs of a rule set for one portal.
type Inputs struct {
	Set *engine.RuleSet
	// Portal is what the portal has, nil if it cannot be asked.
	Portal *snapshot.Snapshot
	// Values are those chosen so far, as the configuration holds them.
	Values map[string]string
	uses   map[string]use
}

// NewInputs returns the inputs of a set without values.
func NewInputs(set *engine.RuleSet, portal *snapshot.Snapshot) *Inputs {
	return &Inputs{Set: set, Portal: portal, Values: map[string]string{}, uses: usesOf(set)}
}

// Order returns the inputs, those first that others depend on.
func (in *Inputs) Order() []engine.Input {
	out := slices.Clone(in.Set.Inputs)
	slices.SortStableFunc(out, func(a, b engine.Input) int {
		return cmp.Compare(in.rank(a), in.rank(b))
	})
	return out
}

func (in *Inputs) rank(i engine.Input) int {
	switch in.uses[i.Name].kind {
	case ofProperty, ofField:
		return 1
	}
	return 0
}

// Options returns what the portal has for an input. known is false if any value is
// possible.
func (in *Inputs) Options(name string) (options []Option, known bool) {
	u := in.uses[name]
	if in.Portal == nil {
		return nil, false
	}
	switch u.kind {
	case ofList:
		for _, l := range in.Portal.Lists {
			if l.Type == "lists" {
				options = append(options, Option{Value: strconv.Itoa(l.ID), Title: l.Title, also: []string{l.Code}})
			}
		}
		return options, in.Portal.Knows(snapshot.PartLists)
	case ofType:
		for _, t := range in.Portal.Types {
			if t.ID >= schemas.FirstDynamicType {
				options = append(options, Option{Value: strconv.Itoa(t.ID), Title: t.Title})
			}
		}
		return options, in.Portal.Knows(snapshot.PartTypes)
	case ofProperty:
		l := in.Portal.ListOf("lists", in.number(u))
		if l == nil {
			return nil, false
		}
		for _, p := range l.Properties {
			if strings.HasPrefix(p.ID, "PROPERTY_") {
				options = append(options, Option{Value: cmp.Or(p.Code, p.ID), Title: p.Title, also: []string{p.ID}})
			}
		}
		return options, true
	case ofField:
		t := in.Portal.TypeOf(in.number(u))
		if t == nil {
			return nil, false
		}
		for _, f := range t.Fields {
			options = append(options, Option{Value: f.Name, Title: f.Title, also: []string{f.Stored}, unnamed: !f.Custom})
		}
		return options, true
	}
	return nil, false
}

// number is the list or the type of a use.
func (in *Inputs) number(u use) int {
	if u.place == nil {
		return u.typeID
	}
	text := in.Values[inputOf(u.place)]
	if x, constant := u.place.Const(); constant {
		if n, isNum := x.(num.Num); isNum {
			text = n.String()
		}
	}
	n, _ := strconv.Atoi(text) // not a number: it names nothing
	return n
}

// Put sets an input by a value or by the name that people use.
func (in *Inputs) Put(name, answer string) error {
	if !slices.ContainsFunc(in.Set.Inputs, func(i engine.Input) bool { return i.Name == name }) {
		return fmt.Errorf("rule set %s has no input %s", in.Set.Name, name)
	}
	options, known := in.Options(name)
	if !known {
		in.Values[name] = answer
		return in.check(name)
	}
	var found []Option
	for _, o := range options {
		if o.isCalled(answer) {
			found = append(found, o)
		}
	}
	switch {
	case len(found) == 1:
		if other := in.taken(name, found[0].Value); other != "" {
			return fmt.Errorf("%s is the value of %s already", found[0], other)
		}
		in.Values[name] = found[0].Value
		return in.check(name)
	case len(found) > 1:
		return fmt.Errorf("%s is the name of several: %s; take the one before the brackets", answer, list(found))
	}
	if near := snapshot.Nearest(answer, options, func(o Option) []string { return append([]string{o.Value, o.Title}, o.also...) }); near != nil {
		return fmt.Errorf("portal has no %q, did you mean %s?", answer, near)
	}
	return fmt.Errorf("portal has no %q, it has %s", answer, list(options))
}

// taken returns the input that names the same property or field, "" if there is none. A
// step cannot write two values to one field.
func (in *Inputs) taken(name, value string) string {
	u := in.uses[name]
	for other, v := range in.Values {
		o := in.uses[other]
		if other != name && v == value && o.kind == u.kind && u.kind != ofAnything && in.number(u) > 0 && in.number(o) == in.number(u) {
			return other
		}
	}
	return ""
}

// check reports a value that the input cannot have.
func (in *Inputs) check(name string) error {
	_, problems := in.Set.BindInputs(in.Values)
	for _, p := range problems {
		if p.Name == name {
			delete(in.Values, name)
			return fmt.Errorf("%s", p.Finding.Text())
		}
	}
	return nil
}

// Guess returns the value that the portal has for the default of an input. ok is false if
// a person must decide.
func (in *Inputs) Guess(i engine.Input) (value string, ok bool) {
	options, known := in.Options(i.Name)
	text := fmt.Sprint(i.Default)
	switch {
	case !i.HasDefault:
		return in.fitting(i.Name, options)
	case !known:
		return text, true
	}
	at := slices.IndexFunc(options, func(o Option) bool { return o.isCalled(text) })
	if at < 0 || in.taken(i.Name, options[at].Value) != "" {
		return "", false
	}
	return options[at].Value, true
}

// fitting returns the only list or type that has the defaults of all inputs for its properties
// or fields. Without such inputs nothing shows which one is meant.
func (in *Inputs) fitting(name string, options []Option) (value string, ok bool) {
	for _, o := range options {
		if !in.fits(name, o) {
			continue
		}
		if ok {
			return "", false
		}
		value, ok = o.Value, true
	}
	return value, ok
}

func (in *Inputs) fits(name string, o Option) bool {
	in.Values[name] = o.Value
	defer delete(in.Values, name)
	defaults := 0
	for _, i := range in.Set.Inputs {
		if inputOf(in.uses[i.Name].place) != name || !i.HasDefault {
			continue
		}
		defaults++
		options, _ := in.Options(i.Name)
		if !slices.ContainsFunc(options, func(o Option) bool { return o.isCalled(fmt.Sprint(i.Default)) }) {
			return false
		}
	}
	return defaults > 0
}

// list names options, at most twelve.
func list(options []Option) string {
	const most = 12
	var out []string
	for _, o := range options {
		if o.unnamed {
			continue
		}
		if len(out) == most {
			out = append(out, "…")
			break
		}
		out = append(out, o.String())
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, ", ")
}

// List names the options of an input for a question, without those that another input has, "" if it would
// name none.
func (in *Inputs) List(name string) string {
	options, _ := in.Options(name)
	options = slices.DeleteFunc(options, func(o Option) bool { return o.unnamed || in.taken(name, o.Value) != "" })
	if len(options) == 0 {
		return ""
	}
	return list(options)
}

// Called returns the name that people use for a value of an input, in brackets; "" for none.
func (in *Inputs) Called(name, value string) string {
	options, _ := in.Options(name)
	for _, o := range options {
		if o.Value == value && o.Title != "" && o.Title != value {
			return " (" + o.Title + ")"
		}
	}
	return ""
}

// Line is an input in a configuration, with the name that people use in a comment.
func (in *Inputs) Line(i engine.Input) string {
	value := in.Values[i.Name]
	if i.Type == "string" {
		value = strconv.Quote(value)
	}
	comment := ""
	options, _ := in.Options(i.Name)
	for _, o := range options {
		if o.Value == in.Values[i.Name] && o.Title != "" && o.Title != o.Value {
			comment = " # " + strings.Join(strings.Fields(o.Title), " ")
		}
	}
	return i.Name + ": " + value + comment
}
