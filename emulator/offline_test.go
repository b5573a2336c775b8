package emulator_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/emulator"
)

// appClient calls a portal as its application, without a network.
type appClient struct {
	t *testing.T
	p *emulator.Portal
}

func (a appClient) call(method, params string) (int, string) {
	a.t.Helper()
	req := httptest.NewRequest(http.MethodPost, "/rest/"+method+"?auth="+a.p.App().Token(), strings.NewReader(params))
	req.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	a.p.ServeHTTP(w, req)
	return w.Code, w.Body.String()
}

func (a appClient) must(method, params string) any {
	a.t.Helper()
	status, body := a.call(method, params)
	if status != 200 {
		a.t.Fatalf("%s %s: status %d, %s", method, params, status, body)
	}
	return at(parse(a.t, body), "result")
}

// fetch takes events and shows them in short form.
func (a appClient) fetch(params string) (process string, events []string) {
	a.t.Helper()
	result := a.must("event.offline.get", params)
	list, _ := at(result, "events").([]any)
	for _, e := range list {
		events = append(events, fmt.Sprint(text(at(e, "ID")), " ", text(at(e, "EVENT_NAME")), " ", text(at(e, "EVENT_DATA", "FIELDS", "ID"))))
	}
	return text(at(result, "process_id")), events
}

// offlinePortal is a portal whose application has offline events of deals. change
// lets a person change deals.
func offlinePortal(t *testing.T, cfg emulator.Config, client *http.Client) (a appClient, change func(query string)) {
	cfg.Plan, cfg.Client = emulator.PlanUnlimited, client
	p := emulator.New(cfg)
	t.Cleanup(p.Close)
	a = appClient{t, p}
	for _, event := range []string{"onCrmDealAdd", "onCrmDealUpdate"} {
		a.must("event.bind", `{"event":"`+event+`","event_type":"offline"}`)
	}
	return a, func(query string) {
		t.Helper()
		if status, body := ask(p, "192.0.2.1", "crm.deal."+strings.SplitN(query, "?", 2)[0], strings.SplitN(query, "?", 2)[1]); status != 200 {
			t.Fatal(body)
		}
	}
}

// TestOfflineQueue: what has changed is kept once, with the time of the last
// change, until it is fetched.
func TestOfflineQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, change := offlinePortal(t, emulator.Config{}, nil)
		h := &portal{Portal: a.p, t: t}
		change("add?fields[TITLE]=a")
		change("add?fields[TITLE]=b")
		for range 1000 {
			change("update?id=2&fields[TITLE]=c")
		}
		time.Sleep(time.Minute)
		change("update?id=1&fields[TITLE]=d")
		change("update?id=2&fields[TITLE]=e")
		now := time.Now().In(time.FixedZone("", 3*60*60)).Format(time.RFC3339)
		_, body := a.call("event.offline.list", `{"order":{"id":"desc"}}`)
		h.match("list", `{"result":[
			{"ID":"4","TIMESTAMP_X":"`+now+`","EVENT_NAME":"ONCRMDEALUPDATE","EVENT_DATA":{"FIELDS":{"ID":"1"}},"EVENT_ADDITIONAL":{"user_id":"1"},"MESSAGE_ID":"*","PROCESS_ID":"","ERROR":"0"},
			{"ID":"3","TIMESTAMP_X":"`+now+`","EVENT_NAME":"ONCRMDEALUPDATE","EVENT_DATA":{"FIELDS":{"ID":"2"}},"…":1},{"ID":"2","…":1},{"ID":"1","…":1}],"total":4,"time":"*"}`, body)
		_, body = a.call("event.offline.list", `{"filter":{"EVENT_NAME":"ONCRMDEALUPDATE",">ID":3}}`)
		h.match("filter", `{"result":[{"ID":"4","…":1}],"total":1,"time":"*"}`, body)

		_, body = a.call("event.offline.get", `{"limit":1,"filter":{"=EVENT_NAME":"ONCRMDEALADD"}}`)
		h.match("get", `{"result":{"process_id":null,"events":[{"ID":"1","TIMESTAMP_X":"*","EVENT_NAME":"ONCRMDEALADD",
			"EVENT_DATA":{"FIELDS":{"ID":"1"}},"EVENT_ADDITIONAL":{"user_id":"1"},"MESSAGE_ID":"*"}]},"time":"*"}`, body)
		if _, events := a.fetch(`{}`); cmp.Diff([]string{"2 ONCRMDEALADD 2", "3 ONCRMDEALUPDATE 2", "4 ONCRMDEALUPDATE 1"}, events) != "" {
			t.Errorf("%v", events)
		}
		if process, events := a.fetch(`{}`); events != nil || process != "" {
			t.Errorf("%q %v, want nothing", process, events)
		}
		// An event that was fetched and comes again is a new one.
		change("update?id=1&fields[TITLE]=f")
		if _, events := a.fetch(`{}`); cmp.Diff([]string{"5 ONCRMDEALUPDATE 1"}, events) != "" {
			t.Errorf("%v", events)
		}
	})
}

