package lint

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/schemas"
)

// Cycle is a chain of writes and events that leads back to the rule that it started
// from.
type Cycle struct {
	// Rules are the ids of the rules in the cycle, in order.
	Rules []string
	// Chain describes the cycle in words: rule, what it writes, event, rule.
	Chain diag.Phrase
	// Terminates reports whether the cycle ends because some step finds nothing to
	// write. Why says which step that is, or what makes the cycle continue.
	Terminates bool
	Why        diag.Phrase
	// Pos is the place in the file that makes the cycle continue, or the step that
	// closes it.
	Pos diag.Pos

	files int
	last  *effect
	blame place
	sure  bool // it never terminates
	// adds reports whether each pass adds an item.
	adds bool
	// onlyStarts reports whether all links are starts.
	onlyStarts bool
}

// Cycles lists the cycles among the rules of some sets. For each step that writes what
// a rule subscribes to, it returns the shortest cycle. If that cycle terminates, it
// also returns the shortest cycle that does not. A cycle terminates when a step
// compares before it writes and finds no difference.
func Cycles(sets []*engine.RuleSet) []Cycle { return cyclesOf(Summarize(sets...)) }

func cyclesOf(sets []*Summary) []Cycle {
	g := newCycleGraph(sets)
	var out []Cycle
	seen := map[string]bool{}
	for _, e := range g.effects {
		for _, r := range g.cyclesOf(e) {
			if key := fmt.Sprint(slices.Sorted(slices.Values(r.Rules)), r.Terminates, r.Why); !seen[key] {
				seen[key] = true
				out = append(out, r)
			}
		}
	}
	return out
}

// checkCycles reports the cycles that may not terminate. across selects cycles through
// several files; otherwise it reports those inside one file.
func checkCycles(sets []*Summary, across bool) diag.List {
	var list diag.List
	for _, r := range cyclesOf(sets) {
		if r.Terminates || across != (r.files > 1) {
			continue
		}
		var f *diag.Finding
		switch {
		case r.onlyStarts:
			f = list.Errorf(r.Pos, "ring", "rules %s start each other without end: %s", strings.Join(r.Rules, ", "), r.Chain)
		case len(r.Rules) > 1:
			f = list.Warnf(r.Pos, "ring", "rules %s may trigger each other without end, because %s: %s", strings.Join(r.Rules, ", "), r.Why, r.Chain)
		case r.sure:
			f = list.Errorf(r.Pos, "self-trigger", "rule %s triggers itself without end, because %s: %s", r.Rules[0], r.Why, r.Chain)
		default:
			f = list.Warnf(r.Pos, "self-trigger", "rule %s may trigger itself without end, because %s: %s", r.Rules[0], r.Why, r.Chain)
		}
		r.last.hintWayOut(f, r.adds)
		r.blame.mark(f)
	}
	return list
}

// cycleNode is a rule with one of its lists of steps.
type cycleNode struct {
	rule    *ruleSummary
	deleted bool
}

// cycleGraph connects rules by what they write and what they subscribe to.
type cycleGraph struct {
	effects    []*effect
	of         map[cycleNode][]*effect
	rules      []*ruleSummary
	subscribed map[string][]cycleNode // by type and operation
	budget     int                    // pairs of effects that may still be compared
}

// maxPairs bounds the search for cycles that do not terminate. With more pairs, so
// many rules trigger each other that no short answer exists.
const maxPairs = 100_000

func newCycleGraph(sets []*Summary) *cycleGraph {
	g := &cycleGraph{of: map[cycleNode][]*effect{}, subscribed: map[string][]cycleNode{}, budget: maxPairs}
	for _, s := range sets {
		for _, r := range s.rules {
			g.rules = append(g.rules, r)
			for _, e := range r.effects {
				if e.Kind == engine.TouchElements {
					continue
				}
				n := cycleNode{r, e.deleted}
				g.of[n] = append(g.of[n], e)
				g.effects = append(g.effects, e)
			}
		}
	}
	return g
}

// subscribers lists the rules that an effect starts by an operation.
func (g *cycleGraph) subscribers(e *effect, op string) []cycleNode {
	key := op + strconv.Itoa(e.typ) + e.Event
	if e.Kind == engine.TouchRule {
		key += engine.InstanceSign + e.rule.set.instance
	}
	out, ok := g.subscribed[key]
	if !ok {
		for _, r := range g.rules {
			if starts(e, r, op) {
				out = append(out, cycleNode{r, op == schemas.OpDelete})
			}
		}
		g.subscribed[key] = out
	}
	return out
}

// starts reports whether the event of an effect starts a rule.
func starts(e *effect, r *ruleSummary, op string) bool {
	switch e.Kind {
	case engine.TouchRule:
		return slices.Contains(e.rule.set.started(e.Event), r.id)
	case engine.TouchOther:
		return !e.step.conditional && !e.rule.conditional && slices.ContainsFunc(r.triggers, func(t trigger) bool { return t.code == e.Event })
	}
	return r.takes(e.typ, op)
}

