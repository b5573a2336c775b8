// Command bench measures the engine against an emulated portal that keeps the
// documented limits, beside a client that sends one request after another, and
// writes docs/performance.md. See the cases in cases.go.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

// limit bounds the whole program: it never hangs a build.
const limit = 15 * time.Minute

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() (err error) {
	names := flag.String("cases", "sequential,1,3,4,5", "`LIST` of cases to run")
	quick := flag.Bool("quick", false, "a tenth of everything; docs/performance.md stays as it is")
	out := flag.String("out", "docs/performance.md", "write the report to `FILE`, between its two marks")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	dir, err := os.MkdirTemp("", "b24rules-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	b := &bench{dir: dir, binary: filepath.Join(dir, "b24rules"), deals: 1000, sample: 40, portals: 100}
	if *quick {
		b.deals, b.sample, b.portals = 100, 10, 10
	}
	if text, err := exec.CommandContext(ctx, "go", "build", "-o", b.binary, "./cmd/b24rules").CombinedOutput(); err != nil {
		return fmt.Errorf("build the engine: %w: %s", err, text)
	}
	b.say("%s", b.table.header())
	for _, c := range b.cases() {
		if !strings.Contains(","+*names+",", ","+c.name+",") {
			continue
		}
		if err := c.run(ctx); err != nil {
			return fmt.Errorf("case %s: %w", c.name, err)
		}
	}
	if *quick || *names != flag.Lookup("cases").DefValue {
		return nil
	}
	return b.table.write(*out)
}

// bench is one run of the program.
type bench struct {
	dir     string // for databases and rules
	binary  string // the engine
	deals   int    // in the cases 1 to 3
	sample  int    // deals that the sequential client works off
	portals int    // in case 5
	engines int    // started so far
	table   table
}

func (b *bench) say(format string, args ...any) { fmt.Printf(format+"\n", args...) }

func (b *bench) add(r row) {
	b.table.rows = append(b.table.rows, r)
	b.say("%s", r)
}
