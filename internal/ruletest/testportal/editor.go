package testportal

import (
	"maps"

	"github.com/b24rules/b24rules/internal/yamlfile"
)

// idKeys is the schema of a mapping from ids to values.
func IdKeys(values yamlfile.Schema) yamlfile.Schema {
	return yamlfile.Schema{
		"type": []string{"object", "null"}, "propertyNames": yamlfile.Schema{"pattern": "^[1-9][0-9]*$"},
		"additionalProperties": values,
	}
}

// NodeSchema implements yamlfile.NodeSchema.
func (cs *columns) NodeSchema() yamlfile.Schema {
	return yamlfile.MapSchema(yamlfile.AnySchema(
		yamlfile.Schema{"type": "string"}, yamlfile.ListSchema(yamlfile.TextSchema()), yamlfile.SchemaFor[columnForm](),
	))
}

// NodeSchema implements yamlfile.NodeSchema.
func (p *Setup) NodeSchema() yamlfile.Schema {
	return yamlfile.AnySchema(yamlfile.EnumSchema("demo"), yamlfile.SchemaFor[setupForm]())
}

// NodeSchema implements yamlfile.NodeSchema.
func (fs *Fields) NodeSchema() yamlfile.Schema {
	return yamlfile.Schema{"type": []string{"object", "null"}}
}

// NodeSchema implements yamlfile.NodeSchema.
func (es *items) NodeSchema() yamlfile.Schema {
	rows := yamlfile.ListSchema(yamlfile.SchemaFor[Fields]()).Described("the product rows, with the fields of crm.item.productrow", "[{productName: Tile, price: 10.5, quantity: 3}]", "")
	return IdKeys(yamlfile.Schema{"type": []string{"object", "null"}, "properties": yamlfile.Schema{RowsKey: rows}})
}

// NodeSchema implements yamlfile.NodeSchema.
func (es *elements) NodeSchema() yamlfile.Schema {
	return yamlfile.ListSchema(yamlfile.AnySchema(yamlfile.SchemaFor[elementForm](), yamlfile.SchemaFor[Fields]()))
}

// kindKeys is the schema of a mapping from kinds of items to values. doc says what those of
// a kind are.
func kindKeys(doc string, values yamlfile.Schema) yamlfile.Schema {
	properties := yamlfile.Schema{}
	for _, key := range BuiltinKeys {
		properties[key] = maps.Clone(values).Described(doc+" of "+key, "", "")
	}
	return yamlfile.Schema{
		"type": []string{"object", "null"}, "properties": properties,
		"patternProperties": yamlfile.Schema{"^[1-9][0-9]{2,}$": values}, "additionalProperties": false,
	}
}

// NodeSchema implements yamlfile.NodeSchema.
func (ps *pipelines) NodeSchema() yamlfile.Schema {
	return kindKeys("the pipelines, by id,", yamlfile.Schema{
		"type": []string{"object", "null"}, "propertyNames": yamlfile.Schema{"pattern": "^[0-9]+$"},
		"additionalProperties": yamlfile.SchemaFor[pipelineForm](),
	})
}

// NodeSchema implements yamlfile.NodeSchema.
func (ss *stages) NodeSchema() yamlfile.Schema {
	return yamlfile.MapSchema(yamlfile.AnySchema(yamlfile.EnumSchema(semantics[:]...), yamlfile.SchemaFor[stageForm]()))
}

// NodeSchema implements yamlfile.NodeSchema.
func (rs *relations) NodeSchema() yamlfile.Schema {
	return kindKeys("the kinds whose items can be parents", yamlfile.ListSchema(yamlfile.ScalarSchema()))
}

// NodeSchema implements yamlfile.NodeSchema.
func (us *users) NodeSchema() yamlfile.Schema { return IdKeys(yamlfile.SchemaFor[userForm]()) }
