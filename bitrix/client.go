package bitrix

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/b24rules/b24rules/bitrix/internal/limit"
)

// Config describes how to reach one portal.
type Config struct {
	// Webhook is the URL of the inbound webhook:
	// https://portal.bitrix24.com/rest/1/code/. Required, unless there is OAuth.
	Webhook Secret
	// OAuth, if not nil, calls the portal as an application instead.
	OAuth *OAuth
	// Plan sets the request rate. Empty means PlanStandard.
	Plan Plan
	// Shared says that other programs at this address use the portal's rate,
	// too. The client then begins with half of it and without a burst. It learns
	// the rest either way: more from requests that are taken, less from refusals.
	Shared bool
	// HTTP sends the requests. Nil means a client of its own. It is copied, and
	// redirects are never followed: they would turn POST into GET.
	HTTP *http.Client
	// Timeout is how long one request may take. 0 means 75 seconds; the portal
	// itself cuts one after 60.
	Timeout time.Duration
	// Settle is how long the portal may go on working on a request whose
	// connection was lost. 0 means 60 seconds, after which the cloud cuts every
	// request off; less than 0 means not at all.
	// https://apidocs.bitrix24.com/limits.html
	Settle time.Duration
	// InFlight is how many requests may be under way at once. 0 means 10: a full
	// batch takes a second or so, and a burst is 50 of them. A request that is
	// not full seldom leaves beside others.
	InFlight int
	// OperatingLimit is the working time that one method may use in ten
	// minutes. 0 means 480 seconds, less means no limit.
	OperatingLimit time.Duration
	// MaxWaiting is how many calls may wait for their turn; what is more is
	// refused at once. 0 means 100,000.
	MaxWaiting int
	// MaxAnswer is how many bytes the portal may answer. 0 means 64 MiB.
	MaxAnswer int64
	// MetadataLife is how long descriptions of fields are believed. 0 means 5
	// minutes.
	MetadataLife time.Duration
	// Gate, if not nil, is asked before each request and once more when its body
	// is about to leave, after any wait for a connection. An error keeps the
	// request from being sent: whoever loses the right to act for a portal must
	// not send what it began before. It must not block.
	Gate func() error
	// Log gets one debug line per request and what an operator should know.
	// Nil discards.
	Log *slog.Logger
}

const (
	defaultInFlight       = 10
	defaultTimeout        = 75 * time.Second
	defaultSettle         = 60 * time.Second
	defaultOperatingLimit = 480 * time.Second
	defaultMaxWaiting     = 100_000
	defaultMaxAnswer      = 64 << 20
	defaultMetadataLife   = 5 * time.Minute
)

