package emulator_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/b24rules/b24rules/emulator"
	"github.com/google/go-cmp/cmp"
)

func unix(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

// handler takes events over HTTP and keeps them.
type handler struct {
	url    string
	status int
	mu     sync.Mutex
	bodies []string
	last   []string // what take has seen, whole
}

func newHandler(t *testing.T, status int) *handler {
	h := &handler{status: status}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
			t.Errorf("%s, %s, %v", r.Method, r.Header.Get("Content-Type"), err)
		}
		h.mu.Lock()
		h.bodies = append(h.bodies, string(raw))
		h.mu.Unlock()
		w.WriteHeader(h.status)
	}))
	t.Cleanup(server.Close)
	h.url = server.URL + "/hook"
	return h
}

// take returns the events so far in short form, sorted, and forgets them.
func (h *handler) take(t *testing.T, p *portal) []string {
	t.Helper()
	if err := p.WaitIdle(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var short []string
	for _, body := range h.bodies {
		q, err := url.ParseQuery(body)
		if err != nil {
			t.Fatal(err)
		}
		s := q.Get("event") + " " + q.Get("data[FIELDS][ID]")
		if id := q.Get("data[ID]"); id != "" {
			s += "data " + id
		}
		for _, name := range []string{"ENTITY_TYPE_ID", "CATEGORY_ID", "STAGE_ID", "ENTITY_ID", "FIELD_NAME"} {
			if v := q.Get("data[FIELDS][" + name + "]"); v != "" {
				s += " " + v
			}
		}
		short = append(short, s)
	}
	h.last, h.bodies = h.bodies, nil
	slices.Sort(short)
	return short
}

var allEvents = []string{
	"ONCRMDEALADD", "ONCRMDEALUPDATE", "ONCRMDEALDELETE", "ONCRMDEALMOVETOCATEGORY", "ONCRMDYNAMICITEMADD", "ONCRMDYNAMICITEMUPDATE",
	"ONCRMDYNAMICITEMDELETE", "ONCRMDYNAMICITEMADD_1038", "ONCRMDYNAMICITEMUPDATE_1038", "ONCRMDYNAMICITEMADD_31", "ONCRMDYNAMICITEMUPDATE_31",
}

// TestWhichEvents says what each write sends.
func TestWhichEvents(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{EventDelay: -1})
	emulator.Demo(p.Portal)
	p.AddDealCategory()
	h := newHandler(t, 500)
	p.AddWebhook(h.url, allEvents...)
	list := `"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":47`
	for _, c := range []struct {
		method, params string
		want           []string
	}{
		{"crm.deal.add", `{"fields":{"TITLE":"a"}}`, []string{"ONCRMDEALADD 1"}},
		{"crm.item.add", `{"entityTypeId":2,"fields":{}}`, []string{"ONCRMDEALADD 2"}},
		{"crm.item.add", `{"entityTypeId":31,"fields":{}}`, []string{"ONCRMDYNAMICITEMADD 1 31"}},
		{"crm.item.add", `{"entityTypeId":1038,"fields":{}}`, []string{"ONCRMDYNAMICITEMADD 1 1038", "ONCRMDYNAMICITEMADD_1038 1 1038"}},
		{"crm.deal.update", `{"id":1,"fields":{"TITLE":"a"}}`, []string{"ONCRMDEALUPDATE 1"}},
		{"crm.item.update", `{"entityTypeId":2,"id":1,"fields":{"title":"a"}}`, nil},
		{"crm.item.update", `{"entityTypeId":2,"id":1,"fields":{"title":"b"}}`, []string{"ONCRMDEALUPDATE 1"}},
		{"crm.item.update", `{"entityTypeId":1038,"id":1,"fields":{"ufCrm5Total":1}}`, []string{"ONCRMDYNAMICITEMUPDATE 1 1038", "ONCRMDYNAMICITEMUPDATE_1038 1 1038"}},
		{"crm.item.update", `{"entityTypeId":2,"id":1,"fields":{"categoryId":1}}`, []string{"ONCRMDEALMOVETOCATEGORY 1 1 C1:NEW"}},
		{"crm.item.productrow.set", `{"ownerType":"SI","ownerId":1,"productRows":[]}`, nil},
		{"crm.item.productrow.set", `{"ownerType":"SI","ownerId":1,"productRows":[{"productName":"a","price":1}]}`, []string{"ONCRMDYNAMICITEMUPDATE 1 31"}},
		{"crm.item.productrow.set", `{"ownerType":"SI","ownerId":1,"productRows":[{"productName":"a","price":1}]}`, nil},
		{"crm.item.productrow.add", `{"fields":{"ownerType":"D","ownerId":1,"price":1,"productName":"x"}}`, []string{"ONCRMDEALUPDATE 1"}},
		{"crm.item.productrow.update", `{"id":2,"fields":{"price":2}}`, []string{"ONCRMDEALUPDATE 1"}},
		{"crm.item.productrow.update", `{"id":2,"fields":{"price":"2.00"}}`, nil},
		{"crm.item.productrow.delete", `{"id":2}`, []string{"ONCRMDEALUPDATE 1"}},
		{"crm.deal.productrows.set", `{"id":1,"rows":[]}`, nil},
		{"crm.deal.productrows.set", `{"id":1,"rows":[{"PRODUCT_NAME":"x","PRICE":1}]}`, []string{"ONCRMDEALUPDATE 1"}},
		{"crm.deal.productrows.set", `{"id":1,"rows":[{"PRODUCT_NAME":"x","PRICE":1}]}`, []string{"ONCRMDEALUPDATE 1"}},
		{"batch", `{"cmd":["crm.deal.update?id=1&fields[TITLE]=x","crm.deal.update?id=2&fields[TITLE]=x","crm.deal.update?id=77"]}`, []string{"ONCRMDEALUPDATE 1", "ONCRMDEALUPDATE 2"}},
		{"lists.element.add", `{` + list + `,"ELEMENT_CODE":"a","FIELDS":{"NAME":"a"}}`, nil},
		{"crm.item.delete", `{"entityTypeId":31,"id":1}`, []string{"ONCRMDYNAMICITEMDELETE 1 31"}},
		{"crm.deal.delete", `{"id":1}`, []string{"ONCRMDEALDELETE 1"}},
	} {
		p.post(c.method, c.params)
		if diff := cmp.Diff(c.want, h.take(t, p)); diff != "" {
			t.Errorf("%s %s (-want +got)\n%s", c.method, c.params, diff)
		}
	}
	if s := p.Stats(); s.EventsSent == 0 || s.EventsFailed != s.EventsSent || s.EventsQueued != 0 {
		t.Errorf("a handler that always fails: %+v", s)
	}
}

