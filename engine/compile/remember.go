package compile

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// stepEntered compiles entered.
func (c *stepCompiler) stepEntered(s *engine.Step, m yamlfile.Mapping, env formula.Env) {
	e, ok := m.Get("entered")
	if !ok {
		return
	}
	s.Remembers = true
	s.Entered = c.value(e.Value, want{typ: formula.Type{Kind: formula.Bool}, what: diag.Phrasef("entered")}, env)
	if s.Entered != nil && s.Entered.Formula == nil {
		c.Errorf(e.Value, "wrong-type", "entered takes a condition").Hint = `=deal.stageId == "WON"`
	}
	if once, both := m.Get("once"); both {
		c.Errorf(once.Key, "two-memories", "a step has either entered or once: entered already runs it once each time that the condition becomes true").
			Hint = "write what must be true in entered, and remove once"
	}
}

// stepOnce compiles once. env has the names of a row if the step has for_each.
func (c *stepCompiler) stepOnce(s *engine.Step, m yamlfile.Mapping, env formula.Env) {
	e, ok := m.Get("once")
	if !ok {
		return
	}
	s.Remembers = true
	s.Once = c.value(e.Value, want{typ: formula.Type{Kind: formula.Any}, what: diag.Phrasef("once")}, env)
	if s.Once == nil {
		return
	}
	if s.Once.Formula == nil {
		c.Errorf(e.Value, "wrong-type", "once takes a formula").Hint = "=deal.stageId"
	}
	if s.ForEach != nil {
		s.Once.Reads(func(name string) { s.PerRow = s.PerRow || name == engine.NameRow || name == engine.NameIndex })
	}
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
			switch {
			case err != nil || d < 0 || d > longestLate:
				c.Errorf(late.Value, "wrong-type", "late takes a duration up to 744h, such as 30m or 2h")
			case d == 0:
				c.Errorf(late.Value, "invalid-value", "with late: %s the step never runs, because a run starts a moment after its time", d).Hint = "write how late the step may still run, such as 2h"
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

// nameSteps gives each step of a rule its key: its id, or a digest of what it does and
// when. Of several steps with one digest, the order tells them apart.
func nameSteps(r *engine.Rule) {
	seen, keys := map[string]int{}, map[string]bool{}
	for _, s := range r.AllSteps() {
		parts := []string{s.Action.Name}
		for _, v := range []*engine.Value{s.Entered, s.At, s.Once, s.When} {
			parts = append(parts, sourceText(v))
		}
		sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
		s.TextKey = s.Action.Name + "#" + hex.EncodeToString(sum[:6])
		if s.Key = s.ID; s.Key == "" {
			s.Key = s.TextKey
			if seen[s.Key]++; seen[s.Key] > 1 {
				s.Key += fmt.Sprintf("~%d", seen[s.Key])
			}
			s.TextKey = s.Key
		}
		keys[s.Key] = true
	}
	for _, s := range r.AllSteps() {
		if s.TextKey != s.Key && keys[s.TextKey] { // another step has this memory
			s.TextKey = s.Key
		}
	}
}

// sourceText is the text of a value in the file. Blanks and line breaks do not matter.
func sourceText(v *engine.Value) string {
	if v == nil {
		return ""
	}
	return strings.Join(strings.Fields(v.Node.Value), " ")
}

// past collects the names that formulas read as before. A nil past collects nothing.
type past struct {
	names map[string]formula.Type
}

// pastOf returns the past of a rule whose formulas mention before. A file that gives
// this name to a step keeps its meaning.
func (c *ruleCompiler) pastOf(m yamlfile.Mapping) *past {
	mentioned, defined := false, false
	for _, e := range m.Entries {
		if e.Name == partSteps || e.Name == partDeleted {
			c.findBefore(e.Value, &mentioned, &defined)
		}
	}
	if !mentioned || defined {
		return nil
	}
	return &past{names: map[string]formula.Type{}}
}

func (c *ruleCompiler) findBefore(n *yaml.Node, mentioned, defined *bool) {
	n = yamlfile.Resolve(n)
	*mentioned = *mentioned || n.Kind == yaml.ScalarNode && strings.Contains(n.Value, engine.NameBefore)
	for i, e := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			value := yamlfile.Resolve(n.Content[i+1])
			*defined = *defined || e.Value == "id" && value.Value == engine.NameBefore
			if a := c.action(e.Value); a != nil && a.Spread {
				m, _ := c.file.Mapping(value)
				_, named := m.Get(engine.NameBefore)
				*defined = *defined || named
			}
		}
		c.findBefore(e, mentioned, defined)
	}
}

