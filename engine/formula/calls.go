package formula

import (
	"fmt"

	"github.com/expr-lang/expr/ast"
)

// callNode infers a call that expr's parser does not know.
func (c *checker) callNode(x *ast.CallNode) (ast.Node, Type) {
	callee, ok := x.Callee.(*ast.IdentifierNode)
	if !ok {
		hint := ""
		if m, isMember := x.Callee.(*ast.MemberNode); isMember {
			c.infer(m.Node)
			if name, isName := m.Property.(*ast.StringNode); isName {
				hint = methodMeant(name.Value)
			}
		}
		c.errorAt(x.Location(), codeFunction, hint, "values have no methods")
		c.inferAll(x.Arguments)
		return &ast.NilNode{}, Type{}
	}
	return c.function(x, callee.Value, x.Arguments)
}

func (c *checker) inferAll(nodes []ast.Node) {
	for _, n := range nodes {
		c.infer(n)
	}
}

// function infers the call of a function that is no loop.
func (c *checker) function(x ast.Node, name string, argNodes []ast.Node) (ast.Node, Type) {
	f, ok := functions[name]
	if !ok {
		c.inferAll(argNodes)
		from, to := c.source.span(x.Location())
		p := unknownFunction(name, from, to)
		if _, isVar := c.env.Vars[name]; isVar {
			p.Message, p.Hint = "%q is no function", ""
		}
		c.add(p)
		return &ast.NilNode{}, Type{}
	}
	args := make([]ast.Node, len(argNodes))
	types := make([]Type, len(argNodes))
	for i, n := range argNodes {
		args[i], types[i] = c.infer(n)
		c.noteSize(n, types[i])
	}
	if len(args) < f.required || len(args) > len(f.params) && !f.repeat {
		c.errorAt(x.Location(), codeArgs, "write "+f.usage, "%s takes %s", name, f.count())
		return &ast.NilNode{}, Type{}
	}
	for i, t := range types {
		want := f.params[min(i, len(f.params)-1)]
		if want.Kind != Any && !(name == "date" && c.dateArgument(argNodes[i], t)) {
			c.wantArg(argNodes[i], t, want, ordinal(i, len(types))+" of "+name)
		}
	}
	c.special(x, name, argNodes, types)
	switch name {
	case "concat", "flatten", "fromPairs", "toPairs", "values":
		c.shares = true
	}
	run := f.run
	switch name { // a field may say what its text is
	case "date":
		run = dateAs(dateSort(types[0]))
	case "tryDate":
		run = tryDateAs(dateSort(types[0]))
	case "textOf":
		of, result := c.textOf(argNodes[0], types[0])
		if of == nil {
			return &ast.NilNode{}, result
		}
		return withMachine(x.Location(), callable(of), args...), result
	case "extract", "replaceMatch":
		re := c.fixedMatch(name, argNodes[1])
		if re == nil {
			return &ast.NilNode{}, f.result(types)
		}
		if run = extract(re); name == "replaceMatch" {
			run = replaceMatch(re)
		}
	}
	t := f.result(types)
	switch name {
	case "first", "last":
		if c.visits <= maxNodes && c.hasSize(argNodes[0], types[0], 1) {
			t = types[0].elem() // of a list that a condition says is not empty
		}
	case "min", "max":
		if t.isNumber() && len(args) > 1 {
			t = bestRange(name, args, types).within(t)
		}
	case "round":
		t = c.roundedType(args, types)
	case "formatDate":
		t = dateText(argNodes[1])
	case "hasPrefix", "hasSuffix":
		c.doubtEnd(x, name, operand{node: argNodes[0], typ: types[0]}, operand{node: argNodes[1], lowered: args[1]})
	}
	return withMachine(x.Location(), callable(run), args...), t
}

// doubtEnd warns of a start or an end that a text never has.
func (c *checker) doubtEnd(x ast.Node, name string, value, part operand) {
	op := map[string]string{"hasPrefix": "startsWith", "hasSuffix": "endsWith"}[name]
	switch v, known := c.verdict(op, value, part); {
	case !known:
	case v.code != codeConstant:
		c.doubtOf(part.node, v.code, v.hint.String(), "%s", v.why)
	default:
		c.doubtOf(x, v.code, v.hint.String(), "this condition is always %t, because %s", v.outcome, v.why)
	}
}

