package console_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/access"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/console"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/audit"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/journal"
)

// The rules of the tests: one that fails for deals without a sum, one with a condition.
const testRules = `version: 1
title: Tests
rules:
  share:
    title: Divides by the sum
    on: [ONCRMDEALADD, ONCRMDEALUPDATE]
    steps:
      - id: deal
        fetch_item: {owner: deal, id: =event.id}
      - when: =deal.opportunity >= 1000 && deal.stageId == "WON"
        call: {method: crm.timeline.comment.add, params: {fields: {ENTITY_ID: =deal.id, ENTITY_TYPE: deal, COMMENT: big}}}
        once: =deal.stageId
      - compute:
          part: =100 / deal.opportunity
      - update_item: {owner: deal, id: =event.id, fields: {comments: "Part {{ part }}"}}
`

// script is data of a stranger that must stay text.
const script = `<script>alert(1)</script>`

// world is a console over an engine with an emulated portal.
type world struct {
	t      *testing.T
	h      *apptest.Harness
	url    string
	config atomic.Pointer[config.Config]
	broken atomic.Pointer[[]config.BrokenPortal]
	files  fstest.MapFS // the rules of newWorld
	// looks counts how often the states of portals were read.
	looks atomic.Int64
}

// newWorld starts an engine and its console. Without users everybody is an operator.
func newWorld(t *testing.T, users ...access.User) *world {
	t.Helper()
	files := fstest.MapFS{"share.yaml": {Data: []byte(testRules)}}
	w := openWorld(t, apptest.Options{Rules: files, Inputs: map[string]map[string]string{}}, users...)
	w.files = files
	return w
}

// openWorld is newWorld with other rules or another configuration.
func openWorld(t *testing.T, o apptest.Options, users ...access.User) *world {
	t.Helper()
	w := &world{t: t, h: apptest.New(t, o)}
	w.setUsers(users...)
	w.broken.Store(&[]config.BrokenPortal{})
	pages := console.New(console.Options{
		Queue: w.h.Service.Queue(), Config: w.config.Load, Broken: func() []config.BrokenPortal { w.looks.Add(1); return *w.broken.Load() }, Rules: w.h.Service.Generation, Log: w.h.Log.Logger(),
		Plan:   w.h.Service.PlansOf,
		Reload: func(context.Context, string) (string, error) { return "nothing has changed", nil },
	})
	server := httptest.NewServer(pages.Handler())
	running, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		pages.Run(running)
	}()
	t.Cleanup(func() {
		stop()
		<-done
		server.CloseClientConnections()
		server.Close()
	})
	w.url = server.URL
	return w
}

func (w *world) setUsers(users ...access.User) {
	c := *w.h.Service.Config()
	c.Console.Access = access.Rules{Users: users, Open: len(users) == 0}
	w.config.Store(&c)
}

// deal adds a deal with a sum.
func (w *world) deal(title string, sum int) (id int) {
	w.t.Helper()
	w.h.Rest("crm.deal.add", map[string]any{"fields": map[string]any{"TITLE": title, "OPPORTUNITY": sum}}, &id)
	return id
}

// setSum changes the sum of a deal.
func (w *world) setSum(id any, sum int) {
	w.t.Helper()
	w.h.Rest("crm.deal.update", map[string]any{"id": id, "fields": map[string]any{"OPPORTUNITY": sum}}, nil)
}

// fail adds a deal without a sum, whose run is parked, and returns the number of the run.
func (w *world) fail(title string) int64 {
	w.t.Helper()
	entity := fmt.Sprintf("deal:%d", w.deal(title, 0))
	var run int64
	w.h.Until("parked "+entity, func() bool {
		runs, err := journal.FindRuns(w.t.Context(), w.h.Service.Queue().Database(), journal.Filter{Entity: entity, States: []journal.State{journal.Parked}})
		if err != nil || len(runs) == 0 {
			return false
		}
		run = runs[0].ID
		return true
	})
	return run
}

// client is a browser without script.
type client struct {
	*world
	http *http.Client
}

func (w *world) client() *client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return &client{w, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// answer is what the console answers.
type answer struct {
	status int
	header http.Header
	body   string
}

func (c *client) do(method, path string, form url.Values, headers ...string) answer {
	c.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, body)
	if err != nil {
		c.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := c.http.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(text)}
}

func (c *client) get(path string, headers ...string) answer {
	return c.do("GET", path, nil, headers...)
}

