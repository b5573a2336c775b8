package doctor_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/doctor"
)

// examine returns the checks of the harness's portal after change.
func examine(h *apptest.Harness, change func(p *doctor.Portal)) []doctor.Check {
	h.T.Helper()
	p := h.Service.DoctorPortal(demo.PortalName, time.Now)
	if change != nil {
		change(&p)
	}
	return doctor.Examine(h.Context(), p)
}

// want checks that the checks with a name have a state and that their texts contain
// the given ones.
func want(t *testing.T, checks []doctor.Check, name string, state doctor.State, texts ...string) {
	t.Helper()
	var seen []string
	for _, c := range checks {
		if c.Name != name {
			continue
		}
		seen = append(seen, string(c.State)+": "+c.Text+" -> "+c.Advice)
		if c.State != state {
			t.Errorf("%s is %s: %s, want %s", name, c.State, c.Text, state)
		}
		if (state == doctor.Failed || state == doctor.Warning) && c.Advice == "" {
			t.Errorf("%s has no advice: %s", name, c.Text)
		}
	}
	all := strings.Join(seen, "\n")
	for _, text := range texts {
		if !strings.Contains(all, text) {
			t.Errorf("%s: %q, want %q", name, all, text)
		}
	}
	if len(seen) == 0 {
		t.Errorf("no check %s", name)
	}
}

// TestHealthy: a portal from which all events have arrived passes every check.
func TestHealthy(t *testing.T) {
	t.Parallel()
	h := apptest.New(t, apptest.Options{})
	before := len(h.Portal.History())
	checks := examine(h, func(p *doctor.Portal) {
		p.Latest = func(context.Context, string) (time.Time, error) { return time.Now(), nil }
		p.Arrivals = func(context.Context) (doctor.Arrivals, error) { return doctor.Arrivals{Last: time.Now()}, nil }
	})
	if changes := h.Portal.History()[before:]; len(changes) > 0 {
		t.Errorf("doctor changed %v", changes)
	}
	if doctor.Worst(checks) != doctor.OK {
		t.Errorf("%+v", checks)
	}
	want(t, checks, "scopes", doctor.OK, "crm, lists")
	want(t, checks, "places", doctor.OK, "4 places", "deals", "smart invoices")
}

// TestEventsThatArrive follows the advice: after an event of a code the code is not
// named any more.
func TestEventsThatArrive(t *testing.T) {
	t.Parallel()
	h := apptest.New(t, apptest.Options{})
	want(t, examine(h, nil), "events", doctor.Warning, "have not arrived yet: ONCRMDEALADD, ONCRMDEALDELETE, ONCRMDEALUPDATE,")
	h.AddDeal("Roof", demo.Row{Name: "Tiles", Price: "1", Quantity: "1"})
	checks := examine(h, nil)
	want(t, checks, "events", doctor.Warning, "have not arrived yet: ONCRMDEALDELETE")
	want(t, examine(h, func(p *doctor.Portal) {
		p.Now = func() time.Time { return time.Now().Add(40 * 24 * time.Hour) }
	}), "events", doctor.Warning, "ONCRMDEALADD for 40 days")
	want(t, examine(h, func(p *doctor.Portal) {
		p.Latest = func(context.Context, string) (time.Time, error) {
			return time.Time{}, errors.New("the database is locked")
		}
	}), "events", doctor.Unknown, "the database is locked")
}

// TestApplicationEvents: the subscriptions of an application can be read.
func TestApplicationEvents(t *testing.T) {
	t.Parallel()
	h := apptest.NewApplication(t, "online", emulator.Config{})
	h.Until("the events are bound", func() bool {
		for _, c := range examine(h, nil) {
			if c.Name == "events" && c.State != doctor.OK {
				return false
			}
		}
		return true
	})
	var bound []struct{ Event, Handler string }
	h.AsApp("event.get", nil, &bound)
	for _, b := range bound {
		if b.Event == "ONCRMDEALDELETE" {
			h.AsApp("event.unbind", map[string]any{"event": b.Event, "handler": b.Handler}, nil)
		}
	}
	want(t, examine(h, nil), "events", doctor.Failed, "ONCRMDEALDELETE, for deal-shipments, is not bound")
}

