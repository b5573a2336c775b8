package actions

import (
	"context"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/actions/internal/inportal"
	"github.com/b24rules/b24rules/actions/internal/plan"
	"github.com/b24rules/b24rules/actions/internal/value"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/schemas"
)

// Every action on CRM items takes either an owner (a type by name) or an entityTypeId.

// entityType returns the entityTypeId of an owner that was given either way.
func entityType(owner string, entityTypeID int) (int, error) {
	if owner == "" {
		if entityTypeID <= 0 {
			return 0, engine.ParkError("entityTypeId must be a number above 0")
		}
		return entityTypeID, nil
	}
	o, ok := schemas.LookupOwner(owner)
	if !ok {
		return 0, engine.ParkError("unknown owner %q", owner)
	}
	return o.ID, nil
}

// openItems loads the fields of the items that a step is about.
func openItems(ctx context.Context, c *engine.Call, owner string, entityTypeID int) (*plan.ItemSchema, error) {
	typ, err := entityType(owner, entityTypeID)
	if err != nil {
		return nil, err
	}
	return plan.LoadItemSchema(ctx, c, typ)
}

// checkOwner reports an error unless exactly one of owner and entityTypeId is given.
func checkOwner(c *engine.StepCheck) {
	owner, typ := c.Types().Written("owner"), c.Types().Written("entityTypeId")
	switch {
	case owner && typ:
		c.Errorf("entityTypeId", "two-owners", "owner and entityTypeId both name the type of the items").Hint = "remove one"
	case !owner && !typ:
		c.Errorf("", "missing-argument", "the type of the items is missing").Hint = "add owner: deal, or entityTypeId: … for a smart process"
	default:
		inportal.CheckType(c, ownerArg(c.Types()), constType(c.Types()))
	}
}

// constType returns the entityTypeId if it is a constant of the file, else 0.
func constType(t *engine.ArgTypes) int {
	if v, ok := t.Const("owner"); ok {
		name, _ := v.(string)
		o, _ := schemas.LookupOwner(name)
		return o.ID
	}
	if v, ok := t.Const("entityTypeId"); ok {
		n, _ := v.(num.Num)
		id, _ := n.Int64()
		return int(id)
	}
	return 0
}

// itemType is the type of an item as far as the documentation and the snapshot of a portal
// say.
func itemType(t *engine.ArgTypes) formula.Type {
	typ := constType(t)
	portal := inportal.ItemsOf(t.Portal(), typ)
	fields := map[string]formula.Type{"id": {Kind: formula.Int, Domain: plan.OwnIDDomain(typ)}}
	for _, f := range schemas.ItemFields(typ) {
		if portal.Lacks(f) {
			continue
		}
		fields[f.Name] = schemaType(typ, f)
		if own := portal.Known(f.Name); own != nil && !f.Multiple {
			known := fields[f.Name]
			known.Domain = portal.Domain(own, known.Domain)
			fields[f.Name] = known
		}
	}
	portal.AddCustom(fields)
	item := formula.OpenRecord(fields)
	item.Domain = &formula.Domain{Code: "unknown-item-field", Source: sourceOf(t, "entityTypeId", typ), NoField: func(name string) (why, hint diag.Phrase) {
		why, hint = neverItemField(typ, name)
		if portal == nil || slices.Contains(undocumented, name) {
			return why, hint
		}
		// The portal knows its custom fields and their titles.
		if own, meant := portal.NeverRead(name); why.Empty() || !meant.Empty() {
			return own, meant
		}
		return why, hint
	}}
	return item
}

// sourceOf says from which type or list the records of a step come, which arg names. id is
// 0 when only a run knows it.
func sourceOf(t *engine.ArgTypes, arg string, id int) *formula.Source {
	if a := t.Arg(arg); a != nil && a.Value != nil && a.Value.Formula != nil && a.Value.Formula.IsPath() {
		if input, ok := strings.CutPrefix(strings.TrimSpace(a.Value.Formula.Source()), engine.NameInputs+"."); ok {
			return &formula.Source{Input: input} // each portal has its value
		}
	}
	return &formula.Source{ID: id}
}

