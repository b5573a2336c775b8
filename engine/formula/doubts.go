package formula

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser/lexer"

	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/diag"
)

const (
	codeConstant = "constant-condition"
	codeDoubtful = "doubtful-field"
	codeForeign  = "foreign-syntax"
	codeEmpty    = "may-be-empty"
)

// Doubts returns what is allowed in the formula and likely a mistake: parts of
// a condition that always have the same outcome, and a field whose name is
// nearly that of a known one. They are in order of place.
func (f *Formula) Doubts() []Problem { return slices.Clone(f.doubts) }

// Fails returns why a formula that reads no names fails in every run. It returns nil
// when the formula does not fail, reads names, or takes too long to find out.
func (f *Formula) Fails() *Error {
	if len(f.vars) > 0 {
		return nil
	}
	m := &Machine{limit: constantSteps}
	_, err := f.Eval(m, nil)
	var failed *Error
	if m.steps > m.limit || !errors.As(err, &failed) {
		return nil
	}
	return failed
}

// Paths returns what the formula reads as far as it is written out: "event.id",
// "inputs.list", "rows". They are sorted. A path and a longer one that starts with it are
// both in the list only if both are read.
func (f *Formula) Paths() []string { return slices.Clone(f.paths) }

// survey walks a formula without problems for its paths and doubts.
func (c *checker) survey(root ast.Node) (paths []string, doubts []Problem) {
	s := &surveyor{checker: c, paths: make(map[string]bool)}
	c.problems, c.reports = nil, 0
	s.walk(root)
	if v, known := s.outcome(root); known && isLogic(root) {
		s.constant(root, v)
	}
	if s.visits > maxVisits { // shared nodes: be content with the names
		for _, name := range c.reads {
			s.paths[name] = true
		}
	}
	c.problems = append(outermost(c.problems), c.doubts...)
	doubts = c.sorted()
	c.problems = nil
	return slices.Sorted(maps.Keys(s.paths)), doubts
}

// outermost drops a problem whose place lies inside that of another one: of a constant
// condition and its constant parts, only the whole is reported.
func outermost(problems []Problem) []Problem {
	var out []Problem
	for _, p := range problems {
		inside := slices.ContainsFunc(problems, func(o Problem) bool {
			return !o.same(p) && o.From <= p.From && p.To <= o.To
		})
		if !inside {
			out = append(out, p)
		}
	}
	return out
}

type surveyor struct {
	*checker
	paths  map[string]bool
	visits int
}

func (s *surveyor) walk(n ast.Node) {
	if s.visits++; s.visits > maxVisits || n == nil {
		return
	}
	switch x := n.(type) {
	case *ast.IdentifierNode:
		s.read(x.Value)
		return
	case *ast.MemberNode:
		if s.money[x] { // the value is a text, which is read as a whole
			s.walk(x.Node)
			return
		}
		if p, ok := s.path(x); ok {
			s.read(strings.ReplaceAll(p, pathSeparator, "."))
			return
		}
	case *ast.BinaryNode:
		switch operatorName(x.Operator) {
		case "&&", "||":
			s.operand(x.Left)
			s.operand(x.Right)
		case "==", "!=":
			s.nothing(x.Left)
			s.nothing(x.Right)
		}
	case *ast.ConditionalNode:
		s.operand(x.Cond)
	case *ast.PredicateNode:
		if isLogic(x.Node) {
			s.operand(x.Node)
		}
	}
	for _, child := range children(n) {
		s.walk(child)
	}
}

// read notes a path that starts with a name of the environment.
func (s *surveyor) read(path string) {
	name, _, _ := strings.Cut(path, ".")
	if _, known := slices.BinarySearch(s.reads, name); known {
		s.paths[path] = true
	}
}

// nothing reports a comparison with a word that means a missing value elsewhere.
func (s *surveyor) nothing(n ast.Node) {
	if text, ok := n.(*ast.StringNode); ok && slices.Contains([]string{"nil", "null", "NULL", "undefined"}, text.Value) {
		s.errorOf(n, codeForeign, "write nil without quotes", "%q is a text, and no missing value", text.Value)
	}
}

// operand reports a part of a condition that does not depend on anything.
func (s *surveyor) operand(n ast.Node) {
	if v, known := s.outcome(n); known {
		s.constant(n, v)
	}
}

func (s *surveyor) constant(n ast.Node, v bool) {
	if x, ok := n.(*ast.BinaryNode); ok && s.contradict(x, operatorName(x.Operator)) {
		if v {
			s.errorOf(n, codeConstant, "write && where both must hold", "this condition is always true: one of two parts of it always holds")
		} else {
			s.errorOf(n, codeConstant, "write || where one of them is enough", "this condition is always false: two parts of it exclude each other")
		}
		return
	}
	s.errorOf(n, codeConstant, "", "this condition is always %t", v)
}

