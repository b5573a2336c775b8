package engine

import (
	"context"
	"fmt"
	"reflect"

	"github.com/b24rules/b24rules/engine/formula"
)

// Effect says what an action does to the world outside the run.
type Effect uint8

// The effects. A step of the effect Writes is what loop checks look at.
const (
	Pure   Effect = iota // computes, logs, ends the run
	Reads                // asks the portal and changes nothing
	Writes               // may change the portal's data
)

// Spec describes an action whose arguments are the struct A.
//
// The fields of A carry the tags yaml (the argument's name), validate
// (go-playground/validator rules; "required" is checked when the file is
// loaded), doc (a line for the manual), example and default (what holds when
// the argument is not given, for its reader: Run sees a zero value then). Their
// types are string,
// bool, int, num.Num, time.Duration, any, slices of these, Fields, Names,
// RowValue and RowFields.
type Spec[A any] struct {
	// Name is the verb as it stands in a rule file: "fetch_products".
	Name string
	// Doc is the manual's text: a first line without a full stop, then
	// paragraphs.
	Doc string
	// Effect is Pure when not set.
	Effect Effect
	// Run does the work. Its arguments are bound and validated.
	Run func(ctx context.Context, c *Call, args A) (any, error)
	// Prefetch reads of the portal what Run is going to need, as far as AheadArgs
	// and, of the names of their fields, AheadNames say it; the other arguments
	// are zero. The engine calls it while steps before this one wait for their
	// answers, or when Run asks for its result by ReadAhead. It must write nothing. Nil
	// reads nothing ahead, unless the step only reads: then Run is called ahead.
	Prefetch                    func(ctx context.Context, c *Call, args A) (any, error)
	PrefetchArgs, PrefetchNames []string
	// Result gives the type of what Run returns. Nil means the action has no
	// result and its step needs no id.
	Result func(t *ArgTypes) formula.Type
	// Check reports what the argument types alone cannot say. Nil checks
	// nothing.
	Check func(c *StepCheck)
	// Spread makes the fields of the result names of their own, beside the
	// step's id. Only compute does so.
	Spread bool
	// Ends says that no step after this one runs.
	Ends bool
	// EffectOf tells the effect of one step where its arguments decide it. Nil
	// means that it is always Effect.
	EffectOf func(t *ArgTypes) Effect
	// Touches tells what a step may change, as far as the file says it. The
	// checks between rules are made of it. Nil means that nothing is known.
	Touches func(t *ArgTypes) []Touch
	// Says tells in a few words what a step does, with its arguments in braces:
	// "reads item {id}". Of "{owner|items of type @entityTypeId}" the argument
	// that the file gives is taken, with the words before its @.
	Says string
	// Cost is what a step sends to the portal. The zero value sends nothing.
	Cost Cost
	// AlsoCalled are the words of other engines for this action. A file that uses one
	// gets this action as a hint.
	AlsoCalled []string
	// ReadsEntity returns the step that reads the entity of an event, as a rule file
	// writes it: "fetch_item: {owner: deal, id: =event.id}". kind is the entity's kind.
	// Hints use it. Nil for all other actions.
	ReadsEntity func(kind string) string
	// Suggest gives values that an editor offers for an argument, by its name.
	// Other values are taken too.
	Suggest map[string]func() []Suggestion
}

// Suggestion is a value that an editor offers.
type Suggestion struct{ Value, Doc string }

// Action is a verb of the rule language, with functions that take the arguments as a
// reflect.Value. Make one with Define.
type Action struct {
	Spec[reflect.Value]
	// Arguments describe the struct of the arguments.
	Arguments *ArgStruct
}

// Define makes an action of its description. It panics when the argument
// struct uses a type or tag that the engine does not know: that is a mistake of
// the program, found by its first test.
func Define[A any](s Spec[A]) *Action {
	args, err := describeArgs(reflect.TypeFor[A]())
	if err == nil {
		err = args.checkSays(s.Says)
	}
	if err == nil {
		err = args.suggest(s.Suggest)
	}
	if err == nil {
		err = args.checkPrefetch(s.PrefetchArgs, s.PrefetchNames)
	}
	if err != nil {
		panic(fmt.Sprintf("engine: action %s: %v", s.Name, err))
	}
	return &Action{Arguments: args, Spec: Spec[reflect.Value]{
		Name: s.Name, Doc: s.Doc, Effect: s.Effect, Spread: s.Spread, Ends: s.Ends,
		Run: called(s.Run), Prefetch: called(s.Prefetch), PrefetchArgs: s.PrefetchArgs, PrefetchNames: s.PrefetchNames,
		Result: s.Result, Check: s.Check, EffectOf: s.EffectOf, Touches: s.Touches, Says: s.Says, Cost: s.Cost,
		AlsoCalled: s.AlsoCalled, ReadsEntity: s.ReadsEntity, Suggest: s.Suggest,
	}}
}

// called makes one type of the functions of all actions; nil stays nil.
func called[A any](f func(context.Context, *Call, A) (any, error)) func(context.Context, *Call, reflect.Value) (any, error) {
	if f == nil {
		return nil
	}
	return func(ctx context.Context, c *Call, v reflect.Value) (any, error) { return f(ctx, c, v.Interface().(A)) }
}

// Args lists the action's arguments in the order of the struct, for manuals and
// schemas. An action whose whole value is a list of names (compute) has one
// argument without a name.
func (a *Action) Args() []Arg {
	out := make([]Arg, len(a.Arguments.Fields))
	for i, f := range a.Arguments.Fields {
		out[i] = f.Arg
	}
	return out
}

// HasResult reports whether a step of this action may be given an id.
func (a *Action) HasResult() bool { return a.Result != nil }

// Arg describes one argument of an action.
type Arg struct {
	Name    string
	Doc     string
	Example string
	// Default is the value that holds when the argument is not given, as it is
	// written in YAML; "" when that takes more words.
	Default  string
	Required bool
	// Type is the Go type that the value is bound to.
	Type reflect.Type
	// Rules are the validator rules of the argument besides "required".
	Rules string
	// PerRow is the name of the list argument whose rows this one is computed
	// for, "" when it is computed once.
	PerRow string
	// AlsoCalled are the words of other engines for this action. A file that uses one
	// gets this action as a hint.
	AlsoCalled []string
	// ReadsEntity returns the step that reads the entity of an event, as a rule file
	// writes it: "fetch_item: {owner: deal, id: =event.id}". kind is the entity's kind.
	// Hints use it. Nil for all other actions.
	ReadsEntity func(kind string) string
	// Suggest gives values that an editor offers; nil offers none.
	Suggest func() []Suggestion
}
