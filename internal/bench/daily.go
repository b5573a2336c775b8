package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"time"
)

// daily measures what happens on ordinary days: a first fill, a restart, steady events.
type daily struct{ *bench }

// syncFloor is the shortest time of a sync: the deals are listed, too, and nothing waits for
// a debounce.
func (b daily) syncFloor(empty bool) time.Duration {
	pages := int64(b.deals+49) / 50
	return floor(requestsFor(b.leastCommands(true, empty)+pages), 50, 2) - debounce
}

// caseSync measures `b24rules sync` of the rule for all deals: the first fill of a list, and
// again when nothing has changed.
func (b daily) caseSync(ctx context.Context) error {
	s, err := newSite(ctx, "main", true, b.deals, rowsPerDeal)
	if err != nil {
		return err
	}
	defer s.close()
	dir, err := b.configure("", s)
	if err != nil {
		return err
	}
	for i, what := range []string{"6 sync, list empty", "6 sync, unchanged"} {
		r, err := b.syncOnce(ctx, s, dir)
		if err != nil {
			return err
		}
		r.what, r.floor = fmt.Sprintf("%s, %d deals", what, b.deals), b.syncFloor(i == 0)
		b.add(r)
		if i == 0 {
			if err := drain(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// syncOnce runs one sync in its own process.
func (b daily) syncOnce(ctx context.Context, s *site, dir string) (row, error) {
	s.portal.Reset()
	cmd := exec.CommandContext(ctx, b.binary, "sync", "--config", filepath.Join(dir, "b24rules.yaml"), "--rule", "deal-shipments")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if b.trace != "" {
		f, err := traceFile(b.trace, "sync")
		if err != nil {
			return row{}, err
		}
		defer f.Close()
		cmd.Stderr = io.MultiWriter(&out, f)
	}
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return row{}, fmt.Errorf("sync: %w: %s", err, out.Bytes())
	}
	wall, st := time.Since(start), s.portal.Stats()
	return row{
		client: "b24rules", wall: wall, requests: st.Requests, commands: commands(st), refused: s.refused(), events: b.deals,
		cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(),
	}, nil
}

// caseRestart measures the same burst of events after a clean restart: the engine knows how
// much of the portal's rate is left.
func (b daily) caseRestart(ctx context.Context) error {
	s, err := newSite(ctx, "main", true, b.deals, rowsPerDeal)
	if err != nil {
		return err
	}
	defer s.close()
	e, err := b.startEngine(ctx, s)
	if err != nil {
		return err
	}
	if _, _, err := b.measure(ctx, e, s, s.deals[:1]); err != nil { // the portal is in use
		return err
	}
	if err := e.stop(); err != nil {
		return err
	}
	if e, err = b.startIn(ctx, e.dir); err != nil {
		return err
	}
	defer func() { _ = e.stop() }()
	r, _, err := b.measure(ctx, e, s, s.deals[1:])
	if err != nil {
		return err
	}
	r.what = fmt.Sprintf("7 list empty, %d deals, after a clean restart", b.deals-1)
	r.floor = floor(requestsFor(b.leastCommands(true, true)), 50, 2)
	b.add(r)
	return nil
}

// steadyTime is how long caseSteady posts events at one rate.
const steadyTime = 20 * time.Second

// caseSteady posts single events at a steady rate: each is of another deal than the ones
// before it, and changes nothing. It also measures what a run needs on disk.
func (b daily) caseSteady(ctx context.Context) error {
	s, err := newSite(ctx, "main", true, b.deals, rowsPerDeal)
	if err != nil {
		return err
	}
	defer s.close()
	e, err := b.startEngine(ctx, s)
	if err != nil {
		return err
	}
	defer func() { _ = e.stop() }()
	if _, _, err := b.measure(ctx, e, s, s.deals); err != nil { // fills the list
		return err
	}
	for _, perSecond := range []int{10, 50, 200} {
		if err := drain(ctx); err != nil {
			return err
		}
		before, err := e.databaseSize(ctx)
		if err != nil {
			return err
		}
		events := steadily{hook: e.hook + s.name, rate: perSecond, deals: len(s.deals)}
		var took answers
		r, p, err := e.measure(ctx, s, events.number(), func() (err error) {
			took, err = events.start(ctx)
			return err
		})
		if err != nil {
			return err
		}
		after, err := e.databaseSize(ctx)
		if err != nil {
			return err
		}
		r.what = fmt.Sprintf("8 %d events a second, unchanged", perSecond)
		r.note = fmt.Sprintf("%.0f %% of a core; answered: p50 %s, p99 %s; %d runs, %d bytes on disk each",
			100*r.cpu.Seconds()/steadyTime.Seconds(), took.quantile(0.5), took.quantile(0.99), p.runs, (after-before)/int64(max(1, p.runs)))
		b.add(r)
	}
	return nil
}

// databaseSize is how many bytes of the engine's database are in use.
func (e *engine) databaseSize(ctx context.Context) (size int64, err error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(e.dir, "b.db")+"?_pragma=busy_timeout(5000)")
	if err != nil {
		return 0, err
	}
	defer func() { _ = db.Close() }()
	err = db.QueryRowContext(ctx, `SELECT (p.page_count - f.freelist_count) * s.page_size FROM pragma_page_count p, pragma_freelist_count f, pragma_page_size s`).Scan(&size)
	return size, err
}
