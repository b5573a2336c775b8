package testportal

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/ruletest/compare"
	"github.com/b24rules/b24rules/schemas"
)

// DataChecker checks the data of a file against the schema of its portal.
type DataChecker struct {
	Schema *Schema
	List   *diag.List
}

// CustomFields checks that the names of custom fields are those of crm.item.*: a field of
// deals is ufCrm_REGION, not ufCrmRegion.
func (c *DataChecker) CustomFields(byType map[int]columns) {
	for _, typ := range slices.Sorted(maps.Keys(byType)) {
		for _, col := range byType[typ] {
			t, stored := c.Schema.Types[typ], StoredName(col.name)
			if t == nil || t.Find(col.name) != nil || t.Find(stored) == nil {
				continue
			}
			c.List.Errorf(col.pos, "unknown-field", "crm.item.* does not use the name %q for a custom field of %s", col.name, TypeName(typ)).Hint = fmt.Sprintf("did you mean %q?", t.Find(stored).Name)
		}
	}
}

// State checks the entities and elements of s. A change may also name existing elements.
func (c *DataChecker) State(s *Data, change bool) {
	for key, items := range s.Items {
		id, err := strconv.Atoi(key)
		if (err != nil || c.Schema.Types[id] == nil) && len(items) > 0 {
			c.UnknownType(items[0].pos, key)
		}
	}
	items := s.ByType()
	for _, typ := range slices.Sorted(maps.Keys(items)) {
		if c.Schema.Types[typ] == nil {
			continue
		}
		for i := range items[typ] {
			c.entity(typ, &items[typ][i], change)
		}
	}
	for _, ref := range compare.SortedByNumber(s.Elements) {
		_, l, ok := c.Schema.List(ref)
		for i := range s.Elements[ref] {
			x := &s.Elements[ref][i]
			if !ok {
				c.UnknownList(x.pos, ref)
				break
			}
			if x.where != nil && !change {
				c.List.Errorf(x.pos, "unknown-key", "where changes existing elements, but given lists new ones")
			}
			c.Columns(l, x.where, false)
			c.Columns(l, x.set, true)
			if name, _ := x.set.Get("NAME"); x.where == nil && compare.Empty(name.Value) {
				c.List.Errorf(x.pos, "missing-key", "an element needs a NAME")
			}
		}
	}
}

func (c *DataChecker) UnknownType(pos diag.Pos, key string) {
	finding := c.List.Errorf(pos, "unknown-type", "the portal has no type %s of items", key)
	finding.Hint = "portal: {types: {" + key + ": …}} adds one"
	var known []string
	for _, id := range slices.Sorted(maps.Keys(c.Schema.Types)) {
		if BuiltinKeys[id] == "" {
			known = append(known, strconv.Itoa(id))
		}
	}
	if len(known) > 0 {
		finding.Hint = "it has " + strings.Join(known, ", ") + "; " + finding.Hint
	}
}

func (c *DataChecker) UnknownList(pos diag.Pos, ref string) {
	var known []string
	for _, id := range slices.Sorted(maps.Keys(c.Schema.Lists)) {
		known = append(known, strconv.Itoa(id))
	}
	finding := c.List.Errorf(pos, "unknown-list", "the portal has no list %s", ref)
	finding.Hint = "portal: {lists: {" + ref + ": …}} adds one"
	if len(known) > 0 {
		finding.Hint = "it has " + strings.Join(known, ", ") + "; " + finding.Hint
	}
}

func (c *DataChecker) entity(typ int, x *Item, change bool) {
	t := c.Schema.Types[typ]
	if x.gone && !change {
		c.List.Errorf(x.pos, "invalid-value", "null is not allowed in given")
	}
	c.Fields(t, x.fields, true)
	if x.HasRows && !t.rows {
		c.List.Errorf(x.rowsPos, "unknown-key", "items of type %d have no product rows", typ).Hint = "portal: {types: {…: {products: true}}}"
	}
	for _, r := range x.Rows {
		c.row(r)
	}
}

// Fields checks the names of an item's fields and replaces them by the names that the
// portal uses.
func (c *DataChecker) Fields(t *itemType, fs Fields, write bool) {
	for i, f := range fs {
		known := t.Find(f.Name)
		if known == nil {
			names := t.Names
			if !write {
				names = append(slices.Clone(names), "id", "opportunity", "stageSemanticId")
			}
			c.List.Errorf(f.Pos, "unknown-field", "unknown field %q", f.Name).Hint = Hint(f.Name, names)
			continue
		}
		if write && known.ReadOnly {
			c.List.Errorf(f.Pos, "read-only-field", "the field %s cannot be written because the portal sets it", f.Name)
		}
		fs[i].Name = known.Name
		c.option(known, f)
		if write && !known.ReadOnly {
			c.value(known, f)
		}
	}
}

// option checks the text of a list option.
func (c *DataChecker) option(known *FieldInfo, f Field) {
	if len(known.Options) == 0 || compare.Empty(f.Value) {
		return
	}
	several, ok := f.Value.([]any)
	if !ok {
		several = []any{f.Value}
	}
	for _, v := range several {
		if _, found := known.optionID(compare.Text(v)); !found {
			var texts []string
			for _, t := range known.Options {
				texts = append(texts, t)
			}
			slices.Sort(texts)
			c.List.Errorf(f.ValuePos, "invalid-value", "%s has no option %q", f.Name, compare.Text(v)).Hint = Hint(compare.Text(v), texts)
		}
	}
}

func (c *DataChecker) Columns(l *listType, fs Fields, write bool) {
	for i, f := range fs {
		if f.Name == "ID" || f.Name == "CODE" {
			continue
		}
		known := l.Find(f.Name)
		if known == nil {
			c.List.Errorf(f.Pos, "unknown-field", "list %s has no property %q", l.id, f.Name).Hint = Hint(f.Name, l.labels())
			continue
		}
		if write && known.ReadOnly {
			c.List.Errorf(f.Pos, "read-only-field", "the field %s cannot be written because the portal sets it", f.Name)
		}
		fs[i].Name = known.Label()
		c.option(known, f)
		if write && !known.ReadOnly {
			c.value(known, f)
		}
	}
}

// WritableRows are the fields of a product row that a client can write.
var WritableRows = [...]string{
	"productId", "productName", "price", "quantity", "discountTypeId", "discountRate", "discountSum", "taxRate",
	"taxIncluded", "customized", "measureCode", "sort",
}

func (c *DataChecker) row(r Fields) {
	for _, f := range r {
		switch {
		case slices.Contains(WritableRows[:], f.Name):
			c.form(f, rowForms[f.Name])
		case slices.ContainsFunc(schemas.ProductRowFields(), func(x schemas.Field) bool { return x.Name == f.Name }):
			c.List.Errorf(f.Pos, "read-only-field", "the field %s of a product row cannot be written because the portal sets it", f.Name)
		default:
			c.List.Errorf(f.Pos, "unknown-field", "unknown field %q of a product row", f.Name).Hint = Hint(f.Name, WritableRows[:])
		}
	}
}

// Hint suggests the most similar of words, or lists all if they are few.
func Hint(word string, words []string) string {
	if near := diag.Closest(word, words); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if len(words) > 12 {
		return ""
	}
	return "use one of " + strings.Join(words, ", ")
}
