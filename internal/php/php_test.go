package php_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/internal/php"
)

// asJSON shows an array's whole structure.
func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := php.EncodeJSON(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestParseStr holds ParseStr, the JSON and BuildQuery against what PHP 8.2 has
// made of the same queries, recorded with
//
//	parse_str($query, $v); json_encode($v, JSON_UNESCAPED_UNICODE); http_build_query($v)
func TestParseStr(t *testing.T) {
	f, err := os.Open("testdata/parse_str.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	for dec := json.NewDecoder(f); dec.More(); n++ {
		var tt struct{ Query, JSON, Built string }
		if err := dec.Decode(&tt); err != nil {
			t.Fatal(err)
		}
		a, err := php.ParseStr(tt.Query, php.Limits{})
		if err != nil {
			t.Errorf("%q: %v", tt.Query, err)
			continue
		}
		if diff := cmp.Diff(tt.JSON, asJSON(t, a)); diff != "" {
			t.Errorf("%q (-PHP +ours)\n%s", tt.Query, diff)
		}
		if diff := cmp.Diff(tt.Built, php.BuildQuery(a)); diff != "" {
			t.Errorf("query built of %q (-PHP +ours)\n%s", tt.Query, diff)
		}
	}
	if n < 200 {
		t.Errorf("read %d recorded queries, want 200", n)
	}
}

func TestParseStrLimits(t *testing.T) {
	lim := php.Limits{Values: 3, Depth: 4, KeyBytes: 20}
	for _, in := range []string{"a=1&b=1&c=1&d=1", "a[b][c][d][e]=1", strings.Repeat("k", 21) + "=1"} {
		if _, err := php.ParseStr(in, lim); !errors.Is(err, php.ErrLimit) {
			t.Errorf("%s: error %v, want a limit", in, err)
		}
	}
	if _, err := php.ParseStr("a[b][c][d]=1&b=1&c=1", lim); err != nil {
		t.Errorf("at the limits: %v", err)
	}
}

func TestBuildQuery(t *testing.T) {
	v, err := php.FromGo(map[string]any{
		"b": true, "n": nil, "f": false, "e": []any{}, "i": 5, "s": "a b&c~[]/Ж", "m": map[string]any{"k[]": []int{1, 2}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := "b=1&f=0&i=5&m%5Bk%5B%5D%5D%5B0%5D=1&m%5Bk%5B%5D%5D%5B1%5D=2&s=a+b%26c%7E%5B%5D%2F%D0%96"
	if got := php.BuildQuery(v.(*php.Array)); got != want {
		t.Errorf(" got %s\nwant %s", got, want)
	}
}

func TestJSON(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{`{"b":1,"a":{"0":"x","1":"y"}}`, `{"b":1,"a":["x","y"]}`},
		{`{}`, `[]`},
		{`{"1":"x","0":"y"}`, `{"1":"x","0":"y"}`},
		{`[1.50,null,true,"a/b<>Ж"]`, `[1.50,null,true,"a\/b<>Ж"]`},
	} {
		v, err := php.DecodeJSON([]byte(tt.in))
		if err != nil {
			t.Fatal(err)
		}
		if got := asJSON(t, v); got != tt.want {
			t.Errorf("%s gives %s, want %s", tt.in, got, tt.want)
		}
	}
	for _, in := range []string{``, `{`, `{} {}`, strings.Repeat("[", 600) + strings.Repeat("]", 600)} {
		if _, err := php.DecodeJSON([]byte(in)); err == nil {
			t.Errorf("%.20q was read", in)
		}
	}
}

func TestArray(t *testing.T) {
	a := php.List("x", "y")
	a.Delete("0")
	a.Append("z")
	if got := asJSON(t, a); got != `{"1":"y","2":"z"}` {
		t.Errorf("got %s", got)
	}
	a.Set("1", "w")
	if v, ok := a.Get("1"); !ok || v != "w" || a.Len() != 2 || a.IsList() {
		t.Errorf("got %v %v, %d values", v, ok, a.Len())
	}
}

// random builds a nested array of text.
func random(r *rand.Rand, depth int) *php.Array {
	a := php.NewArray()
	for range 1 + r.IntN(4) {
		key := []string{"a", "ID", "k k", "Ж", "0", "7", "x=y&z", "%41", "a.b"}[r.IntN(9)]
		if depth > 0 && r.IntN(2) == 0 {
			a.Set(key, random(r, depth-1))
		} else {
			a.Set(key, []string{"", "1", "a b", "50%+", "Ж&=?", "[]", "~"}[r.IntN(7)])
		}
	}
	return a
}

// TestRoundTrip holds ParseStr against BuildQuery. The outermost names are
// plain: PHP changes dots and spaces in those alone.
func TestRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		in := php.NewArray()
		in.Set("root", random(r, 4))
		out, err := php.ParseStr(php.BuildQuery(in), php.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if a, b := asJSON(t, in), asJSON(t, out); a != b {
			t.Fatalf("round trip\n in %s\nout %s", a, b)
		}
	}
}

func FuzzParseStr(f *testing.F) {
	for _, s := range []string{"a[b][]=c&d=%41", "event=ONCRMDEALADD&data[FIELDS][ID]=1", "[=1&]=2&a[[=3", "a[]]=1", "%5B%5D=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := php.ParseStr(s, php.Limits{Values: 100, Depth: 10})
		if err != nil {
			return
		}
		b, err := php.EncodeJSON(a)
		if err != nil || !json.Valid(b) {
			t.Fatalf("%q gives %s, %v", s, b, err)
		}
		// Escaping makes a key of odd bytes three times as long.
		if _, err := php.ParseStr(php.BuildQuery(a), php.Limits{KeyBytes: 1 << 20}); err != nil {
			t.Fatalf("%q: what was built cannot be read: %v", s, err)
		}
	})
}

func FuzzDecodeJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,{"b":null}]}`, `[]`, `{"0":1,"1":2}`, `"x"`, `{"a":1,"a":2}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := php.DecodeJSON(data)
		if err != nil {
			return
		}
		if !json.Valid(data) {
			t.Fatalf("%q is no JSON and was read", data)
		}
		once, err := php.EncodeJSON(v)
		if err != nil {
			t.Fatalf("%q was read and cannot be written: %v", data, err)
		}
		again, err := php.DecodeJSON(once)
		if err != nil {
			t.Fatal(err)
		}
		if twice := asJSON(t, again); twice != string(once) {
			t.Fatalf("%q is %s, then %s", data, once, twice)
		}
	})
}
