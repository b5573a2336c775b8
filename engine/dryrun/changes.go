package dryrun

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine/formula"
)

// ChangeKind says what a write does to a record.
type ChangeKind string

// The kinds of changes.
const (
	ChangeAdd     ChangeKind = "add"
	ChangeUpdate  ChangeKind = "change"
	ChangeDelete  ChangeKind = "delete"
	ChangeCall    ChangeKind = "call"    // a method whose effect on records is not known
	ChangeOutside ChangeKind = "outside" // a request to another system
)

// Change describes the effect of one write.
type Change struct {
	Step   string     `json:"step"`
	Kind   ChangeKind `json:"kind"`
	Method string     `json:"method"`
	// Record is "item 1038:7" or "element 47:12", and "item 1038:new" for a new record.
	// It is "" for a call.
	Record string `json:"thing,omitempty"`
	// Title is the title of the record before the change, or its new title if the record
	// is new.
	Title string `json:"title,omitempty"`
	// Fields are the fields that would change, by name. A deletion has none, and an update
	// without fields changes nothing: see Same.
	Fields []FieldChange `json:"fields,omitempty"`
}

// Same reports whether the change leaves its record as it is: the rule writes the same values
// again, or somebody has written them while the run was planned.
func (c Change) Same() bool { return c.Kind == ChangeUpdate && len(c.Fields) == 0 }

// FieldChange is one field before and after the change. Before is nil in a new record.
type FieldChange struct {
	Name   string `json:"name"`
	Before any    `json:"before,omitempty"`
	After  any    `json:"after"`
}

// Changes returns the writes of the run as differences. It reads the records that
// the run did not read.
func (r *Run) Changes(ctx context.Context) ([]Change, error) {
	writes := r.Writes()
	before, err := r.before(ctx, writes)
	if err != nil {
		return nil, err
	}
	out := make([]Change, 0, len(writes))
	for _, w := range writes {
		c := r.change(w, before[w.record])
		if w.Call.Method == "crm.item.update" {
			before[w.record] = patched(before[w.record], w.Call)
		}
		out = append(out, c)
	}
	return out, nil
}

// patched returns an item after an update. The next update is compared with it.
func patched(item map[string]any, c bitrix.Call) map[string]any {
	out := maps.Clone(item)
	if out == nil {
		out = map[string]any{}
	}
	fields, _ := c.Params["fields"].(map[string]any)
	maps.Copy(out, fields)
	return out
}

// recordOf returns the record that a call is about. It is zero when the call is not about
// one item or element.
func recordOf(c bitrix.Call) record {
	switch method := strings.ToLower(c.Method); {
	case strings.HasPrefix(method, "crm.item.") && strings.Count(method, ".") == 2:
		return record{of: paramInt(c, "entityTypeId"), id: paramInt(c, "id")}
	case strings.HasPrefix(method, "lists.element."):
		return record{list: true, of: paramInt(c, "IBLOCK_ID"), id: paramInt(c, "ELEMENT_ID")}
	}
	return record{}
}

func paramInt(c bitrix.Call, name string) int {
	n, err := strconv.Atoi(fmt.Sprint(c.Params[name]))
	if err != nil {
		return 0
	}
	return n
}

func (t record) String() string {
	what := "item"
	if t.list {
		what = "element"
	}
	if t.id == 0 || t.id >= firstPlaceholder {
		return fmt.Sprintf("%s %d:new", what, t.of)
	}
	return fmt.Sprintf("%s %d:%d", what, t.of, t.id)
}

// before returns the records of the writes, as far as they exist.
func (r *Run) before(ctx context.Context, writes []Write) (map[record]map[string]any, error) {
	r.mu.Lock()
	reads, portal := r.reads, r.portal
	r.mu.Unlock()
	known := knownOf(reads)
	var calls []bitrix.Call
	var at []record
	for _, w := range writes {
		if w.record.id == 0 || w.record.id >= firstPlaceholder || enough(known[w.record], w.Call) || slices.Contains(at, w.record) {
			continue
		}
		at, calls = append(at, w.record), append(calls, w.record.read(w.Call))
	}
	if len(calls) == 0 {
		return known, nil
	}
	for i, a := range portal.Do(ctx, calls...) {
		if bitrix.IsNotFound(a.Err) {
			continue
		}
		if a.Err != nil {
			return nil, fmt.Errorf("read %s: %w", at[i], a.Err)
		}
		for _, row := range rowsOf(calls[i].Method, a.Result) {
			if v, err := formula.FromJSON(row); err == nil {
				known[at[i]], _ = v.(map[string]any)
			}
		}
	}
	return known, nil
}

