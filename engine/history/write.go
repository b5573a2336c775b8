package history

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
)

// Record writes a trace down for the history: what ReadRecord reads, of at most
// about limit bytes before compression (0 means DefaultRecordLimit). hide takes
// the secrets out; nil takes out none but the secret inputs.
//
// Answers go first when there is not enough room, then parameters, arguments
// and results; that each step and command was there is always told.
func (t *Trace) Record(limit int, hide *bitrix.Hider) json.RawMessage {
	t.mu.Lock()
	defer t.mu.Unlock()
	limit = cmp.Or(limit, DefaultRecordLimit)
	buf := recordBuffers.Get().(*[]byte)
	defer recordBuffers.Put(buf)
	w := &recordWriter{buf: (*buf)[:0], brief: !t.Failed && t.Writes == 0, left: limit}
	w.trace(t)
	*buf = w.buf
	return pack(hide.JSON(w.buf))
}

// recordBuffers are what records are written in before they are packed.
var recordBuffers = sync.Pool{New: func() any { return new([]byte) }}

// recordWriter writes JSON by hand: a record is written for every run, and most
// of it is the portal's own text.
type recordWriter struct {
	buf   []byte
	brief bool
	left  int  // bytes for everything that can be left out
	cut   bool // something was
	first bool // no member of the open object yet
}

func (w *recordWriter) open()  { w.buf, w.first = append(w.buf, '{'), true }
func (w *recordWriter) close() { w.buf, w.first = append(w.buf, '}'), false }

func (w *recordWriter) key(name string) {
	if !w.first {
		w.buf = append(w.buf, ',')
	}
	w.first = false
	w.buf = append(append(append(w.buf, '"'), name...), `":`...)
}

func (w *recordWriter) text(name, value string) {
	if value != "" {
		w.key(name)
		w.buf = appendText(w.buf, value)
	}
}

func (w *recordWriter) number(name string, n int) {
	if n != 0 {
		w.key(name)
		w.buf = strconv.AppendInt(w.buf, int64(n), 10)
	}
}

func (w *recordWriter) took(d time.Duration) {
	w.key("took")
	w.buf = strconv.AppendInt(w.buf, int64(d), 10)
}

func (w *recordWriter) flag(name string, yes bool) {
	if yes {
		w.key(name)
		w.buf = append(w.buf, "true"...)
	}
}

func (w *recordWriter) trace(t *Trace) {
	w.open()
	w.key("rule")
	w.buf = appendText(w.buf, t.Rule)
	w.text("file", t.File)
	w.key("version")
	w.buf = appendText(w.buf, t.Version)
	w.text("outcome", string(t.Outcome))
	w.key("calls")
	w.buf = strconv.AppendInt(w.buf, int64(t.Calls), 10)
	w.key("writes")
	w.buf = strconv.AppendInt(w.buf, int64(t.Writes), 10)
	w.took(t.Took)
	w.flag("brief", w.brief)
	w.inputs(t)
	w.commands(t.first)
	w.key("steps")
	w.buf = append(w.buf, '[')
	for i := range t.Steps {
		if i > 0 {
			w.buf = append(w.buf, ',')
		}
		w.step(&t.Steps[i])
	}
	w.buf, w.first = append(w.buf, ']'), false
	w.number("more", t.more)
	if !w.brief {
		w.fields(t)
	}
	w.flag("cut", w.cut)
	w.close()
}

func (w *recordWriter) inputs(t *Trace) {
	if len(t.Inputs) == 0 {
		return
	}
	shown := t.Inputs
	if len(t.Secrets) > 0 {
		shown = maps.Clone(shown)
		for name := range t.Secrets {
			shown[name] = bitrix.Secret("x").String()
		}
	}
	w.key("inputs")
	w.value(shown, maxValue)
}

func (w *recordWriter) step(s *StepTrace) {
	w.open()
	w.key("step")
	w.buf = appendText(w.buf, s.Step)
	w.text("action", s.Action)
	w.number("line", s.Line)
	w.text("skipped", s.Skipped)
	w.text("error", shortened(s.Error, maxError))
	w.number("calls", s.Calls)
	w.number("writes", s.Writes)
	w.took(s.Took)
	if len(s.Notes) > 0 {
		w.key("notes")
		w.value(s.Notes, maxValue)
	}
	if s.Rows >= 0 && s.step != nil && s.step.ForEach != nil {
		w.number("rows", s.Rows)
	}
	w.args(s)
	if s.Ran && s.Result != nil {
		w.key("result")
		if w.brief {
			w.value(counted(s.Result), w.most())
		} else {
			w.value(s.Result, w.most())
		}
	}
	w.commands(s.commands)
	w.close()
}

