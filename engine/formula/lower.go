package formula

import (
	"reflect"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
)

// The lowered tree holds no operator or function of expr that would touch a
// value; it calls Go functions that are constants of the tree. The compiler of
// expr makes the cheapest call of those whose type it knows: func(any) any and
// func(any, any) any. They report an error by a panic with an error value,
// which expr's machine recovers and gives the place of the call.
type (
	unary    = func(any) any
	binary   = func(any, any) any
	variadic = func(...any) any
)

// fail ends the evaluation; see above.
func fail(err error) { panic(err) }

// must returns v, or ends the evaluation.
func must(v any, err error) any {
	if err != nil {
		fail(err)
	}
	return v
}

// machineNode loads the environment of expr's machine, which is our Machine. A
// user cannot write it: names that start with $ are refused.
var machineNode ast.Node = &ast.IdentifierNode{Value: "$env"}

// constant returns a node for a value.
func constant(v any, at file.Location) ast.Node {
	n := &ast.ConstantNode{Value: v}
	n.SetLocation(at)
	return n
}

// call returns a node that calls fn, which is a unary, binary or variadic.
func call(at file.Location, fn any, args ...ast.Node) ast.Node {
	callee := &ast.ConstantNode{Value: fn}
	callee.SetLocation(at)
	n := &ast.CallNode{Callee: callee, Arguments: args}
	n.SetLocation(at)
	return n
}

// withTypes gives the functions that a lowered tree calls their types, for the compiler of
// expr. It returns the tree.
func withTypes(root ast.Node) ast.Node {
	ast.Walk(&root, functionTypes{})
	return root
}

type functionTypes struct{}

// Visit implements ast.Visitor.
func (functionTypes) Visit(n *ast.Node) {
	if call, ok := (*n).(*ast.CallNode); ok {
		if fn, ok := isConstant(call.Callee); ok {
			call.Callee.SetType(reflect.TypeOf(fn))
		}
	}
}

// withMachine returns a node that calls fn with the machine before args.
func withMachine(at file.Location, fn any, args ...ast.Node) ast.Node {
	return call(at, fn, append([]ast.Node{machineNode}, args...)...)
}

// builtin returns a node of one of expr's own loops.
func builtin(at file.Location, name string, args ...ast.Node) ast.Node {
	n := &ast.BuiltinNode{Name: name, Arguments: args}
	n.SetLocation(at)
	return n
}

func predicate(body ast.Node) ast.Node {
	n := &ast.PredicateNode{Node: body}
	n.SetLocation(body.Location())
	return n
}

// truth marks a node as one that gives a bool, so that expr omits a check.
func truth(n ast.Node) ast.Node {
	n.SetType(reflect.TypeFor[bool]())
	return n
}

// placed gives a new node the location of the one that it replaces.
func placed(n ast.Node, old ast.Node) ast.Node {
	n.SetLocation(old.Location())
	return n
}

func isConstant(n ast.Node) (any, bool) {
	c, ok := n.(*ast.ConstantNode)
	if !ok {
		return nil, false
	}
	return c.Value, true
}
