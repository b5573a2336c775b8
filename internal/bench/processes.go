package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/pgtemp"
	"github.com/b24rules/b24rules/internal/wakeup"
)

// processes measures several engines that share a PostgreSQL database.
type processes struct{ *bench }

const (
	// coreShare is the part of a core that each engine may use: as if each had its own
	// machine, because on one machine they would only compete for its cores.
	coreShare = 0.2

	dealsOfPortal = 6
	leasesSpread  = time.Minute
)

// caseProcesses measures what one engine does and what three do, and then how long the
// portals of a killed one wait.
func (b processes) caseProcesses(ctx context.Context) (err error) {
	server, err := pgtemp.Start(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = server.Stop() }() // its folder is temporary
	sites, err := b.sites(ctx)
	defer func() {
		for _, s := range sites {
			s.close()
		}
	}()
	if err != nil {
		return err
	}
	dir, err := b.configure(server.DSN("postgres"), sites...)
	if err != nil {
		return err
	}
	g := group{sites: sites, processed: newProcessed()}
	defer func() { err = errors.Join(err, g.stop()) }()
	var walls []time.Duration
	for _, n := range []int{1, 3} {
		for len(g.engines) < n {
			e, err := b.startWith(ctx, dir, g.processed)
			if err != nil {
				return err
			}
			g.engines = append(g.engines, e)
			folder, err := e.limit(coreShare)
			g.folders = append(g.folders, folder)
			if err != nil {
				return fmt.Errorf("limit the engine to %v of a core: %w", coreShare, err)
			}
		}
		if err := g.spread(ctx); err != nil {
			return err
		}
		if _, _, err := g.round(ctx, g.engines); err != nil { // fills the lists, or learns how to read them
			return err
		}
		wall, cpu, err := g.round(ctx, g.engines)
		if err != nil {
			return err
		}
		walls = append(walls, wall)
		r := row{
			what: fmt.Sprintf("11 %d portals on PostgreSQL, unchanged, processes: %d", len(sites), n), client: "b24rules",
			wall: wall, events: len(sites) * dealsOfPortal, cpu: cpu, note: fmt.Sprintf("each process may use %.0f %% of a core", 100*coreShare),
		}
		if n > 1 {
			r.note = fmt.Sprintf("%.1f times as fast as one; %s", walls[0].Seconds()/wall.Seconds(), r.note)
		}
		b.add(r)
	}

	killed := g.engines[2]
	g.engines = g.engines[:2]
	if err := killed.cmd.Process.Kill(); err != nil {
		return err
	}
	<-killed.ended
	wall, _, err := g.round(ctx, g.engines)
	if err != nil {
		return err
	}
	b.add(row{
		what: fmt.Sprintf("11 %d portals on PostgreSQL, one of three processes is killed", len(sites)), client: "b24rules",
		wall: wall, events: len(sites) * dealsOfPortal, note: "until the last event of all portals is processed",
	})
	return nil
}

func (b processes) sites(ctx context.Context) (sites []*site, err error) {
	for i := range 5 * b.portals {
		s, err := newSiteOn(ctx, fmt.Sprint("p", i), emulator.Config{Latency: latency, Plan: emulator.PlanUnlimited}, dealsOfPortal, rowsPerDeal)
		if err != nil {
			return sites, err
		}
		sites = append(sites, s)
	}
	return sites, nil
}

// group is engines that share a database.
type group struct {
	*processed
	sites   []*site
	engines []*engine
	folders []string // of the control groups of all engines
}

// spread waits until each engine works as many portals as the others.
func (g *group) spread(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, leasesSpread, errors.New("the portals are not spread evenly"))
	defer cancel()
	least := int64(len(g.sites) / len(g.engines))
	for {
		even := true
		for _, e := range g.engines {
			even = even && e.leases.Load() >= least
		}
		if even {
			return nil
		}
		if wakeup.Sleep(ctx, 100*time.Millisecond) != nil {
			return context.Cause(ctx)
		}
	}
}

// round sends an event for each deal of all portals and waits until they are processed. It
// returns the time and the CPU time of the engines.
func (g *group) round(ctx context.Context, engines []*engine) (wall, cpu time.Duration, err error) {
	before := make([]int, len(g.sites))
	g.mu.Lock()
	for i, s := range g.sites {
		before[i] = g.of(s.name).events
	}
	g.mu.Unlock()
	for _, e := range engines {
		cpu -= e.cpu()
	}
	start := time.Now()
	errs := make([]error, len(engines))
	var wg sync.WaitGroup
	for n, e := range engines { // any process takes the events of any portal
		wg.Go(func() {
			for i := n; i < len(g.sites) && errs[n] == nil; i += len(engines) {
				errs[n] = e.postUpdates(ctx, g.sites[i].name, g.sites[i].deals, 4)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return 0, 0, err
	}
	for i, s := range g.sites {
		if _, err := engines[0].waitProcessed(ctx, s.name, before[i]+len(s.deals)); err != nil {
			return 0, 0, err
		}
	}
	wall = time.Since(start)
	for _, e := range engines {
		cpu += e.cpu()
	}
	return wall, cpu, nil
}

func (g *group) stop() error {
	var errs []error
	for _, e := range g.engines {
		errs = append(errs, e.stop())
	}
	for _, folder := range g.folders {
		errs = append(errs, os.Remove(folder))
	}
	return errors.Join(errs...)
}

// limit lets the engine use only a part of a core. It needs root. The folder is that of the
// control group, to be removed when the engine has ended.
func (e *engine) limit(share float64) (folder string, err error) {
	const period = 50_000 // microseconds
	name := fmt.Sprint("b24rules-bench-", e.cmd.Process.Pid)
	quota, settings := strconv.Itoa(int(share*period)), map[string]string{}
	folder = filepath.Join("/sys/fs/cgroup/cpu", name) // version 1
	if _, err := os.Stat(filepath.Dir(folder)); err == nil {
		settings["cpu.cfs_period_us"], settings["cpu.cfs_quota_us"] = strconv.Itoa(period), quota
	} else {
		folder = filepath.Join("/sys/fs/cgroup", name)
		settings["cpu.max"] = fmt.Sprint(quota, " ", period)
	}
	if err := os.Mkdir(folder, 0o755); err != nil {
		return "", err
	}
	for file, value := range settings {
		if err := os.WriteFile(filepath.Join(folder, file), []byte(value), 0o600); err != nil {
			return folder, err
		}
	}
	return folder, os.WriteFile(filepath.Join(folder, "cgroup.procs"), []byte(strconv.Itoa(e.cmd.Process.Pid)), 0o600)
}
