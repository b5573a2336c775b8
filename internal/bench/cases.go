package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

type benchCase struct {
	name string
	run  func(context.Context) error
	// rateBound is true if a rate limit decides the time and not this machine.
	rateBound bool
}

func (b *bench) cases() []benchCase {
	return []benchCase{
		{name: "sequential", run: b.caseSequential, rateBound: true},
		{name: "1-many", run: func(ctx context.Context) error { return b.caseUpdates(ctx, true) }},
		{name: "1-one", run: func(ctx context.Context) error { return b.caseUpdates(ctx, false) }},
		{name: "3-unknown", run: func(ctx context.Context) error { return b.caseFull(ctx, false) }, rateBound: true},
		{name: "3-shared", run: func(ctx context.Context) error { return b.caseFull(ctx, true) }, rateBound: true},
		{name: "4-coalesce", run: b.caseCoalesce},
		{name: "4-large", run: b.caseLarge},
		{name: "4-alone", run: alone{b}.caseSingle},
		{name: "5", run: b.casePortals},
		{name: "6-sync", run: daily{b}.caseSync},
		{name: "6-batches", run: peers{b}.caseBatches},
		{name: "6-jssdk", run: peers{b}.caseSDK},
		{name: "7-restart", run: daily{b}.caseRestart},
		{name: "8-steady", run: daily{b}.caseSteady},
		{name: "9-validate", run: validate{b}.caseValidate},
		{name: "10-idle", run: idle{b}.caseIdle},
		{name: "11-processes", run: processes{b}.caseProcesses},
		{name: "12-emulator", run: keepUp{b}.caseEmulator},
		{name: "13-build", run: keepUp{b}.caseBuild},
	}
}

// kind names the kind of portal: whether one command can read for many owners.
func kind(many bool) string {
	if many {
		return "many owners in one read"
	}
	return "one owner in a read"
}

// leastCommands is the smallest number of commands for all deals. Their rows need one
// command per page or per deal. The elements need one command if the list is empty and
// one per page otherwise, because ranges of deals can be read. Each element that is
// written needs one command.
func (b *bench) leastCommands(many, empty bool) int64 {
	all := int64(b.deals * rowsPerDeal)
	pages := (all + 49) / 50
	reads := pages
	if !many {
		reads = int64(b.deals)
	}
	if empty {
		return reads + 1 + all
	}
	return reads + pages
}

func requestsFor(commands int64) int64 { return (commands + 49) / 50 }

// caseSequential measures the sequential client.
func (b *bench) caseSequential(ctx context.Context) error {
	s, err := newSite(ctx, "sequential", false, b.sample, rowsPerDeal)
	if err != nil {
		return err
	}
	defer s.close()
	for _, what := range []string{"1 list empty", "2 unchanged"} {
		q := newSequential(s)
		if what != "1 list empty" {
			q.level = 49 // the burst is used up
			q.at = time.Now()
		}
		took, err := q.all(ctx, s.deals[:b.sample])
		if err != nil {
			return err
		}
		wall, requests := q.extrapolate(took, b.sample, b.deals)
		b.table.sequential = append(b.table.sequential, wall)
		b.add(row{
			what: fmt.Sprintf("%s, %d deals", what, b.deals), client: "sequential", wall: wall, requests: requests, events: b.deals,
			note: fmt.Sprintf("extrapolated from %d deals in %s", b.sample, seconds(took)),
		})
	}
	return nil
}

// measure posts update events and waits until they are processed.
func (b *bench) measure(ctx context.Context, e *engine, s *site, deals []int) (row, progress, error) {
	return e.measure(ctx, s, len(deals), func() error { return e.postUpdates(ctx, s.name, deals, 32) })
}

// measure waits until n events are processed, which post sends.
func (e *engine) measure(ctx context.Context, s *site, n int, post func() error) (row, progress, error) {
	s.portal.Reset()
	e.mu.Lock()
	before := *e.of(s.name)
	e.mu.Unlock()
	start, cpu := time.Now(), e.cpu()
	if err := post(); err != nil {
		return row{}, progress{}, err
	}
	p, err := e.waitProcessed(ctx, s.name, before.events+n)
	if err != nil {
		return row{}, p, err
	}
	st := s.portal.Stats()
	p.runs -= before.runs
	p.failed -= before.failed
	return row{
		client: "b24rules", wall: p.at.Sub(start), requests: st.Requests, refused: s.refused(), commands: commands(st),
		events: n, cpu: e.cpu() - cpu, note: failures(p),
	}, p, nil
}

func failures(p progress) string {
	if p.failed == 0 {
		return ""
	}
	return fmt.Sprintf("%d attempts failed", p.failed)
}

// caseUpdates runs the cases 1 and 2: all deals change at once, twice.
func (b *bench) caseUpdates(ctx context.Context, many bool) error {
	s, err := newSite(ctx, "main", many, b.deals, rowsPerDeal)
	if err != nil {
		return err
	}
	defer s.close()
	e, err := b.startEngine(ctx, s)
	if err != nil {
		return err
	}
	defer func() { _ = e.stop() }()
	for i, what := range []string{"1 list empty", "2 unchanged"} {
		r, _, err := b.measure(ctx, e, s, s.deals)
		if err != nil {
			return err
		}
		r.what = fmt.Sprintf("%s, %d deals, %s", what, b.deals, kind(many))
		r.floor = floor(requestsFor(b.leastCommands(many, i == 0)), 50, 2)
		if len(b.table.sequential) == 2 {
			r.ratio = b.table.sequential[i].Seconds() / r.wall.Seconds()
		}
		b.add(r)
		if i == 0 {
			if err := drain(ctx); err != nil { // case 2 starts with an empty bucket, like case 1
				return err
			}
		}
	}
	return nil
}

