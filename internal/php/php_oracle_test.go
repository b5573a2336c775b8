package php_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/internal/php"
)

// oracleCases is how many values, and how many queries, PHP itself is asked
// about.
const oracleCases = 5000

// TestPHPBuildsTheSameQuery holds BuildQuery against http_build_query.
func TestPHPBuildsTheSameQuery(t *testing.T) {
	g := newGenerator()
	g.negative = true
	values := make([]*php.Array, oracleCases)
	asked := make([]string, oracleCases)
	for i := range values {
		values[i] = g.array(4)
		asked[i] = serialize(values[i])
	}
	for i, want := range askPHP(t, "build", asked) {
		if got := php.BuildQuery(values[i]); got != want {
			t.Errorf("query of %q\n  is %q\nwant %q", asked[i], got, want)
		}
	}
}

// TestPHPParsesTheSame holds ParseStr against parse_str: for queries that
// BuildQuery has made, and for others of every well- and ill-formed kind. The
// order of keys counts, and which of them are integers.
func TestPHPParsesTheSame(t *testing.T) {
	g := newGenerator()
	queries := make([]string, 2*oracleCases)
	for i := range queries {
		if i%2 == 0 {
			queries[i] = php.BuildQuery(g.array(4))
		} else {
			queries[i] = g.query()
		}
	}
	for i, want := range askPHP(t, "parse", queries) {
		a, err := php.ParseStr(queries[i], php.Limits{})
		if err != nil {
			t.Errorf("%q: %v", queries[i], err)
			continue
		}
		if got := serialize(a); got != want {
			t.Errorf("%q\n  is %q\nwant %q", queries[i], got, want)
		}
	}
}

// TestPHPReadsAndWritesTheSameJSON holds EncodeJSON against json_encode and
// DecodeJSON against json_decode.
func TestPHPReadsAndWritesTheSameJSON(t *testing.T) {
	g := newGenerator()
	g.negative, g.unicode = true, true
	values := make([]*php.Array, oracleCases)
	asked := make([]string, oracleCases)
	for i := range values {
		values[i] = g.array(4)
		asked[i] = serialize(values[i])
	}
	encoded := askPHP(t, "encode", asked)
	for i, want := range encoded {
		if got := asJSON(t, values[i]); got != want {
			t.Errorf("JSON of %q\n  is %s\nwant %s", asked[i], got, want)
		}
	}
	for i, want := range askPHP(t, "decode", encoded) {
		v, err := php.DecodeJSON([]byte(encoded[i]))
		if err != nil {
			t.Errorf("%s: %v", encoded[i], err)
			continue
		}
		if got := serialize(v); got != want {
			t.Errorf("%s\n  is %q\nwant %q", encoded[i], got, want)
		}
	}
}

// askPHP has one PHP process answer all questions. Where there is no PHP the
// test is skipped, except in CI, where it must not be missing.
func askPHP(t *testing.T, what string, questions []string) []string {
	t.Helper()
	program, err := exec.LookPath("php")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("PHP is not installed (apt-get install php-cli)")
		}
		t.Skip("PHP is not installed (apt-get install php-cli)")
	}
	var in, complaints bytes.Buffer
	for _, q := range questions {
		fmt.Fprintln(&in, what, base64.StdEncoding.EncodeToString([]byte(q)))
	}
	// -n leaves the machine's php.ini out.
	cmd := exec.CommandContext(t.Context(), program, "-n", "-d", "display_errors=stderr", "testdata/oracle.php")
	cmd.Stdin, cmd.Stderr = &in, &complaints
	out, err := cmd.Output()
	if err != nil || complaints.Len() > 0 {
		t.Fatalf("php: %v\n%.2000s", err, complaints.String())
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(lines) != len(questions) {
		t.Fatalf("php gave %d answers to %d questions", len(lines), len(questions))
	}
	for i, line := range lines {
		raw, err := base64.StdEncoding.DecodeString(line)
		if err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		lines[i] = string(raw)
	}
	return lines
}

