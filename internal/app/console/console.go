// Package console serves the web pages for the person on call.
//
// A page answers one question, has one address, and is HTML or JSON: a handler reads what the
// page shows, and returns it as a page. Everything works without script. Buttons are forms that
// post and redirect.
package console

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gorilla/mux"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/access"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/audit"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

// Options configure New. All but Plan and Reload are required.
type Options struct {
	Queue *queue.Queue
	// Config and Rules return what runs now.
	Config func() *config.Config
	// Broken returns the portals whose configuration on disk has errors.
	Broken func() []config.BrokenPortal
	Rules  func() *fleet.Generation
	// Plan returns what the rules of a portal would change for an entity. An empty rule means all
	// of them. With disk they are the rules on disk, and refused says what of them would not run. Without
	// Plan the page says that this process does not work portals.
	Plan func(ctx context.Context, portal, rule string, entity engine.Entity, disk bool) (plans []report.Plan, refused []string, err error)
	// Reload reads configuration and rules again, and returns what a person should know.
	Reload func(ctx context.Context, by string) (string, error)
	Log    *slog.Logger
}

// Console serves the pages.
type Console struct {
	Options
	sessions  access.Sessions
	limiter   access.Limiter
	audit     *audit.Log
	live      *hub
	views     *views
	planning  planning
	seen      seen
	shared    shared
	counts    counts
	portalsOf atomic.Pointer[knownOf]
}

//go:embed static
var staticFiles embed.FS

// asset is a file of static. Its address has its digest.
type asset struct {
	path, kind string
	body       []byte
}

// New returns the pages. Run must run while they are served.
func New(o Options) *Console {
	c := &Console{
		Options: o, sessions: access.Sessions{DB: o.Queue.Database()}, audit: audit.New(o.Queue.Database()),
	}
	c.live = newHub(c.mark, o.Log)
	c.views = newViews(loadAssets())
	return c
}

// Run tells open pages of changes until ctx ends.
func (c *Console) Run(ctx context.Context) { c.live.run(ctx) }

func loadAssets() map[string]asset {
	out := map[string]asset{}
	for name, kind := range map[string]string{"console.css": "text/css; charset=utf-8", "console.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml"} {
		body, err := fs.ReadFile(staticFiles, "static/"+name)
		if err != nil {
			panic(err) // it is embedded
		}
		sum := sha256.Sum256(body)
		out[name] = asset{"/static/" + hex.EncodeToString(sum[:6]) + "/" + name, kind, body}
	}
	return out
}

// handler is the handler of one address. A nil page says that it has answered.
type handler func(*request) (*page, error)

// route is one address. change says that it needs an operator and the method POST.
type route struct {
	path   string
	change bool
	do     handler
}

// routes are all addresses that need a user.
func (c *Console) routes() []route {
	return []route{
		{"/", false, c.home},
		{"/portals", false, c.portals},
		{"/portals/{portal}", false, c.portal},
		{"/portals/{portal}/pause", true, c.pause},
		{"/portals/{portal}/resume", true, c.resume},
		{"/runs", false, c.runs},
		{"/runs/replay", false, c.confirmReplay},
		{"/runs/replay", true, c.replayAll},
		{"/runs/{id}", false, c.run},
		{"/runs/{id}/replay", true, c.replay},
		{"/runs/{id}/discard", true, c.discard},
		{"/causes/{cause}/acknowledge", true, c.acknowledge},
		{"/events", false, c.events},
		{"/events/{id}", false, c.event},
		{"/why", false, c.why},
		{"/plan", false, c.plan},
		{"/plan", true, c.runPlan},
		{"/rules", false, c.rules},
		{"/rules/read", true, c.readRules},
		{"/rules/{rule}", false, c.rule},
		{"/audit", false, c.auditLog},
		{"/keys", false, c.keys},
		{"/live", false, c.serveLive},
		{"/logout", false, c.logout},
	}
}

