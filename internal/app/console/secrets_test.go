package console_test

import (
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine/private"
	"github.com/b24rules/b24rules/internal/access"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/console"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/ingest"
	"github.com/b24rules/b24rules/internal/journal"
)

// markup is a text of a stranger that a page must show as text.
func markup(where string) string { return `<script>alert("` + where + `")</script><img src=x>` }

// TestSecretsAndMarkup reads every page in both languages, as HTML and as JSON, and every page of
// an error. No page has a secret of the configuration, of an input, of an event or of a portal, or
// a text of a stranger as markup.
func TestSecretsAndMarkup(t *testing.T) {
	t.Parallel()
	const inHook, inRobots, inAlerts, inBot, inInput, inEvent, inForm = "canary-hook-5501", "canary-robots-5502", "canary-alerts-5503", "5504:canary-bot", "canary-input-5505", "canary-event-5506", "canary-form-5507"
	// Another system repeats its secret, and answers with markup.
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = io.WriteString(w, r.Header.Get("X-Key")+" "+markup("answer"))
	}))
	t.Cleanup(other.Close)
	rules := fmt.Sprintf(`# the old webhook was %[1]s
version: 1
title: %[2]s
inputs:
  key: {type: secret, title: key of the other system}
rules:
  tell:
    title: %[3]s
    on: [ONCRMDEALADD, ONCRMDEALUPDATE]
    steps:
      - id: deal
        fetch_item: {owner: deal, id: =event.id}
      - when: =deal.opportunity > 0
        update_item: {owner: deal, id: =event.id, fields: {comments: "Part of {{ deal.comments ?? '' }}"}}
      - once: =event.time
        http_post: {url: "%[4]s/refuse", headers: {X-Key: =inputs.key}, body: {deal: =deal.title}}
`, "https://acme.bitrix24.com/rest/1/canarycode5508/", quote(markup("set")), quote(markup("rule")), other.URL)
	hosts, err := private.ParseHosts([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	w := openWorld(t, apptest.Options{
		Rules: fstest.MapFS{"tell.yaml": {Data: []byte(rules)}}, Inputs: map[string]map[string]string{"tell": {"key": inInput}},
		Configure: func(c *config.Config) {
			c.PrivateHosts = hosts
			c.Portals[0].Hooks = map[string]ingest.Credentials{"shop": {By: ingest.ByHeader, Header: "X-Shop", Secret: inHook}}
			c.Portals[0].Robots = ingest.Credentials{By: ingest.ByHeader, Header: "X-Robot", Secret: inRobots}
			c.Alerts = []config.AlertReceiver{
				{Name: "duty", Webhook: bitrix.Secret(other.URL + "/" + inAlerts), Secret: inAlerts},
				{Name: "bot", Telegram: &config.Telegram{Chat: "-1", Token: inBot, API: other.URL}},
			}
		},
	})
	token, hash := access.NewToken()
	all := users(t)
	c := *w.config.Load()
	c.Console.Access = access.Rules{Users: all, Tokens: []access.User{{Name: "nightly", Role: access.Operator, Hash: hash}}}
	w.config.Store(&c)
	secrets := []string{
		inHook, inRobots, inAlerts, inBot, inInput, inEvent, inForm, "canarycode5508", all[0].Hash, "correct horse", token, hash,
		c.Portals[0].Token.Reveal(), strings.Trim(w.h.Portal.WebhookPath(), "/"),
	}
	if slices.ContainsFunc(secrets, func(s string) bool { return len(s) < 8 }) {
		t.Fatalf("secrets %q", secrets)
	}

	// A deal whose people have pasted our webhook, an event with the tokens of an application, and a
	// pause with a secret as its reason.
	var deal int
	w.h.Rest("crm.deal.add", map[string]any{"fields": map[string]any{"TITLE": "Roof " + markup("title"), "OPPORTUNITY": 10, "COMMENTS": "at " + c.Portals[0].Webhook.Reveal()}}, &deal)
	var run int64
	w.h.Until("the run is parked", func() bool {
		runs, err := journal.FindRuns(t.Context(), w.h.Service.Queue().Database(), journal.Filter{Entity: fmt.Sprint("deal:", deal), States: []journal.State{journal.Parked}})
		if err != nil || len(runs) == 0 {
			return false
		}
		run = runs[0].ID
		return true
	})
	data, err := json.Marshal(map[string]any{"FIELDS": map[string]any{"ID": "7", "TITLE": markup("event")}, "auth": map[string]any{"access_token": inEvent}, "shop": inHook, "PASSWORD": inEvent})
	if err != nil {
		t.Fatal(err)
	}
	e := journal.Event{Portal: demo.PortalName, Code: "ONCRMCONTACTADD", Data: data, Why: `[{"rule":"tell","file":"tell.yaml:7","why":` + quote(markup("why")) + `}]`}
	if err := w.h.Service.Queue().Push(t.Context(), e, nil); err != nil {
		t.Fatal(err)
	}
	found, err := journal.FindEvents(t.Context(), w.h.Service.Queue().Database(), journal.EventFilter{Code: e.Code})
	if err != nil || len(found) != 1 {
		t.Fatalf("events %v, %v", found, err)
	}
	signedIn := w.client()
	wrong := signedIn.post("/login", "name", markup("user"), "password", inForm)
	signedIn.signIn("oncall", "correct horse")
	signedIn.want(signedIn.post("/portals/"+demo.PortalName+"/pause", "rule", "tell", "reason", inHook+" "+markup("reason")), http.StatusSeeOther)
	cause := between(t, signedIn.get("/runs?state=parked&group=cause").body, "/causes/", "/acknowledge")

	// Each address that shows something, with what makes it show more.
	queries := map[string][]string{
		"/": {""}, "/portals": {"", "?q=" + url.QueryEscape(markup("field"))}, "/portals/{portal}": {""},
		"/runs":      {"", "?state=parked&group=cause", "?group=cause&acknowledged=1", "?group=day&q=" + url.QueryEscape(markup("field")), "?state=" + url.QueryEscape(markup("field")), "?q=" + url.QueryEscape(markup("field")), "?cause=" + cause},
		"/runs/{id}": {"", "?attempt=1", "?attempt=99", "?refused=replay", "?did=replayed"}, "/runs/replay": {"", "?cause=" + cause, "?portal=" + demo.PortalName},
		"/events": {"", "?rule=none", "?code=" + url.QueryEscape(markup("field")), "?entity=" + url.QueryEscape(markup("field"))}, "/events/{event}": {""},
		"/why":   {"", "?of=deal:" + fmt.Sprint(deal), "?of=" + url.QueryEscape(markup("field")), fmt.Sprintf("?of=deal:%d&field=comments", deal)},
		"/plan":  {"", "?entity=deal:" + fmt.Sprint(deal), "?entity=" + url.QueryEscape(markup("field")), "?version=disk&entity=deal:" + fmt.Sprint(deal), "?version=" + url.QueryEscape(markup("field")) + "&entity=deal:1", "?entity=deal:1&portal=" + url.QueryEscape(markup("field"))},
		"/rules": {""}, "/rules/{rule}": {"", "?part=source"}, "/audit": {"", "?who=" + url.QueryEscape(markup("field")), "?what=" + url.QueryEscape(markup("field"))}, "/keys": {""},
		"/live": {}, "/login": {"", "?next=" + url.QueryEscape(markup("field"))},
		"/nope": {"", "/" + url.PathEscape(markup("field"))}, "/runs/4711": {""}, "/rules/nope": {""}, "/portals/nope": {""}, "/events/4711": {""},
	}
	for _, r := range console.Routes() {
		if path, get := strings.CutPrefix(r, "GET "); get && queries[path] == nil && queries[strings.Replace(path, "{id}", "{event}", 1)] == nil {
			t.Errorf("%s is not among the addresses of this test", path)
		}
	}
	fill := strings.NewReplacer("{portal}", demo.PortalName, "{id}", fmt.Sprint(run), "{event}", fmt.Sprint(found[0].ID), "{rule}", "tell")
	var pages strings.Builder // all HTML
	check := func(what string, a answer) {
		t.Helper()
		text := a.body + fmt.Sprint(a.header)
		for _, s := range secrets {
			for _, spelling := range []string{s, html.EscapeString(s), url.QueryEscape(s)} {
				if i := strings.Index(text, spelling); i >= 0 {
					t.Errorf("%s has the secret %s: …%s", what, s, text[max(0, i-150):min(len(text), i+100)])
					break
				}
			}
		}
		if strings.Contains(a.header.Get("Content-Type"), "json") {
			return
		}
		for _, raw := range []string{"<script>", "<img"} {
			if i := strings.Index(a.body, raw); i >= 0 {
				t.Errorf("%s has markup of a stranger: …%s", what, a.body[max(0, i-100):min(len(a.body), i+100)])
			}
		}
		pages.WriteString(a.body)
	}
	check("a wrong password", wrong)
	program := w.client()
	for path, all := range queries {
		for _, query := range all {
			address := fill.Replace(path) + query
			for _, language := range []string{"en", "ru"} {
				check(address+" in "+language, signedIn.get(address, "Accept-Language", language))
				check(address+" in "+language+" as JSON", program.get(address, "Accept-Language", language, "Accept", "application/json", "Authorization", "Bearer "+token))
			}
		}
	}
	stranger := w.client()
	check("without a session", stranger.get("/runs", "Accept", "application/json"))
	check("a form without a session", stranger.post("/portals/"+demo.PortalName+"/pause", "reason", markup("kept")))
	check("another site", signedIn.do("POST", "/plan", url.Values{}, "Origin", "https://evil.example"))
	check("a wrong method", signedIn.do("DELETE", "/runs", nil))
	check("no role", program.do("POST", "/rules/read", url.Values{}, "Authorization", "Bearer nonsense"))
	for _, post := range []string{"/plan", "/runs/replay", "/causes/nope/acknowledge"} {
		check("POST "+post, signedIn.post(post, "entity", markup("field"), "cause", markup("field"), "portal", demo.PortalName))
	}
	// What was looked for was there.
	for _, where := range []string{"rule", "answer", "title", "event", "why", "user", "reason", "field", "kept"} {
		if escaped := html.EscapeString(`<script>alert(`); !strings.Contains(pages.String(), escaped+"&#34;"+where) && !strings.Contains(pages.String(), escaped+"\\&#34;"+where) {
			t.Errorf("no page shows the text %s", where)
		}
	}
	for _, path := range []string{"/events/{event}", "/runs/{id}", "/rules/{rule}?part=source", "/audit", "/portals/{portal}", "/plan?entity=deal:" + fmt.Sprint(deal)} {
		signedIn.want(signedIn.get(fill.Replace(path)), http.StatusOK, "&lt;secret&gt;")
	}
}

// quote is a text as a string of YAML and of JSON.
func quote(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(b)
}
