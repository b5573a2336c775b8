package journal

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/b24rules/b24rules/internal/store"
)

// Found is a page of a search.
type Found[T any] struct {
	List []T
	// Next is the Before of the next page; 0 if no more rows follow.
	Next int64
	// Searched says that the time for the search was over before the page was full, and Back is
	// the time of the oldest row that was looked at.
	Searched bool
	Back     time.Time
}

const (
	// firstWindow is how many ids a search looks at first. Each further window is twice as
	// large, up to mostWindow.
	firstWindow = 2000
	mostWindow  = 64000

	// idSlack allows for rows that were stored in another order than they arrived.
	idSlack = time.Minute
)

// SearchRuns returns a page of the runs that f selects, newest first. It looks at rows for about
// the given time, 0 means without a limit, and says how far it came: a filter may have no index.
func SearchRuns(ctx context.Context, from store.Reader, f Filter, within time.Duration) (Found[Run], error) {
	return search[Run]{
		what: "search runs", table: "b24_run", rows: SelectRuns, number: "r.id", at: runTime,
		before: f.Before, from: f.From, to: f.To, limit: cmp.Or(f.Limit, 100), within: within, db: from,
		where: func(before int64) *where {
			f.Before = before
			return f.where()
		},
		read: runs, id: func(r Run) int64 { return r.ID },
	}.windows(ctx)
}

// SearchEvents is SearchRuns for events.
func SearchEvents(ctx context.Context, from store.Reader, f EventFilter, within time.Duration) (Found[Event], error) {
	return search[Event]{
		what: "search events", table: "b24_event", rows: SelectEvents, number: "e.id", at: eventTime,
		before: f.Before, from: f.From, to: f.To, limit: cmp.Or(f.Limit, 100), within: within, db: from,
		where: func(before int64) *where {
			f.Before = before
			return f.where()
		},
		read: events, id: func(e Event) int64 { return e.ID },
	}.windows(ctx)
}

// The time of the first row from an id on. A run has the time of its first event: ids of runs
// grow with it.
const (
	eventTime = `SELECT e.id, e.received_at FROM b24_event e WHERE e.id >= $1 ORDER BY e.id LIMIT 1`

	runTime = `
SELECT re.run_id, e.received_at FROM b24_run_event re JOIN b24_event e ON e.id = re.event_id
WHERE re.run_id >= $1 ORDER BY re.run_id, re.event_id LIMIT 1`
)

// search is a search backwards through the ids of a table.
type search[T any] struct {
	what, table  string
	rows, number string // the statement without its conditions, and the id in it
	at           string // the time of the first row from an id on
	before       int64
	from, to     time.Time
	limit        int
	within       time.Duration
	db           store.Reader
	where        func(before int64) *where // of the filter with another Before
	read         func(ctx context.Context, from store.Reader, text string, args ...any) ([]T, error)
	id           func(T) int64
}

// windows reads windows of ids from the newest to the oldest, until the page is full.
func (s search[T]) windows(ctx context.Context) (found Found[T], err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", s.what, err)
		}
	}()
	low, high, err := s.bounds(ctx)
	if err != nil {
		return found, err
	}
	started := time.Now()
	for size := int64(firstWindow); high > low; size = min(2*size, mostWindow) {
		bottom := max(low, high-size)
		part, err := s.window(ctx, bottom, high, s.limit+1-len(found.List))
		if err != nil {
			return found, err
		}
		found.List = append(found.List, part...)
		if len(found.List) > s.limit {
			found.List = found.List[:s.limit]
			found.Next = s.id(found.List[s.limit-1])
			return found, nil
		}
		high = bottom
		if s.within > 0 && time.Since(started) > s.within && high > low {
			found.Next, found.Searched = high, true
			_, found.Back, err = s.timeOf(ctx, high)
			return found, err
		}
	}
	return found, nil
}

// window reads up to n rows whose ids are at least low and less than high.
func (s search[T]) window(ctx context.Context, low, high int64, n int) ([]T, error) {
	w := s.where(high)
	return s.read(ctx, s.db, s.rows+w.window(s.number, low, n), w.args...)
}

// bounds returns the ids between which the rows are: low is included, high is not.
func (s search[T]) bounds(ctx context.Context) (low, high int64, err error) {
	var least, most sql.NullInt64
	if err := s.db.QueryRow(ctx, `SELECT MIN(id) FROM `+s.table).Scan(&least); err != nil {
		return 0, 0, err
	}
	if err := s.db.QueryRow(ctx, `SELECT MAX(id) FROM `+s.table).Scan(&most); err != nil || !most.Valid {
		return 0, 0, err
	}
	low, high = least.Int64, most.Int64+1
	if !s.to.IsZero() {
		if high, err = s.firstAfter(ctx, low, high, s.to.Add(idSlack)); err != nil {
			return 0, 0, err
		}
	}
	if !s.from.IsZero() {
		if low, err = s.firstAfter(ctx, low, high, s.from.Add(-idSlack)); err != nil {
			return 0, 0, err
		}
	}
	if s.before > 0 {
		high = min(high, s.before)
	}
	return low, high, nil
}

// firstAfter returns the first id from low on whose row has the time at or a later one, or
// high without one.
func (s search[T]) firstAfter(ctx context.Context, low, high int64, at time.Time) (int64, error) {
	for low < high {
		middle := low + (high-low)/2
		id, of, err := s.timeOf(ctx, middle)
		if err != nil {
			return 0, err
		}
		switch {
		case id >= high || !of.Before(at): // no row between middle and high is earlier
			high = middle
		default:
			low = id + 1
		}
	}
	return low, nil
}

// timeOf returns the first row from an id on, and its time.
func (s search[T]) timeOf(ctx context.Context, from int64) (id int64, at time.Time, err error) {
	var t int64
	err = s.db.QueryRow(ctx, s.at, from).Scan(&id, &t)
	if errors.Is(err, sql.ErrNoRows) {
		return math.MaxInt64, time.Time{}, nil
	}
	return id, store.Time(t), err
}

// Pulse changes when a run, an attempt, an event or an act is stored: a page that shows them
// may then be old.
func Pulse(ctx context.Context, from store.Reader) (string, error) {
	var runs, attempts, events, acts, running, audit sql.NullInt64
	err := from.QueryRow(ctx, `
SELECT (SELECT MAX(id) FROM b24_run), (SELECT MAX(id) FROM b24_attempt), (SELECT MAX(id) FROM b24_event), (SELECT MAX(id) FROM b24_run_act),
    (SELECT SUM(id) FROM b24_run WHERE state = 'running'), (SELECT MAX(id) FROM b24_audit)`).Scan(&runs, &attempts, &events, &acts, &running, &audit)
	return fmt.Sprint(runs.Int64, attempts.Int64, events.Int64, acts.Int64, running.Int64, audit.Int64), err
}
