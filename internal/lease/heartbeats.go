package lease

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/store"
)

const (
	renewWorker = `
INSERT INTO b24_worker (id, info, beat, portals) VALUES ($1, $2, 1, $3)
ON CONFLICT (id) DO UPDATE SET beat = b24_worker.beat + 1, portals = excluded.portals`

	// Processes of an older version judge a lease by the heartbeat in its row.
	renewLeases = `UPDATE b24_lease SET beat = beat + 1 WHERE owner = $1`

	// Each acquisition and return makes the sum of the tokens larger, and without
	// them each heartbeat makes the sum of the heartbeats larger. So equal sums mean equal rows.
	sumLeases     = `SELECT COUNT(*), COALESCE(SUM(token), 0)::bigint, COALESCE(SUM(beat), 0)::bigint FROM b24_lease`
	selectLeases  = `SELECT portal, owner, token, beat FROM b24_lease`
	selectWorkers = `SELECT id, info, beat, portals FROM b24_worker`
	endWorker     = `DELETE FROM b24_worker WHERE id = $1`
)

// Process names this process for people.
func Process() string {
	host, _ := os.Hostname() // better a name without it than none
	return fmt.Sprintf("process %d on %s", os.Getpid(), host)
}

// claimsRuns is the end of the info of a process that claims runs from their rows. A
// process of the version before, which used River, does not have it.
const claimsRuns = ", claims runs"

// oneHeartbeat is before claimsRuns in the info of a process that has one heartbeat for
// all its leases. Its versions before had one in the row of each lease.
const oneHeartbeat = ", one heartbeat"

// ends is what a process that ends writes as the portals that it can work, as JSON: it keeps
// its heartbeat for the runs that end, and takes no portal.
const ends = "null"

// nameOf returns the process of an info, as Process names it.
func nameOf(info string) string {
	return strings.TrimSuffix(strings.TrimSuffix(info, claimsRuns), oneHeartbeat)
}

// leaseSums tell whether a row of b24_lease has changed.
type leaseSums struct{ rows, tokens, heartbeats int64 }

// renew sends the heartbeat, and reads the leases and the heartbeats of other processes.
func (h *Holder) renew(ctx context.Context, leaving bool) error {
	portals, err := h.canWork(leaving)
	if err != nil {
		return err
	}
	sent := h.o.Now()
	var sums leaseSums
	var rows map[string]leaseRow // nil: as they were
	workers := make(map[string]workerRow, len(h.workers))
	err = h.o.Transact(ctx, func(t store.Tx) error {
		rows = nil
		clear(workers)
		// First, because an acquisition that has read the last heartbeat ends before this
		// one is stored, and the next statements see it.
		if _, err := t.Exec(ctx, renewWorker, h.id, Process()+oneHeartbeat+claimsRuns, portals); err != nil {
			return err
		}
		if err := h.readWorkers(ctx, t, workers); err != nil {
			return err
		}
		if hasOlder(workers) {
			if _, err := t.Exec(ctx, renewLeases, h.id); err != nil {
				return err
			}
		}
		if err := t.QueryRow(ctx, sumLeases).Scan(&sums.rows, &sums.tokens, &sums.heartbeats); err != nil || sums == h.sums {
			return err
		}
		rows = make(map[string]leaseRow, sums.rows)
		return readLeases(ctx, t, rows)
	})
	if err != nil {
		return err
	}
	h.sums = sums
	h.observe(rows, workers)
	for _, l := range h.set.leases() {
		if row := h.rows[l.portal]; row.owner == h.id && row.token == l.token {
			l.renew(sent)
		} else {
			l.lose(fmt.Errorf("%w: another process has taken it over", ErrNotHeld))
		}
	}
	return nil
}

// canWork returns the portals that this process can work as JSON, "" for all.
func (h *Holder) canWork(leaving bool) (string, error) {
	if leaving {
		return ends, nil
	}
	configured := h.o.Portals()
	if configured == nil {
		return "", nil
	}
	text, err := json.Marshal(configured)
	return string(text), err
}

// hasOlder reports whether a process judges leases by the heartbeats in their rows.
func hasOlder(workers map[string]workerRow) bool {
	for _, w := range workers {
		if !strings.HasSuffix(w.info, oneHeartbeat+claimsRuns) {
			return true
		}
	}
	return false
}

func readLeases(ctx context.Context, t store.Tx, to map[string]leaseRow) error {
	_, err := store.All(ctx, t, "", func(r store.Row) (portal string, err error) {
		var row leaseRow
		err = r.Scan(&portal, &row.owner, &row.token, &row.heartbeat)
		to[portal] = row
		return portal, err
	}, selectLeases)
	return err
}

func (h *Holder) readWorkers(ctx context.Context, t store.Tx, to map[string]workerRow) error {
	_, err := store.All(ctx, t, "", func(row store.Row) (id string, err error) {
		var one workerRow
		if err := row.Scan(&id, &one.info, &one.heartbeat, &one.portals); err != nil {
			return id, err
		}
		old := h.workers[id]
		switch {
		case one.portals == "":
		case one.portals == old.portals:
			one.only = old.only
		default:
			var names []string
			if err := json.Unmarshal([]byte(one.portals), &names); err != nil {
				return id, fmt.Errorf("portals of worker %s: %w", id, err)
			}
			one.only = map[string]bool{}
			for _, name := range names {
				one.only[name] = true
			}
		}
		to[id] = one
		return id, nil
	}, selectWorkers)
	return err
}

// observe notes since when each row has been unchanged. Without rows, the leases are
// unchanged.
func (h *Holder) observe(rows map[string]leaseRow, workers map[string]workerRow) {
	now := h.o.Now()
	if rows == nil {
		rows = h.rows
	}
	for portal, row := range rows {
		if old, ok := h.rows[portal]; !ok || old.token != row.token || old.heartbeat != row.heartbeat {
			row.since = now
		} else {
			row.since = old.since
		}
		rows[portal] = row
	}
	for id, w := range workers {
		w.since = now
		if old, ok := h.workers[id]; ok {
			if w.wasAlive = old.wasAlive || old.heartbeat != w.heartbeat; old.heartbeat == w.heartbeat {
				w.since = old.since
			}
			if w.logged = old.logged; w.wasAlive && !w.logged && !strings.HasSuffix(w.info, claimsRuns) {
				w.logged = true
				h.o.Log.Warn("a process of an older version works on the same database: replace it", slog.String("worker", w.info))
			}
		}
		workers[id] = w
	}
	h.rows, h.workers = rows, workers
}

// logSilenced reports once that a worker sends no heartbeat any more.
func (h *Holder) logSilenced(id string) {
	w := h.workers[id]
	w.wasAlive = false
	h.workers[id] = w
	h.o.Log.Warn("no heartbeat from a process that shares the database", slog.String("worker", id))
	if h.o.Silenced != nil {
		h.o.Silenced()
	}
}

// forgetAfter is how long the row of a worker without heartbeat is stored. A
// worker that comes back inserts it again.
const forgetAfter = 5 * time.Minute

// forget removes the rows of workers that were killed.
func (h *Holder) forget(ctx context.Context) error {
	for id, w := range h.workers {
		if id == h.id || h.o.Now().Sub(w.since) < forgetAfter {
			continue
		}
		err := h.o.Transact(ctx, func(t store.Tx) error {
			_, err := t.Exec(ctx, `DELETE FROM b24_worker WHERE id = $1 AND beat = $2`, id, w.heartbeat)
			return err
		})
		if err != nil {
			return fmt.Errorf("forget a worker: %w", err)
		}
	}
	return nil
}