// TestScopes: a missing permission is named with the rule that needs it.
func TestScopes(t *testing.T) {
	t.Parallel()
	h := apptest.New(t, apptest.Options{})
	only := func(scopes string) func(*doctor.Portal) {
		return through(h, "scope", `{"result":[`+scopes+`],"time":{}}`)
	}
	want(t, examine(h, only(`"crm"`)), "scopes", doctor.Failed, "missing: lists (for deal-shipments)", "inbound webhook")
	want(t, examine(h, only(`"crm","lists"`)), "scopes", doctor.OK)

	rules := fstest.MapFS{"tell.yaml": {Data: []byte(`version: 1
rules:
  tell:
    on: [ONCRMDEALADD]
    steps:
      - notify: {to: 1, message: "Deal {{ event.id }}"}
        once: =event.id
      - call: {method: telephony.externalcall.register, params: {}}
        once: =event.id
`)}}
	h = apptest.New(t, apptest.Options{Rules: rules, Inputs: map[string]map[string]string{}})
	want(t, examine(h, only(`"crm","lists"`)), "scopes", doctor.Failed, "im (for tell)", "telephony (for tell)")
	want(t, examine(h, through(h, "scope", `{"result":null,"time":{}}`)), "scopes", doctor.Unknown, "scope: BAD_ANSWER")
}

// TestEachScope: the permission for each kind of step is named, and ticking exactly it ends
// the failure.
func TestEachScope(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ scope, step string }{
		{"crm", "{fetch_item: {owner: deal, id: =event.id}}"},
		{"lists", "{delete_elements: {list: 47, scope: {DEAL: =event.id}}}"},
		{"im", "{notify: {to: 1, message: a}, once: =event.id}"},
		{"user", "{call: {method: user.get, params: {ID: 1}}}"},
		{"task", "{call: {method: tasks.task.get, params: {taskId: 1}}}"},
		{"calendar", "{compute: {day: '=addWorkdays(event.time, 3)'}}"},
		{"bizproc", "{call: {method: bizproc.workflow.start, params: {TEMPLATE_ID: 1}}, once: =event.id}"},
		{"telephony", "{call: {method: voximplant.statistic.get, params: {}}}"},
		{"catalog", "{call: {method: catalog.product.get, params: {id: 1}}}"},
		{"disk", "{call: {method: disk.file.get, params: {id: 1}}}"},
		{"pay_system", "{call: {method: sale.paysystem.list, params: {}}}"},
		{"sale", "{call: {method: sale.order.get, params: {id: 1}}}"},
		{"imopenlines", "{call: {method: imopenlines.config.get, params: {CONFIG_ID: 1}}}"},
		{"department", "{call: {method: department.get, params: {}}}"},
	} {
		t.Run(tt.scope, func(t *testing.T) {
			t.Parallel()
			rules := fstest.MapFS{"r.yaml": {Data: []byte("version: 1\nrules:\n  r:\n    on: [ONCRMDEALADD]\n    steps:\n      - " + tt.step + "\n")}}
			h := apptest.New(t, apptest.Options{Rules: rules, Inputs: map[string]map[string]string{}})
			given := func(scope string) func(*doctor.Portal) {
				return through(h, "scope", `{"result":["`+scope+`"],"time":{}}`)
			}
			want(t, examine(h, given("rating")), "scopes", doctor.Failed, "missing: "+tt.scope+" (for r)", "tick it in the form")
			want(t, examine(h, given(tt.scope)), "scopes", doctor.OK, "the rules need "+tt.scope)
		})
	}
}

