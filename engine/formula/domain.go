package formula

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"unicode"

	"github.com/expr-lang/expr/ast"

	"github.com/b24rules/b24rules/engine/datetime"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/diag"
)

// Domain is what is known of the values of a type beyond their kind, such as the
// values Y and N of a field. The checker warns of a comparison with a value that
// the domain does not have. A domain never changes how a formula runs.
type Domain struct {
	// Code is the code of the warnings; "" means constant-condition.
	Code string
	// Size is how many elements a list has at least.
	Size int
	// Range is the range of a number; nil means any number.
	Range *Range
	// Places, if not nil, is how many digits a number has after its point at most.
	Places *int
	// Excludes returns why a text is never the value, and what to write instead. An
	// empty reason means that the text is possible. nil means any text.
	Excludes func(text string) (why, hint diag.Phrase)
	// NeverEmpty says that a text is never empty. Excludes says why.
	NeverEmpty bool
	// ExcludesPart is Excludes for a part of the value: of a text that contains,
	// starts with or ends with it, or is in order before or after it.
	ExcludesPart func(part string) (why, hint diag.Phrase)
	// ExcludesNumber is Excludes for a number. nil means any number.
	ExcludesNumber func(n num.Num) (why, hint diag.Phrase)
	// NoField returns why an open record, or a value of any kind, never has a field that
	// is not listed, and what to write instead. An empty reason means that the field is
	// possible. nil means any field.
	NoField func(name string) (why, hint diag.Phrase)
	// ZeroUnset says that a number is 0 where it is not set.
	ZeroUnset bool
	// IDOf is the type of the records whose id a number is, 0 when that is not known. Ids
	// of two types are never meant to be equal. IDName names one such record.
	IDOf   int
	IDName string
	// Unordered is why texts of the type have no order that an author can mean; "" if they
	// have one.
	Unordered string
	// Words says that a text is meant for people and holds no number.
	Words bool
	// Part says which part of a price a number is.
	Part PricePart
	// Source, of a record, says from where it comes. textOf needs it.
	Source *Source
	// Titles, of a field, is Excludes for the texts of its choices. nil means any text.
	Titles func(text string) (why, hint diag.Phrase)
	// Money says that a text is the value of a money field.
	Money bool
	// Date says whether a text is a day or a moment when date reads it.
	Date datetime.Sort
}

// PricePart says which part of a price a number is, so that a discount or a tax which is in a
// price already is not taken off or added again.
type PricePart uint8

// The parts of a price.
const (
	NoPart     PricePart = iota
	FinalPrice           // includes the discount and the tax
	NetPrice             // includes the discount and no tax
	Discount             // a sum or a rate
	Tax                  // a rate
)

// SizedList returns the type of a list with at least so many elements.
func SizedList(elem Type, size int) Type {
	t := ListOf(elem)
	t.Domain = &Domain{Size: size}
	return t
}

// The types of results whose domain is known.
var (
	sizeType  = ranged(0, math.MaxInt64)
	placeType = ranged(-1, math.MaxInt64) // of indexOf
	upperType = Type{Kind: String, Domain: caseDomain("small", "upper", strings.ToUpper)}
	lowerType = Type{Kind: String, Domain: caseDomain("capital", "lower", strings.ToLower)}
)

// spokenType is the text that inWords gives.
var spokenType = Type{Kind: String, Domain: &Domain{Words: true}}

// caseDomain is the domain of texts that function has changed.
func caseDomain(letters, function string, change func(string) string) *Domain {
	excludes := func(text string) (why, hint diag.Phrase) {
		if changed := change(text); changed != text {
			return diag.Phrasef("%s(…) has no %s letters", function, letters), diag.Phrasef("write %q", changed)
		}
		return why, hint
	}
	return &Domain{Excludes: excludes, ExcludesPart: excludes}
}

// trimmedType is the text that trim gives: it starts and ends without blanks.
var trimmedType = Type{Kind: String, Domain: &Domain{Excludes: func(text string) (why, hint diag.Phrase) {
	if trimmed := strings.TrimSpace(text); trimmed != text {
		return diag.Phrasef("trim(…) leaves no blanks around a text"), diag.Phrasef("write %q", trimmed)
	}
	return why, hint
}}}

// givesTrimmed keeps what is known of each letter, or notes that blanks around are gone.
func givesTrimmed(args []Type) Type {
	if t := givesTextPart(args); t.Domain != nil || len(args) > 1 {
		return t
	}
	return trimmedType
}

// givesTextPart keeps of a text what is known of each of its letters.
func givesTextPart(args []Type) Type {
	if t := args[0]; t.Domain == upperType.Domain || t.Domain == lowerType.Domain {
		return Type{Kind: String, Domain: t.Domain}
	}
	return textType
}

// swapped are the orders with their sides exchanged.
var swapped = map[string]string{"<": ">", "<=": ">=", ">": "<", ">=": "<="}

