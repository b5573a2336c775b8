package describe

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/compile"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/internal/yamlfile"
	"github.com/b24rules/b24rules/schemas"
)

// Schema returns the JSON Schema of rule files for editors. It uses the same
// descriptions as the compiler, so completion and hover text always fit the engine.
func Schema(actions []*engine.Action) ([]byte, error) {
	root := compile.KeySchema(compile.FileKeys, "version", "rules")
	root["$schema"] = yamlfile.SchemaDraft
	root["title"] = "b24rules rule file"
	root["definitions"] = yamlfile.Schema{
		"input": compile.KeySchema(compile.InputKeys, "type"),
		"formula": yamlfile.Schema{"type": "string", "pattern": compile.FormulaPattern}.
			Described("a formula: it starts with `=`, and its result keeps its type", "", ""),
		"event": eventSchema(), "trigger": triggerSchema(),
		"rule":  ruleSchema(),
		"steps": yamlfile.Schema{"type": "array", "minItems": 1, "items": yamlfile.RefSchema("step")},
		"step":  stepSchema(actions),
	}
	return WriteSchema(root)
}

// WriteSchema returns a schema as the text of its file.
func WriteSchema(s yamlfile.Schema) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(s)
	return buf.Bytes(), err
}

// eventSchema takes the documented codes, each with its description. It accepts any
// code that has small letters, because a schema cannot compare regardless of case; the
// compiler checks those. For a wrong code an editor shows the message of the first
// alternative.
func eventSchema() yamlfile.Schema {
	var known []yamlfile.Schema
	var legacy []string
	for _, e := range schemas.Events() {
		if e.Legacy {
			legacy = append(legacy, e.Code)
			continue
		}
		known = append(known, yamlfile.ConstSchema(e.Code, e.About()))
	}
	// Legacy events are accepted but not offered. As constants they would be offered.
	old := "^(" + strings.Join(legacy, "|") + ")$"
	out := yamlfile.AnySchema(slices.Concat([]yamlfile.Schema{{
		"type": "string", "pattern": "^(ONCRMDYNAMICITEM(ADD|UPDATE|DELETE)_[1-9][0-9]*|[A-Z._0-9]*[a-z][A-Za-z._0-9]*)$",
		"patternErrorMessage": "Bitrix24 has no event with this code",
	}}, known, []yamlfile.Schema{{"type": "string", "pattern": old}})...)
	out["if"] = yamlfile.Schema{"type": "string", "pattern": old}
	out["then"] = yamlfile.Schema{"deprecationMessage": "this event belongs to a part of the CRM that Bitrix24 no longer develops"}
	return out
}

// triggerSchema takes an event, a schedule or a robot, in one list of alternatives: editors show no
// description of an alternative of an alternative.
func triggerSchema() yamlfile.Schema {
	out := eventSchema()
	events, _ := out["anyOf"].([]yamlfile.Schema)
	out["anyOf"] = append(events, compile.ScheduleSchema(), compile.RobotSchema())
	return out
}

// ruleSchema is the schema of a rule: it has on, about or both.
func ruleSchema() yamlfile.Schema {
	out := compile.KeySchema(compile.RuleKeys)
	out["anyOf"] = []yamlfile.Schema{{"required": []string{"on"}}, {"required": []string{"about"}}}
	return out
}

func stepSchema(actions []*engine.Action) yamlfile.Schema {
	out := compile.KeySchema(compile.StepKeys)
	out["minProperties"] = 1
	properties, _ := out["properties"].(yamlfile.Schema)
	for _, a := range actions {
		properties[a.Name] = actionSchema(a)
	}
	return out
}

func actionSchema(a *engine.Action) yamlfile.Schema {
	if a.Arguments.IsNames() {
		return yamlfile.Schema{"type": "object", "minProperties": 1, "propertyNames": compile.NameSchema()}.Described(a.Doc, "", "")
	}
	properties := yamlfile.Schema{}
	var required []string
	for _, f := range a.Arguments.Fields {
		properties[f.Name] = argSchema(f).Titled(f.Name)
		if f.Required {
			required = append(required, f.Name)
		}
	}
	out := yamlfile.Schema{"type": "object", "additionalProperties": false, "properties": properties}
	if len(required) > 0 {
		slices.Sort(required)
		out["required"] = required
	} else {
		// When nothing is required, a step may be just "- log:".
		out["type"] = []string{"object", "null"}
	}
	return out.Described(a.Doc, "", "").Titled(a.Name)
}

func argSchema(f *engine.ArgField) yamlfile.Schema {
	return takesSchema(f).Described(f.Doc, f.Example, f.Default)
}

func takesSchema(f *engine.ArgField) yamlfile.Schema {
	switch f.Kind {
	case engine.ArgDuration:
		return yamlfile.DurationSchema()
	case engine.ArgFields, engine.ArgRowFields, engine.ArgNames, engine.ArgSecrets:
		return yamlfile.Schema{"type": "object"}
	case engine.ArgRowValue:
		return yamlfile.Schema{}
	case engine.ArgSecretValue:
		if f.Takes.Kind == formula.Record {
			return compile.OrFormula(yamlfile.Schema{"type": "object"})
		}
		return yamlfile.Schema{}
	}
	if f.Type.Kind() == reflect.Interface {
		return yamlfile.Schema{}
	}
	s, _ := typeSchema(f.Takes).Ruled(f.Rules)
	if f.Suggest != nil {
		return suggestions(f.Suggest(), s)
	}
	if f.Takes.Kind == formula.String && s["enum"] == nil {
		return s // a formula is also text
	}
	return compile.OrFormula(s)
}

// suggestions takes any value of others. An editor offers the values of the list.
func suggestions(list []engine.Suggestion, others yamlfile.Schema) yamlfile.Schema {
	var of []yamlfile.Schema
	for _, s := range list {
		of = append(of, yamlfile.ConstSchema(s.Value, s.Doc))
	}
	return yamlfile.AnySchema(append(of, others)...)
}

func typeSchema(t formula.Type) yamlfile.Schema {
	switch t.Kind {
	case formula.Int:
		return yamlfile.Schema{"type": "integer"}
	case formula.Number:
		return yamlfile.Schema{"type": "number"}
	case formula.String:
		return yamlfile.TextSchema()
	case formula.Bool:
		return yamlfile.Schema{"type": "boolean"}
	case formula.List:
		return yamlfile.Schema{"type": "array"}
	case formula.Record:
		return yamlfile.Schema{"type": "object"}
	}
	return yamlfile.Schema{}
}