// Handler returns the handler of all pages.
func (c *Console) Handler() http.Handler {
	r := mux.NewRouter().SkipClean(true).UseEncodedPath()
	for _, a := range c.views.assets {
		r.HandleFunc(a.path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", a.kind)
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
			_, _ = w.Write(a.body)
		}).Methods(http.MethodGet, http.MethodHead)
	}
	r.HandleFunc("/login", c.anonymous(c.loginPage)).Methods(http.MethodGet, http.MethodHead)
	r.HandleFunc("/login", c.anonymous(c.signIn)).Methods(http.MethodPost)
	for _, one := range c.routes() {
		methods := []string{http.MethodGet, http.MethodHead}
		if one.change || one.path == "/logout" {
			methods = []string{http.MethodPost}
		}
		r.HandleFunc(one.path, c.known(one)).Methods(methods...)
	}
	r.NotFoundHandler = c.anonymous(func(q *request) (*page, error) {
		return nil, &problem{status: http.StatusNotFound, key: "problem.page", args: []any{q.URL.Path}}
	})
	r.MethodNotAllowedHandler = c.anonymous(func(q *request) (*page, error) {
		return nil, &problem{status: http.StatusMethodNotAllowed, key: "problem.method", args: []any{q.Method, q.URL.Path}}
	})
	protect := http.NewCrossOriginProtection()
	protect.SetDenyHandler(c.anonymous(func(*request) (*page, error) {
		return nil, &problem{status: http.StatusForbidden, key: "problem.origin"}
	}))
	return c.secure(protect.Handler(r))
}

const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// maxForm bounds the body of a request.
const maxForm = 64 << 10

// readFor bounds how long a page reads the database. One that does not answer is away.
const readFor = 15 * time.Second

// secure adds the headers of all answers, and refuses names that a stranger's page could use to
// reach a console on loopback.
func (c *Console) secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		h.Add("Vary", "Accept, Accept-Language, Cookie")
		if c.isSecure() {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		if !c.hostAllowed(r.Host) {
			http.Error(w, "this console is not reached under this name", http.StatusMisdirectedRequest)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		next.ServeHTTP(w, r)
	})
}

// hostAllowed reports whether a request may name a host: localhost, an address, or that of url.
// A console with users is reached under any name, because a session is needed anyway.
func (c *Console) hostAllowed(host string) bool {
	if !c.Config().Console.Access.Open {
		return true
	}
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	name = strings.Trim(name, "[]")
	if name == "localhost" {
		return true
	}
	own := strings.TrimPrefix(strings.TrimPrefix(c.Config().Console.URL, "https://"), "http://")
	if own != "" && strings.EqualFold(own, host) {
		return true
	}
	_, err = netip.ParseAddr(name)
	return err == nil
}

// request is a request with who sent it.
type request struct {
	*http.Request
	w    http.ResponseWriter
	user access.User
	via  string // for the audit
	// holder tells who sees the page from all others, "" for programs: see seen.
	holder string
	lang   int
	now    time.Time
	// mark names the state that the page shows, "" for a form. It was read before the page.
	mark string
	// open is what backlogs has read.
	open []journal.Backlog
}

// asJSON reports whether the answer is JSON: only if the client names it.
func (q *request) asJSON() bool {
	for part := range strings.SplitSeq(q.Header.Get("Accept"), ",") {
		kind, _, _ := strings.Cut(strings.TrimSpace(part), ";")
		switch kind {
		case "application/json":
			return true
		case "text/html":
			return false
		}
	}
	return false
}

// page is what a handler has read.
type page struct {
	template string // its name in templates
	section  string // the chosen tab
	title    string
	data     any
	// json writes the page as JSON; nil if it has none.
	json    func(w io.Writer) error
	command string // that says the same in a terminal
	status  int    // 0 means 200
	// redirect, if not "", is where a form leads to.
	redirect string
	zone     *time.Location // of the times of the page; nil means that of the machine
	isAway   bool           // the database cannot be read
	made     *made          // its HTML, if that was made before
}

// made is a page as HTML.
type made struct {
	body   []byte
	digest string // of the body without the time
	parked int
	mark   string    // of the state that the page shows
	at     time.Time // when that was read
}

// problem is an error with a page.
type problem struct {
	status int
	key    string // of its text
	args   []any
	// there are names that exist.
	there []string
	// there points to addresses under this path.
	under string
}

// Error implements error.
func (p *problem) Error() string { return fmt.Sprint(p.key, p.args) }

// anonymous serves a page that needs no user.
func (c *Console) anonymous(do handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost && r.URL.Path != "/live" && r.URL.Path != "/plan" {
			ctx, cancel := context.WithTimeout(r.Context(), readFor)
			defer cancel()
			r = r.WithContext(ctx)
		}
		q := &request{Request: r, w: w, now: time.Now()}
		q.lang = language(w, r)
		p, err := do(q)
		c.answer(q, p, err)
	}
}

