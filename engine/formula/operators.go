package formula

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"

	"github.com/b24rules/b24rules/engine/num"
)

type loc = file.Location

const maxPattern = 500 // characters of a regular expression

func (c *checker) unary(x *ast.UnaryNode) (ast.Node, Type) {
	if x.Operator == "!" || x.Operator == "not" {
		n := &ast.UnaryNode{Operator: "!", Node: c.condition(x.Node, "the operand of "+x.Operator)}
		return truth(placed(n, x)), Type{Kind: Bool}
	}
	operand, t := c.infer(x.Node)
	t = c.wantNumber(x.Node, t, x.Operator)
	r := rangeOf(nil, t)
	if x.Operator == "-" {
		r = r.negated()
	}
	t = r.within(t)
	if x.Operator == "+" {
		return call(x.Location(), unary(asNumber), operand), t
	}
	if v, ok := isConstant(operand); ok {
		if n, isNum := v.(num.Num); isNum {
			return constant(n.Neg(), x.Location()), t
		}
	}
	return call(x.Location(), unary(negate), operand), t
}

func (c *checker) binary(x *ast.BinaryNode) (ast.Node, Type) {
	switch x.Operator {
	case "&&", "and", "||", "or":
		return c.logic(x)
	case "??":
		return c.coalesce(x)
	case "matches":
		return c.matches(x)
	}
	left, lt := c.infer(x.Left)
	right, rt := c.infer(x.Right)
	switch x.Operator {
	case "==", "!=":
		return c.equality(x, left, right, lt, rt)
	case "<", "<=", ">", ">=":
		return c.ordering(x, left, right, lt, rt)
	case "+":
		return c.plus(x, left, right, lt, rt)
	case "-", "*", "/", "%", "**", "^":
		return c.arithmetic(x, left, right, lt, rt)
	case "in":
		return c.in(x, left, right, lt, rt)
	case "contains", "startsWith", "endsWith":
		if lt.Kind == List {
			c.errorOf(x, codeType, "write value in list", "%s looks into a text, and this is a list", x.Operator)
			return left, Type{Kind: Bool}
		}
		c.wantArg(x.Left, lt, Type{Kind: String}, "the left side of "+x.Operator)
		c.wantArg(x.Right, rt, Type{Kind: String}, "the right side of "+x.Operator)
		c.doubtWildcard(x.Operator, x.Right)
		c.doubtSide(x, x.Operator, operand{x.Left, left, lt}, operand{x.Right, right, rt})
		return truth(withMachine(x.Location(), textTests[x.Operator], left, right)), Type{Kind: Bool}
	case "..":
		c.wantArg(x.Left, lt, Type{Kind: Int}, "the start of a range")
		c.wantArg(x.Right, rt, Type{Kind: Int}, "the end of a range")
		return withMachine(x.Location(), rangeFn, left, right), ListOf(Type{Kind: Int})
	}
	c.errorAt(x.Location(), codeSyntax, "", "unknown operator %q", x.Operator)
	return left, Type{}
}

func (c *checker) logic(x *ast.BinaryNode) (ast.Node, Type) {
	op, when := "&&", true
	if x.Operator == "||" || x.Operator == "or" {
		op, when = "||", false
	}
	n := &ast.BinaryNode{Operator: op, Left: c.condition(x.Left, "the left side of "+x.Operator)}
	if c.alternative(x) {
		return n.Left, Type{Kind: Bool}
	}
	c.knowing(c.facts(x.Left, when), func() {
		n.Right = c.condition(x.Right, "the right side of "+x.Operator)
	})
	return truth(placed(n, x)), Type{Kind: Bool}
}

func (c *checker) coalesce(x *ast.BinaryNode) (ast.Node, Type) {
	left, lt := c.infer(x.Left)
	right, rt := c.infer(x.Right)
	n := placed(&ast.BinaryNode{Operator: "??", Left: left, Right: right}, x)
	switch {
	case lt.Kind == Nil:
		return n, rt
	case lt.Kind != Any && !lt.Maybe: // never missing: the right side is not reached
		return n, lt
	}
	t := Unify(lt.Present(), rt)
	if isLiteral(x.Right) && t.Kind == lt.Kind { // a literal to take instead is no reason to forget the domain
		t.Domain = c.domainWith(lt, operand{x.Right, right, rt})
	}
	return n, t
}

