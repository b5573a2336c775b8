package emulator

import "github.com/b24rules/b24rules/emulator/internal/value"

// The tables of fields follow the order of the documented answers.
// https://apidocs.bitrix24.com/api-reference/crm/universal/object-fields.html

func sys(name, typ, title string, set flags) *field {
	return &field{name: name, typ: typ, title: title, flags: set}
}

func legacy(name, legacyName, typ, title string, set flags) *field {
	return &field{name: name, legacy: legacyName, typ: typ, title: title, flags: set}
}

func status(name, directory, title string, set flags) *field {
	return &field{name: name, typ: "crm_status", title: title, flags: set, status: directory}
}

func link(name, typ string, parent int, title string, set flags) *field {
	return &field{name: name, typ: typ, title: title, flags: set, parent: parent}
}

// The stage's directory is that of the type and the category.
const stageDirectory = "stage"

func utmFields() []*field {
	return []*field{
		sys("UTM_SOURCE", "string", "UTM Source", 0),
		sys("UTM_MEDIUM", "string", "UTM Medium", 0),
		sys("UTM_CAMPAIGN", "string", "UTM Campaign", 0),
		sys("UTM_CONTENT", "string", "UTM Content", 0),
		sys("UTM_TERM", "string", "UTM Term", 0),
	}
}

func dealFields() []*field {
	fields := []*field{
		sys("ID", "integer", "ID", readOnly),
		legacy("CREATED_TIME", "DATE_CREATE", "datetime", "Created on", readOnly),
		sys("DATE_CREATE_SHORT", "datetime", "Created on", disabled|hidden),
		legacy("UPDATED_TIME", "DATE_MODIFY", "datetime", "Modified on", readOnly),
		sys("DATE_MODIFY_SHORT", "datetime", "Modified on", disabled|hidden),
		legacy("CREATED_BY", "CREATED_BY_ID", "user", "Created by", readOnly),
		legacy("UPDATED_BY", "MODIFY_BY_ID", "user", "Modified by", readOnly),
		sys("ASSIGNED_BY_ID", "user", "Responsible", 0),
		sys("OPENED", "boolean", "Available to everyone", 0),
		link("LEAD_ID", "crm_lead", typeLead, "Lead", settled),
		link("COMPANY_ID", "crm_company", typeCompany, "Company", zeroNull),
		link("CONTACT_ID", "crm_contact", 0, "Contact", zeroNull|deprecated),
		link("QUOTE_ID", "crm_quote", typeQuote, "Estimate", settled),
		sys("TITLE", "string", "Name", 0),
		sys("PRODUCT_ID", "string", "Product", disabled|hidden),
		sys("CATEGORY_ID", "crm_category", "Pipeline", 0),
		status("STAGE_ID", stageDirectory, "Stage", 0),
		sys("STAGE_SEMANTIC_ID", "string", "Stage group", readOnly),
		sys("IS_NEW", "boolean", "New deal", readOnly),
		sys("IS_RECURRING", "boolean", "Recurring deal", 0),
		sys("IS_RETURN_CUSTOMER", "boolean", "Repeat deal", 0),
		sys("IS_REPEATED_APPROACH", "boolean", "Repeat enquiry", 0),
		sys("CLOSED", "boolean", "Closed", 0), // the stage decides, whatever is written
		status("TYPE_ID", "DEAL_TYPE", "Type", 0),
	}
	fields = append(fields, moneyFields()...)
	fields = append(fields, dealDetails()...)
	fields = append(fields, utmFields()...)
	return append(fields,
		sys("OBSERVERS", "user", "Observers", multiple|hidden),
		link("CONTACT_IDS", "crm_contact", 0, "Contacts", multiple|unread),
	)
}

func dealDetails() []*field {
	fields := []*field{
		sys("PROBABILITY", "integer", "Probability", 0),
		sys("COMMENTS", "text", "Comment", 0),
		sys("BEGINDATE", "date", "Start date", 0),
		sys("BEGINDATE_SHORT", "date", "Start date", disabled|hidden),
		sys("CLOSEDATE", "date", "Close date", 0),
		sys("CLOSEDATE_SHORT", "date", "Close date", disabled|hidden),
		sys("EVENT_DATE", "datetime", "Event date", hidden),
		sys("EVENT_DATE_SHORT", "datetime", "Event date", disabled|hidden),
		sys("EVENT_ID", "string", "Event type", hidden),
		sys("EVENT_DESCRIPTION", "text", "Event description", hidden),
		sys("LOCATION_ID", "location", "Location", 0),
		sys("WEBFORM_ID", "integer", "Created by CRM form", zeroNull|hidden),
		status("SOURCE_ID", "SOURCE", "Source", 0),
		sys("SOURCE_DESCRIPTION", "text", "About the source", 0),
		sys("ORIGINATOR_ID", "string", "External source", 0),
		sys("ORIGIN_ID", "string", "ID in the external source", 0),
		sys("ADDITIONAL_INFO", "string", "Additional information", 0),
		sys("SEARCH_CONTENT", "text", "Search content", disabled|hidden),
		sys("ORDER_STAGE", "string", "Payment stage", disabled|hidden),
	}
	fields = append(fields, moveFields()...)
	fields = append(fields,
		sys("LAST_ACTIVITY_BY", "user", "Last activity by", readOnly),
		sys("LAST_ACTIVITY_TIME", "datetime", "Last activity on", readOnly),
	)
	for _, name := range []string{"IS_WORK", "IS_WON", "IS_LOSE", "RECEIVED_AMOUNT", "LOST_AMOUNT", "HAS_PRODUCTS"} {
		fields = append(fields, sys(name, "string", name, disabled|hidden))
	}
	return fields
}

