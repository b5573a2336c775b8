package testportal

import (
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/internal/ruletest/compare"
)

// Record is an item or an element in the form of tests.
type Record struct {
	ID     int64
	Code   string         // ELEMENT_CODE, only of an element
	Values map[string]any // without empty values; properties by code
}

// Snapshot is the data of a portal at one time.
type Snapshot struct {
	Items    map[int][]Record // by entityTypeId, ordered by id
	Elements map[int][]Record // by IBLOCK_ID, ordered by id
}

// AutomaticFields are fields of items that the portal sets and that depend on the time of
// a change.
var AutomaticFields = map[string]bool{
	"id": true, "entityTypeId": true, "createdTime": true, "updatedTime": true, "movedTime": true, "lastActivityTime": true,
	"createdBy": true, "updatedBy": true, "movedBy": true, "lastActivityBy": true, "previousStageId": true, "accountNumber": true,
}

// Snapshot reads all data of the portal.
func (w *Portal) Snapshot() (*Snapshot, error) {
	s := &Snapshot{Items: map[int][]Record{}, Elements: map[int][]Record{}}
	for _, typ := range slices.Sorted(maps.Keys(w.Schema.Types)) {
		records, err := w.items(typ)
		if err != nil {
			return nil, err
		}
		s.Items[typ] = records
	}
	for _, id := range slices.Sorted(maps.Keys(w.Schema.Lists)) {
		records, err := w.elements(id)
		if err != nil {
			return nil, err
		}
		s.Elements[id] = records
	}
	return s, nil
}

func (w *Portal) items(typ int) ([]Record, error) {
	rows, err := w.callAll("crm.item.list", map[string]any{"entityTypeId": typ, "order": map[string]any{"id": "asc"}}, "items")
	if err != nil {
		return nil, err
	}
	t := w.Schema.Types[typ]
	out := make([]Record, 0, len(rows))
	for _, r := range rows {
		x := t.record(r)
		if t.rows {
			products, err := w.callAll("crm.item.productrow.list", map[string]any{
				"filter": map[string]any{"=ownerType": t.short, "=ownerId": x.ID}, "order": map[string]any{"sort": "asc", "id": "asc"},
			}, "productRows")
			if err != nil {
				return nil, err
			}
			if len(products) > 0 {
				x.Values[RowsKey] = rowValues(products)
			}
		}
		out = append(out, x)
	}
	return out, nil
}

func (t *itemType) record(r map[string]any) Record {
	id, _ := strconv.ParseInt(compare.Text(r["id"]), 10, 64)
	x := Record{ID: id, Values: map[string]any{}}
	for name, v := range r {
		c := t.Fields[name]
		if c != nil {
			v = c.Shown(v)
		}
		if !compare.Empty(v) && !(c != nil && c.isEmptyLink(v)) {
			x.Values[name] = v
		}
	}
	return x
}

// ZeroIsEmpty reports whether a test that expects 0 also means an empty value: of a
// number, and of a link such as companyId or the pipeline 0.
func (c *FieldInfo) ZeroIsEmpty() bool {
	return c.DataType == "double" || c.DataType == "integer" || strings.HasPrefix(c.DataType, "crm_")
}

// isEmptyLink reports whether v is the 0 that some link fields have when they are empty.
func (c *FieldInfo) isEmptyLink(v any) bool {
	return compare.Text(v) == "0" && (strings.HasPrefix(c.DataType, "crm_") || c.Name == "webformId")
}

// Shown returns a value in the form of tests: list options as text.
func (c *FieldInfo) Shown(v any) any {
	if several, ok := v.([]any); ok {
		out := make([]any, len(several))
		for i, x := range several {
			out[i] = c.Shown(x)
		}
		return out
	}
	if t, ok := c.Options[compare.Text(v)]; ok {
		return t
	}
	return v
}

// rowValues removes the ids of rows, which change with every save.
func rowValues(rows []map[string]any) []any {
	out := make([]any, len(rows))
	for i, r := range rows {
		values := map[string]any{}
		for name, v := range r {
			if name != "id" && name != "ownerId" && name != "ownerType" && !compare.Empty(v) {
				values[name] = v
			}
		}
		out[i] = values
	}
	return out
}

func (w *Portal) elements(list int) ([]Record, error) {
	rows, err := w.callAll("lists.element.get", map[string]any{
		"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": list, "ELEMENT_ORDER": map[string]any{"ID": "asc"},
	}, "")
	if err != nil {
		return nil, err
	}
	out := make([]Record, 0, len(rows))
	for _, r := range rows {
		out = append(out, w.Schema.Lists[list].record(r))
	}
	return out, nil
}

func (l *listType) record(r map[string]any) Record {
	id, _ := strconv.ParseInt(compare.Text(r["ID"]), 10, 64)
	x := Record{ID: id, Code: compare.Text(r["CODE"]), Values: map[string]any{"ID": compare.Text(r["ID"])}}
	if x.Code != "" {
		x.Values["CODE"] = x.Code
	}
	for _, c := range l.Columns {
		v := r[c.Name]
		if strings.HasPrefix(c.Name, "PROPERTY_") {
			v = c.PropertyValue(v)
		}
		if !compare.Empty(v) {
			x.Values[c.Label()] = v
		}
	}
	return x
}

// PropertyValue reads {valueId: value} as one value or a list of values.
func (c *FieldInfo) PropertyValue(v any) any {
	byID, ok := v.(map[string]any)
	if !ok {
		return c.Shown(v)
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
		several[i] = c.Shown(byID[id])
	}
	if len(several) == 1 {
		return several[0]
	}
	return several
}

// RecordByID returns the record with an id.
func RecordByID(records []Record, id int64) (Record, bool) {
	i := slices.IndexFunc(records, func(x Record) bool { return x.ID == id })
	if i < 0 {
		return Record{}, false
	}
	return records[i], true
}

// Comparable returns the data as lines without values that depend on the time, so that
// portals with different histories can be compared. With ids, it includes the id of each
// record.
func (s *Snapshot) Comparable(ids bool) []string {
	doc := map[string]any{}
	for typ, records := range s.Items {
		if len(records) > 0 {
			doc[TypeName(typ)] = sortedDocs(records, ids)
		}
	}
	for list, records := range s.Elements {
		if len(records) > 0 {
			doc["elements."+strconv.Itoa(list)] = sortedDocs(records, ids)
		}
	}
	return compare.Render(doc)
}

// sortedDocs orders records by their text, so that the order of creation does not matter.
func sortedDocs(records []Record, ids bool) []any {
	type entry struct {
		text string
		doc  map[string]any
	}
	entries := make([]entry, 0, len(records))
	for _, x := range records {
		doc := map[string]any{}
		for name, v := range x.Values {
			switch {
			case name == RowsKey:
				doc[name] = sortedRows(v)
			case !AutomaticFields[name] && name != "ID" && name != "CODE":
				doc[name] = v
			}
		}
		if ids {
			doc["(id)"] = strconv.FormatInt(x.ID, 10)
		}
		entries = append(entries, entry{strings.Join(compare.Render(doc), "\n"), doc})
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.text, b.text) })
	out := make([]any, len(entries))
	for i, e := range entries {
		out[i] = e.doc
	}
	return out
}

func sortedRows(v any) any {
	rows := slices.Clone(compare.Array(v))
	slices.SortStableFunc(rows, func(a, b any) int {
		return strings.Compare(strings.Join(compare.Render(a), "\n"), strings.Join(compare.Render(b), "\n"))
	})
	return rows
}
