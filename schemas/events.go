// Package schemas has the documented events, fields and REST methods of Bitrix24.
//
// It lists the events and their data, the fields of CRM items, product rows and list
// elements, the owner types, and which REST methods write. It is plain data from the
// public documentation of the REST API. A portal adds its own fields.
package schemas

import (
	"slices"
	"strconv"
	"strings"
)

// Operations of events.
const (
	OpAdd    = "add"
	OpUpdate = "update"
	OpDelete = "delete"
)

// Event is one event that a portal can send.
type Event struct {
	Code   string   // upper case, as it travels
	Entity string   // the CRM entity it is about: deal, lead, contact, company, quote, item; "" for others
	Op     string   // add, update, delete; "" where it is none of them
	Fields []string // the keys of data[FIELDS]; all values arrive as text
	Data   []string // the keys of data itself, for events without data[FIELDS]
	// IDs are the places in data that may say what the event is about, in the
	// order in which to look: "FIELDS.ID". None means that nothing says it.
	IDs []string
	// TextID says that the id is text and no number: the code of a currency.
	TextID bool
	// AppOnly events cannot be chosen in an outbound webhook; only an
	// application can bind them, with event.bind.
	AppOnly bool
	// Legacy events belong to entities that Bitrix24 no longer develops.
	Legacy bool
}

// Events returns all documented events, ordered by code.
func Events() []Event {
	all := make([]Event, 0, len(events))
	for _, e := range events {
		all = append(all, e.clone())
	}
	slices.SortFunc(all, func(a, b Event) int { return strings.Compare(a.Code, b.Code) })
	return all
}

// LookupEvent finds an event by its code in any case. A code for one type of
// smart process, such as ONCRMDYNAMICITEMUPDATE_1072, gives the event without
// the suffix, and the suffix; other codes give suffix 0.
func LookupEvent(code string) (e Event, suffix int, ok bool) {
	code = strings.ToUpper(strings.TrimSpace(code))
	if e, ok := events[code]; ok {
		return e.clone(), 0, true
	}
	base, digits, found := strings.Cut(code, "_")
	if e, ok := events[base]; found && ok && e.Entity == "item" {
		n, err := strconv.Atoi(digits)
		if err == nil && n > 0 && strconv.Itoa(n) == digits {
			return e.clone(), n, true
		}
	}
	return Event{}, 0, false
}

// nested are the keys of data that hold more than text.
var nested = map[string]bool{
	"FIELDS_BEFORE": true, "FIELDS_AFTER": true, // or the text "undefined"
	"BOT": true, "PARAMS": true, "USER": true, "COMMAND": true, "MESSAGES": true, "DATA": true,
	"bot": true, "message": true, "chat": true, "user": true, "company": true,
}

// TextData reports whether data[key] is text, as all but a few values are.
func (e Event) TextData(key string) bool { return slices.Contains(e.Data, key) && !nested[key] }

// About says in a line what the event tells and what it carries.
func (e Event) About() string {
	entity := e.Entity
	if entity == "item" {
		entity = "smart invoice or an item of a smart process"
	}
	var text string
	switch {
	case entity != "" && e.Op != "":
		text = "a " + entity + " was " + map[string]string{OpAdd: "added", OpUpdate: "changed", OpDelete: "deleted"}[e.Op] + "; "
	case e.Op != "":
		text = map[string]string{OpAdd: "addition", OpUpdate: "change", OpDelete: "deletion"}[e.Op] + "; "
	}
	switch {
	case len(e.Fields) > 0:
		text += "carries " + strings.Join(e.Fields, ", ")
	case len(e.Data) > 0:
		text += "carries " + strings.Join(e.Data, ", ")
	default:
		text += "carries no data"
	}
	if e.AppOnly {
		text += "; only an application can bind it"
	}
	return text
}

func (e Event) clone() Event {
	e.Fields, e.Data, e.IDs = slices.Clone(e.Fields), slices.Clone(e.Data), slices.Clone(e.IDs)
	return e
}

// events is never changed after it is built.
var events = buildEvents()

func buildEvents() map[string]Event {
	all := map[string]Event{}
	for _, e := range slices.Concat(crmEvents(), crmSettingsEvents(), legacyEvents(), goodsEvents(), workEvents(), talkEvents(), appEvents()) {
		all[e.Code] = e.located()
	}
	return all
}

// located fills in where most events say what they are about.
func (e Event) located() Event {
	if e.IDs != nil {
		return e
	}
	if slices.Contains(e.Fields, "ID") {
		e.IDs = append(e.IDs, "FIELDS.ID")
	}
	if slices.Contains(e.Data, "ID") {
		e.IDs = append(e.IDs, "ID")
	}
	return e
}

