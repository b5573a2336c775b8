package emulator_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/b24rules/b24rules/emulator"
)

// TestRequestForms sends one call in each form that a portal takes.
func TestRequestForms(t *testing.T) {
	t.Parallel()
	const (
		form      = "application/x-www-form-urlencoded"
		multipart = "--b\r\nContent-Disposition: form-data; name=\"fields[TITLE]\"\r\n\r\na=b&c %41\r\n--b\r\nContent-Disposition: form-data; name=\"fields[UTM_TERM]\"; filename=\"x\"\r\n\r\nfile\r\n--b--\r\n"
	)
	for _, c := range []struct{ name, verb, path, contentType, body, want string }{
		{"JSON", "POST", "crm.deal.add", "application/json", `{"fields":{"TITLE":"a=b&c A","UTM_TERM":"file"}}`, "a=b&c A file"},
		{"JSON with a charset", "POST", "crm.deal.add", "application/json; charset=utf-8", `{"FIELDS":{"TITLE":"x"}}`, "x "},
		{"form", "POST", "crm.deal.add.json", form, "fields%5BTITLE%5D=a%3Db%26c+A&FIELDS[UTM_TERM]=lost", "  lost"},
		{"one form", "POST", "crm.deal.add", form, "fields%5BTITLE%5D=a%3Db%26c+A", "a=b&c A "},
		{"multipart", "POST", "crm.deal.add", "multipart/form-data; boundary=b", multipart, "a=b&c %41 file"},
		{"query", "GET", "crm.deal.add?fields[TITLE]=Привет", "", "", "Привет "},
		{"a body over a query", "POST", "crm.deal.add?fields[TITLE]=query", form, "fields[TITLE]=body", "body "},
		{"a slash at the end", "GET", "crm.deal.add/?fields[TITLE]=x", "", "", "x "},
		{"any case of the method", "GET", "CRM.Deal.ADD?fields[TITLE]=x", "", "", "x "},
		{"JSON that is no JSON is a form", "POST", "crm.deal.add", "text/plain", `fields[TITLE]=x`, "x "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := open(t, emulator.Config{})
			status, body := p.send(c.verb, p.WebhookPath()+c.path, c.contentType, c.body)
			if status != 200 {
				t.Fatalf("status %d, %s", status, body)
			}
			deal := p.must("crm.deal.get", `{"id":1}`)
			got := text(at(deal, "TITLE")) + " " + text(at(deal, "UTM_TERM"))
			if strings.HasPrefix(c.want, "  ") { // of two spellings of a parameter the later counts
				got = strings.Replace(got, "Deal #1", " ", 1)
			}
			if got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// TestXML answers a method with that ending: the same, as elements.
func TestXML(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{})
	p.must("crm.deal.add", `{"fields":{"TITLE":"a & <b>"}}`)
	for _, c := range []struct {
		path   string
		status int
		want   []string
	}{
		{"crm.deal.get.xml?id=1", 200, []string{"<response><result><ID>1</ID>", "<TITLE>a &amp; &lt;b&gt;</TITLE>", "<time><start>", "</response>"}},
		{"crm.deal.list.xml?select[]=ID", 200, []string{"<response><result><item><ID>1</ID></item></result>", "<total>1</total>"}},
		{"CRM.DEAL.GET.XML?id=1", 200, []string{"<response><result><ID>1</ID>"}},
		{"CRM.DEAL.GET.JSON?id=1", 200, []string{`{"result":{"ID":"1"`}},
		{"crm.deal.get.xml?id=7", 400, []string{"<response><error></error><error_description>Not found</error_description></response>"}},
	} {
		status, body := p.send("GET", p.WebhookPath()+c.path, "", "")
		for _, want := range c.want {
			if status != c.status || !strings.Contains(body, want) {
				t.Errorf("%s: status %d, %s; want %d, %s", c.path, status, body, c.status, want)
			}
		}
	}
}

// TestBrowserAsks: a page of another site asks before it calls. Nothing runs and
// nothing counts.
func TestBrowserAsks(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{Plan: emulator.PlanStandard})
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest(http.MethodOptions, p.WebhookPath()+"crm.deal.add?fields[TITLE]=x", nil))
	h := w.Header()
	if w.Code != 200 || h.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(h.Get("Access-Control-Allow-Headers"), "content-type") {
		t.Errorf("status %d, %v", w.Code, h)
	}
	if s := p.Stats(); s.Requests != 0 || len(p.History()) != 0 {
		t.Errorf("%+v, %v", s, p.History())
	}
}

