package engine

import (
	"context"
	"fmt"
	"reflect"

	"github.com/b24rules/b24rules/engine/formula"
)

// Effect says what an action does outside the run.
type Effect uint8

// The effects.
const (
	Pure   Effect = iota // sends nothing: computes, logs or ends the run
	Reads                // reads from the portal and changes nothing
	Writes               // may change data of the portal or of another system
)

// Spec describes an action whose arguments are the struct A.
//
// The fields of A have these tags:
//   - yaml: the argument's name
//   - validate: rules of go-playground/validator; "required" is checked when the file is loaded
//   - doc: a line for the manual
//   - example: a value for the manual
//   - default: the value that holds without the argument, for the manual only; Run sees a zero value
//   - rows, group: the argument whose rows this one is computed for
//
// Their types are string, bool, int, num.Num, time.Duration, any, pointers to these,
// slices of these, map[string]any, Fields, Names, RowValue, RowFields, URL,
// SecretFields, SecretURL, SecretValue and SecretRecord.
type Spec[A any] struct {
	// Name is the word for the action in rule files: "fetch_products".
	Name string
	// Doc is the text of the manual: a first line without a full stop, then
	// paragraphs.
	Doc string
	// Effect is Pure when not set.
	Effect Effect
	// Run does the work. Its arguments are computed and valid.
	Run func(ctx context.Context, c *Call, args A) (any, error)
	// Prefetch reads from the portal what Run will need. It gets the arguments that
	// PrefetchArgs lists; of those that PrefetchNames lists it gets the names of the
	// fields without their values; all others are zero. The engine calls it while
	// earlier steps wait for their answers, or when Run calls ReadAhead. It must write
	// nothing. When it is nil, the engine calls Run early if the step only reads, and
	// reads nothing early otherwise.
	Prefetch                    func(ctx context.Context, c *Call, args A) (any, error)
	PrefetchArgs, PrefetchNames []string
	// Result returns the type of the value that Run returns. Nil means that the action
	// has no result and its steps need no id.
	Result func(t *ArgTypes) formula.Type
	// Check reports mistakes that the types of the arguments do not show. Nil checks
	// nothing.
	Check func(c *StepCheck)
	// Spread says that each field of the result also becomes a name for later
	// formulas, as those of compute do.
	Spread bool
	// Starts says that the action starts runs of the rule that its argument rule names.
	Starts bool
	// Ends says that no step after this one runs.
	Ends bool
	// EffectOf returns the effect of one step when its arguments decide it. Nil means
	// that it is always Effect.
	EffectOf func(t *ArgTypes) Effect
	// Touches returns what a step may read or change, as far as the file says it. Lint
	// uses it to find cycles and conflicts. Nil means that nothing is known.
	Touches func(t *ArgTypes) []Touch
	// Methods returns the REST methods of a step, for checks of a portal's permissions.
	// Nil means those of the records in Touches: crm.item.* and lists.element.*.
	Methods func(t *ArgTypes) []string
	// Says describes a step in a few words, with its arguments in braces:
	// "reads item {id}". "{owner|items of type @entityTypeId}" becomes the value of
	// the argument that the file gives, with the words before its @.
	Says string
	// Cost is what a step sends to the portal. The zero value sends nothing.
	Cost Cost
	// AlsoCalled are words of other engines for this action. The finding about an
	// unknown word suggests this action.
	AlsoCalled []string
	// ReadsEntity returns the step that reads the entity of an event, as a rule file
	// writes it: "fetch_item: {owner: deal, id: =event.id}". kind is the entity's kind.
	// Hints use it. It is nil for actions that do something else.
	ReadsEntity func(kind string) string
	// CheckFilter reports what is wrong with the argument filter of a step that lists the
	// items of entityTypeId. The filter of a schedule is checked by it. It is nil for
	// actions that do something else.
	CheckFilter func(s *StepCheck)
	// Suggest returns values that an editor offers for an argument, by the argument's
	// name. Other values are accepted too.
	Suggest map[string]func() []Suggestion
}

// Suggestion is a value that an editor offers.
type Suggestion struct{ Value, Doc string }

// Action is an action of the rule language. Its functions take the arguments as a
// reflect.Value. Make one with Define.
type Action struct {
	Spec[reflect.Value]
	// Arguments describe the struct of the arguments.
	Arguments *ArgStruct
}

// Define makes an action from its description. It panics when the argument struct has
// a type or tag that the engine does not know: this is a mistake in the program, and
// any test finds it.
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
		Name: s.Name, Doc: s.Doc, Effect: s.Effect, Spread: s.Spread, Starts: s.Starts, Ends: s.Ends,
		Run: called(s.Run), Prefetch: called(s.Prefetch), PrefetchArgs: s.PrefetchArgs, PrefetchNames: s.PrefetchNames,
		Result: s.Result, Check: s.Check, EffectOf: s.EffectOf, Touches: s.Touches, Methods: s.Methods, Says: s.Says, Cost: s.Cost,
		AlsoCalled: s.AlsoCalled, ReadsEntity: s.ReadsEntity, CheckFilter: s.CheckFilter, Suggest: s.Suggest,
	}}
}

// called gives the functions of all actions one type; nil stays nil.
func called[A any](f func(context.Context, *Call, A) (any, error)) func(context.Context, *Call, reflect.Value) (any, error) {
	if f == nil {
		return nil
	}
	return func(ctx context.Context, c *Call, v reflect.Value) (any, error) { return f(ctx, c, v.Interface().(A)) }
}

// Args lists the action's arguments in the order of the struct, for manuals and
// schemas. An action whose value is a mapping of names has one argument without a
// name.
func (a *Action) Args() []Arg {
	out := make([]Arg, len(a.Arguments.Fields))
	for i, f := range a.Arguments.Fields {
		out[i] = f.Arg
	}
	return out
}

// HasResult reports whether a step of this action may have an id.
func (a *Action) HasResult() bool { return a.Result != nil }

// Arg describes one argument of an action.
type Arg struct {
	Name    string
	Doc     string
	Example string
	// Default is the value that holds without the argument, as YAML; "" when no value
	// describes it.
	Default  string
	Required bool
	// Type is the Go type that the value is bound to.
	Type reflect.Type
	// Rules are the validator rules of the argument without "required".
	Rules string
	// PerRow is the name of the list argument whose rows this one is computed
	// for, "" when it is computed once.
	PerRow string
	// Suggest returns values that an editor offers; nil offers none.
	Suggest func() []Suggestion
}
