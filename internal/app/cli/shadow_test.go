package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/app/testkit"
	"github.com/b24rules/b24rules/schemas"
)

// recorder is a proxy before a portal that records each command.
type recorder struct {
	*httptest.Server
	mu      sync.Mutex
	methods map[string]int
}

func newRecorder(t *testing.T, portal string) *recorder {
	t.Helper()
	to, err := url.Parse(portal)
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{methods: map[string]int{}}
	proxy := httputil.NewSingleHostReverseProxy(to)
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		r.record(req.URL.Path[strings.LastIndexByte(req.URL.Path, '/')+1:], body)
		req.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, req)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *recorder) record(method string, body []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if method != "batch" {
		r.methods[method]++
		return
	}
	var batch struct {
		Commands []string `json:"cmd"`
	}
	if json.Unmarshal(body, &batch) != nil {
		r.methods["a batch that cannot be read"]++
	}
	for _, command := range batch.Commands {
		name, _, _ := strings.Cut(command, "?")
		r.methods[name]++
	}
}

// writes returns the recorded commands that the table of methods does not call a read,
// and the number of the others.
func (r *recorder) writes() (writes []string, reads int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, n := range r.methods {
		if m, ok := schemas.LookupMethod(name); ok && m.Effect == schemas.Read {
			reads += n
		} else {
			writes = append(writes, name)
		}
	}
	slices.Sort(writes)
	return writes, reads
}

// crestPortal is an emulated portal with people, a script in PHP that does the work, and
// serve next to it.
type crestPortal struct {
	t       *testing.T
	portal  *emulator.Portal
	people  *demo.People
	ours    *recorder
	config  string // path
	script  atomic.Bool
	serving *testkit.Process
}

