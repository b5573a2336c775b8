package compile

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// Version is the version of the rule language.
const Version = 1

// File compiles one rule file. The findings are sorted by place. When one of them is an
// error, the set is nil.
func File(name string, data []byte, actions []*engine.Action) (*engine.RuleSet, diag.List) {
	return FileFor(name, data, actions, nil)
}

// FileFor is File for a portal of which something is known. The set is only good for its
// findings: another portal has other ones.
func FileFor(name string, data []byte, actions []*engine.Action, portal *engine.Known) (*engine.RuleSet, diag.List) {
	f, list := yamlfile.Parse(name, data)
	set := &engine.RuleSet{Name: yamlfile.Stem(name), File: name, Version: digest(data), Source: f, Actions: actions}
	c := &fileCompiler{
		values: &values{reporter: &reporter{file: f, list: list}, actions: actions}, set: set,
		inputs: formula.RecordOf(map[string]formula.Type{}), portal: portal,
	}
	if f.Root == nil {
		if !c.list.HasErrors() {
			c.list.Errorf(diag.Pos{File: name, Line: 1, Column: 1}, "empty-file", "the file is empty").Hint = "start with `version: 1`"
		}
	} else {
		c.ruleFile()
	}
	c.list.Sort()
	if c.list.HasErrors() {
		return nil, c.list
	}
	return set, c.list
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:6])
}

// reporter collects the findings of one file and reads plain nodes.
type reporter struct {
	file *yamlfile.File
	list diag.List
}

// values compiles values: literals, formulas, texts with formulas, lists and records.
type values struct {
	*reporter
	// secrets are the names of the inputs that are secrets. actions are those that steps may use.
	secrets []string
	actions []*engine.Action
}

// fileCompiler compiles one file.
type fileCompiler struct {
	*values
	set    *engine.RuleSet
	inputs formula.Type
	portal *engine.Known // that the file is checked for, nil without one
}

// action returns the action of a name, nil when there is none.
func (c *fileCompiler) action(name string) *engine.Action {
	for _, a := range c.actions {
		if a.Name == name {
			return a
		}
	}
	return nil
}

// actionNames lists the names of the actions.
func (c *fileCompiler) actionNames() []string {
	var out []string
	for _, a := range c.actions {
		out = append(out, a.Name)
	}
	return out
}

// ruleCompiler compiles one rule of a file.
type ruleCompiler struct {
	*fileCompiler
	rule  *engine.Rule
	taken map[string]diag.Pos // names that the rule's steps define
	past  *past               // nil when no formula of the rule reads before
	known *engine.Known       // of the portal, nil when the rule does not run there
}

// stepCompiler compiles one list of steps of a rule.
type stepCompiler struct {
	*ruleCompiler
	part string // steps or deleted
	// before are the steps that were read.
	before []*engine.Step
}

// Errorf reports an error at a node.
func (c *reporter) Errorf(n *yaml.Node, code, format string, args ...any) *diag.Finding {
	return c.file.WithEnd(n, c.list.Errorf(c.file.Pos(n), code, format, args...))
}

// Warnf reports a warning at a node.
func (c *reporter) Warnf(n *yaml.Node, code, format string, args ...any) *diag.Finding {
	return c.file.WithEnd(n, c.list.Warnf(c.file.Pos(n), code, format, args...))
}

// WarnPartf reports a warning at a part of a formula.
func (c *reporter) WarnPartf(n *yaml.Node, from, to int, code, format string, args ...any) *diag.Finding {
	f := c.list.Warnf(diag.Pos{}, code, format, args...)
	start, end := c.file.Span(n, engine.FormulaOffset+from, engine.FormulaOffset+to)
	f.Pos, f.EndLine, f.EndColumn = start, end.Line, end.Column
	return f
}

// mapping reads a mapping node. It reports false when the node is no mapping or has
// errors.
func (c *reporter) mapping(n *yaml.Node) (yamlfile.Mapping, bool) {
	m, list := c.file.Mapping(n)
	c.list = append(c.list, list...)
	return m, !list.HasErrors() && m.Node != nil
}

// keys reports keys that are not among those allowed.
func (c *reporter) keys(m yamlfile.Mapping, what diag.Phrase, allowed ...string) {
	for _, e := range m.Entries {
		if slices.Contains(allowed, e.Name) {
			continue
		}
		suggest(c.Errorf(e.Key, "unknown-key", "unknown key %q in %s", e.Name, what), e.Name, allowed)
	}
}

func (c *fileCompiler) ruleFile() {
	set := c.set
	m, ok := c.mapping(c.file.Root)
	if !ok {
		return
	}
	c.keys(m, diag.Phrasef("a rule file"), fileKeyNames...)
	c.version(m)
	if e, ok := m.Get("title"); ok {
		set.Title = c.text(e.Value, "title")
	}
	if e, ok := m.Get("inputs"); ok {
		c.readInputs(e.Value)
	}
	varsType := c.readVars(m)
	rules, ok := m.Get("rules")
	if !ok {
		c.Errorf(c.file.Root, "missing-key", "the file has no rules").Hint = "add rules:"
		return
	}
	if !c.wantMapping(rules.Value, diag.Phrasef("rules takes rules by their ids"), "rules: {rule-id: {on: ONCRMDEALUPDATE, steps: […]}}") {
		return
	}
	rm, ok := c.mapping(rules.Value)
	if !ok {
		return
	}
	if len(rm.Entries) == 0 {
		c.Errorf(rules.Key, "missing-key", "rules is empty").Hint = "add a rule with its id"
	}
	for _, e := range rm.Entries {
		r := &ruleCompiler{fileCompiler: c, taken: map[string]diag.Pos{}}
		if r := r.readRule(e, varsType); r != nil {
			set.Rules = append(set.Rules, r)
		}
	}
}

func (c *fileCompiler) version(m yamlfile.Mapping) {
	e, ok := m.Get("version")
	if !ok {
		c.Errorf(c.file.Root, "missing-key", "the file has no version").Hint = "add version: 1"
		return
	}
	if e.Value.Value != "1" {
		c.Errorf(e.Value, "invalid-value", "version %q is not supported", e.Value.Value).Hint = "version: 1"
	}
}

// text reads a literal text.
func (c *reporter) text(n *yaml.Node, what string) string {
	n = yamlfile.Resolve(n)
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		c.Errorf(n, "wrong-type", "%s takes text", what)
		return ""
	}
	return n.Value
}
