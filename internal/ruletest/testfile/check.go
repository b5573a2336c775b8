package testfile

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/ruletest/compare"
	"github.com/b24rules/b24rules/internal/ruletest/testportal"
	"github.com/b24rules/b24rules/schemas"
)

// fileChecker checks a test file against its rules and its portal.
type fileChecker struct {
	testportal.DataChecker
	file *File
}

func (f *File) check(list *diag.List) error {
	w, err := testportal.NewPortal(&f.Content.Portal, nil)
	if finding, ok := errors.AsType[*diag.Finding](err); ok {
		list.Add(*finding)
		return nil
	}
	if err != nil {
		list.Errorf(diag.Pos{File: f.name, Line: 1, Column: 1}, "invalid-value", "the portal cannot be set up: %v", err)
		return nil
	}
	defer w.Close()
	f.Schema = w.Schema
	c := fileChecker{testportal.DataChecker{Schema: w.Schema, List: list}, f}
	c.CustomFields(f.Content.Portal.Columns)
	if v := f.Content.Version; v != "" && v != "1" {
		list.Errorf(diag.Pos{File: f.name, Line: 1, Column: 1}, "invalid-value", "unknown version %q, the current version is 1", v)
	}
	c.inputNames(f.Content.Inputs)
	taken := map[string]diag.Pos{}
	for _, t := range f.Content.Tests {
		if before, twice := taken[t.Name.Text]; twice {
			list.Errorf(t.Name.Pos, "duplicate-name", "the name %q is already used in line %d", t.Name.Text, before.Line)
		}
		taken[t.Name.Text] = t.Name.Pos
		c.test(t)
	}
	return nil
}

func (c *fileChecker) test(t *Test) {
	c.inputNames(t.Inputs)
	c.bind(t)
	for _, skip := range t.SkipProofs {
		checkWord(c.List, skip.Pos, "check", skip.Name, CheckNames())
		if strings.TrimSpace(compare.Text(skip.Value)) == "" {
			c.List.Errorf(skip.ValuePos, "invalid-value", "skipping the check %s needs a reason", skip.Name)
		}
	}
	for i, a := range t.Phases() {
		c.State(a.Change, i > 0)
		if a.Scenario.Event == nil {
			c.List.Errorf(t.Name.Pos, "missing-key", "a scene needs an event, or a time").Hint = "event: ONCRMDEALUPDATE 759, or at: 2026-05-01T09:00"
			continue
		}
		c.started(a.Scenario.Event)
		c.source(a.Scenario.Event)
		c.scene(a.Scenario)
	}
}

// started checks that the rule exists that a scene starts, and that the scene has an id exactly if the
// rule is about one entity.
func (c *fileChecker) started(e *Event) {
	name := e.Start
	if name == "" {
		return
	}
	if !c.hasRule(name) {
		c.List.Errorf(e.Pos, "start-rule", "no rule file under test has a rule %q", name)
		return
	}
	if e.Tick && !c.hasSchedule(name) {
		c.List.Errorf(e.Pos, "start-rule", "rule %s has no schedule", name)
		return
	}
	for _, s := range c.file.Sets {
		for _, r := range s.Rules {
			about, ok := r.Subject()
			switch portal := about.Portal || !ok && len(r.Schedules) > 0; {
			case r.ID != name:
			case portal && e.ID != "":
				c.List.Errorf(e.Pos, "start-rule", "rule %s is about the portal, so it takes no id", name).Hint = "remove id"
			case ok && !about.Portal && e.ID == "":
				c.List.Errorf(e.Pos, "missing-key", "rule %s runs for %s, and the scene does not say for which", name, about).Hintf("add id, such as {start: %s, id: 3}", name)
			}
		}
	}
}

// source checks that a rule takes the hook or the robot of a scene. It sets the type of a
// robot's entity if the rule has only one.
func (c *fileChecker) source(e *Event) {
	var types []int
	taken := false
	for _, s := range c.file.Sets {
		for _, r := range s.Rules {
			taken = taken || r.TakesHook(e.Hook)
			for _, b := range r.Robots {
				if b.Code == e.Robot {
					taken, types = true, append(types, b.Types...)
				}
			}
		}
	}
	switch {
	case e.Hook != "" && !taken:
		c.List.Errorf(e.Pos, "start-rule", "no rule under test takes the hook %s", e.Hook)
	case e.Robot != "" && !taken:
		c.List.Errorf(e.Pos, "start-rule", "no rule under test takes the robot %s", e.Robot)
	case e.Robot != "" && e.TypeID == 0 && len(types) == 1:
		e.TypeID = types[0]
	case e.Robot != "" && e.TypeID == 0:
		c.List.Errorf(e.Pos, "missing-key", "the robot %s is for several kinds of entities, so the scene must name one", e.Robot).Hint = "entityTypeId: 2 is a deal"
	}
}

