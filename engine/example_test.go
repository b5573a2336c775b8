package engine_test

import (
	"context"
	"fmt"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/load"
)

type greetArgs struct {
	Name  string `yaml:"name" validate:"required" doc:"who to greet" example:"World"`
	Times int    `yaml:"times" validate:"min=1,max=3" default:"1" doc:"how many times"`
}

func ExampleDefine() {
	greet := engine.Define(engine.Spec[greetArgs]{
		Name: "greet", Doc: "greet somebody", Says: "greets {name}",
		Run: func(_ context.Context, c *engine.Call, a greetArgs) (any, error) {
			c.Log.Info("Hello, " + a.Name)
			return nil, nil
		},
	})

	// The arguments of a step are checked when its file is loaded.
	_, findings := load.File("welcome.yaml", []byte(`version: 1
rules:
  welcome:
    on: ONCRMDEALADD
    steps:
      - greet: {name: =event.added, times: 5}
      - greet: {nmae: World}
`), []*engine.Action{greet})
	for _, f := range findings {
		fmt.Println(f)
	}
	// Output:
	// welcome.yaml:6:23: argument name takes text, not true or false [wrong-type]
	// welcome.yaml:6:44: argument times must be at most 3 [invalid-value]
	// welcome.yaml:7:9: greet needs name: who to greet [missing-argument]
	// welcome.yaml:7:17: unknown key "nmae" in greet [unknown-key] (did you mean name?)
}
