package formula

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"

	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/diag"
)

// infer returns the lowered node and the type of its value. A problem is
// reported once, where it is; its value is then of any type, so that it causes
// no others.
func (c *checker) infer(n ast.Node) (ast.Node, Type) {
	if c.visits++; c.visits > maxVisits {
		if c.visits == maxVisits+1 {
			c.add(Problem{To: len(c.source.runes), Code: codeLimit, Message: "the formula is too complex", Hint: "split it by compute"})
		}
		return &ast.NilNode{}, Type{}
	}
	switch x := n.(type) {
	case *ast.NilNode:
		return x, Type{Kind: Nil}
	case *ast.BoolNode:
		return truth(placed(&ast.BoolNode{Value: x.Value}, x)), Type{Kind: Bool}
	case *ast.StringNode:
		c.doubtForeign(x)
		return x, Type{Kind: String}
	case *ast.IntegerNode, *ast.FloatNode:
		return c.literal(n)
	case *ast.IdentifierNode:
		return c.name(x)
	case *ast.PointerNode:
		return c.pointer(x)
	case *ast.UnaryNode:
		return c.unary(x)
	case *ast.BinaryNode:
		return c.binary(x)
	case *ast.ChainNode:
		return c.chained(x)
	case *ast.MemberNode:
		return c.member(x)
	case *ast.SliceNode:
		return c.slice(x)
	case *ast.ConditionalNode:
		return c.conditional(x)
	case *ast.VariableDeclaratorNode:
		return c.let(x)
	case *ast.ArrayNode:
		return c.array(x)
	case *ast.MapNode:
		return c.record(x)
	case *ast.CallNode:
		return c.callNode(x)
	case *ast.BuiltinNode:
		return c.builtinNode(x)
	case *ast.SequenceNode:
		return c.sequence(x)
	}
	c.errorAt(n.Location(), codeSyntax, "", "this has no meaning in a formula")
	return &ast.NilNode{}, Type{}
}

// literal reads a number from the source, never through a float.
func (c *checker) literal(n ast.Node) (ast.Node, Type) {
	from, to := c.source.span(n.Location())
	text := strings.ReplaceAll(string(c.source.runes[from:to]), "_", "")
	typ := Type{Kind: Int}
	if len(text) > 1 && text[0] == '0' && strings.ContainsRune("xXoObB", rune(text[1])) {
		if x, ok := n.(*ast.IntegerNode); ok {
			return constant(num.FromInt(int64(x.Value)), n.Location()), typ
		}
	}
	if strings.ContainsAny(text, ".eE") {
		typ = Type{Kind: Number}
		if text[0] == '.' {
			if len(c.loops) > 0 { // where .price is a field
				c.doubt(Problem{From: from, To: to, Code: codeDoubtful, Message: "%s is a number here and no field", Args: []any{text}, Hint: "write 0" + text})
			}
			text = "0" + text
		}
		text = strings.TrimSuffix(strings.NewReplacer(".e", "e", ".E", "e").Replace(text), ".")
	}
	v, err := num.Parse(text)
	if err != nil {
		c.errorAt(n.Location(), codeLimit, "", "%s", err)
		return &ast.NilNode{}, typ
	}
	return constant(v, n.Location()), typ
}

// condition infers an expression that has to be true or false.
func (c *checker) condition(n ast.Node, what string) ast.Node {
	lowered, t := c.infer(n)
	switch {
	case t.Kind == Bool && !t.Maybe:
		return lowered
	case t.Kind == Any:
		return truth(call(n.Location(), unary(asBool), lowered))
	case t.Kind == Bool || t.Kind == Nil:
		c.errorOf(n, codeMaybe, "write ?? false for what to take instead", "%s may be missing (nil)", what)
	case t.isNumber():
		c.errorOf(n, codeType, "compare it: … != 0", "%s must be true or false, not a %s", what, t)
	case t.Kind == String:
		c.errorOf(n, codeType, `compare it: … != ""`, "%s must be true or false, not %s", what, t)
	case t.Kind == List:
		c.errorOf(n, codeType, "write len(…) > 0", "%s must be true or false, not a list", what)
	default:
		c.errorOf(n, codeType, "", "%s must be true or false, not %s", what, t)
	}
	return lowered
}

func (c *checker) conditional(x *ast.ConditionalNode) (ast.Node, Type) {
	n := &ast.ConditionalNode{Ternary: x.Ternary, Cond: c.condition(x.Cond, "the condition")}
	yes, no := c.facts(x.Cond, true), c.facts(x.Cond, false)
	var t1, t2 Type
	c.knowing(yes, func() { n.Exp1, t1 = c.infer(x.Exp1) })
	c.knowing(no, func() { n.Exp2, t2 = c.infer(x.Exp2) })
	c.doubtBranches(x)
	t := Unify(t1, t2)
	if t.Kind == Bool && !t.Maybe {
		truth(n)
	}
	return placed(n, x), t
}

