package lint

import (
	"regexp"
	"strings"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/schemas"
)

// reviewOnce warns of a value of once that is the same in every run, or another one in
// every run. The step then runs once in the life of an entity, or always.
func (c *reviewer) reviewOnce(f *flow, s *engine.Step) {
	if s.At != nil && !timePart.MatchString(s.At.Node.Value) {
		s.At.Paths(func(p string) {
			if p == "event.time" {
				c.warnf(s.At.Node, "moving-time", "event.time is new in each run, so a time that is computed from it never comes").Hint = "compute it from a field of the entity, such as =addDays(date(deal.createdTime), 3)"
			}
		})
	}
	if s.Once == nil {
		return
	}
	if !f.depends(s.Once) {
		c.warnf(s.Once.Node, "constant-once", "once is the same in every run, so the step runs only once for each entity").
			Hint = "write the value whose change allows another run, such as =deal.stageId; or =event.id if once for each entity is meant"
		return
	}
	if p := f.changingOnce(s.Once); p != "" {
		c.warnf(s.Once.Node, "changing-once", "%s is new in every run, so once has no effect", p).Hint = "write the value whose change allows another run, such as =deal.stageId"
		return
	}
	if c.fixedOnce(f.rule, s) {
		return
	}
	// event.added is true in the first run of a new entity only.
	if s.Once.Type.Kind == formula.Bool && strings.TrimSpace(s.Once.Formula.Source()) != "event.added" {
		c.warnf(s.Once.Node, "once-of-condition", "once keeps whether the condition is true, so the step also runs when it becomes false").
			Hintf("to run it each time the condition becomes true, write entered: =%s", strings.TrimSpace(s.Once.Formula.Source()))
	}
}

// fixedOnce warns of a value of once that the condition of the step allows only one
// value. When the condition becomes true for the second time, the value is the same as
// the first time.
func (c *reviewer) fixedOnce(r *engine.Rule, s *engine.Step) bool {
	text := s.Once.Conjuncts()
	if len(text) != 1 || !s.Once.Formula.IsPath() {
		return false
	}
	for _, v := range []*engine.Value{s.When, r.When} {
		for _, x := range v.Conjuncts() {
			rest, ok := strings.CutPrefix(strings.TrimPrefix(x, "("), text[0]+" == ")
			if !ok || !literal.MatchString(rest) {
				continue
			}
			f := c.warnf(s.Once.Node, "fixed-once", "when allows only one value of once, so the step does not run when the condition becomes true again")
			if v == s.When && len(v.Conjuncts()) == 1 {
				f.Hintf("write entered: =%s, and remove when and once", strings.TrimSpace(v.Formula.Source()))
			} else {
				f.Hint = "write entered with the condition, and remove once"
			}
			return true
		}
	}
	return false
}

// literal is a canonical text or number, with the bracket that closes a comparison.
var literal = regexp.MustCompile(`^("[^"]*"|-?[0-9.]+)\)*$`)

// timePart finds functions that give the same time for all times of a day or more.
var timePart = regexp.MustCompile(`\b(formatDate|atTime|yearOf|monthOf|dayOf|weekdayOf|toWorkTime)\(`)

// bareValues is the source of a formula that only names values: a.b, [a, b], a + "/" + b.
var bareValues = regexp.MustCompile(`^[\pL\pN_.?,+\[\]\s]+$`)

var quotedText = regexp.MustCompile(`"[^"]*"|'[^']*'`)

// changingOnce returns the path in a value of once that is new in every run, "" when
// there is none.
func (f *flow) changingOnce(v *engine.Value) string {
	if v.Formula != nil && !bareValues.MatchString(quotedText.ReplaceAllString(v.Formula.Source(), "")) {
		return ""
	}
	found := ""
	v.Paths(func(p string) {
		name, field, _ := strings.Cut(p, ".")
		switch {
		case p == "event.time":
			found = p
		case f.Fetched[name] != nil && schemas.ChangesWithEachEdit(field):
			found = p
		case f.Computed[p] != nil && f.changingOnce(f.Computed[p]) != "":
			found = p
		}
	})
	return found
}