func (c *client) post(path string, pairs ...string) answer {
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return c.do("POST", path, form)
}

// want fails unless the answer has a status and the texts.
func (c *client) want(a answer, status int, texts ...string) {
	c.t.Helper()
	if a.status != status {
		c.t.Fatalf("status %d, want %d:\n%.1500s", a.status, status, a.body)
	}
	for _, text := range texts {
		if !strings.Contains(a.body, text) {
			c.t.Errorf("no %q in\n%.3000s", text, a.body)
		}
	}
}

func (c *client) signIn(name, password string) {
	c.t.Helper()
	c.want(c.post("/login", "name", name, "password", password, "next", "/runs"), http.StatusSeeOther)
}

// users are one of each kind. Hashes take time, so they are made once.
func users(t *testing.T) []access.User {
	t.Helper()
	hash := access.HashPassword("correct horse")
	return []access.User{
		{Name: "oncall", Role: access.Operator, Hash: hash},
		{Name: "guest", Role: access.Viewer, Hash: hash, NoRecords: true},
		{Name: "customer", Role: access.Operator, Hash: hash, Portals: []string{"other"}},
	}
}

// TestOnCall goes from the link of an alert to the cause in two clicks, replays, and
// finds who did it.
func TestOnCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t, users(t)...)
	run := w.fail("Roof " + script)
	w.fail("Gutter")
	c := w.client()
	c.want(c.get(fmt.Sprintf("/runs/%d", run)), http.StatusSeeOther)
	c.signIn("oncall", "correct horse")
	causes := c.get("/runs?state=parked&group=cause")
	c.want(causes, http.StatusOK, "2 dead letters", "cannot be computed", "Replay 2…")
	page := c.get(fmt.Sprintf("/runs/%d", run))
	c.want(page, http.StatusOK, "stopped at step 3", "division by zero", "part: =100 / deal.opportunity", "share.yaml", "deal.opportunity is 0", "was not looked at", "1 other run")
	if strings.Contains(page.body, script) {
		t.Error("a title is not escaped")
	}
	id := between(t, causes.body, `/runs/replay?cause=`, `"`)
	confirm := c.get("/runs/replay?cause=" + id)
	c.want(confirm, http.StatusOK, "Replay 2 runs?")
	newest := between(t, confirm.body, `name="newest" value="`, `"`)
	c.want(c.post("/runs/replay", "cause", id, "count", "1", "newest", newest), http.StatusConflict, "Nothing was replayed")
	// The people of the portal repair the deal that failed.
	w.setSum(strings.TrimPrefix(w.run(run).Entity, "deal:"), 50)
	c.want(c.post("/runs/replay", "cause", id, "count", "2", "newest", newest), http.StatusSeeOther)
	w.h.Until("the run succeeds", func() bool { return w.run(run).State == journal.Succeeded || w.run(run).ID != run })
	after := c.get(fmt.Sprintf("/runs/%d", run))
	c.want(after, http.StatusOK, "oncall (console)")
	c.want(c.get("/audit"), http.StatusOK, "oncall", "replayed", "cause "+id, "signed in")
	c.want(c.get("/audit?what=replayed&who=oncall", "Accept", "application/json"), http.StatusOK, `"runs": 2`, `"via": "console"`)
}

func between(t *testing.T, text, before, after string) string {
	t.Helper()
	_, rest, ok := strings.Cut(text, before)
	found, _, closed := strings.Cut(rest, after)
	if !ok || !closed {
		t.Fatalf("no %q in\n%.3000s", before, text)
	}
	return found
}

