package model

import "github.com/b24rules/b24rules/emulator/internal/value"

// The tables of fields follow the order of the documented answers.
// https://apidocs.bitrix24.com/api-reference/crm/universal/object-fields.html

func NewField(name, typ, title string, set Flags) *Field {
	return &Field{Name: name, Type: typ, Title: title, Flags: set}
}

func legacy(name, legacyName, typ, title string, set Flags) *Field {
	return &Field{Name: name, Legacy: legacyName, Type: typ, Title: title, Flags: set}
}

func status(name, directory, title string, set Flags) *Field {
	return &Field{Name: name, Type: "crm_status", Title: title, Flags: set, Status: directory}
}

func link(name, typ string, parent int, title string, set Flags) *Field {
	return &Field{Name: name, Type: typ, Title: title, Flags: set, Parent: parent}
}

// The stage's directory is that of the type and the category.
const stageDirectory = "stage"

func utmFields() []*Field {
	return []*Field{
		NewField("UTM_SOURCE", "string", "UTM Source", 0),
		NewField("UTM_MEDIUM", "string", "UTM Medium", 0),
		NewField("UTM_CAMPAIGN", "string", "UTM Campaign", 0),
		NewField("UTM_CONTENT", "string", "UTM Content", 0),
		NewField("UTM_TERM", "string", "UTM Term", 0),
	}
}

func dealFields() []*Field {
	fields := []*Field{
		NewField("ID", "integer", "ID", ReadOnly),
		legacy("CREATED_TIME", "DATE_CREATE", "datetime", "Created on", ReadOnly),
		NewField("DATE_CREATE_SHORT", "datetime", "Created on", Disabled|UniversalOnly),
		legacy("UPDATED_TIME", "DATE_MODIFY", "datetime", "Modified on", ReadOnly),
		NewField("DATE_MODIFY_SHORT", "datetime", "Modified on", Disabled|UniversalOnly),
		legacy("CREATED_BY", "CREATED_BY_ID", "user", "Created by", ReadOnly),
		legacy("UPDATED_BY", "MODIFY_BY_ID", "user", "Modified by", ReadOnly),
		NewField("ASSIGNED_BY_ID", "user", "Responsible", 0),
		NewField("OPENED", "boolean", "Available to everyone", 0),
		link("LEAD_ID", "crm_lead", TypeLead, "Lead", LegacyReadOnly),
		link("COMPANY_ID", "crm_company", TypeCompany, "Company", ZeroNull),
		link("CONTACT_ID", "crm_contact", 0, "Contact", ZeroNull|Deprecated),
		link("QUOTE_ID", "crm_quote", TypeQuote, "Estimate", LegacyReadOnly),
		NewField("TITLE", "string", "Name", 0),
		NewField("PRODUCT_ID", "string", "Product", Disabled|UniversalOnly),
		NewField("CATEGORY_ID", "crm_category", "Pipeline", 0),
		status("STAGE_ID", stageDirectory, "Stage", 0),
		NewField("STAGE_SEMANTIC_ID", "string", "Stage group", ReadOnly),
		NewField("IS_NEW", "boolean", "New deal", ReadOnly),
		NewField("IS_RECURRING", "boolean", "Recurring deal", 0),
		NewField("IS_RETURN_CUSTOMER", "boolean", "Repeat deal", 0),
		NewField("IS_REPEATED_APPROACH", "boolean", "Repeat enquiry", 0),
		NewField("CLOSED", "boolean", "Closed", 0), // the stage decides, whatever is written
		status("TYPE_ID", "DEAL_TYPE", "Type", 0),
	}
	fields = append(fields, moneyFields()...)
	fields = append(fields, dealDetails()...)
	fields = append(fields, utmFields()...)
	return append(fields,
		NewField("OBSERVERS", "user", "Observers", Multiple|UniversalOnly),
		link("CONTACT_IDS", "crm_contact", 0, "Contacts", Multiple|LegacyWriteOnly),
	)
}

