package queue

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/store"
)

// Filter selects runs. A zero field selects all.
type Filter struct {
	ID                   int64
	Portal, Rule, Entity string
	Portals              []string  // only runs of these; nil means all
	Rules                []string  // only runs of these; nil means all
	Text                 string    // only runs with this text in the error or the entity
	States               []State   // Blocked selects waiting runs with that reason
	Did                  []Did     // only runs that did one of these
	Cause                string    // of the last failure
	Event                int64     // only runs that this event has joined
	From, To             time.Time // only runs whose first event was received at From or later, and before To
	Before               int64     // only runs with a smaller ID: the next page
	Limit                int       // 0 means 100
}

const (
	selectID = `
SELECT r.id, r.portal, r.rule, r.entity, r.state, r.priority, r.added`

	selectRest = `, r.count, r.earlier, r.attempt, r.max_attempts,
    r.first_at, r.opened_at, r.due_at, r.not_before, r.started_at, r.finished_at, r.error, r.cause,
    e.id, e.code, e.data, e.routes, e.sent_at, e.received_at
FROM b24_run r JOIN b24_event e ON e.id = r.event_id`

	// waitsForAnother is a condition on a run: another run of its entity is running.
	waitsForAnother = `(r.state = 'waiting' AND NOT ` + free + `)`

	selectInfo = selectID + `, r.deleted, ` + waitsForAnother + selectRest
)

// Runs returns the runs that f selects, newest first.
func (q History) Runs(ctx context.Context, f Filter) ([]Info, error) {
	where, args := f.conditions()
	args = append(args, cmp.Or(f.Limit, 100))
	return q.infos(ctx, selectInfo+where+fmt.Sprintf(" ORDER BY r.id DESC LIMIT $%d", len(args)), args...)
}

func (f Filter) conditions() (where string, args []any) {
	var all []string
	place := func(value any) string {
		args = append(args, value)
		return fmt.Sprintf("$%d", len(args))
	}
	for column, value := range map[string]string{"r.portal": f.Portal, "r.rule": f.Rule, "r.entity": f.Entity, "r.cause": f.Cause} {
		if value != "" {
			all = append(all, column+" = "+place(value))
		}
	}
	if f.Portals != nil {
		// Without an entity, the runs are read by their numbers: an index of portals would sort all
		// runs of these portals.
		column := "r.portal"
		if f.Entity == "" && len(f.Portals) > 1 {
			column += " || ''"
		}
		all = append(all, oneOf(column, f.Portals, place))
	}
	if f.Rules != nil {
		all = append(all, oneOf("r.rule", f.Rules, place))
	}
	if f.Text != "" {
		text := place(likeText(f.Text))
		all = append(all, `(LOWER(r.error) LIKE `+text+` ESCAPE '\' OR LOWER(r.entity) LIKE `+text+` ESCAPE '\')`)
	}
	if f.ID != 0 {
		all = append(all, "r.id = "+place(f.ID))
	}
	if f.Before != 0 {
		all = append(all, "r.id < "+place(f.Before))
	}
	if f.Event != 0 {
		all = append(all, "r.id IN (SELECT run_id FROM b24_run_event WHERE event_id = "+place(f.Event)+")")
	}
	if !f.From.IsZero() {
		all = append(all, "r.first_at >= "+place(micros(f.From)))
	}
	if !f.To.IsZero() {
		all = append(all, "r.first_at < "+place(micros(f.To)))
	}
	if len(f.Did) > 0 {
		any := make([]string, len(f.Did))
		for i, d := range f.Did {
			any[i] = d.condition(place)
		}
		all = append(all, "("+strings.Join(any, " OR ")+")")
	}
	if len(f.States) > 0 {
		var states []string
		for _, s := range f.States {
			states = append(states, place(string(s)))
		}
		in := "r.state IN (" + strings.Join(states, ", ") + ")"
		sleeps := func() string { return strings.ReplaceAll(asleep, "$1", place(micros(clock()))) }
		if slices.Contains(f.States, Asleep) {
			in = "(" + in + " OR " + sleeps() + ")"
		} else if slices.Contains(f.States, Waiting) {
			in = "(" + in + " AND NOT " + sleeps() + ")"
		}
		if slices.Contains(f.States, Blocked) {
			in = "(" + in + " OR " + waitsForAnother + ")"
		}
		all = append(all, in)
	}
	if len(all) == 0 {
		return "", nil
	}
	return " WHERE " + strings.Join(all, " AND "), args
}

