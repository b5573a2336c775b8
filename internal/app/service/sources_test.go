package service_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/ingest"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/store"
)

const sourceSecret = "canary-secret-of-a-source"

// sourceRules take two hooks and a robot.
const sourceRules = `version: 1
rules:
  order:
    on:
      hook: shop
      fields:
        order: {type: string, required: true}
        sum: number
        client: {name: {type: string, required: true}, phone: string}
      key: =event.data.order
    debounce: 20ms
    steps:
      - upsert_item:
          owner: deal
          key: {originId: =event.data.order}
          fields: {title: "Order {{ event.data.order }} of {{ event.data.client.name }}", opportunity: '=event.data.sum ?? 0'}
  call:
    on: {hook: calls, fields: {from: {type: string, required: true}}}
    steps:
      - notify: {to: 1, message: "{{ event.data.from }} calls"}
  recount:
    on: [ONCRMDEALUPDATE, {robot: recount, entities: deal}]
    debounce: {quiet: 20ms, max: 1s}
    steps:
      - id: deal
        fetch_item: {owner: deal, id: =event.id}
      - update_item: {owner: deal, id: =event.id, fields: {comments: "sum {{ deal.opportunity }}"}}
`

type sending struct{ *harness }

func newSending(t *testing.T, o apptest.Options) sending {
	o.Inputs = map[string]map[string]string{}
	if o.Rules == nil {
		o.Rules = fstest.MapFS{"sources.yaml": {Data: []byte(sourceRules)}}
	}
	o.Configure = func(c *config.Config) {
		c.Portals[0].Hooks = map[string]ingest.Credentials{
			"shop":   {By: ingest.ByHMAC, Header: "X-Signature", Secret: sourceSecret},
			"calls":  {By: ingest.ByPath, Secret: sourceSecret},
			"nobody": {By: ingest.ByPath, Secret: sourceSecret},
		}
		c.Portals[0].Robots = ingest.Credentials{By: ingest.ByPath, Secret: sourceSecret}
	}
	return sending{newHarness(t, o)}
}

