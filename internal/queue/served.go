package queue

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/b24rules/b24rules/internal/lease"
	"github.com/b24rules/b24rules/internal/store"
	"github.com/b24rules/b24rules/internal/wakeup"
)

// Served reports whether a process works the database now: on PostgreSQL, any portal of
// it. It does not change the database.
func (q *Queue) Served(ctx context.Context) (bool, error) {
	if q.working.Load() {
		return true, nil
	}
	served, err := q.db.served(ctx, q.db.read)
	if err != nil {
		return false, fmt.Errorf("is a process working the database: %w", err)
	}
	return served, nil
}

// Process is a process that works the database.
type Process struct {
	Name string // as lease.Process names it
	// Portals are those of its configuration; nil on SQLite, where it is the only process.
	Portals []string
	// Heartbeat grows about every second while the process works. It is 0 on SQLite.
	Heartbeat int64
}

// Processes returns the processes that work the database. On PostgreSQL, one that was killed is
// among them for some minutes; its heartbeat does not grow any more.
func (q *base) Processes(ctx context.Context) ([]Process, error) {
	all, err := q.db.processes(ctx, q.db.read)
	if err != nil {
		return nil, fmt.Errorf("read the processes that work the database: %w", err)
	}
	return all, nil
}

// processes returns the process that has the lock.
func (db *sqliteDB) processes(ctx context.Context, read store.Reader) ([]Process, error) {
	served, err := db.served(ctx, read)
	if err != nil || !served {
		return nil, err
	}
	return store.All(ctx, read, "", func(row store.Row) (p Process, err error) {
		err = row.Scan(&p.Name)
		return p, err
	}, `SELECT value FROM b24_note WHERE name = $1`, holderNote)
}

// processes returns those whose heartbeats are stored and that do not end.
func (db *postgresDB) processes(ctx context.Context, read store.Reader) ([]Process, error) {
	return store.All(ctx, read, "", func(row store.Row) (p Process, err error) {
		var portals string
		if err := row.Scan(&p.Name, &portals, &p.Heartbeat); err != nil {
			return p, err
		}
		p.Name = lease.Name(p.Name)
		if portals == "" { // it works all
			return p, nil
		}
		err = json.Unmarshal([]byte(portals), &p.Portals)
		return p, err
	}, `SELECT info, portals, beat FROM b24_worker WHERE portals <> $1 ORDER BY info`, lease.Ends)
}

// served tries to read the lock, which an exclusive transaction does not let others do.
func (db *sqliteDB) served(ctx context.Context, read store.Reader) (bool, error) {
	var holder string
	err := read.QueryRow(ctx, `SELECT value FROM b24_note WHERE name = $1`, holderNote).Scan(&holder)
	if errors.Is(err, sql.ErrNoRows) || err == nil && holder == "" {
		return false, nil // without a look at the lock, which a process that starts now may take
	}
	if err != nil {
		return false, err
	}
	if _, err := os.Stat(db.path + ".lock"); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	lock, err := sql.Open("sqlite", sqliteURI(db.path+".lock", "_pragma=busy_timeout(0)", "mode=ro"))
	if err != nil {
		return false, err
	}
	defer func() { _ = lock.Close() }()
	var n int
	err = lock.QueryRowContext(ctx, `SELECT COUNT(*) FROM sqlite_schema`).Scan(&n)
	if busy(err) {
		return true, nil
	}
	return false, err
}

const (
	// servedFor is how long served waits for a heartbeat, and servedLook the time
	// between two looks. Processes send one every 0.8 seconds with the default lease.
	servedFor  = 3 * time.Second
	servedLook = 200 * time.Millisecond
)

// served waits for a heartbeat: the row of a process that was killed stays for a while.
func (db *postgresDB) served(ctx context.Context, read store.Reader) (bool, error) {
	first, err := heartbeats(ctx, read)
	if err != nil {
		return false, err
	}
	until := time.Now().Add(servedFor)
	for len(first) > 0 && time.Now().Before(until) {
		if err := wakeup.Sleep(ctx, servedLook); err != nil {
			return false, err
		}
		next, err := heartbeats(ctx, read)
		if err != nil {
			return false, err
		}
		for id, now := range next {
			if before, known := first[id]; !known || before != now {
				return true, nil
			}
		}
	}
	return false, nil
}

// heartbeats reads the heartbeats of processes.
func heartbeats(ctx context.Context, read store.Reader) (map[string]int64, error) {
	all := map[string]int64{}
	_, err := store.All(ctx, read, "", func(row store.Row) (id string, err error) {
		var last int64
		err = row.Scan(&id, &last)
		all[id] = last
		return id, err
	}, `SELECT id, beat FROM b24_worker`)
	return all, err
}
