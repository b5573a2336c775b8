package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine/describe"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/schemas"
)

// places looks up each list and each type of items of the rules, and the fields that
// the rules write there.
func (x *examination) places(ctx context.Context, name string) {
	bad := 0
	looked := map[string]bool{}
	for _, rule := range sortedKeys(x.needs) {
		for _, p := range x.needs[rule].Places {
			where, fields, err := x.fieldsOf(ctx, p)
			looked[where] = true
			if err == nil {
				err = x.readable(ctx, p)
			}
			switch {
			case err != nil && bitrix.IsCode(err, "ACCESS_DENIED"):
				x.add(name, Failed, fmt.Sprintf("%s, for %s: access denied", where, rule), "give the user of the credentials the right to read and write it")
			case err != nil && bitrix.IsCode(err, "INSUFFICIENT_SCOPE"):
				x.add(name, Failed, fmt.Sprintf("%s, for %s: the credentials lack the permission", where, rule), x.moreScopes())
			case err != nil && bitrix.FaultOf(err) != bitrix.NoFault, bitrix.IsCode(err, bitrix.CodeBadAnswer):
				x.add(name, Unknown, fmt.Sprintf("%s, for %s: %v", where, rule, err), "")
			case err != nil:
				x.add(name, Failed, fmt.Sprintf("%s, for %s: %v", where, rule, err), "correct the input of the rule set in the configuration, or the rule")
			default:
				if text := fields.unknown(p.Fields); text != "" {
					x.add(name, Failed, fmt.Sprintf("%s has no %s, which %s writes", where, text, rule), "add the field in the portal, or correct the input or the rule")
					break
				}
				continue
			}
			bad++
		}
	}
	if bad == 0 {
		x.add(name, OK, fmt.Sprintf("%s found: %s", plural(len(looked), "place"), orNothing(sortedKeys(looked))), "")
	}
}

// fieldNames are the names under which a place knows its fields.
type fieldNames struct {
	has func(name string) bool
	all []string
}

// unknown returns the names that the place does not have, with suggestions; "" if it
// has all.
func (f fieldNames) unknown(names []string) string {
	var out []string
	for _, n := range names {
		if f.has(n) {
			continue
		}
		text := fmt.Sprintf("field %q", n)
		if near := diag.Closest(n, f.all); near != "" {
			text += fmt.Sprintf(" (did you mean %q?)", near)
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

// fieldsOf reads the fields of a place. where names it.
func (x *examination) fieldsOf(ctx context.Context, p describe.Place) (where string, fields fieldNames, err error) {
	if p.List > 0 {
		where = fmt.Sprintf("list %d", p.List)
		l, err := x.Client.ListFields(ctx, p.ListType, p.List)
		if err != nil {
			return where, fields, err
		}
		return where, fieldNames{has: func(n string) bool { _, err := l.Lookup(n); return err == nil }, all: l.Names()}, nil
	}
	owner := schemas.OwnerByType(p.EntityTypeID)
	where = fmt.Sprintf("items of type %d", p.EntityTypeID)
	if owner.Name != "" && p.EntityTypeID < schemas.FirstDynamicType {
		where = strings.ReplaceAll(owner.Name, "_", " ") + "s"
	}
	f, err := x.Client.ItemFields(ctx, p.EntityTypeID)
	if err != nil {
		return where, fields, err
	}
	return where, fieldNames{has: func(n string) bool { _, ok := f.Lookup(n); return ok }, all: f.Names()}, nil
}

// readable reads at most one record of a place: the fields of a list can be read without
// a right to its elements.
func (x *examination) readable(ctx context.Context, p describe.Place) error {
	call, wrapper := bitrix.Call{Method: "crm.item.list", Params: map[string]any{"entityTypeId": p.EntityTypeID, "filter": map[string]any{"id": 0}}}, "items"
	if p.List > 0 {
		call = bitrix.Call{Method: "lists.element.get", Params: map[string]any{"IBLOCK_TYPE_ID": p.ListType, "IBLOCK_ID": p.List, "FILTER": map[string]any{"ID": 0}}}
		wrapper = ""
	}
	_, _, err := bitrix.FirstPage(call.Method, x.Client.Do(ctx, call)[0], wrapper)
	return err
}

// timeFilter checks that a filter by time finds entities. A catch-up asks for those that
// changed since a time. A portal that ignores the filter, or finds nothing, would hide
// all of them.
func (x *examination) timeFilter(ctx context.Context, name string) {
	types := x.eventTypes()
	bad := 0
	for _, id := range types {
		found := x.count(ctx, id, time.Unix(0, 0))
		future := x.count(ctx, id, x.Now().Add(365*24*time.Hour))
		all := x.count(ctx, id, time.Time{})
		where := fmt.Sprintf("type %d", id)
		switch {
		case found.err != nil || future.err != nil || all.err != nil:
			err := found.err
			if err == nil {
				err = all.err
			}
			if err == nil {
				err = future.err
			}
			x.add(name, Unknown, fmt.Sprintf("%s: %v", where, err), "")
		case all.rows > 0 && found.rows == 0:
			x.add(name, Failed, where+": the filter updatedTime finds nothing, although there are entities", "a catch-up would find no changes: ask the portal's support")
		case future.rows > 0:
			x.add(name, Failed, where+": the portal ignores the filter updatedTime", "a catch-up would go through all entities: ask the portal's support")
		default:
			continue
		}
		bad++
	}
	if bad == 0 {
		x.add(name, OK, "a catch-up finds changes of "+plural(len(types), "type"), "")
	}
}

// eventTypes are the types of entities whose events start rules.
func (x *examination) eventTypes() []int {
	var out []int
	for _, r := range x.Rules {
		out = append(out, r.EventTypes()...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// counted is how many entities the first page of an answer has.
type counted struct {
	rows int
	err  error
}

// count reads the first page of the entities of a type that changed since a time; the
// zero time finds all.
func (x *examination) count(ctx context.Context, entityTypeID int, since time.Time) counted {
	params := map[string]any{"entityTypeId": entityTypeID, "select": []string{"id"}}
	if !since.IsZero() {
		params["filter"] = map[string]any{">=updatedTime": since.UTC().Format(time.RFC3339)}
	}
	call := bitrix.Call{Method: "crm.item.list", Params: params}
	a := x.Client.Do(ctx, call)[0]
	rows, _, err := bitrix.FirstPage(call.Method, a, "items")
	return counted{len(rows), err}
}
