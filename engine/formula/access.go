package formula

import (
	"errors"
	"fmt"
)

// fieldOf returns a function that reads a field of a record.
func fieldOf(name string) unary {
	return func(v any) any {
		switch x := v.(type) {
		case map[string]any:
			return present(x, name)
		case string:
			if _, isPart := moneyPartTypes[name]; isPart {
				parts, err := moneyParts(x)
				if err != nil {
					fail(err)
				}
				return parts[name]
			}
		}
		fail(errField(name, v))
		return nil
	}
}

func errField(name string, v any) error {
	if v == nil {
		return fmt.Errorf("nil has no field %q: write ?.%s", name, name)
	}
	return fmt.Errorf("%s has no field %q", describe(v), name)
}

// asRecord lets records and nil pass to expr's own ?. operator, which would find
// methods on anything else.
func asRecord(v any) any {
	if _, ok := v.(map[string]any); !ok && v != nil {
		fail(fmt.Errorf("%s has no fields", describe(v)))
	}
	return v
}

func asContainer(v any) any {
	switch v.(type) {
	case nil, map[string]any, []any:
		return v
	}
	fail(fmt.Errorf("%s has no elements", describe(v)))
	return nil
}

// asKey turns an index into the int that expr's own ?.[] operator requires.
func asKey(v any) any {
	if _, ok := v.(string); ok {
		return v
	}
	return must(whole(v))
}

// element is base[key].
func element(base, key any) any {
	switch x := base.(type) {
	case []any:
		i, err := whole(key)
		if err != nil {
			fail(err)
		}
		at := i
		if at < 0 {
			at += len(x)
		}
		if at < 0 || at >= len(x) {
			fail(fmt.Errorf("there is no element %d in a list of %d", i, len(x)))
		}
		return x[at]
	case map[string]any:
		return present(x, must(text(key)).(string))
	case nil:
		fail(errors.New("nil has no elements: write ?.[…]"))
	}
	fail(fmt.Errorf("%s has no elements", describe(base)))
	return nil
}

// sliceFn is base[from:to]; a text is cut between characters.
func sliceFn(args ...any) any {
	m, base := args[0].(*Machine), args[1]
	var length int
	var runes []rune
	switch x := base.(type) {
	case []any:
		length = len(x)
	case string:
		if err := m.grow(len(x)); err != nil {
			fail(err)
		}
		runes = []rune(x)
		length = len(runes)
	default:
		fail(errWant("a list or a text", base))
	}
	from, to := bound(args[2], 0, length), bound(args[3], length, length)
	from = min(from, to)
	if l, ok := base.([]any); ok {
		return l[from:to:to]
	}
	return string(runes[from:to])
}

// bound returns a bound of a slice; negative ones count from the end.
func bound(v any, missing, length int) int {
	if v == nil {
		return missing
	}
	i, err := whole(v)
	if err != nil {
		fail(err)
	}
	if i < 0 {
		i += length
	}
	return max(0, min(i, length))
}
