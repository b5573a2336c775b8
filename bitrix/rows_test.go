package bitrix_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/php"
)

// fullPage is a page of 50 rows.
func fullPage(start int) *php.Array {
	rows := php.NewArray()
	for i := range 50 {
		rows.Append(object("id", number(start+i)))
	}
	return rows
}

func TestDecodeRows(t *testing.T) {
	tests := []struct {
		wrapper, result string
		want            string // the rows, or a part of the error after "error: "
	}{
		{"", `[]`, `[]`},
		{"", " [{\"id\":1}] \r\n", `[{"id":1}]`},
		{"", `{"10":{"id":1},"2":{"id":2}}`, `[{"id":1} {"id":2}]`},
		{"items", `{"items":[]}`, `[]`},
		{"items", `{"items":[{"id":1}],"total":1}`, `[{"id":1}]`},
		{"items", `{"items":{"0":{"id":1},"2":{"id":3}}}`, `[{"id":1} {"id":3}]`},

		{"", ``, "error: the answer has no list"},
		{"", `null`, "error: want a list, got null"},
		{"", `false`, "error: want a list, got false"},
		{"", `true`, "error: want a list, got true"},
		{"", `""`, "error: want a list"},
		{"", `0`, "error: want a list, got 0"},
		{"", `{}`, "error: want a list, got an empty object"},
		{"", `{"items":[{"id":1}]}`, `error: want a list, got an object with the key "items"`},
		{"", `{"0":{"id":1},"0":{"id":2}}`, "error: want a list"},
		{"", `{"-1":{"id":1}}`, "error: want a list"},
		{"", `{"01":{"id":1}}`, "error: want a list"},
		{"", `[null]`, "error: row 1 is null"},
		{"", `[{"id":1},[]]`, "error: row 2 is []"},
		{"", `[{"id":1}`, "error: "},
		{"items", `[]`, "error: want an object, got []"},
		{"items", `null`, "error: want an object, got null"},
		{"items", `{}`, "error: items: the answer has no list"},
		{"items", `{"items":null}`, "error: items: want a list, got null"},
		{"items", `{"items":false}`, "error: items: want a list, got false"},
		{"items", `{"items":{}}`, "error: items: want a list, got an empty object"},
		{"items", `{"Items":[]}`, "error: items: the answer has no list"},
		{"items", `{"result":{"items":[]}}`, "error: items: the answer has no list"},
	}
	for _, tt := range tests {
		rows, err := bitrix.DecodeRows("crm.item.list", bitrix.Answer{Result: json.RawMessage(tt.result), Total: -1, Next: -1}, tt.wrapper)
		if want, failed := strings.CutPrefix(tt.want, "error: "); failed {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q %s: got %s, %v", tt.wrapper, tt.result, rows, err)
				continue
			}
			if got := judge(t, err); !got.Temporary || !strings.HasPrefix(err.Error(), "crm.item.list: ") {
				t.Errorf("%s: the error %v does not name the method or is final: %+v", tt.result, err, got)
			}
			continue
		}
		if got := fmt.Sprintf("%s", rows); err != nil || got != tt.want || rows == nil {
			t.Errorf("%q %s: got %s, %v", tt.wrapper, tt.result, got, err)
		}
	}
	refused := errors.New("refused")
	if _, err := bitrix.DecodeRows("x", bitrix.Answer{Err: refused}, ""); !errors.Is(err, refused) {
		t.Errorf("the error of the answer is %v", err)
	}
}

func TestFirstPage(t *testing.T) {
	tests := []struct {
		rows, total, next int
		want              string // "whole", "more" or "error"
	}{
		{0, 0, -1, "whole"},
		{0, -1, -1, "whole"},
		{3, 3, -1, "whole"},
		{3, -1, -1, "whole"},
		{50, 50, -1, "whole"},
		{120, 120, -1, "whole"}, // an answer of Many has all rows
		{50, 60, 50, "more"},
		{50, 60, -1, "more"}, // a full page without next
		{50, -1, -1, "more"},
		{50, -1, 50, "more"},
		{50, 40, 50, "more"}, // next counts more than the total
		{20, 60, 20, "more"}, // a method with smaller pages
		{3, 60, -1, "error"},
		{0, 60, -1, "error"},
		{0, 60, 50, "error"},
		{3, 2, -1, "error"},
		{30, 60, 50, "error"}, // rows are missing before next
		{30, -1, 50, "error"},
		{3, -2, -1, "error"}, // a total that cannot be read
		{3, 3, -2, "error"},
	}
	for _, tt := range tests {
		list := "[" + strings.TrimSuffix(strings.Repeat(`{"id":1},`, tt.rows), ",") + "]"
		rows, more, err := bitrix.FirstPage("list", bitrix.Answer{Result: json.RawMessage(list), Total: tt.total, Next: tt.next}, "")
		got := "whole"
		switch {
		case err != nil:
			got = "error"
			if !judge(t, err).Temporary {
				t.Errorf("%+v: %v is final", tt, err)
			}
		case more:
			got = "more"
		}
		if got != tt.want || err == nil && len(rows) != tt.rows {
			t.Errorf("%+v: %s with %d rows, %v", tt, got, len(rows), err)
		}
	}
}

