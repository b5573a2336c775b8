package testfile

import (
	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/ruletest/testportal"
	"github.com/b24rules/b24rules/internal/yamlfile"
	"github.com/b24rules/b24rules/schemas"
)

// Schema returns the JSON Schema of test files for editors, built from the structs into
// which they are decoded.
func Schema() yamlfile.Schema {
	root := yamlfile.SchemaFor[content]()
	root["$schema"] = yamlfile.SchemaDraft
	root["title"] = "b24rules rule tests"
	return root
}

// The schemas of types with their own UnmarshalNode.

// NodeSchema implements yamlfile.NodeSchema.
func (v *name) NodeSchema() yamlfile.Schema {
	return yamlfile.Schema{"type": []string{"string", "number"}, "minLength": 1}
}

// NodeSchema implements yamlfile.NodeSchema.
func (c *Clock) NodeSchema() yamlfile.Schema { return yamlfile.TextSchema() }

// NodeSchema implements yamlfile.NodeSchema.
func (v *names) NodeSchema() yamlfile.Schema {
	return yamlfile.AnySchema(yamlfile.SchemaFor[name](), yamlfile.ListSchema(yamlfile.SchemaFor[name]()))
}

// NodeSchema implements yamlfile.NodeSchema.
func (v *value) NodeSchema() yamlfile.Schema { return yamlfile.Schema{} }

// NodeSchema implements yamlfile.NodeSchema.
func (as *Answers) NodeSchema() yamlfile.Schema {
	call := yamlfile.Schema{"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": yamlfile.SchemaFor[answerForm]()}
	return yamlfile.AnySchema(yamlfile.MapSchema(yamlfile.Schema{}), yamlfile.ListSchema(call))
}

// NodeSchema implements yamlfile.NodeSchema.
func (v *inputs) NodeSchema() yamlfile.Schema { return yamlfile.MapSchema(yamlfile.ScalarSchema()) }

// NodeSchema implements yamlfile.NodeSchema.
func (v *refusals) NodeSchema() yamlfile.Schema { return yamlfile.MapSchema(yamlfile.TextSchema()) }

// NodeSchema implements yamlfile.NodeSchema.
func (v *skips) NodeSchema() yamlfile.Schema {
	properties := yamlfile.Schema{}
	for _, p := range BuiltinChecks {
		properties[p.Name] = yamlfile.TextSchema().Described("why this rule fails the check: "+p.Doc, "", "")
	}
	return yamlfile.Schema{"type": []string{"object", "null"}, "additionalProperties": false, "properties": properties}
}

// NodeSchema implements yamlfile.NodeSchema. An editor cannot
// complete a code with an id after it, so the schema offers examples to start from.
func (e *Event) NodeSchema() yamlfile.Schema {
	var begin []yamlfile.Schema
	for _, known := range schemas.Events() {
		if known.Entity == "" || known.Legacy {
			continue
		}
		form := known.Code + " 1"
		if known.Entity == "item" {
			form = known.Code + " 31:1"
		}
		begin = append(begin, yamlfile.ConstSchema(form, known.About()))
	}
	return yamlfile.AnySchema(append(begin,
		yamlfile.Schema{"type": "string", "pattern": `^\S+(\s+([0-9]+:)?[^\s:]+)?$`},
		yamlfile.SchemaFor[eventForm](),
	)...)
}

// NodeSchema implements yamlfile.NodeSchema.
func (o *outcome) NodeSchema() yamlfile.Schema {
	word := yamlfile.EnumSchema(outcomes...)
	return yamlfile.AnySchema(word, yamlfile.MapSchema(word))
}

// NodeSchema implements yamlfile.NodeSchema.
func (fs *faults) NodeSchema() yamlfile.Schema {
	one := yamlfile.SchemaFor[emulator.Fault]()
	return yamlfile.AnySchema(one, yamlfile.ListSchema(one))
}

// NodeSchema implements yamlfile.NodeSchema.
func (c *Calls) NodeSchema() yamlfile.Schema {
	return yamlfile.ListSchema(yamlfile.Schema{
		"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": yamlfile.Schema{"type": []string{"object", "null"}},
	})
}

// NodeSchema implements yamlfile.NodeSchema.
func (w *ExpectedRecords) NodeSchema() yamlfile.Schema {
	return yamlfile.AnySchema(yamlfile.ListSchema(yamlfile.SchemaFor[testportal.Fields]()), testportal.IdKeys(yamlfile.SchemaFor[testportal.Fields]()))
}