func (c *checker) let(x *ast.VariableDeclaratorNode) (ast.Node, Type) {
	value, t := c.infer(x.Value)
	c.checkLetName(x)
	c.shares = true
	c.lets = append(c.lets, variable{x.Name, t, x.Value, len(c.loops)})
	body, result := c.infer(x.Expr)
	c.lets = c.lets[:len(c.lets)-1]
	return placed(&ast.VariableDeclaratorNode{Name: x.Name, Value: value, Expr: body}, x), result
}

func (c *checker) checkLetName(x *ast.VariableDeclaratorNode) {
	_, inEnv := c.env.Vars[x.Name]
	again := slices.ContainsFunc(c.lets, func(v variable) bool { return v.name == x.Name })
	switch {
	case inEnv || again:
		c.errorAt(x.Location(), codeTaken, "take another name", "%q is named already", x.Name)
	case isReserved(x.Name):
		c.errorAt(x.Location(), codeTaken, "take another name", "%q is a function", x.Name)
	case isWord(x.Name) || strings.HasPrefix(x.Name, "$"):
		c.errorAt(x.Location(), codeTaken, "take another name", "%q cannot be a name", x.Name)
	}
}

func (c *checker) sequence(x *ast.SequenceNode) (ast.Node, Type) {
	for _, part := range x.Nodes[:len(x.Nodes)-1] {
		c.infer(part)
		c.errorOf(part, codeSyntax, "a formula is one expression; let name = …; names a part of it", "the value before the ; is not used")
	}
	return c.infer(x.Nodes[len(x.Nodes)-1])
}

func (c *checker) array(x *ast.ArrayNode) (ast.Node, Type) {
	c.shares = true
	n := &ast.ArrayNode{Nodes: make([]ast.Node, len(x.Nodes))}
	elem := Type{Kind: never}
	for i, part := range x.Nodes {
		var t Type
		n.Nodes[i], t = c.infer(part)
		elem = Unify(elem, t)
	}
	return placed(n, x), ListOf(elem)
}

func (c *checker) record(x *ast.MapNode) (ast.Node, Type) {
	c.shares = true
	n := &ast.MapNode{Pairs: make([]ast.Node, len(x.Pairs))}
	t := RecordOf(make(map[string]Type, len(x.Pairs)))
	for i, part := range x.Pairs {
		pair, ok := part.(*ast.PairNode)
		if !ok {
			continue
		}
		key, value := pair.Key, Type{}
		lowered := &ast.PairNode{}
		lowered.Value, value = c.infer(pair.Value)
		if name, fixed := key.(*ast.StringNode); fixed {
			if _, twice := t.Fields[name.Value]; twice {
				c.errorAt(key.Location(), codeTaken, "", "the record has two fields %q", name.Value)
			}
			t.Fields[name.Value] = value
			lowered.Key = key
		} else {
			t.Open = true
			keyNode, keyType := c.infer(key)
			c.wantArg(key, keyType, Type{Kind: String}, "the name of a field")
			lowered.Key = call(key.Location(), unary(asText), keyNode)
		}
		n.Pairs[i] = placed(lowered, pair)
	}
	if t.Open { // a computed name may be that of any field
		for name := range t.Fields {
			t.Fields[name] = Type{}
		}
	}
	return placed(n, x), bounded(t)
}

// chained infers a chain with ?. in it: nil as soon as one link is.
func (c *checker) chained(x *ast.ChainNode) (ast.Node, Type) {
	saved, short := c.chain, false
	c.chain = &short
	inner, t := c.infer(x.Node)
	c.chain = saved
	if short {
		t = t.Optional()
	}
	// expr reads the fields of a chain, also deleted ones.
	return call(x.Location(), unary(notDeleted), placed(&ast.ChainNode{Node: inner}, x)), c.narrowed(x, t)
}

// member infers base.name, base["name"], base[index] and their ?. forms.
func (c *checker) member(x *ast.MemberNode) (ast.Node, Type) {
	base, t := c.infer(x.Node)
	if t.mayBeNil() {
		if x.Optional && c.chain != nil {
			*c.chain = true
		} else {
			c.missingBase(x)
		}
		t = t.Present()
	} else if t.Kind == Any && x.Optional && c.chain != nil {
		*c.chain = true
	}
	if name, ok := x.Property.(*ast.StringNode); ok {
		n, field := c.field(x, base, t, name)
		return n, c.narrowed(x, field)
	}
	return c.index(x, base, t)
}

