package crm

import (
	"github.com/b24rules/b24rules/emulator/internal/model"
	"github.com/b24rules/b24rules/emulator/internal/query"
	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// A legacyEntity is a type of items that has its own methods in addition to
// crm.item.*: crm.lead.*, crm.deal.* and so on. They look at the same items and
// differ little; what differs stands here.
type legacyEntity struct {
	name string // crm.<name>.get
	typ  int
	// noUpdate and noDelete are what update and delete answer for an item that
	// is not there, and noDeleteCode the code of the second.
	noUpdate, noDelete, noDeleteCode string
	// linkCode is the code of the error for links of an item that is not there.
	linkCode string
	// checked says that crm.<name>.add and .update look at addresses, and
	// currency that they look at the currency.
	checked, currency bool
	// target is the type whose items it links to, by crm.<name>.contact.* or
	// crm.<name>.company.*.
	target int
	// accountPlaces is how many digits PRICE_ACCOUNT of its rows has, and XMLID
	// what an empty XML_ID is.
	accountPlaces int
	xmlID         any
}

// legacyEntities are the types with legacy methods.
func legacyEntities() []legacyEntity {
	return []legacyEntity{
		{name: "lead", typ: model.TypeLead, linkCode: "NOT_FOUND", noUpdate: "Not found", noDelete: "Not found", target: model.TypeContact, accountPlaces: 8, xmlID: ""},
		{name: "deal", typ: model.TypeDeal, currency: true, noUpdate: "Not found", noDelete: "Not found", target: model.TypeContact, accountPlaces: 2},
		{name: "contact", typ: model.TypeContact, checked: true, noUpdate: "Contact is not found", noDelete: "Element not found", noDeleteCode: "ERROR_CORE", target: model.TypeCompany},
		{name: "company", typ: model.TypeCompany, checked: true, noUpdate: "Company is not found", noDelete: "Company is not found", target: model.TypeContact},
		{name: "quote", typ: model.TypeQuote, noUpdate: "Quote is not found", noDelete: "Element not found", noDeleteCode: "ERROR_CORE", target: model.TypeContact, accountPlaces: 8},
	}
}

func LegacyMethods() []rest.Method {
	var methods []rest.Method
	for _, e := range legacyEntities() {
		add := func(name string, run rest.Handler) {
			methods = append(methods, rest.Method{Name: "crm." + e.name + "." + name, Scope: "crm", Legacy: true, Run: run})
		}
		add("get", e.get)
		add("list", e.list)
		add("add", e.add)
		add("update", e.update)
		add("delete", e.remove)
		add("fields", e.fields)
		target := "contact"
		if e.target == model.TypeCompany {
			target = "company"
		}
		links := legacyLinks{e}
		add(target+".fields", links.describe)
		add(target+".add", links.add)
		add(target+".delete", links.remove)
		add(target+".items.get", links.get)
		add(target+".items.set", links.set)
		add(target+".items.delete", links.clear)
		fields := legacyUserFields{e}
		add("userfield.get", fields.get)
		add("userfield.list", fields.list)
		add("userfield.add", fields.add)
		add("userfield.update", fields.update)
		add("userfield.delete", fields.remove)
		if e.accountPlaces > 0 {
			add("productrows.get", e.rowsGet)
			add("productrows.set", e.rowsSet)
		}
	}
	return methods
}

// find finds the item that a call names, and fails with code and text without
// one.
func (e legacyEntity) find(c *rest.Call, code, missing string) (*model.Item, error) {
	id := value.Int(c.Param("ID"))
	if id <= 0 {
		return nil, rest.FailText("ID is not defined or invalid.")
	}
	if it := c.Store.Item(e.typ, id); it != nil {
		return legacySeen(c, it)
	}
	return nil, rest.Fail(code, missing)
}

// legacySeen returns an item if the caller may read it.
func legacySeen(c *rest.Call, it *model.Item) (*model.Item, error) {
	if !sees(c, it) {
		return nil, rest.FailText("Access denied")
	}
	return it, nil
}

// get is crm.deal.get and the like. Leads, contacts and companies show the
// multifields that they have.
func (e legacyEntity) get(c *rest.Call) (any, error) {
	it, err := e.find(c, "", "Not found")
	if err != nil {
		return nil, err
	}
	a := legacyJSON(c.Store, it, nil)
	for _, typ := range model.MultifieldTypes {
		setMultifields(a, it, typ)
	}
	return a, nil
}

func setMultifields(a *php.Array, it *model.Item, typ string) {
	entries := php.NewArray()
	for _, m := range model.MultifieldsOf(it.Values, typ) {
		entries.Append(legacyMultifieldJSON(m))
	}
	if entries.Len() > 0 {
		a.Set(typ, entries)
	}
}

// list is crm.deal.list and the like. It ignores filter fields that it does not
// know, so that a misspelt name finds everything.
func (e legacyEntity) list(c *rest.Call) (any, error) {
	t := c.Store.Types[e.typ]
	filter, order, err := c.LegacyConditions()
	if err != nil {
		return nil, err
	}
	chosen, ok := c.OptionalArray("SELECT")
	if !ok {
		return nil, rest.NoArray("select")
	}
	find := legacyColumns(t)
	r := query.Rules[*model.Item]{Find: find, Parse: func(col query.Column[*model.Item], v any) (any, bool) { return parseItemValue(c.Store, col, v) }, NoText: e.noText(t)}
	pass, err := r.Compile(filter)
	if err != nil {
		return nil, err
	}
	rows := query.Keep(itemCandidates(c, e.typ, filter, &r), pass)
	query.Sort(rows, query.LenientOrder(order, find))
	only, multifields := legacySelection(t, chosen)
	answer := php.NewArray()
	for _, it := range rest.Page(c, rows) {
		a := legacyJSON(c.Store, it, only)
		for _, typ := range multifields {
			setMultifields(a, it, typ)
		}
		answer.Append(a)
	}
	return answer, nil
}

// NoText names the fields that crm.deal.list and the like do not look for parts of
// text in: statuses, contacts and companies. What it comes to is not documented; here
// nothing is found.
// https://apidocs.bitrix24.com/api-reference/crm/deals/crm-deal-list.html
func (e legacyEntity) noText(t *model.EntityType) func(name string) bool {
	if e.typ == model.TypeLead || e.typ == model.TypeQuote { // their pages do not say so
		return nil
	}
	return func(name string) bool {
		f := t.Fields.ByLegacy[name] // nil for phones and the like
		return f != nil && (f.Type == "crm_status" || f.Type == "crm_contact" || f.Type == "crm_company")
	}
}

// legacyColumns is what the legacy lists filter and order by.
func legacyColumns(t *model.EntityType) func(string) (query.Column[*model.Item], bool) {
	fields := itemColumns(func(name string) *model.Field {
		f := t.Fields.ByLegacy[name]
		if f == nil || f.Has(model.LegacyWriteOnly) {
			return nil
		}
		return f
	})
	return func(name string) (query.Column[*model.Item], bool) {
		if t.Fields.ByName[model.MultifieldsName] == nil || !model.IsMultifieldType(name) {
			return fields(name)
		}
		return query.Column[*model.Item]{Name: name, Get: func(it *model.Item) any {
			var values []any
			for _, m := range model.MultifieldsOf(it.Values, name) {
				values = append(values, m.Value)
			}
			return values
		}}, true
	}
}

// legacySelection reads select: "*" is everything but custom and multiple
// fields, "UF_*" are the custom ones; without any it is both. ID is always in
// the answer. Multifields are only where they are named.
func legacySelection(t *model.EntityType, chosen *php.Array) (only map[*model.Field]bool, multifields []string) {
	only = map[*model.Field]bool{t.Fields.ByName["ID"]: true}
	add := func(pass func(*model.Field) bool) {
		for _, f := range t.Fields.All {
			if pass(f) {
				only[f] = true
			}
		}
	}
	system := func(f *model.Field) bool { return f.User == nil && !f.Has(model.Multiple) }
	custom := func(f *model.Field) bool { return f.User != nil }
	if chosen.Len() == 0 {
		add(system)
		add(custom)
		return only, nil
	}
	for _, v := range chosen.All() {
		switch name := value.Text(v); {
		case name == "*":
			add(system)
		case name == "UF_*":
			add(custom)
		case model.IsMultifieldType(name):
			multifields = append(multifields, name)
		default:
			if f := t.Fields.ByLegacy[name]; f != nil {
				only[f] = true
			}
		}
	}
	return only, multifields
}

// add is crm.deal.add and the like. Its result is the id, a number.
func (e legacyEntity) add(c *rest.Call) (any, error) {
	t := c.Store.Types[e.typ]
	changes, err := e.input(c, t, true)
	if err != nil {
		return nil, err
	}
	it, err := addItem(c, t, changes)
	if err != nil {
		return nil, rest.FailText("Invalid value of the field CATEGORY_ID.")
	}
	return value.FromInt(it.ID), nil
}

// update is crm.deal.update and the like. It saves where nothing differs too. A
// stage of another pipeline changes nothing: only crm.item.update moves a deal.
// https://apidocs.bitrix24.com/api-reference/crm/deals/index.html
func (e legacyEntity) update(c *rest.Call) (any, error) {
	it, err := e.find(c, "", e.noUpdate)
	if err != nil {
		return nil, err
	}
	changes, err := e.input(c, it.Type, false)
	if err != nil {
		return nil, err
	}
	if err := saveItem(c, it, changes, saveOptions{always: true}); err != nil {
		return nil, err
	}
	return true, nil
}

// remove is crm.deal.delete and the like.
func (e legacyEntity) remove(c *rest.Call) (any, error) {
	it, err := e.find(c, e.noDeleteCode, e.noDelete)
	if err != nil {
		return nil, err
	}
	deleteItem(c, it)
	return true, nil
}

// fields is crm.deal.fields and the like.
func (e legacyEntity) fields(c *rest.Call) (any, error) {
	t := c.Store.Types[e.typ]
	described := php.NewArray()
	for _, f := range t.Fields.All {
		if f.Has(model.Disabled | model.UniversalOnly) {
			continue
		}
		shown := *f
		switch {
		case f.Type == "boolean" && f.User == nil:
			shown.Type = "char"
		case f.Type == "text":
			shown.Type = "string"
		}
		if f.Name == "CATEGORY_ID" {
			shown.Flags |= model.Immutable
		}
		if f.Has(model.LegacyReadOnly) {
			shown.Flags |= model.ReadOnly
		}
		described.Set(f.Legacy, describeField(&shown, t))
	}
	if t.Fields.ByName[model.MultifieldsName] != nil {
		for _, typ := range model.MultifieldTypes {
			f := &model.Field{Name: typ, Type: model.TypeMultifield, Title: typ, Flags: model.Multiple}
			described.Set(typ, describeField(f, t))
		}
	}
	return described, nil
}
