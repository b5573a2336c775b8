package engine

import (
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// want says what a place in the file takes.
type want struct {
	typ formula.Type
	// what names the place in messages: "argument list", "when".
	what string
	// literal, when set, parses literal text of its own kind (a duration); no
	// formula is taken then.
	literal func(text string) (any, error)
	// plain says that text is not looked at for formulas: a name, or one of a
	// few words.
	plain bool
	// secret says that secrets may stand here, alone or in holes of a text.
	secret bool
}

var wantAny = want{typ: formula.Type{Kind: formula.Any}, what: "this value"}

// value compiles one value. It returns nil when there was a finding that leaves
// nothing to go on with.
func (c *checker) value(n *yaml.Node, w want, env formula.Env) *value {
	n = yamlfile.Resolve(n)
	switch n.Kind {
	case yaml.ScalarNode:
		return c.scalar(n, w, env)
	case yaml.SequenceNode:
		return c.sequence(n, w, env)
	case yaml.MappingNode:
		if message, hint := yamlfile.FormulaTrap(c.file, n); message != "" {
			c.errorf(n, "yaml-trap", "%s", message).Hint = hint
			return nil
		}
		if w.literal != nil || !accepts(w.typ, formula.Record) {
			c.errorf(n, "wrong-type", "%s takes %s, this is a mapping", w.what, typeName(w.typ))
			return nil
		}
		f := c.fields(n, wantAny, env)
		if f == nil {
			return nil
		}
		return &value{file: c.file, node: n, typ: f.typ(), record: f}
	}
	c.errorf(n, "wrong-type", "%s takes %s", w.what, typeName(w.typ))
	return nil
}

func accepts(t formula.Type, k formula.Kind) bool { return t.Kind == formula.Any || t.Kind == k }

func (c *checker) sequence(n *yaml.Node, w want, env formula.Env) *value {
	if w.literal != nil || !accepts(w.typ, formula.List) {
		f := c.errorf(n, "wrong-type", "%s takes %s, this is a list", w.what, typeName(w.typ))
		if w.typ.Kind == formula.Bool {
			f.Hint = "join the conditions: =a && b"
		}
		return nil
	}
	elem := want{typ: formula.Type{Kind: formula.Any}, what: "an element of " + w.what}
	if w.typ.Elem != nil {
		elem.typ = *w.typ.Elem
	}
	v := &value{file: c.file, node: n, list: []*value{}}
	typ := formula.Type{Kind: formula.Any}
	for i, e := range n.Content {
		x := c.value(e, elem, env)
		if x == nil {
			return nil
		}
		if i == 0 {
			typ = x.typ
		} else {
			typ = formula.Unify(typ, x.typ)
		}
		v.list = append(v.list, x)
	}
	v.typ = formula.ListOf(typ)
	return v
}

func (c *checker) scalar(n *yaml.Node, w want, env formula.Env) *value {
	if !strings.HasPrefix(n.Tag, "!!") {
		return nil // a tag of its own was reported when the file was read
	}
	v := &value{file: c.file, node: n}
	text := n.Value
	isText := n.Tag == "!!str" || n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
	switch {
	case w.literal != nil:
		x, err := w.literal(text)
		if err != nil {
			c.errorf(n, "wrong-type", "%s: %s", w.what, err)
			return nil
		}
		v.literal = x
		return v
	case isText && strings.HasPrefix(text, "=="):
		v.literal, v.typ = text[1:], formula.Type{Kind: formula.String}
	case isText && strings.HasPrefix(text, "="):
		return c.formula(v, w, env)
	case isText && formula.HasHole(text):
		return c.template(v, w, env)
	default:
		return c.literal(v, w, env, isText)
	}
	return c.fits(v, w)
}

// formula compiles a scalar that begins with "=".
func (c *checker) formula(v *value, w want, env formula.Env) *value {
	src := v.node.Value[formulaOffset:]
	f, problems := formula.Compile(src, env)
	if len(problems) > 0 {
		if message, hint := yamlfile.FormulaTrap(c.file, v.node); message != "" {
			c.errorf(v.node, "yaml-trap", "%s", message).Hint = hint
			return nil
		}
		c.problems(v.node, formulaOffset, literalMeant(src, w, problems))
		return nil
	}
	v.formula, v.typ = f, f.Type()
	if !c.secretsIn(v, w, env) {
		return nil
	}
	c.doubts(v.node, formulaOffset, f.Doubts())
	if e := f.Fails(); e != nil {
		p := formula.Problem{From: e.From, To: e.To, Code: "failing-formula", Message: "the formula fails in every run: " + e.Message}
		c.problems(v.node, formulaOffset, []formula.Problem{p})
		return nil
	}
	return c.fits(v, w)
}

// literalMeant adds to the finding about a formula of one unknown word that it
// may have been meant as text.
func literalMeant(src string, w want, problems []formula.Problem) []formula.Problem {
	p := &problems[0]
	if len(problems) > 1 || p.Code != "unknown-name" || p.To-p.From != len([]rune(src)) || !accepts(w.typ, formula.String) || strings.Contains(p.Text(), " is ") {
		return problems
	}
	switch itself := "to write the text itself, leave out the ="; {
	case p.Hint == "" || strings.HasPrefix(p.Hint, "there is"):
		p.Hint = itself
	case strings.HasSuffix(p.Hint, "?"):
		p.Hint += " Or, " + itself
	default:
		p.Hint += "; " + itself
	}
	return problems
}

func (c *checker) template(v *value, w want, env formula.Env) *value {
	t, problems := formula.CompileTemplate(v.node.Value, env)
	if len(problems) > 0 {
		c.problems(v.node, 0, problems)
		return nil
	}
	v.template, v.typ = t, formula.Type{Kind: formula.String}
	if !c.secretsIn(v, w, env) {
		return nil
	}
	c.doubts(v.node, 0, t.Doubts())
	return c.fits(v, w)
}

// problems reports what is wrong inside a formula, each at its own place.
func (c *checker) problems(n *yaml.Node, offset int, ps []formula.Problem) {
	c.placed(n, offset, ps, diag.Error)
}

// doubts warns of what is allowed inside a formula and likely a mistake.
func (c *checker) doubts(n *yaml.Node, offset int, ps []formula.Problem) {
	c.placed(n, offset, ps, diag.Warning)
}

func (c *checker) placed(n *yaml.Node, offset int, ps []formula.Problem, s diag.Severity) {
	for _, p := range ps {
		start, end := c.file.Span(n, offset+p.From, offset+p.To)
		c.list.Add(diag.Finding{Pos: start, EndLine: end.Line, EndColumn: end.Column, Severity: s, Code: p.Code, Message: p.Message, Args: p.Args, Hint: p.Hint, HintArgs: p.HintArgs})
	}
}

// fits reports a value whose type the place does not take.
func (c *checker) fits(v *value, w want) *value {
	if formula.Fits(v.typ, w.typ) {
		return v
	}
	switch {
	case v.typ.Maybe && formula.Fits(v.typ.Present(), w.typ):
		c.errorf(v.node, "maybe-missing", "%s takes %s, this may be missing", w.what, typeName(w.typ)).Hint = "add a value for that case with ??"
	case v.template != nil && w.typ.Kind != formula.String:
		f := c.errorf(v.node, "wrong-type", "%s takes %s, and text with a value in it is text", w.what, typeName(w.typ))
		if src, ok := v.template.Hole(); ok {
			f.Hint = "=" + src
		}
	case v.formula == nil && w.typ.Kind == formula.Bool:
		c.errorf(v.node, "wrong-type", "%s wants true or false, this is %s; a formula starts with =", w.what, typeName(v.typ)).Hint = "=" + strings.TrimSpace(v.node.Value)
	case w.typ.Kind == formula.String && (v.typ.Kind == formula.Number || v.typ.Kind == formula.Int):
		f := c.errorf(v.node, "wrong-type", "%s takes text, the formula gives a number", w.what)
		f.Hint = "{{ " + v.node.Value[formulaOffset:] + " }}"
	default:
		c.errorf(v.node, "wrong-type", "%s takes %s, this is %s", w.what, typeName(w.typ), typeName(v.typ)).Hint = comparing(v, w)
	}
	return nil
}

// comparing is the hint for a formula that should have been a condition.
func comparing(v *value, w want) string {
	if v.formula == nil || w.typ.Kind != formula.Bool {
		return ""
	}
	switch v.typ.Kind {
	case formula.String:
		return `compare it: … == "Y", or … != ""`
	case formula.Int, formula.Number:
		return "compare it: … > 0"
	case formula.List:
		return "write len(…) > 0"
	}
	return ""
}

// literal reads a scalar that is neither a formula nor text with holes, by the
// type that the place takes rather than by YAML's guess.
func (c *checker) literal(v *value, w want, env formula.Env, isText bool) *value {
	n := v.node
	if n.Tag == "!!null" && !isText {
		v.typ = formula.Type{Kind: formula.Nil}
		return c.fits(v, w)
	}
	switch w.typ.Kind {
	case formula.String:
		v.literal, v.typ = n.Value, formula.Type{Kind: formula.String}
		if !w.plain {
			c.looksLike(n, env)
		}
	case formula.Int, formula.Number:
		x, err := num.Parse(n.Value)
		if err != nil || isText {
			f := c.errorf(n, "wrong-type", "%s takes %s, this is %q", w.what, typeName(w.typ), n.Value)
			if c.compiles(n.Value, env) {
				f.Hint = "=" + n.Value
			}
			return nil
		}
		v.literal, v.typ = x, numberType(x)
	case formula.Bool:
		if n.Value != "true" && n.Value != "false" {
			text := strings.TrimSpace(n.Value) // a block has a line break at its end
			f := c.errorf(n, "wrong-type", "%s wants true or false, this is the text %q; a formula starts with =", w.what, text)
			if c.compiles(text, env) {
				f.Hint = "=" + text
			}
			return nil
		}
		v.literal, v.typ = n.Value == "true", formula.Type{Kind: formula.Bool}
	default:
		return c.untyped(v, w, env, isText)
	}
	return c.fits(v, w)
}

// untyped reads a literal where any value may stand.
func (c *checker) untyped(v *value, w want, env formula.Env, isText bool) *value {
	n := v.node
	plain := n.Value
	switch {
	case !isText && (n.Tag == "!!int" || n.Tag == "!!float"):
		digits := strings.TrimLeft(plain, "+-")
		if len(digits) > 1 && digits[0] == '0' && digits[1] != '.' {
			c.errorf(n, "leading-zero", "%q has a leading zero: YAML reads it as another number", plain).Hint = "'" + plain + "'"
			return nil
		}
		x, err := num.Parse(plain)
		if err != nil {
			c.errorf(n, "wrong-type", "%s", err)
			return nil
		}
		v.literal, v.typ = x, numberType(x)
	case !isText && n.Tag == "!!bool":
		v.literal, v.typ = strings.EqualFold(plain, "true"), formula.Type{Kind: formula.Bool}
	default:
		v.literal, v.typ = plain, formula.Type{Kind: formula.String}
		if !formula.Fits(v.typ, w.typ) && c.compiles(plain, env) {
			c.errorf(n, "wrong-type", "%s takes %s, this is the text %q; a formula starts with =", w.what, typeName(w.typ), plain).Hint = "=" + plain
			return nil
		}
		c.looksLike(n, env)
	}
	return c.fits(v, w)
}

// compiles reports whether text is a formula that reads names of the scope.
func (c *checker) compiles(text string, env formula.Env) bool {
	f, problems := formula.Compile(text, env)
	return len(problems) == 0 && len(f.Vars()) > 0
}

func numberType(x num.Num) formula.Type {
	if x.IsInt() {
		return formula.Type{Kind: formula.Int}
	}
	return formula.Type{Kind: formula.Number}
}

// fields compiles a mapping whose keys may be formulas.
func (c *checker) fields(n *yaml.Node, w want, env formula.Env) *fieldsValue {
	m, ok := c.mapping(n)
	if !ok {
		return nil
	}
	out := &fieldsValue{}
	good := true
	for _, e := range m.Entries {
		key := c.scalar(e.Key, want{typ: formula.Type{Kind: formula.String}, what: "a name", plain: !strings.Contains(e.Key.Value, ".")}, env)
		val := c.value(e.Value, w, env)
		if key == nil || val == nil {
			good = false
			continue
		}
		out.entries = append(out.entries, &fieldEntry{key: key, value: val})
	}
	if !good {
		return nil
	}
	return out
}

// typ is the record type of a mapping: open when a key is computed.
func (f *fieldsValue) typ() formula.Type {
	fields := make(map[string]formula.Type, len(f.entries))
	open := false
	for _, e := range f.entries {
		if name, ok := e.key.constant(); ok {
			if s, ok := name.(string); ok {
				fields[s] = e.value.typ
				continue
			}
		}
		open = true
	}
	return formula.Type{Kind: formula.Record, Fields: fields, Open: open}
}

// typeName words a type for a message: with an article, without what is inside.
func typeName(t formula.Type) string {
	switch t.Kind {
	case formula.Int:
		return "a whole number"
	case formula.Number:
		return "a number"
	case formula.String:
		return "text"
	case formula.Bool:
		return "true or false"
	case formula.Time:
		return "a time"
	case formula.List:
		return "a list"
	case formula.Record:
		return "a record"
	case formula.Nil:
		return "nothing"
	}
	return t.String()
}
