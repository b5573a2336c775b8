// Package emulator is a Bitrix24 portal in memory, for tests and demonstrations.
//
// A Portal is an http.Handler. It keeps leads, deals, contacts, companies, estimates,
// smart invoices, smart processes, product rows and universal lists. It answers the
// REST methods for them with the shapes and quirks of a real portal, keeps the limits
// of one, and sends its events.
//
// It is right before it is convenient. Where the public documentation and other
// sources disagree, the documentation wins; where both are known to occur, a
// field of [Config] chooses. A method that is not emulated answers
// ERROR_METHOD_NOT_FOUND, never a made-up success, unless [Portal.SetAnswers] sets one.
package emulator

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"

	"github.com/b24rules/b24rules/emulator/internal/crm"
	"github.com/b24rules/b24rules/emulator/internal/events"
	"github.com/b24rules/b24rules/emulator/internal/faults"
	"github.com/b24rules/b24rules/emulator/internal/model"
	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/emulator/internal/value"
)

// Portal is an emulated portal. It is safe for concurrent use.
type Portal struct {
	cfg    Config
	user   *model.User // whom the inbound webhook belongs to
	server server

	// mu guards everything below. It is never held while the portal waits or
	// sends something.
	mu      sync.Mutex
	address rest.Address
	store   model.Store
	options rest.Options
	limits  rest.Limits
	journal rest.Journal
	chance  *rand.Rand
	app     *rest.Application
	events  *events.Hub
	other   otherSystems
}

// New makes a portal without data. Close it when it is no longer needed.
func New(cfg Config) *Portal {
	cfg = cfg.withDefaults()
	p := &Portal{
		cfg: cfg, options: cfg.options(), limits: cfg.limits(), chance: rand.New(rand.NewPCG(cfg.Seed, 1)),
		app:   rest.NewApplication(cfg.Secret, cfg.TokenLife, cfg.RefreshLife),
		store: model.NewStore(value.Zone{Location: cfg.Location, DayFirst: cfg.DayFirst}), journal: rest.NewJournal(cfg.KeepCalls, cfg.KeepChanges),
	}
	p.events = events.NewHub(&p.mu, cfg.delivery(), &p.options, &p.store, p.app, &p.address, p.chance)
	p.server = server{p: p, methods: methodTable(p)}
	p.user = p.store.Users[p.AddUser(model.User{Name: "Anna", LastName: "Admin", Email: "anna@example.com"})]
	return p
}

// Close stops the delivery of events, also of those being sent, and waits for its
// end. What is still queued is lost. The portal answers on.
func (p *Portal) Close() {
	p.events.Close()
}

// AddWebhook sets up an outbound webhook for events and returns its
// application token. The URL is called as it stands.
func (p *Portal) AddWebhook(url string, events ...string) (token string) {
	return p.events.AddWebhook(url, events...)
}

// WaitIdle waits until no event is queued or being sent. It waits for ever if a
// handler changes the portal again and again and the context has no end.
func (p *Portal) WaitIdle(ctx context.Context) error { return p.events.WaitIdle(ctx) }

// SetBaseURL says where the portal can be reached, without a path: the events
// name it as their domain and client_endpoint. Without it they name the host
// that the first request asked for.
func (p *Portal) SetBaseURL(url string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.address.URL = strings.TrimSuffix(url, "/")
}

// WebhookPath returns the path of the inbound webhook, /rest/1/<secret>/. It
// is a secret.
func (p *Portal) WebhookPath() string { return "/rest/" + p.user.IDText() + "/" + p.cfg.Secret + "/" }

// ServeHTTP answers REST calls under /rest/, the authorization of applications
// under /oauth/, the control of the emulator under /_emulator/, plays other systems
// under /_other/, and shows it all on a page at /.
func (p *Portal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := rest.Receive(r); err != nil {
		faults.WritePage(w, http.StatusBadRequest)
		return
	}
	if (r.URL.Path == "/" || strings.HasPrefix(r.URL.Path, "/_emulator/page.")) && servePage(w, r) {
		return
	}
	if path, ok := strings.CutPrefix(r.URL.Path, otherPath); ok {
		p.other.serve(w, r, path)
		return
	}
	if others, ok := strings.CutPrefix(r.URL.Path, "/_emulator/"); ok {
		control{p}.serve(w, r, others)
		return
	}
	switch strings.TrimSuffix(r.URL.Path, "/") {
	case "/oauth/authorize":
		p.server.seeHost(r.Host)
		authorization{p}.authorizePage(w, r)
		return
	case "/oauth/token":
		p.server.seeHost(r.Host)
		authorization{p}.tokenEndpoint(w, r)
		return
	}
	p.server.rest(w, r)
}

// EventCodes are the codes of all events that portals raise when somebody changes their data,
// for AddWebhook. Those with the suffix of a smart process are the same events again.
func EventCodes() []string { return crm.EventCodes() }