// known serves a page that needs a user, and an operator to change something.
func (c *Console) known(one route) http.HandlerFunc {
	return c.anonymous(func(q *request) (*page, error) {
		ok, err := c.identify(q)
		if err != nil {
			return nil, err
		}
		if !ok {
			return c.askToSignIn(q)
		}
		if one.change && !q.user.Operates() {
			return nil, &problem{status: http.StatusForbidden, key: "problem.role"}
		}
		if one.change && q.ParseForm() != nil {
			return nil, &problem{status: http.StatusBadRequest, key: "problem.form"}
		}
		if one.path == "/live" || q.Method == http.MethodPost {
			return one.do(q)
		}
		if q.mark, err = c.mark(q.Context()); err != nil {
			return nil, err
		}
		if q.isLive() && !q.asJSON() {
			return c.readAgain(q, one.do)
		}
		return one.do(q)
	})
}

// answer writes a page or an error.
func (c *Console) answer(q *request, p *page, err error) {
	if err != nil {
		p = c.problemPage(q, err)
		if p != nil && p.isAway {
			q.w.Header().Set("Retry-After", "5")
			q.w.Header().Set("X-Away", "database")
			if c.showSeen(q) {
				return
			}
		}
	}
	if p == nil {
		return
	}
	if p.redirect != "" {
		http.Redirect(q.w, q.Request, p.redirect, http.StatusSeeOther)
		return
	}
	status := p.code()
	if q.asJSON() && q.Method != http.MethodPost && p.json != nil {
		kind := "application/json"
		if err != nil {
			kind = "application/problem+json"
		}
		q.w.Header().Set("Content-Type", kind)
		q.w.WriteHeader(status)
		if q.Method != http.MethodHead {
			if err := p.json(q.w); err != nil {
				c.Log.Warn("cannot write a page as JSON", "path", q.URL.Path, "error", err)
			}
		}
		return
	}
	c.render(q, p, status)
}

// problemPage is the page of an error.
func (c *Console) problemPage(q *request, err error) *page {
	var known *problem
	var filter *report.FilterError
	switch {
	case errors.As(err, &known):
	case errors.As(err, &filter):
		known = &problem{status: http.StatusBadRequest, key: "problem.filter", args: []any{filter.Error()}}
	case errors.Is(err, queue.ErrNoRun):
		known = &problem{status: http.StatusNotFound, key: "problem.run", args: []any{q.URL.Path}}
	case errors.Is(err, context.Canceled):
		return nil // the browser has gone
	default:
		c.Log.Error("cannot serve a page", "path", q.URL.Path, "error", err)
		known = &problem{status: http.StatusServiceUnavailable, key: "problem.database"}
	}
	title := q.t(known.key, known.args...)
	return &page{
		template: "problem", title: title, status: known.status, isAway: known.key == "problem.database",
		data: map[string]any{"Title": title, "Status": known.status, "There": known.there, "Under": known.under, "Help": q.t(known.key + ".help")},
		json: func(w io.Writer) error {
			return report.WriteJSON(w, struct {
				Type   string   `json:"type"`
				Title  string   `json:"title"`
				Status int      `json:"status"`
				There  []string `json:"there,omitempty"`
			}{"about:blank", title, known.status, known.there})
		},
	}
}

// jsonOf writes a value as JSON with the name of its form.
func jsonOf(v any) func(io.Writer) error {
	return func(w io.Writer) error { return report.WriteJSON(w, v) }
}

// hide hides secrets in a text that comes from outside.
func (c *Console) hide(text string) string { return c.Config().Redactor.Text(text) }

// hideData hides secrets in the data of an event, which is stored as it came.
func (c *Console) hideData(q *request, data json.RawMessage) json.RawMessage {
	if q.user.NoRecords {
		return json.RawMessage("null")
	}
	return c.Config().Redactor.JSON(data)
}

// knownPortals is what the configuration says about portals.
func (c *Console) knownPortals() report.Known {
	cfg := c.Config()
	k := c.portalsOf.Load()
	if k == nil || k.of != cfg {
		k = &knownOf{cfg, report.KnownOf(cfg)}
		c.portalsOf.Store(k)
	}
	return k.Known
}

// knownOf is what a configuration says about portals.
type knownOf struct {
	of *config.Config
	report.Known
}

// portalNames are the portals of the configuration that the user sees.
func (c *Console) portalNames(q *request) []string {
	var out []string
	cfg := c.Config()
	for _, p := range cfg.Portals {
		if q.user.Sees(p.Name) {
			out = append(out, p.Name)
		}
	}
	for _, p := range cfg.Broken {
		if q.user.Sees(p.Name) {
			out = append(out, p.Name)
		}
	}
	return out
}
