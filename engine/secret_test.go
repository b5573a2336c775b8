package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/load"
)

// TestSecretValues checks values, records and URLs that hold secrets: what is sent has
// them, and everything that is shown has not.
func TestSecretValues(t *testing.T) {
	type args struct {
		URL    engine.SecretURL    `yaml:"url" doc:"a URL"`
		Value  engine.SecretValue  `yaml:"value" doc:"a value"`
		Record engine.SecretRecord `yaml:"record" doc:"a record"`
	}
	const secret = `k/e?y "1"`
	for _, tt := range []struct{ name, args, url, value, record, fails string }{
		{
			"in the path and the query", `url: "https://a.example.com/{{ inputs.token }}/x?k={{ inputs.token }}&d={{ event.data.D }}"`,
			"https://a.example.com/k/e%3Fy%20%221%22/x?k=k%2Fe%3Fy+%221%22&d=a%2Fb\nhttps://a.example.com/<secret>/x?k=<secret>&d=a%2Fb", "null", "null", "",
		},
		{"a URL that is a secret", `url: =inputs.token`, secret + "\n<secret>", "null", "null", ""},
		{"a host before a secret", `url: "{{ inputs.token }}/x"`, secret + "/x\n<secret>/x", "null", "null", ""},
		{"data after a secret host", `url: "https://{{ event.data.D }}/x"`, "", "", "", "finding"},
		{"data that leads out of the path", `url: "https://a.example.com/{{ event.data.Up }}/x"`, "", "", "", "would change the path"},
		{"nested values", `value: [{a: "x {{ inputs.token }} {{ event.data.D }}", n: 1, o: =omit}, =inputs.token, =omit]`, "\n", `[{"a":"x k/e?y \"1\" a/b","n":1},"k/e?y \"1\""]` + "\n" + `[{"a":"x <secret> a/b","n":1},"<secret>"]`, "null", ""},
		{"a value of a formula", `value: =[1, 2]`, "\n", "[1,2]\n[1,2]", "null", ""},
		{"a record", `record: {"k{{ event.data.N }}": 1, t: =inputs.token}`, "\n", "null", `{"k5":1,"t":"k/e?y \"1\""}` + "\n" + `{"k5":1,"t":"<secret>"}`, ""},
		{"a record of a formula", `record: '={a: 1}'`, "\n", "null", "{\"a\":1}\n{\"a\":1}", ""},
		{"a formula that is no record", `record: =event.data.List`, "", "", "", "takes names and values, not a list"},
		{"a formula that fails", `record: {a: =number(event.data.D)}`, "", "", "", "a/b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got args
			action := engine.Define(engine.Spec[args]{
				Name: "send", Doc: "send", Effect: engine.Writes,
				Run: func(context.Context, *engine.Call, args) (any, error) { return nil, nil },
			})
			text := "version: 1\ninputs: {token: {type: secret}}\nrules:\n  r:\n    on: ONCRMDEALUPDATE\n    steps:\n      - send:\n          " + tt.args + "\n"
			set, list := load.File("r.yaml", []byte(text), []*engine.Action{action})
			if list.HasErrors() {
				if tt.fails != "finding" {
					t.Fatal(list)
				}
				return
			}
			data := map[string]any{"D": "a/b", "N": "5", "Up": "..", "List": []any{"1"}}
			sc := engine.Scope{
				Vars:    map[string]any{"event": map[string]any{"data": data}, "inputs": map[string]any{}},
				Machine: formula.NewMachine(t.Context()), Secrets: map[string]bitrix.Secret{"token": secret},
			}
			for _, a := range set.Rules[0].Steps[0].Args {
				v, err := a.Bind(t.Context(), sc)
				if err != nil {
					if tt.fails == "" || !strings.Contains(err.Error(), tt.fails) {
						t.Fatalf("%v, want %q", err, tt.fails)
					}
					return
				}
				switch x := v.Interface().(type) {
				case engine.SecretURL:
					got.URL = x
				case engine.SecretValue:
					got.Value = x
				case engine.SecretRecord:
					got.Record = x
				}
			}
			if tt.fails != "" {
				t.Fatalf("no error, want %q", tt.fails)
			}
			for _, c := range []struct{ what, got, want string }{
				{"URL", got.URL.Reveal() + "\n" + got.URL.String(), tt.url},
				{"value", both(t, got.Value), tt.value},
				{"record", both(t, got.Record.SecretValue), tt.record},
			} {
				if diff := cmp.Diff(c.want, c.got); diff != "" {
					t.Errorf("%s (-want +got)\n%s", c.what, diff)
				}
			}
			if shown := fmt.Sprintf("%v %+v %s %v", got.Value, got.Record, got.URL, got); strings.Contains(shown, secret) {
				t.Errorf("the secret is printed: %s", shown)
			}
		})
	}
}

// both writes a value with its secrets and as it is shown.
func both(t *testing.T, v engine.SecretValue) string {
	t.Helper()
	if !v.Given() {
		return "null"
	}
	var open strings.Builder
	e := json.NewEncoder(&open)
	e.SetEscapeHTML(false)
	if err := e.Encode(v.Reveal()); err != nil {
		t.Fatal(err)
	}
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(strings.TrimSpace(open.String()))
}
