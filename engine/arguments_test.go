package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/enginetest"
)

// takeArgs has an argument of each type.
type takeArgs struct {
	Text    string              `yaml:"text" validate:"omitempty,oneof=soft hard" doc:"text"`
	Whole   int                 `yaml:"whole" validate:"min=-5,max=5" doc:"a whole number"`
	Exact   num.Num             `yaml:"exact" doc:"a number"`
	Maybe   *int                `yaml:"maybe" doc:"a number or nothing"`
	Flag    bool                `yaml:"flag" doc:"true or false"`
	Wait    time.Duration       `yaml:"wait" doc:"a duration"`
	Any     any                 `yaml:"any" doc:"any value"`
	IDs     []int               `yaml:"ids" doc:"whole numbers"`
	Words   []string            `yaml:"words" validate:"max=3" doc:"texts"`
	Free    map[string]any      `yaml:"free" doc:"a record"`
	Fields  engine.Fields       `yaml:"fields" doc:"fields"`
	Rows    []any               `yaml:"rows" doc:"rows"`
	Key     engine.RowValue     `yaml:"key" rows:"rows" doc:"the key of a row"`
	Each    engine.RowFields    `yaml:"each" rows:"rows" doc:"the fields of a row"`
	Sums    engine.Names        `yaml:"sums" group:"rows,key" doc:"sums"`
	Headers engine.SecretFields `yaml:"headers" doc:"headers"`
	Need    string              `yaml:"need" validate:"required" doc:"text that must be given"`
}

// take returns an action that calls run with its arguments.
func take(run func(context.Context, takeArgs) error) *engine.Action {
	return engine.Define(engine.Spec[takeArgs]{
		Name: "take", Doc: "takes arguments",
		Run: func(ctx context.Context, _ *engine.Call, a takeArgs) (any, error) { return nil, run(ctx, a) },
	})
}

type giveArgs struct {
	JSON string `yaml:"json" doc:"a value"`
}

// give is a step with a result that only a run knows.
var give = engine.Define(engine.Spec[giveArgs]{
	Name: "give", Doc: "gives a value",
	Result: func(*engine.ArgTypes) formula.Type { return formula.Type{Kind: formula.Any} },
	Run: func(_ context.Context, _ *engine.Call, a giveArgs) (any, error) {
		return formula.FromJSON([]byte(a.JSON))
	},
})

// runTake runs a rule with one step take for deal 7. The JSON of value is the value of v.
func runTake(t *testing.T, args, value string, run func(context.Context, takeArgs) error) error {
	t.Helper()
	text := "version: 1\ninputs: {token: {type: secret}}\nvars: {x: 1}\nrules:\n  r:\n    on: ONCRMDEALUPDATE\n    steps:\n" +
		"      - {id: v, give: {json: '" + value + "'}}\n      - take: {" + args + "}\n"
	set, list := load.File("rule.yaml", []byte(text), []*engine.Action{give, take(run)})
	if list.HasErrors() {
		t.Fatalf("%s: %v", args, list)
	}
	inputs, problems := set.BindInputs(map[string]string{"token": "s3cret"})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	r := enginetest.DealRun()
	r.Inputs = inputs
	_, err := r.Do(t.Context(), set.Rules[0])
	return err
}

