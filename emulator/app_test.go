package emulator_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/emulator"
)

// get asks a portal without a network.
func get(p *emulator.Portal, path string) (status int, header http.Header, body string) {
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Header(), w.Body.String()
}

// tokens asks the token endpoint as the application.
func tokens(p *emulator.Portal, grant string, params ...string) (int, string) {
	q := url.Values{"grant_type": {grant}, "client_id": {p.App().ClientID()}, "client_secret": {p.App().ClientSecret()}}
	for i := 0; i+1 < len(params); i += 2 {
		q.Set(params[i], params[i+1])
	}
	status, _, body := get(p, "/oauth/token/?"+q.Encode())
	return status, body
}

// TestOAuth goes the whole way of an application from the user's consent to the
// end of the refresh token.
func TestOAuth(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := emulator.New(emulator.Config{RedirectURI: "https://app.example/back?x=1", Plan: emulator.PlanUnlimited})
		defer p.Close()
		p.SetBaseURL("https://portal.example")
		anna := p.AddUser(emulator.User{Name: "Berta", NotAdmin: true})
		authorize := func() string {
			t.Helper()
			status, header, _ := get(p, fmt.Sprint("/oauth/authorize/?state=a%26b&user_id=", anna, "&client_id=", p.App().ClientID()))
			back, err := url.Parse(header.Get("Location"))
			if err != nil || status != 302 || back.Host != "app.example" {
				t.Fatalf("status %d, %s, %v", status, header, err)
			}
			q := back.Query()
			for name, want := range map[string]string{"x": "1", "state": "a&b", "domain": "portal.example", "member_id": p.App().MemberID(), "scope": "calendar,crm,im,lists,user,userfieldconfig", "server_domain": "portal.example"} {
				if q.Get(name) != want {
					t.Errorf("%s is %q, want %q", name, q.Get(name), want)
				}
			}
			return q.Get("code")
		}
		h := &portal{Portal: p, t: t}
		code := authorize()
		status, body := tokens(p, "authorization_code", "code", code)
		h.match("tokens", `{"access_token":"*","client_endpoint":"https://portal.example/rest/","domain":"portal.example","expires":`+unix(time.Now().Add(time.Hour))+`,
			"expires_in":3600,"member_id":"`+p.App().MemberID()+`","refresh_token":"*","scope":"calendar,crm,im,lists,user,userfieldconfig","server_endpoint":"https://portal.example/rest/","status":"L","user_id":2}`, body)
		if status != 200 {
			t.Errorf("status %d", status)
		}
		refused := func(what, want string, wantStatus int, status int, body string) {
			t.Helper()
			if status != wantStatus || !strings.Contains(body, want) {
				t.Errorf("%s: status %d, %s; want %d, %s", what, status, body, wantStatus, want)
			}
		}
		again := func(grant string, params ...string) func(what, want string, wantStatus int) {
			status, body := tokens(p, grant, params...)
			return func(what, want string, wantStatus int) {
				t.Helper()
				refused(what, want, wantStatus, status, body)
			}
		}
		again("authorization_code", "code", code)("a code twice", `"invalid_grant"`, 400)
		late := authorize()
		time.Sleep(31 * time.Second)
		again("authorization_code", "code", late)("an old code", `"invalid_grant"`, 400)
		again("refresh_token", "refresh_token", "guess")("a wrong token", `"invalid_grant"`, 400)
		again("refresh_token")("no token", `"invalid_request"`, 400)
		again("password")("another grant", `"invalid_request"`, 400)
		again("refresh_token", "refresh_token", "x", "client_id", "local.1")("another client", `{"error":"wrong_client"}`, 200)
		again("refresh_token", "refresh_token", "x", "client_secret", "guess")("a wrong secret", `"invalid_client"`, 400)
		again("authorization_code", "code", "x", "client_id", "local.1")("another client's code", `{"error":"wrong_client"}`, 200)

		access, refresh := text(at(parse(t, body), "access_token")), text(at(parse(t, body), "refresh_token"))
		profile := func(token string) (int, string) {
			status, _, body := get(p, "/rest/profile?auth="+token)
			return status, body
		}
		if status, body := profile(access); status != 200 || !strings.Contains(body, `"ID":"2","ADMIN":false,"NAME":"Berta"`) {
			t.Errorf("status %d, %s", status, body)
		}
		time.Sleep(time.Hour)
		status, body = profile(access)
		refused("an expired token", `{"error":"expired_token","error_description":"The access token provided has expired."}`, 401, status, body)
		_, body = tokens(p, "refresh_token", "refresh_token", refresh)
		renewed, next := text(at(parse(t, body), "access_token")), text(at(parse(t, body), "refresh_token"))
		if status, _ := profile(renewed); status != 200 || next == refresh || renewed == access {
			t.Errorf("renewed: status %d, %s", status, body)
		}
		again("refresh_token", "refresh_token", refresh)("a refresh token twice", `"invalid_grant"`, 400)
		time.Sleep(181 * 24 * time.Hour)
		again("refresh_token", "refresh_token", next)("an old refresh token", `"invalid_grant"`, 400)
	})
}

