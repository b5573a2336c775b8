package history

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/datetime"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
)

const (
	// maxValue bounds one argument or result of a step in a record, in bytes.
	maxValue = 1 << 10
	// maxError bounds the text of an error, in bytes.
	maxError = 2 << 10
	// maxFields bounds the description of a list or a type, in bytes.
	maxFields = 8 << 10
	// maxKeptText bounds a text in a value, in bytes, and maxKeptRows the entries of a
	// list.
	maxKeptText = 300
	maxKeptRows = 10
	// maxKeptDepth bounds the depth of a value.
	maxKeptDepth = 8
	// scalarSize is about the length of a number, a bool or null.
	scalarSize = 8
)

// value returns a value of at most about most bytes, with a mark where something
// is omitted.
func (w *writer) value(v any, most int) any {
	most = min(most, w.left)
	room := most
	out := w.bounded(v, &room, 0)
	w.left -= most - room
	return out
}

// bounded copies a value as far as it fits and subtracts its length from room.
func (w *writer) bounded(v any, room *int, depth int) any {
	switch x := v.(type) {
	case nil, bool, num.Num, int, int64:
		*room -= scalarSize
		return v
	case string:
		return w.boundedText(x, room)
	case time.Time:
		return w.boundedText(datetime.Text(x), room)
	case []any:
		return boundedList(w, x, room, depth)
	case []string:
		return boundedList(w, x, room, depth)
	case map[string]any:
		names := slices.Sorted(maps.Keys(x))
		return w.boundedRecord(names, func(i int) any { return x[names[i]] }, room, depth)
	case engine.Fields:
		names := make([]string, len(x))
		for i, f := range x {
			names[i] = f.Name
		}
		return w.boundedRecord(names, func(i int) any { return x[i].Value }, room, depth)
	}
	if v == formula.Omitted {
		return "omit"
	}
	text := encode(v)
	*room -= len(text)
	return text
}

func (w *writer) boundedText(s string, room *int) string {
	s = w.shortened(s, max(min(maxKeptText, *room), 0))
	*room -= len(s)
	return s
}

// shortened cuts a text that is longer than most bytes and says how much it omits. It
// hides secrets first, because a secret that is cut is not found later.
func (w *writer) shortened(s string, most int) string {
	if len(s) <= most {
		return s
	}
	if s = w.hide.Text(s); len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most] + "… " + strconv.Itoa(len(s)-most) + " bytes more"
}

func boundedList[T any](w *writer, list []T, room *int, depth int) []any {
	out := []any{}
	for i, x := range list {
		if i >= maxKeptRows || *room <= 0 || depth >= maxKeptDepth {
			return append(out, "… "+strconv.Itoa(len(list)-i)+" more")
		}
		out = append(out, w.bounded(x, room, depth+1))
	}
	return out
}

func (w *writer) boundedRecord(names []string, at func(int) any, room *int, depth int) map[string]any {
	out := make(map[string]any, len(names))
	for i, name := range names {
		if *room <= 0 || depth >= maxKeptDepth {
			out["…"] = strconv.Itoa(len(names)-i) + " more"
			break
		}
		*room -= len(name) + 4
		out[name] = w.bounded(at(i), room, depth+1)
	}
	return out
}

// encode encodes a value for which this does not fail.
func encode(v any) json.RawMessage {
	out, err := json.Marshal(v)
	if err != nil {
		return json.RawMessage("null")
	}
	return out
}
