package queue

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/b24rules/b24rules/internal/database"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/store"

	"github.com/jackc/pgx/v5"
)

// emptyDSN returns the URL of a new PostgreSQL database, which a test may damage.
// The tests outside of the package set it.
var emptyDSN func(t testing.TB) string

// A mutant is a database without a step: it changes the text of statements, and
// stops at the hooks of a test.
type mutant struct {
	database.Backend
	broken    bool                     // a step is missing, so the violation must show
	rewrite   func(text string) string // nil: unchanged
	statement func(text string)        // before each statement
	begun     func()                   // before each transaction
	committed func(claimed bool) error // after each commit; its error replaces that of the commit
	commits   func(claimed bool)       // before each commit
}

func (m *mutant) Begin(ctx context.Context) (database.Tx, error) {
	if m.begun != nil {
		m.begun()
	}
	t, err := m.Backend.Begin(ctx)
	if err != nil {
		return nil, err
	}
	return &mutantTx{Tx: t, m: m}, nil
}

type mutantTx struct {
	database.Tx
	m       *mutant
	claimed bool // has claimed runs
}

func (t *mutantTx) text(text string) string {
	t.claimed = t.claimed || strings.HasPrefix(text, claimRuns)
	if t.m.statement != nil {
		t.m.statement(text)
	}
	if t.m.rewrite != nil {
		return t.m.rewrite(text)
	}
	return text
}

func (t *mutantTx) Exec(ctx context.Context, text string, args ...any) (int64, error) {
	return t.Tx.Exec(ctx, t.text(text), args...)
}

func (t *mutantTx) Query(ctx context.Context, text string, args ...any) (store.Rows, error) {
	return t.Tx.Query(ctx, t.text(text), args...)
}

func (t *mutantTx) QueryRow(ctx context.Context, text string, args ...any) store.Row {
	return t.Tx.QueryRow(ctx, t.text(text), args...)
}

func (t *mutantTx) Commit(ctx context.Context) error {
	if t.m.commits != nil {
		t.m.commits(t.claimed)
	}
	err := t.Tx.Commit(ctx)
	if err == nil && t.m.committed != nil {
		err = t.m.committed(t.claimed)
	}
	return err
}

// replace returns a rewrite that omits a condition.
func replace(statement, old, with string) func(string) string {
	return func(text string) string {
		if strings.HasPrefix(text, statement) {
			return strings.Replace(text, old, with, 1)
		}
		return text
	}
}

// process opens a database as one of several processes, with a mutant.
func process(t *testing.T, dsn string, m *mutant) *Queue {
	t.Helper()
	q, err := Open(t.Context(), dsn, Options{Lease: time.Second, Portals: []string{"acme"}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	PollOnly(q)
	m.Backend = q.db.Backend
	q.db.Backend, q.writes.db = m, m
	t.Cleanup(func() { _ = q.Close() })
	return q
}

// working lets a process work until the test ends.
func working(t *testing.T, q *Queue, do func(ctx context.Context, r *Run) error) {
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan bool)
	go func() { defer close(ended); _ = q.Work(ctx, do) }()
	t.Cleanup(func() { stop(); <-ended })
}

func pushTo(t *testing.T, q *Queue, rules ...string) {
	t.Helper()
	var routes []Route
	for _, rule := range rules {
		routes = append(routes, Route{Rule: rule, Entity: "deal:1"})
	}
	if err := q.Push(t.Context(), journal.Event{Portal: "acme", Code: "X"}, routes); err != nil {
		t.Fatal(err)
	}
}

// patience is how long a test waits for what must come: long enough for a very busy machine.
const patience = 3 * time.Minute

// violated reports whether a violation shows. Without the step it must; with it, limit is how long the
// test looks for one.
func (m *mutant) violated(limit time.Duration, shows func() bool) bool {
	if m.broken {
		limit = patience
	}
	return eventually(limit, shows)
}

// kept reports whether something happens that the guarantee promises. With the step it must; without
// it, limit is how long the test waits for it.
func (m *mutant) kept(limit time.Duration, happens func() bool) bool {
	if !m.broken {
		limit = patience
	}
	return eventually(limit, happens)
}

// hold waits until a process has the portal.
func hold(t *testing.T, q *Queue) {
	t.Helper()
	if !eventually(patience, func() bool { return q.Leases().Holds("acme") == nil }) {
		t.Fatal("no process has the portal")
	}
}

// eventually waits until a condition holds, and reports whether it does.
func eventually(limit time.Duration, holds func() bool) bool {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if holds() {
			return true
		}
	}
	return holds()
}