// TestAuthorizePage: the page shows an error to the user. The application receives
// nothing.
func TestAuthorizePage(t *testing.T) {
	t.Parallel()
	p := emulator.New(emulator.Config{})
	defer p.Close()
	if status, header, body := get(p, "/oauth/authorize/?client_id="+p.App().ClientID()); status != 200 || header.Get("Location") != "" || !strings.Contains(body, "The code of the authorization: ") {
		t.Errorf("status %d, %s", status, body)
	}
	for _, query := range []string{"client_id=guess", "client_id=" + p.App().ClientID() + "&user_id=77", "client_id=" + p.App().ClientID() + "&user_id=x"} {
		if status, header, body := get(p, "/oauth/authorize/?"+query); status != 400 || header.Get("Location") != "" || !strings.Contains(body, "not installed") {
			t.Errorf("%s: status %d, %s", query, status, body)
		}
	}
}

// TestTokenFaults sets faults for the token endpoint.
func TestTokenFaults(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{TokenLife: time.Minute})
	first, err := p.App().Authorize(1)
	if err != nil {
		t.Fatal(err)
	}
	if life := time.Until(first.Expires); life <= 0 || life > time.Minute {
		t.Errorf("lives %s, want a minute", life)
	}
	if err := p.SetFaults(
		emulator.Fault{Kind: emulator.FaultRefuse, Method: "oauth.token", Code: "INTERNAL_SERVER_ERROR", Count: 1},
		emulator.Fault{Kind: emulator.FaultReset, Method: "oauth.token", After: true, Count: 1},
	); err != nil {
		t.Fatal(err)
	}
	renew := func() (status int, body string) {
		form := url.Values{"grant_type": {"refresh_token"}, "client_id": {p.App().ClientID()}, "client_secret": {p.App().ClientSecret()}, "refresh_token": {first.Refresh}}
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).PostForm(p.url+"/oauth/token/", form)
		if err != nil {
			return 0, err.Error()
		}
		defer resp.Body.Close()
		return resp.StatusCode, resp.Status
	}
	// The second renewal is done, but its answer is lost: the application has
	// lost its authorization with it.
	for _, want := range []int{500, 0, 400} {
		if status, body := renew(); status != want {
			t.Errorf("status %d, %s; want %d", status, body, want)
		}
	}
	// The secrets of an application reach no journal.
	for _, c := range p.Calls() {
		if s := string(c.Params); strings.Contains(s, first.Refresh) || strings.Contains(s, p.App().ClientSecret()) {
			t.Errorf("a secret in %s", s)
		}
	}
}

