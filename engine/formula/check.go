package formula

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser/lexer"

	"github.com/b24rules/b24rules/internal/diag"
)

// maxVisits bounds the nodes that the checker looks at. The tree of expr shares
// nodes (a < b < c is a < b && b < c), so it can be far larger than its source.
const maxVisits = 10_000

const (
	// maxProblems bounds the problems of one formula.
	maxProblems = 20
	// maxReports bounds the reports, of which shared nodes repeat each other.
	maxReports = 200
)

// checker infers the types of one formula and lowers it. It never changes the
// tree that expr parsed.
type checker struct {
	source *source
	env    Env

	problems []Problem
	reports  int
	visits   int
	reads    []string                 // names of the environment that are read, sorted
	lets     []variable               // innermost last
	loops    []loopScope              // innermost last
	present  Facts                    // paths that are known not to be nil here
	chain    *bool                    // of the innermost ?. chain: may it be cut short
	sizes    map[ast.Node]int         // of lists whose type has a size
	zeroed   map[string]bool          // ids that count as 0 in an order where they are missing
	parts    map[ast.Node]PricePart   // of fields that are parts of a price
	choices  map[ast.Node]Choice      // of fields that are read
	money    map[*ast.MemberNode]bool // that read a part of a money field
	shares   bool                     // the formula can make values that share parts

	doubts []Problem // likely mistakes, unless there are problems
}

type variable struct {
	name  string
	typ   Type
	value ast.Node
	loops int // how many loops were open where it was named
}

// loopScope is what `#` and `#acc` mean in the body of a loop.
type loopScope struct {
	list ast.Node // nil where it does not matter
	elem Type
	acc  *Type // nil but in reduce
}

// add reports a problem, once.
func (c *checker) add(p Problem) {
	p.From = max(0, min(p.From, len(c.source.runes)))
	p.To = max(p.From, min(p.To, len(c.source.runes)))
	if !slices.ContainsFunc(c.problems, p.same) && (len(c.problems) < maxProblems || p.Code == codeLimit) {
		c.problems = append(c.problems, p)
	}
}

// errorAt reports a problem at one token, whose location expr gave.
func (c *checker) errorAt(at file.Location, code, hint, format string, args ...any) {
	if c.reports++; c.reports > maxReports {
		return
	}
	from, to := c.source.span(at)
	c.add(Problem{From: from, To: to, Code: code, Message: format, Args: plain(args), Hint: hint})
}

// errorOf reports a problem at the whole of an expression.
func (c *checker) errorOf(n ast.Node, code, hint, format string, args ...any) {
	if c.reports++; c.reports > maxReports {
		return
	}
	from, to := c.extent(n)
	c.add(Problem{From: from, To: to, Code: code, Message: format, Args: plain(args), Hint: hint})
}

// plain replaces errors among the values of a message by their texts, so that
// problems can be compared.
func plain(args []any) []any {
	for i, a := range args {
		if err, ok := a.(error); ok {
			args[i] = err.Error()
		}
	}
	return args
}

