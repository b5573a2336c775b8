package lint

import (
	"regexp"
	"slices"
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
	c.reviewAt(f, s)
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
	if p := chanceOnce(s); p != "" {
		c.warnf(s.Once.Node, "changing-once", "%s says nothing of what has changed, so once runs the step by chance", p).Hint = "write the value whose change allows another run, such as =deal.stageId or =row.key"
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

// pastTime finds the time of a change that has happened, alone or moved back: then it has
// always passed when a run reads it.
var pastTime = regexp.MustCompile(`^date\([\w.]+\.(createdTime|updatedTime|movedTime|lastActivityTime)\)$|^add(?:Days|Hours|Months|Workdays)\(date\([\w.]+\.(createdTime|updatedTime|movedTime|lastActivityTime)\), (?:-[\d.]+|0)\)$`)

// reviewAt warns of a time that no run waits for.
func (c *reviewer) reviewAt(f *flow, s *engine.Step) {
	if s.At == nil || s.At.Formula == nil {
		return
	}
	if m := pastTime.FindStringSubmatch(strings.TrimSpace(s.At.Formula.Source())); m != nil {
		c.warnf(s.At.Node, "moving-time", "%s has always passed when a run reads it, so the step waits for nothing", m[1]+m[2]).Hint = "add a time to it, such as =addDays(date(deal.createdTime), 3)"
	} else if !f.depends(s.At) {
		c.warnf(s.At.Node, "constant-time", "at is the same time for all entities, because it depends only on inputs").Hint = "compute it from a field of the entity"
	}
}

// chanceOnce returns the number in a value of once that has nothing to do with its entity:
// how many events became the run, or the place of a row, which another row takes.
func chanceOnce(s *engine.Step) string {
	found, row := "", false
	s.Once.Paths(func(p string) {
		row = row || engine.PathPrefix(p, 1) == engine.NameRow
		if p == "event.count" || p == engine.NameIndex {
			found = p
		}
	})
	if found == engine.NameIndex && row {
		return ""
	}
	return found
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

// idsOfRows is a list of the ids of the rows of a step.
var idsOfRows = regexp.MustCompile(`\bmap\((\w+), #?\.id\)`)

var quotedText = regexp.MustCompile(`"[^"]*"|'[^']*'`)

// changingOnce returns the path in a value of once that is new in every run, "" when
// there is none.
func (f *flow) changingOnce(v *engine.Value) string {
	if v.Formula != nil {
		if m := idsOfRows.FindStringSubmatch(v.Formula.Source()); m != nil && changesWhole(f.Fetched[m[1]]) {
			return m[0]
		}
	}
	if v.Formula != nil && !bareValues.MatchString(quotedText.ReplaceAllString(v.Formula.Source(), "")) {
		return ""
	}
	found := ""
	v.Paths(func(p string) {
		name, field, _ := strings.Cut(p, ".")
		switch {
		case p == "event.time" || p == engine.NameEvent:
			found = p
		case field == "" && f.Computed[p] == nil && changesWhole(f.Fetched[name]):
			found = p
		case f.Fetched[name] != nil && schemas.ChangesWithEachEdit(field):
			found = p
		case f.Computed[p] != nil && f.changingOnce(f.Computed[p]) != "":
			found = p
		}
	})
	return found
}

// changesWhole reports whether the whole result of a step changes with each edit: a record
// with the time of its last edit, or product rows, which get new ids when they are saved.
func changesWhole(s *engine.Step) bool {
	if s == nil || s.ForEach != nil || s.Effect() != engine.Reads {
		return false
	}
	return slices.ContainsFunc(s.Touches(), func(t engine.Touch) bool {
		return t.Kind == engine.TouchItems && t.Reads && t.Which == "id"
	})
}
