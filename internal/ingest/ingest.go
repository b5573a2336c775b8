// Package ingest receives the events that portals post, and what other systems and robots
// post.
//
// A portal sends an event once and never repeats it, and it sends more slowly to
// a handler that answers slowly. So the handler does three things only: it decodes
// the event, checks the portal's application token and passes the event on to be
// stored. Then it answers 200.
package ingest

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/b24rules/b24rules/bitrix"

	"github.com/gorilla/mux"
)

// Config of a handler. Portal and Push are required.
type Config struct {
	// Portal returns what proves the portal's events. ok is false for an unknown portal.
	Portal func(name string) (digest Digest, ok bool)

	// Push stores an event and returns nil only when it is on disk. It
	// also decides about events that no rule subscribes to, and returns Invalid for
	// one that cannot be understood. Its context does not end when the portal hangs
	// up, because the event would be lost.
	Push func(ctx context.Context, portal string, e bitrix.Event) error

	// Lost, if not nil, is called with a portal when one of its events had the right
	// token and may not have been stored. It must not block.
	Lost func(portal string)

	// Install, if not nil, is called before the token is checked, because the
	// installation of an application brings a token that is not known yet. It
	// reports whether it has taken the event, and must authenticate it in another
	// way. With ErrUnproven the event is refused. Source tells who sent it.
	Install func(ctx context.Context, portal string, e bitrix.Event) (taken bool, err error)

	// Hook returns what proves the requests of other systems to a hook of a portal. ok is
	// false for an unknown portal or hook. Nil knows none.
	Hook func(portal, name string) (p Credentials, ok bool)

	// Robot returns what proves the requests of a portal's robots. Nil knows none.
	Robot func(portal string) (p Credentials, ok bool)

	// Receive stores a proven request of another system or of a robot, and returns nil only
	// when it is on disk. It returns Unfit or Untaken for one that starts no run. It is
	// required with Hook or Robot.
	Receive func(ctx context.Context, portal string, r Request) error

	// MaxBody is the longest body that is read, in bytes. 0 means 1 MiB;
	// events have less than 2 KiB.
	MaxBody int64

	// BodyTimeout is how long the body may take to arrive. 0 means 10 seconds.
	BodyTimeout time.Duration

	// PushTimeout is how long Push may take. 0 means 10 seconds.
	PushTimeout time.Duration

	// PortalEvents is how many events of one portal may be in Push at the same
	// time; further events are answered with 503. 0 means 500.
	PortalEvents int

	// Log receives a line for each stored event, and a limited number of lines for
	// refused requests. nil means slog.Default().
	Log *slog.Logger

	// Form, if not nil, converts the form of a portal's event to UTF-8.
	Form func(portal, contentType string, form []byte) []byte

	// Dump, if not nil, is called with the form of each event that is from the portal,
	// before it is stored.
	Dump func(portal string, form []byte)

	// Done, if not nil, is called for each request after the answer.
	Done func(r Result)
}

// Result describes an answered request.
type Result struct {
	Portal string // "" when the configuration has no portal of that name
	Status int
	Took   time.Duration

	// Proven reports whether the request had the token of the portal. Any stranger can
	// send a request without it.
	Proven bool
	// Kind is KindEvent, KindHook or KindRobot. Asked is the name in the address, which may
	// be that of no portal.
	Kind, Asked string
}

// The kinds of requests.
const (
	KindEvent = "event"
	KindHook  = "hook"
	KindRobot = "robot"
)

// kindOf returns the kind of a request by its address.
func kindOf(r *http.Request) string {
	vars := mux.Vars(r)
	switch {
	case vars["hook"] != "":
		return KindHook
	case vars["robot"] != "":
		return KindRobot
	}
	return KindEvent
}

