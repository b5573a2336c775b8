package compile

import (
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// want says which value a place in the file takes.
type want struct {
	typ formula.Type
	// what names the place in messages: "argument list", "when".
	what diag.Phrase
	// duration says that the place takes a duration such as 2s, and no formula.
	duration bool
	// plain says that the text is a name or one of a few words. It never looks like a
	// formula.
	plain bool
	// secret says that the place takes secrets.
	secret bool
}

var wantAny = want{typ: formula.Type{Kind: formula.Any}, what: diag.Phrasef("this value")}

// value compiles one value. It returns nil when a finding makes the value useless.
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
		if w.duration || !accepts(w.typ, formula.Record) {
			c.wrongType(n, w, diag.Phrasef("a mapping"))
			return nil
		}
		f := c.fields(n, want{typ: wantAny.typ, what: wantAny.what, secret: w.secret}, env)
		if f == nil {
			return nil
		}
		return &engine.Value{File: c.file, Node: n, Type: recordType(f), Record: f}
	}
	c.Errorf(n, "wrong-type", "%s takes %s", w.what, w.takes())
	return nil
}

// wrongType reports a value of another type than the place takes.
func (c *values) wrongType(n *yaml.Node, w want, is diag.Phrase) *diag.Finding {
	return c.Errorf(n, "wrong-type", "%s takes %s, not %s", w.what, w.takes(), is)
}

// wrongText reports a text where the place takes another type. If the text is a
// formula without its =, the finding says so.
func (c *values) wrongText(n *yaml.Node, w want, text string, env formula.Env) {
	is := diag.Phrasef("%q", text)
	if !c.compiles(text, env) {
		c.wrongType(n, w, is)
		return
	}
	c.Errorf(n, "wrong-type", "%s takes %s, not %s; a formula starts with =", w.what, w.takes(), is).Hint = "=" + text
}

// takes names the type of the place.
func (w want) takes() diag.Phrase {
	if w.duration {
		return diag.Phrasef("a duration such as 2s or 5m")
	}
	return TypeName(w.typ)
}

func accepts(t formula.Type, k formula.Kind) bool { return t.Kind == formula.Any || t.Kind == k }

func (c *values) sequence(n *yaml.Node, w want, env formula.Env) *engine.Value {
	if w.duration || !accepts(w.typ, formula.List) {
		f := c.wrongType(n, w, diag.Phrasef("a list"))
		if w.typ.Kind == formula.Bool {
			f.Hint = "join the conditions: =a && b"
		}
		return nil
	}
	elem := want{typ: formula.Type{Kind: formula.Any}, what: diag.Phrasef("an element of %s", w.what), secret: w.secret}
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
		return nil // the YAML parser has reported its tag
	}
	v := &engine.Value{File: c.file, Node: n}
	text := n.Value
	isText := n.Tag == "!!str" || n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
	switch {
	case w.duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			c.wrongType(n, w, diag.Phrasef("%q", text))
			return nil
		}
		v.Literal = d
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

