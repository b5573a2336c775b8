package history

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
)

const (
	// maxValue is how long one argument or result of a step may be in a record.
	maxValue = 1 << 10
	// maxError is how long an error may be.
	maxError = 2 << 10
	// maxFields is the same for the description of a list or a type.
	maxFields = 8 << 10
	// maxKeptText is how long a text in a value may be, in bytes, and maxKeptRows
	// how many entries of a list are kept.
	maxKeptText = 300
	maxKeptRows = 10
	// maxKeptDepth is how deep a value may be nested.
	maxKeptDepth = 8
)

// value writes a value of at most about max bytes, with a mark where something
// is left out.
func (w *recordWriter) value(v any, max int) {
	if max > w.left {
		max = w.left
	}
	room := max
	w.bounded(v, &room, 0)
	w.left -= max - room
}

// bounded writes a value and takes its length off room.
func (w *recordWriter) bounded(v any, room *int, depth int) {
	switch x := v.(type) {
	case string:
		before := len(w.buf)
		w.boundedText(x, *room)
		*room -= len(w.buf) - before
	case []any:
		w.boundedList(len(x), func(i int) any { return x[i] }, room, depth)
	case []string:
		w.boundedList(len(x), func(i int) any { return x[i] }, room, depth)
	case map[string]any:
		names := slices.Sorted(maps.Keys(x))
		w.boundedRecord(names, func(i int) any { return x[names[i]] }, room, depth)
	case engine.Fields:
		names := make([]string, len(x))
		for i, f := range x {
			names[i] = f.Name
		}
		w.boundedRecord(names, func(i int) any { return x[i].Value }, room, depth)
	default:
		before := len(w.buf)
		if !w.scalar(v) {
			w.buf = append(w.buf, encode(v)...)
		}
		*room -= len(w.buf) - before
	}
}

// scalar writes what has no parts and reports whether it did.
func (w *recordWriter) scalar(v any) bool {
	switch x := v.(type) {
	case nil:
		w.buf = append(w.buf, "null"...)
	case bool:
		w.buf = strconv.AppendBool(w.buf, x)
	case num.Num:
		w.buf = append(w.buf, x.String()...)
	case int:
		w.buf = strconv.AppendInt(w.buf, int64(x), 10)
	case int64:
		w.buf = strconv.AppendInt(w.buf, x, 10)
	case string:
		w.buf = appendText(w.buf, x)
	case time.Time:
		w.buf = appendText(w.buf, x.Format(time.RFC3339))
	case json.RawMessage:
		w.buf = append(w.buf, x...)
	default:
		if v != formula.Omitted {
			return false
		}
		w.buf = append(w.buf, `"omit"`...)
	}
	return true
}

func (w *recordWriter) boundedText(s string, room int) {
	w.buf = appendText(w.buf, shortened(s, max(min(maxKeptText, room), 0)))
}

// shortened says how much it leaves out of a text that is longer than most bytes.
func shortened(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most] + "… " + strconv.Itoa(len(s)-most) + " bytes more"
}

func (w *recordWriter) boundedList(n int, at func(int) any, room *int, depth int) {
	w.buf = append(w.buf, '[')
	for i := range n {
		if i >= maxKeptRows || *room <= 0 || depth >= maxKeptDepth {
			if i > 0 {
				w.buf = append(w.buf, ',')
			}
			w.buf = appendText(w.buf, "… "+strconv.Itoa(n-i)+" more")
			break
		}
		if i > 0 {
			w.buf = append(w.buf, ',')
		}
		w.bounded(at(i), room, depth+1)
	}
	w.buf = append(w.buf, ']')
}

func (w *recordWriter) boundedRecord(names []string, at func(int) any, room *int, depth int) {
	w.buf = append(w.buf, '{')
	for i, name := range names {
		if i > 0 {
			w.buf = append(w.buf, ',')
		}
		if *room <= 0 || depth >= maxKeptDepth {
			w.buf = appendText(append(appendText(w.buf, "…"), ':'), strconv.Itoa(len(names)-i)+" more")
			break
		}
		*room -= len(name) + 4
		w.buf = append(appendText(w.buf, name), ':')
		w.bounded(at(i), room, depth+1)
	}
	w.buf = append(w.buf, '}')
}

// whole writes a value without leaving anything out, as long as it fits.
func (w *recordWriter) whole(v any, room *int) bool {
	before := len(w.buf)
	if w.scalar(v) {
		*room -= len(w.buf) - before
		return *room > 0
	}
	switch x := v.(type) {
	case []any:
		w.buf = append(w.buf, '[')
		for i, e := range x {
			if i > 0 {
				w.buf = append(w.buf, ',')
			}
			if !w.whole(e, room) {
				return false
			}
		}
		w.buf = append(w.buf, ']')
	case map[string]any:
		w.buf = append(w.buf, '{')
		for i, name := range slices.Sorted(maps.Keys(x)) {
			if i > 0 {
				w.buf = append(w.buf, ',')
			}
			w.buf = append(appendText(w.buf, name), ':')
			*room -= len(name) + 4
			if !w.whole(x[name], room) {
				return false
			}
		}
		w.buf = append(w.buf, '}')
	default:
		w.buf = append(w.buf, encode(v)...)
		*room -= len(w.buf) - before
	}
	return *room > 0
}

// appendText writes a JSON string.
func appendText(buf []byte, s string) []byte {
	const hex = "0123456789abcdef"
	buf = append(buf, '"')
	start := 0
	for i := 0; i < len(s); {
		b := s[i]
		if b >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				buf = append(append(buf, s[start:i]...), "\uFFFD"...)
				start = i + size
			}
			i += size
			continue
		}
		if b >= ' ' && b != '"' && b != '\\' {
			i++
			continue
		}
		buf = append(buf, s[start:i]...)
		switch b {
		case '"', '\\':
			buf = append(buf, '\\', b)
		case '\n':
			buf = append(buf, '\\', 'n')
		default:
			buf = append(buf, '\\', 'u', '0', '0', hex[b>>4], hex[b&15])
		}
		i++
		start = i
	}
	return append(append(buf, s[start:]...), '"')
}

// encode writes a value that can be written.
func encode(v any) json.RawMessage {
	out, err := json.Marshal(v)
	if err != nil {
		return json.RawMessage("null")
	}
	return out
}
