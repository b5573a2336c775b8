package catchup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"b24rules/queue"
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
	// Event is the first page's, 0 before.
	Event    int64     `json:"event"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"` // all pages are in the queue
	// Failed says why the job was given up, "" when it was not.
	Failed string `json:"failed,omitempty"`
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

// name is the job's note. A rule has one job per portal, and so has an absence.
func name(portal, rule string) string {
	if rule == "" {
		rule = "*"
	}
	return notePrefix + portal + "." + rule
}

// Load returns the job of a rule in a portal, or that of the portal's last
// absence (rule ""). ok is false when there is none.
func Load(ctx context.Context, q *queue.Queue, portal, rule string) (j Job, ok bool, err error) {
	n, ok, err := q.Note(ctx, name(portal, rule))
	if err != nil || !ok {
		return Job{}, false, err
	}
	j, err = read(n)
	return j, err == nil, err
}

func read(n queue.Note) (Job, error) {
	var j Job
	if err := json.Unmarshal([]byte(n.Value), &j); err != nil {
		return Job{}, fmt.Errorf("the job %s cannot be read: %w", strings.TrimPrefix(n.Name, notePrefix), err)
	}
	return j, nil
}

// Store keeps a job, in the place of the one that there was.
func Store(ctx context.Context, q *queue.Queue, j Job) error {
	return q.SetNote(ctx, name(j.Portal, j.Rule), j.text())
}

// Remove forgets a job. Its runs stay.
func Remove(ctx context.Context, q *queue.Queue, portal, rule string) error {
	return q.DeleteNote(ctx, name(portal, rule))
}

func (j Job) text() string {
	data, err := json.Marshal(j)
	if err != nil {
		panic(err) // numbers, texts and times of this century always marshal
	}
	return string(data)
}

func (j Job) note() queue.Note { return queue.Note{Name: name(j.Portal, j.Rule), Value: j.text()} }

// open returns the jobs of a portal that are not over.
func open(ctx context.Context, q *queue.Queue, portal string) ([]Job, error) {
	notes, err := q.Notes(ctx, notePrefix+portal+".")
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
		if j.Portal == portal && !j.Over() { // names of portals may hold dots
			all = append(all, j)
		}
	}
	return all, bad
}
