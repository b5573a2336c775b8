package actions_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/dryrun"
	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/engine/private"
	"github.com/b24rules/b24rules/engine/run"
)

// requesting is a script whose rule has one http step, for the system at the input base.
func requesting(t *testing.T, url, step string) *script {
	x := newScript(t, emulator.Config{})
	x.compile([]byte(fmt.Sprintf(`version: 1
inputs:
  token: {type: secret}
  base: {type: string, default: "%s"}
rules:
  r:
    on: ONCRMDEALUPDATE
    steps:
      - id: deal
        fetch_item: {owner: deal, id: =event.id}
      - id: answer
        once: =deal.title
        http: %s
      - log: {message: "{{ deal.title }} {{ answer?.status ?? 0 }} {{ answer?.body != nil }}"}
`, url, step)))
	if strings.Contains(x.findings, "error") {
		t.Fatal(x.findings)
	}
	x.perform("rest", `crm.deal.add {"fields":{"TITLE":"a/../b?&"}}`)
	var err error
	if x.private, err = private.ParseHosts([]string{"127.0.0.0/8"}); err != nil {
		t.Fatal(err)
	}
	return x
}

// TestHTTPRequests checks what the other system gets, and that no secret is in the record
// of the run or in its error.
func TestHTTPRequests(t *testing.T) {
	for _, tt := range []struct {
		name, step, want string
		fails            string
	}{
		{
			"a token in the path", `{url: "{{ inputs.base }}/bot{{ inputs.token }}/sendMessage", json: {chat_id: 7, text: "{{ deal.title }}"}, plain_http: true}`,
			`POST /bott0k/en%22with%5Cquotes/sendMessage {"chat_id":7,"text":"a/../b?&"}`, "",
		},
		{
			"data in the path", `{url: "{{ inputs.base }}/x/{{ deal.title }}?old=1", query: {q: =deal.title, n: [1, 2.50], key: =inputs.token, no: =omit}, plain_http: true}`,
			`GET /x/a%2F..%2Fb%3F&?old=1&key=t0k%2Fen%22with%5Cquotes&n=1&n=2.5&q=a%2F..%2Fb%3F%26 `, "",
		},
		{
			"a secret in the query of the URL", `{url: "{{ inputs.base }}/?key={{ inputs.token }}&q={{ deal.title }}", plain_http: true}`,
			`GET /?key=t0k%2Fen%22with%5Cquotes&q=a%2F..%2Fb%3F%26 `, "",
		},
		{
			"a form", `{url: "{{ inputs.base }}/f", form: {a: =deal.title, key: "k {{ inputs.token }}", yes: true}, method: PUT, plain_http: true}`,
			`PUT /f a=a%2F..%2Fb%3F%26&key=k+t0k%2Fen%22with%5Cquotes&yes=true`, "",
		},
		{
			"JSON with a secret inside", `{url: "{{ inputs.base }}/j", json: [{a: [=inputs.token, =omit, 0.10]}], plain_http: true}`,
			`POST /j [{"a":["t0k/en\"with\\quotes",0.1]}]`, "",
		},
		{"text", `{url: "{{ inputs.base }}/t", text: "<a/>", headers: {Content-Type: text/xml}, plain_http: true}`, `POST /t <a/>`, ""},
		{"deletion", `{url: "{{ inputs.base }}/d", method: DELETE, plain_http: true}`, `DELETE /d `, ""},
		{"an empty value in the path", `{url: "{{ inputs.base }}/d/{{ trimPrefix(deal.title ?? '', deal.title ?? '') }}/x", method: DELETE, plain_http: true}`, "", "a value in the path of the address is empty"},
		{"two dots in the path", `{url: "{{ inputs.base }}/d/{{ get(split(deal.title ?? '', '/'), 1) ?? '' }}/x", method: DELETE, plain_http: true}`, "", "path"},
		{"a value that is missing", `{url: "{{ inputs.base }}/m", query: {q: =nil}, plain_http: true}`, "", "query: q has no value: write omit to send nothing"},
		{"a record in a form", `{url: "{{ inputs.base }}/m", form: {q: {a: 1}}, plain_http: true}`, "", "form: q is a record, which a URL and a form cannot hold"},
		{"a refusal that repeats the secret", `{url: "{{ inputs.base }}/refuse?key={{ inputs.token }}", plain_http: true}`, `GET /refuse?key=t0k%2Fen%22with%5Cquotes `, "was answered 403 Forbidden: no <secret>"},
		{"a read without a whole answer", `{url: "{{ inputs.base }}/long", plain_http: true}`, `GET /long `, "its answer is longer than 1024 KiB"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStock(t)
			switch {
			case strings.Contains(tt.want, "/refuse"):
				s.fail = []http.HandlerFunc{func(w http.ResponseWriter, _ *http.Request) {
					w.WriteHeader(http.StatusForbidden)
					fmt.Fprint(w, "no "+stockToken)
				}}
			case strings.Contains(tt.want, "/long"):
				s.fail = []http.HandlerFunc{func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat("x", 2<<20)) }}
			}
			x := requesting(t, s.URL, tt.step)
			trace, err := x.post(x.memory)
			if tt.fails == "" && err != nil || tt.fails != "" && (err == nil || !strings.Contains(err.Error(), tt.fails)) {
				t.Fatalf("the run ends with %v, want %q", err, tt.fails)
			}
			got := ""
			for i, r := range s.got() {
				got += r.Method + " " + r.RequestURI + " " + s.bodies[i]
				if writes := r.Method != http.MethodGet; writes != (r.Header.Get("Idempotency-Key") != "") {
					t.Errorf("%s has the headers %v", r.Method, r.Header)
				}
			}
			if got != tt.want {
				t.Errorf("the system got %s\nwant %s", got, tt.want)
			}
			text, unpackErr := history.UnpackRecord(trace.Record(0, nil))
			if unpackErr != nil {
				t.Fatal(unpackErr)
			}
			for _, spelling := range spellings(stockToken) {
				if strings.Contains(string(text), spelling) || err != nil && strings.Contains(err.Error(), spelling) {
					t.Errorf("the secret is in the record or the error: %s %v", text, err)
				}
			}
		})
	}
}

