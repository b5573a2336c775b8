package queue

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/store"
	"github.com/b24rules/b24rules/internal/wakeup"
)

// unroutedBatch bounds how many events one transaction routes again, so that new events do
// not wait long for it, and unroutedPause is the time between two of them.
const (
	unroutedBatch = 100
	unroutedPause = 10 * time.Millisecond
)

const (
	selectUnrouted = journal.SelectEvents + `
WHERE e.missing <> '' AND e.portal = $1 AND e.id > $2 ORDER BY e.id LIMIT $3`

	setMissing = `UPDATE b24_event SET missing = $2, routes = routes + $3 WHERE id = $1`
)

// RouteAgain routes the events again that rule sets of a portal have not seen, in the order
// of their arrival. route returns the routes of an event for those of its rule sets
// that run now, and the others. Both are stored in one transaction, so a crash
// neither loses an event nor routes it twice. It returns how many events had a rule
// set that runs now.
func (q Input) RouteAgain(ctx context.Context, portal string, route func(e journal.Event) (routes []Route, missing []string, err error)) (seen int, err error) {
	for last := int64(0); ; {
		var next int64
		var n int
		err := q.writes.doInOwnTransaction(ctx, func(ctx context.Context, t *tx) (err error) {
			next, n, err = q.routeAgain(ctx, t, portal, last, route)
			return err
		})
		if err != nil {
			return seen, fmt.Errorf("route unrouted events of %s: %w", portal, err)
		}
		if seen += n; next == 0 {
			return seen, nil
		}
		last = next
		if err := wakeup.Sleep(ctx, unroutedPause); err != nil {
			return seen, err
		}
	}
}

// routeAgain routes a batch of events after last. next is the id of its last event, 0
// if no further events follow.
func (q Input) routeAgain(ctx context.Context, t *tx, portal string, last int64, route func(e journal.Event) ([]Route, []string, error)) (next int64, seen int, err error) {
	events, err := store.All(ctx, t, "", journal.ScanEvent, selectUnrouted+t.ForUpdate("e"), portal, last, unroutedBatch)
	if err != nil {
		return 0, 0, err
	}
	for _, e := range events {
		routes, missing, err := route(e)
		if err == nil {
			err = checkPush(e, routes)
		}
		if err != nil {
			return 0, 0, fmt.Errorf("event %d: %w", e.ID, err)
		}
		if slices.Equal(missing, e.Missing) {
			continue
		}
		seen++
		if err := q.joinAll(ctx, t, e, routes); err != nil {
			return 0, 0, err
		}
		if _, err := t.Exec(ctx, setMissing, e.ID, strings.Join(missing, " "), len(routes)); err != nil {
			return 0, 0, err
		}
	}
	if len(events) < unroutedBatch {
		return 0, seen, nil
	}
	return events[len(events)-1].ID, seen, nil
}
