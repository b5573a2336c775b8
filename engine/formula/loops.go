package formula

import (
	"fmt"
	"math"

	"github.com/expr-lang/expr/ast"
)

// loops are the functions that evaluate a body for each element of a list. Their
// names are known to expr's parser, which reads `.name` and `#` only there, but for maxBy
// and minBy: see source.repair.
var loops = map[string]bool{
	"all": true, "none": true, "any": true, "one": true,
	"filter": true, "map": true, "count": true, "sum": true,
	"find": true, "findIndex": true, "findLast": true, "findLastIndex": true,
	"groupBy": true, "sortBy": true, "reduce": true, "maxBy": true, "minBy": true,
}

// builtinNode infers a call of a function that expr's parser knows.
func (c *checker) builtinNode(x *ast.BuiltinNode) (ast.Node, Type) {
	if !loops[x.Name] {
		return c.function(x, x.Name, x.Arguments)
	}
	if len(x.Arguments) == 0 {
		c.errorAt(x.Location(), codeArgs, "", "%s takes a list", x.Name)
		return &ast.NilNode{}, Type{}
	}
	list, elem := c.loopSource(x)
	if len(c.loops) == maxLoops {
		c.errorAt(x.Location(), codeLimit, "move the inner loop to compute or let", "more than %d nested loops", maxLoops)
		return &ast.NilNode{}, Type{}
	}
	var body ast.Node
	if len(x.Arguments) > 1 {
		if p, ok := x.Arguments[1].(*ast.PredicateNode); ok {
			body = p.Node
		}
	}
	switch x.Name {
	case "all", "none", "any", "one":
		cond := c.bodyCondition(x, elem, body)
		return truth(builtin(x.Location(), x.Name, list, predicate(cond))), Type{Kind: Bool}
	case "filter":
		cond := c.bodyCondition(x, elem, body)
		return builtin(x.Location(), x.Name, list, predicate(cond)), ListOf(c.narrowElem(elem, body))
	case "find":
		cond := c.bodyCondition(x, elem, body)
		return builtin(x.Location(), x.Name, list, predicate(cond)), c.narrowElem(elem, body).Optional()
	case "findIndex":
		cond := c.bodyCondition(x, elem, body)
		n := builtin(x.Location(), x.Name, list, predicate(cond))
		return call(x.Location(), unary(lift), n), sizeType.Optional()
	case "findLast", "findLastIndex":
		return c.findLast(x, list, elem, body)
	case "count":
		return c.count(x, list, elem, body)
	case "sum":
		return c.sum(x, list, elem, body)
	case "map":
		c.shares = true
		n, t := c.body(loopScope{list: x.Arguments[0], elem: elem}, body)
		c.doubtSame(x, body)
		return builtin(x.Location(), "map", list, predicate(n)), ListOf(t)
	case "groupBy":
		return c.groupBy(x, list, elem, body)
	case "sortBy":
		return c.sortBy(x, list, elem, body)
	case "maxBy", "minBy":
		return c.bestBy(x, list, elem, body)
	}
	return c.reduce(x, list, elem, body)
}

// loopSource infers the list that a loop goes through. The lowered node counts
// its length as steps before the loop starts. In nested loops this counts each
// element that is visited, at no cost for the elements themselves.
func (c *checker) loopSource(x *ast.BuiltinNode) (ast.Node, Type) {
	list, t := c.infer(x.Arguments[0])
	c.noteSize(x.Arguments[0], t)
	switch {
	case t.mayBeNil():
		c.missing(x.Arguments[0], Type{Kind: List})
	case t.Kind == Record:
		c.errorOf(x.Arguments[0], codeType, "write values(…) or keys(…) of the record", "%s takes a list, not a record", x.Name)
		t = Type{}
	case t.Kind != List && t.Kind != Any:
		c.errorOf(x.Arguments[0], codeType, "", "%s takes a list, not %s", x.Name, t)
		t = Type{}
	}
	list = call(x.Arguments[0].Location(), binary(beginLoop), machineNode, list)
	return list, t.elem()
}

