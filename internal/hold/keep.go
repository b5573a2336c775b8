package hold

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/b24rules/b24rules/internal/queue"
)

const (
	// look is how often the stored holds are read while there is one: a person may
	// have asked for a probe, or this process may have taken over a held portal.
	look = 2 * time.Second
	// idleLook is how often they are read otherwise.
	idleLook = 30 * time.Second
)

// Keep probes held portals and stopped rules until ctx ends. It starts with the stored
// holds, so a process that starts, or takes a portal over, continues the work of
// another one. all returns the current portals and their rules.
func Keep(ctx context.Context, store Store, all func() ([]*Portal, []*Rules), log *slog.Logger) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	var last time.Time
	stored := false
	for {
		portals, rules := all()
		if stored || slices.ContainsFunc(portals, (*Portal).Held) || slices.ContainsFunc(rules, (*Rules).Held) || time.Since(last) >= idleLook {
			last = time.Now()
			stored = keep(ctx, store, portals, rules, log)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// keep reads the stored holds for all portals, and reports whether there are any.
func keep(ctx context.Context, store Store, portals []*Portal, rules []*Rules, log *slog.Logger) (stored bool) {
	at := time.Now()
	holds, err := store.HoldList(ctx)
	if err != nil {
		if ctx.Err() == nil {
			log.Error("cannot read the holds", "error", err)
		}
		return true
	}
	byPortal, stopped := map[string]*queue.Hold{}, map[string]map[string]queue.Hold{}
	for _, h := range holds {
		switch {
		case OfFiles(h.Cause): // files end it
		case h.Rule == "":
			byPortal[h.Portal] = &h
		case h.Cause == Stopped:
			if stopped[h.Portal] == nil {
				stopped[h.Portal] = map[string]queue.Hold{}
			}
			stopped[h.Portal][h.Rule] = h
		}
	}
	for _, p := range portals {
		p.continueFrom(ctx, byPortal[p.opt.Name], at)
	}
	for _, r := range rules {
		r.continueFrom(ctx, stopped[r.name], at)
	}
	return len(holds) > 0
}