func TestMoveAlsoUpdates(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{EventDelay: -1, MoveAlsoUpdates: true})
	p.AddDealCategory()
	h := newHandler(t, 200)
	p.AddWebhook(h.url, "onCrmDealMoveToCategory", "onCrmDealUpdate")
	p.add(2, `{}`)
	p.must("crm.item.update", `{"entityTypeId":2,"id":1,"fields":{"categoryId":1}}`)
	if diff := cmp.Diff([]string{"ONCRMDEALMOVETOCATEGORY 1 1 C1:NEW", "ONCRMDEALUPDATE 1"}, h.take(t, p)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestEventBodies compares the whole form of both flavours.
func TestEventBodies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var bodies []string
		var mu sync.Mutex
		client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			raw, err := io.ReadAll(r.Body)
			mu.Lock()
			bodies = append(bodies, string(raw))
			mu.Unlock()
			return &http.Response{StatusCode: 200, Body: http.NoBody}, err
		})}
		p := emulator.New(emulator.Config{Client: client, EventDelay: time.Second})
		defer p.Close()
		p.SetBaseURL("https://portal.example/")
		token := p.AddWebhook("https://hooks.example/a", "ONCRMDEALADD")
		if other := p.AddWebhook("https://hooks.example/a", "ONCRMDEALUPDATE"); other == token {
			t.Error("two outbound webhooks have one token")
		}
		req := httptest.NewRequest(http.MethodGet, "/rest/event.bind?event=onCrmDealAdd&handler=https://hooks.example/b&auth="+p.App().Token(), nil)
		w := httptest.NewRecorder()
		p.ServeHTTP(w, req)
		if w.Code != 200 {
			t.Fatal(w.Body)
		}
		begin := time.Now()
		ask(p, "192.0.2.1", "crm.deal.add", "fields[TITLE]=x")
		time.Sleep(time.Second - 1)
		synctest.Wait()
		if n := p.Stats().EventsSent; n != 0 {
			t.Errorf("%d events are sent too early", n)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		slices.Sort(bodies)
		sent := unix(begin.Add(time.Second))
		want := []string{
			"event=ONCRMDEALADD&event_handler_id=1&data%5BFIELDS%5D%5BID%5D=1&ts=" + sent +
				"&auth%5Bdomain%5D=portal.example&auth%5Bclient_endpoint%5D=https%3A%2F%2Fportal.example%2Frest%2F&auth%5Bserver_endpoint%5D=https%3A%2F%2Fportal.example%2Frest%2F" +
				"&auth%5Bmember_id%5D=MEMBER&auth%5Bapplication_token%5D=emulator-application-token",
			"event=ONCRMDEALADD&event_handler_id=3&data%5BFIELDS%5D%5BID%5D=1&ts=" + sent +
				"&auth%5Baccess_token%5D=ACCESS&auth%5Bexpires%5D=" + unix(begin.Add(time.Hour+time.Second)) + "&auth%5Bexpires_in%5D=3600&auth%5Bscope%5D=calendar%2Ccrm%2Cim%2Clists%2Cuser%2Cuserfieldconfig" +
				"&auth%5Bdomain%5D=portal.example&auth%5Bserver_endpoint%5D=https%3A%2F%2Fportal.example%2Frest%2F&auth%5Bstatus%5D=L&auth%5Bclient_endpoint%5D=https%3A%2F%2Fportal.example%2Frest%2F" +
				"&auth%5Bmember_id%5D=MEMBER&auth%5Buser_id%5D=1&auth%5Bapplication_token%5D=TOKEN",
		}
		for i := range bodies {
			bodies[i] = masked(bodies[i], "member_id", "MEMBER")
			if i == 1 {
				bodies[i] = masked(bodies[i], "application_token", "TOKEN")
				bodies[i] = masked(bodies[i], "access_token", "ACCESS")
			}
		}
		if diff := cmp.Diff(want, bodies); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

// masked replaces a secret of at least 32 digits.
func masked(body, name, by string) string {
	before, rest, found := strings.Cut(body, name+"%5D=")
	secret, after, more := strings.Cut(rest, "&")
	if !found || len(secret) < 32 {
		return body
	}
	if more {
		after = "&" + after
	}
	return before + name + "%5D=" + by + after
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestSlowHandler: several events travel at once, at most as many as set, and
// a handler that answers slowly gets its events ever more slowly.
func TestSlowHandler(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		running, most, sent := 0, 0, 0
		client := &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			mu.Lock()
			running++
			sent++
			most = max(most, running)
			mu.Unlock()
			time.Sleep(3 * time.Second)
			mu.Lock()
			running--
			mu.Unlock()
			return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
		})}
		p := emulator.New(emulator.Config{Client: client, EventWorkers: 4, EventDelay: -1, Plan: emulator.PlanUnlimited})
		defer p.Close()
		p.AddWebhook("https://hooks.example/", "ONCRMDEALADD")
		begin := time.Now()
		for range 20 {
			ask(p, "192.0.2.1", "crm.deal.add", "fields[TITLE]=x")
		}
		if err := p.WaitIdle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); sent != 20 || most != 4 || took < 25*time.Second {
			t.Errorf("%d sent, %d at once, in %s; want 20, 4, and gaps beside five times 3 s", sent, most, took)
		}
	})
}

