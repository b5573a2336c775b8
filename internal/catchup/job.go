package catchup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/jobs"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/notes"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/store"
)

// The codes under which history shows the pages of jobs.
const (
	CodeSync     = "B24RULES.SYNC"    // a person started it
	CodeDowntime = "B24RULES.ABSENCE" // after a downtime
	CodeLook     = "B24RULES.LOOK"    // the first look of a rule
	CodeTick     = "B24RULES.TICK"    // a tick of a rule's schedule
	CodeApply    = "B24RULES.APPLY"   // a plan that a person applied; it is no job
)

// The kinds of our jobs in the table of jobs. The key is the rule, "" for all rules.
const (
	KindSync    = "sync"
	KindCatchUp = "catchup"
	KindLook    = "look"
	KindTicked  = "schedule" // for the entities of a tick
)

// Job is a sync or catch-up: its entities and its progress, as the place of a job in the
// table of jobs. Finished, Failed and Waits are columns there.
type Job struct {
	Portal string `json:"portal"`
	// Rule is the rule to run; "" means all rules that subscribe to the entities.
	Rule string `json:"rule"`
	// Look says that the runs only look at the entities: see run.Run.Look.
	Look bool `json:"look,omitempty"`
	// Tick is the tick of the schedule that has started the job, zero without one. Filter
	// chooses its entities; nil takes all.
	Tick   time.Time      `json:"tick,omitzero"`
	Filter map[string]any `json:"filter,omitempty"`
	// Types are the entityTypeIds of the entities, processed one after another.
	Types []int `json:"types"`
	// Since skips entities that have not changed since then, by the portal's clock;
	// zero takes all.
	Since time.Time `json:"since"`
	// Downtime is the downtime that the job catches up on, nil for a sync. Until
	// Ready, its entities are not determined yet, because the portal may not answer
	// when we start.
	Downtime *Downtime `json:"away,omitempty"`
	Ready    bool      `json:"ready,omitempty"`
	// Windows are those that a catch-up covers, as they were when it started. Ordered says
	// that a person ordered it, so no limit applies.
	Windows []Window `json:"windows,omitempty"`
	Ordered bool     `json:"ordered,omitempty"`
	// Left are the windows of the rules that the catch-up could not cover so far.
	Left []Window `json:"left,omitempty"`
	// Leftovers are the places that may have records of deleted entities. They are
	// processed after the entities.
	Leftovers []Leftover `json:"remains,omitempty"`

	// Stage counts the types, and then the leftovers, that are done. After is the last
	// id that was read of the current one.
	Stage int `json:"stage"`
	After int `json:"after"`
	// Ends has the id at which each place ended when the job started: records that are added
	// later are those of the job's own runs. 0 means that the place was empty, and unknownEnd
	// that it ends without further records.
	Ends []int `json:"ends,omitempty"`
	// Read is how many rows of the current type were read.
	Read int `json:"read,omitempty"`
	// Missing are the entities of the current place that do not exist any more, and
	// Owners how many entities had records in it.
	Missing []int `json:"missing,omitempty"`
	Owners  int   `json:"owners,omitempty"`
	// Gone allows any number of missing entities.
	Gone bool `json:"gone_allowed,omitempty"`
	// Total is how many entities there were at the start.
	Total int `json:"total"`
	// Seen counts entities, Runs new runs, Joined runs that were pending before,
	// Orphans entities that do not exist any more.
	Seen    int `json:"seen"`
	Runs    int `json:"begun"`
	Joined  int `json:"joined"`
	Orphans int `json:"orphans"`
	// Event is the lowest id that an event of the job's pages can have.
	Event    int64     `json:"event"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"-"` // all pages are in the queue
	// Failures are the errors of skipped parts.
	Failures []string `json:"failures,omitempty"`
	// Failed is why the job was given up or, if it is Finished, why it is incomplete;
	// "" otherwise.
	Failed string `json:"-"`
	// Waits is why the job waits, "" when it does not.
	Waits string `json:"-"`
}

// Downtime is a time, by our clock, in which no process received events.
type Downtime struct {
	From time.Time `json:"from"` // the last heartbeat
	To   time.Time `json:"to"`
}

// Leftover is a place that may have records of deleted entities of a type.
type Leftover struct {
	TypeID       int    `json:"type"`           // of the entities
	List         int    `json:"list,omitempty"` // IBLOCK_ID
	ListType     string `json:"list_type,omitempty"`
	EntityTypeID int    `json:"entityTypeId,omitempty"` // of items, without a list
	Field        string `json:"field"`                  // that holds the entity's id
}

// String names the place.
func (l Leftover) String() string {
	if l.List > 0 {
		return fmt.Sprintf("list %d", l.List)
	}
	return fmt.Sprintf("the items of type %d", l.EntityTypeID)
}

// Code is the event code of the job's pages.
func (j Job) Code() string {
	switch {
	case j.Look:
		return CodeLook
	case !j.Tick.IsZero():
		return CodeTick
	case j.Downtime != nil:
		return CodeDowntime
	}
	return CodeSync
}

// Over reports whether the job has no page left.
func (j Job) Over() bool { return !j.Finished.IsZero() || j.Failed != "" }

// nextStage ends the current type or place.
func (j *Job) nextStage() {
	j.Stage, j.After, j.Read, j.Missing, j.Owners = j.Stage+1, 0, 0, nil, 0
}

// stages returns the number of types and leftovers.
func (j Job) stages() int { return len(j.Types) + len(j.Leftovers) }

// id identifies a job in one process.
func (j Job) id() string { return fmt.Sprint(j.Portal, " ", j.Rule, " ", j.Started.UnixMicro()) }