// TestEventsOfOthers: hooks are no events of the portal, and a webhook cannot send each event.
func TestEventsOfOthers(t *testing.T) {
	t.Parallel()
	rules := fstest.MapFS{"r.yaml": {Data: []byte(`version: 1
rules:
  hook:
    on: {hook: shop, fields: {order: {type: string, required: true}}, key: =event.data.order}
    steps: [{log: {message: a}}]
  moved:
    on: [ONCRMDEALMOVETOCATEGORY]
    steps: [{log: {message: a}}]
`)}}
	h := apptest.New(t, apptest.Options{Rules: rules, Inputs: map[string]map[string]string{}})
	checks := examine(h, nil)
	want(t, checks, "events", doctor.Warning, "ONCRMDEALMOVETOCATEGORY, for moved, is not sent by an outbound webhook", "connect the portal as an application")
	for _, c := range checks {
		if strings.Contains(c.Text, "B24RULES") {
			t.Errorf("%s: %s", c.Name, c.Text)
		}
	}
	h = apptest.NewApplication(t, "online", emulator.Config{})
	want(t, examine(h, through(h, "scope", `{"result":["lists"],"time":{}}`)), "scopes", doctor.Failed, "missing: crm (for deal-shipments, invoice-total)", "form of the application, and install it again")
}

// TestPlaces: a list, a type and a field that the portal does not have are named, and a
// right that is missing.
func TestPlaces(t *testing.T) {
	t.Parallel()
	inputs := demo.ShippedInputs()
	inputs["deal-shipments"]["list"] = "4711"
	inputs["invoice-total"]["helper_type"] = "1999"
	h := apptest.New(t, apptest.Options{Inputs: inputs})
	want(t, examine(h, nil), "places", doctor.Failed, "list 4711, for deal-shipments", "items of type 1999, for invoice-total", "correct the input")

	inputs = demo.ShippedInputs()
	inputs["invoice-total"]["total_field"] = "ufCrm5Totla"
	h = apptest.New(t, apptest.Options{Inputs: inputs})
	want(t, examine(h, nil), "places", doctor.Failed, `has no field "ufCrm5Totla" (did you mean "ufCrm5Total"?), which invoice-total writes`)

	h = apptest.New(t, apptest.Options{})
	if err := h.Portal.SetFaults(emulator.Fault{Method: "lists.element.get", Kind: emulator.FaultRefuse, Code: "ACCESS_DENIED"}); err != nil {
		t.Fatal(err)
	}
	want(t, examine(h, nil), "places", doctor.Failed, "for deal-shipments: access denied", "give the user of the credentials the right")
	for code, state := range map[string]doctor.State{"insufficient_scope": doctor.Failed, "INTERNAL_SERVER_ERROR": doctor.Unknown} {
		if err := h.Portal.SetFaults(emulator.Fault{Method: "lists.element.get", Kind: emulator.FaultRefuse, Code: code}); err != nil {
			t.Fatal(err)
		}
		checks := examine(h, nil)
		want(t, checks, "places", state)
		for _, c := range checks {
			if c.Name == "places" && strings.Contains(c.Advice, "correct the input") {
				t.Errorf("%s: %s", code, c.Advice)
			}
		}
	}
}

// through returns a client of the harness's portal whose answers of one method are
// replaced.
func through(h *apptest.Harness, method, answer string) func(p *doctor.Portal) {
	h.T.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !answered(h.T, w, r, method, answer) {
			h.Portal.ServeHTTP(w, r)
		}
	}))
	h.T.Cleanup(server.Close)
	client, err := bitrix.NewClient(bitrix.Config{Webhook: bitrix.Secret(server.URL + h.Portal.WebhookPath()), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		h.T.Fatal(err)
	}
	h.T.Cleanup(client.Close)
	return func(p *doctor.Portal) { p.Client, p.URL = client, server.URL }
}