func dealDetails() []*Field {
	fields := []*Field{
		NewField("PROBABILITY", "integer", "Probability", 0),
		NewField("COMMENTS", "text", "Comment", 0),
		NewField("BEGINDATE", "date", "Start date", 0),
		NewField("BEGINDATE_SHORT", "date", "Start date", Disabled|UniversalOnly),
		NewField("CLOSEDATE", "date", "Close date", 0),
		NewField("CLOSEDATE_SHORT", "date", "Close date", Disabled|UniversalOnly),
		NewField("EVENT_DATE", "datetime", "Event date", UniversalOnly),
		NewField("EVENT_DATE_SHORT", "datetime", "Event date", Disabled|UniversalOnly),
		NewField("EVENT_ID", "string", "Event type", UniversalOnly),
		NewField("EVENT_DESCRIPTION", "text", "Event description", UniversalOnly),
		NewField("LOCATION_ID", "location", "Location", 0),
		NewField("WEBFORM_ID", "integer", "Created by CRM form", ZeroNull|UniversalOnly),
		status("SOURCE_ID", "SOURCE", "Source", 0),
		NewField("SOURCE_DESCRIPTION", "text", "About the source", 0),
		NewField("ORIGINATOR_ID", "string", "External source", 0),
		NewField("ORIGIN_ID", "string", "ID in the external source", 0),
		NewField("ADDITIONAL_INFO", "string", "Additional information", 0),
		NewField("SEARCH_CONTENT", "text", "Search content", Disabled|UniversalOnly),
		NewField("ORDER_STAGE", "string", "Payment stage", Disabled|UniversalOnly),
	}
	fields = append(fields, moveFields()...)
	fields = append(fields,
		NewField("LAST_ACTIVITY_BY", "user", "Last activity by", ReadOnly),
		NewField("LAST_ACTIVITY_TIME", "datetime", "Last activity on", ReadOnly),
	)
	for _, name := range []string{"IS_WORK", "IS_WON", "IS_LOSE", "RECEIVED_AMOUNT", "LOST_AMOUNT", "HAS_PRODUCTS"} {
		fields = append(fields, NewField(name, "string", name, Disabled|UniversalOnly))
	}
	return fields
}

// amountFields are the amount and how it comes about; manual are the flags of the
// second.
func amountFields(manual Flags) []*Field {
	return []*Field{
		NewField("OPPORTUNITY", "double", "Amount", 0),
		NewField("IS_MANUAL_OPPORTUNITY", "boolean", "Amount is set by hand", manual),
	}
}

func taxField() []*Field { return []*Field{NewField("TAX_VALUE", "double", "Tax", 0)} }

func currencyField() []*Field {
	return []*Field{NewField("CURRENCY_ID", "crm_currency", "Currency", 0)}
}

func moneyFields() []*Field { return all(amountFields(0), taxField(), currencyField()) }

// moveFields say who moved an item to its stage, and when.
func moveFields() []*Field {
	return []*Field{
		legacy("MOVED_BY", "MOVED_BY_ID", "user", "Moved by", ReadOnly),
		NewField("MOVED_TIME", "datetime", "Moved on", ReadOnly),
	}
}

// frameFields begin the fields of smart invoices and smart processes.
func frameFields() []*Field {
	return []*Field{
		NewField("ID", "integer", "ID", ReadOnly),
		NewField("XML_ID", "string", "External code", 0),
		NewField("TITLE", "string", "Name", 0),
		NewField("CREATED_BY", "user", "Created by", ReadOnly),
		NewField("UPDATED_BY", "user", "Modified by", ReadOnly),
		NewField("MOVED_BY", "user", "Moved by", ReadOnly),
		NewField("CREATED_TIME", "datetime", "Created on", ReadOnly),
		NewField("UPDATED_TIME", "datetime", "Modified on", ReadOnly),
		NewField("MOVED_TIME", "datetime", "Moved on", ReadOnly),
		NewField("CATEGORY_ID", "crm_category", "Pipeline", 0),
		NewField("OPENED", "boolean", "Available to everyone", Required),
	}
}

