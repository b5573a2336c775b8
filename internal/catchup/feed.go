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

	"github.com/b24rules/b24rules/internal/jobs"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/store"
)

const (
	// maxOpenRuns is how many unfinished runs a job may have before the feeder waits.
	maxOpenRuns = 1000
	// roomEvery is how often the feeder then looks for room for another page.
	roomEvery = time.Second
	// retryAfter is the wait after the portal did not answer.
	retryAfter = 15 * time.Second
)

// Feeder feeds jobs of a portal to the queue. All fields are required.
type Feeder struct {
	Queue   *queue.Queue
	Windows *Windows
	Portal  Portal
	// Routes returns a route for each run that a job needs for an entity: none when
	// no rule subscribes to it.
	Routes func(j Job, typeID int, id string) []queue.Route
	// Prepare determines the entities of a job for a downtime. It fails with a
	// LimitError when they are too many.
	Prepare func(ctx context.Context, j Job) (Job, error)
	// Concerned returns the rules of a catch-up that need its present stage.
	Concerned func(j Job) []string
	// Missing returns the rules that a job is about and that do not run now, as rules of
	// windows. Their files have errors or are missing.
	Missing func(j Job) []string
	// PortalDown reports whether an error is the fault of the portal as a whole, such
	// as a revoked webhook. The job then waits for the end of the fault.
	PortalDown func(ctx context.Context, err error) bool
	Log        *slog.Logger
}

// Retry is the wait after the portal did not answer, for the kinds of our jobs.
func Retry(int) time.Duration { return retryAfter }

// Work feeds one job until all its entities are in the queue. It skips a part that
// fails permanently, and notes that in the job.
func (f *Feeder) Work(ctx context.Context, claimed *jobs.Claimed) error {
	j, err := Read(claimed.Job)
	if err != nil {
		return jobs.Fail(err)
	}
	reader := NewReader(f.Portal)
	if j.Downtime != nil {
		if err := f.take(ctx, claimed, &j); errors.Is(err, errNothing) {
			return nil
		} else if err != nil {
			return err
		}
	}
	for j.Stage < j.stages() || j.Downtime != nil && !j.Ready {
		was := j
		err := f.feed(ctx, reader, &j, claimed)
		switch {
		case err == nil:
		case ctx.Err() != nil || errors.Is(err, jobs.ErrLost) || passes(err) || f.PortalDown(ctx, err):
			return err
		case was.Downtime != nil && !was.Ready:
			return f.giveUp(ctx, j, err)
		default:
			j = was
			j.Left = append(j.Left, f.left(j, err)...)
			if !slices.Contains(j.Failures, err.Error()) {
				j.Failures = append(j.Failures, err.Error())
			}
			j.nextStage()
			f.Log.Error("a part of a job is skipped", "portal", j.Portal, "rule", j.Rule, "error", err)
			if err := claimed.Progress(ctx, j); err != nil {
				return err
			}
		}
	}
	if j.Downtime != nil {
		if err := f.Windows.finish(ctx, j); err != nil {
			return err
		}
	}
	f.logEnd(ctx, j)
	if j.Downtime != nil {
		return f.again(ctx, claimed, j)
	}
	return nil
}

// giveUp keeps the windows of a catch-up that cannot start.
func (f *Feeder) giveUp(ctx context.Context, j Job, err error) error {
	var limit *LimitError
	held := errors.As(err, &limit)
	if keep := f.Windows.keep(ctx, j.Windows, err.Error(), held, time.Now().Add(retryWindow)); keep != nil {
		return keep
	}
	if !held {
		f.Log.Error("cannot catch up, trying again", "portal", j.Portal, "rule", j.Rule, "again", retryWindow, "error", err)
	}
	return jobs.Fail(err)
}

// left are the windows of the rules that need a stage of a catch-up that has failed.
func (f *Feeder) left(j Job, err error) []Window {
	if j.Downtime == nil {
		return nil
	}
	var limit *LimitError
	w := j.window("")
	w.Note, w.Held, w.Next = err.Error(), errors.As(err, &limit), time.Now().Add(retryWindow)
	var all []Window
	for _, rule := range f.Concerned(j) {
		w.Rule = rule
		all = append(all, w)
	}
	return all
}

// window is the downtime of a catch-up as a window of a rule.
func (j Job) window(rule string) Window {
	return Window{Portal: j.Portal, Rule: rule, From: j.Downtime.From, To: j.Downtime.To, Why: j.why()}
}

// keepMissing leaves a catch-up's window to rules that do not run now. It is due when they
// run. A sync fails, and is tried again.
func (j *Job) keepMissing(missing []string) error {
	if j.Downtime == nil && len(missing) > 0 {
		return fmt.Errorf("%s does not run: its rule file has errors or is missing", strings.Join(missing, ", "))
	}
	for _, rule := range missing {
		if !slices.ContainsFunc(j.Left, func(w Window) bool { return w.Rule == rule && w.Note == "" }) {
			j.Left = append(j.Left, j.window(rule))
		}
	}
	return nil
}

