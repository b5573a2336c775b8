package ruletest

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/ruletest/compare"
	"github.com/b24rules/b24rules/internal/ruletest/testfile"
)

// callsDiff compares writing calls in order. A parameter that the test does not name can
// have any value. A named parameter must be equal as a whole.
func (s *fixture) callsDiff(want *testfile.Calls, made []bitrix.Call) string {
	got := make([]testfile.Call, len(made))
	for i, c := range made {
		got[i] = testfile.Call{Method: c.Method, Params: s.readable(c)}
	}
	expected := make([]testfile.Call, len(want.List))
	for i, w := range want.List {
		expected[i] = testfile.Call{Method: w.Method, Params: w.Params}
		if j := slices.IndexFunc(got, func(g testfile.Call) bool { return strings.EqualFold(g.Method, w.Method) }); j >= 0 {
			expected[i].Params = s.readableFields(w.Params, compare.Text(got[j].Params["IBLOCK_ID"]))
		}
	}
	pairs := pairCalls(expected, got)
	var wantDoc, gotDoc []any
	for i, w := range expected {
		wantDoc = append(wantDoc, map[string]any{w.Method: w.Params})
		if j, ok := pairs[i]; ok {
			got[j].Params = shapeCall(w.Params, got[j].Params)
			got[j].Method = w.Method
		}
	}
	for _, g := range got {
		gotDoc = append(gotDoc, map[string]any{g.Method: g.Params})
	}
	return compare.Diff(compare.Render(orEmpty(wantDoc)), compare.Render(orEmpty(gotDoc)))
}

func orEmpty(l []any) []any {
	if l == nil {
		return []any{}
	}
	return l
}

func callMatches(want, got testfile.Call) bool {
	if !strings.EqualFold(want.Method, got.Method) {
		return false
	}
	for name, v := range want.Params {
		if !compare.Equal(v, got.Params[name], true) {
			return false
		}
	}
	return true
}

// shapeCall removes the parameters that the test does not name.
func shapeCall(want, got map[string]any) map[string]any {
	out := map[string]any{}
	for name, v := range want {
		if g, ok := got[name]; ok || compare.Equal(v, nil, true) {
			out[name] = compare.Shape(v, g, true)
		}
	}
	return out
}

// pairCalls returns for each expected call the call to compare it with. It keeps the
// order, pairs as many equal calls as possible, and then calls of the same method.
func pairCalls(want, got []testfile.Call) map[int]int {
	best := make([][]int, len(want)+1)
	for i := range best {
		best[i] = make([]int, len(got)+1)
	}
	score := func(i, j int) int {
		switch {
		case callMatches(want[i], got[j]):
			return 1000
		case strings.EqualFold(want[i].Method, got[j].Method):
			return 1
		}
		return 0
	}
	for i := len(want) - 1; i >= 0; i-- {
		for j := len(got) - 1; j >= 0; j-- {
			best[i][j] = max(best[i+1][j], best[i][j+1])
			if n := score(i, j); n > 0 {
				best[i][j] = max(best[i][j], n+best[i+1][j+1])
			}
		}
	}
	pairs := map[int]int{}
	for i, j := 0, 0; i < len(want) && j < len(got); {
		switch n := score(i, j); {
		case n > 0 && best[i][j] == n+best[i+1][j+1]:
			pairs[i] = j
			i, j = i+1, j+1
		case best[i][j] == best[i+1][j]:
			i++
		default:
			j++
		}
	}
	return pairs
}

// readable returns the parameters of a call in the form of tests: properties by code, list
// options by text.
func (s *fixture) readable(c bitrix.Call) map[string]any {
	params := plainParams(c)
	return s.readableFields(params, compare.Text(params["IBLOCK_ID"]))
}

// plainParams returns the parameters of a call in the form in which they are sent.
func plainParams(c bitrix.Call) map[string]any {
	raw, err := json.Marshal(c.Params)
	if err != nil {
		return map[string]any{}
	}
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	var params map[string]any
	if d.Decode(&params) != nil {
		return map[string]any{}
	}
	return params
}

// fieldsKey is the parameter with the fields of a list element.
const fieldsKey = "FIELDS"

func (s *fixture) readableFields(params map[string]any, list string) map[string]any {
	_, l, ok := s.schema.List(list)
	given, isRecord := params[fieldsKey].(map[string]any)
	if !ok || !isRecord {
		return params
	}
	out := maps.Clone(params)
	named := map[string]any{}
	for name, v := range given {
		c := l.Find(name)
		if c == nil {
			named[name] = v
			continue
		}
		if m, ok := v.(map[string]any); ok && valueIDs(m) {
			v = c.PropertyValue(m)
		}
		named[c.Label()] = c.Shown(v)
	}
	out[fieldsKey] = named
	return out
}

// valueIDs reports whether m has the form {valueId: value}.
func valueIDs(m map[string]any) bool {
	for key := range m {
		if _, err := strconv.Atoi(strings.TrimPrefix(key, "n")); err != nil {
			return false
		}
	}
	return len(m) > 0
}
