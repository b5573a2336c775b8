package formula

import (
	"maps"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// A path names a value that a condition can be about: deal.contact.name, or
// #.price in a loop. Within one evaluation a path keeps its value.

const pathSeparator = "\x00"

// path returns the path of an expression, if it is one.
func (c *checker) path(n ast.Node) (string, bool) {
	switch x := n.(type) {
	case *ast.IdentifierNode:
		return x.Value, true
	case *ast.PointerNode:
		return "#" + x.Name + strconv.Itoa(len(c.loops)), x.Name == ""
	case *ast.ChainNode:
		return c.path(x.Node)
	case *ast.MemberNode:
		name, ok := x.Property.(*ast.StringNode)
		if !ok {
			return "", false
		}
		base, ok := c.path(x.Node)
		return base + pathSeparator + name.Value, ok
	}
	return "", false
}

// narrowed returns t, present if a condition around the expression says so.
func (c *checker) narrowed(n ast.Node, t Type) Type {
	if len(c.present) == 0 || !t.mayBeNil() {
		return t
	}
	if p, ok := c.path(n); ok && c.present[p] {
		return t.Present()
	}
	return t
}

// knowing runs f where the given paths are known not to be nil.
func (c *checker) knowing(paths Facts, f func()) {
	if len(paths) == 0 {
		f()
		return
	}
	saved := c.present
	c.present = maps.Clone(paths)
	maps.Copy(c.present, saved)
	f()
	c.present = saved
}

// facts returns the paths that are not nil if the condition is true (or false).
func (c *checker) facts(cond ast.Node, outcome bool) Facts {
	found := make(Facts)
	budget := maxNodes
	c.collectFacts(cond, outcome, found, &budget)
	return found
}

func (c *checker) collectFacts(cond ast.Node, outcome bool, found Facts, budget *int) {
	if *budget--; *budget < 0 {
		return
	}
	switch x := cond.(type) {
	case *ast.UnaryNode:
		if x.Operator == "!" || x.Operator == "not" {
			c.collectFacts(x.Node, !outcome, found, budget)
		}
	case *ast.BinaryNode:
		switch x.Operator {
		case "&&", "and":
			if outcome {
				c.collectFacts(x.Left, true, found, budget)
				c.collectFacts(x.Right, true, found, budget)
			}
		case "||", "or":
			if !outcome {
				c.collectFacts(x.Left, false, found, budget)
				c.collectFacts(x.Right, false, found, budget)
			}
		case "==", "!=":
			c.equalityFacts(x, outcome == (x.Operator == "=="), found)
		}
	case *ast.IdentifierNode, *ast.MemberNode, *ast.PointerNode, *ast.ChainNode:
		if outcome { // a condition that is true is there
			c.addFact(cond, found)
		}
	}
}

// equalityFacts learns from x != nil, and from x == "literal".
func (c *checker) equalityFacts(x *ast.BinaryNode, same bool, found Facts) {
	for _, pair := range [][2]ast.Node{{x.Left, x.Right}, {x.Right, x.Left}} {
		switch pair[1].(type) {
		case *ast.NilNode:
			if !same {
				c.addFact(pair[0], found)
			}
		case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
			if same {
				c.addFact(pair[0], found)
			}
		}
	}
}

// addFact notes that a path is there, and so is all that leads to it.
func (c *checker) addFact(n ast.Node, found Facts) {
	p, ok := c.path(n)
	if !ok {
		return
	}
	found[p] = true
	for i := strings.LastIndex(p, pathSeparator); i > 0; i = strings.LastIndex(p[:i], pathSeparator) {
		found[p[:i]] = true
	}
}

// narrowElem returns the type of a list's elements after a filter whose
// condition is cond: filter(rows, .price != nil) has prices.
func (c *checker) narrowElem(elem Type, cond ast.Node) Type {
	c.loops = append(c.loops, loopScope{elem: elem})
	defer func() { c.loops = c.loops[:len(c.loops)-1] }()
	self, _ := c.path(&ast.PointerNode{})
	for p := range c.facts(cond, true) {
		if p == self {
			elem = elem.Present()
		} else if rest, ok := strings.CutPrefix(p, self+pathSeparator); ok {
			elem = withPresent(elem, strings.Split(rest, pathSeparator))
		}
	}
	return elem
}

func withPresent(t Type, path []string) Type {
	field, ok := t.Fields[path[0]]
	if t.Kind != Record || !ok {
		return t
	}
	if len(path) == 1 {
		field = field.Present()
	} else {
		field = withPresent(field, path[1:])
	}
	t.Fields = maps.Clone(t.Fields)
	t.Fields[path[0]] = field
	return t
}