// TestEventChance loses events and lets them overtake one another, when it is
// set; otherwise one worker sends them in their order.
func TestEventChance(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cfg         emulator.Config
		lost, mixed bool
	}{
		{emulator.Config{}, false, false},
		{emulator.Config{EventJitter: time.Second}, false, true},
		{emulator.Config{EventLoss: 0.3}, true, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			var got []int
			c.cfg.EventWorkers, c.cfg.Plan = 1, emulator.PlanUnlimited
			c.cfg.Client = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				if err := r.ParseForm(); err != nil {
					t.Error(err)
				}
				id, err := strconv.Atoi(r.PostForm.Get("data[FIELDS][ID]"))
				if err != nil {
					t.Error(err)
				}
				got = append(got, id)
				return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
			})}
			p := emulator.New(c.cfg)
			defer p.Close()
			p.AddWebhook("https://hooks.example/", "ONCRMDEALADD")
			for range 100 {
				ask(p, "192.0.2.1", "crm.deal.add", "fields[TITLE]=x")
			}
			if err := p.WaitIdle(t.Context()); err != nil {
				t.Fatal(err)
			}
			if lost := len(got) < 100; lost != c.lost || lost && (len(got) < 50 || len(got) > 90) {
				t.Errorf("%d of 100 sent", len(got))
			}
			if mixed := !slices.IsSorted(got); mixed != c.mixed {
				t.Errorf("out of order: %v, want %v: %v", mixed, c.mixed, got)
			}
		})
	}
}

