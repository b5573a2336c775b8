package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/ledger"
)

// Ledger says what rules have made.
type Ledger interface {
	// Marks returns the marks of a portal, "" for all.
	Marks(ctx context.Context, portal string) ([]ledger.Mark, error)
	// Count returns how many records a mark has.
	Count(ctx context.Context, mark int64) (int, error)
	// Remembers reports whether the runs of a rule have remembered something, for the step with
	// a key or, if that is "", for any.
	Remembers(ctx context.Context, portal, rule, step string) (bool, error)
}

// ledgerTimeout bounds one reading of the ledger.
const ledgerTimeout = 30 * time.Second

// readMade returns the marks of records that rules have made, by portal.
func readMade(l Ledger) (map[string][]ledger.Mark, error) {
	if l == nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), ledgerTimeout)
	defer cancel()
	all, err := l.Marks(ctx, "")
	if err != nil {
		return nil, err
	}
	out := map[string][]ledger.Mark{}
	for _, m := range all {
		if m.Made && m.Kind != engine.MarkFields {
			out[m.Portal] = append(out[m.Portal], m)
		}
	}
	return out, nil
}

// A candidate is a mark of a rule that may run.
type candidate struct {
	engine.Mark
	rule *engine.Rule
	in   *Instance
}

// candidates are the marks of rule sets in a portal.
func candidates(all []*Instance, portal string) []candidate {
	var out []candidate
	for _, i := range all {
		i.once.Do(func() {
			for _, r := range i.Set.Rules {
				if !r.Serves(portal) {
					continue
				}
				for _, m := range r.Marks(i.Inputs) {
					if m.Kind != engine.MarkFields {
						i.marks = append(i.marks, candidate{m, r, i})
					}
				}
			}
		})
		out = append(out, i.marks...)
	}
	return out
}

func finds(all []candidate, m ledger.Mark) bool {
	return slices.ContainsFunc(all, func(c candidate) bool { return c.Finds(m.Mark) })
}

// checkMade returns what is wrong with rule sets that would make again what rules have made,
// by instance: a rule that made something runs no longer or does not find it, and another one
// would make the same.
//
// A rule that is only removed is no error: what it made stays, and is an orphan.
func (d *decision) checkMade(all []*Instance) map[string]diag.List {
	wrong := map[string]diag.List{}
	d.checkMemory(all, wrong)
	stored := d.b.made[d.portal.Name]
	if len(stored) == 0 || len(d.added) == 0 && d.b.before != nil {
		return wrong
	}
	marks := candidates(all, d.portal.Name)
	var lost []ledger.Mark
	for _, m := range stored {
		if m.Released.IsZero() && !finds(marks, m) {
			lost = append(lost, m)
		}
	}
	for _, c := range marks {
		if m := d.doubled(c, lost, stored); m != nil {
			list := wrong[c.in.key()]
			d.explain(&list, c, *m)
			wrong[c.in.key()] = list
		}
	}
	return wrong
}

// checkMemory adds new rules that would do again what a rule under another id has done once: a
// step of both is the same, and the old rule runs no longer.
func (d *decision) checkMemory(all []*Instance, wrong map[string]diag.List) {
	if d.b.rules.Ledger == nil || len(d.added) == 0 {
		return
	}
	checkSteps(d, wrong)
	now := map[string]bool{}
	for _, i := range all {
		for _, r := range i.Set.Rules {
			now[r.ID] = now[r.ID] || r.Serves(d.portal.Name)
			for _, from := range r.From {
				now[from] = true
			}
		}
	}
	ran := map[string]bool{}
	var gone []*engine.Rule
	for _, set := range d.ranBefore() {
		for _, r := range set.Rules {
			ran[r.ID] = true
			if !now[r.ID] && r.Serves(d.portal.Name) {
				gone = append(gone, r)
			}
		}
	}
	for _, i := range d.added {
		for _, r := range i.Set.Rules {
			for _, old := range gone {
				if !ran[r.ID] && r.Serves(d.portal.Name) && repeats(r, old) && d.remembers(old.ID, "") {
					list := wrong[i.key()]
					f := list.Errorf(r.Pos, "would-double", "rule %s would do again what rule %s has done once in portal %s", r.ID, old.ID, d.portal.Name)
					i.Set.Source.WithEnd(r.Node, f)
					f.Hintf("if rule %s is rule %s under a new name, add moved: {from: %s}; otherwise first remove rule %s, and add rule %s when serve has loaded that", r.ID, old.ID, old.ID, old.ID, r.ID)
					wrong[i.key()] = list
				}
			}
		}
	}
}

