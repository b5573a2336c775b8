package service

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/run"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/queue"
)

// listed is the portal of a run that another rule has started, such as one that adds up the deals
// of a company. It notes which items the run lists. If an item has changed a moment ago and no
// run for it has named this entity, its event is on its way. It may leave this entity before its
// first run, which then names only the other one, and nothing would start this run again. So the
// memory of that item's rules gets this entity: their next run, whenever it comes, starts this one once
// more if it does not name the entity. A run of the item that is running now does not see that, so this
// one is repeated, too, unless the event comes before and starts it.
type listed struct {
	engine.Portal

	mu      sync.Mutex
	changed map[engine.Entity]time.Time // by the portal's clock
}

// mostListed bounds how many items are looked up. With more, the run is repeated.
const mostListed = 100

// Do sends the calls, and notes the items that they list.
func (l *listed) Do(ctx context.Context, calls ...bitrix.Call) []bitrix.Answer {
	asked := slices.Clone(calls)
	for i := range asked {
		asked[i] = withTimes(asked[i])
	}
	answers := l.Portal.Do(ctx, asked...)
	for i, c := range calls {
		var page struct {
			Items []json.RawMessage `json:"items"`
		}
		if c.Method == methodItems && answers[i].Err == nil && json.Unmarshal(answers[i].Result, &page) == nil {
			l.note(c, page.Items)
		}
	}
	return answers
}

// List reads a listing, and notes its items.
func (l *listed) List(ctx context.Context, call bitrix.Call, wrapper string) ([]json.RawMessage, error) {
	rows, err := l.Portal.List(ctx, withTimes(call), wrapper)
	if call.Method == methodItems {
		l.note(call, rows)
	}
	return rows, err
}

// withTimes makes a listing of items answer with the times of their changes.
func withTimes(c bitrix.Call) bitrix.Call {
	names, ok := c.Params["select"].([]string)
	if !ok || c.Method != methodItems || slices.Contains(names, "updatedTime") {
		return c
	}
	c.Params = maps.Clone(c.Params)
	c.Params["select"] = append(slices.Clone(names), "updatedTime")
	return c
}

func (l *listed) note(c bitrix.Call, rows []json.RawMessage) {
	typ, err := strconv.Atoi(fmt.Sprint(c.Params["entityTypeId"]))
	if err != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, row := range rows {
		var item struct {
			ID      bitrix.ID `json:"id"`
			Updated time.Time `json:"updatedTime"`
		}
		if json.Unmarshal(row, &item) != nil || item.Updated.IsZero() {
			continue // smart processes of some portals have no such time
		}
		if l.changed == nil {
			l.changed = map[engine.Entity]time.Time{}
		}
		l.changed[engine.EntityOfType(typ, strconv.Itoa(int(item.ID)))] = item.Updated
	}
}

// again returns when the run must be repeated, the zero time if no event is on its way.
func (l *listed) again(ctx context.Context, p *Portal, r *queue.Run, gen *fleet.Generation, delay time.Duration) (until time.Time, err error) {
	l.mu.Lock()
	changed := maps.Clone(l.changed)
	l.mu.Unlock()
	if len(changed) == 0 {
		return until, nil
	}
	lead, err := p.clock.lead(ctx, l.Portal)
	if err != nil {
		return until, fmt.Errorf("read the portal's clock: %w", err)
	}
	now := time.Now()
	looked := 0
	for entity, at := range changed {
		at = at.Add(time.Second - lead) // the portal cuts the second
		arrived := at.Add(delay)
		if !now.Before(arrived) || at.After(now.Add(delay)) { // no clock of the present has written the latter
			continue
		}
		if looked++; looked > mostListed {
			until = later(until, arrived)
			continue
		}
		added, err := nameIn(ctx, r, gen, entity)
		if err != nil {
			return until, err
		}
		if added {
			until = later(until, arrived)
		}
	}
	return until, nil
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// nameIn adds the entity of a run to those that the rules of an item have started, if none of them has
// named it. It reports whether it did.
func nameIn(ctx context.Context, r *queue.Run, gen *fleet.Generation, item engine.Entity) (added bool, err error) {
	type change struct {
		memory          *queue.Memory
		key, old, value string
	}
	var changes []change
	for rule := range gen.Rules(r.Portal) {
		if !rule.Starts() || !slices.Contains(rule.EventTypes(), item.TypeID) {
			continue
		}
		c := change{memory: r.MemoryOf(rule.ID, item.String())}
		named, err := run.Named(ctx, c.memory)
		if err != nil || slices.Contains(named[r.Rule], r.Entity) {
			return false, err
		}
		var fits bool
		if c.key, c.old, c.value, fits, err = run.Name(ctx, c.memory, r.Rule, r.Entity); err != nil {
			return false, err
		}
		if fits {
			changes = append(changes, c)
		}
	}
	for _, c := range changes {
		if err := c.memory.Replace(ctx, c.key, c.old, c.value); err != nil {
			return false, err
		}
	}
	return len(changes) > 0, nil
}
