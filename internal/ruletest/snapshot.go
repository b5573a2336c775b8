package ruletest

import (
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// thing is an item or an element as tests see it.
type record struct {
	id     int64
	code   string         // of an element
	values map[string]any // without empty ones; properties by their codes
}

// snapshot is the portal's data.
type snapshot struct {
	items    map[int][]record // by type, in the order of ids
	elements map[int][]record // by list
}

// portalKeeps are fields of items that the portal writes by itself and that
// depend on when a thing was made.
var automaticFields = map[string]bool{
	"id": true, "entityTypeId": true, "createdTime": true, "updatedTime": true, "movedTime": true, "lastActivityTime": true,
	"createdBy": true, "updatedBy": true, "movedBy": true, "lastActivityBy": true, "previousStageId": true, "accountNumber": true,
}

// snapshot reads everything.
func (w *portal) snapshot() (*snapshot, error) {
	s := &snapshot{items: map[int][]record{}, elements: map[int][]record{}}
	for _, typ := range slices.Sorted(maps.Keys(w.schema.types)) {
		records, err := w.items(typ)
		if err != nil {
			return nil, err
		}
		s.items[typ] = records
	}
	for _, id := range slices.Sorted(maps.Keys(w.schema.lists)) {
		records, err := w.elements(id)
		if err != nil {
			return nil, err
		}
		s.elements[id] = records
	}
	return s, nil
}

func (w *portal) items(typ int) ([]record, error) {
	rows, err := w.callAll("crm.item.list", map[string]any{"entityTypeId": typ, "order": map[string]any{"id": "asc"}}, "items")
	if err != nil {
		return nil, err
	}
	t := w.schema.types[typ]
	out := make([]record, 0, len(rows))
	for _, r := range rows {
		x := t.record(r)
		if t.rows {
			products, err := w.callAll("crm.item.productrow.list", map[string]any{
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

func (t *itemType) record(r map[string]any) record {
	id, _ := strconv.ParseInt(text(r["id"]), 10, 64)
	x := record{id: id, values: map[string]any{}}
	for name, v := range r {
		c := t.fields[name]
		if c != nil {
			v = c.shown(v)
		}
		if !empty(v) && !(c != nil && c.isEmptyLink(v)) {
			x.values[name] = v
		}
	}
	return x
}

// linksNothing tells the 0 that some links have where they lead nowhere.
func (c *fieldInfo) isEmptyLink(v any) bool {
	return text(v) == "0" && (strings.HasPrefix(c.dataType, "crm_") || c.name == "webformId")
}

// shown is a value as tests write it: choices by their texts.
func (c *fieldInfo) shown(v any) any {
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

func (w *portal) elements(list int) ([]record, error) {
	rows, err := w.callAll("lists.element.get", map[string]any{
		"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": list, "ELEMENT_ORDER": map[string]any{"ID": "asc"},
	}, "")
	if err != nil {
		return nil, err
	}
	out := make([]record, 0, len(rows))
	for _, r := range rows {
		out = append(out, w.schema.lists[list].record(r))
	}
	return out, nil
}

func (l *listType) record(r map[string]any) record {
	id, _ := strconv.ParseInt(text(r["ID"]), 10, 64)
	x := record{id: id, code: text(r["CODE"]), values: map[string]any{"ID": text(r["ID"])}}
	if x.code != "" {
		x.values["CODE"] = x.code
	}
	for _, c := range l.columns {
		v := r[c.name]
		if strings.HasPrefix(c.name, "PROPERTY_") {
			v = c.propertyValue(v)
		}
		if !empty(v) {
			x.values[c.label()] = v
		}
	}
	return x
}

// property reads {valueId: value}: one value, or the list of them.
func (c *fieldInfo) propertyValue(v any) any {
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
func find(records []record, id int64) (record, bool) {
	i := slices.IndexFunc(records, func(x record) bool { return x.id == id })
	if i < 0 {
		return record{}, false
	}
	return records[i], true
}

// comparable is the data written so that two portals that came to it in
// different ways can be compared: without what depends on the time. With ids,
// it also says which element is which.
func (s *snapshot) comparable(ids bool) []string {
	doc := map[string]any{}
	for typ, records := range s.items {
		if len(records) > 0 {
			doc[typeName(typ)] = sortedDocs(records, ids)
		}
	}
	for list, records := range s.elements {
		if len(records) > 0 {
			doc["elements."+strconv.Itoa(list)] = sortedDocs(records, ids)
		}
	}
	return render(doc)
}

// sortedDocs orders records by their text, so that the order in which they were
// made does not matter.
func sortedDocs(records []record, ids bool) []any {
	type entry struct {
		text string
		doc  map[string]any
	}
	entries := make([]entry, 0, len(records))
	for _, x := range records {
		doc := map[string]any{}
		for name, v := range x.values {
			switch {
			case name == rowsKey:
				doc[name] = sortedRows(v)
			case !automaticFields[name] && name != "ID" && name != "CODE":
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
	rows := slices.Clone(array(v))
	slices.SortStableFunc(rows, func(a, b any) int {
		return strings.Compare(strings.Join(render(a), "\n"), strings.Join(render(b), "\n"))
	})
	return rows
}
