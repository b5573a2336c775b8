package formula

import (
	"maps"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/ast"

	"github.com/b24rules/b24rules/engine/num"
)

// Facts are about paths, which are not nil, and about three other kinds of things. The
// keys of those start with a byte that no path has.
const (
	factHolds   = "\x01" // a condition that is true
	factNonZero = "\x02" // a number that is not 0
	factSize    = "\x03" // a list with at least so many elements
)

// maxSize is the largest number of elements that is known of a list.
const maxSize = 16

// key returns the key of a fact about an expression. An element # is one of its loop.
func (c *checker) key(kind string, n ast.Node) string {
	text := canonical(c.source, n)
	if strings.Contains(text, "#") {
		kind += strconv.Itoa(len(c.loops))
	}
	return kind + text
}

func (c *checker) sizeKey(n ast.Node, size int) string {
	return c.key(factSize+strconv.Itoa(size)+"\x03", n)
}

// holds notes that a condition is true or false. Later, the guards of a name are looked
// up among these.
func (c *checker) holds(cond ast.Node, outcome bool, found Facts) {
	if outcome {
		found[c.key(factHolds, cond)] = true
		return
	}
	switch x := cond.(type) {
	case *ast.UnaryNode:
		if operatorName(x.Operator) == "!" {
			found[c.key(factHolds, x.Node)] = true
			return
		}
	case *ast.BinaryNode:
		if opposite := negated[x.Operator]; opposite != "" {
			found[c.key(factHolds, &ast.BinaryNode{Operator: opposite, Left: x.Left, Right: x.Right})] = true
			return
		}
	}
	found[c.key(factHolds, &ast.UnaryNode{Operator: "!", Node: cond})] = true
}