// TestParameterCase: methods of the old kind take the names of parameters in any
// case, the others do not, and start is in lower case for all.
func TestParameterCase(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{})
	for range 60 {
		p.must("crm.deal.add", `{"fields":{"TITLE":"x"}}`)
	}
	for _, params := range []string{`{"id":1}`, `{"ID":1}`, `{"Id":"1"}`} {
		p.must("crm.deal.get", params)
	}
	p.must("crm.item.get", `{"entityTypeId":2,"id":1}`)
	p.refused("crm.item.get", `{"ENTITYTYPEID":2,"ID":1}`, 400, `{"error":"100","error_description":"Could not find value for parameter {entityTypeId}"}`)
	for params, want := range map[string]int{`{"start":50}`: 10, `{"START":50}`: 50, `{"start":"59"}`: 10, `{"start":49}`: 50} {
		if got := len(p.must("crm.deal.list", params).([]any)); got != want {
			t.Errorf("%s: %d deals, want %d", params, got, want)
		}
	}
}

// TestBrokenJSON is no parameters and no error.
func TestBrokenJSON(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{})
	for _, body := range []string{`{"id":`, ``, `[]`, `"x"`, `{"id":1}{`} {
		p.refused("crm.deal.get", body, 400, `{"error":"","error_description":"ID is not defined or invalid."}`)
	}
	// JSON under another content type is not read either.
	status, _ := p.send("POST", p.WebhookPath()+"crm.deal.get", "text/plain", `{"id":1}`)
	if status != 400 {
		t.Errorf("status %d", status)
	}
}

// A request whose body breaks off never reaches the portal: nothing runs, and
// nothing counts.
func TestBodyBreaksOff(t *testing.T) {
	t.Parallel()
	p := shelf(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	before := p.Stats().Requests
	body := "entityTypeId=2&fields[title]=Half"
	fmt.Fprintf(conn, "POST %scrm.item.add?entityTypeId=2 HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
		p.WebhookPath(), len(body)+5, body)
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400 ") {
		t.Errorf("the answer is %q, %v", answer, err)
	}
	if n := p.Stats().Requests; n != before {
		t.Errorf("%d requests were counted", n-before)
	}
}

func TestControl(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{EventDelay: -1})
	h := newHandler(t, 200)
	_, body := p.send("POST", "/_emulator/webhooks", "application/json", `{"url":"`+h.url+`","events":["ONCRMDEALADD"]}`)
	p.match("webhooks", `{"application_token":"emulator-application-token"}`, body)
	for _, c := range []struct{ body, want string }{
		{`{"url":"x","events":["ONCRMDEALFLY"]}`, "unknown event"},
		{`{"url":"x","events":["ONCRMDEALMOVETOCATEGORY"]}`, "application"},
		{`{"url":"","events":[]}`, "want a url"},
		{`{"uri":"x"}`, "unknown field"},
	} {
		if status, body := p.send("POST", "/_emulator/webhooks", "application/json", c.body); status != 400 || !strings.Contains(body, c.want) {
			t.Errorf("%s: status %d, %s", c.body, status, body)
		}
	}
	p.must("crm.deal.add", `{"fields":{"TITLE":"x"}}`)
	p.send("GET", "/rest/crm.deal.get?id=7&auth="+p.App().Token(), "", "")
	p.must("batch", `{"cmd":{"a":"profile"}}`)
	if got := h.take(t, p); len(got) != 1 {
		t.Errorf("events %v", got)
	}
	_, body = p.send("GET", "/_emulator/stats", "", "")
	p.match("stats", `{"requests":3,"refused":0,"changes":1,"batches":1,"commands":{"crm.deal.add":1,"crm.deal.get":1,"profile":1},"errors":{"Not found":1},
		"level":0,"capacity":0,"highest_level":0,"events_sent":1,"events_failed":0,"events_queued":0}`, body)
	_, body = p.send("GET", "/_emulator/calls", "", "")
	p.match("calls", `[{"at":"*","method":"crm.deal.add","params":{"fields":{"TITLE":"x"}},"status":200},
		{"at":"*","method":"crm.deal.get","params":{"id":"7"},"status":400,"error":"Not found"},
		{"at":"*","method":"profile","params":[],"batch":true,"status":200}]`, body)
	_, body = p.send("GET", "/_emulator/history", "", "")
	p.match("history", `[{"at":"*","op":"add","entity_type_id":2,"id":1,"title":"x","values":{"id":1,"…":1}}]`, body)
	_, body = p.send("GET", "/_emulator/app", "", "")
	p.match("app", `{"access_token":"*","refresh_token":"*","client_id":"*","client_secret":"*","application_token":"*","member_id":"*",
		"client_endpoint":"`+p.url+`/rest/","server_endpoint":"`+p.url+`/rest/","scope":"calendar,crm,im,lists,user,userfieldconfig"}`, body)
	p.send("POST", "/_emulator/reset", "", "")
	if s := p.Stats(); s.Requests != 0 || len(p.Calls()) != 0 || len(p.History()) != 0 {
		t.Errorf("after the reset: %+v", s)
	}
	if status, _ := p.send("GET", "/_emulator/nothing", "", ""); status != 404 {
		t.Errorf("status %d", status)
	}
}