// spellings are the secret as JSON, a URL and a form write it.
func spellings(secret string) []string {
	quoted, _ := json.Marshal(secret)
	return []string{secret, strings.Trim(string(quoted), `"`), "t0k%2Fen%22with%5Cquotes", "t0k/en%22with%5Cquotes"}
}

// TestHTTPSecretURL checks a URL that is a secret as a whole: neither the URL nor its host
// is shown, not even when the address is refused.
func TestHTTPSecretURL(t *testing.T) {
	s := newStock(t)
	x := newScript(t, emulator.Config{})
	x.compile([]byte(`version: 1
inputs:
  hook: {type: secret}
rules:
  r:
    on: ONCRMDEALUPDATE
    steps:
      - id: answer
        once: =event.id
        http: {url: =inputs.hook, json: {text: hello}, plain_http: true}
`))
	for _, allowed := range []bool{true, false} {
		hosts := []string{}
		if allowed {
			hosts = []string{"127.0.0.0/8"}
		}
		reach, err := private.ParseHosts(hosts)
		if err != nil {
			t.Fatal(err)
		}
		inputs, problems := x.rules.BindInputs(map[string]string{"hook": s.URL + "/services/T0/B0/xyzzy"})
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		trace, err := run.Run{
			Portal: "test", Client: x.client, Entity: engine.Entity{Kind: "deal", TypeID: 2, ID: "1"}, Count: 1, Attempt: 1,
			Inputs: inputs, Memory: &run.LocalMemory{}, ID: "12", Private: reach,
		}.Do(t.Context(), x.rules.Rules[0])
		if (err == nil) != allowed {
			t.Fatal(err)
		}
		text, unpackErr := history.UnpackRecord(trace.Record(0, nil))
		if unpackErr != nil {
			t.Fatal(unpackErr)
		}
		host := strings.TrimPrefix(s.URL, "http://")
		for _, hidden := range []string{"xyzzy", host} {
			if shown := string(text) + fmt.Sprint(err); strings.Contains(shown, hidden) {
				t.Errorf("%q is shown: %s", hidden, shown)
			}
		}
		if !allowed && !strings.Contains(err.Error(), "the host of the URL is this machine or in a private network") {
			t.Error(err)
		}
	}
	if got := s.got(); len(got) != 1 || got[0].URL.Path != "/services/T0/B0/xyzzy" {
		t.Errorf("the system got %v", got)
	}
}

// TestHTTPRedirects checks which redirects are followed: to the same host, and for a write
// only with the same method.
func TestHTTPRedirects(t *testing.T) {
	other := newStock(t)
	for _, tt := range []struct {
		method, location string
		status, requests int
		follows          bool
	}{
		{"GET", "/new", 302, 2, true},
		{"GET", other.URL, 302, 1, false},
		{"POST", "/new", 303, 1, false},
		{"POST", "/new", 307, 2, true},
	} {
		s := newStock(t)
		s.fail = []http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, tt.location, tt.status)
		}}
		x := requesting(t, s.URL, `{url: "{{ inputs.base }}/old", method: `+tt.method+`, headers: {X-Key: =inputs.token}, plain_http: true}`)
		_, err := x.post(x.memory)
		var re *run.RunError
		if follows := err == nil; follows != tt.follows || !follows && (!errors.As(err, &re) || re.Verdict != run.Park) {
			t.Errorf("%s %d to %s: %v", tt.method, tt.status, tt.location, err)
		}
		if n := len(s.got()); n != tt.requests {
			t.Errorf("%s %d to %s: %d requests", tt.method, tt.status, tt.location, n)
		}
	}
	if len(other.got()) > 0 {
		t.Error("another host got a request")
	}
}

// TestHTTPDryRun checks that a dry run sends reads and no writes.
func TestHTTPDryRun(t *testing.T) {
	for method, sent := range map[string]int{"GET": 1, "POST": 0} {
		s := newStock(t)
		x := requesting(t, s.URL, `{url: "{{ inputs.base }}/x?key={{ inputs.token }}", method: `+method+`, plain_http: true}`)
		inputs, problems := x.rules.BindInputs(map[string]string{"token": stockToken})
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		dry := &dryrun.Run{}
		if _, err := (run.Run{
			Portal: "test", Client: x.client, Entity: engine.Entity{Kind: "deal", TypeID: 2, ID: "1"}, Count: 1, Attempt: 1,
			Inputs: inputs, Memory: x.memory, ID: "12", Private: x.private, DryRun: dry,
		}).Do(t.Context(), x.rules.Rules[0]); err != nil {
			t.Fatal(err)
		}
		writes := dry.Writes()
		if len(s.got()) != sent || len(writes) != 1-sent {
			t.Errorf("%s: %d requests, %d writes", method, len(s.got()), len(writes))
		}
		if sent == 0 && fmt.Sprint(writes[0].Call.Params["url"]) != s.URL+"/x?key=<secret>" {
			t.Errorf("the plan shows %v", writes[0].Call.Params)
		}
	}
}
