package cli

import (
	"encoding/json"
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/internal/app/testkit"
	"github.com/b24rules/b24rules/rules"
)

// manualBlocks returns the code blocks of a language in a page of docs/.
func manualBlocks(t *testing.T, page, language string) []string {
	t.Helper()
	var out []string
	for _, m := range regexp.MustCompile("(?s)\n```"+language+"\n(.*?)```").FindAllStringSubmatch(testkit.ReadFile(t, "../../../docs/"+page), -1) {
		out = append(out, m[1])
	}
	return out
}

// ciCommands are the shell lines of a job: run: of GitHub's steps, script: of
// GitLab's, without the lines that download the program.
func ciCommands(t *testing.T, job string) []string {
	t.Helper()
	var file struct {
		Jobs map[string]struct {
			Steps []struct{ Run string }
		}
		Rules struct{ Script []string }
	}
	if err := yaml.Unmarshal([]byte(job), &file); err != nil {
		t.Fatalf("%v in\n%s", err, job)
	}
	out := file.Rules.Script
	for _, j := range file.Jobs {
		for _, s := range j.Steps {
			if s.Run != "" && !strings.Contains(s.Run, "make -C") {
				out = append(out, strings.TrimSpace(s.Run))
			}
		}
	}
	return out
}

// TestCIPage runs the commands of docs/ci.md on the rules that ship, and on
// rules with a mistake.
func TestCIPage(t *testing.T) {
	t.Parallel()
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no shell")
	}
	jobs := manualBlocks(t, "ci.md", "yaml")
	if len(jobs) != 2 {
		t.Fatalf("%d jobs, want GitHub's and GitLab's", len(jobs))
	}
	for i, name := range []string{"github", "gitlab"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			commands := ciCommands(t, jobs[i])
			if len(commands) < 4 {
				t.Fatalf("commands %q", commands)
			}
			dir := t.TempDir()
			if err := os.CopyFS(filepath.Join(dir, "rules"), rules.FS); err != nil {
				t.Fatal(err)
			}
			copyTests(t, filepath.Join(dir, "rules"))
			run := func(line string) error {
				cmd := exec.CommandContext(t.Context(), shell, "-e", "-c", line)
				cmd.Dir = dir
				out, err := cmd.CombinedOutput()
				t.Logf("%s\n%s", line, out)
				return err
			}
			for _, line := range commands {
				if err := run(line); err != nil {
					t.Errorf("%s: %v", line, err)
				}
			}
			reports, _ := filepath.Glob(filepath.Join(dir, "*.*"))
			if len(reports) != 2 {
				t.Errorf("reports %q, want that of the tests and that of the findings", reports)
			}
			testkit.WriteFile(t, filepath.Join(dir, "rules", "broken.yaml"), "version: 1\nrulez: {}\n")
			failed := 0
			for _, line := range commands {
				if run(line) != nil {
					failed++
				}
			}
			if failed < 2 {
				t.Errorf("%d commands fail for a broken file, want validate and test", failed)
			}
		})
	}
}

// copyTests copies the tests of the shipped rules, which the program does not
// hold.
func copyTests(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob("../../../rules/*_test.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests: %v", err)
	}
	for _, f := range files {
		testkit.WriteFile(t, filepath.Join(dir, filepath.Base(f)), testkit.ReadFile(t, f))
	}
}

