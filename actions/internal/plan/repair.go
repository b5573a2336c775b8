package plan

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
)

// maxRepairs is how often a step puts back what people wrote into one element while
// the step writes it.
const maxRepairs = 5

// overwritten is an update that has overwritten what a person wrote into an element.
type overwritten struct {
	update write
	// found is the element as it was directly before the update.
	found *Record
	// fields are the names of the fields that the person wrote.
	fields []string
}

// compare finds what a person wrote into an element after it was read for an update
// and before the update. The update contains the values that were read, so it has
// overwritten those of the person. answer is that to readBefore.
func (x *ElementTarget) compare(w write, answer bitrix.Answer) {
	raw, err := bitrix.DecodeRows("lists.element.get", answer, "")
	if err != nil {
		x.unseen++
		return
	}
	rows, err := x.list.Schema.DecodeElements(raw)
	if err != nil || len(rows) != 1 || rows[0].ID != w.record.ID {
		x.unseen++
		return
	}
	found := rows[0]
	before := w.record.Values
	if w.record.stored != nil {
		before = w.record.stored
	}
	if fields := x.list.Schema.changedByPeople(before, found.Values, *w.desired); len(fields) > 0 {
		x.overwritten = append(x.overwritten, overwritten{w, found, fields})
	}
}

// changedByPeople returns the names of the preserved fields whose values differ.
func (s *ListSchema) changedByPeople(before, after map[string]any, d Desired) []string {
	var out []string
	names := maps.Clone(after)
	maps.Copy(names, before)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if !s.preserves(name) || d.names(name) {
			continue
		}
		if !s.column(name).Same(before[name], after[name]) {
			out = append(out, name)
		}
	}
	return out
}

// repair puts back what people wrote into elements between the read and the update.
// People may write again in the meantime, so a repair is an update like any other:
// the element is read directly before it.
func (x *ElementTarget) repair(ctx context.Context, c *engine.Call, failed *Failures) {
	for range maxRepairs {
		lost := x.overwritten
		if x.overwritten = nil; len(lost) == 0 {
			break
		}
		var writes []write
		for _, o := range lost {
			c.Note("%s: a person wrote %s while the step ran; the step puts the values back", o.found, strings.Join(x.labels(o.fields), ", "))
			writes = append(writes, write{record: o.merged(), desired: o.update.desired})
		}
		var repaired Tally // these updates belong to others
		for _, u := range send(ctx, c, &immediate{x, true}, writes, &repaired) {
			c.Log.Warn("cannot put back what a person wrote into an element", "list", x.list.id, "element", u.record.ID, "fields", x.labels(slices.Sorted(maps.Keys(u.record.back))))
			failed.Add(elementError(u))
		}
	}
}

// reportRepairs says what could not be put back or compared.
func (x *ElementTarget) reportRepairs(c *engine.Call) {
	for _, o := range x.overwritten {
		c.Log.Warn("people write into an element faster than it can be updated", "list", x.list.id, "element", o.found.ID, "fields", x.labels(o.fields))
	}
	if x.unseen > 0 {
		c.Note("%d elements could not be read directly before their update", x.unseen)
	}
}

// merged is the element as the update left it, with what the person wrote.
func (o overwritten) merged() *Record {
	sent := o.update.record
	r := &Record{
		ID: sent.ID, Code: o.update.desired.Key, Values: maps.Clone(sent.Values), valueIDs: sent.valueIDs,
		stored: sent.Values, back: maps.Clone(sent.back),
	}
	if r.back == nil {
		r.back = map[string]bool{}
	}
	for _, name := range o.fields {
		r.Values[name], r.back[name] = o.found.Values[name], true
	}
	return r
}

// labels are the names of fields for messages.
func (x *ElementTarget) labels(names []string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = x.list.Schema.column(name).Label()
	}
	return out
}