// family expands a pattern with one event for each ending; %s is its place.
func family(pattern string, template Event, endings ...string) []Event {
	list := make([]Event, len(endings))
	for i, ending := range endings {
		e := template
		e.Code = strings.Replace(pattern, "%s", ending, 1)
		switch ending {
		case "ADD":
			e.Op = OpAdd
		case "UPDATE":
			e.Op = OpUpdate
		case "DELETE":
			e.Op = OpDelete
		}
		list[i] = e
	}
	return list
}

var (
	addUpdateDelete = []string{"ADD", "UPDATE", "DELETE"}
	userField       = []string{"ADD", "UPDATE", "DELETE", "SETENUMVALUES"}
	onlyID          = []string{"ID"}
)

// crmEvents are those about the entities that rules are mostly about.
// https://apidocs.bitrix24.com/api-reference/crm/deals/events/index.html and its siblings.
func crmEvents() []Event {
	var list []Event
	for _, entity := range []string{"deal", "lead", "contact", "company", "quote"} {
		list = append(list, family("ONCRM"+strings.ToUpper(entity)+"%s", Event{Entity: entity, Fields: onlyID}, addUpdateDelete...)...)
	}
	// Smart processes and smart invoices (31) share these; see ENTITY_TYPE_ID.
	list = append(list, family("ONCRMDYNAMICITEM%s", Event{Entity: "item", Fields: []string{"ID", "ENTITY_TYPE_ID"}}, addUpdateDelete...)...)
	// A move to another funnel sends this and no ONCRMDEALUPDATE.
	return append(list, Event{
		Code: "ONCRMDEALMOVETOCATEGORY", Entity: "deal", Op: OpUpdate,
		Fields: []string{"ID", "CATEGORY_ID", "STAGE_ID"}, AppOnly: true,
	})
}

func crmSettingsEvents() []Event {
	var list []Event
	for _, name := range []string{"TYPE", "ACTIVITY", "REQUISITE", "BANKDETAIL", "CURRENCY"} {
		list = append(list, family("ONCRM"+name+"%s", Event{Fields: onlyID, TextID: name == "CURRENCY"}, addUpdateDelete...)...)
	}
	// Documented with data[ID], sent by portals with data[FIELDS][ID] too.
	list = append(list, family("ONCRMTIMELINECOMMENT%s", Event{Fields: onlyID, Data: onlyID}, addUpdateDelete...)...)
	list = append(list, family("ONCRMDOCUMENTGENERATORDOCUMENT%s", Event{Fields: []string{"ID", "ENTITY_TYPE_ID", "ENTITY_ID"}}, addUpdateDelete...)...)

	recurring := []string{"ID", "RECURRING_DEAL_ID"}
	list = append(list, family("ONCRMDEALRECURRING%s", Event{Fields: recurring}, "ADD", "UPDATE")...)
	list = append(list, family("ONCRMDEALRECURRING%s", Event{Fields: onlyID}, "DELETE")...)
	list = append(list, family("ONCRMDEALRECURRING%s", Event{Fields: []string{"ID", "RECURRING_DEAL_ID", "DEAL_ID"}}, "EXPOSE")...)

	address := []string{"TYPE_ID", "ENTITY_TYPE_ID", "ENTITY_ID", "ANCHOR_ID", "ANCHOR_TYPE_ID"}
	list = append(list, family("ONCRMADDRESS%s", Event{Fields: address}, "REGISTER", "UNREGISTER")...)

	fields := []string{"ID", "ENTITY_ID", "FIELD_NAME"}
	for _, name := range []string{"DEAL", "LEAD", "CONTACT", "COMPANY", "QUOTE", "REQUISITE", "TYPE"} {
		list = append(list, family("ONCRM"+name+"USERFIELD%s", Event{Fields: fields}, userField...)...)
	}
	return list
}

func legacyEvents() []Event {
	var list []Event
	e := Event{Fields: onlyID, Legacy: true}
	list = append(list, family("ONCRMINVOICE%s", e, "ADD", "UPDATE", "DELETE", "SETSTATUS")...)
	list = append(list, family("ONCRMINVOICERECURRING%s", e, "ADD", "UPDATE", "DELETE", "EXPOSE")...)
	list = append(list, family("ONCRMINVOICEUSERFIELD%s", e, userField...)...)
	for _, name := range []string{"PRODUCT", "PRODUCTPROPERTY", "PRODUCTSECTION", "MEASURE"} {
		list = append(list, family("ONCRM"+name+"%s", e, addUpdateDelete...)...)
	}
	sale := Event{Fields: []string{"ID", "XML_ID", "ACTION"}, Legacy: true}
	return append(list, family("ONSALE%s", sale, "ORDERSAVED", "BEFOREORDERDELETE")...)
}
