package emulator_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/emulator"
)

// sendOnce sends a request on its own connection and says how it ended:
// the status and the body, or in one word what the connection came to.
func (p *portal) sendOnce(method, params string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 3*time.Minute)
	defer cancel()
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+p.WebhookPath()+method, strings.NewReader(params))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	switch {
	case errors.Is(err, syscall.ECONNRESET):
		return "reset"
	case errors.Is(err, io.EOF):
		return "closed"
	case err != nil:
		return err.Error()
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(resp.StatusCode, " ", resp.Header.Get("Content-Type"), resp.Header.Get("Location"), " ", string(raw))
}

// TestFaults sets each kind of fault for one command, alone and in the middle
// of a batch, and says what the client sees and which of the deals are there
// when it is over.
func TestFaults(t *testing.T) {
	t.Parallel()
	const json = "200 application/json; charset=utf-8 "
	for _, c := range []struct {
		name  string
		fault emulator.Fault
		// What one crm.deal.add comes to, and how many deals it leaves.
		single string
		deals  int
		// The same for a batch of scope, two deals and profile.
		batch      string
		batchDeals int
	}{
		{
			"delay",
			emulator.Fault{Kind: emulator.FaultDelay, Delay: time.Millisecond},
			json + `{"result":1,`, 1, json + `{"result":{"result":{"before":["calendar","crm","im","lists","user","userfieldconfig"],"one":1,"two":2,"after":`, 2,
		},
		{
			"refuse",
			emulator.Fault{Kind: emulator.FaultRefuse, Code: "OPERATION_TIME_LIMIT", Count: 1},
			`429 application/json; charset=utf-8 {"error":"OPERATION_TIME_LIMIT","error_description":"Method is blocked due to operation time limit."}`, 0,
			json + `{"result":{"result":{"before":["calendar","crm","im","lists","user","userfieldconfig"],"two":1,"after":`, 1,
		},
		{
			"refuse a request",
			emulator.Fault{Kind: emulator.FaultRefuse, Code: "QUERY_LIMIT_EXCEEDED"},
			`503 application/json; charset=utf-8 {"error":"QUERY_LIMIT_EXCEEDED","error_description":"Too many requests"}`, 0,
			`503 application/json; charset=utf-8 {"error":"QUERY_LIMIT_EXCEEDED","error_description":"Too many requests"}`, 0,
		},
		{
			"a code of one's own",
			emulator.Fault{Kind: emulator.FaultRefuse, Code: "MY_CODE", Status: 418},
			`418 application/json; charset=utf-8 {"error":"MY_CODE","error_description":"a fault of the emulator"}`, 0,
			json + `{"result":{"result":{"before":["calendar","crm","im","lists","user","userfieldconfig"],"after":`, 0,
		},
		{"timeout before", emulator.Fault{Kind: emulator.FaultTimeout, Delay: time.Millisecond}, "closed", 0, "closed", 0},
		{"timeout after", emulator.Fault{Kind: emulator.FaultTimeout, Delay: time.Millisecond, After: true}, "closed", 1, "closed", 2},
		{"reset before", emulator.Fault{Kind: emulator.FaultReset}, "reset", 0, "reset", 0},
		{"reset after", emulator.Fault{Kind: emulator.FaultReset, After: true}, "reset", 1, "reset", 2},
		{"html before", emulator.Fault{Kind: emulator.FaultHTML}, "502 text/html; charset=utf-8 <html>", 0, "502 text/html; charset=utf-8 <html>", 0},
		{"html after", emulator.Fault{Kind: emulator.FaultHTML, Status: 504, After: true}, "504 text/html; charset=utf-8 <html>", 1, "504 text/html; charset=utf-8 <html>", 2},
		{"truncate", emulator.Fault{Kind: emulator.FaultTruncate}, json + `{"result":1,`, 1, json + `{"result":{"result":{"before":`, 2},
		{
			"moved",
			emulator.Fault{Kind: emulator.FaultMoved, Location: "https://new.example"},
			"302 text/html; charset=utf-8https://new.example/rest/1/emulator/crm.deal.add <html>", 0, "302 text/html; charset=utf-8https://new.example/rest/1/emulator/batch <html>", 0,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.fault.Method = "crm.*.add"
			run := func(method, params, want string, deals int) {
				t.Helper()
				p := open(t, emulator.Config{})
				if err := p.SetFaults(c.fault); err != nil {
					t.Fatal(err)
				}
				got := p.sendOnce(method, params)
				if !strings.HasPrefix(got, want) {
					t.Errorf("%s: %s\nwant %s", method, got, want)
				}
				if c.fault.Kind == emulator.FaultTruncate && strings.HasSuffix(got, "}}") {
					t.Errorf("%s: whole: %s", method, got)
				}
				if err := p.SetFaults(); err != nil {
					t.Fatal(err)
				}
				if got := len(p.must("crm.deal.list", `{}`).([]any)); got != deals {
					t.Errorf("%s: %d deals, want %d", method, got, deals)
				}
			}
			run("crm.deal.add", `{"fields":{"TITLE":"x"}}`, c.single, c.deals)
			run("batch", `{"cmd":{"before":"scope","one":"crm.deal.add?fields[TITLE]=1","two":"crm.deal.add?fields[TITLE]=2","after":"profile"}}`, c.batch, c.batchDeals)
		})
	}
}

