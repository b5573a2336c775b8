package ruletest

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
	"github.com/b24rules/b24rules/schemas"
)

// layout is a test file as it is written.
type content struct {
	Version string  `yaml:"version" doc:"1; may be left out"`
	Rules   names   `yaml:"rules" doc:"the rule file under test, or a list of them, seen from this file; the file of the same name without _test when it is not given" example:"deal-shipments.yaml"`
	Inputs  inputs  `yaml:"inputs" doc:"values for the inputs of the rule files" example:"{list: 47}"`
	Portal  setup   `yaml:"portal" doc:"what people have set up in the portal: demo, or its types and lists" example:"demo"`
	Tests   []*test `yaml:"tests" validate:"required" doc:"the tests, at least one"`
}

// test is one entry of tests.
type test struct {
	Name       name     `yaml:"name" validate:"required" doc:"what must be so; --run chooses by it" example:"a won deal gets an element for each row"`
	Inputs     inputs   `yaml:"inputs" doc:"values for inputs in this test alone"`
	Given      data     `yaml:"given" doc:"what the portal holds before the event"`
	Scenario   scenario `yaml:",inline"`
	Then       []then   `yaml:"then" doc:"what happens next: changes, an event, and what must follow"`
	SkipProofs skips    `yaml:"skip_proofs" doc:"proofs that do not hold for this rule, each with its reason" example:"{shuffled: the first row is the main product}"`
}

// then is what happens after the test's first event.
type then struct {
	Change   data     `yaml:"change" doc:"what people change before the event; null deletes"`
	Scenario scenario `yaml:",inline"`
}

// scene is an event and what must follow.
type scenario struct {
	Event   *event            `yaml:"event" validate:"required" doc:"the event that comes: its code and id, with the type before the id for items of smart processes and smart invoices (31)" example:"ONCRMDEALUPDATE 759"`
	Answers map[string]value  `yaml:"answers" doc:"what the portal answers to methods that the emulator does not have" example:"{crm.activity.add: 77}"`
	Refuse  map[string]string `yaml:"refuse" doc:"the codes that the portal refuses methods with" example:"{crm.activity.add: ACCESS_DENIED}"`
	Calls   *calls            `yaml:"calls" doc:"the writing REST calls that must follow, in order; [] is none" example:"[{crm.item.update: {id: 759}}]"`
	Expect  *expectation      `yaml:"expect" doc:"what the portal must hold then"`
	Outcome *outcome          `yaml:"outcome" doc:"how the run must end: one word, or a word for each rule" example:"deleted"`
	Error   *name             `yaml:"error" doc:"text that the error of a failed run must hold"`
}

// act is a scene with the people's changes before it.
type phase struct {
	change   *data
	scenario *scenario
}

// acts are the scenes of a test in their order.
func (t *test) phases() []phase {
	out := []phase{{&t.Given, &t.Scenario}}
	for i := range t.Then {
		out = append(out, phase{&t.Then[i].Change, &t.Then[i].Scenario})
	}
	return out
}

// name is text with its place.
type name struct {
	text string
	pos  diag.Pos
}

// UnmarshalNode reads the text.
func (v *name) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	v.pos = f.Pos(n)
	list := yamlfile.Decode(f, n, &v.text)
	if !list.HasErrors() && v.text == "" {
		list.Errorf(v.pos, "invalid-value", "want text that is not empty")
	}
	return list
}

// names are one name or a list of them.
type names []name

// UnmarshalNode reads one name or a list.
func (v *names) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	if r := yamlfile.Resolve(n); r != nil && r.Kind == yaml.SequenceNode {
		var several []name
		list := yamlfile.Decode(f, n, &several)
		*v = several
		return list
	}
	var one name
	list := yamlfile.Decode(f, n, &one)
	*v = names{one}
	return list
}

// value is any value: nil, bool, string, json.Number, []any, map[string]any.
type value struct{ value any }

// UnmarshalNode reads the value.
func (v *value) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	return yamlfile.Decode(f, n, &v.value)
}

// inputs are named texts: the values of a rule set's inputs.
type inputs []field

// UnmarshalNode reads a mapping of scalars.
func (v *inputs) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	m, list := f.Mapping(n)
	for _, e := range m.Entries {
		var text string
		list.Add(yamlfile.Decode(f, e.Value, &text)...)
		*v = append(*v, field{name: e.Name, value: text, pos: f.Pos(e.Key), valuePos: f.Pos(e.Value)})
	}
	return list
}

