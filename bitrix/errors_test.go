package bitrix_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/bitrix"
)

// judged is what matters of an error.
type judged struct {
	Code      string
	Status    int
	Outcome   bitrix.Outcome
	Temporary bool
}

func judge(t *testing.T, err error) judged {
	t.Helper()
	var e *bitrix.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v (%T) is no *bitrix.Error", err, err)
	}
	return judged{e.Code, e.Status, e.Outcome, e.Temporary()}
}

// TestAnswers holds how a writing call's answer is judged.
func TestAnswers(t *testing.T) {
	tests := []struct {
		name   string
		status int
		body   string
		want   judged
	}{
		{"not found", 400, `{"error":"NOT_FOUND","error_description":"Not found"}`, judged{"NOT_FOUND", 400, bitrix.Executed, false}},
		{"empty code", 400, `{"error":"","error_description":"Access denied"}`, judged{"", 400, bitrix.Executed, false}},
		{"code 0", 400, `{"error":0,"error_description":"x"}`, judged{"0", 400, bitrix.Executed, false}},
		{"code 100 as text", 400, `{"error":"100","error_description":"x"}`, judged{"100", 400, bitrix.Executed, false}},
		{"error with status 200", 200, `{"error":"wrong_client"}`, judged{"wrong_client", 200, bitrix.Executed, false}},
		{"REST 3.0 error", 400, `{"error":{"code":"X_EXCEPTION","message":"no"}}`, judged{"X_EXCEPTION", 400, bitrix.Executed, false}},
		{"method not found", 404, `{"error":"ERROR_METHOD_NOT_FOUND","error_description":"Method not found!"}`, judged{"ERROR_METHOD_NOT_FOUND", 404, bitrix.NotExecuted, false}},
		{"bad secret", 401, `{"error":"INVALID_CREDENTIALS","error_description":"Invalid request credentials"}`, judged{"INVALID_CREDENTIALS", 401, bitrix.NotExecuted, false}},
		{"scope", 403, `{"error":"insufficient_scope","error_description":""}`, judged{"insufficient_scope", 403, bitrix.NotExecuted, false}},
		{"plan", 403, `{"error":"ACCESS_DENIED","error_description":"REST API is available only on commercial plans"}`, judged{"ACCESS_DENIED", 403, bitrix.NotExecuted, false}},
		{"no right to the object", 400, `{"error":"ACCESS_DENIED","error_description":"Access denied"}`, judged{"ACCESS_DENIED", 400, bitrix.Executed, false}},
		{"operating limit", 429, `{"error":"OPERATION_TIME_LIMIT","error_description":"x"}`, judged{"OPERATION_TIME_LIMIT", 429, bitrix.NotExecuted, true}},
		{"server fault", 500, `{"error":"INTERNAL_SERVER_ERROR","error_description":"x"}`, judged{"INTERNAL_SERVER_ERROR", 500, bitrix.Unknown, true}},
		{"deleted", 500, `{"error":"PORTAL_DELETED","error_description":"x"}`, judged{"PORTAL_DELETED", 500, bitrix.NotExecuted, false}},
		{"HTML 500", 500, `<html>oops</html>`, judged{"BAD_ANSWER", 500, bitrix.Unknown, true}},
		{"HTML 502", 502, `<html>bad gateway</html>`, judged{"BAD_ANSWER", 502, bitrix.Unknown, true}},
		{"HTML 403", 403, `<html>forbidden</html>`, judged{"BAD_ANSWER", 403, bitrix.NotExecuted, true}},
		{"HTML 200", 200, `<html>log in</html>`, judged{"BAD_ANSWER", 200, bitrix.Unknown, true}},
		{"cut off", 200, `{"result":{"item":{"id":1`, judged{"BAD_ANSWER", 200, bitrix.Unknown, true}},
		{"empty", 200, ``, judged{"BAD_ANSWER", 200, bitrix.Unknown, true}},
		{"no result", 200, `{"time":[]}`, judged{"BAD_ANSWER", 200, bitrix.Unknown, true}},
		{"a list", 200, `[]`, judged{"BAD_ANSWER", 200, bitrix.Unknown, true}},
		{"too large", 200, `{"result":"` + strings.Repeat("x", 4096) + `"}`, judged{"BAD_ANSWER", 200, bitrix.Unknown, true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := 0
			h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				n++
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			})
			c := newClient(t, h, func(cfg *bitrix.Config) { cfg.MaxAnswer = 4096 })
			err := c.Do(t.Context(), update(1))[0].Err
			if diff := cmp.Diff(tt.want, judge(t, err)); diff != "" {
				t.Errorf("%v\n%s", err, diff)
			}
			if n != 1 {
				t.Errorf("a write was sent %d times", n)
			}
		})
	}
}

