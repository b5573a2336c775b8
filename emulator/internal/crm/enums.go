package crm

import (
	"strconv"

	"github.com/b24rules/b24rules/emulator/internal/model"
	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

func EnumMethods() []rest.Method {
	return []rest.Method{
		{Name: "crm.enum.fields", Scope: "crm", Legacy: true, Run: enumFields},
		{Name: "crm.enum.ownertype", Scope: "crm", Legacy: true, Run: enumOwnerTypes},
		{Name: "crm.enum.addresstype", Scope: "crm", Legacy: true, Run: enumAddressTypes},
		{Name: "crm.enum.settings.mode", Scope: "crm", Legacy: true, Run: enumSettingsModes},
		{Name: "crm.enum.getorderownertypes", Scope: "crm", Legacy: true, Run: enumOrderOwners},
		{Name: "crm.currency.list", Scope: "crm", Legacy: true, Run: currencyList},
		{Name: "crm.multifield.fields", Scope: "crm", Legacy: true, Run: multifieldFields},
	}
}

// enumRow is a row of crm.enum.*: its names are upper-case and its id is a
// number.
func enumRow(id int, name string, code, short any) *php.Array {
	return value.Object("ID", id, "NAME", name, "SYMBOL_CODE", code, "SYMBOL_CODE_SHORT", short)
}

// enumOwnerTypes is crm.enum.ownertype: the built-in types, those that the
// emulator has no items of too, then the smart processes.
func enumOwnerTypes(c *rest.Call) (any, error) {
	answer := php.List(
		enumRow(model.TypeLead, "Lead", "LEAD", "L"), enumRow(model.TypeDeal, "Deal", "DEAL", "D"),
		enumRow(model.TypeContact, "Contact", "CONTACT", "C"), enumRow(model.TypeCompany, "Company", "COMPANY", "CO"),
		enumRow(model.TypeOldInvoice, "Invoice (old version)", "INVOICE", "I"), enumRow(model.TypeSmartInvoice, "Invoice", "SMART_INVOICE", "SI"),
		enumRow(model.TypeQuote, "Estimate", "QUOTE", "Q"), enumRow(8, "Billing details", "REQUISITE", "RQ"),
		enumRow(36, "Document", "SMART_DOCUMENT", "DO"), enumRow(39, "Company document", "SMART_B2E_DOC", "SBD"),
	)
	for _, t := range c.Store.DynamicTypes() {
		answer.Append(enumRow(t.ID, t.Title, t.Code, t.Short))
	}
	return answer, nil
}

func enumAddressTypes(*rest.Call) (any, error) {
	return php.List(
		enumRow(11, "Shipping address", nil, nil), enumRow(1, "Physical address", nil, nil), enumRow(6, "Legal address", nil, nil),
		enumRow(4, "Registered address", nil, nil), enumRow(8, "Mailing address", nil, nil), enumRow(9, "Beneficiary address", nil, nil),
	), nil
}

func enumSettingsModes(*rest.Call) (any, error) {
	return php.List(enumRow(1, "Classic CRM", nil, nil), enumRow(2, "Simple CRM", nil, nil)), nil
}

// currencyList is crm.currency.list: the base currency, and those that most portals have.
func currencyList(c *rest.Call) (any, error) {
	codes := []string{c.Options.Currency}
	for _, code := range []string{"USD", "EUR", "RUB"} {
		if code != c.Options.Currency {
			codes = append(codes, code)
		}
	}
	answer := php.NewArray()
	for i, code := range codes {
		base := "N"
		if i == 0 {
			base = "Y"
		}
		answer.Append(value.Object("CURRENCY", code, "AMOUNT_CNT", "1", "AMOUNT", "1.0000", "SORT", strconv.Itoa((i+1)*100), "BASE", base,
			"FULL_NAME", code, "LID", "en", "FORMAT_STRING", "# "+code, "DEC_POINT", ".", "THOUSANDS_SEP", nil, "DECIMALS", "2",
			"DATE_UPDATE", value.Text(c.Store.Zone.Second(c.Now))))
	}
	c.Total, c.HasTotal = len(codes), true
	return answer, nil
}

// enumOrderOwners is crm.enum.getorderownertypes, the one whose names are
// lower-case.
func enumOrderOwners(*rest.Call) (any, error) {
	return php.List(value.Object("attribute", "DYN", "code", "DEAL", "id", model.TypeDeal, "name", "Deal")), nil
}

func enumFields(*rest.Call) (any, error) {
	return describeAll(
		model.NewField("ID", "int", "ID", model.ReadOnly), model.NewField("NAME", "string", "Name", model.ReadOnly),
		model.NewField("SYMBOL_CODE", "string", "Symbolic code", model.ReadOnly), model.NewField("SYMBOL_CODE_SHORT", "string", "Short symbolic code", model.ReadOnly),
	), nil
}

func multifieldFields(*rest.Call) (any, error) {
	return describeAll(
		model.NewField("ID", "int", "ID", model.ReadOnly), model.NewField("TYPE_ID", "string", "Type of the field", model.ReadOnly),
		model.NewField("VALUE", "string", "Value", 0), model.NewField("VALUE_TYPE", "string", "Type of the value", 0),
	), nil
}

// describeAll is what the methods fields answer for a fixed set of fields.
func describeAll(fields ...*model.Field) *php.Array {
	described := php.NewArray()
	for _, f := range fields {
		described.Set(f.Name, describeField(f, nil))
	}
	return described
}
