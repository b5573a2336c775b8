package service_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/demo"
)

// beyondSets are the rule sets of the tasks that need more than the CRM: tasks, the catalogue and its
// stock, currencies, activities, a messenger, an accounting system, and a time.
var beyondSets = map[string]map[string]string{
	"won-task": nil, "contact-duplicate": nil, "amount-in-currency": nil, "deal-margin": {"catalog": "14"}, "stock-warning": nil,
	"won-telegram": {"bot": "4711:telegram-bot-token", "chat": "-100"}, "won-to-accounting": {"login": "YjI0OnNlY3JldA=="},
	"last-call": nil, "task-moves-deal": nil, "contract-end": {"contract_type": "1090", "end_field": "ufCrm9End"},
}

const beyondPortal = `
portal:
  types: {1090: {title: Contract, fields: {ufCrm9End: date}}}
  contacts: {ufCrm_DUPLICATE_OF: string}
  deals: {ufCrm_MARGIN: double, ufCrm_MARGIN_PCT: double, ufCrm_BASE_AMOUNT: double, ufCrm_ORDER_NUMBER: string, ufCrm_LAST_CALL: datetime}
`

// TestTasksBeyondTheCRM runs the rule sets of the ten tasks that are not in TestTasks. The test
// says what methods answer that the emulator does not emulate, and the emulator plays the
// messenger and the accounting system.
func TestTasksBeyondTheCRM(t *testing.T) {
	t.Parallel()
	h := newTaskHarness(t, beyondSets, beyondPortal, func(s *demo.Fixture, files fstest.MapFS, inputs map[string]map[string]string) {
		telegram := files["won-telegram.yaml"]
		telegram.Data = bytes.ReplaceAll(telegram.Data, []byte("https://api.telegram.org"), []byte(s.PortalURL+"/_other/telegram"))
		inputs["won-to-accounting"]["url"] = s.PortalURL + "/_other/accounting"
	})
	answer := func(results map[string]string) {
		t.Helper()
		raw := map[string]json.RawMessage{}
		for name, text := range results {
			raw[name] = json.RawMessage(text)
		}
		if err := h.Portal.SetAnswers(raw); err != nil {
			t.Fatal(err)
		}
	}
	item := func(typ, id int) taskItem {
		t.Helper()
		var out struct {
			Item taskItem `json:"item"`
		}
		h.Rest("crm.item.get", map[string]any{"entityTypeId": typ, "id": id}, &out)
		return out.Item
	}
	add := func(typ int, fields map[string]any) (id int) {
		t.Helper()
		var out struct {
			Item struct {
				ID int `json:"id"`
			} `json:"item"`
		}
		h.Rest("crm.item.add", map[string]any{"entityTypeId": typ, "fields": fields}, &out)
		return out.Item.ID
	}
	want := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	if err := h.Portal.SetReplies(emulator.Reply{Path: "/accounting", JSON: json.RawMessage(`{"number": "00-17"}`)}); err != nil {
		t.Fatal(err)
	}
	results := map[string]string{
		"tasks.task.add":            `{"task": {"id": 5}}`,
		"crm.duplicate.findbycomm":  `{"CONTACT": [1, 13, 15]}`,
		"crm.currency.get":          `{"CURRENCY": "USD", "AMOUNT": "90.1234", "AMOUNT_CNT": "1"}`,
		"catalog.product.list":      `{"products": [{"id": 11, "iblockId": 14, "purchasingPrice": 7, "purchasingCurrency": "USD"}]}`,
		"catalog.storeproduct.list": `{"storeProducts": [{"productId": 11, "amount": 2}]}`,
		"tasks.task.get":            `{"task": {"id": "5", "status": "5", "ufCrmTask": ["C_3", "D_0"]}}`,
		"crm.activity.get":          `{"ID": "5"}`,
	}
	answer(results)

	roof := add(2, map[string]any{"title": "Roof", "currencyId": "USD"})
	h.Rest("crm.item.productrow.set", map[string]any{"ownerId": roof, "ownerType": "D", "productRows": []any{
		map[string]any{"productId": 11, "productName": "Tile", "price": 10.5, "quantity": 3},
	}}, nil)
	add(3, map[string]any{"name": "Anna", "fm": []any{map[string]any{"typeId": "PHONE", "valueType": "WORK", "value": "+79000000001"}}})
	h.Wait()
	deal := item(2, roof)
	want("t11: the amount at the rate of the portal", deal.text("ufCrm_BASE_AMOUNT"), "2838.89")
	want("t12: the margin", deal.text("ufCrm_MARGIN")+" "+deal.text("ufCrm_MARGIN_PCT"), "10.5 33.3")
	want("t13: too little in stock", fmt.Sprint(h.messages()), "[Roof: too little in stock of Tile]")
	want("t07: the other contacts with the phone", item(3, 1).text("ufCrm_DUPLICATE_OF"), "13, 15")

	// A finished task moves the deal, and its last call is noted.
	h.Rest("crm.item.update", map[string]any{"entityTypeId": 2, "id": roof, "fields": map[string]any{"stageId": "PREPARATION"}}, nil)
	h.Wait()
	results["tasks.task.get"] = fmt.Sprintf(`{"task": {"id": "5", "status": "5", "ufCrmTask": ["C_3", "D_%d"]}}`, roof)
	results["crm.activity.get"] = fmt.Sprintf(`{"ID": "5", "OWNER_ID": "%d", "OWNER_TYPE_ID": "2", "PROVIDER_ID": "VOXIMPLANT_CALL", "CREATED": "2026-01-02T12:00:00+03:00"}`, roof)
	answer(results)
	body := "event=ONTASKUPDATE&data[FIELDS_AFTER][ID]=5&auth[application_token]=" + h.Options.Emulator.ApplicationToken
	if status := h.Post(h.HookURL, formType, body); status != 200 {
		t.Fatalf("the event of a task: %d", status)
	}
	h.event("ONCRMACTIVITYADD", map[string]string{"ID": "5"})
	h.Wait()
	deal = item(2, roof)
	want("t32: the stage after the task", deal.text("stageId"), "EXECUTING")
	if at, err := time.Parse(time.RFC3339, deal.text("ufCrm_LAST_CALL")); err != nil || at.UTC().Format(time.DateTime) != "2026-01-02 09:00:00" {
		t.Errorf("t31: the last call: %s", deal.text("ufCrm_LAST_CALL"))
	}

	// The deal is won, opened again and won again.
	for _, to := range []string{"WON", "EXECUTING", "WON"} {
		h.Rest("crm.item.update", map[string]any{"entityTypeId": 2, "id": roof, "fields": map[string]any{"stageId": to}}, nil)
		h.Wait()
	}
	var tasks []string
	for _, c := range h.Portal.Calls() {
		if c.Method == "tasks.task.add" {
			tasks = append(tasks, string(c.Params))
		}
	}
	if len(tasks) != 2 || !strings.Contains(tasks[0], `"TITLE":"Ship the order: Roof"`) || !strings.Contains(tasks[0], fmt.Sprintf(`["D_%d"]`, roof)) {
		t.Errorf("t01: a task for each win: %q", tasks)
	}
	var sent []string
	for _, r := range h.Portal.OtherRequests() {
		sent = append(sent, r.Path+" "+r.Headers["Authorization"]+" "+r.Body)
	}
	slices.Sort(sent)
	said := `/telegram/bot4711:telegram-bot-token/sendMessage  {"chat_id":"-100","text":"Roof is won: 31.50 USD"}`
	if len(sent) != 3 || !strings.HasPrefix(sent[0], "/accounting Basic YjI0OnNlY3JldA== ") || sent[1] != said || sent[2] != said {
		t.Errorf("t15 and t16: a message for each win, and one order for the deal: %q", sent)
	}
	want("t16: the number of the order", item(2, roof).text("ufCrm_ORDER_NUMBER"), "00-17")

	// Of the last two times at nine o'clock one was less than a day ago, or is just now.
	for days, title := range map[int]string{29: "Rent", 30: "Lease", 60: "Later"} {
		add(1090, map[string]any{"title": title, "ufCrm9End": time.Now().UTC().AddDate(0, 0, days).Format(time.DateOnly)})
	}
	h.Wait()
	reminders := slices.DeleteFunc(h.messages(), func(text string) bool { return !strings.HasSuffix(text, " ends in 30 days") })
	if len(reminders) != 1 || strings.HasPrefix(reminders[0], "Later") {
		t.Errorf("t09: reminders: %q", reminders)
	}
	if n := h.States()["parked"]; n > 0 {
		t.Errorf("%d runs are parked", n)
	}
	for _, secret := range []string{"telegram-bot-token", "YjI0OnNlY3JldA"} {
		if strings.Contains(h.Log.String(), secret) {
			t.Errorf("the log has the secret %s", secret)
		}
	}
}
