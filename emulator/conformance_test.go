package emulator_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/schemas"
	"gopkg.in/yaml.v3"
)

// The table of testdata/conformance says for every emulated method which page of
// the documentation it follows, and in which rows it is compared with the page:
// the example's request with the shape of its answer, the error codes, and the
// quirks. A row's call and answer are JSON; the answer is a pattern, see match.

// page is a method in the table.
type page struct {
	// Page is its page of the documentation, below
	// https://github.com/bitrix24/b24restdocs/blob/main/api-reference/.
	Page string `yaml:"page"`
	// App calls it with the application's token.
	App bool `yaml:"app"`
	// Given are calls made before each row's.
	Given []given `yaml:"given"`
	// Never are documented error codes that the emulator cannot have, and why.
	Never map[string]string `yaml:"never"`
	Rows  []row             `yaml:"rows"`
}

// given is a call that sets something up.
type given struct {
	Method string `yaml:"method"`
	Call   string `yaml:"call"`
}

// row is one call and what it has to answer. The time of a success is compared
// without being named.
type row struct {
	Why      string  `yaml:"why"` // the quirk that it shows
	Given    []given `yaml:"given"`
	Employee bool    `yaml:"employee"` // by a user who is no administrator
	Webhook  bool    `yaml:"webhook"`  // by the webhook, where the others are the application's
	Call     string  `yaml:"call"`
	Status   int     `yaml:"status"` // 0 is 200
	Want     string  `yaml:"want"`
}

// readTable reads the table, by the methods' names.
func readTable(t *testing.T) map[string]page {
	t.Helper()
	files, err := filepath.Glob("testdata/conformance/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	table := map[string]page{}
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		dec := yaml.NewDecoder(strings.NewReader(string(raw)))
		dec.KnownFields(true)
		part := map[string]page{}
		if err := dec.Decode(&part); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for method, rows := range part {
			if _, ok := table[method]; ok {
				t.Errorf("%s: %s stands in another file too", name, method)
			}
			table[method] = rows
		}
	}
	return table
}

// shelf is a portal with one of everything, each with the id 1: lead, deal with
// two rows, contact, company, estimate, invoice, an item of smart process 1038,
// an element of list 47.
func shelf(t *testing.T) *portal {
	p := open(t, emulator.Config{})
	emulator.Demo(p.Portal)
	put := func(method, params string) {
		t.Helper()
		req := httptest.NewRequest(http.MethodPost, p.WebhookPath()+method, strings.NewReader(params))
		req.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder() // without a network, since there are hundreds of shelves
		if p.ServeHTTP(w, req); w.Code != http.StatusOK {
			t.Fatalf("%s %s: status %d, %s", method, params, w.Code, w.Body)
		}
	}
	put("crm.company.add", `{"fields":{"TITLE":"Roofs","COMMENTS":"c","BANKING_DETAILS":"773","PHONE":[{"VALUE":"+1999","VALUE_TYPE":"WORK"}]}}`)
	put("crm.contact.add", `{"fields":{"NAME":"John","LAST_NAME":"Smith","SECOND_NAME":"D","COMPANY_ID":1,"POST":"Head","SOURCE_DESCRIPTION":"s",
		"COMMENTS":"c","BIRTHDATE":"11.11.2001","UTM_SOURCE":"google","UTM_MEDIUM":"CPC","UTM_CAMPAIGN":"a","UTM_CONTENT":"b","UTM_TERM":"c",
		"PHONE":[{"VALUE":"+1333","VALUE_TYPE":"WORK"}],"EMAIL":[{"VALUE":"john@example.com","VALUE_TYPE":"WORK"}]}}`)
	put("crm.lead.add", `{"fields":{"TITLE":"Lead","NAME":"Erasmus","SOURCE_ID":"WEB","PHONE":[{"VALUE":"+1545","VALUE_TYPE":"WORK"}],"IM":[{"VALUE":"imol|x","VALUE_TYPE":"OPENLINE"}]}}`)
	put("crm.deal.add", `{"fields":{"TITLE":"Roof","COMPANY_ID":9,"CONTACT_ID":5,"COMMENTS":"[B]new[/B]","PROBABILITY":50,
		"SOURCE_DESCRIPTION":"s","ADDITIONAL_INFO":"i","UTM_SOURCE":"google","UTM_MEDIUM":"CPC"}}`)
	put("crm.item.productrow.set", `{"ownerType":"D","ownerId":1,"productRows":[
		{"productId":9621,"productName":"iphone 14","price":90000,"quantity":3,"discountTypeId":2,"discountRate":10,"taxRate":10,"taxIncluded":"Y","sort":20},
		{"productName":"Case","price":899.1,"quantity":1,"sort":30}]}`)
	put("crm.quote.add", `{"fields":{"TITLE":"Furniture","COMPANY_ID":1,"MYCOMPANY_ID":340,"ACTUAL_DATE":"2026-03-20","COMMENTS":"c"}}`)
	put("crm.item.add", `{"entityTypeId":31,"fields":{"title":"Bill"}}`)
	put("crm.item.add", `{"entityTypeId":1038,"fields":{"title":"Invoice 1","ufCrm5InvoiceId":1,"ufCrm5Total":"99.99"}}`)
	put("lists.element.add", `{"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":47,"ELEMENT_CODE":"one","FIELDS":{"NAME":"One","PROPERTY_101":"1","PROPERTY_107":"hello"}}`)
	return p
}

