package lint

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/schemas"
)

// reviewReads warns of values that a step reads and that are not what the author means:
// a field under another name, the id of another entity, an id that may be 0.
func (c *reviewer) reviewReads(f *flow, s *engine.Step) {
	for _, t := range s.Touches() {
		if t.Kind != engine.TouchItems {
			continue
		}
		a := access{Touch: t, rule: f.rule, step: s}
		a.resolve(nil)
		entries, value := s.Types.Part(t.Which)
		if entries == nil {
			if pathOf(value) != engine.NameEvent+".id" { // the actions check it
				c.otherID(value, a.typ, diag.Phrasef("the step"))
			}
			c.zeroID(f, s, value, diag.Phrasef("the step then fails"))
		}
		for _, x := range slices.Concat(entries, a.entries(t.Fields)) {
			name := strings.TrimLeft(a.fieldName(x), "=")
			if field, ok := schemas.ItemField(a.typ, name); ok {
				c.otherID(x.Value, field.HoldsID(), diag.Phrasef("%s of %s", name, typeWord(a.typ)))
			}
		}
		for _, x := range entries {
			c.zeroID(f, s, x.Value, diag.Phrasef("the filter then finds all items without it"))
		}
	}
}

// readField is a field of an item that a step has read.
type readField struct {
	typ  int // the entityTypeId, 0 when it is not known
	name string
}

// field returns the field at a path: deal.companyId.
func (f *flow) field(path string) (readField, bool) {
	name, rest, nested := strings.Cut(path, ".")
	s := f.Fetched[name]
	if s == nil || !nested || s.ForEach != nil {
		return readField{}, false
	}
	for _, t := range s.Touches() {
		if t.Kind == engine.TouchItems && t.Reads && t.Which == "id" {
			a := access{Touch: t, rule: f.rule, step: s}
			a.resolve(nil)
			return readField{a.typ, engine.PathPrefix(rest, 1)}, true
		}
	}
	return readField{}, false
}

// onePath is the source of a formula that is one path, perhaps with a number instead.
var onePath = regexp.MustCompile(`^([\pL\pN_]+(?:\.[\pL\pN_]+)+)(\s*\?\?\s*[0-9]+)?$`)

// path returns the path whose value v is, "" for another formula.
func pathOf(v *engine.Value) string {
	if v == nil || v.Formula == nil {
		return ""
	}
	m := onePath.FindStringSubmatch(strings.TrimSpace(v.Formula.Source()))
	if m == nil {
		return ""
	}
	return m[1]
}

// otherID warns of an id of another kind of entity. what names the place that takes ids
// of the type.
func (c *reviewer) otherID(v *engine.Value, typ int, what diag.Phrase) {
	if v == nil || typ == 0 {
		return
	}
	for _, e := range v.List {
		c.otherID(e, typ, what)
	}
	t := v.Type
	if t.Kind == formula.List && t.Elem != nil && v.Formula != nil {
		t = *t.Elem
	}
	if t.Domain == nil || t.Domain.IDOf == 0 || t.Domain.IDOf == typ {
		return
	}
	name := cmp.Or(pathOf(v), "this")
	c.warnf(v.Node, "wrong-id", "%s takes the id of %s, and %s is the id of %s", what, typeWord(typ), name, typeWord(t.Domain.IDOf))
}

// zeroID warns of an id that is 0 when the entity has none, if no condition asks for it.
func (c *reviewer) zeroID(f *flow, s *engine.Step, v *engine.Value, then diag.Phrase) {
	path := pathOf(v)
	r, ok := f.field(path)
	field, _ := schemas.ItemField(r.typ, r.name)
	if !ok || !field.Maybe || field.HoldsID() <= 0 || s.OnError != engine.OnErrorPark || f.asksAbove(s, path) {
		return
	}
	c.warnf(v.Node, "zero-id", "%s is 0 when %s has none, and %s", path, typeWord(r.typ), then).Hintf("write when: =%s > 0", path)
}

// emptyID is the canonical text of a condition that asks whether an id is nil.
var emptyID = regexp.MustCompile(`^\(*([\pL\pN_]+)\["(companyId|contactId)"\] == nil\)*$`)

// nilID warns of a condition that asks for nil where the portal has 0.
func (c *reviewer) nilID(f *flow, v *engine.Value) {
	for _, x := range v.Conjuncts() {
		m := emptyID.FindStringSubmatch(x)
		if m == nil {
			continue
		}
		path := m[1] + "." + m[2]
		if r, ok := f.field(path); ok && r.typ > 0 && r.typ < schemas.FirstDynamicType {
			c.warnf(v.Node, "zero-id", "%s is 0 when %s has none, and not nil, so this condition is always false", path, typeWord(r.typ)).Hintf("write (%s ?? 0) == 0", path)
		}
	}
}

// aboveZero is the canonical text of a comparison that tells a number from 0.
var aboveZero = regexp.MustCompile(` (> 0|!= 0|>= 1|== [1-9]|in )|^!.* (== 0|<= 0|< 1)\)*$`)

// asksAbove reports whether a condition of the step, of the rule or of an earlier step
// that ends the run tells the id from 0.
func (f *flow) asksAbove(s *engine.Step, path string) bool {
	name, field, _ := strings.Cut(path, ".")
	text := name + "[" + strconv.Quote(field) + "]"
	var asks func(v *engine.Value, depth int) bool
	asks = func(v *engine.Value, depth int) bool {
		if v == nil || v.Formula == nil || depth > 3 {
			return false
		}
		for _, c := range v.Conjuncts() {
			if strings.Contains(c, text) && aboveZero.MatchString(c) {
				return true
			}
		}
		return slices.ContainsFunc(v.Formula.Vars(), func(name string) bool {
			s := f.Fetched[name]
			return asks(f.Computed[name], depth+1) || s != nil && hasValue(v, name) && asks(s.When, depth+1)
		})
	}
	if asks(s.When, 0) || asks(f.rule.When, 0) {
		return true
	}
	for _, before := range f.rule.AllSteps() {
		if before == s {
			return false
		}
		reads := false
		before.When.Paths(func(p string) { reads = reads || p == path })
		if before.Action.Ends && reads {
			return true
		}
	}
	return false
}

// hasValue reports whether a condition asks whether a name has a value.
func hasValue(v *engine.Value, name string) bool {
	return slices.ContainsFunc(v.Conjuncts(), func(c string) bool { return strings.Trim(c, "()") == name+" != nil" })
}

// typeWord names one item of a type in a message.
func typeWord(typ int) string {
	if typ == 0 {
		return "an item"
	}
	return engine.TypeWord(typ)
}
