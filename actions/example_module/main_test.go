package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/erp/stock"
	"github.com/b24rules/b24rules"
	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/emulator"
)

// run runs the program and returns its exit code and what it printed.
func run(ctx context.Context, args ...string) (int, string) {
	var out bytes.Buffer
	std := b24rules.Std{In: strings.NewReader(""), Out: &out, Err: &out}
	code := b24rules.Main(ctx, args, std, append(slices.Clone(actions.All), stock.Reserve)...)
	return code, out.String()
}

// TestCommands: the commands know the added action.
func TestCommands(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text.yaml")
	rule := "version: 1\nrules:\n  r:\n    on: ONCRMDEALADD\n    steps:\n      - reserve_stock: {deal: =event.id, pack: 12, quantities: {title: many}}\n"
	if err := os.WriteFile(text, []byte(rule), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		code int
		args string
		want []string
	}{
		{0, "validate --strict rules", []string{"1 file, no findings"}},
		{1, "validate " + text, []string{"title takes a number of pieces, not text", "[wrong-type]"}},
		{0, "fmt --check rules", nil},
		{0, "explain rules", []string{
			"reserves packs of 12 pieces for deal event.id: ufCrm_RESERVED = sum(rows, .quantity)",
			"reserve-stock changes deals (reserve_stock, line 11) → ONCRMDEALUPDATE → rule reserve-stock; terminates",
		}},
		{0, "explain reserve_stock", []string{"Reserve whole packs of goods for a deal.", "| `pack` (required) | a whole number | the number of pieces in a pack"}},
		{0, "test --cover-min 100 rules", []string{"3 tests, 18 built-in checks, all passed"}},
		{0, "schema rules", []string{`"reserve_stock"`, "the number of pieces in a pack"}},
	} {
		code, out := run(t.Context(), strings.Fields(tt.args)...)
		if code != tt.code {
			t.Errorf("%s: exit code %d, want %d\n%s", tt.args, code, tt.code, out)
		}
		for _, want := range tt.want {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %q in:\n%s", tt.args, want, out)
			}
		}
	}
}

// TestServe: serve runs the action when an event arrives.
func TestServe(t *testing.T) {
	const token = "t0k3n"
	portal := emulator.New(emulator.Config{Plan: emulator.PlanUnlimited, ApplicationToken: token, EventDelay: time.Millisecond})
	defer portal.Close()
	if err := portal.AddUserField(2, emulator.UserField{Name: "UF_CRM_RESERVED", Type: "double"}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(portal)
	defer server.Close()

	addr, dir := freeAddress(t), t.TempDir()
	rules, err := filepath.Abs("rules")
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "b24rules.yaml")
	text := fmt.Sprintf("listen: %s\nrules: [%s]\nportals:\n  main:\n    webhook: %s\n    application_token: %s\n    plan: unlimited\n",
		addr, rules, server.URL+portal.WebhookPath(), token)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var code int
	var log string
	served := make(chan struct{})
	go func() {
		defer close(served)
		code, log = run(ctx, "serve", "--config", config)
	}()
	until(t, "the program is ready", func() bool {
		resp, err := http.Get("http://" + addr + "/healthz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	portal.AddWebhook("http://"+addr+"/hooks/main", "ONCRMDEALUPDATE")

	client, err := bitrix.NewClient(bitrix.Config{Webhook: bitrix.Secret(server.URL + portal.WebhookPath()), Plan: bitrix.PlanUnlimited})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var deal bitrix.ID
	call(t, client, "crm.deal.add", map[string]any{"fields": map[string]any{"TITLE": "Roof"}}, &deal)
	call(t, client, "crm.item.productrow.set", map[string]any{
		"ownerType": "D", "ownerId": deal, "productRows": []any{map[string]any{"productName": "Tile", "price": 10, "quantity": 13}},
	}, nil)
	until(t, "24 pieces are reserved", func() bool {
		var stored struct{ Item map[string]any }
		call(t, client, "crm.item.get", map[string]any{"entityTypeId": 2, "id": deal}, &stored)
		return fmt.Sprint(stored.Item["ufCrm_RESERVED"]) == "24"
	})
	stop()
	<-served
	if code != 0 || !strings.Contains(log, "rule=reserve-stock entity=deal:1 outcome=done") {
		t.Errorf("exit code %d, no run in:\n%s", code, log)
	}
}

func call(t *testing.T, c *bitrix.Client, method string, params map[string]any, into any) {
	t.Helper()
	if err := c.Call(t.Context(), method, params, into); err != nil {
		t.Fatalf("%s: %v", method, err)
	}
}

func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not after a minute: %s", what)
		}
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}
