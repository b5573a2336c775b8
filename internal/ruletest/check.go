package ruletest

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/schemas"
)

// fileChecker holds a test file against its rules and the portal that it
// describes.
type fileChecker struct {
	dataChecker
	file *file
}

func (f *file) check(list *diag.List) error {
	w, err := newPortal(&f.content.Portal, nil)
	if err != nil {
		list.Errorf(diag.Pos{File: f.name, Line: 1, Column: 1}, "invalid-value", "the portal cannot be set up: %v", err)
		return nil
	}
	defer w.close()
	f.schema = w.schema
	c := fileChecker{dataChecker{w.schema, list}, f}
	c.customFields(f.content.Portal.columns)
	if v := f.content.Version; v != "" && v != "1" {
		list.Errorf(diag.Pos{File: f.name, Line: 1, Column: 1}, "invalid-value", "version %q is not known, this is version 1", v)
	}
	c.inputNames(f.content.Inputs)
	taken := map[string]diag.Pos{}
	for _, t := range f.content.Tests {
		if before, twice := taken[t.Name.text]; twice {
			list.Errorf(t.Name.pos, "duplicate-name", "the name %q is taken by line %d", t.Name.text, before.Line)
		}
		taken[t.Name.text] = t.Name.pos
		c.test(t)
	}
	return nil
}

func (c *fileChecker) test(t *test) {
	c.inputNames(t.Inputs)
	c.bind(t)
	for _, skip := range t.SkipProofs {
		checkWord(c.list, skip.pos, "proof", skip.name, CheckNames())
		if strings.TrimSpace(text(skip.value)) == "" {
			c.list.Errorf(skip.valuePos, "invalid-value", "to skip the proof %s needs a reason", skip.name)
		}
	}
	for i, a := range t.phases() {
		c.state(a.change, i > 0)
		c.scene(a.scenario)
	}
}

func (c *fileChecker) inputNames(given inputs) {
	var known []string
	for _, s := range c.file.sets {
		for _, in := range s.Inputs {
			known = append(known, in.Name)
		}
	}
	for _, in := range given {
		if !slices.Contains(known, in.name) {
			c.list.Errorf(in.pos, "bad-input", "no rule file under test has an input %q", in.name).Hint = hint(in.name, known)
		}
	}
}

// bind checks that every input has a value that fits.
func (c *fileChecker) bind(t *test) {
	merged := mergeInputs(c.file.content.Inputs, t.Inputs)
	for _, s := range c.file.sets {
		_, problems := inputsFor(s, merged)
		for _, p := range problems {
			pos := t.Name.pos
			if in, ok := fields(merged).get(p.Name); ok {
				pos = in.valuePos
			}
			finding := p.Finding
			if finding.Pos = pos; pos == t.Name.pos {
				finding.Hintf("inputs: {%s: …}", p.Name)
			}
			c.list.Add(finding)
		}
	}
}

// mergeInputs lets the inputs of a test win over those of its file.
func mergeInputs(file, test inputs) inputs {
	out := slices.Clone(test)
	for _, in := range file {
		if _, own := fields(test).get(in.name); !own {
			out = append(out, in)
		}
	}
	return out
}

func (c *fileChecker) scene(s *scenario) {
	if s.Outcome != nil {
		for rule := range s.Outcome.byRule {
			var ids []string
			for _, set := range c.file.sets {
				for _, r := range set.Rules {
					ids = append(ids, r.ID)
				}
			}
			checkWord(c.list, s.Outcome.pos, "rule", rule, ids)
		}
	}
	if s.Calls != nil {
		for _, w := range s.Calls.list {
			if m, known := schemas.LookupMethod(w.method); known && m.Effect == schemas.Read {
				c.list.Errorf(s.Calls.pos, "invalid-value", "calls lists the writing calls, %s reads", w.method)
			}
		}
	}
	if s.Expect == nil {
		return
	}
	for _, key := range sortedByNumber(s.Expect.Items) {
		if id, err := strconv.Atoi(key); err != nil || c.schema.types[id] == nil {
			c.unknownType(s.Expect.Items[key].pos, key)
		}
	}
	c.expected(s.Expect)
}

// expected checks the names of what must be there and gives each field its own.
func (c *fileChecker) expected(e *expectation) {
	byType := e.byType()
	for _, typ := range slices.Sorted(maps.Keys(byType)) {
		t, set := c.schema.types[typ], byType[typ]
		if t == nil {
			continue
		}
		for _, x := range set.list {
			var own fields
			for _, f := range x.fields {
				if f.name != rowsKey {
					own = append(own, f)
				}
			}
			c.fields(t, own, false)
			for i, f := range x.fields {
				known := t.find(f.name)
				if known == nil {
					continue
				}
				x.fields[i].name = known.name
				if n, ok := number(f.value); ok && n.Sign() == 0 && (known.dataType == "double" || known.dataType == "integer") {
					x.fields[i].value = zeroNumber{}
				}
			}
		}
	}
	for _, ref := range sortedByNumber(e.Elements) {
		set := e.Elements[ref]
		_, l, ok := c.schema.list(ref)
		if !ok {
			c.unknownList(set.pos, ref)
			continue
		}
		for _, x := range set.list {
			c.columns(l, x.fields, false)
		}
	}
}
