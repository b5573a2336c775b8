package model

import "slices"

// Directory is a list of entries: the stages of a pipeline, or sources, kinds of
// companies and so on.
type Directory struct {
	ID, Name string
	Entries  []Stage
	Type     *EntityType // whose stages they are; nil for other directories
	Category *Category
}

// directories are those that hold no stages.
func (s *Store) NewDirectories() []Directory {
	plain := func(id, name string, entries ...StagePlan) Directory {
		return Directory{ID: id, Name: name, Entries: s.NewCategory(Category{}, entries).Stages}
	}
	return []Directory{
		plain("SOURCE", "Sources",
			StagePlan{id: "CALL", name: "Call"}, StagePlan{id: "EMAIL", name: "E-mail"}, StagePlan{id: "WEB", name: "Website"},
			StagePlan{id: "ADVERTISING", name: "Advertising"}, StagePlan{id: "PARTNER", name: "Existing client"},
			StagePlan{id: "RECOMMENDATION", name: "By recommendation"}, StagePlan{id: "TRADE_SHOW", name: "Trade show"},
			StagePlan{id: "WEBFORM", name: "CRM form"}, StagePlan{id: "CALLBACK", name: "Callback"},
			StagePlan{id: "RC_GENERATOR", name: "Sales generator"}, StagePlan{id: "STORE", name: "Online store"}, StagePlan{id: "OTHER", name: "Other"}),
		plain("CONTACT_TYPE", "Contact type",
			StagePlan{id: "CLIENT", name: "Clients"}, StagePlan{id: "SUPPLIER", name: "Suppliers"}, StagePlan{id: "PARTNER", name: "Partners"}, StagePlan{id: "OTHER", name: "Other"}),
		plain("COMPANY_TYPE", "Company type",
			StagePlan{id: "CUSTOMER", name: "Client"}, StagePlan{id: "SUPPLIER", name: "Supplier"}, StagePlan{id: "COMPETITOR", name: "Competitor"},
			StagePlan{id: "PARTNER", name: "Partner"}, StagePlan{id: "OTHER", name: "Other"}),
		plain("EMPLOYEES", "Number of employees",
			StagePlan{id: "EMPLOYEES_1", name: "less than 50"}, StagePlan{id: "EMPLOYEES_2", name: "50-250"},
			StagePlan{id: "EMPLOYEES_3", name: "250-500"}, StagePlan{id: "EMPLOYEES_4", name: "over 500"}),
		plain("INDUSTRY", "Industry",
			StagePlan{id: "IT", name: "Information technology"}, StagePlan{id: "MANUFACTURING", name: "Manufacturing"}, StagePlan{id: "OTHER", name: "Other"}),
		plain("DEAL_TYPE", "Deal type",
			StagePlan{id: "SALE", name: "Sales"}, StagePlan{id: "COMPLEX", name: "Integrated sales"}, StagePlan{id: "GOODS", name: "Goods sale"},
			StagePlan{id: "SERVICES", name: "Services sale"}, StagePlan{id: "SERVICE", name: "Service"}),
		plain("HONORIFIC", "Salutations",
			StagePlan{id: "HNR_EN_1", name: "Mr."}, StagePlan{id: "HNR_EN_2", name: "Mrs."}, StagePlan{id: "HNR_EN_3", name: "Ms."}, StagePlan{id: "HNR_EN_4", name: "Dr."}),
	}
}

// SortedTypes are all types by their ids.
func (s *Store) SortedTypes() []*EntityType {
	var types []*EntityType
	for _, t := range s.Types {
		types = append(types, t)
	}
	slices.SortFunc(types, func(a, b *EntityType) int { return a.ID - b.ID })
	return types
}

// Option is one choice of an enumeration or of a list's property.
type Option struct {
	ID      int64
	Value   string
	Sort    int64
	Default bool
	XMLID   string
}
