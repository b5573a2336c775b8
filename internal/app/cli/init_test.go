//go:build unix

package cli

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/testkit"
)

// customer is a portal whose lists and fields have their own names and ids.
type customer struct {
	t       *testing.T
	portal  *emulator.Portal
	webhook string
	client  *bitrix.Client
}

func newCustomer(t *testing.T) *customer {
	t.Helper()
	portal := emulator.New(emulator.Config{Plan: emulator.PlanUnlimited})
	t.Cleanup(portal.Close)
	portal.AddList(emulator.List{ID: 61, Name: "Suppliers"})
	portal.AddList(emulator.List{ID: 63, Name: "Loading", Fields: []emulator.ListField{
		{ID: 301, Code: "OWNER", Name: "Deal", Type: "N"},
		{ID: 302, Name: "Goods", Type: "N"},
		{ID: 303, Code: "QTY", Name: "Quantity", Type: "N"},
		{ID: 304, Code: "SUM", Name: "Amount", Type: "N"},
	}})
	server := httptest.NewServer(portal)
	t.Cleanup(server.Close)
	c := &customer{t: t, portal: portal, webhook: server.URL + portal.WebhookPath()}
	portal.SetBaseURL(server.URL)
	client, err := bitrix.NewClient(bitrix.Config{Webhook: bitrix.Secret(c.webhook), Plan: bitrix.PlanUnlimited})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	c.client = client
	return c
}

// initCommand runs a command with answers on stdin.
func initCommand(ctx context.Context, t *testing.T, code int, in io.Reader, args ...string) (out, talk string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if got := runCommand(ctx, args, environment{Std: Std{In: in, Out: &stdout, Err: &stderr}, actions: actions.All}); got != code {
		t.Fatalf("b24rules %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, code, stdout.String(), stderr.String())
	}
	return stdout.String(), stderr.String()
}

// wantEmpty checks that a folder has no files.
func wantEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		t.Errorf("%s has %v", dir, entries)
	}
}