// ranBefore are the rule sets that ran in the portal until now.
func (d *decision) ranBefore() []*engine.RuleSet {
	var out []*engine.RuleSet
	for _, i := range d.b.before.of(d.portal.Name).live {
		out = append(out, i.Set)
	}
	if d.b.before == nil {
		for name, t := range d.b.rules.Before[d.portal.Name] {
			if set := d.b.compileAs(t, name).set; set != nil {
				out = append(out, set)
			}
		}
	}
	return out
}

// repeats reports whether both rules have a step that a memory keeps from acting again.
func repeats(a, b *engine.Rule) bool {
	for _, s := range a.AllSteps() {
		for _, o := range b.AllSteps() {
			if s.Remembers && o.Remembers && s.Key == o.Key && s.Action.Name == o.Action.Name {
				return true
			}
		}
	}
	return false
}

// checkSteps adds steps that would do again what they have done once under another id.
func checkSteps(d *decision, wrong map[string]diag.List) {
	before := map[string]*engine.Rule{}
	for _, set := range d.ranBefore() {
		for _, r := range set.Rules {
			before[r.ID] = r
		}
	}
	for _, i := range d.added {
		for _, r := range i.Set.Rules {
			was := before[r.ID]
			for _, from := range r.From {
				if was == nil {
					was = before[from]
				}
			}
			if was == nil || !r.Serves(d.portal.Name) {
				continue
			}
			for _, old := range was.AllSteps() {
				s := renamed(was, old, r)
				if s == nil || !d.remembers(was.ID, old.Key) {
					continue
				}
				list := wrong[i.key()]
				list.Errorf(s.Pos, "would-double", "step %s of rule %s would do again what step %s has done once in portal %s", s.Label, r.ID, old.ID, d.portal.Name).
					Hintf("if it is the same step, keep id: %s; otherwise first remove step %s, and add the new one when serve has loaded that", old.ID, old.ID)
				wrong[i.key()] = list
			}
		}
	}
}

// renamed returns the step of the new version of a rule that is an old one under another id, nil
// if there is none.
func renamed(was *engine.Rule, old *engine.Step, now *engine.Rule) *engine.Step {
	has := func(r *engine.Rule, key string) bool {
		return slices.ContainsFunc(r.AllSteps(), func(s *engine.Step) bool { return s.Key == key })
	}
	if !old.Remembers || old.ID == "" || has(now, old.Key) {
		return nil
	}
	for _, s := range now.AllSteps() {
		if s.Remembers && s.Action.Name == old.Action.Name && !has(was, s.Key) {
			return s
		}
	}
	return nil
}

func (d *decision) remembers(rule, step string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), ledgerTimeout)
	defer cancel()
	ok, err := d.b.rules.Ledger.Remembers(ctx, d.portal.Name, rule, step)
	d.b.failed = errors.Join(d.b.failed, err)
	return ok
}

// doubled returns the mark whose records a step would make again, nil if there is none.
func (d *decision) doubled(c candidate, lost, stored []ledger.Mark) *ledger.Mark {
	if slices.ContainsFunc(stored, func(m ledger.Mark) bool { return c.Finds(m.Mark) }) {
		return nil // it has made something itself
	}
	isNew := slices.Contains(d.added, c.in)
	var best *ledger.Mark
	for i, m := range lost {
		sameRule := m.Rule == c.Rule || slices.Contains(c.rule.From, m.Rule)
		samePlace := c.Place == "" || c.Place == m.Place
		// A version that ran already may have other inputs after a restart.
		sameSet := setOf(m) == c.in.Set.Name
		if m.Kind != c.Kind || !sameRule && (!isNew || !sameSet && (!samePlace || d.partial)) {
			continue
		}
		if best == nil || sameRule && best.Rule != c.Rule || samePlace && best.Place != c.Place {
			best = &lost[i]
		}
	}
	return best
}