// formula compiles a scalar that starts with "=".
func (c *values) formula(v *engine.Value, w want, env formula.Env) *engine.Value {
	src := v.Node.Value[engine.FormulaOffset:]
	f, problems := formula.Compile(src, env)
	if len(problems) > 0 {
		// A formula that ends too early is not whole. Of a whole formula, a comment after it
		// hides no mistake.
		if message, hint := yamlfile.FormulaTrap(c.file, v.Node); message != "" && !isWhole(problems) {
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
		p := formula.Problem{From: e.From, To: e.To, Code: "failing-formula", Message: "the formula fails in every run: %s", Args: []any{e.Message}}
		c.problems(v.Node, engine.FormulaOffset, []formula.Problem{p})
		return nil
	}
	return c.fits(v, w)
}

// isWhole reports whether the problems are those of a formula whose syntax is right.
func isWhole(problems []formula.Problem) bool {
	return !slices.ContainsFunc(problems, func(p formula.Problem) bool { return p.Code == "syntax" })
}

// literalMeant adds to the hint about a formula of one unknown word, because the word
// may be meant as text.
func literalMeant(src string, w want, problems []formula.Problem) []formula.Problem {
	p := &problems[0]
	if len(problems) > 1 || p.Code != "unknown-name" || p.To-p.From != len([]rune(src)) || !accepts(w.typ, formula.String) || !strings.HasPrefix(p.Message, "unknown name") {
		return problems
	}
	switch text := "for text, remove the ="; {
	case p.Hint == "" || strings.HasPrefix(p.Hint, "there is"):
		p.Hint = text
	case strings.HasSuffix(p.Hint, "?"):
		p.Hint += " Or, " + text
	default:
		p.Hint += "; " + text
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

// problems reports the mistakes in a formula, each at its own place.
func (c *reporter) problems(n *yaml.Node, offset int, ps []formula.Problem) {
	c.placed(n, offset, ps, diag.Error)
}

// doubts warns of likely mistakes in a formula.
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
		c.Errorf(v.Node, "maybe-missing", "%s takes %s, but this value may be missing", w.what, w.takes()).Hint = "add another value with ??"
	case v.Template != nil && w.typ.Kind != formula.String:
		f := c.wrongType(v.Node, w, diag.Phrasef("text with a value in it"))
		if src, ok := v.Template.Hole(); ok {
			f.Hint = "=" + src
		}
	case w.typ.Kind == formula.String && (v.Type.Kind == formula.Number || v.Type.Kind == formula.Int):
		c.wrongType(v.Node, w, TypeName(v.Type)).Hint = "{{ " + v.Node.Value[engine.FormulaOffset:] + " }}"
	default:
		c.wrongType(v.Node, w, TypeName(v.Type)).Hint = comparing(v, w)
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
			c.wrongText(n, w, n.Value, env)
			return nil
		}
		v.Literal, v.Type = x, numberType(x)
	case formula.Bool:
		if n.Value != "true" && n.Value != "false" {
			c.wrongText(n, w, strings.TrimSpace(n.Value), env) // a block has a line break at its end
			return nil
		}
		v.Literal, v.Type = n.Value == "true", formula.Type{Kind: formula.Bool}
	default:
		return c.untyped(v, w, env, isText)
	}
	return c.fits(v, w)
}

// untyped reads a literal at a place that takes a list, a record or any value.
func (c *values) untyped(v *engine.Value, w want, env formula.Env, isText bool) *engine.Value {
	n := v.Node
	plain := n.Value
	switch {
	case !isText && (n.Tag == "!!int" || n.Tag == "!!float"):
		digits := strings.TrimLeft(plain, "+-")
		if len(digits) > 1 && digits[0] == '0' && digits[1] != '.' {
			c.Errorf(n, "leading-zero", "%q has a leading zero, and YAML reads it as another number", plain).Hint = "'" + plain + "'"
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
			c.wrongText(n, w, plain, env)
			return nil
		}
		c.looksLike(n, env)
	}
	return c.fits(v, w)
}

// compiles reports whether a text is a formula that reads a known name.
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
		key := c.scalar(e.Key, want{typ: formula.Type{Kind: formula.String}, what: diag.Phrasef("a name"), plain: !strings.Contains(e.Key.Value, ".")}, env)
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

// recordType is the type of a mapping. It is open when a key is a formula.
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

// TypeName names a type for messages and the manual, without the types of elements and
// fields.
func TypeName(t formula.Type) diag.Phrase {
	switch t.Kind {
	case formula.Int:
		return diag.Phrasef("a whole number")
	case formula.Number:
		return diag.Phrasef("a number")
	case formula.String:
		return diag.Phrasef("text")
	case formula.Bool:
		return diag.Phrasef("true or false")
	case formula.Time:
		return diag.Phrasef("a time")
	case formula.List:
		return diag.Phrasef("a list")
	case formula.Record:
		return diag.Phrasef("a record")
	case formula.Nil:
		return diag.Phrasef("nothing")
	}
	return diag.Phrasef("%s", t.String())
}
