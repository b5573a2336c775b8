package config

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/redact"
)

const hook = "https://example.bitrix24.com/rest/1/s3cr3t/"

// hookOf is the webhook of another portal.
func hookOf(name string) string { return strings.Replace(hook, "example", name, 1) }

// minimal is a configuration with the given lines inside its only portal.
func minimal(lines ...string) string {
	text := "rules: [rules]\nportals:\n  main:\n"
	for _, l := range lines {
		text += "    " + l + "\n"
	}
	return text
}

func parse(t *testing.T, text string) (*Config, diag.List) {
	t.Helper()
	env := map[string]string{"TOKEN": "t0k3n", "EMPTY": "", "HOOK": hook, "OTHER_HOOK": hookOf("other")}
	return Parse("etc/b24rules.yaml", []byte(text), func(name string) (string, bool) { v, ok := env[name]; return v, ok })
}

func TestConfig(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "hook"), []byte(hook+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, list := parse(t, fmt.Sprintf(`
listen: 0.0.0.0:80
database: sqlite:data/queue.db
rules: [rules, /srv/more.yaml]
portals:
  main:
    webhook_file: %s/hook
    application_token: ${TOKEN}
    plan: enterprise
    shared: true
    inputs:
      deal-shipments: {list: 047, deal_property: DEAL}
    tls: {insecure_skip_verify: true}
    time_zone: Europe/Moscow
    language: ru
    calendar: {holidays: 2026-05-11, workdays: [2026-05-09]}
    events: online
    encoding: UTF-8
  other: {webhook: '${OTHER_HOOK}', application_token: 'x-${TOKEN}'}
log: {level: warn, format: json, dir: logs, dump: true, max_size: 5, max_age: 36h}
limits: {runs: 7, attempts: 3, retry_first: 1s, retry_max: 1m, max_body: 4096, grace: 2s}
history: {succeeded: 7d, discarded: 36h, parked: forever}
console: false
`, dir))
	if len(list) != 1 || list[0].Code != "unchecked-certificate" {
		t.Fatalf("findings: %v", list)
	}
	if c.Listen != "0.0.0.0:80" || c.Database != "sqlite:etc/data/queue.db" {
		t.Errorf("listen %s, database %s", c.Listen, c.Database)
	}
	if diff := cmp.Diff([]string{"etc/rules", "/srv/more.yaml"}, c.Rules); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Log{Level: slog.LevelWarn, JSON: true, Dir: "etc/logs", Dump: true, MaxSize: 5, MaxAge: 36 * time.Hour, MaxFiles: 20}, c.Log); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	limits := Limits{Runs: 7, Attempts: 3, RetryFirst: time.Second, RetryMax: time.Minute, MaxBody: 4096, Grace: 2 * time.Second}
	if diff := cmp.Diff(limits, c.Limits); diff != "" {
		t.Errorf("limits (-want +got):\n%s", diff)
	}
	const day = retention(24 * time.Hour)
	if want := (History{Succeeded: 7 * day, Discarded: day * 3 / 2, Parked: -1}); c.History != want {
		t.Errorf("history %+v, want %+v", c.History, want)
	}
	if len(c.Portals) != 2 || c.Portals[0].Name != "main" || c.Portals[1].Name != "other" {
		t.Fatalf("portals %v", c.Portals)
	}
	p, other := c.Portals[0], c.Portals[1]
	if p.Webhook.Reveal() != hook || p.Token.Reveal() != "t0k3n" || p.Plan != bitrix.PlanEnterprise || !p.Shared || !p.Insecure || p.Zone.String() != "Europe/Moscow" {
		t.Errorf("portal main: %s %s %s %v %v", p.Webhook.Reveal(), p.Token.Reveal(), p.Plan, p.Insecure, p.Zone)
	}
	if other.Webhook.Reveal() != hookOf("other") || other.Token.Reveal() != "x-t0k3n" || other.Plan != bitrix.PlanStandard || other.Shared || other.Insecure || other.Zone != nil {
		t.Errorf("portal other: %s %s %s %v %v", other.Webhook.Reveal(), other.Token.Reveal(), other.Plan, other.Insecure, other.Zone)
	}
	if diff := cmp.Diff(map[string]bool{"2026-05-09": true, "2026-05-11": false}, p.Dates); diff != "" || p.Language != "ru" || other.Dates != nil || other.Language != "" {
		t.Errorf("language %q, %q, other dates %v, dates (-want +got):\n%s", p.Language, other.Language, other.Dates, diff)
	}
	set, ok := p.Inputs.Set("deal-shipments")
	if diff := cmp.Diff(map[string]string{"list": "047", "deal_property": "DEAL"}, set.Values()); diff != "" || !ok {
		t.Errorf("inputs (-want +got):\n%s", diff)
	}
}

