package testfile

import (
	"strconv"

	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/ruletest/testportal"
	"github.com/b24rules/b24rules/internal/yamlfile"
	"github.com/b24rules/b24rules/schemas"
	"gopkg.in/yaml.v3"
)

// expectation is the expected data of the portal after an event.
type expectation struct {
	Partial   bool                        `yaml:"partial" default:"false" doc:"other records may exist too"`
	Deals     *ExpectedRecords            `yaml:"deals" doc:"the expected deals: a list in any order, or by id" example:"{759: {title: Roof}}"`
	Leads     *ExpectedRecords            `yaml:"leads" doc:"the expected leads"`
	Contacts  *ExpectedRecords            `yaml:"contacts" doc:"the expected contacts"`
	Companies *ExpectedRecords            `yaml:"companies" doc:"the expected companies"`
	Quotes    *ExpectedRecords            `yaml:"quotes" doc:"the expected estimates"`
	Invoices  *ExpectedRecords            `yaml:"invoices" doc:"the expected smart invoices"`
	Items     map[string]*ExpectedRecords `yaml:"items" doc:"the expected items, by entityTypeId" example:"{1038: [{ufCrm5Total: 99}]}"`
	Elements  map[string]*ExpectedRecords `yaml:"elements" doc:"the expected elements, by IBLOCK_ID, code or name of the list" example:"{47: [{NAME: Tile}]}"`
}

// ExpectedRecords is a set of expected records: by id, or a list in any order.
type ExpectedRecords struct {
	Pos  diag.Pos
	List []ExpectedRecord
}

// ExpectedRecord is one record with the fields that a test names.
type ExpectedRecord struct {
	ID     string // "" if the test names no id
	Gone   bool   // the record must not exist
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
			list.Errorf(x.pos, "wrong-type", "expected a list of records, or ids with their fields; %q is not an id", e.Name).Hint = "- {" + e.Name + ": …}"
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

// ByType returns the expected items by entityTypeId.
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
