package dryrun

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/b24rules/b24rules/engine/num"
)

// Equal compares values of a portal by their meaning.
func Equal(a, b any) bool {
	x, y := plainText(a), plainText(b)
	if x == y {
		return true
	}
	m, err := num.Parse(x)
	if err == nil {
		if n, err := num.Parse(y); err == nil {
			return m.Equal(n)
		}
	}
	return sameDateTime(x, y)
}

// plainText returns a text of a value. Equal values have equal texts.
func plainText(v any) string {
	switch x := v.(type) {
	case nil:
		return ""
	case string:
		return x
	case bool:
		if x {
			return "Y"
		}
		return "N"
	case []any:
		if len(x) == 1 {
			return plainText(x[0])
		}
		if len(x) == 0 {
			return ""
		}
	case num.Num, int, int64, json.Number:
		return fmt.Sprint(x)
	}
	return string(marshal(v))
}

// dateTimeLayouts are the formats in which portals write dates.
var dateTimeLayouts = [...]string{time.RFC3339, "2006-01-02T15:04:05", time.DateTime, time.DateOnly, "02.01.2006 15:04:05", "02.01.2006", "01/02/2006 03:04:05 pm", "01/02/2006", "02/01/2006"}

func sameDateTime(a, b string) bool {
	for _, m := range dateTimesOf(a) {
		for _, n := range dateTimesOf(b) {
			if m.Equal(n) {
				return true
			}
		}
	}
	return false
}

// dateTimesOf returns the times that a text may mean.
func dateTimesOf(s string) (out []time.Time) {
	if len(s) < 10 || len(s) > 30 {
		return nil
	}
	for _, layout := range dateTimeLayouts {
		if t, err := time.Parse(layout, strings.ToLower(s)); err == nil {
			out = append(out, t)
		} else if t, err := time.Parse(layout, s); err == nil {
			out = append(out, t)
		}
	}
	return out
}