// TestEnvelopes reads lists whose envelopes are not as documented. The portal
// has 120 rows.
func TestEnvelopes(t *testing.T) {
	page := func(start int) string {
		var rows []string
		for i := start; i < min(start+50, 120); i++ {
			rows = append(rows, fmt.Sprintf(`{"ID":"%d"}`, i))
		}
		return "[" + strings.Join(rows, ",") + "]"
	}
	type pages map[int]string
	tests := []struct {
		name  string
		pages pages
		want  int // rows, -1 for an error
	}{
		{"as documented", pages{0: page(0) + `,"total":120,"next":50`, 50: page(50) + `,"total":120,"next":100`, 100: page(100) + `,"total":120`}, 120},
		{"no next", pages{0: page(0) + `,"total":120`, 50: page(50) + `,"total":120`, 100: page(100) + `,"total":120`}, 120},
		{"no total", pages{0: page(0) + `,"next":50`, 50: page(50) + `,"next":100`, 100: page(100)}, 120},
		{"neither", pages{0: page(0), 50: page(50), 100: page(100)}, 120},
		{"numbers are text", pages{0: page(0) + `,"total":"120","next":"50"`, 50: page(50) + `,"total":"120","next":"100"`, 100: page(100) + `,"total":"120"`}, 120},
		{"the total is too small", pages{0: page(0) + `,"total":10,"next":50`, 50: page(50) + `,"total":10,"next":100`, 100: page(100) + `,"total":10`}, 120},
		{"the total is zero", pages{0: page(0) + `,"total":0,"next":50`, 50: page(50) + `,"total":0,"next":100`, 100: page(100) + `,"total":0`}, 120},
		{"the total is too small for the last page", pages{0: page(0) + `,"total":100,"next":50`, 50: page(50) + `,"total":100,"next":100`, 100: page(100) + `,"total":100`}, 120},
		{"the total is too large", pages{0: page(0) + `,"total":140,"next":50`, 50: page(50) + `,"total":140,"next":100`, 100: page(100) + `,"total":140`}, -1},
		{"the total is no number", pages{0: page(0) + `,"total":"many"`}, -1},
		{"next is no number", pages{0: page(0) + `,"total":120,"next":[50]`}, -1},
		{"next does not move", pages{0: page(0) + `,"next":50`, 50: page(50) + `,"next":50`}, -1},
		{"next skips rows", pages{0: page(0) + `,"next":100`, 100: page(100)}, -1},
		{"the second page is empty", pages{0: page(0) + `,"total":120,"next":50`, 50: `[],"total":120`, 100: page(100) + `,"total":120`}, -1},
		{"the last page is empty", pages{0: page(0) + `,"total":120,"next":50`, 50: page(50) + `,"total":120,"next":100`, 100: `[],"total":120`}, -1},
		{"an announced page is empty", pages{0: page(0) + `,"next":50`, 50: `[]`}, -1},
		{"the last page is null", pages{0: page(0) + `,"total":120,"next":50`, 50: page(50) + `,"total":120,"next":100`, 100: `null,"total":120`}, -1},
		{"the last page is short", pages{0: page(0) + `,"total":120,"next":50`, 50: page(50) + `,"total":120,"next":100`, 100: `[{"ID":"100"}],"total":120`}, -1},
		{"the second page is short", pages{0: page(0) + `,"total":120,"next":50`, 50: `[{"ID":"50"}],"total":120,"next":100`, 100: page(100) + `,"total":120`}, -1},
		{"the first page is short", pages{0: `[{"ID":"0"}],"total":120,"next":50`, 50: page(50) + `,"total":120,"next":100`, 100: page(100) + `,"total":120`}, -1},
		{"a page comes twice", pages{0: page(0) + `,"total":120,"next":50`, 50: page(0) + `,"total":120,"next":100`, 100: page(100) + `,"total":120`}, -1},
		{"the total changes", pages{0: page(0) + `,"total":120,"next":50`, 50: page(50) + `,"total":121,"next":100`, 100: page(100) + `,"total":120`}, -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newClient(t, envelopes(func(start int) string { return tt.pages[start] }))
			rows, err := c.List(t.Context(), bitrix.Call{Method: "list"}, "")
			if tt.want < 0 {
				if err == nil || !judge(t, err).Temporary {
					t.Errorf("%d rows, %v, want a temporary error", len(rows), err)
				}
				return
			}
			if err != nil || len(rows) != tt.want {
				t.Errorf("%d rows, %v, want %d", len(rows), err, tt.want)
			}
		})
	}
}