// skips are the proofs that a test does not want, with the reasons.
type skips []field

// UnmarshalNode reads a mapping of proofs to reasons.
func (v *skips) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	return (*inputs)(v).UnmarshalNode(f, n)
}

// event is an event of the portal.
type event struct {
	code   string
	id     string
	typeID int
	data   map[string]any
	time   time.Time
	pos    diag.Pos
	kind   schemas.Event
	label  string // as it is written in messages
}

// eventForm is the long form of an event.
type eventForm struct {
	Code         string         `yaml:"code" validate:"required" doc:"the event's code" example:"ONCRMDEALUPDATE"`
	ID           string         `yaml:"id" doc:"the id of what the event is about" example:"759"`
	EntityTypeID int            `yaml:"entityTypeId" validate:"omitempty,min=1" doc:"the type of an item of a smart process, 31 of a smart invoice"`
	Data         map[string]any `yaml:"data" doc:"more of the event's data" example:"{FIELDS: {CATEGORY_ID: 3}}"`
	Time         string         `yaml:"time" doc:"when it is sent" example:"'2026-01-02T12:00:00+03:00'"`
}

// shortEvent is "ONCRMDEALUPDATE 759" or "ONCRMDYNAMICITEMUPDATE 31:7".
var shortEvent = regexp.MustCompile(`^(\S+)(?:\s+(?:(\d+):)?([^\s:]+))?$`)

// defaultTime is when events are sent whose time does not matter, so that a
// test is the same on every day.
var defaultTime = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// UnmarshalNode reads the short form, text, or the long one.
func (e *event) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	var list diag.List
	var form eventForm
	e.pos = f.Pos(n)
	if r := yamlfile.Resolve(n); r != nil && r.Kind == yaml.ScalarNode {
		m := shortEvent.FindStringSubmatch(r.Value)
		if m == nil {
			list.Errorf(e.pos, "invalid-value", "want an event's code and what it is about, this is %q", r.Value).Hint = "such as ONCRMDEALUPDATE 759 or ONCRMDYNAMICITEMUPDATE 31:7"
			return list
		}
		form.Code, form.ID = m[1], m[3]
		_, _ = fmt.Sscan(m[2], &form.EntityTypeID) // empty without a type
	} else if list = yamlfile.Decode(f, n, &form); list.HasErrors() {
		return list
	}
	list.Add(e.read(form)...)
	return list
}

func (e *event) read(form eventForm) (list diag.List) {
	e.code, e.id, e.typeID, e.data, e.time = strings.ToUpper(form.Code), form.ID, form.EntityTypeID, form.Data, defaultTime
	known, suffix, ok := schemas.LookupEvent(form.Code)
	if !ok {
		var codes []string
		for _, k := range schemas.Events() {
			codes = append(codes, k.Code)
		}
		finding := list.Errorf(e.pos, "unknown-event", "unknown event %q", form.Code)
		if near := diag.Closest(e.code, codes); near != "" {
			finding.Hint = "did you mean " + near + "?"
		}
		return list
	}
	e.kind = known
	if suffix != 0 {
		e.typeID = suffix
	}
	if form.Time != "" {
		t, err := time.Parse(time.RFC3339, form.Time)
		if err != nil {
			list.Errorf(e.pos, "invalid-value", "the event's time %q is not written like 2026-01-02T12:00:00+03:00", form.Time)
		}
		e.time = t
	}
	switch {
	case e.id == "" && form.Data == nil:
		list.Errorf(e.pos, "missing-key", "the event %s has no id", e.code).Hint = "event: " + e.code + " 759"
	case known.Entity == "item" && e.typeID == 0:
		list.Errorf(e.pos, "missing-key", "the event %s is about an item of which type?", e.code).Hint = "event: " + e.code + " 31:" + e.id
	}
	e.label = e.code + " " + e.id
	if known.Entity == "item" && suffix == 0 {
		e.label = fmt.Sprintf("%s %d:%s", e.code, e.typeID, e.id)
	}
	return list
}

// with returns the event of another operation on the same entity, with the
// code for it that the portal would send.
func (e *event) withOperation(op string) (*event, bool) {
	if e.kind.Op == "" {
		return nil, false
	}
	i := strings.LastIndex(e.code, strings.ToUpper(e.kind.Op))
	if i < 0 {
		return nil, false
	}
	code := e.code[:i] + strings.ToUpper(op) + e.code[i+len(e.kind.Op):]
	other := *e
	if list := other.read(eventForm{Code: code, ID: e.id, EntityTypeID: e.typeID}); list.HasErrors() {
		return nil, false
	}
	other.time = e.time
	return &other, true
}

