//go:build unix

package queue_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/pgtemp"
	"github.com/b24rules/b24rules/internal/queue"

	"github.com/anishathalye/porcupine"
	"github.com/jackc/pgx/v5"
)

// This file checks histories of several processes with porcupine, a checker of
// linearizability that we did not write. Processes push events and execute runs, and
// write down when they did. They are killed, frozen, cut off and given wrong times, and
// the database is restarted or replaced by its replica. The history must be one of an
// object that does one thing at a time:
//
//   - push makes an event the latest pending one of an entity;
//   - begin takes the pending event of an entity without a running run;
//   - end removes the run; a failed one is pending again;
//   - recover makes the running run of an entity pending again. Only a process that
//     acquires the lease of the portal may do so;
//   - in the end nothing is pending.
//
// A second check is that no two processes hold a portal at the same time.

// recordedPortals and recordedEntities are what the processes work on.
var recordedPortals = []string{"acme", "zeta", "slow"}

const recordedEntities = 4

// line is a line of a recorded process. Its time is the real one of the machine.
type line struct {
	What string // push, pushed, begin, end, acquired, holds, lost
	Key  string // portal and entity, or portal
	N    int    // the event of a push and a begin
	Run  string
	OK   bool
	From int64 // of holds: before it was asked
	At   int64
}

// A recorder writes lines.
type recorder struct {
	mu  sync.Mutex
	out *json.Encoder
}

func newRecorder(w io.Writer) *recorder { return &recorder{out: json.NewEncoder(w)} }

func (r *recorder) write(l line) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l.At = time.Now().UnixNano()
	_ = r.out.Encode(l) // a process that is killed may be writing
}

// Handle and the others implement slog.Handler: a recorder notes leases.
func (r *recorder) Handle(_ context.Context, record slog.Record) error {
	what := map[string]string{"portal lease acquired": "acquired"}[record.Message]
	if what == "" {
		return nil
	}
	record.Attrs(func(a slog.Attr) bool {
		if a.Key == "portal" {
			r.write(line{What: what, Key: a.Value.String()})
		}
		return true
	})
	return nil
}
func (r *recorder) Enabled(context.Context, slog.Level) bool { return true }
func (r *recorder) WithAttrs([]slog.Attr) slog.Handler       { return r }
func (r *recorder) WithGroup(string) slog.Handler            { return r }

// open opens the queue of a recorded process.
func (r *recorder) open(ctx context.Context, dsn string) (*queue.Queue, error) {
	return queue.Open(ctx, dsn, queue.Options{
		Lease: time.Second, Portals: recordedPortals, Log: slog.New(r),
		RetryFirst: time.Millisecond, RetryMax: 10 * time.Millisecond, Attempts: 1000, Workers: 20,
	})
}

// do executes a run and records it.
func (r *recorder) do(fail bool) func(context.Context, *queue.Run) error {
	process := strconv.FormatInt(rand.Int64(), 36)
	var mu sync.Mutex
	count := 0
	return func(ctx context.Context, run *queue.Run) error {
		mu.Lock()
		count++
		id := process + "." + strconv.Itoa(count)
		mu.Unlock()
		var n int
		if err := json.Unmarshal(run.Event.Data, &n); err != nil {
			return err
		}
		key := run.Portal + " " + run.Entity
		r.write(line{What: "begin", Key: key, N: n, Run: id})
		_ = wait(ctx, rand.N(20*time.Millisecond))
		err := ctx.Err()
		if err == nil && fail && rand.N(10) == 0 {
			err = errPortal
		}
		r.write(line{What: "end", Key: key, Run: id, OK: err == nil})
		return err
	}
}

// watch records whether the process holds each portal.
func (r *recorder) watch(ctx context.Context, q *queue.Queue) {
	held := map[string]bool{}
	for wait(ctx, 5*time.Millisecond) == nil {
		for _, portal := range recordedPortals {
			from := time.Now().UnixNano()
			holds := q.Leases().Holds(portal) == nil
			switch {
			case holds:
				r.write(line{What: "holds", Key: portal, From: from})
			case held[portal]:
				r.write(line{What: "lost", Key: portal})
			}
			held[portal] = holds
		}
	}
}

