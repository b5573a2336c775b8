package dump_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/internal/app/dump"
	"github.com/b24rules/b24rules/internal/redact"
)

// lines returns the records of a dump without time, level and duration.
func lines(t *testing.T, text string) []map[string]any {
	t.Helper()
	var out []map[string]any
	for line := range strings.Lines(text) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		delete(m, "time")
		delete(m, "level")
		delete(m, "took")
		out = append(out, m)
	}
	return out
}

func newDump(secrets ...string) (*dump.Dump, *bytes.Buffer) {
	var out bytes.Buffer
	return dump.New(slog.New(slog.NewJSONHandler(&out, nil)), redact.New(secrets...)), &out
}

func compare(t *testing.T, got string, want ...map[string]any) {
	t.Helper()
	if diff := cmp.Diff(want, lines(t, got)); diff != "" {
		t.Errorf("dump (-want +got):\n%s", diff)
	}
}

func TestEvent(t *testing.T) {
	t.Parallel()
	d, out := newDump("s3cr3t-t0k3n")
	d.Event("main", []byte("event=ONCRMDEALUPDATE&data%5BFIELDS%5D%5BID%5D=7&auth%5Bapplication_token%5D=s3cr3t-t0k3n&auth%5Baccess_token%5D=another"))
	d.Event("main", []byte("bad=\xff"))
	compare(t, out.String(),
		map[string]any{"msg": "event", "portal": "main", "form": map[string]any{
			"event": "ONCRMDEALUPDATE", "data": map[string]any{"FIELDS": map[string]any{"ID": "7"}},
			"auth": map[string]any{"application_token": "<secret>", "access_token": "<secret>"},
		}},
		map[string]any{"msg": "event", "portal": "main", "form": map[string]any{"bad": "\uFFFD"}})
	(*dump.Dump)(nil).Event("main", nil)
}

// TestRequests covers a method, a batch, and answers that are errors or not JSON.
func TestRequests(t *testing.T) {
	t.Parallel()
	answers := map[string]string{
		"crm.deal.get":  `{"result":{"ID":"7","FILE":"https:\/\/acme.example\/rest\/1\/c0de0fthehook\/x"},"time":{"start":1}}`,
		"batch":         `{"result":{"result":[{"ID":"7"}],"result_error":{"1":{"error":"ACCESS_DENIED"}},"result_total":[],"result_next":[],"result_time":[{"duration":0.1}]}}`,
		"crm.deal.list": "<html>c0de0fthehook</html>",
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
		if method == "crm.deal.list" {
			w.WriteHeader(http.StatusBadGateway)
		}
		_, _ = io.WriteString(w, answers[method])
	}))
	defer server.Close()
	d, out := newDump(server.URL + "/rest/1/c0de0fthehook/")
	client := &http.Client{Transport: d.Transport("main", "", http.DefaultTransport)}
	post := func(method, contentType, body string) {
		t.Helper()
		resp, err := client.Post(server.URL+"/rest/1/c0de0fthehook/"+method, contentType, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(resp.Body)
		if err != nil || string(data) != answers[method] {
			t.Errorf("%s: the client reads %q, %v", method, data, err)
		}
		_ = resp.Body.Close()
		_ = resp.Body.Close() // closing twice dumps once
	}
	post("crm.deal.get", "application/json", `{"id":7,"auth":"t0k3n"}`)
	post("batch", "application/json", `{"halt":0,"cmd":["crm.deal.get?id=7","crm.deal.update?id=7&fields%5BTITLE%5D=c0de0fthehook"],"auth":"t0k3n"}`)
	post("crm.deal.list", "application/json", `{}`)
	post("oauth.token", "application/x-www-form-urlencoded", "refresh_token=x") // not dumped
	compare(t, out.String(),
		map[string]any{
			"msg": "request", "portal": "main", "request": 1., "method": "crm.deal.get", "status": 200., "params": map[string]any{"id": 7., "auth": "<secret>"},
			"answer": map[string]any{"result": map[string]any{"ID": "7", "FILE": "https://acme.example/rest/1/<secret>/x"}, "time": map[string]any{"start": 1.}},
		},
		map[string]any{"msg": "request", "portal": "main", "request": 2., "method": "batch", "status": 200., "halt": 0., "commands": 2.},
		map[string]any{
			"msg": "command", "portal": "main", "request": 2., "command": 0., "method": "crm.deal.get", "params": map[string]any{"id": "7"},
			"result": map[string]any{"ID": "7"}, "timing": map[string]any{"duration": 0.1},
		},
		map[string]any{
			"msg": "command", "portal": "main", "request": 2., "command": 1., "method": "crm.deal.update",
			"params": map[string]any{"id": "7", "fields": map[string]any{"TITLE": "<secret>"}}, "error": map[string]any{"error": "ACCESS_DENIED"},
		},
		map[string]any{"msg": "request", "portal": "main", "request": 3., "method": "crm.deal.list", "status": 502., "params": map[string]any{}, "answer": "<html><secret></html>"})
}

type failing struct{}

func (failing) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("dial c0de0fthehook: refused")
}

func TestRequestWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	d, out := newDump("c0de0fthehook")
	client := &http.Client{Transport: d.Transport("main", "", failing{})}
	if _, err := client.Post("http://acme.example/rest/1/x/crm.deal.get.json", "application/json", strings.NewReader(`{"id":7}`)); err == nil {
		t.Error("no error")
	}
	compare(t, out.String(), map[string]any{
		"msg": "request", "portal": "main", "request": 1., "method": "crm.deal.get", "status": 0., "params": map[string]any{"id": 7.}, "failure": "dial <secret>: refused",
	})
	if got := (*dump.Dump)(nil).Transport("main", "", failing{}); got != (failing{}) {
		t.Errorf("no dump wraps the transport: %v", got)
	}
}