func TestConfigDefaults(t *testing.T) {
	c, list := parse(t, minimal("webhook: "+hook, "application_token: x"))
	if len(list) > 0 {
		t.Fatalf("findings: %v", list)
	}
	if c.CatchUp != DefaultCatchUp {
		t.Errorf("catch_up %+v, want %+v", c.CatchUp, DefaultCatchUp)
	}
	if c.Listen != "127.0.0.1:8400" || c.Database != "sqlite:etc/b24rules.db" || c.Log.Level != slog.LevelInfo || c.Log.Off {
		t.Errorf("%+v", c)
	}
}

func TestConfigFindings(t *testing.T) {
	const token, web = "application_token: x", "webhook: " + hook
	app := func(oauth string, more ...string) string {
		return minimal(append([]string{"oauth: {" + oauth + "}"}, more...)...)
	}
	tests := []struct {
		name string
		text string
		want string // line:column code: message (hint)
	}{
		{"empty file", "", "1:1 empty-file: the configuration is empty (it needs rules and portals)"},
		{"syntax", "rules: [\n", "1:8 yaml-syntax"},
		{"unknown key", minimal(web, token, "webook: x"), `6:5 unknown-key: unknown key "webook"`},
		{"unknown key, hint", "listn: 1\n" + minimal(web, token), `did you mean "listen"?`},
		{"listen", "listen: 8400\n" + minimal(web, token), `1:9 invalid-value: listen "8400" is not an address (write HOST:PORT, such as 127.0.0.1:8400, or https: listen: {https: b24.example.com})`},
		{"port", "listen: localhost:99999\n" + minimal(web, token), `1:9 invalid-value: listen "localhost:99999" is not an address`},
		{"postgres without a name", "database: postgres://u:s3cr3t@h\n" + minimal(web, token), "1:11 invalid-value: database: the URL names no database, want postgres://USER:PASSWORD@HOST:PORT/NAME"},
		{"postgres that is no URL", "database: postgres://u:s3/cr3t@h/x\n" + minimal(web, token), "1:11 invalid-value: database: not the URL of a PostgreSQL database"},
		{"postgres from the environment", "database: postgres://u:${NONE}@h/d\n" + minimal(web, token), "1:11 missing-variable: the environment has no variable NONE"},
		{"two databases", "database: sqlite:a\ndatabase_file: b\n" + minimal(web, token), "2:16 duplicate-key: both database and database_file (remove one of them)"},
		{"no password file", "database: postgres://u@h/d\ndatabase_password_file: /no/file\n" + minimal(web, token), "2:25 unreadable-file: database_password_file /no/file: no such file or directory"},
		{"too few connections", "database: postgres://u@h/d?pool_max_conns=2\n" + minimal(web, token), "1:11 invalid-value: database: pool_max_conns=2 is too small for one process, must be at least 4"},
		{"no number of connections", "database: postgres://u@h/d?pool_max_conns=many\n" + minimal(web, token), "1:11 invalid-value: database: pool_max_conns=many is not a number, must be at least 4"},
		{"a password for SQLite", "database_password_file: b24rules.yaml\n" + minimal(web, token), "1:25 invalid-value: an SQLite database has no password (remove database_password_file)"},
		{"a password of nobody", "database: postgres://h/d\ndatabase_password_file: b24rules.yaml\n" + minimal(web, token), "2:25"},
		{"database", "database: mysql://u:s3cr3t@h/d\n" + minimal(web, token), "1:11 invalid-value: database: want sqlite:PATH such as sqlite:/var/lib/b24rules/queue.db, or postgres://USER:PASSWORD@HOST/NAME (database: sqlite:b24rules.db)"},
		{"database without a path", "database: 'sqlite:'\n" + minimal(web, token), "1:11 invalid-value: database: sqlite needs the path of a file, want sqlite:PATH"},
		{"no rules", "portals: {main: {webhook: '" + hook + "', application_token: x}}\n", "1:1 missing-key: the configuration needs rules"},
		{"empty rules", "rules: []\n" + strings.TrimPrefix(minimal(web, token), "rules: [rules]\n"), "1:8 missing-key: rules names no file and no folder"},
		{"rules of a wrong type", "rules: [{a: b}]\n" + strings.TrimPrefix(minimal(web, token), "rules: [rules]\n"), "1:9 wrong-type: want text, got a mapping"},
		{"no portals", "rules: [rules]\n", "1:1 missing-key: the configuration needs at least one portal"},
		{"empty portals", "rules: [rules]\nportals: {}\n", "2:10 missing-key: the configuration needs at least one portal"},
		{"portal name", strings.Replace(minimal(web, token), "main:", "a/b:", 1), `3:3 invalid-value: portal name "a/b" cannot be part of a URL`},
		{"no webhook", minimal(token), "3:3 missing-key: portal main needs webhook or webhook_file"},
		{"no token", minimal(web), "3:3 missing-key: portal main needs application_token or application_token_file"},
		{"empty token", minimal(web, "application_token: ''"), "5:24 invalid-value: the application token is empty, so every event would be refused"},
		{"empty token by environment", minimal(web, "application_token: ${EMPTY}"), "5:24 invalid-value: the application token is empty"},
		{"missing variable", minimal(web, "application_token: ${NO_SUCH}"), "5:24 missing-variable: the environment has no variable NO_SUCH"},
		{"null token", minimal(web, "application_token:"), "wrong-type: want text, got nothing"},
		{"both forms", minimal(web, token, "webhook_file: hook"), "6:19 duplicate-key: portal main has both webhook and webhook_file (remove one of them)"},
		{"missing file", minimal("webhook_file: nope", token), "4:19 unreadable-file: webhook_file nope: no such file or directory"},
		{"webhook is no URL", minimal("webhook: s3cr3t", token), "4:14 invalid-value: portal main: the webhook is no http(s) URL"},
		{"webhook of another kind", minimal("webhook: https://x.bitrix24.com/s3cr3t/", token), "4:14 invalid-value: portal main: the webhook URL does not end in /rest/USER/CODE/"},
		{"plan", minimal(web, token, "plan: enterprize"), `6:11 invalid-value: plan "enterprize" is unknown (did you mean enterprise?)`},
		{"oauth without a portal", app("client_id: a, client_secret: s3cr3t"), "4:12 missing-key: oauth.portal is missing (write the address of the portal such as https://acme.bitrix24.com)"},
		{"oauth with another address", app("portal: https://a.bitrix24.com/rest/, client_id: a, client_secret: s3cr3t"), `4:21 invalid-value: oauth.portal "https://a.bitrix24.com/rest/" is not an address`},
		{"oauth without an id", app("portal: https://a.bitrix24.com, client_secret: s3cr3t"), "4:12 missing-key: portal main needs client_id"},
		{"oauth without a secret", app("portal: https://a.bitrix24.com, client_id: a"), "4:12 missing-key: portal main needs client_secret or client_secret_file"},
		{"oauth with an empty secret", app("portal: https://a.bitrix24.com, client_id: a, client_secret: '${EMPTY}'"), "invalid-value: client_secret is empty"},
		{"oauth, unknown key", app("portal: https://a.bitrix24.com, client_id: a, client_secrt: s3cr3t, client_secret: s3cr3t"), `unknown-key: unknown key "client_secrt"`},
		{"oauth is text", minimal("oauth: s3cr3t"), "4:12 wrong-type: want a mapping such as oauth: {portal:"},
		{"oauth and a webhook", app("portal: https://a.bitrix24.com, client_id: a, client_secret: s3cr3t", web), "4:12 duplicate-key: portal main has both a webhook and oauth (remove one of them)"},
		{"oauth and a token", app("portal: https://a.bitrix24.com, client_id: a, client_secret: s3cr3t", token), "5:24 invalid-value: with oauth, the portal sends the application token with the installation (remove it)"},
		{"token server", app("portal: https://a.bitrix24.com, client_id: a, client_secret: s3cr3t, token_url: here"), "invalid-value: token_url is not an http(s) address"},
		{"offline", minimal(web, token, "events: offline"), "6:13 invalid-value: only applications have offline events, portal main has a webhook (add oauth, or write events: online)"},
		{"catch-up", "catch_up: sometimes\n" + minimal(web, token), "1:11 wrong-type: want off, on or limits such as catch_up: {longest: 7d"},
		{"catch-up, unknown key", "catch_up: {longst: 7d}\n" + minimal(web, token), `1:12 unknown-key: unknown key "longst"`},
		{"catch-up, longest", "catch_up: {longest: 7}\n" + minimal(web, token), `1:21 invalid-value: "7" is not a retention time`},
		{"catch-up, entities", "catch_up: {entities: -1}\n" + minimal(web, token), "1:22 invalid-value"},
		{"catch-up, margin", "catch_up: {longest: 1m, margin: 1h}\n" + minimal(web, token), "1:11 invalid-value: catch_up: margin 1h0m0s is longer than longest 1m0s"},
		{"public url", "public_url: example.com\n" + minimal(web, token), `1:13 invalid-value: public_url "example.com" is not an address (write an address such as https://b24rules.example.com)`},
		{"events", minimal(web, token, "events: sometimes"), `6:13 invalid-value: events "sometimes" is unknown (write online or offline)`},
		{"mode", minimal(web, token, "mode: shadows"), `6:11 invalid-value: mode "shadows" is unknown (did you mean shadow?)`},
		{"shadow delay", minimal(web, token, "shadow_delay: 1ms"), `6:19 `},
		{"encoding", minimal(web, token, "encoding: windows-1252"), `6:15 invalid-value: encoding "windows-1252" is unknown (did you mean windows-1251?)`},
		{"language", minimal(web, token, "language: fr"), `6:15 invalid-value: language "fr" is unknown`},
		{"a holiday", minimal(web, token, "calendar: {holidays: [09.05]}"), `6:27 invalid-value: "09.05" is not a day`},
		{"a day twice", minimal(web, token, "calendar: {holidays: [2026-05-09], workdays: [2026-05-09]}"), `6:51 invalid-value: the day 2026-05-09 is in the calendar twice`},
		{"time zone", minimal(web, token, "time_zone: Mars/Olympus"), `6:16 invalid-value: time zone "Mars/Olympus" is unknown`},
		{"tls", minimal(web, token, "tls: {insecure: true}"), `6:11 unknown-key: unknown key "insecure"`},
		{"input of a wrong type", minimal(web, token, "inputs: {a: {b: [1]}}"), "6:21 wrong-type: want text, got a list"},
		{"duplicate input", minimal(web, token, "inputs: {a: {b: 1, b: 2}}"), `6:24 duplicate-key`},
		{"level", minimal(web, token) + "log: {level: warning}\n", `6:14 invalid-value: level "warning" is unknown (write debug, info, warn or error)`},
		{"format", minimal(web, token) + "log: {format: xml}\n", `6:15 invalid-value: format "xml" is unknown (write text or json)`},
		{"dump", minimal(web, token) + "log: {dump: maybe}\n", "6:13 wrong-type: expected true or false"},
		{"log size", minimal(web, token) + "log: {max_size: 0}\n", "6:17 invalid-value: "},
		{"log age", minimal(web, token) + "log: {max_age: old}\n", `6:16 invalid-value: "old" is not a retention time`},
		{"console", minimal(web, token) + "console: 127.0.0.1:9000\n", "6:10 wrong-type: want a mapping such as console: {listen: 127.0.0.1:8402}"},
		{"a console without listen", minimal(web, token) + "console: {url: https://ops.example}\n", "6:10 missing-key: console needs listen (listen: 127.0.0.1:8402)"},
		{"an open console", minimal(web, token) + "console: {listen: 0.0.0.0:8402}\n", "6:19 open-console: everybody who reaches 0.0.0.0:8402 could replay and discard runs, because the console has no users (add users or proxy, or listen on 127.0.0.1)"},
		{"a user without role", minimal(web, token) + "console: {listen: 127.0.0.1:8402, users: {anna: {}}}\n", "6:43 missing-key: user anna needs role (role: viewer, or role: operator)"},
		{"a user without password", minimal(web, token) + "console: {listen: 127.0.0.1:8402, users: {anna: {role: viewer}}}\n", "6:43 missing-key: user anna needs password_file (b24rules console passwd prints its content)"},
		{"an unknown role", minimal(web, token) + "console: {listen: 127.0.0.1:8402, users: {anna: {role: viewr}}}\n", `6:56 invalid-value: role "viewr" is unknown (did you mean viewer?)`},
		{"a proxy of everybody", minimal(web, token) + "console: {listen: 127.0.0.1:8402, proxy: {roles: {ops: operator}}}\n", "6:42 missing-key: proxy needs from, or everybody could write its headers (from: [10.0.0.2])"},
		{"a proxy for nobody", minimal(web, token) + "console: {listen: 127.0.0.1:8402, proxy: {from: [10.0.0.2]}}\n", "6:42 missing-key: proxy needs roles, or no person may enter (roles: {ops: operator})"},
		{"a wrong address of the console", minimal(web, token) + "console: {listen: 127.0.0.1:8402, url: ops.example}\n", `6:40 invalid-value: console: url "ops.example" is not the address of a server (write https://HOST)`},
		{"limits", minimal(web, token) + "limits: {runs: -1}\n", "6:16 invalid-value"},
		{"history", minimal(web, token) + "history: {succeeded: 30}\n", `6:22 invalid-value: "30" is not a retention time (write days or hours, such as 30d or 12h, or forever)`},
		{"no history", minimal(web, token) + "history: {parked: 0d}\n", `6:19 invalid-value: "0d" is not a retention time`},
		{"history of what", minimal(web, token) + "history: {suceeded: 30d}\n", "6:11 unknown-key"},
		{"duration", minimal(web, token) + "limits: {grace: 5}\n", "6:17 wrong-type"},
		{"retries", minimal(web, token) + "limits: {retry_first: 2h, retry_max: 1h}\n", "6:23 invalid-value: limits: retry_first 2h0m0s is longer than retry_max 1h0m0s"},
		{"retries in no time", minimal(web, token) + "limits: {retry_first: 0s}\n", "6:23 invalid-value: must be at least 1ms"},
		{"no grace", minimal(web, token) + "limits: {grace: 0s}\n", "6:17 invalid-value: must be at least 1ms"},
		{"no runs", minimal(web, token) + "limits: {runs: 0}\n", "6:16 invalid-value: must be at least 1"},
		{"nothing kept of a run", minimal(web, token) + "history: {record: 0}\n", "6:19 invalid-value: must be at least 1024"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, list := parse(t, tt.text)
			var got []string
			for _, f := range list {
				line := fmt.Sprintf("%d:%d %s: %s", f.Line, f.Column, f.Code, f.Text())
				if f.Hint != "" {
					line += " (" + f.HintText() + ")"
				}
				got = append(got, line)
			}
			text := strings.Join(got, "\n")
			if !strings.Contains(text, tt.want) || len(got) != 1 {
				t.Errorf("got:\n%s\nwant one finding with:\n%s", text, tt.want)
			}
			if strings.Contains(text, "s3cr3t") {
				t.Errorf("a finding repeats a secret:\n%s", text)
			}
		})
	}
}

