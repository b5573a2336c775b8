//go:build unix

package cli

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/b24rules/b24rules/internal/app/testkit"
)

// shown is a command of a page with its output.
type shown struct{ command, output string }

// shownCommands returns the commands of the console blocks of a page.
func shownCommands(t *testing.T, page string) []shown {
	t.Helper()
	var out []shown
	for _, block := range manualBlocks(t, page, "console") {
		for line := range strings.Lines(block) {
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				out = append(out, shown{command: strings.TrimSpace(command)})
			} else if n := len(out); n > 0 {
				out[n-1].output += line
			}
		}
	}
	return out
}

// limitLog is the log line about the portal's rate limit.
var limitLog = regexp.MustCompile(`(?m)^time=.*the portal refused a request because of the rate limit.*\n`)

// matches reports whether an output is the shown one, in which … means any text.
func (s shown) matches(output string) bool {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(strings.TrimSpace(s.output)), "…", `[\s\S]*`)
	return regexp.MustCompile(`^` + pattern + `$`).MatchString(strings.TrimSpace(output))
}

// TestTutorial runs the commands of docs/tutorial.md with an empty HOME, and compares their
// outputs. Those of the Russian page are the same.
func TestTutorial(t *testing.T) {
	t.Parallel()
	const page = "tutorial.md"
	commands := shownCommands(t, page)
	if russian := shownCommands(t, "tutorial.ru.md"); !slices.Equal(commands, russian) {
		t.Error("docs/tutorial.ru.md shows other commands or outputs than docs/tutorial.md")
	}
	if len(commands) < 10 {
		t.Fatalf("%d commands", len(commands))
	}
	portal, hooks := testkit.FreeAddr(t), testkit.FreeAddr(t)
	home := t.TempDir()
	env := append(os.Environ(), "HOME="+home, "XDG_CACHE_HOME="+home, "PATH="+testkit.ProgramDir(t)+":"+os.Getenv("PATH"))
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	ports := strings.NewReplacer("127.0.0.1:8484", portal, "127.0.0.1:8400", hooks)
	for _, c := range commands {
		c.output = ports.Replace(c.output)
		command := ports.Replace(c.command)
		if to, ok := strings.CutPrefix(command, "cd "); ok {
			dir = filepath.Join(dir, to)
			continue
		}
		// The emulator and init have the addresses of the page as their defaults.
		command = strings.Replace(command, "b24rules emulator ", "b24rules emulator --listen "+portal+" ", 1)
		command = strings.Replace(command, "b24rules init ", "b24rules init --listen "+hooks+" ", 1)
		isService := strings.HasPrefix(command, "b24rules emulator") || command == "b24rules serve"
		log := testkit.NewLog()
		if isService {
			cmd := exec.CommandContext(ctx, "/bin/sh", "-c", "exec "+command)
			cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, env, log, log
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { cancel(); _ = cmd.Wait() })
		}
		// What happens in the background may take a while on a busy machine.
		last := ""
		for end := time.Now().Add(testkit.Patience); ; time.Sleep(300 * time.Millisecond) {
			if isService {
				last = log.String()
			} else {
				var out bytes.Buffer
				cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
				cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, env, &out, &out
				_ = cmd.Run() // the exit code of a command with findings is 1
				// Repeated commands may use up the portal's burst, which a reader does not.
				last = limitLog.ReplaceAllString(out.String(), "")
			}
			isRead := isService || strings.HasPrefix(command, "b24rules runs") || strings.HasPrefix(command, "b24rules status") || strings.Contains(command, "element.get")
			if c.matches(last) {
				break
			}
			if !isRead || time.Now().After(end) {
				t.Fatalf("%s prints\n%s\nwant\n%s", command, last, c.output)
			}
		}
	}
}
