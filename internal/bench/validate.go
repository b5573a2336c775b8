package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/b24rules/b24rules/rules"
)

// validate measures `b24rules validate` next to actionlint, a checker of the same kind: YAML
// with expressions in it. Both have one file after the other of the same number of lines.
type validate struct{ *bench }

// caseValidate checks 1,000 and 5,000 files.
func (b validate) caseValidate(ctx context.Context) error {
	linter := filepath.Join(b.dir, "actionlint")
	build := exec.CommandContext(ctx, "go", "build", "-o", linter, "github.com/rhysd/actionlint/cmd/actionlint")
	build.Dir = "internal/bench/formulas"
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build actionlint: %w\n%.2000s", err, out)
	}
	for _, n := range []int{b.deals, 5 * b.deals} {
		dir := filepath.Join(b.dir, fmt.Sprint("files", n))
		lines, err := writeRules(filepath.Join(dir, "rules"), n)
		if err != nil {
			return err
		}
		workflows, err := writeWorkflows(filepath.Join(dir, ".github", "workflows"), n)
		if err != nil {
			return err
		}
		for _, c := range []struct {
			client string
			lines  int
			cmd    *exec.Cmd
		}{
			{"b24rules", lines, exec.CommandContext(ctx, b.binary, "validate", "rules")},
			{"actionlint", workflows, exec.CommandContext(ctx, linter, "-shellcheck=", "-pyflakes=")},
		} {
			c.cmd.Dir = dir
			r, err := checker(c.cmd)
			if err != nil {
				return err
			}
			r.what, r.client = fmt.Sprintf("9 validate %d files, %d lines", n, c.lines), c.client
			b.add(r)
		}
	}
	return nil
}

// checker runs a checker, which must find nothing.
func checker(cmd *exec.Cmd) (row, error) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return row{}, err
	}
	ended, memory := make(chan struct{}), make(chan int)
	go func() { memory <- peakMemory(cmd.Process.Pid, ended) }()
	err := cmd.Wait()
	wall := time.Since(start)
	close(ended)
	peak := <-memory
	if err != nil {
		return row{}, fmt.Errorf("%s: %w\n%.2000s", cmd, err, out.Bytes())
	}
	if peak == 0 {
		return row{}, fmt.Errorf("the system does not say how much memory %s has used", cmd)
	}
	return row{
		wall: wall, cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(),
		note: fmt.Sprintf("%d MB of memory", peak>>10),
	}, nil
}

// peakMemory follows a process until it has ended. It returns the most memory that it held, in
// kB. The kernel's own count, ru_maxrss, would include that of the bench, which started it.
func peakMemory(pid int, ended <-chan struct{}) (peak int) {
	for {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)) // it may have ended
		if _, rest, ok := strings.Cut(string(status), "VmHWM:"); ok {
			_, _ = fmt.Sscan(rest, &peak)
		}
		select {
		case <-ended:
			return peak
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// writeRules writes n rule files like the included ones and returns their lines.
func writeRules(dir string, n int) (lines int, err error) {
	names, err := fs.Glob(rules.FS, "*.yaml")
	if err != nil {
		return 0, err
	}
	return write(dir, n, "rules%d.yaml", func(i int) (string, error) {
		data, err := fs.ReadFile(rules.FS, names[i%len(names)])
		return strings.NewReplacer(
			"\n  deal-shipments:", fmt.Sprintf("\n  deal-shipments-%d:", i),
			"\n  invoice-total:", fmt.Sprintf("\n  invoice-total-%d:", i),
		).Replace(string(data)), err
	})
}

// writeWorkflows writes n workflows and returns their lines. Each has as many lines as a
// rule file has on average.
func writeWorkflows(dir string, n int) (lines int, err error) {
	// actionlint looks for the root of a project.
	if err := os.MkdirAll(filepath.Join(dir, "..", "..", ".git"), 0o700); err != nil {
		return 0, err
	}
	return write(dir, n, "workflow%d.yaml", func(i int) (string, error) {
		return strings.ReplaceAll(workflow, "NUMBER", fmt.Sprint(i)), nil
	})
}

func write(dir string, n int, name string, text func(i int) (string, error)) (lines int, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, err
	}
	for i := range n {
		t, err := text(i)
		if err != nil {
			return 0, err
		}
		lines += strings.Count(t, "\n")
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf(name, i)), []byte(t), 0o600); err != nil {
			return 0, err
		}
	}
	return lines, nil
}

const workflow = `name: build NUMBER
on:
  push:
    branches: [main]
    paths-ignore: ["docs/**"]
  pull_request:
    types: [opened, synchronize, reopened]
  workflow_dispatch:
    inputs:
      level:
        description: how much to test
        type: choice
        options: [short, long]
        default: short
permissions:
  contents: read
env:
  LEVEL: ${{ github.event.inputs.level || 'short' }}
jobs:
  test:
    runs-on: ${{ matrix.os }}
    timeout-minutes: 20
    strategy:
      fail-fast: false
      matrix:
        os: [ubuntu-latest, windows-latest, macos-latest]
        go: ["1.24", "1.25"]
    steps:
      - uses: actions/checkout@v4
        with:
          fetch-depth: 0
      - uses: actions/setup-go@v5
        with:
          go-version: ${{ matrix.go }}
      - name: tests NUMBER
        id: tests
        if: ${{ github.event_name == 'push' || !contains(github.event.head_commit.message, 'skip') }}
        run: go test -count=1 ./...
        env:
          TOKEN: ${{ secrets.TOKEN }}
      - name: report
        if: ${{ failure() && steps.tests.outcome == 'failure' }}
        run: ./report.sh "${{ runner.os }}" "${{ env.LEVEL }}"
  publish:
    needs: [test]
    runs-on: ubuntu-latest
    if: ${{ github.ref == 'refs/heads/main' && needs.test.result == 'success' }}
    steps:
      - uses: actions/checkout@v4
      - name: publish
        run: make publish
        env:
          VERSION: ${{ format('v1.{0}', github.run_number) }}
`