// doubles reports whether a rule set would make again, with the inputs that the portal has now,
// what its rules have made with others.
func (b *builder) doubles(portal string, now, old *Instance) bool {
	if old == nil || now.Set != old.Set {
		return false
	}
	after, before := candidates([]*Instance{now}, portal), candidates([]*Instance{old}, portal)
	return slices.ContainsFunc(b.made[portal], func(m ledger.Mark) bool {
		return m.Released.IsZero() && finds(before, m) && !finds(after, m)
	})
}

// setOf is the name of the rule set of a mark.
func setOf(m ledger.Mark) string {
	file := m.File
	for range 2 { // line and column
		if i := strings.LastIndexByte(file, ':'); i >= 0 {
			file = file[:i]
		}
	}
	name := SetName(file)
	if _, instance := config.SplitInstance(m.Rule); instance != "" {
		name += engine.InstanceSign + instance
	}
	return name
}

// explain adds what a step would make again, and what to write.
func (d *decision) explain(list *diag.List, c candidate, m ledger.Mark) {
	n, err := d.count(m)
	if err != nil {
		d.b.failed = err
		return
	}
	kind := string(m.Kind)
	if n == 1 {
		kind = strings.TrimSuffix(kind, "s")
	}
	what := fmt.Sprintf("%d %s of %s in portal %s", n, kind, PlaceName(m.Place), d.portal.Name)
	release := fmt.Sprintf("run b24rules release --rule %s --portal %s", m.Rule, d.portal.Name)
	if m.Rule != c.Rule && !slices.Contains(c.rule.From, m.Rule) {
		f := list.Errorf(c.rule.Pos, "would-double", "rule %s would make again what rule %s has made: %s", c.Rule, m.Rule, what)
		c.in.Set.Source.WithEnd(c.rule.Node, f)
		old, instance := config.SplitInstance(m.Rule)
		if id, now := config.SplitInstance(c.Rule); now != instance && id == old {
			f.Hintf("name the instance in use as before; if what rule %s has made may stay without a rule, %s", m.Rule, release)
			return
		}
		f.Hintf("if rule %s is rule %s under a new name, add moved: {from: %s}; if what rule %s has made may stay without a rule, %s", c.Rule, m.Rule, old, m.Rule, release)
		return
	}
	var changes, back, keep []string
	compare := func(what, was, now string) {
		if was != now {
			changes = append(changes, fmt.Sprintf("its %s was %s and is %s", what, text(was), text(now)))
			back = append(back, fmt.Sprintf("%s: %s", what, text(was)))
			keep = append(keep, fmt.Sprintf("old_%s: %s", what, text(was)))
		}
	}
	if c.Place != "" && c.Place != m.Place {
		changes = append(changes, fmt.Sprintf("it wrote %s and now writes %s", PlaceName(m.Place), PlaceName(c.Place)))
	}
	compare("owner", m.Owner, c.Owner)
	compare("scope", m.Scope, c.Scope)
	compare("key", m.Key, c.Key)
	if len(changes) == 0 {
		changes = append(changes, "what its key or scope is computed from has changed")
	}
	f := list.Errorf(c.Pos, "would-double", "rule %s would not find what it has made, and make it again: %s; %s", c.Rule, what, strings.Join(changes, ", "))
	// Both versions have a scope or neither has, and only elements have old_scope.
	finds := (c.Scope == "") == (m.Scope == "") && (c.Kind == engine.MarkElements || c.Scope == m.Scope)
	if samePlace := c.Place == "" || c.Place == m.Place; len(keep) > 0 && finds && samePlace && c.Owner == m.Owner {
		f.Hintf("write %s, or add %s to the step: then what it has made stays and changes; if what the rule has made may stay as it is, %s", strings.Join(back, " and "), strings.Join(keep, " and "), release)
	} else if len(back) > 0 {
		f.Hintf("write %s; if the change is meant, and what the rule has made may stay as it is, %s", strings.Join(back, " and "), release)
	} else {
		f.Hintf("if the change is meant, and what the rule has made may stay as it is, %s", release)
	}
}

