package config_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/internal/app/config"
)

// TestReadableSecrets holds that a file with a secret that every user can read is a
// warning, and that a file without one is none.
func TestReadableSecrets(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such permissions")
	}
	t.Setenv("B24_TOKEN", "t0k3n")
	t.Setenv("B24_HOOK", "https://example.bitrix24.com/rest/1/code/")
	const webhook = "https://example.bitrix24.com/rest/1/code/"
	for _, tt := range []struct {
		name, portal, database string
		mode, fileMode         os.FileMode
		want                   string // the file that is warned of
	}{
		{"a literal webhook", "webhook: " + webhook + ", application_token: \"${B24_TOKEN}\"", "", 0o644, 0, "b24rules.yaml"},
		{"a literal token", "webhook: \"${B24_HOOK}\", application_token: t0k3n", "", 0o644, 0, "b24rules.yaml"},
		{"a literal password", "webhook: \"${B24_HOOK}\", application_token: \"${B24_TOKEN}\"", "postgres://u:secret@db/b24", 0o644, 0, "b24rules.yaml"},
		{"literals, for the group", "webhook: " + webhook + ", application_token: t0k3n", "", 0o640, 0, ""},
		{"variables", "webhook: \"${B24_HOOK}\", application_token: \"${B24_TOKEN}\"", "postgres://u:${B24_TOKEN}@db/b24", 0o644, 0, ""},
		{"a file", "webhook_file: hook, application_token: \"${B24_TOKEN}\"", "", 0o644, 0o644, "hook"},
		{"a closed file", "webhook_file: hook, application_token: \"${B24_TOKEN}\"", "", 0o644, 0o600, ""},
	} {
		dir := t.TempDir()
		text := "rules: [rules]\nportals:\n  main: {" + tt.portal + "}\n"
		if tt.database != "" {
			text += "database: \"" + tt.database + "\"\n"
		}
		path := filepath.Join(dir, "b24rules.yaml")
		for name, f := range map[string]struct {
			text string
			mode os.FileMode
		}{path: {text, tt.mode}, filepath.Join(dir, "hook"): {webhook, max(tt.fileMode, 0o600)}} {
			if err := os.WriteFile(name, []byte(f.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(name, f.mode); err != nil { // without the umask
				t.Fatal(err)
			}
		}
		_, list, err := config.Read(path)
		if err != nil || list.HasErrors() {
			t.Fatalf("%s: %v, %v", tt.name, list, err)
		}
		var warned []string
		for _, f := range list {
			if f.Code == "readable-secret" {
				warned = append(warned, f.Text())
			}
			if strings.Contains(f.String(), "t0k3n") || strings.Contains(f.String(), "/code") {
				t.Errorf("%s: the finding repeats a secret: %s", tt.name, f)
			}
		}
		switch {
		case tt.want == "" && len(warned) > 0, tt.want != "" && (len(warned) != 1 || !strings.HasPrefix(warned[0], tt.want+" ")):
			t.Errorf("%s: warnings %q, want one of %q", tt.name, warned, tt.want)
		}
	}
}
