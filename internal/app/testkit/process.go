//go:build unix

package testkit

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is this program as a separate process.
type Process struct {
	Cmd    *exec.Cmd
	Stdout *bufio.Reader
	Log    *Log // its stderr

	t      testing.TB
	waited sync.Once
	code   int
}

// StartProcess starts the program; it ends with the test.
func StartProcess(t testing.TB, env []string, args ...string) *Process {
	t.Helper()
	p := &Process{t: t, Cmd: exec.Command(os.Args[0], args...), Log: NewLog()}
	p.Cmd.Env = append(append(os.Environ(), asProgram+"=1"), env...)
	p.Cmd.Stderr = p.Log
	out, err := p.Cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.Stdout = bufio.NewReader(out)
	if err := p.Cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.Cmd.Process.Kill() // it may have ended
		p.Exit()
		if t.Failed() {
			t.Logf("%v said:\n%s", args, p.Log)
		}
	})
	return p
}

// Signal sends a signal to the process.
func (p *Process) Signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.Cmd.Process.Signal(s); err != nil {
		p.t.Errorf("signal: %v", err)
	}
}

// Exit waits for the end and returns the exit code, -1 for a signal.
func (p *Process) Exit() int {
	p.waited.Do(func() {
		ended := make(chan struct{})
		timer := time.AfterFunc(Patience, func() { _ = p.Cmd.Process.Kill() })
		go func() { defer close(ended); _ = p.Cmd.Wait() }()
		<-ended
		timer.Stop()
		p.code = p.Cmd.ProcessState.ExitCode()
	})
	return p.code
}

// Line reads a line of the process's stdout.
func (p *Process) Line() string {
	p.t.Helper()
	text, err := p.Stdout.ReadString('\n')
	if err != nil {
		p.t.Fatalf("stdout: %v\n%s", err, p.Log)
	}
	return strings.TrimSuffix(text, "\n")
}

// ServeConfig writes a configuration for serve and returns its path.
func ServeConfig(t testing.TB, dir, addr, webhook, inputs, rules string) string {
	t.Helper()
	path := filepath.Join(dir, "b24rules.yaml")
	WriteFile(t, path, fmt.Sprintf(`listen: %s
database: sqlite:test.db
rules: [%s]
portals:
  demo:
    webhook: %s
    application_token: ${TEST_TOKEN}
    plan: unlimited
%slog: {level: debug}
limits: {attempts: 8, retry_first: 10ms, retry_max: 20ms, settle: 1ms, event_delay: 1ms}
`, addr, rules, webhook, inputs))
	return path
}

// ProgramDir returns a folder with the program under its name, for PATH.
func ProgramDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "b24rules")
	script := fmt.Sprintf("#!/bin/sh\n%s=1 exec %q \"$@\"\n", asProgram, os.Args[0])
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
