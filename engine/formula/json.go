package formula

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/b24rules/b24rules/engine/datetime"
	"github.com/b24rules/b24rules/engine/num"
)

// FromJSON decodes one JSON value into the values of a formula: numbers become
// num.Num exactly as written, objects map[string]any, arrays []any. A number
// beyond the limits of num is an error.
func FromJSON(data []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("not JSON: there is more after the first value, at byte %d", d.InputOffset())
	}
	return exact(v)
}

// exact replaces the numbers of a decoded JSON value, in place.
func exact(v any) (any, error) {
	var err error
	switch x := v.(type) {
	case json.Number:
		return num.Parse(x.String())
	case []any:
		for i := range x {
			if x[i], err = exact(x[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for name := range x {
			if x[name], err = exact(x[name]); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

// ToText returns how a value reads inside a text: a number without trailing
// zeros, a time in RFC 3339, a day as 2026-01-31, true or false. nil, omit, lists and records cannot be
// written as text and are an error.
func ToText(v any) (string, error) {
	switch x := v.(type) {
	case string:
		return x, nil
	case num.Num:
		return x.String(), nil
	case bool:
		return strconv.FormatBool(x), nil
	case time.Time:
		return datetime.Text(x), nil
	case nil:
		return "", fmt.Errorf(`the value is missing (nil): write ?? "" for an empty text`)
	case []any:
		return "", fmt.Errorf("a list cannot be written as text: write join(…)")
	}
	return "", fmt.Errorf("%s cannot be written as text", describe(v))
}
