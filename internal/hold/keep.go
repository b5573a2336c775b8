package hold

import (
	"context"
	"log/slog"
	"time"
)

const (
	// look is how often the stored holds are read while a portal is held: a person
	// may have asked for a probe.
	look = 2 * time.Second
	// idleLook is how often they are read otherwise: this process may have taken
	// over a held portal from another one.
	idleLook = 30 * time.Second
)

// Keep probes held portals until ctx ends. It starts with the stored holds, so a
// process that starts, or takes a portal over, continues what another one began.
func Keep(ctx context.Context, store Store, portals []*Portal, log *slog.Logger) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	var last time.Time
	for {
		if anyHeld(portals) || time.Since(last) >= idleLook {
			last = time.Now()
			keep(ctx, store, portals, log)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func keep(ctx context.Context, store Store, portals []*Portal, log *slog.Logger) {
	at := time.Now()
	holds, err := store.Holds(ctx)
	if err != nil {
		if ctx.Err() == nil {
			log.Error("cannot read the holds", "error", err)
		}
		return
	}
	stored := map[string]*Hold{}
	for _, h := range holds {
		if h.Rule == "" {
			stored[h.Portal] = &h
		}
	}
	for _, p := range portals {
		p.continueFrom(ctx, stored[p.opt.Name], at)
	}
}

func anyHeld(portals []*Portal) bool {
	for _, p := range portals {
		if p.Held() {
			return true
		}
	}
	return false
}
