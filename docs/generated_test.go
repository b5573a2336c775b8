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
	for file, want := range map[string][]byte{
		"../schemas/rules.schema.json": schema,
		"actions.md":                   describe.Manual(actions.All),
		"catalogue.md":                 catalogueManual(t),
	} {
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