// newCrestPortal starts the portal and the script. The script receives events while
// script is true, as if people had set the address of its outbound webhook.
func newCrestPortal(t *testing.T, rules string) *crestPortal {
	t.Helper()
	c := &crestPortal{t: t, portal: emulator.New(emulator.Config{Plan: emulator.PlanUnlimited, Secret: "s3cr3t", EventDelay: time.Millisecond})}
	ids := emulator.Demo(c.portal)
	server := httptest.NewServer(c.portal)
	t.Cleanup(func() { server.Close(); c.portal.Close() })
	c.portal.SetBaseURL(server.URL)
	webhook := server.URL + c.portal.WebhookPath()
	c.people = personAt(t, webhook)
	php, err := url.Parse(startPHP(t, "testdata/crest.php", webhook, "PLANTED=1", fmt.Sprint("LIST=", ids.ShipmentList), fmt.Sprint("TYPE=", ids.TotalsType)))
	if err != nil {
		t.Fatal(err)
	}
	toPHP := httputil.NewSingleHostReverseProxy(php)
	address := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c.script.Load() {
			toPHP.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(address.Close)
	c.script.Store(true)
	c.portal.AddWebhook(address.URL, demo.CRMEvents...)

	c.ours = newRecorder(t, server.URL)
	dir, addr := t.TempDir(), testkit.FreeAddr(t)
	token := c.portal.AddWebhook("http://"+addr+"/hooks/demo", demo.CRMEvents...)
	// The delay is longer than the script takes for its events on a busy machine.
	inputs := fmt.Sprintf("    mode: shadow\n    shadow_delay: 4s\n    inputs: {invoice-total: {helper_type: %d}, deal-shipments: {list: %d}}\n", ids.TotalsType, ids.ShipmentList)
	c.config = testkit.ServeConfig(t, dir, addr, c.ours.URL+c.portal.WebhookPath(), inputs, rules)
	testkit.WriteFile(t, c.config, strings.Replace(testkit.ReadFile(t, c.config), "${TEST_TOKEN}", token, 1))
	return c
}

func (c *crestPortal) serve() {
	c.t.Helper()
	c.serving = testkit.StartProcess(c.t, nil, "serve", "--config", c.config)
	c.serving.Log.Wait(c.t, 0, "portal demo: events at")
}

func (c *crestPortal) stop() {
	c.t.Helper()
	c.serving.Signal(syscall.SIGTERM)
	if code := c.serving.Exit(); code != 0 {
		c.t.Fatalf("exit code %d:\n%s", code, c.serving.Log)
	}
}

// command runs a command and returns its exit code and output.
func (c *crestPortal) command(args ...string) (code int, out string) {
	c.t.Helper()
	var stdout, stderr bytes.Buffer
	code = runCommand(context.Background(), append(args, "--config", c.config),
		environment{Std: Std{In: strings.NewReader(""), Out: &stdout, Err: &stderr}, actions: actions.All})
	return code, stdout.String() + stderr.String()
}

// delivered waits until all events are delivered. The script has then done its work.
func (c *crestPortal) delivered() {
	c.t.Helper()
	if err := c.portal.WaitIdle(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
}

// compared returns the results after all runs of serve have ended.
func (c *crestPortal) compared() (code int, portal report.ShadowPortal) {
	c.t.Helper()
	c.delivered()
	for end := time.Now().Add(testkit.Patience); ; time.Sleep(50 * time.Millisecond) {
		_, status := c.command("status", "--format", "json")
		var s report.Status
		if err := json.NewDecoder(strings.NewReader(status)).Decode(&s); err != nil {
			c.t.Fatalf("%s: %v", status, err)
		}
		if s.Portals[0].Waiting+s.Portals[0].Running == 0 {
			break
		}
		if time.Now().After(end) {
			c.t.Fatalf("runs wait: %s", status)
		}
	}
	code, text := c.command("shadow", "--format", "json")
	var out struct{ Portals []report.ShadowPortal }
	if err := json.NewDecoder(strings.NewReader(text)).Decode(&out); err != nil || len(out.Portals) != 1 {
		c.t.Fatalf("%s: %v", text, err)
	}
	return code, out.Portals[0]
}

// rows saves the product tab of an owner, with products of the catalog.
func (c *crestPortal) rows(owner string, id int, rows ...demo.Row) {
	c.t.Helper()
	list := make([]any, len(rows))
	for i, r := range rows {
		list[i] = map[string]any{"productId": 100 + i, "productName": r.Name, "price": r.Price, "quantity": r.Quantity}
	}
	params := map[string]any{"ownerType": owner, "ownerId": id, "productRows": list}
	if err := c.people.Write(c.t.Context(), "crm.item.productrow.set", params, nil); err != nil {
		c.t.Fatal(err)
	}
}

func (c *crestPortal) deal(title string, rows ...demo.Row) (id int) {
	c.t.Helper()
	id, err := c.people.AddDeal(c.t.Context(), title)
	if err != nil {
		c.t.Fatal(err)
	}
	c.rows("D", id, rows...)
	return id
}

func (c *crestPortal) invoice(title string, rows ...demo.Row) (id int) {
	c.t.Helper()
	id, err := c.people.AddInvoice(c.t.Context(), title)
	if err != nil {
		c.t.Fatal(err)
	}
	c.rows("SI", id, rows...)
	return id
}

// list returns "id name sum shipped" of the elements of a deal.
func (c *crestPortal) list(deal int) (out []string) {
	c.t.Helper()
	all, err := c.people.Elements(c.t.Context(), deal)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, e := range all {
		var name string
		if err := json.Unmarshal(e["NAME"], &name); err != nil {
			c.t.Fatal(err)
		}
		line := fmt.Sprintf("%d %s %s", e.ID(), name, strings.Join(e.Values(c.people.Props["SUM"]), ","))
		if len(e.Values(c.people.Props["SHIPPED"])) > 0 {
			line += " shipped"
		}
		out = append(out, line)
	}
	slices.Sort(out)
	return out
}

func (c *crestPortal) ship(deal int) {
	c.t.Helper()
	all, err := c.people.Elements(c.t.Context(), deal)
	if err != nil || len(all) == 0 {
		c.t.Fatal(all, err)
	}
	if err := c.people.Ship(c.t.Context(), all[0]); err != nil {
		c.t.Fatal(err)
	}
}

// differences returns "entity record field: there -> rule" of each difference.
func differences(p report.ShadowPortal, rule string) (out []string) {
	for _, r := range p.Rules {
		if r.Rule != rule {
			continue
		}
		for _, e := range r.Entities {
			for _, change := range e.Changes {
				line := fmt.Sprint(e.Entity, " ", change.Kind)
				for _, f := range change.Fields {
					if f.Name == "SUM" || strings.HasSuffix(f.Name, "Total") {
						line += fmt.Sprintf(" %s: %v -> %v", f.Name, f.Before, f.After)
					}
				}
				out = append(out, line)
			}
		}
	}
	slices.Sort(out)
	return out
}

// TestShadow is the way over from a script: it works while serve compares in shadow mode,
// then serve takes over, and then the script again. Nothing is doubled, and what people
// have ticked stays.
func TestShadow(t *testing.T) {
	t.Parallel()
	rules, err := filepath.Abs("../../../rules")
	if err != nil {
		t.Fatal(err)
	}
	c := newCrestPortal(t, rules)
	if code, out := c.command("shadow"); code != 3 || !strings.Contains(out, "serve creates it") {
		t.Errorf("before the first start: %d\n%s", code, out)
	}
	c.serve()

	// The script does its work, and the rules agree.
	deals := map[string]int{}
	for i := range 6 {
		deals[fmt.Sprint(i)] = c.deal(fmt.Sprint("Deal ", i), row("Nails", "1.10", "3"), row("Tiles", "12.5", "2.5"))
	}
	invoice := c.invoice("Invoice", row("Nails", "0.1", "3"))
	code, got := c.compared()
	if code != 0 || got.Mode != "shadow" || len(got.Rules) != 2 || len(differences(got, "deal-shipments")) > 0 {
		t.Fatalf("the same work: exit code %d, %+v", code, got)
	}
	for _, r := range got.Rules {
		if r.Compared == 0 || r.Agreed != r.Compared || r.Differing != 0 {
			t.Errorf("rule %s: %+v", r.Rule, r)
		}
	}

	// Changes, a deletion, and the mistakes that are planted in the script.
	c.ship(deals["0"])
	ticked := c.list(deals["0"])
	c.rows("D", deals["1"], row("Nails", "1.10", "4"))
	if err := c.people.DeleteDeal(t.Context(), deals["2"]); err != nil {
		t.Fatal(err)
	}
	glass := c.deal("Windows", row("Glass", "40", "2"))
	dear := c.deal("Doors", row("Oak", "333.35", "4"))
	// The script receives no event of the invoice before it has its first rows.
	c.delivered()
	c.script.Store(false)
	cash := c.invoice("cash")
	c.delivered()
	c.script.Store(true)
	c.rows("SI", cash, row("Nails", "2", "3"))
	c.delivered()
	c.rows("SI", cash, row("Nails", "2", "5"))
	code, got = c.compared()
	if code != 1 {
		t.Errorf("exit code %d with differences", code)
	}
	want := []string{fmt.Sprintf("deal:%d add SUM: <nil> -> 80", glass), fmt.Sprintf("deal:%d change SUM: 1333 -> 1333.4", dear)}
	slices.Sort(want)
	if diff := cmp.Diff(want, differences(got, "deal-shipments")); diff != "" {
		t.Errorf("differences (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{fmt.Sprintf("item:31:%d change ufCrm5Total: 6 -> 10", cash)}, differences(got, "invoice-total")); diff != "" {
		t.Errorf("differences (-want +got):\n%s", diff)
	}
	if code, out := c.command("shadow"); code != 1 || !strings.Contains(out, "2 entities differ:") || !strings.Contains(out, "1333 -> 1333.4") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	if _, out := c.command("status"); !strings.Contains(out, "shadow mode: agreed") || !strings.Contains(out, "3 entities differ") {
		t.Errorf("status:\n%s", out)
	}
	if code, out := c.command("run", "--entity", fmt.Sprint("deal:", glass)); code != 3 || !strings.Contains(out, "is in shadow mode") {
		t.Errorf("run: %d\n%s", code, out)
	}
	if writes, reads := c.ours.writes(); len(writes) > 0 || reads < 20 {
		t.Errorf("the portal received the writes %v and %d reads", writes, reads)
	}

	// The change over: the script ends, the rules write. A sync repairs what it missed.
	before := map[int][]string{}
	for _, id := range deals {
		before[id] = c.list(id)
	}
	c.stop()
	c.script.Store(false)
	testkit.WriteFile(t, c.config, strings.Replace(testkit.ReadFile(t, c.config), "mode: shadow", "mode: live", 1))
	c.serve()
	for _, rule := range []string{"deal-shipments", "invoice-total"} {
		if code, out := c.command("sync", "--rule", rule); code != 0 {
			t.Fatalf("sync: %d\n%s", code, out)
		}
	}
	for _, id := range deals {
		if diff := cmp.Diff(before[id], c.list(id)); diff != "" {
			t.Errorf("deal %d after the change over (-before +after):\n%s", id, diff)
		}
	}
	for id, name := range map[int]string{glass: "Glass × 2 80", dear: "Oak × 4 1333.4"} {
		if all := c.list(id); len(all) != 1 || !strings.HasSuffix(all[0], name) {
			t.Errorf("deal %d has %v, want %s", id, all, name)
		}
	}
	for _, id := range []int{invoice, cash} {
		if totals, err := c.people.Helpers(t.Context(), 1038, id); err != nil || len(totals) != 1 {
			t.Errorf("invoice %d has totals %v, %v", id, totals, err)
		}
	}
	c.rows("D", deals["3"], row("Nails", "1.10", "7"), row("Tiles", "12.5", "2.5"), row("Roof", "5", "1"))
	c.live(deals["3"], "Nails × 7 7.7", "Tiles × 2.5 31.25", "Roof × 1 5")
	if diff := cmp.Diff(ticked, c.list(deals["0"])); diff != "" {
		t.Errorf("what people ticked (-want +got):\n%s", diff)
	}

	// The way back: the script finds the elements as it left them.
	c.stop()
	c.script.Store(true)
	c.rows("D", deals["3"], row("Nails", "1.10", "7"), row("Tiles", "12.5", "3"))
	c.rows("D", deals["0"], row("Nails", "1.10", "5"), row("Tiles", "12.5", "2.5"))
	c.live(deals["3"], "Nails × 7 7.7", "Tiles × 3 37.5")
	c.live(deals["0"], "Nails × 5 5.5 shipped", "Tiles × 2.5 31.25")
	if code, out := c.command("shadow"); code != 3 || !strings.Contains(out, "no portal is in shadow mode") {
		t.Errorf("shadow in live mode: %d\n%s", code, out)
	}
	if code, out := c.command("shadow", "--portal", "demo", "--rule", "invoice-total"); code != 1 || !strings.Contains(out, "in live mode, results of an earlier shadow mode") {
		t.Errorf("results of the shadow mode: %d\n%s", code, out)
	}
	if code, out := c.command("shadow", "--reset"); code != 0 {
		t.Errorf("reset: %d\n%s", code, out)
	}
	if _, out := c.command("shadow", "--portal", "demo"); strings.Contains(out, "invoice-total") {
		t.Errorf("results after a reset:\n%s", out)
	}
}

// live waits until a deal has elements with these texts after their ids.
func (c *crestPortal) live(deal int, want ...string) {
	c.t.Helper()
	slices.Sort(want)
	var got []string
	for end := time.Now().Add(testkit.Patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		got = got[:0]
		for _, line := range c.list(deal) {
			_, text, _ := strings.Cut(line, " ")
			got = append(got, text)
		}
		slices.Sort(got)
		if slices.Equal(got, want) {
			return
		}
	}
	c.t.Errorf("deal %d has %q, want %q", deal, got, want)
}
