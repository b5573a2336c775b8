package engine

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"b24rules/engine/formula"
	"b24rules/schemas"
)

// object is a JSON object whose keys encoding/json writes in sorted order.
type object = map[string]any

// formulaPattern is text that is a formula: "=" and something else than "=".
const formulaPattern = "^=[^=]"

// Schema returns the JSON Schema of rule files for editors. It is made of the
// same structs that the compiler decodes into, so completion and hover text
// cannot differ from what the engine takes.
func Schema(actions []*Action) ([]byte, error) {
	steps := ref("steps")
	root := object{
		"$schema":              "http://json-schema.org/draft-07/schema#",
		"title":                "b24rules rule file",
		"type":                 "object",
		"required":             []string{"version", "rules"},
		"additionalProperties": false,
		"properties": object{
			"version": object{"const": Version, "description": "version of the rule language"},
			"title":   text("what the file is for"),
			"inputs":  object{"type": "object", "description": "what a portal's configuration supplies", "additionalProperties": ref("input")},
			"vars":    object{"type": "object", "description": "constants of the file; each sees the inputs and the vars before it"},
			"rules":   object{"type": "object", "description": "the rules by their ids", "minProperties": 1, "additionalProperties": ref("rule")},
		},
		"definitions": object{
			"input": object{
				"type": "object", "required": []string{"type"}, "additionalProperties": false,
				"properties": object{
					"type":    object{"enum": []string{"integer", "number", "string", "boolean"}},
					"title":   text("what the configuration should say here"),
					"default": object{"type": []string{"string", "number", "boolean"}},
				},
			},
			"formula": object{"type": "string", "pattern": formulaPattern},
			"event":   eventSchema(),
			"rule":    ruleSchema(steps),
			"steps":   object{"type": "array", "minItems": 1, "items": ref("step")},
			"step":    stepSchema(actions, steps),
		},
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(root)
	return buf.Bytes(), err
}

func ref(name string) object { return object{"$ref": "#/definitions/" + name} }

func text(description string) object {
	return object{"type": "string", "description": description}
}

// described adds a description to a schema without changing the original.
func described(s object, description string) object {
	out := object{"description": description}
	for k, v := range s {
		out[k] = v
	}
	return out
}

// orFormula takes a value of a type or a formula that gives one.
func orFormula(s object, description string) object {
	return object{"description": description, "anyOf": []any{s, ref("formula")}}
}

func eventSchema() object {
	var codes []string
	for _, e := range schemas.Events() {
		codes = append(codes, e.Code)
	}
	return object{"anyOf": []any{
		object{"enum": codes},
		object{"type": "string", "pattern": "^[Oo][Nn][A-Za-z]+(_[0-9]+)?$"},
	}}
}

func ruleSchema(steps object) object {
	events := object{"anyOf": []any{ref("event"), object{"type": "array", "minItems": 1, "items": ref("event")}}}
	duration := object{"type": "string", "pattern": `^([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+$`}
	number := object{"type": "integer", "minimum": 1}
	return object{
		"type": "object", "required": []string{"on"}, "additionalProperties": false,
		"properties": object{
			"title": text("what the rule does, for people"),
			"on": object{"description": "the events that the rule hears", "anyOf": []any{
				ref("event"),
				object{"type": "array", "minItems": 1, "items": ref("event")},
				object{"type": "object", "required": []string{"events"}, "additionalProperties": false, "properties": object{
					"events":       events,
					"entityTypeId": object{"description": "type of the items, 31 for smart invoices", "anyOf": []any{number, object{"const": "any"}}},
				}},
			}},
			"when":    orFormula(object{"type": "boolean"}, "the rule runs only when this formula of event and inputs is true"),
			"steps":   described(steps, "what to do for an entity that exists"),
			"deleted": described(steps, "what to do for an entity that is gone; on then lists its delete event"),
			"entity":  described(ref("formula"), "what the event is about, when it is not the id that the event carries"),
			"owner":   text("the name under which syncs own what they made; the rule's id by default"),
			"debounce": object{"description": "how long the entity must be quiet before a run starts", "anyOf": []any{
				duration,
				object{"type": "object", "additionalProperties": false, "properties": object{"quiet": duration, "max": duration}},
			}},
			"limits":  object{"type": "object", "additionalProperties": false, "properties": object{"calls": number, "deletes": number}},
			"portals": object{"type": "array", "items": object{"type": "string"}, "description": "the portals that the rule is for; all by default"},
		},
	}
}

func stepSchema(actions []*Action, steps object) object {
	properties := object{
		"id":       object{"type": "string", "pattern": "^[a-z][a-z0-9_]*$", "description": "name under which later steps see the result"},
		"when":     orFormula(object{"type": "boolean"}, "the step runs only when this is true"),
		"once":     described(ref("formula"), "the step runs only when this differs from its value at the last successful run for the entity"),
		"for_each": orFormula(object{"type": "array"}, "runs the step for each element, as row and index"),
		"limit":    object{"type": "integer", "minimum": 1, "description": "how many elements for_each takes"},
		"timeout":  text("longest time that the step may take, such as 30s"),
		"retry":    object{"type": "integer", "minimum": 1, "maximum": 100, "description": "attempts before the run is parked"},
		"on_error": object{"description": "what follows a failure for good: park the run, skip the step, or other steps", "anyOf": []any{
			object{"enum": []string{"park", "skip"}}, steps,
		}},
	}
	for _, a := range actions {
		properties[a.Name] = a.schema()
	}
	return object{"type": "object", "additionalProperties": false, "properties": properties}
}

func (a *Action) schema() object {
	if a.args.typ == typeNames {
		return object{"type": "object", "minProperties": 1, "description": a.Doc}
	}
	properties := object{}
	var required []string
	for _, f := range a.args.fields {
		properties[f.Name] = f.schema()
		if f.Required {
			required = append(required, f.Name)
		}
	}
	out := object{"type": "object", "description": a.Doc, "additionalProperties": false, "properties": properties}
	if len(required) > 0 {
		slices.Sort(required)
		out["required"] = required
		return out
	}
	// A step may be just "- log:" where nothing is required.
	out["type"] = []string{"object", "null"}
	return out
}

func (f *argField) schema() object {
	description := f.Doc
	if f.Example != "" {
		description += "\n\nExample: " + f.Example
	}
	switch f.kind {
	case argDuration:
		return text(description)
	case argFields, argRowFields, argNames:
		return object{"type": "object", "description": description}
	case argRowValue:
		return object{"description": description}
	}
	if f.Type.Kind() == reflect.Interface {
		return object{"description": description}
	}
	return orFormula(ruled(typeSchema(f.typ), f.Rules), description)
}

func typeSchema(t formula.Type) object {
	switch t.Kind {
	case formula.Int:
		return object{"type": "integer"}
	case formula.Number:
		return object{"type": "number"}
	case formula.String:
		return object{"type": "string"}
	case formula.Bool:
		return object{"type": "boolean"}
	case formula.List:
		return object{"type": "array"}
	case formula.Record:
		return object{"type": "object"}
	}
	return object{}
}

// ruled adds what validator rules say to a schema.
func ruled(s object, rules string) object {
	for rule := range strings.SplitSeq(rules, ",") {
		name, param, _ := strings.Cut(rule, "=")
		n, err := strconv.Atoi(param)
		switch {
		case name == "oneof":
			return object{"enum": strings.Fields(param)}
		case name == "min" && err == nil && s["type"] != "string":
			s["minimum"] = n
		case name == "max" && err == nil && s["type"] != "string":
			s["maximum"] = n
		}
	}
	return s
}
