package schemas

import (
	"strconv"
	"strings"
)

// Owner is a CRM entity type as something that owns items and product rows.
type Owner struct {
	ID     int    // entityTypeId
	Name   string // as rules say it: deal, smart_invoice, dynamic_177
	Short  string // as product rows and links say it: D, SI, Tb1
	Symbol string // DEAL, SMART_INVOICE, DYNAMIC_177
	Rows   bool   // can have product rows; a smart process only if it is set up so
}

// Plural names entities of a built-in type: deals, companies, smart invoices.
func (o Owner) Plural() string {
	if o.ID == TypeCompany {
		return "companies"
	}
	return strings.ReplaceAll(o.Name, "_", " ") + "s"
}

// owners are those that crm.item.* serves; the old invoice (5) is refused there.
// https://apidocs.bitrix24.com/api-reference/crm/data-types.html
var owners = [...]Owner{
	{ID: TypeLead, Name: "lead", Short: "L", Symbol: "LEAD", Rows: true},
	{ID: TypeDeal, Name: "deal", Short: "D", Symbol: "DEAL", Rows: true},
	{ID: TypeContact, Name: "contact", Short: "C", Symbol: "CONTACT"},
	{ID: TypeCompany, Name: "company", Short: "CO", Symbol: "COMPANY"},
	{ID: TypeQuote, Name: "quote", Short: "Q", Symbol: "QUOTE", Rows: true},
	{ID: TypeSmartInvoice, Name: "smart_invoice", Short: "SI", Symbol: "SMART_INVOICE", Rows: true},
}

// Owners returns the built-in owners, ordered by their ids.
func Owners() []Owner {
	list := owners
	return list[:]
}

// LookupOwner finds a built-in owner by its name or symbol, in any case.
func LookupOwner(name string) (Owner, bool) {
	for _, o := range owners {
		if strings.EqualFold(o.Name, name) {
			return o, true
		}
	}
	return Owner{}, false
}

// OwnerByType returns the owner of an entityTypeId. From 128 on it is a smart
// process, whose short code is T and the id in lower-case hexadecimal, as real
// portals write it (Tb3). For an id that is neither, only ID is set.
func OwnerByType(entityTypeID int) Owner {
	for _, o := range owners {
		if o.ID == entityTypeID {
			return o
		}
	}
	if entityTypeID < FirstDynamicType {
		return Owner{ID: entityTypeID}
	}
	id := strconv.Itoa(entityTypeID)
	return Owner{
		ID: entityTypeID, Name: "dynamic_" + id, Symbol: "DYNAMIC_" + id,
		Short: "T" + strconv.FormatInt(int64(entityTypeID), 16), Rows: true,
	}
}
