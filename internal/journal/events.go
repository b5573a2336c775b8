package journal

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/store"
)

// Event is an event of a portal.
type Event struct {
	ID       int64           // given by queue.Input.Push
	Portal   string          // the portal's name in our configuration
	Code     string          // such as ONCRMDEALUPDATE
	Data     json.RawMessage // of the event; a nil Data is stored as null
	Routes   int             // how many routes Push received; Push sets it
	Sent     time.Time       // by the portal's clock; zero when unknown
	Received time.Time       // by ours; zero means now

	// Missing are the rule sets that should see the event and do not run now, without
	// spaces in their names; "*" means all. The event is kept until queue.Input.RouteAgain
	// has routed it for them.
	Missing []string

	// Why says why the event met no rule, for people; "" if it met one. The caller chooses
	// the form.
	Why string
}

// SelectEvents selects events e for ScanEvent.
const SelectEvents = `SELECT e.id, e.portal, e.code, e.data, e.routes, e.sent_at, e.received_at, e.missing, e.why FROM b24_event e`

// ScanEvent reads a row of SelectEvents.
func ScanEvent(row store.Row) (Event, error) {
	var (
		e              Event
		data, missing  string
		sent, received int64
	)
	err := row.Scan(&e.ID, &e.Portal, &e.Code, &data, &e.Routes, &sent, &received, &missing, &e.Why)
	e.Data, e.Sent, e.Received, e.Missing = json.RawMessage(data), store.Time(sent), store.Time(received), strings.Fields(missing)
	return e, err
}

// EventFilter selects events. Zero fields select all.
type EventFilter struct {
	ID           int64
	Portal, Code string
	Rule, Entity string    // only events that started or joined a run of the rule, or for the entity
	Portals      []string  // only events of these; nil means all
	NoRule       bool      // only events without a rule
	AnyRule      bool      // only events that met a rule
	From, To     time.Time // only events received at From or later, and before To
	Before       int64     // only events with a smaller ID: the next page
	Limit        int       // 0 means 100
}

func (f EventFilter) where() *where {
	w := &where{}
	w.add(f.ID != 0, "e.id = %s", f.ID)
	w.add(f.Portal != "", "e.portal = %s", f.Portal)
	w.add(f.Code != "", "e.code = %s", f.Code)
	w.add(!f.From.IsZero(), "e.received_at >= %s", store.Micros(f.From))
	w.add(!f.To.IsZero(), "e.received_at < %s", store.Micros(f.To))
	const ofRun = "EXISTS (SELECT 1 FROM b24_run_event re JOIN b24_run r ON r.id = re.run_id WHERE re.event_id = e.id AND r."
	w.add(f.Rule != "", ofRun+"rule = %s)", f.Rule)
	w.add(f.Entity != "", ofRun+"entity = %s)", f.Entity)
	w.add(f.Before != 0, "e.id < %s", f.Before)
	column := "e.portal"
	if len(f.Portals) > 1 { // as for runs
		column += " || ''"
	}
	w.oneOf(column, f.Portals)
	if f.NoRule {
		w.conditions = append(w.conditions, "e.routes = 0")
	}
	if f.AnyRule {
		w.conditions = append(w.conditions, "e.routes > 0")
	}
	return w
}

// FindEvents returns the events that f selects, newest first, including those without a
// rule.
func FindEvents(ctx context.Context, from store.Reader, f EventFilter) ([]Event, error) {
	w := f.where()
	return events(ctx, from, SelectEvents+w.page("e.id", cmp.Or(f.Limit, 100)), w.args...)
}

// EventsOf returns the events of a run, in the order of their arrival.
func EventsOf(ctx context.Context, from store.Reader, run int64) ([]Event, error) {
	return events(ctx, from, SelectEvents+` JOIN b24_run_event re ON re.event_id = e.id WHERE re.run_id = $1 ORDER BY e.id`, run)
}

func events(ctx context.Context, from store.Reader, text string, args ...any) ([]Event, error) {
	return store.All(ctx, from, "read events", ScanEvent, text, args...)
}

const lastEvents = `
SELECT p.column1, (SELECT e.received_at FROM b24_event e WHERE e.portal = p.column1 ORDER BY e.id DESC LIMIT 1) FROM `

// LastEvents returns when the newest event of each portal was received. A portal without
// events is missing.
func LastEvents(ctx context.Context, from store.Reader, portals []string) (map[string]time.Time, error) {
	out := map[string]time.Time{}
	if len(portals) == 0 {
		return out, nil
	}
	args := make([]any, len(portals))
	rows := make([]string, len(portals))
	for i, p := range portals {
		args[i], rows[i] = p, fmt.Sprintf("(CAST($%d AS TEXT))", i+1)
	}
	_, err := store.All(ctx, from, "read the newest events", func(row store.Row) (struct{}, error) {
		var portal string
		var at sql.NullInt64
		err := row.Scan(&portal, &at)
		if at.Valid {
			out[portal] = store.Time(at.Int64)
		}
		return struct{}{}, err
	}, lastEvents+"(VALUES "+strings.Join(rows, ", ")+") AS p", args...)
	return out, err
}

// NthEvent returns when the n-th newest event of a portal was received, zero if it has fewer.
func NthEvent(ctx context.Context, from store.Reader, portal string, n int) (time.Time, error) {
	var at int64
	err := from.QueryRow(ctx, `
SELECT received_at FROM b24_event WHERE portal = $1 ORDER BY id DESC LIMIT 1 OFFSET $2`, portal, n-1).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	return store.Time(at), err
}

// UnroutedEvents are stored events that rule sets have not seen.
type UnroutedEvents struct {
	Portal  string
	Missing []string // the rule sets: see Event.Missing
	Events  int
}

const countUnrouted = `
SELECT portal, missing, COUNT(*) FROM b24_event
WHERE missing <> '' GROUP BY portal, missing ORDER BY portal, missing`

// Unrouted counts the events that rule sets have not seen, by portal and rule sets.
func Unrouted(ctx context.Context, from store.Reader) ([]UnroutedEvents, error) {
	return store.All(ctx, from, "count unrouted events", func(row store.Row) (m UnroutedEvents, err error) {
		var missing string
		err = row.Scan(&m.Portal, &missing, &m.Events)
		m.Missing = strings.Fields(missing)
		return m, err
	}, countUnrouted)
}