func (c *checker) equality(x *ast.BinaryNode, left, right ast.Node, lt, rt Type) (ast.Node, Type) {
	if !canEqual(lt, rt) {
		c.neverEqual(x, lt, rt, fmt.Sprintf("%s never equals %s", lt.Present(), rt.Present()))
	}
	c.doubtComparison(x, operand{x.Left, left, lt}, operand{x.Right, right, rt})
	c.doubtShadow(x)
	n := c.equals(x.Location(), left, right, lt, rt)
	if x.Operator == "!=" {
		n = truth(placed(&ast.UnaryNode{Operator: "!", Node: n}, x))
	}
	return n, Type{Kind: Bool}
}

// equals takes the cheap comparison where one side is short for certain.
func (c *checker) equals(at loc, left, right ast.Node, lt, rt Type) ast.Node {
	switch {
	case lt.Kind == Nil:
		return truth(call(at, unary(isNil), right))
	case rt.Kind == Nil:
		return truth(call(at, unary(isNil), left))
	case isShort(left, lt) || isShort(right, rt):
		return truth(call(at, binary(equalShort), left, right))
	}
	return truth(withMachine(at, equalFn, left, right))
}

// isShort reports whether a comparison with the value takes next to no time.
func isShort(n ast.Node, t Type) bool {
	if _, literal := n.(*ast.StringNode); literal {
		return true
	}
	return t.isNumber() || t.Kind == Bool || t.Kind == Time
}

// canEqual reports whether values of the two types can be equal.
func canEqual(a, b Type) bool {
	switch {
	case a.Kind == Omit || b.Kind == Omit:
		return false
	case a.Kind == Any || b.Kind == Any || a.Kind == Nil || b.Kind == Nil:
		return true
	case a.isNumber() && b.isNumber():
		return true
	case a.Kind != b.Kind:
		return false
	case a.Kind == List:
		return canEqual(a.elem(), b.elem())
	}
	return true
}

func (c *checker) neverEqual(x *ast.BinaryNode, lt, rt Type, message string) {
	hint := ""
	switch {
	case lt.isNumber() && rt.Kind == String, rt.isNumber() && lt.Kind == String:
		hint = "write number(…) of the text or string(…) of the number"
	case lt.Kind == Time && rt.Kind == String, rt.Kind == Time && lt.Kind == String:
		hint = "write date(…) of the text"
	case lt.Kind == Bool && rt.Kind == String, rt.Kind == Bool && lt.Kind == String:
		hint = `compare the text with "Y" or "N"`
	case lt.Kind == Omit || rt.Kind == Omit:
		hint = "omit is a result; a value that is missing is nil"
	case lt.Kind == List || rt.Kind == List:
		hint = "write … in list, or len(list)"
	}
	c.errorOf(x, codeType, hint, "%s", message)
}

func (c *checker) ordering(x *ast.BinaryNode, left, right ast.Node, lt, rt Type) (ast.Node, Type) {
	ok := true
	for _, side := range []struct {
		n       ast.Node
		t       Type
		lowered *ast.Node
	}{{x.Left, lt, &left}, {x.Right, rt, &right}} {
		switch {
		case side.t.mayBeNil() && side.t.isID():
			*side.lowered = c.orZero(side.n, *side.lowered)
		case side.t.mayBeNil():
			c.missing(side.n, side.t)
			ok = false
		case side.t.Kind == List || side.t.Kind == Record || side.t.Kind == Omit:
			hint := ""
			if side.t.Kind == List {
				hint = "write len(…) for the number of elements"
			}
			c.errorOf(side.n, codeType, hint, "%s has no order", side.t)
			ok = false
		}
	}
	if ok && !canEqual(lt, rt) {
		c.neverEqual(x, lt, rt, fmt.Sprintf("%s cannot be compared with %s", lt, rt))
	}
	c.doubtComparison(x, operand{x.Left, left, lt}, operand{x.Right, right, rt})
	c.doubtOrder(x, operand{x.Left, left, lt}, operand{x.Right, right, rt})
	var n ast.Node
	if isShort(left, lt) || isShort(right, rt) {
		n = call(x.Location(), shortOrders[x.Operator], left, right)
	} else {
		n = withMachine(x.Location(), orders[x.Operator], left, right)
	}
	return truth(n), Type{Kind: Bool}
}

// isID reports whether a value is the id of a record.
func (t Type) isID() bool { return t.Domain != nil && t.Domain.IDOf != 0 }

