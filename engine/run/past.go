package run

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/b24rules/b24rules/engine/formula"
)

// timeKey marks a time in the stored values of before: JSON has none.
const timeKey = "$time"

// encodePast writes values of formulas as JSON.
func encodePast(values map[string]any) string {
	b, err := json.Marshal(withoutTimes(values))
	if err != nil {
		panic(fmt.Sprintf("engine: a value of a formula is no JSON: %v", err)) // numbers, texts, lists and records always are
	}
	return string(b)
}

func withoutTimes(v any) any {
	switch x := v.(type) {
	case time.Time:
		return map[string]any{timeKey: x.Format(time.RFC3339Nano)}
	case []any:
		out := make([]any, len(x))
		for i, e := range x {
			out[i] = withoutTimes(e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(x))
		for name, e := range x {
			out[name] = withoutTimes(e)
		}
		return out
	}
	return v
}

// decodePast reads what encodePast has written.
func decodePast(text string) (map[string]any, error) {
	v, err := formula.FromJSON([]byte(text))
	if err != nil {
		return nil, err
	}
	values, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%.40q holds no values", text)
	}
	for name, e := range values {
		values[name] = withTimes(e)
	}
	return values, nil
}

func withTimes(v any) any {
	switch x := v.(type) {
	case []any:
		for i, e := range x {
			x[i] = withTimes(e)
		}
	case map[string]any:
		if text, ok := x[timeKey].(string); ok && len(x) == 1 {
			if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
				return t
			}
		}
		for name, e := range x {
			x[name] = withTimes(e)
		}
	}
	return v
}
