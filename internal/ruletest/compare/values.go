package compare

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/engine/num"
)

// Empty reports whether v is one of the forms in which portals write a missing value.
func Empty(v any) bool {
	switch x := v.(type) {
	case nil:
		return true
	case string:
		return x == ""
	case []any:
		return len(x) == 0
	case map[string]any:
		return len(x) == 0
	}
	return false
}

// Number reads a number, or text that contains one.
func Number(v any) (num.Num, bool) {
	switch x := v.(type) {
	case num.Num:
		return x, true
	case json.Number, int, int64:
		n, err := num.Parse(fmt.Sprint(x))
		return n, err == nil
	case string:
		n, err := num.Parse(x)
		return n, err == nil
	}
	return num.Num{}, false
}

func isNumber(v any) bool {
	switch v.(type) {
	case num.Num, json.Number, int, int64:
		return true
	}
	return false
}

// Object returns v as a JSON object. It is nil for other values, also for [], which is
// PHP's form of an empty object.
func Object(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

func Array(v any) []any {
	l, _ := v.([]any)
	return l
}

// Text returns a scalar as text, and "" for nil.
func Text(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// SortedByNumber returns the keys of m in numeric order.
func SortedByNumber[T any](m map[string]T) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	return keys
}