// text is a part of a mark in a message.
func text(s string) string {
	if s == "" {
		return "empty"
	}
	return s
}

// PlaceName names a place for people: list 47.
func PlaceName(place string) string {
	kind, id, _ := strings.Cut(place, ":")
	if kind == "item" {
		return "type " + id
	}
	return kind + " " + id
}

func (d *decision) count(m ledger.Mark) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), ledgerTimeout)
	defer cancel()
	return d.b.rules.Ledger.Count(ctx, m.ID)
}

// findOrphans notes what rules have made that no rule has any more. What belongs to a rule set
// that does not run because of its errors waits for it.
func (d *decision) findOrphans(p *portalRules) {
	stored := d.b.made[d.portal.Name]
	if len(stored) == 0 {
		return
	}
	marks := candidates(p.live, d.portal.Name)
	for _, m := range stored {
		waits := slices.ContainsFunc(p.refused, func(r Refused) bool { return !r.Removed() && r.Running == "" && r.Set == setOf(m) })
		as := func(c candidate) bool { return c.Finds(m.Mark) && c.Identity == m.Identity }
		if finds(marks, m) && !slices.ContainsFunc(marks, as) {
			p.old = append(p.old, m)
		}
		if !finds(marks, m) && !waits {
			p.orphans = append(p.orphans, m)
		}
	}
}

// Has reports whether a rule of a portal has the records of a mark. A rule set that does not
// run because of its errors has what its last version had.
func (g *Generation) Has(m ledger.Mark) bool {
	p := g.of(m.Portal)
	waits := slices.ContainsFunc(p.refused, func(r Refused) bool { return !r.Removed() && r.Set == setOf(m) })
	return waits || finds(candidates(p.live, m.Portal), m)
}

// move calls Move for the rules that have taken over others since the last generation.
func (l *Rules) move(before, next *Generation) error {
	if l.Move == nil {
		return nil
	}
	for portal := range next.portals {
		moved := next.Moved(portal)
		for id := range moved {
			if _, _, ran := before.Rule(id, portal); ran {
				delete(moved, id)
			}
		}
		if len(moved) == 0 {
			continue
		}
		if err := l.Move(portal, moved); err != nil {
			return err
		}
	}
	return nil
}

// CheckMade returns what is wrong with the rules that are loaded, because they would make again
// what rules have made. It is for commands that load their rules without a ledger. before are the
// rule sets that ran last. With partial, other rule files exist that are not loaded.
func (l *Rules) CheckMade(made Ledger, before Before, partial bool) (diag.List, error) {
	now := l.Current()
	if now == nil {
		return nil, errors.New("the rules are not loaded")
	}
	stored, err := readMade(made)
	if err != nil {
		return nil, err
	}
	var list diag.List
	b := &builder{rules: &Rules{Ledger: made, Before: before, Actions: l.Actions}, made: stored, compiled: map[RuleText]compiled{}}
	for _, p := range l.Portals {
		d := &decision{b: b, portal: p, partial: partial}
		for _, i := range now.Instances(p.Name) {
			if d.ranAs(i.Set, i.Inputs) {
				d.running = append(d.running, i)
			} else {
				d.added = append(d.added, i)
			}
		}
		for _, found := range d.checkMade(now.Instances(p.Name)) {
			list.Add(found...)
		}
	}
	list.Sort()
	return list, b.failed
}

// Doubles reports whether a rule set does not run because its rules would make again what
// rules have made.
func (g *Generation) Doubles() bool {
	return slices.ContainsFunc(g.Refused(), func(r Refused) bool { return r.has("would-double") })
}

// has reports whether a finding with a code is among the reasons.
func (r Refused) has(code string) bool {
	return slices.ContainsFunc(r.Findings, func(f diag.Finding) bool { return f.Code == code })
}

// Moved returns the earlier ids of the rules of a portal that have some.
func (g *Generation) Moved(portal string) map[string][]string {
	out := map[string][]string{}
	for r := range g.Rules(portal) {
		if len(r.From) > 0 {
			out[r.ID] = r.From
		}
	}
	return out
}
