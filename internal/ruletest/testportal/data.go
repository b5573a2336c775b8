package testportal

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
	"github.com/b24rules/b24rules/schemas"
)

// Field is a named value with its positions in the file.
type Field struct {
	Name          string
	Value         any
	Pos, ValuePos diag.Pos
}

// Fields are named values in the order of the file.
type Fields []Field

func (fs Fields) Get(name string) (Field, bool) {
	i := slices.IndexFunc(fs, func(f Field) bool { return f.Name == name })
	if i < 0 {
		return Field{}, false
	}
	return fs[i], true
}

// Values returns the fields as a map.
func (fs Fields) Values() map[string]any {
	out := make(map[string]any, len(fs))
	for _, f := range fs {
		out[f.Name] = f.Value
	}
	return out
}

// UnmarshalNode reads a mapping.
func (fs *Fields) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	m, list := f.Mapping(n)
	for _, e := range m.Entries {
		x := Field{Name: e.Name, Pos: f.Pos(e.Key), ValuePos: f.Pos(e.Value)}
		list.Add(yamlfile.Decode(f, e.Value, &x.Value)...)
		*fs = append(*fs, x)
	}
	return list
}

// Data is the data of a portal, or changes that people make in it.
type Data struct {
	Deals     items               `yaml:"deals" doc:"deals by id; rows are the product rows" example:"{759: {title: Roof, rows: [{productName: Tile, price: 10.5, quantity: 3}]}}"`
	Leads     items               `yaml:"leads" doc:"leads by id" example:"{5: {title: A call, opportunity: 100}}"`
	Contacts  items               `yaml:"contacts" doc:"contacts by id" example:"{3: {name: Anna, companyId: 4}}"`
	Companies items               `yaml:"companies" doc:"companies by id" example:"{4: {title: Daisy}}"`
	Quotes    items               `yaml:"quotes" doc:"estimates by id" example:"{8: {title: Offer, dealId: 759}}"`
	Invoices  items               `yaml:"invoices" doc:"smart invoices by id" example:"{7: {title: Invoice, rows: []}}"`
	Items     map[string]items    `yaml:"items" doc:"items of smart processes by entityTypeId and id" example:"{1032: {5: {ufCrm9Weight: 100}}}"`
	Users     users               `yaml:"users" doc:"users by id; user 1 is the administrator who owns the webhook" example:"{7: {name: Berta, admin: false}}"`
	Elements  map[string]elements `yaml:"elements" doc:"elements of lists, by IBLOCK_ID, code or name of the list" example:"{47: [{NAME: Tile, DEAL: 759}]}"`
}

// BuiltinKeys are the keys of test files for the types that every portal has. Other types
// are under items by entityTypeId.
var BuiltinKeys = map[int]string{
	schemas.TypeLead: "leads", schemas.TypeDeal: "deals", schemas.TypeContact: "contacts",
	schemas.TypeCompany: "companies", schemas.TypeQuote: "quotes", schemas.TypeSmartInvoice: "invoices",
}

// ByType returns the items of all types by entityTypeId.
func (s *Data) ByType() map[int]items {
	out := map[int]items{}
	for typ, items := range map[int]items{
		schemas.TypeLead: s.Leads, schemas.TypeDeal: s.Deals, schemas.TypeContact: s.Contacts,
		schemas.TypeCompany: s.Companies, schemas.TypeQuote: s.Quotes, schemas.TypeSmartInvoice: s.Invoices,
	} {
		if items != nil {
			out[typ] = items
		}
	}
	for typ, items := range s.Items {
		id, _ := strconv.Atoi(typ) // checked when the file is read
		out[id] = append(out[id], items...)
	}
	return out
}

// items are items of one type in the order of their ids.
type items []Item

// Item is an item with its product rows.
type Item struct {
	ID     int64
	pos    diag.Pos
	fields Fields
	Rows   []Fields
	// HasRows is true if the file names rows, gone if it deletes the item.
	HasRows, gone bool
	rowsPos       diag.Pos
}

// UnmarshalNode reads a mapping of ids to fields. null deletes an item.
func (es *items) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	m, list := f.Mapping(n)
	for _, e := range m.Entries {
		x := Item{pos: f.Pos(e.Key)}
		var err error
		if x.ID, err = strconv.ParseInt(e.Name, 10, 64); err != nil || x.ID <= 0 {
			list.Errorf(x.pos, "invalid-value", "expected an id, got %q", e.Name).Hint = "759: {title: Roof}"
			continue
		}
		if v := yamlfile.Resolve(e.Value); v.Kind == yaml.ScalarNode && v.ShortTag() == "!!null" {
			x.gone = true
		} else {
			list.Add(x.read(f, e.Value)...)
		}
		*es = append(*es, x)
	}
	slices.SortStableFunc(*es, func(a, b Item) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// RowsKey is the key of the product rows of an item.
const RowsKey = "rows"

func (x *Item) read(f *yamlfile.File, n *yaml.Node) diag.List {
	m, list := f.Mapping(n)
	for _, e := range m.Entries {
		if e.Name == RowsKey {
			x.HasRows, x.rowsPos = true, f.Pos(e.Key)
			list.Add(yamlfile.Decode(f, e.Value, &x.Rows)...)
			continue
		}
		v := Field{Name: e.Name, Pos: f.Pos(e.Key), ValuePos: f.Pos(e.Value)}
		list.Add(yamlfile.Decode(f, e.Value, &v.Value)...)
		x.fields = append(x.fields, v)
	}
	return list
}

// elements are elements of one list, or changes of them.
type elements []elementChange

// elementChange is a new element, or with where a change of existing elements.
type elementChange struct {
	pos    diag.Pos
	where  Fields // nil for a new element
	set    Fields
	delete bool
}

// elementForm is a change of the elements with given values.
type elementForm struct {
	Where  Fields `yaml:"where" validate:"required" doc:"the current values of the elements" example:"{NAME: Tile}"`
	Set    Fields `yaml:"set" doc:"the values that a person changes in the form of the list" example:"{SHIPPED: Yes}"`
	Delete bool   `yaml:"delete" default:"false" doc:"a person deletes the elements"`
}

// UnmarshalNode reads a list of elements.
func (es *elements) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	var nodes []*yaml.Node
	list := yamlfile.Decode(f, n, &nodes)
	for _, n := range nodes {
		x := elementChange{pos: f.Pos(n)}
		m, more := f.Mapping(n)
		if _, ok := m.Get("where"); ok {
			var form elementForm
			more = yamlfile.Decode(f, n, &form)
			x.where, x.set, x.delete = form.Where, form.Set, form.Delete
			if !more.HasErrors() && (len(x.set) == 0) != x.delete {
				more.Errorf(x.pos, "missing-key", "where needs either set or delete").Hint = "{where: {NAME: Tile}, set: {SHIPPED: Yes}}"
			}
		} else if !more.HasErrors() {
			more = yamlfile.Decode(f, n, &x.set)
		}
		list.Add(more...)
		*es = append(*es, x)
	}
	return list
}

// TypeName returns the key of a type for messages.
func TypeName(typ int) string {
	if key := BuiltinKeys[typ]; key != "" {
		return key
	}
	return fmt.Sprintf("items.%d", typ)
}