// orZero makes an id that may be missing 0 in a comparison by order: an entity has no
// company if its companyId is 0, and some portals answer null.
func (c *checker) orZero(n, lowered ast.Node) ast.Node {
	if c.visits <= maxNodes {
		if c.zeroed == nil {
			c.zeroed = make(map[string]bool)
		}
		c.zeroed[canonical(c.source, n)] = true
	}
	return placed(&ast.BinaryNode{Operator: "??", Left: lowered, Right: constant(num.FromInt(0), n.Location())}, n)
}

// missing reports a value that may be nil where one is needed.
func (c *checker) missing(n ast.Node, t Type) {
	instead := map[Kind]string{Int: "0", Number: "0", String: `""`, List: "[]", Bool: "false"}[t.Kind]
	if instead == "" {
		instead = "…"
	}
	what, hint := c.quoted(n), fmt.Sprintf("write ?? %s for what to take instead", instead)
	if name, _ := callOf(n); name == "findIndex" || name == "findLastIndex" {
		hint = "it is nil when there is none: write != nil, or any(…)"
	}
	if what == "" {
		what = "the value"
	} else {
		hint = fmt.Sprintf("write (%s ?? %s)", strings.Trim(what, `"`), instead)
	}
	c.errorOf(n, codeMaybe, hint, "%s may be missing (nil)", what)
}

// quoted returns the source of an expression in quotes, if it is but a path.
func (c *checker) quoted(n ast.Node) string {
	if _, ok := c.path(n); !ok {
		return ""
	}
	from, to := c.extent(n)
	return fmt.Sprintf("%q", strings.TrimSpace(string(c.source.runes[from:to])))
}

// plus joins two texts or adds two numbers.
func (c *checker) plus(x *ast.BinaryNode, left, right ast.Node, lt, rt Type) (ast.Node, Type) {
	at := x.Location()
	switch {
	case lt.Kind == String || rt.Kind == String:
		c.wantText(x.Left, lt)
		c.wantText(x.Right, rt)
		return withMachine(at, joinTexts, left, right), Type{Kind: String}
	case lt.Kind == List && rt.Kind == List:
		c.errorAt(at, codeType, "write concat(a, b)", "+ does not join lists")
		return left, Type{}
	case lt.Kind == Time && (rt.isNumber() || rt.Kind == Any):
		c.errorAt(at, codeType, "write addDays(time, n) or addHours(time, n)", "+ does not move a time")
		return left, Type{}
	case lt.isNumber() || rt.isNumber():
		return c.arithmetic(x, left, right, lt, rt)
	case lt.Kind == Any && rt.Kind == Any:
		return withMachine(at, addAny, left, right), Type{}
	}
	return c.arithmetic(x, left, right, lt, rt)
}

// wantText reports an operand of + that is no text where the other one is.
func (c *checker) wantText(n ast.Node, t Type) {
	switch {
	case t.Kind == String && !t.Maybe || t.Kind == Any:
	case t.mayBeNil():
		c.missing(n, t)
	case t.isNumber() || t.Kind == Bool || t.Kind == Time:
		c.errorOf(n, codeType, "write string(…)", "a %s is not converted to text automatically", t)
	default:
		c.errorOf(n, codeType, "", "%s cannot be joined to a text", t)
	}
}

// arithmetic infers an operator of two numbers.
func (c *checker) arithmetic(x *ast.BinaryNode, left, right ast.Node, lt, rt Type) (ast.Node, Type) {
	if x.Operator == "-" && lt.Kind == Time && rt.Kind == Time {
		c.errorAt(x.Location(), codeType, "write daysBetween(from, to)", "times cannot be subtracted")
		return left, Type{}
	}
	lt = c.wantNumber(x.Left, lt, x.Operator)
	rt = c.wantNumber(x.Right, rt, x.Operator)
	if v, ok := isConstant(right); ok && (x.Operator == "/" || x.Operator == "%") {
		if n, isNum := v.(num.Num); isNum && n.Sign() == 0 {
			c.errorOf(x.Right, codeType, "", "division by zero")
		}
	}
	if x.Operator == "/" || x.Operator == "%" {
		c.doubtZero(x.Right, rt)
	}
	c.doubtPrice(x)
	result := Type{Kind: Number}
	if lt.Kind == Int && rt.Kind == Int && x.Operator != "/" && x.Operator != "**" && x.Operator != "^" {
		result.Kind = Int
	}
	result = numberRange(x.Operator, rangeOf(left, lt), rangeOf(right, rt), result.Kind == Int).within(result)
	return call(x.Location(), arithmetic[x.Operator], left, right), result
}