// TestOfflineReservation: with clear=0 a process keeps what it has got until it
// confirms it, and a later change adds the event again.
func TestOfflineReservation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, change := offlinePortal(t, emulator.Config{}, nil)
		for i := range 4 {
			change(fmt.Sprint("add?fields[TITLE]=", i))
		}
		first, got := a.fetch(`{"clear":0,"limit":2}`)
		second, others := a.fetch(`{"clear":"0"}`)
		if len(first) != 32 || first == second || len(got) != 2 || len(others) != 2 || got[0] == others[0] {
			t.Fatalf("%s %v, %s %v", first, got, second, others)
		}
		change("update?id=1&fields[TITLE]=x")
		a.must("event.offline.clear", `{"process_id":"`+first+`","id":[77]}`)
		if process, again := a.fetch(`{"clear":0,"process_id":"` + first + `"}`); process != first || cmp.Diff(got, again) != "" {
			t.Errorf("again %s %v, want %s %v", process, again, first, got)
		}
		_, body := a.call("event.offline.list", `{"filter":{"PROCESS_ID":"`+first+`"}}`)
		if n := strings.Count(body, first); n != 2 {
			t.Errorf("%d reserved, want 2: %s", n, body)
		}
		message := text(at(parse(t, body), "result", 1, "MESSAGE_ID"))
		a.must("event.offline.clear", `{"process_id":"`+first+`","id":[1]}`)
		if _, rest := a.fetch(`{"clear":0,"process_id":"` + first + `"}`); cmp.Diff(got[1:], rest) != "" {
			t.Errorf("%v, want %v", rest, got[1:])
		}
		// Failed events come only to a call that asks for them.
		a.must("event.offline.error", `{"process_id":"`+first+`","message_id":["`+message+`"]}`)
		_, rest := a.fetch(`{"clear":0,"process_id":"` + first + `"}`)
		third, free := a.fetch(`{"clear":0}`)
		_, failed := a.fetch(`{"clear":0,"error":1}`)
		if rest != nil || cmp.Diff([]string{"5 ONCRMDEALUPDATE 1"}, free) != "" || cmp.Diff([]string{"2 ONCRMDEALADD 2"}, failed) != "" {
			t.Errorf("reserved %v, free %v, failed %v", rest, free, failed)
		}
		// While somebody works on it, a change is a new event.
		change("update?id=1&fields[TITLE]=y")
		if _, events := a.fetch(`{"clear":0}`); cmp.Diff([]string{"6 ONCRMDEALUPDATE 1"}, events) != "" {
			t.Errorf("%v", events)
		}
		a.must("event.offline.clear", `{"process_id":"`+third+`","message_id":["guess"]}`)
		a.must("event.offline.clear", `{"process_id":"`+third+`"}`)
		if _, events := a.fetch(`{"process_id":"` + third + `"}`); events != nil {
			t.Errorf("%v", events)
		}
		// The second process never confirmed: after 30 days its events are gone.
		time.Sleep(31 * 24 * time.Hour)
		if _, events := a.fetch(`{"process_id":"` + second + `"}`); events != nil {
			t.Errorf("%v", events)
		}
	})
}

