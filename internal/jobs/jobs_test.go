package jobs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/b24rules/b24rules/internal/jobs"
	"github.com/b24rules/b24rules/internal/lease"
	"github.com/b24rules/b24rules/internal/pgtemp"
	"github.com/b24rules/b24rules/internal/queue"

	"github.com/google/go-cmp/cmp"
)

var postgres pgtemp.Pool

func TestMain(m *testing.M) { os.Exit(postgres.Run(m)) }

// A recorder has what workers do.
type recorder struct {
	mu    sync.Mutex
	lines []string
	begun time.Time
}

func (j *recorder) note(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, fmt.Sprintf("%v ", time.Since(j.begun).Truncate(time.Second))+fmt.Sprintf(format, args...))
}

func (j *recorder) want(t *testing.T, want ...string) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	if diff := cmp.Diff(want, j.lines); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
	j.lines = nil
}

// A world is one process on a database in a file, with runners that tests start and stop.
type world struct {
	t     *testing.T
	path  string
	queue *queue.Queue
	table *jobs.Table
	log   bytes.Buffer // of the runners; read it when they have stopped
	recorder
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, path: filepath.Join(t.TempDir(), "queue.db"), recorder: recorder{begun: time.Now()}}
	w.open()
	return w
}

func (w *world) open() {
	q, err := queue.Open(w.t.Context(), "sqlite:"+w.path, queue.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		w.t.Fatal(err)
	}
	w.queue, w.table = q, jobs.New(q.Database())
}

func (w *world) close() {
	if err := w.queue.Close(); err != nil {
		w.t.Error(err)
	}
}

// run starts a runner of one kind. The result stops it.
func (w *world) run(name string, k jobs.Kind) (stop func()) {
	r := jobs.NewRunner(w.table, w.queue.Leases(), slog.New(slog.NewTextHandler(&w.log, nil)))
	r.Handle(name, k)
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan bool)
	go func() { defer close(ended); r.Run(ctx, "") }()
	return func() { cancel(); <-ended }
}

func (w *world) add(j jobs.Job) {
	w.t.Helper()
	if err := w.table.AddOnce(w.t.Context(), j); err != nil {
		w.t.Fatal(err)
	}
}

// states returns the jobs, oldest first, as text.
func (w *world) states() string {
	w.t.Helper()
	all, err := w.table.List(w.t.Context(), jobs.Filter{})
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, j := range all {
		out = append([]string{strings.TrimSpace(fmt.Sprintf("%s%s %s %d %s %s", j.Portal, j.Key, j.State, j.Attempts, j.Place, j.Error))}, out...)
	}
	return strings.Join(out, "; ")
}

func (w *world) wantStates(want string) {
	w.t.Helper()
	if got := w.states(); got != want {
		w.t.Errorf("jobs: %s\nwant: %s", got, want)
	}
}

// bubble runs a test in a testing/synctest bubble, on SQLite.
func bubble(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer func() { w.close() }()
		test(t, w)
	})
}

func TestResults(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		for _, key := range []string{"fine", "later", "fails", "hopeless", "panics"} {
			w.add(jobs.Job{Portal: "acme", Kind: "k", Key: key})
		}
		w.add(jobs.Job{Portal: "acme", Kind: "unknown"})
		stop := w.run("k", jobs.Kind{Attempts: 3, Work: func(_ context.Context, j *jobs.Claimed) error {
			w.note("%s %d", j.Key, j.Attempts)
			switch {
			case j.Key == "later" && j.Attempts == 1 && time.Since(w.begun) < time.Minute:
				return jobs.At(time.Now().Add(time.Hour))
			case j.Key == "fails":
				return errors.New("no answer")
			case j.Key == "hopeless":
				return fmt.Errorf("it is said: %w", jobs.Fail(errors.New("refused")))
			case j.Key == "panics" && j.Attempts == 1:
				panic("oops")
			}
			return nil
		}})
		time.Sleep(2 * time.Hour)
		stop()
		got := map[string]int{}
		for _, line := range w.lines {
			_, line, _ = strings.Cut(line, " ")
			got[line]++
		}
		want := map[string]int{"fine 1": 1, "later 1": 2, "fails 1": 1, "fails 2": 1, "fails 3": 1, "hopeless 1": 1, "panics 1": 1, "panics 2": 1}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
		// A panic is a fault of the program, so it is an error at once.
		for _, want := range []string{`level=WARN msg="a job waits, trying again" kind=k portal=acme key=fails`, `level=ERROR msg="a job waits, trying again" kind=k portal=acme key=panics`} {
			if !strings.Contains(w.log.String(), want) {
				t.Errorf("the log lacks %s:\n%s", want, w.log.String())
			}
		}
		w.wantStates("acmefine done 0 null; acmelater done 0 null; acmefails failed 0 null no answer; acmehopeless failed 0 null it is said: refused; acmepanics done 0 null; acme waiting 0 null")
	})
}