// wantNumber reports an operand that is no number, and returns the type with which
// the inference continues.
func (c *checker) wantNumber(n ast.Node, t Type, operator string) Type {
	switch {
	case t.Kind == Any:
		return Type{Kind: Number}
	case t.isNumber() && !t.Maybe:
		return t
	case t.isNumber() || t.Kind == Nil:
		c.missing(n, t)
		return Type{Kind: Number}
	case t.Kind == String:
		c.errorOf(n, codeType, "write number(…)", "%s takes numbers, not text", operator)
	case t.Kind == List:
		c.errorOf(n, codeType, "write sum(…) or len(…) of the list", "%s takes numbers, not a list", operator)
	default:
		c.errorOf(n, codeType, "", "%s takes numbers, not %s", operator, t.Present())
	}
	return Type{Kind: Number}
}

func (c *checker) in(x *ast.BinaryNode, left, right ast.Node, lt, rt Type) (ast.Node, Type) {
	switch {
	case rt.mayBeNil():
		c.missing(x.Right, rt)
	case rt.Kind == List:
		if !canEqual(lt, rt.elem()) {
			c.neverEqual(x, lt, rt.elem(), fmt.Sprintf("%s is never in a %s", lt.Present(), rt))
		}
		c.doubtIn(x, operand{x.Left, left, lt}, operand{x.Right, right, rt})
	case rt.Kind == Record:
		c.wantArg(x.Left, lt, Type{Kind: String}, "the name of a field")
	case rt.Kind == String:
		hint := "write text contains part"
		if _, literal := x.Right.(*ast.StringNode); literal {
			hint = `write the texts one by one: … in ["A", "B"]`
		}
		c.errorOf(x, codeType, hint, "a text has no elements")
	case rt.Kind != Any:
		c.errorOf(x, codeType, "", "%s has no elements", rt)
	}
	return truth(withMachine(x.Location(), inFn, left, right)), Type{Kind: Bool}
}

// fixedMatch compiles the pattern of extract and replaceMatch. It returns nil after a
// problem.
func (c *checker) fixedMatch(name string, n ast.Node) *regexp.Regexp {
	pattern, ok := n.(*ast.StringNode)
	switch {
	case !ok:
		c.errorOf(n, codeType, "write the pattern between backquotes", "the pattern of %s has to be fixed", name)
		return nil
	case len(pattern.Value) > maxPattern:
		c.errorOf(n, codeLimit, "", "the pattern is longer than %d characters", maxPattern)
		return nil
	}
	re, err := regexp.Compile(anyLetters(pattern.Value))
	if err != nil {
		c.errorOf(n, codeType, "", "not a pattern: %s", patternError(err))
		return nil
	}
	ours := &ast.StringNode{Value: strings.NewReplacer(`\w`, "", `\W`, "").Replace(pattern.Value)} // these know all letters
	ours.SetLocation(n.Location())
	c.doubtPattern(ours, re, operand{node: n})
	return re
}

// matches takes a fixed pattern only: one that comes from data would be compiled
// for each row, and could be anything.
func (c *checker) matches(x *ast.BinaryNode) (ast.Node, Type) {
	left, lt := c.infer(x.Left)
	c.wantArg(x.Left, lt, Type{Kind: String}, "the left side of matches")
	pattern, ok := x.Right.(*ast.StringNode)
	if !ok {
		c.infer(x.Right)
		c.errorOf(x.Right, codeType, `write the pattern in quotes: name matches "^A"`, "the pattern of matches has to be fixed")
		return left, Type{Kind: Bool}
	}
	if len(pattern.Value) > maxPattern {
		c.errorOf(x.Right, codeLimit, "", "the pattern is longer than %d characters", maxPattern)
		return left, Type{Kind: Bool}
	}
	re, err := regexp.Compile(pattern.Value)
	if err != nil {
		hint := ""
		if strings.HasPrefix(pattern.Value, "*") {
			hint = fmt.Sprintf("write text contains %q", strings.Trim(pattern.Value, "*"))
		}
		c.errorOf(x.Right, codeType, hint, "not a pattern: %s", patternError(err))
		return left, Type{Kind: Bool}
	}
	c.doubtPattern(pattern, re, operand{x.Left, left, lt})
	return truth(withMachine(x.Location(), matchFn(re), left)), Type{Kind: Bool}
}