// amountFields are the amount and how it comes about; manual are the flags of the
// second.
func amountFields(manual flags) []*field {
	return []*field{
		sys("OPPORTUNITY", "double", "Amount", 0),
		sys("IS_MANUAL_OPPORTUNITY", "boolean", "Amount is set by hand", manual),
	}
}

func taxField() []*field { return []*field{sys("TAX_VALUE", "double", "Tax", 0)} }

func currencyField() []*field {
	return []*field{sys("CURRENCY_ID", "crm_currency", "Currency", 0)}
}

func moneyFields() []*field { return all(amountFields(0), taxField(), currencyField()) }

// moveFields say who moved an item to its stage, and when.
func moveFields() []*field {
	return []*field{
		legacy("MOVED_BY", "MOVED_BY_ID", "user", "Moved by", readOnly),
		sys("MOVED_TIME", "datetime", "Moved on", readOnly),
	}
}

// frameFields begin the fields of smart invoices and smart processes.
func frameFields() []*field {
	return []*field{
		sys("ID", "integer", "ID", readOnly),
		sys("XML_ID", "string", "External code", 0),
		sys("TITLE", "string", "Name", 0),
		sys("CREATED_BY", "user", "Created by", readOnly),
		sys("UPDATED_BY", "user", "Modified by", readOnly),
		sys("MOVED_BY", "user", "Moved by", readOnly),
		sys("CREATED_TIME", "datetime", "Created on", readOnly),
		sys("UPDATED_TIME", "datetime", "Modified on", readOnly),
		sys("MOVED_TIME", "datetime", "Moved on", readOnly),
		sys("CATEGORY_ID", "crm_category", "Pipeline", 0),
		sys("OPENED", "boolean", "Available to everyone", required),
	}
}

func stageFields() []*field {
	return []*field{
		status("STAGE_ID", stageDirectory, "Stage", 0),
		status("PREVIOUS_STAGE_ID", stageDirectory, "Previous stage", readOnly),
	}
}

func dateFields() []*field {
	return []*field{
		sys("BEGINDATE", "date", "Start date", 0),
		sys("CLOSEDATE", "date", "End date", 0),
	}
}

func clientFields() []*field {
	return []*field{
		link("COMPANY_ID", "crm_company", typeCompany, "Company", zeroNull),
		link("CONTACT_ID", "crm_contact", 0, "Contact", zeroNull|deprecated),
	}
}

func sourceFields() []*field {
	return []*field{
		status("SOURCE_ID", "SOURCE", "Source", 0),
		sys("SOURCE_DESCRIPTION", "text", "About the source", 0),
	}
}

func tailFields(observers, clients bool) []*field {
	fields := []*field{
		sys("ASSIGNED_BY_ID", "user", "Responsible", 0),
		sys("LAST_ACTIVITY_BY", "user", "Last activity by", readOnly),
		sys("LAST_ACTIVITY_TIME", "datetime", "Last activity on", readOnly),
		sys("WEBFORM_ID", "integer", "Created by CRM form", zeroNull),
	}
	fields = append(fields, utmFields()...)
	if observers {
		fields = append(fields, sys("OBSERVERS", "user", "Observers", multiple))
	}
	if clients {
		fields = append(fields, link("CONTACT_IDS", "crm_contact", 0, "Contacts", multiple))
	}
	return fields
}

func invoiceFields() []*field {
	fields := append(frameFields(), stageFields()...)
	fields = append(fields, dateFields()...)
	fields = append(fields, clientFields()...)
	fields = append(fields, moneyFields()...)
	fields = append(fields, link("MYCOMPANY_ID", "crm_company", typeCompany, "Own company", zeroNull))
	fields = append(fields, sourceFields()...)
	fields = append(fields,
		sys("COMMENTS", "text", "Comment", 0),
		sys("LOCATION_ID", "location", "Location", 0),
		// Absent from the tables of add and update, so taken for read-only.
		sys("ACCOUNT_NUMBER", "string", "Invoice number", readOnly),
	)
	fields = append(fields, tailFields(true, true)...)
	return append(fields, parentField(typeDeal, "Deal"), parentField(typeQuote, "Estimate"))
}

// dynamicFields are those of a smart process; its switches decide which it has.
func dynamicFields(t Type) []*field {
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
			fields = append(fields, sys(name, "string", name, disabled))
		}
	}
	if t.OwnCompany {
		fields = append(fields, link("MYCOMPANY_ID", "crm_company", typeCompany, "Own company", zeroNull))
	}
	if t.Sources {
		fields = append(fields, sourceFields()...)
	}
	return append(fields, tailFields(t.Observers, t.Clients)...)
}

func parentField(entityTypeID int, title string) *field {
	return link("PARENT_ID_"+value.Text(value.FromInt(int64(entityTypeID))), "crm_entity", entityTypeID, title, 0)
}
