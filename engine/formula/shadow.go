package formula

import (
	"slices"

	"github.com/expr-lang/expr/ast"
)

const codeShadow = "row-shadow"

// doubtShadow warns of a comparison of a part of an element with the element itself: in
// a loop in a loop, the author means the element of the outer one.
func (c *checker) doubtShadow(x *ast.BinaryNode) {
	for _, pair := range [][2]ast.Node{{x.Left, x.Right}, {x.Right, x.Left}} {
		self, isPointer := pair[1].(*ast.PointerNode)
		if !isPointer || self.Name != "" || !isPartOfElement(pair[0]) {
			continue
		}
		hint := "write the value with which you compare"
		if len(c.loops) > 1 {
			hint = "name the element of the outer loop: let outer = #; …"
		}
		c.doubtOf(x, codeShadow, hint, "a part of the element is compared with the element itself: # is the element of the innermost loop")
		return
	}
}

// isPartOfElement reports whether an expression is .name or #.name.name.
func isPartOfElement(n ast.Node) bool {
	for {
		switch x := n.(type) {
		case *ast.ChainNode:
			n = x.Node
		case *ast.MemberNode:
			if p, ok := x.Node.(*ast.PointerNode); ok {
				return p.Name == ""
			}
			n = x.Node
		default:
			return false
		}
	}
}

// doubtUnused warns of a condition that is the same for all elements of a list, because
// it does not read the element.
func (c *checker) doubtUnused(x *ast.BuiltinNode, body ast.Node) {
	if c.visits > maxNodes || isLiteral(body) || readsElement(body) {
		return
	}
	if p, ok := body.(*ast.PointerNode); ok && p.Name == "" {
		return
	}
	c.doubtOf(body, codeShadow, "write .name for a field of the element, or # for the element", "the condition of %s does not read the element, so it is the same for all", x.Name)
}

// doubtSame warns of a value that is the same for all elements of a list, although it is
// no literal.
func (c *checker) doubtSame(x *ast.BuiltinNode, body ast.Node) {
	if body == nil || c.visits > maxNodes || readsElement(body) || !readsName(body) {
		return
	}
	from, to := c.extent(body)
	if slices.ContainsFunc(c.doubts, func(p Problem) bool { return p.Code == codeShadow && from <= p.From && p.To <= to }) {
		return // a loop inside has the same mistake
	}
	c.doubtOf(body, codeShadow, "write .name for a field of the element, or # for the element", "the value in %s does not read the element, so it is the same for all", x.Name)
}

// doubtKey warns of a key that is the same for all elements of a list.
func (c *checker) doubtKey(x *ast.BuiltinNode, body ast.Node) {
	text, isText := body.(*ast.StringNode)
	if body == nil || c.visits > maxNodes || !isText && !isLiteral(body) {
		c.doubtSame(x, body)
		return
	}
	hint := "write .name for a field of the element, or # for the element"
	if isText && CheckName(text.Value) == nil {
		hint = "write ." + text.Value
	}
	c.doubtOf(body, codeShadow, hint, "the key of %s does not read the element, so it is the same for all", x.Name)
}

// readsName reports whether an expression reads a name.
func readsName(n ast.Node) bool {
	if _, isName := n.(*ast.IdentifierNode); isName {
		return true
	}
	return slices.ContainsFunc(children(n), func(child ast.Node) bool { return child != nil && readsName(child) })
}

// readsElement reports whether an expression reads the element of the loop around it. A
// loop inside has its own element, except in its list.
func readsElement(n ast.Node) bool {
	switch x := n.(type) {
	case *ast.PointerNode:
		return true
	case *ast.BuiltinNode:
		for _, arg := range x.Arguments {
			if _, isBody := arg.(*ast.PredicateNode); !isBody && readsElement(arg) {
				return true
			}
		}
		return false
	}
	for _, child := range children(n) {
		if child != nil && readsElement(child) {
			return true
		}
	}
	return false
}
