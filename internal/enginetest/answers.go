package enginetest

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync"

	"github.com/b24rules/b24rules/bitrix"
)

// Answers is a portal that gives the same answer to each call of a method. A method
// without an answer fails with ERROR_METHOD_NOT_FOUND.
type Answers struct {
	*bitrix.Client // describes lists and types
	answers        map[string]string

	mu   sync.Mutex
	sent []string
}

// cleaner is the part of testing.TB that NewAnswers uses.
type cleaner interface {
	TB
	Cleanup(func())
}

// NewAnswers returns a portal. The keys of answers are methods, the values are the JSON of
// their results. The key "METHOD ID" answers only the calls with this id or ELEMENT_ID.
func NewAnswers(t cleaner, answers map[string]string) *Answers {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, ok := answers[strings.TrimSuffix(path.Base(r.URL.Path), ".json")]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			text = `null, "error": "ERROR_METHOD_NOT_FOUND"`
		}
		_, _ = w.Write([]byte(`{"result": ` + text + `}`)) // the client sees a short answer
	}))
	t.Cleanup(server.Close)
	client, err := bitrix.NewClient(bitrix.Config{Webhook: bitrix.Secret(server.URL + "/rest/1/abc/"), Plan: bitrix.PlanUnlimited})
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(client.Close)
	return &Answers{Client: client, answers: answers}
}

// Do answers all calls.
func (p *Answers) Do(_ context.Context, calls ...bitrix.Call) []bitrix.Answer {
	out := make([]bitrix.Answer, len(calls))
	for i, c := range calls {
		out[i] = p.answer(c)
	}
	return out
}

// List returns the rows of one answer.
func (p *Answers) List(_ context.Context, c bitrix.Call, wrapper string) ([]json.RawMessage, error) {
	a := p.answer(c)
	if a.Err != nil {
		return nil, a.Err
	}
	var rows []json.RawMessage
	if wrapper == "" {
		return rows, json.Unmarshal(a.Result, &rows)
	}
	var wrapped map[string][]json.RawMessage
	err := json.Unmarshal(a.Result, &wrapped)
	return wrapped[wrapper], err
}

// Sent returns the methods of the calls so far, in order.
func (p *Answers) Sent() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.sent...)
}

func (p *Answers) answer(c bitrix.Call) bitrix.Answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent = append(p.sent, c.Method)
	for _, id := range []any{c.Params["id"], c.Params["ELEMENT_ID"], nil} {
		key := c.Method
		if id != nil {
			text, _ := json.Marshal(id) // an id is a number
			key += " " + string(text)
		}
		if text, ok := p.answers[key]; ok {
			return bitrix.Answer{Total: -1, Next: -1, Result: json.RawMessage(text)}
		}
	}
	return bitrix.Answer{Total: -1, Next: -1, Err: &bitrix.Error{Method: c.Method, Status: http.StatusNotFound, Code: "ERROR_METHOD_NOT_FOUND", Outcome: bitrix.Executed}}
}
