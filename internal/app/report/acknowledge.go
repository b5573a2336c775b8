package report

import (
	"context"
	"slices"

	"github.com/b24rules/b24rules/internal/audit"
	"github.com/b24rules/b24rules/internal/cause"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/store"
)

// Acknowledge stores that the person of e knows of a cause, which is in its stored form: it is
// silent until another portal or rule fails because of it. portals are those that the person
// sees; nil means all. It returns how many parked runs have the cause now.
func Acknowledge(ctx context.Context, q *queue.Queue, stored, note string, portals []string, e audit.Entry) (runs int, err error) {
	a := cause.Acknowledged{Cause: cause.ID(stored), By: e.Who, At: e.At, Note: note}
	e.Action, e.Target, e.Result = audit.Acknowledged, "cause "+a.Cause, cause.Parse(stored).Title()
	err = q.Database().Write(ctx, func(ctx context.Context, t store.Tx) error {
		counts, err := journal.Causes(ctx, t, journal.Filter{Cause: stored, Portals: portals, States: []journal.State{journal.Parked}})
		if err != nil {
			return err
		}
		e.Runs, a.Known = 0, []string{}
		for _, one := range counts {
			a.Known = append(a.Known, cause.Place(one.Portal, one.Rule))
			e.Runs += one.Runs
		}
		if portals != nil { // what others have acknowledged stays so
			before, err := cause.Acknowledgements(ctx, t)
			if err != nil {
				return err
			}
			for _, place := range before[a.Cause].Known {
				if !slices.Contains(a.Known, place) {
					a.Known = append(a.Known, place)
				}
			}
		}
		if err := cause.Acknowledge(ctx, t, a); err != nil {
			return err
		}
		return audit.AddIn(ctx, t, e)
	})
	return e.Runs, err
}
