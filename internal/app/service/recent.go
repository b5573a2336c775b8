package service

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/run"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/catchup"
	"github.com/b24rules/b24rules/internal/queue"
)

// recent is the portal of a run that no event has started: of a first look, a sync or a
// catch-up. It notes when the entity has last changed. If that was a moment ago, the event
// of the change may still be on its way, and its run would see nothing new if this one
// remembered what it has read. So this one waits, and an event that comes joins it.
type recent struct {
	engine.Portal
	entity engine.Entity
	// listings says that the items of listings count, too: the rule has no own events,
	// and is started because such an item has changed.
	listings bool
	clock    *portalClock
	delay    time.Duration // how long an event may be on its way
	until    time.Time     // after which the run waits no more

	mu     sync.Mutex
	latest time.Time // by the portal's clock; zero when no answer says it
}

// mostDelays bounds how long a run waits for events, because something may change an entity
// all the time without an event.
const mostDelays = 10

// waitForEvents makes a run wait for the events of changes that it has read.
func waitForEvents(out *run.Run, p *Portal, r *queue.Run, rule *engine.Rule, limits config.Limits) {
	delay := limits.EventsArrive()
	w := &recent{
		Portal: out.Client, entity: out.Entity, listings: len(rule.Triggers) == 0, clock: p.clock, delay: delay,
		until: r.First.Add(mostDelays * delay),
	}
	out.Client, out.Arrived = w, w.arrived
}

// methodItems is the listing whose rows may count.
const methodItems = "crm.item.list"

// Do sends the calls, and notes when the entity has changed.
func (w *recent) Do(ctx context.Context, calls ...bitrix.Call) []bitrix.Answer {
	asked := slices.Clone(calls)
	for i := range asked {
		asked[i] = w.withChange(asked[i])
	}
	answers := w.Portal.Do(ctx, asked...)
	for i, c := range calls {
		if answers[i].Err == nil && w.counts(c) {
			w.note(answers[i].Result)
		}
	}
	return answers
}

// List reads a listing, and notes when its items have changed.
func (w *recent) List(ctx context.Context, call bitrix.Call, wrapper string) ([]json.RawMessage, error) {
	rows, err := w.Portal.List(ctx, w.withChange(call), wrapper)
	if w.counts(call) {
		for _, row := range rows {
			w.note(row)
		}
	}
	return rows, err
}

// counts reports whether a call reads what has to be older than the events on their way.
func (w *recent) counts(c bitrix.Call) bool {
	id := func(name string) bool { return fmt.Sprint(c.Params[name]) == w.entity.ID }
	switch c.Method {
	case methodItems:
		return w.listings
	case "crm.item.get":
		return id("id") && fmt.Sprint(c.Params["entityTypeId"]) == fmt.Sprint(w.entity.TypeID)
	case "crm." + w.entity.Kind + ".get":
		return id("id") || id("ID")
	}
	return false
}

// withChange makes a listing that counts answer with the times of changes.
func (w *recent) withChange(c bitrix.Call) bitrix.Call {
	if !w.listings {
		return c
	}
	return withTimes(c)
}

// changeTime finds the times of changes in an answer. A text in it has its quotes escaped.
var changeTime = regexp.MustCompile(`"(?:updatedTime|DATE_MODIFY)"\s*:\s*"([^"\\]+)"`)

func (w *recent) note(answer json.RawMessage) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, found := range changeTime.FindAllSubmatch(answer, -1) {
		if t, err := time.Parse(time.RFC3339, string(found[1])); err == nil && t.After(w.latest) {
			w.latest = t
		}
	}
}

// arrived returns a *run.TooSoonError while the event of a change may be on its way.
func (w *recent) arrived(ctx context.Context) error {
	w.mu.Lock()
	latest := w.latest
	w.mu.Unlock()
	now := time.Now()
	if latest.IsZero() || now.After(w.until) {
		return nil
	}
	lead, err := w.clock.lead(ctx, w.Portal)
	if err != nil {
		return fmt.Errorf("read the portal's clock: %w", err)
	}
	changed := latest.Add(time.Second - lead) // the portal cuts the second
	until := changed.Add(w.delay)
	if !now.Before(until) || changed.After(now.Add(w.delay)) { // no clock of the present has written the latter
		return nil
	}
	return &run.TooSoonError{Until: until}
}

// readClockAgain is how long a comparison of two clocks holds.
const readClockAgain = 10 * time.Minute

// portalClock compares the clock of a portal with that of this machine.
type portalClock struct {
	mu   sync.Mutex
	read time.Time // when; zero before the first time
	by   time.Duration
}

// lead returns how far the portal's clock is ahead, at most a second too little, because the portal
// answers in seconds.
func (c *portalClock) lead(ctx context.Context, p catchup.Portal) (time.Duration, error) {
	c.mu.Lock()
	read, by := c.read, c.by
	c.mu.Unlock()
	if !read.IsZero() && time.Since(read) < readClockAgain {
		return by, nil
	}
	now, err := catchup.Now(ctx, p) // without the lock: the portal may take its time, and two answers are as good as one
	if err != nil {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read, c.by = time.Now(), time.Until(now)
	return c.by, nil
}
