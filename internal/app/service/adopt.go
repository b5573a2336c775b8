package service

import (
	"context"
	"fmt"
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/dryrun"
	"github.com/b24rules/b24rules/internal/ledger"
	"github.com/b24rules/b24rules/internal/store"
)

// Adopt finds the records that a rule could take over for an entity, and takes them over with
// write. What the rule does otherwise is not done. Records that were taken over are in the ledger
// from then on.
func (s *Service) Adopt(ctx context.Context, portal string, t Target, write bool) ([]engine.Adopted, error) {
	p := s.Portal(portal)
	run := s.PlanRun(t, p, false)
	run.Client, run.Adopt, run.DryRun = p.Later(), &engine.Adoption{}, &dryrun.Run{}
	if write {
		run.Adopt.Portal = p.Later()
	}
	trace, err := run.Do(ctx, t.Rule)
	if write && len(trace.Made) > 0 {
		by := ledger.Run{Portal: portal, Entity: t.Entity, At: time.Now()}
		stored := s.queue.Database().Write(context.WithoutCancel(ctx), func(ctx context.Context, tx store.Tx) error { return ledger.Write(ctx, tx, by, trace.Made) })
		if stored != nil {
			return run.Adopt.All(), fmt.Errorf("records were taken over, but the database does not know it: %w", stored)
		}
	}
	return run.Adopt.All(), err
}
