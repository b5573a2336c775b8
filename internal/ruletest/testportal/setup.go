package testportal

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/ruletest/compare"
	"github.com/b24rules/b24rules/internal/yamlfile"
	"github.com/b24rules/b24rules/schemas"
)

// Setup holds the settings of a portal: its smart processes, lists and custom fields.
type Setup struct {
	demo        bool
	Name        string
	singleOwner bool
	types       []emulator.Type
	lists       []emulator.List
	// fields are custom fields of the built-in types.
	fields map[int][]emulator.UserField
	// pipelines are those of the file; parents are pairs of a type and that of its parents.
	pipelines pipelines
	parents   [][2]int
	// Columns are the custom fields of all types, as written in the file.
	Columns map[int]columns
}

// DefaultName is the name of a portal without a name.
const DefaultName = "test"

// setupForm is the long form of Setup.
type setupForm struct {
	Name      string              `yaml:"name" default:"test" doc:"the portal's name; it is compared with portals of the rules"`
	Snapshot  string              `yaml:"snapshot" doc:"a file of schema pull, relative to this file: the portal has its types, fields, options, stages and lists" example:"main.portal.json"`
	Types     map[string]typeForm `yaml:"types" doc:"smart processes by entityTypeId" example:"{1032: {title: Order, fields: {ufCrm9Weight: double}}}"`
	Lists     map[string]listForm `yaml:"lists" doc:"universal lists by IBLOCK_ID" example:"{47: {name: Shipments, properties: {DEAL: number}}}"`
	Deals     columns             `yaml:"deals" doc:"custom fields of deals" example:"{ufCrm_REGION: string}"`
	Leads     columns             `yaml:"leads" doc:"custom fields of leads"`
	Contacts  columns             `yaml:"contacts" doc:"custom fields of contacts"`
	Companies columns             `yaml:"companies" doc:"custom fields of companies"`
	Quotes    columns             `yaml:"quotes" doc:"custom fields of estimates"`
	Invoices  columns             `yaml:"invoices" doc:"custom fields of smart invoices"`
	Pipelines pipelines           `yaml:"pipelines" doc:"pipelines by kind (deals, leads, quotes, invoices, or the entityTypeId of a smart process) and id. The first one is the default; deals keep pipeline 0, leads and quotes have only 0" example:"{deals: {9: {name: Wholesale, stages: {NEW: P, WON: S, LOSE: F}}}}"`
	Relations relations           `yaml:"relations" doc:"the kinds whose items can be parents, by the kind of the children. A smart process that is not named can have parents of all kinds that every portal has" example:"{1032: [deals], deals: [1032]}"`
	// SingleOwner is a strict portal, see emulator.Config.
	SingleOwner bool `yaml:"single_owner" default:"false" doc:"filters refuse lists of owners"`
}

type typeForm struct {
	Title    string  `yaml:"title" doc:"the name of the smart process"`
	Fields   columns `yaml:"fields" doc:"custom fields by their names in crm.item.*" example:"{ufCrm9Weight: double}"`
	Products bool    `yaml:"products" default:"false" doc:"items have product rows"`
	Stages   bool    `yaml:"stages" default:"false" doc:"items have stages"`
	Clients  bool    `yaml:"clients" default:"false" doc:"items have a company and contacts"`
	Dates    bool    `yaml:"dates" default:"false" doc:"items have a start date and an end date"`
}

type listForm struct {
	Name       string  `yaml:"name" doc:"the name of the list"`
	Code       string  `yaml:"code" doc:"the symbolic code of the list"`
	Properties columns `yaml:"properties" validate:"required" doc:"properties by code" example:"{DEAL: number, SHIPPED: [Yes]}"`
}

// columns are custom fields or properties by name in the order of the file.
type columns []column

type column struct {
	name string
	pos  diag.Pos
	form columnForm
}

// columnForm is the long form of a field. The short form is only the type.
type columnForm struct {
	Type      string   `yaml:"type" doc:"the type; list for a field with options"`
	ID        int      `yaml:"id" validate:"omitempty,min=1" doc:"the number of a property: 101 for PROPERTY_101"`
	Title     string   `yaml:"title" doc:"the title of the field"`
	Options   []string `yaml:"options" doc:"the options of a list field"`
	Multiple  bool     `yaml:"multiple" default:"false" doc:"the field holds several values"`
	Required  bool     `yaml:"required" default:"false" doc:"the field must not be empty"`
	Precision int      `yaml:"precision" validate:"omitempty,min=1,max=12" doc:"the number of decimals"`
}