// negated are the comparisons that are true where others are false.
var negated = map[string]string{"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}

// guardedNames notes the names that have a value because their guards hold.
func (c *checker) guardedNames(found Facts) {
	for name, facts := range c.env.Given {
		if found[name] {
			maps.Copy(found, facts)
		}
	}
	for name, guards := range c.env.Guards {
		known := true
		for _, guard := range guards {
			known = known && (found[factHolds+guard] || c.present[factHolds+guard])
		}
		if known {
			found[name] = true
		}
	}
}

// comparisonFacts learns from the comparison of a value with a literal.
func (c *checker) comparisonFacts(x *ast.BinaryNode, outcome bool, found Facts) {
	op := x.Operator
	if !outcome {
		op = negated[op]
	}
	c.literalFacts(x.Left, op, x.Right, found)
	if other := swapped[op]; other != "" {
		op = other
	}
	c.literalFacts(x.Right, op, x.Left, found)
}

// literalFacts learns from value op literal, which is true.
func (c *checker) literalFacts(value ast.Node, op string, literal ast.Node, found Facts) {
	if list, isList := literal.(*ast.ArrayNode); isList && len(list.Nodes) == 0 && op == "!=" {
		c.addSize(value, 1, found)
		return
	}
	if !isLiteral(literal) {
		return
	}
	value = c.resolved(value)
	n, isNum := numberLiteral(literal)
	if swapped[op] != "" && (!c.zeroed[canonical(c.source, value)] || isNum && excludesZero(op, n.Sign())) { // an order of nil fails
		c.addFact(value, found)
	}
	if path, instead, ok := withDefault(value); ok {
		if v, known := compareLiterals(instead, op, literal); known && !v {
			c.addFact(path, found) // with the value to take instead, it would be false
		}
	}
	if !isNum {
		return
	}
	if excludesZero(op, n.Sign()) {
		c.addNonZero(value, found)
	}
	name, args := callOf(value)
	if size := leastSize(op, n); name == "len" && len(args) == 1 && size > 0 {
		c.addSize(args[0], size, found)
	} else if name == "count" && len(args) > 0 && size > 0 {
		c.addSize(args[0], 1, found)
	}
}

// excludesZero reports whether 0 op n is false for every n of a sign.
func excludesZero(op string, sign int) bool {
	switch op {
	case ">":
		return sign >= 0
	case ">=":
		return sign > 0
	case "<":
		return sign <= 0
	case "<=":
		return sign < 0
	case "==":
		return sign != 0
	case "!=":
		return sign == 0
	}
	return false
}

// leastSize returns the smallest size, from 0 on, for which size op n is true.
func leastSize(op string, n num.Num) int {
	for size := range maxSize + 1 {
		order := num.FromInt(int64(size)).Cmp(n)
		switch op {
		case ">":
			if order > 0 {
				return size
			}
		case ">=", "==":
			if order >= 0 {
				return size
			}
		case "!=":
			if order != 0 {
				return size
			}
		default:
			return 0
		}
	}
	return maxSize
}

// addNonZero notes that a number is not 0.
func (c *checker) addNonZero(value ast.Node, found Facts) {
	found[c.key(factNonZero, value)] = true
	if path, _, ok := withDefault(value); ok {
		found[c.key(factNonZero, path)] = true
	}
	if name, args := callOf(value); len(args) > 0 && (name == "sum" || name == "count") {
		c.addSize(args[0], 1, found)
	}
}

// addSize notes that a list has at least so many elements, and so is not nil.
func (c *checker) addSize(list ast.Node, size int, found Facts) {
	list = c.resolved(list)
	path, instead, ok := withDefault(list)
	empty, isList := instead.(*ast.ArrayNode)
	if ok && isList && len(empty.Nodes) == 0 {
		c.addFact(path, found)
	}
	for k := 1; k <= min(size, maxSize); k++ {
		found[c.sizeKey(list, k)] = true
		if ok {
			found[c.sizeKey(path, k)] = true
		}
	}
}

// noteSize keeps the size that the type of a list has.
func (c *checker) noteSize(n ast.Node, t Type) {
	if t.Domain == nil || t.Domain.Size == 0 {
		return
	}
	if c.sizes == nil {
		c.sizes = make(map[ast.Node]int)
	}
	c.sizes[n] = t.Domain.Size
}

// sized are functions whose result has as many elements as their first argument.
var sized = map[string]bool{"map": true, "sort": true, "sortBy": true, "reverse": true}

// hasSize reports whether a list is known to have at least so many elements.
func (c *checker) hasSize(n ast.Node, t Type, size int) bool {
	n = c.resolved(n)
	if t.Domain != nil && t.Domain.Size >= size || c.sizes[n] >= size || c.present[c.sizeKey(n, size)] {
		return true
	}
	switch x := n.(type) {
	case *ast.ArrayNode:
		return len(x.Nodes) >= size
	case *ast.ConditionalNode:
		return c.hasSize(x.Exp1, Type{}, size) && c.hasSize(x.Exp2, Type{}, size)
	case *ast.BinaryNode:
		if path, instead, ok := withDefault(n); ok {
			return c.present[c.sizeKey(path, size)] || c.hasSize(instead, Type{}, size) && c.hasSize(path, Type{}, size)
		}
	}
	name, args := callOf(n)
	switch {
	case len(args) == 0:
		return false
	case sized[name]:
		return c.hasSize(args[0], Type{}, size)
	case name == "uniq" || name == "groupBy":
		return size == 1 && c.hasSize(args[0], Type{}, 1)
	case name == "split":
		return size == 1
	case name == "concat":
		for _, arg := range args {
			if c.hasSize(arg, Type{}, size) {
				return true
			}
		}
	}
	return false
}

// doubtZero warns of a division by the size or the sum of a list that may be empty, and
// by a value that is 0 where it is missing.
func (c *checker) doubtZero(divisor ast.Node, t Type) {
	if c.visits > maxNodes { // nodes are shared
		return
	}
	n := c.resolved(divisor)
	if c.present[c.key(factNonZero, n)] {
		return
	}
	if path, instead, ok := withDefault(n); ok {
		zero, isNum := numberLiteral(instead)
		if isNum && zero.Sign() == 0 && !c.present[c.key(factNonZero, path)] {
			c.doubtOf(divisor, codeEmpty, "write x == 0 ? 0 : … / x, or add a when to the step", "the division fails where %s is missing", c.excerpt(path))
		}
		return
	}
	if t.Domain != nil && t.Domain.ZeroUnset {
		value := c.excerpt(n)
		c.doubtOf(divisor, codeEmpty, "write "+value+" == 0 ? 0 : … / "+value+", or add a when to the step", "the division fails where %s is 0, which is also an amount that is not set", value)
		return
	}
	name, args := callOf(n)
	if len(args) == 0 || name != "len" && name != "count" && name != "sum" || name != "count" && c.hasSize(args[0], Type{}, 1) {
		return
	}
	if _, isText := args[0].(*ast.StringNode); isText {
		return
	}
	value := c.excerpt(n)
	c.doubtOf(divisor, codeEmpty, "write "+value+" == 0 ? 0 : … / "+value+", or add a when to the step", "the division fails where %s is 0", value)
}

// doubtIndex warns of an element of a list that may have fewer.
func (c *checker) doubtIndex(x *ast.MemberNode, key ast.Node, t Type) {
	if name, args := callOf(x.Property); name == "len" && len(args) == 1 && c.visits <= maxNodes && canonical(c.source, args[0]) == canonical(c.source, x.Node) {
		list := c.excerpt(x.Node)
		c.doubtOf(x, codeEmpty, "write last("+list+"), or "+list+"[-1] for a list that is not empty", "the elements of %s are numbered from 0, so no element has the number len(%s)", list, list)
		return
	}
	literal, _ := isConstant(key)
	n, isNum := literal.(num.Num)
	i, isInt := n.Int64()
	if !isNum || !isInt || c.visits > maxNodes || i >= maxSize || i < -maxSize {
		return
	}
	list := c.excerpt(x.Node)
	size, instead := int(i)+1, "get("+list+", "+strconv.FormatInt(i, 10)+")"
	if i < 0 {
		size = int(-i)
	}
	switch i {
	case 0:
		instead = "first(" + list + ")"
	case -1:
		instead = "last(" + list + ")"
	}
	if _, fixed := c.resolved(x.Node).(*ast.ArrayNode); fixed || c.hasSize(x.Node, t, size) {
		return // an element that a fixed list does not have fails in every run
	}
	c.doubtOf(x, codeEmpty, "write "+instead+", which is nil then, or add when: =len("+list+") > "+strconv.Itoa(size-1), "%s may have no element %d", list, i)
}

// resolved returns the value that a name of let has.
func (c *checker) resolved(n ast.Node) ast.Node {
	for range maxLoops {
		id, ok := n.(*ast.IdentifierNode)
		if !ok {
			return n
		}
		value := c.letValue(id.Value)
		if value == nil {
			return n
		}
		n = value
	}
	return n
}

func (c *checker) letValue(name string) ast.Node {
	for _, v := range c.lets {
		if v.name == name && (v.loops == len(c.loops) || !strings.Contains(canonical(c.source, v.value), "#")) {
			return v.value
		}
	}
	return nil
}

// withDefault returns the sides of value ?? instead.
func withDefault(n ast.Node) (value, instead ast.Node, ok bool) {
	x, isBinary := n.(*ast.BinaryNode)
	if !isBinary || x.Operator != "??" {
		return nil, nil, false
	}
	return x.Left, x.Right, true
}

// numberLiteral returns the number of a literal.
func numberLiteral(n ast.Node) (num.Num, bool) {
	switch x := n.(type) {
	case *ast.IntegerNode:
		return num.FromInt(int64(x.Value)), true
	case *ast.FloatNode: // only the order matters here
		v, err := num.Parse(strconv.FormatFloat(x.Value, 'f', -1, 64))
		return v, err == nil
	case *ast.UnaryNode:
		if v, ok := numberLiteral(x.Node); ok && x.Operator == "-" {
			return v.Neg(), true
		}
	}
	return num.Num{}, false
}

// compareLiterals returns the outcome of a comparison of two literals.
func compareLiterals(left ast.Node, op string, right ast.Node) (v, known bool) {
	order := 0
	switch x := left.(type) {
	case *ast.StringNode:
		y, ok := right.(*ast.StringNode)
		if !ok {
			return false, false
		}
		order = strings.Compare(x.Value, y.Value)
	case *ast.BoolNode:
		y, ok := right.(*ast.BoolNode)
		if !ok {
			return false, false
		}
		order = boolRank(x.Value) - boolRank(y.Value)
	default:
		a, aok := numberLiteral(left)
		b, bok := numberLiteral(right)
		if !aok || !bok {
			return false, false
		}
		order = a.Cmp(b)
	}
	switch op {
	case "==":
		return order == 0, true
	case "!=":
		return order != 0, true
	case "<":
		return order < 0, true
	case "<=":
		return order <= 0, true
	case ">":
		return order > 0, true
	case ">=":
		return order >= 0, true
	}
	return false, false
}
