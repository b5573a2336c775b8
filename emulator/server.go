package emulator

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/faults"
	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// server answers REST calls. It lets faults and limits apply, runs the commands and keeps
// the journal.
type server struct {
	p       *Portal
	methods map[string]*rest.Method                 // by lower-case name; never changes
	answers atomic.Pointer[map[string]*rest.Method] // of methods that are not emulated, by lower-case name
	faults  faults.Set
}

// exchange is a request with the faults that hit it.
type exchange struct {
	*rest.Request
	broken *faults.Fault // ends the request before a command
	lost   *faults.Fault // replaces the answer when everything has run
}

// rest answers a REST call.
func (s *server) rest(w http.ResponseWriter, r *http.Request) {
	path, ok := rest.ParsePath(r.URL.Path)
	if !ok {
		http.NotFound(w, r)
		return
	}
	if path.V3 {
		// The third version of the REST API has none of the methods here.
		rest.WriteJSON(w, http.StatusNotFound, value.Object("error", value.Object(
			"code", "BITRIX_REST_V3_EXCEPTION_METHODNOTFOUNDEXCEPTION", "message", "Method not found")))
		return
	}
	if r.Method == http.MethodOptions { // a browser asks whether its page may call
		rest.AllowAll(w.Header())
		return
	}
	ctx, cancel := s.limited(r.Context())
	defer cancel()
	req := &exchange{Request: &rest.Request{Ctx: ctx, Path: path, Source: sourceOf(r)}}
	req.Bearer, _ = strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	s.seeHost(r.Host)
	if !s.admit(req.Source) {
		s.refuse(w, path.Method, rest.QueryLimit)
		return
	}
	if rest.Wait(ctx, s.latency(s.p.cfg.Latency.Request)) != nil {
		overtime(w, ctx)
		return
	}
	req.Params = rest.DecodeRequest(r)
	if f := s.faults.OnRequest(req.Methods); f != nil {
		s.spoil(w, r, req, f)
		return
	}
	a := s.serve(req)
	if len(req.Raised) > 0 { // events travel when the request has ended; the client may see that end before
		dispatched := s.p.events.Expect()
		defer func() {
			s.p.events.Dispatch(req.Raised)
			dispatched()
		}()
	}
	f := req.broken
	if f == nil {
		f = req.lost
	}
	switch {
	case f != nil:
		faults.BreakOff(w, r, f, a.Status(), a.Body())
	case ctx.Err() != nil:
		overtime(w, ctx)
	case path.XML:
		rest.WriteXML(w, a.Status(), a.Body())
	default:
		rest.WriteJSON(w, a.Status(), a.Body())
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
		faults.WritePage(w, http.StatusGatewayTimeout)
	}
}

// refuse answers a request that is not looked at.
func (s *server) refuse(w http.ResponseWriter, method string, e *rest.Error) {
	p := s.p
	p.mu.Lock()
	if e.Code == rest.QueryLimit.Code {
		p.journal.Refused++
	}
	p.journal.Add(&rest.Record{At: time.Now(), Method: method, Status: e.Status, Code: value.Text(e.Code)})
	p.mu.Unlock()
	rest.WriteJSON(w, e.Status, e.Body())
}

// spoil answers a request that a fault hits as a whole.
func (s *server) spoil(w http.ResponseWriter, r *http.Request, req *exchange, f *faults.Fault) {
	if f.Kind == faults.Refuse {
		s.refuse(w, req.Path.Method, f.Refuses())
		return
	}
	s.cutOff(req, req.Path.Method, nil, f)
	faults.BreakOff(w, r, f, 0, nil)
}

// serve runs the command of a request, or those of a batch. A method that does
// not exist is refused before the credentials are checked.
func (s *server) serve(req *exchange) *rest.Answer {
	m, err := s.find(req.Path.Method)
	if err == nil {
		err = s.authorize(req)
	}
	if err == nil && m.Name == rest.BatchMethod {
		return s.struck(req, m.Name, req.Params, func(*faults.Fault) *rest.Answer { return s.runBatch(req) })
	}
	if err != nil {
		return s.failed(req, req.Path.Method, req.Params, err)
	}
	return s.execute(req, m, req.Params)
}

func (s *server) find(name string) (*rest.Method, *rest.Error) {
	name = strings.ToLower(name)
	if m := s.methods[name]; m != nil {
		return m, nil
	}
	if answers := s.answers.Load(); answers != nil && (*answers)[name] != nil {
		return (*answers)[name], nil
	}
	return nil, rest.Refusal("ERROR_METHOD_NOT_FOUND")
}

// execute is the one way of every command, alone or in a batch: check, run,
// count, keep in the journal.
func (s *server) execute(req *exchange, m *rest.Method, params *php.Array) *rest.Answer {
	return s.struck(req, m.Name, params, func(f *faults.Fault) *rest.Answer { return s.run(req, m, params, f) })
}

