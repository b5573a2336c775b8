package ruletest

import (
	"strconv"

	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
	"github.com/b24rules/b24rules/schemas"
	"gopkg.in/yaml.v3"
)

// expectation is what the portal must hold after an event.
type expectation struct {
	Partial   bool                        `yaml:"partial" default:"false" doc:"other things may be there too"`
	Deals     *expectedRecords            `yaml:"deals" doc:"the deals that must be there: a list in any order, or by their ids" example:"{759: {title: Roof}}"`
	Leads     *expectedRecords            `yaml:"leads" doc:"the leads that must be there"`
	Contacts  *expectedRecords            `yaml:"contacts" doc:"the contacts that must be there"`
	Companies *expectedRecords            `yaml:"companies" doc:"the companies that must be there"`
	Quotes    *expectedRecords            `yaml:"quotes" doc:"the estimates that must be there"`
	Invoices  *expectedRecords            `yaml:"invoices" doc:"the smart invoices that must be there"`
	Items     map[string]*expectedRecords `yaml:"items" doc:"the items that must be there, by entityTypeId" example:"{1038: [{ufCrm5Total: 99}]}"`
	Elements  map[string]*expectedRecords `yaml:"elements" doc:"the elements that must be there, by IBLOCK_ID, code or name of the list" example:"{47: [{NAME: Tile}]}"`
}

// wanted is the set of things that must be there: by their ids, or a list
// whose order does not matter.
type expectedRecords struct {
	pos  diag.Pos
	list []expectedRecord
}

// wantedThing is one thing and those of its fields that matter.
type expectedRecord struct {
	id     string // "" when it does not matter
	gone   bool   // it must not be there
	pos    diag.Pos
	fields fields
}

// UnmarshalNode reads a list of records, or a mapping of ids to records.
func (w *expectedRecords) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	w.pos = f.Pos(n)
	n = yamlfile.Resolve(n)
	if n.Kind != yaml.MappingNode {
		var nodes []*yaml.Node
		list := yamlfile.Decode(f, n, &nodes)
		for _, n := range nodes {
			x := expectedRecord{pos: f.Pos(n)}
			list.Add(yamlfile.Decode(f, n, &x.fields)...)
			w.list = append(w.list, x)
		}
		return list
	}
	m, list := f.Mapping(n)
	for _, e := range m.Entries {
		x := expectedRecord{id: e.Name, pos: f.Pos(e.Key)}
		if _, err := strconv.ParseInt(e.Name, 10, 64); err != nil {
			list.Errorf(x.pos, "wrong-type", "want a list of records, or ids with their fields; %q is no id", e.Name).Hint = "- {" + e.Name + ": …}"
			continue
		}
		if v := yamlfile.Resolve(e.Value); v.Kind == yaml.ScalarNode && v.ShortTag() == "!!null" {
			x.gone = true
		} else {
			list.Add(yamlfile.Decode(f, e.Value, &x.fields)...)
		}
		w.list = append(w.list, x)
	}
	return list
}

// byType returns what is expected of items, by type.
func (e *expectation) byType() map[int]*expectedRecords {
	out := map[int]*expectedRecords{}
	for typ, set := range map[int]*expectedRecords{
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