func (c *checker) missingBase(x *ast.MemberNode) {
	what := c.quoted(x.Node)
	if what == "" {
		what = "the value"
	}
	hint := "write ?.[…], or ?? for what to take instead"
	if name, ok := x.Property.(*ast.StringNode); ok {
		hint = fmt.Sprintf("write ?.%s, or ?? for what to take instead", name.Value)
	}
	c.errorAt(x.Location(), codeMaybe, hint, "%s may be missing (nil)", what)
}

func (c *checker) field(x *ast.MemberNode, base ast.Node, t Type, name *ast.StringNode) (ast.Node, Type) {
	at := x.Property.Location()
	var field Type
	c.noteMoney(x, t, name.Value)
	switch t.Kind {
	case Any:
		c.doubtNoField(at, t, name.Value)
	case Record:
		known, ok := t.Fields[name.Value]
		switch {
		case !ok && !t.Open && !c.absentField(x, name.Value):
			c.unknownField(at, t, name.Value)
		case !ok && t.Open && !c.doubtNoField(at, t, name.Value):
			c.doubtField(at, t, name.Value)
		}
		field = known
		c.notePart(x, known)
		c.noteChoice(x, t, name.Value)
	case List:
		hint := fmt.Sprintf("write map(list, .%s) for those of all elements, or list[0].%s", name.Value, name.Value)
		if _, ok := t.elem().Fields[name.Value]; !ok {
			hint = "write list[0] for an element, len(list) for their number"
		}
		c.errorAt(at, codeField, hint, "a list has no field %q", name.Value)
	default:
		part, isPart := t.moneyPart(name.Value)
		if !isPart {
			c.errorAt(at, codeField, partOf(t, name.Value), "%s has no field %q", t, name.Value)
		}
		field = part
	}
	if x.Optional && c.chain != nil {
		base = call(x.Location(), asFieldBase(name.Value), base)
		return placed(&ast.MemberNode{Node: base, Property: x.Property, Optional: true}, x), field
	}
	return call(at, fieldOf(name.Value), base), field
}

// absentField reports a field that people expect of what the engine hands to
// formulas.
func (c *checker) absentField(x *ast.MemberNode, name string) bool {
	p, _ := c.path(x)
	hint, known := c.env.Absent[strings.ReplaceAll(p, pathSeparator, ".")]
	if known {
		c.errorAt(x.Property.Location(), codeField, hint, "unknown field %q", name)
	}
	return known
}

func (c *checker) unknownField(at loc, t Type, name string) {
	names := slices.Sorted(maps.Keys(t.Fields))
	hint := ""
	if near := diag.Closest(name, names); near != "" {
		hint = didYouMean(name, near)
	} else if few := fewNames(names); few != "" {
		hint = "there is " + few
	}
	c.errorAt(at, codeField, hint, "unknown field %q", name)
}

// index infers base[i], where base is a list, or base[name] with a computed
// name, where it is a record.
func (c *checker) index(x *ast.MemberNode, base ast.Node, t Type) (ast.Node, Type) {
	key, keyType := c.infer(x.Property)
	at := x.Location()
	result := Type{}
	access := binary(element)
	switch t.Kind {
	case List:
		c.wantArg(x.Property, keyType, Type{Kind: Int}, "the index of a list")
		c.doubtIndex(x, key, t)
		result = t.elem()
	case Record:
		c.wantArg(x.Property, keyType, Type{Kind: String}, "the name of a field")
	case String:
		c.errorAt(at, codeType, "write text[from:to]", "a text has no elements")
	case Any:
	default:
		c.errorAt(at, codeType, "", "%s has no elements", t)
	}
	if x.Optional && c.chain != nil {
		base = call(at, unary(asContainer), base)
		key = call(at, unary(asKey), key)
		return placed(&ast.MemberNode{Node: base, Property: key, Optional: true}, x), result
	}
	return call(at, access, base, key), result
}

func (c *checker) slice(x *ast.SliceNode) (ast.Node, Type) {
	base, t := c.infer(x.Node)
	if t.mayBeNil() {
		c.errorOf(x.Node, codeMaybe, "write ?? [] or ?? \"\" for what to take instead", "the value may be missing (nil)")
		t = t.Present()
	}
	if t.Kind != List && t.Kind != String && t.Kind != Any {
		c.errorOf(x.Node, codeType, "", "[from:to] takes a part of a list or a text, not of %s", t)
		t = Type{}
	}
	bounds := [2]ast.Node{}
	for i, bound := range [2]ast.Node{x.From, x.To} {
		bounds[i] = placed(&ast.NilNode{}, x)
		if bound != nil {
			var bt Type
			bounds[i], bt = c.infer(bound)
			c.wantArg(bound, bt, Type{Kind: Int}, "the bound of a part")
		}
	}
	if t.Kind == String {
		t = givesTextPart([]Type{t})
	}
	if t.Kind == List {
		t.Domain = nil
	}
	return withMachine(x.Location(), sliceFn, base, bounds[0], bounds[1]), t
}
