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
	"os"
	"time"

	"b24rules/bitrix"

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

	// MaxBody is the longest body that is read, in bytes. 0 means 1 MiB;
	// events have less than 2 KiB.
	MaxBody int64

	// BodyTimeout is how long the body may take to arrive. 0 means 10 seconds.
	BodyTimeout time.Duration

	// PushTimeout is how long Push may take. 0 means 10 seconds.
	PushTimeout time.Duration

	// Log gets a line for each request. nil means slog.Default().
	Log *slog.Logger
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
//	503  the event could not be stored
func New(c Config) http.Handler {
	c.MaxBody = cmp.Or(c.MaxBody, 1<<20)
	c.BodyTimeout = cmp.Or(c.BodyTimeout, 10*time.Second)
	c.PushTimeout = cmp.Or(c.PushTimeout, 10*time.Second)
	if c.Log == nil {
		c.Log = slog.Default()
	}
	r := mux.NewRouter().SkipClean(true) // a redirect would lose the event
	r.Handle("/hooks/{portal}", &handler{c})
	return r
}

type handler struct{ Config }

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
	portal := mux.Vars(r)["portal"]
	e, err := h.accept(w, r, portal)
	status, text, level := http.StatusOK, "stored", slog.LevelInfo
	if err != nil {
		status, text, level = http.StatusServiceUnavailable, "the event could not be stored", slog.LevelError
		if refused := (*refusal)(nil); errors.As(err, &refused) {
			status, text, level = refused.status, refused.text, slog.LevelWarn
		}
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

	attrs := []slog.Attr{slog.String("portal", short(portal)), slog.String("event", e.Code), slog.Int("status", status)}
	if e.Code != "" {
		attrs = append(attrs, slog.String("id", short(e.Field("ID"))))
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	h.Log.LogAttrs(r.Context(), level, "event", attrs...)
}

// accept returns nil when the event is stored. The event it returns is for the
// log; it is empty unless its token was right.
func (h *handler) accept(w http.ResponseWriter, r *http.Request, portal string) (bitrix.Event, error) {
	if r.Method != http.MethodPost {
		return bitrix.Event{}, &refusal{http.StatusMethodNotAllowed, "want POST", nil}
	}
	body, err := h.read(w, r)
	if err != nil {
		return bitrix.Event{}, err
	}
	e, err := bitrix.ParseEvent(r.Header.Get("Content-Type"), body)
	if err != nil {
		return bitrix.Event{}, &refusal{http.StatusBadRequest, "the body is not an event", err}
	}
	token, known := h.Portal(portal)
	if !proves(e.Auth.ApplicationToken, token, known) {
		return bitrix.Event{}, &refusal{http.StatusForbidden, "wrong portal or application token", nil}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), h.PushTimeout)
	defer cancel()
	return e, h.Push(ctx, portal, e)
}

// read reads a body of bounded length in bounded time: a client that sends a
// byte now and then must not hold a connection for ever.
func (h *handler) read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	deadline := http.NewResponseController(w)
	if err := deadline.SetReadDeadline(time.Now().Add(h.BodyTimeout)); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return nil, &refusal{http.StatusBadRequest, "the connection is gone", err}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, h.MaxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, &refusal{http.StatusRequestEntityTooLarge, "the body is too large", err}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, &refusal{http.StatusRequestTimeout, "the body did not arrive in time", err}
	}
	if err != nil {
		return nil, &refusal{http.StatusBadRequest, "the body ends early", err}
	}
	// Left in place, the deadline would end the wait for the next request and
	// seem to end this one.
	_ = deadline.SetReadDeadline(time.Time{})
	return body, nil
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
