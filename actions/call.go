package actions

import (
	"context"
	"strings"

	"github.com/b24rules/b24rules/actions/internal/value"
	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/schemas"
)

// CallMethod calls any REST method.
var CallMethod = engine.Define(engine.Spec[callArgs]{
	Name:       "call",
	Effect:     engine.Writes,
	AlsoCalled: []string{"rest"},
	Doc: `call any method of the REST API by its name

Whether the method reads or writes is taken from a table of the documented
methods; effect says it for others, which are taken for writes. A writing call
is done at least once: when its answer is lost it may be done again. What was
answered is not done again when the run is repeated, and its result is nil then.

The result is what the portal answered under "result".`,
	Says:     "calls {method}{ with @params}",
	Cost:     engine.Cost{Least: engine.Commands(1), Typical: engine.Commands(1), Worst: engine.Commands(1)},
	Run:      callMethod,
	Result:   func(*engine.ArgTypes) formula.Type { return formula.Type{Kind: formula.Any} },
	EffectOf: callEffect,
	Touches:  callTouches,
	Check:    checkCall,
	Suggest:  map[string]func() []engine.Suggestion{"method": suggestMethods},
})

type callArgs struct {
	Method string         `yaml:"method" validate:"required" doc:"the method's name" example:"crm.timeline.comment.add"`
	Params map[string]any `yaml:"params" doc:"its parameters" example:"{fields: {ENTITY_ID: =event.id}}"`
	Effect string         `yaml:"effect" validate:"oneof=read write" doc:"read or write; from a table of methods when it is not given"`
}

// checkCall finds a wrong method or effect when the file is loaded.
func checkCall(c *engine.StepCheck) {
	method, ok := c.Types().Const("method")
	name, _ := method.(string)
	if !ok || name == "" {
		return
	}
	effect, _ := c.Types().Const("effect")
	given, _ := effect.(string)
	if isBatch(name) {
		c.Errorf("method", "no-batch", "batch cannot be called: calls travel in batches by themselves")
		return
	}
	m, known := schemas.LookupMethod(name)
	switch {
	case known && m.Effect == schemas.Write && given == schemas.Read:
		c.Errorf("effect", "wrong-effect", "%s writes, so effect: read is wrong", m.Name).Hint = "leave effect out"
		return
	case !known && given == "":
		f := c.Warnf("method", "unknown-method", "%s is not in the table of documented methods, so it is taken for one that writes", name)
		f.Hint = "say effect: read or effect: write"
		if near := diag.Closest(name, methodNames()); near != "" {
			f.Hint = "did you mean " + near + "? else say effect: read or effect: write"
		}
		return
	}
	checkAtLeastOnce(c, name)
}

// checkAtLeastOnce warns of a writing call that may be done twice.
func checkAtLeastOnce(c *engine.StepCheck, name string) {
	if callEffect(c.Types()) == engine.Writes && !c.Once() {
		c.Warnf("method", "at-least-once", "%s is called in every run of the rule, and again when its answer is lost", name).Hint = "once: says for which value it is to be called once, such as =deal.stageId"
	}
}

// suggestMethods offers the documented methods to editors.
func suggestMethods() []engine.Suggestion {
	var out []engine.Suggestion
	for _, m := range schemas.Methods() {
		out = append(out, engine.Suggestion{Value: m.Name, Doc: m.Effect + "s"})
	}
	return out
}

func methodNames() []string {
	methods := schemas.Methods()
	out := make([]string, len(methods))
	for i, m := range methods {
		out[i] = m.Name
	}
	return out
}

func isBatch(method string) bool {
	return strings.EqualFold(strings.TrimSuffix(strings.TrimSpace(method), ".json"), "batch")
}

// writes decides whether a call writes.
func (a callArgs) writes() (bool, error) {
	if isBatch(a.Method) {
		return false, engine.ParkError("batch cannot be called: calls travel in batches by themselves")
	}
	m, known := schemas.LookupMethod(a.Method)
	if known && m.Effect == schemas.Write && a.Effect == schemas.Read {
		return false, engine.ParkError("%s writes, effect: read is wrong", m.Name)
	}
	if a.Effect != "" {
		return a.Effect == schemas.Write, nil
	}
	return !known || m.Effect == schemas.Write, nil
}

func callMethod(ctx context.Context, c *engine.Call, a callArgs) (any, error) {
	writes, err := a.writes()
	if err != nil {
		return nil, err
	}
	if writes {
		if done, err := wasDone(ctx, c, c.Key, a.Method); done || err != nil {
			return nil, err
		}
	}
	params, _ := value.ToREST(a.Params).(map[string]any)
	answer := c.Portal.Do(ctx, bitrix.Call{Method: a.Method, Params: params, Write: writes})[0]
	if answer.Err != nil {
		return nil, answer.Err
	}
	if writes {
		if err := isDone(ctx, c, c.Key, a.Method); err != nil {
			return nil, err
		}
	}
	if len(answer.Result) == 0 {
		return nil, nil
	}
	return formula.FromJSON(answer.Result)
}
