package journal

import (
	"encoding/json"
	"time"

	"github.com/b24rules/b24rules/internal/store"
)

// State is the state of a run.
type State string

// The states of a run. The comment of package queue shows the changes between them.
const (
	Waiting   State = "waiting" // for its due time, for another run of its entity or for room
	Running   State = "running"
	Succeeded State = "succeeded" // ended without an error
	Parked    State = "parked"    // failed for the last time: a dead letter
	Discarded State = "discarded" // given up: by a person, or because nothing is left to do

	// Asleep is not stored: a waiting run whose rule waits for a time.
	Asleep State = "asleep"

	// The previous version of the program also stored these. Blocked is a reason of
	// Waiting now: see Run.Blocked.
	Blocked State = "blocked"
	Queued  State = "queued"
)

// Priority decides which of two due runs of a portal starts first. Live runs
// start before all runs of a backfill.
type Priority int

// The priorities.
const (
	Live     Priority = 0 // because of an event of the portal
	Backfill Priority = 1 // because of a sync or catch-up: see queue.Input.Backfill
)

// String returns "live" or "backfill".
func (p Priority) String() string {
	if p == Backfill {
		return "backfill"
	}
	return "live"
}

// Run is what is stored of a run.
type Run struct {
	ID                   int64
	Portal, Rule, Entity string
	State                State
	Priority             Priority
	Blocked              bool // waiting and due, but another run of its entity is running

	// Added: an event of this run has added the entity. Deleted: the entity does
	// not exist any more.
	Added, Deleted bool

	Count       int   // events of this run
	Earlier     int   // attempts before it last started over: see Number
	Attempt     int   // the running or last attempt since then, from 1; 0 before the first
	MaxAttempts int   // after which it is parked
	Event       Event // the latest

	First     time.Time // when the first event was received, or when a sleeping run wakes up
	Woken     time.Time // the time that the run waited for and that has come; zero if an event has started it
	Due       time.Time // when it may start
	NotBefore time.Time // of Postpone and RetryFrom; zero without them
	Started   time.Time // the last attempt; zero before the first
	Finished  time.Time // zero until it succeeded, was parked or discarded

	Error string // of the last attempt; "" after a success
	Cause string // of the error, the same for all runs that fail because of it; "" without one
}

// Number is the number of the running or last attempt among all attempts of the run,
// also those before a replay; 0 before the first.
func (r Run) Number() int { return r.Earlier + r.Attempt }

// CodeStart is the code of the event by which history shows that a run has started
// another one. Its data is a Starter.
const CodeStart = "B24RULES.START"

// Starter is the run that has started another one.
type Starter struct {
	Run    int64  `json:"run"`
	Rule   string `json:"rule"`
	Entity string `json:"entity"`
}

// Starter returns the run that has started this one last. ok is false if the latest
// event of the run is another one.
func (r Run) Starter() (s Starter, ok bool) {
	return s, r.Event.Code == CodeStart && json.Unmarshal(r.Event.Data, &s) == nil
}

// SelectRuns selects runs r for ScanRun.
const SelectRuns = SelectRunsFrom + `, r.deleted, ` + waitsForAnother + SelectRunsTo

// SelectRunsFrom and SelectRunsTo are SelectRuns without the two columns in the middle:
// whether the entity is deleted, and whether another run of it is running.
const (
	SelectRunsFrom = `
SELECT r.id, r.portal, r.rule, r.entity, r.state, r.priority, r.added`

	SelectRunsTo = `, r.count, r.earlier, r.attempt, r.max_attempts,
    r.first_at, r.opened_at, r.due_at, r.not_before, r.started_at, r.finished_at, r.error, r.cause,
    e.id, e.code, e.data, e.routes, e.sent_at, e.received_at
FROM b24_run r JOIN b24_event e ON e.id = r.event_id`
)

// ScanRun returns a function that reads a row of SelectRuns as of a time.
func ScanRun(now time.Time) func(row store.Row) (Run, error) {
	return func(row store.Row) (Run, error) {
		var (
			r                                                                Run
			first, opened, due, notBefore, started, finished, sent, received int64
			data                                                             string
		)
		err := row.Scan(&r.ID, &r.Portal, &r.Rule, &r.Entity, &r.State, &r.Priority, &r.Added, &r.Deleted, &r.Blocked, &r.Count, &r.Earlier, &r.Attempt, &r.MaxAttempts,
			&first, &opened, &due, &notBefore, &started, &finished, &r.Error, &r.Cause,
			&r.Event.ID, &r.Event.Code, &data, &r.Event.Routes, &sent, &received)
		if err != nil {
			return Run{}, err
		}
		r.First, r.Due, r.NotBefore = store.Time(first), store.Time(due), store.Time(notBefore)
		if at := store.Micros(now); r.Priority == Backfill && opened > received { // no event has joined it
			switch {
			case r.State == Waiting && opened > at && due > at:
				r.State = Asleep
			case due >= opened: // otherwise it was repeated before its time
				r.Woken = store.Time(opened)
			}
		}
		r.Blocked = r.Blocked && !r.Due.After(now)
		r.Started, r.Finished = store.Time(started), store.Time(finished)
		r.Event.Portal, r.Event.Data = r.Portal, json.RawMessage(data)
		r.Event.Sent, r.Event.Received = store.Time(sent), store.Time(received)
		return r, nil
	}
}
