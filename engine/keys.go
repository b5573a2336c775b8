package engine

import "github.com/b24rules/b24rules/internal/yamlfile"

// key is a key of the language that is no argument of an action: what a file,
// a rule or a step may have. The checker takes the names from here and the
// schema everything.
type key struct {
	name    string
	doc     string // Markdown
	example string // YAML
	value   string // YAML, what holds without the key; "" when nothing does
	takes   yamlfile.Schema
}

// FormulaPattern is text that is a formula: "=" and something else than "=".
const FormulaPattern = "^=[^=]"

// keyNames lists the names of keys.
func keyNames(keys []key) []string {
	out := make([]string, len(keys))
	for i, k := range keys {
		out[i] = k.name
	}
	return out
}

// keySchema takes an object with these keys.
func keySchema(keys []key, required ...string) yamlfile.Schema {
	properties := yamlfile.Schema{}
	for _, k := range keys {
		properties[k.name] = k.takes.Described(k.doc, k.example, k.value).Titled(k.name)
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
	takesName     = yamlfile.PatternSchema("^[a-z][a-z0-9_]*$", "want small letters, digits and _, beginning with a letter")
	takesRuleID   = yamlfile.PatternSchema("^[a-z]([a-z0-9_-]{0,62}[a-z0-9_])?$", "want small letters, digits, - and _, beginning with a letter and not ending with -, 64 at most")
	takesIf       = orFormula(yamlfile.Schema{"type": "boolean"})
	takesSteps    = yamlfile.RefSchema("steps")
)

var fileKeys = []key{
	{name: "version", doc: "the version of the rule language", takes: yamlfile.Schema{"const": Version}},
	{name: "title", doc: "what the file is for", takes: yamlfile.TextSchema()},
	{
		name: "inputs", doc: "what the configuration of a portal supplies; formulas see them as `inputs.name`",
		example: "{list: {type: integer, title: IBLOCK_ID of the shipment list}}", takes: namedSchema(yamlfile.RefSchema("input")),
	},
	{
		name: "vars", doc: "constants of the file, seen as `vars.name`; each may be a formula of the inputs and of the vars before it",
		example: "{vat: 0.2}", takes: namedSchema(yamlfile.Schema{}),
	},
	{name: "rules", doc: "the rules by their ids", takes: yamlfile.Schema{
		"type": "object", "minProperties": 1, "additionalProperties": yamlfile.RefSchema("rule"), "propertyNames": takesRuleID,
	}},
}

var inputKeys = []key{
	{name: "type", doc: "what the input holds", takes: yamlfile.Schema{"enum": inputTypeNames()}},
	{name: "title", doc: "what the configuration should say here", example: "entityTypeId of the helper smart process", takes: yamlfile.TextSchema()},
	{name: "default", doc: "the value when the configuration says nothing; without it the configuration must", takes: yamlfile.ScalarSchema()},
}

var ruleKeys = []key{
	{name: "title", doc: "what the rule does, for people", takes: yamlfile.TextSchema()},
	{
		name: "on", doc: "the events that the rule hears: a code, a list of codes, or `{events: …, entityTypeId: …}` for the events of smart processes and smart invoices",
		example: "[ONCRMDEALADD, ONCRMDEALUPDATE]", takes: onSchema(),
	},
	{name: "when", doc: "the rule runs only when this is true; it sees `event`, `inputs` and `vars`, so it costs no request", example: "=event.count > 0", takes: takesIf},
	{name: "steps", doc: "what to do for an entity that exists", takes: takesSteps},
	{name: "deleted", doc: "what to do for an entity that is gone; `on` lists its delete event exactly if this is there", takes: takesSteps},
	{name: "entity", doc: "the id of what the event is about, when it is not the obvious one", example: "=event.data.FIELDS.DEAL_ID", takes: takesFormula},
	{name: "owner", doc: "the name under which syncs own what they made; the rule's id when left out. Fix it, and a renamed rule keeps its elements", takes: takesRuleID},
	{
		name: "debounce", doc: "how long an entity must be quiet before its run starts; many events then become one run, put off by ten times that at most",
		example: "{quiet: 2s, max: 1m}", value: "1s",
		takes: yamlfile.AnySchema(takesDuration, keySchema(debounceKeys)),
	},
	{name: "limits", doc: "what a run may do at most; above, it is parked", example: "{calls: 500, deletes: 20}", takes: yamlfile.SchemaFor[Limits]()},
	{name: "portals", doc: "the portals that the rule is for, by their names in the configuration; all when left out", takes: yamlfile.ListSchema(yamlfile.TextSchema())},
}

var onKeys = []key{
	{name: "events", doc: "the events", takes: yamlfile.AnySchema(yamlfile.RefSchema("event"), eventList())},
	{
		name: "entityTypeId", doc: "the type of the items: 31 for smart invoices, the number of a smart process, or `any`",
		example: "31", takes: yamlfile.AnySchema(takesCount, yamlfile.Schema{"const": "any"}),
	},
}

var debounceKeys = []key{
	{name: "quiet", doc: "how long the entity must be quiet", takes: takesDuration},
	{name: "max", doc: "how long further events can put a run off", takes: takesDuration},
}

var stepKeys = []key{
	{name: "id", doc: "the name under which later steps see the result", example: "rows", takes: takesName},
	{name: "when", doc: "the step runs only when this is true; without it later steps see its result as perhaps missing", example: `=deal.stageId == "WON"`, takes: takesIf},
	{name: "once", doc: "the step runs only when this value differs from the one at its last successful run for the entity", example: "=deal.stageId", takes: takesFormula},
	{
		name: "for_each", doc: "runs the step for each element, which formulas see as `row`, with its number as `index`; one failed row does not hide the others",
		example: "=rows", takes: orFormula(yamlfile.Schema{"type": "array"}),
	},
	{name: "limit", doc: "how many elements `for_each` takes; with more the run is parked before the first", value: "1000", takes: yamlfile.Schema{"type": "integer", "minimum": 1, "maximum": maxForEach}},
	{name: "timeout", doc: "the longest time that the step may take", example: "30s", takes: takesDuration},
	{name: "retry", doc: "attempts before the run is parked", takes: yamlfile.Schema{"type": "integer", "minimum": 1, "maximum": 100}},
	{
		name: "on_error", doc: "what follows when the step has failed for good: `park` the run, `skip` the step, or other steps, which see `error.code`, `error.message` and `error.step`",
		value: "park", takes: yamlfile.AnySchema(yamlfile.EnumSchema("park", "skip"), takesSteps),
	},
}

// Names of the keys, for the checker.
var (
	fileKeyNames  = keyNames(fileKeys)
	inputKeyNames = keyNames(inputKeys)
	ruleKeyNames  = keyNames(ruleKeys)
	stepOptions   = keyNames(stepKeys)
)

func namedSchema(values yamlfile.Schema) yamlfile.Schema {
	return yamlfile.Schema{"type": []string{"object", "null"}, "additionalProperties": values, "propertyNames": takesName}
}

func eventList() yamlfile.Schema {
	return yamlfile.Schema{"type": "array", "minItems": 1, "items": yamlfile.RefSchema("event")}
}

func onSchema() yamlfile.Schema {
	return yamlfile.AnySchema(yamlfile.RefSchema("event"), eventList(), keySchema(onKeys, "events"))
}

// orFormula takes a value of a type or a formula that gives one.
func orFormula(s yamlfile.Schema) yamlfile.Schema {
	return yamlfile.AnySchema(s, yamlfile.Schema{"type": "string", "pattern": FormulaPattern})
}
