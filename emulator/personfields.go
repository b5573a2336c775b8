package emulator

// The tables follow the order of the documented answers.
// https://apidocs.bitrix24.com/api-reference/crm/universal/object-fields.html

// named gives a field another name in the legacy methods.
func named(f *field, legacyName string) *field {
	f.legacy = legacyName
	return f
}

// all puts groups of fields one after another.
func all(groups ...[]*field) []*field {
	var fields []*field
	for _, g := range groups {
		fields = append(fields, g...)
	}
	return fields
}

// off are fields that crm.item.* still names, always null.
func off(names ...string) []*field {
	var fields []*field
	for _, name := range names {
		fields = append(fields, sys(name, "string", name, disabled|hidden))
	}
	return fields
}

// authorFields say who made and changed an item, and when.
func authorFields() []*field {
	return []*field{
		legacy("CREATED_TIME", "DATE_CREATE", "datetime", "Created on", readOnly),
		legacy("UPDATED_TIME", "DATE_MODIFY", "datetime", "Modified on", readOnly),
		legacy("CREATED_BY", "CREATED_BY_ID", "user", "Created by", readOnly),
		legacy("UPDATED_BY", "MODIFY_BY_ID", "user", "Modified by", readOnly),
		sys("ASSIGNED_BY_ID", "user", "Responsible", 0),
		sys("OPENED", "boolean", "Available to everyone", 0),
		sys("LAST_ACTIVITY_BY", "user", "Last activity by", readOnly),
		sys("LAST_ACTIVITY_TIME", "datetime", "Last activity on", readOnly),
		sys("WEBFORM_ID", "integer", "Created by CRM form", zeroNull|hidden),
		sys("SEARCH_CONTENT", "text", "Search content", disabled|hidden),
	}
}

func personFields(set flags) []*field {
	return []*field{
		sys("NAME", "string", "First name", set),
		sys("LAST_NAME", "string", "Last name", set),
		sys("SECOND_NAME", "string", "Middle name", set),
		status("HONORIFIC", "HONORIFIC", "Salutation", 0),
		sys("BIRTHDATE", "date", "Date of birth", 0),
		sys("POST", "string", "Position", 0),
	}
}

// originFields say where an item of an outside system came from.
func originFields() []*field {
	return []*field{
		sys("ORIGINATOR_ID", "string", "External source", 0),
		sys("ORIGIN_ID", "string", "ID in the external source", 0),
	}
}

func versionField() []*field {
	return []*field{sys("ORIGIN_VERSION", "string", "Version of the origin", 0)}
}

// addressFields are known to the legacy methods only; crm.item.* has a disabled
// address.
func addressFields(prefix, title string) []*field {
	fields := []*field{named(sys(prefix+"ADDRESS_1", "string", title, itemless), prefix+"ADDRESS")}
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
		fields = append(fields, sys(name, part.typ, name, itemless))
	}
	return fields
}

// reachFields are what multifields come to: whether there is one, and the first
// value of each kind.
func reachFields() []*field {
	fields := []*field{
		sys("HAS_PHONE", "boolean", "Has a phone", readOnly),
		sys("HAS_EMAIL", "boolean", "Has an e-mail", readOnly),
		sys("HAS_IMOL", "boolean", "Has an open channel", readOnly),
	}
	for _, a := range firstValues() {
		fields = append(fields, sys(a.name, "string", a.name, readOnly|hidden))
	}
	return append(fields, sys(multifieldsName, typeMultifield, "Phones, e-mails, messengers", multiple|hidden))
}

func observerFields() []*field {
	return []*field{sys("OBSERVERS", "user", "Observers", multiple|hidden)}
}

func contactLinks() []*field {
	return []*field{link("CONTACT_IDS", "crm_contact", 0, "Contacts", multiple|unread)}
}

// oldStage is the stage of the types that call it a status in their own methods.
func oldStage(title string) *field {
	return named(status("STAGE_ID", stageDirectory, title, 0), "STATUS_ID")
}

// communicationField is known to the legacy methods only.
func communicationField() []*field {
	return []*field{sys("LAST_COMMUNICATION_TIME", "string", "Last communication", readOnly|itemless)}
}

func leadFields() []*field {
	return all(
		[]*field{sys("ID", "integer", "ID", readOnly), sys("TITLE", "string", "Lead name", 0)},
		authorFields(),
		off("DATE_CREATE_SHORT", "DATE_MODIFY_SHORT"),
		clientFields(),
		[]*field{
			oldStage("Status"),
			sys("STATUS_DESCRIPTION", "text", "About the status", 0),
			named(sys("STAGE_SEMANTIC_ID", "string", "Status group", readOnly), "STATUS_SEMANTIC_ID"),
			sys("DATE_CLOSED", "datetime", "Closed on", readOnly),
		},
		moveFields(), amountFields(0), currencyField(),
		[]*field{
			sys("COMPANY_TITLE", "string", "Company name", 0),
			sys("COMMENTS", "text", "Comment", 0),
			sys("IS_RETURN_CUSTOMER", "boolean", "Repeat lead", readOnly),
		},
		personFields(0), sourceFields(), originFields(), addressFields("", "Address"), reachFields(),
		off("SHORT_NAME", "IS_CONVERT", "PRODUCT_ID", "ADDRESS", "LOGIN", "SKYPE", "ICQ"),
		utmFields(), observerFields(), contactLinks(),
	)
}

