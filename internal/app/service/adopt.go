package service

import (
	"context"
	"fmt"
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/dryrun"
	"github.com/b24rules/b24rules/internal/audit"
	"github.com/b24rules/b24rules/internal/ledger"
	"github.com/b24rules/b24rules/internal/store"
)

// Adopt finds the records that a rule could take over for an entity, and takes them over if act is
// not nil. What the rule does otherwise is not done. Records that were taken over are in the ledger
// from then on, and act gets their number in the same transaction.
func (s *Service) Adopt(ctx context.Context, portal string, t Target, act *audit.Act) ([]engine.Adopted, error) {
	p := s.Portal(portal)
	run := s.dryRun(DryRun{Target: t, Portal: p, Client: p.Later()})
	run.Adopt, run.DryRun = &engine.Adoption{}, &dryrun.Run{}
	if act != nil {
		run.Adopt.Portal = p.Later()
	}
	trace, err := run.Do(ctx, t.Rule)
	if act != nil && len(trace.Made) > 0 {
		by, written := ledger.Run{Portal: portal, Entity: t.Entity, At: time.Now()}, 0
		for _, a := range run.Adopt.All() {
			written += a.Written
		}
		stored := act.Do(context.WithoutCancel(ctx), written, func(ctx context.Context, tx store.Tx) error { return ledger.Write(ctx, tx, by, trace.Made) })
		if stored != nil {
			return run.Adopt.All(), fmt.Errorf("records were taken over, but the database does not know it: %w", stored)
		}
	}
	return run.Adopt.All(), err
}
