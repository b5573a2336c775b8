package emulator

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/php"
)

// What a method answers is built of nil, bool, string, json.Number and
// *php.Array only, so that references of a batch find the same values that the
// client would get.

// object builds an array of keys and values in turn.
func object(pairs ...any) *php.Array {
	a := php.NewArray()
	for i := 0; i+1 < len(pairs); i += 2 {
		key, _ := pairs[i].(string)
		a.Set(key, wire(pairs[i+1]))
	}
	return a
}

// wire turns a Go value into one that an answer may hold.
func wire(v any) any {
	switch v := v.(type) {
	case int:
		return intValue(int64(v))
	case int64:
		return intValue(v)
	case num.Num:
		return numValue(v)
	case []string:
		a := php.NewArray()
		for _, s := range v {
			a.Append(s)
		}
		return a
	}
	return v
}

func intValue(n int64) json.Number   { return json.Number(strconv.FormatInt(n, 10)) }
func numValue(n num.Num) json.Number { return json.Number(n.String()) }

func yesNo(b bool) string {
	if b {
		return "Y"
	}
	return "N"
}

// isEmpty is PHP's empty().
func isEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == "" || v == "0"
	case json.Number:
		f, err := strconv.ParseFloat(v.String(), 64)
		return err == nil && f == 0
	case *php.Array:
		return v.Len() == 0
	}
	return false
}

// toText is PHP's (string).
func toText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		if n, err := num.Parse(v.String()); err == nil {
			return n.String()
		}
		return v.String()
	case bool:
		if v {
			return "1"
		}
	case *php.Array:
		return "Array"
	}
	return ""
}

// toNum is PHP's (float), kept exact: of text the number at its beginning
// counts, and what is too long for a number is 0.
func toNum(v any) num.Num {
	switch v := v.(type) {
	case bool:
		if v {
			return num.FromInt(1)
		}
	case json.Number:
		return parsePrefix(v.String())
	case string:
		return parsePrefix(v)
	case *php.Array:
		return num.FromInt(int64(min(v.Len(), 1)))
	}
	return num.Num{}
}

func parsePrefix(s string) num.Num {
	n, err := num.Parse(numericPrefix(s))
	if err != nil {
		return num.Num{}
	}
	return n
}

// numericPrefix returns the number at the beginning of text in a form that num
// reads, "0" if there is none.
func numericPrefix(s string) string {
	s = strings.TrimLeft(s, " \t\n\r\v\f")
	sign := ""
	if s != "" && (s[0] == '-' || s[0] == '+') {
		if s[0] == '-' {
			sign = "-"
		}
		s = s[1:]
	}
	whole := digits(s)
	rest, fraction, exponent := s[len(whole):], "", ""
	if strings.HasPrefix(rest, ".") {
		fraction = digits(rest[1:])
		rest = rest[1+len(fraction):]
	}
	if whole == "" && fraction == "" {
		return "0"
	}
	if rest != "" && (rest[0] == 'e' || rest[0] == 'E') {
		mark := 1
		if len(rest) > 1 && (rest[1] == '-' || rest[1] == '+') {
			mark = 2
		}
		if d := digits(rest[mark:]); d != "" {
			exponent = "e" + strings.TrimPrefix(rest[1:mark], "+") + d
		}
	}
	if whole == "" {
		whole = "0"
	}
	if fraction != "" {
		fraction = "." + fraction
	}
	return sign + whole + fraction + exponent
}

// digits are those at the beginning of text.
func digits(s string) string {
	end := 0
	for end < len(s) && s[end] >= '0' && s[end] <= '9' {
		end++
	}
	return s[:end]
}

// isNumeric is PHP's is_numeric for what a call can hold.
func isNumeric(v any) bool {
	switch v := v.(type) {
	case json.Number:
		return true
	case string:
		_, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
		return err == nil && !strings.ContainsAny(v, "xXpPiInN_")
	}
	return false
}

// toInt is PHP's (int).
func toInt(v any) int64 {
	i, _ := toNum(v).Trunc().Int64()
	return i
}

// asArray returns an array as it is; anything else is none.
func asArray(v any) (*php.Array, bool) {
	a, ok := v.(*php.Array)
	return a, ok
}

// list returns the values of an array, or a scalar as the only one.
func list(v any) []any {
	a, ok := v.(*php.Array)
	if !ok {
		return []any{v}
	}
	values := make([]any, 0, a.Len())
	for _, x := range a.All() {
		values = append(values, x)
	}
	return values
}

// stamp writes a moment as crm answers do.
func (s *store) stamp(t time.Time) string { return t.In(s.zone).Format(time.RFC3339) }

// stampDate writes a date as crm answers do: midnight moved by the zone's
// offset, 2024-07-23T03:00:00+03:00 in a zone three hours east. The portal adds
// the offset to the local midnight.
func (s *store) stampDate(t time.Time) string {
	y, m, d := t.Date()
	midnight := time.Date(y, m, d, 0, 0, 0, 0, s.zone)
	_, offset := midnight.Zone()
	return midnight.Add(time.Duration(offset) * time.Second).Format(time.RFC3339)
}

// timeLayouts are the forms of a moment that the portal understands.
var timeLayouts = [...]string{
	time.RFC3339Nano, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04",
	"2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02",
	"02.01.2006 15:04:05", "02.01.2006 15:04", "02.01.2006",
	"01/02/2006 03:04:05 pm", "01/02/2006 03:04 pm", "01/02/2006 15:04:05", "01/02/2006",
}

// parseTime reads a moment. Without an offset it is in the portal's zone.
func (s *store) parseTime(v any) (time.Time, bool) {
	text := strings.ToLower(strings.TrimSpace(toText(v)))
	text = strings.Replace(strings.Replace(text, "t", "T", 1), "z", "Z", 1)
	if text == "" || len(text) > 40 {
		return time.Time{}, false
	}
	for _, layout := range timeLayouts {
		if moment, err := time.ParseInLocation(layout, text, s.zone); err == nil {
			return moment.In(s.zone).Truncate(time.Second), true
		}
	}
	return time.Time{}, false
}

// parseDate reads a date: the day of the moment in the portal's zone.
func (s *store) parseDate(v any) (time.Time, bool) {
	t, ok := s.parseTime(v)
	if !ok {
		return time.Time{}, false
	}
	return dateOf(t), true
}

func dateOf(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// firstOf returns the first value that there is, nil when there is none.
func firstOf(values ...any) any {
	for _, v := range values {
		if v != nil {
			return v
		}
	}
	return nil
}
