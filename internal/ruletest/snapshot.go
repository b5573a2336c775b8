package ruletest

import (
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// thing is an item or an element as tests see it.
type thing struct {
	id     int64
	code   string         // of an element
	values map[string]any // without empty ones; properties by their codes
}

// snapshot is the portal's data.
type snapshot struct {
	items    map[int][]thing // by type, in the order of ids
	elements map[int][]thing // by list
}

// portalKeeps are fields of items that the portal writes by itself and that
// depend on when a thing was made.
var portalKeeps = map[string]bool{
	"id": true, "entityTypeId": true, "createdTime": true, "updatedTime": true, "movedTime": true, "lastActivityTime": true,
	"createdBy": true, "updatedBy": true, "movedBy": true, "lastActivityBy": true, "previousStageId": true, "accountNumber": true,
}

// snapshot reads everything.
func (w *world) snapshot() (*snapshot, error) {
	s := &snapshot{items: map[int][]thing{}, elements: map[int][]thing{}}
	for _, typ := range slices.Sorted(maps.Keys(w.schema.types)) {
		things, err := w.items(typ)
		if err != nil {
			return nil, err
		}
		s.items[typ] = things
	}
	for _, id := range slices.Sorted(maps.Keys(w.schema.lists)) {
		things, err := w.elements(id)
		if err != nil {
			return nil, err
		}
		s.elements[id] = things
	}
	return s, nil
}

func (w *world) items(typ int) ([]thing, error) {
	rows, err := w.restAll("crm.item.list", map[string]any{"entityTypeId": typ, "order": map[string]any{"id": "asc"}}, "items")
	if err != nil {
		return nil, err
	}
	t := w.schema.types[typ]
	out := make([]thing, 0, len(rows))
	for _, r := range rows {
		x := t.thing(r)
		if t.rows {
			products, err := w.restAll("crm.item.productrow.list", map[string]any{
				"filter": map[string]any{"=ownerType": t.short, "=ownerId": x.id}, "order": map[string]any{"sort": "asc", "id": "asc"},
			}, "productRows")
			if err != nil {
				return nil, err
			}
			if len(products) > 0 {
				x.values[rowsKey] = rowValues(products)
			}
		}
		out = append(out, x)
	}
	return out, nil
}

func (t *itemType) thing(r map[string]any) thing {
	id, _ := strconv.ParseInt(text(r["id"]), 10, 64)
	x := thing{id: id, values: map[string]any{}}
	for name, v := range r {
		c := t.fields[name]
		if c != nil {
			v = c.shown(v)
		}
		if !empty(v) && !(c != nil && c.linksNothing(v)) {
			x.values[name] = v
		}
	}
	return x
}

// linksNothing tells the 0 that some links have where they lead nowhere.
func (c *portalField) linksNothing(v any) bool {
	return text(v) == "0" && (strings.HasPrefix(c.typ, "crm_") || c.name == "webformId")
}

// shown is a value as tests write it: choices by their texts.
func (c *portalField) shown(v any) any {
	if several, ok := v.([]any); ok {
		out := make([]any, len(several))
		for i, x := range several {
			out[i] = c.shown(x)
		}
		return out
	}
	if t, ok := c.options[text(v)]; ok {
		return t
	}
	return v
}

// rowValues leaves out the ids of rows, which change with every save.
func rowValues(rows []map[string]any) []any {
	out := make([]any, len(rows))
	for i, r := range rows {
		values := map[string]any{}
		for name, v := range r {
			if name != "id" && name != "ownerId" && name != "ownerType" && !empty(v) {
				values[name] = v
			}
		}
		out[i] = values
	}
	return out
}

func (w *world) elements(list int) ([]thing, error) {
	rows, err := w.restAll("lists.element.get", map[string]any{
		"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": list, "ELEMENT_ORDER": map[string]any{"ID": "asc"},
	}, "")
	if err != nil {
		return nil, err
	}
	out := make([]thing, 0, len(rows))
	for _, r := range rows {
		out = append(out, w.schema.lists[list].thing(r))
	}
	return out, nil
}

func (l *listType) thing(r map[string]any) thing {
	id, _ := strconv.ParseInt(text(r["ID"]), 10, 64)
	x := thing{id: id, code: text(r["CODE"]), values: map[string]any{"ID": text(r["ID"])}}
	if x.code != "" {
		x.values["CODE"] = x.code
	}
	for _, c := range l.columns {
		v := r[c.name]
		if strings.HasPrefix(c.name, "PROPERTY_") {
			v = c.property(v)
		}
		if !empty(v) {
			x.values[c.label()] = v
		}
	}
	return x
}

// property reads {valueId: value}: one value, or the list of them.
func (c *portalField) property(v any) any {
	byID, ok := v.(map[string]any)
	if !ok {
		return c.shown(v)
	}
	ids := make([]string, 0, len(byID))
	for id := range byID {
		ids = append(ids, id)
	}
	sort.Slice(ids, func(i, j int) bool {
		return len(ids[i]) < len(ids[j]) || len(ids[i]) == len(ids[j]) && ids[i] < ids[j]
	})
	several := make([]any, len(ids))
	for i, id := range ids {
		several[i] = c.shown(byID[id])
	}
	if len(several) == 1 {
		return several[0]
	}
	return several
}

// find returns the thing with an id.
func find(things []thing, id int64) (thing, bool) {
	i := slices.IndexFunc(things, func(x thing) bool { return x.id == id })
	if i < 0 {
		return thing{}, false
	}
	return things[i], true
}

// comparable is the data written so that two portals that came to it in
// different ways can be compared: without what depends on the time. With ids,
// it also says which element is which.
func (s *snapshot) comparable(ids bool) []string {
	doc := map[string]any{}
	for typ, things := range s.items {
		if len(things) > 0 {
			doc[typeName(typ)] = sortedDocs(things, ids)
		}
	}
	for list, things := range s.elements {
		if len(things) > 0 {
			doc["elements."+strconv.Itoa(list)] = sortedDocs(things, ids)
		}
	}
	return render(doc)
}

// sortedDocs orders things by their text, so that the order in which they were
// made does not matter.
func sortedDocs(things []thing, ids bool) []any {
	type entry struct {
		text string
		doc  map[string]any
	}
	entries := make([]entry, 0, len(things))
	for _, x := range things {
		doc := map[string]any{}
		for name, v := range x.values {
			switch {
			case name == rowsKey:
				doc[name] = sortedRows(v)
			case !portalKeeps[name] && name != "ID" && name != "CODE":
				doc[name] = v
			}
		}
		if ids {
			doc["(id)"] = strconv.FormatInt(x.id, 10)
		}
		entries = append(entries, entry{strings.Join(render(doc), "\n"), doc})
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.text, b.text) })
	out := make([]any, len(entries))
	for i, e := range entries {
		out[i] = e.doc
	}
	return out
}

func sortedRows(v any) any {
	rows := slices.Clone(list(v))
	slices.SortStableFunc(rows, func(a, b any) int {
		return strings.Compare(strings.Join(render(a), "\n"), strings.Join(render(b), "\n"))
	})
	return rows
}
