package schemas

import (
	"slices"
	"strings"
	"sync"
)

// Field is one field of an item, a product row or a list element.
type Field struct {
	Name     string // as the REST API spells it; crm.item.* in camelCase
	Type     string // as crm.item.fields says: integer, double, string, boolean, date, datetime, user, crm_status …
	Title    string // English; a portal has its own
	ReadOnly bool   // cannot be written, or only when the item is added
	Multiple bool   // a list of values
	Maybe    bool   // may be null, or be absent on some portals
}

// flags keep the tables readable.
type flags uint8

const (
	ro    flags = 1 << iota // ReadOnly
	multi                   // Multiple
	maybe                   // Maybe
)

func field(name, typ, title string, set flags) Field {
	return Field{
		Name: name, Type: typ, Title: title,
		ReadOnly: set&ro != 0, Multiple: set&multi != 0, Maybe: set&maybe != 0,
	}
}

// Entity type ids of the built-in CRM entities that crm.item.* serves.
const (
	TypeLead         = 1
	TypeDeal         = 2
	TypeContact      = 3
	TypeCompany      = 4
	TypeQuote        = 7
	TypeSmartInvoice = 31
	// FirstDynamicType is the smallest entityTypeId of a smart process.
	FirstDynamicType = 128
)

// ItemFields returns the documented system fields of an entity type as
// crm.item.* names them; for 128 and above those a smart process can have, which
// are null or absent where its switch is off. The portal's own fields (ufCrm…,
// parentId…) are not among them. An unknown type has none.
//
// https://apidocs.bitrix24.com/api-reference/crm/universal/object-fields.html
func ItemFields(entityTypeID int) []Field {
	return itemFields()[min(entityTypeID, FirstDynamicType)]
}

// itemFields are the fields by types; all types of FirstDynamicType and above have the same.
// They are shared, and clipped so that appending copies them.
var itemFields = sync.OnceValue(func() map[int][]Field {
	all := map[int][]Field{}
	for typ, own := range map[int][]Field{
		TypeLead: leadFields(), TypeDeal: dealFields(), TypeContact: contactFields(), TypeCompany: companyFields(),
		TypeQuote: quoteFields(), TypeSmartInvoice: invoiceFields(), FirstDynamicType: dynamicFields(),
	} {
		all[typ] = slices.Clip(slices.Concat(commonFields(), own))
	}
	return all
})

// ItemFieldName returns the name that crm.item.* has for a field of crm.deal.* and the
// like: assignedById for ASSIGNED_BY_ID, ufCrm_SUM for UF_CRM_SUM.
func ItemFieldName(entityTypeID int, stored string) string {
	if custom, ok := strings.CutPrefix(stored, "UF_CRM_"); ok {
		return "ufCrm_" + custom
	}
	for _, f := range ItemFields(entityTypeID) {
		if StoredName(f.Name) == stored {
			return f.Name
		}
	}
	return stored
}

// oldNames are the fields whose names in crm.deal.* and the like are not StoredName.
var oldNames = map[string]string{
	"createdTime": "DATE_CREATE", "updatedTime": "DATE_MODIFY", "createdBy": "CREATED_BY_ID", "updatedBy": "MODIFY_BY_ID",
	"movedBy": "MOVED_BY_ID", "isMyCompany": "IS_MY_COMPANY", "mycompanyId": "MYCOMPANY_ID", "xmlId": "ORIGIN_XML_ID",
}

// OldName is the name of a field in crm.deal.* and the like.
func OldName(entityTypeID int, name string) string {
	switch {
	case name == "stageId" && (entityTypeID == TypeLead || entityTypeID == TypeQuote):
		return "STATUS_ID"
	case oldNames[name] != "":
		return oldNames[name]
	}
	return StoredName(name)
}