// expect adds a name that a later step defines: the last run knew it, too.
func (p *past) expect(name string) {
	if p == nil {
		return
	}
	if _, known := p.names[name]; !known {
		p.names[name] = formula.Type{}
	}
}

// define sets the type of a name.
func (p *past) define(name string, t formula.Type) {
	if p != nil {
		p.names[name] = maybe(t, 0)
	}
}

// show makes before visible at a place.
func (p *past) show(k *known) {
	if p == nil {
		return
	}
	fields := make(map[string]formula.Type, len(p.names))
	for n, t := range p.names {
		fields[n] = t
	}
	k.define(engine.NameBefore, formula.RecordOf(fields), nil)
}

// maybe returns the type of a remembered value: all values in it may be missing, and the
// records that hold them never are.
func maybe(t formula.Type, depth int) formula.Type {
	if t.Kind != formula.Record || depth > 8 {
		return t.Optional()
	}
	fields := make(map[string]formula.Type, len(t.Fields))
	for n, f := range t.Fields {
		fields[n] = maybe(f, depth+1)
	}
	t = t.Present()
	t.Fields = fields
	return t
}

// collect stores in the rule which values its formulas read of before. If they read a
// value and a part of it, the value holds both.
func (p *past) collect(c *ruleCompiler, r *engine.Rule) {
	if p == nil {
		return
	}
	var paths []string
	readAt := map[string]*yaml.Node{}
	for _, s := range r.AllSteps() {
		s.EachValue(func(v *engine.Value) {
			v.Paths(func(path string) {
				rest, ok := strings.CutPrefix(path, engine.NameBefore+".")
				if ok {
					paths = append(paths, rest)
					readAt[rest] = cmp.Or(readAt[rest], v.Node)
				} else if path == engine.NameBefore {
					c.Errorf(v.Node, "whole-before", "before holds only the values that formulas name").Hint = "write before.deal.stageId"
				}
			})
		})
	}
	slices.Sort(paths)
	last := "\x00"
	for _, path := range slices.Compact(paths) {
		if strings.HasPrefix(path+".", last+".") {
			continue
		}
		last = path
		names := strings.Split(path, ".")
		t := formula.RecordOf(p.names)
		for _, n := range names {
			t = t.Fields[n]
		}
		r.Before = append(r.Before, engine.Past{Path: names, Type: t})
		c.largePast(readAt[path], path, t)
	}
}

// mostFields is how many fields a record may have that is kept as a whole. A record that a
// rule computes is smaller, one of the CRM is larger.
const mostFields = 20

// largePast warns of a value of before that is as large as what the portal sends.
func (c *ruleCompiler) largePast(n *yaml.Node, path string, t formula.Type) {
	switch {
	case t.Kind == formula.List && t.Elem != nil && t.Elem.Kind == formula.Record:
		c.Warnf(n, "whole-before", "before.%s keeps all records of the list for each entity, and a run that would keep more than %d KiB is parked", path, engine.MaxMemory>>10).
			Hintf("compute what you compare, such as compute: {lines: =len(%s)}, and read before.lines", path)
	case t.Kind == formula.Record && (t.Open || len(t.Fields) > mostFields):
		c.Warnf(n, "whole-before", "before.%s keeps the whole record for each entity, and a run that would keep more than %d KiB is parked", path, engine.MaxMemory>>10).
			Hintf("read the fields that you need, such as before.%s.id", path)
	}
}
