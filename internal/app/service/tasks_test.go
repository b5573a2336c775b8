package service_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/engine/private"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/ingest"
	"github.com/b24rules/b24rules/internal/jobs"
	"github.com/b24rules/b24rules/internal/ruletest/testportal"
	"github.com/b24rules/b24rules/rules"
)

// taskSets are the rule sets of the catalogue that run together in TestTasks, with the
// inputs that differ from the defaults.
var taskSets = map[string]map[string]string{
	"won-invoice": nil, "deal-order": {"order_type": "1072"}, "company-won-total": nil, "deal-payments": {"payment_type": "1080"},
	"lead-least-load": {"reception": "1", "managers": "7, 8"}, "children-done": {"work_type": "1100"}, "lead-source": nil, "shop-order": nil,
	"large-deal-observers": {"amount": "1000", "observers": "7"}, "amount-comment": nil,
	"list-to-items": {"list": "12", "type": "1110", "element_field": "ufCrm11Element"}, "deal-commission": nil, "lead-utm": nil, "contact-phones": nil,
	"amount-with-delivery": nil, "stage-before": nil, "rate-times-days": nil, "contract-number": {"contract_type": "1090", "number_field": "ufCrm9Number"},
	"workday-deadline": nil, "company-owner": nil, "product-groups": nil,
}

// taskPortal is the portal of TestTasks.
const taskPortal = `
portal:
  types:
    1072: {title: Order, products: true}
    1080: {title: Payment, products: true}
    1090: {title: Contract, fields: {ufCrm9Number: string}}
    1100: {title: Work, stages: true}
    1110: {title: Card, fields: {ufCrm11Element: integer}}
  lists: {12: {name: Cards, properties: {NOTE: string}}}
  companies: {ufCrm_WON_SUM: double, ufCrm_WON_COUNT: integer}
  deals:
    ufCrm_PAID: double
    ufCrm_DEBT: double
    ufCrm_COMMISSION: double
    ufCrm_DELIVERY: money
    ufCrm_STAGE_BEFORE: string
    ufCrm_STAGE_TIME: datetime
    ufCrm_RATE: money
    ufCrm_DAYS: double
    ufCrm_TOTAL: money
    ufCrm_GROUPS: string
users: {7: {name: Berta, last_name: Baker}, 8: {name: Carl, last_name: Clark}}
companies: {3: {title: Daisy, assignedById: 7}, 4: {title: Rose}}
leads: {5: {title: From the site, assignedById: 8, sourceId: WEB, utmMedium: cpc}}
elements: {12: [{NAME: Card A}, {NAME: Card B}]}
`

// newTaskHarness runs rule sets of the catalogue with inputs in a portal, after their first
// looks. before, if not nil, may change both before the start.
func newTaskHarness(t *testing.T, sets map[string]map[string]string, portal string, before func(s *demo.Fixture, files fstest.MapFS, inputs map[string]map[string]string)) ticking {
	t.Helper()
	files, inputs := fstest.MapFS{}, map[string]map[string]string{}
	for name, given := range sets {
		set, ok := rules.Find(name)
		if !ok {
			t.Fatalf("no rule set %s", name)
		}
		files[name+".yaml"] = &fstest.MapFile{Data: set.Rules}
		if given != nil {
			inputs[name] = given
		}
	}
	h := ticking{newHarness(t, apptest.Options{
		Rules: files, Inputs: inputs, Events: emulator.EventCodes(),
		Configure: func(c *config.Config) {
			c.Portals[0].Hooks = map[string]ingest.Credentials{"shop": {By: ingest.ByPath, Secret: sourceSecret}}
			hosts, err := private.ParseHosts([]string{"127.0.0.1"}) // of the portal, which is allowed by the configuration of serve
			if err != nil {
				t.Fatal(err)
			}
			c.PrivateHosts = hosts
		},
		Before: func(s *demo.Fixture) {
			seed, list := testportal.ReadSeed("tasks.yaml", []byte(portal))
			if err := list.Err(); err != nil {
				t.Fatal(err)
			}
			if err := seed.Fill(s.Portal); err != nil {
				t.Fatal(err)
			}
			if before != nil {
				before(s, files, inputs)
			}
		},
	})}
	h.Until("the first looks have ended", func() bool {
		all, err := jobs.New(h.Service.Queue().Database()).List(h.Context(), jobs.Filter{Kind: "look", Open: true})
		return err == nil && len(all) == 0
	})
	return h
}

