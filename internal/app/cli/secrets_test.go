package cli

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/internal/app/apptest"
)

// TestCanary: another system repeats a secret input in each spelling, in its answer and in
// the text with which it refuses a request. None is in the log, the plan, the database,
// or what the commands show and export.
func TestCanary(t *testing.T) {
	t.Parallel()
	const canary = `k<anari&en/vogel "4711"`
	quoted, _ := json.Marshal(canary)
	spellings := []string{
		canary, string(quoted), strings.ReplaceAll(string(quoted), "/", `\/`), url.QueryEscape(canary), url.PathEscape(canary), html.EscapeString(canary),
		url.QueryEscape(string(quoted)), strings.ToUpper(canary), base64.StdEncoding.EncodeToString([]byte("user:" + canary)), hex.EncodeToString([]byte(canary)),
	}
	answer, _ := json.Marshal(map[string]any{"you": spellings, canary: strings.Join(spellings, " ")})
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Key") != canary {
			t.Errorf("the other system got the key %q", r.Header.Get("X-Key"))
		}
		if r.URL.Path == "/refuse" {
			w.WriteHeader(http.StatusUnprocessableEntity)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer)
	}))
	t.Cleanup(other.Close)

	dir := t.TempDir()
	h := newHarness(t, apptest.Options{Dir: dir})
	c := newCLI(h, dir)
	deal := h.AddDeal("Roof", row("Nails", "1", "1"))
	h.Wait()
	h.Stop()
	rule := fmt.Sprintf(`version: 1
inputs:
  key: {type: secret, title: key of the other system}
rules:
  shown:
    on: ONCRMDEALUPDATE
    steps:
      - id: sent
        once: =event.time
        http_post: {url: "%[1]s/ok", headers: {X-Key: =inputs.key}, body: {deal: =event.id}}
      - log: {message: "answer {{ join(sent?.body?.you ?? [], ' ') }}", level: error}
      - once: =event.time
        call: {method: crm.timeline.comment.add, params: {fields: {ENTITY_ID: =event.id, ENTITY_TYPE: deal, COMMENT: "{{ join(sent?.body?.you ?? [], ' ') }}"}}}
  refused:
    on: ONCRMDEALUPDATE
    steps:
      - once: =event.time
        http_post: {url: "%[1]s/refuse", headers: {X-Key: =inputs.key}, body: {deal: =event.id}}
`, other.URL)
	config, err := os.ReadFile(c.config)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"rules/canary.yaml": rule, "b24rules.yaml": string(config) + fmt.Sprintf("      canary: {key: %q}\n", canary)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	entity := fmt.Sprintf("deal:%d", deal)
	shown := map[string]string{}
	keep := func(out, talk string) { shown[fmt.Sprint("output ", len(shown))] = out + talk }
	keep(c.run(exitFine, "run", "--entity", entity, "--rule", "shown"))
	keep(c.run(exitFindings, "run", "--entity", entity, "--rule", "refused"))
	keep(c.run(exitFine, "plan", "--entity", entity, "--rule", "shown"))
	list, _ := c.run(exitFine, "runs", "list", "--format", "json")
	keep(list, "")
	var runs struct {
		Runs []struct {
			ID   int64
			Rule string
		}
	}
	if err := json.Unmarshal([]byte(list), &runs); err != nil {
		t.Fatal(err)
	}
	for _, r := range runs.Runs {
		if r.Rule == "shown" || r.Rule == "refused" {
			id := fmt.Sprint(r.ID)
			keep(c.run(exitFine, "runs", "show", "-v", id))
			keep(c.run(exitFine, "runs", "show", "--format", "json", id))
			keep(c.run(exitFine, "runs", "export", "--keep-names", id))
		}
	}
	if len(shown) != 10 {
		t.Fatalf("%d outputs, want 10", len(shown))
	}
	databases, err := filepath.Glob(filepath.Join(dir, "b24rules.db*"))
	if err != nil || len(databases) == 0 {
		t.Fatalf("no database: %v", err)
	}
	for _, name := range databases {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(f)
		_ = f.Close()
		if err != nil {
			t.Fatal(err)
		}
		shown[name] = string(data)
	}
	hidden := 0
	for where, text := range shown {
		hidden += strings.Count(text, "<secret>")
		for _, s := range append(spellings, "anari", "ANARI") {
			if strings.Contains(text, s) {
				t.Errorf("%s has the secret as %s:\n%s", where, s, text)
				break
			}
		}
	}
	if hidden < 20 {
		t.Errorf("only %d secrets were hidden: the test shows nothing", hidden)
	}
}
