//go:build unix

package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/internal/app/testkit"
)

// TestTutorial runs the commands of docs/tutorial.md with an empty HOME, and compares their
// outputs. Those of the Russian page are the same.
func TestTutorial(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long, and other tests run the same commands")
	}
	t.Parallel()
	commands := shownCommands(t, "docs/tutorial.md")
	if russian := shownCommands(t, "docs/tutorial.ru.md"); !slices.Equal(commands, russian) {
		t.Error("docs/tutorial.ru.md shows other commands or outputs than docs/tutorial.md")
	}
	if len(commands) < 10 {
		t.Fatalf("%d commands", len(commands))
	}
	r := newReader(t)
	r.path = testkit.ProgramDir(t) + ":" + os.Getenv("PATH")
	files := map[string]string{}
	blocks := manualBlocks(t, "tutorial.md", "yaml")
	if !slices.Equal(blocks, manualBlocks(t, "tutorial.ru.md", "yaml")) {
		t.Error("docs/tutorial.ru.md has other files than docs/tutorial.md")
	}
	for _, block := range blocks {
		// A block names its file in its first line.
		first, _, _ := strings.Cut(block, "\n")
		files[strings.TrimPrefix(first, "# ")] = block
	}
	for _, c := range commands {
		for name, text := range files {
			// The reader has written the files of a rule before its first command.
			if strings.Contains(c.command, strings.Replace(name, "_test.yaml", ".yaml", 1)) {
				testkit.WriteFile(t, filepath.Join(r.dir, name), text)
			}
		}
		r.follow(c)
	}
}
