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

// server answers REST calls. It lets faults and limits apply, runs the commands and keeps
// the journal.
type server struct {
	p       *Portal
	methods map[string]*method // by lower-case name; never changes
	faults  faults
}

// exchange is a request with the faults that hit it.
type exchange struct {
	*request
	broken *Fault // ends the request before a command
	lost   *Fault // replaces the answer when everything has run
}

// rest answers a REST call.
func (s *server) rest(w http.ResponseWriter, r *http.Request) {
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
	ctx, cancel := s.limited(r.Context())
	defer cancel()
	req := &exchange{request: &request{ctx: ctx, path: path, source: sourceOf(r)}}
	req.bearer, _ = strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	s.seeHost(r.Host)
	if !s.admit(req.source) {
		s.refuse(w, path.method, queryLimit)
		return
	}
	if wait(ctx, s.latency(s.p.cfg.Latency.Request)) != nil {
		overtime(w, ctx)
		return
	}
	req.params = decodeRequest(r)
	if f := s.faults.onRequest(req.methods); f != nil {
		s.spoil(w, r, req, f)
		return
	}
	a := s.serve(req)
	defer func() { s.p.events.dispatch(req.raised) }() // events travel when the request has ended
	f := req.broken
	if f == nil {
		f = req.lost
	}
	switch {
	case f != nil:
		breakOff(w, r, f, a.status(), a.body())
	case ctx.Err() != nil:
		overtime(w, ctx)
	case path.xml:
		writeXML(w, a.status(), a.body())
	default:
		writeJSON(w, a.status(), a.body())
	}
}

// limited is the time that a request may take.
func (s *server) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.p.cfg.RequestLimit == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, s.p.cfg.RequestLimit)
}

// overtime ends a request that took too long; one that its client gave up needs
// no answer. What has run stays done.
func overtime(w http.ResponseWriter, ctx context.Context) {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		writePage(w, http.StatusGatewayTimeout)
	}
}

// refuse answers a request that is not looked at.
func (s *server) refuse(w http.ResponseWriter, method string, e *restError) {
	p := s.p
	p.mu.Lock()
	if e.code == queryLimit.code {
		p.journal.refused++
	}
	p.journal.add(&record{at: time.Now(), method: method, status: e.status, code: value.Text(e.code)})
	p.mu.Unlock()
	writeJSON(w, e.status, e.body())
}

// spoil answers a request that a fault hits as a whole.
func (s *server) spoil(w http.ResponseWriter, r *http.Request, req *exchange, f *Fault) {
	if f.Kind == FaultRefuse {
		s.refuse(w, req.path.method, f.refuses())
		return
	}
	s.cutOff(req, req.path.method, nil, f)
	breakOff(w, r, f, 0, nil)
}

// serve runs the command of a request, or those of a batch. A method that does
// not exist is refused before the credentials are looked at.
func (s *server) serve(req *exchange) *answer {
	m, err := s.find(req.path.method)
	if err == nil {
		err = s.authorize(req)
	}
	if err == nil && m.name == batchMethod {
		return s.struck(req, m.name, req.params, func(*Fault) *answer { return s.runBatch(req) })
	}
	if err != nil {
		return s.failed(req, req.path.method, req.params, err)
	}
	return s.execute(req, m, req.params)
}

func (s *server) find(name string) (*method, *restError) {
	if m := s.methods[strings.ToLower(name)]; m != nil {
		return m, nil
	}
	return nil, refusalOf("ERROR_METHOD_NOT_FOUND")
}

// execute is the one way of every command, alone or in a batch: check, run,
// count, keep in the journal.
func (s *server) execute(req *exchange, m *method, params *php.Array) *answer {
	return s.struck(req, m.name, params, func(f *Fault) *answer { return s.run(req, m, params, f) })
}

