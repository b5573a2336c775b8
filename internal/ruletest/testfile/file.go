package testfile

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/ruletest/testportal"
	"github.com/b24rules/b24rules/internal/yamlfile"
	"github.com/b24rules/b24rules/schemas"
)

// content is a decoded test file.
type content struct {
	Version string           `yaml:"version" doc:"1; optional"`
	Rules   names            `yaml:"rules" doc:"the rule file under test, or a list of rule files, relative to this file; by default the file with the same name without _test" example:"deal-shipments.yaml"`
	Inputs  inputs           `yaml:"inputs" doc:"values for the inputs of the rule files" example:"{list: 47}"`
	Portal  testportal.Setup `yaml:"portal" doc:"the settings of the portal: demo, or its types and lists" example:"demo"`
	Tests   []*Test          `yaml:"tests" validate:"required" doc:"the tests, at least one"`
}

// Test is one test of a file.
type Test struct {
	Name       name            `yaml:"name" validate:"required" doc:"the expected behaviour in words; --run selects tests by name" example:"a won deal gets an element for each row"`
	Inputs     inputs          `yaml:"inputs" doc:"values for inputs, only in this test"`
	Given      testportal.Data `yaml:"given" doc:"the data of the portal before the event"`
	Scenario   Scenario        `yaml:",inline"`
	Then       []then          `yaml:"then" doc:"the next steps: changes, an event, and the expected result"`
	SkipProofs skips           `yaml:"skip_proofs" doc:"built-in checks that do not apply to this rule, each with a reason" example:"{shuffled: the first row is the main product}"`
}

// then is a later event of a test, with changes before it.
type then struct {
	Change   testportal.Data `yaml:"change" doc:"what people change before the event; null deletes"`
	Scenario Scenario        `yaml:",inline"`
}

// Scenario is an event and its expected result.
type Scenario struct {
	At      *Clock       `yaml:"at" doc:"the time: without an event the runs that are due at it run. It holds until the next at; without any, the clock is the time of the event" example:"2026-05-01T09:00"`
	Event   *Event       `yaml:"event" doc:"the event that arrives: its code and id; for items of smart processes and smart invoices (31) with the type before the id. {start: RULE, id: 3} starts a rule as another rule would" example:"ONCRMDEALUPDATE 759"`
	Answers Answers      `yaml:"answers" doc:"the portal's answers to methods, by method, or a list of answers for single calls" example:"{crm.activity.add: 77}"`
	Refuse  refusals     `yaml:"refuse" doc:"the error codes with which the portal refuses methods" example:"{crm.activity.add: ACCESS_DENIED}"`
	Faults  faults       `yaml:"faults" doc:"faults of the portal while the rules run; the keys are those of b24rules emulator --faults" example:"[{kind: shape, method: crm.item.productrow.list, shape: as_null}]"`
	Calls   *Calls       `yaml:"calls" doc:"the expected writing REST calls, in order; [] means none" example:"[{crm.item.update: {id: 759}}]"`
	Expect  *expectation `yaml:"expect" doc:"the expected data of the portal after the run"`
	Outcome *outcome     `yaml:"outcome" doc:"how the run must end: one word, or one word per rule" example:"deleted"`
	Error   *name        `yaml:"error" doc:"text that the error of a failed run must contain"`
}

// Phase is a scenario with the changes that people make before it.
type Phase struct {
	Change   *testportal.Data
	Scenario *Scenario
}

// Phases returns the scenarios of a test in order.
func (t *Test) Phases() []Phase {
	out := []Phase{{&t.Given, &t.Scenario}}
	for i := range t.Then {
		out = append(out, Phase{&t.Then[i].Change, &t.Then[i].Scenario})
	}
	var clock *Clock
	for _, p := range out {
		s := p.Scenario
		if s.At != nil {
			clock = s.At
		}
		if s.Event == nil && clock != nil {
			s.Event = clock.timer()
		}
		if s.Event != nil && clock != nil && !s.Event.timed {
			s.Event.time = clock.Time
		}
	}
	return out
}

// Clock is a time in a scene.
type Clock struct {
	Time time.Time
	Pos  diag.Pos
}

// UnmarshalNode reads a time: 2026-05-01T09:00, with seconds and an offset or without.
func (c *Clock) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	var list diag.List
	c.Pos = f.Pos(n)
	r := yamlfile.Resolve(n)
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.Parse(layout, r.Value); err == nil {
			c.Time = t
			return list
		}
	}
	list.Errorf(c.Pos, "invalid-value", "at takes a time such as 2026-05-01T09:00, not %q", r.Value)
	return list
}

// timer is the event of a scene that has only a time.
func (c *Clock) timer() *Event {
	return &Event{Pos: c.Pos, time: c.Time, Label: "the time " + c.Time.Format("2006-01-02T15:04")}
}

