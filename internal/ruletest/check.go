package ruletest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/schemas"
)

// checker holds a file against the portal that it describes.
type checker struct {
	file *testFile
	list *diag.List
}

func (f *testFile) check(list *diag.List) error {
	w, err := newWorld(&f.layout.Portal, nil)
	if err != nil {
		list.Errorf(diag.Pos{File: f.name, Line: 1, Column: 1}, "invalid-value", "the portal cannot be set up: %v", err)
		return nil
	}
	defer w.close()
	f.schema = w.schema
	c := checker{f, list}
	c.customFields(f.layout.Portal.columns)
	if v := f.layout.Version; v != "" && v != "1" {
		list.Errorf(diag.Pos{File: f.name, Line: 1, Column: 1}, "invalid-value", "version %q is not known, this is version 1", v)
	}
	c.inputNames(f.layout.Inputs)
	taken := map[string]diag.Pos{}
	for _, t := range f.layout.Tests {
		if before, twice := taken[t.Name.text]; twice {
			list.Errorf(t.Name.pos, "duplicate-name", "the name %q is taken by line %d", t.Name.text, before.Line)
		}
		taken[t.Name.text] = t.Name.pos
		c.test(t)
	}
	return nil
}

// customFields holds the names of custom fields against those that the portal
// gives them: a field of deals is ufCrm_REGION, not ufCrmRegion.
func (c *checker) customFields(byType map[int]columns) {
	for _, typ := range sortedKeys(byType) {
		for _, col := range byType[typ] {
			t, stored := c.file.schema.types[typ], storedName(col.name)
			if t == nil || t.find(col.name) != nil || t.find(stored) == nil {
				continue
			}
			c.list.Errorf(col.pos, "unknown-field", "crm.item.* has no such name for a custom field of %s: %q", typeName(typ), col.name).Hint = fmt.Sprintf("did you mean %q?", t.find(stored).name)
		}
	}
}

func (c *checker) test(t *test) {
	c.inputNames(t.Inputs)
	c.bind(t)
	for _, skip := range t.SkipProofs {
		checkWord(c.list, skip.pos, "proof", skip.name, proofNames())
		if strings.TrimSpace(text(skip.value)) == "" {
			c.list.Errorf(skip.valuePos, "invalid-value", "to skip the proof %s needs a reason", skip.name)
		}
	}
	for i, a := range t.acts() {
		c.state(a.change, i > 0)
		c.scene(a.scene)
	}
}

func (c *checker) inputNames(given inputs) {
	var known []string
	for _, s := range c.file.sets {
		for _, in := range s.Inputs {
			known = append(known, in.Name)
		}
	}
	for _, in := range given {
		if !slices.Contains(known, in.name) {
			c.list.Errorf(in.pos, "bad-input", "no rule file under test has an input %q", in.name).Hint = hint(in.name, known)
		}
	}
}

// bind checks that every input has a value that fits.
func (c *checker) bind(t *test) {
	merged := mergeInputs(c.file.layout.Inputs, t.Inputs)
	for _, s := range c.file.sets {
		_, problems := inputsFor(s, merged)
		for _, p := range problems {
			pos := t.Name.pos
			if in, ok := fields(merged).get(p.Name); ok {
				pos = in.valuePos
			}
			finding := p.Finding
			if finding.Pos = pos; pos == t.Name.pos {
				finding.Hintf("inputs: {%s: …}", p.Name)
			}
			c.list.Add(finding)
		}
	}
}

// mergeInputs lets the inputs of a test win over those of its file.
func mergeInputs(file, test inputs) inputs {
	out := slices.Clone(test)
	for _, in := range file {
		if _, own := fields(test).get(in.name); !own {
			out = append(out, in)
		}
	}
	return out
}