// answered replaces the answer to a request of a method, also to a batch that has no other method. It
// reports whether the request was one.
func answered(t testing.TB, w http.ResponseWriter, r *http.Request, method, answer string) bool {
	t.Helper()
	if strings.Contains(r.URL.Path, "/"+method) {
		_, _ = w.Write([]byte(answer))
		return true
	}
	if !strings.Contains(r.URL.Path, "/batch") {
		return false
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	var batch struct{ Cmd []string }
	var one struct{ Result, Total json.RawMessage }
	if err := errors.Join(json.Unmarshal(body, &batch), json.Unmarshal([]byte(answer), &one)); err != nil {
		t.Error(err)
	}
	var results, totals []json.RawMessage
	for _, command := range batch.Cmd {
		if !strings.HasPrefix(command, method+"?") {
			return false
		}
		results = append(results, one.Result)
		if one.Total != nil {
			totals = append(totals, one.Total)
		}
	}
	err = json.NewEncoder(w).Encode(map[string]any{"result": map[string]any{"result": results, "result_error": []any{}, "result_total": totals, "result_next": []any{}, "result_time": []any{}}, "time": map[string]any{}})
	if err != nil {
		t.Error(err)
	}
	return true
}

// TestUserAndClock: a user without rights and a clock that is wrong are warnings.
func TestUserAndClock(t *testing.T) {
	t.Parallel()
	h := apptest.New(t, apptest.Options{})
	want(t, examine(h, through(h, "profile", `{"result":{"ID":"7","ADMIN":false,"NAME":"Eve","LAST_NAME":"Low"},"time":{}}`)),
		"user", doctor.Warning, "user 7, Eve Low, is not an administrator")
	want(t, examine(h, through(h, "profile", `{"result":"nobody","time":{}}`)), "user", doctor.Unknown, "profile")
	want(t, examine(h, through(h, "profile", `{"result":null,"time":{}}`)), "user", doctor.Unknown, "profile")
	want(t, examine(h, through(h, "profile", `{"result":{},"time":{}}`)), "user", doctor.Unknown, "profile: the answer has no id of a user")

	for _, tt := range []struct {
		shift time.Duration
		text  string
	}{{2 * time.Minute, "ahead of the portal's"}, {-2 * time.Minute, "behind the portal's"}} {
		want(t, examine(h, func(p *doctor.Portal) {
			p.Now = func() time.Time { return time.Now().Add(tt.shift) }
		}), "clock", doctor.Warning, tt.text)
	}
	zone, err := time.LoadLocation("Asia/Omsk")
	if err != nil {
		t.Fatal(err)
	}
	want(t, examine(h, func(p *doctor.Portal) { p.Zone = zone }), "clock", doctor.Warning, "offset +03:00, time_zone Asia/Omsk has +06:00")
}

// TestTimeFilter: a filter that is ignored, or that finds nothing, would spoil each
// catch-up.
func TestTimeFilter(t *testing.T) {
	t.Parallel()
	h := apptest.New(t, apptest.Options{})
	want(t, examine(h, through(h, "crm.item.list", `{"result":{"items":[{"id":1}]},"total":1,"time":{}}`)), "time filter", doctor.Failed, "ignores the filter")
	want(t, examine(h, through(h, "crm.item.list", `{"result":{},"time":{}}`)), "time filter", doctor.Unknown, "deals: crm.item.list")
}

// TestCredentials: after a refusal nothing else is claimed.
func TestCredentials(t *testing.T) {
	t.Parallel()
	h := apptest.New(t, apptest.Options{})
	for _, tt := range []struct {
		fault  emulator.Fault
		advice string
	}{
		{emulator.Fault{Kind: emulator.FaultRefuse, Code: "INVALID_CREDENTIALS"}, "make a new inbound webhook"},
		{emulator.Fault{Kind: emulator.FaultRefuse, Code: "PAYMENT_REQUIRED"}, "the customer must pay"},
		{emulator.Fault{Kind: emulator.FaultRefuse, Code: "OVERLOAD_LIMIT"}, "too many requests"},
		{emulator.Fault{Kind: emulator.FaultRefuse, Code: "ACCESS_DENIED", Status: 403}, "the portal's plan has no REST"},
		{emulator.Fault{Kind: emulator.FaultRefuse, Code: "INTERNAL_SERVER_ERROR", Status: 500}, "the portal's server has a fault"},
		{emulator.Fault{Kind: emulator.FaultRefuse, Code: "WHAT", Status: 400}, "ask its support what the answer means"},
	} {
		if err := h.Portal.SetFaults(tt.fault); err != nil {
			t.Fatal(err)
		}
		checks := examine(h, nil)
		want(t, checks, "credentials", doctor.Failed, tt.fault.Code, tt.advice)
		for _, name := range []string{"clock", "user", "scopes", "places", "time filter", "events", "rate"} {
			want(t, checks, name, doctor.Unknown)
		}
		if doctor.Worst(checks) != doctor.Failed {
			t.Errorf("the worst of %v is %s", checks, doctor.Worst(checks))
		}
	}
	// A rate that others have used up says nothing about the credentials.
	if err := h.Portal.SetFaults(emulator.Fault{Method: "server.time", Kind: emulator.FaultRefuse, Code: "QUERY_LIMIT_EXCEEDED", Count: 2}); err != nil {
		t.Fatal(err)
	}
	want(t, examine(h, nil), "credentials", doctor.OK)
	if err := h.Portal.SetFaults(); err != nil {
		t.Fatal(err)
	}
	want(t, examine(h, nil), "credentials", doctor.OK)
	if err := h.StopPortal(); err != nil {
		t.Fatal(err)
	}
	checks := examine(h, nil)
	want(t, checks, "address", doctor.Failed, "connection refused", "firewall")
	want(t, checks, "credentials", doctor.Unknown)
	want(t, examine(h, func(p *doctor.Portal) { p.URL = "http://no-such-host.invalid/" }), "address", doctor.Failed, "no-such-host.invalid")
}

// TestCertificate: a certificate that ends soon is a warning, one without a trusted signature
// a failure.
func TestCertificate(t *testing.T) {
	t.Parallel()
	h := apptest.New(t, apptest.Options{})
	for _, tt := range []struct {
		valid    time.Duration
		insecure bool
		state    doctor.State
		text     string
	}{
		{90 * 24 * time.Hour, true, doctor.OK, "its certificate is valid until"},
		{5 * 24 * time.Hour, true, doctor.Warning, "must renew the certificate"},
		{90 * 24 * time.Hour, false, doctor.Failed, "cannot be trusted"},
	} {
		server := httptest.NewUnstartedServer(h.Portal)
		server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate(t, tt.valid)}}
		server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		server.StartTLS()
		want(t, examine(h, func(p *doctor.Portal) { p.URL, p.Insecure = server.URL, tt.insecure }), "address", tt.state, tt.text)
		server.Close()
	}
	plain := httptest.NewServer(h.Portal)
	defer plain.Close()
	want(t, examine(h, func(p *doctor.Portal) { p.URL = "https" + strings.TrimPrefix(plain.URL, "http") }), "address", doctor.Failed, "does not speak TLS")
}