// guarantees are the promises about runs and portals. Each holds, and no longer holds
// without the object of the database or the step that it names: docs/design.md has the
// same table.
var guarantees = []struct {
	name string
	// without names what is omitted, drop or rewrite omits it.
	without string
	drop    string
	rewrite func(text string) string
	// holds makes other processes get in the way, and reports whether the guarantee held.
	holds func(t *testing.T, dsn string, m *mutant, drop string) bool
}{
	{
		name: "one running run of an entity", without: "the index b24_run_busy",
		drop: `DROP INDEX b24_run_busy`, holds: oneRunningRun,
	},
	{
		name: "one pending run of a rule and entity", without: "the index b24_run_pending",
		drop: `DROP INDEX b24_run_pending`, holds: onePendingRun,
	},
	{
		name: "one holder of a portal", without: "the conditions of takeLease",
		rewrite: func(text string) string {
			return strings.Replace(text, "AND token = $3 AND beat = $4", "AND token >= $3 AND beat >= $4", 1)
		},
		holds: oneHolder,
	},
	{
		name: "no takeover behind a heartbeat", without: "the lock of the owner's heartbeat (lease.lockHeartbeat)",
		rewrite: func(text string) string { return strings.Replace(text, " FOR SHARE", "", 1) },
		holds:   noTakeoverBehindAHeartbeat,
	},
	{
		name: "no claim under a lost lease", without: "the lock of lease.Fence",
		rewrite: func(text string) string { return strings.Replace(text, " FOR KEY SHARE SKIP LOCKED", "", 1) },
		holds:   noClaimUnderALostLease,
	},
	{
		name: "no end of a run that is no longer ours", without: "the claim's number in leaveRun",
		rewrite: replace(leaveRun, "claim = $2", "(claim = $2 OR TRUE)"), holds: noEndOfAnothersRun,
	},
	{
		name: "a claim whose commit is uncertain is not lost", without: "the look for the claim's number (claims.adopt)",
		rewrite: replace(selectClaimed, "r.claim = $2", "r.claim = $2 AND FALSE"), holds: noLostClaim,
	},
	{
		name: "no request under a lost lease", without: "the term that the holder counts itself",
		drop: "longer term", holds: noRequestUnderALostLease,
	},
}

// TestGuarantees shows that each guarantee holds on PostgreSQL, and that the test can
// see when it does not.
func TestGuarantees(t *testing.T) {
	for _, g := range guarantees {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			if !g.holds(t, emptyDSN(t), &mutant{}, "") {
				t.Error("it does not hold")
			}
		})
		t.Run(g.name+" needs "+g.without, func(t *testing.T) {
			t.Parallel()
			if g.holds(t, emptyDSN(t), &mutant{broken: true, rewrite: g.rewrite}, g.drop) {
				t.Error("it holds without it: the test cannot see that it is broken")
			}
		})
	}
}

func alter(t *testing.T, dsn, text string) error {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	_, err = conn.Exec(t.Context(), text)
	_ = conn.Close(t.Context())
	return err
}

func mustAlter(t *testing.T, dsn, text string) {
	t.Helper()
	if text == "" {
		return
	}
	if err := alter(t, dsn, text); err != nil {
		t.Fatal(err)
	}
}

// Two processes claim a run of one entity at the same time. Neither has a lease.
func oneRunningRun(t *testing.T, dsn string, m *mutant, drop string) bool {
	both, end := make(chan bool), make(chan bool)
	claimed := make(chan bool, 2)
	m.commits = func(has bool) {
		if has {
			claimed <- true
			<-both
		}
	}
	var other atomic.Bool
	first, second := process(t, dsn, m), process(t, dsn, &mutant{commits: func(has bool) {
		if has {
			other.Store(true)
		}
	}})
	pushTo(t, first, "r")
	mustAlter(t, dsn, drop)
	var running, most atomic.Int32
	for _, q := range []*Queue{first, second} {
		p := &pool{q: q, ctx: t.Context(), shards: shards{any: true, workers: 10, byName: map[string]*shard{}}, do: func(context.Context, *Run) error {
			most.Store(max(most.Load(), running.Add(1)))
			<-end
			return nil
		}}
		q.writes.pool.Store(p)
		t.Cleanup(func() { p.stop(); p.running.Wait(); q.writes.pool.Store(nil) })
	}
	t.Cleanup(func() { close(end) })
	look := func(_ context.Context, t *tx) error { t.change("acme").look = true; return nil }
	var wg sync.WaitGroup
	wg.Go(func() { _ = first.writes.do(t.Context(), look) })
	<-claimed
	wg.Go(func() { pushTo(t, second, "s") })
	if !eventually(patience, func() bool { return other.Load() || waitsForALock(t, dsn) }) {
		t.Error("the second neither waits for the first nor has claimed the other run")
	}
	close(both)
	wg.Wait()
	return !m.violated(time.Second, func() bool { return most.Load() > 1 })
}