func TestCloseStopsDelivery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done() // a handler that never answers
			return nil, r.Context().Err()
		})}
		p := emulator.New(emulator.Config{Client: client, Plan: emulator.PlanUnlimited, EventWorkers: 1})
		p.AddWebhook("https://hooks.example/", "ONCRMDEALADD")
		for range 5 {
			ask(p, "192.0.2.1", "crm.deal.add", "fields[TITLE]=x")
		}
		time.Sleep(time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if p.WaitIdle(ctx) == nil {
			t.Error("idle with an event under way")
		}
		p.Close()
		if status, _ := ask(p, "192.0.2.1", "crm.deal.add", "fields[TITLE]=x"); status != 200 {
			t.Error("a closed portal does not answer")
		}
		if s := p.Stats(); s.EventsQueued != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestEventMethods(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{})
	emulator.Demo(p.Portal)
	for _, c := range []struct {
		method, params string
		status         int
		want           string
	}{
		{"event.bind", `{"event":"onCrmDealAdd","handler":"https://example.com/h"}`, 200, `{"result":true,"time":"*"}`},
		{"event.bind", `{"EVENT":"ONCRMDEALADD","HANDLER":"https://example.com/h"}`, 400, `{"error":"ERROR_CORE","error_description":"*"}`},
		{"event.bind", `{"event":"ONCRMDYNAMICITEMADD_1038","handler":"https://example.com/h"}`, 200, `{"result":true,"time":"*"}`},
		{"event.bind", `{"event":"ONCRMDYNAMICITEMADD_31","handler":"https://example.com/h"}`, 400, `{"error":"ERROR_EVENT_NOT_FOUND","error_description":"Event not found"}`},
		{"event.bind", `{"event":"ONCRMDEALFLY","handler":"https://example.com/h"}`, 400, `{"error":"ERROR_EVENT_NOT_FOUND","error_description":"Event not found"}`},
		{"event.bind", `{"event":"ONCRMDEALUPDATE","handler":"http://localhost/h"}`, 400, `{"error":"ERROR_WRONG_HANDLER_URL","error_description":"*"}`},
		{"event.bind", `{"event":"ONCRMDEALUPDATE","handler":"ftp://example.com/h"}`, 400, `{"error":"ERROR_UNSUPPORTED_PROTOCOL","error_description":"*"}`},
		{"event.bind", `{"event":"ONCRMDEALUPDATE"}`, 400, `{"error":"ERROR_ARGUMENT","error_description":"*","argument":"HANDLER"}`},
		{"event.get", ``, 200, `{"result":[{"event":"ONCRMDEALADD","handler":"https:\/\/example.com\/h","auth_type":"0","offline":0},{"event":"ONCRMDYNAMICITEMADD_1038","…":1}],"time":"*"}`},
		{"event.unbind", `{"event":"ONCRMDEALADD","handler":"https://example.com/h","auth_type":7}`, 200, `{"result":{"count":0},"time":"*"}`},
		{"event.unbind", `{"event":"ONCRMDEALADD","handler":"https://example.com/h"}`, 200, `{"result":{"count":1},"time":"*"}`},
		{"event.unbind", `{"event":"ONCRMDEALADD","handler":"https://example.com/h"}`, 200, `{"result":{"count":0},"time":"*"}`},
	} {
		status, body := p.asApp(c.method, c.params)
		if status != c.status {
			t.Errorf("%s %s: status %d, want %d", c.method, c.params, status, c.status)
		}
		p.match(c.method+" "+c.params, c.want, body)
	}
	_, body := p.asApp("events", "")
	for _, code := range []string{`"ONCRMDEALUPDATE"`, `"ONCRMDYNAMICITEMUPDATE_1038"`} {
		if !strings.Contains(body, code) {
			t.Errorf("events lack %s", code)
		}
	}
	if strings.Contains(body, "_31\"") {
		t.Error("events list a suffixed code for smart invoices")
	}
}
