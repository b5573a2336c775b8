package ruletest

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/describe"
	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/ruletest/testfile"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// Coverage records which points of the rules the tests reach: every step runs, every when
// is true and false, every once is new and not new. Only the tests themselves count, not
// the built-in checks.
type Coverage struct {
	rules map[ruleKey]*RuleCoverage
}

// RuleCoverage is the coverage of one rule.
type RuleCoverage struct {
	File, Rule string
	Points     []Point
}

// Point is a point of a rule that a test can reach.
type Point struct {
	Line int
	What string
	Hit  bool
}

// Percent returns the share of reached points.
func (r *RuleCoverage) Percent() float64 { return percent(r.Points) }

// Missed returns the points that no test reaches.
func (r *RuleCoverage) Missed() []Point {
	return slices.DeleteFunc(slices.Clone(r.Points), func(p Point) bool { return p.Hit })
}

func percent(points []Point) float64 {
	hit := 0
	for _, p := range points {
		if p.Hit {
			hit++
		}
	}
	if len(points) == 0 {
		return 100
	}
	return 100 * float64(hit) / float64(len(points))
}

func newCoverage() *Coverage { return &Coverage{rules: map[ruleKey]*RuleCoverage{}} }

// Rules returns the coverage of each rule, by file and rule.
func (c *Coverage) Rules() []*RuleCoverage {
	var out []*RuleCoverage
	for _, r := range c.rules {
		slices.SortStableFunc(r.Points, func(a, b Point) int { return cmp.Compare(a.Line, b.Line) })
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b *RuleCoverage) int { return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Rule, b.Rule)) })
	return out
}

// Percent returns the share of reached points of all rules.
func (c *Coverage) Percent() float64 {
	var all []Point
	for _, r := range c.rules {
		all = append(all, r.Points...)
	}
	return percent(all)
}

func (c *Coverage) hit(k ruleKey, line int, what string) {
	r := c.rules[k]
	if r == nil {
		r = &RuleCoverage{File: k.file, Rule: k.rule}
		c.rules[k] = r
	}
	for i, p := range r.Points {
		if p.Line == line && p.What == what {
			r.Points[i].Hit = true
			return
		}
	}
	r.Points = append(r.Points, Point{line, what, true})
}

// points returns all points of a rule.
func points(o describe.Outline) []Point {
	var out []Point
	if o.When != 0 {
		out = append(out, Point{Line: o.When, What: ruleTrue}, Point{Line: o.When, What: ruleFalse})
	}
	for _, s := range o.Steps {
		out = append(out, Point{Line: s.Line, What: stepRan(s.Step)})
		if s.When {
			out = append(out, Point{Line: s.Line, What: whenFalse(s.Step)})
		}
		if s.Memory != "" {
			out = append(out, Point{Line: s.Line, What: nothingNew(s.Step, s.Memory)})
		}
	}
	return out
}

const (
	ruleTrue  = "the rule's when is true"
	ruleFalse = "the rule's when is false"
)

func stepRan(step string) string   { return "step " + step + " runs" }
func whenFalse(step string) string { return "step " + step + " is skipped: when is false" }
func nothingNew(step, memory string) string {
	if memory == "at" {
		return "step " + step + " is skipped: it is not the time of at"
	}
	return "step " + step + " is skipped: " + memory + " has nothing new"
}

// declare adds the rules of a test, so that points without a test are reported.
func (c *Coverage) declare(s *fixture) {
	for _, b := range s.sets {
		for _, r := range b.set.Rules {
			c.declareRule(r, b.inputs)
		}
	}
}

func (c *Coverage) declareRule(r *engine.Rule, inputs map[string]any) {
	k := keyOf(r)
	if c.rules[k] == nil {
		c.rules[k] = &RuleCoverage{File: k.file, Rule: k.rule, Points: points(describe.OutlineOf(r, inputs))}
	}
}

// declareUntested adds rule files without tests.
func (c *Coverage) declareUntested(paths []string, actions []*engine.Action, src testfile.Sources) error {
	for _, path := range paths {
		if src[path] != nil {
			continue
		}
		data, err := yamlfile.ReadFile(path)
		if err != nil {
			return err
		}
		set, _ := load.File(path, data, actions)
		if set == nil {
			continue // validate reports the errors
		}
		for _, r := range set.Rules {
			c.declareRule(r, map[string]any{})
		}
	}
	return nil
}

// see records the points that the runs of a scenario reached.
func (c *Coverage) see(p scenarioResult) {
	for _, r := range p.runs {
		k := keyOf(r.rule)
		outline := describe.OutlineOf(r.rule, nil)
		memory := map[int]string{}
		for _, s := range outline.Steps {
			memory[s.Line] = s.Memory
		}
		if line := outline.When; line != 0 {
			what := ruleTrue
			if r.trace.Outcome == history.Skipped {
				what = ruleFalse
			}
			c.hit(k, line, what)
		}
		for _, s := range r.trace.Steps {
			what := stepRan(s.Step)
			switch s.Skipped {
			case "":
			case "when is false":
				what = whenFalse(s.Step)
			default:
				what = nothingNew(s.Step, memory[s.Line])
			}
			c.hit(k, s.Line, what)
		}
	}
}

func (c *Coverage) merge(o *Coverage) {
	for k, r := range o.rules {
		for _, p := range r.Points {
			if p.Hit {
				c.hit(k, p.Line, p.What)
			}
		}
	}
}

// place returns a missed point with its position.
func (r *RuleCoverage) place(p Point) string {
	return fmt.Sprintf("%s: never: %s", diag.Pos{File: r.File, Line: p.Line}, p.What)
}
