package fleet

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/app/config"
)

// TestSecretInputs: the secrets of rules come from the environment, other inputs
// are text, and no finding repeats one.
func TestSecretInputs(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("stock.yaml", `version: 1
inputs:
  token: {type: secret}
  path: {type: string}
rules:
  r:
    on: ONCRMDEALUPDATE
    steps:
      - once: =event.id
        http_post: {url: "https://stock.example.com/{{ inputs.path }}", body: {}, headers: {Authorization: "Bearer {{ inputs.token }}"}}
`)
	for _, tt := range []struct{ name, token, finding string }{
		{"from the environment", "${B24_TEST_TOKEN}", ""},
		{"in the file", "plain-text-token", ""},
		{"not in the environment", "${B24_TEST_NONE}", "the environment has no variable B24_TEST_NONE"},
		{"blanks and a line break around it", " ${B24_TEST_TOKEN}\\r\\n", ""},
		{"half a variable", "${B24_TEST_TOKEN", "the value has ${ without a name and a }: write ${NAME}"},
		{"too short", "abc", "input token of rule set stock must be a secret of at least 6 characters, not of 3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("B24_TEST_TOKEN", "environment-token")
			path := write("b24rules.yaml", `
rules: [stock.yaml]
portals:
  main:
    webhook: https://example.bitrix24.com/rest/1/code/
    application_token: t0k3n
    inputs: {stock: {token: "`+tt.token+`", path: "${x}"}}
`)
			c, list, err := config.Read(path)
			if err != nil || len(list) > 0 {
				t.Fatalf("%v, %v", err, list)
			}
			l := &Rules{Actions: actions.All, Source: FilesOf(c.Rules), Portals: c.Portals}
			_, gen, err := l.Load()
			if err != nil {
				t.Fatal(err)
			}
			described := strings.Join(describeSets(gen), "\n")
			for _, b := range gen.broken() {
				described += "\n" + b.Findings.Err().Error()
			}
			if tt.finding != "" {
				if !strings.Contains(described, tt.finding) || strings.Contains(described, tt.token) && tt.token[0] != '$' {
					t.Errorf("findings:\n%s\nwant %s", described, tt.finding)
				}
				return
			}
			_, inputs, ok := gen.Rule("r", "main")
			if !ok {
				t.Fatal(described)
			}
			want := tt.token
			if strings.Contains(tt.token, "$") {
				want = "environment-token"
			}
			if notes := gen.Notes(); len(notes) != 1 || !strings.Contains(notes[0].Text(), "the input path is not a secret, so ${ in it is text") {
				t.Errorf("findings %v", gen.Notes())
			}
			if got, _ := inputs["token"].(bitrix.Secret); got.Reveal() != want || inputs["path"] != "${x}" {
				t.Errorf("inputs %v, the token is %q", inputs, got.Reveal())
			}
		})
	}
}