// oneOf is a condition that a column has one of the values.
func oneOf(column string, values []string, place func(any) string) string {
	if len(values) == 0 {
		return "1 = 0"
	}
	places := make([]string, len(values))
	for i, v := range values {
		places[i] = place(v)
	}
	return column + " IN (" + strings.Join(places, ", ") + ")"
}

// likeText is the pattern for LIKE that finds a text, whatever its capital letters are.
func likeText(text string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(strings.ToLower(text)) + "%"
}

func (q History) infos(ctx context.Context, text string, args ...any) ([]Info, error) {
	return store.All(ctx, q.db.read, "read runs", scanInfo, text, args...)
}

func scanInfo(row store.Row) (Info, error) {
	var (
		i                                                                Info
		first, opened, due, notBefore, started, finished, sent, received int64
		data                                                             string
	)
	err := row.Scan(&i.ID, &i.Portal, &i.Rule, &i.Entity, &i.State, &i.Priority, &i.Added, &i.Deleted, &i.Blocked, &i.Count, &i.Earlier, &i.Attempt, &i.MaxAttempts,
		&first, &opened, &due, &notBefore, &started, &finished, &i.Error, &i.Cause,
		&i.Event.ID, &i.Event.Code, &data, &i.Event.Routes, &sent, &received)
	if err != nil {
		return Info{}, err
	}
	i.First, i.Due, i.NotBefore = fromMicros(first), fromMicros(due), fromMicros(notBefore)
	if now := micros(clock()); i.Priority == Backfill && opened > received { // no event has joined it
		switch {
		case i.State == Waiting && opened > now && due > now:
			i.State = Asleep
		case due >= opened: // otherwise it was repeated before its time
			i.Woken = fromMicros(opened)
		}
	}
	i.Blocked = i.Blocked && !i.Due.After(clock())
	i.Started, i.Finished = fromMicros(started), fromMicros(finished)
	i.Event.Portal, i.Event.Data = i.Portal, json.RawMessage(data)
	i.Event.Sent, i.Event.Received = fromMicros(sent), fromMicros(received)
	return i, nil
}

// Attempt is one attempt of a run.
type Attempt struct {
	Number            int
	Outcome           Outcome
	Error             string
	Record            json.RawMessage // of Run.Record; nil without one
	Started, Finished time.Time
}

// Attempts returns the attempts of a run, oldest first. Of postponed attempts only
// the last is stored.
func (q History) Attempts(ctx context.Context, run int64) ([]Attempt, error) {
	return store.All(ctx, q.db.read, fmt.Sprint("attempts of run ", run), func(row store.Row) (Attempt, error) {
		_, a, err := scanAttempt(row)
		return a, err
	}, selectAttempt+` WHERE run_id = $1 ORDER BY id`, run)
}

const selectAttempt = `SELECT run_id, number, outcome, error, record, started_at, finished_at FROM b24_attempt`

func scanAttempt(row store.Row) (run int64, a Attempt, err error) {
	var record string
	var started, finished int64
	err = row.Scan(&run, &a.Number, &a.Outcome, &a.Error, &record, &started, &finished)
	if record != "" {
		a.Record = json.RawMessage(record)
	}
	a.Started, a.Finished = fromMicros(started), fromMicros(finished)
	return run, a, err
}

// attemptsAtOnce is how many runs one statement of LastAttempts reads.
const attemptsAtOnce = 500

