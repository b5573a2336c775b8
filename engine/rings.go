package engine

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/schemas"
)

// Ring is a way in which what a rule writes comes back to it as an event.
type Ring struct {
	// Rules are the rules of the ring by their ids, in order.
	Rules []string
	// Chain tells the way in words: rule, what it writes, event, rule.
	Chain string
	// Settles says that the ring comes to rest by itself, and Why how, or what
	// keeps it going.
	Settles bool
	Why     string
	// Pos is the place in the file that keeps the ring going, or the step that
	// closes it.
	Pos diag.Pos

	files int
	last  *effect
	blame *yaml.Node
	sure  bool // it never settles
	// births says that each pass adds an item.
	births bool
}

// Rings lists the rings among the rules of some sets: for each step that writes
// what some rule hears, the shortest way back to it, and where that settles, the
// shortest that does not. Those that settle, because what is as wished already is
// not written again, are listed too.
func Rings(sets []*RuleSet) []Ring {
	g := newRingGraph(sets)
	var out []Ring
	seen := map[string]bool{}
	for _, e := range g.effects {
		for _, r := range g.ringsOf(e) {
			if key := fmt.Sprint(slices.Sorted(slices.Values(r.Rules)), r.Settles, r.Why); !seen[key] {
				seen[key] = true
				out = append(out, r)
			}
		}
	}
	return out
}

