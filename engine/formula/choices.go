package formula

import (
	"errors"
	"fmt"

	"github.com/expr-lang/expr/ast"

	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/diag"
)

// Source says from where records come: the items of a CRM type, or the elements of a list.
// The portal has the texts of their choices.
type Source struct {
	// List says that the records are elements of a list of ListType.
	List     bool
	ListType string
	// ID is the entityTypeId or the IBLOCK_ID, 0 when only a run knows it.
	ID int
	// Input is the name of the input that has the id, when ID is 0.
	Input string
}

// Choice is a field of records whose values are choices.
type Choice struct {
	Source
	Field string
}

// noteChoice notes from which records a field is read.
func (c *checker) noteChoice(n ast.Node, record Type, field string) {
	if record.Domain == nil || record.Domain.Source == nil {
		return
	}
	if c.choices == nil {
		c.choices = make(map[ast.Node]Choice)
	}
	c.choices[n] = Choice{*record.Domain.Source, field}
}

// choiceOf returns the field that a value is read from: deal.ufCrm_KIND, with a default, as
// a let, or as the element of a list of choices.
func (c *checker) choiceOf(n ast.Node) (Choice, bool) {
	for range maxLoops + 1 {
		n = c.resolved(n)
		if chain, ok := n.(*ast.ChainNode); ok {
			n = chain.Node
		}
		if found, ok := c.choices[n]; ok {
			return found, true
		}
		if path, _, ok := withDefault(n); ok {
			n = path
			continue
		}
		if _, ok := n.(*ast.PointerNode); !ok || len(c.loops) == 0 || c.loops[len(c.loops)-1].list == nil {
			break
		}
		n = c.loops[len(c.loops)-1].list
	}
	return Choice{}, false
}

// textOf makes the function that gives the text of the choice of a field. A problem is
// reported when the field is not known.
func (c *checker) textOf(n ast.Node, t Type) (run func(m *Machine, args []any) (any, error), result Type) {
	result = textType.Optional()
	if t.Kind == String && !t.mayBeNil() && t.Domain != nil && t.Domain.NeverEmpty {
		result = textType // something is always chosen
	}
	if t.Domain != nil && t.Domain.Titles != nil {
		result.Domain = &Domain{Code: t.Domain.Code, Excludes: t.Domain.Titles}
	}
	switch t.Kind {
	case Any:
		result = Type{Domain: result.Domain}
	case List:
		result = ListOf(result.Present())
	case Bool, Record, Time, Omit:
		c.errorOf(n, codeType, "", "textOf takes the value of a field with choices, not %s", article(t))
		return nil, result
	}
	of, known := c.choiceOf(n)
	switch {
	case !known:
		c.errorOf(n, codeArgs, "write textOf(deal.stageId), with the result of a fetch step",
			"textOf takes a field of an item or an element: the texts of its choices are in the portal")
		return nil, result
	case of.ID == 0 && of.Input == "":
		c.errorOf(n, codeArgs, "name it in the step, or in an input", "the step that reads %s computes its type or list, so its choices are not known", c.excerpt(n))
		return nil, result
	case of.Input != "":
		c.noteRead("inputs")
	}
	return func(m *Machine, args []any) (any, error) { return m.textOf(of, args[0]) }, result
}

// textOf returns the text of a choice, nil when nothing is chosen, or the texts of a list.
func (m *Machine) textOf(of Choice, v any) (any, error) {
	if m.locale().Choice == nil {
		return nil, errors.New("textOf needs a portal")
	}
	if of.ID == 0 {
		inputs, _ := m.vars["inputs"].(map[string]any)
		id, ok := inputs[of.Input].(num.Num)
		if !ok || !id.IsInt() {
			return nil, fmt.Errorf("the input %s is not the number of a type or a list", of.Input)
		}
		n, _ := id.Int64()
		of.ID = int(n)
	}
	values, isList := v.([]any)
	if !isList {
		values = []any{v}
	}
	texts := []any{}
	for _, one := range values {
		id, err := idOfChoice(one)
		if err != nil {
			return nil, err
		}
		if id == "" {
			continue
		}
		text, err := m.locale().Choice(of, id)
		if err != nil {
			return nil, err
		}
		if err := m.grow(len(text)); err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	switch {
	case isList:
		return texts, nil
	case len(texts) == 0:
		return nil, nil
	}
	return texts[0], nil
}

// idOfChoice returns the id of a choice, "" when nothing is chosen.
func idOfChoice(v any) (string, error) {
	switch x := v.(type) {
	case nil:
		return "", nil
	case num.Num:
		if x.Sign() == 0 {
			return "", nil
		}
		return x.String(), nil
	case string:
		if x == "0" {
			return "", nil
		}
		return x, nil
	case bool:
		if !x { // an empty field of a PHP program
			return "", nil
		}
	}
	return "", errWant("the id of a choice", v)
}

// Titles is Domain.Titles for choices with these texts. name names the field.
func Titles(name string, titles []string) func(text string) (why, hint diag.Phrase) {
	return func(text string) (why, hint diag.Phrase) {
		for _, t := range titles {
			if t == text {
				return why, hint
			}
		}
		why = diag.Phrasef("no choice of %s has the text %q", name, text)
		if near := diag.Closest(text, titles); near != "" {
			hint = diag.Phrasef("did you mean %q?", near)
		}
		return why, hint
	}
}
