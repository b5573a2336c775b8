package history

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/redact"
)

// Record encodes a trace for ReadRecord. The record has at most about limit bytes before
// compression; 0 means DefaultRecordLimit. hide hides secrets; nil hides only the secret
// inputs.
//
// When there is not enough room, Record omits answers first, then parameters,
// arguments and results. Each step and each command stays in the record.
func (t *Trace) Record(limit int, hide *redact.Redactor) json.RawMessage {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := &writer{brief: !t.Failed && t.Writes == 0, left: cmp.Or(limit, DefaultRecordLimit), hide: hide}
	buf := recordBuffers.Get().(*bytes.Buffer)
	defer recordBuffers.Put(buf)
	buf.Reset()
	e := json.NewEncoder(buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(w.record(t)); err != nil {
		// Encoding values of formulas and answers of a portal never fails.
		return encode(Record{Rule: t.Rule, Version: t.Version, Steps: []StepRecord{}, Cut: true})
	}
	return pack(hide.JSON(bytes.TrimSpace(buf.Bytes())))
}

// recordBuffers hold records before they are packed.
var recordBuffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// writer makes a record of a trace.
type writer struct {
	brief bool
	left  int  // bytes for everything that can be omitted
	cut   bool // something is omitted
	hide  *redact.Redactor
}

func (w *writer) record(t *Trace) Record {
	r := Record{
		Rule: t.Rule, File: t.File, Version: t.Version, Outcome: t.Outcome, Calls: t.Calls, Writes: t.Writes, Took: t.Took, DryRun: t.DryRun, Follows: t.Follows, When: t.When,
		Brief: w.brief, Inputs: w.inputs(t), Commands: w.commands(t.first), Steps: make([]StepRecord, len(t.Steps)), More: t.more,
	}
	for i := range t.Steps {
		r.Steps[i] = w.step(&t.Steps[i])
	}
	if !w.brief {
		r.Types = descriptions(w, t.types, customFields)
		r.Lists = descriptions(w, t.lists, propertiesOf)
	}
	r.Cut = w.cut
	return r
}

func (w *writer) inputs(t *Trace) map[string]any {
	if len(t.Inputs) == 0 || w.brief {
		return nil
	}
	shown := maps.Clone(t.Inputs)
	for name := range t.Secrets {
		shown[name] = bitrix.Secret("x").String()
	}
	out, _ := w.value(shown, maxValue).(map[string]any)
	return out
}

func (w *writer) step(s *StepTrace) StepRecord {
	r := StepRecord{
		Step: s.Step, Action: s.Action, Line: s.Line, Skipped: s.Skipped, When: s.When, Error: w.shortened(s.Error, maxError),
		Calls: s.Calls, Writes: s.Writes, Took: s.Took,
	}
	if len(s.Notes) > 0 {
		r.Notes = w.notes(s.Notes)
	}
	if s.step != nil && s.step.ForEach != nil {
		r.Rows = max(s.Rows, 0)
	}
	r.Args = w.args(s)
	if s.Ran && s.Result != nil {
		result := s.Result
		if w.brief {
			result = counted(result)
		}
		r.Result = w.value(result, w.most())
	}
	r.Commands = w.commands(s.commands)
	return r
}

func (w *writer) notes(notes []string) []string {
	list, _ := w.value(notes, maxValue).([]any)
	out := make([]string, len(list))
	for i, n := range list {
		out[i], _ = n.(string)
	}
	return out
}

// counted replaces rows by their number. The step that has read the rows holds
// them.
func counted(v any) any {
	rows, ok := v.([]any)
	if !ok || len(rows) == 0 {
		return v
	}
	if _, ok := rows[0].(map[string]any); !ok {
		return v
	}
	if len(rows) == 1 {
		return "1 row"
	}
	return strconv.Itoa(len(rows)) + " rows"
}

// most is how long one value of a step may be.
func (w *writer) most() int {
	if w.brief {
		return maxValue / 4
	}
	return maxValue
}

func (w *writer) args(s *StepTrace) []ArgsRecord {
	if len(s.args) == 0 || s.step == nil {
		return nil
	}
	out := make([]ArgsRecord, len(s.args))
	for i, a := range s.args {
		values := map[string]any{}
		for _, given := range s.step.Args {
			field := given.Field
			switch {
			case field.Index < 0 || field.Kind == engine.ArgNames: // the result has them
			case field.Kind == engine.ArgRowValue || field.Kind == engine.ArgRowFields:
				if w.brief { // the rule file has the text
					continue
				}
				values[field.Name] = sourceOf(given)
			default:
				values[field.Name] = w.value(counted(a.values.Field(field.Index).Interface()), w.most())
			}
		}
		out[i] = ArgsRecord{Row: max(a.row, 0), Values: values}
	}
	return out
}

// sourceOf is an argument that is computed for each row, as the rule file has it.
func sourceOf(a *engine.Argument) string {
	if a.Value != nil && a.Value.Node != nil && a.Value.Node.Value != "" {
		return a.Value.Node.Value
	}
	if a.Fields == nil {
		return "for each row"
	}
	var parts []string
	for _, e := range a.Fields.Entries {
		if e.Key.Node != nil && e.Value.Node != nil {
			parts = append(parts, e.Key.Node.Value+": "+e.Value.Node.Value)
		}
	}
	return strings.Join(parts, ", ")
}

func (w *writer) commands(cs []Command) []CommandRecord {
	if len(cs) == 0 {
		return nil
	}
	out := make([]CommandRecord, len(cs))
	for i := range cs {
		out[i] = w.command(&cs[i])
	}
	return out
}

func (w *writer) command(c *Command) CommandRecord {
	r := CommandRecord{Method: c.Call.Method, Write: c.Call.Write, Rows: max(c.Listed, 0), Bytes: c.bytes, Batch: c.Batch, Took: c.Took}
	if !w.brief {
		var whole bool
		r.Params, whole = w.params(c.Call.Params)
		r.Cut = c.cut || !whole
		r.Result, whole = w.answer(c)
		r.Cut = r.Cut || !whole
		w.cut = w.cut || r.Cut
	}
	if c.Err != nil {
		r.Code, r.Error = engine.ErrorCode(c.Err), w.shortened(c.Err.Error(), maxError/4)
	}
	return r
}

// params writes the parameters of a command, whole or not at all.
func (w *writer) params(p map[string]any) (text json.RawMessage, whole bool) {
	if len(p) == 0 {
		return nil, true
	}
	text = encode(p)
	if len(text) >= w.left {
		return nil, false
	}
	w.left -= len(text)
	return text, true
}

// answer returns what the portal answered: whole, or of a list the first rows.
func (w *writer) answer(c *Command) (text json.RawMessage, whole bool) {
	if c.Listed < 0 || c.Rows == nil {
		if len(c.Result) == 0 {
			return nil, true
		}
		if len(c.Result) >= w.left {
			return nil, false
		}
		w.left -= len(c.Result)
		return c.Result, true
	}
	n := 0
	for n < len(c.Rows) && len(c.Rows[n]) < w.left {
		w.left -= len(c.Rows[n])
		n++
	}
	if n < len(c.Rows) {
		w.left = 0
	}
	rows := []byte{'['}
	for i, row := range c.Rows[:n] {
		if i > 0 {
			rows = append(rows, ',')
		}
		rows = append(rows, row...)
	}
	return append(rows, ']'), n == len(c.Rows)
}

// maxEnum bounds the options of a field that are kept.
const maxEnum = 30

// descriptions describe the fields of what the run read and wrote.
func descriptions[T any](w *writer, all map[int]T, fields func(T) []FieldRecord) map[string][]FieldRecord {
	out := map[string][]FieldRecord{}
	for _, id := range slices.Sorted(maps.Keys(all)) {
		list := fields(all[id])
		size := sizeOf(list)
		if size > min(w.left, maxFields) {
			w.cut = true
			continue
		}
		out[strconv.Itoa(id)] = list
		w.left -= size
	}
	return out
}

// sizeOf is about how long the descriptions of fields are.
func sizeOf(fields []FieldRecord) int {
	const names = 50 // of the members
	size := 0
	for _, f := range fields {
		size += names + len(f.Name) + len(f.Code) + len(f.Title) + len(f.Type)
		for id, text := range f.Enum {
			size += len(id) + len(text) + 6
		}
	}
	return size
}

// customFields are the custom fields of a CRM type. The fields of every portal
// need no description.
func customFields(f *bitrix.ItemFields) []FieldRecord {
	out := []FieldRecord{}
	for _, name := range f.Names() {
		x, _ := f.Lookup(name)
		if x.Dynamic {
			out = append(out, FieldRecord{Name: name, Code: x.UpperName, Title: x.Title, Type: x.Type, Multiple: x.Multiple, Enum: fewOptions(x.Enum)})
		}
	}
	return out
}

// propertiesOf are the properties of a list.
func propertiesOf(f *bitrix.ListFields) []FieldRecord {
	out := []FieldRecord{}
	for _, x := range f.All() {
		if x.IsProperty() {
			out = append(out, FieldRecord{Name: x.ID, Code: x.Code, Title: x.Name, Type: x.Type, Multiple: x.Multiple, Enum: fewOptions(x.Enum)})
		}
	}
	return out
}

func fewOptions(enum map[string]string) map[string]string {
	if len(enum) > maxEnum {
		return nil
	}
	return enum
}
