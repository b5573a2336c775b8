package catchup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/queue"
)

// The codes under which history shows the pages of jobs.
const (
	CodeSync     = "B24RULES.SYNC"    // a person started it
	CodeDowntime = "B24RULES.ABSENCE" // after a downtime
)

// Job is a stored job: its entities and its progress.
type Job struct {
	Portal string `json:"portal"`
	// Rule is the rule to run; "" means all rules that subscribe to the entities.
	Rule string `json:"rule"`
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
	// Leftovers are the places that may have records of deleted entities. They are
	// processed after the entities.
	Leftovers []Leftover `json:"remains,omitempty"`

	// Stage counts the types, and then the leftovers, that are done. After is the last
	// id that was read of the current one.
	Stage int `json:"stage"`
	After int `json:"after"`
	// Read is how many rows of the current type were read.
	Read int `json:"read,omitempty"`
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
	Finished time.Time `json:"finished"` // all pages are in the queue
	// Failures are the errors of skipped parts.
	Failures []string `json:"failures,omitempty"`
	// Failed is why the job was given up or, if it is Finished, why it is incomplete;
	// "" otherwise.
	Failed string `json:"failed,omitempty"`
	// Waits is why the job waits, "" when it does not.
	Waits string `json:"waits,omitempty"`

	was string // the stored text when it was read: save changes no other
}

// Downtime is a time, by our clock, in which no process received events.
type Downtime struct {
	From time.Time `json:"from"` // the last heartbeat
	To   time.Time `json:"to"`
}

// StartCatchUp stores a job for a downtime, next to those for earlier ones.
func StartCatchUp(ctx context.Context, q *queue.Queue, portal string, downtime Downtime) error {
	return Start(ctx, q, Job{Portal: portal, Downtime: &downtime, Started: time.Now()})
}

// Leftover is a place that may have records of deleted entities of a type.
type Leftover struct {
	TypeID       int    `json:"type"`           // of the entities
	List         int    `json:"list,omitempty"` // IBLOCK_ID
	ListType     string `json:"list_type,omitempty"`
	EntityTypeID int    `json:"entityTypeId,omitempty"` // of items, without a list
	Field        string `json:"field"`                  // that holds the entity's id
}

// Code is the event code of the job's pages.
func (j Job) Code() string {
	if j.Rule == "" {
		return CodeDowntime
	}
	return CodeSync
}

// Over reports whether the job has no page left.
func (j Job) Over() bool { return !j.Finished.IsZero() || j.Failed != "" }

// nextStage ends the current type or place.
func (j *Job) nextStage() { j.Stage, j.After, j.Read = j.Stage+1, 0, 0 }

// stages returns the number of types and leftovers.
func (j Job) stages() int { return len(j.Types) + len(j.Leftovers) }

const notePrefix = "catchup."

// ruleNotes is the start of the names of the notes of a rule's jobs, and name is the
// name for one job. Each job has its own, so that a process that feeds a replaced job
// does not overwrite the new one.
func ruleNotes(portal, rule string) string {
	if rule == "" {
		rule = "*"
	}
	return notePrefix + portal + "." + rule + "."
}

func (j Job) name() string {
	return ruleNotes(j.Portal, j.Rule) + strconv.FormatInt(j.Started.UnixMicro(), 10)
}

// jobs returns the jobs whose notes start with a prefix, oldest first, and an error
// for those that cannot be read.
func jobs(ctx context.Context, q *queue.Queue, prefix, portal string) ([]Job, error) {
	notes, err := q.Notes(ctx, prefix)
	if err != nil {
		return nil, err
	}
	var all []Job
	var bad error
	for _, n := range notes {
		j, err := read(n)
		if err != nil {
			bad = errors.Join(bad, err)
			continue
		}
		if j.Portal == portal { // names of portals may contain dots
			all = append(all, j)
		}
	}
	slices.SortFunc(all, func(a, b Job) int { return a.Started.Compare(b.Started) })
	return all, bad
}

// Load returns the latest job of a rule in a portal, or of the portal's last downtime
// (rule ""). ok is false without one.
func Load(ctx context.Context, q *queue.Queue, portal, rule string) (j Job, ok bool, err error) {
	all, err := jobs(ctx, q, ruleNotes(portal, rule), portal)
	if len(all) == 0 {
		return Job{}, false, err
	}
	return all[len(all)-1], true, nil
}

// tidy deletes the jobs that the latest one of a rule has replaced, and the jobs of
// downtimes that are over.
func tidy(ctx context.Context, q *queue.Queue, portal, rule string) error {
	all, err := jobs(ctx, q, ruleNotes(portal, rule), portal)
	if len(all) == 0 {
		return err
	}
	for i, j := range all {
		if i == len(all)-1 || j.Downtime != nil && !j.Over() {
			continue
		}
		if err := q.DeleteNote(ctx, j.name()); err != nil {
			return err
		}
	}
	return nil
}

func read(n queue.Note) (Job, error) {
	var j Job
	if err := json.Unmarshal([]byte(n.Value), &j); err != nil {
		return Job{}, fmt.Errorf("cannot read the job %s: %w", strings.TrimPrefix(n.Name, notePrefix), err)
	}
	j.was = n.Value
	return j, nil
}

// save stores a job that was read before, unless another process has continued it.
func save(ctx context.Context, q *queue.Queue, j Job) error {
	mine, err := q.SwapNote(ctx, j.name(), j.was, j.text())
	if err == nil && !mine {
		err = queue.ErrMoved
	}
	return err
}

// Start stores a new job. A sync replaces the earlier ones of its rule. The job
// counts as started after them even if the clock was set back.
func Start(ctx context.Context, q *queue.Queue, j Job) error {
	latest, err := q.LatestEvents(ctx, 0, 1)
	if err != nil {
		return err
	}
	j.Event = 1
	if len(latest) > 0 {
		j.Event = latest[0].ID + 1
	}
	// A job that cannot be read does not prevent a new one.
	if last, ok, _ := Load(ctx, q, j.Portal, j.Rule); ok && !j.Started.After(last.Started) {
		j.Started = last.Started.Add(time.Microsecond)
	}
	if err := q.SetNote(ctx, j.name(), j.text()); err != nil {
		return err
	}
	return tidy(ctx, q, j.Portal, j.Rule)
}

func (j Job) text() string {
	data, err := json.Marshal(j)
	if err != nil {
		panic(err) // numbers, texts and times of this century always marshal
	}
	return string(data)
}

func (j Job) note() queue.Note { return queue.Note{Name: j.name(), Value: j.text()} }

// open returns the jobs of a portal that are not over: those of all downtimes, and
// the latest sync of each rule.
func open(ctx context.Context, q *queue.Queue, portal string) ([]Job, error) {
	all, bad := jobs(ctx, q, notePrefix+portal+".", portal)
	latest := map[string]time.Time{}
	for _, j := range all {
		latest[j.Rule] = j.Started
	}
	return slices.DeleteFunc(all, func(j Job) bool {
		return j.Over() || j.Downtime == nil && j.Started.Before(latest[j.Rule])
	}), bad
}
