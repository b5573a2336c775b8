package lease

import (
	"context"
	"encoding/json"
	"time"

	"github.com/b24rules/b24rules/internal/store"
	"github.com/b24rules/b24rules/internal/wakeup"
)

// Worker is a process that works the database.
type Worker struct {
	Name string // as Process names it
	// Portals are those of its configuration; nil for all.
	Portals []string
	// Heartbeat grows about every second while the process works. It is 0 on SQLite.
	Heartbeat int64
}

// Workers returns the processes whose heartbeats are stored and that do not end. One that
// was killed is among them for some minutes; its heartbeat does not grow any more.
func Workers(ctx context.Context, from store.Reader) ([]Worker, error) {
	return store.All(ctx, from, "", func(row store.Row) (w Worker, err error) {
		var portals string
		if err := row.Scan(&w.Name, &portals, &w.Heartbeat); err != nil {
			return w, err
		}
		w.Name = nameOf(w.Name)
		if portals == "" { // it works all
			return w, nil
		}
		err = json.Unmarshal([]byte(portals), &w.Portals)
		return w, err
	}, `SELECT info, portals, beat FROM b24_worker WHERE portals <> $1 ORDER BY info`, ends)
}

const (
	// servedFor is how long Served waits for a heartbeat, and servedLook the time
	// between two looks. Processes send one every 0.8 seconds with the default lease.
	servedFor  = 3 * time.Second
	servedLook = 200 * time.Millisecond
)

// Served reports whether a process works a portal now. It waits for a heartbeat: the row
// of a process that was killed stays for a while.
func Served(ctx context.Context, from store.Reader) (bool, error) {
	first, err := readHeartbeats(ctx, from)
	if err != nil {
		return false, err
	}
	until := time.Now().Add(servedFor)
	for len(first) > 0 && time.Now().Before(until) {
		if err := wakeup.Sleep(ctx, servedLook); err != nil {
			return false, err
		}
		next, err := readHeartbeats(ctx, from)
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

// readHeartbeats returns the last heartbeat of each process.
func readHeartbeats(ctx context.Context, from store.Reader) (map[string]int64, error) {
	all := map[string]int64{}
	_, err := store.All(ctx, from, "", func(row store.Row) (id string, err error) {
		var last int64
		err = row.Scan(&id, &last)
		all[id] = last
		return id, err
	}, `SELECT id, beat FROM b24_worker`)
	return all, err
}
