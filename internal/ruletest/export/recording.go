package export

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/internal/ruletest/compare"
	"github.com/b24rules/b24rules/internal/ruletest/testportal"
	"github.com/b24rules/b24rules/schemas"
)

// recording holds the data that a run has read and its writes.
type recording struct {
	run      Run
	ruleText string
	warnings []string
	// incomplete is true if something is missing, so that calls cannot be compared.
	incomplete bool

	items    map[int]map[int64]*recordedItem
	elements map[int][]recordedElement
	answers  map[string]any
	refuse   map[string]string
	answered map[string]bool // methods that the portal did not refuse
	added    map[string]bool // elements that the run has added
	writes   []bitrix.Call
	lists    map[int]bool // lists in the record
}

type recordedItem struct {
	fields  map[string]any
	rows    []map[string]any
	hasRows bool
}

type recordedElement struct {
	id     int64
	code   string
	values map[string]any // by label
}

func newRecording(r Run, ruleText string) *recording {
	return &recording{
		run: r, ruleText: ruleText, items: map[int]map[int64]*recordedItem{}, elements: map[int][]recordedElement{},
		answers: map[string]any{}, refuse: map[string]string{}, answered: map[string]bool{}, added: map[string]bool{}, lists: map[int]bool{},
	}
}

func (w *recording) warn(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(w.warnings, text) {
		w.warnings = append(w.warnings, text)
	}
}

// read reads the commands of the record.
func (w *recording) read() {
	r := w.run.Record
	if r.More > 0 {
		w.incomplete = true
		w.warn("the record has only the first commands, %d more are missing", r.More)
	}
	w.commands(r.Commands, "")
	for _, s := range r.Steps {
		w.commands(s.Commands, s.Action)
	}
	for method := range w.refuse {
		if w.answered[method] {
			delete(w.refuse, method)
			w.incomplete = true
			w.warn("%s was refused in one call and accepted in another, which a test cannot express", method)
		}
	}
	if w.run.Parked != "" && len(w.refuse) == 0 && w.incomplete {
		w.warn("the run failed for a reason that a test cannot repeat")
	}
}

func (w *recording) commands(list []history.CommandRecord, action string) {
	for _, c := range list {
		if c.Cut {
			w.incomplete = true
			w.warn("the record was cut, %s is not complete", c.Method)
		}
		w.command(c, action)
	}
}

// emulatorErrors are errors that the emulator returns too.
var emulatorErrors = []string{bitrix.CodeNotFound, "ERROR_ELEMENT_ALREADY_EXISTS", "ERROR_ELEMENT_NOT_FOUND", "OWNER_NOT_FOUND"}

// transientErrors are errors that do not depend on the call. A repeated call can succeed.
var transientErrors = []string{
	bitrix.CodeNetwork, bitrix.CodeBadAnswer, bitrix.CodeQueryLimit, bitrix.CodeOperationLimit, bitrix.CodeOverload, bitrix.CodeMoved, "INTERNAL_SERVER_ERROR", "error",
}

func (w *recording) command(c history.CommandRecord, action string) {
	params := compare.Object(decoded(c.Params))
	method := strings.ToLower(c.Method)
	call := action == "call"
	if c.Method == action { // a request to another system has the name of its action
		delete(compare.Object(params["headers"]), engine.KeyHeader) // it differs in every run
		call = true
	}
	if c.Write {
		w.writes = append(w.writes, bitrix.Call{Method: c.Method, Params: params, Write: true})
	}
	if c.Error != "" {
		w.failure(c, method)
		return
	}
	result := decoded(c.Result)
	w.answered[c.Method] = true
	switch {
	case method == "crm.item.productrow.list":
		w.productRows(params, result)
	case method == "crm.item.get" || method == "crm.item.list":
		w.readItems(params, result)
	case method == "lists.element.get":
		w.readElements(params, result)
	case method == "lists.element.add":
		w.lists[intOf(params["IBLOCK_ID"])] = true
		w.added[compare.Text(result)] = true
	case strings.HasPrefix(method, "lists.element."):
		w.lists[intOf(params["IBLOCK_ID"])] = true
	case strings.HasPrefix(method, "crm.item."):
	case call:
		if before, ok := w.answers[c.Method]; ok && !compare.Equal(before, withoutNull(result), true) {
			w.incomplete = true
			w.warn("%s was called several times with different answers; the test always returns the first one", c.Method)
			return
		}
		w.answers[c.Method] = withoutNull(result)
	}
}

// withoutNull removes null values.
func withoutNull(v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	out := map[string]any{}
	for name, x := range m {
		if x != nil {
			out[name] = withoutNull(x)
		}
	}
	return out
}

// failure records a failed command as a refusal.
func (w *recording) failure(c history.CommandRecord, method string) {
	switch {
	case method == "crm.item.get" && c.Code == "" || slices.Contains(emulatorErrors, strings.ToUpper(c.Code)):
	case slices.Contains(transientErrors, c.Code):
		w.incomplete = true
		w.warn("%s failed on the way to the portal; the test omits this", c.Method)
	default:
		w.refuse[c.Method] = c.Code
	}
}

func decoded(raw json.RawMessage) any {
	if len(raw) == 0 {
		return nil
	}
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return nil
	}
	return v
}

func intOf(v any) int {
	n, err := strconv.Atoi(compare.Text(v))
	if err != nil {
		return 0
	}
	return n
}