func (c *checker) state(s *state, change bool) {
	for key, items := range s.Items {
		id, err := strconv.Atoi(key)
		if (err != nil || c.file.schema.types[id] == nil) && len(items) > 0 {
			c.unknownType(items[0].pos, key)
		}
	}
	items := s.byType()
	for _, typ := range sortedKeys(items) {
		if c.file.schema.types[typ] == nil {
			continue
		}
		for i := range items[typ] {
			c.entity(typ, &items[typ][i], change)
		}
	}
	for _, ref := range numbersFirst(s.Elements) {
		_, l, ok := c.file.schema.list(ref)
		for i := range s.Elements[ref] {
			x := &s.Elements[ref][i]
			if !ok {
				c.unknownList(x.pos, ref)
				break
			}
			if x.where != nil && !change {
				c.list.Errorf(x.pos, "unknown-key", "where changes elements that there are; given lists new ones")
			}
			c.columns(l, x.where, false)
			c.columns(l, x.set, true)
			if name, _ := x.set.get("NAME"); x.where == nil && empty(name.value) {
				c.list.Errorf(x.pos, "missing-key", "an element needs a NAME")
			}
		}
	}
}

func (c *checker) unknownType(pos diag.Pos, key string) {
	finding := c.list.Errorf(pos, "unknown-type", "the portal has no type %s of items", key)
	finding.Hint = "portal: {types: {" + key + ": …}} adds one"
	var known []string
	for _, id := range sortedKeys(c.file.schema.types) {
		if builtinKeys[id] == "" {
			known = append(known, strconv.Itoa(id))
		}
	}
	if len(known) > 0 {
		finding.Hint = "it has " + strings.Join(known, ", ") + "; " + finding.Hint
	}
}

func (c *checker) unknownList(pos diag.Pos, ref string) {
	var known []string
	for _, id := range sortedKeys(c.file.schema.lists) {
		known = append(known, strconv.Itoa(id))
	}
	finding := c.list.Errorf(pos, "unknown-list", "the portal has no list %s", ref)
	finding.Hint = "portal: {lists: {" + ref + ": …}} adds one"
	if len(known) > 0 {
		finding.Hint = "it has " + strings.Join(known, ", ") + "; " + finding.Hint
	}
}

func (c *checker) entity(typ int, x *entity, change bool) {
	t := c.file.schema.types[typ]
	if x.gone && !change {
		c.list.Errorf(x.pos, "invalid-value", "what is not there need not be given")
	}
	c.fields(t, x.fields, true)
	if x.hasRows && !t.rows {
		c.list.Errorf(x.rowsPos, "unknown-key", "items of type %d have no product rows", typ).Hint = "portal: {types: {…: {products: true}}}"
	}
	for _, r := range x.rows {
		c.row(r)
	}
}

// fields checks the names of an item's fields and gives each its own.
func (c *checker) fields(t *itemType, fs fields, write bool) {
	for i, f := range fs {
		known := t.find(f.name)
		if known == nil {
			names := t.names
			if !write {
				names = append(slices.Clone(names), "id", "opportunity", "stageSemanticId")
			}
			c.list.Errorf(f.pos, "unknown-field", "unknown field %q", f.name).Hint = hint(f.name, names)
			continue
		}
		if write && known.readOnly {
			c.list.Errorf(f.pos, "read-only-field", "the field %s cannot be written: the portal fills it in", f.name)
		}
		fs[i].name = known.name
		c.option(known, f)
	}
}

// option checks the text of a choice.
func (c *checker) option(known *portalField, f field) {
	if len(known.options) == 0 || empty(f.value) {
		return
	}
	several, ok := f.value.([]any)
	if !ok {
		several = []any{f.value}
	}
	for _, v := range several {
		if _, found := known.optionID(text(v)); !found {
			var texts []string
			for _, t := range known.options {
				texts = append(texts, t)
			}
			slices.Sort(texts)
			c.list.Errorf(f.valuePos, "invalid-value", "%s has no option %q", f.name, text(v)).Hint = hint(text(v), texts)
		}
	}
}

