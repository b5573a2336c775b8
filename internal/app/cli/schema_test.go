package cli

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/internal/app/testkit"
)

var updateSchemas = flag.Bool("update-schemas", false, "write the files of schemas/")

// TestGeneratedSchemas holds schemas/ against what `b24rules schema` prints.
func TestGeneratedSchemas(t *testing.T) {
	for _, s := range fileSchemas {
		want, err := s.build(actions.All)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("../../../schemas", s.file())
		if *updateSchemas {
			if err := os.WriteFile(path, want, 0o666); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not current: run make gen (%v)", path, err)
		}
	}
}

// compiledSchema reads a schema as a validator does.
func compiledSchema(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	s, err := schemaNamed(name)
	if err != nil {
		t.Fatal(err)
	}
	text, err := s.build(actions.All)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(s.file(), doc); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile(s.file())
	if err != nil {
		t.Fatalf("%s is no schema of its draft: %v", s.file(), err)
	}
	return compiled
}

// asJSON reads a file as editors do: as JSON with other brackets.
func asJSON(t *testing.T, text []byte) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return jsonKeys(v)
}

func jsonKeys(v any) any {
	switch x := v.(type) {
	case map[string]any:
		for k, e := range x {
			x[k] = jsonKeys(e)
		}
	case map[any]any:
		out := map[string]any{}
		for k, e := range x {
			key, _ := yaml.Marshal(k)
			out[strings.TrimSpace(string(key))] = jsonKeys(e)
		}
		return out
	case []any:
		for i, e := range x {
			x[i] = jsonKeys(e)
		}
	}
	return v
}

// TestSchemasTakeWhatIsRight holds that no editor marks a file that validate
// takes: the examples of the manual and what ships.
func TestSchemasTakeWhatIsRight(t *testing.T) {
	rules, tests, config := compiledSchema(t, "rules"), compiledSchema(t, "tests"), compiledSchema(t, "config")
	right := 0
	check := func(what string, schema *jsonschema.Schema, text []byte) {
		if err := schema.Validate(asJSON(t, text)); err != nil {
			t.Errorf("%s: %v\n%.600s", what, err, text)
		}
		right++
	}
	for _, e := range examples() {
		for _, f := range e.files() {
			text := string(f.Data)
			switch {
			case !e.good || strings.Contains(text, "b24rules: allow") && e.code == "bad-allow":
			case strings.Contains(text, "webhook:"):
				check(e.code, config, f.Data)
			case strings.HasPrefix(strings.TrimSpace(text), "version:"):
				check(e.code, rules, f.Data)
			}
		}
	}
	for pattern, schema := range map[string]*jsonschema.Schema{
		"../../../rules/*_test.yaml": tests, "../../../rules/*.yaml": rules, "../../../docs/examples/b24rules.yaml": config, "../../../docs/examples/emulator.yaml": config,
	} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no %s: %v", pattern, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.yaml") != (schema == tests) {
				continue
			}
			check(file, schema, []byte(testkit.ReadFile(t, file)))
		}
	}
	if right < 80 {
		t.Errorf("only %d files were tried", right)
	}
}

// schemaCodes are the codes whose mistakes an editor sees by the schema.
var schemaCodes = []string{
	"unknown-key", "unknown-action", "unknown-event", "missing-key", "missing-argument", "bad-name",
}

// TestSchemasRefuseWhatIsWrong holds that editors see the mistakes in keys,
// actions, arguments and events while one types.
func TestSchemasRefuseWhatIsWrong(t *testing.T) {
	rules := compiledSchema(t, "rules")
	var seen []string
	for _, e := range examples() {
		if e.good || !slices.Contains(schemaCodes, e.code) {
			continue
		}
		for _, f := range e.files() {
			if !strings.HasPrefix(strings.TrimSpace(string(f.Data)), "version:") {
				continue
			}
			if err := rules.Validate(asJSON(t, f.Data)); err == nil {
				t.Errorf("%s: the schema takes\n%s", e.code, f.Data)
			}
			seen = append(seen, e.code)
		}
	}
	slices.Sort(seen)
	if missing := len(schemaCodes) - len(slices.Compact(seen)); missing > 0 {
		t.Errorf("%d of %q have no bad example", missing, schemaCodes)
	}
}

// TestSchemasDescribeKeys requires hover text for every key that has a name.
func TestSchemasDescribeKeys(t *testing.T) {
	for _, s := range fileSchemas {
		text, err := s.build(actions.All)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range undescribed(doc, "") {
			t.Errorf("%s: no description at %s", s.file(), path)
		}
	}
}

// undescribed lists the properties of a schema without a description.
func undescribed(v any, path string) (out []string) {
	switch x := v.(type) {
	case map[string]any:
		for k, e := range x {
			switch k {
			case "examples", "default": // data
			case "properties":
				properties, _ := e.(map[string]any)
				for name, p := range properties {
					if about, _ := p.(map[string]any); about["description"] == nil {
						out = append(out, path+"/"+name)
					}
					out = append(out, undescribed(p, path+"/"+name)...)
				}
			default:
				out = append(out, undescribed(e, path+"/"+k)...)
			}
		}
	case []any:
		for _, e := range x {
			out = append(out, undescribed(e, path)...)
		}
	}
	return out
}

const brokenRules = `version: 2
rules:
  Bad Id:
    on: [ONCRMDEALUPDAET, ONCRMDEALADD]
    debounce: 2
  more:
    on: ONCRMINVOICEADD
    step: []
    steps:
      - idd: rows
        fetch_products: {owner: dael, id: five}
      - fetch_item: {owner: deal}
      - retry: 500
        log: {message: hello, levl: info}
      - delete_items: {owner: deal, filter: {title: a}, limit: 50.5}
`

