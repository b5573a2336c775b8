package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/internal/diag"
)

// writeFolder writes a configuration with a folder of portals, and reads it.
func writeFolder(t *testing.T, files map[string]string) (dir string, c *Config, list diag.List) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, DefaultFile)
	env := map[string]string{"HOOK_acme_spb": hookOf("spb"), "TOKEN": "t0k3n", "SECRETS": filepath.Join(dir, "secrets")}
	c, list = Parse(path, []byte(files[DefaultFile]), func(name string) (string, bool) { v, ok := env[name]; return v, ok })
	return dir, c, list
}

// describe writes portals down.
func describe(c *Config) []string {
	var out []string
	for _, p := range c.Portals {
		text := fmt.Sprintf("%s %s %s tags %v", p.Name, p.Webhook.Reveal(), p.Token.Reveal(), p.Tags)
		if p.Zone != nil {
			text += " " + p.Zone.String()
		}
		for _, s := range p.Inputs.Sets {
			text += fmt.Sprintf(" %s%v", s.Name, s.Values())
		}
		for _, s := range p.Inputs.Off {
			text += " no " + s.Name
		}
		if p.Inputs.Only {
			text += " only"
		}
		out = append(out, text)
	}
	return out
}

// plainLines are the findings without the folder.
func plainLines(dir string, list diag.List) []string {
	var out []string
	for _, f := range list {
		out = append(out, strings.ReplaceAll(f.String(), dir+string(filepath.Separator), ""))
	}
	return out
}

func TestFolder(t *testing.T) {
	const head = `
rules: [rules]
defaults:
  webhook_file: ${SECRETS}/{portal}.webhook
  application_token: ${TOKEN}
  time_zone: Europe/Moscow
  tags: [all-round]
  use: {totals: {type: 1038, title: '{{ x }}'}, more: {n: 1}, extra: off}
portals: portals
`
	dir, c, list := writeFolder(t, map[string]string{
		DefaultFile:            head,
		"secrets/acme.webhook": hookOf("acme"),
		"secrets/bolt.webhook": hookOf("bolt") + "\n",
		"portals/acme.yaml": `
tags: [canary, big]
time_zone: Asia/Omsk
use:
  ships@spb: {list: 52}
  ships: {list: 47}
  totals: {type: 1040}
  more: off
  extra:
`,
		"portals/acme-spb.yml":   "webhook: ${HOOK_{portal}}\napplication_token_file: ../secrets/spb.token\nuse: {more: {n: 2}}\n",
		"secrets/spb.token":      "own",
		"portals/bolt.YAML":      "",
		"portals/bolt.yaml.bak":  "tags: [x",
		"portals/.hidden.yaml":   "tags: [x",
		"portals/notes/old.yaml": "",
	})
	want := []string{
		"acme-spb " + hookOf("spb") + " own tags [all-round] Europe/Moscow totals" + fmt.Sprint(map[string]string{"type": "1038", "title": "{{ x }}"}) + " more" + fmt.Sprint(map[string]string{"n": "2"}) + " no extra only",
		"acme " + hookOf("acme") + " t0k3n tags [canary big] Asia/Omsk totals" + fmt.Sprint(map[string]string{"type": "1040", "title": "{{ x }}"}) + " ships@spb" + fmt.Sprint(map[string]string{"list": "52"}) + " ships" + fmt.Sprint(map[string]string{"list": "47"}) + " extra" + fmt.Sprint(map[string]string{}) + " no more only",
		"bolt " + hookOf("bolt") + " t0k3n tags [all-round] Europe/Moscow totals" + fmt.Sprint(map[string]string{"type": "1038", "title": "{{ x }}"}) + " more" + fmt.Sprint(map[string]string{"n": "1"}) + " no extra only",
	}
	if diff := cmp.Diff(want, describe(c)); diff != "" {
		t.Errorf("portals (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{
		"portals/bolt.yaml.bak:1:1: warning: this is no file of a portal, so it is not read [unread-file] (the name of such a file ends in .yaml; move other files elsewhere)",
		"portals/notes:1:1: warning: this is no file of a portal, so it is not read [unread-file] (the name of such a file ends in .yaml; move other files elsewhere)",
	}, plainLines(dir, list)); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	if len(c.Files) != 6 || c.Folder != filepath.Join(dir, "portals") {
		t.Errorf("files %v, folder %s", c.Files, c.Folder)
	}
}

