package catchup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/queue"
)

const (
	// window is how many runs of a job may be open before more are asked for.
	window = 1000
	// jobsEvery is how often it is looked for jobs that another process has
	// stored, and whether there is room for another page.
	jobsEvery = time.Second
	// afterFailure is the pause after the portal did not answer.
	afterFailure = 15 * time.Second
)

// Feeder feeds the jobs of one portal to the queue. All fields are required.
type Feeder struct {
	Queue  *queue.Queue
	Name   string // the portal's
	Portal Portal
	// Routes asks for the runs of an entity that a job is for. It returns none
	// when no rule hears of it.
	Routes func(j Job, typeID int, id string) []queue.Route
	// Prepare finds out what a job that makes up for an absence is to go over. It
	// sets Failed when that is too much.
	Prepare func(ctx context.Context, j Job) (Job, error)
	// May reports whether this process works the portal now; else another one
	// feeds its jobs.
	May func() bool
	Log *slog.Logger
}

// Run feeds jobs until ctx ends. What of one fails for good is left out, and
// noted in the job.
func (f *Feeder) Run(ctx context.Context) {
	notBefore := map[string]time.Time{} // by the job's name
	for ctx.Err() == nil {
		pause := jobsEvery
		var jobs []Job
		var err error
		if f.May() {
			jobs, err = open(ctx, f.Queue, f.Name)
		}
		if err != nil && ctx.Err() == nil {
			f.Log.Error("jobs cannot be read", "portal", f.Name, "error", err)
		}
		if len(jobs) == 0 {
			clear(notBefore)
		}
		for _, j := range jobs {
			if time.Now().Before(notBefore[j.name()]) {
				continue
			}
			fed, err := f.feed(ctx, j)
			switch {
			case ctx.Err() != nil:
				return
			case errors.Is(err, queue.ErrMoved): // the next look shows where it is
			case err != nil:
				if !Lasting(err) {
					notBefore[j.name()] = time.Now().Add(afterFailure)
				}
				f.failed(ctx, j, err)
			case fed:
				pause = 0
			}
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// failed tells of a failure once. What it is of no use to try again is left out.
func (f *Feeder) failed(ctx context.Context, j Job, err error) {
	switch {
	case !Lasting(err):
		if j.Waits == err.Error() {
			return
		}
		j.Waits = err.Error()
		f.Log.Warn("a job waits: it is tried again", "portal", f.Name, "rule", j.Rule, "error", err)
	case j.Away != nil && !j.Ready:
		j.Failed = err.Error()
		f.Log.Error("a job was given up", "portal", f.Name, "rule", j.Rule, "error", err)
	default:
		if !slices.Contains(j.Failures, err.Error()) {
			j.Failures = append(j.Failures, err.Error())
		}
		j.Stage, j.After, j.Waits = j.Stage+1, 0, ""
		f.Log.Error("a part of a job is left out", "portal", f.Name, "rule", j.Rule, "error", err)
	}
	if err := save(ctx, f.Queue, j); err != nil && !errors.Is(err, queue.ErrMoved) {
		f.Log.Error("a job cannot be stored", "portal", f.Name, "error", err)
	}
}

// feed adds a page, if there is room for it, and reports whether it did.
func (f *Feeder) feed(ctx context.Context, j Job) (fed bool, err error) {
	if j.Away != nil && !j.Ready {
		prepared, err := f.Prepare(ctx, j)
		if err != nil {
			return false, err
		}
		prepared.Ready, prepared.Waits = true, ""
		return true, save(ctx, f.Queue, prepared)
	}
	pending, err := f.Queue.Pending(ctx, j.Portal, j.Rule)
	if err != nil {
		return false, err
	}
	if pending >= window {
		return false, nil
	}
	if j.Stage >= j.stages() {
		return true, f.finish(ctx, j)
	}
	typeID, ids, _, err := j.Next(ctx, f.Portal)
	if err != nil {
		return false, err
	}
	j.Waits = ""
	return true, f.put(ctx, j, typeID, ids)
}

// maxRoutes is how many runs one page of the queue takes.
const maxRoutes = 1000

// put stores runs for entities and how far the job has come, at once.
func (f *Feeder) put(ctx context.Context, j Job, typeID int, ids []int) error {
	var routes []queue.Route
	for _, id := range ids {
		routes = append(routes, f.Routes(j, typeID, strconv.Itoa(id))...)
	}
	data, err := json.Marshal(map[string]int{"entityTypeId": typeID})
	if err != nil {
		return err
	}
	// With very many rules a page of entities is more than one of runs: what is
	// stored twice after a kill joins what is there.
	for len(routes) > maxRoutes {
		r, err := f.Queue.Backfill(ctx, queue.Page{Portal: j.Portal, Code: j.Code(), Data: data, Routes: routes[:maxRoutes]})
		if err != nil {
			return err
		}
		j.count(r)
		routes = routes[maxRoutes:]
	}
	// The note of a page tells what the page itself adds only when that is known
	// before: all its runs are counted as begun, and those that were not after it.
	before := j
	j.Begun += len(routes)
	r, err := f.Queue.Backfill(ctx, queue.Page{
		Portal: j.Portal, Code: j.Code(), Data: data, Routes: routes, Note: j.note(), NoteWas: j.was,
	})
	if err != nil || r.Joined == 0 {
		return err
	}
	j.was = j.text()
	j.Begun, j.Joined = before.Begun, before.Joined
	j.count(r)
	return save(ctx, f.Queue, j)
}

func (j *Job) count(r queue.BackfillResult) {
	j.Begun += r.Started
	j.Joined += r.Joined
}

func (f *Feeder) finish(ctx context.Context, j Job) error {
	j.Finished, j.Failed = time.Now(), strings.Join(j.Failures, "; ")
	if err := save(ctx, f.Queue, j); err != nil {
		return err
	}
	what, level := "sync: all entities are in the queue", slog.LevelInfo
	if j.Away != nil {
		what = "catch-up: all that was missed is in the queue"
	}
	if j.Failed != "" {
		what, level = "a job is not complete: "+j.Failed, slog.LevelError
	}
	f.Log.Log(ctx, level, what, slog.String("portal", j.Portal), slog.String("rule", j.Rule), slog.Int("entities", j.Seen),
		slog.Int("runs", j.Begun), slog.Int("pending already", j.Joined), slog.Int("gone", j.Orphans), slog.Duration("took", time.Since(j.Started).Round(time.Millisecond)))
	return nil
}

// Open counts the runs that are not over.
func Open(counts map[queue.State]int) int {
	return counts[queue.Waiting] + counts[queue.Blocked] + counts[queue.Queued] + counts[queue.Running]
}

// String tells a job in a line.
func (j Job) String() string {
	what := "all"
	if !j.Since.IsZero() {
		what = "changed since " + j.Since.Format(time.RFC3339)
	}
	return fmt.Sprintf("portal %s, rule %q, %s", j.Portal, j.Rule, what)
}
