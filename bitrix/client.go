package bitrix

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Config describes how to reach one portal.
type Config struct {
	// Webhook is the URL of the inbound webhook:
	// https://portal.bitrix24.com/rest/1/code/. Required.
	Webhook Secret
	// Plan sets the request rate. Empty means PlanStandard.
	Plan Plan
	// HTTP sends the requests. Nil means a client of its own that gives a
	// request 75 seconds; the portal itself cuts one after 60. Redirects are
	// never followed, whatever the client says: they would turn POST into GET.
	HTTP *http.Client
	// InFlight is how many requests may be under way at once. 0 means 2: what
	// becomes ready meanwhile travels together in the next one.
	InFlight int
	// OperatingLimit is the time that one method may use in ten minutes. 0
	// means 480 seconds.
	OperatingLimit time.Duration
	// Log gets one debug line per request and what an operator should know.
	// Nil discards.
	Log *slog.Logger
}

// Call is one REST call.
type Call struct {
	Method string
	// Params are the call's parameters: nested maps, slices, text, numbers
	// and booleans. In a batch nil values and empty lists vanish, as in PHP.
	Params map[string]any
	// Write says that the call may change data, so that it is not repeated
	// when nobody knows whether it ran.
	Write bool
}

// Answer is what came of one call.
type Answer struct {
	Result json.RawMessage
	// Total and Next are those of a listing, -1 when absent.
	Total, Next int
	// Err is a *Error, or the context's error when the caller gave up.
	Err error
}

// Stats counts what a client has done.
type Stats struct {
	Requests int64 // HTTP requests
	Commands int64 // calls that travelled in them
	Writes   int64 // those of them that were writes
	Refused  int64 // requests refused by the rate limit
}

// Client calls one portal. It is safe for concurrent use.
type Client struct {
	base      string // with the secret and a trailing slash
	http      *http.Client
	log       *slog.Logger
	bucket    *bucket
	operating *operating
	meta      *metadata
	slots     chan struct{}

	mu          sync.Mutex
	queue       []*unit
	dispatching bool

	life  context.Context // ends with Close
	close context.CancelFunc
	work  sync.WaitGroup

	requests, commands, writes, refused atomic.Int64
}

const (
	defaultInFlight       = 2
	defaultOperatingLimit = 480 * time.Second
	requestTimeout        = 75 * time.Second
)

// ErrClosed is the error of calls on a closed client.
var ErrClosed = errors.New("the client is closed")

// NewClient makes a client. It sends nothing until it is asked to.
func NewClient(cfg Config) (*Client, error) {
	base, err := webhookURL(cfg.Webhook)
	if err != nil {
		return nil, err
	}
	plan, err := ParsePlan(string(cfg.Plan))
	if err != nil {
		return nil, err
	}
	inFlight := cfg.InFlight
	if inFlight <= 0 {
		inFlight = defaultInFlight
	}
	c := &Client{base: base, log: cfg.Log, slots: make(chan struct{}, inFlight)}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	h := http.Client{Timeout: requestTimeout}
	if cfg.HTTP != nil {
		h = *cfg.HTTP
	}
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.http = &h
	limit := cfg.OperatingLimit
	if limit == 0 {
		limit = defaultOperatingLimit
	}
	capacity, rate := plan.rate()
	c.bucket = newBucket(capacity, rate)
	c.operating = newOperating(limit)
	c.meta = newMetadata()
	c.life, c.close = context.WithCancel(context.Background())
	return c, nil
}

// webhookURL checks an inbound webhook's URL without ever repeating it in an
// error.
func webhookURL(s Secret) (string, error) {
	const want = "want https://PORTAL/rest/USER/CODE/"
	text := strings.TrimSpace(s.Reveal())
	if text == "" {
		return "", errors.New("the webhook URL is empty, " + want)
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return "", errors.New("the webhook is no http(s) URL, " + want)
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	if len(parts) < 3 || parts[len(parts)-3] != "rest" || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("the webhook URL does not end in /rest/USER/CODE/, " + want)
	}
	u.Path = strings.TrimRight(u.Path, "/") + "/"
	return u.String(), nil
}

// Close ends the calls under way and waits for them.
func (c *Client) Close() {
	c.close()
	c.work.Wait()
}

// Stats returns the counters since the client was made.
func (c *Client) Stats() Stats {
	return Stats{Requests: c.requests.Load(), Commands: c.commands.Load(), Writes: c.writes.Load(), Refused: c.refused.Load()}
}

