package config

import "github.com/b24rules/b24rules/internal/yamlfile"

// Schema returns the JSON Schema of the configuration for editors. It is made from the
// structs that hold the configuration.
func Schema() yamlfile.Schema {
	root := yamlfile.SchemaFor[layout]()
	root["type"], root["required"] = "object", []string{"rules", "portals"}
	root["$schema"] = yamlfile.SchemaDraft
	root["title"] = "b24rules configuration"
	return root
}

// NodeSchema implements yamlfile.NodeSchema.
func (s *scalar) NodeSchema() yamlfile.Schema { return yamlfile.TextSchema() }

// NodeSchema implements yamlfile.NodeSchema.
func (s *scalars) NodeSchema() yamlfile.Schema {
	return yamlfile.AnySchema(yamlfile.TextSchema(), yamlfile.ListSchema(yamlfile.TextSchema()))
}

// NodeSchema implements yamlfile.NodeSchema.
func (l *listenBlock) NodeSchema() yamlfile.Schema {
	return yamlfile.AnySchema(yamlfile.TextSchema(), yamlfile.SchemaFor[httpsFile]())
}

// NodeSchema implements yamlfile.NodeSchema.
func (o *oauthBlock) NodeSchema() yamlfile.Schema { return yamlfile.SchemaFor[oauthFile]() }

// NodeSchema implements yamlfile.NodeSchema.
func (c *catchUpBlock) NodeSchema() yamlfile.Schema {
	return yamlfile.AnySchema(yamlfile.EnumSchema("on", "off"), yamlfile.Schema{"type": "boolean"}, yamlfile.SchemaFor[catchUpFile]())
}

// NodeSchema implements yamlfile.NodeSchema.
func (p *portalFiles) NodeSchema() yamlfile.Schema {
	return yamlfile.AnySchema(yamlfile.Schema{
		"type": "object", "minProperties": 1, "propertyNames": yamlfile.Schema{"pattern": portalName.String()},
		"additionalProperties": yamlfile.SchemaFor[portalFile](),
	}, yamlfile.Schema{"type": "string"})
}

// NodeSchema implements yamlfile.NodeSchema.
func (p *portalBlock) NodeSchema() yamlfile.Schema { return yamlfile.SchemaFor[portalFile]() }

// NodeSchema implements yamlfile.NodeSchema.
func (u *uses) NodeSchema() yamlfile.Schema {
	return yamlfile.MapSchema(yamlfile.AnySchema(yamlfile.MapSchema(yamlfile.ScalarSchema()), yamlfile.EnumSchema("on", "off"), yamlfile.Schema{"type": []string{"boolean", "null"}}))
}

// NodeSchema implements yamlfile.NodeSchema.
func (t *Inputs) NodeSchema() yamlfile.Schema {
	return yamlfile.MapSchema(yamlfile.MapSchema(yamlfile.ScalarSchema()))
}

// NodeSchema implements yamlfile.NodeSchema.
func (k *retention) NodeSchema() yamlfile.Schema {
	return yamlfile.PatternSchema(`^(forever|[1-9][0-9]*d|([0-9]+(\.[0-9]+)?(ms|s|m|h))+)$`, "want days or hours such as 30d or 12h, or forever")
}
