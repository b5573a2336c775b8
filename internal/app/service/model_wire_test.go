package service_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"
)

// mail holds the events that the portal has sent and the engine has not got.
type mail struct {
	mu    sync.Mutex
	forms []string
}

// RoundTrip implements http.RoundTripper: the portal's way to the engine.
func (m *mail) RoundTrip(r *http.Request) (*http.Response, error) {
	form, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forms = append(m.forms, string(form))
	w := httptest.NewRecorder()
	w.WriteHeader(http.StatusOK)
	return w.Result(), nil
}

func (m *mail) take(i int) (form string, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.forms) == 0 {
		return "", false
	}
	i %= len(m.forms)
	form = m.forms[i]
	m.forms = append(m.forms[:i:i], m.forms[i+1:]...)
	return form, true
}

func (m *mail) putBack(form string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forms = append(m.forms, form)
}

func (m *mail) size() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.forms)
}

// wire is the engine's way to the portal.
type wire struct {
	w    *world
	cut  chan struct{} // closed when the engine is killed
	keep bool          // requests that are being sent then arrive

	mu    sync.Mutex
	trap  chan struct{} // closed by the next write
	early bool          // when it is sent, not when the portal has made it
	lag   time.Duration // how much longer it is then on its way
	lose  int           // so many of the next writes lose their connection, and arrive lag later
}

var errCut = errors.New("the engine is dead")

// RoundTrip implements http.RoundTripper. As with a real portal, what was sent
// runs whether or not somebody waits for the answer.
func (x *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if isClosed(x.cut) {
		return nil, errCut
	}
	if link := x.w.link.Load(); link != nil && *link != nil {
		return nil, *link
	}
	type result struct {
		resp *http.Response
		err  error
	}
	ends := make(chan result, 1)
	there, back := x.w.travel(), x.w.travel()
	if x.sprung(body, true) {
		there += x.lag
		defer func() { <-x.cut }() // it is killed while this is on its way
	}
	lag, lost := x.lost(body)
	there += lag
	x.w.flying.Go(func() {
		time.Sleep(there)
		if isClosed(x.cut) && !x.keep {
			return
		}
		inner, err := http.NewRequest(r.Method, r.URL.String(), bytes.NewReader(body))
		if err != nil {
			ends <- result{err: err}
			return
		}
		inner.Header, inner.RemoteAddr = r.Header, "10.0.0.1:1"
		resp, err := answer(x.w.portal, inner)
		if x.sprung(body, false) {
			<-x.cut
		}
		time.Sleep(back)
		ends <- result{resp, err}
	})
	if lost {
		return nil, io.ErrUnexpectedEOF
	}
	select {
	case <-x.cut:
		return nil, errCut
	case <-r.Context().Done():
		return nil, r.Context().Err()
	case end := <-ends:
		if end.resp != nil {
			end.resp.Request = r
		}
		return end.resp, end.err
	}
}

// sprung reports whether a request triggers the trap of opCrashAtWork.
func (x *wire) sprung(body []byte, early bool) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.trap == nil || x.early != early || !writes(body) {
		return false
	}
	close(x.trap)
	x.trap = nil
	return true
}

// lost reports whether a request loses its connection, and how much later it
// arrives.
func (x *wire) lost(body []byte) (lag time.Duration, lost bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.lose == 0 || !writes(body) {
		return 0, false
	}
	x.lose--
	x.w.arrived = time.Now().Add(x.lag + 2*x.w.kind.latency)
	return x.lag, true
}

// writes reports whether a request has a write.
func writes(body []byte) bool {
	for _, sign := range []string{`"fields"`, `"FIELDS"`, ".add?", ".update?", ".delete?"} {
		if bytes.Contains(body, []byte(sign)) {
			return true
		}
	}
	return false
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// travel is how long a request is on its way.
func (w *world) travel() time.Duration {
	if w.kind.latency == 0 {
		return 0
	}
	w.mail.mu.Lock()
	defer w.mail.mu.Unlock()
	return time.Duration(w.rnd.Int64N(int64(w.kind.latency)))
}

// answer runs a request in the portal; a connection that the portal breaks off
// is an error.
func answer(h http.Handler, r *http.Request) (resp *http.Response, err error) {
	defer func() {
		if v := recover(); v != nil {
			if v != http.ErrAbortHandler { //nolint:errorlint // it is panicked as it is
				panic(v)
			}
			resp, err = nil, io.ErrUnexpectedEOF
		}
	}()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec.Result(), nil
}

// inPerson is the way of people to the portal: nothing goes wrong there, it takes no
// time, and the portal's limit knows them by other addresses.
type inPerson struct {
	w *world
	n int
}

// RoundTrip implements http.RoundTripper.
func (p *inPerson) RoundTrip(r *http.Request) (*http.Response, error) {
	p.n++
	r.RemoteAddr = fmt.Sprintf("10.1.%d.%d:1", p.n/250, p.n%250)
	resp, err := answer(p.w.portal, r)
	if resp != nil {
		resp.Request = r
	}
	return resp, err
}