func isLogic(n ast.Node) bool {
	switch x := n.(type) {
	case *ast.UnaryNode:
		return operatorName(x.Operator) == "!"
	case *ast.BinaryNode:
		switch operatorName(x.Operator) {
		case "&&", "||", "==", "!=", "<", "<=", ">", ">=", "in":
			return true
		}
	}
	return false
}

// outcome returns the outcome of a condition if it is the same for all values of the names.
func (s *surveyor) outcome(n ast.Node) (v, known bool) {
	if s.visits++; s.visits > maxVisits {
		return false, false
	}
	switch x := n.(type) {
	case *ast.BoolNode:
		return x.Value, true
	case *ast.UnaryNode:
		if operatorName(x.Operator) == "!" {
			v, known = s.outcome(x.Node)
			return !v, known
		}
	case *ast.BinaryNode:
		return s.binaryOutcome(x)
	}
	return false, false
}

func (s *surveyor) binaryOutcome(x *ast.BinaryNode) (v, known bool) {
	op := operatorName(x.Operator)
	switch op {
	case "&&", "||":
		l, lk := s.outcome(x.Left)
		r, rk := s.outcome(x.Right)
		short := op == "||" // one such side decides
		if lk && l == short || rk && r == short {
			return short, true
		}
		if s.opposite(x, op) || s.disjoint(x, op) || s.contradict(x, op) {
			return short, true
		}
		return r, lk && rk
	case "==", "!=", "<", "<=", ">", ">=":
		left, right := canonical(s.source, x.Left), canonical(s.source, x.Right)
		if left == right {
			return op == "==" || op == "<=" || op == ">=", true
		}
		if isLiteral(x.Left) && isLiteral(x.Right) {
			return s.literals(left, op, right)
		}
	case "in":
		if list, ok := x.Right.(*ast.ArrayNode); ok && len(list.Nodes) == 0 {
			return false, true
		}
	}
	return false, false
}

// opposite finds a == 1 && a == 2, which is never true, and a != 1 || a != 2,
// which always is.
func (s *surveyor) opposite(x *ast.BinaryNode, op string) bool {
	l, lok := x.Left.(*ast.BinaryNode)
	r, rok := x.Right.(*ast.BinaryNode)
	want := "=="
	if op == "||" {
		want = "!="
	}
	if !lok || !rok || l.Operator != want || r.Operator != want || !isLiteral(l.Right) || !isLiteral(r.Right) {
		return false
	}
	if canonical(s.source, l.Left) != canonical(s.source, r.Left) {
		return false
	}
	same, known := s.literals(canonical(s.source, l.Right), "==", canonical(s.source, r.Right))
	return known && !same
}

// contradict finds a == b && b != a, which is never true, and a < b || a >= b, which always is.
func (s *surveyor) contradict(x *ast.BinaryNode, op string) bool {
	if s.visits > maxNodes { // nodes are shared
		return false
	}
	right := operands(x.Right, op)
	for _, a := range operands(x.Left, op) {
		for _, b := range right {
			if s.negates(a, b) || s.negates(b, a) {
				return true
			}
		}
	}
	return false
}

// operands returns the conditions that an operator joins.
func operands(n ast.Node, join string) []ast.Node {
	if x, ok := n.(*ast.BinaryNode); ok && operatorName(x.Operator) == join {
		return append(operands(x.Left, join), operands(x.Right, join)...)
	}
	return []ast.Node{n}
}

// negates reports whether b is written as the negation of a: !a, or the opposite comparison of the
// same two values.
func (s *surveyor) negates(a, b ast.Node) bool {
	if not, ok := b.(*ast.UnaryNode); ok && operatorName(not.Operator) == "!" {
		return canonical(s.source, a) == canonical(s.source, not.Node)
	}
	l, lok := a.(*ast.BinaryNode)
	r, rok := b.(*ast.BinaryNode)
	if !lok || !rok || negated[l.Operator] == "" {
		return false
	}
	ll, lr, rl, rr := canonical(s.source, l.Left), canonical(s.source, l.Right), canonical(s.source, r.Left), canonical(s.source, r.Right)
	return ll == rl && lr == rr && r.Operator == negated[l.Operator] ||
		ll == rr && lr == rl && r.Operator == cmp.Or(swapped[negated[l.Operator]], negated[l.Operator])
}

// comparison is one of a value with a number.
type comparison struct {
	value, op string
	n         num.Num
}

// comparisons returns the comparisons with numbers that an operator joins.
func (s *surveyor) comparisons(n ast.Node, join string) (out []comparison) {
	x, ok := n.(*ast.BinaryNode)
	if !ok {
		return nil
	}
	if operatorName(x.Operator) == join {
		return append(s.comparisons(x.Left, join), s.comparisons(x.Right, join)...)
	}
	if negated[x.Operator] == "" {
		return nil
	}
	if v, isNum := numberLiteral(x.Right); isNum {
		return []comparison{{canonical(s.source, x.Left), x.Operator, v}}
	}
	if v, isNum := numberLiteral(x.Left); isNum {
		return []comparison{{canonical(s.source, x.Right), cmp.Or(swapped[x.Operator], x.Operator), v}}
	}
	return nil
}