// TestArguments binds values to each type of argument.
func TestArguments(t *testing.T) {
	five := 5
	for _, tt := range []struct {
		args string
		want takeArgs
	}{
		{"text: soft, whole: 5, exact: 0.10, maybe: 5, flag: true, wait: 2s", takeArgs{Text: "soft", Whole: 5, Exact: num.MustParse("0.10"), Maybe: &five, Flag: true, Wait: 2 * time.Second}},
		{"whole: =v, exact: =v, ids: [=v, 2], text: 'soft'", takeArgs{Text: "soft", Whole: 5, Exact: num.FromInt(5), IDs: []int{5, 2}}},
		{"any: =nil, ids: []", takeArgs{IDs: []int{}}},
		{"any: [1, =omit, x], words: [a, b]", takeArgs{Any: []any{num.FromInt(1), "x"}, Words: []string{"a", "b"}}},
		{"free: {a: {b: =event.id}}", takeArgs{Free: map[string]any{"a": map[string]any{"b": num.FromInt(7)}}}},
		{"fields: {TITLE: 'Deal {{ event.id }}', ='A' + 'B': 1, LEFT: =omit, CLEARED: =nil}", takeArgs{Fields: engine.Fields{{Name: "TITLE", Value: "Deal 7"}, {Name: "AB", Value: num.FromInt(1)}, {Name: "CLEARED"}}}},
	} {
		tt.want.Need = "x"
		err := runTake(t, "need: x, "+tt.args, `"5"`, func(_ context.Context, a takeArgs) error {
			a.Key, a.Each, a.Sums = engine.RowValue{}, engine.RowFields{}, engine.Names{}
			if diff := cmp.Diff(tt.want, a, cmp.AllowUnexported(engine.RowValue{}, engine.RowFields{}, engine.Names{}, engine.Scope{})); diff != "" {
				t.Errorf("%s (-want +got)\n%s", tt.args, diff)
			}
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", tt.args, err)
		}
	}
}

// TestWrongValues gives values that only a run knows to arguments that do not take them.
func TestWrongValues(t *testing.T) {
	for _, tt := range []struct{ args, value, want string }{
		{"need: =v", "null", "argument need has no value"},
		{"need: =v", "5", "argument need: the value is a number, not text"},
		{"need: x, text: =v", `"big"`, `argument text must be one of soft, hard, not "big"`},
		{"need: x, whole: =v", "6", "argument whole must be at most 5"},
		{"need: x, whole: =v", "-6", "argument whole must be at least -5"},
		{"need: x, whole: =v", "1.5", "argument whole: 1.5 is not a whole number"},
		{"need: x, whole: =v", `"one"`, "argument whole: the value is text, not whole number"},
		{"need: x, whole: =v", "true", "argument whole: the value is true or false, not whole number"},
		{"need: x, flag: =v", "{}", "argument flag: the value is a record, not true or false"},
		{"need: x, ids: =v", "[1, []]", "argument ids: element 2: the value is a list, not whole number"},
		{"need: x, free: =v", "[1]", "argument free: the value is a list, not record"},
		{"need: x, fields: {=v: 1}", "7", "a name must be text, but the formula gives a number"},
		{"need: x, fields: {=v: 1}", `""`, "a name must not be empty"},
		{"need: x, fields: {a: 1, =v: 2}", `"a"`, `two fields have the name "a"`},
		{"need: x, headers: {a: b, =v: c}", `"A"`, `two fields have the name "A"`},
		{"need: x, headers: {a: =v}", "{}", "record"},
	} {
		err := runTake(t, tt.args, tt.value, func(context.Context, takeArgs) error { return nil })
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "rule.yaml:9:") {
			t.Errorf("%s with %s: %v\nwant %s", tt.args, tt.value, err, tt.want)
		}
	}
}

// TestRowArguments checks the arguments that an action computes itself.
func TestRowArguments(t *testing.T) {
	err := runTake(t, "need: x, rows: =v, key: =row.k + index, each: {A: =row.k, =row.n: 1, OUT: =omit}, sums: {n: =len(group.rows), twice: =n * 2}", `[{"k": 2, "n": "N"}]`,
		func(ctx context.Context, a takeArgs) error {
			if !a.Key.Given() || !a.Each.Given() || a.Sums.Len() != 2 {
				t.Error("an argument of the file is missing")
			}
			if (takeArgs{}).Key.Given() || (takeArgs{}).Each.Given() || (takeArgs{}).Sums.Len() != 0 {
				t.Error("an argument that is not in the file is given")
			}
			if names, err := a.Each.Names(ctx); err == nil {
				t.Errorf("names %v that depend on a row were computed without one", names)
			}
			key, err := a.Key.Eval(ctx, a.Rows[0], 3)
			if err != nil || fmt.Sprint(key) != "5" {
				t.Errorf("the key is %v, %v", key, err)
			}
			each, err := a.Each.Eval(ctx, a.Rows[0], 0)
			want := engine.Fields{{Name: "A", Value: num.FromInt(2)}, {Name: "N", Value: num.FromInt(1)}}
			if diff := cmp.Diff(want, each); diff != "" || err != nil {
				t.Errorf("%v, fields (-want +got)\n%s", err, diff)
			}
			if v, ok := each.Get("N"); !ok || fmt.Sprint(v) != "1" {
				t.Errorf("N is %v, %t", v, ok)
			}
			if _, ok := each.Get("OUT"); ok {
				t.Error("a field with the value omit is there")
			}
			sums, err := a.Sums.Eval(ctx, map[string]any{"group": map[string]any{"rows": a.Rows}})
			if err != nil || fmt.Sprint(sums.Map()["n"], sums.Map()["twice"]) != "1 2" {
				t.Errorf("sums %v, %v", sums, err)
			}
			return a.Key.Errorf("two rows have the key %d", 5)
		})
	if err == nil || !strings.Contains(err.Error(), "two rows have the key 5") {
		t.Errorf("the error of a key: %v", err)
	}
}