// TestHistory: the history also names what was deleted.
func TestHistory(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{KeepChanges: 3})
	emulator.Demo(p.Portal)
	for i := range 3 {
		p.must("lists.element.add", fmt.Sprintf(`{"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":47,"ELEMENT_CODE":"c%d","FIELDS":{"NAME":"n%d"}}`, i, i))
	}
	p.must("lists.element.delete", `{"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":47,"ELEMENT_ID":2}`)
	var got []string
	for _, ch := range p.History() {
		got = append(got, fmt.Sprintf("%s %d %d %s %s", ch.Op, ch.IBlockID, ch.ID, ch.Code, ch.Title))
	}
	if want := "add 47 2 c1 n1, add 47 3 c2 n2, delete 47 2 c1 n1"; strings.Join(got, ", ") != want {
		t.Errorf("%v, want %s", got, want)
	}
}

// TestClients works one portal by many clients at once.
func TestClients(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{EventDelay: -1})
	emulator.Demo(p.Portal)
	h := newHandler(t, 200)
	p.AddWebhook(h.url, "ONCRMDEALADD", "ONCRMDEALUPDATE")
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for j := range 5 {
				id := text(p.must("crm.deal.add", `{"fields":{"TITLE":"x"}}`))
				p.must("crm.item.productrow.set", `{"ownerType":"D","ownerId":`+id+`,"productRows":[{"productName":"a","price":1}]}`)
				p.must("lists.element.add", fmt.Sprintf(`{"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":47,"ELEMENT_CODE":"c-%d-%d","FIELDS":{"NAME":"n"}}`, i, j))
				p.must("batch", `{"cmd":["crm.deal.list","lists.element.get?IBLOCK_TYPE_ID=lists&IBLOCK_ID=47","crm.deal.get?id=$result[0][0][ID]"]}`)
				p.Stats()
			}
		})
	}
	wg.Wait()
	if got := len(h.take(t, p)); got != 640 {
		t.Errorf("%d events, want 640", got)
	}
}

