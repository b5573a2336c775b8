package php_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"b24rules/bitrix/php"
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

// The wanted values are what PHP 8.2 prints for
// parse_str($in, $out); echo json_encode($out).
func TestParseStr(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", `[]`},
		{"a=1&b=2", `{"a":"1","b":"2"}`},
		{"data%5BFIELDS%5D%5BID%5D=7405", `{"data":{"FIELDS":{"ID":"7405"}}}`},
		{"data[FIELDS][ID]=7405&data[FIELDS][X]=", `{"data":{"FIELDS":{"ID":"7405","X":""}}}`},
		{"a[]=1&a[]=2", `{"a":["1","2"]}`},
		{"a[5]=x&a[]=y", `{"a":{"5":"x","6":"y"}}`},
		{"a[b][]=1&a[b][]=2&a[c]=3", `{"a":{"b":["1","2"],"c":"3"}}`},
		{"a=1&a[b]=2", `{"a":{"b":"2"}}`},
		{"a.b=1&c d=2", `{"a_b":"1","c_d":"2"}`},
		{"a[b.c]=1", `{"a":{"b.c":"1"}}`},
		{"a[b=1", `{"a_b":"1"}`},
		{"a[b]c=1", `{"a":{"b":"1"}}`},
		{"a", `{"a":""}`},
		{"=1", `[]`},
		{"a=%zz&b=%D0%96+x", `{"a":"%zz","b":"Ж x"}`},
		{"a=1&a=2", `{"a":"2"}`},
		{"0=a&1=b", `["a","b"]`},
	}
	for _, tt := range tests {
		a, err := php.ParseStr(tt.in, php.Limits{})
		if err != nil {
			t.Errorf("%s: %v", tt.in, err)
			continue
		}
		if got := asJSON(t, a); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.in, got, tt.want)
		}
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
		again, err := php.ParseStr(php.BuildQuery(a), php.Limits{})
		if err != nil {
			t.Fatalf("%q: what was built cannot be read: %v", s, err)
		}
		_ = again
	})
}