// neverItemField says why items of a type never have a field, and how the portal calls
// it. The reason is empty when the field is possible.
func neverItemField(typ int, name string) (why, hint diag.Phrase) {
	right := schemas.CustomFieldName(typ, name, true)
	if right == "" && len(schemas.ItemFields(typ)) > 0 {
		right = renamedFields[name]
	}
	if right == "" && strings.HasPrefix(strings.ToUpper(name), "PROPERTY_") {
		return diag.Phrasef("%s of %s is always missing, because only elements of lists have properties", name, typeName(typ)), hint
	}
	if right == "" {
		fields := schemas.ItemFields(typ)
		names := make([]string, len(fields))
		for i, f := range fields {
			names[i] = f.Name
		}
		if len(fields) == 0 || inportal.IsOfPortal(name) || name == "" || slices.Contains(undocumented, name) || diag.Closest(name, names) != "" {
			return why, hint // a name that is nearly right is reported as misspelled
		}
		return diag.Phrasef("%s has no documented field %q, and names of custom fields start with ufCrm", typeName(typ), name), meantField(name)
	}
	return diag.Phrasef("%s of %s is always missing, because the portal calls the field %s", name, typeName(typ), right), diag.Phrasef("write %s", right)
}

// undocumented are fields that portals answer and that the documentation does not list.
var undocumented = []string{
	"contacts", "companies", "products", "productRows", "lastCommunicationTime", "fullName", "shortName", "hasProducts", "receivedAmount",
	"isWork", "isConvert", "isLose", "isWon", "dateCreateShort", "dateModifyShort", "begindateShort", "closedateShort", "eventDateShort",
	"opportunityAccount", "taxValueAccount", "accountCurrencyId", "exchRate", "locationId", "originVersion", "faceId", "leadId", "requisiteId",
}

// meantField is a hint for words that people use for fields of items.
func meantField(name string) (hint diag.Phrase) {
	words := map[string]string{
		"amount": "opportunity", "sum": "opportunity", "price": "opportunity", "total": "opportunity", "currency": "currencyId",
		"name": "title", "stage": "stageId", "status": "stageId", "company": "companyId", "contact": "contactId", "responsible": "assignedById",
		"responsibleid": "assignedById", "manager": "assignedById", "created": "createdTime", "updated": "updatedTime", "category": "categoryId",
		"phone": "fm", "email": "fm", "comment": "comments", "description": "comments",
	}
	if right := words[strings.ToLower(name)]; right != "" {
		return diag.Phrasef("write %s", right)
	}
	return hint
}

// renamedFields are names of the old methods with the names that crm.item.* has for them.
// Names that differ only by their letters are found as misspelled.
var renamedFields = map[string]string{
	"statusId": "stageId", "STATUS_ID": "stageId", "dateCreate": "createdTime", "DATE_CREATE": "createdTime",
	"dateModify": "updatedTime", "DATE_MODIFY": "updatedTime",
}

// schemaType is the type of a field's value in the result of record, for items of a
// type.
func schemaType(itemType int, f schemas.Field) formula.Type {
	typ := formula.Type{Kind: schemaKind(f.Type), Domain: fieldDomain(itemType, f)}
	if f.Multiple {
		typ = formula.ListOf(typ)
	}
	if f.Maybe {
		return typ.Optional()
	}
	return typ
}

// schemaKind maps the types of crm.item.fields. Dates stay texts in the form that
// the portal writes, flags stay Y and N.
func schemaKind(typ string) formula.Kind {
	switch typ {
	case "integer", "user", "crm_category", "crm_company", "crm_contact", "crm_lead", "crm_deal", "crm_quote":
		return formula.Int
	case "double":
		return formula.Number
	case "string", "text", "char", "boolean", "date", "datetime", "crm_status", "crm_currency":
		return formula.String
	}
	return formula.Any
}

// record converts the values of known fields to their types: an id is a number
// even if the portal sends "5", and a field that always has a value gets one.
func record(raw map[string]any, fields []schemas.Field) map[string]any {
	for _, f := range fields {
		v, there := raw[f.Name]
		if f.Multiple {
			list, ok := v.([]any)
			if !ok && !(f.Maybe && v == nil) {
				list, ok = []any{}, true
			}
			if ok {
				out := make([]any, 0, len(list))
				for _, x := range list {
					out = append(out, value.Typed(x, schemaKind(f.Type), false))
				}
				raw[f.Name] = out
				continue
			}
		}
		if there || !f.Maybe {
			raw[f.Name] = value.Typed(v, schemaKind(f.Type), f.Maybe)
		} else {
			raw[f.Name] = nil
		}
	}
	return raw
}

// count is a number of records as a result holds it.
func count(n int) num.Num { return num.FromInt(int64(n)) }
