package cli

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/internal/app/testkit"
)

// manualPages are the pages of the manual and the README, from the root of the
// repository, with their texts.
func manualPages(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{"README.md": testkit.ReadFile(t, "../../../README.md"), "README.ru.md": testkit.ReadFile(t, "../../../README.ru.md")}
	pages, err := filepath.Glob("../../../docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatal(pages, err)
	}
	for _, p := range pages {
		out["docs/"+filepath.Base(p)] = testkit.ReadFile(t, p)
	}
	return out
}

var (
	commandShown = regexp.MustCompile("(?m)(?:^|[`$&] ?|bin/)b24rules ((?:[^`\n#&]|\\\\\n)+)")
	flagShown    = regexp.MustCompile(`(?:^|[\s\[|])(--?[a-z][a-z-]*)`)
	makeShown    = regexp.MustCompile("(?m)(?:^|`)make ([a-z-]+)")
)

// TestManualCommands checks that each command line in the manual has an existing
// command and existing flags.
func TestManualCommands(t *testing.T) {
	makefile := testkit.ReadFile(t, "../../../Makefile")
	seen := map[string]bool{}
	for page, text := range manualPages(t) {
		for _, m := range commandShown.FindAllStringSubmatch(text, -1) {
			line := strings.ReplaceAll(m[1], `\|`, "|")
			words := strings.Fields(line)
			c := find(words[0])
			if c == nil {
				t.Errorf("%s: b24rules %s: %s", page, line, unknown("command", words[0]))
				continue
			}
			seen[c.name] = true
			all := []*command{c}
			if c.subs != nil && len(words) > 1 && !c.runsItself(strings.Split(words[1], "|")) {
				all = nil
				for name := range strings.SplitSeq(words[1], "|") {
					i := slices.IndexFunc(c.subs, func(s *command) bool { return s.name == c.name+" "+name })
					if i < 0 {
						t.Errorf("%s: b24rules %s: there is no %s %s", page, line, c.name, name)
						continue
					}
					all = append(all, c.subs[i])
				}
			}
			for _, c := range all {
				fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
				c.setup(fs)
				for _, f := range flagShown.FindAllStringSubmatch(line, -1) {
					if fs.Lookup(strings.TrimLeft(f[1], "-")) == nil {
						t.Errorf("%s: b24rules %s: %s has no flag %s", page, line, c.name, f[1])
					}
				}
			}
		}
		for _, m := range makeShown.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(makefile, "\n"+m[1]+": ") {
				t.Errorf("%s: there is no make %s", page, m[1])
			}
		}
	}
	for _, c := range commands {
		if !seen[c.name] {
			t.Errorf("no page shows b24rules %s", c.name)
		}
	}
}

// TestHelpTexts: the help fits a terminal, and each command is in one group.
func TestHelpTexts(t *testing.T) {
	const width = 90
	seen := map[string]bool{}
	var check func(all []*command)
	check = func(all []*command) {
		for _, c := range all {
			if seen[c.name] {
				t.Errorf("%s is in two groups", c.name)
			}
			seen[c.name] = true
			for line := range strings.Lines(c.long) {
				if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > width {
					t.Errorf("help %s has a line of %d characters: %s", c.name, n, line)
				}
			}
			if c.short == "" || strings.HasSuffix(c.short, ".") || strings.ToLower(c.short[:1]) != c.short[:1] {
				t.Errorf("help %s: %q is not a phrase without a full stop", c.name, c.short)
			}
			fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
			c.setup(fs)
			fs.VisitAll(func(f *flag.Flag) {
				isSpelling := slices.Contains([]string{"since", "to"}, f.Name) && strings.Contains(c.args, "--until") // of --from and --until
				if f.Usage == "" || !isSpelling && !strings.Contains(c.args, dashes(f.Name)+f.Name) {
					t.Errorf("help %s: the usage line lacks %s%s, or the flag has no text", c.name, dashes(f.Name), f.Name)
				}
			})
			check(c.subs)
		}
	}
	check(commands)
}

var (
	linkShown = regexp.MustCompile(`\]\(([^)\s]*)\)`)
	heading   = regexp.MustCompile(`(?m)^#+ (.*)$`)
	noSlug    = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// TestManualLinks: what the manual points at is there, and the README leads to
// every page.
func TestManualLinks(t *testing.T) {
	pages := manualPages(t)
	anchors := map[string][]string{}
	for page, text := range pages {
		for _, m := range heading.FindAllStringSubmatch(text, -1) {
			slug := strings.ReplaceAll(noSlug.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")
			anchors[page] = append(anchors[page], slug)
		}
	}
	linked := map[string]bool{}
	for page, text := range pages {
		for _, m := range linkShown.FindAllStringSubmatch(text, -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			to := page
			if target != "" {
				to = filepath.ToSlash(filepath.Join(filepath.Dir(page), target))
			}
			if page == "README.md" {
				linked[to] = true
			}
			if _, err := os.Stat(filepath.Join("../../..", to)); err != nil {
				t.Errorf("%s points at %s: %v", page, m[1], err)
			}
			if anchor != "" && !slices.Contains(anchors[to], anchor) {
				t.Errorf("%s points at %s, and there is no such heading", page, m[1])
			}
		}
	}
	for page := range pages {
		if page != "README.md" && !linked[page] {
			t.Errorf("README.md does not lead to %s", page)
		}
	}
}

// TestReadmeFinding: the README shows what validate says of its rule with a
// mistake in it.
func TestReadmeFinding(t *testing.T) {
	readme := testkit.ReadFile(t, "../../../README.md")
	block := func(language string) string {
		t.Helper()
		m := regexp.MustCompile("(?s)\n```" + language + "\n(.*?)```").FindStringSubmatch(readme)
		if m == nil {
			t.Fatalf("no block of %s", language)
		}
		return m[1]
	}
	rule := strings.Replace(block("yaml"), ".price", ".pryce", 1)
	var out, talk bytes.Buffer
	args := []string{"validate", "--stdin-path", "rules/invoice-total.yaml", "-"}
	if code := runCommand(t.Context(), args, environment{Std: Std{In: strings.NewReader(rule), Out: &out, Err: &talk}, actions: actions.All}); code != exitFindings {
		t.Errorf("exit code %d: %s", code, talk.String())
	}
	if want := "$ b24rules validate rules/\n" + out.String(); block("console") != want {
		t.Errorf("it shows\n%s\nvalidate says\n%s", block("console"), want)
	}
}
