// Command bench measures the engine against an emulated portal and writes
// docs/performance.md.
//
// The portal has the documented limits. Each case of cases.go is compared with a client
// that sends one request after another.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// limit is the longest time of the whole program, so it cannot hang a build. Filling two databases
// for -pages takes longer on a busy machine.
const (
	limit      = 40 * time.Minute
	limitPages = time.Hour
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() (err error) {
	names := flag.String("case", "", "run only the cases of this `LIST`, such as 1-one,4-large; does not write docs/performance.md")
	quick := flag.Bool("quick", false, "measure a tenth of everything; does not write docs/performance.md")
	out := flag.String("out", "docs/performance.md", "write the report to `FILE`, between its two marks")
	trace := flag.String("trace", "", "keep the log of each engine, with its requests, in `DIR`")
	profiles := flag.String("profile", "", "keep profiles of the last engine in `DIR`: cpu.pprof and allocs.pprof")
	burst := flag.Bool("burst", false, "measure a burst of events instead, compared with a handler that commits each event")
	tick := flag.Bool("ticks", false, "measure instead what people lose who write into a list while the engine updates it")
	plain := flag.String("plain", "", "run that handler with its database in `FILE`")
	page := flag.Bool("pages", false, "measure instead the pages of the console over 500 portals and -runs runs")
	runs := flag.Int("runs", 1_000_000, "store `N` runs for -pages")
	keep := flag.String("keep", "", "keep the SQLite database of -pages in `FILE`, and use it again")
	var post steadily
	post.flags()
	flag.Parse()
	if post.hook != "" {
		return post.main(context.Background())
	}
	if *plain != "" {
		return servePlain(*plain)
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	longest := limit
	if *page {
		longest = limitPages
	}
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	dir, err := os.MkdirTemp("", "b24rules-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	b := &bench{dir: dir, binary: filepath.Join(dir, "b24rules"), deals: 1000, sample: 30, portals: 100, trace: *trace, profiles: *profiles}
	if *quick {
		b.deals, b.sample, b.portals = 100, 10, 10
	}
	chosen, err := choose(b.cases(), *names)
	if err != nil {
		return err
	}
	if *page {
		return pages(ctx, b, *runs, *keep, *out)
	}
	if slices.ContainsFunc(chosen, func(c benchCase) bool { return c.name == "6-jssdk" }) && !*burst && !*tick {
		if _, err := os.Stat("tools/jssdk/node_modules"); err != nil {
			return errors.New("the JavaScript SDK is missing: npm ci --prefix tools/jssdk")
		}
	}
	if err := b.build(ctx); err != nil {
		return err
	}
	if *burst {
		return bursts{b}.measure(ctx, *out)
	}
	if *tick {
		return ticks(ctx, b, *out)
	}
	b.say("%s", b.table.header())
	if err := b.runAll(ctx, chosen); err != nil {
		return err
	}
	if *quick || *names != "" {
		return nil
	}
	return b.table.write(*out)
}

// runAll runs the cases. Those that mostly wait for a rate limit run first and together,
// the others one after another.
func (b *bench) runAll(ctx context.Context, chosen []benchCase) error {
	one := func(c benchCase) error {
		if err := c.run(ctx); err != nil {
			return fmt.Errorf("case %s: %w", c.name, err)
		}
		return nil
	}
	var wg sync.WaitGroup
	errs := make([]error, len(chosen))
	for i, c := range chosen {
		if c.rateBound {
			wg.Go(func() { errs[i] = one(c) })
		}
	}
	wg.Wait()
	for i, c := range chosen {
		if !c.rateBound && errors.Join(errs...) == nil {
			errs[i] = one(c)
		}
	}
	return errors.Join(errs...)
}

// choose returns the cases in a comma-separated list of names. "" returns all.
func choose(all []benchCase, list string) ([]benchCase, error) {
	if list == "" {
		return all, nil
	}
	var out []benchCase
	for name := range strings.SplitSeq(list, ",") {
		i := slices.IndexFunc(all, func(c benchCase) bool { return c.name == name })
		if i < 0 {
			var names []string
			for _, c := range all {
				names = append(names, c.name)
			}
			return nil, fmt.Errorf("unknown case %q (one of %s)", name, strings.Join(names, ", "))
		}
		out = append(out, all[i])
	}
	return out, nil
}

// bench is one run of the program.
type bench struct {
	dir     string // for databases and rule files
	binary  string // the program b24rules
	deals   int    // number of deals in the cases 1 to 3
	sample  int    // number of deals that the sequential client processes
	portals int    // number of portals in case 5

	mu      sync.Mutex
	engines int // number of engines started so far
	table   table

	trace, profiles string // folders; "" writes neither
}

func (b *bench) say(format string, args ...any) { fmt.Printf(format+"\n", args...) }

func (b *bench) add(r row) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.table.rows = append(b.table.rows, r)
	b.say("%s", r)
}
