package ruletest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/ruletest/compare"
	"github.com/b24rules/b24rules/internal/ruletest/testportal"
)

var one = num.FromInt(1)

func checkDuplicates(_ context.Context, c *baseline) ([]violation, bool, error) {
	var wrong []violation
	for _, text := range c.sandbox.duplicates(c.fixture) {
		wrong = append(wrong, violation{message: text})
	}
	return wrong, c.writes > 0, nil
}

// duplicates searches the portal's history for two records that existed at the same time
// although the rule needs only one: elements with the same code, items with the same key
// of upsert_item, and other items that runs added with the same content. Records of people
// do not count.
func (w *sandbox) duplicates(s *fixture) []string {
	keys := s.upsertKeys()
	living := map[location]string{}
	byIdentity := map[string]location{}
	var out []string
	for i, ch := range w.Emulator.History() {
		at := locationOf(ch)
		if id, known := living[at]; known {
			delete(living, at)
			if byIdentity[id] == at {
				delete(byIdentity, id)
			}
		}
		if ch.Op == "delete" {
			continue
		}
		id := w.identity(ch, keys, i)
		if id == "" {
			continue
		}
		if other, taken := byIdentity[id]; taken && !w.ByPeople(i) {
			out = append(out, fmt.Sprintf("%s and %s both had %.120s", other, at, id))
		}
		living[at], byIdentity[id] = id, at
	}
	return out
}

// String returns the name of a record for messages.
func (p location) String() string {
	if p.list != 0 {
		return fmt.Sprintf("element %d of list %d", p.id, p.list)
	}
	return fmt.Sprintf("item %d of type %d", p.id, p.typ)
}

// upsertKeys returns the fields that identify an item, by type. Type 0 means an unknown
// type.
func (s *fixture) upsertKeys() map[int][][]string {
	out := map[int][][]string{}
	for _, step := range s.managed().outlines {
		m := step.Managed
		if !m.Unique || len(m.Keys) == 0 || m.Open {
			continue
		}
		out[m.EntityTypeID] = append(out[m.EntityTypeID], m.Keys)
	}
	return out
}

// identity returns what only one record may have, "" if nothing must be unique.
func (w *sandbox) identity(ch emulator.Change, keys map[int][][]string, i int) string {
	if ch.IBlockID != 0 {
		if ch.Code == "" {
			return ""
		}
		return fmt.Sprintf("the code %s in list %d", strings.ToLower(ch.Code), ch.IBlockID)
	}
	t := w.Schema.Types[ch.EntityTypeID]
	var values map[string]any
	d := json.NewDecoder(strings.NewReader(string(ch.Values)))
	d.UseNumber()
	if d.Decode(&values) != nil || t == nil {
		return ""
	}
	for _, set := range append(keys[ch.EntityTypeID], keys[0]...) {
		var parts []string
		for _, name := range set {
			if f := t.Find(name); f != nil && !compare.Empty(values[f.Name]) {
				parts = append(parts, f.Name+" "+compare.Text(values[f.Name]))
			}
		}
		if len(parts) == len(set) {
			return strings.Join(parts, ", ") + fmt.Sprintf(" in type %d", ch.EntityTypeID)
		}
	}
	if ch.Op != "add" || w.ByPeople(i) {
		return ""
	}
	for name := range testportal.AutomaticFields {
		delete(values, name)
	}
	content, err := json.Marshal(values)
	if err != nil {
		return ""
	}
	return "the content " + string(content)
}
