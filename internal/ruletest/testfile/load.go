package testfile

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/ruletest/testportal"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// testFile is a test file that has been read and checked.
type File struct {
	name    string
	Content content
	Sets    []*engine.RuleSet
	Schema  *testportal.Schema
}

func (f *File) PortalName() string {
	if f.Content.Portal.Name == "" {
		return testportal.DefaultName
	}
	return f.Content.Portal.Name
}

// sources are the texts of all files that findings may be about.
type Sources map[string][]byte

// loadTest reads a test file and the rule files under test. The findings are those
// of all of them; the file is nil when one is an error.
func LoadFile(path string, actions []*engine.Action, src Sources) (*File, diag.List, error) {
	data, err := yamlfile.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	src[path] = data
	parsed, list := yamlfile.Parse(path, data)
	f := &File{name: path}
	if !list.HasErrors() {
		if parsed.Root == nil {
			list.Errorf(diag.Pos{File: path, Line: 1, Column: 1}, "empty-file", "the file holds no tests").Hint = "begin with `tests:`"
		} else {
			list.Add(yamlfile.Decode(parsed, parsed.Root, &f.Content)...)
		}
	}
	if list.HasErrors() {
		list.Sort()
		return nil, list, nil
	}
	if err := f.loadRules(actions, src, &list); err != nil {
		return nil, list, err
	}
	if !list.HasErrors() {
		if err := f.check(&list); err != nil {
			return nil, list, err
		}
	}
	list.Sort()
	if list.HasErrors() {
		return nil, list, nil
	}
	return f, list, nil
}

// loadRules compiles the rule files under test. Warnings in them are for
// validate.
func (f *File) loadRules(actions []*engine.Action, src Sources, list *diag.List) error {
	type named struct {
		path string
		pos  diag.Pos
	}
	rules := []named{{ruleFileOf(f.name), diag.Pos{File: f.name, Line: 1, Column: 1}}}
	if len(f.Content.Rules) > 0 {
		rules = nil
		for _, n := range f.Content.Rules {
			rules = append(rules, named{filepath.Join(filepath.Dir(f.name), n.Text), n.Pos})
		}
	}
	for _, r := range rules {
		data, err := yamlfile.ReadFile(r.path)
		if errors.Is(err, fs.ErrNotExist) {
			finding := list.Errorf(r.pos, "unreadable-file", "there is no rule file %s", r.path)
			if len(f.Content.Rules) == 0 {
				finding.Hint = "name it: `rules: [other.yaml]`"
			}
			continue
		}
		if err != nil {
			return err
		}
		src[r.path] = data
		set, found := load.File(r.path, data, actions)
		for _, x := range found {
			if x.Severity == diag.Error {
				list.Add(x)
			}
		}
		if set != nil {
			f.Sets = append(f.Sets, set)
		}
	}
	return nil
}

// inputsFor binds the inputs that a set knows.
func InputsFor(set *engine.RuleSet, given inputs) (map[string]any, []engine.InputProblem) {
	texts := map[string]string{}
	for _, f := range given {
		if slices.ContainsFunc(set.Inputs, func(in engine.Input) bool { return in.Name == f.Name }) {
			texts[f.Name], _ = f.Value.(string)
		}
	}
	return set.BindInputs(texts)
}