// TestTolerated holds what a portal may write in its answers.
func TestTolerated(t *testing.T) {
	for _, body := range []string{
		`{"result":true,"total":"3","next":"50","time":[]}`,
		`{"result":true,"total":3,"next":50,"time":{"operating":"x"}}`,
		`{"total":3,"result":true,"next":50,"time":null,"error":null}`,
		" {\"result\":true,\"total\":3,\"next\":50,\"time\":{\"operating\":0,\"operating_reset_at\":1}}\n",
	} {
		c := newClient(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }))
		want := bitrix.Answer{Result: json.RawMessage("true"), Total: 3, Next: 50, Batch: 1}
		if diff := cmp.Diff(want, c.Do(t.Context(), get(1))[0]); diff != "" {
			t.Errorf("%s\n%s", body, diff)
		}
	}
}

// TestBatchForms holds how the members of a batch's answer may look.
func TestBatchForms(t *testing.T) {
	const notFound = `{"error":"","error_description":"Not found"}`
	tests := []struct {
		name, body string
		want       []string
	}{
		{"lists", `{"result":["a","b"],"result_error":[],"result_total":[],"result_next":[],"result_time":[[],[]]}`, []string{`"a"`, `"b"`}},
		{"objects", `{"result":{"0":"a","1":null},"result_error":[],"result_total":{"0":7},"result_next":{"0":"50"}}`, []string{`"a"`, `null`}},
		{"error first", `{"result":{"1":"b"},"result_error":[` + notFound + `]}`, []string{"m: Not found", `"b"`}},
		{"error second", `{"result":["a"],"result_error":{"1":` + notFound + `}}`, []string{`"a"`, "m: Not found"}},
		{"all fail", `{"result":[],"result_error":[` + notFound + `,"plain text"]}`, []string{"m: Not found", "m: plain text"}},
		{"one is missing", `{"result":["a"],"result_error":[]}`, []string{`"a"`, "m: BAD_ANSWER: the batch has no answer for this command"}},
		{"no members", `[]`, []string{"m: BAD_ANSWER: the answer of a batch has another shape", "m: BAD_ANSWER: the answer of a batch has another shape"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newClient(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, `{"result":`+tt.body+`,"time":{}}`)
			}))
			m := bitrix.Call{Method: "m", Write: true}
			a := c.Do(t.Context(), m, m)
			if diff := cmp.Diff(tt.want, results(a)); diff != "" {
				t.Error(diff)
			}
			if tt.name == "objects" && (a[0].Total != 7 || a[0].Next != 50 || a[1].Total != -1) {
				t.Errorf("numbers %v", a)
			}
			if err := a[1].Err; tt.name == "one is missing" && judge(t, err).Outcome != bitrix.Unknown {
				t.Errorf("outcome of %v", err)
			}
		})
	}
}

// TestUnknownOutcome: of a batch that was lost, reads are repeated and writes
// are left to the caller.
func TestUnknownOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := 2
		p := &portal{methods: items(), before: func(w http.ResponseWriter, _ string) bool {
			if lost--; lost >= 0 {
				http.Error(w, "<html>bad gateway</html>", http.StatusBadGateway)
				return true
			}
			return false
		}}
		c := newClient(t, p)
		defer c.Close()
		a := c.Do(t.Context(), get(1), update(2), get(3))
		if a[0].Err != nil || a[2].Err != nil {
			t.Errorf("reads: %v", results(a))
		}
		if got := judge(t, a[1].Err); got.Outcome != bitrix.Unknown {
			t.Errorf("write: %+v", got)
		}
		want := []string{"batch(crm.item.get crm.item.update crm.item.get)", "batch(crm.item.get crm.item.get)", "batch(crm.item.get crm.item.get)"}
		if diff := cmp.Diff(want, p.asked()); diff != "" {
			t.Error(diff)
		}
		lost = 100
		if got := judge(t, c.Do(t.Context(), get(1))[0].Err); got.Outcome != bitrix.Unknown {
			t.Errorf("a read that is always lost: %+v", got)
		}
		if lost != 97 {
			t.Errorf("sent %d times, want 3", 100-lost)
		}
	})
}