func init() { roles["record"] = beRecorded }

// beRecorded pushes and works until it is killed, and records it. SIGUSR1 makes its
// clock jump.
func beRecorded(dsn string) error {
	queue.JumpingClock()
	r := newRecorder(os.Stdout)
	jump := make(chan os.Signal, 1)
	signal.Notify(jump, syscall.SIGUSR1)
	go func() {
		for range jump {
			queue.JumpClock(rand.Int64N(7) - 3)
		}
	}()
	ctx := context.Background()
	q, err := r.open(ctx, dsn)
	if err != nil {
		return err
	}
	if strings.HasPrefix(dsn, "sqlite:") {
		if err := q.Lock(ctx); err != nil {
			return err
		}
		for _, portal := range recordedPortals {
			r.write(line{What: "acquired", Key: portal})
		}
	} else {
		go r.watch(ctx, q)
	}
	go func() {
		for n := os.Getpid() * 100_000; ; n++ {
			portal, entity := recordedPortals[rand.N(len(recordedPortals))], fmt.Sprint("deal:", rand.N(recordedEntities))
			r.write(line{What: "push", Key: portal + " " + entity, N: n})
			e := journal.Event{Portal: portal, Code: "X", Data: json.RawMessage(strconv.Itoa(n))}
			if err := q.Push(ctx, e, []queue.Route{{Rule: "r", Entity: entity}}); err == nil {
				r.write(line{What: "pushed", N: n})
			}
			time.Sleep(rand.N(50 * time.Millisecond))
		}
	}()
	return q.Work(ctx, r.do(true))
}

// A history is what all processes have recorded.
type history struct {
	t     *testing.T
	dsn   string
	mu    sync.Mutex
	lines [][]line // by process
	wg    sync.WaitGroup
	cmds  []*exec.Cmd
	broke []int64 // when the connections of a process may have broken
}

// join starts a recorded process.
func (h *history) join() *exec.Cmd {
	h.t.Helper()
	cmd := child(h.t, "record", h.dsn)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.mu.Lock()
	h.lines, h.cmds = append(h.lines, nil), append(h.cmds, cmd)
	n := len(h.lines) - 1
	h.mu.Unlock()
	h.wg.Go(func() {
		for in := bufio.NewScanner(out); in.Scan(); {
			var l line
			if json.Unmarshal(in.Bytes(), &l) != nil {
				continue // a line that was cut short
			}
			h.mu.Lock()
			h.lines[n] = append(h.lines[n], l)
			h.mu.Unlock()
		}
		_ = cmd.Wait() // it was killed
	})
	return cmd
}

func (h *history) send(cmd *exec.Cmd, s syscall.Signal) {
	if err := cmd.Process.Signal(s); err != nil {
		h.t.Error(err)
	}
}

// broken notes that connections break now.
func (h *history) broken() { h.broke = append(h.broke, time.Now().UnixNano()) }

// leastRuns is how many runs a history has at least.
const leastRuns = 100

// started returns how many runs have started.
func (h *history) started() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, lines := range h.lines {
		for _, l := range lines {
			if l.What == "begin" {
				n++
			}
		}
	}
	return n
}

