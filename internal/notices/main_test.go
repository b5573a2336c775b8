package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a/LICENSE":          "Be kind.\n",
		"a/licence.go":       "package a\n",
		"a/x/y/License.txt":  "Be kinder.\r\nAlways.\r\n",
		"a/other/LICENSE":    "Not linked.\n",
		"b/LICENSE-3RD.md":   "\n\nBe kind.",
		"b/NOTICE":           "Made by B.\n",
		"b/README":           "Nothing.\n",
		"without/README.txt": "Nothing.\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	a := module{name: "a v1", dir: filepath.Join(dir, "a"), folders: []string{filepath.Join(dir, "a"), filepath.Join(dir, "a/x/y")}}
	b := module{name: "b v2", dir: filepath.Join(dir, "b")}
	var out strings.Builder
	if err := write(&out, []module{a, b}); err != nil {
		t.Fatal(err)
	}
	const want = `
## a v1: LICENSE

The same text holds for:

- b v2: LICENSE-3RD.md

~~~~~~text
Be kind.
~~~~~~

## a v1: x/y/License.txt

~~~~~~text
Be kinder.
Always.
~~~~~~

## b v2: NOTICE

~~~~~~text
Made by B.
~~~~~~
`
	_, got, _ := strings.Cut(out.String(), "this file.\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	none := module{name: "without v3", dir: filepath.Join(dir, "without")}
	if err := write(&out, []module{none}); err == nil || err.Error() != "without v3 has no licence file" {
		t.Errorf("a module without a licence: %v", err)
	}
}

// TestLinked holds that the list has what the program links directly and through others.
func TestLinked(t *testing.T) {
	modules, err := linked()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, m := range modules {
		path, _, _ := strings.Cut(m.name, " ")
		found[path] = true
	}
	for path, want := range map[string]bool{
		"the": true, "github.com/expr-lang/expr": true, "modernc.org/libc": true,
		"github.com/google/go-cmp": false, "github.com/b24rules/b24rules": false,
	} {
		if found[path] != want {
			t.Errorf("%s is listed: %v", path, found[path])
		}
	}
}