// TestMutatedEnvelopes changes the answers of a list at random: the client
// returns all rows or an error, never fewer.
func TestMutatedEnvelopes(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for range 300 {
		n := r.IntN(160)
		if r.IntN(3) == 0 {
			n = 50 * r.IntN(4)
		}
		honest := func(start int) string {
			var rows []string
			for i := start; i < min(start+50, n); i++ {
				rows = append(rows, fmt.Sprintf(`{"ID":"%d"}`, i))
			}
			out := fmt.Sprintf(`[%s],"total":%d`, strings.Join(rows, ","), n)
			if start+50 < n {
				out += fmt.Sprintf(`,"next":%d`, start+50)
			}
			return out
		}
		at := 50 * r.IntN(max(1, (n+49)/50))
		what := mutations[r.IntN(len(mutations))]
		c := newClient(t, envelopes(func(start int) string {
			answer := honest(start)
			if start == at || what.everywhere {
				answer = what.change(answer)
			}
			return answer
		}))
		rows, err := c.List(t.Context(), bitrix.Call{Method: "list"}, "")
		if err == nil && len(rows) != n {
			t.Errorf("seed %d: %s at %d of %d rows: %d rows without an error", seed, what.name, at, n, len(rows))
		}
		if err != nil && !judge(t, err).Temporary {
			t.Errorf("seed %d: %s at %d of %d rows: %v is final", seed, what.name, at, n, err)
		}
		c.Close()
	}
}

// mutations change the text of an answer after "result":.
var mutations = []struct {
	name       string
	everywhere bool
	change     func(string) string
}{
	{"no change", false, func(s string) string { return s }},
	{"the list is null", false, func(s string) string { return "null" + s[strings.Index(s, "]")+1:] }},
	{"the list is false", false, func(s string) string { return "false" + s[strings.Index(s, "]")+1:] }},
	{"the list is an empty object", false, func(s string) string { return "{}" + s[strings.Index(s, "]")+1:] }},
	{"the list has a name", false, func(s string) string {
		i := strings.Index(s, "]") + 1
		return `{"items":` + s[:i] + "}" + s[i:]
	}},
	{"the first row is missing", false, func(s string) string {
		_, rest, found := strings.Cut(s, "},")
		if !found {
			return "null"
		}
		return "[" + rest
	}},
	{"the first row is null", false, func(s string) string {
		_, rest, found := strings.Cut(s, "}")
		if !found {
			return "[null]"
		}
		return "[null" + rest
	}},
	{"no total", true, func(s string) string { return strings.Replace(s, `"total"`, `"all"`, 1) }},
	{"no next", true, func(s string) string { return strings.Replace(s, `"next"`, `"then"`, 1) }},
	{"neither", true, func(s string) string {
		return strings.Replace(strings.Replace(s, `"next"`, `"then"`, 1), `"total"`, `"all"`, 1)
	}},
	{"total plus one", true, func(s string) string {
		i := strings.Index(s, `"total":`) + 8
		end := i + len(s[i:]) - len(strings.TrimLeft(s[i:], "0123456789"))
		var n int
		_, _ = fmt.Sscan(s[i:end], &n)
		return s[:i] + fmt.Sprint(n+1) + s[end:]
	}},
}

// FuzzDecodeRows never takes what is no list for one.
func FuzzDecodeRows(f *testing.F) {
	for _, s := range []string{`[]`, `{"0":{"a":1},"2":{}}`, `{"items":[{}]}`, `null`, `[null]`, `{"items":{"1":{}}}`} {
		f.Add(s, "items")
		f.Add(s, "")
	}
	f.Fuzz(func(t *testing.T, result, wrapper string) {
		rows, err := bitrix.DecodeRows("m", bitrix.Answer{Result: json.RawMessage(result), Total: -1, Next: -1}, wrapper)
		if err != nil {
			if rows != nil || !judge(t, err).Temporary {
				t.Errorf("%d rows with %v", len(rows), err)
			}
			return
		}
		for _, row := range rows {
			var m map[string]any
			if json.Unmarshal(row, &m) != nil || m == nil {
				t.Errorf("the row %q is no object", row)
			}
		}
		var v any
		if json.Unmarshal([]byte(result), &v) != nil {
			t.Fatalf("%q is no JSON", result)
		}
		if m, ok := v.(map[string]any); ok && wrapper != "" {
			v = m[wrapper]
		}
		switch v := v.(type) {
		case []any:
			if len(v) != len(rows) {
				t.Errorf("%d of %d rows", len(rows), len(v))
			}
		case map[string]any:
			if len(v) != len(rows) || len(v) == 0 {
				t.Errorf("%d of %d rows", len(rows), len(v))
			}
		default:
			t.Errorf("%q was taken for a list", result)
		}
	})
}
