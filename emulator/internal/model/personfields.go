package model

// The tables follow the order of the documented answers.
// https://apidocs.bitrix24.com/api-reference/crm/universal/object-fields.html

// named gives a field another name in the legacy methods.
func named(f *Field, legacyName string) *Field {
	f.Legacy = legacyName
	return f
}

// all puts groups of fields one after another.
func all(groups ...[]*Field) []*Field {
	var fields []*Field
	for _, g := range groups {
		fields = append(fields, g...)
	}
	return fields
}

// off are fields that crm.item.* still names, always null.
func off(names ...string) []*Field {
	var fields []*Field
	for _, name := range names {
		fields = append(fields, NewField(name, "string", name, Disabled|UniversalOnly))
	}
	return fields
}

// authorFields say who made and changed an item, and when.
func authorFields() []*Field {
	return []*Field{
		legacy("CREATED_TIME", "DATE_CREATE", "datetime", "Created on", ReadOnly),
		legacy("UPDATED_TIME", "DATE_MODIFY", "datetime", "Modified on", ReadOnly),
		legacy("CREATED_BY", "CREATED_BY_ID", "user", "Created by", ReadOnly),
		legacy("UPDATED_BY", "MODIFY_BY_ID", "user", "Modified by", ReadOnly),
		NewField("ASSIGNED_BY_ID", "user", "Responsible", 0),
		NewField("OPENED", "boolean", "Available to everyone", 0),
		NewField("LAST_ACTIVITY_BY", "user", "Last activity by", ReadOnly),
		NewField("LAST_ACTIVITY_TIME", "datetime", "Last activity on", ReadOnly),
		NewField("WEBFORM_ID", "integer", "Created by CRM form", ZeroNull|UniversalOnly),
		NewField("SEARCH_CONTENT", "text", "Search content", Disabled|UniversalOnly),
	}
}

func personFields(set Flags) []*Field {
	return []*Field{
		NewField("NAME", "string", "First name", set),
		NewField("LAST_NAME", "string", "Last name", set),
		NewField("SECOND_NAME", "string", "Middle name", set),
		status("HONORIFIC", "HONORIFIC", "Salutation", 0),
		NewField("BIRTHDATE", "date", "Date of birth", 0),
		NewField("POST", "string", "Position", 0),
	}
}

// originFields say where an item of an outside system came from.
func originFields() []*Field {
	return []*Field{
		NewField("ORIGINATOR_ID", "string", "External source", 0),
		NewField("ORIGIN_ID", "string", "ID in the external source", 0),
	}
}

func versionField() []*Field {
	return []*Field{NewField("ORIGIN_VERSION", "string", "Version of the origin", 0)}
}

// addressFields are known to the legacy methods only; crm.item.* has a disabled
// address.
func addressFields(prefix, title string) []*Field {
	fields := []*Field{named(NewField(prefix+"ADDRESS_1", "string", title, LegacyOnly), prefix+"ADDRESS")}
	for _, part := range [...]struct{ name, typ string }{
		{"2", "string"},
		{"CITY", "string"},
		{"POSTAL_CODE", "string"},
		{"REGION", "string"},
		{"PROVINCE", "string"},
		{"COUNTRY", "string"},
		{"COUNTRY_CODE", "string"},
		{"LOC_ADDR_ID", "integer"},
	} {
		name := prefix + "ADDRESS_" + part.name
		fields = append(fields, NewField(name, part.typ, name, LegacyOnly))
	}
	return fields
}

// reachFields are what multifields come to: whether there is one, and the first
// value of each kind.
func reachFields() []*Field {
	fields := []*Field{
		NewField("HAS_PHONE", "boolean", "Has a phone", ReadOnly),
		NewField("HAS_EMAIL", "boolean", "Has an e-mail", ReadOnly),
		NewField("HAS_IMOL", "boolean", "Has an open channel", ReadOnly),
	}
	for _, a := range FirstValues() {
		fields = append(fields, NewField(a.Name, "string", a.Name, ReadOnly|UniversalOnly))
	}
	return append(fields, NewField(MultifieldsName, TypeMultifield, "Phones, e-mails, messengers", Multiple|UniversalOnly))
}

func observerFields() []*Field {
	return []*Field{NewField("OBSERVERS", "user", "Observers", Multiple|UniversalOnly)}
}

func contactLinks() []*Field {
	return []*Field{link("CONTACT_IDS", "crm_contact", 0, "Contacts", Multiple|LegacyWriteOnly)}
}

// oldStage is the stage of the types that call it a status in their own methods.
func oldStage(title string) *Field {
	return named(status("STAGE_ID", stageDirectory, title, 0), "STATUS_ID")
}

// communicationField is known to the legacy methods only.
func communicationField() []*Field {
	return []*Field{NewField("LAST_COMMUNICATION_TIME", "string", "Last communication", ReadOnly|LegacyOnly)}
}

func leadFields() []*Field {
	return all(
		[]*Field{NewField("ID", "integer", "ID", ReadOnly), NewField("TITLE", "string", "Lead name", 0)},
		authorFields(),
		off("DATE_CREATE_SHORT", "DATE_MODIFY_SHORT"),
		clientFields(),
		[]*Field{
			oldStage("Status"),
			NewField("STATUS_DESCRIPTION", "text", "About the status", 0),
			named(NewField("STAGE_SEMANTIC_ID", "string", "Status group", ReadOnly), "STATUS_SEMANTIC_ID"),
			NewField("DATE_CLOSED", "datetime", "Closed on", ReadOnly),
		},
		moveFields(), amountFields(0), currencyField(),
		[]*Field{
			NewField("COMPANY_TITLE", "string", "Company name", 0),
			NewField("COMMENTS", "text", "Comment", 0),
			NewField("IS_RETURN_CUSTOMER", "boolean", "Repeat lead", ReadOnly),
		},
		personFields(0), sourceFields(), originFields(), addressFields("", "Address"), reachFields(),
		off("SHORT_NAME", "IS_CONVERT", "PRODUCT_ID", "ADDRESS", "LOGIN", "SKYPE", "ICQ"),
		utmFields(), observerFields(), contactLinks(),
	)
}