// finish kills all processes, executes what is left and checks the history.
func (h *history) finish() {
	t := h.t
	t.Helper()
	for _, cmd := range h.cmds {
		_ = cmd.Process.Kill() // some are dead
	}
	h.wg.Wait()
	var own strings.Builder
	r := newRecorder(&own)
	q, err := r.open(t.Context(), h.dsn)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(h.dsn, "sqlite:") {
		if err := q.Lock(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, portal := range recordedPortals {
			r.write(line{What: "acquired", Key: portal})
		}
	}
	stop := work(t, q, r.do(false))
	patience, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := q.WaitIdle(patience); err != nil {
		t.Fatalf("%v: %v", err, stats(t, q).Runs)
	}
	stop()
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	var last []line
	for in := json.NewDecoder(strings.NewReader(own.String())); in.More(); {
		var l line
		if err := in.Decode(&l); err != nil {
			t.Fatal(err)
		}
		last = append(last, l)
	}
	h.lines = append(h.lines, last)
	h.check()
}

// check checks the history.
func (h *history) check() {
	h.t.Helper()
	ops := h.operations()
	begun := 0
	for _, op := range ops {
		if op.Input.(input).what == "begin" {
			begun++
		}
	}
	if begun < leastRuns {
		h.t.Errorf("%d runs: the history shows less than it says", begun)
	}
	if result := porcupine.CheckOperationsTimeout(recordedModel.ToModel(), ops, time.Minute); result != porcupine.Ok {
		h.t.Errorf("the history of %d operations is not linearizable: %s", len(ops), result)
		for _, part := range recordedModel.Partition(ops) {
			if porcupine.CheckOperationsTimeout(recordedModel.ToModel(), part, time.Minute) != porcupine.Ok {
				slices.SortFunc(part, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
				for _, op := range part {
					h.t.Logf("%+v from %d to %d µs", op.Input, op.Call/1000%1e9, op.Return/1000%1e9)
				}
				break
			}
		}
	}
	h.checkHolders()
	h.t.Logf("%d operations, %d of them runs, in %d processes", len(ops), begun, len(h.lines))
}

// input is an operation; the model is deterministic but for maybe.
type input struct {
	what  string
	key   string
	n     int
	run   string
	ok    bool
	maybe bool // it may have had no effect
}

// doubt is how long after a broken connection an operation may still be repeated, and
// its effect may come.
const doubt = int64(15 * time.Second)

// operations turns lines into operations with the times between which they took effect.
func (h *history) operations() (ops []porcupine.Operation) {
	end := int64(0)
	for _, lines := range h.lines {
		for _, l := range lines {
			end = max(end, l.At)
		}
	}
	add := func(process int, in input, call, ret int64) {
		ops = append(ops, porcupine.Operation{ClientId: process, Input: in, Call: call, Return: min(ret, end)})
	}
	keys := map[string]bool{}
	for process, lines := range h.lines {
		pushes := map[int]line{}
		for _, l := range lines {
			switch l.What {
			case "push":
				pushes[l.N] = l
				keys[l.Key] = true
			case "pushed":
				p := pushes[l.N]
				add(process, input{what: "push", key: p.Key, n: l.N}, p.At, l.At)
				if h.mayRepeat(p.At, l.At) {
					add(process, input{what: "push", key: p.Key, n: l.N, maybe: true}, p.At, l.At)
				}
				delete(pushes, l.N)
			case "begin":
				add(process, input{what: "begin", key: l.Key, n: l.N, run: l.Run}, l.At-doubt, l.At)
			case "end":
				add(process, input{what: "end", key: l.Key, run: l.Run, ok: l.OK}, l.At, l.At+doubt)
			case "acquired":
				for e := range recordedEntities {
					add(process, input{what: "recover", key: fmt.Sprint(l.Key, " deal:", e)}, l.At-doubt, l.At)
				}
			}
		}
		for n, p := range pushes { // no answer came
			for range 2 {
				add(process, input{what: "push", key: p.Key, n: n, maybe: true}, p.At, p.At+doubt)
			}
		}
	}
	for key := range keys {
		ops = append(ops, porcupine.Operation{ClientId: len(h.lines), Input: input{what: "idle", key: key}, Call: end + 1, Return: end + 2})
	}
	return ops
}

// mayRepeat reports whether a connection may have broken during an operation.
func (h *history) mayRepeat(call, ret int64) bool {
	return slices.ContainsFunc(h.broke, func(at int64) bool { return at < ret && call < at+doubt })
}

// entityState is what an entity has.
type entityState struct {
	pending    int    // the latest event without a run; 0 without one
	running    string // the run
	runningHas int    // its event
}

func (s entityState) recovered() entityState {
	if s.running != "" && s.pending == 0 {
		s.pending = s.runningHas
	}
	s.running, s.runningHas = "", 0
	return s
}

var recordedModel = porcupine.NondeterministicModel{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byKey := map[string][]porcupine.Operation{}
		for _, op := range history {
			key := op.Input.(input).key
			byKey[key] = append(byKey[key], op)
		}
		var all [][]porcupine.Operation
		for _, part := range byKey {
			all = append(all, part)
		}
		return all
	},
	Init: func() []any { return []any{entityState{}} },
	Step: func(state, in, _ any) []any {
		s, i := state.(entityState), in.(input)
		next := s
		switch i.what {
		case "push":
			next.pending = i.n
		case "begin":
			if s.running != "" || s.pending != i.n {
				return nil
			}
			next = entityState{running: i.run, runningHas: i.n}
		case "end":
			switch {
			case s.running != i.run: // another process has taken the portal
			case i.ok:
				next.running, next.runningHas = "", 0
			default:
				next = s.recovered()
			}
		case "recover":
			next = s.recovered()
		case "idle":
			if s != (entityState{}) {
				return nil
			}
		}
		if i.maybe && next != s {
			return []any{s, next}
		}
		return []any{next}
	},
}

// checkHolders checks that the times in which processes held a portal do not overlap.
func (h *history) checkHolders() {
	// A process may be frozen between its look and the line about it, so a span starts at the
	// end of its first look, and ends at the start of its last one.
	type span struct {
		process  int
		from, to int64
	}
	held := map[string][]span{}
	for process, lines := range h.lines {
		now := map[string]*span{}
		for _, l := range lines {
			switch l.What {
			case "acquired", "lost":
				if s := now[l.Key]; s != nil {
					held[l.Key] = append(held[l.Key], *s)
				}
				now[l.Key] = nil
			case "holds":
				if now[l.Key] == nil {
					now[l.Key] = &span{process, l.At, l.From}
				}
				now[l.Key].to = l.From
			}
		}
		for key, s := range now {
			if s != nil {
				held[key] = append(held[key], *s)
			}
		}
	}
	for portal, spans := range held {
		slices.SortFunc(spans, func(a, b span) int { return int(a.from - b.from) })
		for i := 1; i < len(spans); i++ {
			if a, b := spans[i-1], spans[i]; b.from < a.to && a.process != b.process {
				h.t.Errorf("portal %s: processes %d and %d held it at once for %v", portal, a.process, b.process, time.Duration(a.to-b.from))
			}
		}
	}
}

// TestHistories is the check on PostgreSQL. QUEUE_HISTORIES repeats it.
func TestHistories(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes half a minute")
	}
	t.Parallel()
	for range rounds(t, "QUEUE_HISTORIES", 1) {
		server, err := pgtemp.Start(t.Context())
		if pgtemp.Missing(err) {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		func() {
			defer func() { _ = server.Stop() }()
			h := &history{t: t, dsn: server.DSN("postgres")}
			first, frozen, third := h.join(), h.join(), h.join()
			time.Sleep(2500 * time.Millisecond)
			h.send(first, syscall.SIGKILL)
			h.join()
			h.send(frozen, syscall.SIGSTOP)
			time.Sleep(3 * time.Second)
			h.send(frozen, syscall.SIGCONT)
			h.send(third, syscall.SIGUSR1)
			time.Sleep(time.Second)
			h.broken()
			conn, err := pgx.Connect(t.Context(), h.dsn)
			if err != nil {
				t.Fatal(err)
			}
			_, err = conn.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'b24rules'`)
			if err = errors.Join(err, conn.Close(t.Context())); err != nil {
				t.Fatal(err)
			}
			time.Sleep(1500 * time.Millisecond)
			h.send(third, syscall.SIGUSR1)
			h.broken()
			if err := server.Crash(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(300 * time.Millisecond)
			if err := server.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * time.Second)
			for patience := 0; h.started() < leastRuns && patience < 30; patience++ {
				time.Sleep(time.Second)
			}
			h.finish()
		}()
	}
}

// TestHistoryOfAFailover replaces the server by its replica, to which every commit was
// copied.
func TestHistoryOfAFailover(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a quarter of a minute")
	}
	t.Parallel()
	server, err := pgtemp.Start(t.Context())
	if pgtemp.Missing(err) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Stop() }()
	replica, err := server.Replica(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = replica.Stop() }()
	h := &history{t: t, dsn: pgtemp.DSNOfBoth(server, replica, "postgres")}
	h.join()
	h.join()
	time.Sleep(3 * time.Second)
	h.broken()
	if err := server.Crash(); err != nil {
		t.Fatal(err)
	}
	if err := replica.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	for patience := 0; patience < 4 || h.started() < leastRuns && patience < 30; patience++ {
		time.Sleep(time.Second)
	}
	h.finish()
}

// TestHistoryOfAFile is the check on SQLite, where processes follow each other.
func TestHistoryOfAFile(t *testing.T) {
	t.Parallel()
	for range rounds(t, "QUEUE_HISTORIES", 1) {
		h := &history{t: t, dsn: "sqlite:" + filepath.Join(t.TempDir(), "queue.db")}
		for kills := 0; kills < 4 || h.started() < leastRuns && kills < 40; kills++ {
			cmd := h.join()
			time.Sleep(700*time.Millisecond + rand.N(300*time.Millisecond))
			h.send(cmd, syscall.SIGUSR1)
			time.Sleep(200 * time.Millisecond)
			h.send(cmd, syscall.SIGKILL)
			h.wg.Wait()
		}
		h.finish()
	}
}

// TestTheModelSeesFaults shows that the checker refuses histories with a fault.
func TestTheModelSeesFaults(t *testing.T) {
	op := func(call, ret int64, in input) porcupine.Operation {
		in.key = "acme deal:1"
		return porcupine.Operation{Input: in, Call: call, Return: ret}
	}
	push := func(n int, call, ret int64) porcupine.Operation { return op(call, ret, input{what: "push", n: n}) }
	begin := func(n int, run string, at int64) porcupine.Operation {
		return op(0, at, input{what: "begin", n: n, run: run})
	}
	end := func(run string, ok bool, at int64) porcupine.Operation {
		return op(at, at+5, input{what: "end", run: run, ok: ok})
	}
	recovered := func(from, to int64) porcupine.Operation { return op(from, to, input{what: "recover"}) }
	idle := op(100, 101, input{what: "idle"})
	for _, tt := range []struct {
		name string
		want porcupine.CheckResult
		ops  []porcupine.Operation
	}{
		{"an event and its run", porcupine.Ok, []porcupine.Operation{push(1, 1, 2), begin(1, "a", 3), end("a", true, 4), idle}},
		{"a lost event", porcupine.Illegal, []porcupine.Operation{push(1, 1, 2), idle}},
		{"an event during a run is lost", porcupine.Illegal, []porcupine.Operation{push(1, 1, 2), begin(1, "a", 3), push(2, 4, 5), end("a", true, 6), idle}},
		{"a failed run is forgotten", porcupine.Illegal, []porcupine.Operation{push(1, 1, 2), begin(1, "a", 3), end("a", false, 4), idle}},
		{"a run twice", porcupine.Illegal, []porcupine.Operation{push(1, 1, 2), begin(1, "a", 3), end("a", true, 4), begin(1, "b", 20), end("b", true, 21), idle}},
		{"two runs at once", porcupine.Illegal, []porcupine.Operation{push(1, 1, 2), begin(1, "a", 3), push(2, 4, 5), begin(2, "b", 6), end("a", true, 10), end("b", true, 11), idle}},
		{"a takeover", porcupine.Ok, []porcupine.Operation{push(1, 1, 2), begin(1, "a", 3), recovered(5, 9), begin(1, "b", 10), end("b", true, 11), end("a", true, 20), idle}},
		{"the end of a lost run counts", porcupine.Illegal, []porcupine.Operation{push(1, 1, 2), begin(1, "a", 3), recovered(5, 9), begin(1, "b", 10), end("a", true, 20), idle}},
	} {
		if got := porcupine.CheckOperationsTimeout(recordedModel.ToModel(), tt.ops, time.Minute); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// rounds reads a number from the environment.
func rounds(t *testing.T, variable string, otherwise int) int {
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > math.MaxInt32 {
		t.Fatalf("%s=%s is not a number of rounds", variable, text)
	}
	return n
}
