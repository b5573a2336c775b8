package cli

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// These scenarios run the shipped rule set deal-shipments over real HTTP and
// SQLite on disk.

// addDeal adds a deal with rows and waits until the list has followed.
func (h *harness) addDeal(title string, rows ...row) (deal int) {
	h.t.Helper()
	h.atOnce(func() {
		var err error
		if deal, err = h.people.addDeal(h.context(), title, rows...); err != nil {
			h.t.Fatal(err)
		}
	})
	h.wait()
	return deal
}

// setRows saves a deal's product tab and waits until the list has followed.
func (h *harness) setRows(deal int, rows ...row) {
	h.t.Helper()
	if err := h.people.setRows(h.context(), "D", deal, rows); err != nil {
		h.t.Fatal(err)
	}
	h.wait()
}

// elements returns the elements of a deal by their names.
func (h *harness) elements(deal int) map[string]element {
	h.t.Helper()
	list, err := h.people.elements(h.context(), deal)
	if err != nil {
		h.t.Fatal(err)
	}
	out := map[string]element{}
	for _, e := range list {
		name := e.text("NAME")
		if _, twice := out[name]; twice {
			h.t.Errorf("two elements are named %q", name)
		}
		out[name] = e
	}
	return out
}

func (e element) text(key string) string {
	var s string
	for _, c := range string(e[key]) {
		if c != '"' {
			s += string(c)
		}
	}
	return s
}

