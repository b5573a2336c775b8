package cli

import (
	"context"
	"log/slog"
	"time"

	"github.com/b24rules/b24rules/internal/queue"
)

// backlog is the unfinished work of one portal.
type backlog struct {
	portal  string
	runs    map[queue.State]int
	overdue time.Duration // of the live run that has been due longest; a backfill takes its time
}

// backlogs returns that of each portal of the configuration, those without
// work too, and of portals that runs were left of.
func (a *app) backlogs(ctx context.Context) ([]backlog, error) {
	counts, err := a.queue.Backlogs(ctx)
	var all []backlog
	place := map[string]int{}
	of := func(portal string) *backlog {
		i, ok := place[portal]
		if !ok {
			i, place[portal] = len(all), len(all)
			all = append(all, backlog{portal: portal, runs: map[queue.State]int{
				queue.Waiting: 0, queue.Blocked: 0, queue.Queued: 0, queue.Running: 0, queue.Parked: 0,
			}})
		}
		return &all[i]
	}
	for _, p := range a.config.Portals {
		of(p.Name)
	}
	now := time.Now()
	for _, c := range counts {
		b := of(c.Portal)
		b.runs[c.State] += c.Runs
		if c.Priority == queue.Live && c.State != queue.Parked && c.State != queue.Running {
			b.overdue = max(b.overdue, now.Sub(c.Due))
		}
	}
	return all, err
}

const (
	// lookEvery is how often the backlog is looked at for the log.
	lookEvery = 15 * time.Second
	// behind is how long a run may be overdue before somebody is told.
	behind = time.Minute
)

// watchBacklog tells when a portal falls behind and when it has caught up,
// until ctx ends: a queue that grows in silence is found by those who miss
// their data.
func (a *app) watchBacklog(ctx context.Context) {
	told := map[string]time.Time{} // portals that are behind, and when it was last said
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		all, err := a.backlogs(ctx)
		if err != nil {
			continue // whoever works the queue tells
		}
		for _, b := range all {
			a.tellBacklog(told, b)
		}
	}
}

// tellBacklog says so at first and then every ten minutes.
func (a *app) tellBacklog(told map[string]time.Time, b backlog) {
	last, was := told[b.portal]
	if b.overdue < behind {
		if was {
			delete(told, b.portal)
			a.log.Info("a portal has caught up", slog.String("portal", b.portal))
		}
		return
	}
	if was && time.Since(last) < 10*time.Minute {
		return
	}
	told[b.portal] = time.Now()
	attrs := []any{
		slog.String("portal", b.portal), slog.Duration("overdue", b.overdue.Round(time.Second)),
		slog.Int("waiting", b.runs[queue.Waiting]+b.runs[queue.Blocked]+b.runs[queue.Queued]), slog.Int("running", b.runs[queue.Running]),
	}
	if p := a.portals[b.portal]; p != nil {
		s := p.client.Stats()
		attrs = append(attrs, slog.Int64("calls", s.Waiting), slog.Int64("refused", s.Refused))
	}
	a.log.Warn("a portal falls behind", attrs...)
}
