package compile

import (
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// Key is a key of the language that is no argument of an action: what a file,
// a rule or a step may have. The checker takes the names from here and the
// schema everything.
type Key struct {
	Name    string
	Doc     string // Markdown
	Example string // YAML
	Value   string // YAML, what holds without the key; "" when nothing does
	Takes   yamlfile.Schema
}

// FormulaPattern is text that is a formula: "=" and something else than "=".
const FormulaPattern = "^=[^=]"

// keyNames lists the names of keys.
func keyNames(keys []Key) []string {
	out := make([]string, len(keys))
	for i, k := range keys {
		out[i] = k.Name
	}
	return out
}

// KeySchema takes an object with these keys.
func KeySchema(keys []Key, required ...string) yamlfile.Schema {
	properties := yamlfile.Schema{}
	for _, k := range keys {
		properties[k.Name] = k.Takes.Described(k.Doc, k.Example, k.Value).Titled(k.Name)
	}
	out := yamlfile.Schema{"type": "object", "additionalProperties": false, "properties": properties}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

// Parts of the schema that several keys take.
var (
	takesFormula  = yamlfile.RefSchema("formula")
	takesDuration = yamlfile.DurationSchema()
	takesCount    = yamlfile.Schema{"type": "integer", "minimum": 1}
	NameSchema    = yamlfile.PatternSchema("^[a-z][a-z0-9_]*$", "want small letters, digits and _, beginning with a letter")
	takesRuleID   = yamlfile.PatternSchema("^[a-z]([a-z0-9_-]{0,62}[a-z0-9_])?$", "want small letters, digits, - and _, beginning with a letter and not ending with -, 64 at most")
	takesIf       = OrFormula(yamlfile.Schema{"type": "boolean"})
	takesSteps    = yamlfile.RefSchema("steps")
)

var FileKeys = []Key{
	{Name: "version", Doc: "the version of the rule language", Takes: yamlfile.Schema{"const": Version}},
	{Name: "title", Doc: "what the file is for", Takes: yamlfile.TextSchema()},
	{
		Name: "inputs", Doc: "what the configuration of a portal supplies; formulas see them as `inputs.name`",
		Example: "{list: {type: integer, title: IBLOCK_ID of the shipment list}}", Takes: namedSchema(yamlfile.RefSchema("input")),
	},
	{
		Name: "vars", Doc: "constants of the file, seen as `vars.name`; each may be a formula of the inputs and of the vars before it",
		Example: "{vat: 0.2}", Takes: namedSchema(yamlfile.Schema{}),
	},
	{Name: "rules", Doc: "the rules by their ids", Takes: yamlfile.Schema{
		"type": "object", "minProperties": 1, "additionalProperties": yamlfile.RefSchema("rule"), "propertyNames": takesRuleID,
	}},
}

var InputKeys = []Key{
	{Name: "type", Doc: "what the input holds", Takes: yamlfile.Schema{"enum": inputTypeNames()}},
	{Name: "title", Doc: "what the configuration should say here", Example: "entityTypeId of the helper smart process", Takes: yamlfile.TextSchema()},
	{Name: "default", Doc: "the value when the configuration says nothing; without it the configuration must", Takes: yamlfile.ScalarSchema()},
}

var RuleKeys = []Key{
	{Name: "title", Doc: "what the rule does, for people", Takes: yamlfile.TextSchema()},
	{
		Name: "on", Doc: "the events that the rule hears: a code, a list of codes, or `{events: …, entityTypeId: …}` for the events of smart processes and smart invoices",
		Example: "[ONCRMDEALADD, ONCRMDEALUPDATE]", Takes: onSchema(),
	},
	{Name: "when", Doc: "the rule runs only when this is true; it sees `event`, `inputs` and `vars`, so it costs no request", Example: "=event.count > 0", Takes: takesIf},
	{Name: "steps", Doc: "what to do for an entity that exists", Takes: takesSteps},
	{Name: "deleted", Doc: "what to do for an entity that is gone; `on` lists its delete event exactly if this is there", Takes: takesSteps},
	{Name: "entity", Doc: "the id of what the event is about, when it is not the obvious one", Example: "=event.data.FIELDS.DEAL_ID", Takes: takesFormula},
	{Name: "owner", Doc: "the name under which syncs own what they made; the rule's id when left out. Fix it, and a renamed rule keeps its elements", Takes: takesRuleID},
	{
		Name: "debounce", Doc: "how long an entity must be quiet before its run starts; many events then become one run, put off by ten times that at most",
		Example: "{quiet: 2s, max: 1m}", Value: "1s",
		Takes: yamlfile.AnySchema(takesDuration, KeySchema(debounceKeys)),
	},
	{Name: "limits", Doc: "what a run may do at most; above, it is parked", Example: "{calls: 500, deletes: 20}", Takes: yamlfile.SchemaFor[engine.Limits]()},
	{Name: "portals", Doc: "the portals that the rule is for, by their names in the configuration; all when left out", Takes: yamlfile.ListSchema(yamlfile.TextSchema())},
}

var onKeys = []Key{
	{Name: "events", Doc: "the events", Takes: yamlfile.AnySchema(yamlfile.RefSchema("event"), eventList())},
	{
		Name: "entityTypeId", Doc: "the type of the items: 31 for smart invoices, the number of a smart process, or `any`",
		Example: "31", Takes: yamlfile.AnySchema(takesCount, yamlfile.Schema{"const": "any"}),
	},
}

var debounceKeys = []Key{
	{Name: "quiet", Doc: "how long the entity must be quiet", Takes: takesDuration},
	{Name: "max", Doc: "how long further events can put a run off", Takes: takesDuration},
}

var StepKeys = []Key{
	{Name: "id", Doc: "the name under which later steps see the result", Example: "rows", Takes: NameSchema},
	{Name: "when", Doc: "the step runs only when this is true; without it later steps see its result as perhaps missing", Example: `=deal.stageId == "WON"`, Takes: takesIf},
	{Name: "once", Doc: "the step runs only when this value differs from the one at its last successful run for the entity", Example: "=deal.stageId", Takes: takesFormula},
	{
		Name: "for_each", Doc: "runs the step for each element, which formulas see as `row`, with its number as `index`; one failed row does not hide the others",
		Example: "=rows", Takes: OrFormula(yamlfile.Schema{"type": "array"}),
	},
	{Name: "limit", Doc: "how many elements `for_each` takes; with more the run is parked before the first", Value: "1000", Takes: yamlfile.Schema{"type": "integer", "minimum": 1, "maximum": maxForEach}},
	{Name: "timeout", Doc: "the longest time that the step may take", Example: "30s", Takes: takesDuration},
	{Name: "retry", Doc: "attempts before the run is parked", Takes: yamlfile.Schema{"type": "integer", "minimum": 1, "maximum": 100}},
	{
		Name: "on_error", Doc: "what follows when the step has failed for good: `park` the run, `skip` the step, or other steps, which see `error.code`, `error.message` and `error.step`",
		Value: "park", Takes: yamlfile.AnySchema(yamlfile.EnumSchema("park", "skip"), takesSteps),
	},
}

// Names of the keys, for the checker.
var (
	fileKeyNames  = keyNames(FileKeys)
	inputKeyNames = keyNames(InputKeys)
	ruleKeyNames  = keyNames(RuleKeys)
	stepOptions   = keyNames(StepKeys)
)

func namedSchema(values yamlfile.Schema) yamlfile.Schema {
	return yamlfile.Schema{"type": []string{"object", "null"}, "additionalProperties": values, "propertyNames": NameSchema}
}

func eventList() yamlfile.Schema {
	return yamlfile.Schema{"type": "array", "minItems": 1, "items": yamlfile.RefSchema("event")}
}

func onSchema() yamlfile.Schema {
	return yamlfile.AnySchema(yamlfile.RefSchema("event"), eventList(), KeySchema(onKeys, "events"))
}

// OrFormula takes a value of a type or a formula that gives one.
func OrFormula(s yamlfile.Schema) yamlfile.Schema {
	return yamlfile.AnySchema(s, yamlfile.Schema{"type": "string", "pattern": FormulaPattern})
}