func (w *world) run(id int64) journal.Run {
	w.t.Helper()
	info, err := report.FindRun(w.t.Context(), w.h.Service.Queue(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return info
}

// TestSecondReplay: two people replay one run, and the second one sees who was faster.
func TestSecondReplay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	run := w.fail("Roof")
	if err := w.h.Service.Queue().Pause(t.Context(), demo.PortalName, "", "test"); err != nil {
		t.Fatal(err)
	}
	first, second := w.client(), w.client()
	first.want(first.post(fmt.Sprintf("/runs/%d/replay", run)), http.StatusSeeOther)
	a := second.post(fmt.Sprintf("/runs/%d/replay", run))
	second.want(a, http.StatusSeeOther)
	second.want(second.get(a.header.Get("Location")), http.StatusOK, "Nothing was done: somebody was faster", "replayed at", "local (console)")
	second.want(second.post(fmt.Sprintf("/runs/%d/discard", run)), http.StatusSeeOther)
	if got := w.run(run).State; got != journal.Discarded {
		t.Errorf("after discard the run is %s", got)
	}
}

// TestRoles is a table of all addresses and who may use them. A new address fails until it is
// here.
func TestRoles(t *testing.T) {
	t.Parallel()
	w := newWorld(t, users(t)...)
	run := w.fail("Roof")
	clients := map[string]*client{"": w.client(), "oncall": w.client(), "guest": w.client(), "customer": w.client()}
	for name, c := range clients {
		if name != "" {
			c.signIn(name, "correct horse")
		}
	}
	path := strings.NewReplacer("{portal}", demo.PortalName, "{id}", fmt.Sprint(run), "{rule}", "share", "{cause}", "unknown")
	const open, ok, no, gone, bad = http.StatusSeeOther, http.StatusOK, http.StatusForbidden, http.StatusNotFound, http.StatusBadRequest
	want := map[string][3]int{ // oncall, guest, customer
		"GET /": {open, open, open}, "GET /portals": {ok, ok, ok}, "GET /portals/{portal}": {ok, ok, gone},
		"GET /runs": {ok, ok, ok}, "GET /runs/replay": {bad, bad, bad}, "GET /runs/{id}": {ok, ok, gone}, "GET /events": {ok, ok, ok}, "GET /events/{id}": {ok, ok, gone},
		"GET /why": {ok, ok, ok}, "GET /plan": {ok, ok, ok}, "GET /rules": {ok, ok, ok}, "GET /rules/{rule}": {ok, ok, gone}, "GET /audit": {ok, ok, ok}, "GET /keys": {ok, ok, ok},
		"POST /portals/{portal}/pause": {open, no, gone}, "POST /portals/{portal}/resume": {open, no, gone}, "POST /runs/replay": {bad, no, bad},
		"POST /runs/{id}/discard": {open, no, gone}, "POST /runs/{id}/replay": {open, no, gone}, "POST /causes/{cause}/acknowledge": {gone, no, gone},
		"POST /plan": {bad, no, bad}, "POST /rules/read": {open, no, no},
	}
	for _, r := range console.Routes() {
		statuses, known := want[r]
		if r == "GET /live" || r == "POST /logout" {
			continue // below
		}
		if !known {
			t.Errorf("%s is not in the table", r)
			continue
		}
		method, address, _ := strings.Cut(r, " ")
		address = path.Replace(address)
		form := url.Values{}
		if method == "GET" {
			form = nil
		}
		anonymous := clients[""].do(method, address, form)
		if anonymous.status != http.StatusSeeOther && anonymous.status != http.StatusUnauthorized {
			t.Errorf("%s without a session: %d", r, anonymous.status)
		}
		if a := clients[""].do(method, address, form, "Accept", "application/json"); a.status != http.StatusUnauthorized {
			t.Errorf("%s without a session as JSON: %d", r, a.status)
		}
		for i, name := range []string{"customer", "guest", "oncall"} {
			if a := clients[name].do(method, address, form); a.status != statuses[2-i] {
				t.Errorf("%s as %s: %d, want %d", r, name, a.status, statuses[2-i])
			}
		}
	}
	if a := clients[""].get("/live"); a.status != http.StatusUnauthorized {
		t.Errorf("/live without a session: %d", a.status)
	}
	c := clients["guest"]
	if page := c.get(fmt.Sprintf("/runs/%d", run)); strings.Contains(page.body, "crm.item.get {") || strings.Contains(page.body, "/replay\"") {
		t.Error("a viewer without records sees parameters or buttons")
	}
	c.want(c.post("/logout"), http.StatusSeeOther)
	c.want(c.get("/runs"), http.StatusSeeOther)
}

// TestOtherSites: a form of another site, a wrong name of the host, and a session of a user that
// the configuration has lost are refused.
func TestOtherSites(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	run := w.fail("Roof")
	c := w.client()
	replay := fmt.Sprintf("/runs/%d/replay", run)
	c.want(c.do("POST", replay, url.Values{}, "Sec-Fetch-Site", "cross-site"), http.StatusForbidden, "another site")
	c.want(c.do("POST", replay, url.Values{}, "Origin", "https://evil.example"), http.StatusForbidden)
	c.want(c.get("/runs", "Host", "evil.example"), http.StatusMisdirectedRequest)
	if got := w.run(run).State; got != journal.Parked {
		t.Errorf("the run is %s", got)
	}
	a := c.get("/runs")
	for header, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
		"X-Content-Type-Options":  "nosniff", "Referrer-Policy": "same-origin", "Cache-Control": "no-store",
	} {
		if got := a.header.Get(header); got != want {
			t.Errorf("%s: %q", header, got)
		}
	}
	w.setUsers(users(t)...)
	c.want(c.get("/runs", "Host", "evil.example"), http.StatusSeeOther)
	c.signIn("oncall", "correct horse")
	c.want(c.get("/runs"), http.StatusOK)
	w.setUsers(access.User{Name: "someone", Role: access.Viewer, Hash: access.HashPassword("another one")})
	c.want(c.get("/runs"), http.StatusSeeOther)
}

