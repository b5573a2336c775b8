package ruletest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/engine/describe"
	"github.com/b24rules/b24rules/internal/ruletest/compare"
	"github.com/b24rules/b24rules/internal/ruletest/testportal"
)

// managed holds the fields that rules manage. All other fields belong to people.
type managed struct {
	items    map[int]map[string]bool
	elements map[int]map[string]bool
	// called is true if a rule calls methods by name or sets product rows; then the fields in its calls are
	// managed too. open is true if a rule computes field names.
	called, open bool
	outlines     []describe.StepOutline
}

func (s *fixture) managed() *managed {
	m := &managed{items: map[int]map[string]bool{}, elements: map[int]map[string]bool{}}
	for _, b := range s.sets {
		for _, r := range b.set.Rules {
			for _, step := range describe.OutlineOf(r, b.inputs).Steps {
				m.outlines = append(m.outlines, step)
				m.called = m.called || step.Action == "call" || step.Action == "set_products"
				m.open = m.open || step.Managed.Open
				m.add(s.schema, step.Managed)
			}
		}
	}
	return m
}

// add adds the field names of one step. If its type or list is known only at run time, it
// adds them for every type and list.
func (m *managed) add(s *testportal.Schema, step describe.Managed) {
	for id, t := range s.Types {
		if step.List != 0 || step.EntityTypeID != 0 && step.EntityTypeID != id {
			continue
		}
		for _, name := range step.Names {
			if f := t.Find(name); f != nil {
				put(m.items, id, f.Name)
			}
		}
	}
	for id, l := range s.Lists {
		if step.EntityTypeID != 0 || step.List != 0 && step.List != id {
			continue
		}
		for _, name := range step.Names {
			if f := l.Find(name); f != nil {
				put(m.elements, id, f.Label())
			}
		}
	}
}

func put(m map[int]map[string]bool, id int, name string) {
	if m[id] == nil {
		m[id] = map[string]bool{}
	}
	m[id][name] = true
}

// follows are fields that the portal changes together with another field.
var follows = map[string][]string{
	"stageId":             {"stageSemanticId", "closed", "isNew"},
	"categoryId":          {"stageId", "stageSemanticId", "closed", "isNew"},
	"contactId":           {"contactIds"},
	"contactIds":          {"contactId"},
	testportal.RowsKey:    {"opportunity", "taxValue"},
	"isManualOpportunity": {"opportunity", "taxValue"},
	"opportunity":         {"taxValue"},
	"fm":                  multifields,
	"phone":               multifields, // PHONE and the like of crm.contact.update
	"email":               multifields,
	"web":                 multifields,
	"im":                  multifields,
}

// multifields are fm and the fields that show its first values.
var multifields = []string{
	"fm", "hasPhone", "hasEmail", "hasImol", "phone", "phoneMobile", "phoneWork", "phoneMailing",
	"email", "emailHome", "emailWork", "emailMailing", "imol",
}

// changedFields compares records before and after a run and returns the unmanaged fields
// that have changed. named returns the fields that the run's calls name.
func (m *managed) changedFields(own map[string]bool, before, after []testportal.Record, named func(x testportal.Record) map[string]bool) []string {
	var out []string
	for _, b := range before {
		a, ok := testportal.RecordByID(after, b.ID)
		if !ok || m.open {
			continue
		}
		allowed := map[string]bool{}
		for name := range own {
			allowed[name] = true
		}
		if m.called {
			for name := range named(b) {
				allowed[name] = true
			}
		}
		for name := range allowed {
			for _, other := range follows[name] {
				allowed[other] = true
			}
		}
		for _, name := range fieldNames(b, a) {
			if !allowed[name] && !testportal.AutomaticFields[name] && name != "ID" && name != "CODE" && !compare.Equal(b.Values[name], a.Values[name], true) {
				out = append(out, fmt.Sprintf("%s of %d was %s and is %s", name, b.ID, short(b.Values[name]), short(a.Values[name])))
			}
		}
	}
	return out
}