// item returns the item of a type and creates it if necessary. nil means that tests do not
// support the type.
func (w *recording) item(typ int, id int64) *recordedItem {
	if typ < schemas.FirstDynamicType && testportal.BuiltinKeys[typ] == "" {
		w.incomplete = true
		w.warn("tests do not support items of type %d; the data that the run read of them is omitted", typ)
		return nil
	}
	if w.items[typ] == nil {
		w.items[typ] = map[int64]*recordedItem{}
	}
	x := w.items[typ][id]
	if x == nil {
		x = &recordedItem{fields: map[string]any{}}
		w.items[typ][id] = x
	}
	return x
}

// rowsFields are always exported; other fields of a product row if the rule names them.
var rowsFields = []string{"productId", "productName", "price", "quantity"}

func (w *recording) productRows(params map[string]any, result any) {
	filter := compare.Object(params["filter"])
	short, owner := compare.Text(filter["=ownerType"]), int64(intOf(filter["=ownerId"]))
	typ := typeOfShort(short)
	if m := compare.Object(result); m != nil {
		result = m["productRows"]
	}
	rows := compare.Array(result)
	if len(rows) == 0 {
		// Either the owner has no rows or it does not exist. Other commands show which.
		if x := w.items[typ][owner]; x != nil {
			x.rows, x.hasRows = nil, true
		}
		return
	}
	x := w.item(typ, owner)
	if x == nil {
		return
	}
	x.rows, x.hasRows = nil, true
	var sorted []map[string]any
	for _, r := range rows {
		sorted = append(sorted, compare.Object(r))
	}
	slices.SortStableFunc(sorted, func(a, b map[string]any) int {
		if d := intOf(a["sort"]) - intOf(b["sort"]); d != 0 {
			return d
		}
		return intOf(a["id"]) - intOf(b["id"])
	})
	for _, r := range sorted {
		kept := map[string]any{}
		for name, v := range r {
			switch {
			case name == "id" || name == "ownerId" || name == "ownerType" || compare.Empty(v):
			case name == "productId" && compare.Text(v) == "0":
			case slices.Contains(rowsFields, name) || slices.Contains(testportal.WritableRows[:], name) && w.named(name):
				kept[name] = v
			}
		}
		x.rows = append(x.rows, kept)
	}
}

func typeOfShort(short string) int {
	for _, o := range schemas.Owners() {
		if strings.EqualFold(o.Short, short) {
			return o.ID
		}
	}
	if hex, ok := strings.CutPrefix(strings.ToUpper(short), "T"); ok {
		if n, err := strconv.ParseInt(hex, 16, 32); err == nil {
			return int(n)
		}
	}
	return 0
}

func (w *recording) readItems(params map[string]any, result any) {
	typ := intOf(params["entityTypeId"])
	rows := compare.Array(compare.Object(result)["items"])
	whole := compare.Object(compare.Object(result)["item"])
	if whole != nil {
		rows = []any{any(whole)}
	}
	for _, r := range rows {
		m := compare.Object(r)
		x := w.item(typ, int64(intOf(m["id"])))
		if x == nil {
			return
		}
		for name, v := range m {
			if _, seen := x.fields[name]; seen || testportal.AutomaticFields[name] || compare.Empty(v) {
				continue
			}
			if whole != nil && name != "title" && !w.named(name) {
				continue // an item has dozens of fields, and the rule reads only a few
			}
			x.fields[name] = w.fieldText(strconv.Itoa(typ), w.run.Record.Types, name, v)
		}
	}
}

// named reports whether the rule file or its inputs name a field.
func (w *recording) named(name string) bool {
	if strings.Contains(w.ruleText, name) || strings.Contains(w.ruleText, testportal.StoredName(name)) {
		return true
	}
	for _, v := range w.run.Record.Inputs {
		if compare.Text(v) == name || compare.Text(v) == testportal.StoredName(name) {
			return true
		}
	}
	return false
}

// fieldText returns a field's value in the form of tests: list options as text.
func (w *recording) fieldText(of string, described map[string][]history.FieldRecord, name string, v any) any {
	i := slices.IndexFunc(described[of], func(f history.FieldRecord) bool { return f.Name == name })
	if i < 0 {
		return v
	}
	options := described[of][i].Enum
	if several, ok := v.([]any); ok {
		out := make([]any, len(several))
		for j, x := range several {
			out[j] = optionOf(options, x)
		}
		return out
	}
	return optionOf(options, v)
}

func optionOf(options map[string]string, v any) any {
	if t, ok := options[compare.Text(v)]; ok {
		return t
	}
	return v
}

// outcome returns the expected outcome and a part of the expected error.
func (w *recording) outcome() (word, errorText string) {
	switch {
	case w.run.Parked == "":
		return string(w.run.Record.Outcome), ""
	case w.incomplete && len(w.refuse) == 0:
		return "", ""
	}
	last := w.run.Record.Steps
	if n := len(last); n > 0 && len(w.refuse) == 0 {
		// The rest of the text can contain data of the portal.
		errorText, _, _ = strings.Cut(last[n-1].Error, `"`)
		errorText = strings.TrimSpace(errorText)
	}
	return "parked", errorText
}

func (w *recording) eachItem(do func(typ int, x *recordedItem)) {
	for _, typ := range slices.Sorted(maps.Keys(w.items)) {
		for _, id := range slices.Sorted(maps.Keys(w.items[typ])) {
			do(typ, w.items[typ][id])
		}
	}
}
