//go:build unix

package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/testkit"
)

// TestHTTPS: serve obtains a certificate, a portal that trusts its authority sends events, and
// the next start uses the same certificate, from the database or from a folder.
func TestHTTPS(t *testing.T) {
	t.Parallel()
	for _, kept := range []string{"database", "folder"} {
		t.Run(kept, func(t *testing.T) {
			t.Parallel()
			const host = "b24.example.com"
			authority := testkit.NewAuthority(t)
			addr := testkit.FreeAddr(t)
			authority.Lead(host, addr)
			portal := emulator.New(emulator.Config{Plan: emulator.PlanUnlimited, Client: authority.Client()})
			t.Cleanup(portal.Close)
			server := httptest.NewServer(portal)
			t.Cleanup(server.Close)
			portal.SetBaseURL(server.URL)
			token := portal.AddWebhook("https://"+host+"/hooks/main", "ONCRMDEALADD")
			dir := t.TempDir()
			folder := ""
			if kept == "folder" {
				folder = ", folder: certificates"
			}
			testkit.WriteFile(t, filepath.Join(dir, "rules.yaml"), "version: 1\nrules:\n  seen:\n    on: ONCRMDEALADD\n    steps: [{log: {message: 'deal {{ event.id }}'}}]\n")
			config := filepath.Join(dir, "b24rules.yaml")
			testkit.WriteFile(t, config, fmt.Sprintf(`listen: {https: B24.example.com, address: %q, directory: %s%s}
rules: [rules.yaml]
portals:
  main: {webhook: %s, application_token: %s, plan: unlimited}
`, addr, authority.Directory, folder, server.URL+portal.WebhookPath(), token))
			addDeal := func() {
				t.Helper()
				answer, err := http.Get(server.URL + portal.WebhookPath() + "crm.deal.add?fields[TITLE]=Roof")
				if err != nil {
					t.Fatal(err)
				}
				_ = answer.Body.Close()
			}
			for start := range 2 {
				serve := testkit.StartProcess(t, nil, "serve", "--config", config)
				serve.Log.Wait(t, 0, "portal main: events at https://"+host+"/hooks/main")
				serve.Log.Wait(t, 0, "certificate", "host="+host, "until="+time.Now().UTC().Add(90*24*time.Hour).Format("2006"))
				addDeal()
				serve.Log.Wait(t, 0, fmt.Sprintf("deal %d", start+1))
				if n := authority.Issued(); n != 1 {
					t.Errorf("%d certificates after start %d", n, start+1)
				}
				answer, err := authority.Client().Get("https://" + host + "/healthz")
				if err != nil {
					t.Fatal(err)
				}
				body, _ := io.ReadAll(answer.Body)
				_ = answer.Body.Close()
				if answer.Proto != "HTTP/1.1" || !strings.Contains(string(body), "ready") {
					t.Errorf("%s %s", answer.Proto, body)
				}
				serve.Signal(syscall.SIGTERM)
				if code := serve.Exit(); code != exitFine {
					t.Errorf("exit code %d", code)
				}
			}
			if entries, err := os.ReadDir(filepath.Join(dir, "certificates")); kept == "folder" && (err != nil || len(entries) < 2) || kept == "database" && err == nil {
				t.Errorf("%v %v", entries, err)
			}
		})
	}
}

// TestHTTPSFails: an authority that refuses, and a name that leads elsewhere, are log lines with
// what to do. Serve continues, and other names have no certificate.
func TestHTTPSFails(t *testing.T) {
	t.Parallel()
	authority := testkit.NewAuthority(t)
	dir := t.TempDir()
	testkit.WriteFile(t, filepath.Join(dir, "rules.yaml"), "version: 1\nrules:\n  seen:\n    on: ONCRMDEALADD\n    steps: [{log: {message: added}}]\n")
	for reason, want := range map[string]string{"this name is on a list": "this name is on a list", "": "the authority does not reach this program at b24.example.com:443"} {
		authority.Refuse(reason)
		addr := testkit.FreeAddr(t)
		config := filepath.Join(dir, "b24rules.yaml")
		testkit.WriteFile(t, config, fmt.Sprintf(`listen: {https: b24.example.com, address: %q, directory: %s}
database: "sqlite:%s.db"
rules: [rules.yaml]
portals:
  main: {webhook: http://127.0.0.1:1/rest/1/abcdefgh/, application_token: t0k3n}
`, addr, authority.Directory, strings.ReplaceAll(addr, ":", "-")))
		serve := testkit.StartProcess(t, nil, "serve", "--config", config)
		serve.Log.Wait(t, 0, "cannot obtain a certificate", want, "port 443 of it to the address of listen")
		authority.Lead("other.example.com", addr)
		if _, err := authority.Client().Get("https://other.example.com/healthz"); err == nil {
			t.Error("another name has a certificate")
		}
		serve.Signal(syscall.SIGTERM)
		if code := serve.Exit(); code != exitFine {
			t.Errorf("exit code %d", code)
		}
	}
}
