package model

import (
	"fmt"
	"time"

	"github.com/b24rules/b24rules/engine/num"
)

// driveStorage is STORAGE_TYPE_ID of files on the Drive.
const driveStorage = 3

// builtinTypes are the types of items that every portal has.
func (s *Store) builtinTypes(now time.Time) []*EntityType {
	return []*EntityType{s.leadType(now), s.dealType(now), s.contactType(now), s.companyType(now), s.quoteType(now), s.invoiceType(now)}
}

func (s *Store) leadType(now time.Time) *EntityType {
	return &EntityType{
		ID: TypeLead, Short: "L", Code: "LEAD", Title: "Lead", Rows: true, Created: now,
		Fields:   NewFieldSet(leadFields()),
		Defaults: map[string]any{"SOURCE_ID": "CALL"},
		Categories: []*Category{
			s.NewCategory(Category{ByDefault: true, Directory: "STATUS"}, leadStages()),
		},
	}
}

func (s *Store) dealType(now time.Time) *EntityType {
	return &EntityType{
		ID: TypeDeal, Short: "D", Code: "DEAL", Title: "Deal", Rows: true, Pipelines: true, Created: now,
		Fields:     NewFieldSet(dealFields()),
		Defaults:   map[string]any{"SOURCE_ID": "CALL", "TYPE_ID": "SALE"},
		Categories: []*Category{s.dealCategory(0, "General")},
	}
}

func (s *Store) contactType(now time.Time) *EntityType {
	return &EntityType{
		ID: TypeContact, Short: "C", Code: "CONTACT", Title: "Contact", Pipelines: true, Created: now,
		Fields:     NewFieldSet(contactFields()),
		Defaults:   map[string]any{"SOURCE_ID": "CALL", "TYPE_ID": "CLIENT", "HONORIFIC": "HNR_EN_1", "EXPORT": true},
		Categories: clientCategory(),
	}
}

func (s *Store) companyType(now time.Time) *EntityType {
	return &EntityType{
		ID: TypeCompany, Short: "CO", Code: "COMPANY", Title: "Company", Pipelines: true, Created: now,
		Fields:     NewFieldSet(companyFields()),
		Defaults:   map[string]any{"TYPE_ID": "CUSTOMER", "INDUSTRY": "IT", "EMPLOYEES": "EMPLOYEES_1", "REVENUE": num.Num{}},
		Categories: clientCategory(),
	}
}

func (s *Store) quoteType(now time.Time) *EntityType {
	return &EntityType{
		ID: TypeQuote, Short: "Q", Code: "QUOTE", Title: "Estimate", Rows: true, Created: now,
		Fields:   NewFieldSet(quoteFields()),
		Defaults: map[string]any{"PERSON_TYPE_ID": int64(1), "STORAGE_TYPE_ID": int64(driveStorage)},
		Categories: []*Category{
			s.NewCategory(Category{ByDefault: true, Directory: "QUOTE_STATUS"}, quoteStages()),
		},
	}
}

func (s *Store) invoiceType(now time.Time) *EntityType {
	id := s.Next("category")
	return &EntityType{
		ID: TypeSmartInvoice, Short: "SI", Code: "SMART_INVOICE", Title: "Invoice", Rows: true, Pipelines: true, Created: now,
		Fields:   NewFieldSet(invoiceFields()),
		Defaults: map[string]any{"SOURCE_ID": "CALL"},
		Categories: []*Category{s.NewCategory(Category{
			ID: id, Name: "General", Sort: 500, ByDefault: true,
			Prefix: fmt.Sprintf("DT31_%d", id), Directory: fmt.Sprintf("SMART_INVOICE_STAGE_%d", id),
		}, InvoiceStages())},
	}
}