// TestOfflineConnector: writes with the source key of a handler are not
// recorded for it, and each key has its own queue.
func TestOfflineConnector(t *testing.T) {
	t.Parallel()
	a, change := offlinePortal(t, emulator.Config{}, nil)
	a.must("event.bind", `{"event":"ONCRMDEALADD","event_type":"offline","auth_connector":"shop"}`)
	a.must("crm.deal.add", `{"fields":{"TITLE":"by the shop"},"auth_connector":"shop"}`) // 1
	a.must("crm.deal.add", `{"fields":{"TITLE":"by the application"}}`)                  // 2
	change("add?fields[TITLE]=person")                                                   // 3
	a.must("batch", `{"cmd":["crm.deal.add?fields[TITLE]=x"],"auth_connector":"shop"}`)  // 4
	_, shop := a.fetch(`{"auth_connector":"shop"}`)
	_, plain := a.fetch(`{}`)
	if diff := cmp.Diff([]string{"2 ONCRMDEALADD 2", "4 ONCRMDEALADD 3"}, shop); diff != "" {
		t.Errorf("the shop's (-want +got)\n%s", diff)
	}
	// The server's source skips the application's own writes without a key, too.
	if diff := cmp.Diff([]string{"1 ONCRMDEALADD 1", "3 ONCRMDEALADD 3", "5 ONCRMDEALADD 4"}, plain); diff != "" {
		t.Errorf("without a key (-want +got)\n%s", diff)
	}
}

// TestOfflineNotice: ONOFFLINEEVENT comes at once, and not again before the
// time that its handler has set.
func TestOfflineNotice(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		options string
		want    int
	}{{"", 4}, {`,"options":{"minTimeout":2}`, 2}, {`,"options":{"minTimeout":0}`, 8}} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			var bodies []string
			client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				if err := r.ParseForm(); err != nil {
					t.Error(err)
				}
				mu.Lock()
				bodies = append(bodies, r.PostForm.Encode())
				mu.Unlock()
				return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
			})}
			a, _ := offlinePortal(t, emulator.Config{EventDelay: -1}, client)
			a.must("event.bind", `{"event":"ONOFFLINEEVENT","handler":"https://app.example/notice"`+c.options+`}`)
			for range 4 { // two requests each second; what a batch does is one
				for range 2 {
					if status, body := ask(a.p, "192.0.2.1", "batch", "cmd[]=crm.deal.add%3Ffields[TITLE]%3Da&cmd[]=crm.deal.add%3Ffields[TITLE]%3Db"); status != 200 {
						t.Fatal(body)
					}
				}
				time.Sleep(time.Second)
			}
			if err := a.p.WaitIdle(t.Context()); err != nil {
				t.Fatal(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if len(bodies) != c.want {
				t.Fatalf("%q: %d notices, want %d", c.options, len(bodies), c.want)
			}
			q, err := url.ParseQuery(bodies[0])
			if err != nil || q.Get("event") != "ONOFFLINEEVENT" || q.Get("auth[refresh_token]") == "" || strings.Contains(bodies[0], "data") {
				t.Errorf("%v, %v", q, err)
			}
		})
	}
}