// Call makes one call and decodes its result into result, which may be nil.
func (c *Client) Call(ctx context.Context, method string, params map[string]any, result any) error {
	a := c.Do(ctx, Call{Method: method, Params: params})[0]
	if a.Err != nil || result == nil {
		return a.Err
	}
	if err := json.Unmarshal(a.Result, result); err != nil {
		return &Error{Method: method, Code: CodeBadAnswer, Detail: "the result has another shape: " + err.Error(), Outcome: Executed, cause: err}
	}
	return nil
}

// Do makes calls that are ready at the same time and returns their answers in
// the same order. They travel in as few requests as possible, together with
// the calls of others, and run in the order given. When ctx ends first, the
// calls that were not answered have its error; those under way may still run.
func (c *Client) Do(ctx context.Context, calls ...Call) []Answer {
	answers := make([]Answer, len(calls))
	for start := 0; start < len(calls); start += maxBatch {
		end := min(start+maxBatch, len(calls))
		c.submit(ctx, calls[start:end], answers[start:end])
	}
	return answers
}

// submit hands at most one batch of calls to the dispatcher and waits.
func (c *Client) submit(ctx context.Context, calls []Call, answers []Answer) {
	for i := range answers {
		answers[i] = Answer{Total: -1, Next: -1}
	}
	u := &unit{ctx: ctx, calls: calls, done: make(chan struct{}), answers: make([]Answer, len(calls))}
	for i, call := range calls {
		u.answers[i] = Answer{Total: -1, Next: -1}
		if err := c.operating.held(call.Method); err != nil {
			u.answers[i].Err = err
			continue
		}
		u.left = append(u.left, i)
	}
	if len(u.left) == 0 {
		copy(answers, u.answers)
		return
	}
	c.enqueue(u)
	select {
	case <-u.done:
		copy(answers, u.answers)
	case <-ctx.Done():
		fail(answers, ctx.Err())
	case <-c.life.Done():
		fail(answers, ErrClosed)
	}
}

func fail(answers []Answer, err error) {
	for i := range answers {
		answers[i] = Answer{Total: -1, Next: -1, Err: err}
	}
}

// List reads all pages of a listing call. wrapper is the key under which the
// rows stand in the result ("items", "productRows"), "" when the result is the
// bare list. The pages after the first travel together.
func (c *Client) List(ctx context.Context, call Call, wrapper string) ([]json.RawMessage, error) {
	first := c.Do(ctx, call)[0]
	rows, err := pageRows(call.Method, first, wrapper)
	if err != nil || first.Next <= 0 {
		return rows, err
	}
	for next, total := first.Next, first.Total; next > 0; {
		var calls []Call
		for start := next; start < total || len(calls) == 0; start += pageSize {
			calls = append(calls, page(call, start))
		}
		next = 0
		for i, a := range c.Do(ctx, calls...) {
			more, err := pageRows(call.Method, a, wrapper)
			if err != nil {
				return nil, err
			}
			rows = append(rows, more...)
			// Rows that were added meanwhile make the last page full.
			if i == len(calls)-1 && len(more) == pageSize && a.Next > 0 {
				next, total = a.Next, a.Total
			}
		}
	}
	return rows, nil
}

// pageSize is fixed for all listing methods.
const pageSize = 50

func page(call Call, start int) Call {
	params := make(map[string]any, len(call.Params)+1)
	for k, v := range call.Params {
		params[k] = v
	}
	params["start"] = start
	call.Params = params
	return call
}

func pageRows(method string, a Answer, wrapper string) ([]json.RawMessage, error) {
	if a.Err != nil {
		return nil, a.Err
	}
	raw := a.Result
	if wrapper != "" {
		m, err := looseMap(raw)
		if err != nil {
			return nil, badShape(method, err)
		}
		raw = m[wrapper]
	}
	var rows []json.RawMessage
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	if raw[0] == '{' { // a list with gaps in its keys
		return nil, badShape(method, fmt.Errorf("want a list, got an object"))
	}
	if err := json.Unmarshal(raw, &rows); err != nil {
		return nil, badShape(method, err)
	}
	return rows, nil
}

func badShape(method string, err error) error {
	return &Error{Method: method, Code: CodeBadAnswer, Detail: "the result has another shape: " + err.Error(), Outcome: Executed, cause: err}
}