// operand is a side of a comparison.
type operand struct {
	node    ast.Node
	lowered ast.Node
	typ     Type
}

// doubtComparison warns of a comparison with a literal that the domain of the other
// side does not have.
func (c *checker) doubtComparison(x *ast.BinaryNode, left, right operand) {
	if a, b := left.typ.Domain, right.typ.Domain; a != nil && b != nil && a.IDOf != b.IDOf && a.IDOf != 0 && b.IDOf != 0 {
		c.doubtOf(x, "wrong-id", "", "the id of %s is compared with that of %s", a.IDName, b.IDName)
		return
	}
	op := x.Operator
	if c.doubtSide(x, op, left, right) {
		return
	}
	if other := swapped[op]; other != "" {
		op = other
	}
	if x.Operator == "==" || x.Operator == "!=" || op != x.Operator {
		c.doubtSide(x, op, right, left)
	}
}

// doubtSide compares a value with a literal on the other side of the operator.
func (c *checker) doubtSide(x *ast.BinaryNode, op string, value, other operand) bool {
	if _, isNil := other.node.(*ast.NilNode); isNil && (op == "==" || op == "!=") {
		return c.doubtNil(x, value)
	}
	v, known := c.verdict(op, value, other)
	switch {
	case !known:
		return c.doubtPlace(x, op, value.node, other.lowered)
	case v.code != codeConstant:
		c.doubtOf(other.node, v.code, v.hint.String(), "%s", v.why)
	case v.senseless:
		c.doubtOf(x, v.code, v.hint.String(), "this comparison has no sense, because %s", v.why)
	default:
		c.doubtOf(x, v.code, v.hint.String(), "this condition is always %t, because %s", v.outcome, v.why)
	}
	return true
}

// verdict is what a domain says about a comparison with a literal.
type verdict struct {
	code      string
	outcome   bool
	senseless bool // the order of the two depends on nothing that the author can mean
	why, hint diag.Phrase
}

// verdict returns what the domain of a value says about its comparison with a literal.
func (c *checker) verdict(op string, value, other operand) (v verdict, known bool) {
	d := value.typ.Domain
	if literal, isConst := isConstant(other.lowered); isConst && value.typ.Kind == Int && (op == "==" || op == "!=") {
		if n, isNum := literal.(num.Num); isNum && !n.IsInt() {
			return verdict{code: codeConstant, outcome: op == "!=", why: diag.Phrasef("%s is a whole number", c.excerpt(value.node))}, true
		}
	}
	if d == nil {
		return v, false
	}
	v = verdict{code: cmp.Or(d.Code, codeConstant), outcome: op == "!=", senseless: swapped[op] != ""}
	if text, ok := other.node.(*ast.StringNode); ok {
		excludes := d.ExcludesPart
		if op == "==" || op == "!=" {
			excludes = d.Excludes
		}
		if excludes != nil && (text.Value != "" || d.NeverEmpty) {
			v.why, v.hint = excludes(text.Value)
		}
		return v, !v.why.Empty()
	}
	literal, _ := isConstant(other.lowered)
	n, isNum := literal.(num.Num)
	if isNum && d.ExcludesNumber != nil && (op == "==" || op == "!=") {
		if v.why, v.hint = d.ExcludesNumber(n); !v.why.Empty() {
			return v, true
		}
	}
	if isNum && d.Places != nil && (op == "==" || op == "!=") && !n.Round(*d.Places).Equal(n) {
		v.why = diag.Phrasef("%s has at most %d digits after the point", c.excerpt(value.node), *d.Places)
		return v, true
	}
	if !isNum || d.Range == nil {
		return v, false
	}
	v.senseless = false
	v.outcome, known = d.Range.outcome(op, n, value.typ.Kind == Int)
	if known && v.outcome && op != "!=" && d.Range.Max != math.MaxInt64 && d.Range.Min != math.MinInt64 {
		return v, false // careful authors write hourOf(time) >= 0 && hourOf(time) < 9
	}
	v.why = diag.Phrasef("%s is %s", c.excerpt(value.node), d.Range.words())
	if value.typ.mayBeNil() {
		v.why = diag.Phrasef("%s is %s, or nil", c.excerpt(value.node), d.Range.words())
	}
	return v, known
}

// doubtNil warns of a comparison of nil with a value that is never nil. A path may
// be compared, because a careful author does so.
func (c *checker) doubtNil(x *ast.BinaryNode, value operand) bool {
	if _, isPath := c.path(value.node); isPath || value.typ.mayBeNil() || value.typ.Kind == Any || value.typ.Kind == Omit {
		return false
	}
	hint := ""
	switch name, _ := callOf(value.node); {
	case name == "indexOf" || name == "lastIndexOf":
		hint = "it is -1 when the text has no such part: write >= 0, or text contains part"
	case value.typ.Kind == List || value.typ.Kind == String:
		hint = "write isEmpty(…) for an empty value"
	}
	if m, isMember := value.node.(*ast.MemberNode); isMember {
		hint = "write len(" + c.excerpt(m.Node) + ") > 0"
	}
	c.doubtOf(x, codeConstant, hint, "this condition is always %t, because %s is never missing (nil)", x.Operator == "!=", c.excerpt(value.node))
	return true
}