// engineEvent is the event as rules see it: all values are text, as they come
// in a form.
func (e *event) engineEvent() engine.Event {
	fields := map[string]any{}
	if e.id != "" {
		fields["ID"] = e.id
	}
	if e.kind.Entity == "item" {
		fields["ENTITY_TYPE_ID"] = fmt.Sprint(e.typeID)
	}
	data := map[string]any{"FIELDS": fields}
	if len(e.kind.IDs) > 0 && e.kind.IDs[0] != "FIELDS.ID" && e.id != "" {
		delete(fields, "ID")
		group, name, nested := strings.Cut(e.kind.IDs[0], ".")
		switch inner, _ := data[group].(map[string]any); {
		case inner != nil:
			inner[name] = e.id
		case nested:
			data[group] = map[string]any{name: e.id}
		default:
			data[group] = e.id
		}
	}
	for k, v := range e.data {
		if more, ok := asText(v).(map[string]any); ok && k == "FIELDS" {
			for name, x := range more {
				fields[name] = x
			}
			continue
		}
		data[k] = asText(v)
	}
	return engine.Event{Code: e.code, Data: data, Time: e.time}
}

func asText(v any) any {
	switch x := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, e := range x {
			out[k] = asText(e)
		}
		return out
	case []any:
		out := make([]any, len(x))
		for i, e := range x {
			out[i] = asText(e)
		}
		return out
	case nil:
		return ""
	case bool:
		if x {
			return "1"
		}
		return "0"
	}
	return fmt.Sprint(v)
}

// outcomes are the words for how a run ends.
var outcomes = []string{"done", "skipped", "stopped", "deleted", "gone", "parked", "failed", "postponed", "none"}

// outcome is one word for every rule, or a word for each.
type outcome struct {
	word   string
	byRule map[string]string
	pos    diag.Pos
}

// UnmarshalNode reads a word, or a mapping of rules to words.
func (o *outcome) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	o.pos = f.Pos(n)
	if r := yamlfile.Resolve(n); r == nil || r.Kind != yaml.MappingNode {
		list := yamlfile.Decode(f, n, &o.word)
		if !list.HasErrors() {
			checkWord(&list, o.pos, "outcome", o.word, outcomes)
		}
		return list
	}
	m, list := f.Mapping(n)
	o.byRule = map[string]string{}
	for _, e := range m.Entries {
		var word string
		list.Add(yamlfile.Decode(f, e.Value, &word)...)
		checkWord(&list, f.Pos(e.Value), "outcome", word, outcomes)
		o.byRule[e.Name] = word
	}
	return list
}

func checkWord(list *diag.List, pos diag.Pos, what, word string, words []string) {
	if slices.Contains(words, word) {
		return
	}
	finding := list.Errorf(pos, "invalid-value", "unknown %s %q", what, word)
	finding.Hint = hint(word, words)
}

// calls are the expected writing calls, in their order.
type calls struct {
	list []call
	pos  diag.Pos
}

type call struct {
	method string
	params map[string]any
}

// UnmarshalNode reads a list of {method: parameters}.
func (c *calls) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	c.pos = f.Pos(n)
	var nodes []*yaml.Node
	list := yamlfile.Decode(f, n, &nodes)
	for _, n := range nodes {
		m, more := f.Mapping(n)
		list.Add(more...)
		if more.HasErrors() {
			continue
		}
		if len(m.Entries) != 1 {
			list.Errorf(f.Pos(n), "wrong-type", "a call is one method with its parameters").Hint = "- crm.item.update: {entityTypeId: 31, id: 7}"
			continue
		}
		w := call{method: m.Entries[0].Name}
		list.Add(yamlfile.Decode(f, m.Entries[0].Value, &w.params)...)
		c.list = append(c.list, w)
	}
	return list
}

// isTestFile tells test files from rule files.
func isTestFile(path string) bool {
	ext := filepath.Ext(path)
	return (ext == ".yaml" || ext == ".yml") && strings.HasSuffix(strings.TrimSuffix(path, ext), "_test")
}

// ruleFileOf is the rule file that a test file is named after.
func ruleFileOf(path string) string {
	ext := filepath.Ext(path)
	return strings.TrimSuffix(strings.TrimSuffix(path, ext), "_test") + ext
}
