package bitrix_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"time"

	"b24rules/bitrix"
)

const (
	testSecret  = "s3cr3tc0de"
	testWebhook = "https://portal.example/rest/1/" + testSecret + "/"
)

// portal is a small portal in memory: it answers each method by a function and
// counts what it is asked. It speaks the envelope and batches, nothing else;
// the emulator is the real thing.
type portal struct {
	mu       sync.Mutex
	methods  map[string]func(params url.Values) (status int, body string)
	whole    func(method string) (status int, body string, err error) // answers a request before its method
	latency  time.Duration
	requests []string // the methods, batches with their commands
}

// RoundTrip lets a client reach the portal without a network, so that tests
// can run in the time of a synctest bubble.
func (p *portal) RoundTrip(r *http.Request) (*http.Response, error) {
	if p.latency > 0 {
		time.Sleep(p.latency)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	method, ok := strings.CutPrefix(r.URL.Path, "/rest/1/"+testSecret+"/")
	if !ok {
		return answerOf(401, `{"error":"INVALID_CREDENTIALS","error_description":"Invalid request credentials"}`), nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var in struct {
		Cmd map[string]string `json:"cmd"`
	}
	_ = json.Unmarshal(body, &in)
	if method != "batch" {
		p.requests = append(p.requests, method)
	} else {
		p.requests = append(p.requests, "batch "+commandNames(in.Cmd))
	}
	if p.whole != nil {
		status, text, err := p.whole(method)
		if err != nil {
			return nil, err
		}
		if status != 0 {
			return answerOf(status, text), nil
		}
	}
	if method == "batch" {
		return answerOf(200, p.batch(in.Cmd)), nil
	}
	var params map[string]any
	_ = json.Unmarshal(body, &params)
	return p.single(method, params), nil
}

func commandNames(cmds map[string]string) string {
	var names []string
	for i := range len(cmds) {
		name, _, _ := strings.Cut(cmds[key(i)], "?")
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

func key(i int) string { return "c" + string(json.RawMessage(itoa(i))) }

func itoa(i int) string {
	b, _ := json.Marshal(i)
	return string(b)
}

func (p *portal) single(method string, params map[string]any) *http.Response {
	values := url.Values{}
	for k, v := range params {
		values.Set(k, strings.Trim(string(must(json.Marshal(v))), `"`))
	}
	f := p.methods[method]
	if f == nil {
		return answerOf(404, `{"error":"ERROR_METHOD_NOT_FOUND","error_description":"Method not found!"}`)
	}
	status, body := f(values)
	return answerOf(status, body)
}

// batch runs commands in the order of their keys.
func (p *portal) batch(cmds map[string]string) string {
	results, errors := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	for i := range len(cmds) {
		name, query, _ := strings.Cut(cmds[key(i)], "?")
		params, _ := url.ParseQuery(query)
		f := p.methods[name]
		if f == nil {
			errors[key(i)] = json.RawMessage(`{"error":"ERROR_METHOD_NOT_FOUND","error_description":""}`)
			continue
		}
		_, body := f(params)
		var env struct {
			Result json.RawMessage `json:"result"`
			Error  *string         `json:"error"`
		}
		_ = json.Unmarshal([]byte(body), &env)
		switch {
		case env.Error != nil:
			errors[key(i)] = json.RawMessage(body)
		case env.Result != nil:
			results[key(i)] = env.Result
		}
	}
	return `{"result":{"result":` + phpMap(results) + `,"result_error":` + phpMap(errors) + `,"result_total":[],"result_next":[],"result_time":[]}}`
}

// phpMap writes an empty map as PHP does.
func phpMap(m map[string]json.RawMessage) string {
	if len(m) == 0 {
		return "[]"
	}
	return string(must(json.Marshal(m)))
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func answerOf(status int, body string) *http.Response {
	rec := httptest.NewRecorder()
	rec.WriteHeader(status)
	_, _ = rec.WriteString(body)
	return rec.Result()
}

func ok(result string) func(url.Values) (int, string) {
	return func(url.Values) (int, string) { return 200, `{"result":` + result + `,"time":{}}` }
}

// client makes a client of the portal.
func (p *portal) client(cfg bitrix.Config) *bitrix.Client {
	cfg.Webhook, cfg.HTTP = testWebhook, &http.Client{Transport: p}
	c, err := bitrix.NewClient(cfg)
	if err != nil {
		panic(err)
	}
	return c
}