func contactFields() []*field {
	return all(
		[]*field{sys("ID", "integer", "ID", readOnly)},
		authorFields(),
		// One of the two names is needed; the description marks all three.
		personFields(required),
		[]*field{
			status("TYPE_ID", "CONTACT_TYPE", "Contact type", 0),
			sys("PHOTO", "file", "Photo", 0),
			sys("COMMENTS", "text", "Comment", 0),
			sys("EXPORT", "boolean", "Takes part in export", 0),
			link("LEAD_ID", "crm_lead", typeLead, "Lead", readOnly),
			link("COMPANY_ID", "crm_company", 0, "Company", zeroNull|deprecated),
			sys("CATEGORY_ID", "crm_category", "Category", hidden),
		},
		sourceFields(), originFields(), versionField(), addressFields("", "Address"), reachFields(),
		[]*field{sys("FACE_ID", "integer", "Face", readOnly|itemless)},
		off("SHORT_NAME", "ADDRESS", "LOGIN"),
		utmFields(), observerFields(),
		[]*field{link("COMPANY_IDS", "crm_company", 0, "Companies", multiple|unread)},
	)
}

func companyFields() []*field {
	return all(
		[]*field{sys("ID", "integer", "ID", readOnly), sys("TITLE", "string", "Company name", required)},
		authorFields(),
		[]*field{
			named(status("TYPE_ID", "COMPANY_TYPE", "Company type", 0), "COMPANY_TYPE"),
			sys("LOGO", "file", "Logo", 0),
			sys("BANKING_DETAILS", "text", "Bank details", 0),
			status("INDUSTRY", "INDUSTRY", "Industry", 0),
			status("EMPLOYEES", "EMPLOYEES", "Employees", 0),
			sys("REVENUE", "double", "Annual revenue", unscaled),
			sys("CURRENCY_ID", "crm_currency", "Currency", 0),
			sys("COMMENTS", "text", "Comment", 0),
			sys("IS_MY_COMPANY", "boolean", "Own company", 0),
			link("LEAD_ID", "crm_lead", typeLead, "Lead", readOnly),
			sys("CATEGORY_ID", "crm_category", "Category", hidden),
			sys("ADDRESS_LEGAL", "text", "Legal address", 0),
		},
		communicationField(), originFields(), versionField(), addressFields("", "Address"), addressFields("REG_", "Legal address"), reachFields(),
		off("ADDRESS"),
		utmFields(), observerFields(),
		// The legacy methods take and describe the list as CONTACT_ID.
		[]*field{named(link("CONTACT_IDS", "crm_contact", 0, "Contacts", multiple|unread), "CONTACT_ID")},
	)
}

func quoteFields() []*field {
	return all(
		[]*field{
			sys("ID", "integer", "ID", readOnly),
			sys("QUOTE_NUMBER", "string", "Number", readOnly),
			sys("TITLE", "string", "Subject", required),
		},
		authorFields(),
		off("DATE_CREATE_SHORT", "DATE_MODIFY_SHORT", "BEGINDATE_SHORT", "CLOSEDATE_SHORT"),
		[]*field{
			oldStage("Stage"),
			sys("CLOSED", "boolean", "Closed", 0),
			link("LEAD_ID", "crm_lead", 0, "Lead", 0),
			link("DEAL_ID", "crm_deal", 0, "Deal", 0),
			link("COMPANY_ID", "crm_company", 0, "Company", zeroNull),
			link("CONTACT_ID", "crm_contact", 0, "Contact", zeroNull|deprecated),
			link("MYCOMPANY_ID", "crm_company", 0, "Own company", 0),
			sys("PERSON_TYPE_ID", "integer", "Payer type", 0),
		},
		amountFields(hidden), taxField(), currencyField(),
		[]*field{
			sys("BEGINDATE", "date", "Issued on", 0),
			sys("CLOSEDATE", "date", "Valid until", 0),
			sys("ACTUAL_DATE", "date", "Relevant until", 0),
			sys("LOCATION_ID", "location", "Location", 0),
			sys("STORAGE_TYPE_ID", "integer", "Kind of storage", hidden),
			sys("STORAGE_ELEMENT_IDS", "integer", "Files", multiple|hidden),
		},
		communicationField(), quoteTexts(),
		off("HAS_PRODUCTS"),
		utmFields(), contactLinks(),
	)
}

func quoteTexts() []*field {
	var fields []*field
	for _, name := range []string{"COMMENTS", "CONTENT", "TERMS"} {
		fields = append(fields, sys(name, "text", name, 0), sys(name+"_TYPE", "integer", name+"_TYPE", hidden))
	}
	for _, name := range []string{
		"CLIENT_TITLE", "CLIENT_ADDR", "CLIENT_CONTACT", "CLIENT_EMAIL", "CLIENT_PHONE", "CLIENT_TP_ID", "CLIENT_TPA_ID",
	} {
		fields = append(fields, sys(name, "string", name, 0))
	}
	return fields
}