func TestConfigReportsAll(t *testing.T) {
	_, list := parse(t, "listen: x\n"+minimal("webhook: x", "application_token: ''", "plan: gold"))
	if len(list) != 4 {
		t.Errorf("%d findings, want 4: %v", len(list), list)
	}
}

// TestConfigOfPostgres: a password may hold anything and stand anywhere.
func TestConfigOfPostgres(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"password": "p@:/?#%\n", "url": "postgres://u:p%40@h/d\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := map[string]string{"PASSWORD": "p@:/?#%", "DATABASE_URL": "postgres://u:p%40@h/d", "HOST": "h:5433"}
	for text, want := range map[string]string{
		"database: postgres://u:${PASSWORD}@${HOST}/d?sslmode=require":                             "postgres://u:p%40%3A%2F%3F%23%25@h:5433/d?sslmode=require",
		"database: ${DATABASE_URL}":                                                                "postgres://u:p%40@h/d",
		"database_file: " + dir + "/url":                                                           "postgres://u:p%40@h/d",
		"database: postgres://u@h/d?sslmode=disable\ndatabase_password_file: " + dir + "/password": "postgres://u:p%40%3A%2F%3F%23%25@h/d?sslmode=disable",
	} {
		c, list := Parse("etc/b24rules.yaml", []byte(text+"\n"+minimal("webhook: "+hook, "application_token: t")),
			func(name string) (string, bool) { v, ok := env[name]; return v, ok })
		if len(list) > 0 || c.Database != want {
			t.Errorf("%s: %q, %v, want %q", text, c.Database, list, want)
		}
		if hidden := redact.New(c.Secrets()...).Text("a p@:/?#% b"); strings.Contains(text, "PASSWORD") && strings.Contains(hidden, "#") {
			t.Errorf("the password is not hidden: %s", hidden)
		}
	}
}

