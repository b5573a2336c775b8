package emulator

import (
	"fmt"
	"time"

	"github.com/b24rules/b24rules/engine/num"
)

// driveStorage is STORAGE_TYPE_ID of files on the Drive.
const driveStorage = 3

// builtinTypes are the types of items that every portal has.
func (s *store) builtinTypes(now time.Time) []*entityType {
	return []*entityType{s.leadType(now), s.dealType(now), s.contactType(now), s.companyType(now), s.quoteType(now), s.invoiceType(now)}
}

func (s *store) leadType(now time.Time) *entityType {
	return &entityType{
		id: typeLead, short: "L", code: "LEAD", title: "Lead", rows: true, created: now,
		fields:   newFieldSet(leadFields()),
		defaults: map[string]any{"SOURCE_ID": "CALL"},
		categories: []*category{
			s.newCategory(category{byDefault: true, directory: "STATUS"}, leadStages()),
		},
	}
}

func (s *store) dealType(now time.Time) *entityType {
	return &entityType{
		id: typeDeal, short: "D", code: "DEAL", title: "Deal", rows: true, pipelines: true, created: now,
		fields:     newFieldSet(dealFields()),
		defaults:   map[string]any{"SOURCE_ID": "CALL", "TYPE_ID": "SALE"},
		categories: []*category{s.dealCategory(0, "General")},
	}
}

func (s *store) contactType(now time.Time) *entityType {
	return &entityType{
		id: typeContact, short: "C", code: "CONTACT", title: "Contact", pipelines: true, created: now,
		fields:     newFieldSet(contactFields()),
		defaults:   map[string]any{"SOURCE_ID": "CALL", "TYPE_ID": "CLIENT", "HONORIFIC": "HNR_EN_1", "EXPORT": true},
		categories: clientCategory(),
	}
}

func (s *store) companyType(now time.Time) *entityType {
	return &entityType{
		id: typeCompany, short: "CO", code: "COMPANY", title: "Company", pipelines: true, created: now,
		fields:     newFieldSet(companyFields()),
		defaults:   map[string]any{"TYPE_ID": "CUSTOMER", "INDUSTRY": "IT", "EMPLOYEES": "EMPLOYEES_1", "REVENUE": num.Num{}},
		categories: clientCategory(),
	}
}

func (s *store) quoteType(now time.Time) *entityType {
	return &entityType{
		id: typeQuote, short: "Q", code: "QUOTE", title: "Estimate", rows: true, created: now,
		fields:   newFieldSet(quoteFields()),
		defaults: map[string]any{"PERSON_TYPE_ID": int64(1), "STORAGE_TYPE_ID": int64(driveStorage)},
		categories: []*category{
			s.newCategory(category{byDefault: true, directory: "QUOTE_STATUS"}, quoteStages()),
		},
	}
}

func (s *store) invoiceType(now time.Time) *entityType {
	id := s.next("category")
	return &entityType{
		id: typeSmartInvoice, short: "SI", code: "SMART_INVOICE", title: "Invoice", rows: true, pipelines: true, created: now,
		fields:   newFieldSet(invoiceFields()),
		defaults: map[string]any{"SOURCE_ID": "CALL"},
		categories: []*category{s.newCategory(category{
			id: id, name: "General", sort: 500, byDefault: true,
			prefix: fmt.Sprintf("DT31_%d", id), directory: fmt.Sprintf("SMART_INVOICE_STAGE_%d", id),
		}, invoiceStages())},
	}
}
