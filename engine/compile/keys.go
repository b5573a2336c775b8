package compile

import (
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// Key is a key of a file, an input, a rule or a step. Arguments of actions are not
// among them. The compiler uses the names, and the schema everything.
type Key struct {
	Name    string
	Doc     string // Markdown
	Example string // YAML
	Value   string // the default as YAML; "" without one
	Takes   yamlfile.Schema
}

// FormulaPattern matches text that is a formula: "=" and another character than "=".
const FormulaPattern = "^=[^=]"

// keyNames lists the names of keys.
func keyNames(keys []Key) []string {
	out := make([]string, len(keys))
	for i, k := range keys {
		out[i] = k.Name
	}
	return out
}

// KeySchema returns the schema of an object with these keys.
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

// NameSchema is the schema of a name.
func NameSchema() yamlfile.Schema { return takesName }

// Schemas that several keys use.
var (
	takesFormula  = yamlfile.RefSchema("formula")
	takesDuration = yamlfile.DurationSchema()
	takesCount    = yamlfile.Schema{"type": "integer", "minimum": 1}
	takesName     = yamlfile.PatternSchema("^[a-z][a-z0-9_]*$", inputNameHint)
	takesRuleID   = yamlfile.PatternSchema("^[a-z]([a-z0-9_-]{0,62}[a-z0-9_])?$", ruleIDHint)
	takesIf       = OrFormula(yamlfile.Schema{"type": "boolean"})
	takesSteps    = yamlfile.RefSchema("steps")
)

// FileKeys are the keys of a rule file.
var FileKeys = []Key{
	{Name: "version", Doc: "the version of the rule language", Takes: yamlfile.Schema{"const": Version}},
	{Name: "title", Doc: "the purpose of the file, for people", Takes: yamlfile.TextSchema()},
	{
		Name: "inputs", Doc: "values that the configuration of a portal supplies; formulas read them as `inputs.name`",
		Example: "{list: {type: integer, title: IBLOCK_ID of the shipment list}}", Takes: namedSchema(yamlfile.RefSchema("input")),
	},
	{
		Name: "vars", Doc: "constants of the file; formulas read them as `vars.name`. A constant may be a formula of inputs and of the constants before it",
		Example: "{vat: 0.2}", Takes: namedSchema(yamlfile.Schema{}),
	},
	{Name: "rules", Doc: "the rules, each under its id", Takes: yamlfile.Schema{
		"type": "object", "minProperties": 1, "additionalProperties": yamlfile.RefSchema("rule"), "propertyNames": takesRuleID,
	}},
}

// InputKeys are the keys of an input.
var InputKeys = []Key{
	{Name: "type", Doc: "the type of the value", Takes: yamlfile.Schema{"enum": inputTypeNames()}},
	{Name: "title", Doc: "a description of the value, for the person who writes the configuration", Example: "entityTypeId of the helper smart process", Takes: yamlfile.TextSchema()},
	{Name: "default", Doc: "the value when the configuration does not give one; without a default the configuration must give it", Takes: yamlfile.ScalarSchema()},
}

// RuleKeys are the keys of a rule.
var RuleKeys = []Key{
	{Name: "title", Doc: "what the rule does, for people", Takes: yamlfile.TextSchema()},
	{
		Name: "on", Doc: "the events that the rule subscribes to: a code, a list of codes, or `{events: …, entityTypeId: …}` for the events of smart processes and smart invoices. `{schedule: \"0 9 * * mon-fri\"}` starts the rule at times, `{hook: …}` when another system posts something, and `{robot: …}` when a robot or a business process calls",
		Example: "[ONCRMDEALADD, ONCRMDEALUPDATE]", Takes: onSchema(),
	},
	{
		Name: "about", Doc: "what the runs of the rule are for, when no event says it: other rules start the rule. It is a kind of CRM entity, `{entityTypeId: 1072}`, or `portal` for one run about the whole portal",
		Example: "company", Takes: yamlfile.AnySchema(yamlfile.Schema{"enum": aboutNames()}, KeySchema(aboutKeys, "entityTypeId")),
	},
	{Name: "when", Doc: "the rule runs only when this is true; it reads `event`, `inputs` and `vars`, so it costs no request", Example: "=event.count > 0", Takes: takesIf},
	{Name: "steps", Doc: "the steps for an entity that exists", Takes: takesSteps},
	{Name: "deleted", Doc: "the steps for an entity that no longer exists; they require its delete event in `on`", Takes: takesSteps},
	{Name: "entity", Doc: "the id of the entity that the run is about, when it is not the event's own", Example: "=event.data.FIELDS.DEAL_ID", Takes: takesFormula},
	{Name: "owner", Doc: "the name under which syncs own their records, by default the rule's id, or the oldest id in `moved`. With an owner a renamed rule keeps its records", Takes: takesRuleID},
	{
		Name: "moved", Doc: "what the rule was called before: `{from: OLD}`, or a list of ids, the oldest first. The rule takes over what the old one has made and remembered, and its waiting runs. It stays in the file",
		Example: "{from: shipments}", Takes: KeySchema(movedKeys, "from"),
	},
	{
		Name: "debounce", Doc: "how long an entity must be quiet before its run starts, so that several events become one run. Further events delay the run by at most ten times this time",
		Example: "{quiet: 2s, max: 1m}", Value: "1s",
		Takes: yamlfile.AnySchema(takesDuration, KeySchema(debounceKeys)),
	},
	{Name: "limits", Doc: "the most that a run may do; a run that needs more is parked", Example: "{calls: 500, deletes: 20}", Takes: yamlfile.SchemaFor[engine.Limits]()},
	{Name: "portals", Doc: "the portals where the rule runs, by their names in the configuration; by default all", Takes: yamlfile.ListSchema(yamlfile.TextSchema())},
}

var onKeys = []Key{
	{Name: "events", Doc: "the events", Takes: yamlfile.AnySchema(yamlfile.RefSchema("event"), eventList())},
	{
		Name: "entityTypeId", Doc: "the type of the items: 31 for smart invoices, the number of a smart process, or `any`",
		Example: "31", Takes: yamlfile.AnySchema(takesCount, yamlfile.Schema{"const": "any"}),
	},
}

var scheduleKeys = []Key{
	{Name: "schedule", Doc: "minute, hour, day, month and day of the week, as in crontab: `*`, `5`, `1-5`, `*/15`, lists with commas, `jan` to `dec` and `sun` to `sat`", Example: `"0 9 * * mon-fri"`, Takes: yamlfile.TextSchema()},
	{Name: "zone", Doc: "the time zone; by default that of the portal", Example: "Europe/Moscow", Takes: yamlfile.TextSchema()},
	{Name: "filter", Doc: "the entities for which the rule runs: their fields and values; by default all", Example: "{stageSemanticId: P}", Takes: yamlfile.Schema{"type": "object"}},
}

var hookKeys = []Key{
	{Name: "hook", Doc: "the name of the hook, which is the last part of its address. Another system posts JSON or a form to `/hooks/PORTAL/in/NAME`; the configuration of the portal has its secret", Example: "shop", Takes: takesRuleID},
	{
		Name: "fields", Doc: "what `event.data` has: names and types (`string`, `number`, `integer`, `boolean`, `any`). `{type: string, required: true}` refuses a request without the field, a mapping is a record, and a list with one type is a list. Other members are omitted",
		Example: "{order: {type: string, required: true}, client: {name: string}, rows: [{sum: number}]}", Takes: yamlfile.Schema{"type": "object"},
	},
	{
		Name: "key", Doc: "what the run is for: requests of one key that wait together become one run with the latest data, and runs of one key never overlap. Without a key each request is a run. A system that sends changes and not whole states must not have a key",
		Example: "=event.data.order", Takes: takesFormula,
	},
}

var robotKeys = []Key{
	{Name: "robot", Doc: "a part of the address that the outgoing webhook of a robot or of a business process calls: `/hooks/PORTAL/robot/CODE/SECRET`", Example: "recount", Takes: takesRuleID},
	{
		Name: "entities", Doc: "the kinds of entities that may call", Example: "[deal, {entityTypeId: 1072}]",
		Takes: yamlfile.AnySchema(robotEntity(), yamlfile.ListSchema(robotEntity())),
	},
}

func robotEntity() yamlfile.Schema {
	return yamlfile.AnySchema(yamlfile.Schema{"enum": robotEntities()}, KeySchema(aboutKeys, "entityTypeId"))
}

var aboutKeys = []Key{{Name: "entityTypeId", Doc: "the type of the items: the number of a smart process", Example: "1072", Takes: takesCount}}

// aboutNames are the words that about takes.
func aboutNames() []string {
	return []string{"lead", "deal", "contact", "company", "quote", "smart_invoice", engine.KindPortal}
}

var movedKeys = []Key{{
	Name: "from", Doc: "the earlier ids of the rule, the oldest first", Example: "shipments",
	Takes: yamlfile.AnySchema(takesRuleID, yamlfile.Schema{"type": "array", "minItems": 1, "items": takesRuleID}),
}}

var debounceKeys = []Key{
	{Name: "quiet", Doc: "how long the entity must be quiet", Takes: takesDuration},
	{Name: "max", Doc: "how long further events can delay a run", Takes: takesDuration},
}

// StepKeys are the options of a step.
var StepKeys = []Key{
	{Name: "id", Doc: "the name of the result for later steps", Example: "rows", Takes: takesName},
	{Name: "when", Doc: "the step runs only when this is true. For later steps without the same condition its result may be missing", Example: `=deal.stageId == "WON"`, Takes: takesIf},
	{Name: "once", Doc: "the step runs only when this value differs from its value in the last successful run for the entity. Next to `for_each` the formula may read `row`: a row runs when none of the rows of that run had its value", Example: "=deal.stageId", Takes: takesFormula},
	{Name: "entered", Doc: "the step runs each time this condition has become true: it is true now, and was not in the last successful run for the entity", Example: `=deal.stageId == "WON"`, Takes: takesFormula},
	{
		Name: "at", Doc: "the step runs at this time, once for each time. Before it the step does not run, and the next run of the rule for the entity is due at the time. `{time: …, late: 2h}` also says how long after the time the step may still run",
		Example: `=addDays(date(deal.closedate), -3)`, Takes: yamlfile.AnySchema(takesFormula, KeySchema(atKeys, "time")),
	},
	{
		Name: "for_each", Doc: "the step runs for each element of this list; formulas read the element as `row` and its number as `index`. A failed row does not stop the others",
		Example: "=rows", Takes: OrFormula(yamlfile.Schema{"type": "array"}),
	},
	{Name: "limit", Doc: "how many elements `for_each` may have; with more the run is parked before the first", Value: "1000", Takes: yamlfile.Schema{"type": "integer", "minimum": 1, "maximum": maxForEach}},
	{Name: "timeout", Doc: "the longest time that the step may take", Example: "30s", Takes: takesDuration},
	{Name: "retry", Doc: "attempts before the run is parked", Takes: yamlfile.Schema{"type": "integer", "minimum": 1, "maximum": 100}},
	{
		Name: "on_error", Doc: "what follows when the last attempt of the step has failed: `park` the run, `skip` the step, or run other steps, which read `error.code`, `error.message` and `error.step`",
		Value: "park", Takes: yamlfile.AnySchema(yamlfile.EnumSchema("park", "skip"), takesSteps),
	},
}

var atKeys = []Key{
	{Name: "time", Doc: "the time; nil means that there is none", Example: "=addDays(date(deal.closedate), -3)", Takes: takesFormula},
	{Name: "late", Doc: "how long after the time the step may still run", Value: "24h", Takes: takesDuration},
}

// Names of the keys, for the compiler.
var (
	fileKeyNames  = keyNames(FileKeys)
	inputKeyNames = keyNames(InputKeys)
	ruleKeyNames  = keyNames(RuleKeys)
	stepOptions   = keyNames(StepKeys)
)

func namedSchema(values yamlfile.Schema) yamlfile.Schema {
	return yamlfile.Schema{"type": []string{"object", "null"}, "additionalProperties": values, "propertyNames": takesName}
}

func eventList() yamlfile.Schema {
	return yamlfile.Schema{"type": "array", "minItems": 1, "items": yamlfile.RefSchema("event")}
}

func onSchema() yamlfile.Schema {
	list := yamlfile.Schema{"type": "array", "minItems": 1, "items": yamlfile.RefSchema("trigger")}
	return yamlfile.AnySchema(yamlfile.RefSchema("event"), list, KeySchema(onKeys, "events"), ScheduleSchema(), KeySchema(hookKeys, "hook", "fields"), RobotSchema())
}

// ScheduleSchema is the schema of a schedule.
func ScheduleSchema() yamlfile.Schema { return KeySchema(scheduleKeys, "schedule") }

// RobotSchema is the schema of a robot.
func RobotSchema() yamlfile.Schema { return KeySchema(robotKeys, "robot", "entities") }

// OrFormula returns the schema of a value, or of a formula that gives one.
func OrFormula(s yamlfile.Schema) yamlfile.Schema {
	return yamlfile.AnySchema(s, yamlfile.Schema{"type": "string", "pattern": FormulaPattern})
}