// why is why the first window of a catch-up was opened.
func (j Job) why() string {
	if len(j.Windows) == 0 {
		return "no process received events"
	}
	return j.Windows[0].Why
}

// A LimitError says that a person has to decide: the catch-up is too long, or too many
// entities are missing at once.
type LimitError struct{ Text string }

func (e *LimitError) Error() string { return e.Text }

// passes reports whether another attempt may succeed.
func passes(err error) bool {
	var limit *LimitError
	return !errors.As(err, &limit) && !Permanent(err)
}

// pause waits before the feeder looks again for room for another page.
func (f *Feeder) pause(ctx context.Context) error {
	timer := time.NewTimer(roomEvery)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// feed prepares a job or adds its next page, when there is room for its runs. A page
// without runs needs none, so what deleted entities left is searched while runs wait.
func (f *Feeder) feed(ctx context.Context, reader *Reader, j *Job, claimed *jobs.Claimed) error {
	if j.Downtime != nil && !j.Ready {
		prepared, err := f.Prepare(ctx, *j)
		if err != nil {
			return err
		}
		prepared.Ready = true
		if err := prepared.keepMissing(f.Missing(prepared)); err != nil {
			return err
		}
		*j = prepared
		return claimed.Progress(ctx, j)
	}
	typeID, ids, _, err := j.Next(ctx, reader)
	if err != nil {
		return err
	}
	for len(ids) > 0 {
		pending, err := journal.Pending(ctx, f.Queue.Database(), j.Portal, j.Rule)
		if err != nil {
			return err
		}
		if pending < maxOpenRuns {
			break
		}
		if err := f.pause(ctx); err != nil {
			return err
		}
	}
	return f.put(ctx, j, typeID, ids, claimed)
}

// maxRoutes is how many runs one page of the queue takes.
const maxRoutes = 1000

// put stores runs for entities and the progress of the job in one transaction.
func (f *Feeder) put(ctx context.Context, j *Job, typeID int, ids []int, claimed *jobs.Claimed) error {
	if err := j.keepMissing(f.Missing(*j)); err != nil {
		return err
	}
	var routes []queue.Route
	for _, id := range ids {
		routes = append(routes, f.Routes(*j, typeID, strconv.Itoa(id))...)
	}
	data, err := json.Marshal(map[string]int{"entityTypeId": typeID})
	if err != nil {
		return err
	}
	// With very many rules a page of entities needs more than one page of runs. Runs
	// that are stored again after a kill join the existing ones.
	for len(routes) > maxRoutes {
		r, err := f.Queue.Backfill(ctx, queue.Page{Portal: j.Portal, Code: j.Code(), Data: data, Sent: j.Tick, Routes: routes[:maxRoutes]})
		if err != nil {
			return err
		}
		j.count(r)
		routes = routes[maxRoutes:]
	}
	before := *j
	r, err := f.Queue.Backfill(ctx, queue.Page{
		Portal: j.Portal, Code: j.Code(), Data: data, Sent: j.Tick, Routes: routes,
		With: func(ctx context.Context, t store.Tx, r queue.BackfillResult) error {
			after := before
			after.count(r)
			return claimed.ProgressIn(ctx, t, after)
		},
	})
	j.count(r)
	return err
}

func (j *Job) count(r queue.BackfillResult) {
	j.Runs += r.Started
	j.Joined += r.Joined
}

func (f *Feeder) logEnd(ctx context.Context, j Job) {
	what, level := "sync: all entities are in the queue", slog.LevelInfo
	if j.Downtime != nil {
		what = "catch-up: all entities of the downtime are in the queue"
	}
	if !j.Tick.IsZero() {
		what = "tick of a schedule: all entities are in the queue"
	}
	if j.Look {
		what = "first look: all entities are in the queue"
	}
	if len(j.Failures) > 0 {
		what, level = "a job is incomplete: "+strings.Join(j.Failures, "; "), slog.LevelError
	}
	f.Log.Log(ctx, level, what, slog.String("portal", j.Portal), slog.String("rule", j.Rule), slog.Int("entities", j.Seen),
		slog.Int("runs", j.Runs), slog.Int("pending already", j.Joined), slog.Int("gone", j.Orphans), slog.Duration("took", time.Since(j.Started).Round(time.Millisecond)))
}

// Open counts the unfinished runs.
func Open(counts map[journal.State]int) int {
	return counts[journal.Waiting] + counts[journal.Blocked] + counts[journal.Queued] + counts[journal.Running]
}

// String describes a job in one line.
func (j Job) String() string {
	what := "all"
	if !j.Since.IsZero() {
		what = "changed since " + j.Since.Format(time.RFC3339)
	}
	return fmt.Sprintf("portal %s, rule %q, %s", j.Portal, j.Rule, what)
}
