package bitrix

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/b24rules/b24rules/bitrix/internal/batch"
	"github.com/b24rules/b24rules/bitrix/internal/limit"
	"github.com/b24rules/b24rules/internal/redact"
)

// Config describes how to reach one portal.
type Config struct {
	// Webhook is the URL of the inbound webhook:
	// https://portal.bitrix24.com/rest/1/code/. Required without OAuth.
	Webhook Secret
	// OAuth, if not nil, calls the portal as an application instead.
	OAuth *OAuth
	// Plan sets the request rate. Empty means PlanStandard.
	Plan Plan
	// Shared says that other programs at this address use the portal's rate,
	// too. The client then starts with half of the rate and without a burst. In
	// either case it learns its share: more when the portal accepts requests,
	// less when it refuses one.
	Shared bool
	// HTTP sends the requests. Nil means its own client. It is copied, and
	// redirects are never followed: they would turn POST into GET.
	HTTP *http.Client
	// Timeout is how long one request may take. 0 means 75 seconds; the portal
	// itself cuts a request off after 60.
	Timeout time.Duration
	// Settle is how long the portal may continue to work on a request whose
	// connection was lost. 0 means 60 seconds, after which the cloud cuts every
	// request off; less than 0 means not at all.
	// https://apidocs.bitrix24.com/limits.html
	Settle time.Duration
	// InFlight is how many requests may be in progress at once. 0 means 10: a
	// full batch takes about a second, and a burst is 50 of them. A request that
	// is not full rarely leaves while others are in progress.
	InFlight int
	// OperatingLimit is the working time that one method may use in ten
	// minutes. 0 means 480 seconds, less than 0 means no limit.
	OperatingLimit time.Duration
	// MaxWaiting is how many calls may wait for their turn. Further calls fail
	// at once. 0 means 100,000.
	MaxWaiting int
	// MaxAnswer is how many bytes the portal may answer. 0 means 64 MiB.
	MaxAnswer int64
	// MetadataLife is how long the client uses a description of fields. 0 means 5
	// minutes.
	MetadataLife time.Duration
	// Permit, if not nil, is called before each request and again when its body
	// is about to leave, after any wait for a connection. An error keeps the
	// request from being sent. So a process that loses the right to act for a
	// portal does not send what it had started. Permit must not block.
	Permit func() error
	// ReadOnly refuses each call of a method that is not in the table of methods or that
	// the table does not call a read, also in batches. It is checked again on the body of
	// each request. The methods by which an application receives its events are sent.
	ReadOnly bool
	// Hide hides further secrets in the texts of the portal that errors have. Nil hides
	// only those of the client.
	Hide func(string) string
	// Encoding is the character encoding of the portal. A call with a text that it cannot
	// hold fails before it is sent.
	Encoding Encoding
	// Log gets one debug line per request, and warnings and errors for the
	// operator. Nil discards.
	Log *slog.Logger
}

const (
	defaultInFlight       = 10
	defaultTimeout        = 75 * time.Second
	defaultSafeAfter      = 60 * time.Second
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
		cfg.Settle = defaultSafeAfter
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

// Stats counts the work of a client.
type Stats struct {
	Requests int64 // HTTP requests
	Batches  int64 // requests that were batches
	Commands int64 // calls in the requests, repeats included
	Writes   int64 // calls that were writes
	Refused  int64 // requests that the rate limit refused
	Repeated int64 // calls that the client sent again
	Waiting  int64 // calls that wait now
	HasBurst bool  // more than half of the portal's burst is left now
}

// Client calls one portal. It is safe for concurrent use. Close it.
type Client struct {
	transport *transport
	batcher   *batch.Batcher
	sender    *sender
	merger    *merger
	meta      *metadata
	cancel    context.CancelFunc
}

// ErrClosed is the error of calls on a closed client.
var ErrClosed = errors.New("the client is closed")

// NewClient makes a client. It sends nothing before the first call.
func NewClient(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	t := &transport{cfg: cfg}
	var err error
	if cfg.OAuth != nil {
		err = cfg.OAuth.check()
	} else {
		var code string
		t.base, code, err = webhookURL(cfg.Webhook)
		t.redactor = redact.New(t.base, code)
	}
	if err != nil {
		return nil, err
	}
	plan, err := ParsePlan(string(cfg.Plan))
	if err != nil {
		return nil, err
	}
	capacity, drain := plan.rate()
	t.bucket, t.operating = limit.NewBucket(capacity, drain, cfg.Shared), limit.NewOperating(cfg.OperatingLimit)
	t.http = &http.Client{}
	if cfg.HTTP != nil {
		*t.http = *cfg.HTTP
	}
	t.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if cfg.OAuth != nil {
		t.auth = newAuthority(*cfg.OAuth, t.http, cfg.Log)
		t.redactor = t.auth.redactor
	}
	life, cancel := context.WithCancel(context.Background())
	b := batch.New(life, batch.Options{
		Send: t.send, Bucket: t.bucket, Operating: t.operating,
		MaxWaiting: cfg.MaxWaiting, InFlight: cfg.InFlight, Log: cfg.Log,
	})
	s := &sender{batcher: b, safeAfter: max(0, cfg.Settle)}
	return &Client{
		transport: t, batcher: b, sender: s, merger: &merger{sender: s, life: life},
		meta: newMetadata(cfg.MetadataLife), cancel: cancel,
	}, nil
}

// webhookURL checks an inbound webhook's URL and returns its secret part. An
// error never repeats the URL.
func webhookURL(s Secret) (base, code string, err error) {
	const want = "want https://PORTAL/rest/USER/CODE/"
	text := strings.TrimSpace(s.Reveal())
	if text == "" {
		return "", "", errors.New("the webhook URL is empty, " + want)
	}
	if strings.ContainsFunc(text, unicode.IsSpace) {
		return "", "", errors.New("the webhook URL has a space or a line break in it, " + want)
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

// Close ends the client: calls that wait or are in progress fail. It returns
// when nothing of the client runs any more.
func (c *Client) Close() {
	c.cancel()
	c.batcher.Close(&Error{Detail: ErrClosed.Error(), Outcome: NotExecuted, cause: ErrClosed})
	c.merger.close()
}

// Stats returns the counters since the client was made.
func (c *Client) Stats() Stats {
	s := Stats(c.batcher.Stats())
	s.Requests += c.transport.resent.Load()
	return s
}

// Rate returns how many requests a second the portal allows this client in the long run, as far as
// it knows. It is 0 for a portal without a limit.
func (c *Client) Rate() float64 { return c.transport.bucket.Rate(time.Now()) }

// LongNumbers reports whether the portal has printed a number with all digits of a double,
// such as 0.10000000000000001. Answers have the short form.
func (c *Client) LongNumbers() bool { return c.transport.longNumbers.Load() }

// UsedUntil says that another process may have used the portal's rate until the
// given time, such as the process that had the portal's lease before this one.
// The client then assumes that the portal's bucket was as full at that time as
// the client itself would have filled it.
func (c *Client) UsedUntil(at time.Time) { c.transport.bucket.UsedUntil(at, time.Now()) }

// SpareSince returns how long ago the portal's bucket would have been full to
// hold what it holds now, as far as this client knows. The next process passes
// that time to UsedUntil. It is 0 for a full bucket and for a portal without a
// limit.
func (c *Client) SpareSince() time.Duration { return c.transport.bucket.SpareSince(time.Now()) }
