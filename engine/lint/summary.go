package lint

import (
	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// Summary is what the checks across rule files need to know of one rule set: what starts its
// rules, what they write and what of the portal they read for that. It does not hold the set, so
// thousands of files can be checked together without all of them in memory.
type Summary struct {
	name     string
	file     string
	instance string
	actions  []*engine.Action // that the file could use
	rules    []*ruleSummary
}

// Summarize returns the summaries of rule sets that have no errors themselves.
func Summarize(sets ...*engine.RuleSet) []*Summary {
	out := make([]*Summary, len(sets))
	for i, set := range sets {
		out[i] = summarize(set)
	}
	return out
}

func summarize(set *engine.RuleSet) *Summary {
	s := &Summary{name: set.Name, file: set.File, instance: set.Instance, actions: set.Actions}
	for _, r := range set.Rules {
		s.rules = append(s.rules, s.ruleOf(r))
	}
	return s
}

// started returns the ids that a name in start can mean, the best first.
func (s *Summary) started(name string) []string { return engine.StartedIn(s.instance, name) }

// ruleSummary is one rule of a Summary.
type ruleSummary struct {
	set     *Summary
	id      string
	owner   string
	at      place // of its id
	portals []string
	from    []string // the ids that it had before
	fromAt  place
	sources []source

	subscription
	// onAt is the place of its first event.
	onAt place
	// startsItself says that it has events, a schedule, a hook or a robot, so no other rule
	// has to start it.
	startsItself bool
	// about is what its runs are for; nil when that is not known.
	about *engine.About
	// lists are the types of the items that it lists, if it keeps what it computes from them.
	lists []int

	starts  []start
	effects []*effect
}

// ruleOf summarizes a rule of the set.
func (s *Summary) ruleOf(r *engine.Rule) *ruleSummary {
	file, f := r.Set.Source, newFlow(r)
	out := &ruleSummary{
		set: s, id: r.ID, owner: r.Owner, at: placeOf(file, r.Node), portals: r.Portals, from: r.From,
		sources: sourcesOf(r), subscription: subscriptionOf(r),
		startsItself: len(r.Triggers)+len(r.Schedules)+len(r.Robots) > 0 || r.Hook != nil,
		lists:        listedTypes(r),
	}
	if len(r.From) > 0 {
		out.fromAt = placeOf(file, r.FromNode)
	}
	if len(r.Triggers) > 0 {
		out.onAt = placeOf(file, r.Triggers[0].Node)
	}
	if about, ok := r.Subject(); ok {
		out.about = &about
	}
	for _, step := range r.AllSteps() {
		if step.Action.Starts {
			out.starts = append(out.starts, startOf(r, step))
		}
	}
	steps := map[*engine.Step]*stepSummary{}
	for _, a := range writesOf(r, nil) {
		if steps[a.step] == nil {
			steps[a.step] = f.stepOf(a.step)
		}
		out.effects = append(out.effects, f.effectOf(&a, out, steps[a.step]))
	}
	return out
}

// place is the place of a finding in a file, with its end.
type place struct {
	diag.Pos
	endLine, endColumn int
}

// placeOf returns the place of a node.
func placeOf(file *yamlfile.File, n *yaml.Node) place {
	var f diag.Finding
	f.Pos = file.Pos(n)
	file.WithEnd(n, &f)
	return place{f.Pos, f.EndLine, f.EndColumn}
}

// mark gives a finding at the place its end. It returns the finding.
func (p place) mark(f *diag.Finding) *diag.Finding {
	f.EndLine, f.EndColumn = p.endLine, p.endColumn
	return f
}

// subscription is which events start a rule.
type subscription struct {
	triggers []trigger
	// conditional says that the rule has a when, and conditions are the conjuncts of it.
	conditional bool
	conditions  []string
	// asksType says that when reads the type of the event's entity.
	asksType bool
}

// trigger is one event of a subscription.
type trigger struct {
	code, entity, op string
	entityTypeID     int
	itemType         int // entityTypeId of its items, 0 for other entities or all types
}

func subscriptionOf(r *engine.Rule) subscription {
	s := subscription{conditional: r.When != nil, conditions: r.When.Conjuncts()}
	for _, t := range r.Triggers {
		s.triggers = append(s.triggers, trigger{t.Code, t.Entity, t.Op, t.EntityTypeID, t.ItemType()})
	}
	r.When.Paths(func(p string) {
		s.asksType = s.asksType || p == engine.NameEvent+".entityTypeId" || p == engine.NameEvent
	})
	return s
}
