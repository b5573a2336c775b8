// Package rules holds the rule sets that ship with b24rules.
package rules

import (
	"embed"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// FS holds the two rule sets of the manual at its root, without their tests.
//
//go:embed deal-shipments.yaml invoice-total.yaml
var FS embed.FS

//go:embed deal-shipments_test.yaml invoice-total_test.yaml
var tests embed.FS

//go:embed catalogue/*.yaml
var catalogue embed.FS

// Set is a rule set of the catalogue.
type Set struct {
	// Name is the name of the rule set, which is that of its files.
	Name string
	// Russian is its title in Russian. The English one is in the rule file.
	Russian string
	// Rules and Tests are the rule file and the file with its tests. They belong in one
	// folder, and the folder schemas is next to it.
	Rules, Tests []byte
	// words are further words, in both languages, by which people look for it.
	words string
}

// schemaPath is how the files of the catalogue name the schemas. A copy in a folder rules
// is one folder higher.
const schemaPath = "$schema=../../schemas/"

// Catalogue returns the rule sets that ship with b24rules, by name.
func Catalogue() []Set {
	var out []Set
	for _, from := range []struct {
		files, tests embed.FS
		dir          string
	}{{FS, tests, "."}, {catalogue, catalogue, "catalogue"}} {
		names, _ := fs.Glob(from.files, path.Join(from.dir, "*.yaml")) // the pattern is right
		for _, file := range names {
			name := strings.TrimSuffix(path.Base(file), ".yaml")
			if strings.HasSuffix(name, "_test") {
				continue
			}
			out = append(out, Set{
				Name: name, Russian: listings[name].russian, words: listings[name].words,
				Rules: read(from.files, file), Tests: read(from.tests, path.Join(from.dir, name+"_test.yaml")),
			})
		}
	}
	slices.SortFunc(out, func(a, b Set) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func read(files embed.FS, name string) []byte {
	data, err := files.ReadFile(name)
	if err != nil {
		panic(err) // embedded: TestCatalogue reads all of them
	}
	return []byte(strings.ReplaceAll(string(data), schemaPath, "$schema=../schemas/"))
}

// Find returns a rule set of the catalogue. ok is false if there is none with the name.
func Find(name string) (set Set, ok bool) {
	for _, s := range Catalogue() {
		if s.Name == name {
			return s, true
		}
	}
	return Set{}, false
}

// Names are the names of the rule sets of the catalogue, sorted.
func Names() []string {
	var out []string
	for _, s := range Catalogue() {
		out = append(out, s.Name)
	}
	return out
}
