package service

import (
	"context"
	"log/slog"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

// backlog is the unfinished work of one portal.
type backlog struct {
	portal  string
	runs    map[journal.State]int
	overdue time.Duration // of the live run that has been due longest; backfills do not count
}

// backlogs reads and watches the backlogs of the portals.
type backlogs struct {
	config  *settings
	queue   *queue.Queue
	portals *portals
	log     *slog.Logger
}

// read returns the backlog of each portal of the configuration, also without
// work, and of other portals that still have runs.
func (b *backlogs) read(ctx context.Context) ([]backlog, error) {
	counts, err := journal.Backlogs(ctx, b.queue.Database())
	var all []backlog
	place := map[string]int{}
	of := func(portal string) *backlog {
		i, ok := place[portal]
		if !ok {
			i, place[portal] = len(all), len(all)
			all = append(all, backlog{portal: portal, runs: map[journal.State]int{
				journal.Waiting: 0, journal.Asleep: 0, journal.Blocked: 0, journal.Queued: 0, journal.Running: 0, journal.Parked: 0,
			}})
		}
		return &all[i]
	}
	for _, p := range b.config.Load().Portals {
		of(p.Name)
	}
	now := time.Now()
	for _, c := range counts {
		one := of(c.Portal)
		one.runs[c.State] += c.Runs
		if c.Priority == journal.Live && !c.Due.IsZero() && c.State != journal.Parked && c.State != journal.Running {
			one.overdue = max(one.overdue, now.Sub(c.Due))
		}
	}
	return all, err
}

const (
	// lookEvery is the interval between two reads of the backlogs for the log.
	lookEvery = 15 * time.Second
	// behind is how long a run may be overdue before the backlog is logged.
	behind = time.Minute
)

// watch logs when the backlog of a portal grows and when it is cleared, until ctx
// ends.
func (b *backlogs) watch(ctx context.Context) {
	logged := map[string]time.Time{} // portals that are behind, and when that was last logged
	repeat(ctx, lookEvery, func(ctx context.Context) {
		all, err := b.read(ctx)
		if err != nil {
			return // the process that works the portal logs it
		}
		for _, one := range all {
			b.logBacklog(logged, one)
		}
	})
}

// logBacklog logs a backlog at once and then every ten minutes.
func (b *backlogs) logBacklog(logged map[string]time.Time, one backlog) {
	last, was := logged[one.portal]
	if one.overdue < behind {
		if was {
			delete(logged, one.portal)
			b.log.Info("backlog is cleared", slog.String("portal", one.portal))
		}
		return
	}
	if was && time.Since(last) < 10*time.Minute {
		return
	}
	logged[one.portal] = time.Now()
	attrs := []any{
		slog.String("portal", one.portal), slog.Duration("overdue", one.overdue.Round(time.Second)),
		slog.Int("waiting", one.runs[journal.Waiting]+one.runs[journal.Blocked]+one.runs[journal.Queued]), slog.Int("running", one.runs[journal.Running]),
	}
	if p := b.portals.get(one.portal); p != nil {
		s := p.Client.Stats()
		attrs = append(attrs, slog.Int64("calls", s.Waiting), slog.Int64("refused", s.Refused))
	}
	b.log.Warn("backlog is growing", attrs...)
}