// knownOf returns the records that were read, as far as they were read.
func knownOf(reads []seenRead) map[record]map[string]any {
	known := map[record]map[string]any{}
	for _, s := range reads {
		t := recordOf(s.call)
		for _, row := range s.rows {
			v, err := formula.FromJSON(row)
			if err != nil {
				continue
			}
			m, _ := v.(map[string]any)
			t.id, _ = strconv.Atoi(fmt.Sprint(cmp.Or(m["id"], m["ID"])))
			whole := known[t] // a listing may have read only some fields
			if whole == nil {
				whole = map[string]any{}
			}
			maps.Copy(whole, m)
			known[t] = whole
		}
	}
	return known
}

// enough reports whether all fields that a write changes were read.
func enough(m map[string]any, c bitrix.Call) bool {
	if m == nil {
		return false
	}
	fields, _ := c.Params["fields"].(map[string]any)
	for name := range fields {
		if _, ok := m[name]; !ok {
			return false
		}
	}
	return titleOf(m) != ""
}

// read returns the call that reads the record.
func (t record) read(write bitrix.Call) bitrix.Call {
	if t.list {
		return bitrix.Call{Method: "lists.element.get", Params: map[string]any{
			"IBLOCK_TYPE_ID": write.Params["IBLOCK_TYPE_ID"], "IBLOCK_ID": t.of, "ELEMENT_ID": t.id,
		}}
	}
	return bitrix.Call{Method: "crm.item.get", Params: map[string]any{"entityTypeId": t.of, "id": t.id}}
}

func titleOf(m map[string]any) string {
	for _, name := range []string{"title", "NAME"} {
		if s, ok := m[name].(string); ok && s != "" {
			return s
		}
	}
	return ""
}

// change compares a write with the record before it.
func (r *Run) change(w Write, before map[string]any) Change {
	c := Change{Step: w.Step, Method: w.Call.Method, Kind: ChangeCall}
	fields, _ := cmp.Or(w.Call.Params["fields"], w.Call.Params["FIELDS"]).(map[string]any)
	switch strings.ToLower(w.Call.Method) {
	case "crm.item.add", "lists.element.add":
		c.Kind, before = ChangeAdd, nil
	case "crm.item.update", "lists.element.update":
		c.Kind = ChangeUpdate
	case "crm.item.delete", "lists.element.delete":
		c.Kind, fields = ChangeDelete, nil
	default:
		if w.Outside {
			c.Kind = ChangeOutside
		}
		for _, name := range slices.Sorted(maps.Keys(w.Call.Params)) {
			c.Fields = append(c.Fields, FieldChange{Name: name, After: w.Call.Params[name]})
		}
		return c
	}
	c.Record, c.Title = w.record.String(), cmp.Or(titleOf(before), titleOf(fields))
	if code, ok := w.Call.Params["ELEMENT_CODE"]; ok && !Equal(before["CODE"], code) && c.Kind == ChangeUpdate {
		c.Fields = append(c.Fields, FieldChange{"CODE", before["CODE"], code})
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		f := FieldChange{Name: name, Before: before[name], After: fields[name]}
		if w.record.list {
			f = r.property(w.record.of, f)
		}
		if c.Kind == ChangeAdd || !Equal(f.Before, f.After) {
			c.Fields = append(c.Fields, f)
		}
	}
	return c
}

// property gives a property its code and its plain values instead of {valueId: value}.
func (r *Run) property(list int, f FieldChange) FieldChange {
	r.mu.Lock()
	known := r.lists[list]
	r.mu.Unlock()
	if sameKeys(f.Before, f.After) { // the write preserves the values
		f.After = f.Before
	}
	f.Before, f.After = withoutIDs(f.Before), withoutIDs(f.After)
	if known == nil {
		return f
	}
	field, err := known.Lookup(f.Name)
	if err != nil {
		return f
	}
	f.Name = cmp.Or(field.Code, f.Name)
	f.Before, f.After = optionText(field, f.Before), optionText(field, f.After)
	return f
}

func sameKeys(a, b any) bool {
	x, ok := a.(map[string]any)
	y, also := b.(map[string]any)
	if !ok || !also || len(x) != len(y) {
		return false
	}
	for k := range x {
		if _, there := y[k]; !there {
			return false
		}
	}
	return true
}

// withoutIDs returns the value, or the list of values, of a property.
func withoutIDs(v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	var ids []int
	for k := range m {
		id, err := strconv.Atoi(k)
		if err != nil {
			return v
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	if len(ids) == 1 {
		return m[strconv.Itoa(ids[0])]
	}
	out := make([]any, len(ids))
	for i, id := range ids {
		out[i] = m[strconv.Itoa(id)]
	}
	return out
}

func optionText(f bitrix.ListField, v any) any {
	if list, ok := v.([]any); ok {
		out := make([]any, len(list))
		for i, e := range list {
			out[i] = optionText(f, e)
		}
		return out
	}
	if text, ok := f.Enum[plainText(v)]; ok {
		return text
	}
	return v
}