func fieldNames(records ...testportal.Record) []string {
	var out []string
	for _, x := range records {
		for name := range x.Values {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func short(v any) string {
	if compare.Empty(v) {
		return "empty"
	}
	raw, err := json.Marshal(v)
	if err != nil || len(raw) > 60 {
		return fmt.Sprintf("%.57s…", raw)
	}
	return string(raw)
}

// fieldsInCalls returns the fields of a record that writing calls name.
func (s *fixture) fieldsInCalls(writes []bitrix.Call, typ, list int) func(x testportal.Record) map[string]bool {
	return func(x testportal.Record) map[string]bool {
		out := map[string]bool{}
		for _, c := range writes {
			p := s.readable(c)
			key := strconv.FormatInt(x.ID, 10)
			sameElement := compare.Text(p["ELEMENT_ID"]) == key || compare.Empty(p["ELEMENT_ID"]) && compare.Text(p["ELEMENT_CODE"]) == x.Code
			if list != 0 && compare.Text(p["IBLOCK_ID"]) == strconv.Itoa(list) && sameElement {
				clear(out) // an update overwrites the whole element, so only the last one counts
				for name := range compare.Object(p[fieldsKey]) {
					out[name] = true
				}
			}
			if typ == 0 || compare.Text(p["id"]) != key && compare.Text(p["ID"]) != key && compare.Text(p["ownerId"]) != key {
				continue
			}
			for name := range compare.Object(p["fields"]) {
				if f := s.schema.Types[typ].Find(name); f != nil {
					out[f.Name] = true
				}
			}
			if strings.Contains(strings.ToLower(c.Method), "productrow") {
				out[testportal.RowsKey] = true
			}
		}
		return out
	}
}

// violations returns the unmanaged fields that a run has changed.
func (c *baseline) violations(m *managed, before, after *testportal.Snapshot, writes []bitrix.Call) []string {
	var out []string
	for _, typ := range slices.Sorted(maps.Keys(before.Items)) {
		for _, text := range m.changedFields(m.items[typ], before.Items[typ], after.Items[typ], c.fieldsInCalls(writes, typ, 0)) {
			out = append(out, testportal.TypeName(typ)+": "+text)
		}
	}
	for _, list := range slices.Sorted(maps.Keys(before.Elements)) {
		for _, text := range m.changedFields(m.elements[list], before.Elements[list], after.Elements[list], c.fieldsInCalls(writes, 0, list)) {
			out = append(out, fmt.Sprintf("elements.%d: %s", list, text))
		}
	}
	return out
}

// checkUnmanaged first checks the unmanaged fields of the records before each event. Then
// people fill every unmanaged field of the records that the rules wrote and change a
// managed field, so that the rules must write it again.
func checkUnmanaged(ctx context.Context, c *baseline) ([]violation, bool, error) {
	m := c.managed()
	var wrong []violation
	report := func(what string, violations []string) {
		if len(violations) > 0 {
			wrong = append(wrong, violation{message: what + ": " + strings.Join(violations, "; ")})
		}
	}
	for _, p := range c.results {
		report("after "+p.phase.Scenario.Event.Label+" fields changed that the rule does not manage", c.violations(m, p.before, p.after, p.writes))
	}
	if len(wrong) > 0 || c.writes == 0 {
		return wrong, c.writes > 0, nil
	}
	w, scenes, err := c.runScenarios(ctx, variation{})
	if err != nil {
		return nil, true, err
	}
	defer w.Close()
	last := scenes[len(scenes)-1]
	touched, err := c.fillUnmanaged(w, m, last)
	if err != nil || !touched {
		return nil, true, err
	}
	before, err := w.Snapshot()
	if err != nil {
		return nil, true, err
	}
	w.rec.takeWrites()
	if _, err := c.deliver(ctx, w, last.phase.Scenario.Event, 1); err != nil {
		return nil, true, err
	}
	after, err := w.Snapshot()
	if err != nil {
		return nil, true, err
	}
	report("people filled unmanaged fields of the records that the rule wrote, and its next run changed them", c.violations(m, before, after, w.rec.takeWrites()))
	for _, list := range slices.Sorted(maps.Keys(before.Elements)) {
		for _, e := range before.Elements[list] {
			if _, there := testportal.RecordByID(after.Elements[list], e.ID); !there {
				report("people filled unmanaged fields of the records that the rule wrote, and its next run deleted a record", []string{fmt.Sprintf("element %d of list %d", e.ID, list)})
			}
		}
	}
	return wrong, true, nil
}

// fillUnmanaged fills the unmanaged fields of all records that runs have added or updated
// and changes one of the managed fields.
func (c *baseline) fillUnmanaged(w *sandbox, m *managed, last scenarioResult) (touched bool, err error) {
	written := w.writtenRecords()
	err = w.AsPeople(func() error {
		for _, list := range slices.Sorted(maps.Keys(last.after.Elements)) {
			l := c.schema.Lists[list]
			for _, e := range last.after.Elements[list] {
				set := m.samples(m.elements[list], l.Columns, e, list, 0)
				if !written[location{list: list, id: e.ID}] || len(set) == 0 {
					continue
				}
				touched = true
				params := map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": list, "ELEMENT_ID": e.ID}
				if err := w.ChangeElement(params, e, l, set); err != nil {
					return err
				}
			}
		}
		for _, typ := range slices.Sorted(maps.Keys(last.after.Items)) {
			var all []*testportal.FieldInfo
			for _, name := range c.schema.Types[typ].Names {
				all = append(all, c.schema.Types[typ].Fields[name])
			}
			for _, x := range last.after.Items[typ] {
				set := m.samples(m.items[typ], all, x, 0, typ)
				if !written[location{typ: typ, id: x.ID}] || len(set) == 0 {
					continue
				}
				touched = true
				for name, v := range set {
					set[name] = c.schema.Types[typ].Fields[name].Stored(v)
				}
				params := map[string]any{"entityTypeId": typ, "id": x.ID, "fields": set}
				if _, err := w.Call("crm.item.update", params); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return touched, err
}

// samples returns the values that people write into unmanaged fields, and into one managed
// field.
func (m *managed) samples(own map[string]bool, columns []*testportal.FieldInfo, x testportal.Record, list, typ int) map[string]any {
	set := map[string]any{}
	for _, f := range columns {
		name := f.Label()
		if !compare.Empty(x.Values[name]) || own[name] || f.ReadOnly || list == 0 && !f.Custom && name != "comments" && name != "sourceDescription" {
			continue
		}
		if v := sampleValue(f); v != nil && f.Multiple {
			set[name] = []any{v}
		} else if v != nil {
			set[name] = v
		}
	}
	for _, name := range []string{"NAME", "title"} {
		if own[name] && !m.identifies(name, list, typ) {
			set[name] = "spoiled by a person"
			return set
		}
	}
	for _, f := range columns {
		name := f.Label()
		if n, ok := compare.Number(x.Values[name]); ok && own[name] && len(f.Options) == 0 && !m.identifies(name, list, typ) && !f.ReadOnly && f.DataType == "double" {
			sum, _ := n.Add(one)
			set[name] = json.Number(sum.String())
			break
		}
	}
	return set
}

// identifies reports whether a field is part of a step's key. Changing it would make it
// another record.
func (m *managed) identifies(name string, list, typ int) bool {
	return slices.ContainsFunc(m.outlines, func(s describe.StepOutline) bool {
		fitsPlace := (list == 0 || s.Managed.List == list) && (typ == 0 || s.Managed.EntityTypeID == typ)
		return fitsPlace && slices.Contains(s.Managed.Keys, name)
	})
}

// sampleValue returns a value of the field's type, nil if no simple value is possible.
func sampleValue(f *testportal.FieldInfo) any {
	if len(f.Options) > 0 {
		var ids []string
		for id := range f.Options {
			ids = append(ids, id)
		}
		slices.Sort(ids)
		return f.Options[ids[0]]
	}
	switch f.DataType {
	case "S", "string", "text":
		return "written by a person"
	case "N", "integer", "double":
		return json.Number("7")
	case "boolean":
		return true
	case "S:Date", "date":
		return "2026-01-02"
	case "S:DateTime":
		return "2026-01-02 10:30:00"
	case "S:HTML":
		return "<b>written</b> by a person"
	case "S:Money", "money":
		return "7|EUR"
	case "S:employee", "E", "E:EList", "G", "S:DiskFile":
		return json.Number("1")
	case "S:ECrm":
		return "C_1"
	case "F":
		return []any{"note.txt", "YQ=="}
	}
	return nil
}

// location identifies a record in the portal.
type location struct {
	typ, list int
	id        int64
}

// writtenRecords returns the records that runs have added or updated.
func (w *sandbox) writtenRecords() map[location]bool {
	out := map[location]bool{}
	for i, ch := range w.Emulator.History() {
		if !w.ByPeople(i) && ch.Op != "delete" {
			out[locationOf(ch)] = true
		}
	}
	return out
}

func locationOf(ch emulator.Change) location {
	return location{typ: ch.EntityTypeID, list: ch.IBlockID, id: ch.ID}
}
