package diag_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/b24rules/b24rules/internal/diag"
)

// sarifRequired is the part of the SARIF 2.1.0 schema that a log of ours can
// break: the required properties, types, enumerations and minimums of what is
// written, and that nothing else is.
// https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json
const sarifRequired = `{
 "type": "object", "required": ["version", "runs"], "additionalProperties": false,
 "properties": {
  "$schema": {"type": "string"}, "version": {"enum": ["2.1.0"]},
  "runs": {"type": "array", "minItems": 0, "items": {
   "type": "object", "required": ["tool"], "additionalProperties": false,
   "properties": {
    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
    "tool": {"type": "object", "required": ["driver"], "additionalProperties": false, "properties": {"driver": {
     "type": "object", "required": ["name"], "additionalProperties": false,
     "properties": {"name": {"type": "string"}, "version": {"type": "string"}, "rules": {"type": "array", "uniqueItems": true, "items": {
      "type": "object", "required": ["id"], "additionalProperties": false,
      "properties": {"id": {"type": "string"}, "shortDescription": {"$ref": "#/$defs/text"}, "help": {"$ref": "#/$defs/text"},
       "defaultConfiguration": {"type": "object", "additionalProperties": false, "properties": {"level": {"$ref": "#/$defs/level"}}}}}}}}}},
    "results": {"type": "array", "items": {
     "type": "object", "required": ["message"], "additionalProperties": false,
     "properties": {"ruleId": {"type": "string"}, "ruleIndex": {"type": "integer", "minimum": -1}, "level": {"$ref": "#/$defs/level"},
      "message": {"type": "object", "anyOf": [{"required": ["text"]}, {"required": ["id"]}], "properties": {"text": {"type": "string"}}},
      "locations": {"type": "array", "items": {"type": "object", "additionalProperties": false, "properties": {"physicalLocation": {
       "type": "object", "anyOf": [{"required": ["address"]}, {"required": ["artifactLocation"]}], "additionalProperties": false,
       "properties": {"artifactLocation": {"type": "object", "properties": {"uri": {"type": "string", "format": "uri-reference"}}},
        "region": {"type": "object", "additionalProperties": false, "properties": {
         "startLine": {"type": "integer", "minimum": 1}, "startColumn": {"type": "integer", "minimum": 1},
         "endLine": {"type": "integer", "minimum": 1}, "endColumn": {"type": "integer", "minimum": 1}}}}}}}}}}}}}}},
 "$defs": {"level": {"enum": ["none", "note", "warning", "error"]},
  "text": {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}, "markdown": {"type": "string"}}}}
}`

func TestWriteSARIF(t *testing.T) {
	list := diag.List{
		{Pos: diag.Pos{File: "rules/сделка 1.yaml", Line: 2, Column: 5}, EndLine: 2, EndColumn: 10, Code: "x", Message: "a", Hint: "h"},
		{Pos: diag.Pos{File: "/abs/a.yaml", Line: 3, Column: 1}, Severity: diag.Warning, Code: "y", Message: "b"},
		{Pos: diag.Pos{File: "a.yaml"}, Severity: diag.Warning, Code: "x", Message: "c"},
		{Code: "z", Message: "nowhere"},
	}
	help := func(code string) (string, bool) { return "# " + code + "\n\nFirst of\nall. More.\n", code == "x" }
	for name, l := range map[string]diag.List{"some": list, "none": nil} {
		var b bytes.Buffer
		if err := diag.WriteSARIF(&b, l, diag.Tool{Name: "b24rules", Version: "v1", Help: help}); err != nil {
			t.Fatal(err)
		}
		schema, err := jsonschema.UnmarshalJSON(strings.NewReader(sarifRequired))
		if err != nil {
			t.Fatal(err)
		}
		c := jsonschema.NewCompiler()
		c.AssertFormat()
		if err := c.AddResource("sarif.json", schema); err != nil {
			t.Fatal(err)
		}
		instance, err := jsonschema.UnmarshalJSON(&b)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.MustCompile("sarif.json").Validate(instance); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	var b bytes.Buffer
	if err := diag.WriteSARIF(&b, list, diag.Tool{Name: "b24rules", Help: help}); err != nil {
		t.Fatal(err)
	}
	var log struct {
		Runs []struct {
			Tool struct {
				Driver struct {
					Rules []struct {
						ID                   string
						ShortDescription     struct{ Text string }
						DefaultConfiguration struct{ Level string }
					}
				}
			}
			Results []struct {
				RuleIndex int
				RuleID    string
				Locations []struct {
					PhysicalLocation struct {
						ArtifactLocation struct{ URI string }
						Region           *struct{ StartLine, StartColumn, EndLine, EndColumn int }
					}
				}
			}
		}
	}
	if err := json.Unmarshal(b.Bytes(), &log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	rules := run.Tool.Driver.Rules
	if len(rules) != 3 || rules[0].ID != "x" || rules[0].ShortDescription.Text != "First of all." || rules[0].DefaultConfiguration.Level != "error" || rules[1].DefaultConfiguration.Level != "warning" {
		t.Errorf("rules %+v", rules)
	}
	for i, r := range run.Results {
		if rules[r.RuleIndex].ID != r.RuleID {
			t.Errorf("result %d points at rule %d", i, r.RuleIndex)
		}
	}
	at := run.Results[0].Locations[0].PhysicalLocation
	if at.ArtifactLocation.URI != "rules/%D1%81%D0%B4%D0%B5%D0%BB%D0%BA%D0%B0%201.yaml" || at.Region == nil || *at.Region != struct{ StartLine, StartColumn, EndLine, EndColumn int }{2, 5, 2, 10} {
		t.Errorf("place %+v %+v", at, at.Region)
	}
	if uri := run.Results[1].Locations[0].PhysicalLocation.ArtifactLocation.URI; uri != "file:///abs/a.yaml" {
		t.Errorf("absolute path is %s", uri)
	}
	if run.Results[2].Locations[0].PhysicalLocation.Region != nil || len(run.Results[3].Locations) != 0 {
		t.Error("an unknown place has a region or location")
	}
}