func (f function) count() string {
	switch {
	case f.repeat:
		return fmt.Sprintf("at least %s", plural(f.required, "argument"))
	case f.required == len(f.params):
		return plural(f.required, "argument")
	}
	return fmt.Sprintf("%d to %s", f.required, plural(len(f.params), "argument"))
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

func ordinal(i, n int) string {
	if n == 1 {
		return "the argument"
	}
	words := [...]string{"first", "second", "third"}
	if i < len(words) {
		return fmt.Sprintf("the %s argument", words[i])
	}
	return fmt.Sprintf("argument %d", i+1)
}

// callable lets expr's machine call the function with our machine as the first
// argument.
func callable(run func(m *Machine, args []any) (any, error)) variadic {
	return func(args ...any) any { return must(run(args[0].(*Machine), args[1:])) }
}

// special checks what the types of the parameters cannot say.
func (c *checker) special(x ast.Node, name string, nodes []ast.Node, types []Type) {
	switch t := types[0]; name {
	case "len":
		switch {
		case t.mayBeNil():
			c.missing(nodes[0], Type{Kind: List})
		case t.Kind != List && t.Kind != String && t.Kind != Record && t.Kind != Any:
			c.errorOf(nodes[0], codeType, "", "len takes a list, a text or a record, not %s", t)
		}
	case "isEmpty":
		if !t.mayBeNil() && (t.isNumber() || t.Kind == Bool || t.Kind == Time) {
			c.doubtOf(x, codeConstant, "compare it: "+c.excerpt(nodes[0])+" == 0", "isEmpty is always false for a %s, also for 0 and false", t)
		}
	case "int", "number", "string":
		switch {
		case t.mayBeNil():
			c.missing(nodes[0], t.Present())
		case t.Kind == List || t.Kind == Record || t.Kind == Omit, name != "string" && (t.Kind == Bool || t.Kind == Time):
			hint := ""
			if t.Kind == List {
				hint = `write join(list, ", ")`
			}
			c.errorOf(nodes[0], codeType, hint, "%s cannot be made of %s", name, t)
		}
	case "min", "max":
		c.best(name, nodes, types)
	case "sort":
		c.wantOrdered(nodes[0], t.elem(), name)
		if len(nodes) > 1 {
			c.sortOrder(nodes[1])
		}
	case "join":
		if e := t.elem(); e.mayBeNil() || e.Kind == List || e.Kind == Record {
			c.wantArg(nodes[0], t, ListOf(textType), "the argument of join")
		}
	case "flatten":
		if e := t.elem(); e.Kind != List && e.Kind != Any {
			c.errorOf(nodes[0], codeType, "", "flatten takes a list of lists, not a %s", t)
		}
	case "get":
		c.getKey(nodes, types)
	case "date":
		c.fixedDate(nodes)
	case "tryDate":
		if t.Kind != String && t.Kind != Any && t.Kind != Nil {
			c.errorOf(nodes[0], codeType, "", "tryDate takes a text, not %s", t)
		}
	case "formatDate":
		c.datePattern(nodes[1])
		c.fixedLanguage(nodes, 2)
	case "formatNumber":
		c.fixedLanguage(nodes, 2)
	case "plural":
		c.fixedLanguage(nodes, 2)
		if forms, ok := nodes[1].(*ast.ArrayNode); ok && len(forms.Nodes) != 2 && len(forms.Nodes) != 3 {
			c.errorOf(nodes[1], codeArgs, `write ["день", "дня", "дней"], or ["day", "days"] for English`, "plural takes three forms of a word, or two for English, not %d", len(forms.Nodes))
		}
	case "inWords":
		if len(nodes) > 1 {
			c.fixedText(nodes[1], spokenCurrency)
		}
		c.fixedLanguage(nodes, 2)
	case "phone":
		if len(nodes) > 1 {
			c.fixedText(nodes[1], knownRegion)
		}
	case "money":
		c.fixedText(nodes[1], knownCurrency)
	case "inZone":
		c.fixedZone(nodes[1])
	case "atTime":
		c.fixedClock(nodes[1])
	}
}

func (c *checker) getKey(nodes []ast.Node, types []Type) {
	switch t := types[0].Present(); {
	case types[0].mayBeNil():
		c.missing(nodes[0], types[0])
	case t.Kind == List:
		c.wantArg(nodes[1], types[1], intType, "the index of a list")
	case t.Kind == Record:
		c.wantArg(nodes[1], types[1], textType, "the name of a field")
		if name, ok := nodes[1].(*ast.StringNode); ok && !t.Open {
			if _, known := t.Fields[name.Value]; !known {
				c.unknownField(name.Location(), t, name.Value)
			}
		}
	case t.Kind != Any:
		c.errorOf(nodes[0], codeType, "", "get takes a list or a record, not %s", t)
	}
}

// best checks the arguments of min and max: one list, or values of one kind.
func (c *checker) best(name string, nodes []ast.Node, types []Type) {
	if len(types) == 1 {
		if t := types[0]; t.Kind != List && t.Kind != Any || t.Maybe {
			c.wantArg(nodes[0], t, listType, "the argument of "+name)
			return
		}
		e := types[0].elem()
		if e.Kind == Record {
			c.errorOf(nodes[0], codeType, fmt.Sprintf("write %s(map(list, .field))", name), "%s takes numbers, not records", name)
			return
		}
		if e.mayBeNil() {
			c.wantArg(nodes[0], types[0], ListOf(e.Present()), "the argument of "+name)
		}
		c.wantOrdered(nodes[0], e, name)
		return
	}
	for i, t := range types {
		if t.mayBeNil() {
			c.missing(nodes[i], t)
			continue
		}
		c.wantOrdered(nodes[i], t, name)
		if !canEqual(types[0], t) {
			c.errorOf(nodes[i], codeType, "", "%s cannot be compared with %s", types[0], t)
		}
	}
}