func (c *checker) columns(l *listType, fs fields, write bool) {
	for i, f := range fs {
		if f.name == "ID" || f.name == "CODE" {
			continue
		}
		known := l.find(f.name)
		if known == nil {
			c.list.Errorf(f.pos, "unknown-field", "list %s has no property %q", l.id, f.name).Hint = hint(f.name, l.labels())
			continue
		}
		if write && known.readOnly {
			c.list.Errorf(f.pos, "read-only-field", "the field %s cannot be written: the portal fills it in", f.name)
		}
		fs[i].name = known.label()
		c.option(known, f)
	}
}

// writableRows are the fields of a product row that people enter.
var writableRows = [...]string{
	"productId", "productName", "price", "quantity", "discountTypeId", "discountRate", "discountSum", "taxRate",
	"taxIncluded", "customized", "measureCode", "sort",
}

func (c *checker) row(r fields) {
	for _, f := range r {
		switch {
		case slices.Contains(writableRows[:], f.name):
		case slices.ContainsFunc(schemas.ProductRowFields(), func(x schemas.Field) bool { return x.Name == f.name }):
			c.list.Errorf(f.pos, "read-only-field", "the field %s of a product row cannot be written: the portal fills it in", f.name)
		default:
			c.list.Errorf(f.pos, "unknown-field", "unknown field %q of a product row", f.name).Hint = hint(f.name, writableRows[:])
		}
	}
}

func (c *checker) scene(s *scene) {
	if s.Outcome != nil {
		for rule := range s.Outcome.byRule {
			var ids []string
			for _, set := range c.file.sets {
				for _, r := range set.Rules {
					ids = append(ids, r.ID)
				}
			}
			checkWord(c.list, s.Outcome.pos, "rule", rule, ids)
		}
	}
	if s.Calls != nil {
		for _, w := range s.Calls.list {
			if m, known := schemas.LookupMethod(w.method); known && m.Effect == schemas.Read {
				c.list.Errorf(s.Calls.pos, "invalid-value", "calls lists the writing calls, %s reads", w.method)
			}
		}
	}
	if s.Expect == nil {
		return
	}
	for _, key := range numbersFirst(s.Expect.Items) {
		if id, err := strconv.Atoi(key); err != nil || c.file.schema.types[id] == nil {
			c.unknownType(s.Expect.Items[key].pos, key)
		}
	}
	c.expected(s.Expect)
}

// expected checks the names of what must be there and gives each field its own.
func (c *checker) expected(e *expectation) {
	byType := e.byType()
	for _, typ := range sortedKeys(byType) {
		t, set := c.file.schema.types[typ], byType[typ]
		if t == nil {
			continue
		}
		for _, x := range set.list {
			var own fields
			for _, f := range x.fields {
				if f.name != rowsKey {
					own = append(own, f)
				}
			}
			c.fields(t, own, false)
			for i, f := range x.fields {
				known := t.find(f.name)
				if known == nil {
					continue
				}
				x.fields[i].name = known.name
				if n, ok := number(f.value); ok && n.Sign() == 0 && (known.typ == "double" || known.typ == "integer") {
					x.fields[i].value = noNumber{}
				}
			}
		}
	}
	for _, ref := range numbersFirst(e.Elements) {
		set := e.Elements[ref]
		_, l, ok := c.file.schema.list(ref)
		if !ok {
			c.unknownList(set.pos, ref)
			continue
		}
		for _, x := range set.list {
			c.columns(l, x.fields, false)
		}
	}
}

// byType returns what is expected of items, by type.
func (e *expectation) byType() map[int]*wanted {
	out := map[int]*wanted{}
	for typ, set := range map[int]*wanted{
		schemas.TypeLead: e.Leads, schemas.TypeDeal: e.Deals, schemas.TypeContact: e.Contacts,
		schemas.TypeCompany: e.Companies, schemas.TypeQuote: e.Quotes, schemas.TypeSmartInvoice: e.Invoices,
	} {
		if set != nil {
			out[typ] = set
		}
	}
	for key, w := range e.Items {
		if id, err := strconv.Atoi(key); err == nil {
			out[id] = w
		}
	}
	return out
}
