// Package ingest takes in the events that portals post.
//
// A portal sends an event once and never again, and slows down for handlers
// that are slow to answer. So the handler does three things and no more: it
// decodes the event, proves the portal's application token and pushes the
// event to where it is stored. Only then does it answer 200.
package ingest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/b24rules/b24rules/bitrix"

	"github.com/gorilla/mux"
)

// Config of a handler. Portal and Push are required.
type Config struct {
	// Portal returns the application token that the portal's events must
	// carry. An empty token admits nobody.
	Portal func(name string) (token bitrix.Secret, ok bool)

	// Push stores an event and returns nil only when it is on disk. What to do
	// with an event that nobody waits for is its business. Its context does
	// not end when the portal hangs up: the event would be lost.
	Push func(ctx context.Context, portal string, e bitrix.Event) error

	// Lost, if not nil, is told of a portal of which an event has proved its token
	// and was not stored for sure. It must not block.
	Lost func(portal string)

	// Install, if not nil, is asked before the token is: the installation of an
	// application brings a token that nobody knows yet. It says whether the event
	// is one that it has taken, and proves it in another way. ErrUnproven admits
	// nobody.
	Install func(ctx context.Context, portal string, e bitrix.Event) (taken bool, err error)

	// MaxBody is the longest body that is read, in bytes. 0 means 1 MiB;
	// events have less than 2 KiB.
	MaxBody int64

	// BodyTimeout is how long the body may take to arrive. 0 means 10 seconds.
	BodyTimeout time.Duration

	// PushTimeout is how long Push may take. 0 means 10 seconds.
	PushTimeout time.Duration

	// PortalEvents is how many events of one portal may wait for Push at once;
	// what is more is answered 503. 0 means 500.
	PortalEvents int

	// Log gets a line for each event that is stored, and for requests that are
	// refused as many as a stranger may cause. nil means slog.Default().
	Log *slog.Logger

	// Done, if not nil, is told of each request when it has been answered.
	// portal is "" when the configuration does not know the one that was named.
	Done func(portal string, status int, took time.Duration)
}

// New returns a handler of POST /hooks/{portal}. It answers
//
//	200  the event is stored
//	400  the body is not an event
//	403  the portal is unknown, or the token wrong, missing or not configured
//	404  another path
//	405  another method
//	408  the body did not arrive in time
//	413  the body is too large
//	503  the event could not be stored, or too many came at once
//
// Whatever comes, a request holds a bounded part of the memory; see Conns for
// the number of requests.
func New(c Config) http.Handler {
	c.MaxBody = cmp.Or(c.MaxBody, 1<<20)
	c.BodyTimeout = cmp.Or(c.BodyTimeout, 10*time.Second)
	c.PushTimeout = cmp.Or(c.PushTimeout, 10*time.Second)
	c.PortalEvents = cmp.Or(c.PortalEvents, 500)
	if c.Log == nil {
		c.Log = slog.Default()
	}
	h := &handler{Config: c, lanes: lanes{most: c.PortalEvents}, large: make(chan struct{}, largeBodies)}
	r := mux.NewRouter().SkipClean(true) // a redirect would lose the event
	r.Handle("/hooks/{portal}", h)
	return r
}

type handler struct {
	Config
	lanes   lanes
	large   chan struct{} // holds one for each large body in memory
	refused quota         // of log lines
	full    quota
}

// A refusal is an error with the status and the text that the client gets; of
// the cause it learns nothing.
type refusal struct {
	status int
	text   string
	cause  error
}

func (r *refusal) Error() string {
	if r.cause == nil {
		return r.text
	}
	return r.text + ": " + r.cause.Error()
}

func (r *refusal) Unwrap() error { return r.cause }

// ServeHTTP is the one place where an error becomes a status and a log line.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	started := time.Now()
	portal := mux.Vars(r)["portal"]
	e, err := h.accept(w, r, portal)
	status, text := http.StatusOK, "stored"
	if err != nil {
		status, text = http.StatusServiceUnavailable, "the event could not be stored"
		if refused := (*refusal)(nil); errors.As(err, &refused) {
			status, text = refused.status, refused.text
		}
		w.Header().Set("Connection", "close") // strangers get one question each
	}
	switch status {
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "10")
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // nobody is left to hear of an error

	took := time.Since(started)
	h.log(r.Context(), portal, e, status, took, err)
	if h.Done != nil {
		if _, known := h.Portal(portal); !known {
			portal = ""
		}
		h.Done(portal, status, took)
	}
}