// TestSignIn: wrong passwords are limited and noted, an old link leads back, and a form that was
// sent after the session had ended is not lost.
func TestSignIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, users(t)...)
	c := w.client()
	a := c.get("/runs?state=parked")
	c.want(a, http.StatusSeeOther)
	login := a.header.Get("Location")
	c.want(c.get(login), http.StatusOK, `value="/runs?state=parked"`)
	for i := range 5 {
		c.want(c.post("/login", "name", "guest", "password", "wrong"), http.StatusUnauthorized, fmt.Sprintf("%d tr", 4-i))
	}
	c.want(c.post("/login", "name", "guest", "password", "correct horse"), http.StatusTooManyRequests, "Wait 15 minutes")
	// An address of another server is not followed.
	for _, next := range []string{"https://evil.example/", "//evil.example", `/\evil.example`, "javascript:alert(1)", "evil"} {
		other := w.client()
		got := other.post("/login", "name", "oncall", "password", "correct horse", "next", next)
		if to := got.header.Get("Location"); got.status != http.StatusSeeOther || to != "/" {
			t.Errorf("next %q leads to %q (%d)", next, to, got.status)
		}
	}
	// The form of a session that has ended.
	lost := c.post("/portals/"+demo.PortalName+"/pause", "reason", "stocktaking")
	c.want(lost, http.StatusUnauthorized, `name="kept.reason" value="stocktaking"`)
	again := c.post("/login", "name", "oncall", "password", "correct horse", "next", "/portals/"+demo.PortalName+"/pause", "kept.reason", "stocktaking")
	c.want(again, http.StatusOK, "Send it again?", `name="reason" value="stocktaking"`)
	c.want(c.post("/portals/"+demo.PortalName+"/pause", "reason", "stocktaking"), http.StatusSeeOther)
	c.want(c.get("/portals/"+demo.PortalName), http.StatusOK, "paused", "oncall: stocktaking")
	entries, err := audit.New(w.h.Service.Queue().Database()).List(t.Context(), audit.Filter{Action: audit.Refused})
	if err != nil || len(entries) != 5 || entries[0].Who != "guest" {
		t.Errorf("refused sign-ins: %+v, %v", entries, err)
	}
}

