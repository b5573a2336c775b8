package formula

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/compiler"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"

	"github.com/b24rules/b24rules/internal/diag"
)

// Problem is a mistake in the source of a formula or template. From and
// To count characters (runes) of the source.
type Problem struct {
	From, To int
	// Code is stable and in kebab-case: syntax, unknown-name, wrong-type…
	Code string
	// Message and Hint, which may be empty, are formats, and Args and HintArgs
	// their values, as in diag.Finding.
	Message  string
	Args     []any
	Hint     string
	HintArgs []any
}

// Text returns the message with its values.
func (p Problem) Text() string { return diag.Format(p.Message, p.Args) }

// HintText returns the hint with its values.
func (p Problem) HintText() string { return diag.Format(p.Hint, p.HintArgs) }

// same reports whether a reader sees no difference between two problems.
func (p Problem) same(o Problem) bool {
	return p.From == o.From && p.To == o.To && p.Code == o.Code && p.Text() == o.Text() && p.HintText() == o.HintText()
}

// Env is what a formula may name.
type Env struct {
	// Vars are the names and their types.
	Vars map[string]Type
	// Later are names that exist elsewhere but not here, each with a reason
	// such as "is defined by the step on line 30, below".
	Later map[string]string
	// Absent are fields that people expect and that do not exist, by their
	// paths ("event.name"), each with what to write instead.
	Absent map[string]string
	// Guards are names that may be nil, with the conditions under which they are not, in
	// the form of Formula.Conjuncts.
	Guards map[string][]string
	// Implied are facts that a name, which is true or false, says when it is true.
	Implied map[string]Facts
	// Given are facts that hold where a name has a value: those of the condition under which it
	// gets one.
	Given map[string]Facts
	// Present are values that are known not to be nil, as Formula.Facts gives
	// them: a condition that holds here says so.
	Present Facts
	// Trusted are names and paths ("event.portal") whose values the rule file or the
	// configuration decides. All other values are data; see Formula.FromData.
	Trusted map[string]bool
}

// Facts are what a condition says of values: that they are not nil, that a number is
// not 0, and how many elements a list has at least.
type Facts map[string]bool

// And returns the facts of both.
func (f Facts) And(g Facts) Facts {
	if len(g) == 0 {
		return f
	}
	out := maps.Clone(g)
	maps.Copy(out, f)
	return out
}

// True returns the conditions that are true, in the form of Formula.Conjuncts, sorted. Those about an
// element of a loop are not among them.
func (f Facts) True() []string {
	var out []string
	for key := range f {
		if cond, ok := strings.CutPrefix(key, factHolds); ok && !strings.Contains(cond, "#") {
			out = append(out, cond)
		}
	}
	slices.Sort(out)
	return out
}

// Error is why the evaluation of a formula failed. From and To count characters
// of the formula's source, or of the whole text of a template.
type Error struct {
	From, To int
	Message  string

	cause error
}

// Error returns the message without its place.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause of the failure, for example the error of a context.
func (e *Error) Unwrap() error { return e.cause }

// Formula is a formula that has no problems. It may be evaluated by many
// goroutines at once, each with its own Machine.
type Formula struct {
	source    *source
	typ       Type
	vars      []string
	types     []Type // of vars
	conjuncts []string
	paths     []string
	facts     Facts // where the formula is true
	ifFalse   Facts
	ofElement Facts
	doubts    []Problem
	outcomes  []Outcome
	measured  bool // the result has to be measured
	fromData  bool
	isPath    bool

	// What few formulas of a file need is made when it is first needed.
	compileOnce sync.Once
	lowered     ast.Node
	program     *vm.Program
	programErr  error
	termsOnce   sync.Once
	terms       []*Formula
}

// parserConfig is for all formulas: the parser does not change it.
var parserConfig = &conf.Config{ShortCircuit: true, MaxNodes: maxNodes}

// Compile checks the source of a formula (without its leading "=") against the
// names of env. It returns a Formula, or all the problems in order of place.
func Compile(src string, env Env) (f *Formula, problems []Problem) {
	defer func() { // a bug of expr's parser or of ours is a finding, not a crash
		if r := recover(); r != nil {
			f, problems = nil, []Problem{internal(src, r)}
		}
	}()
	s, problem := readSource(src)
	if problem != nil {
		return nil, []Problem{*problem}
	}
	tree, err := parser.ParseWithConfig(s.parsed, parserConfig)
	if err != nil {
		if problem := s.lex(); problem != nil {
			return nil, []Problem{*problem}
		}
		return nil, []Problem{syntaxProblem(s, err)}
	}
	s.ownLoops(&tree.Node)
	c := &checker{source: s, env: env, present: env.Present}
	certain := make(Facts)
	c.guardedNames(certain)
	c.present = c.present.And(certain)
	c.danglingCommas()
	lowered, typ := c.infer(tree.Node)
	if len(c.problems) > 0 {
		return nil, c.sorted()
	}
	f = &Formula{
		source: s, typ: typ.exported(), conjuncts: conjuncts(s, tree.Node),
		vars:     c.reads,
		measured: c.shares && (typ.Kind == List || typ.Kind == Record || typ.Kind == Any),
	}
	f.setFacts(c, tree.Node)
	f.types = make([]Type, len(f.vars))
	for i, name := range f.vars {
		f.types[i] = env.Vars[name]
	}
	f.paths, f.doubts = c.survey(tree.Node)
	f.fromData = c.fromData(tree.Node)
	f.outcomes = c.outcomes(tree.Node)
	p, isPath := c.path(tree.Node)
	f.isPath = isPath && slices.Contains(f.paths, strings.ReplaceAll(p, pathSeparator, "."))
	f.lowered = lowered
	return f, nil
}

