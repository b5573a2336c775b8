package export

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/internal/ruletest/compare"
)

func (w *recording) readElements(params map[string]any, result any) {
	id := intOf(params["IBLOCK_ID"])
	if typ := compare.Text(params["IBLOCK_TYPE_ID"]); typ != "lists" && typ != "" {
		w.incomplete = true
		w.warn("tests do not support lists of type %s", typ)
		return
	}
	w.lists[id] = true
	for _, r := range compare.Array(result) {
		m := compare.Object(r)
		e := recordedElement{id: int64(intOf(m["ID"])), code: compare.Text(m["CODE"]), values: map[string]any{}}
		if w.added[compare.Text(m["ID"])] || slices.ContainsFunc(w.elements[id], func(x recordedElement) bool { return x.id == e.id }) {
			continue
		}
		for name, v := range m {
			switch {
			case name == "NAME":
				e.values[name] = v
			case strings.HasPrefix(name, "PROPERTY_") && !compare.Empty(v):
				v = valuesOf(v)
				e.values[w.label(id, name)] = w.fieldText(strconv.Itoa(id), w.run.Record.Lists, name, v)
			}
		}
		w.elements[id] = append(w.elements[id], e)
	}
}

// valuesOf returns the values of {valueId: value}.
func valuesOf(v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	ids := slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	if len(ids) == 1 {
		return m[ids[0]]
	}
	out := make([]any, len(ids))
	for i, id := range ids {
		out[i] = m[id]
	}
	return out
}

// label returns the name of a property in tests.
func (w *recording) label(list int, name string) string {
	for _, f := range w.run.Record.Lists[strconv.Itoa(list)] {
		if f.Name == name {
			return propertyLabel(f)
		}
	}
	return name
}

func propertyLabel(f history.FieldRecord) string {
	if f.Code != "" {
		return f.Code
	}
	return "P" + strings.TrimPrefix(f.Name, "PROPERTY_")
}