// TestSecretsStayHidden prints and encodes fields with a secret in every way.
func TestSecretsStayHidden(t *testing.T) {
	err := runTake(t, "need: x, headers: {Authorization: 'Bearer {{ inputs.token }}', ='X' + '-Y': plain}", "1", func(_ context.Context, a takeArgs) error {
		if got := a.Headers[0].Value.Reveal(); got != "Bearer s3cret" {
			t.Errorf("the header is sent as %q", got)
		}
		if got := engine.PlainText("x"); got.Reveal() != "x" || got.String() != "x" {
			t.Errorf("plain text is %v", got)
		}
		encoded, err := json.Marshal(a.Headers)
		if err != nil {
			return err
		}
		text, err := a.Headers[0].Value.MarshalText()
		if err != nil {
			return err
		}
		shown := fmt.Sprintf("%s %s %v %+v %#v %q %x", encoded, text, a.Headers, a.Headers[0].Value, a.Headers[0].Value, a.Headers[0].Value, a.Headers[0].Value)
		if strings.Contains(shown, "s3cret") || strings.Count(shown, "Bearer") != 7 {
			t.Errorf("shown as %s", shown)
		}
		call := engine.Request{Action: "post", Method: "POST", Params: map[string]any{"url": "https://example.com"}, Headers: a.Headers}.Call()
		want := map[string]any{"Authorization": "Bearer <secret>", "X-Y": "plain"}
		if diff := cmp.Diff(any(want), call.Params["headers"]); diff != "" || !call.Write {
			t.Errorf("the call (-want +got)\n%s", diff)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestDefinePanics gives Define argument structs that are a mistake in the program.
func TestDefinePanics(t *testing.T) {
	for want, define := range map[string]func(){
		"must be a struct, not string":                 func() { engine.Define(engine.Spec[string]{}) },
		"field A must be exported and have a yaml tag": func() { engine.Define(engine.Spec[struct{ A int }]{}) },
		"field A must have a doc tag": func() {
			engine.Define(engine.Spec[struct {
				A int `yaml:"a"`
			}]{})
		},
		"no values of type chan int": func() {
			engine.Define(engine.Spec[struct {
				A chan int `yaml:"a" doc:"a"`
			}]{})
		},
		"must have a rows tag": func() {
			engine.Define(engine.Spec[struct {
				A engine.RowValue `yaml:"a" doc:"a"`
			}]{})
		},
		"must name the list and the key": func() {
			engine.Define(engine.Spec[struct {
				A engine.Names `yaml:"a" doc:"a" group:"rows"`
			}]{})
		},
		"names the argument b, which does not exist": func() { engine.Define(engine.Spec[takeArgs]{PrefetchArgs: []string{"b"}}) },
		"names the argument text, which is not of type Fields": func() {
			engine.Define(engine.Spec[takeArgs]{PrefetchNames: []string{"text"}})
		},
		"field Suggest names the argument b": func() {
			engine.Define(engine.Spec[takeArgs]{Suggest: map[string]func() []engine.Suggestion{"b": nil}})
		},
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, want) {
					t.Errorf("panic %q, want %q", got, want)
				}
			}()
			define()
		}()
	}
}

// TestInputs binds the texts of a configuration.
func TestInputs(t *testing.T) {
	set := &engine.RuleSet{Name: "s", Inputs: []engine.Input{
		{Name: "list", Type: "integer", Title: "the list"},
		{Name: "rate", Type: "number"},
		{Name: "on", Type: "boolean"},
		{Name: "token", Type: engine.TypeSecret},
		{Name: "name", Type: "string", Default: "x", HasDefault: true},
	}}
	got, problems := set.BindInputs(map[string]string{"list": "47", "rate": "0.10", "on": "true", "token": "s3cret"})
	if len(problems) > 0 || fmt.Sprint(got) != "map[list:47 name:x on:true rate:0.1 token:<secret>]" {
		t.Errorf("%v, %v", got, problems)
	}
	_, problems = set.BindInputs(map[string]string{"list": "4.5", "rate": "ten", "on": "yes", "token": "short", "nmae": "y"})
	var texts []string
	for _, p := range problems {
		texts = append(texts, p.Finding.Text())
	}
	want := []string{
		`input list of rule set s must be an integer, not "4.5"`, `input rate of rule set s must be a number, not "ten"`,
		`input on of rule set s must be true or false, not "yes"`, "input token of rule set s must be a secret of at least 6 characters, not of 5",
		"rule set s has no input nmae",
	}
	if diff := cmp.Diff(want, texts); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if _, problems = set.BindInputs(nil); len(problems) != 4 || problems[0].Finding.HintText() != "the list" {
		t.Errorf("%v", problems)
	}
}

func TestKindOf(t *testing.T) {
	for want, v := range map[string]any{
		"nothing": nil, "true or false": true, "a number": num.FromInt(1), "text": "x", "a time": time.Now(), "a list": []any{}, "a record": map[string]any{},
		"omit": formula.Omitted, "int": 1,
	} {
		if got := engine.KindOf(v); got != want {
			t.Errorf("%#v is %q, want %q", v, got, want)
		}
	}
}