// row returns the new row of a job.
func (j Job) row() (jobs.Job, error) {
	data, err := json.Marshal(j)
	row := jobs.Job{Portal: j.Portal, Kind: KindSync, Key: j.Rule, Place: data}
	if j.Look {
		row.Kind = KindLook
	}
	if !j.Tick.IsZero() {
		row.Kind = KindTicked
	}
	if j.Downtime != nil {
		row.Kind = KindCatchUp
		if !j.Downtime.To.IsZero() { // of an older version of the program, next to others
			row.Key = j.Downtime.To.UTC().Format(time.RFC3339Nano)
		}
	}
	return row, err
}

// Read returns the sync or catch-up that a row of the table of jobs holds.
func Read(row jobs.Job) (Job, error) {
	var j Job
	if err := json.Unmarshal(row.Place, &j); err != nil {
		return Job{}, fmt.Errorf("cannot read job %d, a %s of portal %s: %w", row.ID, row.Kind, row.Portal, err)
	}
	switch row.State {
	case jobs.Done:
		j.Finished, j.Failed = row.Ended, strings.Join(j.Failures, "; ")
	case jobs.Failed:
		j.Failed = row.Error
	case jobs.Cancelled:
		j.Failed = "it was cancelled"
	case jobs.Waiting, jobs.Running:
		j.Waits = row.Error
	}
	return j, nil
}

// Load returns the latest sync of a rule in a portal, or the catch-up of the portal's
// last downtime (rule ""). ok is false without one.
func Load(ctx context.Context, q *queue.Queue, portal, rule string) (j Job, ok bool, err error) {
	kind := KindSync
	if rule == "" {
		kind = KindCatchUp
	}
	all, err := jobs.New(q.Database()).List(ctx, jobs.Filter{Portal: portal, Kind: kind, Key: rule})
	if err != nil {
		return Job{}, false, err
	}
	for _, row := range all {
		if j, err = Read(row); err != nil || j.Rule == rule { // not a catch-up of one rule
			return j, err == nil, err
		}
	}
	return Job{}, false, nil
}

// Start stores a new job. A sync replaces an unfinished one of its rule.
func Start(ctx context.Context, q *queue.Queue, j Job) error {
	row, err := j.begin(ctx, q)
	if err != nil {
		return err
	}
	return jobs.New(q.Database()).Replace(ctx, row)
}

// begin sets the lowest event of a new job and returns its row.
func (j Job) begin(ctx context.Context, q *queue.Queue) (jobs.Job, error) {
	latest, err := journal.FindEvents(ctx, q.Database(), journal.EventFilter{Limit: 1})
	if err != nil {
		return jobs.Job{}, err
	}
	j.Event = 1
	if len(latest) > 0 {
		j.Event = latest[0].ID + 1
	}
	return j.row()
}

// StartTick stores the job of a tick, and calls with in the same transaction. If the job of
// an earlier tick of the rule is open, it stores only what with stores, and returns busy.
func StartTick(ctx context.Context, q *queue.Queue, j Job, busy error, with func(ctx context.Context, t store.Tx) error) error {
	row, err := j.begin(ctx, q)
	if err != nil {
		return err
	}
	added := false
	err = q.Database().Write(ctx, func(ctx context.Context, t store.Tx) (err error) {
		if added, err = jobs.New(q.Database()).AddIn(ctx, t, row); err != nil {
			return err
		}
		return with(ctx, t)
	})
	if err == nil && !added {
		err = busy
	}
	return err
}

// notePrefix starts the names of the notes that held the jobs in an older version of the
// program.
const notePrefix = "catchup."

// Adopt moves the unfinished jobs that an older version of the program has stored as
// notes into the table of jobs. Such a version may still be running and store more.
func Adopt(ctx context.Context, q *queue.Queue, log *slog.Logger) error {
	stored, err := notes.List(ctx, q.Database(), notePrefix)
	if err != nil || len(stored) == 0 {
		return err
	}
	var bad error
	latest := map[[2]string]time.Time{} // of the syncs of a portal and rule
	all := map[string]Job{}
	for _, n := range stored {
		var old struct {
			Job
			Finished time.Time `json:"finished"`
			Failed   string    `json:"failed"`
		}
		if err := json.Unmarshal([]byte(n.Value), &old); err != nil {
			log.Error("cannot read a job of an older version, it is dropped", "name", n.Name, "value", n.Value, "error", err)
		}
		j := old.Job
		j.Finished, j.Failed = old.Finished, old.Failed
		all[n.Name] = j
		if key := [2]string{j.Portal, j.Rule}; j.Started.After(latest[key]) {
			latest[key] = j.Started
		}
	}
	for name, j := range all {
		over := j.Portal == "" || j.Over() || j.Downtime == nil && j.Started.Before(latest[[2]string{j.Portal, j.Rule}])
		if err := adopt(ctx, q, name, j, over); err != nil {
			bad = errors.Join(bad, fmt.Errorf("adopt %s: %w", name, err))
		}
	}
	return bad
}

// adopt deletes a note and, unless its job is over, stores the job in one transaction.
func adopt(ctx context.Context, q *queue.Queue, name string, j Job, over bool) error {
	row, err := j.row()
	if err != nil {
		return err
	}
	return q.Database().Write(ctx, func(ctx context.Context, t store.Tx) error {
		n, err := t.Exec(ctx, `DELETE FROM b24_note WHERE name = $1`, name)
		if err != nil || n == 0 || over { // without a note, another process has adopted it
			return err
		}
		_, err = jobs.New(q.Database()).AddIn(ctx, t, row)
		return err
	})
}