// Progress survives the end of the process, and a failed attempt starts there.
func TestPlace(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.add(jobs.Job{Portal: "acme", Kind: "k", Place: json.RawMessage("0")})
		k := jobs.Kind{Attempts: 2, Retry: func(int) time.Duration { return time.Minute }, Work: func(ctx context.Context, j *jobs.Claimed) error {
			var place int
			if err := json.Unmarshal(j.Place, &place); err != nil {
				return err
			}
			w.note("at %d, attempt %d", place, j.Attempts)
			for ; place < 4; place++ {
				select {
				case <-time.After(time.Minute):
				case <-ctx.Done():
					return ctx.Err()
				}
				if err := j.Progress(ctx, place+1); err != nil {
					return err
				}
				if place == 2 {
					return errors.New("no answer")
				}
			}
			return nil
		}}
		stop := w.run("k", k)
		time.Sleep(90 * time.Second)
		w.wantStates("acme running 1 1")
		stop()
		w.wantStates("acme waiting 0 1")
		w.close()
		w.open()
		defer w.run("k", k)()
		time.Sleep(time.Hour)
		w.want(t, "0s at 0, attempt 1", "1m30s at 1, attempt 1", "4m30s at 3, attempt 2")
		w.wantStates("acme done 0 4")
	})
}

// A job that repeats runs once for all the due times that it has missed, and keeps its
// rhythm.
func TestRepetition(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tick := jobs.Job{Kind: "tick", Every: time.Hour}
		for range 2 {
			if err := w.table.AddOnce(t.Context(), tick); err != nil {
				t.Fatal(err)
			}
		}
		k := jobs.Kind{Attempts: 1, Work: func(_ context.Context, j *jobs.Claimed) error {
			w.note("due at %v", j.Due.Sub(w.begun))
			if j.Due.Sub(w.begun) == 2*time.Hour {
				return errors.New("no answer")
			}
			return nil
		}}
		stop := w.run("tick", k)
		time.Sleep(2*time.Hour + 30*time.Minute)
		stop()
		time.Sleep(4 * time.Hour)
		stop = w.run("tick", k)
		time.Sleep(time.Hour)
		stop()
		w.want(t, "0s due at 0s", "1h0m0s due at 1h0m0s", "2h0m0s due at 2h0m0s", "6h30m0s due at 3h0m0s", "7h0m0s due at 7h0m0s")
		tick.Every = time.Minute // the configuration was changed
		if err := w.table.AddOnce(t.Context(), tick); err != nil {
			t.Fatal(err)
		}
		defer w.run("tick", k)()
		time.Sleep(2*time.Minute + 30*time.Second)
		w.want(t, "7h31m0s due at 7h31m0s", "7h32m0s due at 7h32m0s")
	})
}

// A cancelled or replaced job is stopped and can store nothing.
func TestCancel(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		defer w.run("k", jobs.Kind{Work: func(ctx context.Context, j *jobs.Claimed) error {
			w.note("%s", j.Place)
			if string(j.Place) == "3" {
				return nil
			}
			<-ctx.Done()
			w.note("stopped: %v", context.Cause(ctx))
			if err := j.Progress(t.Context(), "later"); !errors.Is(err, jobs.ErrLost) {
				t.Errorf("progress of a job that was cancelled: %v", err)
			}
			return nil
		}})()
		for n := 1; n <= 3; n++ {
			if n == 3 {
				if was, err := w.table.Cancel(t.Context(), "acme", "k", "a"); !was || err != nil {
					t.Errorf("cancelled %t, %v", was, err)
				}
			}
			if err := w.table.Replace(t.Context(), jobs.Job{Portal: "acme", Kind: "k", Key: "a", Place: json.RawMessage(fmt.Sprint(n))}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Second)
		}
		if was, err := w.table.Cancel(t.Context(), "acme", "k", "a"); was || err != nil {
			t.Errorf("a job that is done was cancelled: %t, %v", was, err)
		}
		w.wantStates("acmea cancelled 1 1; acmea cancelled 1 2; acmea done 0 3")
		if n := len(w.lines); n != 5 {
			t.Errorf("journal: %q", w.lines)
		}
	})
}

// Jobs of a portal that is held wait.
func TestMay(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.add(jobs.Job{Portal: "held", Kind: "k"})
		w.add(jobs.Job{Portal: "fine", Kind: "k"})
		defer w.run("k", jobs.Kind{
			Work: func(_ context.Context, j *jobs.Claimed) error { w.note("%s", j.Portal); return nil },
			May:  func(portal, _ string) bool { return portal == "fine" || time.Since(w.begun) > time.Minute },
		})()
		time.Sleep(5 * time.Minute)
		w.want(t, "0s fine", "1m1s held")
	})
}

