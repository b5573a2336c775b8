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

// File is a test file that was read and checked.
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

// Sources are the texts of files by name, for findings.
type Sources map[string][]byte

// Load reads a test file and its rule files. It returns the findings of all of them. The
// file is nil if one of them is an error.
func Load(path string, actions []*engine.Action, src Sources) (*File, diag.List, error) {
	data, err := yamlfile.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	src[path] = data
	parsed, list := yamlfile.Parse(path, data)
	f := &File{name: path}
	if !list.HasErrors() {
		if parsed.Root == nil {
			list.Errorf(diag.Pos{File: path, Line: 1, Column: 1}, "empty-file", "the file has no tests").Hint = "start with `tests:`"
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

// loadRules compiles the rule files under test. It ignores warnings, which validate
// reports.
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
			finding := list.Errorf(r.pos, "unreadable-file", "the rule file %s does not exist", r.path)
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

// InputsFor binds the values for the inputs of a rule set.
func InputsFor(set *engine.RuleSet, given inputs) (map[string]any, []engine.InputProblem) {
	texts := map[string]string{}
	for _, f := range given {
		if slices.ContainsFunc(set.Inputs, func(in engine.Input) bool { return in.Name == f.Name }) {
			texts[f.Name], _ = f.Value.(string)
		}
	}
	return set.BindInputs(texts)
}