func (cfg Config) withDefaults() Config {
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.Settle == 0 {
		cfg.Settle = defaultSettle
	}
	if cfg.InFlight <= 0 {
		cfg.InFlight = defaultInFlight
	}
	if cfg.OperatingLimit == 0 {
		cfg.OperatingLimit = defaultOperatingLimit
	}
	if cfg.MaxWaiting <= 0 {
		cfg.MaxWaiting = defaultMaxWaiting
	}
	if cfg.MaxAnswer <= 0 {
		cfg.MaxAnswer = defaultMaxAnswer
	}
	if cfg.MetadataLife <= 0 {
		cfg.MetadataLife = defaultMetadataLife
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return cfg
}

// Stats counts what a client has done.
type Stats struct {
	Requests int64 // HTTP requests
	Batches  int64 // those of them that were batches
	Commands int64 // calls that travelled in them, repeats included
	Writes   int64 // those of them that were writes
	Refused  int64 // requests refused by the rate limit
	Repeated int64 // calls that the client sent once more
	Waiting  int64 // calls that wait now
}

// Client calls one portal. It is safe for concurrent use. Close it.
type Client struct {
	cfg       Config
	base      string            // the webhook's URL with a trailing slash
	scrub     *strings.Replacer // hides the webhook in texts of the portal
	auth      *authority        // of an application; nil for a webhook
	http      *http.Client
	log       *slog.Logger
	line      *line
	bucket    *limit.Bucket
	operating *limit.Operating
	meta      *metadata
	many      merger

	turn  chan struct{} // held by the sender that chooses what goes next
	life  context.Context
	close context.CancelFunc
	work  sync.WaitGroup

	requests, batches, commands, writes, refused, repeated atomic.Int64
}

// ErrClosed is the error of calls on a closed client.
var ErrClosed = errors.New("the client is closed")

// NewClient makes a client. It sends nothing until it is asked to.
func NewClient(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	c := &Client{cfg: cfg, log: cfg.Log}
	var err error
	if cfg.OAuth != nil {
		err = cfg.OAuth.check()
	} else {
		var code string
		c.base, code, err = webhookURL(cfg.Webhook)
		c.scrub = strings.NewReplacer(c.base, hidden, code, hidden)
	}
	if err != nil {
		return nil, err
	}
	plan, err := ParsePlan(string(cfg.Plan))
	if err != nil {
		return nil, err
	}
	capacity, drain := plan.rate()
	h := http.Client{}
	if cfg.HTTP != nil {
		h = *cfg.HTTP
	}
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.http, c.line, c.bucket = &h, newLine(cfg.MaxWaiting, max(0, cfg.Settle)), limit.NewBucket(capacity, drain, cfg.Shared)
	c.operating, c.meta, c.turn = limit.NewOperating(cfg.OperatingLimit), newMetadata(cfg.MetadataLife), make(chan struct{}, 1)
	if cfg.OAuth != nil {
		c.auth = newAuthority(*cfg.OAuth, c.http, c.log)
	}
	c.life, c.close = context.WithCancel(context.Background())
	for range cfg.InFlight {
		c.work.Go(c.serve)
	}
	return c, nil
}

// webhookURL checks an inbound webhook's URL without ever repeating it in an
// error, and tells its secret part.
func webhookURL(s Secret) (base, code string, err error) {
	const want = "want https://PORTAL/rest/USER/CODE/"
	text := strings.TrimSpace(s.Reveal())
	if text == "" {
		return "", "", errors.New("the webhook URL is empty, " + want)
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return "", "", errors.New("the webhook is no http(s) URL, " + want)
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	if len(parts) < 3 || parts[len(parts)-3] != "rest" || u.RawQuery != "" || u.Fragment != "" {
		return "", "", errors.New("the webhook URL does not end in /rest/USER/CODE/, " + want)
	}
	u.Path = strings.TrimRight(u.Path, "/") + "/"
	return u.String(), parts[len(parts)-1], nil
}

// Close ends the client: calls that wait or are under way fail, and it returns
// when nothing of the client runs any more.
func (c *Client) Close() {
	c.close()
	c.line.shut(&Error{Detail: ErrClosed.Error(), Outcome: NotExecuted, cause: ErrClosed})
	c.many.shut()
	c.work.Wait()
}

// Stats returns the counters since the client was made.
func (c *Client) Stats() Stats {
	return Stats{
		Requests: c.requests.Load(), Batches: c.batches.Load(), Commands: c.commands.Load(), Writes: c.writes.Load(),
		Refused: c.refused.Load(), Repeated: c.repeated.Load(), Waiting: int64(c.line.length()),
	}
}

// UsedUntil says that another process may have used the portal's rate until the
// given time, such as the process that had the portal's lease before this one.
// The client then assumes that the portal's bucket was as full at that time as
// the client itself would have filled it.
func (c *Client) UsedUntil(at time.Time) { c.bucket.UsedUntil(at, time.Now()) }

// SpareSince returns how long ago the portal's bucket would have been full to
// hold what it holds now, as far as this client knows. The next process passes
// that time to UsedUntil. It is 0 for a full bucket and for a portal without a
// limit.
func (c *Client) SpareSince() time.Duration { return c.bucket.SpareSince(time.Now()) }