// TestEditorFindings starts the real language server: right files have no
// findings, a wrong one has those that its places show.
func TestEditorFindings(t *testing.T) {
	t.Parallel()
	e := startEditor(t, nil)
	ours := regexp.MustCompile(`(?m)^# yaml-language-server:.*\n`)
	for file, schema := range map[string]string{
		"../../../rules/deal-shipments.yaml": "rules", "../../../rules/invoice-total.yaml": "rules",
		"../../../rules/deal-shipments_test.yaml": "tests", "../../../docs/examples/b24rules.yaml": "config",
	} {
		text := ours.ReplaceAllString(testkit.ReadFile(t, file), "")
		if _, findings := e.open(filepath.Base(file), schema, text); len(findings) > 0 {
			t.Errorf("%s: %q", file, findings)
		}
	}
	_, got := e.open("broken.yaml", "rules", brokenRules)
	slices.Sort(got)
	want := []string{
		`10:9 Property idd is not allowed.`,
		`11:33 Value is not accepted. Valid values: "deal", "lead", "quote", "smart_invoice".`,
		`11:43 Incorrect type. Expected "integer".`,
		`12:9 Missing property "id".`,
		`13:16 Value is above the maximum of 100.`,
		`14:31 Property levl is not allowed.`,
		`15:64 Incorrect type. Expected "integer | string".`,
		`1:10 Value must be 1.`,
		`3:3 use at most 64 lower-case letters, digits, - and _, start with a letter, and do not end with -`,
		`4:10 Bitrix24 has no event with this code`,
		`5:15 Incorrect type. Expected "string | object(debounce)".`,
		`7:5 this event belongs to a part of the CRM that Bitrix24 no longer develops`,
		`8:5 Property step is not allowed.`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got)\n%s", diff)
	}
}

// TestEditorHelp is what the language server offers and shows at a place.
func TestEditorHelp(t *testing.T) {
	t.Parallel()
	e := startEditor(t, nil)
	const rule = "version: 1\nrules:\n  a:\n    on: ONCRMDEALADD\n"
	for _, tt := range []struct {
		name, schema, text string
		offers             []string
		not                []string
	}{
		{"event", "rules", "version: 1\nrules:\n  a:\n    on: ¦\n", []string{"ONCRMDEALADD", "ONCRMDYNAMICITEMUPDATE"}, []string{"ONCRMINVOICEADD"}},
		{"event in a list", "rules", "version: 1\nrules:\n  a:\n    on: [¦]\n", []string{"ONCRMDEALADD", "ONCRMLEADDELETE"}, []string{"ONCRMINVOICEADD"}},
		{"key of a rule", "rules", rule + "    ¦\n", []string{"debounce", "deleted", "limits", "steps", "when"}, []string{"on"}},
		{"action", "rules", rule + "    steps:\n      - ¦\n", []string{"compute", "fetch_products", "for_each", "sync_elements", "upsert_item", "when"}, nil},
		{"argument", "rules", rule + "    steps:\n      - sync_elements:\n          list: 7\n          ¦\n", []string{"delete_limit", "foreign", "key", "match", "scope"}, []string{"list"}},
		{"word of an argument", "rules", rule + "    steps:\n      - sync_elements:\n          foreign: ¦\n", []string{"keep", "remove"}, nil},
		{"method", "rules", rule + "    steps:\n      - call:\n          method: ¦\n", []string{"crm.timeline.comment.add", "tasks.task.add"}, nil},
		{"step of a test", "tests", "tests:\n  - name: a\n    ¦\n", []string{"calls", "event", "expect", "given", "skip_proofs"}, []string{"name"}},
		{"proof", "tests", "tests:\n  - name: a\n    skip_proofs:\n      ¦\n", []string{"crash", "doubled", "second_run"}, nil},
		{"key of a portal", "config", "portals:\n  a:\n    ¦\n", []string{"application_token", "inputs", "plan", "webhook"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := e.complete(strings.ReplaceAll(tt.name, " ", "-")+".yaml", tt.schema, tt.text)
			for _, w := range tt.offers {
				if !slices.Contains(got, w) {
					t.Errorf("%s is not offered, but %.600q", w, got)
				}
			}
			for _, w := range tt.not {
				if slices.Contains(got, w) {
					t.Errorf("%s is offered", w)
				}
			}
		})
	}
	for _, tt := range []struct{ name, schema, text, want string }{
		{"hover event", "rules", "version: 1\nrules:\n  a:\n    on: [ONCRM¦DEALADD]\n", "a deal was added; carries ID"},
		{"hover action", "rules", rule + "    steps:\n      - sync_el¦ements: {}\n", "keep one element of a universal list for each row"},
		{"hover argument", "rules", rule + "    steps:\n      - sync_elements:\n          for¦eign: keep\n", "Default: `keep`"},
		{"hover option", "rules", rule + "    steps:\n      - onc¦e: =event.id\n", "differs from its value in the last successful run"},
		{"hover rule", "rules", "version: 1\nrules:\n  a:\n    deb¦ounce: 2s\n", "max: 1m"},
		{"hover test", "tests", "tests:\n  - na¦me: a\n", "the expected behaviour in words"},
		{"hover config", "config", "portals:\n  a:\n    pl¦an: standard\n", "* `enterprise`"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := e.hover(strings.ReplaceAll(tt.name, " ", "-")+".yaml", tt.schema, tt.text); !strings.Contains(got, tt.want) {
				t.Errorf("the editor shows\n%s\nwithout %q", got, tt.want)
			}
		})
	}
}