// compiled returns the formula for expr's machine.
func (f *Formula) compiled() (*vm.Program, error) {
	f.compileOnce.Do(func() {
		tree := &parser.Tree{Node: withTypes(f.lowered), Source: file.NewSource(f.source.parsed)}
		f.program, f.programErr = compiler.Compile(tree, &conf.Config{ShortCircuit: true})
		f.lowered = nil // the program has it
	})
	return f.program, f.programErr
}

// setFacts notes what is known where the formula is true, false, or has an element.
func (f *Formula) setFacts(c *checker, root ast.Node) {
	switch f.typ.Kind {
	case Bool, Any:
		f.facts, f.ifFalse = c.facts(root, true), c.facts(root, false)
	case List:
		f.ofElement = make(Facts)
		if c.visits <= maxNodes {
			c.addSize(root, 1, f.ofElement)
		}
	}
}

// internal is the problem of a formula that broke the compiler.
func internal(src string, cause any) Problem {
	return Problem{To: min(1, len(src)), Code: codeSyntax, Message: cannotCompile(cause).Error(), Hint: "write it in a simpler way"}
}

func cannotCompile(cause any) error {
	text, _, _ := strings.Cut(fmt.Sprint(cause), "\n")
	return fmt.Errorf("the formula cannot be compiled: %s", text)
}

// Type returns the type of the formula's value.
func (f *Formula) Type() Type { return f.typ }

// Facts returns what is known where the formula, a condition, is true.
func (f *Formula) Facts() Facts { return f.facts }

// FactsIfFalse returns what is known where the formula, a condition, is false.
func (f *Formula) FactsIfFalse() Facts { return f.ifFalse }

// FactsOfElement returns what is known where the formula, a list, has an element: in
// the steps and arguments that run for each of them.
func (f *Formula) FactsOfElement() Facts { return f.ofElement }

// Source returns the source that was compiled.
func (f *Formula) Source() string { return f.source.text }

// IsPath reports whether the formula only names a value: deal.stageId.
func (f *Formula) IsPath() bool { return len(f.paths) == 1 && f.isPath }

// Vars returns the names of the environment that the formula reads, sorted.
func (f *Formula) Vars() []string { return slices.Clone(f.vars) }

// constantSteps bounds the evaluation of a constant while a file is checked.
const constantSteps = 10_000

// Const returns the value of a formula that reads no names, and whether it is
// one. A formula that would fail, or takes long, has no value.
func (f *Formula) Const() (any, bool) {
	if len(f.vars) > 0 {
		return nil, false
	}
	v, err := f.Eval(&Machine{limit: constantSteps}, nil)
	return v, err == nil
}

// Conjuncts returns the canonical texts of the parts that a top-level && joins,
// so that one condition can be known to contain another.
func (f *Formula) Conjuncts() []string { return slices.Clone(f.conjuncts) }

// Eval returns the value of the formula for the given values of its names. An
// error is an *Error.
func (f *Formula) Eval(m *Machine, vars map[string]any) (any, error) {
	for i, name := range f.vars {
		if !conforms(vars[name], shallow(f.types[i]), 0) {
			return nil, f.whole(fmt.Errorf("%s must be %s, not %s", name, article(f.types[i]), describe(vars[name])))
		}
	}
	if m.ctx != nil && m.ctx.Err() != nil {
		return nil, f.whole(m.ctx.Err())
	}
	program, err := f.compiled()
	if err != nil {
		return nil, f.whole(cannotCompile(err))
	}
	m.begin(vars)
	v, err := m.vm.Run(program, m)
	m.vars = nil
	if err != nil {
		return nil, f.failure(err)
	}
	if err := errDeleted(v); err != nil {
		return nil, f.whole(err)
	}
	if f.measured {
		if err := measure(v); err != nil {
			return nil, f.whole(err)
		}
	}
	return v, nil
}

// shallow returns a type that only asks for the kind of a value.
func shallow(t Type) Type { return Type{Kind: t.Kind, Maybe: t.Maybe} }

// whole is an error at the whole formula.
func (f *Formula) whole(err error) error {
	return &Error{To: len(f.source.runes), Message: err.Error(), cause: err}
}

// failure turns an error of expr's machine into an *Error with a message of ours and its place.
func (f *Formula) failure(err error) error {
	var e *file.Error
	if !errors.As(err, &e) {
		return f.whole(err)
	}
	from, to := f.source.span(e.Location)
	failed := &Error{From: from, To: min(to, len(f.source.runes)), Message: e.Message, cause: e.Prev}
	var bug runtime.Error
	switch {
	case errors.As(e.Prev, &bug):
		failed.Message = "a value is not what its type says: " + bug.Error()
	case e.Prev != nil:
		failed.Message = e.Prev.Error()
	case strings.Contains(e.Message, "memory budget exceeded"):
		failed.Message = "the lists of the formula have too many elements"
	}
	return failed
}

// conjuncts returns the canonical texts of what a top-level && joins.
func conjuncts(s *source, n ast.Node) []string {
	if b, ok := n.(*ast.BinaryNode); ok && (b.Operator == "&&" || b.Operator == "and") {
		return append(conjuncts(s, b.Left), conjuncts(s, b.Right)...)
	}
	return []string{canonical(s, n)}
}
