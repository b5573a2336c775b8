package emulator_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/schemas"
)

// TestOtherSystems lets the emulator play a warehouse: a reply that is used up, a reply that
// stays, requests without a reply, and what is kept of them.
func TestOtherSystems(t *testing.T) {
	p := open(t, emulator.Config{})
	post := func(path, body string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Key", "k")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, strings.TrimSpace(string(text))
	}
	if status, text := post("/_emulator/other", `[{"method": "post", "path": "/stock", "status": 503, "count": 1}, {"path": "/stock", "json": {"number": "A-17"}, "headers": {"X-Answer": "1"}, "delay": "1ms"}, {"path": "/text", "text": "yes"}]`); status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	for _, want := range []struct {
		path, body string
		status     int
	}{{"/_other/stock/1?a=b", "{}", 503}, {"/_other/stock/1", `{"number": "A-17"}`, 200}, {"/_other/text", "yes", 200}, {"/_other/none", "{}", 200}} {
		if status, text := post(want.path, "body"); status != want.status || text != want.body {
			t.Errorf("%s: %d %s", want.path, status, text)
		}
	}
	got := p.OtherRequests()
	if len(got) != 4 || got[0].Query != "a=b" || got[0].Body != "body" || got[0].Headers["X-Key"] != "k" || got[0].Status != 503 || got[3].Path != "/none" {
		t.Errorf("requests: %+v", got)
	}
	for _, wrong := range []string{`{"delay": "x"}`, `{"status": 42}`, `{"path": "stock"}`, `{"count": -1}`, `{"json": 1, "text": "a"}`, `{"pat": "/"}`, `[`} {
		if status, text := post("/_emulator/other", wrong); status != 400 || !strings.Contains(text, "want") {
			t.Errorf("%s: %d %s", wrong, status, text)
		}
	}
}

// TestAnswers sets what methods answer that are not emulated.
func TestAnswers(t *testing.T) {
	p := open(t, emulator.Config{})
	post := func(body string) (int, string) {
		t.Helper()
		resp, err := http.Post(p.url+"/_emulator/answers", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	if status, text := post(`{"tasks.task.add": {"task": {"id": 5}}, "CATALOG.product.list": {"products": []}}`); status != 200 || !strings.Contains(text, "2") {
		t.Fatalf("%d %s", status, text)
	}
	task, _ := p.must("tasks.task.add", `{"fields": {"TITLE": "Call"}}`).(map[string]any)
	if fmt.Sprint(task) != "map[task:map[id:5]]" || fmt.Sprint(p.must("catalog.product.list", `{}`)) != "map[products:[]]" {
		t.Errorf("answers %v", task)
	}
	calls := p.Calls()
	if last := calls[len(calls)-2]; last.Method != "tasks.task.add" || !strings.Contains(string(last.Params), "Call") {
		t.Errorf("the calls do not show the parameters: %+v", calls)
	}
	for body, want := range map[string]string{
		`{"crm.deal.add": 5}`:   "crm.deal.add is emulated",
		`{"tasks.task.ad": {}}`: `no method "tasks.task.ad" is documented`,
		`[]`:                    "want {",
	} {
		if status, text := post(body); status != 400 || !strings.Contains(text, strings.ReplaceAll(want, `"`, `\"`)) {
			t.Errorf("%s: %d %s", body, status, text)
		}
	}
	if post(`{}`); true {
		p.refused("tasks.task.add", `{}`, 404, `{"error": "ERROR_METHOD_NOT_FOUND", "error_description": "Method not found!"}`)
	}
}

// TestRobots lets robots call: one of an item at once, and one on a stage for each item that
// enters it, once.
func TestRobots(t *testing.T) {
	p := open(t, emulator.Config{EventDelay: -1})
	h := newHandler(t, http.StatusOK)
	calls := func() []string {
		if err := p.WaitIdle(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		out := h.bodies
		h.bodies = nil
		return out
	}
	p.must("crm.deal.add", `{"fields": {"TITLE": "Won before", "STAGE_ID": "WON"}}`)
	p.must("crm.deal.add", `{"fields": {"TITLE": "New"}}`)
	if err := p.AddRobot(h.url, 2, "WON"); err != nil {
		t.Fatal(err)
	}
	if err := p.CallRobot(h.url, 2, 2); err != nil {
		t.Fatal(err)
	}
	got := calls()
	if len(got) != 1 || !strings.HasPrefix(got[0], "document_id%5B0%5D=crm&document_id%5B1%5D=CCrmDocumentDeal&document_id%5B2%5D=DEAL_2&auth%5Bdomain%5D=") || strings.Contains(got[0], "application_token") {
		t.Fatalf("a call at once: %q", got)
	}
	p.must("crm.deal.update", `{"id": 1, "fields": {"TITLE": "Still won"}}`)
	for _, stage := range []string{"WON", "WON", "NEW", "WON"} {
		p.must("crm.deal.update", fmt.Sprintf(`{"id": 2, "fields": {"STAGE_ID": %q}}`, stage))
	}
	p.must("crm.deal.add", `{"fields": {"TITLE": "Won at once", "STAGE_ID": "WON"}}`)
	var ids []string
	for _, body := range calls() {
		_, rest, _ := strings.Cut(body, "=DEAL_")
		id, _, _ := strings.Cut(rest, "&")
		ids = append(ids, id)
	}
	slices.Sort(ids)
	if !slices.Equal(ids, []string{"2", "2", "3"}) {
		t.Errorf("calls of the stage for deals %v", ids)
	}
	if p.CallRobot(h.url, 2, 99) == nil || p.CallRobot("", 2, 1) == nil || p.AddRobot(h.url, 999, "X") == nil || p.AddRobot(h.url, 2, "") == nil {
		t.Error("robots of what does not exist")
	}
}

// TestEventCodes checks that each event has its documented code.
func TestEventCodes(t *testing.T) {
	codes := emulator.EventCodes()
	for _, code := range []string{"ONCRMLEADADD", "ONCRMCONTACTUPDATE", "ONCRMDYNAMICITEMDELETE", "ONCRMTIMELINECOMMENTADD", "ONCRMTYPEADD", "ONCRMDEALMOVETOCATEGORY", "ONCRMTYPEUSERFIELDSETENUMVALUES"} {
		if !slices.Contains(codes, code) {
			t.Errorf("no %s", code)
		}
	}
	for _, code := range codes {
		if _, _, documented := schemas.LookupEvent(code); !documented {
			t.Errorf("%s is not documented", code)
		}
	}
}