// UnmarshalNode reads a mapping of names to types or to long forms.
func (cs *columns) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	m, list := f.Mapping(n)
	for _, e := range m.Entries {
		c := column{name: e.Name, pos: f.Pos(e.Key)}
		switch v := yamlfile.Resolve(e.Value); v.Kind {
		case yaml.SequenceNode: // a list field by its options
			c.form.Type = "list"
			list.Add(yamlfile.Decode(f, e.Value, &c.form.Options)...)
		case yaml.MappingNode:
			list.Add(yamlfile.Decode(f, e.Value, &c.form)...)
			if c.form.Type == "" && len(c.form.Options) > 0 {
				c.form.Type = "list"
			}
		default:
			list.Add(yamlfile.Decode(f, e.Value, &c.form.Type)...)
		}
		*cs = append(*cs, c)
	}
	return list
}

// UnmarshalNode reads "demo" or the long form.
func (p *Setup) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	var list diag.List
	if r := yamlfile.Resolve(n); r != nil && r.Kind == yaml.ScalarNode {
		if p.demo = r.Value == "demo"; !p.demo {
			list.Errorf(f.Pos(n), "invalid-value", "unknown portal %q", r.Value).Hint = "write demo, or the types and lists of the portal"
		}
		return list
	}
	var form setupForm
	if list = yamlfile.Decode(f, n, &form); list.HasErrors() {
		return list
	}
	p.Name, p.singleOwner = form.Name, form.SingleOwner
	p.Columns = map[int]columns{
		schemas.TypeLead: form.Leads, schemas.TypeDeal: form.Deals, schemas.TypeContact: form.Contacts,
		schemas.TypeCompany: form.Companies, schemas.TypeQuote: form.Quotes, schemas.TypeSmartInvoice: form.Invoices,
	}
	p.fields = map[int][]emulator.UserField{}
	for _, typ := range slices.Sorted(maps.Keys(p.Columns)) {
		p.fields[typ] = userFields(&list, p.Columns[typ])
	}
	p.readTypes(&list, f.Pos(n), form)
	p.readLists(&list, f.Pos(n), form)
	p.readKinds(&list, form)
	p.readSnapshot(&list, f.Pos(n), form.Snapshot)
	return list
}

func (p *Setup) readTypes(list *diag.List, pos diag.Pos, form setupForm) {
	for _, key := range compare.SortedByNumber(form.Types) {
		t := form.Types[key]
		id, err := strconv.Atoi(key)
		if err != nil || id < 128 {
			finding := list.Errorf(pos, "invalid-value", "expected the entityTypeId of a smart process (128 or more), got %q", key)
			if own := BuiltinKeys[id]; own != "" {
				finding.Hint = "write the custom fields of " + own + " under " + own + ":"
			}
			continue
		}
		p.Columns[id] = t.Fields
		p.types = append(p.types, emulator.Type{
			EntityTypeID: id, ID: numberIn(t.Fields), Title: t.Title, Fields: userFields(list, t.Fields),
			NoStages: !t.Stages, Products: t.Products, Clients: t.Clients, Dates: t.Dates,
		})
	}
}

func (p *Setup) readLists(list *diag.List, pos diag.Pos, form setupForm) {
	for _, key := range compare.SortedByNumber(form.Lists) {
		l := form.Lists[key]
		id, err := strconv.Atoi(key)
		if err != nil || id <= 0 {
			list.Errorf(pos, "invalid-value", "expected the IBLOCK_ID of a list, got %q", key)
			continue
		}
		made := emulator.List{ID: id, Code: l.Code, Name: l.Name}
		for i, c := range l.Properties {
			typ, ok := propertyType(c.form.Type)
			if !ok {
				list.Errorf(c.pos, "invalid-value", "unknown type %q of the property %s", c.form.Type, c.name).Hint = Hint(c.form.Type, propertyWords())
			}
			f := emulator.ListField{
				ID: c.form.ID, Type: typ, Code: c.name, Name: c.form.Title, Required: c.form.Required,
				Multiple: c.form.Multiple, Options: c.form.Options,
			}
			if f.ID == 0 {
				f.ID = id*1000 + i + 1 // differs from the ids of other lists
			}
			made.Fields = append(made.Fields, f)
		}
		p.lists = append(p.lists, made)
	}
}