// TestInit goes from nothing to the first element: init, validate, test, doctor, serve.
func TestInit(t *testing.T) {
	t.Parallel()
	c := newCustomer(t)
	addr := testkit.FreeAddr(t)
	token := c.portal.AddWebhook("http://"+addr+"/hooks/main", "ONCRMDEALADD", "ONCRMDEALUPDATE", "ONCRMDEALDELETE")
	dir := filepath.Join(t.TempDir(), "new", "project")
	file := filepath.Join(dir, "b24rules.yaml")
	commands := 0
	run := func(code int, in string, args ...string) (out, talk string) {
		t.Helper()
		commands++
		return initCommand(t.Context(), t, code, strings.NewReader(in), args...)
	}
	// The form in the portal shows the URL with a method.
	out, talk := run(exitFine, "acme\n"+c.webhook+"profile.json\ndeal-shipment\ndeal-shipments\nLoadin\nloading\nDeal\nGoods\n",
		"init", "--listen", addr, "--token", token, dir)
	for _, text := range []string{
		"this is no URL of an inbound webhook: the webhook is no http(s) URL", `did you mean deal-shipments?`, "61 (Suppliers), 63 (Loading)", `portal has no "Loadin", did you mean 63 (Loading)?`, "product_property, the property for the product's id: PROPERTY_302 (Goods), QTY (Quantity)",
		"OWNER (Deal) is the value of deal_property already",
	} {
		if !strings.Contains(talk, text) {
			t.Errorf("%s\nwant %s", talk, text)
		}
	}
	if want := "b24rules doctor --config " + file + "\nb24rules serve --config " + file + "\n"; out != want {
		t.Errorf("%q, want %q", out, want)
	}
	if strings.Contains(talk+out, c.webhook) {
		t.Error("the output has the webhook")
	}
	const inputs = `
      deal-shipments:
        list: 63 # Loading
        deal_property: "OWNER" # Deal
        product_property: "PROPERTY_302" # Goods
        quantity_property: "QTY" # Quantity
        sum_property: "SUM" # Amount
`
	if text := testkit.ReadFile(t, file); !strings.Contains(text, inputs) {
		t.Errorf("%s", text)
	}
	if info, err := os.Stat(filepath.Join(dir, "secrets", "main.webhook")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	for _, name := range []string{".github/workflows/rules.yaml", ".vscode/settings.json", "schemas/rules.schema.json", "secrets/.gitignore", "rules/main.portal.json"} {
		if testkit.ReadFile(t, filepath.Join(dir, name)) == "" {
			t.Errorf("%s is empty", name)
		}
	}
	rules := filepath.Join(dir, "rules")
	if text := testkit.ReadFile(t, filepath.Join(dir, "secrets", "main.webhook")); text != c.webhook+"\n" {
		t.Errorf("the webhook is %s", text)
	}
	run(exitFine, "", "validate", "--strict", "--config", file, rules)
	run(exitFine, "", "test", rules)
	run(exitFine, "", "schema", "diff", "--config", file)
	commands++
	serve := testkit.StartProcess(t, nil, "serve", "--config", file)
	serve.Log.Wait(t, 0, "events at http://"+addr+"/hooks/main")
	c.do("crm.deal.add", map[string]any{"fields": map[string]any{"TITLE": "Roof"}})
	c.do("crm.deal.productrows.set", map[string]any{"id": 1, "rows": []any{map[string]any{"PRODUCT_NAME": "Tile", "PRICE": 10.5, "QUANTITY": 3}}})
	serve.Log.Wait(t, 0, "outcome=done")
	elements := func() string {
		a := c.client.Do(t.Context(), bitrix.Call{Method: "lists.element.get", Params: map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": 63}})[0]
		return string(a.Result)
	}
	for end := time.Now().Add(testkit.Patience); !strings.Contains(elements(), "Tile × 3"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s\n%s", elements(), serve.Log)
		}
	}
	if commands > 10 {
		t.Errorf("%d commands, want at most 10", commands)
	}
	// A second init replaces nothing.
	if _, talk := run(exitFailure, "", "init", "--yes", dir); !strings.Contains(talk, "has a b24rules.yaml already, and init replaces no file: choose another folder, or add the portal to that file") {
		t.Errorf("%s", talk)
	}
}

func (c *customer) do(method string, params map[string]any) {
	c.t.Helper()
	if a := c.client.Do(c.t.Context(), bitrix.Call{Method: method, Params: params, Write: true})[0]; a.Err != nil {
		c.t.Fatal(a.Err)
	}
}

// TestInitWithFlags asks nothing, and says what is missing.
func TestInitWithFlags(t *testing.T) {
	t.Parallel()
	c := newCustomer(t)
	dir := t.TempDir()
	flags := []string{"init", "--yes", "--webhook", c.webhook, "--rules", "deal-shipments", "--ci", "none", "--input", "list=63"}
	_, talk := initCommand(t.Context(), t, exitFailure, nil, append(flags, dir)...)
	if !strings.Contains(talk, "product_property, the property for the product's id: PROPERTY_302 (Goods), QTY (Quantity), SUM (Amount): name it with --input product_property=VALUE") {
		t.Errorf("%s", talk)
	}
	wantEmpty(t, dir)
	for _, wrong := range [][]string{
		{"product_property=goodz", "did you mean PROPERTY_302 (Goods)?"},
		{"product_property=Weather", "it has OWNER (Deal)"},
		{"product_property=goods", "has no input count", "--input", "count=1"},
	} {
		args := append(append(slices.Clone(flags), "--input", wrong[0]), append(wrong[2:], dir)...)
		if _, talk := initCommand(t.Context(), t, exitUsage, nil, args...); !strings.Contains(talk, wrong[1]) || strings.Contains(talk, "usage: ") {
			t.Errorf("%s: %s, want no usage line", wrong[0], talk)
		}
		wantEmpty(t, dir)
	}
	_, talk = initCommand(t.Context(), t, exitFine, nil, append(flags, "--input", "product_property=goods", dir)...)
	if !strings.Contains(talk, "next: make an outbound webhook for ONCRMDEALADD, ONCRMDEALDELETE, ONCRMDEALUPDATE with the handler address https://your-host/hooks/main") {
		t.Errorf("%s", talk)
	}
	if text := testkit.ReadFile(t, filepath.Join(dir, "secrets", "main.token")); !strings.HasPrefix(text, "to-be-replaced-") || len(text) < 30 {
		t.Errorf("the token is %s", text)
	}
}

// TestInitHTTPS writes a configuration that needs no reverse proxy.
func TestInitHTTPS(t *testing.T) {
	t.Parallel()
	c := newCustomer(t)
	dir := t.TempDir()
	flags := []string{"init", "--yes", "--webhook", c.webhook, "--rules", "deal-title", "--ci", "none"}
	for _, wrong := range [][]string{
		{"is not a host name for which certificates are issued", "--https", "https://b24.example.com:8443/"},
		{"--https and --listen cannot be combined", "--https", "b24.example.com", "--listen", "127.0.0.1:9000"},
	} {
		args := append(append(slices.Clone(flags), wrong[1:]...), dir)
		if _, talk := initCommand(t.Context(), t, exitUsage, nil, args...); !strings.Contains(talk, wrong[0]) {
			t.Errorf("%v: %s", wrong, talk)
		}
		wantEmpty(t, dir)
	}
	_, talk := initCommand(t.Context(), t, exitFine, nil, append(flags, "--https", "b24.example.com", dir)...)
	text := testkit.ReadFile(t, filepath.Join(dir, "b24rules.yaml"))
	if !strings.Contains(text, "\nlisten: {https: b24.example.com}\n") || strings.Contains(text, "proxy") || !strings.Contains(talk, "the handler address https://b24.example.com/hooks/main") {
		t.Errorf("%s%s", text, talk)
	}
	app := append([]string{"init", "--yes", "--ci", "none", "--https", "b24.example.com", "--client-id", "local.1", "--client-secret", "s3cr3t", "--rules", "deal-title"},
		"--app", strings.TrimSuffix(c.webhook, c.portal.WebhookPath()), filepath.Join(dir, "app"))
	_, talk = initCommand(t.Context(), t, exitFine, nil, app...)
	if text := testkit.ReadFile(t, filepath.Join(dir, "app", "b24rules.yaml")); strings.Contains(text, "public_url") || !strings.Contains(talk, "enter https://b24.example.com/hooks/main in the application's form") {
		t.Errorf("%s%s", text, talk)
	}
}

// withAnswer is the webhook of the portal behind a server that answers one method itself.
func withAnswer(t *testing.T, c *customer, method, answer string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path+".", "/"+method+".") {
			_, _ = w.Write([]byte(answer))
			return
		}
		c.portal.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL + c.portal.WebhookPath()
}

// TestInitRefuses: each thing that is wrong is one sentence, and nothing is written.
func TestInitRefuses(t *testing.T) {
	t.Parallel()
	c := newCustomer(t)
	gone := httptest.NewServer(http.NotFoundHandler())
	goneURL := gone.URL
	gone.Close()
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"error":"INVALID_CREDENTIALS","error_description":"Invalid request credentials"}`))
	}))
	t.Cleanup(refusing.Close)
	noCRM := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/crm.") || strings.Contains(r.URL.Path, "/lists.") {
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"error":"insufficient_scope","error_description":"The request requires higher privileges"}`))
			return
		}
		if strings.HasSuffix(r.URL.Path, "/scope") {
			_, _ = w.Write([]byte(`{"result":["user"],"time":{}}`))
			return
		}
		c.portal.ServeHTTP(w, r)
	}))
	t.Cleanup(noCRM.Close)
	for _, tt := range []struct {
		name, webhook, in string
		code              int
		want              string
	}{
		{"no webhook", "https://acme.example/crm/deal/", "", exitUsage, "this is no URL of an inbound webhook"},
		{"no portal", goneURL + "/rest/1/abcdefgh/", "", exitFailure, "connection refused (check the address"},
		{"refused", refusing.URL + "/rest/1/abcdefgh/", "", exitFailure, "make a new inbound webhook"},
		{"no rights", noCRM.URL + c.portal.WebhookPath(), "", exitFailure, "the webhook has no permission for the CRM: tick crm and lists in its form"},
		{"half an answer", c.webhook, "deal-shipments\n63\nGoo", exitFailure, "no answer, so nothing was written: name it with --input"},
		{"half an application", "", strings.TrimSuffix(c.webhook, c.portal.WebhookPath()) + "\nlocal.1\n", exitFailure, "no answer, so nothing was written: name it with --client-secret SECRET"},
		{"an application without a portal", "", goneURL + "\n", exitFailure, "connection refused (check the address"},
		{"permissions of another form", withAnswer(t, c, "scope", `{"result":null,"time":{}}`), "", exitFailure, "scope: BAD_ANSWER: the result has another shape"},
		{"no smart process", c.webhook, "invoice-total\n", exitFailure, "the portal has none that the user of the credentials can see"},
	} {
		dir := filepath.Join(t.TempDir(), "x")
		out, talk := initCommand(t.Context(), t, tt.code, strings.NewReader(tt.in), "init", "--webhook", tt.webhook, dir)
		if !strings.Contains(out+talk, tt.want) || strings.Contains(talk, "usage: ") {
			t.Errorf("%s: %s%s, want %s and no usage line", tt.name, out, talk, tt.want)
		}
		wantEmpty(t, filepath.Dir(dir))
	}
	if err := c.portal.SetFaults(emulator.Fault{Method: "crm.category.list", Kind: emulator.FaultShape, Shape: "absent"}); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(t.TempDir(), "x")
	if _, talk := initCommand(t.Context(), t, exitFailure, nil, "init", "--webhook", c.webhook, broken); !strings.Contains(talk, "crm.category.list: the answer has no categories") {
		t.Errorf("%s", talk)
	}
	wantEmpty(t, filepath.Dir(broken))
	if err := c.portal.SetFaults(); err != nil {
		t.Fatal(err)
	}
	// Wrong flags are found without the portal.
	for _, wrong := range [][]string{
		{`portal name "a b" cannot be part of a URL`, "--portal", "a b"},
		{`(write up to 63 letters, digits, dots, dashes and underscores)`, "--portal", "a b"},
		{`"*.example.com" is not a host name for which certificates are issued`, "--https", "*.example.com"},
		{`this is the URL of an inbound webhook, and --app takes the address of the portal`, "--app", goneURL + "/rest/1/abcdefgh/profile"},
		{`listen "foo" is not an address`, "--listen", "foo"},
		{`the catalogue has no rule set "deal-shipmnts" (did you mean deal-shipments?)`, "--rules", "deal-shipmnts"},
	} {
		dir := filepath.Join(t.TempDir(), "x")
		_, talk := initCommand(t.Context(), t, exitUsage, nil, append([]string{"init", "--yes", "--webhook", goneURL + "/rest/1/abcdefgh/", dir}, wrong[1:]...)...)
		if !strings.Contains(talk, wrong[0]) || strings.Contains(talk, "usage: ") {
			t.Errorf("%s, want %s and no usage line", talk, wrong[0])
		}
		wantEmpty(t, filepath.Dir(dir))
	}
	// Ctrl-C while the portal does not answer.
	for _, method := range []string{"server.time", "lists.get"} {
		if err := c.portal.SetFaults(emulator.Fault{Method: method, Kind: emulator.FaultTimeout, Delay: time.Hour}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		dir := filepath.Join(t.TempDir(), "x")
		if _, talk := initCommand(ctx, t, exitFailure, nil, "init", "--yes", "--webhook", c.webhook, "--rules", "deal-shipments", dir); !strings.HasPrefix(talk, "b24rules: interrupted") {
			t.Errorf("%s: %s", method, talk)
		}
		wantEmpty(t, filepath.Dir(dir))
	}
	if err := c.portal.SetFaults(); err != nil {
		t.Fatal(err)
	}
	// Ctrl-C at a question.
	ctx, cancel := context.WithCancel(t.Context())
	in, typed := io.Pipe()
	t.Cleanup(func() { _ = typed.Close() })
	go func() {
		_, _ = typed.Write([]byte("deal-shipments\n")) // the next question waits
		cancel()
	}()
	dir := filepath.Join(t.TempDir(), "x")
	if _, talk := initCommand(ctx, t, exitFailure, in, "init", "--webhook", c.webhook, dir); !strings.Contains(talk, "interrupted") {
		t.Errorf("%s", talk)
	}
	wantEmpty(t, filepath.Dir(dir))
}

