//go:build unix

package cli

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/testkit"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
)

// takeoverLimit is the promised time in which a killed or frozen process is replaced.
// A busy machine may exceed it, so only runs with a given number of rounds check it.
// The queue's tests check it with an artificial clock.
const takeoverLimit = 10 * time.Second

// TestCluster runs three processes on one PostgreSQL with 50 portals under a
// stream of events. It kills one, freezes one and lets it continue, replaces one
// and restarts the database. In the end nothing is lost, nothing existed twice,
// every portal's limit was kept, and no process has sent a request for a portal
// that was another's. CLUSTER_ROUNDS does it all again and again.
func TestCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes half a minute")
	}
	t.Parallel()
	c := newCluster(t, 50)
	c.join(0) // makes the tables
	c.audit()
	c.join(1)
	c.join(2)
	c.wantShares()
	c.wantRest()

	editing, stop := context.WithCancel(t.Context())
	var sent atomic.Int64
	var wg sync.WaitGroup
	for _, p := range c.portals {
		// Less than its limit lets be worked: a backlog would only cost time.
		wg.Go(func() { c.edit(editing, p, 3*time.Second, &sent) })
	}
	for range testkit.EnvInt(t, "CLUSTER_ROUNDS", 1) {
		c.round()
	}
	stop()
	wg.Wait()
	c.finish()
	t.Logf("%d events over %d portals: nothing lost, nothing twice", sent.Load(), len(c.portals))
}

func (c *cluster) round() {
	c.t.Helper()
	c.wantShares()
	victim := c.members[0]
	victim.Signal(syscall.SIGKILL)
	c.wantGone("killed", victim)
	victim.Exit()
	c.join(0)

	c.wantShares()
	frozen := c.members[1]
	frozen.Signal(syscall.SIGSTOP)
	c.wantGone("frozen", frozen)
	time.Sleep(onTheWay + time.Second) // others have been at its portals for a while
	frozen.Signal(syscall.SIGCONT)
	frozen.Log.Wait(c.t, 0, "portal lease released")

	begun := time.Now()
	if err := c.pg.Halt(); err != nil {
		c.t.Fatal(err)
	}
	time.Sleep(time.Second)
	if err := c.pg.Run(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	c.connect()
	c.wantWorked()
	c.t.Logf("after the restart of the database: worked again %s after it was stopped", time.Since(begun).Round(10*time.Millisecond))

	leaving := c.members[2]
	c.until("portals for the one that is to leave", func() bool { return c.owners()[leaving.pid()] > 0 })
	leaving.Signal(syscall.SIGTERM)
	c.wantGone("stopped", leaving)
	if code := leaving.Exit(); code != 0 {
		c.t.Errorf("a process that was stopped ended with %d", code)
	}
	c.join(2)
	c.wantWorked()
}

// audit makes the database record each lease with its process and times. Processes
// are already running, so no lease may change between the copy and the triggers.
func (c *cluster) audit() {
	c.t.Helper()
	c.connect()
	_, err := c.conn.Exec(c.t.Context(), `
BEGIN;
LOCK TABLE b24_worker, b24_lease IN SHARE ROW EXCLUSIVE MODE;
CREATE TABLE audit_lease (portal TEXT, owner TEXT, at TIMESTAMPTZ);
CREATE TABLE audit_worker (id TEXT, info TEXT);
CREATE FUNCTION audit_lease() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO audit_lease VALUES (NEW.portal, NEW.owner, clock_timestamp()); RETURN NEW; END $$;
CREATE FUNCTION audit_worker() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO audit_worker VALUES (NEW.id, NEW.info); RETURN NEW; END $$;
INSERT INTO audit_lease SELECT portal, owner, clock_timestamp() FROM b24_lease;
INSERT INTO audit_worker SELECT id, info FROM b24_worker;
CREATE TRIGGER audit_lease AFTER UPDATE OF owner ON b24_lease FOR EACH ROW
    WHEN (OLD.owner <> NEW.owner) EXECUTE FUNCTION audit_lease();
CREATE TRIGGER audit_worker AFTER INSERT ON b24_worker FOR EACH ROW EXECUTE FUNCTION audit_worker();
COMMIT`)
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) connect() {
	c.t.Helper()
	if c.conn != nil {
		_ = c.conn.Close(c.t.Context()) // the server may have been stopped
	}
	conn, err := pgx.Connect(c.t.Context(), c.pg.DSN("postgres"))
	if err != nil {
		c.t.Fatal(err)
	}
	c.conn = conn
	c.t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(c.t.Context())) })
}