// disjoint finds x > 5 && x < 3, which is never true, and x > 3 || x < 5, which always is.
func (s *surveyor) disjoint(x *ast.BinaryNode, op string) bool {
	if s.visits > maxNodes {
		return false
	}
	right := s.comparisons(x.Right, op)
	for _, a := range s.comparisons(x.Left, op) {
		for _, b := range right {
			if a.value == b.value && a.always(b, op) {
				return true
			}
		}
	}
	return false
}

// always reports whether two comparisons of one value, joined by && or ||, have the same
// outcome for all numbers: those around and between the two limits.
func (a comparison) always(b comparison, op string) bool {
	middle, err := a.n.Add(b.n)
	if err == nil {
		middle, err = middle.Mul(num.MustParse("0.5"))
	}
	if err != nil {
		return false
	}
	points := []num.Num{middle, a.n, b.n}
	for _, limit := range []num.Num{a.n, b.n} {
		for _, step := range []int64{1, -1} {
			point, err := limit.Add(num.FromInt(step))
			if err != nil {
				return false
			}
			points = append(points, point)
		}
	}
	return !slices.ContainsFunc(points, func(v num.Num) bool {
		if op == "&&" {
			return a.holds(v) && b.holds(v)
		}
		return !a.holds(v) && !b.holds(v)
	})
}

// holds reports whether the comparison is true for a number.
func (a comparison) holds(v num.Num) bool {
	order := v.Cmp(a.n)
	switch a.op {
	case "==":
		return order == 0
	case "!=":
		return order != 0
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	}
	return order >= 0
}

func isLiteral(n ast.Node) bool {
	switch x := n.(type) {
	case *ast.IntegerNode, *ast.FloatNode, *ast.StringNode, *ast.BoolNode:
		return true
	case *ast.UnaryNode:
		return x.Operator == "-" && isLiteral(x.Node)
	}
	return false
}

// literals compares two literals as a formula would.
func (s *surveyor) literals(left, op, right string) (v, known bool) {
	f, problems := Compile("["+left+"] "+"== ["+right+"]", Env{})
	if op != "==" && op != "!=" {
		f, problems = Compile(left+" + 0 "+op+" "+right, Env{})
	}
	if len(problems) > 0 {
		return false, false
	}
	out, ok := f.Const()
	v, isBool := out.(bool)
	return v != (op == "!="), ok && isBool
}

// danglingCommas reports f(x, ), which expr takes for f(x).
func (c *checker) danglingCommas() {
	if !mayDangle(c.source.text) {
		return
	}
	tokens := c.source.tokens()
	for i := 1; i < len(tokens); i++ {
		if tokens[i].Is(lexer.Bracket, ")") && tokens[i-1].Is(lexer.Operator, ",") {
			c.add(Problem{From: tokens[i-1].From, To: tokens[i].To, Code: codeSyntax, Message: "an argument is missing after the comma"})
		}
	}
}

// mayDangle reports whether a bracket or a comment follows a comma.
func mayDangle(text string) bool {
	_, rest, found := strings.Cut(text, ",")
	for ; found; _, rest, found = strings.Cut(rest, ",") {
		if next := strings.TrimLeftFunc(rest, unicode.IsSpace); strings.HasPrefix(next, ")") || strings.HasPrefix(next, "/") {
			return true
		}
	}
	return false
}

// doubtNoField warns of a field that a value never has.
func (c *checker) doubtNoField(at loc, t Type, name string) bool {
	if t.Domain == nil || t.Domain.NoField == nil {
		return false
	}
	why, hint := t.Domain.NoField(name)
	if why.Empty() {
		return false
	}
	from, to := c.source.span(at)
	c.doubt(Problem{From: from, To: to, Code: cmp.Or(t.Domain.Code, codeDoubtful), Message: "%s", Args: []any{why}, Hint: hint.String()})
	return true
}

// doubtField notes a field of an open record that is nearly a known one. The
// portal's own fields (ufCrm…, UF_…, parentId…) are not mistaken for typos.
func (c *checker) doubtField(at loc, t Type, name string) {
	lower := strings.ToLower(name)
	if strings.HasPrefix(lower, "uf") || strings.HasPrefix(lower, "parentid") || strings.HasPrefix(lower, "property_") {
		return
	}
	near := diag.Closest(name, slices.Sorted(maps.Keys(t.Fields)))
	if near == "" {
		return
	}
	from, to := c.source.span(at)
	p := Problem{From: from, To: to, Code: codeDoubtful, Message: "no field %q is known here", Args: []any{name}, Hint: didYouMean(name, near)}
	c.doubt(p)
}
