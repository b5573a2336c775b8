package rulefmt_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/internal/rulefmt"
)

// corpus are rule files of all kinds: those that ship, and the examples of
// findings, most of which are YAML even where they are no rules.
func corpus(t testing.TB) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, pattern := range []string{"../../rules/*.yaml", "../../docs/examples/*.yaml", "../../engine/compile/testdata/findings/*.yaml", "../../engine/lint/testdata/*.yaml"} {
		names, _ := filepath.Glob(pattern)
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			out[filepath.Base(name)] = data
		}
	}
	for _, pattern := range []string{"../../engine/compile/testdata/findings/*.txtar", "../../engine/lint/testdata/*.txtar", "../../actions/testdata/*.txtar", "testdata/*.txtar"} {
		names, _ := filepath.Glob(pattern)
		for _, name := range names {
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range a.Files {
				if strings.HasSuffix(f.Name, ".yaml") {
					out[filepath.Base(name)+"/"+f.Name] = f.Data
				}
			}
		}
	}
	manual, err := os.ReadFile("../../docs/findings.md")
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range regexp.MustCompile("(?s)```yaml[^\n]*\n(.*?)```").FindAllSubmatch(manual, -1) {
		out["findings.md/"+string(rune('0'+i/100))+string(rune('0'+i/10%10))+string(rune('0'+i%10))] = m[1]
	}
	if len(out) < 50 {
		t.Fatalf("the corpus has %d files only", len(out))
	}
	return out
}

// spaces are what fmt may change inside of text: blanks around holes, and their
// equals sign.
var spaces = regexp.MustCompile(`(\{\{)\s*=?|\s+`)

// data is what a file says to a reader that knows YAML only.
func data(text []byte) (any, bool) {
	var v any
	if yaml.Unmarshal(text, &v) != nil {
		return nil, false
	}
	return squeeze(v), true
}

func squeeze(v any) any {
	switch x := v.(type) {
	case string:
		return spaces.ReplaceAllString(x, "$1")
	case []any:
		for i := range x {
			x[i] = squeeze(x[i])
		}
	case map[string]any:
		for k := range x {
			x[k] = squeeze(x[k])
		}
	}
	return v
}

// check formats a text and returns false when it is left as it is.
func check(t *testing.T, text []byte) bool {
	t.Helper()
	once, list, err := rulefmt.Format("f.yaml", text)
	if list.HasErrors() || err != nil {
		if err != nil && !errors.Is(err, rulefmt.ErrShape) {
			t.Fatal(err)
		}
		return list.HasErrors()
	}
	twice, list, err := rulefmt.Format("f.yaml", once)
	if err != nil || len(list) > 0 || !bytes.Equal(once, twice) {
		t.Fatalf("formatted twice: %v %v\n%s\nfrom %q", err, list, cmp.Diff(string(once), string(twice)), text)
	}
	before, ok := data(text)
	after, still := data(once)
	if d := cmp.Diff(before, after); ok && (!still || d != "") {
		t.Fatalf("what it says has changed (-before +after):\n%s\nfrom %q", d, text)
	}
	return true
}

// TestCorpus formats every rule file of the project.
func TestCorpus(t *testing.T) {
	t.Parallel()
	for name, text := range corpus(t) {
		if !check(t, text) && bytes.Contains(text, []byte("version:")) {
			t.Errorf("%s is left as it is:\n%s", name, text)
		}
	}
}

func FuzzFormat(f *testing.F) {
	for _, text := range corpus(f) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) < 1<<14 {
			check(t, text)
		}
	})
}

// TestLarge formats a file as long as one may be, with a comment on each line.
func TestLarge(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("version: 1\nrules:\n  r:\n    on: X\n    steps:\n")
	for b.Len() < 1<<20-100 {
		b.WriteString("    # a step\n    - {log: {message: x}} # that logs\n")
	}
	start := time.Now()
	if !check(t, []byte(b.String())) {
		t.Error("left as it is")
	}
	if took := time.Since(start); took > time.Minute { // the square of it would be hours
		t.Errorf("took %s", took)
	}
}
