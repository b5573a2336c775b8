package emulator

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// request is one HTTP request under way.
type request struct {
	ctx       context.Context
	path      restPath
	params    *php.Array
	bearer    string // the token of the header Authorization
	source    string // the address that the bucket counts
	by        origin // whom events of its writes come from
	app       bool   // authorized by the application's token
	user      int64  // whose rights it has
	connector string // auth_connector, its source key
	inside    bool   // no REST call, but something that happens in the portal
	batch     bool   // its commands are those of a batch
	credKey   string // who the execution time is counted for
	changes   []raised
	lost      *Fault // what the answer is lost to, when all has run
}

// ServeHTTP answers REST calls under /rest/, the authorization of applications
// under /oauth/, the control of the emulator under /_emulator/, and shows it all
// on a page at /.
func (p *Portal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := receive(r); err != nil {
		writePage(w, http.StatusBadRequest)
		return
	}
	if (r.URL.Path == "/" || strings.HasPrefix(r.URL.Path, "/_emulator/page.")) && p.page(w, r) {
		return
	}
	if rest, ok := strings.CutPrefix(r.URL.Path, "/_emulator/"); ok {
		p.control(w, r, rest)
		return
	}
	switch strings.TrimSuffix(r.URL.Path, "/") {
	case "/oauth/authorize":
		p.seeHost(r.Host)
		p.authorizePage(w, r)
		return
	case "/oauth/token":
		p.seeHost(r.Host)
		p.tokenEndpoint(w, r)
		return
	}
	p.rest(w, r)
}

// rest answers a REST call.
func (p *Portal) rest(w http.ResponseWriter, r *http.Request) {
	path, ok := parsePath(r.URL.Path)
	if !ok {
		http.NotFound(w, r)
		return
	}
	if path.v3 {
		// The third version of the REST API has none of the methods here.
		writeJSON(w, http.StatusNotFound, value.Object("error", value.Object(
			"code", "BITRIX_REST_V3_EXCEPTION_METHODNOTFOUNDEXCEPTION", "message", "Method not found")))
		return
	}
	if r.Method == http.MethodOptions { // a browser asks whether its page may call
		allowAll(w.Header())
		return
	}
	ctx, cancel := p.limited(r.Context())
	defer cancel()
	req := &request{ctx: ctx, path: path, source: sourceOf(r)}
	req.bearer, _ = strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	p.seeHost(r.Host)
	if !p.admit(req.source) {
		p.refuse(w, path.method, queryLimit)
		return
	}
	if wait(ctx, p.latency(p.cfg.Latency.Request)) != nil {
		p.overtime(w, ctx)
		return
	}
	req.params = decodeRequest(r)
	if f := p.faults.onRequest(req.methods); f != nil {
		p.spoil(w, r, req, f)
		return
	}
	a := p.serve(req)
	if f := firstOfFaults(a.broken, req.lost); f != nil {
		p.dispatch(req.changes)
		p.breakOff(w, r, f, a.status(), a.body())
		return
	}
	if ctx.Err() != nil {
		p.dispatch(req.changes)
		p.overtime(w, ctx)
		return
	}
	if path.xml {
		writeXML(w, a.status(), a.body())
	} else {
		writeJSON(w, a.status(), a.body())
	}
	// Events travel when the request has ended.
	p.dispatch(req.changes)
}

// limited is the time that a request may take.
func (p *Portal) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	if p.cfg.RequestLimit == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, p.cfg.RequestLimit)
}

// overtime ends a request that took too long; one that its client gave up needs
// no answer. What has run stays done.
func (p *Portal) overtime(w http.ResponseWriter, ctx context.Context) {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		writePage(w, http.StatusGatewayTimeout)
	}
}

// refuse answers a request that is not looked at.
func (p *Portal) refuse(w http.ResponseWriter, method string, e *restError) {
	p.mu.Lock()
	if e.code == queryLimit.code {
		p.journal.refused++
	}
	p.journal.add(&record{at: time.Now(), method: method, status: e.status, code: value.Text(e.code)})
	p.mu.Unlock()
	writeJSON(w, e.status, e.body())
}