// TestBrokenFolder has portals with all kinds of mistakes next to one without any.
func TestBrokenFolder(t *testing.T) {
	dir, c, list := writeFolder(t, map[string]string{
		DefaultFile:            "rules: [rules]\ndefaults: {webhook_file: 'secrets/{portal}.webhook', application_token: t0k3n, use: {a: {n: '1'}}, title: x}\nportals: portals\n",
		"secrets/good.webhook": hookOf("good"), "secrets/inputs.webhook": hookOf("inputs"), "secrets/zone.webhook": hookOf("zone"), "secrets/key.webhook": hookOf("key"), "secrets/tag.webhook": hookOf("tag"),
		"secrets/use.webhook": hookOf("use"), "secrets/twice.webhook": hookOf("twice"), "secrets/name.webhook": hookOf("name"), "secrets/variable.webhook": hookOf("variable"), "secrets/wrong name.webhook": hookOf("wrong-name"),
		"portals/good.yaml":       "",
		"portals/away.yaml":       "", // its webhook is missing
		"portals/inputs.yaml":     "inputs: {b: {list: 7}}",
		"portals/key.yaml":        "usee: {}",
		"portals/name.yaml":       "encoding: utf-8\ntime_zone: '{portal}'",
		"portals/syntax.yaml":     "use: {a: {n: 1}",
		"portals/tag.yaml":        "tags: [a b]",
		"portals/twice.yaml":      "",
		"portals/twice.yml":       "",
		"portals/use.yaml":        "use:\n  a@: {}\n  b: 7\n  c@x.y: on",
		"portals/variable.yaml":   "application_token: ${NONE_{portal}}",
		"portals/wrong name.yaml": "",
		"portals/zone.yaml":       "time_zone: Moscow",
	})
	for i := range list {
		if list[i].Code == "unknown-key" && strings.HasSuffix(list[i].File, DefaultFile) {
			list = append(list[:i], list[i+1:]...)
			break
		}
	}
	others := c.Usable(list)
	if others.HasErrors() {
		t.Errorf("findings that concern no portal: %v", others)
	}
	if len(c.Portals) != 1 || c.Portals[0].Name != "good" {
		t.Errorf("usable: %v", describe(c))
	}
	var got []string
	for _, b := range c.Broken {
		for _, line := range plainLines(dir, b.Findings) {
			got = append(got, b.Name+": "+line)
		}
	}
	if diff := cmp.Diff([]string{
		"away: b24rules.yaml:2:26: webhook_file secrets/away.webhook: no such file or directory [unreadable-file]",
		"inputs: portals/inputs.yaml:1:1: portal inputs has both use and inputs [duplicate-key] (write the inputs into use: use: {a: {n: 1}, b: {list: 7}})",
		`key: portals/key.yaml:1:1: unknown key "usee" [unknown-key] (did you mean "use"?)`,
		"name: portals/name.yaml:2:12: {portal} is not replaced in this value [invalid-value] (it is replaced in paths such as webhook_file, and in names of variables, such as ${HOOK_{portal}})",
		"name: portals/name.yaml:2:12: time zone \"{portal}\" is unknown [invalid-value] (write a name such as Europe/Moscow)",
	}, got[:5]); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	text := strings.Join(got, "\n")
	for _, want := range []string{
		"syntax: portals/syntax.yaml:1:",
		`tag: portals/tag.yaml:1:8: "a b" cannot be a tag`,
		"twice: portals/twice.yml:1:1: portal twice has a file already",
		`use: portals/use.yaml:2:3: "a@" cannot be the name of a rule set in use`,
		"use: portals/use.yaml:3:6: want inputs such as {list: 47}, or off",
		`use: portals/use.yaml:4:3: "c@x.y" cannot be the name`,
		"variable: portals/variable.yaml:1:20: the environment has no variable NONE_variable",
		`wrong name: portals/wrong name.yaml:1:1: portal name "wrong name" cannot be part of a URL`,
		`zone: portals/zone.yaml:1:12: time zone "Moscow" is unknown`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no finding %s in\n%s", want, text)
		}
	}
}