// TestFaultOfBatch is a fault of a batch as a whole.
func TestFaultOfBatch(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{EventDelay: -1})
	h := newHandler(t, 200)
	p.AddWebhook(h.url, "ONCRMDEALADD")
	if err := p.SetFaults(emulator.Fault{Kind: emulator.FaultReset, Method: "batch", After: true, Count: 1}); err != nil {
		t.Fatal(err)
	}
	const batch = `{"cmd":["crm.deal.add?fields[TITLE]=1","crm.deal.add?fields[TITLE]=2"]}`
	if got := p.sendOnce("batch", batch); got != "reset" {
		t.Errorf("%s, want a reset", got)
	}
	// The events of what has run are sent.
	if diff := cmp.Diff([]string{"ONCRMDEALADD 1", "ONCRMDEALADD 2"}, h.take(t, p)); diff != "" {
		t.Errorf("events (-want +got)\n%s", diff)
	}
	if got := p.sendOnce("batch", batch); !strings.HasPrefix(got, "200 ") {
		t.Errorf("the second: %s", got)
	}
	if got := p.Faults()[0]; got.Matched != 2 || got.Hit != 1 {
		t.Errorf("%+v", got)
	}
}

// TestFaultInBatch cuts a batch in half: what ran before stays done.
func TestFaultInBatch(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{EventDelay: -1})
	h := newHandler(t, 200)
	p.AddWebhook(h.url, "ONCRMDEALADD")
	if err := p.SetFaults(emulator.Fault{Kind: emulator.FaultTimeout, Method: "CRM.deal.add", Skip: 1, Delay: time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	if got := p.sendOnce("batch", `{"cmd":["crm.deal.add?fields[TITLE]=a","crm.deal.add?fields[TITLE]=b","crm.deal.add?fields[TITLE]=c"]}`); got != "closed" {
		t.Errorf("%s, want a closed connection", got)
	}
	if diff := cmp.Diff([]string{"ONCRMDEALADD 1"}, h.take(t, p)); diff != "" {
		t.Errorf("events (-want +got)\n%s", diff)
	}
	if got := p.Stats().Commands["crm.deal.add"]; got != 1 {
		t.Errorf("%d commands ran, want 1", got)
	}
}

// TestFaultChance: the same commands are hit each time, about as many as the
// probability says, and others with another seed.
func TestFaultChance(t *testing.T) {
	t.Parallel()
	hits := func(seed uint64) (which string, n int) {
		p := emulator.New(emulator.Config{Plan: emulator.PlanUnlimited})
		defer p.Close()
		if err := p.SetFaults(emulator.Fault{Kind: emulator.FaultRefuse, Code: "NOT_FOUND", Probability: 0.25, Seed: seed}); err != nil {
			t.Fatal(err)
		}
		for i := range 1000 {
			if status, _ := ask(p, "192.0.2.1", "profile", ""); status == 400 {
				which += fmt.Sprint(i, " ")
				n++
			}
		}
		return which, n
	}
	first, n := hits(1)
	again, _ := hits(1)
	other, _ := hits(2)
	if first != again || first == other || n < 200 || n > 300 {
		t.Errorf("%d of 1000 hit; the same again: %v, others with another seed: %v", n, first == again, first != other)
	}
}

// TestFaultTimes measures in no real time how long a request takes.
func TestFaultTimes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault emulator.Fault
		want  time.Duration
		ends  bool
	}{
		{emulator.Fault{Kind: emulator.FaultDelay, Delay: 2 * time.Second}, 2 * time.Second, false},
		{emulator.Fault{Kind: emulator.FaultDelay, Delay: 3 * time.Second, After: true}, 3 * time.Second, false},
		{emulator.Fault{Kind: emulator.FaultTimeout}, time.Minute, true},
		{emulator.Fault{Kind: emulator.FaultTimeout, Delay: 7 * time.Second, After: true}, 7 * time.Second, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := emulator.New(emulator.Config{})
			defer p.Close()
			if err := p.SetFaults(c.fault); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			aborted := func() (aborted bool) {
				// There is no connection to close here.
				defer func() { aborted = recover() == http.ErrAbortHandler }()
				ask(p, "192.0.2.1", "profile", "")
				return false
			}()
			if took := time.Since(begin); took != c.want || aborted != c.ends {
				t.Errorf("%+v: took %s, want %s; no answer: %v, want %v", c.fault, took, c.want, aborted, c.ends)
			}
		})
	}
}