// TestInitPasted takes the URL as people copy it: with what is around it, and with the method of a call.
func TestInitPasted(t *testing.T) {
	t.Parallel()
	c := newCustomer(t)
	bare := strings.TrimSuffix(c.webhook, "/")
	for _, pasted := range []string{
		"  " + c.webhook + "  ", c.webhook + "\n", `"` + c.webhook + `"`, "<" + c.webhook + ">", "«" + bare + "»,", "\u200b\u00a0" + bare, bare, c.webhook + "/",
		bare + "/crm.deal.list.json", bare + "/crm.deal.list?id=5", c.webhook + "#profile",
	} {
		dir := filepath.Join(t.TempDir(), "x")
		initCommand(t.Context(), t, exitFine, nil, "init", "--yes", "--webhook", pasted, "--rules", "deal-title", dir)
		if got := strings.TrimSpace(testkit.ReadFile(t, filepath.Join(dir, "secrets", "main.webhook"))); strings.TrimSuffix(got, "/") != bare {
			t.Errorf("%q: the webhook is %s", pasted, got)
		}
	}
	dir := filepath.Join(t.TempDir(), "x")
	if _, talk := initCommand(t.Context(), t, exitUsage, nil, "init", "--yes", "--webhook", c.webhook+" "+c.webhook, "--rules", "deal-title", dir); !strings.Contains(talk, "has a space or a line break in it") {
		t.Errorf("%s", talk)
	}
	// Neither an address with HTTPS nor one of a page needs to be exact.
	initCommand(t.Context(), t, exitFine, nil, "init", "--yes", "--app", strings.TrimSuffix(c.webhook, c.portal.WebhookPath())+"/stream/", "--client-id", "local.1", "--client-secret", "s3cret-s3cret",
		"--https", "https://B24.example.com/", "--public-url", "https://b24.example.com/hooks/main", "--rules", "deal-title", dir)
	text := testkit.ReadFile(t, filepath.Join(dir, "b24rules.yaml"))
	if !strings.Contains(text, "listen: {https: b24.example.com}") || strings.Contains(text, "stream") || strings.Contains(text, "hooks/main/hooks") {
		t.Errorf("%s", text)
	}
}