// takes reports whether the rule subscribes to an operation on items of a type. Type 0 means
// that the type is not known. Then only a rule that subscribes to every type, and excludes
// none, certainly matches.
func (s subscription) takes(typ int, op string) bool {
	return slices.ContainsFunc(s.triggers, func(t trigger) bool {
		if t.op != op || engine.OwnerTypeID(t.entity) == 0 && t.entity != "item" {
			return false
		}
		if t.entity == "item" && t.entityTypeID == 0 {
			return isItemType(typ) && !s.excludesType(typ)
		}
		return typ != 0 && t.itemType == typ
	})
}

// isItemType reports whether the events of a type are those of smart processes.
func isItemType(typ int) bool {
	return typ == 0 || typ == schemas.TypeSmartInvoice || typ >= schemas.FirstDynamicType
}

// excludesType reports whether the rule's condition excludes items of a type.
func (s subscription) excludesType(typ int) bool {
	return s.asksType && (typ == 0 || !slices.ContainsFunc(s.conditions, func(c string) bool {
		return strings.HasPrefix(c, `(event["entityTypeId"] == `+strconv.Itoa(typ)+")")
	}))
}

// cycleLink is one link of a cycle: what was written, and the operation that the event
// reports.
type cycleLink struct {
	e  *effect
	op string
}

// cyclesOf finds the shortest cycles through an effect: one in which every link adds
// items, and one of any kind.
func (g *cycleGraph) cyclesOf(e *effect) []Cycle {
	var out []Cycle
	if e.Adds && e.grows {
		if way := g.way(e, true); way != nil {
			return append(out, g.cycle(way, true))
		}
	}
	way := g.way(e, false)
	if way == nil {
		return out
	}
	out = append(out, g.cycle(way, false))
	if out[0].Terminates {
		if way := g.nonTerminatingWay(e); way != nil {
			if r := g.cycle(way, false); !r.Terminates {
				out = append(out, r)
			}
		}
	}
	return out
}

// way is a breadth-first search from the events that e causes back to e's own list of
// steps. With onlyAdds, every link must add items.
func (g *cycleGraph) way(e *effect, onlyAdds bool) []cycleLink {
	type visit struct {
		node cycleNode
		way  []cycleLink
	}
	home := cycleNode{e.rule, e.deleted}
	seen := map[cycleNode]bool{}
	var queue []visit
	push := func(e *effect, way []cycleLink) []cycleLink {
		for _, op := range e.ops() {
			if onlyAdds && (op != schemas.OpAdd || !e.grows) {
				continue
			}
			if g.reaches(e, op, home) { // checked first, so that not all subscribers are compared
				return append(slices.Clone(way), cycleLink{e, op})
			}
			for _, n := range g.subscribers(e, op) {
				if !share(e.rule.portals, n.rule.portals) {
					continue
				}
				if !seen[n] {
					seen[n] = true
					queue = append(queue, visit{n, append(slices.Clone(way), cycleLink{e, op})})
				}
			}
		}
		return nil
	}
	if way := push(e, nil); way != nil {
		return way
	}
	for len(queue) > 0 {
		v := queue[0]
		queue = queue[1:]
		for _, next := range g.of[v.node] {
			if way := push(next, v.way); way != nil {
				return way
			}
		}
	}
	return nil
}

// reaches reports whether the event of an effect starts a list of steps.
func (g *cycleGraph) reaches(e *effect, op string, n cycleNode) bool {
	return starts(e, n.rule, op) && n.deleted == (op == schemas.OpDelete) && share(e.rule.portals, n.rule.portals)
}

// share reports whether two rules serve a common portal.
func share(a, b []string) bool {
	return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(p string) bool { return slices.Contains(b, p) })
}

// cycle describes a cycle and decides whether it terminates.
func (g *cycleGraph) cycle(way []cycleLink, onlyAdds bool) Cycle {
	r := Cycle{last: way[len(way)-1].e}
	files := map[string]bool{}
	var links []any
	for _, l := range way {
		r.Rules = append(r.Rules, l.e.rule.id)
		files[l.e.rule.set.file] = true
		links = append(links, l.words())
	}
	r.onlyStarts = !slices.ContainsFunc(way, func(l cycleLink) bool { return l.e.Kind != engine.TouchRule })
	if !onlyAdds {
		g.judge(&r, way)
	} else {
		r.Terminates, r.adds, r.last = false, true, way[0].e
		r.Why = diag.Phrasef("each new item triggers it again")
		r.sure = len(way) == 1 && !r.last.step.conditional && !r.last.rule.conditional
	}
	links = append(links, way[0].e.rule.id)
	r.Chain, r.files = diag.Phrase{Format: strings.Repeat("%s → ", len(way)) + "rule %s", Args: links}, len(files)
	if r.blame == (place{}) {
		r.blame = r.last.blame
	}
	r.Pos = r.blame.Pos
	return r
}

