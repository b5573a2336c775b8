package actions_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/engine/private"
	"github.com/b24rules/b24rules/engine/run"
)

const stockToken = `t0k/en"with\quotes`

// stock is another system.
type stock struct {
	*httptest.Server
	mu       sync.Mutex // guards the rest
	requests []*http.Request
	bodies   []string
	// fail answers what it says, once each.
	fail []http.HandlerFunc
}

func newStock(t *testing.T) *stock {
	s := &stock{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if fail := s.take(r, string(body)); fail != nil {
			fail(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		echo, _ := json.Marshal(r.Header.Get("Authorization"))
		fmt.Fprintf(w, `{"id":7,"sum":0.10,"you":%s}`, echo)
	}))
	t.Cleanup(s.Close)
	return s
}

// take notes a request and returns how it is to fail; nil does not.
func (s *stock) take(r *http.Request, body string) (fail http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests, s.bodies = append(s.requests, r), append(s.bodies, body)
	if len(s.fail) > 0 {
		fail, s.fail = s.fail[0], s.fail[1:]
	}
	return fail
}

// got are the requests so far.
func (s *stock) got() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// posting is a script whose rule posts to a stock.
func posting(t *testing.T, s *stock, more string) *script {
	x := newScript(t, emulator.Config{})
	x.compile([]byte(fmt.Sprintf(`version: 1
inputs:
  token: {type: secret}
  stock: {type: string, default: "%s"}
rules:
  r:
    on: ONCRMDEALUPDATE
    steps:
      - id: stock
        once: =event.id
        http_post:
          url: "{{ inputs.stock }}/reservations"
          plain_http: true
          headers: {Authorization: "Bearer {{ inputs.token }}"}
          body: {deal: =event.id, sum: 0.10, none: =nil, tags: [a, =omit], text: "<&>"}
%s`, s.URL, more)))
	if x.findings != "" {
		t.Fatal(x.findings)
	}
	x.perform("rest", `crm.deal.add {"fields":{"TITLE":"Roof"}}`)
	var err error
	if x.private, err = private.ParseHosts([]string{"127.0.0.0/8"}); err != nil {
		t.Fatal(err)
	}
	return x
}

// post runs the rule over a real connection.
func (s *script) post(m *run.LocalMemory) (*history.Trace, error) {
	inputs, problems := s.rules.BindInputs(map[string]string{"token": stockToken})
	if len(problems) > 0 {
		s.t.Fatal(problems)
	}
	return run.Run{
		Portal: "test", Client: s.client, Entity: engine.Entity{Kind: "deal", TypeID: 2, ID: "1"}, Count: 1, Attempt: 1,
		Inputs: inputs, Memory: m, ID: "12", Private: s.private,
	}.Do(s.t.Context(), s.rules.Rules[0])
}

// TestPostSends: what another system gets, and what is kept of it.
func TestPostSends(t *testing.T) {
	s := newStock(t)
	x := posting(t, s, "      - update_item: {owner: deal, id: =event.id, fields: {title: '{{ stock?.body?.you ?? 0 }} {{ stock?.body?.sum ?? 0 }} {{ stock?.status ?? 0 }}'}}\n")
	trace, err := x.post(x.memory)
	if err != nil {
		t.Fatal(err)
	}
	r := s.got()[0]
	if got := r.Header.Get("Authorization"); got != "Bearer "+stockToken {
		t.Errorf("the system got the header %q", got)
	}
	if want := `{"deal":1,"none":null,"sum":0.1,"tags":["a"],"text":"<&>"}`; s.bodies[0] != want {
		t.Errorf("the system got %s\nwant %s", s.bodies[0], want)
	}
	if r.Header.Get("Content-Type") != "application/json" || !strings.HasPrefix(r.Header.Get("Idempotency-Key"), "b24r-") {
		t.Errorf("headers %v", r.Header)
	}
	// The answer repeats the secret.
	const want = `crm.item.get {"entityTypeId":2,"id":1}`
	if got := x.state(want); !strings.Contains(got, `Bearer <secret> 0.1 200`) {
		t.Errorf("the portal has %s", got)
	}
	text, err := history.UnpackRecord(trace.Record(0, nil))
	if err != nil {
		t.Fatal(err)
	}
	quoted, _ := json.Marshal(stockToken)
	for _, secret := range []string{stockToken, strings.Trim(string(quoted), `"`)} {
		if strings.Contains(string(text), secret) {
			t.Errorf("the history holds the secret: %s", text)
		}
	}
	if !strings.Contains(string(text), `"Authorization":"Bearer <secret>"`) || !strings.Contains(string(text), `"token":"<secret>"`) {
		t.Errorf("the history does not tell that there was a secret: %s", text)
	}
}

