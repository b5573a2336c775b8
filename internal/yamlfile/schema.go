package yamlfile

import (
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Schema is a JSON Schema, or a part of one. Editors use it to check and complete a file
// while a person writes it.
type Schema map[string]any

// NodeSchema is implemented by types that decode themselves (NodeUnmarshaler). It describes
// the values that they take. It is called on a zero value.
type NodeSchema interface {
	NodeSchema() Schema
}

// SchemaDraft is the version of JSON Schema that editors read best.
const SchemaDraft = "http://json-schema.org/draft-07/schema#"

// SchemaFor returns the schema of the values that Decode reads into a T. In addition to the
// tags of Decode, a field may have these: doc is its description; example is one of its
// values, in YAML; default is its value when the key is missing, in YAML; words lists the
// values of a field that decodes and checks itself.
//
// It panics for a `validate` tag or a type that it cannot express, because a schema that
// omits a rule accepts wrong files.
func SchemaFor[T any]() Schema { return schemaOf(reflect.TypeFor[T]()) }

// TextSchema takes text, also text that looks like a number: 007. It does not say that true
// is text too, because editors would offer it.
func TextSchema() Schema { return Schema{"type": []string{"string", "number"}} }

// ScalarSchema takes any one value.
func ScalarSchema() Schema { return Schema{"type": []string{"string", "number", "boolean"}} }

// PatternSchema takes text that a regular expression matches. An editor shows message for
// other text.
func PatternSchema(pattern, message string) Schema {
	return Schema{"type": "string", "pattern": pattern, "patternErrorMessage": message}
}

// DurationSchema takes a duration.
func DurationSchema() Schema {
	return PatternSchema(`^([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+$`, "expected a duration such as 500ms, 2s or 5m")
}

// ListSchema takes a list whose entries match items.
func ListSchema(items Schema) Schema {
	return Schema{"type": []string{"array", "null"}, "items": items}
}

// MapSchema takes a mapping with any keys, whose values match values.
func MapSchema(values Schema) Schema {
	return Schema{"type": []string{"object", "null"}, "additionalProperties": values}
}

// AnySchema takes a value that matches one of several schemas.
func AnySchema(of ...Schema) Schema { return Schema{"anyOf": of} }

// EnumSchema takes one of a few words.
func EnumSchema(words ...string) Schema { return Schema{"enum": words} }

// ConstSchema takes one word; doc says what it means.
func ConstSchema(word, doc string) Schema { return Schema{"const": word}.Described(doc, "", "") }

// RefSchema refers to a definition of the schema.
func RefSchema(name string) Schema { return Schema{"$ref": "#/definitions/" + name} }

// Titled gives the schema the name that an editor shows above its text.
func (s Schema) Titled(title string) Schema {
	s["title"] = title
	return s
}

// Described returns a copy of the schema with a description: doc is Markdown, example
// and the default value are YAML. Empty ones are omitted.
func (s Schema) Described(doc, example, value string) Schema {
	out := maps.Clone(s)
	if value != "" {
		doc = strings.TrimSpace(doc + "\n\nDefault: `" + value + "`")
		out["default"] = literal(value)
	}
	if doc != "" {
		out["description"], out["markdownDescription"] = doc, doc
	}
	if example != "" {
		out["examples"] = []any{literal(example)}
	}
	return out
}

// literal reads a value in YAML. A value that is not YAML is text.
func literal(text string) any {
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		return text
	}
	return jsonValue(v)
}

// jsonValue turns keys of mappings that are numbers into text, as JSON requires.
func jsonValue(v any) any {
	switch x := v.(type) {
	case map[any]any:
		out := make(map[string]any, len(x))
		for k, e := range x {
			out[fmt.Sprint(k)] = jsonValue(e)
		}
		return out
	case map[string]any:
		for k, e := range x {
			x[k] = jsonValue(e)
		}
	case []any:
		for i, e := range x {
			x[i] = jsonValue(e)
		}
	}
	return v
}

