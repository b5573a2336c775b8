package testfile

import (
	"strconv"

	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/ruletest/testportal"
	"github.com/b24rules/b24rules/internal/yamlfile"
	"github.com/b24rules/b24rules/schemas"
	"gopkg.in/yaml.v3"
)

// expectation is what the portal must hold after an event.
type expectation struct {
	Partial   bool                        `yaml:"partial" default:"false" doc:"other things may be there too"`
	Deals     *ExpectedRecords            `yaml:"deals" doc:"the deals that must be there: a list in any order, or by their ids" example:"{759: {title: Roof}}"`
	Leads     *ExpectedRecords            `yaml:"leads" doc:"the leads that must be there"`
	Contacts  *ExpectedRecords            `yaml:"contacts" doc:"the contacts that must be there"`
	Companies *ExpectedRecords            `yaml:"companies" doc:"the companies that must be there"`
	Quotes    *ExpectedRecords            `yaml:"quotes" doc:"the estimates that must be there"`
	Invoices  *ExpectedRecords            `yaml:"invoices" doc:"the smart invoices that must be there"`
	Items     map[string]*ExpectedRecords `yaml:"items" doc:"the items that must be there, by entityTypeId" example:"{1038: [{ufCrm5Total: 99}]}"`
	Elements  map[string]*ExpectedRecords `yaml:"elements" doc:"the elements that must be there, by IBLOCK_ID, code or name of the list" example:"{47: [{NAME: Tile}]}"`
}

// wanted is the set of things that must be there: by their ids, or a list
// whose order does not matter.
type ExpectedRecords struct {
	Pos  diag.Pos
	List []ExpectedRecord
}

// wantedThing is one thing and those of its fields that matter.
type ExpectedRecord struct {
	ID     string // "" when it does not matter
	Gone   bool   // it must not be there
	pos    diag.Pos
	Fields testportal.Fields
}

// UnmarshalNode reads a list of records, or a mapping of ids to records.
func (w *ExpectedRecords) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	w.Pos = f.Pos(n)
	n = yamlfile.Resolve(n)
	if n.Kind != yaml.MappingNode {
		var nodes []*yaml.Node
		list := yamlfile.Decode(f, n, &nodes)
		for _, n := range nodes {
			x := ExpectedRecord{pos: f.Pos(n)}
			list.Add(yamlfile.Decode(f, n, &x.Fields)...)
			w.List = append(w.List, x)
		}
		return list
	}
	m, list := f.Mapping(n)
	for _, e := range m.Entries {
		x := ExpectedRecord{ID: e.Name, pos: f.Pos(e.Key)}
		if _, err := strconv.ParseInt(e.Name, 10, 64); err != nil {
			list.Errorf(x.pos, "wrong-type", "want a list of records, or ids with their fields; %q is no id", e.Name).Hint = "- {" + e.Name + ": …}"
			continue
		}
		if v := yamlfile.Resolve(e.Value); v.Kind == yaml.ScalarNode && v.ShortTag() == "!!null" {
			x.Gone = true
		} else {
			list.Add(yamlfile.Decode(f, e.Value, &x.Fields)...)
		}
		w.List = append(w.List, x)
	}
	return list
}

// byType returns what is expected of items, by type.
func (e *expectation) ByType() map[int]*ExpectedRecords {
	out := map[int]*ExpectedRecords{}
	for typ, set := range map[int]*ExpectedRecords{
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
