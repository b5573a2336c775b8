package service

import (
	"context"
	"net/http"
	"time"

	"github.com/b24rules/b24rules/internal/alerts"
)

// What the tests of the whole service need of its parts.
const (
	LongestGap      = longestGap
	ChecksPerMinute = checksPerMinute
)

// TokensOf is where the tokens of a portal are stored.
var TokensOf = tokensOf

// Handler is the handler that Serve serves.
func (s *Service) Handler() http.Handler { return s.intake.handler() }

// RunQueue runs what is due without a lock on the database.
func (s *Service) RunQueue(ctx context.Context) error { return s.queue.Work(ctx, s.worker.work) }

// RunTicks stores the ticks of schedules and executes jobs until ctx ends.
func (s *Service) RunTicks(ctx context.Context) {
	s.ticks.add(ctx)
	s.runner.Run(ctx, "")
}

// KeepHolds looks whether faults are over until ctx ends.
func (s *Service) KeepHolds(ctx context.Context) { s.keepHolds(ctx) }

// Heartbeat stores a heartbeat of a portal.
func (s *Service) Heartbeat(ctx context.Context, portal string) error {
	return s.downtime.heartbeat(ctx, s.portals.get(portal))
}

// WatchBacklog watches the backlogs until ctx ends.
func (s *Service) WatchBacklog(ctx context.Context) { s.backlogs.watch(ctx) }

// OwnFaults returns the faults that only this process sees.
func (s *Service) OwnFaults(ctx context.Context, now time.Time) ([]alerts.Condition, error) {
	return s.faults().own(ctx, now)
}

// SetDriftConfirm sets after which time a comparison looks again at what differs. Call it before the
// job is due.
func (s *Service) SetDriftConfirm(d time.Duration) { s.drifts.confirm = d }

// NextDrift is the next time of a comparison.
var NextDrift = nextDrift

// FlushRefusals stores the counts of refused requests now.
func (s *Service) FlushRefusals(ctx context.Context) { s.intake.refusals.flush(ctx) }
