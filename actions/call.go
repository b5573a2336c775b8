package actions

import (
	"context"
	"strings"

	"github.com/b24rules/b24rules/actions/internal/inportal"
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

A table of the documented methods says whether the method reads or writes. Set
effect for other methods, which otherwise count as writes. A writing call happens
at least once: when its answer is lost, the call may be repeated. A call that was
answered is not repeated when the run is, and its result is then nil.

The result is the member "result" of the portal's answer. It is one page: of a list 50
entries at most. fetch_items and fetch_elements read all pages.`,
	Says:     "calls {method}{ with @params}",
	Cost:     engine.Cost{Least: engine.Commands(1), Typical: engine.Commands(1), Worst: engine.Commands(1)},
	Run:      callMethod,
	Result:   callResult,
	EffectOf: callEffect,
	Touches:  callTouches,
	Methods:  callMethods,
	Check:    checkCall,
	Suggest:  map[string]func() []engine.Suggestion{"method": suggestMethods},
})

type callArgs struct {
	Method string         `yaml:"method" validate:"required" doc:"the method's name" example:"crm.timeline.comment.add"`
	Params map[string]any `yaml:"params" doc:"its parameters" example:"{fields: {ENTITY_ID: =event.id}}"`
	Effect string         `yaml:"effect" validate:"oneof=read write" doc:"read or write; the default comes from the table of methods"`
}

// callMethods returns the method that a step calls, if the file says which.
func callMethods(t *engine.ArgTypes) []string {
	method, _ := t.Const("method")
	name, _ := method.(string)
	if name = strings.ToLower(strings.TrimSpace(name)); name == "" {
		return nil
	}
	return []string{name}
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
		c.Errorf("method", "no-batch", "batch cannot be called, because b24rules itself puts calls into batches")
		return
	}
	m, known := schemas.LookupMethod(name)
	switch {
	case known && m.Effect == schemas.Write && given == schemas.Read:
		c.Errorf("effect", "wrong-effect", "%s writes, so effect: read is wrong", m.Name).Hint = "remove effect"
		return
	case !known && given == "":
		f := c.Warnf("method", "unknown-method", "%s is not in the table of documented methods, so it counts as a write", name)
		f.Hint = "add effect: read or effect: write"
		if near := diag.Closest(name, methodNames()); near != "" {
			f.Hint = "did you mean " + near + "? Otherwise add effect: read or effect: write"
		}
		return
	}
	checkParams(c, m)
	if !writesItems(c) {
		checkIDParams(c, m)
	}
	inportal.CheckCallFields(c, m)
	checkAtLeastOnce(c, name)
}

// checkAtLeastOnce warns of a writing call that may be done twice.
func checkAtLeastOnce(c *engine.StepCheck, name string) {
	if callEffect(c.Types()) == engine.Writes && !c.Remembers() && !c.Ordered() {
		c.Warnf("method", "at-least-once", "%s is called in every run of the rule, and again when its answer is lost", name).Hint = "add once with the value that allows one call, such as once: =deal.stageId"
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
		return false, engine.ParkError("batch cannot be called, because b24rules itself puts calls into batches")
	}
	m, known := schemas.LookupMethod(a.Method)
	if known && m.Effect == schemas.Write && a.Effect == schemas.Read {
		return false, engine.ParkError("%s writes, so effect: read is wrong", m.Name)
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