const timePattern = `,"time":{"start":"<number>","finish":"<number>","duration":"<number>","processing":"<number>",` +
	`"date_start":"<datetime>","date_finish":"<datetime>","operating_reset_at":"<number>","operating":"<number>"}}`

// TestConformance asks each method what the table says.
func TestConformance(t *testing.T) {
	t.Parallel()
	table := readTable(t)
	for _, method := range slices.Sorted(maps.Keys(table)) {
		pg := table[method]
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			if pg.Page == "" {
				t.Error("the page of the documentation is not named")
			}
			pg.check(t, method)
		})
	}
}

// check asks a method's rows. They share a portal until one of them may have
// changed it.
func (pg page) check(t *testing.T, method string) {
	m, _ := schemas.LookupMethod(method)
	var p *portal
	for _, r := range pg.Rows {
		if p == nil || len(r.Given) > 0 {
			p = shelf(t)
			for _, g := range slices.Concat(pg.Given, r.Given) {
				way := p.post
				if strings.HasPrefix(g.Method, "event.") {
					way = p.asApp
				}
				if status, body := way(g.Method, g.Call); status != http.StatusOK {
					t.Fatalf("%s %s: status %d, %s", g.Method, g.Call, status, body)
				}
			}
		}
		pg.ask(p, method, r)
		if r.Status == 0 && m.Effect != schemas.Read || len(r.Given) > 0 {
			p = nil
		}
	}
}

// way is how a row's call is made.
func (pg page) way(p *portal, r row) func(method, params string) (int, string) {
	switch {
	case r.Employee:
		return p.asEmployee
	case pg.App && !r.Webhook:
		return p.asApp
	}
	return p.post
}

func (pg page) ask(p *portal, method string, r row) {
	status, body := pg.way(p, r)(method, r.Call)
	want, wantStatus := r.Want, r.Status
	if wantStatus == 0 {
		wantStatus = http.StatusOK
		want = strings.TrimSuffix(strings.TrimSpace(want), "}") + timePattern
	}
	what := strings.TrimSpace(fmt.Sprintf("%s %s %s", r.Why, method, r.Call))
	if status != wantStatus {
		p.t.Errorf("%s: status %d, want %d: %s", what, status, wantStatus, body)
		return
	}
	p.match(what, want, body)
}

// TestEveryMethodIsInTheTable: a method without a row is one that was not
// compared with its page.
func TestEveryMethodIsInTheTable(t *testing.T) {
	t.Parallel()
	p := shelf(t)
	table := readTable(t)
	emulated := map[string]bool{}
	list, _ := p.must("methods", `{"full":true}`).([]any)
	for _, name := range list {
		emulated[text(name)] = true
	}
	covered := map[string]bool{"batch": true} // has its own tests
	for name, pg := range table {
		if !emulated[strings.ToLower(name)] {
			t.Errorf("%s is in the table and not emulated", name)
		}
		good := slices.ContainsFunc(pg.Rows, func(r row) bool { return r.Status == 0 })
		if !good {
			t.Errorf("%s has no row that succeeds", name)
		}
		covered[strings.ToLower(name)] = good
	}
	for name := range emulated {
		if !covered[name] {
			t.Errorf("%s has no row in testdata/conformance: add the documented example, the shape of its answer and its error codes", name)
		}
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{Scopes: []string{"crm"}})
	for _, c := range []struct {
		name, path string
		status     int
		code       string
	}{
		{"wrong secret", "/rest/1/guess/profile", 401, "INVALID_CREDENTIALS"},
		{"wrong user", "/rest/2/emulator/profile", 401, "INVALID_CREDENTIALS"},
		{"a method that does not exist comes first", "/rest/1/guess/crm.none", 404, "ERROR_METHOD_NOT_FOUND"},
		{"no token", "/rest/profile", 401, "NO_AUTH_FOUND"},
		{"wrong token", "/rest/profile?auth=guess", 401, "invalid_token"},
		{"right token", "/rest/profile?auth=" + p.App().Token(), 200, ""},
		{"missing scope", "/rest/1/emulator/lists.get", 401, "insufficient_scope"},
		{"third version", "/rest/api/1/emulator/crm.deal.get", 404, ""},
		{"no method", "/rest/1/emulator/", 404, "ERROR_METHOD_NOT_FOUND"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, body := p.send("GET", c.path, "", "")
			if status != c.status || c.code != "" && !strings.Contains(body, `"`+c.code+`"`) {
				t.Errorf("status %d, %s; want %d with %s", status, body, c.status, c.code)
			}
		})
	}
}
