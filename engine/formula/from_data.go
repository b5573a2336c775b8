package formula

import (
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// FromData reports whether a part of the value may come from data: from a name that is
// not in Env.Trusted. A choice between two trusted values is trusted, also when data
// decides which one it is. So true and false are trusted, and an element of a trusted
// list is.
func (f *Formula) FromData() bool { return f.fromData }

// dataWalk finds out whether a value comes from data.
type dataWalk struct {
	*checker
	visits int
	named  []dataName // innermost last
}

// dataName is a name of let.
type dataName struct {
	name     string
	fromData bool
}

// fromData reports whether the value of an expression may come from data. It is true for
// an expression that is too large to know.
func (c *checker) fromData(n ast.Node) bool {
	w := &dataWalk{checker: c}
	found := w.of(n)
	return found || w.visits > maxVisits
}

func (w *dataWalk) of(n ast.Node) bool {
	if w.visits++; w.visits > maxVisits {
		return true
	}
	switch x := n.(type) {
	case nil:
		return false
	case *ast.IdentifierNode:
		return w.name(x.Value)
	case *ast.PointerNode:
		return false // an element: the list is an argument of the loop
	case *ast.MemberNode:
		if p, ok := w.path(x); ok && w.env.Trusted[strings.ReplaceAll(p, pathSeparator, ".")] {
			return false
		}
		return w.of(x.Node) // the key only chooses
	case *ast.ConditionalNode:
		return w.of(x.Exp1) || w.of(x.Exp2)
	case *ast.UnaryNode:
		if operatorName(x.Operator) == "!" {
			return false
		}
	case *ast.BinaryNode:
		if isTruth(x.Operator) {
			return false
		}
	case *ast.VariableDeclaratorNode:
		w.named = append(w.named, dataName{x.Name, w.of(x.Value)})
		defer func() { w.named = w.named[:len(w.named)-1] }()
		return w.of(x.Expr)
	case *ast.CallNode:
		return slices.ContainsFunc(x.Arguments, w.of)
	}
	return slices.ContainsFunc(children(n), w.of)
}

func (w *dataWalk) name(name string) bool {
	for _, v := range slices.Backward(w.named) {
		if v.name == name {
			return v.fromData
		}
	}
	_, known := w.env.Vars[name]
	return known && !w.env.Trusted[name]
}

// isTruth reports whether the value of a binary operator is true or false.
func isTruth(operator string) bool {
	switch operatorName(operator) {
	case "==", "!=", "<", "<=", ">", ">=", "&&", "||", "in", "not in", "contains", "startsWith", "endsWith", "matches":
		return true
	}
	return false
}
