package cli

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/describe"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/ruletest/testfile"
)

var schemaCmd = &command{
	name:  "schema",
	args:  "[--out DIR] [NAME...]",
	short: "print the JSON Schemas for editors; describe a portal for validate",
	long: `Schema prints the JSON Schema of a kind of file. An editor with a YAML language
server uses it to complete keys, to show their descriptions and to check values:

  rules   rule files
  tests   rule tests, *_test.yaml
  config  the configuration, b24rules.yaml

Without a name, schema lists the kinds. --out writes the named schemas, or all, to
DIR/NAME.schema.json. A file names its schema in a comment in its first line:

  # yaml-language-server: $schema=schemas/rules.schema.json

schema pull and schema diff are about what a portal has: its fields, lists and stages.

Exit codes: 0 success, 2 usage error, 3 a file cannot be written.`,
	subs:     []*command{schemaPullCmd, schemaDiffCmd},
	runnable: true,
	setup: func(fs *flag.FlagSet) runFunc {
		var dir string
		fs.StringVar(&dir, "out", "", "write the schemas to `DIR`")
		return func(_ context.Context, env environment, names []string) error { return runSchema(env, dir, names) }
	},
}

// fileSchema is the schema of one kind of file.
type fileSchema struct {
	name, about string
	build       func(actions []*engine.Action) ([]byte, error)
}

func (s fileSchema) file() string { return s.name + ".schema.json" }

// fileSchemas are all schemas.
var fileSchemas = []fileSchema{
	{"rules", "rule files", describe.Schema},
	{"tests", "rule tests, *_test.yaml", func([]*engine.Action) ([]byte, error) { return describe.WriteSchema(testfile.Schema()) }},
	{"config", "the configuration, b24rules.yaml", func([]*engine.Action) ([]byte, error) { return describe.WriteSchema(config.Schema()) }},
}

func runSchema(env environment, dir string, names []string) error {
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
		return writeSchemas(env, dir, chosen)
	}
	if len(names) == 0 {
		for _, s := range fileSchemas {
			if _, err := fmt.Fprintf(env.Out, "%-8s%s\n", s.name, s.about); err != nil {
				return err
			}
		}
		return nil
	}
	if len(names) > 1 {
		return usagef("stdout takes one schema: name one, or a folder with --out")
	}
	data, err := chosen[0].build(env.actions)
	if err == nil {
		_, err = env.Out.Write(data)
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
	return fileSchema{}, usagef("unknown schema %q: want %s", name, diag.Alternatives(known))
}

func writeSchemas(env environment, dir string, list []fileSchema) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return config.Plain(err)
	}
	for _, s := range list {
		data, err := s.build(env.actions)
		if err != nil {
			return err
		}
		path := filepath.Join(dir, s.file())
		if err := os.WriteFile(path, data, 0o666); err != nil {
			return config.Plain(err)
		}
		env.say("wrote %s", path)
	}
	return nil
}
