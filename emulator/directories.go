package emulator

import "slices"

// directory is a list of entries: the stages of a pipeline, or sources, kinds of
// companies and so on.
type directory struct {
	id, name string
	entries  []stage
	typ      *entityType // whose stages they are; nil for other directories
	category *category
}

// directories are those that hold no stages.
func (s *store) plainDirectories() []directory {
	plain := func(id, name string, entries ...plan) directory {
		return directory{id: id, name: name, entries: s.newCategory(category{}, entries).stages}
	}
	return []directory{
		plain("SOURCE", "Sources",
			plan{id: "CALL", name: "Call"}, plan{id: "EMAIL", name: "E-mail"}, plan{id: "WEB", name: "Website"},
			plan{id: "ADVERTISING", name: "Advertising"}, plan{id: "PARTNER", name: "Existing client"},
			plan{id: "RECOMMENDATION", name: "By recommendation"}, plan{id: "TRADE_SHOW", name: "Trade show"},
			plan{id: "WEBFORM", name: "CRM form"}, plan{id: "CALLBACK", name: "Callback"},
			plan{id: "RC_GENERATOR", name: "Sales generator"}, plan{id: "STORE", name: "Online store"}, plan{id: "OTHER", name: "Other"}),
		plain("CONTACT_TYPE", "Contact type",
			plan{id: "CLIENT", name: "Clients"}, plan{id: "SUPPLIER", name: "Suppliers"}, plan{id: "PARTNER", name: "Partners"}, plan{id: "OTHER", name: "Other"}),
		plain("COMPANY_TYPE", "Company type",
			plan{id: "CUSTOMER", name: "Client"}, plan{id: "SUPPLIER", name: "Supplier"}, plan{id: "COMPETITOR", name: "Competitor"},
			plan{id: "PARTNER", name: "Partner"}, plan{id: "OTHER", name: "Other"}),
		plain("EMPLOYEES", "Number of employees",
			plan{id: "EMPLOYEES_1", name: "less than 50"}, plan{id: "EMPLOYEES_2", name: "50-250"},
			plan{id: "EMPLOYEES_3", name: "250-500"}, plan{id: "EMPLOYEES_4", name: "over 500"}),
		plain("INDUSTRY", "Industry",
			plan{id: "IT", name: "Information technology"}, plan{id: "MANUFACTURING", name: "Manufacturing"}, plan{id: "OTHER", name: "Other"}),
		plain("DEAL_TYPE", "Deal type",
			plan{id: "SALE", name: "Sales"}, plan{id: "COMPLEX", name: "Integrated sales"}, plan{id: "GOODS", name: "Goods sale"},
			plan{id: "SERVICES", name: "Services sale"}, plan{id: "SERVICE", name: "Service"}),
		plain("HONORIFIC", "Salutations",
			plan{id: "HNR_EN_1", name: "Mr."}, plan{id: "HNR_EN_2", name: "Mrs."}, plan{id: "HNR_EN_3", name: "Ms."}, plan{id: "HNR_EN_4", name: "Dr."}),
	}
}

// sortedTypes are all types by their ids.
func (s *store) sortedTypes() []*entityType {
	var types []*entityType
	for _, t := range s.types {
		types = append(types, t)
	}
	slices.SortFunc(types, func(a, b *entityType) int { return a.id - b.id })
	return types
}

// option is one choice of an enumeration or of a list's property.
type option struct {
	id    int64
	value string
	sort  int64
	def   bool
	xmlID string
}
