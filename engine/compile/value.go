package compile

import (
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/engine"
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
func (c *values) value(n *yaml.Node, w want, env formula.Env) *engine.Value {
	n = yamlfile.Resolve(n)
	switch n.Kind {
	case yaml.ScalarNode:
		return c.scalar(n, w, env)
	case yaml.SequenceNode:
		return c.sequence(n, w, env)
	case yaml.MappingNode:
		if message, hint := yamlfile.FormulaTrap(c.file, n); message != "" {
			c.Errorf(n, "yaml-trap", "%s", message).Hint = hint
			return nil
		}
		if w.literal != nil || !accepts(w.typ, formula.Record) {
			c.Errorf(n, "wrong-type", "%s takes %s, this is a mapping", w.what, TypeName(w.typ))
			return nil
		}
		f := c.fields(n, wantAny, env)
		if f == nil {
			return nil
		}
		return &engine.Value{File: c.file, Node: n, Type: recordType(f), Record: f}
	}
	c.Errorf(n, "wrong-type", "%s takes %s", w.what, TypeName(w.typ))
	return nil
}

func accepts(t formula.Type, k formula.Kind) bool { return t.Kind == formula.Any || t.Kind == k }

func (c *values) sequence(n *yaml.Node, w want, env formula.Env) *engine.Value {
	if w.literal != nil || !accepts(w.typ, formula.List) {
		f := c.Errorf(n, "wrong-type", "%s takes %s, this is a list", w.what, TypeName(w.typ))
		if w.typ.Kind == formula.Bool {
			f.Hint = "join the conditions: =a && b"
		}
		return nil
	}
	elem := want{typ: formula.Type{Kind: formula.Any}, what: "an element of " + w.what}
	if w.typ.Elem != nil {
		elem.typ = *w.typ.Elem
	}
	v := &engine.Value{File: c.file, Node: n, List: []*engine.Value{}}
	typ := formula.Type{Kind: formula.Any}
	for i, e := range n.Content {
		x := c.value(e, elem, env)
		if x == nil {
			return nil
		}
		if i == 0 {
			typ = x.Type
		} else {
			typ = formula.Unify(typ, x.Type)
		}
		v.List = append(v.List, x)
	}
	v.Type = formula.ListOf(typ)
	return v
}

func (c *values) scalar(n *yaml.Node, w want, env formula.Env) *engine.Value {
	if !strings.HasPrefix(n.Tag, "!!") {
		return nil // a tag of its own was reported when the file was read
	}
	v := &engine.Value{File: c.file, Node: n}
	text := n.Value
	isText := n.Tag == "!!str" || n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
	switch {
	case w.literal != nil:
		x, err := w.literal(text)
		if err != nil {
			c.Errorf(n, "wrong-type", "%s: %s", w.what, err)
			return nil
		}
		v.Literal = x
		return v
	case isText && strings.HasPrefix(text, "=="):
		v.Literal, v.Type = text[1:], formula.Type{Kind: formula.String}
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
func (c *values) formula(v *engine.Value, w want, env formula.Env) *engine.Value {
	src := v.Node.Value[engine.FormulaOffset:]
	f, problems := formula.Compile(src, env)
	if len(problems) > 0 {
		if message, hint := yamlfile.FormulaTrap(c.file, v.Node); message != "" {
			c.Errorf(v.Node, "yaml-trap", "%s", message).Hint = hint
			return nil
		}
		c.problems(v.Node, engine.FormulaOffset, literalMeant(src, w, problems))
		return nil
	}
	v.Formula, v.Type = f, f.Type()
	if !c.secretsIn(v, w, env) {
		return nil
	}
	c.doubts(v.Node, engine.FormulaOffset, f.Doubts())
	if e := f.Fails(); e != nil {
		p := formula.Problem{From: e.From, To: e.To, Code: "failing-formula", Message: "the formula fails in every run: " + e.Message}
		c.problems(v.Node, engine.FormulaOffset, []formula.Problem{p})
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

func (c *values) template(v *engine.Value, w want, env formula.Env) *engine.Value {
	t, problems := formula.CompileTemplate(v.Node.Value, env)
	if len(problems) > 0 {
		c.problems(v.Node, 0, problems)
		return nil
	}
	v.Template, v.Type = t, formula.Type{Kind: formula.String}
	if !c.secretsIn(v, w, env) {
		return nil
	}
	c.doubts(v.Node, 0, t.Doubts())
	return c.fits(v, w)
}

// problems reports what is wrong inside a formula, each at its own place.
func (c *reporter) problems(n *yaml.Node, offset int, ps []formula.Problem) {
	c.placed(n, offset, ps, diag.Error)
}

// doubts warns of what is allowed inside a formula and likely a mistake.
func (c *reporter) doubts(n *yaml.Node, offset int, ps []formula.Problem) {
	c.placed(n, offset, ps, diag.Warning)
}

func (c *reporter) placed(n *yaml.Node, offset int, ps []formula.Problem, s diag.Severity) {
	for _, p := range ps {
		start, end := c.file.Span(n, offset+p.From, offset+p.To)
		c.list.Add(diag.Finding{Pos: start, EndLine: end.Line, EndColumn: end.Column, Severity: s, Code: p.Code, Message: p.Message, Args: p.Args, Hint: p.Hint, HintArgs: p.HintArgs})
	}
}

// fits reports a value whose type the place does not take.
func (c *values) fits(v *engine.Value, w want) *engine.Value {
	if formula.Fits(v.Type, w.typ) {
		return v
	}
	switch {
	case v.Type.Maybe && formula.Fits(v.Type.Present(), w.typ):
		c.Errorf(v.Node, "maybe-missing", "%s takes %s, this may be missing", w.what, TypeName(w.typ)).Hint = "add a value for that case with ??"
	case v.Template != nil && w.typ.Kind != formula.String:
		f := c.Errorf(v.Node, "wrong-type", "%s takes %s, and text with a value in it is text", w.what, TypeName(w.typ))
		if src, ok := v.Template.Hole(); ok {
			f.Hint = "=" + src
		}
	case v.Formula == nil && w.typ.Kind == formula.Bool:
		c.Errorf(v.Node, "wrong-type", "%s wants true or false, this is %s; a formula starts with =", w.what, TypeName(v.Type)).Hint = "=" + strings.TrimSpace(v.Node.Value)
	case w.typ.Kind == formula.String && (v.Type.Kind == formula.Number || v.Type.Kind == formula.Int):
		f := c.Errorf(v.Node, "wrong-type", "%s takes text, the formula gives a number", w.what)
		f.Hint = "{{ " + v.Node.Value[engine.FormulaOffset:] + " }}"
	default:
		c.Errorf(v.Node, "wrong-type", "%s takes %s, this is %s", w.what, TypeName(w.typ), TypeName(v.Type)).Hint = comparing(v, w)
	}
	return nil
}

// comparing is the hint for a formula that should have been a condition.
func comparing(v *engine.Value, w want) string {
	if v.Formula == nil || w.typ.Kind != formula.Bool {
		return ""
	}
	switch v.Type.Kind {
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
func (c *values) literal(v *engine.Value, w want, env formula.Env, isText bool) *engine.Value {
	n := v.Node
	if n.Tag == "!!null" && !isText {
		v.Type = formula.Type{Kind: formula.Nil}
		return c.fits(v, w)
	}
	switch w.typ.Kind {
	case formula.String:
		v.Literal, v.Type = n.Value, formula.Type{Kind: formula.String}
		if !w.plain {
			c.looksLike(n, env)
		}
	case formula.Int, formula.Number:
		x, err := num.Parse(n.Value)
		if err != nil || isText {
			f := c.Errorf(n, "wrong-type", "%s takes %s, this is %q", w.what, TypeName(w.typ), n.Value)
			if c.compiles(n.Value, env) {
				f.Hint = "=" + n.Value
			}
			return nil
		}
		v.Literal, v.Type = x, numberType(x)
	case formula.Bool:
		if n.Value != "true" && n.Value != "false" {
			text := strings.TrimSpace(n.Value) // a block has a line break at its end
			f := c.Errorf(n, "wrong-type", "%s wants true or false, this is the text %q; a formula starts with =", w.what, text)
			if c.compiles(text, env) {
				f.Hint = "=" + text
			}
			return nil
		}
		v.Literal, v.Type = n.Value == "true", formula.Type{Kind: formula.Bool}
	default:
		return c.untyped(v, w, env, isText)
	}
	return c.fits(v, w)
}

// untyped reads a literal where any value may stand.
func (c *values) untyped(v *engine.Value, w want, env formula.Env, isText bool) *engine.Value {
	n := v.Node
	plain := n.Value
	switch {
	case !isText && (n.Tag == "!!int" || n.Tag == "!!float"):
		digits := strings.TrimLeft(plain, "+-")
		if len(digits) > 1 && digits[0] == '0' && digits[1] != '.' {
			c.Errorf(n, "leading-zero", "%q has a leading zero: YAML reads it as another number", plain).Hint = "'" + plain + "'"
			return nil
		}
		x, err := num.Parse(plain)
		if err != nil {
			c.Errorf(n, "wrong-type", "%s", err)
			return nil
		}
		v.Literal, v.Type = x, numberType(x)
	case !isText && n.Tag == "!!bool":
		v.Literal, v.Type = strings.EqualFold(plain, "true"), formula.Type{Kind: formula.Bool}
	default:
		v.Literal, v.Type = plain, formula.Type{Kind: formula.String}
		if !formula.Fits(v.Type, w.typ) && c.compiles(plain, env) {
			c.Errorf(n, "wrong-type", "%s takes %s, this is the text %q; a formula starts with =", w.what, TypeName(w.typ), plain).Hint = "=" + plain
			return nil
		}
		c.looksLike(n, env)
	}
	return c.fits(v, w)
}

// compiles reports whether text is a formula that reads names of the scope.
func (c *values) compiles(text string, env formula.Env) bool {
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
func (c *values) fields(n *yaml.Node, w want, env formula.Env) *engine.FieldsValue {
	m, ok := c.mapping(n)
	if !ok {
		return nil
	}
	out := &engine.FieldsValue{}
	good := true
	for _, e := range m.Entries {
		key := c.scalar(e.Key, want{typ: formula.Type{Kind: formula.String}, what: "a name", plain: !strings.Contains(e.Key.Value, ".")}, env)
		val := c.value(e.Value, w, env)
		if key == nil || val == nil {
			good = false
			continue
		}
		out.Entries = append(out.Entries, &engine.FieldEntry{Key: key, Value: val})
	}
	if !good {
		return nil
	}
	return out
}

// recordType is the record type of a mapping: open when a key is computed.
func recordType(f *engine.FieldsValue) formula.Type {
	fields := make(map[string]formula.Type, len(f.Entries))
	open := false
	for _, e := range f.Entries {
		if name, ok := e.Key.Const(); ok {
			if s, ok := name.(string); ok {
				fields[s] = e.Value.Type
				continue
			}
		}
		open = true
	}
	return formula.Type{Kind: formula.Record, Fields: fields, Open: open}
}

// TypeName words a type for a message: with an article, without what is inside.
func TypeName(t formula.Type) string {
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
