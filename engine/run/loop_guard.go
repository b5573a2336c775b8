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
	// maxChain is how many runs may follow from one another by their writes.
	// An honest chain of rules is a handful long.
	maxChain = 25
	// chainMemory is how long after a write its echo is expected.
	chainMemory = time.Minute
)

// LoopGuard cuts rings of runs that keep writing: a run whose entity was
// written by a run, whose entity was written by a run, and so on. The echo of a
// write that finds nothing to change ends a chain by itself, so only rings that
// never settle reach the limit. The zero value is ready; it is safe for
// concurrent use. One guard serves all rules of a portal.
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

// check refuses writes of a run that stands too deep in a chain.
func (g *LoopGuard) check(r *Run, calls []bitrix.Call) error {
	if g == nil || !hasWrite(calls) {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.links[r.Entity.String()]
	if l.depth >= maxChain && time.Since(l.at) < chainMemory {
		return engine.ParkError("%d runs have followed from one another, each by the write of the one before (the last by rule %s): the rules form a ring that does not settle", l.depth, l.rule)
	}
	return nil
}

// note remembers the entities that a run wrote.
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

// sweep forgets old links once there are many.
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

// written tells which CRM entity a call has changed. Lists send no events, so
// their writes cannot close a ring.
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

// entityOfType names an item as the events of its type do: a deal changed
// through crm.item.update sends the deal's own event.
func entityOfType(typ, id string) (engine.Entity, bool) {
	ent, err := engine.ParseEntity("item:" + typ + ":" + id)
	if err != nil {
		return engine.Entity{}, false
	}
	return canonical(ent), true
}

// canonical names a CRM entity by the kind that its events carry.
func canonical(e engine.Entity) engine.Entity {
	switch e.TypeID {
	case 1, 2, 3, 4, 7:
		e.Kind = schemas.OwnerByType(e.TypeID).Name
	}
	return e
}
