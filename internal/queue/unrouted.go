package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

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
	selectUnrouted = `
SELECT e.id, e.code, e.data, e.sent_at, e.received_at, e.missing FROM b24_event e
WHERE e.missing <> '' AND e.portal = $1 AND e.id > $2 ORDER BY e.id LIMIT $3`

	setMissing = `UPDATE b24_event SET missing = $2, routes = routes + $3 WHERE id = $1`

	countUnrouted = `
SELECT portal, missing, COUNT(*), MIN(received_at) FROM b24_event
WHERE missing <> '' GROUP BY portal, missing ORDER BY portal, missing`
)

// UnroutedEvents are stored events that rule sets have not seen.
type UnroutedEvents struct {
	Portal  string
	Missing []string // the rule sets: see Event.Missing
	Events  int
	First   time.Time // when the first one was received
}

// Unrouted counts the events that rule sets have not seen, by portal and rule sets.
func (q History) Unrouted(ctx context.Context) ([]UnroutedEvents, error) {
	return store.All(ctx, q.db.read, "count unrouted events", func(row store.Row) (m UnroutedEvents, err error) {
		var missing string
		var first int64
		err = row.Scan(&m.Portal, &missing, &m.Events, &first)
		m.Missing, m.First = strings.Fields(missing), fromMicros(first)
		return m, err
	}, countUnrouted)
}

// RouteAgain routes the events again that rule sets of a portal have not seen, in the order
// of their arrival. route returns the routes of an event for those of its rule sets
// that run now, and the others. Both are stored in one transaction, so a crash
// neither loses an event nor routes it twice. It returns how many events had a rule
// set that runs now.
func (q Input) RouteAgain(ctx context.Context, portal string, route func(e Event) (routes []Route, missing []string, err error)) (seen int, err error) {
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
func (q Input) routeAgain(ctx context.Context, t *tx, portal string, last int64, route func(e Event) ([]Route, []string, error)) (next int64, seen int, err error) {
	events, err := selectUnroutedEvents(ctx, t, portal, last)
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

// selectUnroutedEvents reads a batch of events after last.
func selectUnroutedEvents(ctx context.Context, t *tx, portal string, last int64) ([]Event, error) {
	return store.All(ctx, t, "", func(row store.Row) (Event, error) {
		var (
			e              = Event{Portal: portal}
			data, missing  string
			sent, received int64
		)
		err := row.Scan(&e.ID, &e.Code, &data, &sent, &received, &missing)
		e.Data, e.Sent, e.Received, e.Missing = json.RawMessage(data), fromMicros(sent), fromMicros(received), strings.Fields(missing)
		return e, err
	}, selectUnrouted+t.forUpdate("e"), portal, last, unroutedBatch)
}