// certificate returns a certificate for loopback without a trusted signature.
func certificate(t *testing.T, valid time.Duration) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(valid), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestAdviceOfPlaces: a field that is added in the portal and a right that is given back pass
// the check that has failed before.
func TestAdviceOfPlaces(t *testing.T) {
	t.Parallel()
	inputs := demo.ShippedInputs()
	inputs["invoice-total"]["total_field"] = "ufCrm5Late"
	h := apptest.New(t, apptest.Options{Inputs: inputs})
	asNewProcess := func(p *doctor.Portal) { p.Client.ForgetFields(time.Now()) }
	want(t, examine(h, asNewProcess), "places", doctor.Failed, `has no field "ufCrm5Late"`, "add the field in the portal")
	if err := h.Portal.AddUserField(h.IDs.TotalsType, emulator.UserField{Name: "UF_CRM_5_LATE", Type: "double"}); err != nil {
		t.Fatal(err)
	}
	want(t, examine(h, asNewProcess), "places", doctor.OK)
	if err := h.Portal.SetFaults(emulator.Fault{Method: "lists.element.get", Kind: emulator.FaultRefuse, Code: "ACCESS_DENIED"}); err != nil {
		t.Fatal(err)
	}
	want(t, examine(h, asNewProcess), "places", doctor.Failed, "access denied", "give the user of the credentials the right")
	if err := h.Portal.SetFaults(); err != nil {
		t.Fatal(err)
	}
	want(t, examine(h, asNewProcess), "places", doctor.OK)
}

