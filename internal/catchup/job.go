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
	CodeSync    = "B24RULES.SYNC"    // somebody asked for it
	CodeAbsence = "B24RULES.ABSENCE" // we were away
)

// Job is what is to be gone over, and how far that is. It is stored as it
// stands.
type Job struct {
	Portal string `json:"portal"`
	// Rule is the rule to run; "" means all rules that hear of the entities.
	Rule string `json:"rule"`
	// Types are the entityTypeIds of the entities, gone over one after another.
	Types []int `json:"types"`
	// Since leaves out what has not changed since then, by the portal's clock;
	// zero takes everything.
	Since time.Time `json:"since"`
	// Away is the absence that the job makes up for, nil for a sync. Until
	// Ready, what is to be gone over has to be found out: the portal may not
	// answer when we come back.
	Away  *Away `json:"away,omitempty"`
	Ready bool  `json:"ready,omitempty"`
	// Remains are places where things of deleted entities may be, looked through
	// after the entities.
	Remains []Remain `json:"remains,omitempty"`

	// Stage counts the types and then the remains that are done, After is the
	// last id that was seen in the present one.
	Stage int `json:"stage"`
	After int `json:"after"`
	// Total is how many entities there were at the start.
	Total int `json:"total"`
	// Seen counts entities, Begun runs, Joined those that were pending already,
	// Orphans the entities found gone.
	Seen    int `json:"seen"`
	Begun   int `json:"begun"`
	Joined  int `json:"joined"`
	Orphans int `json:"orphans"`
	// Event is the id from which on the events of the job's pages are.
	Event    int64     `json:"event"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"` // all pages are in the queue
	// Failures are why some of it could not be gone over.
	Failures []string `json:"failures,omitempty"`
	// Failed says why the job was given up or, when it is Finished, is not
	// complete; "" when neither.
	Failed string `json:"failed,omitempty"`
	// Waits says why the job does not go on at the moment, "" when it does.
	Waits string `json:"waits,omitempty"`

	was string // as it was read: whoever changes the job must know it
}

// Away is a time, by our clock, in which nobody took events.
type Away struct {
	From time.Time `json:"from"` // the last sign of life
	To   time.Time `json:"to"`
}

// Missed stores a job for an absence, beside those that are not made up for yet.
func Missed(ctx context.Context, q *queue.Queue, portal string, away Away) error {
	return Begin(ctx, q, Job{Portal: portal, Away: &away, Started: time.Now()})
}

// Remain is a place where things of deleted entities of a type may be.
type Remain struct {
	TypeID       int    `json:"type"`           // of the entities
	List         int    `json:"list,omitempty"` // IBLOCK_ID
	ListType     string `json:"list_type,omitempty"`
	EntityTypeID int    `json:"entityTypeId,omitempty"` // of items, without a list
	Field        string `json:"field"`                  // that holds the entity's id
}

// Code is the event code of the job's pages.
func (j Job) Code() string {
	if j.Rule == "" {
		return CodeAbsence
	}
	return CodeSync
}

// Over reports whether nothing is left to be fed.
func (j Job) Over() bool { return !j.Finished.IsZero() || j.Failed != "" }

// stages is how many types and remains there are.
func (j Job) stages() int { return len(j.Types) + len(j.Remains) }

const notePrefix = "catchup."

// family is how the names of the notes of a rule's jobs begin, name that of one
// job. Each has its own: who feeds one that has been replaced meanwhile must not
// overwrite its successor.
func family(portal, rule string) string {
	if rule == "" {
		rule = "*"
	}
	return notePrefix + portal + "." + rule + "."
}

func (j Job) name() string {
	return family(j.Portal, j.Rule) + strconv.FormatInt(j.Started.UnixMicro(), 10)
}

// jobs returns the jobs whose notes begin with a prefix, oldest first, and what
// is wrong with others.
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
		if j.Portal == portal { // names of portals may hold dots
			all = append(all, j)
		}
	}
	slices.SortFunc(all, func(a, b Job) int { return a.Started.Compare(b.Started) })
	return all, bad
}

// Load returns the latest job of a rule in a portal, or that of the portal's
// last absence (rule ""). ok is false when there is none.
func Load(ctx context.Context, q *queue.Queue, portal, rule string) (j Job, ok bool, err error) {
	all, err := jobs(ctx, q, family(portal, rule), portal)
	if len(all) == 0 {
		return Job{}, false, err
	}
	return all[len(all)-1], true, nil
}

// tidy forgets the jobs that the latest one of a rule has replaced, and absences
// that have been made up for.
func tidy(ctx context.Context, q *queue.Queue, portal, rule string) error {
	all, err := jobs(ctx, q, family(portal, rule), portal)
	if len(all) == 0 {
		return err
	}
	for i, j := range all {
		if i == len(all)-1 || j.Away != nil && !j.Over() {
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
		return Job{}, fmt.Errorf("the job %s cannot be read: %w", strings.TrimPrefix(n.Name, notePrefix), err)
	}
	j.was = n.Value
	return j, nil
}

// save keeps a job that was read before, unless somebody else has gone on with it.
func save(ctx context.Context, q *queue.Queue, j Job) error {
	mine, err := q.SwapNote(ctx, j.name(), j.was, j.text())
	if err == nil && !mine {
		err = queue.ErrMoved
	}
	return err
}

// Begin stores a new job. A sync takes the place of those that there were of its
// rule. When the clock was set back, the job counts as begun after them all the
// same.
func Begin(ctx context.Context, q *queue.Queue, j Job) error {
	latest, err := q.LatestEvents(ctx, 0, 1)
	if err != nil {
		return err
	}
	j.Event = 1
	if len(latest) > 0 {
		j.Event = latest[0].ID + 1
	}
	// One that cannot be read is no reason not to begin a new one.
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

// open returns the jobs of a portal that are not over: all absences, and the
// latest sync of each rule.
func open(ctx context.Context, q *queue.Queue, portal string) ([]Job, error) {
	all, bad := jobs(ctx, q, notePrefix+portal+".", portal)
	latest := map[string]time.Time{}
	for _, j := range all {
		latest[j.Rule] = j.Started
	}
	return slices.DeleteFunc(all, func(j Job) bool {
		return j.Over() || j.Away == nil && j.Started.Before(latest[j.Rule])
	}), bad
}