// TestAppLife follows an application from its installation to its removal.
func TestAppLife(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{EventDelay: -1})
	h := newHandler(t, 200)
	take := func(what string, want ...string) url.Values {
		t.Helper()
		bodies := h.take(t, p)
		if diff := cmp.Diff(want, bodies); diff != "" {
			t.Errorf("%s (-want +got)\n%s", what, diff)
		}
		if len(h.last) == 0 {
			return url.Values{}
		}
		q, err := url.ParseQuery(h.last[0])
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	keys := func(q url.Values) string {
		var names []string
		for name := range q {
			if rest, ok := strings.CutPrefix(name, "auth["); ok {
				names = append(names, strings.TrimSuffix(rest, "]"))
			}
		}
		slices.Sort(names)
		return strings.Join(names, " ")
	}
	const (
		long = "access_token application_token client_endpoint domain expires expires_in member_id refresh_token scope server_endpoint status user_id"
		none = "application_token client_endpoint domain member_id server_endpoint"
	)
	control := func(body string) {
		t.Helper()
		if status, answer := p.send("POST", "/_emulator/app", "application/json", body); status != 200 {
			t.Errorf("%s: %s", body, answer)
		}
	}

	old, _ := p.App().Authorize(1)
	control(`{"do":"install","url":"` + h.url + `"}`)
	q := take("install", "ONAPPINSTALL ")
	if got := keys(q); got != long || q.Has("event_handler_id") || q.Get("data[VERSION]")+q.Get("data[ACTIVE]")+q.Get("data[INSTALLED]") != "1YY" {
		t.Errorf("%v", q)
	}
	if status, body := p.send("GET", "/rest/profile?auth="+old.Access, "", ""); status != 401 || !strings.Contains(body, "invalid_token") {
		t.Errorf("a token of before: status %d, %s", status, body)
	}
	// The tokens that came are good.
	if status, body := p.send("GET", "/rest/profile?auth="+q.Get("auth[access_token]"), "", ""); status != 200 {
		t.Errorf("status %d, %s", status, body)
	}
	if status, body := tokens(p.Portal, "refresh_token", "refresh_token", q.Get("auth[refresh_token]")); status != 200 {
		t.Errorf("status %d, %s", status, body)
	}
	token := q.Get("auth[application_token]")
	// h.url has no dot for event.bind but in its address: 127.0.0.1 has.
	for _, event := range []string{"ONAPPUPDATE", "ONAPPUNINSTALL", "ONAPPPAYMENT", "ONAPPTEST", "ONCRMDEALADD"} {
		if status, body := p.asApp("event.bind", `{"event":"`+event+`","handler":"`+h.url+`"}`); status != 200 {
			t.Fatal(body)
		}
	}
	if _, body := p.asApp("event.test", `{"any":{"thing":[1]}}`); !strings.HasPrefix(body, `{"result":1,`) {
		t.Error(body)
	}
	q = take("test", "ONAPPTEST ")
	if q.Get("data[QUERY][any][thing][0]") != "1" || q.Get("data[LANGUAGE_ID]") != "en" {
		t.Errorf("%v", q)
	}
	p.App().Payment("T", 3, true)
	q = take("payment", "ONAPPPAYMENT ")
	if got := keys(q); got != "client_endpoint domain member_id server_endpoint" || q.Get("data[STATUS]")+q.Get("data[DAYS]")+q.Get("data[PAYMENT_EXPIRED]") != "T3Y" {
		t.Errorf("%s, %v", got, q)
	}
	if status, body := p.asApp("profile", ""); status != 401 || !strings.Contains(body, "PAYMENT_REQUIRED") {
		t.Errorf("unpaid: status %d, %s", status, body)
	}
	control(`{"do":"payment","status":"P","days":28}`)
	take("payment again", "ONAPPPAYMENT ")
	_, body := p.asApp("app.info", "")
	p.match("app.info", `{"result":{"ID":1,"CODE":"`+p.App().ClientID()+`","VERSION":1,"STATUS":"P","INSTALLED":true,"PAYMENT_EXPIRED":"N","DAYS":28,
		"LANGUAGE_ID":"en","LICENSE":"en_self","LICENSE_TYPE":"self","LICENSE_FAMILY":"self"},"time":"*"}`, body)
	p.refused("app.info", `{}`, 400, `{"error":"ACCESS_DENIED","error_description":"Access denied! Application context required"}`)

	control(`{"do":"update","version":"2.1.0"}`)
	q = take("update", "ONAPPUPDATE ")
	if got := q.Get("auth[application_token]"); keys(q) != long || got == token || len(got) != 32 || q.Get("data[VERSION]")+q.Get("data[PREVIOUS_VERSION]") != "2.1.01" {
		t.Errorf("%v", q)
	}
	if _, body := p.asApp("event.get", ""); !strings.HasPrefix(body, `{"result":[],`) {
		t.Errorf("handlers of the version before: %s", body)
	}
	p.asApp("event.bind", `{"event":"ONAPPUNINSTALL","handler":"`+h.url+`"}`)
	live := p.App().Token()
	control(`{"do":"uninstall","clean":true}`)
	q = take("uninstall", "ONAPPUNINSTALL ")
	if keys(q) != none || q.Get("data[CLEAN]") != "1" {
		t.Errorf("%v", q)
	}
	if status, body := p.send("GET", "/rest/profile?auth="+live, "", ""); status != 401 || !strings.Contains(body, "ERROR_OAUTH") {
		t.Errorf("uninstalled: status %d, %s", status, body)
	}
	if _, err := p.App().Authorize(1); err == nil {
		t.Error("tokens for an application that is not installed")
	}
	control(`{"do":"install","url":""}`)
	live = p.App().Token()
	control(`{"do":"expire"}`)
	if status, body := p.send("GET", "/rest/profile?auth="+live, "", ""); status != 401 || !strings.Contains(body, "expired_token") {
		t.Errorf("expired: status %d, %s", status, body)
	}
	for body, want := range map[string]string{`{"do":"fly"}`: "want install, update", `{"to":"install"}`: "unknown field"} {
		if status, answer := p.send("POST", "/_emulator/app", "application/json", body); status != 400 || !strings.Contains(answer, want) {
			t.Errorf("%s: status %d, %s", body, status, answer)
		}
	}
}

