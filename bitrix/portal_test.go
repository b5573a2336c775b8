package bitrix_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/php"
)

const (
	secretCode = "s3cr3tc0de"
	webhook    = "https://portal.example/rest/1/" + secretCode + "/"
)

// methodFunc answers a method as the portal does: a result with its total and
// next, or an error.
type methodFunc func(p *php.Array) reply

// reply is what a method answers. Zero numbers are omitted.
type reply struct {
	result      any
	total, next int
	code, text  string // an error, when text is not empty
	status      int
	operating   float64
}

// portal reproduces the documented envelope and batch of a portal for the
// methods that it is given.
type portal struct {
	methods map[string]methodFunc
	// before may answer a request instead of the portal.
	before func(w http.ResponseWriter, method string) bool

	mu       sync.Mutex
	requests []string // what was asked: crm.item.get, or batch(crm.item.get crm.item.list)
}

// asked returns the requests so far.
func (p *portal) asked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string{}, p.requests...)
}

func (p *portal) note(s string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = append(p.requests, s)
}

func (p *portal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method, ok := strings.CutPrefix(r.URL.Path, "/rest/1/"+secretCode+"/")
	if !ok || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
		http.Error(w, `{"error":"NO_AUTH_FOUND","error_description":"Wrong authorization data"}`, http.StatusUnauthorized)
		return
	}
	body, _ := io.ReadAll(r.Body)
	v, err := php.DecodeJSON(body)
	if err != nil {
		v = php.NewArray() // a portal takes broken JSON for no parameters
	}
	params := v.(*php.Array)
	if method == "batch" {
		p.note("batch(" + strings.Join(commandMethods(params), " ") + ")")
	} else {
		p.note(method)
	}
	if p.before != nil && p.before(w, method) {
		return
	}
	if method == "batch" {
		writeJSON(w, http.StatusOK, object("result", p.batch(params), "time", php.NewArray()))
		return
	}
	re := p.call(method, params)
	if re.text != "" {
		writeJSON(w, re.status, object("error", re.code, "error_description", re.text))
		return
	}
	out := object("result", re.result)
	setNumbers(out, re)
	out.Set("time", callTime(re))
	writeJSON(w, http.StatusOK, out)
}

func commandMethods(params *php.Array) []string {
	var names []string
	cmds, _ := params.Get("cmd")
	for _, c := range cmds.(*php.Array).All() {
		name, _, _ := strings.Cut(c.(string), "?")
		names = append(names, name)
	}
	return names
}

func (p *portal) call(method string, params *php.Array) reply {
	f := p.methods[strings.ToLower(method)] // names have no case
	if f == nil {
		return reply{code: "ERROR_METHOD_NOT_FOUND", text: "Method not found!", status: http.StatusNotFound}
	}
	re := f(params)
	if re.text != "" && re.status == 0 {
		re.status = http.StatusBadRequest
	}
	return re
}

func (p *portal) batch(params *php.Array) *php.Array {
	members := map[string]*php.Array{}
	for _, m := range []string{"result", "result_error", "result_total", "result_next", "result_time"} {
		members[m] = php.NewArray()
	}
	cmds, _ := params.Get("cmd")
	for key, c := range cmds.(*php.Array).All() {
		method, query, _ := strings.Cut(c.(string), "?")
		inner, err := php.ParseStr(query, php.Limits{})
		if err != nil {
			panic(err)
		}
		re := p.call(method, inner)
		if re.text != "" {
			members["result_error"].Set(key, object("error", re.code, "error_description", re.text))
			continue
		}
		members["result"].Set(key, re.result)
		if re.total > 0 {
			members["result_total"].Set(key, number(re.total))
		}
		if re.next > 0 {
			members["result_next"].Set(key, number(re.next))
		}
		members["result_time"].Set(key, callTime(re))
	}
	out := php.NewArray()
	for _, m := range []string{"result", "result_error", "result_total", "result_next", "result_time"} {
		out.Set(m, members[m])
	}
	return out
}

func setNumbers(a *php.Array, re reply) {
	if re.total > 0 {
		a.Set("total", number(re.total))
	}
	if re.next > 0 {
		a.Set("next", number(re.next))
	}
}

// callTime tells 600 s to the reset, on a clock that is not ours.
func callTime(re reply) *php.Array {
	if re.operating == 0 {
		return php.NewArray()
	}
	return object("finish", number(1000), "operating", json.Number(strconv.FormatFloat(re.operating, 'f', -1, 64)), "operating_reset_at", number(1600))
}

func number(n int) json.Number { return json.Number(strconv.Itoa(n)) }

// object makes an array of keys and values.
func object(kv ...any) *php.Array {
	a := php.NewArray()
	for i := 0; i < len(kv); i += 2 {
		a.Set(kv[i].(string), kv[i+1])
	}
	return a
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := php.EncodeJSON(v)
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

// refuse answers as the rate limit does.
func refuse(w http.ResponseWriter) {
	writeJSON(w, http.StatusServiceUnavailable, object("error", "QUERY_LIMIT_EXCEEDED", "error_description", "Too many requests"))
}

// memory carries requests to a handler without a socket, so that time in a
// synctest bubble may stand still.
type memory struct{ h http.Handler }

func (m memory) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.h.ServeHTTP(w, r)
	}()
	select {
	case <-done:
		return w.Result(), nil
	case <-r.Context().Done():
		<-done
		return nil, r.Context().Err()
	}
}

// brokenTransport fails as a network does.
type brokenTransport func(*http.Request) (*http.Response, error)

func (f brokenTransport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answerText(status int, text string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(bytes.NewBufferString(text))}
}

// newClient returns a client of a handler that lives as long as the test.
func newClient(t testing.TB, h http.Handler, change ...func(*bitrix.Config)) *bitrix.Client {
	t.Helper()
	cfg := bitrix.Config{Webhook: webhook, HTTP: &http.Client{Transport: memory{h}}}
	for _, f := range change {
		f(&cfg)
	}
	c, err := bitrix.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// echo answers with its parameters.
func echo(p *php.Array) reply { return reply{result: p} }

// envelopes answers the method list, alone or in a batch, with envelopes that
// are not as documented: a text is the value of result and what follows it.
type envelopes func(start int) string

func (e envelopes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var params struct {
		Start int
		Cmd   []string
	}
	if err := json.Unmarshal(body, &params); err != nil {
		panic(err)
	}
	if params.Cmd == nil {
		_, _ = io.WriteString(w, `{"result":`+e(params.Start)+`,"time":[]}`)
		return
	}
	members := map[string]map[string]json.RawMessage{"result": {}, "total": {}, "next": {}}
	for i, c := range params.Cmd {
		_, query, _ := strings.Cut(c, "start=")
		start, _ := strconv.Atoi(query)
		var answer map[string]json.RawMessage
		if err := json.Unmarshal([]byte(`{"result":`+e(start)+`}`), &answer); err != nil {
			panic(err)
		}
		for name, m := range members {
			if v, ok := answer[name]; ok {
				m[strconv.Itoa(i)] = v
			}
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"result": map[string]any{
		"result": members["result"], "result_error": []any{}, "result_total": members["total"], "result_next": members["next"], "result_time": []any{},
	}})
}