// PropertyTypes are the words of test files for the portal's property types.
var PropertyTypes = [...]struct{ Word, Typ string }{
	{"string", "S"},
	{"number", "N"},
	{"list", "L"},
	{"date", "S:Date"},
	{"datetime", "S:DateTime"},
	{"html", "S:HTML"},
	{"money", "S:Money"},
	{"crm", "S:ECrm"},
	{"employee", "S:employee"},
	{"element", "E"},
	{"section", "G"},
	{"file", "F"},
}

// propertyType translates a word. It also accepts the portal's own types.
func propertyType(word string) (string, bool) {
	for _, t := range PropertyTypes {
		if word == t.Word || word == t.Typ {
			return t.Typ, true
		}
	}
	return "S", word == "S" || word == "E:EList" || word == "N:Sequence" || word == "S:DiskFile"
}

func propertyWords() []string {
	var out []string
	for _, t := range PropertyTypes {
		out = append(out, t.Word)
	}
	return out
}

var FieldWords = [...]string{
	"string", "integer", "double", "boolean", "enumeration", "date", "datetime", "money", "url", "employee", "crm", "crm_status",
}

func userFields(list *diag.List, cs columns) []emulator.UserField {
	var out []emulator.UserField
	for _, c := range cs {
		typ := c.form.Type
		switch typ {
		case "list":
			typ = "enumeration"
		case "number":
			typ = "double"
		}
		if !slices.Contains(FieldWords[:], typ) {
			list.Errorf(c.pos, "invalid-value", "unknown type %q of the field %s", c.form.Type, c.name).Hint = Hint(c.form.Type, FieldWords[:])
		}
		upper := StoredName(c.name)
		if !strings.HasPrefix(upper, "UF_") {
			list.Errorf(c.pos, "invalid-value", "the name of a custom field starts with ufCrm or UF_CRM_, got %q", c.name)
		}
		f := emulator.UserField{
			Name: upper, Type: typ, Title: c.form.Title, Multiple: c.form.Multiple, Required: c.form.Required,
			Precision: c.form.Precision, Options: c.form.Options,
		}
		if typ == "double" && f.Precision == 0 {
			f.Precision = 2
		}
		out = append(out, f)
	}
	return out
}

// StoredName returns the stored name for the name of a custom field in crm.item.*:
// ufCrm5Total is UF_CRM_5_TOTAL, ufCrm_5_D10 is UF_CRM_5_D10.
func StoredName(name string) string {
	if rest, ok := strings.CutPrefix(name, "ufCrm_"); ok {
		return "UF_CRM_" + strings.ToUpper(rest)
	}
	if name == strings.ToUpper(name) {
		return name
	}
	var b strings.Builder
	var before rune
	for _, r := range name {
		if before != 0 && (unicode.IsUpper(r) || unicode.IsDigit(r) != unicode.IsDigit(before) && r != '_' && before != '_') {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToUpper(r))
		before = r
	}
	return b.String()
}

// numberIn returns the number of the smart process from the names of its fields, 0 if they
// contain none.
func numberIn(cs columns) int {
	for _, c := range cs {
		rest, ok := strings.CutPrefix(StoredName(c.name), "UF_CRM_")
		if number, _, _ := strings.Cut(rest, "_"); ok {
			if n, err := strconv.Atoi(number); err == nil {
				return n
			}
		}
	}
	return 0
}

// build creates an emulated portal with these settings.
func (p *Setup) build(cfg emulator.Config) (*emulator.Portal, error) {
	cfg.Plan, cfg.EventDelay, cfg.KeepCalls, cfg.SingleOwner = emulator.PlanUnlimited, -1, -1, p.singleOwner
	portal := emulator.New(cfg)
	if err := p.setUp(portal); err != nil {
		portal.Close()
		return nil, err
	}
	return portal, nil
}

// setUp applies the settings to a new portal.
func (p *Setup) setUp(portal *emulator.Portal) error {
	if p.demo {
		emulator.Demo(portal)
	}
	for _, t := range p.types {
		portal.AddType(t)
	}
	if err := p.setUpKinds(portal); err != nil {
		return err
	}
	for _, l := range p.lists {
		portal.AddList(l)
	}
	for _, typ := range slices.Sorted(maps.Keys(p.fields)) {
		for _, f := range p.fields[typ] {
			if err := portal.AddUserField(typ, f); err != nil {
				return err
			}
		}
	}
	return nil
}
