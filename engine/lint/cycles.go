package lint

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/schemas"
)

// Cycle is a way in which what a rule writes comes back to it as an event.
type Cycle struct {
	// Rules are the rules of the ring by their ids, in order.
	Rules []string
	// Chain tells the way in words: rule, what it writes, event, rule.
	Chain string
	// Terminates says that the ring comes to rest by itself, and Why how, or what
	// keeps it going.
	Terminates bool
	Why        string
	// Pos is the place in the file that keeps the ring going, or the step that
	// closes it.
	Pos diag.Pos

	files int
	last  *effect
	blame *yaml.Node
	sure  bool // it never settles
	// adds says that each pass adds an item.
	adds bool
}

// Cycles lists the rings among the rules of some sets: for each step that writes
// what some rule hears, the shortest way back to it, and where that settles, the
// shortest that does not. Those that settle, because what is as wished already is
// not written again, are listed too.
func Cycles(sets []*engine.RuleSet) []Cycle {
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

// checkCycles reports the rings that may not settle; across says whether those
// that pass through several files are wanted, or those within one.
func checkCycles(sets []*engine.RuleSet, across bool) diag.List {
	var list diag.List
	for _, r := range Cycles(sets) {
		if r.Terminates || across != (r.files > 1) {
			continue
		}
		f := diag.Finding{Pos: r.Pos, Severity: diag.Warning, Code: "ring"}
		f.Message = fmt.Sprintf("rules %s may start each other without end, because %s: %s", strings.Join(r.Rules, " and "), r.Why, r.Chain)
		if len(r.Rules) == 1 {
			f.Code = "self-trigger"
			f.Message = fmt.Sprintf("rule %s may start itself without end, because %s: %s", r.Rules[0], r.Why, r.Chain)
		}
		if r.sure {
			f.Severity = diag.Error
			f.Message = fmt.Sprintf("rule %s starts itself without end, because %s: %s", r.Rules[0], r.Why, r.Chain)
		}
		f.Hint = r.last.wayOut(r.adds)
		list.Add(*r.last.rule.Set.Source.WithEnd(r.blame, &f))
	}
	return list
}

// cycleNode is a rule with one of its lists of steps.
type cycleNode struct {
	rule    *engine.Rule
	deleted bool
}

// cycleGraph joins rules by what they write and hear.
type cycleGraph struct {
	effects    []*effect
	of         map[cycleNode][]*effect
	rules      []*engine.Rule
	subscribed map[string][]cycleNode // by type and operation
	flows      map[*engine.Rule]*flow
	budget     int                // of pairs of effects that are still looked at
	repeating  map[cycleLink]bool // known of a link: it writes again whatever came before
	passive    map[*effect]bool   // known with it: what it writes depends on nothing
}

// maxPairs bounds the search for rings that do not settle: so many rules that
// hear each other have no simple answer.
const maxPairs = 100_000

func newCycleGraph(sets []*engine.RuleSet) *cycleGraph {
	g := &cycleGraph{
		of: map[cycleNode][]*effect{}, subscribed: map[string][]cycleNode{}, flows: map[*engine.Rule]*flow{},
		budget: maxPairs, repeating: map[cycleLink]bool{}, passive: map[*effect]bool{},
	}
	for _, s := range sets {
		for _, r := range s.Rules {
			g.rules = append(g.rules, r)
			g.flows[r] = newFlow(r)
			for _, e := range effectsOf(r, nil) {
				if e.Kind != engine.TouchItems {
					continue
				}
				n := cycleNode{r, e.deleted}
				g.of[n] = append(g.of[n], &e)
				g.effects = append(g.effects, &e)
			}
		}
	}
	return g
}

// subscribers are the rules that hear an operation on the items of a type.
func (g *cycleGraph) subscribers(typ int, op string) []cycleNode {
	key := op + strconv.Itoa(typ)
	out, ok := g.subscribed[key]
	if !ok {
		for _, r := range g.rules {
			if _, hears := subscribesTo(r, typ, op); hears {
				out = append(out, cycleNode{r, op == schemas.OpDelete})
			}
		}
		g.subscribed[key] = out
	}
	return out
}

// subscribesTo finds the trigger by which the rule hears an operation on items of
// a type. A type of 0 is one that nothing is known of: only a rule that hears
// every type, and asks for none, is sure to hear it.
func subscribesTo(r *engine.Rule, typ int, op string) (engine.Trigger, bool) {
	for _, t := range r.Triggers {
		if t.Op != op || engine.OwnerTypeID(t.Entity) == 0 && t.Entity != "item" {
			continue
		}
		anyType := t.Entity == "item" && t.EntityTypeID == 0
		switch {
		case anyType && isItemType(typ) && !excludesType(r, typ):
			return t, true
		case !anyType && typ != 0 && t.ItemType() == typ:
			return t, true
		}
	}
	return engine.Trigger{}, false
}

// isItemType tells types whose events are those of smart processes.
func isItemType(typ int) bool {
	return typ == 0 || typ == schemas.TypeSmartInvoice || typ >= schemas.FirstDynamicType
}

// excludesType reports whether the rule's condition keeps items of a type out.
func excludesType(r *engine.Rule, typ int) bool {
	asks, own := false, false
	r.When.Paths(func(p string) { asks = asks || p == engine.NameEvent+".entityTypeId" || p == engine.NameEvent })
	if !asks {
		return false
	}
	for _, c := range r.When.Conjuncts() {
		own = own || typ != 0 && strings.HasPrefix(c, `(event["entityTypeId"] == `+strconv.Itoa(typ)+")")
	}
	return !own
}

// cycleLink is one step of a ring: what was written, and the operation heard.
type cycleLink struct {
	e  *effect
	op string
}

// cyclesOf finds the shortest ways from an effect back to its own rule: one of
// births only, and one of any kind.
func (g *cycleGraph) cyclesOf(e *effect) []Cycle {
	var out []Cycle
	if e.Adds && e.grows() {
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

// way is a breadth-first search from what e causes back to e's own list of
// steps.
func (g *cycleGraph) way(e *effect, births bool) []cycleLink {
	type visit struct {
		node cycleNode
		way  []cycleLink
	}
	home := cycleNode{e.rule, e.deleted}
	seen := map[cycleNode]bool{}
	var queue []visit
	push := func(e *effect, way []cycleLink) []cycleLink {
		for _, op := range e.ops() {
			if births && (op != schemas.OpAdd || !e.grows()) {
				continue
			}
			if g.reaches(e, op, home) { // without a look at all that hear it
				return append(slices.Clone(way), cycleLink{e, op})
			}
			for _, n := range g.subscribers(e.typ, op) {
				if !share(e.rule.Portals, n.rule.Portals) {
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

// reaches reports whether what e does starts a list of steps.
func (g *cycleGraph) reaches(e *effect, op string, n cycleNode) bool {
	_, hears := subscribesTo(n.rule, e.typ, op)
	return hears && n.deleted == (op == schemas.OpDelete) && share(e.rule.Portals, n.rule.Portals)
}

// share reports whether two rules serve a portal together.
func share(a, b []string) bool {
	return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(p string) bool { return slices.Contains(b, p) })
}

// cycle judges a way back.
func (g *cycleGraph) cycle(way []cycleLink, births bool) Cycle {
	r := Cycle{last: way[len(way)-1].e}
	files := map[string]bool{}
	var chain []string
	for _, l := range way {
		r.Rules = append(r.Rules, l.e.rule.ID)
		files[l.e.rule.Set.File] = true
		chain = append(chain, l.words(births))
	}
	if !births {
		g.judge(&r, way)
	} else {
		r.Terminates, r.adds, r.last = false, true, way[0].e
		r.Why = "each new item starts it again"
		r.sure = len(way) == 1 && r.last.step.When == nil && r.last.rule.When == nil
	}
	chain = append(chain, "rule "+way[0].e.rule.ID)
	r.Chain, r.files = strings.Join(chain, " → "), len(files)
	if r.blame == nil {
		r.blame = r.last.blame()
	}
	r.Pos = r.last.rule.Set.Source.Pos(r.blame)
	return r
}

// judge tells whether a ring settles. It goes on only if every rule of it finds
// something to write in every pass: because its values are fresh each time, or
// because they are made of what the rule before it wrote.
func (g *cycleGraph) judge(r *Cycle, way []cycleLink) {
	fresh, source := "", (*effect)(nil)
	var changer *effect
	var changed *yaml.Node
	for i, l := range way {
		f, before := g.flows[l.e.rule], way[(i+len(way)-1)%len(way)].e
		why := f.keepsGoing(l.e, l.op)
		if why != "" && fresh == "" {
			fresh, source = why, l.e
		}
		carries, at := f.passesOn(l.e, before)
		if at != nil && changed == nil {
			changer, changed = l.e, at
		}
		if why == "" && !carries {
			r.Terminates = true
			r.Why = fmt.Sprintf("rule %s finds everything as it should be in a second pass and writes nothing", l.e.rule.ID)
			return
		}
	}
	switch {
	case fresh != "":
		r.Why, r.last = fresh, source
	case len(way) == 1 || changed == nil:
		r.Terminates, r.Why = true, "a second pass computes the same values and writes nothing"
	default:
		r.Why = "each computes its values from what the other wrote"
		r.last, r.blame = changer, changed
	}
}

// words tells one link of a chain.
func (l cycleLink) words(births bool) string {
	doing := map[string]string{schemas.OpAdd: "adds", schemas.OpUpdate: "changes", schemas.OpDelete: "deletes"}[l.op]
	return fmt.Sprintf("rule %s %s %s (%s, line %d) → %s", l.e.rule.ID, doing, typeWords(l.e.typ), l.e.step.Action.Name, l.e.step.Pos.Line, eventWords(l.e.typ, l.op))
}

// typeWords names the items of a type.
func typeWords(typ int) string {
	switch o := schemas.OwnerByType(typ); {
	case typ == 0:
		return "items"
	case typ >= schemas.FirstDynamicType:
		return fmt.Sprintf("items of type %d", typ)
	case o.Name == "company":
		return "companies"
	case o.Name != "":
		return strings.ReplaceAll(o.Name, "_", " ") + "s"
	}
	return fmt.Sprintf("items of type %d", typ)
}

func eventWords(typ int, op string) string {
	if isItemType(typ) {
		return "ONCRMDYNAMICITEM" + strings.ToUpper(op)
	}
	return "ONCRM" + strings.ToUpper(schemas.OwnerByType(typ).Name) + strings.ToUpper(op)
}
