package cli

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/rules"
)

// manyFiles writes n rule files like the shipped ones, each with another id, list
// and helper type.
func manyFiles(tb testing.TB, n int) string {
	tb.Helper()
	dir := tb.TempDir()
	names, err := fs.Glob(rules.FS, "*.yaml")
	if err != nil {
		tb.Fatal(err)
	}
	for i := range n {
		data, err := fs.ReadFile(rules.FS, names[i%len(names)])
		if err != nil {
			tb.Fatal(err)
		}
		text := strings.NewReplacer(
			"\n  deal-shipments:", fmt.Sprintf("\n  deal-shipments-%d:", i),
			"\n  invoice-total:", fmt.Sprintf("\n  invoice-total-%d:", i),
		).Replace(string(data))
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("set%d.yaml", i)), []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

// BenchmarkValidate1000 validates a folder of 1,000 rule files, as CI does.
func BenchmarkValidate1000(b *testing.B) {
	dir := manyFiles(b, 1000)
	b.ReportAllocs()
	for b.Loop() {
		v := &validation{actions: actions.All, format: "text", sources: map[string][]byte{}}
		if err := v.run(b.Context(), environment{Std: Std{Out: io.Discard, Err: io.Discard}, actions: actions.All}, []string{dir}); err != nil {
			b.Fatal(err)
		}
		if len(v.list) > 0 {
			b.Fatal(v.list[0])
		}
	}
}

// TestManyFilesTogether is the benchmark's folder with a ring in it: what is
// checked between files is found among many.
func TestManyFilesTogether(t *testing.T) {
	dir := manyFiles(t, 100)
	ring := map[string]string{
		"x.yaml": "version: 1\nrules:\n  x:\n    on: ONCRMLEADUPDATE\n    steps:\n      - update_item: {owner: contact, id: 5, fields: {ufCrm_SEEN: =event.time}}\n",
		"y.yaml": "version: 1\nrules:\n  y:\n    on: ONCRMCONTACTUPDATE\n    steps:\n      - update_item: {owner: lead, id: 5, fields: {ufCrm_SEEN: =event.time}}\n",
	}
	for name, text := range ring {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	v := &validation{actions: actions.All, format: "text", sources: map[string][]byte{}}
	var out, talk bytes.Buffer
	if err := v.run(t.Context(), environment{Std: Std{Out: &out, Err: &talk}, actions: actions.All}, []string{dir}); err != nil {
		t.Fatal(err)
	}
	if len(v.list) != 1 || v.list[0].Code != "ring" || !strings.Contains(v.list[0].Text(), "event.time") {
		t.Errorf("findings %v", v.list)
	}
}

// hostileFiles are files made to hurt a validator.
func hostileFiles() map[string]string {
	rule := func(value string) string {
		return "version: 1\nrules:\n  r:\n    on: ONCRMDEALADD\n    steps:\n      - log:\n          message: " + value + "\n"
	}
	var bomb strings.Builder
	bomb.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 12; i++ {
		fmt.Fprintf(&bomb, "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1)
	}
	keys := strings.Repeat("a: 1\n", 100_000)
	return map[string]string{
		"alias bomb":          bomb.String(),
		"alias of itself":     "a: &a [*a]\n",
		"merge bomb":          "version: 1\nx: &x\n  <<: *x\n",
		"10 MB":               "version: 1\nrules:\n" + strings.Repeat("  # padding padding padding padding\n", 300_000),
		"10,000 lists deep":   strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000),
		"10,000 records deep": strings.Repeat("{a: ", 10_000) + "1" + strings.Repeat("}", 10_000),
		"1,000 blocks deep":   deepBlocks(1_000),
		"open brackets":       strings.Repeat("[", 500_000),
		"100,000 equal keys":  keys,
		"brackets in formula": rule("=" + strings.Repeat("(", 4000)),
		"minuses":             rule("=" + strings.Repeat("-", 4000) + "1"),
		"long formula":        rule("=" + strings.Repeat("1+", 50_000) + "1"),
		"growing text":        rule(`"=reduce(1..40, #acc + #acc, 'xxxxxxxx')"`),
		"repeat of repeat":    rule(`"=replace(repeat('a', 100000), 'a', repeat('b', 100000))"`),
		"catastrophic regex":  rule(`"=string('aaaaaaaaaaaaaaaaaaaaaaaaaaaa!' matches '^(a+)+$')"`),
		"large regex":         rule(`"=string('a' matches '((((a{0,500}){0,500}){0,500}){0,500})')"`),
		"loops in loops":      rule(`"=string(sum(1..1000, sum(1..1000, sum(1..1000, sum(1..1000, 1)))))"`),
		"huge power":          rule(`"=string(9 ** 9 ** 9 ** 9)"`),
		"huge number":         rule(`"=string(1e999999999)"`),
		"chained comparisons": rule(`"=string(1` + strings.Repeat(" < 2", 400) + `)"`),
		"many holes":          rule(`"` + strings.Repeat("{{ event.id }}", 10_000) + `"`),
		"open holes":          rule(`"` + strings.Repeat("{{", 20_000) + `"`),
		"not text":            "version: 1\n\x00\x01\x02",
		"nothing but bytes":   strings.Repeat("\xff", 1<<20),
	}
}

func deepBlocks(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

// TestHostileFiles holds that such a file ends quickly, with a finding and a
// place in it.
func TestHostileFiles(t *testing.T) {
	// They take a second at most. What does not end, or takes the square of the
	// time, is found with a limit that the busiest machine keeps.
	const most = time.Minute
	for name, text := range hostileFiles() {
		t.Run(name, func(t *testing.T) {
			v := &validation{actions: actions.All, format: "text", sources: map[string][]byte{}}
			began := time.Now()
			v.compile("hostile.yaml", []byte(text))
			v.together()
			if err := v.print(environment{Std: Std{Out: io.Discard, Err: io.Discard}, actions: actions.All}); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > most {
				t.Errorf("took %s", took)
			}
			// A regular expression takes linear time here, so it is no mistake,
			// and what grows step by step ends the run at its limit.
			if len(v.list) == 0 && name != "catastrophic regex" && name != "growing text" {
				t.Fatal("no finding")
			}
			for _, f := range v.list {
				if f.Line < 1 || f.Column < 1 || f.Message == "" {
					t.Errorf("finding %+v", f)
				}
			}
			if len(v.list) > 1000 {
				t.Errorf("%d findings", len(v.list))
			}
		})
	}
}