// send posts to an address below that of the portal and returns the status and the answer.
func (h sending) send(path, contentType, body string, headers ...string) (int, string) {
	h.T.Helper()
	r, err := http.NewRequestWithContext(h.Context(), http.MethodPost, h.HookURL+path, strings.NewReader(body))
	if err != nil {
		h.T.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		h.T.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		h.T.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// order sends an order of the shop.
func (h sending) order(body string) (int, string) {
	h.T.Helper()
	mac := hmac.New(sha256.New, []byte(sourceSecret))
	mac.Write([]byte(body))
	return h.send("/in/shop", "application/json", body, "X-Signature", hex.EncodeToString(mac.Sum(nil)))
}

func (h sending) robot(document, query string) (int, string) {
	h.T.Helper()
	return h.send("/robot/recount/"+sourceSecret+query, formType, "document_id[]=crm&document_id[]=CCrmDocumentDeal&document_id[]="+document)
}

type dealOf struct {
	ID          json.Number `json:"ID"`
	Title       string      `json:"TITLE"`
	Opportunity string      `json:"OPPORTUNITY"`
	Comments    string      `json:"COMMENTS"`
}

func (h sending) deals() []dealOf {
	h.T.Helper()
	h.Wait()
	var out []dealOf
	h.Rest("crm.deal.list", map[string]any{"select": []string{"ID", "TITLE", "OPPORTUNITY", "COMMENTS"}, "order": map[string]any{"ID": "ASC"}}, &out)
	return out
}

// TestHooks sends orders: an order that comes again is one deal with the latest sum, one that
// does not fit is answered with findings and kept, and a wrong signature stores nothing.
func TestHooks(t *testing.T) {
	t.Parallel()
	h := newSending(t, apptest.Options{})
	for _, body := range []string{
		`{"order": "A-17", "sum": 100, "client": {"name": "Roof"}}`,
		`{"order": "A-17", "sum": "120.50", "client": {"name": "Roof"}, "more": [1]}`,
		`{"order": 18, "client": {"name": "Wall", "phone": null}}`,
	} {
		if status, answer := h.order(body); status != 200 {
			t.Fatalf("%s: %d %s", body, status, answer)
		}
	}
	sums := map[string]string{}
	for _, d := range h.deals() {
		sums[d.Title] += d.Opportunity + " "
	}
	if fmt.Sprint(sums) != "map[Order 18 of Wall:0.00  Order A-17 of Roof:120.50 ]" {
		t.Fatalf("deals after three orders: %v", sums)
	}
	status, answer := h.order(`{"sum": "many", "client": {"phone": 5}}`)
	want := `[{"path":"order","message":"is missing"},{"path":"sum","message":"is text, want number"},{"path":"client.name","message":"is missing"}]`
	if status != 422 || strings.TrimSpace(answer) != want {
		t.Errorf("an order that does not fit: %d %s", status, answer)
	}
	if status, answer := h.order(`{"order": `); status != 422 || !strings.Contains(answer, "not JSON") {
		t.Errorf("half an order: %d %s", status, answer)
	}
	stored := len(h.eventsWith(""))
	if status, _ := h.send("/in/shop", "application/json", `{"order": "A-1"}`, "X-Signature", strings.Repeat("0", 64)); status != 403 {
		t.Errorf("a wrong signature: %d", status)
	}
	if got := len(h.eventsWith("")); got != stored {
		t.Errorf("a wrong signature stored %d events", got-stored)
	}
	kept := h.eventsWith(engine.CodeRefused)
	if len(kept) != 2 || !strings.Contains(string(kept[1].Data), `client.name`) || !strings.Contains(string(kept[1].Data), `\"sum\": \"many\"`) {
		t.Errorf("what is kept for the operator: %+v", kept)
	}
	orders := h.eventsWith(engine.CodeHook)
	if len(orders) != 3 || strings.Contains(string(orders[1].Data), "more") {
		t.Errorf("stored orders: %+v", orders)
	}
	// Forms, and requests without a key: each is a run.
	for range 2 {
		if status, answer := h.send("/in/calls/"+sourceSecret, formType, "from=%2B7900&x=1"); status != 200 {
			t.Errorf("a call: %d %s", status, answer)
		}
	}
	if status, _ := h.send("/in/nobody/"+sourceSecret, formType, "a=1"); status != 503 {
		t.Errorf("a hook that no rule takes: %d", status)
	}
	h.Wait()
	if got := len(h.Portal.Notifications()); got != 2 {
		t.Errorf("%d notifications for two calls", got)
	}
	h.noCanary()
}

// eventsWith returns the stored events with a code, the latest first; "" is any.
func (h sending) eventsWith(code string) []journal.Event {
	h.T.Helper()
	all, err := journal.FindEvents(h.Context(), h.Service.Queue().Database(), journal.EventFilter{Code: code})
	if err != nil {
		h.T.Fatal(err)
	}
	return all
}

// noCanary checks that the secret is neither in the log nor in a stored event or run.
func (h sending) noCanary() {
	h.T.Helper()
	if strings.Contains(h.Log.String(), sourceSecret) {
		h.T.Errorf("the log has the secret: %s", h.Log)
	}
	for _, e := range h.eventsWith("") {
		if strings.Contains(string(e.Data), sourceSecret) {
			h.T.Errorf("event %d has the secret: %s", e.ID, e.Data)
		}
	}
}

// TestRobots lets a robot call for a deal next to events of the deal: they are runs about
// the same deal. Other documents are refused.
func TestRobots(t *testing.T) {
	t.Parallel()
	h := newSending(t, apptest.Options{})
	var id int
	h.Rest("crm.deal.add", map[string]any{"fields": map[string]any{"TITLE": "Roof", "OPPORTUNITY": 10}}, &id)
	h.Wait()
	if status, answer := h.robot(fmt.Sprintf("DEAL_%d", id), "?reason=stock"); status != 200 {
		t.Fatalf("a robot: %d %s", status, answer)
	}
	if deals := h.deals(); len(deals) != 1 || !strings.HasPrefix(deals[0].Comments, "sum 10") {
		t.Errorf("after the robot: %+v", deals)
	}
	// A robot during the coalescing of events joins their run, and the last state wins.
	h.AtOnce(func() {
		h.Rest("crm.deal.update", map[string]any{"id": id, "fields": map[string]any{"OPPORTUNITY": 20}}, nil)
		if err := h.Portal.WaitIdle(h.Context()); err != nil {
			t.Fatal(err)
		}
		h.robot(fmt.Sprintf("DEAL_%d", id), "")
	})
	if deals := h.deals(); !strings.HasPrefix(deals[0].Comments, "sum 20") {
		t.Errorf("after the robot and an event: %+v", deals)
	}
	runs, err := journal.FindRuns(h.Context(), h.Service.Queue().Database(), journal.Filter{Rule: "recount"})
	if err != nil {
		t.Fatal(err)
	}
	joined := false
	for _, r := range runs {
		joined = joined || r.Count > 1
		if r.Entity != fmt.Sprintf("deal:%d", id) || r.State != journal.Succeeded {
			t.Errorf("run %d for %s is %s", r.ID, r.Entity, r.State)
		}
	}
	if !joined {
		t.Errorf("the robot has not joined the event: %+v", runs)
	}
	for document, want := range map[string]string{
		"LEAD_7": "no rule takes the robot recount for a lead", "12": "document_id", "DYNAMIC_147_1": "no rule takes the robot recount for", "TASK_1": "of the unknown kind",
	} {
		if status, answer := h.robot(document, ""); status != 422 || !strings.Contains(answer, "document_id") || !strings.Contains(answer, want) {
			t.Errorf("%s: %d %s, want %s", document, status, answer, want)
		}
	}
	if status, _ := h.send("/robot/recount/wrong", formType, "document_id[2]=DEAL_1"); status != 403 {
		t.Errorf("a wrong address: %d", status)
	}
	if status, _ := h.send("", formType, "event=B24RULES.HOOK&data[hook]=shop&auth[application_token]="+string(h.Options.Emulator.ApplicationToken)); status != 400 {
		t.Errorf("an event with a code of the program: %d", status)
	}
	h.noCanary()
}

// TestRobotIsKept: the portal does not repeat the call of a robot, so a call that the database
// does not take runs as soon as the database takes it.
func TestRobotIsKept(t *testing.T) {
	t.Parallel()
	h := newSending(t, apptest.Options{})
	var id int
	h.Rest("crm.deal.add", map[string]any{"fields": map[string]any{"TITLE": "Roof", "OPPORTUNITY": 10}}, &id)
	h.Wait()
	rename := func(from, to string) {
		t.Helper()
		err := h.Service.Queue().Database().Write(h.Context(), func(ctx context.Context, tx store.Tx) error {
			_, err := tx.Exec(ctx, "ALTER TABLE "+from+" RENAME TO "+to)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	rename("b24_event", "b24_event_away")
	if status, answer := h.robot(fmt.Sprintf("DEAL_%d", id), ""); status != http.StatusServiceUnavailable {
		t.Errorf("without the table of events: %d %s", status, answer)
	}
	rename("b24_event_away", "b24_event")
	h.Until("the robot has run", func() bool { d := h.deals(); return len(d) == 1 && strings.HasPrefix(d[0].Comments, "sum 10") })
}