// TestResetOverTLS: a connection with TLS is reset too, without its closing message.
func TestResetOverTLS(t *testing.T) {
	t.Parallel()
	p := emulator.New(emulator.Config{})
	t.Cleanup(p.Close)
	if err := p.SetFaults(emulator.Fault{Kind: emulator.FaultReset}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewTLSServer(p)
	t.Cleanup(server.Close)
	resp, err := server.Client().Get(server.URL + p.WebhookPath() + "profile")
	if err == nil {
		resp.Body.Close()
	}
	var op *net.OpError
	if !errors.As(err, &op) || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v, want a reset", err)
	}
}

func TestFaultsControl(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{})
	control := func(verb, body string) (int, string) {
		return p.send(verb, "/_emulator/faults", "application/json", body)
	}
	_, body := control("POST", `[{"method": "crm.item.*", "kind": "timeout", "after": true, "delay": "250ms", "count": 3, "skip": 1},
		{"kind": "refuse", "code": "expired_token", "probability": 0.5, "seed": 7}]`)
	want := `[{"kind":"timeout","method":"crm.item.*","after":true,"delay":"250ms","skip":1,"count":3,"matched":0,"hit":0},
		{"kind":"refuse","code":"expired_token","probability":0.5,"seed":7,"matched":0,"hit":0}]`
	p.match("POST", want, body)
	_, body = control("GET", "")
	p.match("GET", want, body)
	// One fault alone, and YAML.
	_, body = control("POST", "kind: html\nmethod: BATCH\nstatus: 503\n")
	p.match("POST", `[{"kind":"html","method":"BATCH","status":503,"matched":0,"hit":0}]`, body)
	p.must("profile", `{}`)
	if got := p.sendOnce("batch", `{"cmd":["profile"]}`); !strings.HasPrefix(got, "503 text/html") {
		t.Error(got)
	}
	_, body = control("GET", "")
	p.match("GET", `[{"kind":"html","method":"BATCH","status":503,"matched":1,"hit":1}]`, body)
	_, calls := p.send("GET", "/_emulator/calls", "", "")
	p.match("calls", `[{"method":"profile","…":1},{"at":"*","method":"batch","params":{"cmd":["profile"]},"status":0,"fault":"html"}]`, calls)
	_, body = control("DELETE", "")
	p.match("DELETE", `[]`, body)
	p.must("batch", `{"cmd":["profile"]}`)
}