func schemaOf(t reflect.Type) Schema {
	p := reflect.PointerTo(t)
	switch {
	case t.Kind() == reflect.Pointer:
		return schemaOf(t.Elem())
	case p.Implements(reflect.TypeFor[NodeSchema]()):
		self, _ := reflect.New(t).Interface().(NodeSchema)
		return self.NodeSchema()
	case p.Implements(reflect.TypeFor[NodeUnmarshaler]()):
		panic(fmt.Sprintf("yamlfile: %s decodes itself and has no NodeSchema", t))
	case t == durationType:
		return DurationSchema()
	case t == nodeType || t.Kind() == reflect.Interface:
		return Schema{}
	case p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) || t.Kind() == reflect.String:
		return TextSchema()
	}
	switch t.Kind() {
	case reflect.Struct:
		return structSchema(t)
	case reflect.Slice:
		return ListSchema(schemaOf(t.Elem()))
	case reflect.Map:
		return MapSchema(schemaOf(t.Elem()))
	case reflect.Bool:
		return Schema{"type": "boolean"}
	case reflect.Float32, reflect.Float64:
		return Schema{"type": "number"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return Schema{"type": "integer"}
	}
	panic(fmt.Sprintf("yamlfile: no schema for %s", t))
}

func structSchema(t reflect.Type) Schema {
	o := objectSchema{properties: Schema{}}
	o.collect(t)
	out := Schema{"type": []string{"object", "null"}, "additionalProperties": false, "properties": o.properties}
	if o.rest != nil {
		out["additionalProperties"] = o.rest
	}
	if len(o.required) > 0 {
		slices.Sort(o.required)
		out["type"], out["required"] = "object", o.required
	}
	return out
}

// objectSchema has the keys of a struct and of the structs inlined into it.
type objectSchema struct {
	properties Schema
	required   []string
	rest       Schema // of all other keys; nil forbids them
}

func (o *objectSchema) collect(t reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, inline := fieldName(f)
		switch {
		case name == "-" || !f.IsExported():
		case inline && f.Type.Kind() == reflect.Map:
			o.rest = schemaOf(f.Type.Elem())
		case inline:
			o.collect(f.Type)
		default:
			s, required := schemaOf(f.Type).Ruled(f.Tag.Get("validate"))
			if words := f.Tag.Get("words"); words != "" {
				s = EnumSchema(strings.Fields(words)...)
			}
			if required {
				o.required = append(o.required, name)
			}
			s = s.Described(f.Tag.Get("doc"), f.Tag.Get("example"), f.Tag.Get("default"))
			s["title"] = name
			o.properties[name] = s
		}
	}
}

// limitWords are the rules of a `validate` tag that are limits, with the keyword for
// numbers. Text and lists have other keywords.
var limitWords = map[string]string{"min": "minimum", "gte": "minimum", "max": "maximum", "lte": "maximum", "gt": "exclusiveMinimum", "lt": "exclusiveMaximum"}

// Ruled returns a copy of the schema with the rules of a `validate` tag, and reports
// whether the tag requires the key. Only Decode checks rules about other keys and rules
// that JSON Schema cannot express.
func (s Schema) Ruled(tag string) (out Schema, required bool) {
	out = maps.Clone(s)
	for rule := range strings.SplitSeq(tag, ",") {
		name, param, _ := strings.Cut(rule, "=")
		n, err := strconv.Atoi(param)
		switch {
		case name == "" || name == "omitempty" || strings.HasPrefix(name, "required_") || strings.HasPrefix(name, "excluded_"):
		case name == "required":
			required = true
		case name == "oneof":
			out = EnumSchema(strings.Fields(param)...)
		case limitWords[name] != "" && err == nil:
			out.limit(limitWords[name], n)
		case slices.Contains([]string{"url", "http_url", "uri", "hostname_port", "startswith", "unique"}, name) || limitWords[name] != "":
		case name == "dive":
			return out, required // the next rules are about the entries
		default:
			panic(fmt.Sprintf("yamlfile: no schema for the rule %q", rule))
		}
	}
	return out, required
}

// limit sets a limit of a number, or of the length of text and lists.
func (s Schema) limit(keyword string, n int) {
	kind, _ := s["type"].(string)
	if kinds, ok := s["type"].([]string); ok {
		kind = kinds[0]
	}
	for of, words := range map[string][2]string{"string": {"minLength", "maxLength"}, "array": {"minItems", "maxItems"}, "object": {"minProperties", "maxProperties"}} {
		if kind != of {
			continue
		}
		switch keyword {
		case "minimum":
			s[words[0]] = n
		case "maximum":
			s[words[1]] = n
		}
		return
	}
	s[keyword] = n
}