// TestPostAnswers: what follows from each kind of answer, and that a lost one is
// sent again with the same key.
func TestPostAnswers(t *testing.T) {
	other := newStock(t)
	answer := func(status int, header, value, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if header != "" {
				w.Header().Set(header, value)
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	breakOff := func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }
	cutShort := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, `{"id":`)
	}
	for _, tt := range []struct {
		name    string
		fail    http.HandlerFunc
		verdict run.Verdict
		text    string // of the error; "" is none
		later   bool
	}{
		{"created", answer(201, "", "", `{"id":7}`), 0, "", false},
		{"no body", answer(204, "", "", ""), 0, "", false},
		{"no JSON", answer(200, "", "", "thanks"), 0, "", false},
		{"too long", answer(200, "", "", `"`+strings.Repeat("x", 2<<20)+`"`), 0, "", false},
		{"an answer that breaks off", cutShort, 0, "", false},
		{"no answer", breakOff, run.Retry, "the request to ", false},
		{"busy", answer(503, "", "", ""), run.Retry, "was answered 503 Service Unavailable", false},
		{"busy until", answer(429, "Retry-After", "600", ""), run.Retry, "was answered 429 Too Many Requests", true},
		{"refused", answer(422, "", "", `{"error":"no such product, Bearer `+`t0k/en\"with\\quotes"}`), run.Park, `was answered 422 Unprocessable Entity: {"error":"no such product, Bearer <secret>"}`, false},
		{"elsewhere", answer(307, "Location", other.URL, ""), run.Park, "was answered 307 Temporary Redirect: only redirects to the same host", false},
		{"to a page", answer(302, "Location", "/login", ""), run.Park, "was answered 302 Found", false},
		{"moved on the same host", answer(308, "Location", "/v2/reservations", ""), 0, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStock(t)
			x := posting(t, s, "")
			s.fail = []http.HandlerFunc{tt.fail}
			m := x.memory
			_, err := x.post(m)
			var re *run.RunError
			switch {
			case tt.text == "":
				if err != nil {
					t.Fatal(err)
				}
			case !errors.As(err, &re) || re.Verdict != tt.verdict || !strings.Contains(re.Error(), tt.text):
				t.Fatalf("the run ends with %v, want verdict %d with %s", err, tt.verdict, tt.text)
			case tt.later != (time.Until(re.NotBefore) > 5*time.Minute):
				t.Errorf("it is tried again from %v", re.NotBefore)
			}
			sent := len(s.got())
			if _, err := x.post(m); err != nil {
				t.Fatal(err)
			}
			if again := len(s.got()) > sent; again != (tt.text != "") {
				t.Errorf("sent again: %v", again)
			}
			for _, r := range s.got() {
				if got, want := r.Header.Get("Idempotency-Key"), s.got()[0].Header.Get("Idempotency-Key"); got != want {
					t.Errorf("sent again with the key %s, the first was %s", got, want)
				}
			}
		})
	}
	if len(other.got()) > 0 {
		t.Error("another host got a request")
	}
}