// judge decides whether a cycle terminates. It continues only if each rule finds
// something to write in each pass: because its values differ each time, or because
// they are computed from what the rule before it wrote.
func (g *cycleGraph) judge(r *Cycle, way []cycleLink) {
	var reason diag.Phrase
	var source *effect
	var changer *effect
	var changed *place
	for i, l := range way {
		before := way[(i+len(way)-1)%len(way)].e
		why := l.e.keepsGoing(l.op)
		if !why.Empty() && reason.Empty() {
			reason, source = why, l.e
		}
		depends, at := l.e.passesOn(before)
		if at != nil && changed == nil {
			changer, changed = l.e, at
		}
		if why.Empty() && !depends {
			r.Terminates = true
			r.Why = diag.Phrasef("rule %s finds no difference in a second pass and writes nothing", l.e.rule.id)
			return
		}
	}
	switch {
	case !reason.Empty():
		r.Why, r.last = reason, source
	case len(way) == 1 || changed == nil:
		r.Terminates, r.Why = true, diag.Phrasef("a second pass computes the same values and writes nothing")
	default:
		r.Why = diag.Phrasef("each computes its values from what the other wrote")
		r.last, r.blame = changer, *changed
	}
}

// words describes one link of a chain.
func (l cycleLink) words() diag.Phrase {
	doing := map[string]diag.Phrase{schemas.OpAdd: diag.Phrasef("adds"), schemas.OpUpdate: diag.Phrasef("changes"), schemas.OpDelete: diag.Phrasef("deletes")}[l.op]
	if l.e.Kind == engine.TouchRule {
		return diag.Phrasef("rule %s starts rule %s (line %d)", l.e.rule.id, l.e.Event, l.e.step.line)
	}
	what, code := typeWords(l.e.typ), eventCode(l.e.typ, l.op)
	if l.e.Kind == engine.TouchOther {
		what, code = diag.Phrasef("records"), l.e.Event
	}
	return diag.Phrasef("rule %s %s %s (%s, line %d) → %s", l.e.rule.id, doing, what, l.e.step.action, l.e.step.line, code)
}

// typeWords names the items of a type.
func typeWords(typ int) diag.Phrase {
	switch o := schemas.OwnerByType(typ); {
	case typ == 0:
		return diag.Phrasef("items")
	case typ >= schemas.FirstDynamicType || o.Name == "":
		return diag.Phrasef("items of type %d", typ)
	case o.Name == "company":
		return diag.Phrasef("companies")
	default:
		return diag.Phrase{Format: strings.ReplaceAll(o.Name, "_", " ") + "s"}
	}
}

// eventCode is the event of an operation on items of a type.
func eventCode(typ int, op string) string {
	if isItemType(typ) {
		return "ONCRMDYNAMICITEM" + strings.ToUpper(op)
	}
	return "ONCRM" + strings.ToUpper(schemas.OwnerByType(typ).Name) + strings.ToUpper(op)
}

// hintWayOut says in the hint of a finding how to end a cycle. onlyAdds says that each
// link of the cycle adds items.
func (e *effect) hintWayOut(f *diag.Finding, onlyAdds bool) {
	switch {
	case e.Kind == engine.TouchRule:
		f.Hint = "give a start entered, once or at, so that it runs only after a change"
	case onlyAdds && slices.ContainsFunc(e.rule.triggers, func(t trigger) bool { return t.entity == "item" && t.entityTypeID == 0 }):
		f.Hint = "add entityTypeId to on"
	case onlyAdds && e.Kind == engine.TouchOther:
		f.Hint = "give the step a when that excludes what the rule itself adds"
	case onlyAdds && e.Which == "":
		f.Hintf("use %s: it finds an item before it adds one", e.action(func(t engine.Touch) bool { return t.Adds && t.Which != "" && !t.Deletes }))
	case onlyAdds:
		f.Hint = "add items of another type, or give the step a when that excludes its own items"
	case !e.Compares && e.Updates:
		f.Hintf("use %s: it writes only what differs; or add once", e.action(func(t engine.Touch) bool { return t.Updates && t.Compares && !t.Adds }))
	default:
		f.Hint = "give the step a when that is false the second time, or once"
	}
}

// action names an action for items whose touch is suitable.
func (e *effect) action(suitable func(engine.Touch) bool) diag.Phrase {
	for _, a := range e.rule.set.actions {
		if a.Touches != nil && slices.ContainsFunc(a.Touches(engine.NewArgTypes()), func(t engine.Touch) bool {
			return t.Kind == engine.TouchItems && suitable(t)
		}) {
			return diag.Phrasef("%s", a.Name)
		}
	}
	return diag.Phrasef("an action")
}