func contactFields() []*Field {
	return all(
		[]*Field{NewField("ID", "integer", "ID", ReadOnly)},
		authorFields(),
		// One of the two names is needed; the description marks all three.
		personFields(Required),
		[]*Field{
			status("TYPE_ID", "CONTACT_TYPE", "Contact type", 0),
			NewField("PHOTO", "file", "Photo", 0),
			NewField("COMMENTS", "text", "Comment", 0),
			NewField("EXPORT", "boolean", "Takes part in export", 0),
			link("LEAD_ID", "crm_lead", TypeLead, "Lead", ReadOnly),
			link("COMPANY_ID", "crm_company", 0, "Company", ZeroNull|Deprecated),
			NewField("CATEGORY_ID", "crm_category", "Category", UniversalOnly),
		},
		sourceFields(), originFields(), versionField(), addressFields("", "Address"), reachFields(),
		[]*Field{NewField("FACE_ID", "integer", "Face", ReadOnly|LegacyOnly)},
		off("SHORT_NAME", "ADDRESS", "LOGIN"),
		utmFields(), observerFields(),
		[]*Field{link("COMPANY_IDS", "crm_company", 0, "Companies", Multiple|LegacyWriteOnly)},
	)
}

func companyFields() []*Field {
	return all(
		[]*Field{NewField("ID", "integer", "ID", ReadOnly), NewField("TITLE", "string", "Company name", Required)},
		authorFields(),
		[]*Field{
			named(status("TYPE_ID", "COMPANY_TYPE", "Company type", 0), "COMPANY_TYPE"),
			NewField("LOGO", "file", "Logo", 0),
			NewField("BANKING_DETAILS", "text", "Bank details", 0),
			status("INDUSTRY", "INDUSTRY", "Industry", 0),
			status("EMPLOYEES", "EMPLOYEES", "Employees", 0),
			NewField("REVENUE", "double", "Annual revenue", Unscaled),
			NewField("CURRENCY_ID", "crm_currency", "Currency", 0),
			NewField("COMMENTS", "text", "Comment", 0),
			NewField("IS_MY_COMPANY", "boolean", "Own company", 0),
			link("LEAD_ID", "crm_lead", TypeLead, "Lead", ReadOnly),
			NewField("CATEGORY_ID", "crm_category", "Category", UniversalOnly),
			NewField("ADDRESS_LEGAL", "text", "Legal address", 0),
		},
		communicationField(), originFields(), versionField(), addressFields("", "Address"), addressFields("REG_", "Legal address"), reachFields(),
		off("ADDRESS"),
		utmFields(), observerFields(),
		// The legacy methods take and describe the list as CONTACT_ID.
		[]*Field{named(link("CONTACT_IDS", "crm_contact", 0, "Contacts", Multiple|LegacyWriteOnly), "CONTACT_ID")},
	)
}

func quoteFields() []*Field {
	return all(
		[]*Field{
			NewField("ID", "integer", "ID", ReadOnly),
			NewField("QUOTE_NUMBER", "string", "Number", ReadOnly),
			NewField("TITLE", "string", "Subject", Required),
		},
		authorFields(),
		off("DATE_CREATE_SHORT", "DATE_MODIFY_SHORT", "BEGINDATE_SHORT", "CLOSEDATE_SHORT"),
		[]*Field{
			oldStage("Stage"),
			NewField("CLOSED", "boolean", "Closed", 0),
			link("LEAD_ID", "crm_lead", 0, "Lead", 0),
			link("DEAL_ID", "crm_deal", 0, "Deal", 0),
			link("COMPANY_ID", "crm_company", 0, "Company", ZeroNull),
			link("CONTACT_ID", "crm_contact", 0, "Contact", ZeroNull|Deprecated),
			link("MYCOMPANY_ID", "crm_company", 0, "Own company", 0),
			NewField("PERSON_TYPE_ID", "integer", "Payer type", 0),
		},
		amountFields(UniversalOnly), taxField(), currencyField(),
		[]*Field{
			NewField("BEGINDATE", "date", "Issued on", 0),
			NewField("CLOSEDATE", "date", "Valid until", 0),
			NewField("ACTUAL_DATE", "date", "Relevant until", 0),
			NewField("LOCATION_ID", "location", "Location", 0),
			NewField("STORAGE_TYPE_ID", "integer", "Kind of storage", UniversalOnly),
			NewField("STORAGE_ELEMENT_IDS", "integer", "Files", Multiple|UniversalOnly),
		},
		communicationField(), quoteTexts(),
		off("HAS_PRODUCTS"),
		utmFields(), contactLinks(),
	)
}

func quoteTexts() []*Field {
	var fields []*Field
	for _, name := range []string{"COMMENTS", "CONTENT", "TERMS"} {
		fields = append(fields, NewField(name, "text", name, 0), NewField(name+"_TYPE", "integer", name+"_TYPE", UniversalOnly))
	}
	for _, name := range []string{
		"CLIENT_TITLE", "CLIENT_ADDR", "CLIENT_CONTACT", "CLIENT_EMAIL", "CLIENT_PHONE", "CLIENT_TP_ID", "CLIENT_TPA_ID",
	} {
		fields = append(fields, NewField(name, "string", name, 0))
	}
	return fields
}
