package reload

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/b24rules/b24rules/internal/lease"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/wakeup"
)

const (
	// Patience is how long Ask waits for the answers.
	Patience = 30 * time.Second
	// look is how often it looks for them.
	look = 100 * time.Millisecond
	// dead is after how long without a heartbeat a process was killed. Others take its
	// portals over in that time.
	dead = 10 * time.Second
)

// Ask asks the processes that work a database, and returns the answers and the names of the
// processes that have not answered. It fails if no process works the database.
func Ask(ctx context.Context, q *queue.Queue, r Request) (answers []Answer, silent []string, err error) {
	served, err := q.Served(ctx)
	if err != nil {
		return nil, nil, err
	}
	if !served {
		return nil, nil, errors.New("serve is not running; it reads the configuration and the rules when it starts")
	}
	table := New(q.Database())
	if err := table.Ask(ctx, r); err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, table.Forget(context.WithoutCancel(ctx), r.ID)) }()
	alive := heartbeats{}
	for until := time.Now().Add(Patience); ; {
		if answers, err = table.Answers(ctx, r.ID); err != nil {
			return nil, nil, err
		}
		processes, err := q.Processes(ctx) // without those that have ended
		if err != nil {
			return nil, nil, err
		}
		silent = nil
		for _, p := range processes {
			if alive.has(p) && !slices.ContainsFunc(answers, func(a Answer) bool { return a.Process == p.Name }) {
				silent = append(silent, p.Name)
			}
		}
		if len(silent) == 0 && len(answers) > 0 || time.Now().After(until) {
			return answers, silent, nil
		}
		if err := wakeup.Sleep(ctx, look); err != nil {
			return nil, nil, err
		}
	}
}

// heartbeats are those of processes, with the times since when they have not grown.
type heartbeats map[string]struct {
	last  int64
	since time.Time
}

// has reports whether a process was not killed.
func (h heartbeats) has(p lease.Worker) bool {
	old, known := h[p.Name]
	if !known || old.last != p.Heartbeat {
		old.last, old.since = p.Heartbeat, time.Now()
		h[p.Name] = old
	}
	return p.Heartbeat == 0 || time.Since(old.since) < dead
}