// TestHostileInput sends nonsense to each address: the answer is a page that says what is wrong,
// and never a server error, and never what was sent as markup.
func TestHostileInput(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	run := w.fail("Roof")
	c := w.client()
	values := []string{script, `"><img src=x>`, "' OR 1=1 --", "-1", "0", "99999999999999999999", "%00", "\x00", "../../etc/passwd", strings.Repeat("я", 3000), "deal:", "deal:-1", "item:x:1", "2026-13-45", "1e9d", "-2h"}
	fields := []string{"portal", "rule", "entity", "state", "from", "to", "q", "cause", "before", "code", "group", "attempt", "of", "field", "who", "what", "part", "lang", "did", "n", "refused", "next", "acknowledged"}
	pages := []string{"/portals", "/portals/" + demo.PortalName, "/runs", "/runs?group=cause", "/runs?group=day", fmt.Sprintf("/runs/%d", run), "/runs/replay", "/events", "/events/1", "/why", "/plan", "/rules", "/rules/share", "/audit", "/keys", "/login"}
	for _, page := range pages {
		for i, value := range values {
			query := url.Values{}
			for k, field := range fields {
				if (i+k)%3 != 0 {
					query.Set(field, value)
				}
			}
			address := page + "?" + query.Encode()
			if strings.Contains(page, "?") {
				address = page + "&" + query.Encode()
			}
			a := c.get(address)
			if a.status >= 500 || strings.Contains(a.body, script) || strings.Contains(a.body, "<img src=x>") {
				t.Errorf("%s with %.40q: %d\n%.1000s", page, value, a.status, a.body)
			}
		}
	}
	for _, base := range []string{"/portals/", "/runs/", "/events/", "/rules/", "/"} {
		for _, value := range values {
			a := c.get(base + url.PathEscape(value))
			if a.status >= 500 || a.status == http.StatusOK || strings.Contains(a.body, script) {
				t.Errorf("%s%.40q: %d", base, value, a.status)
			}
		}
	}
	c.want(c.get("/runs?state=praked"), http.StatusBadRequest, "did you mean parked?", `aria-invalid="true"`, `value="praked"`)
	c.want(c.get("/runs?from=yesterday", "Accept", "application/json"), http.StatusBadRequest, `"from": "from \"yesterday\": want a duration`)
	c.want(c.get("/portals/mian"), http.StatusNotFound, "There is no portal mian", `/portals/`+demo.PortalName)
	c.want(c.get("/rules/sahre"), http.StatusNotFound, `/rules/share`)
	c.want(c.get("/runs/4711"), http.StatusNotFound, "There is no run 4711", "History may have deleted it")
	c.want(c.get("/nope", "Accept", "application/json"), http.StatusNotFound, `"title": "There is no page /nope"`)
	if a := c.do("DELETE", "/runs", nil); a.status != http.StatusMethodNotAllowed {
		t.Errorf("DELETE /runs: %d", a.status)
	}
	if a := c.post("/runs/replay", "cause", strings.Repeat("x", 100<<10)); a.status != http.StatusBadRequest {
		t.Errorf("a form of 100 kB: %d", a.status)
	}
}

// TestJSON: each page is JSON at the same address, with the numbers of the page.
func TestJSON(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	run := w.fail("Roof")
	c := w.client()
	for _, page := range []string{"/portals", "/portals/" + demo.PortalName, "/runs", "/runs?state=parked&group=cause", fmt.Sprintf("/runs/%d", run), "/events", "/events/1", "/why?of=deal:1", "/plan?entity=deal:1", "/rules", "/rules/share", "/audit", "/portals/nope"} {
		a := c.get(page, "Accept", "application/json")
		var v map[string]any
		if err := json.Unmarshal([]byte(a.body), &v); err != nil || !strings.Contains(a.header.Get("Content-Type"), "json") || a.status >= 500 {
			t.Errorf("%s: %d, %s: %v\n%.500s", page, a.status, a.header.Get("Content-Type"), err, a.body)
		}
		if html := c.get(page, "Accept", "*/*"); !strings.Contains(html.header.Get("Content-Type"), "text/html") {
			t.Errorf("%s for curl is %s", page, html.header.Get("Content-Type"))
		}
	}
	var b strings.Builder
	r, err := report.ReadRun(t.Context(), w.h.Service.Queue(), run)
	if err != nil {
		t.Fatal(err)
	}
	if err := report.WriteRun(&b, "json", r, report.RunOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := c.get(fmt.Sprintf("/runs/%d", run), "Accept", "application/json").body; got != b.String() {
		t.Errorf("the page's JSON is not that of runs show:\n%.500s\n%.500s", got, b.String())
	}
}

// TestPlanAndRun: a plan shows the differences, runs only what was shown, and is noted.
func TestPlanAndRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := fmt.Sprint(w.deal("Roof", 0))
	w.h.Until("parked", func() bool {
		runs, err := journal.FindRuns(t.Context(), w.h.Service.Queue().Database(), journal.Filter{Entity: "deal:" + id, States: []journal.State{journal.Parked}})
		return err == nil && len(runs) > 0
	})
	if err := w.h.Service.Queue().Pause(t.Context(), demo.PortalName, "", "test"); err != nil {
		t.Fatal(err)
	}
	w.setSum(id, 50)
	c := w.client()
	page := c.get("/plan?entity=deal:" + id)
	c.want(page, http.StatusOK, "1 to change", "comments", "Part 2", "Run: 1 write")
	digest := between(t, page.body, `name="plan" value="`, `"`)
	c.want(c.post("/plan", "portal", demo.PortalName, "entity", "deal:"+id, "plan", "00000000"), http.StatusConflict, "Nothing was run")
	c.want(c.post("/plan", "portal", demo.PortalName, "entity", "deal:"+id, "plan", digest), http.StatusSeeOther)
	if _, err := w.h.Service.Queue().Resume(t.Context(), demo.PortalName, ""); err != nil {
		t.Fatal(err)
	}
	w.h.Until("the deal is written", func() bool {
		var deal struct {
			Comments string `json:"COMMENTS"`
		}
		w.h.Rest("crm.deal.get", map[string]any{"id": id}, &deal)
		return deal.Comments == "Part 2"
	})
	w.h.Until("the end of the run is stored", func() bool {
		runs, err := journal.FindRuns(t.Context(), w.h.Service.Queue().Database(), journal.Filter{Entity: "deal:" + id, States: []journal.State{journal.Succeeded}})
		return err == nil && len(runs) > 0
	})
	c.want(c.get("/audit"), http.StatusOK, "ran", "planned", "deal:"+id)
	c.want(c.get("/why?of=deal:"+id+"&field=comments"), http.StatusOK, "share", "/runs/")
	c.want(c.get("/plan?entity=company:1"), http.StatusOK, "No rule of the portal has an event of company:1.")
}

