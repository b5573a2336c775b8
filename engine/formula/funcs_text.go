package formula

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/b24rules/b24rules/engine/num"
)

func toText(m *Machine, args []any) (any, error) {
	s, err := ToText(args[0])
	if err != nil {
		return nil, err
	}
	return s, m.read(len(s))
}

// allTexts returns arguments that have to be texts, and counts their reading.
func allTexts(m *Machine, args []any) ([]string, error) {
	all := make([]string, len(args))
	for i, arg := range args {
		s, err := text(arg)
		if err != nil {
			return nil, err
		}
		if err := m.read(len(s)); err != nil {
			return nil, err
		}
		all[i] = s
	}
	return all, nil
}

func trim(m *Machine, args []any) (any, error) {
	s, err := allTexts(m, args)
	if err != nil {
		return nil, err
	}
	if len(s) == 1 {
		return strings.TrimSpace(s[0]), nil
	}
	return strings.Trim(s[0], s[1]), nil
}

// textFunc makes a function of two texts that makes no new text.
func textFunc[T any](m *Machine, args []any, f func(text, part string) T) (any, error) {
	s, err := allTexts(m, args)
	if err != nil {
		return nil, err
	}
	return f(s[0], s[1]), nil
}

func trimPrefix(m *Machine, args []any) (any, error) { return textFunc(m, args, strings.TrimPrefix) }

func trimSuffix(m *Machine, args []any) (any, error) { return textFunc(m, args, strings.TrimSuffix) }

func hasPrefix(m *Machine, args []any) (any, error) { return textFunc(m, args, strings.HasPrefix) }

func hasSuffix(m *Machine, args []any) (any, error) { return textFunc(m, args, strings.HasSuffix) }

func indexOf(m *Machine, args []any) (any, error) {
	return textFunc(m, args, func(s, part string) num.Num { return runeIndex(s, strings.Index(s, part)) })
}

func lastIndexOf(m *Machine, args []any) (any, error) {
	return textFunc(m, args, func(s, part string) num.Num { return runeIndex(s, strings.LastIndex(s, part)) })
}

// runeIndex turns an index in bytes into one in characters; -1 stays.
func runeIndex(s string, i int) num.Num {
	if i > 0 {
		i = utf8.RuneCountInString(s[:i])
	}
	return num.FromInt(int64(i))
}

// caseGrowth is how much longer a text may be in the other case: ɐ has two
// bytes, its capital three.
const caseGrowth = 2

func upper(m *Machine, args []any) (any, error) { return changeCase(m, args[0], strings.ToUpper) }

func lower(m *Machine, args []any) (any, error) { return changeCase(m, args[0], strings.ToLower) }

func changeCase(m *Machine, v any, change func(string) string) (any, error) {
	s, err := text(v)
	if err != nil {
		return nil, err
	}
	if err := m.grow(caseGrowth * len(s)); err != nil {
		return nil, err
	}
	return change(s), nil
}

func split(m *Machine, args []any) (any, error) {
	s, err := allTexts(m, args[:2])
	if err != nil {
		return nil, err
	}
	limit := -1
	if len(args) > 2 {
		if limit, err = whole(args[2]); err != nil {
			return nil, err
		}
	}
	parts := strings.Count(s[0], s[1])
	if limit >= 0 {
		parts = min(parts, limit)
	}
	if err := m.list(parts + 1); err != nil {
		return nil, err
	}
	all := make([]any, 0, parts+1)
	for _, part := range strings.SplitN(s[0], s[1], limit) {
		all = append(all, part)
	}
	return all, nil
}

func replace(m *Machine, args []any) (any, error) {
	s, err := allTexts(m, args)
	if err != nil {
		return nil, err
	}
	grown := strings.Count(s[0], s[1])*(len(s[2])-len(s[1])) + len(s[0])
	if err := m.grow(max(grown, len(s[0]))); err != nil {
		return nil, err
	}
	return strings.ReplaceAll(s[0], s[1], s[2]), nil
}

func repeat(m *Machine, args []any) (any, error) {
	s, err := text(args[0])
	if err != nil {
		return nil, err
	}
	n, err := whole(args[1])
	if err != nil {
		return nil, err
	}
	if n < 0 {
		return nil, errors.New("a text cannot be repeated a negative number of times")
	}
	if len(s) == 0 {
		return "", nil
	}
	if n > maxText/len(s) {
		return nil, m.grow(maxText + 1)
	}
	if err := m.grow(n * len(s)); err != nil {
		return nil, err
	}
	return strings.Repeat(s, n), nil
}

// join puts the elements of a list into one text, each as {{ }} would.
func join(m *Machine, args []any) (any, error) {
	elements, err := list(args[0])
	if err != nil {
		return nil, err
	}
	separator := ""
	if len(args) > 1 {
		if separator, err = text(args[1]); err != nil {
			return nil, err
		}
	}
	if err := m.spend(len(elements)); err != nil {
		return nil, err
	}
	var b strings.Builder
	for i, e := range elements {
		s, err := ToText(e)
		if err != nil {
			return nil, err
		}
		if err := m.grow(len(s) + len(separator)); err != nil {
			return nil, err
		}
		if i > 0 {
			b.WriteString(separator)
		}
		b.WriteString(s)
	}
	return b.String(), nil
}