// TestListen reads listen with certificates.
func TestListen(t *testing.T) {
	parse := func(listen string) (*Config, []string) {
		text := "listen: " + listen + "\nrules: [rules]\nportals:\n  main: {webhook: https://example.bitrix24.com/rest/1/code/, application_token: t0k3n}\n"
		c, list := Parse("b24rules.yaml", []byte(text), func(string) (string, bool) { return "", false })
		var out []string
		for _, f := range list {
			out = append(out, f.Error())
		}
		return c, out
	}
	c, list := parse("{https: b24.Example.com}")
	if len(list) > 0 || c.Listen != ":443" || c.PublicURL != "https://b24.example.com" || c.HTTPS.Directory != letsEncrypt || c.HTTPS.Folder != "" {
		t.Errorf("%+v %+v %v", c, c.HTTPS, list)
	}
	c, list = parse("{https: [a.example.com, b.example.com], address: '0.0.0.0:8443', folder: certs, email: a@example.com}")
	if len(list) > 0 || c.Listen != "0.0.0.0:8443" || len(c.HTTPS.Hosts) != 2 || c.HTTPS.Folder != "certs" || c.HTTPS.Email != "a@example.com" {
		t.Errorf("%+v %+v %v", c, c.HTTPS, list)
	}
	for listen, want := range map[string]string{
		"{address: ':443'}":                "listen has no https",
		"{https: https://b24.example.com}": "is not a host name for which certificates are issued",
		"{https: localhost}":               "is not a host name",
		"{https: 10.1.2.3}":                "is not a host name",
		"{https: a.example.com, directory: 'http://ca.example.com/'}": "is not an https address",
		"{https: a.example.com, email: me}":                           "is not an e-mail address",
		"{https: a.example.com, adress: x}":                           "adress",
		"{https: a.example.com, address: 443}":                        "listen: address",
		"b24.example.com":                                             "is not an address",
	} {
		if _, list := parse(listen); len(list) != 1 || !strings.Contains(list[0], want) {
			t.Errorf("%s: %v, want %s", listen, list, want)
		}
	}
}