// TestOfflineErrors compares what is refused.
func TestOfflineErrors(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{NoOfflineExtended: true, NoAuthConnector: true})
	other, err := p.App().Authorize(p.AddUser(emulator.User{Name: "Berta", NotAdmin: true}))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		as, method, params string
		status             int
		want               string
	}{
		{"app", "event.offline.get", `{"clear":0}`, 403, `{"error":"WRONG_LICENSE","error_description":"*"}`},
		{"app", "event.offline.get", `{"limit":0}`, 400, `{"error":"ERROR_ARGUMENT","error_description":"*","argument":"LIMIT"}`},
		{"app", "event.offline.get", `{"filter":{"PROCESS_ID":""}}`, 400, `{"error":"ERROR_ARGUMENT","error_description":"Filter field not allowed: PROCESS_ID","argument":"filter"}`},
		{"app", "event.offline.get", `{"filter":{"><ID":[1,2]}}`, 400, `{"error":"ERROR_ARGUMENT","error_description":"Filter operation not allowed: ><","argument":"filter"}`},
		{"app", "event.offline.get", `{"order":{"ERROR":"ASC"}}`, 400, `{"error":"ERROR_ARGUMENT","error_description":"Order field not allowed: ERROR"}`},
		{"app", "event.offline.list", `{"order":{"ERROR":"up"}}`, 400, `{"error":"ERROR_ARGUMENT","error_description":"Order direction should be one of {ASC|DESC}"}`},
		{"app", "event.offline.clear", `{}`, 400, `{"error":"ERROR_ARGUMENT","error_description":"*","argument":"PROCESS_ID"}`},
		{"app", "event.offline.clear", `{"process_id":"x","id":5}`, 400, `{"error":"ERROR_ARGUMENT","error_description":"*","argument":"id"}`},
		{"app", "event.offline.error", `{"process_id":"x"}`, 400, `{"error":"ERROR_ARGUMENT","error_description":"*","argument":"message_id"}`},
		{"app", "event.bind", `{"event":"ONCRMDEALADD","event_type":"offline","auth_connector":"x"}`, 403, `{"error":"WRONG_LICENSE","error_description":"*"}`},
		{"app", "event.bind", `{"event":"ONOFFLINEEVENT","event_type":"offline"}`, 400, `{"error":"ERROR_ARGUMENT","error_description":"*"}`},
		{"app", "event.bind", `{"event":"ONCRMDEALADD","event_type":"often","handler":"https://app.example/"}`, 400, `{"error":"ERROR_ARGUMENT","error_description":"*","argument":"EVENT_TYPE"}`},
		{"app", "event.bind", `{"event":"ONCRMDEALADD","event_type":"offline"}`, 200, `{"result":true,"time":"*"}`},
		{"app", "event.bind", `{"event":"ONCRMDEALADD","event_type":"offline"}`, 400, `{"error":"ERROR_CORE","error_description":"*"}`},
		{"app", "event.get", `{}`, 200, `{"result":[{"event":"ONCRMDEALADD","connector_id":"","offline":1}],"time":"*"}`},
		{"app", "feature.get", `{"CODE":"rest_offline_extended"}`, 200, `{"result":{"value":"N"},"time":"*"}`},
		{"app", "feature.get", `{}`, 400, `{"error":"CODE_EMPTY","error_description":"CODE can't be empty"}`},
		{"other", "event.offline.get", `{}`, 403, `{"error":"ACCESS_DENIED","error_description":"Access denied!"}`},
		{"other", "event.offline.list", `{}`, 403, `{"error":"ACCESS_DENIED","error_description":"Access denied!"}`},
		{"other", "event.offline.clear", `{"process_id":"x"}`, 403, `{"error":"ACCESS_DENIED","error_description":"Access denied!"}`},
		{"other", "event.offline.error", `{"process_id":"x"}`, 403, `{"error":"ACCESS_DENIED","error_description":"Access denied!"}`},
		{"other", "event.bind", `{"event":"ONCRMDEALADD","event_type":"offline"}`, 403, `{"error":"ACCESS_DENIED","error_description":"Access denied! Offline events binding requires administrator access rights"}`},
		{"other", "event.bind", `{"event":"ONCRMDEALADD","handler":"https://app.example/","auth_type":1}`, 403, `{"error":"ACCESS_DENIED","error_description":"Access denied! Event binding with AUTH_TYPE requires administrator access rights"}`},
		{"other", "event.bind", `{"event":"ONCRMDEALADD","handler":"https://app.example/"}`, 200, `{"result":true,"time":"*"}`},
		{"other", "event.get", `{}`, 200, `{"result":[{"event":"ONCRMDEALADD","handler":"https://app.example/","auth_type":"2","offline":0}],"time":"*"}`},
		{"other", "event.unbind", `{"event":"ONCRMDEALADD","event_type":"offline"}`, 403, `{"error":"ACCESS_DENIED","error_description":"Access denied! Offline events unbinding requires administrator access rights"}`},
		{"other", "event.unbind", `{"event":"ONCRMDEALADD","handler":"https://app.example/","auth_type":1}`, 403, `{"error":"ACCESS_DENIED","error_description":"Access denied! Event unbinding with AUTH_TYPE requires administrator access rights"}`},
		{"other", "event.unbind", `{"event":"ONCRMDEALADD","handler":"https://app.example/"}`, 200, `{"result":{"count":1},"time":"*"}`},
		{"app", "event.unbind", `{"event":"ONCRMDEALADD","event_type":"offline"}`, 200, `{"result":{"count":1},"time":"*"}`},
		{"webhook", "event.offline.get", `{}`, 403, `{"error":"WRONG_AUTH_TYPE","error_description":"*"}`},
	} {
		var status int
		var body string
		switch c.as {
		case "app":
			status, body = p.asApp(c.method, c.params)
		case "other":
			status, body = p.send("POST", "/rest/"+c.method+"?auth="+other.Access, "application/json", c.params)
		default:
			status, body = p.post(c.method, c.params)
		}
		if status != c.status {
			t.Errorf("%s %s %s: status %d, want %d", c.as, c.method, c.params, status, c.status)
		}
		p.match(c.as+" "+c.method+" "+c.params, c.want, body)
	}
}
