package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAlerts(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte("123:abc\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := func(name string) (string, bool) { return "key-of-" + name, name == "HOOK" }
	parse := func(to string) (*Config, string) {
		c, list := Parse(filepath.Join(dir, "b24rules.yaml"), []byte("rules: [r]\nportals: {m: {webhook: 'https://x.bitrix24.com/rest/1/abcdef/', application_token: x}}\nalerts:\n  to:\n"+to), env)
		var lines []string
		for _, f := range list {
			lines = append(lines, strings.ReplaceAll(f.String(), dir, ""))
		}
		return c, strings.Join(lines, "\n")
	}
	c, found := parse("    duty: {telegram: {chat: -100123, token_file: token}}\n    hook: {webhook: 'https://ops.example/in', secret: '${HOOK}'}\n")
	if found != "" || len(c.Alerts) != 2 {
		t.Fatalf("%d receivers, %s", len(c.Alerts), found)
	}
	duty, hook := c.Alerts[0], c.Alerts[1]
	if duty.Name != "duty" || duty.Telegram == nil || duty.Telegram.Chat != "-100123" || duty.Telegram.Token.Reveal() != "123:abc" {
		t.Errorf("duty is %+v", duty)
	}
	if hook.Webhook.Reveal() != "https://ops.example/in" || hook.Secret.Reveal() != "key-of-HOOK" || hook.Telegram != nil {
		t.Errorf("hook is %+v", hook)
	}
	if secrets := strings.Join(c.Secrets(), " "); !strings.Contains(secrets, "123:abc") || !strings.Contains(secrets, "key-of-HOOK") || !strings.Contains(secrets, "ops.example/in") {
		t.Errorf("secrets are %s", secrets)
	}
	for to, want := range map[string]string{
		"    a: {}\n":                                             "receiver a needs webhook or telegram",
		"    a: {webhook: 'ops.example'}\n":                       "not an http(s) address",
		"    a: {webhook: 'http://ops.example/x'}\n":              "called over http",
		"    a: {webhook: 'https://a/x', secret: ''}\n":           "the secret of receiver a is empty",
		"    a: {webhook: 'https://a/x', telegram: {}}\n":         "both a webhook and telegram",
		"    a: {telegram: {token: '1:x'}}\n":                     "receiver a needs chat",
		"    a: {telegram: {chat: 5}}\n":                          "receiver a needs token or token_file",
		"    a: {telegram: {chat: 5, token: 'x'}}\n":              "is not one of a bot",
		"    a: {telegram: 5}\n":                                  "want a mapping such as telegram",
		"    a: {telegram: {chat: 5, token: '1:x', api: 'x'}}\n":  "api is not an http(s) address",
		"    a: {telegram: {chat: 5, token: '1:x'}, secret: y}\n": "Telegram takes no signature",
		"    a: {webhook: 'https://a/x', webhook_file: token}\n":  "both webhook and webhook_file",
		"    a: {webhook: 'https://a/x', secret: '${MISSING}'}\n": "MISSING",
		"    a: {webook: 'https://a/x'}\n":                        `did you mean "webhook"?`,
	} {
		if _, found := parse(to); !strings.Contains(found, want) {
			t.Errorf("%s\nfindings %s\nwant %s", to, found, want)
		}
	}
}
