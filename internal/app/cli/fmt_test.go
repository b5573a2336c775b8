package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/engine/describe"
	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/internal/rulefmt"
)

// TestFormatKeepsMeaning compiles rule files before and after formatting and
// compares what they do: the shipped ones, the examples of the manual, and one
// that is as far from the canonical layout as can be.
func TestFormatKeepsMeaning(t *testing.T) {
	t.Parallel()
	files := map[string][]byte{"scattered": []byte(scattered)}
	shipped, _ := filepath.Glob("../../../rules/*.yaml")
	for _, name := range shipped {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = data
	}
	manual, err := os.ReadFile("../../../docs/findings.md")
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range regexp.MustCompile("(?s)```yaml[^\n]*\n(.*?)```").FindAllSubmatch(manual, -1) {
		files["findings.md/"+string(rune('0'+i/100))+string(rune('0'+i/10%10))+string(rune('0'+i%10))] = wholeFile(m[1])
	}
	compared := 0
	for name, data := range files {
		before, ok := meaning(t, data)
		if !ok {
			continue
		}
		out, list, err := rulefmt.Format("rule.yaml", data)
		if err != nil || len(list) > 0 {
			t.Errorf("%s: %v %v", name, err, list)
			continue
		}
		after, _ := meaning(t, out)
		if d := cmp.Diff(before, after); d != "" {
			t.Errorf("%s means something else (-before +after):\n%s\n%s", name, d, out)
		}
		compared++
	}
	if compared < 40 {
		t.Errorf("compared %d files only", compared)
	}
}

// wholeFile completes an example of the manual that starts with a rule or step.
func wholeFile(example []byte) []byte {
	text := string(example)
	switch {
	case strings.Contains(text, "version:"):
		return example
	case strings.HasPrefix(text, "- "):
		text = "on: ONCRMDEALUPDATE\nsteps:\n" + indented(text)
		fallthrough
	case strings.Contains(text, "steps:") && !strings.Contains(text, "rules:"):
		text = "rules:\n  r:\n" + indented(indented(text))
	}
	return []byte("version: 1\n" + text)
}

func indented(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n  ") + "\n"
}

var lineNumber = regexp.MustCompile(`"line": \d+`)

// meaning is what a file does, in words that do not depend on its layout; false
// when it has errors. The findings belong to it, without their places.
func meaning(t *testing.T, data []byte) (string, bool) {
	t.Helper()
	set, list := load.File("rule.yaml", data, actions.All)
	if set == nil {
		return "", false
	}
	text, err := json.MarshalIndent(describe.Set(set), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	codes := map[string]int{}
	for _, f := range list {
		codes[f.Code]++
	}
	found, err := json.Marshal(codes)
	if err != nil {
		t.Fatal(err)
	}
	tidy := regexp.MustCompile(`\{\{=?\s*(.*?)\s*\}\}`).ReplaceAllString(string(text), "{{ $1 }}")
	return lineNumber.ReplaceAllString(tidy, `"line": 0`) + string(found), true
}

const scattered = `
rules:
    deals:
        deleted: [{log: {message: "{{=event.id}} is gone"}}]
        steps:
        - on_error: [{log: {message: "{{error.message}}"}, retry: 2}]
          fetch_products: {id: '=event.id', owner: "deal"}
          id: rows
        - compute: {total: "=round(sum(rows, .price * .quantity), 2)", big: '=total > 100 ? "big" : "small"'}
        - update_item:
            fields:
              ufCrmTotal: =
                total
              "=inputs.field": |-
                =big
              ufCrmNote: >-
                of {{ len(rows) }}
                rows
            owner: deal
            id: =event.id
          once: =total
          when: "=total > 0 && len(rows) != 0"
          timeout: 1m
        limits: {deletes: 3, calls: 10}
        debounce: {max: 1m, quiet: 2s}
        on: [ONCRMDEALUPDATE, ONCRMDEALDELETE]
        portals: [main]
        owner: somebody
        entity: =event.id
        when: '=event.count > 0'
inputs: {field: {title: a field, default: ufCrmX, type: string}}
version: 1
`