// TestEventsSayWhy: an event that no rule matches says for each rule why.
func TestEventsSayWhy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.client()
	e := journal.Event{Portal: demo.PortalName, Code: "ONCRMCONTACTADD", Data: json.RawMessage(`{"FIELDS":{"ID":"7"}}`)}
	e.Why = w.h.Service.Generation().WhyNot(demo.PortalName, engine.Event{Code: e.Code, Data: map[string]any{"FIELDS": map[string]any{"ID": "7"}}})
	if err := w.h.Service.Queue().Push(t.Context(), e, nil); err != nil {
		t.Fatal(err)
	}
	list := c.get("/events?rule=none")
	c.want(list, http.StatusOK, "ONCRMCONTACTADD", "contact:7", "the event is ONCRMCONTACTADD, and the rule subscribes to ONCRMDEALADD, ONCRMDEALUPDATE")
	id := between(t, list.body, `href="/events/`, `"`)
	c.want(c.get("/events/"+id), http.StatusOK, "contact:7 met no rule", "share.yaml:", "Each rule, and why not")
}

// TestBrokenConfiguration: a portal that runs with its last valid configuration needs a look.
func TestBrokenConfiguration(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.client()
	c.want(c.get("/portals"), http.StatusOK, "all fine")
	wrong := diag.List{{Code: "unknown-key", Severity: diag.Error, Pos: diag.Pos{File: "b24rules.yaml", Line: 2, Column: 1}, Message: "unknown key limts"}}
	w.broken.Store(&[]config.BrokenPortal{{Name: demo.PortalName, Findings: wrong}})
	c.want(c.get("/portals"), http.StatusOK, "rules broken", "unknown key limts")
}

// TestAcknowledge: an acknowledged cause is silent until another rule fails because of it.
func TestAcknowledge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("Roof")
	c := w.client()
	id := between(t, c.get("/runs?state=parked&group=cause").body, `/causes/`, `/acknowledge`)
	c.want(c.get("/portals"), http.StatusOK, "failing")
	c.want(c.post("/causes/"+id+"/acknowledge"), http.StatusSeeOther)
	c.want(c.get("/portals"), http.StatusOK, "all fine")
	c.want(c.get("/runs?state=parked&group=cause"), http.StatusOK, "until they come from another portal or rule: 1.")
	c.want(c.get("/runs?state=parked&group=cause&acknowledged=1"), http.StatusOK, "acknowledged by local")
}

// TestLiveStream: a page receives a change, and a page that is closed costs nothing.
func TestLiveStream(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", w.url+"/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	received := make(chan string, 1)
	go func() {
		var all strings.Builder
		part := make([]byte, 1024)
		for {
			n, err := resp.Body.Read(part)
			all.Write(part[:n])
			if strings.Contains(all.String(), "event: changed") || err != nil {
				received <- all.String()
				return
			}
		}
	}()
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case text := <-received:
			if !strings.Contains(text, "event: changed") || strings.Contains(text, "deal") {
				t.Errorf("the stream: %q", text)
			}
			return
		case <-tick.C: // the hub needs one look before a change
			w.deal("Roof", 5)
		}
	}
}