// waitsForALock reports whether a transaction of a database waits for another one.
func waitsForALock(t *testing.T, dsn string) (waits bool) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	text := `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')`
	if err := conn.QueryRow(t.Context(), text).Scan(&waits); err != nil {
		t.Fatal(err)
	}
	return waits
}

// A second pending run is stored, as by a process that has not seen the first.
func onePendingRun(t *testing.T, dsn string, m *mutant, drop string) bool {
	q := process(t, dsn, m)
	pushTo(t, q, "r")
	mustAlter(t, dsn, drop)
	return alter(t, dsn, `INSERT INTO b24_run (portal, rule, entity, state, added, deleted, count, max_attempts, event_id, first_at, opened_at, due_at)
SELECT portal, rule, entity, 'waiting', FALSE, FALSE, 1, 1, event_id, 0, 0, 0 FROM b24_run`) != nil
}

// Two processes have seen that no process has the portal, and both take it.
func oneHolder(t *testing.T, dsn string, m *mutant, _ string) bool {
	taking, goOn := make(chan bool), make(chan bool)
	var once, onceMore sync.Once
	first := process(t, dsn, &mutant{statement: func(text string) {
		if strings.Contains(text, "AND token = $3 AND beat = $4") {
			once.Do(func() { close(taking); <-goOn })
		}
	}})
	m.statement = func(text string) {
		if strings.Contains(text, "INSERT INTO b24_lease") {
			onceMore.Do(func() { time.AfterFunc(100*time.Millisecond, func() { close(goOn) }) })
		}
	}
	second := process(t, dsn, m)
	first.options.Lease = 20 * time.Second // it looks after its lease every 4 seconds
	do := func(context.Context, *Run) error { return nil }
	working(t, first, do)
	<-taking
	mustAlter(t, dsn, `DELETE FROM b24_worker`) // or the second may leave the portal to the first
	working(t, second, do)
	<-goOn
	return !m.violated(time.Second, func() bool { return second.Leases().Holds("acme") == nil && first.Leases().Holds("acme") == nil })
}

// A process sends its heartbeat while another one, which has seen the last one, takes
// its portal.
func noTakeoverBehindAHeartbeat(t *testing.T, dsn string, m *mutant, _ string) bool {
	taking, goOn := make(chan bool), make(chan bool)
	var took, went sync.Once
	m.statement = func(text string) {
		if strings.Contains(text, "AND token = $3 AND beat = $4") {
			took.Do(func() { close(taking); <-goOn })
		}
	}
	var sent atomic.Bool
	thaw := make(chan bool)
	defer close(thaw)
	first, second := process(t, dsn, &mutant{
		begun: func() {
			select {
			case <-goOn:
				if m.broken { // or it would see a moment later that the other has the portal
					<-thaw
				}
			default:
			}
		},
		statement: func(text string) {
			select {
			case <-taking:
				if strings.Contains(text, "INSERT INTO b24_worker") && sent.CompareAndSwap(false, true) {
					time.AfterFunc(time.Second, func() { went.Do(func() { close(goOn) }) }) // it waits for the other
				}
			default:
			}
		},
		committed: func(bool) error {
			if sent.Load() {
				went.Do(func() { close(goOn) })
			}
			return nil
		},
	}), process(t, dsn, m)
	first.options.Lease = 20 * time.Second // a heartbeat each 4 seconds
	do := func(context.Context, *Run) error { return nil }
	working(t, first, do)
	hold(t, first)
	working(t, second, do)
	<-goOn
	hold(t, second)
	return eventually(3*time.Second, func() bool { return first.Leases().Holds("acme") != nil }) // its next heartbeat is later
}

// A process dies right after the commit of its claim, which took so long that another
// process has taken the portal.
func noClaimUnderALostLease(t *testing.T, dsn string, m *mutant, _ string) bool {
	claimed, goOn, dead := make(chan bool), make(chan bool), make(chan bool)
	defer close(dead)
	var frozen atomic.Bool
	var once sync.Once
	m.begun = func() {
		if frozen.Load() {
			<-dead
		}
	}
	m.commits = func(has bool) {
		if has {
			once.Do(func() { frozen.Store(true); close(claimed); <-goOn })
		}
	}
	m.committed = func(has bool) error {
		if has {
			<-dead
			return io.ErrUnexpectedEOF
		}
		return nil
	}
	first, second := process(t, dsn, m), process(t, dsn, &mutant{})
	working(t, first, func(ctx context.Context, _ *Run) error { <-ctx.Done(); return ctx.Err() })
	hold(t, first)
	go func() {
		_ = first.Push(t.Context(), journal.Event{Portal: "acme", Code: "X"}, []Route{{Rule: "r", Entity: "deal:1"}})
	}()
	<-claimed
	second.options.Lease = 2 * time.Second // so that a busy machine does not lose it afterwards, and find the run
	var ran atomic.Bool
	working(t, second, func(context.Context, *Run) error { ran.Store(true); return nil })
	m.violated(4*time.Second, func() bool { return second.Leases().Holds("acme") == nil })
	close(goOn)
	return m.kept(6*time.Second, ran.Load)
}