// New returns a handler of POST /hooks/{portal} for events, /hooks/{portal}/in/{hook} for
// other systems, with a secret at the end if the hook is proven so, and
// /hooks/{portal}/robot/{code}/{secret} for robots. Additional slashes in the path do no
// harm. It answers
//
//	200  the event or request is stored
//	400  the body is not an event, or the event has no valid id
//	403  the portal or hook is unknown, or the token or secret wrong, missing or not configured
//	404  another path
//	405  another method
//	408  the body did not arrive in time
//	413  the body is too large
//	422  a request does not fit what the rule takes; the answer is a list of findings
//	503  the event could not be stored, or too many came at once
//
// Each request uses a bounded amount of memory. Conns bounds the number of
// requests.
func New(c Config) http.Handler {
	c.MaxBody = cmp.Or(c.MaxBody, 1<<20)
	c.BodyTimeout = cmp.Or(c.BodyTimeout, 10*time.Second)
	c.PushTimeout = cmp.Or(c.PushTimeout, 10*time.Second)
	c.PortalEvents = cmp.Or(c.PortalEvents, 500)
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Hook == nil {
		c.Hook = func(string, string) (Credentials, bool) { return Credentials{}, false }
	}
	if c.Robot == nil {
		c.Robot = func(string) (Credentials, bool) { return Credentials{}, false }
	}
	h := &handler{Config: c, admission: admission{most: c.PortalEvents}, large: make(chan struct{}, largeBodies)}
	r := mux.NewRouter().SkipClean(true) // a redirect would lose the event
	r.Handle("/hooks/{portal}", h.answering(h.acceptEvent))
	r.Handle("/hooks/{portal}/in/{hook}", h.answering(h.acceptHook))
	r.Handle("/hooks/{portal}/in/{hook}/{secret}", h.answering(h.acceptHook))
	r.Handle("/hooks/{portal}/robot/{robot}", h.answering(h.acceptRobot)) // so that the log names a forgotten secret
	r.Handle("/hooks/{portal}/robot/{robot}/{secret}", h.answering(h.acceptRobot))
	return trimSlashes(r)
}

// trimSlashes removes doubled and trailing slashes from the path of a request, because
// portals repeat neither an event nor an address that was typed wrong.
func trimSlashes(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		parts := strings.FieldsFunc(r.URL.Path, func(c rune) bool { return c == '/' })
		if path := "/" + strings.Join(parts, "/"); path != r.URL.Path {
			trimmed, url := *r, *r.URL
			url.Path, url.RawPath = path, ""
			trimmed.URL, r = &url, &trimmed
		}
		next.ServeHTTP(w, r)
	})
}

type handler struct {
	Config
	admission admission
	large     chan struct{} // one element for each large body in memory
	refused   quota         // of log lines
	full      quota
}

// A refusal is an error with the status and the text for the client. The client
// does not receive the cause.
type refusal struct {
	status int
	text   string
	json   bool // text is JSON
	cause  error
}

// received is what is known of a proven request. It is empty for one that is not proven.
type received struct {
	// code is that of the event, or the address without a secret.
	code string
	id   string // of the event's entity
}

// proven reports whether the token or secret was right.
func (a received) proven() bool { return a.code != "" }

func receivedEvent(e bitrix.Event) received { return received{e.Code, e.Field("ID")} }

func (r *refusal) Error() string {
	if r.cause == nil {
		return r.text
	}
	return r.text + ": " + r.cause.Error()
}

func (r *refusal) Unwrap() error { return r.cause }

// Invalid returns an error of Push for an event that cannot be understood. It is
// answered with 400. The client does not receive the cause.
func Invalid(cause error) error {
	return &refusal{status: http.StatusBadRequest, text: "the event is invalid", cause: cause}
}

// IsInvalid reports whether Invalid returned an error.
func IsInvalid(err error) bool {
	r := (*refusal)(nil)
	return errors.As(err, &r) && r.status == http.StatusBadRequest
}

// answering returns a handler that answers what accept has made of a request.
func (h *handler) answering(accept func(w http.ResponseWriter, r *http.Request) (received, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := time.Now()
		got, err := accept(w, r)
		h.answer(w, r, started, got, err)
	})
}

// answer is the one place where an error becomes a status and a log line.
func (h *handler) answer(w http.ResponseWriter, r *http.Request, started time.Time, got received, err error) {
	portal := mux.Vars(r)["portal"]
	status, text, contentType := http.StatusOK, "stored", "text/plain; charset=utf-8"
	if err != nil {
		status, text = http.StatusServiceUnavailable, "the event could not be stored"
		if refused := (*refusal)(nil); errors.As(err, &refused) {
			status, text = refused.status, refused.text
			if refused.json {
				contentType = "application/json"
			}
		}
		w.Header().Set("Connection", "close") // one request for each connection of a stranger
	}
	switch status {
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "10")
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // an error cannot be reported to anybody

	took := time.Since(started)
	h.log(r.Context(), portal, got, status, took, err)
	if h.Done != nil {
		asked := portal
		if _, known := h.Portal(portal); !known {
			portal = ""
		}
		h.Done(Result{Portal: portal, Status: status, Took: took, Proven: got.proven(), Kind: kindOf(r), Asked: short(asked)})
	}
}

