package formula

import (
	"context"
	"errors"
)

// Problem is something wrong with the source of a formula or template. From and
// To count characters (runes) of the source.
type Problem struct {
	From, To int
	// Code is stable and in kebab-case: syntax, unknown-name, wrong-type…
	Code    string
	Message string
	// Hint says what would be right; it may be empty.
	Hint string
}

// Env is what a formula may name.
type Env struct {
	// Vars are the names and their types.
	Vars map[string]Type
	// Later are names that exist elsewhere but not here, each with a reason
	// such as "is defined by the step on line 30, below".
	Later map[string]string
}

// Error is why the evaluation of a formula failed. From and To count characters
// of the formula's source, or of the whole text of a template.
type Error struct {
	From, To int
	Message  string
}

// Error returns the message without its place.
func (e *Error) Error() string { return e.Message }

// Formula is a formula that has no problems. It may be evaluated by many
// goroutines at once, each with a Machine of its own.
type Formula struct{ source string }

// Compile checks the source of a formula (without its leading "=") against the
// names of env. It returns a Formula, or all the problems in order of place.
func Compile(src string, env Env) (*Formula, []Problem) {
	return &Formula{source: src}, nil
}

// Type returns the type of the formula's value.
func (f *Formula) Type() Type { return Type{} }

// Source returns the source that was compiled.
func (f *Formula) Source() string { return f.source }

// Vars returns the names of the environment that the formula reads, sorted.
func (f *Formula) Vars() []string { return nil }

// Const returns the value of a formula that reads no names, and whether it is
// one. A formula that would fail has no value.
func (f *Formula) Const() (any, bool) { return nil, false }

// Conjuncts returns the canonical texts of the parts that a top-level && joins,
// so that one condition can be known to contain another.
func (f *Formula) Conjuncts() []string { return nil }

// Eval returns the value of the formula for the given values of its names. An
// error is an *Error.
func (f *Formula) Eval(m *Machine, vars map[string]any) (any, error) {
	return nil, errors.ErrUnsupported
}

// Machine evaluates formulas. One is made per run; it is not for concurrent use.
type Machine struct{ ctx context.Context }

// NewMachine returns a machine whose evaluations end when ctx does.
func NewMachine(ctx context.Context) *Machine { return &Machine{ctx: ctx} }

// Template is a text with holes. It may be evaluated by many goroutines at once.
type Template struct{}

// CompileTemplate checks a text with holes {{ formula }}. It returns a Template,
// or all the problems; their places are those of the whole text.
func CompileTemplate(text string, env Env) (*Template, []Problem) { return nil, nil }

// Eval returns the text with its holes filled. An error is an *Error.
func (t *Template) Eval(m *Machine, vars map[string]any) (string, error) {
	return "", errors.ErrUnsupported
}

// Vars returns the names of the environment that the holes read, sorted.
func (t *Template) Vars() []string { return nil }

// HasHole reports whether text holds a {{, so that it has to be a template.
func HasHole(text string) bool { return false }

// FromJSON decodes JSON into the values of a formula: numbers exactly.
func FromJSON(data []byte) (any, error) { return nil, errors.ErrUnsupported }

// ToText returns how a value reads inside a text.
func ToText(v any) (string, error) { return "", errors.ErrUnsupported }

// CheckName says why a name may not be given to a step or a computed value.
func CheckName(name string) error { return nil }

// Omitted is the value of the name omit.
var Omitted any = omitted{}

type omitted struct{}

func isPlainName(name string) bool { return name != "" }
