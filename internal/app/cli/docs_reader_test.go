//go:build unix

package cli

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/b24rules/b24rules/internal/app/testkit"
)

// shown is a command of a page.
type shown struct {
	command string
	output  string // … in it is any text
	typed   string // the answers to the questions of the command
}

// question is a line of init in which the reader has typed the answer.
var question = regexp.MustCompile(`^((?:URL of |Rule set|[a-z_]+, (?:the|IBLOCK)).*: )(\S+)$`)

// shownCommands returns the commands of the console blocks of a page, from the root of the
// repository.
func shownCommands(t *testing.T, page string) []shown {
	t.Helper()
	var out []shown
	for _, block := range manualBlocks(t, filepath.Join("..", page), "console") {
		out = append(out, blockCommands(block)...)
	}
	return out
}

// blockCommands returns the commands of a console block.
func blockCommands(block string) (out []shown) {
	for line := range strings.Lines(block) {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			out = append(out, shown{command: strings.TrimSpace(command)})
			continue
		}
		n := len(out) - 1
		if n < 0 {
			continue
		}
		if m := question.FindStringSubmatch(strings.TrimSpace(line)); m != nil && strings.Contains(out[n].command, "init") {
			out[n].typed += m[2] + "\n"
			line = m[1] + "…" // a terminal shows what is typed and a new line, a pipe does not
		}
		out[n].output += line
	}
	return out
}

// shellCommands returns the commands of a block of shell lines. A command ends with its line,
// unless a quote is open or the line ends with a backslash.
func shellCommands(block string) []string {
	var out []string
	command := ""
	for line := range strings.Lines(block) {
		command += line
		code, _, _ := strings.Cut(command, " # ")
		if strings.Count(code, "'")%2 == 1 || strings.HasSuffix(strings.TrimSpace(command), "\\") {
			continue
		}
		if c := strings.TrimSpace(command); c != "" && !strings.HasPrefix(c, "#") {
			out = append(out, c)
		}
		command = ""
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

// runsOn are commands that a reader starts in another terminal.
var runsOn = regexp.MustCompile(`^(?:bin/)?b24rules (?:emulator|serve)\b| php -S `)

// reads are commands whose output changes while something happens in the background.
var reads = regexp.MustCompile(`^b24rules (?:runs list|events list|status|shadow|why)\b|(?:element\.get|comment\.list)\b`)

// reader types the commands of a page into a shell, with an empty home directory and nothing
// in the environment but the PATH, and compares what they print with what the page shows.
type reader struct {
	t        *testing.T
	ctx      context.Context
	home     string
	dir      string      // where the shell is
	path     string      // its PATH
	replace  replacer    // addresses of the page by free ones
	flags    [][2]string // for addresses that the page leaves to the defaults: after the first text comes the second
	env      []string    // further variables
	before   func(command string)
	services []*exec.Cmd
	logs     []*testkit.Log
}

// newReader returns a reader in an empty folder. The addresses of the emulator and of serve
// are free ones.
func newReader(t *testing.T) *reader {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	portal, hooks := testkit.FreeAddr(t), testkit.FreeAddr(t)
	r := &reader{
		t: t, ctx: ctx, home: t.TempDir(), dir: t.TempDir(), path: os.Getenv("PATH"),
		replace: strings.NewReplacer("127.0.0.1:8484", portal, "127.0.0.1:8400", hooks).Replace,
		flags:   [][2]string{{"b24rules init", " --listen " + hooks}},
		before:  func(string) {},
	}
	r.flags = append(r.flags, [2]string{"b24rules emulator", " --listen " + portal})
	t.Cleanup(func() {
		cancel()
		for _, s := range r.services {
			_ = s.Wait()
		}
		for _, log := range r.logs {
			if t.Failed() {
				t.Logf("another terminal:\n%s", log)
			}
		}
	})
	return r
}

func (r *reader) environment() []string {
	return append([]string{"HOME=" + r.home, "PATH=" + r.path}, r.env...)
}

// also replaces further texts of the page, old and new by turns.
func (r *reader) also(texts ...string) {
	first := r.replace
	then := strings.NewReplacer(texts...)
	r.replace = replacer(func(s string) string { return then.Replace(first(s)) })
}

// replacer replaces texts of a page.
type replacer func(string) string

// shell is a command of the reader. After it the shell is where the command has left it.
func (r *reader) shell(command string, out *bytes.Buffer, in string) *exec.Cmd {
	cmd := exec.CommandContext(r.ctx, "/bin/sh", "-c", command+"\nstatus=$?; printf '%s\\n%s\\n' \"$PWD\" \"$PATH\" > \"$HOME/state\"; exit $status")
	cmd.Dir, cmd.Env = r.dir, r.environment()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(in), out, out
	return cmd
}

// start starts a command that runs until the end of the test or until end is called.
func (r *reader) start(command string, log *testkit.Log) *exec.Cmd {
	r.t.Helper()
	cmd := exec.CommandContext(r.ctx, "/bin/sh", "-c", command)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = r.dir, r.environment(), log, log
	// The shell has children.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.services, r.logs = append(r.services, cmd), append(r.logs, log)
	return cmd
}

// end is Ctrl-C in the terminal of the last command that was started.
func (r *reader) end() {
	r.t.Helper()
	last := r.services[len(r.services)-1]
	r.services = r.services[:len(r.services)-1]
	if err := syscall.Kill(-last.Process.Pid, syscall.SIGINT); err != nil {
		r.t.Fatal(err)
	}
	_ = last.Wait()
}

// typed returns a command as the test types it.
func (r *reader) typed(command string) string {
	command = r.replace(command)
	for _, f := range r.flags {
		if !strings.Contains(command, strings.TrimSpace(f[1])) {
			command = strings.Replace(command, f[0]+" ", f[0]+f[1]+" ", 1)
		}
	}
	return command
}

// follow types a command and returns its output. It fails when the output is not the shown one.
func (r *reader) follow(c shown) string {
	r.t.Helper()
	r.before(c.command)
	command := r.typed(c.command)
	c.output, c.typed = r.replace(c.output), r.replace(c.typed)
	log := testkit.NewLog()
	isService := runsOn.MatchString(c.command)
	if isService {
		r.start(command, log)
	}
	last := ""
	// What happens in the background may take a while on a busy machine.
	for end := time.Now().Add(testkit.Patience); ; time.Sleep(300 * time.Millisecond) {
		if isService {
			last = log.String()
		} else {
			var out bytes.Buffer
			_ = r.shell(command, &out, c.typed).Run() // the exit code of a command with findings is 1
			// Repeated commands may use up the portal's burst, which a reader does not.
			last = limitLog.ReplaceAllString(out.String(), "")
		}
		if c.matches(last) {
			break
		}
		if !isService && !reads.MatchString(c.command) || time.Now().After(end) {
			r.t.Fatalf("%s prints\n%s\nwant\n%s", command, last, c.output)
		}
	}
	if !isService {
		r.moved()
	}
	return last
}

// moved takes over where the last command has left the shell.
func (r *reader) moved() {
	r.t.Helper()
	state := strings.Split(testkit.ReadFile(r.t, filepath.Join(r.home, "state")), "\n")
	r.dir, r.path = state[0], state[1]
}

// run types a command, waits for its end, and returns its exit code and its output.
func (r *reader) run(c shown) (code int, output string) {
	r.t.Helper()
	var out bytes.Buffer
	cmd := r.shell(r.typed(c.command), &out, r.replace(c.typed))
	_ = cmd.Run() // the exit code says how it ended
	r.moved()
	return cmd.ProcessState.ExitCode(), out.String()
}