// checkRings reports the rings that may not settle; across says whether those
// that pass through several files are wanted, or those within one.
func checkRings(sets []*RuleSet, across bool) diag.List {
	var list diag.List
	for _, r := range Rings(sets) {
		if r.Settles || across != (r.files > 1) {
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
		f.Hint = r.last.wayOut(r.births)
		list.Add(*ended(r.last.rule.Set.Source, r.blame, &f))
	}
	return list
}

// ringNode is a rule with one of its lists of steps.
type ringNode struct {
	rule    *Rule
	deleted bool
}

// ringGraph joins rules by what they write and hear.
type ringGraph struct {
	effects []*effect
	of      map[ringNode][]*effect
	rules   []*Rule
	heard   map[string][]ringNode // by type and operation
	flows   map[*Rule]*Flow
	budget  int               // of pairs of effects that are still looked at
	restive map[ringLink]bool // known of a link: it writes again whatever came before
	passive map[*effect]bool  // known with it: what it writes depends on nothing
}

// maxPairs bounds the search for rings that do not settle: so many rules that
// hear each other have no simple answer.
const maxPairs = 100_000

func newRingGraph(sets []*RuleSet) *ringGraph {
	g := &ringGraph{
		of: map[ringNode][]*effect{}, heard: map[string][]ringNode{}, flows: map[*Rule]*Flow{},
		budget: maxPairs, restive: map[ringLink]bool{}, passive: map[*effect]bool{},
	}
	for _, s := range sets {
		for _, r := range s.Rules {
			g.rules = append(g.rules, r)
			g.flows[r] = NewFlow(r)
			for _, e := range r.effects(nil) {
				if e.Kind != TouchItems {
					continue
				}
				n := ringNode{r, e.deleted}
				g.of[n] = append(g.of[n], &e)
				g.effects = append(g.effects, &e)
			}
		}
	}
	return g
}

// hearers are the rules that hear an operation on the items of a type.
func (g *ringGraph) hearers(typ int, op string) []ringNode {
	key := op + numInt(typ).String()
	out, ok := g.heard[key]
	if !ok {
		for _, r := range g.rules {
			if _, hears := r.hearsItem(typ, op); hears {
				out = append(out, ringNode{r, op == schemas.OpDelete})
			}
		}
		g.heard[key] = out
	}
	return out
}

// hearsItem finds the trigger by which the rule hears an operation on items of
// a type. A type of 0 is one that nothing is known of: only a rule that hears
// every type, and asks for none, is sure to hear it.
func (r *Rule) hearsItem(typ int, op string) (Trigger, bool) {
	for _, t := range r.Triggers {
		if t.Op != op || OwnerTypeID(t.Entity) == 0 && t.Entity != "item" {
			continue
		}
		anyType := t.Entity == "item" && t.EntityTypeID == 0
		switch {
		case anyType && isItemType(typ) && !r.asksType(typ):
			return t, true
		case !anyType && typ != 0 && t.itemType() == typ:
			return t, true
		}
	}
	return Trigger{}, false
}

// isItemType tells types whose events are those of smart processes.
func isItemType(typ int) bool {
	return typ == 0 || typ == schemas.TypeSmartInvoice || typ >= schemas.FirstDynamicType
}

// asksType reports whether the rule's condition keeps items of a type out.
func (r *Rule) asksType(typ int) bool {
	asks, own := false, false
	r.When.Paths(func(p string) { asks = asks || p == NameEvent+".entityTypeId" || p == NameEvent })
	if !asks {
		return false
	}
	for _, c := range r.When.Conjuncts() {
		own = own || typ != 0 && strings.HasPrefix(c, `(event["entityTypeId"] == `+numInt(typ).String()+")")
	}
	return !own
}

// ringLink is one step of a ring: what was written, and the operation heard.
type ringLink struct {
	e  *effect
	op string
}

// ringsOf finds the shortest ways from an effect back to its own rule: one of
// births only, and one of any kind.
func (g *ringGraph) ringsOf(e *effect) []Ring {
	var out []Ring
	if e.Adds && e.grows() {
		if way := g.way(e, true); way != nil {
			return append(out, g.ring(way, true))
		}
	}
	way := g.way(e, false)
	if way == nil {
		return out
	}
	out = append(out, g.ring(way, false))
	if out[0].Settles {
		if way := g.restlessWay(e); way != nil {
			if r := g.ring(way, false); !r.Settles {
				out = append(out, r)
			}
		}
	}
	return out
}

// way is a breadth-first search from what e causes back to e's own list of
// steps.
func (g *ringGraph) way(e *effect, births bool) []ringLink {
	type visit struct {
		node ringNode
		way  []ringLink
	}
	home := ringNode{e.rule, e.deleted}
	seen := map[ringNode]bool{}
	var queue []visit
	push := func(e *effect, way []ringLink) []ringLink {
		for _, op := range e.ops() {
			if births && (op != schemas.OpAdd || !e.grows()) {
				continue
			}
			if g.reaches(e, op, home) { // without a look at all that hear it
				return append(slices.Clone(way), ringLink{e, op})
			}
			for _, n := range g.hearers(e.typ, op) {
				if !share(e.rule.Portals, n.rule.Portals) {
					continue
				}
				if !seen[n] {
					seen[n] = true
					queue = append(queue, visit{n, append(slices.Clone(way), ringLink{e, op})})
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
func (g *ringGraph) reaches(e *effect, op string, n ringNode) bool {
	_, hears := n.rule.hearsItem(e.typ, op)
	return hears && n.deleted == (op == schemas.OpDelete) && share(e.rule.Portals, n.rule.Portals)
}

// share reports whether two rules serve a portal together.
func share(a, b []string) bool {
	return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(p string) bool { return slices.Contains(b, p) })
}

// ring judges a way back.
func (g *ringGraph) ring(way []ringLink, births bool) Ring {
	r := Ring{last: way[len(way)-1].e}
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
		r.Settles, r.births, r.last = false, true, way[0].e
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
func (g *ringGraph) judge(r *Ring, way []ringLink) {
	fresh, source := "", (*effect)(nil)
	var changer *effect
	var changed *yaml.Node
	for i, l := range way {
		f, before := g.flows[l.e.rule], way[(i+len(way)-1)%len(way)].e
		why := f.keepsGoing(l.e, l.op)
		if why != "" && fresh == "" {
			fresh, source = why, l.e
		}
		carries, at := f.carries(l.e, before)
		if at != nil && changed == nil {
			changer, changed = l.e, at
		}
		if why == "" && !carries {
			r.Settles = true
			r.Why = fmt.Sprintf("rule %s finds everything as it should be in a second pass and writes nothing", l.e.rule.ID)
			return
		}
	}
	switch {
	case fresh != "":
		r.Why, r.last = fresh, source
	case len(way) == 1 || changed == nil:
		r.Settles, r.Why = true, "a second pass computes the same values and writes nothing"
	default:
		r.Why = "each computes its values from what the other wrote"
		r.last, r.blame = changer, changed
	}
}

// words tells one link of a chain.
func (l ringLink) words(births bool) string {
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
