package actions

import (
	"maps"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/datetime"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/schemas"
)

// callResult is the type of what a method answers, as far as the documentation says it.
// What a write answers is only known to be no record with the member result, because the
// result of a call that is not repeated is nil.
func callResult(t *engine.ArgTypes) formula.Type {
	unknown := formula.Type{Kind: formula.Any, Domain: &formula.Domain{NoField: neverInResult}}
	method, _ := t.Const("method")
	name, _ := method.(string)
	m, known := schemas.LookupMethod(name)
	if !known || m.Effect == schemas.Write {
		return unknown
	}
	if member := m.Wrapper(); member != "" {
		return formula.RecordOf(map[string]formula.Type{member: {}})
	}
	if slices.Contains(listMethods, strings.ToLower(m.Name)) {
		return formula.Type{Kind: formula.Any, Domain: &formula.Domain{NoField: func(field string) (why, hint diag.Phrase) {
			if why, hint = neverInResult(field); why.Empty() {
				why, hint = diag.Phrasef("%s answers a list of records, which has no %s", m.Name, field), diag.Phrasef("write first(…)?.%s", field)
			}
			return why, hint
		}}}
	}
	parts := strings.Split(strings.ToLower(m.Name), ".")
	if len(parts) != 3 || parts[0] != "crm" {
		return unknown
	}
	o, isOwner := schemas.LookupOwner(parts[1])
	if !isOwner || o.ID == schemas.TypeSmartInvoice {
		return unknown
	}
	switch entity := storedItem(o.ID); parts[2] {
	case "get":
		return entity
	case "list":
		return formula.ListOf(entity)
	}
	return unknown
}

// listMethods answer a list of records, although their names do not say so.
//
// Source: https://apidocs.bitrix24.com/api-reference/user/user-get.html
var listMethods = []string{"user.get", "user.search", "department.get", "crm.status.list", "crm.activity.list", "crm.timeline.comment.list"}

// neverInResult: people write the whole answer of the portal, such as x.result.ID.
func neverInResult(name string) (why, hint diag.Phrase) {
	if name != "result" {
		return why, hint
	}
	return diag.Phrasef("the result of call is what the portal answers as result, and it has no result inside"),
		diag.Phrasef("remove .result")
}

// storedItem is the type of an entity as crm.deal.get and the like answer it: all values
// are texts, also numbers and ids, and the names are those of the database.
//
// Source: https://apidocs.bitrix24.com/api-reference/crm/deals/crm-deal-get.html
func storedItem(typ int) formula.Type {
	fields := map[string]formula.Type{}
	for _, f := range schemas.ItemFields(typ) {
		if f.Multiple || f.Type == "crm_multifield" || f.Type == "file" {
			continue
		}
		text := formula.Type{Kind: formula.String}
		switch f.Type {
		case "date":
			text.Domain = &formula.Domain{Date: datetime.DayText}
		case "datetime":
			text.Domain = &formula.Domain{Date: datetime.TimeText}
		case "crm_status", "crm_currency", "boolean":
			text.Domain = fieldDomain(typ, f)
		}
		fields[schemas.OldName(typ, f.Name)] = text
	}
	item := formula.OpenRecord(fields)
	names := slices.Sorted(maps.Keys(fields))
	item.Domain = &formula.Domain{Code: "unknown-item-field", NoField: func(name string) (why, hint diag.Phrase) {
		if why, hint = neverInResult(name); !why.Empty() {
			return why, hint
		}
		stored := schemas.StoredName(name)
		if stored == name || !slices.Contains(names, stored) && !strings.HasPrefix(name, "ufCrm") {
			return why, hint
		}
		if custom, isItem := strings.CutPrefix(name, "ufCrm_"); isItem {
			stored = "UF_CRM_" + custom
		} else if custom, isItem := strings.CutPrefix(name, "ufCrm"); isItem {
			stored = "UF_CRM_" + strings.TrimPrefix(schemas.StoredName(custom), "_")
		}
		return diag.Phrasef("%s is always missing, because the methods of one entity write names in capitals", name), diag.Phrasef("write %s", stored)
	}}
	return item
}