// name is text with its position in the file.
type name struct {
	Text string
	Pos  diag.Pos
}

// UnmarshalNode reads the text.
func (v *name) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	v.Pos = f.Pos(n)
	list := yamlfile.Decode(f, n, &v.Text)
	if !list.HasErrors() && v.Text == "" {
		list.Errorf(v.Pos, "invalid-value", "expected text that is not empty")
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
type value struct{ Value any }

// UnmarshalNode reads the value.
func (v *value) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	return yamlfile.Decode(f, n, &v.Value)
}

// inputs are named texts: the values of a rule set's inputs.
type inputs []testportal.Field

// UnmarshalNode reads a mapping of scalars.
func (v *inputs) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	m, list := f.Mapping(n)
	for _, e := range m.Entries {
		var text string
		list.Add(yamlfile.Decode(f, e.Value, &text)...)
		*v = append(*v, testportal.Field{Name: e.Name, Value: text, Pos: f.Pos(e.Key), ValuePos: f.Pos(e.Value)})
	}
	return list
}

// faults are the faults of the portal while the rules run.
type faults []emulator.Fault

// UnmarshalNode reads one fault or a list of them.
func (fs *faults) UnmarshalNode(f *yamlfile.File, n *yaml.Node) (list diag.List) {
	*fs, list = emulator.DecodeFaults(f, n)
	return list
}

// skips are the checks that a test skips, with the reasons.
type skips []testportal.Field

// UnmarshalNode reads a mapping of checks to reasons.
func (v *skips) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	return (*inputs)(v).UnmarshalNode(f, n)
}

// refusals are the error codes of refused methods.
type refusals []testportal.Field

// UnmarshalNode reads a mapping of methods to codes.
func (v *refusals) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	return (*inputs)(v).UnmarshalNode(f, n)
}

// Event is an event of the portal.
type Event struct {
	code   string
	ID     string
	TypeID int
	data   map[string]any
	time   time.Time
	Pos    diag.Pos
	Kind   schemas.Event
	Label  string // its text in messages
	timed  bool   // the file gives the time
	// Start is the rule that the scene starts as another rule would, "" for an event.
	Start string
	// Tick says that a schedule of the rule Start starts it.
	Tick bool
	// Hook is the name of the hook to which another system posts the data, Robot the code of
	// a robot that calls. Both are "" for an event of the portal.
	Hook, Robot string
}

// eventForm is the long form of an event.
type eventForm struct {
	Code         string         `yaml:"code" doc:"the event's code" example:"ONCRMDEALUPDATE"`
	Start        string         `yaml:"start" doc:"instead of a code: the rule that starts" example:"won-total"`
	Tick         string         `yaml:"tick" doc:"instead of a code: the rule that its schedule starts; with the id of the entity, unless the rule is about the portal" example:"report"`
	Hook         string         `yaml:"hook" doc:"instead of a code: the hook to which another system posts data" example:"shop"`
	Robot        string         `yaml:"robot" doc:"instead of a code: the robot that calls for the entity with the id. data are the values of its address" example:"recount"`
	ID           string         `yaml:"id" doc:"the id of the event's entity" example:"759"`
	EntityTypeID int            `yaml:"entityTypeId" validate:"omitempty,min=1" doc:"the type of a smart process item; 31 for a smart invoice"`
	Data         map[string]any `yaml:"data" doc:"further data of the event, or what a hook or a robot sends" example:"{FIELDS: {CATEGORY_ID: 3}}"`
	Time         string         `yaml:"time" doc:"the time when the event is sent" example:"'2026-01-02T12:00:00+03:00'"`
}

// shortEvent is "ONCRMDEALUPDATE 759" or "ONCRMDYNAMICITEMUPDATE 31:7".
var shortEvent = regexp.MustCompile(`^(\S+)(?:\s+(?:(\d+):)?([^\s:]+))?$`)

