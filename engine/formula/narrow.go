package formula

import (
	"maps"
	"slices"
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
	c.guardedNames(found)
	return found
}

func (c *checker) collectFacts(cond ast.Node, outcome bool, found Facts, budget *int) {
	if *budget--; *budget < 0 {
		return
	}
	switch x := cond.(type) {
	case *ast.UnaryNode:
		if operatorName(x.Operator) == "!" {
			c.collectFacts(x.Node, !outcome, found, budget)
			return
		}
	case *ast.BinaryNode:
		c.binaryFacts(x, outcome, found, budget)
	case *ast.IdentifierNode, *ast.MemberNode, *ast.PointerNode, *ast.ChainNode:
		c.nameFacts(cond, outcome, found)
	default:
		c.callFacts(cond, outcome, found)
	}
	if c.visits <= maxNodes { // otherwise nodes are shared, and their texts may be endless
		c.holds(cond, outcome, found)
	}
}

func (c *checker) binaryFacts(x *ast.BinaryNode, outcome bool, found Facts, budget *int) {
	op := operatorName(x.Operator)
	switch op {
	case "&&", "||":
		if outcome == (op == "&&") {
			c.collectFacts(x.Left, outcome, found, budget)
			c.collectFacts(x.Right, outcome, found, budget)
		}
	case "??": // x ?? false is true only if x is there
		if instead, ok := x.Right.(*ast.BoolNode); ok && instead.Value != outcome {
			c.addFact(x.Left, found)
			c.collectFacts(x.Left, outcome, found, budget)
		}
	case "in":
		if list, ok := x.Right.(*ast.ArrayNode); ok && outcome && !slices.ContainsFunc(list.Nodes, func(n ast.Node) bool { return !isLiteral(n) }) {
			c.addFact(x.Left, found)
		}
	case "==", "!=":
		c.equalityFacts(x, outcome == (op == "=="), found)
		c.comparisonFacts(x, outcome, found)
	case "<", "<=", ">", ">=":
		c.comparisonFacts(x, outcome, found)
	}
}

// nameFacts learns from a name that is a condition: where it is true, it is there.
func (c *checker) nameFacts(cond ast.Node, outcome bool, found Facts) {
	if outcome {
		c.addFact(cond, found)
	}
	if id, ok := cond.(*ast.IdentifierNode); ok && outcome {
		maps.Copy(found, c.env.Implied[id.Value])
	}
}

// callFacts learns from functions that say whether a list has elements.
func (c *checker) callFacts(cond ast.Node, outcome bool, found Facts) {
	name, args := callOf(cond)
	switch {
	case len(args) == 0:
	case name == "isEmpty" && !outcome:
		c.addFact(args[0], found)
		c.addSize(args[0], 1, found)
	case (name == "any" || name == "one") && outcome, name == "all" && !outcome, name == "none" && !outcome:
		c.addSize(args[0], 1, found)
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
