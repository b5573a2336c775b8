package plan

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/b24rules/b24rules/actions/internal/value"
	"github.com/b24rules/b24rules/engine"
)

// operators are the prefixes of filter keys. A longer operator stands before its
// own prefixes.
var operators = []string{"!=%", "!%=", "!@", "!=", "!%", "=%", "%=", ">=", "<=", ">", "<", "@", "%", "=", "!"}

// Condition is one entry of a filter.
type Condition struct {
	Field *value.Field
	Op    string
	Value any
	// Group is set instead of Field for a nested group {logic: OR, …}, which
	// only the portal can check.
	Group string
}

// ParseConditions reads a filter. resolve finds a field by its name. A choice or a number that
// the field cannot have is an error: a portal would find nothing, or ignore the condition.
func ParseConditions(filter engine.Fields, resolve func(string) (*value.Field, error)) ([]Condition, error) {
	out := make([]Condition, 0, len(filter))
	for _, x := range filter {
		if _, nested := x.Value.(map[string]any); nested {
			out = append(out, Condition{Group: x.Name, Value: x.Value})
			continue
		}
		op, name := SplitOperator(x.Name)
		f, err := resolve(name)
		if err != nil {
			return nil, err
		}
		if !strings.Contains(op, "%") {
			if err := value.CheckFilter(f, x.Value); err != nil {
				return nil, engine.ParkError("%w", err)
			}
		}
		out = append(out, Condition{Field: f, Op: op, Value: x.Value})
	}
	return out, nil
}

// SplitOperator splits the key of a filter into its operator and the name.
func SplitOperator(key string) (op, name string) {
	for _, op := range operators {
		if rest, ok := strings.CutPrefix(key, op); ok {
			return op, rest
		}
	}
	return "", key
}

// key is the key of the filter in a call.
func (c Condition) key() string {
	if c.Field == nil {
		return c.Group
	}
	if c.Op == "" {
		return "=" + c.Field.Name
	}
	return c.Op + c.Field.Name
}

// sent is the value of the filter in a call.
func (c Condition) sent(one func(f *value.Field, v any) any) any {
	if c.Field == nil {
		return value.ToREST(c.Value)
	}
	list, ok := c.Value.([]any)
	if !ok {
		return one(c.Field, c.Value)
	}
	out := make([]any, 0, len(list))
	for _, v := range list {
		out = append(out, one(c.Field, v))
	}
	return out
}

// FilterParams is the filter of a call. one converts a single value.
func FilterParams(conditions []Condition, one func(f *value.Field, v any) any) map[string]any {
	out := make(map[string]any, len(conditions))
	for _, c := range conditions {
		out[c.key()] = c.sent(one)
	}
	return out
}

// itemFilterOne writes a value for a filter of crm.item.list.
func itemFilterOne(f *value.Field, v any) any {
	if f.Kind == value.KindFlag && f.Custom {
		// Custom flags are filtered by 1 and 0, though they read Y and N.
		// https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-list.html
		if value.FlagOf(v) == "Y" {
			return json.Number("1")
		}
		return json.Number("0")
	}
	return f.ItemOne(v)
}

// holds reports whether a row matches the condition, and whether that can be
// known. With strict, texts that a database takes for equal may differ.
func (c Condition) holds(stored any, there, strict bool) (holds, known bool) {
	if c.Field == nil || !there {
		return false, false
	}
	switch c.Op {
	case "", "=", "@":
		return c.any(stored, strict), true
	case "!", "!=", "!@":
		return !c.any(stored, true), true
	case ">", ">=", "<", "<=":
		return c.compares(stored)
	}
	return false, false
}

// any reports whether one of the stored values is one of those of the condition. A
// multiple field matches a filter with any of its values.
func (c Condition) any(stored any, strict bool) bool {
	given, ok := c.Value.([]any)
	if !ok {
		given = []any{c.Value}
	}
	have := c.Field.Split(stored)
	for _, w := range given {
		if c.Field.EmptyOne(w) {
			if len(have) == 0 {
				return true
			}
			continue
		}
		for _, h := range have {
			approximate := !strict && c.Field.Kind == value.KindText && collated(value.TextOf(h)) == collated(value.TextOf(w))
			if approximate || c.Field.SameOne(h, w) {
				return true
			}
		}
	}
	return false
}

// collated makes texts equal that are equal for a database, which ignores case,
// accents (Ё is Е) and trailing spaces.
func collated(text string) string {
	bare := strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFD.String(text))
	return strings.TrimRight(bare, " ")
}

// compares compares numbers and dates.
func (c Condition) compares(stored any) (holds, known bool) {
	order, known := c.Field.Order(stored, c.Value)
	if !known {
		return false, false
	}
	switch c.Op {
	case ">":
		return order > 0, true
	case ">=":
		return order >= 0, true
	case "<":
		return order < 0, true
	}
	return order <= 0, true
}

// Verify checks a row of an answer against the filter, so that a filter that the
// portal ignored is an error. With strict, a condition that cannot be checked is
// an error too, and in is false for a row whose text is different but equal for
// the portal's database.
func Verify(conditions []Condition, value func(*value.Field) (any, bool), what string, strict bool) (in bool, err error) {
	in = true
	for _, c := range conditions {
		if c.Field == nil {
			if strict {
				return false, engine.ParkError("the group %q of the filter cannot be checked: write its conditions without the group", c.Group)
			}
			continue
		}
		stored, there := value(c.Field)
		holds, known := c.holds(stored, there, false)
		switch {
		case known && !holds:
			return false, engine.ParkError("the portal returned %s, which does not match the filter on %s: it does not apply this filter", what, c.Field.Label())
		case !known && (strict || !there && (c.Op == "" || c.Op == "=")):
			return false, engine.ParkError("the filter on %s cannot be checked against %s", c.key(), what)
		}
		exactly, _ := c.holds(stored, there, true)
		in = in && (exactly || !strict)
	}
	return in, nil
}

// RefuseEmpty refuses a filter that could find everything.
func RefuseEmpty(conditions []Condition) error {
	if len(conditions) == 0 {
		return engine.ParkError("an empty filter deletes everything")
	}
	for _, cond := range conditions {
		if cond.Field == nil {
			continue
		}
		list, several := cond.Value.([]any)
		if !several {
			list = []any{cond.Value}
		}
		if len(list) == 0 || slices.ContainsFunc(list, cond.findsAll) {
			return engine.ParkError("the filter on %s has no value: it would find items with an empty field, such as those of no deal", cond.Field.Label())
		}
	}
	return nil
}

// findsAll reports a value that is more likely a mistake: an empty value, and 0
// if the portal does not distinguish it from an empty value.
func (c Condition) findsAll(v any) bool {
	switch c.Op {
	case ">", ">=", "<", "<=":
		return v == nil || v == ""
	}
	if c.Field.Kind == value.KindFlag {
		return v == nil || v == "" // N is a value
	}
	return c.Field.EmptyOne(v)
}