// body infers the body of a loop.
func (c *checker) body(scope loopScope, body ast.Node) (ast.Node, Type) {
	var n ast.Node
	var t Type
	c.inLoop(scope, func() { n, t = c.infer(body) })
	return n, t
}

func (c *checker) bodyCondition(x *ast.BuiltinNode, elem Type, body ast.Node) ast.Node {
	c.doubtUnused(x, body)
	var n ast.Node
	c.inLoop(loopScope{list: x.Arguments[0], elem: elem}, func() { n = c.condition(body, "the condition of "+x.Name) })
	return n
}

// inLoop runs f inside a loop, whose list has an element then.
func (c *checker) inLoop(scope loopScope, f func()) {
	found := make(Facts)
	if scope.list != nil && c.visits <= maxNodes {
		c.addSize(scope.list, 1, found)
	}
	c.loops = append(c.loops, scope)
	c.knowing(found, f)
	c.loops = c.loops[:len(c.loops)-1]
}

// findLast visits all elements. The backward loops of expr v1.17.8 leave a
// value on its stack for each element (compiler.emitLoopBackwards pops none), so
// that [1, findLast(list, …)] does not start with 1.
func (c *checker) findLast(x *ast.BuiltinNode, list ast.Node, elem Type, body ast.Node) (ast.Node, Type) {
	at := x.Location()
	cond := c.bodyCondition(x, elem, body)
	pairs := builtin(at, "map", list, predicate(pairOf(cond)))
	if x.Name == "findLast" {
		return call(at, unary(lastMatch), pairs), c.narrowElem(elem, body).Optional()
	}
	return call(at, unary(lastMatchIndex), pairs), sizeType.Optional()
}

func (c *checker) count(x *ast.BuiltinNode, list ast.Node, elem Type, body ast.Node) (ast.Node, Type) {
	if body == nil {
		if elem.Kind != Bool && elem.Kind != Any {
			c.errorAt(x.Location(), codeArgs, "write len(list)", "count takes a condition")
			return list, sizeType
		}
		body = placed(&ast.PointerNode{}, x)
	}
	n := builtin(x.Location(), "count", list, predicate(c.bodyCondition(x, elem, body)))
	return call(x.Location(), unary(lift), n), sizeType
}

// sum adds outside of expr's machine: the list of the summands is made by its
// loop, then added up by one call.
func (c *checker) sum(x *ast.BuiltinNode, list ast.Node, elem Type, body ast.Node) (ast.Node, Type) {
	t, at := elem, x.Location()
	what := x.Arguments[0]
	if body != nil {
		var n ast.Node
		n, t = c.body(loopScope{list: x.Arguments[0], elem: elem}, body)
		c.doubtSame(x, body)
		list = builtin(at, "map", list, predicate(n))
		what = body
	}
	switch {
	case body == nil && t.Kind == Record:
		c.errorOf(what, codeType, "write sum(list, .field)", "sum takes numbers, not records")
	case body == nil && t.isNumber() && t.Maybe:
		c.errorOf(what, codeMaybe, "write sum(list, # ?? 0)", "elements of the list may be missing (nil)")
	default:
		t = c.wantNumber(what, t, "sum")
	}
	if !t.isNumber() {
		t = Type{Kind: Number}
	}
	result := Type{Kind: t.Kind}
	if rangeOf(nil, t).Min >= 0 {
		result = Range{0, math.MaxInt64}.within(result)
	}
	return call(at, unary(sumFn), list), result
}

// groupBy gives a list of {key, items} in the order in which the keys appear.
// What expr gives, a map, has no order at all.
func (c *checker) groupBy(x *ast.BuiltinNode, list ast.Node, elem Type, body ast.Node) (ast.Node, Type) {
	c.shares = true
	at := x.Location()
	key, kt := c.body(loopScope{list: x.Arguments[0], elem: elem}, body)
	c.doubtKey(x, body)
	pairs := builtin(at, "map", list, predicate(pairOf(key)))
	group := RecordOf(map[string]Type{"key": kt, "items": SizedList(elem, 1)})
	return call(at, binary(groupFn), machineNode, pairs), ListOf(bounded(group))
}