func (c *fileChecker) hasSchedule(id string) bool {
	return slices.ContainsFunc(c.file.Sets, func(s *engine.RuleSet) bool {
		return slices.ContainsFunc(s.Rules, func(r *engine.Rule) bool { return r.ID == id && len(r.Schedules) > 0 })
	})
}

func (c *fileChecker) hasRule(id string) bool {
	return slices.ContainsFunc(c.file.Sets, func(s *engine.RuleSet) bool {
		return slices.ContainsFunc(s.Rules, func(r *engine.Rule) bool { return r.ID == id })
	})
}

func (c *fileChecker) inputNames(given inputs) {
	var known []string
	for _, s := range c.file.Sets {
		for _, in := range s.Inputs {
			known = append(known, in.Name)
		}
	}
	for _, in := range given {
		if !slices.Contains(known, in.Name) {
			c.List.Errorf(in.Pos, "bad-input", "no rule file under test has an input %q", in.Name).Hint = testportal.Hint(in.Name, known)
		}
	}
}

// bind checks that every input has a value of its type.
func (c *fileChecker) bind(t *Test) {
	merged := MergeInputs(c.file.Content.Inputs, t.Inputs)
	for _, s := range c.file.Sets {
		_, problems := InputsFor(s, merged)
		for _, p := range problems {
			pos := t.Name.Pos
			if in, ok := testportal.Fields(merged).Get(p.Name); ok {
				pos = in.ValuePos
			}
			finding := p.Finding
			if finding.Pos = pos; pos == t.Name.Pos {
				finding.Hintf("inputs: {%s: …}", p.Name)
			}
			c.List.Add(finding)
		}
	}
}

// MergeInputs returns the inputs of a test and of its file. Those of the test take
// precedence.
func MergeInputs(file, test inputs) inputs {
	out := slices.Clone(test)
	for _, in := range file {
		if _, own := testportal.Fields(test).Get(in.Name); !own {
			out = append(out, in)
		}
	}
	return out
}

func (c *fileChecker) scene(s *Scenario) {
	if s.Outcome != nil {
		for rule := range s.Outcome.ByRule {
			var ids []string
			for _, set := range c.file.Sets {
				for _, r := range set.Rules {
					ids = append(ids, r.ID)
				}
			}
			checkWord(c.List, s.Outcome.Pos, "rule", rule, ids)
		}
	}
	if s.Calls != nil {
		for _, w := range s.Calls.List {
			if m, known := schemas.LookupMethod(w.Method); known && m.Effect == schemas.Read {
				c.List.Errorf(s.Calls.Pos, "invalid-value", "calls lists only writing calls, and %s reads", w.Method)
			}
		}
	}
	if s.Expect == nil {
		return
	}
	for _, key := range compare.SortedByNumber(s.Expect.Items) {
		if id, err := strconv.Atoi(key); err != nil || c.Schema.Types[id] == nil {
			c.UnknownType(s.Expect.Items[key].Pos, key)
		}
	}
	c.expected(s.Expect)
}

// expected checks the field names of the expected records and replaces them by the
// names that the portal uses.
func (c *fileChecker) expected(e *expectation) {
	byType := e.ByType()
	for _, typ := range slices.Sorted(maps.Keys(byType)) {
		t, set := c.Schema.Types[typ], byType[typ]
		if t == nil {
			continue
		}
		for _, x := range set.List {
			var own testportal.Fields
			for _, f := range x.Fields {
				if f.Name != testportal.RowsKey {
					own = append(own, f)
				}
			}
			c.Fields(t, own, false)
			for i, f := range x.Fields {
				known := t.Find(f.Name)
				if known == nil {
					continue
				}
				x.Fields[i].Name = known.Name
				if n, ok := compare.Number(f.Value); ok && n.Sign() == 0 && known.ZeroIsEmpty() {
					x.Fields[i].Value = compare.ZeroNumber{}
				}
			}
		}
	}
	for _, ref := range compare.SortedByNumber(e.Elements) {
		set := e.Elements[ref]
		_, l, ok := c.Schema.List(ref)
		if !ok {
			c.UnknownList(set.Pos, ref)
			continue
		}
		for _, x := range set.List {
			c.Columns(l, x.Fields, false)
		}
	}
}