// serialize writes a value as PHP's function of this name does.
func serialize(v any) string {
	switch v := v.(type) {
	case nil:
		return "N;"
	case bool:
		if v {
			return "b:1;"
		}
		return "b:0;"
	case json.Number:
		if _, err := v.Int64(); err == nil {
			return "i:" + v.String() + ";"
		}
		return "d:" + v.String() + ";"
	case string:
		return fmt.Sprintf("s:%d:\"%s\";", len(v), v)
	case *php.Array:
		var b strings.Builder
		fmt.Fprintf(&b, "a:%d:{", v.Len())
		for key, inner := range v.All() {
			if n, err := strconv.ParseInt(key, 10, 64); err == nil && strconv.FormatInt(n, 10) == key {
				b.WriteString("i:" + key + ";")
			} else {
				b.WriteString(serialize(key))
			}
			b.WriteString(serialize(inner))
		}
		return b.String() + "}"
	}
	panic(fmt.Sprintf("%T is no value of PHP", v))
}

// generator makes values and queries, the same in each run.
type generator struct {
	*rand.Rand
	// negative allows keys below zero. What an append after one uses differs
	// between PHP 8.2 (0) and 8.3 (one more), so queries have none.
	negative bool
	// unicode keeps to text that is UTF-8, as JSON has to be.
	unicode bool
}

func newGenerator() *generator { return &generator{Rand: rand.New(rand.NewPCG(24, 2))} }

func (g *generator) array(depth int) *php.Array {
	a := php.NewArray()
	for range g.IntN(5) {
		a.Set(g.key(), g.value(depth))
	}
	return a
}

func (g *generator) value(depth int) any {
	switch n := g.IntN(12); {
	case n < 4 && depth > 0:
		return g.array(depth - 1)
	case n == 4 && depth > 0:
		list := php.NewArray()
		for range g.IntN(4) {
			list.Append(g.value(depth - 1))
		}
		return list
	case n == 5:
		return nil
	case n == 6:
		return g.IntN(2) == 0
	case n == 7:
		return json.Number(strconv.FormatInt(g.Int64()>>g.IntN(63), 10))
	case n == 8: // a decimal that a float holds as it is written
		return json.Number(fmt.Sprintf("%d.%d", g.IntN(2_000_000)-1_000_000, 2*g.IntN(50)*10+5))
	}
	return g.text()
}

func (g *generator) key() string {
	if g.negative && g.IntN(20) == 0 {
		return strconv.Itoa(-1 - g.IntN(9))
	}
	switch g.IntN(4) {
	case 0:
		return strconv.Itoa(g.IntN(12))
	case 1:
		return g.text()
	}
	return g.pick("ID", "fields", "filter", "cmd", ">=opportunity", "!@stageId", "UF_CRM_5", "007", "9223372036854775807", "9223372036854775808")
}

// text is short text of every kind of byte that the notation treats specially.
func (g *generator) text() string {
	var b strings.Builder
	for range g.IntN(6) {
		b.WriteString(g.pick("a", "Z", "0", "-", "_", ".", "~", " ", "+", "%", "%5B", "&", "=", "[", "]", "[]", "[x]",
			"#", ";", "/", "?", "\"", "'", "\\", "<", "\b", "\t", "\n", "\v", "\f", "\r", "\x00", "\x1f", "\x7f", "\xff", "Ж", "€", "🙂",
			"\u2028", "\u2029", "\ufeff", "$result[a][b]"))
	}
	if g.unicode {
		return strings.ToValidUTF8(b.String(), "?")
	}
	return b.String()
}

// query is pairs whose keys and values are put together without any care.
func (g *generator) query() string {
	var b strings.Builder
	for range 1 + g.IntN(6) {
		b.WriteString(g.pick("a", "b", "a.b", "a b", " a", "+a", "a%20", "%20a", "", "[", "0", "7", "Ж", "a%00"))
		for range g.IntN(5) {
			b.WriteString(g.pick("[]", "[]", "[x]", "[x]", "[y]", "[0]", "[3]", "[03]", "[ ]", "[+x]", "[%20]", "[%09z]", "[x.y]", "[x y]",
				"%5Bx%5D", "%5b%5d", "%5B0]", "[", "]", "[[", "]]", "[x", "x]", "[x]y", "[x[y]]", "[%00]", "[x%00y]", "[Ж]", "%", "%5", "%zz", ".", " "))
		}
		b.WriteString(g.pick("=", "=", "=", "=", "", "=="))
		for range g.IntN(3) {
			b.WriteString(g.pick("1", "v", "x y", "+", "%2B", "%26", "%3D", "=", "%", "%4", "%4G", "%00", "[x]", ";", "Ж", "%D0%96", "%ff", "#"))
		}
		b.WriteString(g.pick("&", "&", "&", "&", "&&", ";", "&amp;"))
	}
	return b.String()
}

func (g *generator) pick(from ...string) string { return from[g.IntN(len(from))] }
