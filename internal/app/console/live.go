package console

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/wakeup"
)

const (
	// pulseEvery is how often the hub looks for changes while pages are open.
	pulseEvery = time.Second
	// restFor is how long the hub rests for each second in which open pages read themselves, so
	// that many pages do not take the time of the engine. mostRest bounds it.
	restFor  = 30
	mostRest = 30 * time.Second
	// readsAtOnce is how many open pages read themselves at a time.
	readsAtOnce = 2
	// mostStreams bounds the open pages; others are not live.
	mostStreams = 100
	// aliveEvery keeps proxies from closing a quiet stream.
	aliveEvery = 20 * time.Second
	// pulseFor is after which time the database is away, if it does not answer.
	pulseFor = 5 * time.Second
)

// mark names the state of what pages show: it differs after each change.
func (c *Console) mark(ctx context.Context) (string, error) {
	pulse, err := journal.Pulse(ctx, c.Queue.Database())
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %p %p", pulse, c.Rules(), c.Config()))
	return hex.EncodeToString(sum[:6]), nil
}

// hub tells open pages that something has changed. It looks only while a page is open.
type hub struct {
	mark func(context.Context) (string, error)
	log  *slog.Logger
	mu   sync.Mutex
	// pages have the mark of what each open page shows.
	pages map[chan struct{}]string
	wake  chan struct{} // the first page has opened
	last  atomic.Value  // the mark that the hub has seen last, a string

	reading chan struct{} // has a value for each page that reads itself
	spent   atomic.Int64  // the time of these reads
}

func newHub(mark func(context.Context) (string, error), log *slog.Logger) *hub {
	return &hub{mark: mark, log: log, pages: map[chan struct{}]string{}, wake: make(chan struct{}, 1), reading: make(chan struct{}, readsAtOnce)}
}

func (h *hub) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.pages)
}

// add returns a channel that receives each change after the mark since; ok is false if too many
// pages are open.
func (h *hub) add(since string) (changed chan struct{}, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.pages) >= mostStreams {
		return nil, false
	}
	changed = make(chan struct{}, 1)
	h.pages[changed] = since
	select {
	case h.wake <- struct{}{}:
	default:
	}
	return changed, true
}

func (h *hub) remove(changed chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.pages, changed)
}

func (h *hub) run(ctx context.Context) {
	failed := false
	var rest time.Duration
	for {
		if h.count() == 0 {
			failed, rest = false, 0
			select {
			case <-ctx.Done():
				return
			case <-h.wake:
			}
			continue
		}
		rest = min(rest+restFor*time.Duration(h.spent.Swap(0)), mostRest)
		if len(h.reading) > 0 || rest >= pulseEvery && !failed {
			rest = max(rest-pulseEvery, 0)
			if wakeup.Sleep(ctx, pulseEvery) != nil {
				return
			}
			continue
		}
		now, err := h.look(ctx)
		switch {
		case err != nil && ctx.Err() == nil && !failed:
			h.log.Warn("cannot look for changes, open pages are not live", "error", err)
			h.notify("") // they read themselves, and say that the database is away
		case err == nil:
			h.last.Store(now)
			h.notify(now)
		}
		failed = err != nil
		if wakeup.Sleep(ctx, pulseEvery) != nil {
			return
		}
	}
}

// read lets an open page read itself when it is its turn. end must be called afterwards.
func (h *hub) read(ctx context.Context) (end func(), err error) {
	select {
	case h.reading <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	started := time.Now()
	return func() {
		h.spent.Add(int64(time.Since(started)))
		<-h.reading
	}, nil
}

// look reads the mark, but does not wait long for a database that does not answer.
func (h *hub) look(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, pulseFor)
	defer cancel()
	return h.mark(ctx)
}

// notify tells the pages that show something else than what has the mark.
func (h *hub) notify(mark string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for changed, shown := range h.pages {
		if shown == mark {
			continue
		}
		h.pages[changed] = mark
		select {
		case changed <- struct{}{}:
		default: // it has not read the last one
		}
	}
}

// serveLive sends "changed" to an open page. It never sends data, so a page shows what its reader
// may see.
func (c *Console) serveLive(q *request) (*page, error) {
	changed, ok := c.live.add(q.FormValue("since"))
	if !ok {
		return nil, &problem{status: http.StatusServiceUnavailable, key: "problem.live"}
	}
	defer c.live.remove(changed)
	out := http.NewResponseController(q.w)
	if err := out.SetWriteDeadline(time.Time{}); err != nil {
		return nil, err
	}
	q.w.Header().Set("Content-Type", "text/event-stream")
	q.w.Header().Set("X-Accel-Buffering", "no") // or nginx keeps it back
	_, _ = fmt.Fprint(q.w, "retry: 2000\n\n")
	alive := time.NewTicker(aliveEvery)
	defer alive.Stop()
	for {
		if err := out.Flush(); err != nil {
			return nil, nil
		}
		select {
		case <-q.Context().Done():
			return nil, nil
		case <-alive.C:
			// A session that has ended must not stay live.
			if ok, err := c.identify(q); err != nil || !ok {
				return nil, nil
			}
			_, _ = fmt.Fprint(q.w, ": alive\n\n")
		case <-changed:
			_, _ = fmt.Fprint(q.w, "event: changed\ndata: 1\n\n")
		}
	}
}
