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
		"    a: {}\n":                                             "receiver a needs webhook, telegram or email",
		"    a: {webhook: 'ops.example'}\n":                       "not an http(s) address",
		"    a: {webhook: 'http://ops.example/x'}\n":              "called over http",
		"    a: {webhook: 'https://a/x', secret: ''}\n":           "the secret of receiver a is empty",
		"    a: {webhook: 'https://a/x', telegram: {}}\n":         "more than one of webhook, telegram and email",
		"    a: {telegram: {token: '1:x'}}\n":                     "receiver a needs chat",
		"    a: {telegram: {chat: 5}}\n":                          "receiver a needs token or token_file",
		"    a: {telegram: {chat: 5, token: 'x'}}\n":              "is not one of a bot",
		"    a: {telegram: 5}\n":                                  "want a mapping such as telegram",
		"    a: {telegram: {chat: 5, token: '1:x', api: 'x'}}\n":  "api is not an http(s) address",
		"    a: {telegram: {chat: 5, token: '1:x'}, secret: y}\n": "only a webhook takes a signature",
		"    a: {webhook: 'https://a/x', webhook_file: token}\n":  "both webhook and webhook_file",
		"    a: {webhook: 'https://a/x', secret: '${MISSING}'}\n": "MISSING",
		"    a: {webook: 'https://a/x'}\n":                        `did you mean "webhook"?`,

		"    a: {email: 5}\n":                                                           "want a mapping such as email",
		"    a: {email: {}}\n":                                                          "receiver a needs to",
		"    a: {email: {to: x, from: a@b}}\n":                                          `"x" is no address of e-mail`,
		"    a: {email: {to: [a@b]}}\n":                                                 "receiver a needs from",
		"    a: {email: {to: [a@b], from: a@b}}\n":                                      "receiver a needs server",
		"    a: {email: {to: [a@b], from: a@b, server: 'smtp://u:p@relay'}}\n":          "user and password are keys",
		"    a: {email: {to: [a@b], from: a@b, server: 'smtp://relay', password: x}}\n": "has a password and no user",
		"    a: {email: {to: [a@b], from: a@b, server: 'smtp://relay', user: x}}\n":     "receiver a needs password or password_file",
		"    a: {webhook: 'https://a/x'}\n  send: {now: [b]}\n":                         `"b" is no receiver in to`,
		"    a: {webhook: 'https://a/x'}\n  send: {now: []}\n":                          "receiver a gets nothing",
		"    a: {webhook: 'https://a/x'}\n  daily_at: 9\n":                              `daily_at: "9" is no time of a day`,
		"    a: {webhook: 'https://a/x'}\n  quiet: {from: '22:00'}\n":                   "quiet needs from and to",
		"    a: {webhook: 'https://a/x'}\n  quiet: {from: '22:00', to: '22:00'}\n":      "the quiet hours start and end at 22:00",
		"    a: {webhook: 'https://a/x'}\n  quiet: {from: '25:00', to: '22:00'}\n":      `quiet: from: "25:00" is no time of a day`,
		"    a: {webhook: 'https://a/x'}\n  zone: Moscow\n":                             `time zone "Moscow" is unknown`,
	} {
		if _, found := parse(to); !strings.Contains(found, want) {
			t.Errorf("%s\nfindings %s\nwant %s", to, found, want)
		}
	}
}

// TestAlertTimes: who gets what, and when.
func TestAlertTimes(t *testing.T) {
	const text = `rules: [r]
portals: {m: {webhook: 'https://x.bitrix24.com/rest/1/abcdef/', application_token: x}}
alerts:
  to:
    duty: {webhook: 'https://ops.example/in'}
    mail: {email: {to: [anna@ops.example, "Ivan <ivan@ops.example>"], from: b24rules@ops.example, server: 'smtps://mail.example', user: b24rules, password: '${PASSWORD}'}}
  send: {now: [duty], daily: [mail]}
  daily_at: "08:30"
  quiet: {from: "22:00", to: "07:15"}
  zone: Asia/Yekaterinburg
`
	c, list := Parse("b24rules.yaml", []byte(text), func(string) (string, bool) { return "s3cr3t-word", true })
	if len(list) > 0 {
		t.Fatal(list)
	}
	duty, mail := c.Alerts[0], c.Alerts[1]
	if !duty.Now || duty.Daily || mail.Now || !mail.Daily {
		t.Errorf("who gets what: %+v, %+v", duty, mail)
	}
	if e := mail.Email; e.Server != "mail.example:465" || !e.TLS || strings.Join(e.To, " ") != "anna@ops.example ivan@ops.example" || e.Password.Reveal() != "s3cr3t-word" {
		t.Errorf("e-mail: %+v", e)
	}
	if at := c.AlertTimes; at.Daily != 510 || at.QuietFrom != 22*60 || at.QuietTo != 7*60+15 || at.Zone.String() != "Asia/Yekaterinburg" {
		t.Errorf("times: %+v", at)
	}
	if !strings.Contains(strings.Join(c.Secrets(), " "), "s3cr3t-word") {
		t.Error("the password is not hidden")
	}
}
