package service

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
)

const (
	// mostUnstored is how many events of a portal are kept in memory. More are only
	// caught up.
	mostUnstored = 10_000
	// storeAgain is how often they are tried.
	storeAgain = time.Second
)

// unstored keeps proven events that got 503 because the database did not take them: the
// portal does not send them again. They are stored as soon as the database takes them.
// When the process ends before that, the catch-up over this time remains.
type unstored struct {
	store func(ctx context.Context, e journal.Event) error
	log   *slog.Logger

	flushing sync.Mutex // one flush at a time: run and the end of the process call it
	mu       sync.Mutex
	byPortal map[string][]journal.Event
}

// keep keeps an event.
func (u *unstored) keep(e journal.Event) {
	if e.Received.IsZero() {
		e.Received = time.Now()
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.byPortal == nil {
		u.byPortal = map[string][]journal.Event{}
	}
	if len(u.byPortal[e.Portal]) < mostUnstored {
		u.byPortal[e.Portal] = append(u.byPortal[e.Portal], e)
	}
}

// flush stores what is kept, the oldest first, until that fails.
func (u *unstored) flush(ctx context.Context) {
	u.flushing.Lock()
	defer u.flushing.Unlock()
	for _, portal := range u.portals() {
		n := 0
		for {
			e, ok := u.first(portal)
			if !ok || u.store(ctx, e) != nil {
				break
			}
			u.drop(portal)
			n++
		}
		if n > 0 {
			u.log.Info("stored events that the database did not take before", "portal", portal, "events", n)
		}
	}
}

func (u *unstored) portals() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	var all []string
	for portal := range u.byPortal {
		all = append(all, portal)
	}
	return all
}

func (u *unstored) first(portal string) (journal.Event, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if all := u.byPortal[portal]; len(all) > 0 {
		return all[0], true
	}
	return journal.Event{}, false
}

func (u *unstored) drop(portal string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.byPortal[portal] = u.byPortal[portal][1:]; len(u.byPortal[portal]) == 0 {
		delete(u.byPortal, portal)
	}
}