func stageFields() []*Field {
	return []*Field{
		status("STAGE_ID", stageDirectory, "Stage", 0),
		status("PREVIOUS_STAGE_ID", stageDirectory, "Previous stage", ReadOnly),
	}
}

func dateFields() []*Field {
	return []*Field{
		NewField("BEGINDATE", "date", "Start date", 0),
		NewField("CLOSEDATE", "date", "End date", 0),
	}
}

func clientFields() []*Field {
	return []*Field{
		link("COMPANY_ID", "crm_company", TypeCompany, "Company", ZeroNull),
		link("CONTACT_ID", "crm_contact", 0, "Contact", ZeroNull|Deprecated),
	}
}

func sourceFields() []*Field {
	return []*Field{
		status("SOURCE_ID", "SOURCE", "Source", 0),
		NewField("SOURCE_DESCRIPTION", "text", "About the source", 0),
	}
}

func tailFields(observers, clients bool) []*Field {
	fields := []*Field{
		NewField("ASSIGNED_BY_ID", "user", "Responsible", 0),
		NewField("LAST_ACTIVITY_BY", "user", "Last activity by", ReadOnly),
		NewField("LAST_ACTIVITY_TIME", "datetime", "Last activity on", ReadOnly),
		NewField("WEBFORM_ID", "integer", "Created by CRM form", ZeroNull),
	}
	fields = append(fields, utmFields()...)
	if observers {
		fields = append(fields, NewField("OBSERVERS", "user", "Observers", Multiple))
	}
	if clients {
		fields = append(fields, link("CONTACT_IDS", "crm_contact", 0, "Contacts", Multiple))
	}
	return fields
}

func invoiceFields() []*Field {
	fields := append(frameFields(), stageFields()...)
	fields = append(fields, dateFields()...)
	fields = append(fields, clientFields()...)
	fields = append(fields, moneyFields()...)
	fields = append(fields, link("MYCOMPANY_ID", "crm_company", TypeCompany, "Own company", ZeroNull))
	fields = append(fields, sourceFields()...)
	fields = append(fields,
		NewField("COMMENTS", "text", "Comment", 0),
		NewField("LOCATION_ID", "location", "Location", 0),
		// Absent from the tables of add and update, so taken for read-only.
		NewField("ACCOUNT_NUMBER", "string", "Invoice number", ReadOnly),
	)
	fields = append(fields, tailFields(true, true)...)
	return append(fields, parentField(TypeDeal, "Deal"), parentField(TypeQuote, "Estimate"))
}

// dynamicFields are those of a smart process; its switches decide which it has.
func dynamicFields(t Type) []*Field {
	fields := frameFields()
	if !t.NoStages {
		fields = append(fields, stageFields()...)
	}
	if t.Dates {
		fields = append(fields, dateFields()...)
	}
	if t.Clients {
		fields = append(fields, clientFields()...)
	}
	if t.Products {
		fields = append(fields, moneyFields()...)
		for _, name := range []string{"OPPORTUNITY_ACCOUNT", "TAX_VALUE_ACCOUNT", "ACCOUNT_CURRENCY_ID"} {
			fields = append(fields, NewField(name, "string", name, Disabled))
		}
	}
	if t.OwnCompany {
		fields = append(fields, link("MYCOMPANY_ID", "crm_company", TypeCompany, "Own company", ZeroNull))
	}
	if t.Sources {
		fields = append(fields, sourceFields()...)
	}
	return append(fields, tailFields(t.Observers, t.Clients)...)
}

func parentField(entityTypeID int, title string) *Field {
	return link("PARENT_ID_"+value.Text(value.FromInt(int64(entityTypeID))), "crm_entity", entityTypeID, title, 0)
}
