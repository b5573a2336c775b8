package report

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/b24rules/b24rules/engine/dryrun"
	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

// Run is the content of the database about a run.
type Run struct {
	Listed   Listed
	Events   []journal.Event
	Attempts []Attempt
	// Acts are what people did with the run, and which runs joined it.
	Acts []journal.Act
	// Later is the latest run of the same rule and entity after this one, or nil. Newer is how many there
	// are, mostNewer at most.
	Later  *journal.Run
	Newer  int
	Pauses []queue.Pause
	Holds  []queue.Hold
}

// Attempt is an attempt with its record.
type Attempt struct {
	journal.Attempt
	Trace *history.Record // nil without one
}

// Recorded returns the attempt with a number, or for 0 the last one with more than a brief record. If
// there is none, it is the last one with a record, and nil if none has one.
func (r *Run) Recorded(number int) (last *Attempt) {
	for i := range r.Attempts {
		a := &r.Attempts[i]
		if a.Trace == nil || number != 0 && a.Number != number {
			continue
		}
		if last == nil || !a.Trace.Brief {
			last = a
		}
	}
	return last
}

// ReadRun reads a run from the database. For the number of a run that has joined another
// one it reads that one.
func ReadRun(ctx context.Context, q *queue.Queue, id int64) (*Run, error) {
	info, err := FindRun(ctx, q, id)
	if err != nil {
		return nil, err
	}
	r := &Run{Listed: Listed{Run: info}}
	if r.Events, err = journal.EventsOf(ctx, q.Database(), info.ID); err != nil {
		return nil, err
	}
	attempts, err := journal.Attempts(ctx, q.Database(), info.ID)
	if err != nil {
		return nil, err
	}
	for _, a := range attempts {
		t := Attempt{Attempt: a}
		if a.Record != nil {
			if t.Trace, err = history.ReadRecord(a.Record); err != nil {
				return nil, err
			}
		}
		r.Attempts = append(r.Attempts, t)
	}
	if n := len(r.Attempts); n > 0 {
		last := r.Attempts[n-1]
		r.Listed.Record, r.Listed.Took = last.Trace, last.Finished.Sub(last.Started)
	}
	if r.Acts, err = journal.Acts(ctx, q.Database(), info.ID); err != nil {
		return nil, err
	}
	if r.Later, r.Newer, err = laterRuns(ctx, q, info); err != nil {
		return nil, err
	}
	all, err := q.Pauses(ctx)
	if err != nil {
		return nil, err
	}
	r.Pauses = PausesOf(all, info.Portal, info.Rule)
	holds, err := q.HoldList(ctx)
	if err != nil {
		return nil, err
	}
	r.Holds = HoldsOf(holds, info.Portal, info.Rule)
	return r, nil
}

// mostNewer bounds how many later runs are counted.
const mostNewer = 20

// laterRuns finds the latest run of the same rule and entity after this one, and counts those after it. If
// the latest one succeeded, this one is no longer needed, because that one read a newer state.
func laterRuns(ctx context.Context, q *queue.Queue, r journal.Run) (latest *journal.Run, n int, err error) {
	runs, err := journal.FindRuns(ctx, q.Database(), journal.Filter{Portal: r.Portal, Rule: r.Rule, Entity: r.Entity, Limit: mostNewer})
	if err != nil {
		return nil, 0, err
	}
	for i, other := range runs {
		if other.ID <= r.ID || other.State == journal.Discarded {
			continue
		}
		if latest == nil {
			latest = &runs[i]
		}
		n++
	}
	return latest, n, nil
}

// fullRunJSON is the JSON form of a Run.
type fullRunJSON struct {
	runJSON
	EventList []eventJSON   `json:"event_list"`
	Attempts  []attemptJSON `json:"attempts"`
	Actions   []actJSON     `json:"actions,omitempty"`
	Later     int64         `json:"later,omitempty"`
}

// actJSON is what a person did with a run, or a run that joined it.
type actJSON struct {
	Action string     `json:"action"`
	Who    string     `json:"who,omitempty"`
	Run    int64      `json:"run,omitempty"`
	At     *time.Time `json:"at"`
}

type eventJSON struct {
	ID       int64           `json:"id"`
	Code     string          `json:"code"`
	Data     json.RawMessage `json:"data"`
	Sent     *time.Time      `json:"sent,omitempty"`
	Received *time.Time      `json:"received,omitempty"`
}

type attemptJSON struct {
	Number   int             `json:"number"`
	Outcome  string          `json:"outcome"`
	Error    string          `json:"error,omitempty"`
	Started  *time.Time      `json:"started,omitempty"`
	Finished *time.Time      `json:"finished,omitempty"`
	Record   json.RawMessage `json:"record,omitempty"`
	// Changes are what the attempt has written, with the values before.
	Changes []dryrun.Change `json:"changes,omitempty"`
}

func (r *Run) json() fullRunJSON {
	out := fullRunJSON{runJSON: newRunJSON(r.Listed), EventList: []eventJSON{}, Attempts: []attemptJSON{}}
	for _, e := range r.Events {
		out.EventList = append(out.EventList, eventJSON{e.ID, e.Code, e.Data, stamp(e.Sent), stamp(e.Received)})
	}
	for _, a := range r.Attempts {
		record, _ := history.UnpackRecord(a.Record) // ReadRun has unpacked it
		one := attemptJSON{Number: a.Number, Outcome: string(a.Outcome), Error: a.Error, Started: stamp(a.Started), Finished: stamp(a.Finished), Record: record}
		if a.Trace != nil {
			one.Changes = slices.Concat(Changes(a.Trace)...)
		}
		out.Attempts = append(out.Attempts, one)
	}
	for _, a := range r.Acts {
		out.Actions = append(out.Actions, actJSON{string(a.Action), a.Who, a.Joined, stamp(a.At)})
	}
	if r.Later != nil {
		out.Later = r.Later.ID
	}
	return out
}

// FindRun reads the state of a run, without its events and attempts. For the number of a
// run that has joined another one it reads that one, whose ID differs then. For an
// unknown id the error is queue.ErrNoRun.
func FindRun(ctx context.Context, q *queue.Queue, id int64) (journal.Run, error) {
	found, err := journal.FindRuns(ctx, q.Database(), journal.Filter{ID: id})
	if err != nil || len(found) > 0 {
		return first(found), err
	}
	into, ok, err := journal.JoinedTo(ctx, q.Database(), id)
	if err == nil && ok {
		found, err = journal.FindRuns(ctx, q.Database(), journal.Filter{ID: into})
	}
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("run %d: %w; the history may have been deleted", id, queue.ErrNoRun)
	}
	return first(found), err
}