// TestRulesAgainstDisk: a rule file that is changed and has an error does not run. The page says
// so, with the finding, its line, and the lines in which disk and live differ, as the command does.
func TestRulesAgainstDisk(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{"share.yaml": {Data: []byte(testRules)}}
	w := openWorld(t, apptest.Options{Rules: files, Inputs: map[string]map[string]string{}})
	c := w.client()
	c.want(c.get("/rules"), http.StatusOK, "1 rule set, live as on disk", "the same")
	files["share.yaml"] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(testRules, "=100 / deal.opportunity", "=100 / deal.oportunity "+script))}
	w.h.Service.Reload()
	page := c.get("/rules")
	c.want(page, http.StatusOK, "1 of 1 rule set does not run as on disk", "broken on disk", "1 error", "share.yaml: disk against live", "part: =100 / deal.opportunity", "^</pre>")
	if strings.Contains(page.body, script) || strings.Contains(page.body, "%!") {
		t.Errorf("markup or a mistake in\n%s", page.body)
	}
	c.want(c.get("/rules/share"), http.StatusOK, "share.yaml:")
	var got report.Sets
	if err := json.Unmarshal([]byte(c.get("/rules", "Accept", "application/json").body), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Sets) != 1 || got.Sets[0].State != report.SetOutdated || len(got.Sets[0].Diff) != 2 || got.Sets[0].Diff[0].Op != "-" || got.Sets[0].Diff[0].Line != got.Sets[0].Diff[1].Line {
		t.Errorf("JSON: %+v", got)
	}
	delete(files, "share.yaml")
	w.h.Service.Reload()
	c.want(c.get("/rules"), http.StatusOK, "does not run as on disk", "is missing")
	files["share.yaml"] = &fstest.MapFile{Data: []byte(testRules)}
	w.h.Service.Reload()
	w.h.Until("the page shows it", func() bool { return strings.Contains(c.get("/rules").body, "1 rule set, live as on disk") })
}

// TestOutcomes: runs are found by what they did.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.client()
	deal := fmt.Sprint("deal:", w.deal("Roof", 50))
	has := func(outcome string) int {
		var got struct {
			Runs []struct{ Entity string }
		}
		a := c.get("/runs?entity="+deal+"&outcome="+outcome, "Accept", "application/json")
		if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != http.StatusOK {
			t.Fatalf("%d: %s: %v", a.status, a.body, err)
		}
		return len(got.Runs)
	}
	// The rule writes the deal, its write starts it again, and then it has nothing to do.
	w.h.Until("a run wrote, and one had nothing to do", func() bool { return has("wrote") > 0 && has("nothing") > 0 })
	if has("skipped,stopped,gone,deleted,retrying") != 0 || has("done") != has("wrote")+has("nothing") || has("") != has("done") {
		t.Errorf("other outcomes: %d wrote, %d nothing, %d done, %d others", has("wrote"), has("nothing"), has("done"), has("skipped,stopped,gone,deleted,retrying"))
	}
	c.want(c.get("/runs?outcome=wrote"), http.StatusOK, "1 write", `<option value="wrote" selected>`, "b24rules runs list --outcome wrote")
	c.want(c.get("/runs?outcome=wroet"), http.StatusBadRequest, "did you mean wrote?", `aria-invalid="true"`)
	c.want(c.get("/runs?outcome=parked"), http.StatusBadRequest, "parked is a state")
}

// TestWhyChanges: the page lists what runs have changed in a field, and says where a person has
// written it in between.
func TestWhyChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.client()
	id := w.deal("Roof", 50)
	address := fmt.Sprintf("/why?of=deal:%d&field=COMMENTS", id)
	changes := func() []report.Written {
		var got report.Why
		if a := c.get(address, "Accept", "application/json"); json.Unmarshal([]byte(a.body), &got) != nil {
			t.Fatalf("%d: %s", a.status, a.body)
		}
		return got.Changes
	}
	w.h.Until("the rule writes", func() bool { return len(changes()) > 0 })
	w.h.Wait()
	w.h.Rest("crm.deal.update", map[string]any{"id": id, "fields": map[string]any{"COMMENTS": "mine"}}, nil)
	w.h.Until("it writes again", func() bool { return len(changes()) > 1 })
	if got := changes()[0]; got.Before != "mine" || got.After != "Part 2" || !got.ByOthers || got.Rule != "share" || changes()[1].ByOthers {
		t.Errorf("changes: %+v", changes())
	}
	c.want(c.get(address), http.StatusOK, "not only us", "<del>mine</del> → <ins>Part 2</ins>")
}