// taskItem is an item of crm.item.*.
type taskItem map[string]any

func (x taskItem) text(name string) string { return fmt.Sprint(x[name]) }

// TestTasks runs rule sets for 21 of the tasks that people asked for in one service: what a
// person, a shop and a schedule do once, and what all rules together make of it. The others are
// in TestTasksBeyondTheCRM.
func TestTasks(t *testing.T) {
	t.Parallel()
	h := newTaskHarness(t, taskSets, taskPortal, nil)
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
	update := func(typ, id int, fields map[string]any) {
		t.Helper()
		h.Rest("crm.item.update", map[string]any{"entityTypeId": typ, "id": id, "fields": fields}, nil)
	}
	list := func(typ int, filter map[string]any) (out []taskItem) {
		t.Helper()
		var page struct {
			Items []taskItem `json:"items"`
		}
		h.Rest("crm.item.list", map[string]any{"entityTypeId": typ, "filter": filter, "order": map[string]any{"id": "ASC"}}, &page)
		return page.Items
	}
	want := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	// A deal of a lead, with rows, delivery, a daily rate and a start.
	row := func(name string, price, quantity float64) map[string]any {
		return map[string]any{"productName": name, "price": price, "quantity": quantity}
	}
	roof := add(2, map[string]any{
		"title": "Roof", "leadId": 5, "companyId": 3, "stageId": "EXECUTING", "begindate": "2026-02-05",
		"ufCrm_DELIVERY": "500|RUB", "ufCrm_RATE": "1500.50|RUB", "ufCrm_DAYS": 3,
	})
	h.Rest("crm.item.productrow.set", map[string]any{"ownerId": roof, "ownerType": "D", "productRows": []any{row("Tile", 10.5, 100), row("Service: delivery", 50, 1)}}, nil)
	payment := add(1080, map[string]any{"title": "Half", "parentId2": roof, "opportunity": 600, "isManualOpportunity": "Y"})
	work := add(1100, map[string]any{"title": "Work", "parentId2": roof})
	for _, title := range []string{"A", "B"} {
		add(1090, map[string]any{"title": title})
	}
	lead := add(1, map[string]any{"title": "From an advertisement", "sourceDescription": "https://x.example/?utm_source=ya&utm_campaign=%D0%BA", "assignedById": 1})
	add(3, map[string]any{"name": "Anna", "fm": []any{map[string]any{"typeId": "PHONE", "valueType": "WORK", "value": "8 (900) 111-22-33"}}})
	resp, err := http.Post(h.HookURL+"/in/shop/"+sourceSecret, "application/json",
		strings.NewReader(`{"order": "A-17", "sum": 1500.5, "client": {"id": "5", "name": "Ivan"}}`))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	want("the order of the shop", resp.Status, "200 OK")
	h.fire("list-to-items/0", time.Minute)
	h.Wait()

	deal := list(2, map[string]any{"id": roof})[0]
	want("t24: the amount is rows and delivery", deal.text("opportunity"), "1600")
	want("t26: the rate by days", deal.text("ufCrm_TOTAL"), "4501.5|RUB")
	want("t21: the commission", deal.text("ufCrm_COMMISSION"), "48")
	want("t14: the source of the lead", deal.text("sourceId")+" "+deal.text("utmMedium"), "WEB cpc")
	want("t18: observers of a large deal", deal.text("observers"), "[7]")
	want("t05: paid and debt", deal.text("ufCrm_PAID")+" "+deal.text("ufCrm_DEBT"), "600 1000")
	want("t33: groups of products", deal.text("ufCrm_GROUPS"), "goods: 1 rows, 1,050.00\nservices: 1 rows, 50.00")
	want("t28: five working days", deal.text("closedate")[:10], "2026-02-12")
	orders := list(1072, nil)
	want("t03: one order with the rows", fmt.Sprint(len(orders), " ", orders[0].text("opportunity")), "1 1100")
	var numbers []string
	for _, c := range list(1090, nil) {
		numbers = append(numbers, c.text("ufCrm9Number")[len("CONT-2026-"):])
	}
	slices.Sort(numbers)
	want("t27: numbers of contracts", fmt.Sprint(numbers), "[0001 0002]")
	marks := list(1, map[string]any{"id": lead})[0]
	want("t22: UTM marks", marks.text("utmSource")+" "+marks.text("utmCampaign"), "ya к")
	want("t06: the manager with the fewest leads", marks.text("assignedById"), "7")
	var contact struct {
		Phones []struct {
			Value string `json:"VALUE"`
		} `json:"PHONE"`
	}
	h.Rest("crm.contact.get", map[string]any{"id": 1}, &contact)
	want("t23: the phone", fmt.Sprint(contact.Phones), "[{+79001112233}]")
	cards := list(1110, nil)
	want("t20: an item for each element", fmt.Sprint(len(cards), " ", cards[0].text("title"), " ", cards[1].text("title")), "2 Card A Card B")
	shop := list(2, map[string]any{"originId": "A-17"})
	want("t17: the order of a shop", fmt.Sprint(len(shop), " ", shop[0].text("title")), "1 Order A-17")

	// The payment is deleted, the work is done, and the company has a new person.
	h.Rest("crm.item.delete", map[string]any{"entityTypeId": 1080, "id": payment}, nil)
	done := map[string]any{}
	for _, w := range list(1100, nil) {
		done["stageId"] = w.text("stageId")[:len(w.text("stageId"))-len("NEW")] + "SUCCESS"
	}
	update(1100, work, done)
	update(4, 3, map[string]any{"assignedById": 8})
	h.Wait()
	deal = list(2, map[string]any{"id": roof})[0]
	want("t05: a deleted payment", deal.text("ufCrm_PAID")+" "+deal.text("ufCrm_DEBT"), "<nil> 1600") // the portal stores 0 as no value
	want("t08: the stage after the work", deal.text("stageId"), "FINAL_INVOICE")
	want("t25: the stage before", deal.text("ufCrm_STAGE_BEFORE"), "EXECUTING")
	want("t29: the person of the company", deal.text("assignedById"), "8")

	// The deal is won with another row, moves to another company, and is deleted.
	h.Rest("crm.item.productrow.set", map[string]any{"ownerId": roof, "ownerType": "D", "productRows": []any{row("Tile", 10.5, 200)}}, nil)
	h.Wait()
	update(2, roof, map[string]any{"stageId": "WON"})
	h.Wait()
	invoices := list(31, nil)
	want("t02: one invoice with the rows", fmt.Sprint(len(invoices), " ", invoices[0].text("opportunity"), " ", invoices[0].text("title")), "1 2100 Invoice for Roof")
	sums := func() string {
		out := ""
		for _, c := range list(4, nil) {
			out += c.text("ufCrm_WON_SUM") + "/" + c.text("ufCrm_WON_COUNT") + " "
		}
		return out
	}
	want("t04: won deals of the company", sums(), "2600/1 <nil>/<nil> ")
	update(2, roof, map[string]any{"companyId": 4})
	h.Wait()
	want("t04: after the move", sums(), "<nil>/<nil> 2600/1 ")
	var comments []struct {
		Comment string `json:"COMMENT"`
	}
	h.Rest("crm.timeline.comment.list", map[string]any{"filter": map[string]any{"ENTITY_TYPE": "deal", "ENTITY_ID": roof}}, &comments)
	if last := len(comments) - 1; last < 0 || comments[last].Comment != "1,600.00 → 2,600.00 USD" {
		t.Errorf("t19: comments %v", comments)
	}
	h.Rest("crm.item.delete", map[string]any{"entityTypeId": 2, "id": roof}, nil)
	h.Wait()
	want("t04: after the deletion", sums(), "<nil>/<nil> <nil>/<nil> ")
	if n := h.States()["parked"]; n > 0 {
		t.Errorf("%d runs are parked", n)
	}
}
