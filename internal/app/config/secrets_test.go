package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSecretFiles: a file with a secret is read right, or refused by its name.
func TestSecretFiles(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct{ name, text, want, finding string }{
		{"plain", "t0k3n", "t0k3n", ""},
		{"line break", "t0k3n\n", "t0k3n", ""},
		{"line break of Windows", "t0k3n\r\n", "t0k3n", ""},
		{"several line breaks", "t0k3n\n\r\n\n", "t0k3n", ""},
		{"byte order mark", "\ufefft0k3n\r\n", "t0k3n", ""},
		{"blanks", " t0k3n \t\n", "t0k3n", ""},
		{"empty", "\n", "", "the application token is empty"},
		{"two lines", "t0k3n\nother\n", "", "the file has more than one line"},
		{"UTF-16", "\xff\xfet\x000\x00", "", "the file is UTF-16 or has a zero byte: save it as UTF-8"},
		{"UTF-16, big end first", "\xfe\xff\x00t\x000", "", "the file is UTF-16 or has a zero byte: save it as UTF-8"},
		{"UTF-16 without a mark", "t\x000\x00", "", "the file is UTF-16 or has a zero byte: save it as UTF-8"},
		{"Latin-1", "t0k\xe9n", "", "the file is not UTF-8: save it as UTF-8"},
		{"variable", "${TOKEN}\n", "", "the file has ${, but variables are replaced only in the configuration"},
		{"large", strings.Repeat("t", maxSecret+1), "", "the file is larger than 64 KiB"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := os.WriteFile(filepath.Join(dir, "token"), []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			c, list := Parse(filepath.Join(dir, "b24rules.yaml"), []byte(minimal("webhook: "+hook, "application_token_file: token")), nil)
			if tt.finding != "" {
				if len(list) != 1 || !strings.Contains(list[0].Text(), tt.finding) || !strings.Contains(list[0].Text(), "token") || list[0].Line != 5 {
					t.Errorf("findings %v, want %q", list, tt.finding)
				}
				return
			}
			if len(list) > 0 || c.Portals[0].Token.Reveal() != tt.want {
				t.Errorf("%v", list)
			}
		})
	}
}

// TestVariables: a variable is replaced, or refused by its place, and never taken as text.
func TestVariables(t *testing.T) {
	env := func(name string) (string, bool) {
		v, ok := map[string]string{"TOKEN": "t0k3n\r\n", "HOST": "db"}[name]
		return v, ok
	}
	for _, tt := range []struct{ text, finding string }{
		{minimal("webhook: "+hook, "application_token: ' ${TOKEN} '"), ""},
		{minimal("webhook: "+hook, "application_token: '${TOKEN'"), "5:24 missing-variable: the value has ${ without a name and a }"},
		{minimal("webhook: "+hook, "application_token: '${}'"), "5:24 missing-variable: the value has ${ without a name and a }"},
		{minimal("webhook: "+hook, "application_token: '${TO KEN}'"), "5:24 missing-variable: the value has ${ without a name and a }"},
		{"log: {dir: '${HOST}/logs'}\n" + minimal("webhook: "+hook, "application_token: '${TOKEN}'"), "1:12 invalid-value: ${NAME} is not replaced in this value"},
		{"rules: ['${HOST}/rules', a]\n" + strings.TrimPrefix(minimal("webhook: "+hook, "application_token: '${TOKEN}'"), "rules: [rules]\n"), "1:9 invalid-value: ${NAME} is not replaced in this value"},
		{minimal("webhook: "+hook, "application_token: '${TOKEN}'", "inputs: {a: {b: '${x}'}}"), ""},
	} {
		c, list := Parse("b24rules.yaml", []byte(tt.text), env)
		if tt.finding != "" {
			if len(list) != 1 || !strings.Contains(fmt.Sprintf("%d:%d %s: %s", list[0].Line, list[0].Column, list[0].Code, list[0].Text()), tt.finding) {
				t.Errorf("%s\nfindings %v, want %q", tt.text, list, tt.finding)
			}
			continue
		}
		if len(list) > 0 || c.Portals[0].Token.Reveal() != "t0k3n" {
			t.Errorf("%s\nfindings %v", tt.text, list)
		}
	}
}

// TestFindDefault: the configuration is found with another ending, and with capital
// letters.
func TestFindDefault(t *testing.T) {
	for _, name := range []string{"b24rules.yaml", "b24rules.yml", "B24Rules.YAML", "b24rules.yaml.txt"} {
		dir := t.TempDir()
		for _, n := range []string{name, "other.yaml", "b24rules.txt"} {
			if err := os.WriteFile(filepath.Join(dir, n), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := FindDefault(dir); got != name {
			t.Errorf("%s: found %s", name, got)
		}
	}
	if got := FindDefault(t.TempDir()); got != DefaultFile {
		t.Errorf("an empty folder has %s", got)
	}
}

// TestSecretPaths: a path may have variables, so that systemd's credentials can be read.
func TestSecretPaths(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "secrets_token"), []byte("t0k3n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := func(name string) (string, bool) { return dir, name == "CREDENTIALS_DIRECTORY" }
	parse := func(path string) (*Config, string) {
		c, list := Parse("b24rules.yaml", []byte(minimal("webhook: "+hook, "application_token_file: "+path)), env)
		if len(list) == 0 {
			return c, ""
		}
		return nil, list[0].Text()
	}
	if c, finding := parse("${CREDENTIALS_DIRECTORY}/secrets_token"); c == nil || c.Portals[0].Token.Reveal() != "t0k3n" {
		t.Errorf("finding %q", finding)
	}
	for path, want := range map[string]string{
		"${CREDENTIALS}/secrets_token":       "the environment has no variable CREDENTIALS",
		"${CREDENTIALS_DIRECTORY}/secrets_b": "application_token_file ${CREDENTIALS_DIRECTORY}/secrets_b: no such file or directory",
	} {
		if _, finding := parse(path); !strings.Contains(finding, want) {
			t.Errorf("%s: %q, want %q", path, finding, want)
		}
	}
}
