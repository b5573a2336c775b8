package run

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/schemas"
)

// Limits of a LoopGuard.
const (
	// maxChain is how many runs may start each other by their writes. Useful chains of
	// rules are much shorter.
	maxChain = 25
	// chainMemory is how long after a write its event can start a run of the same chain.
	chainMemory = time.Minute
)

// LoopGuard stops cycles of runs that start each other by their writes. A chain ends
// when a run finds nothing to write, so only cycles that do not terminate reach the
// limit. The zero value is ready for use, and safe for concurrent use. All rules of a
// portal share one guard.
type LoopGuard struct {
	mu    sync.Mutex
	links map[string]link
}

// link is the place of an entity in a chain of writes.
type link struct {
	depth int
	at    time.Time
	rule  string
}

// check refuses the writes of a run when its chain is too long.
func (g *LoopGuard) check(r *Run, calls []bitrix.Call) error {
	if !hasWrite(calls) {
		return nil
	}
	return g.checkChain(r, "by their writes ")
}

// checkChain returns an error when the chain of a run is too long. how says how the runs
// have started each other.
func (g *LoopGuard) checkChain(r *Run, how string) error {
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.links[r.Entity.String()]
	if l.depth >= maxChain && time.Since(l.at) < chainMemory {
		return engine.ParkErrorOf(engine.ParkedByCycle, "%d runs have started each other %s(the last is of rule %s): the rules form a cycle that does not terminate", l.depth, how, l.rule)
	}
	return nil
}

// note stores the entities that a run has written.
func (g *LoopGuard) note(r *Run, calls []bitrix.Call, answers []bitrix.Answer) {
	if g == nil || !hasWrite(calls) {
		return
	}
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	depth := 1
	if l, ok := g.links[r.Entity.String()]; ok && now.Sub(l.at) < chainMemory {
		depth = l.depth + 1
	}
	for i, c := range calls {
		if !c.Write || answers[i].Err != nil {
			continue
		}
		if ent, ok := written(c, answers[i].Result); ok {
			if g.links == nil {
				g.links = map[string]link{}
			}
			g.links[ent.String()] = link{depth: depth, at: now, rule: r.rule.ID}
		}
	}
	g.sweep(now)
}

// noteStarts stores the entities for which a run starts others.
func (g *LoopGuard) noteStarts(r *Run, starts []engine.Start) {
	if g == nil {
		return
	}
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	depth := 1
	if l, ok := g.links[r.Entity.String()]; ok && now.Sub(l.at) < chainMemory {
		depth = l.depth + 1
	}
	if g.links == nil {
		g.links = map[string]link{}
	}
	for _, s := range starts {
		g.links[s.Entity.String()] = link{depth: depth, at: now, rule: r.rule.ID}
	}
	g.sweep(now)
}

// sweep removes old links when there are many.
func (g *LoopGuard) sweep(now time.Time) {
	if len(g.links) < 4096 {
		return
	}
	for k, l := range g.links {
		if now.Sub(l.at) > chainMemory {
			delete(g.links, k)
		}
	}
}

func hasWrite(calls []bitrix.Call) bool {
	for _, c := range calls {
		if c.Write {
			return true
		}
	}
	return false
}

// written returns the CRM entity that a call has changed. It ignores writes to lists:
// the portal sends no events for them, so they cannot close a cycle.
func written(c bitrix.Call, result json.RawMessage) (engine.Entity, bool) {
	method := strings.ToLower(c.Method)
	rest, ok := strings.CutPrefix(method, "crm.")
	if !ok {
		return engine.Entity{}, false
	}
	kind, _, _ := strings.Cut(rest, ".")
	id := fmt.Sprint(c.Params["id"])
	if kind != "item" {
		return engine.Entity{Kind: kind, TypeID: engine.OwnerTypeID(kind), ID: id}, engine.OwnerTypeID(kind) != 0
	}
	typ := fmt.Sprint(c.Params["entityTypeId"])
	if method == "crm.item.add" {
		var added struct {
			Item struct {
				ID bitrix.ID `json:"id"`
			} `json:"item"`
		}
		if json.Unmarshal(result, &added) != nil {
			return engine.Entity{}, false
		}
		id = fmt.Sprint(int64(added.Item.ID))
	}
	return entityOfType(typ, id)
}

// entityOfType returns an item as the events of its type name it. For example, the portal
// sends the event of a deal when crm.item.update changes a deal.
func entityOfType(typ, id string) (engine.Entity, bool) {
	ent, err := engine.ParseEntity("item:" + typ + ":" + id)
	if err != nil {
		return engine.Entity{}, false
	}
	return canonical(ent), true
}

// canonical gives a CRM entity the kind that its events have.
func canonical(e engine.Entity) engine.Entity {
	switch e.TypeID {
	case 1, 2, 3, 4, 7:
		e.Kind = schemas.OwnerByType(e.TypeID).Name
	}
	return e
}