// TestAllAtOnce lets clients, an application, people, robots, faults and a
// person at the control work one portal at the same time: for the race detector.
func TestAllAtOnce(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{EventDelay: -1, TokenLife: time.Minute, Latency: emulator.Latency{Command: time.Microsecond, Jitter: 0.5}})
	emulator.Demo(p.Portal)
	h := newHandler(t, 200)
	p.AddWebhook(h.url, "ONCRMDEALADD", "ONCRMDEALUPDATE")
	for _, event := range []string{"ONCRMDEALADD", "ONCRMDEALUPDATE"} {
		p.asApp("event.bind", `{"event":"`+event+`","event_type":"offline"}`)
	}
	p.asApp("event.bind", `{"event":"ONOFFLINEEVENT","handler":"`+h.url+`","options":{"minTimeout":0}}`)
	id := text(p.must("crm.deal.add", `{"fields":{"TITLE":"x"}}`))
	work := []func(i int){
		func(int) { p.post("crm.deal.add", `{"fields":{"TITLE":"y"}}`) },
		func(i int) { p.post("crm.deal.update", fmt.Sprintf(`{"id":%s,"fields":{"TITLE":"%d"}}`, id, i)) },
		func(int) { p.post("crm.item.list", `{"entityTypeId":2,"filter":{">id":0}}`) },
		func(int) {
			p.post("batch", `{"cmd":["crm.deal.get?id=`+id+`","crm.deal.update?id=$result[0][ID]&fields[TITLE]=z","profile"]}`)
		},
		func(int) { p.asApp("event.offline.get", `{"clear":0,"limit":3}`) },
		func(int) { p.asApp("event.offline.list", `{}`) },
		func(int) {
			p.send("POST", "/_emulator/person/crm.deal.update", "application/json", `{"id":`+id+`,"fields":{"TITLE":"p"}}`)
		},
		func(int) {
			p.send("POST", "/_emulator/robot/crm.deal.add", "application/json", `{"fields":{"TITLE":"r"}}`)
		},
		func(i int) {
			body := `[]`
			if i%2 == 0 {
				body = `[{"kind":"refuse","code":"OPERATION_TIME_LIMIT","method":"crm.deal.add","probability":0.5},{"kind":"delay","delay":"1us"}]`
			}
			p.send("POST", "/_emulator/faults", "application/json", body)
		},
		func(int) { p.send("GET", "/_emulator/stats", "", "") },
		func(int) { p.send("GET", "/_emulator/calls?last=5", "", "") },
		func(int) { p.send("GET", "/_emulator/faults", "", "") },
		func(int) { p.App().ExpireTokens() },
		func(int) { p.send("GET", "/_emulator/app", "", "") },
		func(int) { p.History() },
		func(i int) { p.AddUser(emulator.User{ID: int64(i + 2), Name: "u"}) },
	}
	var wg sync.WaitGroup
	for client := range 64 {
		wg.Go(func() {
			for i := range 5 {
				work[(client+i*5)%len(work)](i)
			}
		})
	}
	wg.Wait()
	if err := p.SetFaults(); err != nil {
		t.Fatal(err)
	}
	p.must("crm.deal.get", `{"id":`+id+`}`)
	if err := p.WaitIdle(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestSettingsAtOnce reads the settings of fields while others change them: an
// answer is written when the next call may run already.
func TestSettingsAtOnce(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{})
	emulator.Demo(p.Portal)
	list := `"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":47`
	html := text(p.must("lists.field.add", `{`+list+`,"FIELDS":{"NAME":"Text","TYPE":"S:HTML","CODE":"TEXT"}}`))
	id := text(at(p.must("userfieldconfig.add", `{"moduleId":"crm","field":{"entityId":"CRM_5","fieldName":"UF_CRM_5_X","userTypeId":"string"}}`), "field", "id"))
	var wg sync.WaitGroup
	for client := range 8 {
		wg.Go(func() {
			for i := range 10 {
				if client%2 == 0 {
					p.must("lists.field.get", `{`+list+`}`)
					p.must("userfieldconfig.get", `{"moduleId":"crm","id":`+id+`}`)
					p.must("crm.item.fields", `{"entityTypeId":1038}`)
					continue
				}
				p.must("lists.field.update", fmt.Sprintf(`{%s,"FIELD_ID":%q,"FIELDS":{"NAME":"Text","TYPE":"S:HTML","SETTINGS":{"SHOW_ADD_FORM":"N"},"USER_TYPE_SETTINGS":{"height":%d}}}`, list, html, i))
				p.must("userfieldconfig.update", fmt.Sprintf(`{"moduleId":"crm","id":%s,"field":{"settings":{"SIZE":%d}}}`, id, i))
			}
		})
	}
	wg.Wait()
}