// TestInitInARepository keeps the files of a repository, and says at once that a folder cannot be written to.
func TestInitInARepository(t *testing.T) {
	t.Parallel()
	c := newCustomer(t)
	dir := t.TempDir()
	for _, name := range []string{".gitignore", ".vscode/settings.json", ".github/workflows/rules.yaml"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		testkit.WriteFile(t, filepath.Join(dir, name), "mine\n")
	}
	_, talk := initCommand(t.Context(), t, exitFine, nil, "init", "--yes", "--webhook", c.webhook, "--rules", "deal-title", dir)
	for _, want := range []string{".gitignore: add the lines b24rules.db* and secrets/ to it", "settings.json, which exists already", "rules.yaml, which exists already", "next: make an outbound webhook"} {
		if !strings.Contains(talk, want) {
			t.Errorf("%s\nwant %s", talk, want)
		}
	}
	if text := testkit.ReadFile(t, filepath.Join(dir, ".gitignore")); text != "mine\n" {
		t.Errorf("%s", text)
	}
	// A rule set is no such file.
	dir = t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "rules"), 0o755); err != nil {
		t.Fatal(err)
	}
	testkit.WriteFile(t, filepath.Join(dir, "rules", "deal-title.yaml"), "mine\n")
	if _, talk := initCommand(t.Context(), t, exitFailure, nil, "init", "--yes", "--webhook", c.webhook, "--rules", "deal-title", dir); !strings.Contains(talk, "rules/deal-title.yaml exists already") {
		t.Errorf("%s", talk)
	}
	// The portal is not asked: there is none.
	file := filepath.Join(dir, "rules", "deal-title.yaml", "x")
	if _, talk := initCommand(t.Context(), t, exitFailure, nil, "init", "--yes", "--webhook", "https://no-such-host.invalid/rest/1/abcdefgh/", file); !strings.Contains(talk, "cannot be written to, so nothing was written: not a directory") {
		t.Errorf("%s", talk)
	}
}