// TestScopeOfTheCalendar: a formula about working days needs the permission for calendars.
func TestScopeOfTheCalendar(t *testing.T) {
	t.Parallel()
	rules := fstest.MapFS{"due.yaml": {Data: []byte(`version: 1
rules:
  due:
    on: [ONCRMDEALADD]
    steps:
      - id: deal
        fetch_item: {owner: deal, id: =event.id}
      - log: {message: "{{ addWorkdays(event.time, 3) }}"}
        when: =deal.title != ""
`)}}
	h := apptest.New(t, apptest.Options{Rules: rules, Inputs: map[string]map[string]string{}})
	want(t, examine(h, through(h, "scope", `{"result":["crm"],"time":{}}`)), "scopes", doctor.Failed, "calendar (for due)", "tick it in the form of the inbound webhook")
	want(t, examine(h, through(h, "scope", `{"result":["crm","calendar"],"time":{}}`)), "scopes", doctor.OK)
}

// TestUselessAnswers: each answer that is none has advice that fits, and a check that could not be made says
// what to do, too.
func TestUselessAnswers(t *testing.T) {
	t.Parallel()
	h := apptest.New(t, apptest.Options{})
	for _, tt := range []struct {
		status       int
		body, advice string
	}{
		{http.StatusOK, "<html>", "not as a portal: check the address"},
		{http.StatusOK, "", "not as a portal: check the address"},
		{http.StatusOK, `{"result":{"ID":`, "not as a portal: check the address"},
		{http.StatusBadGateway, "<html>", "the portal's server has a fault: try again"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(tt.status)
			_, _ = w.Write([]byte(tt.body))
		}))
		client, err := bitrix.NewClient(bitrix.Config{Webhook: bitrix.Secret(server.URL + h.Portal.WebhookPath()), Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		want(t, examine(h, func(p *doctor.Portal) { p.Client, p.URL = client, server.URL }), "credentials", doctor.Failed, tt.advice)
		client.Close()
		server.Close()
	}
	// A portal that takes a connection and closes it.
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer server.Close()
	client, err := bitrix.NewClient(bitrix.Config{Webhook: bitrix.Secret(server.URL + h.Portal.WebhookPath()), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	want(t, examine(h, func(p *doctor.Portal) { p.Client, p.URL = client, server.URL }), "credentials", doctor.Failed, "takes connections and does not answer")
	for _, c := range examine(h, through(h, "scope", `{"result":null,"time":{}}`)) {
		if c.Name == "scopes" && (c.State != doctor.Unknown || c.Advice == "") {
			t.Errorf("%+v", c)
		}
	}
	// The placeholder of init is named before any event has been refused.
	want(t, examine(h, func(p *doctor.Portal) { p.NoToken = true }), "events", doctor.Failed, "the placeholder of init", "make an outbound webhook for ONCRM")
}

// TestSlowAnswer: a portal that answers late has no wrong clock.
func TestSlowAnswer(t *testing.T) {
	t.Parallel()
	h := apptest.New(t, apptest.Options{})
	asked := 0
	want(t, examine(h, func(p *doctor.Portal) {
		p.Now = func() time.Time { // the answer took a minute
			asked++
			return time.Now().Add(time.Duration(min(asked, 2)-2) * time.Minute)
		}
	}), "clock", doctor.OK)
}
