package cli

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/ruletest"
)

var schemaCmd = &command{
	name:  "schema",
	args:  "[--out DIR] [NAME...]",
	short: "print the JSON Schemas for editors",
	long: `Schema prints the JSON Schema of a kind of file, from which an editor with the
YAML language server completes, explains and checks while one types:

  rules   rule files
  tests   rule tests, *_test.yaml
  config  the configuration, b24rules.yaml

Without a name it lists them. --out writes those that are named, or all, to
DIR/NAME.schema.json. A file names its schema in a comment at its top:

  # yaml-language-server: $schema=schemas/rules.schema.json

Exit codes: 0 fine; 2 wrong usage; 3 a file cannot be written.`,
	setup: func(fs *flag.FlagSet) runFunc {
		var dir string
		fs.StringVar(&dir, "out", "", "write the schemas to `DIR`")
		return func(_ context.Context, std stdio, names []string) error { return runSchema(std, dir, names) }
	},
}

// fileSchema is the schema of one kind of file.
type fileSchema struct {
	name, about string
	build       func() ([]byte, error)
}

func (s fileSchema) file() string { return s.name + ".schema.json" }

// fileSchemas are all schemas.
var fileSchemas = []fileSchema{
	{"rules", "rule files", func() ([]byte, error) { return engine.Schema(actions.All) }},
	{"tests", "rule tests, *_test.yaml", func() ([]byte, error) { return engine.WriteSchema(ruletest.Schema()) }},
	{"config", "the configuration, b24rules.yaml", func() ([]byte, error) { return engine.WriteSchema(configSchema()) }},
}

func runSchema(std stdio, dir string, names []string) error {
	var chosen []fileSchema
	for _, name := range names {
		s, err := schemaNamed(name)
		if err != nil {
			return err
		}
		chosen = append(chosen, s)
	}
	if dir != "" {
		if len(names) == 0 {
			chosen = fileSchemas
		}
		return writeSchemas(std, dir, chosen)
	}
	if len(names) == 0 {
		for _, s := range fileSchemas {
			if _, err := fmt.Fprintf(std.out, "%-8s%s\n", s.name, s.about); err != nil {
				return err
			}
		}
		return nil
	}
	if len(names) > 1 {
		return usagef("several schemas are no file: name one, or a folder with --out")
	}
	data, err := chosen[0].build()
	if err == nil {
		_, err = std.out.Write(data)
	}
	return err
}

func schemaNamed(name string) (fileSchema, error) {
	known := make([]string, len(fileSchemas))
	for i, s := range fileSchemas {
		if known[i] = s.name; s.name == name {
			return s, nil
		}
	}
	return fileSchema{}, usagef("unknown schema %q: want %s", name, alternatives(known))
}

func writeSchemas(std stdio, dir string, list []fileSchema) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return plain(err)
	}
	for _, s := range list {
		data, err := s.build()
		if err != nil {
			return err
		}
		path := filepath.Join(dir, s.file())
		if err := os.WriteFile(path, data, 0o666); err != nil {
			return plain(err)
		}
		std.say("wrote %s", path)
	}
	return nil
}