// defaultTime is the time of events without a time, so that a test gives the same result
// on every day.
var defaultTime = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// UnmarshalNode reads the short form (text) or the long form.
func (e *Event) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	var list diag.List
	var form eventForm
	e.Pos = f.Pos(n)
	if r := yamlfile.Resolve(n); r != nil && r.Kind == yaml.ScalarNode {
		m := shortEvent.FindStringSubmatch(r.Value)
		if m == nil {
			list.Errorf(e.Pos, "invalid-value", "expected an event's code and an id, got %q", r.Value).Hint = "for example ONCRMDEALUPDATE 759 or ONCRMDYNAMICITEMUPDATE 31:7"
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

func (e *Event) read(form eventForm) (list diag.List) {
	e.code, e.ID, e.TypeID, e.data, e.time = strings.ToUpper(form.Code), form.ID, form.EntityTypeID, form.Data, defaultTime
	if form.Time != "" {
		t, err := time.Parse(time.RFC3339, form.Time)
		if err != nil {
			list.Errorf(e.Pos, "invalid-value", "the event's time %q is not in the form 2026-01-02T12:00:00+03:00", form.Time)
		}
		e.time, e.timed = t, true
	}
	given := 0
	for _, text := range []string{form.Code, form.Start, form.Tick, form.Hook, form.Robot} {
		if text != "" {
			given++
		}
	}
	started := form.Start != "" || form.Tick != ""
	switch {
	case given > 1:
		list.Errorf(e.Pos, "invalid-value", "an event has a code, start, tick, hook or robot, and only one of them")
		return list
	case started && form.Data != nil:
		list.Errorf(e.Pos, "unknown-key", "a run that a rule or a schedule starts has no data of an event").Hint = "remove data"
	case (started || form.Hook != "") && form.EntityTypeID != 0:
		list.Errorf(e.Pos, "unknown-key", "only events and robots have a type of entities").Hint = "remove entityTypeId"
	case form.Hook != "" && form.ID != "":
		list.Errorf(e.Pos, "unknown-key", "a hook has no id of an entity").Hint = "remove id"
	case (started || form.Robot != "") && form.ID != "" && !isID(form.ID):
		list.Errorf(e.Pos, "invalid-value", "an id is a number, not %q", form.ID)
	}
	switch {
	case form.Hook != "":
		e.Hook, e.Label = form.Hook, "request to the hook "+form.Hook
		return list
	case form.Robot != "":
		if e.Robot, e.Label = form.Robot, "robot "+form.Robot+" "+e.ID; e.ID == "" {
			list.Errorf(e.Pos, "missing-key", "the robot %s has no id of an entity", form.Robot).Hintf("event: {robot: %s, id: 759}", form.Robot)
		}
		for _, name := range slices.Sorted(maps.Keys(form.Data)) {
			switch form.Data[name].(type) {
			case map[string]any, []any:
				list.Errorf(e.Pos, "invalid-value", "%s of the data of the robot %s is a list or a record, and an address has texts", name, form.Robot)
			}
		}
		return list
	case form.Tick != "":
		e.Start, e.Tick, e.Label = form.Tick, true, strings.TrimSpace("tick of "+form.Tick+" "+e.ID)
		return list
	case form.Start != "":
		e.Start, e.Label = form.Start, strings.TrimSpace("start of "+form.Start+" "+e.ID)
		return list
	case form.Code == "":
		list.Errorf(e.Pos, "missing-key", "the event has no code").Hint = "event: ONCRMDEALUPDATE 759"
		return list
	}
	known, suffix, ok := schemas.LookupEvent(form.Code)
	if !ok {
		var codes []string
		for _, k := range schemas.Events() {
			codes = append(codes, k.Code)
		}
		finding := list.Errorf(e.Pos, "unknown-event", "unknown event %q", form.Code)
		if near := diag.Closest(e.code, codes); near != "" {
			finding.Hint = "did you mean " + near + "?"
		}
		return list
	}
	e.Kind = known
	if suffix != 0 {
		e.TypeID = suffix
	}
	own, _ := schemas.LookupOwner(known.Entity)
	switch {
	case known.Entity != "item" && form.EntityTypeID != 0 && form.EntityTypeID != own.ID:
		list.Errorf(e.Pos, "invalid-value", "the event %s is not about items of type %d", e.code, form.EntityTypeID).Hint = "event: " + e.code + " " + e.ID
	case len(known.IDs) > 0 && !known.TextID && e.ID != "" && !isID(e.ID):
		list.Errorf(e.Pos, "invalid-value", "the id in %s is a number, not %q", e.code, e.ID)
	case e.ID == "" && form.Data == nil:
		list.Errorf(e.Pos, "missing-key", "the event %s has no id", e.code).Hint = "event: " + e.code + " 759"
	case known.Entity == "item" && e.TypeID == 0:
		list.Errorf(e.Pos, "missing-key", "the event %s has no type for its item", e.code).Hint = "event: " + e.code + " 31:" + e.ID
	}
	e.Label = e.code + " " + e.ID
	if known.Entity == "item" && suffix == 0 {
		e.Label = fmt.Sprintf("%s %d:%s", e.code, e.TypeID, e.ID)
	}
	return list
}

func isID(text string) bool {
	id, err := strconv.ParseInt(text, 10, 64)
	return err == nil && id > 0
}

// WithOperation returns the event that the portal sends for another operation (add,
// update, delete) on the same entity.
func (e *Event) WithOperation(op string) (*Event, bool) {
	if e.Kind.Op == "" {
		return nil, false
	}
	i := strings.LastIndex(e.code, strings.ToUpper(e.Kind.Op))
	if i < 0 {
		return nil, false
	}
	code := e.code[:i] + strings.ToUpper(op) + e.code[i+len(e.Kind.Op):]
	other := *e
	if list := other.read(eventForm{Code: code, ID: e.ID, EntityTypeID: e.TypeID}); list.HasErrors() {
		return nil, false
	}
	other.time = e.time
	return &other, true
}

// Time returns when the event is sent.
func (e *Event) Time() time.Time { return e.time }

// EngineEvent returns the event for rules. All values are text, as in a form.
func (e *Event) EngineEvent() engine.Event {
	var own engine.Event
	switch {
	case e.Hook != "":
		own = engine.HookEvent(e.Hook, strconv.Itoa(e.Pos.Line), exactValue(e.data))
	case e.Robot != "":
		query := map[string]string{}
		for name, v := range e.data {
			query[name], _ = asText(v).(string)
		}
		own = engine.RobotEvent(e.Robot, e.TypeID, e.ID, query)
	}
	if own.Code != "" {
		own.Time = e.time
		return own
	}
	if e.code == "" {
		return engine.Event{Time: e.time}
	}
	fields := map[string]any{}
	if e.ID != "" {
		fields["ID"] = e.ID
	}
	if e.Kind.Entity == "item" {
		fields["ENTITY_TYPE_ID"] = fmt.Sprint(e.TypeID)
	}
	data := map[string]any{"FIELDS": fields}
	if len(e.Kind.IDs) > 0 && e.Kind.IDs[0] != "FIELDS.ID" && e.ID != "" {
		delete(fields, "ID")
		group, name, nested := strings.Cut(e.Kind.IDs[0], ".")
		switch inner, _ := data[group].(map[string]any); {
		case inner != nil:
			inner[name] = e.ID
		case nested:
			data[group] = map[string]any{name: e.ID}
		default:
			data[group] = e.ID
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

// exactValue converts a value of the file into one of formulas, as JSON would.
func exactValue(v map[string]any) any {
	text, err := json.Marshal(v)
	if err != nil {
		return nil // YAML has values without a form in JSON; the hook then refuses the request
	}
	out, _ := formula.FromJSON(text)
	return out
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

// outcomes are the possible outcomes of a run.
var outcomes = []string{"done", "skipped", "stopped", "deleted", "gone", "parked", "failed", "postponed", "refused", "none"}

// outcome is one word for all rules, or one word per rule.
type outcome struct {
	Word   string
	ByRule map[string]string
	Pos    diag.Pos
}

// UnmarshalNode reads a word, or a mapping of rules to words.
func (o *outcome) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	o.Pos = f.Pos(n)
	if r := yamlfile.Resolve(n); r == nil || r.Kind != yaml.MappingNode {
		list := yamlfile.Decode(f, n, &o.Word)
		if !list.HasErrors() {
			checkWord(&list, o.Pos, "outcome", o.Word, outcomes)
		}
		return list
	}
	m, list := f.Mapping(n)
	o.ByRule = map[string]string{}
	for _, e := range m.Entries {
		var word string
		list.Add(yamlfile.Decode(f, e.Value, &word)...)
		checkWord(&list, f.Pos(e.Value), "outcome", word, outcomes)
		o.ByRule[e.Name] = word
	}
	return list
}

func checkWord(list *diag.List, pos diag.Pos, what, word string, words []string) {
	if slices.Contains(words, word) {
		return
	}
	finding := list.Errorf(pos, "invalid-value", "unknown %s %q", what, word)
	finding.Hint = testportal.Hint(word, words)
}

// Calls are the expected writing calls in order.
type Calls struct {
	List []Call
	Pos  diag.Pos
}

type Call struct {
	Method string
	Params map[string]any
}

// UnmarshalNode reads a list of {method: parameters}.
func (c *Calls) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	c.Pos = f.Pos(n)
	var nodes []*yaml.Node
	list := yamlfile.Decode(f, n, &nodes)
	for _, n := range nodes {
		m, more := f.Mapping(n)
		list.Add(more...)
		if more.HasErrors() {
			continue
		}
		if len(m.Entries) != 1 {
			list.Errorf(f.Pos(n), "wrong-type", "a call has one method with its parameters").Hint = "- crm.item.update: {entityTypeId: 31, id: 7}"
			continue
		}
		w := Call{Method: m.Entries[0].Name}
		list.Add(yamlfile.Decode(f, m.Entries[0].Value, &w.Params)...)
		c.List = append(c.List, w)
	}
	return list
}

// IsTestFile reports whether path is a test file and not a rule file.
func IsTestFile(path string) bool {
	return yamlfile.Ext(path) != "" && strings.HasSuffix(yamlfile.Stem(path), "_test")
}

// ruleFileOf returns the default rule file of a test file.
func ruleFileOf(path string) string {
	ext := yamlfile.Ext(path)
	return strings.TrimSuffix(strings.TrimSuffix(path, ext), "_test") + ext
}