// TestNoFolder has folders that hold no portal.
func TestNoFolder(t *testing.T) {
	for _, tt := range []struct{ text, file, want string }{
		{"rules: [rules]\nportals: portals\n", "", "b24rules.yaml:2:10: portals: " + "portals: no such file or directory [unreadable-file] (name a folder with a file for each portal, or write portals: {main: {webhook: …, application_token: …}})"},
		{"rules: [rules]\nportals: portals\n", "portals/notes.txt", "b24rules.yaml:2:10: the folder portals has no file of a portal [missing-key] (write a file for each portal, such as portals/main.yaml)"},
		{"rules: [rules]\nportals: [a, b]\n", "", "b24rules.yaml:2:10: expected a mapping, got a list [wrong-type]"},
	} {
		files := map[string]string{DefaultFile: tt.text}
		if tt.file != "" {
			files[tt.file] = ""
		}
		dir, _, list := writeFolder(t, files)
		if lines := plainLines(dir, list); len(lines) == 0 || lines[0] != tt.want {
			t.Errorf("%s: %q, want %s", tt.text, lines, tt.want)
		}
	}
}

// TestDefaults has portals in the file itself, with defaults that other keys replace.
func TestDefaults(t *testing.T) {
	c, list := parse(t, `
rules: [rules]
portals:
  app:
    oauth: {portal: "https://acme.bitrix24.com", client_id: local.1, client_secret: s}
    inputs: {b: {n: 2}}
  own: {webhook: "`+hook+`", inputs: {a: {n: 1}, c: {n: 3}}}
defaults:
  webhook: ${HOOK}
  application_token: ${TOKEN}
  shared: true
  inputs: {a: {m: 7, n: 5}}
`)
	if len(list) > 0 {
		t.Fatal(list)
	}
	if app := c.Portals[0]; app.OAuth == nil || app.Webhook != "" || app.Token != "" || !app.Shared {
		t.Errorf("%+v", app)
	}
	want := []string{
		"app   tags [] a" + fmt.Sprint(map[string]string{"m": "7", "n": "5"}) + " b" + fmt.Sprint(map[string]string{"n": "2"}),
		"own " + hook + " t0k3n tags [] a" + fmt.Sprint(map[string]string{"m": "7", "n": "1"}) + " c" + fmt.Sprint(map[string]string{"n": "3"}),
	}
	if diff := cmp.Diff(want, describe(c)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// An input that neither has is missing in the portal.
	if set, _ := c.Portals[1].Inputs.Set("a"); set.Place("x", true).Line != 7 || set.Place("m", true).Line != 12 {
		t.Errorf("places %v, %v", set.Place("x", true), set.Place("m", true))
	}
}

func TestApply(t *testing.T) {
	c, list := parse(t, minimal("webhook: "+hook, "application_token: x", "tags: canary")+"reload: manual\napply: {waves: [canry, all], halt: 0}\n")
	if len(list) != 1 || list[0].String() != `etc/b24rules.yaml:8:17: apply: no portal has the tag "canry" [invalid-value] (did you mean canary?)` {
		t.Error(list)
	}
	if !c.Manual || c.Apply.Halt != 0 || c.Apply.Bake != 30*time.Minute || len(c.Apply.Waves) != 2 {
		t.Errorf("%v %+v", c.Manual, c.Apply)
	}
	if c, list = parse(t, minimal("webhook: "+hook, "application_token: x")); len(list) > 0 || c.Manual || c.Apply.Halt != 1 {
		t.Errorf("%v %v %+v", list, c.Manual, c.Apply)
	}
}

// TestFindingsOfDefaults: a mistake in the defaults is one finding, and concerns each portal once.
func TestFindingsOfDefaults(t *testing.T) {
	_, c, list := writeFolder(t, map[string]string{
		DefaultFile:       "rules: [rules]\ndefaults: {application_token: t0k3n, time_zone: Moscow, tags: [a b]}\nportals: portals\n",
		"portals/a.yaml":  "webhook: https://a.bitrix24.ru/rest/1/s3cr3t/",
		"portals/b.yaml":  "webhook: https://b.bitrix24.ru/rest/1/s3cr3t/",
		"portals/ok.yaml": "webhook: " + hook + "\ntime_zone: Asia/Omsk\ntags: [x]",
	})
	if len(list) != 2 {
		t.Errorf("findings: %v", list)
	}
	if others := c.Usable(list); others.HasErrors() || len(c.Broken) != 2 {
		t.Fatalf("broken %+v, others %v", c.Broken, others)
	}
	for _, b := range c.Broken {
		if len(b.Findings) != 2 {
			t.Errorf("portal %s: %v", b.Name, b.Findings)
		}
	}
}
