// Package payload describes what another system may send, and reads it.
package payload

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
)

// Form is the form of a value that another system sends.
type Form struct {
	// Kind is Any, String, Number, Int, Bool, List or Record.
	Kind formula.Kind
	// Required says that the value must be there and not null.
	Required bool
	// Fields are those of a record, in file order.
	Fields []Field
	// Element is the form of the elements of a list.
	Element *Form
}

// Field is a field of a record.
type Field struct {
	Name string
	*Form
}

// Problem says what is wrong with a part of a value. It holds no value.
type Problem struct {
	// Path leads to the part: client.phone, rows[2].price; "" for the whole.
	Path    string `json:"path"`
	Message string `json:"message"`
}

// Limits of what another system sends.
const (
	maxList     = 1000
	maxProblems = 20
)

// Type returns the type that formulas see.
func (p *Form) Type() formula.Type {
	t := formula.Type{Kind: p.Kind}
	switch p.Kind {
	case formula.List:
		t = formula.ListOf(p.Element.Type())
	case formula.Record:
		fields := map[string]formula.Type{}
		for _, f := range p.Fields {
			fields[f.Name] = f.Type()
		}
		t = formula.RecordOf(fields)
	}
	if p.Required {
		return t
	}
	return t.Optional()
}

// Read returns the value that formulas see. Members that the form does not name are
// omitted, and fields that are missing are nil. A number may be text, and a text may be a
// number, because forms have only texts. The value is only valid without problems.
func (p *Form) Read(v any) (any, []Problem) {
	r := &reader{}
	out := r.read(p, "", v)
	return out, r.problems
}

type reader struct{ problems []Problem }

func (r *reader) wrong(path, format string, args ...any) any {
	if len(r.problems) < maxProblems {
		r.problems = append(r.problems, Problem{path, fmt.Sprintf(format, args...)})
	}
	return nil
}

func (r *reader) read(p *Form, path string, v any) any {
	if v == nil {
		if p.Required {
			r.wrong(path, "is missing")
		}
		return nil
	}
	switch p.Kind {
	case formula.String:
		switch x := v.(type) {
		case string:
			if !utf8.ValidString(x) {
				return r.wrong(path, "is not UTF-8")
			}
			return x
		case num.Num:
			return x.String()
		}
	case formula.Number, formula.Int:
		return r.number(p, path, v)
	case formula.Bool:
		return r.boolean(p, path, v)
	case formula.List:
		if list, ok := v.([]any); ok {
			return r.list(p, path, list)
		}
	case formula.Record:
		m, ok := v.(map[string]any)
		if list, isList := v.([]any); isList && len(list) == 0 {
			m, ok = map[string]any{}, true // an empty record of a PHP program
		}
		if ok {
			out := make(map[string]any, len(p.Fields))
			for _, f := range p.Fields {
				out[f.Name] = r.read(f.Form, join(path, f.Name), m[f.Name])
			}
			return out
		}
	default:
		return v
	}
	return r.wrong(path, "is %s, want %s", kindOf(v), formula.Type{Kind: p.Kind})
}

func (r *reader) boolean(p *Form, path string, v any) any {
	if v == "" && !p.Required {
		return nil // an empty field of a form
	}
	given := v
	if n, ok := v.(num.Num); ok {
		given = n.String() // 1 and 0
	}
	switch given {
	case true, "true", "1":
		return true
	case false, "false", "0":
		return false
	}
	return r.wrong(path, "is %s, want %s", kindOf(v), formula.Type{Kind: p.Kind})
}

func (r *reader) number(p *Form, path string, v any) any {
	n, ok := v.(num.Num)
	if text, isText := v.(string); isText {
		if text == "" && !p.Required {
			return nil // an empty field of a form
		}
		var err error
		n, err = num.Parse(strings.TrimSpace(text))
		ok = err == nil
	}
	switch {
	case !ok:
		return r.wrong(path, "is %s, want %s", kindOf(v), formula.Type{Kind: p.Kind})
	case p.Kind == formula.Int && !n.IsInt():
		return r.wrong(path, "is not a whole number")
	}
	return n
}

func (r *reader) list(p *Form, path string, list []any) any {
	if len(list) > maxList {
		return r.wrong(path, "has %d elements, at most %d are taken", len(list), maxList)
	}
	out := make([]any, len(list))
	for i, e := range list {
		out[i] = r.read(p.Element, fmt.Sprintf("%s[%d]", path, i), e)
	}
	return out
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// Model is a canonical text of the form.
func (p *Form) Model() string {
	text := formula.Type{Kind: p.Kind}.String()
	switch p.Kind {
	case formula.List:
		text = "list of " + p.Element.Model()
	case formula.Record:
		parts := make([]string, len(p.Fields))
		for i, f := range p.Fields {
			parts[i] = f.Name + ": " + f.Model()
		}
		slices.Sort(parts)
		text = "{" + strings.Join(parts, ", ") + "}"
	}
	if p.Required {
		text += ", required"
	}
	return text
}

// Error says that a value does not fit a form.
type Error struct{ Problems []Problem }

// Error names the first place.
func (e *Error) Error() string {
	p := e.Problems[0]
	text := "what was received does not fit: " + strings.TrimSpace(p.Path+" "+p.Message)
	if more := len(e.Problems) - 1; more > 0 {
		text += fmt.Sprintf(" (and %d more)", more)
	}
	return text
}

// kindOf names the kind of a value.
func kindOf(v any) string {
	switch v.(type) {
	case bool:
		return "true or false"
	case num.Num:
		return "a number"
	case string:
		return "text"
	case []any:
		return "a list"
	}
	return "a record"
}
