package events

import (
	"container/heap"
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/model"
	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// Hub knows the handlers of events and sends them what happens. Its fields are guarded by
// the portal's lock, which it never holds while it waits or sends.
type Hub struct {
	mu      *sync.Mutex
	cfg     Delivery
	options *rest.Options
	store   *model.Store
	app     *rest.Application
	address *rest.Address
	chance  *rand.Rand

	subscriptions []*subscription
	Robots        Robots
	offline       offlineQueue
	byURL         map[string]*feed // the queues of events, one for each handler's URL
	seq           int64
	Pending       int           // events queued or being sent
	idle          chan struct{} // closed when pending falls to 0
	Sent, Failed  int64

	stop      context.CancelFunc // ends the delivery of events
	delivery  context.Context
	delivered sync.WaitGroup
}

// Delivery says how events reach their handlers. The fields are those of [Config].
type Delivery struct {
	Delay, Jitter, SlowHandler time.Duration
	Loss                       float64
	Workers                    int
	Client                     *http.Client
	Log                        *slog.Logger
	Secret, ApplicationToken   string
}

// feed sends the events of one handler.
type feed struct {
	queue   deliveries
	workers int
	gap     time.Duration // left before each event, for a handler that answers slowly
}

// delivery is an event on its way to a handler.
type delivery struct {
	rest.Event
	to   *subscription
	form *php.Array // what is sent instead of the event
	due  time.Time
	seq  int64 // of what is due at once, the first goes first
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

// NewHub makes a hub without handlers. It shares the lock, the data, the application and
// the address with the portal.
func NewHub(mu *sync.Mutex, cfg Delivery, o *rest.Options, s *model.Store, app *rest.Application, at *rest.Address, chance *rand.Rand) *Hub {
	h := &Hub{
		mu: mu, cfg: cfg, options: o, store: s, app: app, address: at, chance: chance,
		byURL: map[string]*feed{}, idle: make(chan struct{}),
	}
	h.Robots.hub = h
	close(h.idle)
	h.delivery, h.stop = context.WithCancel(context.Background())
	return h
}

// Close stops the delivery of events and waits for its end.
func (h *Hub) Close() {
	h.mu.Lock()
	h.stop()
	h.mu.Unlock()
	h.delivered.Wait()
}

// AddWebhook adds the handlers of an outbound webhook and returns its application token.
func (h *Hub) AddWebhook(url string, events ...string) (token string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	number := h.store.Next("webhook")
	token = h.cfg.ApplicationToken
	if number > 1 { // each outbound webhook has its own token
		token = value.DeriveHex(h.cfg.Secret, "outbound webhook "+strconv.FormatInt(number, 10), 32)
	}
	for _, code := range events {
		h.subscriptions = append(h.subscriptions, &subscription{
			id: h.store.Next("handler"), event: strings.ToUpper(code), url: url, token: token,
		})
	}
	return token
}

// Dispatch puts events into the queues of their handlers. An event goes out
// once, a little later, and is never sent again.
func (h *Hub) Dispatch(events []rest.Event) {
	if len(events) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.delivery.Err() != nil { // closed
		return
	}
	now, recorded := time.Now(), false
	due := now.Add(h.cfg.Delay)
	for _, e := range events {
		for _, sub := range h.subscriptions {
			switch {
			case sub.event != e.Code:
			case sub.offline:
				recorded = h.record(e, sub, now) || recorded
			default:
				h.enqueue(delivery{Event: e, to: sub, due: due})
			}
		}
	}
	if recorded {
		h.notify(events[0].Origin, now)
	}
	h.Robots.start(due)
}

// enqueue adds an event to its handler's queue and sees to it that somebody
// sends it. The lock is held.
func (h *Hub) enqueue(d delivery) {
	if h.cfg.Loss > 0 && h.chance.Float64() < h.cfg.Loss {
		return
	}
	if h.cfg.Jitter > 0 {
		d.due = d.due.Add(time.Duration(h.chance.Int64N(int64(h.cfg.Jitter))))
	}
	f := h.byURL[d.to.url]
	if f == nil {
		f = &feed{}
		h.byURL[d.to.url] = f
	}
	h.add()
	h.seq++
	d.seq = h.seq
	heap.Push(&f.queue, d)
	if f.workers < h.cfg.Workers {
		f.workers++
		h.delivered.Go(func() { h.work(f) })
	}
}

// work sends a handler's events until there are none.
func (h *Hub) work(f *feed) {
	for {
		d, gap, ok := h.take(f)
		if !ok {
			return
		}
		if rest.Wait(h.delivery, max(0, time.Until(d.due))+gap) == nil {
			h.send(f, d)
		}
		h.done()
	}
}

// take takes the next event out of a queue.
func (h *Hub) take(f *feed) (d delivery, gap time.Duration, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(f.queue) == 0 {
		f.workers--
		return d, 0, false
	}
	d, _ = heap.Pop(&f.queue).(delivery)
	return d, f.gap, true
}

// Expect lets WaitIdle wait for events that a request has raised and will
// dispatch. The caller calls done afterwards.
func (h *Hub) Expect() (done func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.add()
	return h.done
}

// add counts one more that WaitIdle waits for. The lock is held.
func (h *Hub) add() {
	if h.Pending == 0 {
		h.idle = make(chan struct{})
	}
	h.Pending++
}

func (h *Hub) done() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Pending--
	if h.Pending == 0 {
		close(h.idle)
	}
}

// send posts an event. Whatever the handler answers, it is over.
func (h *Hub) send(f *feed, d delivery) {
	form := d.form
	if form == nil {
		form = h.body(d)
	}
	body := php.BuildQuery(form)
	start := time.Now()
	ok := h.post(d.to.url, body)
	took := time.Since(start)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Sent++
	if !ok {
		h.Failed++
		h.cfg.Log.Warn("a handler did not take an event", "event", d.Code)
	}
	// How a real portal slows down is not documented: the gap follows the
	// time of slow answers and halves with each fast one.
	if took > h.cfg.SlowHandler {
		f.gap = min(maxGap, max(took/2, f.gap*2))
	} else {
		f.gap /= 2
	}
}

func (h *Hub) post(url, body string) (ok bool) {
	ctx, cancel := context.WithCancel(h.delivery)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("User-Agent", "Bitrix24 Webhook Engine")
	resp, err := h.cfg.Client.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	return resp.StatusCode >= 200 && resp.StatusCode < 300
}

// WaitIdle waits until no event is queued or being sent. Without an end of the
// context it waits for ever if a handler changes the portal again and again.
func (h *Hub) WaitIdle(ctx context.Context) error {
	for {
		h.mu.Lock()
		idle, pending := h.idle, h.Pending
		h.mu.Unlock()
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

// SendLifecycle sends an event about the application to the handlers that are bound to it, and an
// event of its installation to the URL that was given for them.
func (h *Hub) SendLifecycle(e rest.Event) {
	h.mu.Lock()
	url, bound := h.app.URL, false
	for _, sub := range h.subscriptions {
		bound = bound || sub.app && sub.event == e.Code && sub.url == url
	}
	if e.Auth == rest.AuthLong && url != "" && !bound && h.delivery.Err() == nil {
		h.enqueue(delivery{Event: e, to: &subscription{event: e.Code, url: url, token: h.app.Token, app: true}, due: time.Now().Add(h.cfg.Delay)})
	}
	h.mu.Unlock()
	h.Dispatch([]rest.Event{e})
}

// UnbindApp drops all handlers of the application. The lock is held.
func (h *Hub) UnbindApp() {
	h.subscriptions, _ = without(h.subscriptions, func(sub *subscription) bool { return sub.app })
	h.offline = offlineQueue{}
}

// ForgetType drops the subscriptions to the suffixed events of a smart process. The lock is
// held.
func (h *Hub) ForgetType(entityTypeID int) {
	suffix := "_" + strconv.Itoa(entityTypeID)
	h.subscriptions, _ = without(h.subscriptions, func(sub *subscription) bool { return strings.HasSuffix(sub.event, suffix) })
}