// TestRepeatsPause: a read that was lost waits for its repeat, though requests
// of others go out in the meantime.
func TestRepeatsPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries []time.Time
		p := &portal{methods: items(), before: func(w http.ResponseWriter, method string) bool {
			if method != "crm.item.list" {
				return false
			}
			tries = append(tries, time.Now())
			w.WriteHeader(http.StatusBadGateway)
			return true
		}}
		c := newClient(t, p, func(cfg *bitrix.Config) { cfg.Plan = bitrix.PlanUnlimited })
		defer c.Close()
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.Do(t.Context(), bitrix.Call{Method: "crm.item.list"})
		}()
		for running := true; running; {
			select {
			case <-done:
				running = false
			case <-time.After(10 * time.Millisecond):
				if a := c.Do(t.Context(), get(1))[0]; a.Err != nil {
					t.Error(a.Err)
				}
			}
		}
		if len(tries) != 3 || tries[1].Sub(tries[0]) < 300*time.Millisecond || tries[2].Sub(tries[1]) < 1200*time.Millisecond {
			t.Errorf("tries at %v", tries)
		}
	})
}

func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, &portal{before: func(http.ResponseWriter, string) bool { time.Sleep(time.Minute); return false }},
			func(cfg *bitrix.Config) { cfg.Timeout = time.Second })
		defer c.Close()
		err := c.Do(t.Context(), update(1))[0].Err
		if got := judge(t, err); got.Outcome != bitrix.Unknown || got.Code != bitrix.CodeNetwork {
			t.Errorf("got %+v", got)
		}
		if errors.Is(err, context.DeadlineExceeded) {
			t.Error("the error says that the caller's time is over")
		}
	})
}

// TestDialErrors are repeated, writes too, for nothing was sent.
func TestDialErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		c := newClient(t, nil, func(cfg *bitrix.Config) {
			cfg.HTTP.Transport = brokenTransport(func(*http.Request) (*http.Response, error) {
				n++
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
			})
		})
		defer c.Close()
		got := judge(t, c.Do(t.Context(), update(1))[0].Err)
		if got.Outcome != bitrix.NotExecuted || !got.Temporary || n != 3 {
			t.Errorf("got %+v after %d tries", got, n)
		}
	})
}

// TestRealNetwork uses sockets: a server that refuses a connection, one that closes it
// without an answer, and one with an unknown certificate.
func TestRealNetwork(t *testing.T) {
	cut := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	}))
	defer cut.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	stranger := httptest.NewUnstartedServer(http.NotFoundHandler())
	stranger.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	stranger.StartTLS()
	defer stranger.Close()
	for _, tt := range []struct {
		url   string
		want  bitrix.Outcome
		times int64
	}{{cut.URL, bitrix.Unknown, 1}, {gone.URL, bitrix.NotExecuted, 3}, {stranger.URL, bitrix.NotExecuted, 3}} {
		synctest.Test(t, func(t *testing.T) {
			c := newClient(t, nil, func(cfg *bitrix.Config) {
				cfg.Webhook = bitrix.Secret(tt.url + "/rest/1/" + secretCode + "/")
				cfg.HTTP.Transport = &http.Transport{DisableKeepAlives: true}
			})
			defer c.Close()
			err := c.Do(t.Context(), update(1))[0].Err
			if got := judge(t, err); got.Outcome != tt.want || c.Stats().Requests != tt.times {
				t.Errorf("%v: outcome %s after %d requests, want %s after %d", err, got.Outcome, c.Stats().Requests, tt.want, tt.times)
			}
		})
	}
}