func (c *checker) sorted() []Problem {
	slices.SortStableFunc(c.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	return c.problems
}

// extent returns the place of an expression in the source. A node of expr knows
// one token only.
func (c *checker) extent(n ast.Node) (from, to int) {
	from, to = len(c.source.runes), 0
	visits := 0
	var widen func(n ast.Node)
	own := func(n ast.Node, bracket bool) {
		f, t := c.source.span(n.Location())
		if bracket {
			t = max(t, c.bracketEnd(f))
		}
		from, to = min(from, f), max(to, t)
	}
	widen = func(n ast.Node) {
		if visits++; visits > maxVisits {
			return
		}
		switch x := n.(type) {
		case nil:
			return
		case *ast.ConditionalNode: // has the place of what comes after it, or none
		case *ast.PairNode: // has the place of its record
		case *ast.CallNode, *ast.BuiltinNode:
			own(n, true)
		case *ast.MapNode, *ast.ArrayNode, *ast.SliceNode:
			own(n, true)
		case *ast.MemberNode:
			_, named := x.Property.(*ast.StringNode)
			own(n, !named)
		default:
			own(n, false)
		}
		for _, child := range children(n) {
			widen(child)
		}
	}
	widen(n)
	if to <= from {
		return 0, len(c.source.runes)
	}
	return from, to
}

// bracketEnd returns the end of the bracket that opens at a rune or right after
// the name there, or 0.
func (c *checker) bracketEnd(rune int) int {
	i := c.source.tokenAt(rune)
	if i < len(c.source.tokens()) && c.source.tokens()[i].Kind == lexer.Identifier {
		i++
	}
	if i >= len(c.source.tokens()) || !c.source.tokens()[i].Is(lexer.Bracket, "(", "[", "{") {
		return 0
	}
	if end := c.source.closing(i); end >= 0 {
		return c.source.tokens()[end].To
	}
	return 0
}

// children returns the parts of a node.
func children(n ast.Node) []ast.Node {
	switch x := n.(type) {
	case *ast.UnaryNode:
		return []ast.Node{x.Node}
	case *ast.BinaryNode:
		return []ast.Node{x.Left, x.Right}
	case *ast.ChainNode:
		return []ast.Node{x.Node}
	case *ast.MemberNode:
		return []ast.Node{x.Node, x.Property}
	case *ast.SliceNode:
		return []ast.Node{x.Node, x.From, x.To}
	case *ast.CallNode:
		return append([]ast.Node{x.Callee}, x.Arguments...)
	case *ast.BuiltinNode:
		return x.Arguments
	case *ast.PredicateNode:
		return []ast.Node{x.Node}
	case *ast.ConditionalNode:
		return []ast.Node{x.Cond, x.Exp1, x.Exp2}
	case *ast.VariableDeclaratorNode:
		return []ast.Node{x.Value, x.Expr}
	case *ast.SequenceNode:
		return x.Nodes
	case *ast.ArrayNode:
		return x.Nodes
	case *ast.MapNode:
		return x.Pairs
	case *ast.PairNode:
		return []ast.Node{x.Key, x.Value}
	}
	return nil
}

// name infers a name: of a let, of the environment, or one of ours.
func (c *checker) name(n *ast.IdentifierNode) (ast.Node, Type) {
	for _, v := range slices.Backward(c.lets) {
		if v.name == n.Value {
			return placed(&ast.IdentifierNode{Value: n.Value}, n), c.narrowed(n, v.typ)
		}
	}
	if t, ok := c.env.Vars[n.Value]; ok && !strings.HasPrefix(n.Value, "$") {
		c.noteRead(n.Value)
		return call(n.Location(), loadVar(n.Value), machineNode), c.narrowed(n, t)
	}
	if n.Value == nameOmit {
		return constant(Omitted, n.Location()), Type{Kind: Omit}
	}
	c.unknownName(n)
	return placed(&ast.NilNode{}, n), Type{}
}

// noteRead notes a name of the environment that the formula reads.
func (c *checker) noteRead(name string) {
	if i, known := slices.BinarySearch(c.reads, name); !known {
		c.reads = slices.Insert(c.reads, i, name)
	}
}

// loadVar returns a function that reads a name from the machine.
func loadVar(name string) unary {
	return func(m any) any { return m.(*Machine).vars[name] }
}

// foreignNames are the words of other languages for what a formula has.
var foreignNames = map[string]string{
	"null": "nil", "none": "nil", "undefined": "nil", "empty": "nil", "nothing": "nil",
	"true": "true", "false": "false", "nil": "nil", "omit": "omit",
}

// literalWords are the words of the language that are values.
var literalWords = []string{"omit", "nil", "true", "false"}

func (c *checker) unknownName(n *ast.IdentifierNode) {
	name, at := n.Value, n.Location()
	if hint := c.elementMeant(name); hint != "" {
		c.errorAt(at, codeName, hint, "unknown name %q", name)
		return
	}
	if reason, ok := c.env.Later[name]; ok {
		c.errorAt(at, codeName, "", "%q %s", name, reason)
		return
	}
	if strings.HasPrefix(name, "$") {
		c.errorAt(at, codeName, "a formula sees the names of its rule only", "unknown name %q", name)
		return
	}
	if word := foreignNames[strings.ToLower(name)]; word != "" {
		c.errorAt(at, codeName, "write "+word, "unknown name %q", name)
		return
	}
	_, isFunction := functions[name]
	if isFunction || loops[name] {
		c.errorAt(at, codeName, fmt.Sprintf("write %s(…)", name), "%q is a function", name)
		return
	}
	names := slices.Sorted(maps.Keys(c.env.Vars))
	for _, v := range c.lets {
		names = append(names, v.name)
	}
	hint := ""
	if near := diag.Closest(name, names); near != "" {
		hint = didYouMean(name, near)
	} else if near := diag.Closest(name, slices.Sorted(maps.Keys(c.env.Later))); near != "" {
		hint = fmt.Sprintf("%q %s", near, c.env.Later[near])
	} else if near := diag.Closest(name, literalWords); near != "" {
		hint = didYouMean(name, near)
	} else if few := fewNames(names); few != "" {
		hint = "there is " + few
	}
	c.errorAt(at, codeName, hint, "unknown name %q", name)
}

// fewNames lists names for a hint, if they are not too many.
func fewNames(names []string) string {
	const most = 8
	if len(names) == 0 || len(names) > most {
		return ""
	}
	return strings.Join(names, ", ")
}

// pointer infers #, #acc and #index.
func (c *checker) pointer(n *ast.PointerNode) (ast.Node, Type) {
	if len(c.loops) == 0 { // the parser refuses it first
		c.errorAt(n.Location(), codeSyntax, "", "# is allowed inside a loop only")
		return n, Type{}
	}
	scope := c.loops[len(c.loops)-1]
	token := n.Location() // of the # alone
	token.To = token.From + 1 + len([]rune(n.Name))
	switch n.Name {
	case "":
		return placed(&ast.PointerNode{}, n), c.narrowed(n, scope.elem)
	case "index":
		return call(n.Location(), unary(lift), placed(&ast.PointerNode{Name: "index"}, n)), sizeType
	case "acc":
		if scope.acc == nil {
			hint := "#acc is what reduce(list, …) has gathered so far"
			if slices.ContainsFunc(c.loops, func(l loopScope) bool { return l.acc != nil }) {
				hint = "in a loop inside of reduce write {let acc = #acc; …} around it"
			}
			c.errorAt(token, codeName, hint, "#acc is not known here")
			return placed(&ast.NilNode{}, n), Type{}
		}
		return placed(&ast.PointerNode{Name: "acc"}, n), *scope.acc
	}
	c.errorAt(token, codeName, fmt.Sprintf("there is #, #index and, in reduce, #acc; a field is .%s", n.Name), "unknown name %q", "#"+n.Name)
	return placed(&ast.NilNode{}, n), Type{}
}