// log logs a request. It logs every lost event as an error, so that an operator can
// catch up, and requests of strangers as warnings, as far as their quota allows.
func (h *handler) log(ctx context.Context, portal string, got received, status int, took time.Duration, err error) {
	attrs := attrsOf(portal, got, status, took)
	level := slog.LevelInfo
	if err != nil {
		level = slog.LevelWarn
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	if status == http.StatusServiceUnavailable && got.proven() {
		level = slog.LevelError
	}
	if err != nil && !got.proven() {
		allowed, dropped := h.refused.take()
		if !allowed {
			return
		}
		if dropped > 0 {
			attrs = append(attrs, slog.Int("unsaid", dropped)) // the key is what alerts look for
		}
	}
	h.Log.LogAttrs(ctx, level, "event", attrs...)
}

// attrsOf are the same in each line about an event.
func attrsOf(portal string, got received, status int, took time.Duration) []slog.Attr {
	attrs := []slog.Attr{slog.String("portal", short(portal)), slog.String("event", got.code), slog.Int("status", status)}
	if got.proven() {
		attrs = append(attrs, slog.String("id", short(got.id)))
	}
	return append(attrs, slog.Duration("took", took.Round(time.Microsecond)))
}

// LogEvent logs an event that was fetched from a portal like one that the portal has sent. err is
// that of Push.
func LogEvent(ctx context.Context, log *slog.Logger, portal string, e bitrix.Event, took time.Duration, err error) {
	level, status := slog.LevelInfo, http.StatusOK
	switch {
	case IsInvalid(err):
		level, status = slog.LevelWarn, http.StatusBadRequest
	case err != nil:
		level, status = slog.LevelWarn, http.StatusServiceUnavailable // it is fetched again
	}
	attrs := attrsOf(portal, receivedEvent(e), status, took)
	if err != nil {
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	log.LogAttrs(ctx, level, "event", attrs...)
}

// acceptEvent takes an event of a portal. It returns nil when the event is stored.
func (h *handler) acceptEvent(w http.ResponseWriter, r *http.Request) (received, error) {
	portal := mux.Vars(r)["portal"]
	if r.Method != http.MethodPost {
		return received{}, &refusal{status: http.StatusMethodNotAllowed, text: "want POST"}
	}
	body, release, err := h.read(w, r)
	defer release()
	if err != nil {
		return received{}, err
	}
	if h.Form != nil {
		body = h.Form(portal, r.Header.Get("Content-Type"), body)
	}
	e, err := bitrix.ParseEvent(r.Header.Get("Content-Type"), body)
	if err != nil {
		return received{}, &refusal{status: http.StatusBadRequest, text: "the body is not an event", cause: err}
	}
	if h.Install != nil {
		if taken, err := h.install(withSource(r), portal, e); taken {
			if err != nil {
				return received{}, err
			}
			h.dump(portal, body)
			return receivedEvent(e), nil
		}
	}
	digest, known := h.Portal(portal)
	if !digest.proves(e.Auth.ApplicationToken) || !known {
		return received{}, &refusal{status: http.StatusForbidden, text: wrongToken}
	}
	h.dump(portal, body)
	return receivedEvent(e), h.storeEvent(r.Context(), portal, e)
}

func (h *handler) dump(portal string, form []byte) {
	if h.Dump != nil {
		h.Dump(portal, form)
	}
}

const wrongToken = "wrong portal or application token"

// ErrUnproven is the error of Install for an event that it cannot authenticate.
var ErrUnproven = errors.New("the event could not be proved")

// install passes on an event that may be an installation.
func (h *handler) install(ctx context.Context, portal string, e bitrix.Event) (taken bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.PushTimeout)
	defer cancel()
	taken, err = h.Install(ctx, portal, e)
	if errors.Is(err, ErrUnproven) {
		err = &refusal{status: http.StatusForbidden, text: wrongToken, cause: err}
	}
	return taken, err
}

// storeEvent pushes an event whose token was right.
func (h *handler) storeEvent(ctx context.Context, portal string, e bitrix.Event) error {
	err := h.store(ctx, portal, func(ctx context.Context) error { return h.Push(ctx, portal, e) })
	if err != nil && !IsInvalid(err) && h.Lost != nil { // an invalid one cannot be caught up on either
		h.Lost(portal)
	}
	return err
}

// store stores what is proven. From here on its connection is not closed to make room for
// others.
func (h *handler) store(ctx context.Context, portal string, push func(ctx context.Context) error) error {
	waiting, ok := h.admission.enter(portal)
	if !ok {
		if allowed, _ := h.full.take(); allowed {
			h.Log.WarnContext(ctx, "too many events of a portal are being stored, refusing further ones",
				slog.String("portal", portal), slog.Int("waiting", waiting))
		}
		return &refusal{status: http.StatusServiceUnavailable, text: "too many events of this portal at once"}
	}
	defer h.admission.leave(portal)
	defer hold(ctx)()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.PushTimeout)
	defer cancel()
	return push(ctx)
}

// short bounds the length of a stranger's text in the log.
func short(s string) string {
	const most = 100
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// Ready returns a handler for probes: 200 while check returns nil, otherwise 503.
// The error of check is logged only (nil means slog.Default()), because the client
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