func names(m map[string]element) []string {
	var out []string
	for name := range m {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// property returns the one value of a property by its code.
func (h *harness) property(e element, code string) string {
	h.t.Helper()
	v := e.values(h.people.props[code])
	if len(v) == 0 {
		return ""
	}
	return v[0]
}

// written returns how many writes f caused.
func (h *harness) written(f func()) int64 {
	before := h.counters().Writes
	f()
	return h.counters().Writes - before
}

func wantNames(t *testing.T, got map[string]element, want ...string) {
	t.Helper()
	slices.Sort(want)
	if diff := cmp.Diff(want, names(got)); diff != "" {
		t.Errorf("elements (-want +got):\n%s", diff)
	}
}

func TestDealRowsBecomeElements(t *testing.T) {
	t.Parallel()
	h := newHarness(t, harnessOptions{})
	deal := h.addDeal("Roof", row{"Tiles", "33.33", "3"}, row{"Nails", "0.07", "1000"}, row{"Work", "45.50", "2.5"})
	got := h.elements(deal)
	wantNames(t, got, "Tiles × 3", "Nails × 1000", "Work × 2.5")
	for name, want := range map[string][2]string{"Tiles × 3": {"3", "99.99"}, "Nails × 1000": {"1000", "70"}, "Work × 2.5": {"2.5", "113.75"}} {
		e := got[name]
		if q, s := h.property(e, "QUANTITY"), h.property(e, "SUM"); q != want[0] || s != want[1] || h.property(e, "DEAL") != fmt.Sprint(deal) {
			t.Errorf("%s: quantity %s, sum %s, deal %s", name, q, s, h.property(e, "DEAL"))
		}
	}
}

// TestDealEdit changes a quantity as the product tab does it, by saving all
// rows anew: the row gets another id, its element stays and alone is written.
func TestDealEdit(t *testing.T) {
	t.Parallel()
	h := newHarness(t, harnessOptions{})
	deal := h.addDeal("Roof", row{"Tiles", "10", "1"}, row{"Nails", "1", "5"}, row{"Work", "50", "2"})
	before := h.elements(deal)
	if err := h.people.ship(h.context(), before["Nails × 5"]); err != nil {
		t.Fatal(err)
	}
	ids := h.rowIDs(deal)
	writes := h.written(func() { h.setRows(deal, row{"Tiles", "10", "1"}, row{"Nails", "1", "7"}, row{"Work", "50", "2"}) })
	if writes != 1 {
		t.Errorf("%d writes for one changed quantity, want 1", writes)
	}
	if now := h.rowIDs(deal); slices.Equal(ids, now) {
		t.Errorf("the portal kept the row ids %v: the scenario shows nothing", now)
	}
	after := h.elements(deal)
	wantNames(t, after, "Tiles × 1", "Nails × 7", "Work × 2")
	if a, b := before["Nails × 5"].id(), after["Nails × 7"].id(); a != b {
		t.Errorf("the edited row's element is %d, was %d", b, a)
	}
	if v := h.property(after["Nails × 7"], "SHIPPED"); v == "" || v != h.people.shipped {
		t.Errorf("SHIPPED is %q after the update: the storekeeper's tick is lost", v)
	}
	if a, b := before["Nails × 5"].text("CODE"), after["Nails × 7"].text("CODE"); a != b || a == "" {
		t.Errorf("the element's code was %q and is %q", a, b)
	}
}

func (h *harness) rowIDs(deal int) []int {
	h.t.Helper()
	var list struct{ ProductRows []struct{ ID int } }
	h.rest("crm.item.productrow.list", map[string]any{"filter": map[string]any{"=ownerType": "D", "=ownerId": deal}}, &list)
	var ids []int
	for _, r := range list.ProductRows {
		ids = append(ids, r.ID)
	}
	return ids
}

func TestDealRowRemoved(t *testing.T) {
	t.Parallel()
	h := newHarness(t, harnessOptions{})
	deal := h.addDeal("Roof", row{"Tiles", "10", "1"}, row{"Nails", "1", "5"}, row{"Work", "50", "2"})
	writes := h.written(func() { h.setRows(deal, row{"Tiles", "10", "1"}, row{"Work", "50", "2"}) })
	wantNames(t, h.elements(deal), "Tiles × 1", "Work × 2")
	if writes != 1 {
		t.Errorf("%d writes for a removed row, want 1", writes)
	}
	// From some to none: after a second look everything goes.
	h.setRows(deal)
	wantNames(t, h.elements(deal))
}

func TestDealForeignElementStays(t *testing.T) {
	t.Parallel()
	h := newHarness(t, harnessOptions{})
	deal := h.addDeal("Roof", row{"Tiles", "10", "1"})
	h.addElement("gift-1", "A gift", map[string]any{"DEAL": deal, "COMMENT": "from the boss"})
	h.setRows(deal, row{"Tiles", "10", "2"}, row{"Nails", "1", "5"})
	got := h.elements(deal)
	wantNames(t, got, "Tiles × 2", "Nails × 5", "A gift")
	if h.property(got["A gift"], "COMMENT") != "from the boss" || got["A gift"].text("CODE") != "gift-1" {
		t.Errorf("the gift has changed: %v", got["A gift"])
	}
}

// addElement adds an element to the list as a person or a script does.
func (h *harness) addElement(code, name string, properties map[string]any) {
	h.t.Helper()
	h.rest("lists.element.add", h.stage.elementParams(code, name, properties), nil)
}

// elementParams are the parameters of lists.element.add for properties by
// their codes.
func (s *stage) elementParams(code, name string, properties map[string]any) map[string]any {
	fields := map[string]any{"NAME": name}
	for c, v := range properties {
		fields[s.people.props[c]] = v
	}
	return map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": s.people.list, "ELEMENT_CODE": code, "FIELDS": fields}
}

// TestDealAdoptsOldElements starts over a list that an older script has filled:
// its elements are taken over by what they hold, and nothing is doubled.
func TestDealAdoptsOldElements(t *testing.T) {
	t.Parallel()
	h := newHarness(t, harnessOptions{})
	h.stop()
	var deal int
	h.rest("crm.deal.add", map[string]any{"fields": map[string]any{"TITLE": "Old"}}, &deal)
	h.rest("crm.item.productrow.set", map[string]any{"ownerType": "D", "ownerId": deal, "productRows": []any{
		map[string]any{"productId": 501, "productName": "Tiles", "price": 10, "quantity": 2, "sort": 10},
		map[string]any{"productId": 502, "productName": "Nails", "price": 1, "quantity": 5, "sort": 20},
		map[string]any{"productId": 502, "productName": "Nails", "price": 2, "quantity": 6, "sort": 30},
	}}, nil)
	h.addElement("script-1", "tiles", map[string]any{"DEAL": deal, "PRODUCT_ID": 501, "QUANTITY": 1, "COMMENT": "keep me", "SHIPPED": h.people.shipped})
	h.addElement("script-2", "nails", map[string]any{"DEAL": deal, "PRODUCT_ID": 502})
	h.start()
	h.rest("crm.deal.update", map[string]any{"id": deal, "fields": map[string]any{"TITLE": "Old, touched"}}, nil)
	h.wait()
	got := h.elements(deal)
	wantNames(t, got, "Tiles × 2", "Nails × 5", "Nails × 6")
	if h.property(got["Tiles × 2"], "COMMENT") != "keep me" || h.property(got["Tiles × 2"], "SHIPPED") != h.people.shipped {
		t.Errorf("the adopted element lost what people wrote: %v", got["Tiles × 2"])
	}
	if writes := h.written(func() { h.touch(deal, "again") }); writes != 0 {
		t.Errorf("%d writes after the adoption, want none", writes)
	}
}

// touch changes a deal's title, which no element depends on.
func (h *harness) touch(deal int, title string) {
	h.t.Helper()
	h.rest("crm.deal.update", map[string]any{"id": deal, "fields": map[string]any{"TITLE": title}}, nil)
	h.wait()
}

func TestDealDeleted(t *testing.T) {
	t.Parallel()
	h := newHarness(t, harnessOptions{})
	roof := h.addDeal("Roof", row{"Tiles", "10", "1"}, row{"Nails", "1", "5"}, row{"Work", "50", "2"})
	wall := h.addDeal("Wall", row{"Tiles", "10", "1"}, row{"Nails", "1", "5"})
	if err := h.people.deleteDeal(h.context(), roof); err != nil {
		t.Fatal(err)
	}
	h.wait()
	wantNames(t, h.elements(roof))
	wantNames(t, h.elements(wall), "Tiles × 1", "Nails × 5")
	// An update that comes late changes nothing.
	writes := h.written(func() {
		h.event("ONCRMDEALUPDATE", map[string]string{"ID": fmt.Sprint(roof)})
		h.wait()
	})
	if writes != 0 {
		t.Errorf("%d writes after the deal was gone", writes)
	}
}

func TestDealManyRows(t *testing.T) {
	t.Parallel()
	h := newHarness(t, harnessOptions{})
	var rows []row
	for i := range 120 {
		rows = append(rows, row{fmt.Sprintf("Part %03d", i), "1.10", fmt.Sprint(i + 1)})
	}
	before := h.counters()
	deal := h.addDeal("Many", rows...)
	got := h.elements(deal)
	if len(got) != 120 {
		t.Fatalf("%d elements, want 120", len(got))
	}
	cost := h.counters().Requests - before.Requests
	t.Logf("a deal with 120 rows costs %d requests", cost)
	if cost > 10 {
		t.Errorf("%d requests for 120 rows, want at most 10", cost)
	}
	rows[7].quantity = "999"
	if writes := h.written(func() { h.setRows(deal, rows...) }); writes != 1 {
		t.Errorf("%d writes for one changed row of 120, want 1", writes)
	}
}

func TestSameEventTwice(t *testing.T) {
	t.Parallel()
	h := newHarness(t, harnessOptions{})
	deal := h.addDeal("Roof", row{"Tiles", "10", "1"})
	writes := h.written(func() {
		for range 2 {
			h.event("ONCRMDEALUPDATE", map[string]string{"ID": fmt.Sprint(deal)})
			h.wait()
		}
	})
	if writes != 0 {
		t.Errorf("%d writes for events of an unchanged deal, want none", writes)
	}
}

// TestCostOfManyDeals changes twenty deals at the same moment. The PHP handlers
// that this replaces send three requests for each.
func TestCostOfManyDeals(t *testing.T) {
	t.Parallel()
	h := newHarness(t, harnessOptions{})
	const deals = 20
	ids := make([]int, deals)
	for i := range ids {
		id, err := h.people.addDeal(h.context(), fmt.Sprintf("Deal %d", i), row{"Tiles", "10", "1"}, row{"Nails", "1", "5"}, row{"Work", "50", "2"})
		if err != nil {
			t.Fatal(err)
		}
		ids[i] = id
	}
	h.wait()
	before := h.counters()
	for _, id := range ids {
		if err := h.people.setRows(h.context(), "D", id, []row{{"Tiles", "10", "1"}, {"Nails", "1", "6"}, {"Work", "50", "2"}}); err != nil {
			t.Fatal(err)
		}
	}
	h.wait()
	after := h.counters()
	cost, writes := after.Requests-before.Requests, after.Writes-before.Writes
	t.Logf("20 changed deals: %d requests with %d commands, %d of them writes (PHP: 60 requests)", cost, after.Commands-before.Commands, writes)
	if cost >= 60 || writes != deals {
		t.Errorf("%d requests and %d writes, want fewer than 60 and exactly %d", cost, writes, deals)
	}
	before = h.counters()
	for _, id := range ids {
		h.event("ONCRMDEALUPDATE", map[string]string{"ID": fmt.Sprint(id)})
	}
	h.wait()
	after = h.counters()
	t.Logf("20 unchanged deals: %d requests, %d writes", after.Requests-before.Requests, after.Writes-before.Writes)
	if after.Writes != before.Writes {
		t.Errorf("%d writes for unchanged deals, want none", after.Writes-before.Writes)
	}
}

// event posts an event as the portal does, with the right token.
func (h *harness) event(code string, fields map[string]string) {
	h.t.Helper()
	if status := h.post(h.hookURL, formType, h.form(code, fields)); status != http.StatusOK {
		h.t.Fatalf("event %s: status %d", code, status)
	}
}

const formType = "application/x-www-form-urlencoded"

func (h *harness) form(code string, fields map[string]string) string {
	body := "event=" + code + "&auth[application_token]=" + h.options.emulator.ApplicationToken
	for k, v := range fields {
		body += "&data[FIELDS][" + k + "]=" + v
	}
	return body
}
