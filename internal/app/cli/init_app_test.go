//go:build unix

package cli

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/testkit"
)

// newServed serves an emulated portal and returns its address.
func newServed(t *testing.T, portal *emulator.Portal) string {
	t.Helper()
	server := httptest.NewServer(portal)
	t.Cleanup(server.Close)
	portal.SetBaseURL(server.URL)
	return server.URL
}

// TestInitApplication goes from nothing to the first element as an application: init, serve, the
// installation in the portal, doctor.
func TestInitApplication(t *testing.T) {
	t.Parallel()
	c := newCustomer(t)
	address := strings.TrimSuffix(c.webhook, c.portal.WebhookPath())
	app := c.portal.App()
	addr := testkit.FreeAddr(t)
	dir := filepath.Join(t.TempDir(), "project")
	file := filepath.Join(dir, "b24rules.yaml")
	answers := strings.Join([]string{address + "/", app.ClientID(), app.ClientSecret(), "http://" + addr + "/", ""}, "\n")
	// The webhook is used for the questions and is not stored.
	out, talk := initCommand(t.Context(), t, exitFine, strings.NewReader(answers), "init", "--listen", addr, "--rules", "deal-shipments", "--input", "list=63",
		"--input", "deal_property=Deal", "--input", "product_property=PROPERTY_302", "--input", "quantity_property=QTY", "--ci", "none", dir)
	if want := "b24rules serve --config " + file + "\nb24rules doctor --config " + file + "\nb24rules schema pull --config " + file + "\n"; out != want {
		t.Errorf("%q, want %q", out, want)
	}
	for _, text := range []string{"client_secret of the application:", "enter http://" + addr + "/hooks/main in the application's form", "choose reinstall"} {
		if !strings.Contains(talk, text) {
			t.Errorf("%s\nwant %s", talk, text)
		}
	}
	if strings.Contains(talk+out, app.ClientSecret()) {
		t.Error("the output has the client_secret")
	}
	if info, err := os.Stat(filepath.Join(dir, "secrets", "main.secret")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	text := testkit.ReadFile(t, file)
	for _, part := range []string{"public_url: http://" + addr + "\n", "    oauth:\n      portal: " + address + "\n", "        deal_property: \"Deal\"\n"} {
		if !strings.Contains(text, part) {
			t.Errorf("%s\nwant %s", text, part)
		}
	}
	for _, name := range []string{"secrets/main.webhook", "secrets/main.token", "rules/main.portal.json"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s exists", name)
		}
	}
	testkit.WriteFile(t, file, strings.Replace(text, `"Deal"`, `"OWNER"`, 1)) // without a portal to ask, names stay unchanged
	serve := testkit.StartProcess(t, nil, "serve", "--config", file)
	serve.Log.Wait(t, 0, "events at http://"+addr+"/hooks/main")
	app.Install("http://" + addr + "/hooks/main")
	serve.Log.Wait(t, 0, "events bound")
	c.do("crm.deal.add", map[string]any{"fields": map[string]any{"TITLE": "Roof"}})
	serve.Log.Wait(t, 0, "outcome=done")
	if out, _ := initCommand(t.Context(), t, exitFine, nil, "doctor", "--config", file); !strings.Contains(out, "http://"+addr+"/hooks/main answers; the last event arrived") {
		t.Errorf("%s", out)
	}
	initCommand(t.Context(), t, exitFine, nil, "schema", "pull", "--config", file)
	// The application asks for the inputs of a second rule set.
	out, _ = initCommand(t.Context(), t, exitFine, nil, "catalogue", "add", "--config", file, "--portal", "main", "--yes", "deal-title")
	if _, err := os.Stat(filepath.Join(dir, "rules", "deal-title.yaml")); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestInitApplicationAsks: with a webhook for the questions, init finds everything out, and
// stores only the application.
func TestInitApplicationAsks(t *testing.T) {
	t.Parallel()
	c := newCustomer(t)
	address := strings.TrimSuffix(c.webhook, c.portal.WebhookPath())
	dir := filepath.Join(t.TempDir(), "project")
	flags := []string{
		"init", "--yes", "--app", address, "--client-id", "local.1.2", "--client-secret", "s3cr3t-of-app", "--public-url", "https://b24.example.com",
		"--webhook", c.webhook, "--rules", "deal-shipments", "--input", "list=loading", "--input", "product_property=goods",
	}
	initCommand(t.Context(), t, exitFine, nil, append(flags, dir)...)
	text := testkit.ReadFile(t, filepath.Join(dir, "b24rules.yaml"))
	if !strings.Contains(text, "product_property: \"PROPERTY_302\" # Goods") || strings.Contains(text, "webhook_file") {
		t.Errorf("%s", text)
	}
	if testkit.ReadFile(t, filepath.Join(dir, "rules", "main.portal.json")) == "" {
		t.Error("no snapshot")
	}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.Contains(testkit.ReadFile(t, path), c.webhook) {
			t.Errorf("%s has the webhook", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}

	// What is wrong is one sentence, and nothing is written.
	without := func(name string) []string {
		var out []string
		for i := 0; i < len(flags); i++ {
			if flags[i] == name {
				i++
				continue
			}
			out = append(out, flags[i])
		}
		return out
	}
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{without("--client-id"), exitFailure, "client_id of the application: name it with --client-id ID"},
		{without("--client-secret"), exitFailure, "name it with --client-secret SECRET"},
		{without("--public-url"), exitFailure, "name it with --public-url URL"},
		{without("--app"), exitUsage, "--client-id, --client-secret and --public-url need --app"},
		{append(without("--app"), "--app", "http://127.0.0.1:1"), exitFailure, "connection refused (check the address"},
		{append(without("--app"), "--app", "acme"), exitFailure, "the address is no URL (write it as https://acme.bitrix24.com)"},
		{append(without("--public-url"), "--public-url", "b24"), exitUsage, `public_url "b24" is not an address`},
		{append(without("--input"), "--portal", "a b", "--input", "list=63", "--input", "product_property=goods"), exitUsage, "nothing was written: "},
		{append(without("--input"), "--rules", "deal-title", "--listen", "nowhere"), exitUsage, "nothing was written: "},
	} {
		empty := filepath.Join(t.TempDir(), "x")
		out, talk := initCommand(t.Context(), t, tt.code, nil, append(tt.args, empty)...)
		if !strings.Contains(out+talk, tt.want) {
			t.Errorf("%v: %s%s, want %s", tt.args, out, talk, tt.want)
		}
		wantEmpty(t, filepath.Dir(empty))
	}
}