func TestForget(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.add(jobs.Job{Kind: "k", Key: "done"})
		w.add(jobs.Job{Kind: "other", Key: "open"})
		stop := w.run("k", jobs.Kind{Work: func(context.Context, *jobs.Claimed) error { return nil }})
		time.Sleep(time.Minute)
		stop()
		for _, days := range []int{29, 2} {
			time.Sleep(time.Duration(days) * 24 * time.Hour)
			if err := w.table.Forget(t.Context()); err != nil {
				t.Fatal(err)
			}
			if days == 29 {
				w.wantStates("done done 0 null; open waiting 0 null")
			}
		}
		w.wantStates("open waiting 0 null")
	})
}

// TestLostLease holds that the process that has lost a portal can neither store progress
// nor end its job, and that the next holder continues it. The leader's lease is one, too.
func TestLostLease(t *testing.T) {
	for _, portal := range []string{"acme", ""} {
		t.Run("portal "+portal, func(t *testing.T) { testLostLease(t, portal) })
	}
}

func testLostLease(t *testing.T, portal string) {
	_, dsn, err := postgres.Create(t.Context(), "")
	if pgtemp.Missing(err) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	type process struct {
		queue             *queue.Queue
		claimed           chan *jobs.Claimed
		release           chan bool
		stopWork, stopRun func()
	}
	start := func(leases func(*lease.Set) jobs.Leases) process {
		q, err := queue.Open(t.Context(), dsn, queue.Options{Lease: time.Second, Portals: []string{"acme", ""}, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		p := process{queue: q, claimed: make(chan *jobs.Claimed), release: make(chan bool)}
		background := func(do func(ctx context.Context)) (stop func()) {
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan bool)
			go func() { defer close(ended); do(ctx) }()
			return func() { cancel(); <-ended }
		}
		p.stopWork = background(func(ctx context.Context) {
			_ = q.Work(ctx, func(context.Context, *queue.Run) error { return nil })
		})
		r := jobs.NewRunner(jobs.New(q.Database()), leases(q.Leases()), slog.New(slog.DiscardHandler))
		r.Handle("k", jobs.Kind{Work: func(_ context.Context, j *jobs.Claimed) error {
			p.claimed <- j
			<-p.release
			return nil
		}})
		p.stopRun = background(func(ctx context.Context) { r.Run(ctx, "") })
		return p
	}
	a := start(func(s *lease.Set) jobs.Leases { return unaware{s} })
	defer func() { a.stopRun(); _ = a.queue.Close() }()
	table := jobs.New(a.queue.Database())
	if err := table.AddOnce(t.Context(), jobs.Job{Portal: portal, Kind: "k"}); err != nil {
		t.Fatal(err)
	}
	first := <-a.claimed
	if err := first.Progress(t.Context(), "first"); err != nil {
		t.Fatal(err)
	}
	b := start(func(s *lease.Set) jobs.Leases { return s })
	defer func() { b.stopWork(); b.stopRun(); _ = b.queue.Close() }()
	a.stopWork() // it gives its leases back, and its worker does not notice
	second := <-b.claimed
	if string(second.Place) != `"first"` || second.ID != first.ID {
		t.Errorf("the next holder has job %d at %s, want %d", second.ID, second.Place, first.ID)
	}
	if err := first.Progress(t.Context(), "late"); !errors.Is(err, jobs.ErrLost) {
		t.Errorf("progress without the lease: %v, want %v", err, jobs.ErrLost)
	}
	state := func() string {
		all, err := table.List(t.Context(), jobs.Filter{Kind: "k"})
		if err != nil || len(all) != 1 {
			t.Fatalf("jobs: %v, %v", all, err)
		}
		return fmt.Sprintf("%s %s", all[0].State, all[0].Place)
	}
	close(a.release) // the first process says that it is done
	a.stopRun()
	if got := state(); got != `running "first"` {
		t.Errorf("after the end without the lease the job is %s", got)
	}
	close(b.release)
	b.stopRun()
	if got := state(); got != `done "first"` {
		t.Errorf("in the end the job is %s", got)
	}
}

// unaware leases do not report their end.
type unaware struct{ *lease.Set }

func (unaware) Context(string) context.Context { return context.Background() }

// TestClockSetBack: jobs do not wait for a time that the clock had reached before it was
// set back. Other jobs do.
func TestClockSetBack(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		later := time.Now().Add(24 * time.Hour)
		w.add(jobs.Job{Kind: "k", Key: "repeats", Every: time.Hour, Due: later})
		w.add(jobs.Job{Kind: "k", Key: "own", Due: later})
		w.add(jobs.Job{Kind: "other", Key: "repeats", Every: time.Hour, Due: later})
		if err := w.table.ClockSetBack(t.Context(), "other"); err != nil {
			t.Fatal(err)
		}
		all, err := w.table.List(t.Context(), jobs.Filter{Open: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range all {
			if due := !j.Due.After(time.Now()); due != (j.Kind == "k" && j.Key == "repeats") {
				t.Errorf("job %s %s is due: %v", j.Kind, j.Key, due)
			}
		}
	})
}
