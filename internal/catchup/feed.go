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
	// window is how many unfinished runs a job may have before the feeder waits.
	maxOpenRuns = 1000
	// jobsEvery is how often the feeder checks for jobs that another process has
	// stored, and for room for another page.
	jobsEvery = time.Second
	// afterFailure is the wait after the portal did not answer.
	retryAfter = 15 * time.Second
)

// Feeder feeds the jobs of one portal to the queue. All fields are required.
type Feeder struct {
	Queue  *queue.Queue
	Name   string // the portal's
	Portal Portal
	// Routes returns a route for each run that a job needs for an entity: none when
	// no rule subscribes to it.
	Routes func(j Job, typeID int, id string) []queue.Route
	// Prepare determines the entities of a job for a downtime. It sets Failed when
	// they are too many.
	Prepare func(ctx context.Context, j Job) (Job, error)
	// May reports whether this process may feed jobs of the portal now: not while
	// another process works the portal, or the portal is at fault.
	May func() bool
	// PortalDown reports whether an error is the fault of the portal as a whole, such
	// as a revoked webhook. The job then waits for the end of the fault.
	PortalDown func(ctx context.Context, err error) bool
	Log        *slog.Logger
}

// Run feeds jobs until ctx ends. It skips a part of a job that fails permanently,
// and notes that in the job.
func (f *Feeder) Run(ctx context.Context) {
	notBefore := map[string]time.Time{} // by the job's name
	reader := NewReader(f.Portal)
	for ctx.Err() == nil {
		pause := jobsEvery
		var jobs []Job
		var err error
		if f.May() {
			jobs, err = open(ctx, f.Queue, f.Name)
		}
		if err != nil && ctx.Err() == nil {
			f.Log.Error("cannot read jobs", "portal", f.Name, "error", err)
		}
		if len(jobs) == 0 {
			clear(notBefore)
		}
		for _, j := range jobs {
			if time.Now().Before(notBefore[j.name()]) {
				continue
			}
			fed, err := f.feed(ctx, reader, j)
			switch {
			case ctx.Err() != nil:
				return
			case errors.Is(err, queue.ErrMoved): // the next look reads its progress
			case err != nil:
				passes := !Permanent(err) || f.PortalDown(ctx, err)
				if passes {
					notBefore[j.name()] = time.Now().Add(retryAfter)
				}
				f.failed(ctx, j, err, passes)
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

// failed logs and stores a failure once. It skips the part of a job that would fail
// again, unless the failure passes.
func (f *Feeder) failed(ctx context.Context, j Job, err error, passes bool) {
	switch {
	case passes:
		if j.Waits == err.Error() {
			return
		}
		j.Waits = err.Error()
		f.Log.Warn("a job waits, trying again", "portal", f.Name, "rule", j.Rule, "error", err)
	case j.Downtime != nil && !j.Ready:
		j.Failed = err.Error()
		f.Log.Error("a job was given up", "portal", f.Name, "rule", j.Rule, "error", err)
	default:
		if !slices.Contains(j.Failures, err.Error()) {
			j.Failures = append(j.Failures, err.Error())
		}
		j.nextStage()
		j.Waits = ""
		f.Log.Error("a part of a job is skipped", "portal", f.Name, "rule", j.Rule, "error", err)
	}
	if err := save(ctx, f.Queue, j); err != nil && !errors.Is(err, queue.ErrMoved) {
		f.Log.Error("cannot store a job", "portal", f.Name, "error", err)
	}
}

// feed adds a page, if there is room for it, and reports whether it did.
func (f *Feeder) feed(ctx context.Context, reader *Reader, j Job) (fed bool, err error) {
	if j.Downtime != nil && !j.Ready {
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
	if pending >= maxOpenRuns {
		return false, nil
	}
	if j.Stage >= j.stages() {
		return true, f.finish(ctx, j)
	}
	typeID, ids, _, err := j.Next(ctx, reader)
	if err != nil {
		return false, err
	}
	j.Waits = ""
	return true, f.put(ctx, j, typeID, ids)
}

// maxRoutes is how many runs one page of the queue takes.
const maxRoutes = 1000

// put stores runs for entities and the progress of the job in one transaction.
func (f *Feeder) put(ctx context.Context, j Job, typeID int, ids []int) error {
	var routes []queue.Route
	for _, id := range ids {
		routes = append(routes, f.Routes(j, typeID, strconv.Itoa(id))...)
	}
	data, err := json.Marshal(map[string]int{"entityTypeId": typeID})
	if err != nil {
		return err
	}
	// With very many rules a page of entities needs more than one page of runs. Runs
	// that are stored again after a kill join the existing ones.
	for len(routes) > maxRoutes {
		r, err := f.Queue.Backfill(ctx, queue.Page{Portal: j.Portal, Code: j.Code(), Data: data, Routes: routes[:maxRoutes]})
		if err != nil {
			return err
		}
		j.count(r)
		routes = routes[maxRoutes:]
	}
	// The note of a page is stored with the page, before its result is known. So it
	// counts all runs as new, and a second note corrects that if some have joined.
	before := j
	j.Runs += len(routes)
	r, err := f.Queue.Backfill(ctx, queue.Page{
		Portal: j.Portal, Code: j.Code(), Data: data, Routes: routes, Note: j.note(), NoteWas: j.was,
	})
	if err != nil || r.Joined == 0 {
		return err
	}
	j.was = j.text()
	j.Runs, j.Joined = before.Runs, before.Joined
	j.count(r)
	return save(ctx, f.Queue, j)
}

func (j *Job) count(r queue.BackfillResult) {
	j.Runs += r.Started
	j.Joined += r.Joined
}

func (f *Feeder) finish(ctx context.Context, j Job) error {
	j.Finished, j.Failed = time.Now(), strings.Join(j.Failures, "; ")
	if err := save(ctx, f.Queue, j); err != nil {
		return err
	}
	what, level := "sync: all entities are in the queue", slog.LevelInfo
	if j.Downtime != nil {
		what = "catch-up: all entities of the downtime are in the queue"
	}
	if j.Failed != "" {
		what, level = "a job is incomplete: "+j.Failed, slog.LevelError
	}
	f.Log.Log(ctx, level, what, slog.String("portal", j.Portal), slog.String("rule", j.Rule), slog.Int("entities", j.Seen),
		slog.Int("runs", j.Runs), slog.Int("pending already", j.Joined), slog.Int("gone", j.Orphans), slog.Duration("took", time.Since(j.Started).Round(time.Millisecond)))
	return nil
}

// Open counts the unfinished runs.
func Open(counts map[queue.State]int) int {
	return counts[queue.Waiting] + counts[queue.Blocked] + counts[queue.Queued] + counts[queue.Running]
}

// String describes a job in one line.
func (j Job) String() string {
	what := "all"
	if !j.Since.IsZero() {
		what = "changed since " + j.Since.Format(time.RFC3339)
	}
	return fmt.Sprintf("portal %s, rule %q, %s", j.Portal, j.Rule, what)
}
