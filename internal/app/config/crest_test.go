package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/bitrix"
)

// TestCRestSettings checks that each setting of CRest has the key that docs/from-crest.md
// names, with the same effect.
func TestCRestSettings(t *testing.T) {
	manual, err := os.ReadFile("../../../docs/from-crest.md")
	if err != nil {
		t.Fatal(err)
	}
	const webhook, application = `webhook: "https://acme.bitrix24.com/rest/1/c0de/", application_token: t0k3n`,
		`oauth: {portal: "https://acme.bitrix24.com", client_id: local.1, client_secret: s3cr3t}`
	for _, tt := range []struct {
		setting, portal, log string
		seen                 func(Config) bool
	}{
		{"C_REST_WEB_HOOK_URL", webhook, "", func(c Config) bool {
			return c.Portals[0].Webhook.Reveal() == "https://acme.bitrix24.com/rest/1/c0de/"
		}},
		{"C_REST_CLIENT_ID", application, "", func(c Config) bool { return c.Portals[0].OAuth.ClientID == "local.1" }},
		{"C_REST_CLIENT_SECRET", application, "", func(c Config) bool { return c.Portals[0].OAuth.ClientSecret.Reveal() == "s3cr3t" }},
		{"C_REST_CURRENT_ENCODING", webhook + ", encoding: windows-1251", "", func(c Config) bool { return c.Portals[0].Encoding == bitrix.Windows1251 }},
		{"C_REST_IGNORE_SSL", webhook + ", tls: {insecure_skip_verify: true}", "", func(c Config) bool { return c.Portals[0].Insecure }},
		{"C_REST_LOG_TYPE_DUMP", webhook, "{dump: true}", func(c Config) bool { return c.Log.Dump }},
		{"C_REST_BLOCK_LOG", webhook, "{off: true}", func(c Config) bool { return c.Log.Off }},
		{"C_REST_LOGS_DIR", webhook, "{dir: logs}", func(c Config) bool { return filepath.Base(c.Log.Dir) == "logs" }},
	} {
		text := "rules: [.]\nportals: {main: {" + tt.portal + "}}\n"
		if tt.log != "" {
			text += "log: " + tt.log + "\n"
		}
		path := filepath.Join(t.TempDir(), "b24rules.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, list, err := Read(path)
		if err != nil || list.HasErrors() || !tt.seen(*c) {
			t.Errorf("%s: %v, %v", tt.setting, err, list)
		}
		if !strings.Contains(string(manual), "`"+tt.setting+"`") {
			t.Errorf("docs/from-crest.md does not describe %s", tt.setting)
		}
	}
}