// drain waits until the bucket of the portal is empty.
func drain(ctx context.Context) error {
	select {
	case <-time.After(25 * time.Second):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// caseFull runs case 3: another program has filled the bucket and continues to use
// half of the rate. With known, the engine is configured with shared: true.
func (b *bench) caseFull(ctx context.Context, known bool) error {
	s, err := newSite(ctx, "main", true, b.deals, rowsPerDeal)
	if err != nil {
		return err
	}
	defer s.close()
	s.shared = known
	e, err := b.startEngine(ctx, s)
	if err != nil {
		return err
	}
	defer func() { _ = e.stop() }()
	s.fillBucket(ctx)
	other, stop := context.WithCancel(ctx)
	var sent int64
	var wg sync.WaitGroup
	wg.Go(func() { sent = s.neighbour(other, time.Second) })
	r, _, err := b.measure(ctx, e, s, s.deals)
	stop()
	wg.Wait()
	if err != nil {
		return err
	}
	r.requests -= sent
	r.what = fmt.Sprintf("3 bucket full, 1/s left, %d deals, %s", b.deals, map[bool]string{true: "`shared: true`", false: "unknown to the engine"}[known])
	r.floor = floor(requestsFor(b.leastCommands(true, true)), 0, 1)
	b.add(r)
	return nil
}

// caseCoalesce sends 20 updates of each of half the deals.
func (b *bench) caseCoalesce(ctx context.Context) error {
	deals := b.deals / 2
	s, err := newSite(ctx, "main", true, deals, rowsPerDeal)
	if err != nil {
		return err
	}
	defer s.close()
	e, err := b.startEngine(ctx, s)
	if err != nil {
		return err
	}
	defer func() { _ = e.stop() }()
	var events []int
	for range 20 {
		events = append(events, s.deals...)
	}
	r, p, err := b.measure(ctx, e, s, events)
	if err != nil {
		return err
	}
	r.what = fmt.Sprintf("4 %d updates of %d deals", len(events), deals)
	r.note = strings.TrimSpace(fmt.Sprintf("%d runs %s", p.runs, r.note))
	b.add(r)
	return nil
}

// caseLarge measures one deal with many rows.
func (b *bench) caseLarge(ctx context.Context) error {
	s, err := newSite(ctx, "main", true, 1, 2*b.deals)
	if err != nil {
		return err
	}
	defer s.close()
	e, err := b.startEngine(ctx, s)
	if err != nil {
		return err
	}
	defer func() { _ = e.stop() }()
	for _, what := range []string{"list empty", "unchanged"} {
		r, _, err := b.measure(ctx, e, s, s.deals)
		if err != nil {
			return err
		}
		r.what = fmt.Sprintf("4 one deal with %d rows, %s", 2*b.deals, what)
		b.add(r)
	}
	return nil
}

// casePortals runs case 5: many portals, and then with a dead and a throttled one
// among them.
func (b *bench) casePortals(ctx context.Context) error {
	const deals = 20
	sites, err := b.manySites(ctx, deals)
	defer func() {
		for _, s := range sites {
			s.close()
		}
	}()
	if err != nil {
		return err
	}
	healthy := sites[2:]
	for _, what := range []string{"list empty", "unchanged", "unchanged, one dead, one throttled"} {
		others, stop := context.WithCancel(ctx)
		if what == "unchanged, one dead, one throttled" {
			sites[0].dead = true
			sites[1].fillBucket(ctx)
			go sites[1].neighbour(others, 400*time.Millisecond)
		}
		r, err := b.portalsOnce(ctx, sites, healthy)
		stop()
		if err != nil {
			return err
		}
		r.what = fmt.Sprintf("5 %d portals, %s", b.portals, what)
		b.add(r)
	}
	return nil
}

// manySites starts the portals of case 5 concurrently.
func (b *bench) manySites(ctx context.Context, deals int) (sites []*site, err error) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	for i := range b.portals {
		wg.Go(func() {
			s, failed := newSite(ctx, fmt.Sprintf("p%d", i+1), true, deals, rowsPerDeal)
			mu.Lock()
			defer mu.Unlock()
			if failed != nil {
				err = failed
				return
			}
			sites = append(sites, s)
		})
	}
	wg.Wait()
	return sites, err
}

// portalsOnce sends the events of all portals to one engine and returns the times of
// the healthy portals.
func (b *bench) portalsOnce(ctx context.Context, all, healthy []*site) (row, error) {
	e, err := b.startEngine(ctx, all...)
	if err != nil {
		return row{}, err
	}
	defer func() { _ = e.stop() }()
	start, cpu := time.Now(), e.cpu()
	var wg sync.WaitGroup
	errs := make(chan error, len(all))
	for _, s := range all {
		s.portal.Reset()
		wg.Go(func() { errs <- e.postUpdates(ctx, s.name, s.deals, 8) })
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return row{}, err
		}
	}
	var times []time.Duration
	r := row{client: "b24rules"}
	for _, s := range healthy {
		p, err := e.waitProcessed(ctx, s.name, len(s.deals))
		if err != nil {
			return row{}, err
		}
		times = append(times, p.at.Sub(start))
		st := s.portal.Stats()
		r.requests += st.Requests
		r.refused += st.Refused
		r.commands += commands(st)
		r.events += len(s.deals)
	}
	r.cpu = e.cpu() - cpu
	slices.Sort(times)
	r.wall = times[len(times)-1]
	r.note = fmt.Sprintf("%d healthy portals: median %s, slowest %s", len(healthy), seconds(times[len(times)/2]), seconds(r.wall))
	return r, nil
}
