package b24rules_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func readText(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// trackedFiles are the files of the repository with an extension.
func trackedFiles(t *testing.T, ext string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(".", func(path string, d os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || path != "." && strings.HasPrefix(d.Name(), ".")):
			return filepath.SkipDir
		case !d.IsDir() && filepath.Ext(path) == ext:
			out = append(out, filepath.ToSlash(path))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestPromises checks that each promise of docs/design.md names its tests, and
// that these tests exist.
func TestPromises(t *testing.T) {
	_, promises, _ := strings.Cut(readText(t, "docs/design.md"), "\n## Promises\n")
	promises, _, ok := strings.Cut(promises, "\n## ")
	if !ok {
		t.Fatal("docs/design.md has no section Promises")
	}
	exists := map[string]bool{}
	for _, file := range trackedFiles(t, ".go") {
		if !strings.HasSuffix(file, "_test.go") {
			continue
		}
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(readText(t, file), -1) {
			exists[m[1]] = true
		}
	}
	sections := regexp.MustCompile(`(?m)^\d+\. `).Split(promises, -1)
	if len(sections) < 12 {
		t.Errorf("%d promises, expected at least 11", len(sections)-1)
	}
	for _, section := range sections[1:] {
		names := regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(section, -1)
		if len(names) == 0 {
			t.Errorf("this promise names no test: %s", section)
		}
		for _, m := range names {
			if !exists[m[1]] {
				t.Errorf("docs/design.md names %s, which does not exist", m[1])
			}
		}
	}
}

// TestPathOfAnEvent checks that the functions which docs/design.md lists from an event
// to a request exist in the files that it names, and that they are few.
func TestPathOfAnEvent(t *testing.T) {
	_, path, _ := strings.Cut(readText(t, "docs/design.md"), "\n## The path of an event\n")
	path, _, ok := strings.Cut(path, "\n## ")
	if !ok {
		t.Fatal("docs/design.md has no section The path of an event")
	}
	const most = 30
	steps := regexp.MustCompile("(?m)^\\d+\\. `(?:(\\w+)\\.)?(\\w+)` ([\\w/.]+)").FindAllStringSubmatch(path, -1)
	if len(steps) == 0 || len(steps) > most {
		t.Errorf("%d functions, expected at most %d", len(steps), most)
	}
	others := regexp.MustCompile("`(?:(\\w+)\\.)(\\w+)` in ([\\w/.]+\\.go)").FindAllStringSubmatch(path, -1)
	for _, m := range append(steps, others...) {
		receiver := ""
		if m[1] != "" {
			receiver = `\(\w+ \*?` + m[1] + `\) `
		}
		if !regexp.MustCompile(`(?m)^func ` + receiver + m[2] + `\(`).MatchString(readText(t, m[3])) {
			t.Errorf("docs/design.md names %s.%s in %s, which does not exist", m[1], m[2], m[3])
		}
	}
}

// TestLogMessages checks that the new log messages of the changelog are in the code,
// and the old ones are not.
func TestLogMessages(t *testing.T) {
	_, table, _ := strings.Cut(readText(t, "CHANGELOG.md"), "\n  | old | new |\n")
	table, _, ok := strings.Cut(table, "\n\n")
	if !ok {
		t.Fatal("CHANGELOG.md has no table of log messages")
	}
	var code strings.Builder
	for _, file := range trackedFiles(t, ".go") {
		if !strings.HasSuffix(file, "_test.go") {
			code.WriteString(readText(t, file))
		}
	}
	for _, row := range strings.Split(table, "\n")[1:] {
		cells := strings.Split(strings.Trim(row, " |"), " | ")
		if len(cells) != 2 {
			t.Errorf("a row of log messages has %d cells, want 2: %s", len(cells), row)
			continue
		}
		before, now := strings.TrimSuffix(cells[0], ": …"), strings.TrimSuffix(cells[1], ": …")
		if isNew := strings.Contains(code.String(), `"`+now); !isNew && len(todo) == 0 {
			t.Errorf("no log message is %q", now)
		}
		if old := strings.Contains(code.String(), `"`+before); old && len(todo) == 0 {
			t.Errorf("the log message %q has the new text %q", before, now)
		}
	}
}

// TestReadmeInstall runs the install line of the README and then the program.
func TestReadmeInstall(t *testing.T) {
	m := regexp.MustCompile(`(?m)^\s*(go install \S+)`).FindStringSubmatch(readText(t, "README.md"))
	if m == nil {
		t.Fatal("README.md has no line with go install")
	}
	bin := t.TempDir()
	install := strings.Fields(m[1])
	cmd := exec.CommandContext(t.Context(), install[0], install[1:]...)
	cmd.Env = append(os.Environ(), "GOBIN="+bin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", m[1], err, out)
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join(bin, "b24rules"), "version").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "b24rules") {
		t.Errorf("b24rules version: %v\n%s", err, out)
	}
}