// FuzzRequest sends whatever comes: the portal answers JSON and stays whole.
func FuzzRequest(f *testing.F) {
	for _, seed := range [][4]string{
		{"crm.item.list", "application/json", `{"entityTypeId":2,"filter":{"0":{"logic":"OR","0":{"!=title":""}}},"order":{"id":"DESC"}}`, ""},
		{"batch", "application/json", `{"halt":0,"cmd":{"a":"crm.deal.get?id=1","b":"crm.deal.get?id=$result[a][ID]$next[a][[x"}}`, ""},
		{"lists.element.add", "application/x-www-form-urlencoded", "IBLOCK_TYPE_ID=lists&IBLOCK_ID=47&ELEMENT_CODE=a&FIELDS[NAME]=x&FIELDS[PROPERTY_101][n0][VALUE]=1,5", "start=-1"},
		{"lists.element.get", "", "IBLOCK_TYPE_ID=lists&IBLOCK_ID=47&FILTER[><PROPERTY_101][]=1&FILTER[!%NAME]=%25&ELEMENT_ORDER[PROPERTY_101]=desc", ""},
		{"crm.item.productrow.set", "application/json", `{"ownerType":"D","ownerId":1,"productRows":[{"price":"1e30","quantity":"1e30","taxRate":-100},{"price":-1,"discountTypeId":1}]}`, ""},
		{"crm.deal.productrows.set", "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"rows[0][PRICE]\"\r\n\r\n1\r\n--b--", "id=1"},
		{"crm.item.update", "application/json", `{"entityTypeId":1038,"id":1,"fields":{"ufCrm5Total":1e999,"contactIds":[1],"title":["x"]}}`, ""},
		{"crm.contact.add", "application/x-www-form-urlencoded", "fields[NAME]=x&fields[PHONE][n0][VALUE]=1&fields[COMPANY_IDS][]=1&params[IMPORT]=Y", ""},
		{"crm.type.add", "application/json", `{"fields":{"title":"x","relations":{"parent":[{"entityTypeId":2}],"child":[{"entityTypeId":3,"isChildrenListEnabled":"true"}]}}}`, ""},
		{"userfieldconfig.add", "application/json", `{"moduleId":"crm","field":{"entityId":"CRM_5","fieldName":"UF_CRM_5_X","userTypeId":"enumeration","enum":[{"value":"a"}]}}`, ""},
		{"lists.field.update", "application/json", `{"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":47,"FIELD_ID":"PROPERTY_106","FIELDS":{"NAME":"x","TYPE":"L","LIST":{"1":{"VALUE":"a"}}}}`, ""},
		{"crm.item.batchImport", "application/json", `{"entityTypeId":2,"data":[{"title":"x","createdTime":"2020-01-01"},[]]}`, ""},
		{"crm.deal.contact.items.set", "application/json", `{"id":1,"items":[{"CONTACT_ID":1,"SORT":"x","IS_PRIMARY":"Y"}]}`, ""},
		{"crm.timeline.comment.add", "application/json", `{"fields":{"ENTITY_ID":1,"ENTITY_TYPE":"deal","COMMENT":"x","FILES":[["a","aGk="]]}}`, ""},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	f.Fuzz(func(t *testing.T, method, contentType, body, query string) {
		p := emulator.New(emulator.Config{Plan: emulator.PlanUnlimited})
		defer p.Close()
		emulator.Demo(p)
		for _, setup := range []string{"crm.deal.add?fields[TITLE]=x", "crm.item.add?entityTypeId=1038&fields[title]=x"} {
			p.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, p.WebhookPath()+setup, nil))
		}
		req := httptest.NewRequest(http.MethodPost, p.WebhookPath(), strings.NewReader(body))
		req.URL.Path = p.WebhookPath() + method
		req.URL.RawQuery = query
		req.Header.Set("Content-Type", contentType)
		w := httptest.NewRecorder()
		p.ServeHTTP(w, req)
		if w.Header().Get("Content-Type") == "application/json; charset=utf-8" && !json.Valid(w.Body.Bytes()) {
			t.Errorf("status %d, no JSON: %s", w.Code, w.Body)
		}
		if w.Code == http.StatusInternalServerError {
			t.Errorf("%s %s: %s", method, body, w.Body)
		}
	})
}
