package b24rules_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/b24rules/b24rules"
	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
)

type greetArgs struct {
	Name string `yaml:"name" validate:"required" doc:"who to greet" example:"World"`
}

// newGreet returns an action that no other package knows.
func newGreet(name string) *engine.Action {
	return engine.Define(engine.Spec[greetArgs]{
		Name: name, Doc: "greet somebody", Says: "greets {name}",
		Result: func(*engine.ArgTypes) formula.Type { return formula.Type{Kind: formula.String} },
		Run: func(_ context.Context, _ *engine.Call, a greetArgs) (any, error) {
			return "Hello, " + a.Name, nil
		},
	})
}

func greetRule(action string) string {
	return `version: 1

rules:
  welcome:
    on: ONCRMDEALADD
    steps:
      - id: text
        ` + action + `: {name: World}
      - log: {message: =text}
`
}

// run runs the program and returns all that it printed.
func run(code int, stdin string, args []string, list ...*engine.Action) (string, error) {
	var out bytes.Buffer
	got := b24rules.Main(context.Background(), args, b24rules.Std{In: strings.NewReader(stdin), Out: &out, Err: &out}, list...)
	if got != code {
		return "", fmt.Errorf("b24rules %s: exit code %d, want %d\n%s", strings.Join(args, " "), got, code, out.String())
	}
	return out.String(), nil
}

func TestMainWithAnAddedAction(t *testing.T) {
	t.Parallel()
	all := append(slices.Clone(actions.All), newGreet("greet"))
	dir := t.TempDir()
	files := map[string]string{
		"rule.yaml": greetRule("greet"),
		"rule_test.yaml": `tests:
  - name: a new deal
    given: {deals: {7: {title: Roof}}}
    event: ONCRMDEALADD 7
    calls: []
`,
	}
	for name, text := range files {
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"validate", "--strict", dir}, "no findings"},
		{[]string{"fmt", "--check", dir}, ""},
		{[]string{"explain", dir}, "greets World"},
		{[]string{"test", dir}, "1 test"},
		{[]string{"schema", "rules"}, `"greet"`},
	} {
		out, err := run(0, "", tt.args, all...)
		if err != nil {
			t.Error(err)
		} else if !strings.Contains(out, tt.want) {
			t.Errorf("%v prints %q, want %q in it", tt.args, out, tt.want)
		}
	}
	for _, args := range [][]string{{"validate", dir}, {"fmt", dir}, {"explain", dir}, {"test", dir}} {
		if out, err := run(1, "", args, actions.All...); err != nil || !strings.Contains(out, "greet") {
			t.Errorf("without the action: %s, %v", out, err)
		}
	}
}

// TestMainTwice: calls with different actions in one process are independent.
func TestMainTwice(t *testing.T) {
	t.Parallel()
	var wg sync.WaitGroup
	for i := range 8 {
		mine, other := fmt.Sprintf("greet_%d", i), fmt.Sprintf("greet_%d", (i+1)%8)
		all := append(slices.Clone(actions.All), newGreet(mine))
		wg.Go(func() {
			if _, err := run(0, greetRule(mine), []string{"validate", "-"}, all...); err != nil {
				t.Error(err)
			}
			out, err := run(1, greetRule(other), []string{"validate", "-"}, all...)
			if err != nil || !strings.Contains(out, "unknown-action") {
				t.Errorf("a rule with the action of another call: %s, %v", out, err)
			}
			out, err = run(0, "", []string{"schema", "rules"}, all...)
			if err != nil || !strings.Contains(out, `"`+mine+`"`) || strings.Contains(out, `"`+other+`"`) {
				t.Errorf("the schema has the action of another call: %v", err)
			}
		})
	}
	wg.Wait()
}

func ExampleMain() {
	greet := engine.Define(engine.Spec[greetArgs]{
		Name: "greet", Doc: "greet somebody", Says: "greets {name}",
		Run: func(_ context.Context, c *engine.Call, a greetArgs) (any, error) {
			c.Log.Info("Hello, " + a.Name)
			return nil, nil
		},
	})
	rule := `version: 1
rules:
  welcome:
    on: ONCRMDEALADD
    steps:
      - greet: {name: World}
`
	std := b24rules.Std{In: strings.NewReader(rule), Out: os.Stdout, Err: io.Discard}
	code := b24rules.Main(context.Background(), []string{"explain", "-"}, std, append(slices.Clone(actions.All), greet)...)
	fmt.Println("exit code", code)
	// Output:
	// stdin.yaml
	//
	// rule welcome
	//   listens to ONCRMDEALADD
	//   runs when the entity has not changed for 1s, after 10s at the latest
	//   while the entity exists:
	//     1. greets World
	//     an event causes no REST commands
	//   is parked after 10000 commands, or when a step without on_error fails permanently
	// exit code 0
}