// owners counts the portals that each process has, by its id.
func (c *cluster) owners() map[string]int {
	c.t.Helper()
	rows, err := c.conn.Query(c.t.Context(), `
SELECT COALESCE(substring(a.info FROM 'process (\d+) '), ''), COUNT(*)
FROM b24_lease l LEFT JOIN audit_worker a ON a.id = l.owner WHERE l.portal <> '' GROUP BY 1`)
	if err != nil {
		c.t.Fatal(err)
	}
	defer rows.Close()
	all := map[string]int{}
	for rows.Next() {
		var (
			pid string
			n   int
		)
		if err := rows.Scan(&pid, &n); err != nil {
			c.t.Fatal(err)
		}
		all[pid] = n
	}
	if err := rows.Err(); err != nil {
		c.t.Fatal(err)
	}
	return all
}

func (m *member) pid() string { return fmt.Sprint(m.Cmd.Process.Pid) }

// until polls a condition.
func (c *cluster) until(what string, done func() bool) time.Duration {
	c.t.Helper()
	limit := testkit.Patience
	if os.Getenv("CLUSTER_ROUNDS") != "" {
		limit = takeoverLimit
	}
	begun := time.Now()
	for !done() {
		if time.Since(begun) > limit {
			c.t.Fatalf("%s: not within %s; portals by process: %v", what, limit, c.owners())
		}
		time.Sleep(20 * time.Millisecond)
	}
	return time.Since(begun)
}

// wantShares waits until each process has its fair share.
func (c *cluster) wantShares() {
	c.t.Helper()
	want := []int{16, 17, 17}
	took := c.until("a fair share for each", func() bool {
		return slices.Equal(slices.Sorted(maps.Values(c.owners())), want)
	})
	c.t.Logf("shared fairly %s after a process has joined", took.Round(10*time.Millisecond))
}

// wantRest looks that nothing moves that need not.
func (c *cluster) wantRest() {
	c.t.Helper()
	// A process that a busy machine holds up for a term loses its leases, which
	// is as it should be.
	c.until("leases that stay where they are", func() bool {
		before := c.moves()
		time.Sleep(2 * time.Second)
		return c.moves() == before
	})
}

func (c *cluster) moves() (n int) {
	c.t.Helper()
	if err := c.conn.QueryRow(c.t.Context(), `SELECT COUNT(*) FROM audit_lease`).Scan(&n); err != nil {
		c.t.Fatal(err)
	}
	return n
}

// wantGone waits until others have all portals of a process.
func (c *cluster) wantGone(how string, m *member) {
	c.t.Helper()
	took := c.until("the portals of a process that is "+how, func() bool {
		all := c.owners()
		return all[m.pid()] == 0 && all[""] == 0
	})
	c.t.Logf("%s: others work its portals %s later", how, took.Round(10*time.Millisecond))
}

// wantWorked waits until runs end again.
func (c *cluster) wantWorked() {
	c.t.Helper()
	done := func() (n int) {
		if err := c.conn.QueryRow(c.t.Context(), `SELECT COUNT(*) FROM b24_attempt`).Scan(&n); err != nil {
			c.t.Fatal(err)
		}
		return n
	}
	before := done()
	c.until("runs that end", func() bool { return done() > before+10 })
}