// pairOf makes the body of a loop that gives pairs of the element and key.
func pairOf(key ast.Node) ast.Node {
	self := placed(&ast.PointerNode{}, key)
	return placed(&ast.ArrayNode{Nodes: []ast.Node{self, key}}, key)
}

// sortBy sorts by one key, or by a list of keys: the second one decides where the first
// ones are equal.
func (c *checker) sortBy(x *ast.BuiltinNode, list ast.Node, elem Type, body ast.Node) (ast.Node, Type) {
	at := x.Location()
	key, kt := c.body(loopScope{list: x.Arguments[0], elem: elem}, body)
	c.doubtKey(x, body)
	several, isList := body.(*ast.ArrayNode)
	switch {
	case !isList:
		c.wantOrdered(body, kt, x.Name)
	case len(several.Nodes) == 0:
		c.errorOf(body, codeArgs, `write sortBy(list, [.date, .title], ["desc", "asc"])`, "sortBy takes at least one key")
	default:
		c.inLoop(loopScope{list: x.Arguments[0], elem: elem}, func() {
			for _, part := range several.Nodes {
				_, t := c.infer(part)
				c.wantOrdered(part, t, x.Name)
			}
		})
	}
	order := ast.Node(&ast.StringNode{Value: "asc"})
	if len(x.Arguments) > 2 {
		order = c.sortOrders(x.Arguments[2], several)
	}
	pairs := builtin(at, "map", list, predicate(pairOf(key)))
	sort := sortPairs
	if isList {
		sort = sortPairsByKeys
	}
	return withMachine(at, sort, pairs, order), ListOf(elem)
}

// sortOrders checks the order of sortBy: one for all keys, or a list with one for each.
func (c *checker) sortOrders(n ast.Node, keys *ast.ArrayNode) ast.Node {
	orders, isList := n.(*ast.ArrayNode)
	if !isList {
		return c.sortOrder(n)
	}
	if keys == nil || len(orders.Nodes) != len(keys.Nodes) {
		want := 1
		if keys != nil {
			want = len(keys.Nodes)
		}
		c.errorOf(n, codeArgs, "write one order for each key, or one for all", "sortBy has %s and %s", plural(want, "key"), plural(len(orders.Nodes), "order"))
		return n
	}
	out := &ast.ArrayNode{Nodes: make([]ast.Node, len(orders.Nodes))}
	for i, one := range orders.Nodes {
		out.Nodes[i] = c.sortOrder(one)
	}
	return placed(out, n)
}

// bestBy gives the first element with the largest or the smallest key.
func (c *checker) bestBy(x *ast.BuiltinNode, list ast.Node, elem Type, body ast.Node) (ast.Node, Type) {
	c.shares = true
	at := x.Location()
	if body == nil {
		c.errorAt(at, codeArgs, fmt.Sprintf("write %s(list, .price)", x.Name), "%s takes a list and a key", x.Name)
		return list, elem.Optional()
	}
	key, kt := c.body(loopScope{list: x.Arguments[0], elem: elem}, body)
	c.doubtKey(x, body)
	c.wantOrdered(body, kt, x.Name)
	if kt.mayBeNil() {
		c.missing(body, kt)
	}
	pairs := builtin(at, "map", list, predicate(pairOf(key)))
	if c.visits > maxNodes || !c.hasSize(x.Arguments[0], Type{}, 1) {
		elem = elem.Optional()
	}
	best := smallestPair
	if x.Name == "maxBy" {
		best = largestPair
	}
	return withMachine(at, best, pairs), elem
}

