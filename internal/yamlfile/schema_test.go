package yamlfile_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// speaking decodes itself and has a schema.
type speaking struct{}

func (s *speaking) UnmarshalNode(*yamlfile.File, *yaml.Node) diag.List { return nil }
func (s *speaking) NodeSchema() yamlfile.Schema                        { return yamlfile.EnumSchema("a", "b") }

// silent decodes itself and has no schema.
type silent struct{}

func (s *silent) UnmarshalNode(*yamlfile.File, *yaml.Node) diag.List { return nil }

func TestSchemaFor(t *testing.T) {
	type inner struct {
		Wait time.Duration `yaml:"wait" doc:"how long" default:"2s"`
	}
	type outer struct {
		Name  string           `yaml:"name" validate:"required,min=2" doc:"its name"`
		Count *int             `yaml:"count" validate:"omitempty,min=1,max=9" example:"5"`
		Kind  string           `yaml:"kind" validate:"oneof=x y"`
		Words speaking         `yaml:"words"`
		All   []inner          `yaml:"all" validate:"max=3"`
		By    map[string]inner `yaml:"by" example:"{1: {wait: 1s}}"`
		Any   any              `yaml:"any"`
		Inner inner            `yaml:",inline"`
		None  string           `yaml:"-"`
	}
	got, err := json.MarshalIndent(yamlfile.SchemaFor[outer](), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	const wait = `{"type":"string","pattern":"^([0-9]+(\\.[0-9]+)?(ns|us|ms|s|m|h))+$","patternErrorMessage":"expected a duration such as 500ms, 2s or 5m",
	 "title":"wait","description":"how long\n\nDefault: ` + "`2s`" + `","markdownDescription":"how long\n\nDefault: ` + "`2s`" + `","default":"2s"}`
	const innerSchema = `{"type":["object","null"],"additionalProperties":false,"properties":{"wait":` + wait + `}}`
	const want = `{"type":"object","additionalProperties":false,"required":["name"],"properties":{
	 "name":{"type":["string","number"],"minLength":2,"title":"name","description":"its name","markdownDescription":"its name"},
	 "count":{"type":"integer","minimum":1,"maximum":9,"examples":[5],"title":"count"},
	 "kind":{"enum":["x","y"],"title":"kind"},
	 "words":{"enum":["a","b"],"title":"words"},
	 "all":{"type":["array","null"],"maxItems":3,"items":` + innerSchema + `,"title":"all"},
	 "by":{"type":["object","null"],"additionalProperties":` + innerSchema + `,"title":"by","examples":[{"1":{"wait":"1s"}}]},
	 "any":{"title":"any"},
	 "wait":` + wait + `}}`
	if diff := cmp.Diff(decoded(t, []byte(want)), decoded(t, got)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func decoded(t *testing.T, text []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestSchemaForPanics checks that SchemaFor omits no rule silently.
func TestSchemaForPanics(t *testing.T) {
	for name, build := range map[string]func() yamlfile.Schema{
		"a type that decodes itself": yamlfile.SchemaFor[silent],
		"a channel":                  yamlfile.SchemaFor[chan int],
		"an unknown rule": yamlfile.SchemaFor[struct {
			A string `validate:"isbn"`
		}],
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			build()
		}()
	}
}