// doubtPlace warns of indexOf(text, part) > 0, which is false for a text that starts
// with the part. A sign such as @ may be required after the start.
func (c *checker) doubtPlace(x *ast.BinaryNode, op string, value, other ast.Node) bool {
	name, args := callOf(value)
	literal, _ := isConstant(other)
	n, isNum := literal.(num.Num)
	if name != "indexOf" && name != "lastIndexOf" || len(args) != 2 || !isNum {
		return false
	}
	if part, fixed := args[1].(*ast.StringNode); fixed && !strings.ContainsFunc(part.Value, isLetterOrDigit) {
		return false
	}
	if op == ">" && n.Sign() == 0 || op == ">=" && n.Equal(num.FromInt(1)) {
		c.doubtOf(x, codeConstant, "write >= 0, or text contains part", "this condition is false for a text that starts with the part, because %s is 0 then", c.excerpt(value))
		return true
	}
	return false
}

// doubtIn warns of elements of a literal list that a value never equals, and of a literal
// that no element of a list equals.
func (c *checker) doubtIn(x *ast.BinaryNode, value, list operand) {
	if v, known := c.verdict("==", operand{node: list.node, lowered: list.lowered, typ: list.typ.elem()}, value); known && v.code != codeConstant {
		c.doubtOf(value.node, v.code, v.hint.String(), "%s", v.why)
	}
	nodes, _ := list.node.(*ast.ArrayNode)
	lowered, _ := list.lowered.(*ast.ArrayNode)
	if nodes == nil || lowered == nil {
		return
	}
	for i, e := range nodes.Nodes {
		v, known := c.verdict("==", value, operand{node: e, lowered: lowered.Nodes[i]})
		switch {
		case !known:
		case v.code != codeConstant:
			c.doubtOf(e, v.code, v.hint.String(), "%s", v.why)
		default:
			c.doubtOf(e, v.code, v.hint.String(), "%s is never this value, because %s", c.excerpt(x.Left), v.why)
		}
	}
}

// doubtBranches warns of a choice between two equal values.
func (c *checker) doubtBranches(x *ast.ConditionalNode) {
	if c.visits > maxNodes { // nodes are shared
		return
	}
	if same := canonical(c.source, x.Exp1); same == canonical(c.source, x.Exp2) {
		c.doubtOf(x, codeConstant, "", "both branches give the same value, whatever the condition is")
	}
}

// callOf returns the name and the arguments of a call, or "".
func callOf(n ast.Node) (name string, args []ast.Node) {
	switch x := n.(type) {
	case *ast.CallNode:
		if id, ok := x.Callee.(*ast.IdentifierNode); ok {
			return id.Value, x.Arguments
		}
	case *ast.BuiltinNode:
		return x.Name, x.Arguments
	}
	return "", nil
}

const longestExcerpt = 40 // characters

// excerpt returns the source of an expression for a message.
func (c *checker) excerpt(n ast.Node) string {
	from, to := c.extent(n)
	if p, isPointer := n.(*ast.PointerNode); isPointer { // its place is that of the # alone
		to = from + 1 + len([]rune(p.Name))
	}
	runes := c.source.runes[from:min(to, len(c.source.runes))]
	if len(runes) > longestExcerpt {
		runes = append(slices.Clone(runes[:longestExcerpt-1]), '…')
	}
	return strings.Join(strings.Fields(string(runes)), " ")
}

func isLetterOrDigit(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// doubtOf warns of an expression, once.
func (c *checker) doubtOf(n ast.Node, code, hint, format string, args ...any) {
	from, to := c.extent(n)
	c.doubt(Problem{From: from, To: to, Code: code, Message: format, Args: plain(args), Hint: hint})
}

// doubt notes a likely mistake, once.
func (c *checker) doubt(p Problem) {
	if len(c.doubts) < maxProblems && !slices.ContainsFunc(c.doubts, p.same) {
		c.doubts = append(c.doubts, p)
	}
}

// domainWith returns the domain of a value that is a literal when it is missing, or
// nil if the domain does not have the literal. Every domain has the empty text.
func (c *checker) domainWith(t Type, literal operand) *Domain {
	if _, isText := literal.node.(*ast.StringNode); isText || t.Domain != nil && t.Domain.Range != nil {
		if _, excluded := c.verdict("==", operand{typ: t, node: literal.node}, literal); !excluded {
			return t.Domain
		}
	}
	return nil
}