// TestEventFlavours: whose tokens an application gets, and how often a chain of
// writes with them continues.
func TestEventFlavours(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{EventDelay: -1})
	h := newHandler(t, 200)
	berta := p.AddUser(emulator.User{Name: "Berta"})
	bind := func(more string) {
		t.Helper()
		if status, body := p.asApp("event.bind", `{"event":"ONCRMDEALADD","handler":"`+h.url+`"`+more+`}`); status != 200 {
			t.Fatal(body)
		}
	}
	bind("")
	last := func() url.Values {
		t.Helper()
		if n := len(h.take(t, p)); n != 1 {
			t.Fatalf("%d events, want 1", n)
		}
		q, err := url.ParseQuery(h.last[0])
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	tokens, err := p.App().Authorize(berta)
	if err != nil {
		t.Fatal(err)
	}
	add := func(token string) {
		t.Helper()
		if status, body := p.send("GET", "/rest/crm.deal.add?fields[TITLE]=x&auth="+token, "", ""); status != 200 {
			t.Fatal(body)
		}
	}
	add(tokens.Access)
	q := last()
	if q.Get("auth[user_id]") != "2" || q.Has("auth[refresh_token]") {
		t.Errorf("%v", q)
	}
	// Three events follow one another when each write takes the token of the
	// last. With another token the chain does not end.
	for range 2 {
		add(q.Get("auth[access_token]"))
		q = last()
	}
	add(q.Get("auth[access_token]"))
	if got := h.take(t, p); len(got) != 0 {
		t.Errorf("%v after three in a row", got)
	}
	add(tokens.Access)
	last()
	// What a robot does has no user.
	if status, body := p.send("POST", "/_emulator/robot/crm.deal.add", "application/json", `{"fields":{"TITLE":"by a robot"}}`); status != 200 {
		t.Fatal(body)
	}
	if q = last(); q.Has("auth[access_token]") || q.Has("auth[status]") || q.Get("auth[application_token]") == "" {
		t.Errorf("%v", q)
	}
	// Unless the handler is bound for one.
	if status, body := p.asApp("event.unbind", `{"event":"ONCRMDEALADD","handler":"`+h.url+`"}`); status != 200 {
		t.Fatal(body)
	}
	bind(`,"auth_type":2`)
	p.send("POST", "/_emulator/robot/crm.deal.add", "application/json", `{"fields":{"TITLE":"by a robot"}}`)
	if q = last(); q.Get("auth[user_id]") != "2" {
		t.Errorf("%v", q)
	}
}
