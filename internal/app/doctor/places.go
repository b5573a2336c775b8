package doctor

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
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
	found := lookUp(ctx, x.Client, x.needs)
	looked := map[string]bool{}
	for _, rule := range sortedKeys(x.needs) {
		for _, p := range x.needs[rule].Places {
			of := found[placeName(p)]
			where, fields, err := placeName(p), of.fields, of.err
			looked[where] = true
			switch {
			case err != nil && bitrix.IsCode(err, "ACCESS_DENIED"):
				x.add(name, Failed, fmt.Sprintf("%s, for %s: access denied", where, rule), "give the user of the credentials the right to read and write it")
			case err != nil && bitrix.IsCode(err, "INSUFFICIENT_SCOPE"):
				x.add(name, Failed, fmt.Sprintf("%s, for %s: the credentials lack the permission", where, rule), x.moreScopes())
			case err != nil && bitrix.FaultOf(err) != bitrix.NoFault, bitrix.IsCode(err, bitrix.CodeBadAnswer):
				x.unasked(name, fmt.Sprintf("%s, for %s: %v", where, rule, err), err)
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

// placeName names a place. Two places with one name are the same.
func placeName(p describe.Place) string {
	if p.List == 0 {
		return typeName(p.EntityTypeID)
	}
	if p.ListType == "bitrix_processes" {
		return fmt.Sprintf("list %d of a business process", p.List)
	}
	return fmt.Sprintf("list %d", p.List)
}

// typeName names the items of a type.
func typeName(entityTypeID int) string {
	if o := schemas.OwnerByType(entityTypeID); o.Name != "" && entityTypeID < schemas.FirstDynamicType {
		return o.Plural()
	}
	return fmt.Sprintf("items of type %d", entityTypeID)
}

// lookedUp is what the portal says of a place.
type lookedUp struct {
	fields fieldNames
	err    error
}

// lookUp asks for all places of the rules in parallel, so that the calls share requests.
func lookUp(ctx context.Context, c *bitrix.Client, all map[string]describe.Needs) map[string]*lookedUp {
	out := map[string]*lookedUp{}
	var readers sync.WaitGroup
	for _, needs := range all {
		for _, p := range needs.Places {
			if out[placeName(p)] != nil {
				continue
			}
			of := &lookedUp{}
			out[placeName(p)] = of
			readers.Go(func() {
				if of.fields, of.err = fieldsOf(ctx, c, p); of.err == nil {
					of.err = readable(ctx, c, p)
				}
			})
		}
	}
	readers.Wait()
	return out
}

// fieldsOf reads the fields of a place.
func fieldsOf(ctx context.Context, c *bitrix.Client, p describe.Place) (fields fieldNames, err error) {
	if p.List > 0 {
		l, err := c.ListFields(ctx, p.ListType, p.List)
		if err != nil {
			return fields, err
		}
		return fieldNames{has: func(n string) bool { _, err := l.Lookup(n); return err == nil }, all: l.Names()}, nil
	}
	f, err := c.ItemFields(ctx, p.EntityTypeID)
	if err != nil {
		return fields, err
	}
	return fieldNames{has: func(n string) bool { _, ok := f.Lookup(n); return ok }, all: f.Names()}, nil
}

// readable reads at most one record of a place: the fields of a list can be read without
// a right to its elements.
func readable(ctx context.Context, c *bitrix.Client, p describe.Place) error {
	call, wrapper := bitrix.Call{Method: "crm.item.list", Params: map[string]any{"entityTypeId": p.EntityTypeID, "filter": map[string]any{"id": 0}}}, "items"
	if p.List > 0 {
		call = bitrix.Call{Method: "lists.element.get", Params: map[string]any{"IBLOCK_TYPE_ID": p.ListType, "IBLOCK_ID": p.List, "FILTER": map[string]any{"ID": 0}}}
		wrapper = ""
	}
	_, _, err := bitrix.FirstPage(call.Method, c.Do(ctx, call)[0], wrapper)
	return err
}

// timeFilter checks that a filter by time finds entities. A catch-up asks for those that
// changed since a time. A portal that ignores the filter, or finds nothing, would hide
// all of them.
func (x *examination) timeFilter(ctx context.Context, name string) {
	types := x.eventTypes()
	counts := countByTime(ctx, x.Client, types, x.Now())
	bad := 0
	for i, id := range types {
		found, future, all := counts[i][0], counts[i][1], counts[i][2]
		where := typeName(id)
		switch err := cmp.Or(found.err, all.err, future.err); {
		case err != nil:
			x.unasked(name, fmt.Sprintf("%s: %v", where, err), err)
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

// countByTime reads for each type the first page of what has changed since 1970, of what will have
// changed in a year, and of all.
func countByTime(ctx context.Context, c *bitrix.Client, types []int, now time.Time) [][3]counted {
	const method = "crm.item.list"
	var calls []bitrix.Call
	for _, id := range types {
		for _, since := range []time.Time{time.Unix(0, 0), now.Add(365 * 24 * time.Hour), {}} {
			params := map[string]any{"entityTypeId": id, "select": []string{"id"}}
			if !since.IsZero() {
				params["filter"] = map[string]any{">=updatedTime": since.UTC().Format(time.RFC3339)}
			}
			calls = append(calls, bitrix.Call{Method: method, Params: params})
		}
	}
	out := make([][3]counted, len(types))
	for i, a := range c.Do(ctx, calls...) {
		rows, _, err := bitrix.FirstPage(method, a, "items")
		out[i/3][i%3] = counted{len(rows), err}
	}
	return out
}
