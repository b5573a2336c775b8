package emulator

import (
	"container/heap"
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// feeds are the queues of events, one for each handler's URL.
type feeds struct {
	subscriptions []*subscription
	byURL         map[string]*feed
	seq           int64
	pending       int           // events queued or under way
	idle          chan struct{} // closed when pending falls to 0
}

// feed sends the events of one handler.
type feed struct {
	queue   deliveries
	workers int
	gap     time.Duration // left before each event, for a handler that answers slowly
}

// delivery is an event on its way to a handler.
type delivery struct {
	raised
	to  *subscription
	due time.Time
	seq int64 // of what is due at once, the first goes first
}

// deliveries are events in the order in which they are due, as a heap.
type deliveries []delivery

func (d deliveries) Len() int { return len(d) }
func (d deliveries) Less(i, j int) bool {
	if c := d[i].due.Compare(d[j].due); c != 0 {
		return c < 0
	}
	return d[i].seq < d[j].seq
}
func (d deliveries) Swap(i, j int) { d[i], d[j] = d[j], d[i] }
func (d *deliveries) Push(x any)   { *d = append(*d, x.(delivery)) }

// Pop takes the last one off, which heap.Pop has put there.
func (d *deliveries) Pop() any {
	last := len(*d) - 1
	x := (*d)[last]
	(*d)[last] = delivery{}
	*d = (*d)[:last]
	return x
}

// maxGap is the longest that a slow handler waits for its next event.
const maxGap = 5 * time.Second

func newFeeds() feeds {
	idle := make(chan struct{})
	close(idle)
	return feeds{byURL: map[string]*feed{}, idle: idle}
}

// AddWebhook sets up an outbound webhook for events and returns its
// application token. The URL is called as it stands.
func (p *Portal) AddWebhook(url string, events ...string) (token string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	number := p.store.Next("webhook")
	token = p.cfg.ApplicationToken
	if number > 1 { // each outbound webhook has a token of its own
		token = value.DeriveHex(p.cfg.Secret, "outbound webhook "+strconv.FormatInt(number, 10), 32)
	}
	for _, event := range events {
		p.feeds.subscriptions = append(p.feeds.subscriptions, &subscription{
			id: p.store.Next("handler"), event: strings.ToUpper(event), url: url, token: token,
		})
	}
	return token
}

// dispatch puts events into the queues of their handlers. An event goes out
// once, a little later, and is never sent again.
func (p *Portal) dispatch(events []raised) {
	if len(events) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.delivery.Err() != nil { // closed
		return
	}
	now, recorded := time.Now(), false
	due := now.Add(p.cfg.EventDelay)
	for _, e := range events {
		for _, sub := range p.feeds.subscriptions {
			switch {
			case sub.event != e.code:
			case sub.offline:
				recorded = p.record(e, sub, now) || recorded
			default:
				p.enqueue(delivery{raised: e, to: sub, due: due})
			}
		}
	}
	if recorded {
		p.notify(events[0].origin, now)
	}
}

// enqueue adds an event to its handler's queue and sees to it that somebody
// sends it. The lock is held.
func (p *Portal) enqueue(d delivery) {
	if p.cfg.EventLoss > 0 && p.chance.Float64() < p.cfg.EventLoss {
		return
	}
	if p.cfg.EventJitter > 0 {
		d.due = d.due.Add(time.Duration(p.chance.Int64N(int64(p.cfg.EventJitter))))
	}
	f := p.feeds.byURL[d.to.url]
	if f == nil {
		f = &feed{}
		p.feeds.byURL[d.to.url] = f
	}
	if p.feeds.pending == 0 {
		p.feeds.idle = make(chan struct{})
	}
	p.feeds.pending++
	p.feeds.seq++
	d.seq = p.feeds.seq
	heap.Push(&f.queue, d)
	if f.workers < p.cfg.EventWorkers {
		f.workers++
		p.delivered.Go(func() { p.work(f) })
	}
}

// work sends a handler's events until there are none.
func (p *Portal) work(f *feed) {
	for {
		d, gap, ok := p.take(f)
		if !ok {
			return
		}
		if wait(p.delivery, max(0, time.Until(d.due))+gap) == nil {
			p.send(f, d)
		}
		p.done()
	}
}

// take takes the next event out of a queue.
func (p *Portal) take(f *feed) (d delivery, gap time.Duration, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(f.queue) == 0 {
		f.workers--
		return d, 0, false
	}
	d, _ = heap.Pop(&f.queue).(delivery)
	return d, f.gap, true
}

func (p *Portal) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.feeds.pending--
	if p.feeds.pending == 0 {
		close(p.feeds.idle)
	}
}

// send posts an event. Whatever the handler answers, it is over.
func (p *Portal) send(f *feed, d delivery) {
	body := php.BuildQuery(p.eventBody(d))
	start := time.Now()
	ok := p.post(d.to.url, body)
	took := time.Since(start)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.journal.sent++
	if !ok {
		p.journal.failed++
		p.cfg.Log.Warn("a handler did not take an event", "event", d.code)
	}
	// How a real portal slows down is not documented: the gap follows the
	// time of slow answers and halves with each fast one.
	if took > p.cfg.SlowHandler {
		f.gap = min(maxGap, max(took/2, f.gap*2))
	} else {
		f.gap /= 2
	}
}

func (p *Portal) post(url, body string) (ok bool) {
	ctx, cancel := context.WithCancel(p.delivery)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("User-Agent", "Bitrix24 Webhook Engine")
	resp, err := p.cfg.Client.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	return resp.StatusCode >= 200 && resp.StatusCode < 300
}

// WaitIdle waits until no event is queued or under way. Without an end of the
// context it waits for ever if a handler changes the portal again and again.
func (p *Portal) WaitIdle(ctx context.Context) error {
	for {
		p.mu.Lock()
		idle, pending := p.feeds.idle, p.feeds.pending
		p.mu.Unlock()
		if pending == 0 {
			return ctx.Err()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-idle:
		}
	}
}