func (c *checker) wantOrdered(n ast.Node, t Type, name string) {
	if t.Kind == List || t.Kind == Record || t.Kind == Omit {
		c.errorOf(n, codeType, "", "%s needs what has an order (a number, text or time), not %s", name, t)
	}
}

func (c *checker) sortOrder(n ast.Node) ast.Node {
	order, t := c.infer(n)
	c.wantArg(n, t, Type{Kind: String}, "the order")
	if fixed, ok := n.(*ast.StringNode); ok && fixed.Value != "asc" && fixed.Value != "desc" {
		c.errorOf(n, codeType, `write "asc" or "desc"`, "unknown order %q", fixed.Value)
	}
	return order
}

// reduce infers the body with the type of the first accumulator. The body has to
// give that type again.
func (c *checker) reduce(x *ast.BuiltinNode, list ast.Node, elem Type, body ast.Node) (ast.Node, Type) {
	c.shares = true
	args := []ast.Node{list, nil}
	start := elem
	var initial ast.Node
	const initialName = "$initial"
	if len(x.Arguments) > 2 {
		initial, start = c.infer(x.Arguments[2])
		args = append(args, placed(&ast.IdentifierNode{Value: initialName}, initial))
	}
	acc := widen(start, 0)
	n, t := c.body(loopScope{list: x.Arguments[0], elem: elem, acc: &acc}, body)
	args[1] = predicate(n)
	result := builtin(x.Location(), "reduce", args...)
	if initial != nil { // expr evaluates it inside of the loop, where # is another
		result = placed(&ast.VariableDeclaratorNode{Name: initialName, Value: initial, Expr: result}, x)
	}
	if acc.Kind == Int && t.Kind == Number && !t.Maybe {
		return result, t
	}
	if !Fits(t, acc) {
		c.errorOf(body, codeType, "give reduce a first value of the type that its body gives",
			"reduce starts with %s, but its body gives %s", acc, t)
		return result, Type{}
	}
	return result, acc
}

// widen returns the type that a first accumulator may grow into.
func widen(t Type, depth int) Type {
	switch {
	case t.Kind == Nil, t.Maybe, t.Kind == Omit, depth > maxUnify:
		return Type{}
	case t.Kind == List:
		return ListOf(Type{})
	case t.Kind == Record:
		fields := make(map[string]Type, len(t.Fields))
		for name, field := range t.Fields {
			if fields[name] = widen(field, depth+1); field.Kind == Int {
				fields[name] = Type{Kind: Number}
			}
		}
		return Type{Kind: Record, Fields: fields, Open: t.Open}
	}
	t.Domain = nil
	return t
}

// wantArg reports an argument of a wrong type.
func (c *checker) wantArg(n ast.Node, have, want Type, what string) {
	if Fits(have, want) {
		return
	}
	if have.mayBeNil() && Fits(have.Present(), want) {
		if have.Kind == Nil {
			have = want
		}
		c.missing(n, have)
		return
	}
	hint := ""
	switch {
	case want.Kind == Int && have.Kind == Number:
		hint = "write int(…), round(…) or floor(…)"
	case want.isNumber() && have.Kind == String:
		hint = "write number(…)"
	case want.Kind == String && (have.isNumber() || have.Kind == Bool || have.Kind == Time):
		hint = "write string(…)"
	case want.Kind == Time && have.Kind == String:
		hint = "write date(…)"
	case want.Kind == List && have.Kind == List && have.elem().mayBeNil() && !want.elem().mayBeNil():
		c.errorOf(n, codeMaybe, "write map(list, # ?? …) or filter(list, # != nil)", "elements of the list may be missing (nil)")
		return
	}
	c.errorOf(n, codeType, hint, "%s must be %s, not %s", what, article(want), article(have))
}

// article puts "a" before the name of a type that has one.
func article(t Type) string {
	switch t.Kind {
	case Int, Number, List, Record, Time:
		return fmt.Sprintf("a %s", t)
	case String:
		return "a text"
	}
	return t.String()
}
