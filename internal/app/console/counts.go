package console

import (
	"context"
	"sync"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

// countsFor is how long counts are used for which nothing has changed but pauses and holds.
const countsFor = 5 * time.Second

// counts are the unfinished runs of all portals. Each page shows some of them, and all open pages read
// themselves at the same time, so they are counted once for each change of the database.
type counts struct {
	mu   sync.Mutex
	mark string
	at   time.Time
	all  []journal.Backlog
}

// read returns the counts after the change with the mark. Without a mark it counts. The list must not be
// changed.
func (c *counts) read(ctx context.Context, q *queue.Queue, mark string) ([]journal.Backlog, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if mark != "" && c.mark == mark && time.Since(c.at) < countsFor {
		return c.all, nil
	}
	at := time.Now()
	all, err := journal.Backlogs(ctx, q.Database())
	if err != nil {
		return nil, err
	}
	c.mark, c.at, c.all = mark, at, all
	return all, nil
}