// A process that was frozen ends a run that another process has started again.
func noEndOfAnothersRun(t *testing.T, dsn string, m *mutant, _ string) bool {
	var frozen atomic.Bool
	thaw := make(chan bool)
	m.begun = func() {
		if frozen.Load() {
			<-thaw
		}
	}
	first, second := process(t, dsn, m), process(t, dsn, &mutant{})
	begun, end := make(chan bool, 100), make(chan bool)
	working(t, first, func(context.Context, *Run) error { begun <- true; <-end; return nil })
	pushTo(t, first, "r")
	<-begun
	frozen.Store(true)
	again, done := make(chan bool, 100), make(chan bool)
	working(t, second, func(context.Context, *Run) error { again <- true; <-done; return nil })
	defer close(done)
	<-again
	frozen.Store(false)
	close(thaw)
	close(end)
	return !m.violated(2*time.Second, func() bool {
		all, err := journal.FindRuns(t.Context(), second.Database(), journal.Filter{States: []journal.State{journal.Succeeded}})
		return err == nil && len(all) > 0
	})
}

// The connection breaks after the commit of a claim.
func noLostClaim(t *testing.T, dsn string, m *mutant, _ string) bool {
	var broken atomic.Bool
	m.committed = func(claimed bool) error {
		if claimed && broken.CompareAndSwap(false, true) {
			return io.ErrUnexpectedEOF
		}
		return nil
	}
	q := process(t, dsn, m)
	q.options.Lease = 20 * time.Second // a busy machine does not lose it: the run would start again with a new one
	var ran atomic.Int32
	working(t, q, func(context.Context, *Run) error { ran.Add(1); return nil })
	hold(t, q)
	mustAlter(t, dsn, `INSERT INTO b24_event (portal, code, data, routes, sent_at, received_at) VALUES ('acme', 'X', 'null', 1, 0, 0);
INSERT INTO b24_run (portal, rule, entity, state, added, deleted, count, max_attempts, event_id, first_at, opened_at, due_at)
SELECT 'acme', 'r', 'deal:1', 'waiting', FALSE, FALSE, 1, 8, id, 0, 0, 0 FROM b24_event`)
	return m.kept(6*time.Second, func() bool { return ran.Load() == 1 }) && broken.Load()
}

// A process cannot renew its leases, and another one takes its portal.
func noRequestUnderALostLease(t *testing.T, dsn string, m *mutant, drop string) bool {
	var frozen atomic.Bool
	thaw := make(chan bool)
	m.begun = func() {
		if frozen.Load() {
			<-thaw
		}
	}
	first, second := process(t, dsn, m), process(t, dsn, &mutant{})
	defer close(thaw)
	if drop != "" {
		first.options.Lease = 20 * time.Second
	}
	do := func(context.Context, *Run) error { return nil }
	working(t, first, do)
	hold(t, first)
	frozen.Store(true)
	working(t, second, do)
	return !m.violated(4*time.Second, func() bool { return second.Leases().Holds("acme") == nil && first.Leases().Holds("acme") == nil })
}

// TestGuaranteesOfAFile shows the same for what SQLite has: both indexes, and the lock
// that lets one process work.
func TestGuaranteesOfAFile(t *testing.T) {
	const another = `INSERT INTO b24_run (portal, rule, entity, state, added, deleted, count, max_attempts, event_id, first_at, opened_at, due_at)
SELECT portal, `
	for _, tt := range []struct{ name, drop, second string }{
		{"one pending run of a rule and entity", "DROP INDEX b24_run_pending", another + `rule, entity, 'waiting', FALSE, FALSE, 1, 1, event_id, 0, 0, 0 FROM b24_run`},
		{"one running run of an entity", "DROP INDEX b24_run_busy", `UPDATE b24_run SET state = 'running'`},
	} {
		for _, drop := range []string{"", tt.drop} {
			q := openTest(t)
			pushTo(t, q, "r")
			if strings.Contains(tt.second, "running") {
				pushTo(t, q, "s")
			}
			if drop != "" {
				if err := execute(t, q, drop); err != nil {
					t.Fatal(err)
				}
			}
			if err := execute(t, q, tt.second); (err == nil) != (drop != "") {
				t.Errorf("%s, after %q: a second one gives %v", tt.name, drop, err)
			}
		}
	}
	path := filepath.Join(t.TempDir(), "queue.db")
	var queues [2]*Queue
	for i := range queues {
		q, err := Open(t.Context(), "sqlite:"+path, Options{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = q.Close() })
		queues[i] = q
	}
	if err := queues[0].Lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := queues[1].Lock(t.Context()); err == nil {
		t.Error("two processes work a file")
	}
}