// finish waits until all is done, stops all and looks what has become of it.
func (c *cluster) finish() {
	c.t.Helper()
	q, err := queue.Open(c.t.Context(), c.pg.DSN("postgres"), queue.Options{})
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = q.Close() }()
	ctx, cancel := context.WithTimeout(c.t.Context(), testkit.Patience)
	defer cancel()
	if err := q.WaitIdle(ctx); err != nil {
		backlogs, _ := journal.Backlogs(context.WithoutCancel(ctx), q.Database())
		c.t.Fatalf("%v; left are %v, portals by process %v", err, backlogs, c.owners())
	}
	stats, err := journal.Count(ctx, q.Database())
	if err != nil || stats.Runs[journal.Parked] > 0 {
		c.t.Errorf("runs are %v, %v, want none parked", stats.Runs, err)
	}
	for _, m := range c.members {
		m.Signal(syscall.SIGTERM)
	}
	for _, m := range c.members {
		if code := m.Exit(); code != 0 {
			c.t.Errorf("process %d ended with %d", m.n, code)
		}
	}
	for _, p := range c.portals {
		c.check(p)
	}
	c.checkLeases()
}

// check compares a portal with what it should hold, and looks at its history
// and its limit.
func (c *cluster) check(p *clusterPortal) {
	c.t.Helper()
	stats := p.portal.Stats()
	if stats.Refused > 0 || stats.HighestLevel > stats.Capacity {
		c.t.Errorf("%s refused %d requests, its bucket rose to %.0f of %.0f", p.name, stats.Refused, stats.HighestLevel, stats.Capacity)
	}
	for deal, rows := range p.deals {
		elements, err := p.people.Elements(c.t.Context(), deal)
		if err != nil {
			c.t.Fatal(err)
		}
		var got, want []string
		for _, e := range elements {
			got = append(got, apptest.Text(e, "NAME"))
		}
		for _, r := range rows {
			want = append(want, r.Name+" × "+r.Quantity)
		}
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			c.t.Errorf("%s: elements of deal %d (-want +got):\n%s", p.name, deal, diff)
		}
	}
	alive := map[string]int64{}
	for _, change := range p.portal.History() {
		switch other, there := alive[change.Code]; {
		case change.IBlockID == 0 || change.Code == "":
		case change.Op == "delete":
			delete(alive, change.Code)
		case there && other != change.ID:
			c.t.Errorf("%s: element %s existed twice", p.name, change.Code)
		default:
			alive[change.Code] = change.ID
		}
	}
}

// onTheWay is how long a request may take from the process to the portal of
// this test on a busy machine.
const onTheWay = 2 * time.Second

// checkLeases compares each request with who had the lease when it came.
func (c *cluster) checkLeases() {
	c.t.Helper()
	type tenure struct {
		pid  string
		from time.Time
	}
	rows, err := c.conn.Query(c.t.Context(), `
SELECT l.portal, COALESCE(substring(a.info FROM 'process (\d+) '), ''), l.at
FROM audit_lease l LEFT JOIN audit_worker a ON a.id = l.owner ORDER BY l.at`)
	if err != nil {
		c.t.Fatal(err)
	}
	defer rows.Close()
	tenures := map[string][]tenure{}
	for rows.Next() {
		var (
			portal string
			one    tenure
		)
		if err := rows.Scan(&portal, &one.pid, &one.from); err != nil {
			c.t.Fatal(err)
		}
		tenures[portal] = append(tenures[portal], one)
	}
	requests := 0
	for _, m := range c.everybody {
		for _, s := range m.sent {
			requests++
			held := false
			for i, one := range tenures[s.portal] {
				if one.pid != m.pid() || one.from.After(s.at) {
					continue
				}
				held = i+1 == len(tenures[s.portal]) || s.at.Before(tenures[s.portal][i+1].from.Add(onTheWay))
			}
			if !held {
				c.t.Errorf("process %d sent a request for %s at %s without its lease", m.n, s.portal, s.at)
			}
		}
	}
	if requests == 0 {
		c.t.Error("no request was noted: the test shows nothing")
	}
	c.t.Logf("%d requests, each under its lease", requests)
}
