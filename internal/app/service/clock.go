package service

import (
	"context"
	"log/slog"
	"time"

	"github.com/b24rules/b24rules/internal/jobs"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

const (
	// readClockEvery is the interval between two readings of the clock.
	readClockEvery = 5 * time.Second
	// clockStep is how far a clock may be set back without a repair: a time server
	// corrects a few seconds, and clocks of two machines differ.
	clockStep = time.Minute
)

// clockWatch notices that the clock was set back, while the program ran or before its
// start. What was stored while the clock was ahead would wait for that time to come again.
type clockWatch struct {
	queue *queue.Queue
	ticks *ticks
	looks *looks
	log   *slog.Logger
}

// watch repairs times until ctx ends.
func (w *clockWatch) watch(ctx context.Context) {
	if by := w.beforeStart(ctx); by > clockStep {
		w.repair(ctx, by)
	}
	tick := time.NewTicker(readClockEvery)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		if by := setBack(last, now); by > clockStep {
			w.repair(ctx, by)
		}
		last = now
	}
}

// setBack returns how far the clock was set back between two readings. The monotonic
// clock, which no program sets, says how much time has passed.
func setBack(before, now time.Time) time.Duration {
	return now.Sub(before) - now.Round(0).Sub(before.Round(0))
}

// beforeStart returns how far at least the clock was set back while no process ran: the
// last event was received in the future.
func (w *clockWatch) beforeStart(ctx context.Context) time.Duration {
	latest, err := journal.FindEvents(ctx, w.queue.Database(), journal.EventFilter{Limit: 1})
	if err != nil && ctx.Err() == nil {
		w.log.Error("cannot find out whether the clock was set back before the start", "error", err)
	}
	if err != nil || len(latest) == 0 {
		return 0
	}
	return time.Until(latest[0].Received)
}

// repair moves the times of what waits, so that the clock reaches them soon.
func (w *clockWatch) repair(ctx context.Context, by time.Duration) {
	w.log.Warn("the clock was set back, repairing the times of runs, jobs and schedules", slog.Duration("by", by.Round(time.Second)))
	if err := w.queue.ClockSetBack(ctx); err != nil && ctx.Err() == nil {
		w.log.Error("cannot repair the times of runs", "error", err)
	}
	if err := jobs.New(w.queue.Database()).ClockSetBack(ctx, kindTick); err != nil && ctx.Err() == nil {
		w.log.Error("cannot repair the times of jobs", "error", err)
	}
	w.ticks.add(ctx)
	w.looks.again(ctx, by)
}