// counted is how many rows there are in place of rows: what they hold stands
// with the step that has read them.
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
func (w *recordWriter) most() int {
	if w.brief {
		return maxValue / 4
	}
	return maxValue
}

func (w *recordWriter) args(s *StepTrace) {
	if len(s.args) == 0 || s.step == nil {
		return
	}
	w.key("args")
	w.buf = append(w.buf, '[')
	for i, a := range s.args {
		if i > 0 {
			w.buf = append(w.buf, ',')
		}
		w.open()
		w.number("row", max(a.row, 0))
		w.key("values")
		w.open()
		for _, given := range s.step.Args {
			field := given.Field
			if field.Index < 0 || field.Kind == engine.ArgNames {
				continue // the result has them
			}
			w.key(field.Name)
			switch field.Kind {
			case engine.ArgRowValue, engine.ArgRowFields:
				w.buf = appendText(w.buf, sourceOf(given))
			default:
				w.value(counted(a.values.Field(field.Index).Interface()), w.most())
			}
		}
		w.close()
		w.close()
	}
	w.buf, w.first = append(w.buf, ']'), false
}

// sourceOf is a per-row argument as the rule file has it.
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

func (w *recordWriter) commands(cs []Command) {
	if len(cs) == 0 {
		return
	}
	w.key("commands")
	w.buf = append(w.buf, '[')
	for i := range cs {
		if i > 0 {
			w.buf = append(w.buf, ',')
		}
		w.command(&cs[i])
	}
	w.buf, w.first = append(w.buf, ']'), false
}

func (w *recordWriter) command(c *Command) {
	w.open()
	w.key("method")
	w.buf = appendText(w.buf, c.Call.Method)
	w.flag("write", c.Call.Write)
	cut := c.cut
	if !w.brief {
		cut = !w.params(c.Call.Params) || cut
		cut = !w.answer(c) || cut
		w.flag("cut", cut)
		w.cut = w.cut || cut
	}
	if c.Listed > 0 {
		w.number("rows", c.Listed)
	}
	w.number("bytes", c.bytes)
	w.number("batch", c.Batch)
	if c.Err != nil {
		w.text("code", engine.ErrorCode(c.Err))
		w.text("error", shortened(c.Err.Error(), maxError/4))
	}
	w.took(c.Took)
	w.close()
}

// params writes the parameters of a command, whole or not at all.
func (w *recordWriter) params(p map[string]any) bool {
	if len(p) == 0 {
		return true
	}
	before, left, cut := len(w.buf), w.left, w.cut
	w.key("params")
	room := w.left
	if !w.whole(p, &room) {
		w.buf, w.left, w.cut, w.first = w.buf[:before], left, cut, false
		return false
	}
	w.left = room
	return true
}

// answer writes what the portal answered: whole, or of a list the first rows.
func (w *recordWriter) answer(c *Command) bool {
	if c.Listed >= 0 && c.Rows != nil {
		w.key("result")
		w.buf = append(w.buf, '[')
		for i, r := range c.Rows {
			if len(r) >= w.left {
				w.buf, w.left = append(w.buf, ']'), 0
				return false
			}
			if i > 0 {
				w.buf = append(w.buf, ',')
			}
			w.buf, w.left = append(w.buf, r...), w.left-len(r)
		}
		w.buf = append(w.buf, ']')
		return !c.cut
	}
	if len(c.Result) == 0 {
		return !c.cut
	}
	if len(c.Result) >= w.left {
		return false
	}
	w.key("result")
	w.buf, w.left = append(w.buf, c.Result...), w.left-len(c.Result)
	return true
}

// maxEnum bounds the options of a field that are kept.
const maxEnum = 30

// fields describes what the run read and wrote.
func (w *recordWriter) fields(t *Trace) {
	describeAll(w, "types", t.types, customFields)
	describeAll(w, "lists", t.lists, propertiesOf)
}

func describeAll[T any](w *recordWriter, name string, all map[int]T, fields func(T) []FieldRecord) {
	if len(all) == 0 {
		return
	}
	w.key(name)
	w.open()
	for _, id := range slices.Sorted(maps.Keys(all)) {
		w.description(id, fields(all[id]))
	}
	w.close()
}

func (w *recordWriter) description(id int, fields []FieldRecord) {
	text := encode(fields)
	if len(text) > min(w.left, maxFields) {
		w.cut = true
		return
	}
	w.key(strconv.Itoa(id))
	w.buf, w.left = append(w.buf, text...), w.left-len(text)
}

// customFields are the custom fields of a CRM type: those that every portal has
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
