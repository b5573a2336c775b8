package compile

import (
	"slices"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
	"github.com/b24rules/b24rules/schemas"
)

// readAbout reads about: company, portal, or {entityTypeId: 1072}.
func (c *ruleCompiler) readAbout(r *engine.Rule, n *yaml.Node) {
	n = yamlfile.Resolve(n)
	var a engine.About
	switch {
	case n.Kind == yaml.MappingNode:
		m, ok := c.mapping(n)
		if !ok {
			return
		}
		c.keys(m, diag.Phrasef("about"), keyNames(aboutKeys)...)
		t, ok := m.Get("entityTypeId")
		if !ok {
			c.Errorf(n, "missing-key", "about has no entityTypeId").Hint = "about: {entityTypeId: 1072}"
			return
		}
		if list := yamlfile.Decode(c.file, t.Value, &a.TypeID); len(list) > 0 || a.TypeID <= 0 {
			c.Errorf(t.Value, "wrong-type", "entityTypeId takes the number of a type, such as 1072")
			return
		}
	case n.Kind != yaml.ScalarNode || !slices.Contains(aboutNames(), n.Value):
		f := c.Errorf(n, "invalid-value", "about takes a kind of CRM entity, {entityTypeId: 1072} or portal")
		suggest(f, n.Value, aboutNames())
		return
	case n.Value == engine.KindPortal:
		a.Portal = true
	default:
		owner, _ := schemas.LookupOwner(n.Value)
		a.TypeID = owner.ID
	}
	for _, t := range r.Triggers {
		if a.Portal || t.ItemType() != a.TypeID {
			c.Errorf(n, "about-mismatch", "the rule is about %s, but %s is about something else", aboutText(a, n), t.Code).Hint = "remove about, or write another rule for the event that starts this one"
			return
		}
	}
	r.AboutKind = &a
}

func aboutText(a engine.About, n *yaml.Node) diag.Phrase {
	if n.Kind == yaml.MappingNode {
		return diag.Phrasef("items of type %d", a.TypeID)
	}
	return diag.Phrasef("a %s", n.Value)
}

// defaultLate is how long after the time of at a step may still run.
const defaultLate = 24 * time.Hour

// longestLate bounds late.
const longestLate = 31 * 24 * time.Hour

// stepAt compiles at: a formula, or {time: …, late: 2h}.
func (c *stepCompiler) stepAt(s *engine.Step, m yamlfile.Mapping, env formula.Env) {
	e, ok := m.Get("at")
	if !ok {
		return
	}
	s.Remembers, s.Late = true, defaultLate
	n := yamlfile.Resolve(e.Value)
	if n.Kind == yaml.MappingNode {
		inner, ok := c.mapping(n)
		if !ok {
			return
		}
		c.keys(inner, diag.Phrasef("at"), keyNames(atKeys)...)
		if late, ok := inner.Get("late"); ok {
			d, err := time.ParseDuration(yamlfile.Resolve(late.Value).Value)
			if err != nil || d < 0 || d > longestLate {
				c.Errorf(late.Value, "wrong-type", "late takes a duration up to 744h, such as 30m or 2h")
			}
			s.Late = d
		}
		t, ok := inner.Get("time")
		if !ok {
			c.Errorf(n, "missing-key", "at has no time").Hint = "at: {time: =addDays(date(deal.closedate), -3), late: 2h}"
			return
		}
		n = t.Value
	}
	s.At = c.value(n, want{typ: formula.Type{Kind: formula.Time, Maybe: true}, what: diag.Phrasef("at")}, env)
	switch {
	case s.At == nil:
	case s.At.Formula == nil:
		c.Errorf(n, "wrong-type", "at takes a formula that gives a time").Hint = "=addDays(date(deal.closedate), -3)"
	default:
		if _, constant := s.At.Const(); constant {
			c.Errorf(n, "constant-time", "at is the same time for all entities and in every run").Hint = "compute it from a field of the entity"
		}
	}
	for _, other := range []string{"once", "entered"} {
		if o, both := m.Get(other); both {
			c.Errorf(o.Key, "two-memories", "a step has either at or %s: at already runs it once for each time", other).Hintf("remove %s, or compute a value at the time and use it in the when of another step", other)
		}
	}
}