// TestSecretNeverLeaks makes every kind of error with a portal that repeats the
// webhook wherever it can, and looks at all that is printed or logged.
func TestSecretNeverLeaks(t *testing.T) {
	var logged bytes.Buffer
	log := slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	echoURL := func(r *http.Request) string { return r.URL.String() + " " + secretCode }
	transports := map[string]brokenTransport{
		"network error": func(r *http.Request) (*http.Response, error) { return nil, errors.New("cannot reach " + echoURL(r)) },
		"url error": func(r *http.Request) (*http.Response, error) {
			return nil, &url.Error{Op: "Post", URL: echoURL(r), Err: io.EOF}
		},
		"portal's text": func(r *http.Request) (*http.Response, error) {
			return answerText(400, `{"error":"E_`+secretCode+`","error_description":"no such URL: `+echoURL(r)+`"}`), nil
		},
		"HTML": func(r *http.Request) (*http.Response, error) { return answerText(500, "<html>"+echoURL(r)), nil },
		"moved": func(r *http.Request) (*http.Response, error) {
			resp := answerText(302, "")
			resp.Request = r
			resp.Header.Set("Location", "https://new.example/rest/1/"+secretCode+"/crm.item.get")
			return resp, nil
		},
		"batch": func(r *http.Request) (*http.Response, error) {
			return answerText(200, `{"result":{"result":[],"result_error":[{"error":"X","error_description":"`+echoURL(r)+`"},"`+echoURL(r)+`"]}}`), nil
		},
		"tls": func(*http.Request) (*http.Response, error) {
			return nil, &tls.CertificateVerificationError{Err: errors.New(secretCode)}
		},
		"refused": func(r *http.Request) (*http.Response, error) {
			return answerText(503, `{"error":"OVERLOAD_LIMIT","error_description":"`+echoURL(r)+`"}`), nil
		},
	}
	var seen strings.Builder
	for name, tr := range transports {
		c := newClient(t, nil, func(cfg *bitrix.Config) { cfg.HTTP.Transport, cfg.Log = tr, log })
		for _, a := range c.Do(t.Context(), update(1), update(2)) {
			fmt.Fprintf(&seen, "%s: %v %+v %#v\n", name, a.Err, a.Err, a.Err)
			log.Info("failed", "error", a.Err)
			for err := a.Err; err != nil; err = errors.Unwrap(err) {
				fmt.Fprintf(&seen, "  %v %#v\n", err, err)
			}
		}
		fmt.Fprintf(&seen, "%v %+v", c.Stats(), bitrix.Config{Webhook: webhook, Log: log})
	}
	s := bitrix.Secret(webhook)
	b, err := json.Marshal(map[string]any{"a": s, "b": []bitrix.Secret{s}, "c": &s})
	fmt.Fprintf(&seen, "%s %v %v %+v %#v %q %x %d %s %s", b, err, s, s, s, s, s, s, &s, []bitrix.Secret{s})
	log.Info("config", "webhook", s, "in", struct{ S bitrix.Secret }{s})
	for what, text := range map[string]string{"errors": seen.String(), "log": logged.String()} {
		hex := fmt.Sprintf("%x", secretCode)
		if strings.Contains(text, secretCode) || strings.Contains(text, hex) {
			t.Errorf("the secret is in the %s:\n%s", what, text)
		}
	}
	if !strings.Contains(logged.String(), "method=batch") || strings.Contains(logged.String(), "portal.example/rest") {
		t.Errorf("log:\n%s", logged.String())
	}
	if s.Reveal() != webhook {
		t.Error("Reveal does not")
	}
}

func TestMovedPortal(t *testing.T) {
	for _, tt := range []struct {
		from, to, code, text string
		temporary            bool
	}{
		{"https", "https://new.example/rest/", bitrix.CodeMoved, "the portal has moved to new.example: put that into the webhook's URL", false},
		{"http", "https://portal.example/rest/", bitrix.CodeMoved, "takes encrypted requests only: write https:// in the webhook's URL", false},
		{"https", "/auth/?login=yes", bitrix.CodeBadAnswer, "the answer (status 302) is a redirect to /auth/ on the same host", true},
	} {
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Host == "new.example" || r.URL.Path == "/auth/" {
				t.Error("the redirect was followed")
			}
			w.Header().Set("Location", tt.to)
			w.WriteHeader(http.StatusFound)
		})
		from := func(c *bitrix.Config) {
			c.Webhook = bitrix.Secret(tt.from + strings.TrimPrefix(c.Webhook.Reveal(), "https"))
		}
		err := newClient(t, h, from).Do(t.Context(), update(1))[0].Err
		if got := judge(t, err); got.Outcome != bitrix.NotExecuted || got.Code != tt.code || got.Temporary != tt.temporary || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: got %+v: %v", tt.to, got, err)
		}
	}
}