// LastAttempts returns the last attempt of each of some runs. A run without attempts is missing.
func (q History) LastAttempts(ctx context.Context, runs []int64) (map[int64]Attempt, error) {
	out := map[int64]Attempt{}
	for part := range slices.Chunk(runs, attemptsAtOnce) {
		args := make([]any, len(part))
		for i, id := range part {
			args[i] = id
		}
		_, err := store.All(ctx, q.db.read, "read the last attempts", func(row store.Row) (struct{}, error) {
			run, a, err := scanAttempt(row)
			out[run] = a
			return struct{}{}, err
		}, selectAttempt+` WHERE id IN (SELECT MAX(id) FROM b24_attempt WHERE run_id IN (`+store.Placeholders(1, len(part))+`) GROUP BY run_id)`, args...)
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

const selectEvent = `SELECT e.id, e.portal, e.code, e.data, e.routes, e.sent_at, e.received_at, e.missing, e.why FROM b24_event e`

// Events returns the events of a run, in the order of their arrival.
func (q History) Events(ctx context.Context, run int64) ([]Event, error) {
	return q.events(ctx, selectEvent+` JOIN b24_run_event re ON re.event_id = e.id WHERE re.run_id = $1 ORDER BY e.id`, run)
}

// LatestEvents returns up to limit events of all portals, newest first, including
// those without a rule. before, if not 0, is the ID that all of them are below, for
// the next page.
func (q History) LatestEvents(ctx context.Context, before int64, limit int) ([]Event, error) {
	if before == 0 {
		before = math.MaxInt64
	}
	return q.events(ctx, selectEvent+` WHERE e.id < $1 ORDER BY e.id DESC LIMIT $2`, before, limit)
}

func (q History) events(ctx context.Context, text string, args ...any) ([]Event, error) {
	return store.All(ctx, q.db.read, "read events", func(row store.Row) (Event, error) {
		var (
			e              Event
			data, missing  string
			sent, received int64
		)
		err := row.Scan(&e.ID, &e.Portal, &e.Code, &data, &e.Routes, &sent, &received, &missing, &e.Why)
		e.Data, e.Sent, e.Received, e.Missing = json.RawMessage(data), fromMicros(sent), fromMicros(received), strings.Fields(missing)
		return e, err
	}, text, args...)
}

// Stats are counts of the stored events and runs.
type Stats struct {
	Events  int           // stored
	NoRule  int           // of these, without a rule
	Runs    map[State]int // by state; see also Backlogs
	Paused  []Pause
	Commits int64 // transactions since Open
}

// Stats counts the stored events and runs.
func (q History) Stats(ctx context.Context) (Stats, error) {
	s := Stats{Commits: q.writes.commits.Load()}
	var err error
	if s.Paused, err = HoldTable(q).Pauses(ctx); err != nil {
		return Stats{}, err
	}
	err = q.db.read.QueryRow(ctx, `
SELECT (SELECT COUNT(*) FROM b24_event), (SELECT COUNT(*) FROM b24_event WHERE routes = 0)`).Scan(&s.Events, &s.NoRule)
	if err != nil {
		return Stats{}, fmt.Errorf("count events: %w", err)
	}
	s.Runs, err = q.countStates(ctx, `SELECT CASE WHEN `+asleep+` THEN 'asleep' ELSE r.state END AS shown, COUNT(*) FROM b24_run r GROUP BY shown`, micros(clock()))
	return s, err
}

// pingNote is what Ping writes.
const pingNote = "queue.ping"

// pingValidFor is how long the next calls of Ping use the result of a successful
// one, so that frequent probes do not keep the disk busy.
const pingValidFor = time.Second

// pingSize is about the size of an event in the database with its run.
const pingSize = 16 << 10

// Ping reports whether the database can store an event. It writes as much as an
// event, because a database on a full disk still answers reads.
func (q *Queue) Ping(ctx context.Context) error {
	if at := q.pinged.Load(); at != nil && clock().Sub(*at) < pingValidFor {
		return nil
	}
	if err := q.SetNote(ctx, pingNote, strings.Repeat("-", pingSize)); err != nil {
		return fmt.Errorf("database: %w", err)
	}
	now := clock()
	q.pinged.Store(&now)
	return nil
}

// idleEvery is how often WaitIdle looks when another process does the work.
const idleEvery = 250 * time.Millisecond

// WaitIdle returns nil as soon as no run is waiting (a retry waits too, a sleeping run
// does not), blocked, queued or running.
func (q *Queue) WaitIdle(ctx context.Context) error {
	for {
		changed := q.changes.next()
		var busy bool
		err := q.db.read.QueryRow(ctx,
			`SELECT EXISTS (SELECT 1 FROM b24_run r WHERE r.state IN ('waiting', 'blocked', 'queued', 'running') AND NOT `+asleep+`)`, micros(clock())).Scan(&busy)
		if err != nil {
			return errors.Join(ctx.Err(), fmt.Errorf("look for unfinished runs: %w", err))
		}
		if !busy {
			return nil
		}
		var elsewhere <-chan time.Time
		if !q.working.Load() {
			elsewhere = time.After(idleEvery)
		}
		select {
		case <-changed:
		case <-elsewhere:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
