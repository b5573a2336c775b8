package queue_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

// The test binary is also the process that is killed.
const (
	childVariable = "B24RULES_QUEUE_TEST_CHILD"
	pathVariable  = "B24RULES_QUEUE_TEST_PATH"
)

// roles are further roles of TestMain.
var roles = map[string]func(path string) error{}

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // a test that checks the log has its own
	var err error
	switch os.Getenv(childVariable) {
	case "":
		os.Exit(runTests(m))
	case "open":
		_, err = queue.Open(context.Background(), "sqlite:"+os.Getenv(pathVariable), queue.Options{})
	case "lock":
		err = lock(os.Getenv(pathVariable))
	case "busy":
		err = beBusy("sqlite:" + os.Getenv(pathVariable))
	case "busy on":
		err = beBusy(os.Getenv(pathVariable))
	default:
		err = roles[os.Getenv(childVariable)](os.Getenv(pathVariable))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func lock(path string) error {
	q, err := queue.Open(context.Background(), "sqlite:"+path, queue.Options{})
	if err != nil {
		return err
	}
	return q.Lock(context.Background())
}

// child is a command that runs this binary in one of TestMain's roles.
func child(t *testing.T, role, path string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), childVariable+"="+role, pathVariable+"="+path)
	return cmd
}

// working is what a busy child prints when its first run starts.
const working = "working"

// beBusy pushes and works until it is killed, and prints the code of every
// event that was acknowledged.
func beBusy(dsn string) error {
	ctx := context.Background()
	q, err := queue.Open(ctx, dsn, queue.Options{
		Lease: time.Second, Log: slog.New(slog.DiscardHandler), RetryFirst: time.Millisecond, RetryMax: 10 * time.Millisecond, Attempts: 1000,
	})
	if err != nil {
		return err
	}
	var out sync.Mutex
	for n := range 4 {
		go func() {
			for i := 0; ; i++ {
				code := fmt.Sprintf("%d-%d-%d", os.Getpid(), n, i)
				route := queue.Route{Rule: "r", Entity: fmt.Sprint("deal:", rand.N(20)), Debounce: rand.N(3 * time.Millisecond)}
				if err := q.Push(ctx, journal.Event{Portal: "acme", Code: code}, []queue.Route{route}); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				out.Lock()
				fmt.Println(code)
				out.Unlock()
			}
		}()
	}
	var first sync.Once
	return q.Work(ctx, func(_ context.Context, r *queue.Run) error {
		first.Do(func() {
			out.Lock()
			defer out.Unlock()
			fmt.Println(working)
		})
		time.Sleep(rand.N(5 * time.Millisecond)) // so that the kill meets runs at every stage
		switch rand.N(8) {
		case 0:
			return errPortal
		case 1:
			return queue.Postpone(time.Now().Add(rand.N(5*time.Millisecond)), errPortal)
		}
		return nil
	})
}

// A process that is killed at any time loses nothing that it has acknowledged, and
// the next one continues at once.
func TestKilled(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "queue.db")
	acknowledged := map[string]bool{}
	caught := 0
	for round := 0; round < 8 || caught == 0 && round < 80; round++ {
		collect(t, child(t, "busy", path), 30+rand.N(200), false, acknowledged)
		q, err := queue.Open(t.Context(), "sqlite:"+path, queue.Options{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if err := q.Lock(t.Context()); err != nil {
			t.Fatal(err)
		}
		s := stats(t, q)
		if n := s.Runs[journal.Running] + s.Runs[journal.Queued] + s.Runs[journal.Blocked]; n > 0 {
			t.Errorf("after a kill %d runs are under way: %v", n, s.Runs)
		}
		caught += s.Runs[journal.Waiting]
		if s.NoRule > 0 || s.Events < len(acknowledged) {
			t.Errorf("%d events stored, %d of them without a run; %d were acknowledged", s.Events, s.NoRule, len(acknowledged))
		}
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if caught == 0 {
		t.Error("no kill met an unfinished run: the test shows less than it says")
	}

	q := open(t, path, queue.Options{})
	wantAll(t, q, acknowledged)
}

// The same where processes share a database: the next one waits for the lease of
// the dead one, and other processes continue without a next one.
func TestKilledOnPostgreSQL(t *testing.T) {
	t.Parallel()
	dsn := newPostgres(t)
	acknowledged := map[string]bool{}
	caught := 0
	for round := 0; round < 3 || caught == 0 && round < 30; round++ {
		// It has to wait for the lease of the previous one.
		collect(t, child(t, "busy on", dsn), 200+rand.N(200), true, acknowledged)
		q := openDSN(t, dsn, queue.Options{})
		s := stats(t, q)
		caught += s.Runs[journal.Running] + s.Runs[journal.Queued]
		if s.NoRule > 0 || s.Events < len(acknowledged) {
			t.Errorf("%d events stored, %d of them without a run; %d were acknowledged", s.Events, s.NoRule, len(acknowledged))
		}
	}
	if caught == 0 {
		t.Error("no kill met a run under way: the test shows less than it says")
	}
	wantAll(t, openDSN(t, dsn, queue.Options{Lease: time.Second}), acknowledged)
}

// wantAll executes the remaining runs and checks that each acknowledged event belongs
// to a run that succeeded.
func wantAll(t *testing.T, q *queue.Queue, acknowledged map[string]bool) {
	t.Helper()
	work(t, q, func(context.Context, *queue.Run) error { return nil })
	waitIdle(t, q)
	all := runs(t, q, journal.Filter{Limit: 1e6})
	for _, run := range all {
		if run.State != journal.Succeeded {
			t.Errorf("run %d is %s at the end", run.ID, run.State)
		}
		events, err := journal.EventsOf(t.Context(), q.Database(), run.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			delete(acknowledged, e.Code)
		}
	}
	if len(acknowledged) > 0 {
		t.Errorf("%d acknowledged events belong to no run: %v", len(acknowledged), acknowledged)
	}
}

// collect lets a child acknowledge n events, kills it and returns them all. With
// atWork the n events count from its first run.
func collect(t *testing.T, cmd *exec.Cmd, n int, atWork bool, acknowledged map[string]bool) {
	t.Helper()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for left := n; ; {
		line, err := lines.ReadString('\n')
		if err != nil { // a line cut short by the kill was not acknowledged
			break
		}
		code := strings.TrimSpace(line)
		if code == working {
			atWork = false
			continue
		}
		acknowledged[code] = true
		if atWork {
			continue
		}
		if left--; left == 0 {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || stderr.Len() > 0 {
		t.Fatalf("the child ended by itself: %v %s", err, stderr.String())
	}
}