// StoredName is the upper-case name of a field: STAGE_ID for stageId.
func StoredName(name string) string {
	var b strings.Builder
	for _, r := range name {
		if r >= 'A' && r <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToUpper(b.String())
}

// CustomFieldName returns the name that a portal gives a custom field which is spelled as
// for items of another type, "" when the spelling is possible: ufCrm_MARGIN for ufCrmMargin
// of a deal. read says that a formula reads the field; steps also write stored names.
//
// Source: https://apidocs.bitrix24.com/api-reference/crm/universal/index.html
func CustomFieldName(entityTypeID int, name string, read bool) string {
	custom, isItem := strings.CutPrefix(name, "ufCrm")
	stored, isStored := strings.CutPrefix(name, "UF_CRM_")
	system := entityTypeID > 0 && entityTypeID < FirstDynamicType && entityTypeID != TypeSmartInvoice
	switch {
	case isStored && read && system:
		return "ufCrm_" + stored
	case isStored && read:
		return "ufCrm" + stored
	case isItem && custom != "" && system && custom[0] != '_':
		return "ufCrm_" + strings.TrimPrefix(StoredName(custom), "_")
	case isItem && entityTypeID >= FirstDynamicType && strings.HasPrefix(custom, "_"):
		return "ufCrm5" + custom
	}
	return ""
}

// ItemField finds a documented field of an entity type.
func ItemField(entityTypeID int, name string) (Field, bool) {
	for _, f := range ItemFields(entityTypeID) {
		if f.Name == name {
			return f, true
		}
	}
	return Field{}, false
}

// HoldsID returns the entityTypeId of the records whose ids a field holds, TypeUser for
// users, and 0 for a field that holds no ids.
func (f Field) HoldsID() int {
	switch f.Type {
	case "user":
		return TypeUser
	case "crm_lead", "crm_deal", "crm_contact", "crm_company", "crm_quote":
		o, _ := LookupOwner(strings.TrimPrefix(f.Type, "crm_"))
		return o.ID
	}
	return 0
}

// TypeUser is the type of users, which are no CRM entities.
const TypeUser = -1

// ChangesWithEachEdit reports whether every edit of an item gives a field another value.
func ChangesWithEachEdit(field string) bool {
	return field == "updatedTime" || field == "UPDATED_TIME" || field == "DATE_MODIFY"
}

func commonFields() []Field {
	return []Field{
		field("id", "integer", "ID", ro),
		field("entityTypeId", "integer", "Entity type", ro),
		field("createdTime", "datetime", "Created on", ro),
		field("updatedTime", "datetime", "Updated on", ro),
		field("createdBy", "user", "Created by", ro),
		field("updatedBy", "user", "Updated by", ro|maybe),
		field("assignedById", "user", "Responsible", maybe),
		field("opened", "boolean", "Available to everyone", 0),
		field("lastActivityBy", "user", "Last activity by", ro|maybe),
		field("lastActivityTime", "datetime", "Last activity", ro|maybe),
		field("webformId", "integer", "Created by CRM form", maybe),
		field("utmSource", "string", "UTM source", maybe),
		field("utmMedium", "string", "UTM medium", maybe),
		field("utmCampaign", "string", "UTM campaign", maybe),
		field("utmContent", "string", "UTM content", maybe),
		field("utmTerm", "string", "UTM term", maybe),
		field("xmlId", "string", "External ID", maybe),
	}
}

// moneyFields: opportunity is computed from the product rows unless
// isManualOpportunity is Y.
func moneyFields(set flags) []Field {
	return []Field{
		field("opportunity", "double", "Amount", set),
		field("isManualOpportunity", "boolean", "Amount is set by hand", set),
		field("taxValue", "double", "Tax", set|maybe),
		field("currencyId", "crm_currency", "Currency", set|maybe),
	}
}

func stageFields(set flags) []Field {
	return []Field{
		field("categoryId", "crm_category", "Pipeline", set),
		field("stageId", "crm_status", "Stage", set),
		field("movedBy", "user", "Stage changed by", set|ro|maybe),
		field("movedTime", "datetime", "Stage changed on", set|ro|maybe),
	}
}

func clientFields() []Field {
	return []Field{
		field("companyId", "crm_company", "Company", maybe),
		field("contactId", "crm_contact", "Contact", maybe),
		field("contactIds", "crm_contact", "Contacts", multi),
	}
}

func sourceFields() []Field {
	return []Field{
		field("sourceId", "crm_status", "Source", maybe),
		field("sourceDescription", "text", "About the source", maybe),
		field("originatorId", "string", "External source", maybe),
		field("originId", "string", "ID in the external source", maybe),
	}
}

func personFields() []Field {
	return []Field{
		field("honorific", "crm_status", "Salutation", maybe),
		field("name", "string", "First name", maybe),
		field("secondName", "string", "Middle name", maybe),
		field("lastName", "string", "Last name", maybe),
		field("birthdate", "date", "Date of birth", maybe),
		field("post", "string", "Position", maybe),
	}
}

// reachFields: fm holds phones and mails; list answers have it only with select *.
func reachFields() []Field {
	return []Field{
		field("fm", "crm_multifield", "Phones, mails, messengers", multi|maybe),
		field("hasPhone", "boolean", "Has a phone", ro),
		field("hasEmail", "boolean", "Has an e-mail", ro),
		field("hasImol", "boolean", "Has an open channel", ro),
	}
}

func dealFields() []Field {
	return slices.Concat([]Field{
		field("title", "string", "Name", 0),
		field("typeId", "crm_status", "Type", maybe),
		field("previousStageId", "crm_status", "Previous stage", ro|maybe),
		field("stageSemanticId", "string", "State of the stage: P, S or F", ro),
		field("isNew", "boolean", "New", ro),
		field("isRecurring", "boolean", "Recurring deal", ro),
		field("isReturnCustomer", "boolean", "Repeat deal", ro),
		field("isRepeatedApproach", "boolean", "Repeat enquiry", ro),
		field("closed", "boolean", "Closed", ro),
		field("probability", "integer", "Probability, %", maybe),
		field("leadId", "crm_lead", "Lead", maybe),
		field("quoteId", "crm_quote", "Estimate", maybe),
		field("comments", "text", "Comment", maybe),
		field("additionalInfo", "string", "Additional information", maybe),
		field("begindate", "date", "Start date", maybe),
		field("closedate", "date", "End date", maybe),
		field("eventDate", "datetime", "Event date", maybe),
		field("eventId", "crm_status", "Event type", maybe),
		field("orderStage", "string", "Payment stage", ro|maybe),
		field("observers", "user", "Observers", multi),
	}, stageFields(0), moneyFields(0), clientFields(), sourceFields())
}

func leadFields() []Field {
	return slices.Concat([]Field{
		field("title", "string", "Name", 0),
		field("stageId", "crm_status", "Status", 0),
		field("stageSemanticId", "string", "State of the status: P, S or F", ro),
		field("statusDescription", "text", "About the status", maybe),
		field("companyTitle", "string", "Company name", maybe),
		field("isReturnCustomer", "boolean", "Repeat lead", ro),
		field("dateClosed", "datetime", "Closed on", ro|maybe),
		field("movedBy", "user", "Status changed by", ro|maybe),
		field("movedTime", "datetime", "Status changed on", ro|maybe),
		field("comments", "text", "Comment", maybe),
		field("observers", "user", "Observers", multi),
	}, personFields(), reachFields(), moneyFields(0), clientFields(), sourceFields())
}

func contactFields() []Field {
	return slices.Concat([]Field{
		field("categoryId", "crm_category", "Category", ro),
		field("typeId", "crm_status", "Type", maybe),
		field("photo", "file", "Photo", maybe),
		field("comments", "text", "Comment", maybe),
		field("export", "boolean", "Takes part in export", 0),
		field("leadId", "crm_lead", "Lead", ro|maybe),
		field("companyId", "crm_company", "Company", maybe),
		field("companyIds", "crm_company", "Companies", multi),
		field("observers", "user", "Observers", multi),
	}, personFields(), reachFields(), sourceFields())
}

func companyFields() []Field {
	return slices.Concat([]Field{
		field("title", "string", "Name", 0),
		field("categoryId", "crm_category", "Category", ro),
		field("typeId", "crm_status", "Type", maybe),
		field("industry", "crm_status", "Industry", maybe),
		field("employees", "crm_status", "Employees", maybe),
		field("revenue", "double", "Annual revenue", maybe),
		field("currencyId", "crm_currency", "Currency", maybe),
		field("logo", "file", "Logo", maybe),
		field("isMyCompany", "boolean", "Own company", 0),
		field("bankingDetails", "text", "Bank details", maybe),
		field("comments", "text", "Comment", maybe),
		field("leadId", "crm_lead", "Lead", ro|maybe),
		field("contactIds", "crm_contact", "Contacts", multi),
		field("observers", "user", "Observers", multi),
	}, reachFields(), sourceFields())
}

func quoteFields() []Field {
	return slices.Concat([]Field{
		field("title", "string", "Name", 0),
		field("quoteNumber", "string", "Number", maybe),
		field("stageId", "crm_status", "Stage", 0),
		field("closed", "boolean", "Closed", ro),
		field("dealId", "crm_deal", "Deal", maybe),
		field("leadId", "crm_lead", "Lead", maybe),
		field("mycompanyId", "crm_company", "Own company", maybe),
		field("personTypeId", "integer", "Payer type", maybe),
		field("content", "text", "Content", maybe),
		field("terms", "text", "Terms", maybe),
		field("comments", "text", "Comment", maybe),
		field("begindate", "date", "Issued on", maybe),
		field("closedate", "date", "Valid until", maybe),
		field("actualDate", "date", "Relevant until", maybe),
		field("storageElementIds", "integer", "Files", multi|maybe),
		field("locationId", "location", "Location", maybe),
		field("clientTitle", "string", "Client", maybe),
		field("clientAddr", "string", "Client's address", maybe),
		field("clientContact", "string", "Client's contact", maybe),
		field("clientEmail", "string", "Client's e-mail", maybe),
		field("clientPhone", "string", "Client's phone", maybe),
	}, moneyFields(0), clientFields())
}

func invoiceFields() []Field {
	return slices.Concat([]Field{
		field("title", "string", "Name", 0),
		// Absent from the tables of add and update, so taken for read-only.
		field("accountNumber", "string", "Invoice number", ro),
		field("previousStageId", "crm_status", "Previous stage", ro|maybe),
		field("begindate", "date", "Issued on", maybe),
		field("closedate", "date", "Pay before", maybe),
		field("mycompanyId", "crm_company", "Own company", maybe),
		field("sourceId", "crm_status", "Source", maybe),
		field("sourceDescription", "text", "About the source", maybe),
		field("comments", "text", "Comment", maybe),
		field("locationId", "location", "Location", maybe),
		field("observers", "user", "Observers", multi),
		field("parentId2", "crm_deal", "Deal", maybe),
		field("parentId7", "crm_quote", "Estimate", maybe),
	}, stageFields(0), moneyFields(0), clientFields())
}

func dynamicFields() []Field {
	return slices.Concat([]Field{
		field("title", "string", "Name", 0),
		field("previousStageId", "crm_status", "Previous stage", ro|maybe),
		field("begindate", "date", "Start date", maybe),
		field("closedate", "date", "End date", maybe),
		field("mycompanyId", "crm_company", "Own company", maybe),
		field("sourceId", "crm_status", "Source", maybe),
		field("sourceDescription", "text", "About the source", maybe),
		field("observers", "user", "Observers", multi|maybe),
	}, stageFields(maybe), moneyFields(maybe), clientFields())
}

// ProductRowFields returns the fields of a product row as crm.item.productrow.*
// names them. price is final: the discount is off and the tax is in it.
//
// https://apidocs.bitrix24.com/api-reference/crm/universal/product-rows/crm-item-productrow-fields.html
func ProductRowFields() []Field {
	return []Field{
		field("id", "integer", "ID of the row; an edit in the deal's form changes it", ro),
		field("ownerId", "integer", "ID of the owner", ro),
		field("ownerType", "string", "Owner type, short: D, SI, T80", ro),
		field("productId", "integer", "Product; 0 for a row of free text", 0),
		field("productName", "string", "Name", 0),
		field("price", "double", "Price of one, with discount and tax", 0),
		field("priceAccount", "double", "Price in the reporting currency", ro),
		field("priceExclusive", "double", "Price with discount, without tax", ro),
		field("priceNetto", "double", "Price without discount and tax", ro),
		field("priceBrutto", "double", "Price without discount, with tax", ro),
		field("quantity", "double", "Quantity", 0),
		field("discountTypeId", "integer", "Discount: 1 amount, 2 per cent", 0),
		field("discountRate", "double", "Discount, %", 0),
		field("discountSum", "double", "Discount on one, without tax", 0),
		field("taxRate", "double", "Tax, %; null is no tax, not 0 %", maybe),
		field("taxIncluded", "boolean", "Entered with tax", 0),
		field("customized", "boolean", "Changed by hand", 0),
		field("measureCode", "integer", "Code of the unit", 0),
		field("measureName", "string", "Unit", ro),
		field("sort", "integer", "Order", 0),
		field("xmlId", "string", "External ID", ro),
		field("type", "integer", "Product type", ro),
		field("storeId", "integer", "Store", ro|maybe), // many answers omit it
	}
}

// ListSystemFields returns the fields that every universal list may have besides
// its properties, with the names of lists.element.*. The parameter ELEMENT_CODE
// writes CODE; FIELDS does not.
//
// https://apidocs.bitrix24.com/api-reference/lists/elements/lists-element-get.html
func ListSystemFields() []Field {
	return []Field{
		field("ID", "integer", "ID", ro),
		field("IBLOCK_ID", "integer", "List", ro),
		field("IBLOCK_SECTION_ID", "integer", "Section", maybe),
		field("NAME", "string", "Name", 0),
		field("CODE", "string", "Symbolic code", ro|maybe),
		field("BP_PUBLISHED", "boolean", "Published", ro),
		field("SORT", "integer", "Order", maybe),
		field("ACTIVE_FROM", "datetime", "Active from", maybe),
		field("ACTIVE_TO", "datetime", "Active to", maybe),
		field("PREVIEW_PICTURE", "file", "Preview picture", maybe),
		field("PREVIEW_TEXT", "text", "Preview text", maybe),
		field("DETAIL_PICTURE", "file", "Picture", maybe),
		field("DETAIL_TEXT", "text", "Text", maybe),
		field("DATE_CREATE", "datetime", "Created on", ro|maybe),
		field("CREATED_BY", "user", "Created by", ro|maybe),
		field("TIMESTAMP_X", "datetime", "Changed on", ro|maybe),
		field("MODIFIED_BY", "user", "Changed by", ro|maybe),
	}
}