// struck runs a command unless a fault prevents it. run receives a fault that lets
// the command run but spoils its answer, nil for none.
func (s *server) struck(req *exchange, method string, params *php.Array, run func(*faults.Fault) *rest.Answer) *rest.Answer {
	hit := s.faults.OnCommand(method)
	if err := rest.Wait(req.Ctx, hit.Before); err != nil {
		return &rest.Answer{Err: rest.AsError(err)}
	}
	switch {
	case hit.Fault == nil || hit.Fault.AltersAnswer():
	case hit.Fault.Kind == faults.Undone:
		return s.undone(req, method, params, hit.Fault)
	case hit.Fault.Kind == faults.Refuse:
		return s.failed(req, method, params, hit.Fault.Refuses())
	case !hit.Fault.Afterwards():
		return s.cutOff(req, method, params, hit.Fault)
	default:
		if req.lost == nil {
			req.lost = hit.Fault
		}
	}
	a := run(hit.Fault)
	if hit.Fault != nil && hit.Fault.Kind == faults.ChangeShape {
		hit.Fault.Reshape(a)
	}
	_ = rest.Wait(req.Ctx, hit.After) // it has run even if the client is gone
	return a
}

// run checks a command, runs it and counts it.
func (s *server) run(req *exchange, m *rest.Method, params *php.Array, f *faults.Fault) *rest.Answer {
	start := time.Now()
	p := s.p
	c := &rest.Call{Store: &p.store, Options: &p.options, Journal: &p.journal, Request: req.Request, Params: params, Now: p.cfg.Now()}
	c.Start = int(value.Int(c.Param("start"))) // in lower case whatever the method
	if m.Legacy {
		c.Params = value.UpperKeys(params)
	}
	if f != nil && f.Kind == faults.Unkept {
		c.Unkept = f.Names
	}
	if !req.Inside {
		if err := s.permit(req, m); err != nil {
			return s.failed(req, m.Name, params, err)
		}
		if err := rest.Wait(req.Ctx, s.latency(s.p.cfg.Latency.Command)); err != nil {
			return &rest.Answer{Err: rest.AsError(err)}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	result, err := m.Run(c)
	if p.cfg.LongFloats {
		result = value.LongFloats(result)
	}
	if p.cfg.TextNumbers && strings.HasPrefix(m.Name, "crm.item.") {
		result = value.TextNumbers(result)
	}
	finish := time.Now()
	cost := p.cfg.cost(m.Name, finish.Sub(start))
	if req.Inside {
		cost = 0
	}
	operating, resetAt := p.limits.Spend(rest.OperatingKey{Credential: req.CredKey, Method: m.Name}, start, cost)
	a := &rest.Answer{
		Result: result, Total: c.Total, HasTotal: c.HasTotal, Next: c.Next,
		Time: rest.Timing(p.cfg.Location, start, finish, operating, resetAt),
	}
	if err != nil {
		a = &rest.Answer{Err: rest.AsError(err)}
	}
	if !req.Inside {
		r := rest.NewRecord(m.Name, params, a, req.Batch, start)
		if f != nil {
			r.Fault = string(f.Kind)
		}
		p.journal.Add(r)
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

// admit counts a request against the bucket of its source.
func (s *server) admit(source string) bool {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	s.p.journal.Requests++
	return s.p.limits.Admit(source, time.Now())
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
func (s *server) failed(req *exchange, method string, params *php.Array, e *rest.Error) *rest.Answer {
	a := &rest.Answer{Err: e}
	if !req.Inside {
		s.record(rest.NewRecord(strings.ToLower(method), params, a, req.Batch, time.Now()))
	}
	return a
}

// cutOff ends a request before a command.
func (s *server) cutOff(req *exchange, method string, params *php.Array, f *faults.Fault) *rest.Answer {
	s.record(&rest.Record{At: time.Now(), Method: strings.ToLower(method), Params: params, Batch: req.Batch, Fault: string(f.Kind)})
	req.broken = f
	return &rest.Answer{}
}

// undone answers a command that does not run as though it were not refused.
func (s *server) undone(req *exchange, method string, params *php.Array, f *faults.Fault) *rest.Answer {
	now := time.Now()
	a := &rest.Answer{Result: false, Time: rest.Timing(s.p.cfg.Location, now, now, 0, now.Add(rest.OperatingWindow))}
	f.Reshape(a)
	r := rest.NewRecord(strings.ToLower(method), params, a, req.Batch, now)
	r.Fault = string(f.Kind)
	s.record(r)
	return a
}

// record adds a command to the journal.
func (s *server) record(r *rest.Record) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	s.p.journal.Add(r)
}

// seeHost keeps the host for the events, unless SetBaseURL named another.
func (s *server) seeHost(host string) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if s.p.address.URL == "" && host != "" {
		s.p.address.URL = "http://" + host
	}
}