// TestFaultMistakes: each mistake is a finding with its place, and the faults that were
// set before stay.
func TestFaultMistakes(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{})
	if err := p.SetFaults(emulator.Fault{Kind: emulator.FaultReset, Method: "crm.deal.add"}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ body, want string }{
		{`[{"kind": "rest"}]`, `faults:1:11: unknown kind of fault "rest" [invalid-value] (did you mean "reset"?)`},
		{`{"kind": "boom"}`, `(did you mean "bom"?)`},
		{`{}`, `faults:1:1: `},
		{`[{"kind": "reset"}, {"kind": "reset", "metod": "x"}]`, `faults:1:40: unknown key "metod"`},
		{`{"kind": "reset", "method": "crm.deal.ad"}`, `faults:1:29: no method is called "crm.deal.ad" [invalid-value] (did you mean "crm.deal.add"?)`},
		{`{"kind": "reset", "method": "crm.[deal"}`, `is no pattern`},
		{`{"kind": "refuse"}`, `a fault of kind refuse needs the code of an error`},
		{`{"kind": "refuse", "code": "QUERY_LIMIT"}`, `faults:1:28: unknown code "QUERY_LIMIT"`},
		{`{"kind": "refuse", "code": "NOT_FOUND", "after": true}`, `a fault of kind refuse has no after`},
		{`{"kind": "delay"}`, `needs a delay`},
		{`{"kind": "delay", "delay": 5}`, `faults:1:28: `},
		{`{"kind": "delay", "delay": "-1s"}`, `not negative`},
		{`{"kind": "moved", "location": "new"}`, `new address`},
		{`{"kind": "shape"}`, `needs a shape`},
		{`{"kind": "shape", "shape": "null"}`, `faults:1:28: a fault of kind shape has no shape "null"`},
		{`{"kind": "undone", "shape": "gaps"}`, `faults:1:29: a fault of kind undone has no shape "gaps" [invalid-value] (want as_false, as_null, absent)`},
		{`{"kind": "shape", "shape": "gaps", "keep": 1}`, `faults:1:44: only the shape short has keep`},
		{`{"kind": "shape", "shape": "gaps", "total": 1}`, `faults:1:45: only the shape wrong_total has total`},
		{`{"kind": "reset", "field": "x"}`, `faults:1:28: a fault of kind reset has no field`},
		{`{"kind": "html", "status": 200}`, `faults:1:28: `},
		{`{"kind": "reset", "probability": 1.5}`, `faults:1:34: `},
		{`{"kind": "reset", "count": -1}`, `faults:1:28: `},
		{`[1`, `faults:`},
		{`"x"`, `expected a mapping`},
	} {
		status, body := p.send("POST", "/_emulator/faults", "application/json", c.body)
		message := text(at(parse(t, body), "error"))
		if status != 400 || !strings.Contains(message, c.want) {
			t.Errorf("%s: status %d, %s\nwant %s", c.body, status, message, c.want)
		}
	}
	if err := p.SetFaults(emulator.Fault{Kind: "rest"}, emulator.Fault{Kind: emulator.FaultDelay}); err == nil || strings.Count(err.Error(), "fault: ") != 2 {
		t.Errorf("%v", err)
	}
	if got := p.Faults(); len(got) != 1 || got[0].Method != "crm.deal.add" {
		t.Errorf("%+v", got)
	}
}

// FuzzFaults reads any text as faults: nothing panics, every finding has a
// place, and what has none can be set.
func FuzzFaults(f *testing.F) {
	for _, seed := range []string{
		`[{"method": "crm.item.*", "kind": "timeout", "after": true, "delay": "250ms", "count": 3, "skip": 1}]`,
		"- {kind: refuse, code: NOT_FOUND, status: 418, probability: 0.5, seed: 7}\n- {kind: moved, location: https://x.example}",
		"kind: html\nstatus: 503\n", "", "[[]]", "- &a {kind: reset}\n- *a\n- {<<: *a, method: '*'}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		faults, list := emulator.ParseFaults("faults.yaml", []byte(text))
		for _, finding := range list {
			if finding.Line < 1 || finding.Column < 1 || finding.Message == "" {
				t.Errorf("a finding without a place: %+v", finding)
			}
		}
		p := emulator.New(emulator.Config{})
		defer p.Close()
		if err := p.SetFaults(faults...); err != nil && !list.HasErrors() {
			t.Error(err)
		}
	})
}

// TestSystemErrors: the statuses of the errors that the documentation lists for every
// method.
// https://apidocs.bitrix24.com/error-codes.html
func TestSystemErrors(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{})
	for code, want := range map[string]int{
		"INTERNAL_SERVER_ERROR": 500, "ERROR_UNEXPECTED_ANSWER": 500, "QUERY_LIMIT_EXCEEDED": 503, "ERROR_BATCH_METHOD_NOT_ALLOWED": 405,
		"ERROR_BATCH_LENGTH_EXCEEDED": 400, "NO_AUTH_FOUND": 401, "INVALID_REQUEST": 400, "OVERLOAD_LIMIT": 503, "ACCESS_DENIED": 403,
		"ERROR_MANIFEST_IS_NOT_AVAILABLE": 404, "expired_token": 401, "user_access_error": 403, "PORTAL_DELETED": 500,
		"OPERATION_TIME_LIMIT": 429, "WRONG_AUTH_TYPE": 403,
	} {
		if err := p.SetFaults(emulator.Fault{Kind: emulator.FaultRefuse, Method: "profile", Code: code}); err != nil {
			t.Error(err)
			continue
		}
		p.refused("profile", `{}`, want, `{"error":"`+code+`","error_description":"*"}`)
	}
}
