package ruletest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/schemas"
)

// dataChecker holds the data of a file against the portal that it is for.
type dataChecker struct {
	schema *schema
	list   *diag.List
}

// customFields holds the names of custom fields against those that the portal
// gives them: a field of deals is ufCrm_REGION, not ufCrmRegion.
func (c *dataChecker) customFields(byType map[int]columns) {
	for _, typ := range slices.Sorted(maps.Keys(byType)) {
		for _, col := range byType[typ] {
			t, stored := c.schema.types[typ], storedName(col.name)
			if t == nil || t.find(col.name) != nil || t.find(stored) == nil {
				continue
			}
			c.list.Errorf(col.pos, "unknown-field", "crm.item.* has no such name for a custom field of %s: %q", typeName(typ), col.name).Hint = fmt.Sprintf("did you mean %q?", t.find(stored).name)
		}
	}
}

func (c *dataChecker) state(s *data, change bool) {
	for key, items := range s.Items {
		id, err := strconv.Atoi(key)
		if (err != nil || c.schema.types[id] == nil) && len(items) > 0 {
			c.unknownType(items[0].pos, key)
		}
	}
	items := s.byType()
	for _, typ := range slices.Sorted(maps.Keys(items)) {
		if c.schema.types[typ] == nil {
			continue
		}
		for i := range items[typ] {
			c.entity(typ, &items[typ][i], change)
		}
	}
	for _, ref := range sortedByNumber(s.Elements) {
		_, l, ok := c.schema.list(ref)
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

func (c *dataChecker) unknownType(pos diag.Pos, key string) {
	finding := c.list.Errorf(pos, "unknown-type", "the portal has no type %s of items", key)
	finding.Hint = "portal: {types: {" + key + ": …}} adds one"
	var known []string
	for _, id := range slices.Sorted(maps.Keys(c.schema.types)) {
		if builtinKeys[id] == "" {
			known = append(known, strconv.Itoa(id))
		}
	}
	if len(known) > 0 {
		finding.Hint = "it has " + strings.Join(known, ", ") + "; " + finding.Hint
	}
}

func (c *dataChecker) unknownList(pos diag.Pos, ref string) {
	var known []string
	for _, id := range slices.Sorted(maps.Keys(c.schema.lists)) {
		known = append(known, strconv.Itoa(id))
	}
	finding := c.list.Errorf(pos, "unknown-list", "the portal has no list %s", ref)
	finding.Hint = "portal: {lists: {" + ref + ": …}} adds one"
	if len(known) > 0 {
		finding.Hint = "it has " + strings.Join(known, ", ") + "; " + finding.Hint
	}
}

func (c *dataChecker) entity(typ int, x *item, change bool) {
	t := c.schema.types[typ]
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
func (c *dataChecker) fields(t *itemType, fs fields, write bool) {
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
func (c *dataChecker) option(known *fieldInfo, f field) {
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

func (c *dataChecker) columns(l *listType, fs fields, write bool) {
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

func (c *dataChecker) row(r fields) {
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

// hint is the nearest of the words, else all of them if they are few.
func hint(word string, words []string) string {
	if near := diag.Closest(word, words); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if len(words) > 12 {
		return ""
	}
	return "want one of " + strings.Join(words, ", ")
}
