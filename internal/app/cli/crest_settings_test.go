package cli

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/testkit"
)

// settingRun is what serve did with a setting: its output, the text of its log files by
// name, and whether the portal received requests.
type settingRun struct {
	stderr string
	files  map[string]string
	asked  bool
}

func (r settingRun) log() string { return r.stderr + r.files["b24rules.log"] }

// runWithSetting starts serve next to an emulated portal, sends it an event, waits until
// done, and stops it. The portal has TLS with a certificate without a trusted signature, or
// windows-1251.
func runWithSetting(t *testing.T, tls, windows1251 bool, portalKeys, log string, done func(r settingRun) bool) settingRun {
	t.Helper()
	portal := emulator.New(emulator.Config{Plan: emulator.PlanUnlimited, Secret: "s3cr3t"})
	plain := httptest.NewServer(portal)
	t.Cleanup(func() { plain.Close(); portal.Close() })
	client, err := bitrix.NewClient(bitrix.Config{Webhook: bitrix.Secret(plain.URL + portal.WebhookPath()), Plan: bitrix.PlanUnlimited})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	add := map[string]any{"fields": map[string]any{"TITLE": "Ёлка № 5"}}
	if err := client.Call(t.Context(), "crm.deal.add", add, nil); err != nil {
		t.Fatal(err)
	}
	portal.Reset()
	address := plain.URL
	switch {
	case tls:
		secure := httptest.NewTLSServer(portal)
		t.Cleanup(secure.Close)
		address = secure.URL
	case windows1251:
		address = startPHP(t, "testdata/windows1251.php", plain.URL)
	}
	dir, addr := t.TempDir(), testkit.FreeAddr(t)
	testkit.WriteFile(t, filepath.Join(dir, "rules", "r.yaml"), testkit.Rule("r", testkit.ReadDeal+"      - log: {message: \"the title is {{ deal.title }}\"}\n"))
	path := testkit.ServeConfig(t, dir, addr, address+portal.WebhookPath(), portalKeys, "rules")
	testkit.WriteFile(t, path, strings.Replace(testkit.ReadFile(t, path), "log: {level: debug}", "log: "+log, 1))
	serve := testkit.StartProcess(t, []string{"TEST_TOKEN=t0k3n"}, "serve", "--config", path)
	serve.Log.Wait(t, 0, "portal demo: events at")
	resp, err := http.PostForm("http://"+addr+"/hooks/demo", url.Values{
		"event": {"ONCRMDEALUPDATE"}, "data[FIELDS][ID]": {"1"}, "auth[application_token]": {"t0k3n"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _ = resp.Body.Close(); resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d", resp.StatusCode)
	}
	now := func() settingRun {
		r := settingRun{stderr: serve.Log.String(), files: map[string]string{}, asked: portal.Stats().Requests > 0}
		files, err := filepath.Glob(filepath.Join(dir, "logs", "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			r.files[filepath.Base(name)] = string(text)
		}
		return r
	}
	for end := time.Now().Add(testkit.Patience); !done(now()); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not done: %+v", now())
		}
	}
	serve.Signal(syscall.SIGTERM)
	if code := serve.Exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	return now()
}

// TestEffectsOfCRestSettings runs serve with the counterpart of each setting of CRest and
// looks at what it does. TestCRestSettings checks their names against the manual, and
// TestApplicationOnline the two settings of an application.
func TestEffectsOfCRestSettings(t *testing.T) {
	t.Parallel()
	const title = "the title is Ёлка № 5"
	ran := func(r settingRun) bool { return strings.Contains(r.log(), "outcome=done") }
	for _, tt := range []struct {
		setting          string
		tls, windows1251 bool
		portal, log      string
		done             func(r settingRun) bool
		seen             func(r settingRun) bool
	}{
		{
			setting: "C_REST_WEB_HOOK_URL", log: "{level: info}", done: ran,
			seen: func(r settingRun) bool { return r.asked && strings.Contains(r.stderr, title) },
		},
		{
			setting: "C_REST_CURRENT_ENCODING", windows1251: true, portal: "    encoding: windows-1251\n", log: "{level: info}", done: ran,
			seen: func(r settingRun) bool { return strings.Contains(r.stderr, title) },
		},
		{
			setting: "C_REST_IGNORE_SSL", tls: true, portal: "    tls: {insecure_skip_verify: true}\n", log: "{level: info}", done: ran,
			seen: func(r settingRun) bool { return strings.Contains(r.stderr, title) },
		},
		{
			setting: "C_REST_IGNORE_SSL, off", tls: true, log: "{level: debug}",
			done: func(r settingRun) bool { return strings.Contains(r.stderr, "certificate") },
			seen: func(r settingRun) bool { return !r.asked },
		},
		{
			setting: "C_REST_LOG_TYPE_DUMP", log: "{level: info, dump: true}", done: ran,
			seen: func(r settingRun) bool {
				return strings.Contains(r.stderr, "msg=event portal=demo form=") && strings.Contains(r.stderr, "Ёлка") && !strings.Contains(r.stderr, "s3cr3t")
			},
		},
		{
			setting: "C_REST_BLOCK_LOG", log: "{off: true, dump: true}",
			done: func(r settingRun) bool { return r.asked },
			seen: func(r settingRun) bool { return !strings.Contains(r.stderr, "level=") && len(r.files) == 0 },
		},
		{
			setting: "C_REST_LOGS_DIR", log: "{level: info, dir: logs, dump: true}", done: ran,
			seen: func(r settingRun) bool {
				return strings.Contains(r.files["b24rules.log"], title) && strings.Contains(r.files["dump.log"], "ONCRMDEALUPDATE") && !strings.Contains(r.stderr, "level=")
			},
		},
	} {
		t.Run(tt.setting, func(t *testing.T) {
			if r := runWithSetting(t, tt.tls, tt.windows1251, tt.portal, tt.log, tt.done); !tt.seen(r) {
				t.Errorf("serve did not do what the setting says:\n%s\n%v", r.stderr, r.files)
			}
		})
	}
}