// struck runs a command unless a fault prevents it. run receives a fault that lets
// the command run but spoils its answer, nil for none.
func (s *server) struck(req *exchange, method string, params *php.Array, run func(*Fault) *answer) *answer {
	hit := s.faults.onCommand(method)
	if err := wait(req.ctx, hit.before); err != nil {
		return &answer{err: asRestError(err)}
	}
	switch {
	case hit.fault == nil || hit.fault.altersAnswer():
	case hit.fault.Kind == FaultUndone:
		return s.undone(req, method, params, hit.fault)
	case hit.fault.Kind == FaultRefuse:
		return s.failed(req, method, params, hit.fault.refuses())
	case !hit.fault.afterwards():
		return s.cutOff(req, method, params, hit.fault)
	default:
		if req.lost == nil {
			req.lost = hit.fault
		}
	}
	a := run(hit.fault)
	if hit.fault != nil && hit.fault.Kind == FaultShape {
		hit.fault.reshape(a)
	}
	_ = wait(req.ctx, hit.after) // it has run, whoever still waits for it
	return a
}

// run checks a command, runs it and counts it.
func (s *server) run(req *exchange, m *method, params *php.Array, f *Fault) *answer {
	start := time.Now()
	p := s.p
	c := &call{store: &p.store, options: &p.options, journal: &p.journal, req: req.request, params: params, now: start}
	c.start = int(value.Int(c.param("start"))) // in lower case whatever the method
	if m.legacy {
		c.params = value.UpperKeys(params)
	}
	if f != nil && f.Kind == FaultUnkept {
		c.unkept = f.names
	}
	if !req.inside {
		if err := s.permit(req, m); err != nil {
			return s.failed(req, m.name, params, err)
		}
		if err := wait(req.ctx, s.latency(s.p.cfg.Latency.Command)); err != nil {
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
		time: timing(p.cfg.Location, start, finish, operating, resetAt),
	}
	if err != nil {
		a = &answer{err: asRestError(err)}
	}
	if !req.inside {
		r := newRecord(m.name, params, a, req.batch, start)
		if f != nil {
			r.fault = string(f.Kind)
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

// admit counts a request against the bucket of its source.
func (s *server) admit(source string) bool {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	s.p.journal.requests++
	return s.p.limits.admit(source, time.Now())
}

// latency is how long something takes this time.
func (s *server) latency(d time.Duration) time.Duration {
	p := s.p
	if d == 0 || p.cfg.Latency.Jitter == 0 {
		return d
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Duration(float64(d) * (1 + p.cfg.Latency.Jitter*(2*p.chance.Float64()-1)))
}

// failed answers a command that did not run.
func (s *server) failed(req *exchange, method string, params *php.Array, e *restError) *answer {
	a := &answer{err: e}
	if !req.inside {
		s.record(newRecord(strings.ToLower(method), params, a, req.batch, time.Now()))
	}
	return a
}

// cutOff ends a request before a command.
func (s *server) cutOff(req *exchange, method string, params *php.Array, f *Fault) *answer {
	s.record(&record{at: time.Now(), method: strings.ToLower(method), params: params, batch: req.batch, fault: string(f.Kind)})
	req.broken = f
	return &answer{}
}

// undone answers a command that does not run as though it were not refused.
func (s *server) undone(req *exchange, method string, params *php.Array, f *Fault) *answer {
	now := time.Now()
	a := &answer{result: false, time: timing(s.p.cfg.Location, now, now, 0, now.Add(operatingWindow))}
	f.reshape(a)
	r := newRecord(strings.ToLower(method), params, a, req.batch, now)
	r.fault = string(f.Kind)
	s.record(r)
	return a
}

// record adds a command to the journal.
func (s *server) record(r *record) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	s.p.journal.add(r)
}

// seeHost keeps the host for the events, unless SetBaseURL named another.
func (s *server) seeHost(host string) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if s.p.address.url == "" && host != "" {
		s.p.address.url = "http://" + host
	}
}
