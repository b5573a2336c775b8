package docs_test

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/engine/describe"
)

var update = flag.Bool("update", false, "write the generated files")

// TestGenerated holds the generated files against what the code would write
// now.
func TestGenerated(t *testing.T) {
	schema, err := describe.Schema(actions.All)
	if err != nil {
		t.Fatal(err)
	}
	// llms.txt names the other pages, so it is made last.
	for _, f := range []struct {
		file string
		want func() []byte
	}{
		{"../schemas/rules.schema.json", func() []byte { return schema }},
		{"actions.md", func() []byte { return describe.Manual(actions.All) }},
		{"catalogue.md", func() []byte { return catalogueManual(t) }},
		{"fields.md", fieldsManual},
		{"failures.md", func() []byte { return failuresManual(t) }},
		{"cheatsheet.md", func() []byte { return cheatSheet(t) }},
		{"../llms.txt", func() []byte { return llms(t) }},
	} {
		file, want := f.file, f.want()
		if *update {
			if err := os.WriteFile(file, want, 0o666); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not current: run make gen", file)
		}
	}
}