// log tells of a request. An event that is lost here is told of in any case,
// so that an operator can make up for it; of strangers' requests as many as
// their quota allows.
func (h *handler) log(ctx context.Context, portal string, e bitrix.Event, status int, took time.Duration, err error) {
	attrs := []slog.Attr{slog.String("portal", short(portal)), slog.String("event", e.Code), slog.Int("status", status)}
	if e.Code != "" {
		attrs = append(attrs, slog.String("id", short(e.Field("ID"))))
	}
	attrs = append(attrs, slog.Duration("took", took.Round(time.Microsecond)))
	level := slog.LevelInfo
	if err != nil {
		level = slog.LevelWarn
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	if status == http.StatusServiceUnavailable {
		level = slog.LevelError
	}
	if err != nil && e.Code == "" {
		say, unsaid := h.refused.take()
		if !say {
			return
		}
		if unsaid > 0 {
			attrs = append(attrs, slog.Int("unsaid", unsaid))
		}
	}
	h.Log.LogAttrs(ctx, level, "event", attrs...)
}

// accept returns nil when the event is stored. The event it returns is for the
// log; it is empty unless its token was right.
func (h *handler) accept(w http.ResponseWriter, r *http.Request, portal string) (bitrix.Event, error) {
	if r.Method != http.MethodPost {
		return bitrix.Event{}, &refusal{http.StatusMethodNotAllowed, "want POST", nil}
	}
	body, release, err := h.read(w, r)
	defer release()
	if err != nil {
		return bitrix.Event{}, err
	}
	e, err := bitrix.ParseEvent(r.Header.Get("Content-Type"), body)
	if err != nil {
		return bitrix.Event{}, &refusal{http.StatusBadRequest, "the body is not an event", err}
	}
	if h.Install != nil {
		if taken, err := h.install(r.Context(), portal, e); taken {
			if err != nil {
				return bitrix.Event{}, err
			}
			return e, nil
		}
	}
	token, known := h.Portal(portal)
	if !proves(e.Auth.ApplicationToken, token, known) {
		return bitrix.Event{}, &refusal{http.StatusForbidden, wrongToken, nil}
	}
	return e, h.store(r.Context(), portal, e)
}

const wrongToken = "wrong portal or application token"

// ErrUnproven is what Install returns for an event that is not what it pretends
// to be.
var ErrUnproven = errors.New("the event could not be proved")

// install hands over an event that may be an installation.
func (h *handler) install(ctx context.Context, portal string, e bitrix.Event) (taken bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.PushTimeout)
	defer cancel()
	taken, err = h.Install(ctx, portal, e)
	if errors.Is(err, ErrUnproven) {
		err = &refusal{http.StatusForbidden, wrongToken, err}
	}
	return taken, err
}

// store pushes an event that has proved its origin. From here on it is not
// given up for others.
func (h *handler) store(ctx context.Context, portal string, e bitrix.Event) (err error) {
	defer func() {
		if err != nil && h.Lost != nil {
			h.Lost(portal)
		}
	}()
	waiting, ok := h.lanes.enter(portal)
	if !ok {
		if say, _ := h.full.take(); say {
			h.Log.WarnContext(ctx, "a portal's events come faster than they are stored: refused until there is room",
				slog.String("portal", portal), slog.Int("waiting", waiting))
		}
		return &refusal{http.StatusServiceUnavailable, "too many events of this portal at once", nil}
	}
	defer h.lanes.leave(portal)
	defer hold(ctx)()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.PushTimeout)
	defer cancel()
	return h.Push(ctx, portal, e)
}

// proves compares in a time that tells nothing, neither of the token nor of
// whether there is such a portal.
func proves(got, want bitrix.Secret, known bool) bool {
	a, b := sha256.Sum256([]byte(got.Reveal())), sha256.Sum256([]byte(want.Reveal()))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1 && known && want != ""
}

// short bounds what a stranger can make us log.
func short(s string) string {
	const most = 100
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// Ready returns a handler for probes: 200 while check returns nil, otherwise
// 503. What check says goes to log alone (nil means slog.Default()): the probe
// may be a stranger.
func Ready(check func(ctx context.Context) error, log *slog.Logger) http.Handler {
	if log == nil {
		log = slog.Default()
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
		defer cancel()
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		if err := check(ctx); err != nil {
			log.WarnContext(ctx, "not ready", slog.Any("error", err))
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, "not ready\n")
			return
		}
		_, _ = io.WriteString(w, "ready\n")
	})
}