// TestPagesNameWhatExists holds that every command and flag that the manual
// shows is one of the program's.
func TestPagesNameWhatExists(t *testing.T) {
	pages, err := fs.Glob(os.DirFS("../../.."), "docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)(?:^|[` + "`" + ` "/])b24rules ([a-z]+)((?: +[^\n` + "`" + `|>#&]*)?)`)
	flagWord := regexp.MustCompile(`^--?([a-z][a-z-]*)`)
	seen := 0
	for _, page := range append(pages, "README.md") {
		text := testkit.ReadFile(t, "../../../"+page)
		for _, m := range line.FindAllStringSubmatch(text, -1) {
			c := find(m[1])
			if c == nil {
				continue // a sentence about b24rules
			}
			words := strings.Fields(m[2])
			if c.subs != nil && len(words) > 0 && !c.runsItself(strings.Split(words[0], "|")) {
				at := slices.IndexFunc(c.subs, func(s *command) bool { return s.name == c.name+" "+strings.Trim(words[0], "`.,\\") })
				if at < 0 {
					t.Errorf("%s: b24rules %s has no command %s", page, c.name, words[0])
					continue
				}
				c = c.subs[at]
			}
			set := flag.NewFlagSet(c.name, flag.ContinueOnError)
			c.setup(set)
			seen++
			for _, word := range words {
				f := flagWord.FindStringSubmatch(strings.Trim(word, "[]"))
				if f != nil && set.Lookup(f[1]) == nil {
					t.Errorf("%s: b24rules %s has no flag --%s", page, c.name, f[1])
				}
			}
		}
	}
	if seen < 30 {
		t.Errorf("only %d commands found in the manual", seen)
	}
}

// TestEditorSettings starts the language server with the settings of the page:
// each kind of file gets its schema without naming it.
func TestEditorSettings(t *testing.T) {
	t.Parallel()
	var settings map[string]any
	if err := json.Unmarshal([]byte(manualBlocks(t, "editor.md", "json")[0]), &settings); err != nil {
		t.Fatal(err)
	}
	e := startEditor(t, map[string]any{"schemas": settings["yaml.schemas"]})
	for file, want := range map[string]string{
		"rules/won.yaml":      "Property nonsense is not allowed",
		"rules/won_test.yaml": `Missing property "tests"`,
		"b24rules.yaml":       `Missing property "portals"`,
		"other.yaml":          "",
	} {
		_, findings := e.openText(file, "nonsense: 1\nversion: 1\n")
		if got := strings.Join(findings, "; "); !strings.Contains(got, want) || want == "" && got != "" || file == "rules/won.yaml" && strings.Contains(got, "tests") {
			t.Errorf("%s: %q, want %q", file, got, want)
		}
	}
}

// TestEditorPage holds that the examples of docs/editor.md are what they say.
func TestEditorPage(t *testing.T) {
	for _, text := range manualBlocks(t, "editor.md", "json") {
		var v map[string]any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Errorf("%v in\n%s", err, text)
		}
		for file := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '"' }) {
			if name, ok := strings.CutPrefix(file, "schemas/"); ok {
				if _, err := schemaNamed(strings.TrimSuffix(name, ".schema.json")); err != nil {
					t.Errorf("%s: %v", file, err)
				}
			}
		}
	}
	// The problem matcher fits what validate prints.
	matcher := regexp.MustCompile(`"regexp": "(.*)"`).FindStringSubmatch(testkit.ReadFile(t, "../../../docs/editor.md"))
	if matcher == nil {
		t.Fatal("no problem matcher")
	}
	var pattern string
	if err := json.Unmarshal([]byte(`"`+matcher[1]+`"`), &pattern); err != nil {
		t.Fatal(err)
	}
	fits := regexp.MustCompile(pattern)
	for line, want := range map[string]string{
		`rules/a b.yaml:4:9: unknown event "X" [unknown-event]`:        "rules/a b.yaml|4|9||unknown event \"X\" [unknown-event]",
		`won.yaml:12:3: warning: nothing reads it [unused-result] (x)`: "won.yaml|12|3|warning|nothing reads it [unused-result] (x)",
		`4 |     on: X:1:2: no finding`:                                "",
	} {
		m := fits.FindStringSubmatch(line)
		got := ""
		if m != nil {
			got = strings.Join(m[1:], "|")
		}
		if got != want {
			t.Errorf("%q is taken for %q, want %q", line, got, want)
		}
	}
}