// spoil answers a request that a fault hits as a whole.
func (p *Portal) spoil(w http.ResponseWriter, r *http.Request, req *request, f *Fault) {
	if f.Kind == FaultRefuse {
		p.refuse(w, req.path.method, f.refuses())
		return
	}
	p.cutOff(req, req.path.method, nil, f)
	p.breakOff(w, r, f, 0, nil)
}

func firstOfFaults(faults ...*Fault) *Fault {
	for _, f := range faults {
		if f != nil {
			return f
		}
	}
	return nil
}

// serve runs the command of a request, or those of a batch. A method that does
// not exist is refused before the credentials are looked at.
func (p *Portal) serve(req *request) *answer {
	m, err := p.find(req.path.method)
	if err == nil {
		err = p.authorize(req)
	}
	if err == nil && m.name == batchMethod {
		return p.struck(req, m.name, req.params, func(*Fault) *answer { return p.runBatch(req) })
	}
	if err != nil {
		return p.failed(req, req.path.method, req.params, err)
	}
	return p.execute(req, m, req.params)
}

func (p *Portal) find(name string) (*method, *restError) {
	if m := p.methods[strings.ToLower(name)]; m != nil {
		return m, nil
	}
	return nil, refusalOf("ERROR_METHOD_NOT_FOUND")
}

// execute is the one way of every command, alone or in a batch: check, run,
// count, keep in the journal.
func (p *Portal) execute(req *request, m *method, params *php.Array) *answer {
	return p.struck(req, m.name, params, func(f *Fault) *answer { return p.run(req, m, params, f) })
}

// struck runs a command unless a fault prevents it. run receives a fault that lets
// the command run but spoils its answer, nil for none.
func (p *Portal) struck(req *request, method string, params *php.Array, run func(*Fault) *answer) *answer {
	hit := p.faults.onCommand(method)
	if err := wait(req.ctx, hit.before); err != nil {
		return &answer{err: asRestError(err)}
	}
	switch {
	case hit.fault == nil || hit.fault.altersAnswer():
	case hit.fault.Kind == FaultUndone:
		return p.undone(req, method, params, hit.fault)
	case hit.fault.Kind == FaultRefuse:
		return p.failed(req, method, params, hit.fault.refuses())
	case !hit.fault.afterwards():
		return p.cutOff(req, method, params, hit.fault)
	default:
		req.lost = firstOfFaults(req.lost, hit.fault)
	}
	a := run(hit.fault)
	if hit.fault != nil && hit.fault.Kind == FaultShape {
		hit.fault.reshape(a)
	}
	_ = wait(req.ctx, hit.after) // it has run, whoever still waits for it
	return a
}

// run checks a command, runs it and counts it.
func (p *Portal) run(req *request, m *method, params *php.Array, f *Fault) *answer {
	start := time.Now()
	c := &call{p: p, req: req, method: m, params: params, now: start}
	c.start = int(value.Int(c.param("start"))) // in lower case whatever the method
	if m.legacy {
		c.params = value.UpperKeys(params)
	}
	if f != nil && f.Kind == FaultUnkept {
		c.unkept = f
	}
	if !req.inside {
		if err := p.permit(req, m); err != nil {
			return p.failed(req, m.name, params, err)
		}
		if err := wait(req.ctx, p.latency(p.cfg.Latency.Command)); err != nil {
			return &answer{err: asRestError(err)}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	result, err := m.run(c)
	finish := time.Now()
	cost := p.cfg.cost(m.name, finish.Sub(start))
	if req.inside {
		cost = 0
	}
	operating, resetAt := p.limits.spend(operatingKey{req.credKey, m.name}, start, cost)
	a := &answer{
		result: result, total: c.total, hasTotal: c.hasTotal, next: c.next,
		time: p.timing(start, finish, operating, resetAt),
	}
	if err != nil {
		a = &answer{err: asRestError(err)}
	}
	if !req.inside {
		r := newRecord(m.name, params, a, req.batch, start)
		if f != nil {
			r.fault = f.Kind
		}
		p.journal.add(r)
	}
	return a
}

// sourceOf is the address that a request comes from, without the port.
func sourceOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// seeHost keeps the host for the events, unless SetBaseURL named another.
func (p *Portal) seeHost(host string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.baseURL == "" && host != "" {
		p.baseURL = "http://" + host
	}
}

// wait sleeps, unless the context ends before.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
