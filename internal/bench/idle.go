package main

import (
	"context"
	"fmt"
	"time"

	"github.com/b24rules/b24rules/internal/pgtemp"
	"github.com/b24rules/b24rules/internal/wakeup"
)

// idle measures an engine whose portals send nothing.
type idle struct{ *bench }

const (
	startTime = 40 * time.Second // the start is over, and with it what it left to do
	idleFor   = 30 * time.Second
)

// caseIdle measures the CPU time of idle portals on both databases.
func (b idle) caseIdle(ctx context.Context) error {
	if err := b.on(ctx, "SQLite", "sqlite:b.db"); err != nil {
		return err
	}
	server, err := pgtemp.Start(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = server.Stop() }() // its folder is temporary
	return b.on(ctx, "PostgreSQL", server.DSN("postgres"))
}

func (b idle) on(ctx context.Context, name, database string) error {
	sites := make([]*site, 5*b.portals)
	for i := range sites {
		// Nothing is asked of a portal that sends nothing, so nothing answers there.
		sites[i] = &site{name: fmt.Sprint("p", i), url: fmt.Sprintf("http://127.0.0.1:9/rest/%d/c0de/", i+1), plan: "standard"}
		sites[i].ids.ShipmentList, sites[i].ids.TotalsType = 1, 1030
	}
	dir, err := b.configure(database, sites...)
	if err != nil {
		return err
	}
	e, err := b.startIn(ctx, dir)
	if err != nil {
		return err
	}
	if err := wakeup.Sleep(ctx, startTime); err != nil {
		return err
	}
	before := e.cpu()
	if err := wakeup.Sleep(ctx, idleFor); err != nil {
		return err
	}
	used := e.cpu() - before
	b.add(row{
		what: fmt.Sprintf("10 %d idle portals on %s", len(sites), name), client: "b24rules", wall: idleFor, cpu: used,
		note: fmt.Sprintf("%.1f %% of a core", 100*used.Seconds()/idleFor.Seconds()),
	})
	return e.stop()
}
