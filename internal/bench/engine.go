package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/b24rules/b24rules/rules"
)

const token = "bench-application-token"

// engine is a running b24rules serve with the included rules. The bench reads its
// progress from its log.
type engine struct {
	cmd   *exec.Cmd
	dir   string // of its configuration and its database
	hook  string // address for events, without the portal's name
	ended chan error

	profiles string // folder for profiles; "" writes none
	last     string // last line of the log, for error messages
	leases   atomic.Int64

	*processed
}

// processed is what one engine or several have processed.
type processed struct {
	mu      sync.Mutex
	changed chan struct{}
	portals map[string]*progress
}

func newProcessed() *processed {
	return &processed{changed: make(chan struct{}), portals: map[string]*progress{}}
}

// progress counts the runs of one portal.
type progress struct {
	runs, failed, events int
	at                   time.Time // end of the last run
}

// runLine is a log line about a run.
type runLine struct {
	Message string `json:"msg"`
	Portal  string `json:"portal"`
	Outcome string `json:"outcome"`
	Events  int    `json:"events"`
}

func (b *bench) startEngine(ctx context.Context, sites ...*site) (*engine, error) {
	dir, err := b.configure("", sites...)
	if err != nil {
		return nil, err
	}
	return b.startIn(ctx, dir)
}

// configure writes the configuration of an engine for some portals into a folder. Its
// database is the file b.db, unless the address of another one is given.
func (b *bench) configure(database string, sites ...*site) (dir string, err error) {
	database = cmp.Or(database, "sqlite:b.db")
	b.mu.Lock()
	b.engines++
	dir = filepath.Join(b.dir, strconv.Itoa(b.engines))
	b.mu.Unlock()
	if err := os.MkdirAll(filepath.Join(dir, "rules"), 0o700); err != nil {
		return "", err
	}
	if err := copyRules(filepath.Join(dir, "rules")); err != nil {
		return "", err
	}
	var c strings.Builder
	fmt.Fprintf(&c, "listen: 127.0.0.1:0\ndatabase: %s\nrules: [rules]\nlog: {format: json, requests: %t}\nportals:\n", database, b.trace != "")
	for _, s := range sites {
		fmt.Fprintf(&c, "  %s:\n    webhook: %s\n    application_token: %s\n    plan: %s\n    shared: %t\n    inputs:\n      deal-shipments: {list: %d}\n      invoice-total: {helper_type: %d}\n",
			s.name, s.url, token, s.plan, s.shared, s.ids.ShipmentList, s.ids.TotalsType)
	}
	return dir, os.WriteFile(filepath.Join(dir, "b24rules.yaml"), []byte(c.String()), 0o600)
}

// startIn starts the engine of a folder, which may have run before.
func (b *bench) startIn(ctx context.Context, dir string) (*engine, error) {
	return b.startWith(ctx, dir, newProcessed())
}

// startWith is startIn for an engine that adds what it processes to that of others.
func (b *bench) startWith(ctx context.Context, dir string, p *processed) (*engine, error) {
	config := filepath.Join(dir, "b24rules.yaml")
	e := &engine{dir: dir, cmd: exec.Command(b.binary, "serve", "--config", config), ended: make(chan error, 1), processed: p, profiles: b.profiles}
	if b.profiles != "" {
		e.cmd.Env = append(os.Environ(), "BENCH_PROFILE="+b.profiles)
	}
	stderr, err := e.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	var log io.Reader = stderr
	closeTrace := func() {}
	if b.trace != "" {
		f, err := traceFile(b.trace, filepath.Base(dir))
		if err != nil {
			return nil, err
		}
		log, closeTrace = io.TeeReader(stderr, f), func() { _ = f.Close() }
	}
	if err := e.cmd.Start(); err != nil {
		closeTrace()
		return nil, err
	}
	ready := make(chan string, 1)
	go func() { // ends with the process
		e.follow(log, ready)
		closeTrace()
		e.ended <- e.cmd.Wait()
	}()
	select {
	case e.hook = <-ready:
		return e, nil
	case err := <-e.ended:
		return nil, fmt.Errorf("the engine did not start: %w: %s", err, e.last)
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), e.stop())
	}
}

func copyRules(dir string) error {
	files, err := fs.Glob(rules.FS, "*.yaml")
	if err != nil {
		return err
	}
	for _, name := range files {
		data, err := fs.ReadFile(rules.FS, name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// follow reads the engine's log.
func (e *engine) follow(log io.Reader, ready chan<- string) {
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		text := lines.Text()
		if _, hook, ok := strings.Cut(text, ": events at "); ok {
			select {
			case ready <- hook[:strings.LastIndexByte(hook, '/')+1]:
			default: // the line of another portal
			}
		}
		var line runLine
		if json.Unmarshal([]byte(text), &line) != nil {
			e.last = text
			continue
		}
		switch line.Message {
		case "run":
			e.note(line)
		case "portal lease acquired":
			e.leases.Add(1)
		case "portal lease released":
			e.leases.Add(-1)
		default:
			e.last = text
		}
	}
}

func (e *processed) note(line runLine) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.of(line.Portal)
	p.at = time.Now()
	switch line.Outcome {
	case "failed", "parked", "postponed":
		p.failed++
	default:
		p.runs++
		p.events += line.Events
	}
	close(e.changed)
	e.changed = make(chan struct{})
}

func (e *processed) of(portal string) *progress {
	p := e.portals[portal]
	if p == nil {
		p = &progress{}
		e.portals[portal] = p
	}
	return p
}

// waitProcessed waits until runs have processed this many events of a portal in total.
func (e *engine) waitProcessed(ctx context.Context, portal string, events int) (progress, error) {
	for {
		e.mu.Lock()
		p, changed := *e.of(portal), e.changed
		e.mu.Unlock()
		if p.events >= events {
			return p, nil
		}
		select {
		case <-changed:
		case err := <-e.ended:
			return p, fmt.Errorf("the engine ended: %w: %s", err, e.last)
		case <-ctx.Done():
			return p, fmt.Errorf("%d of %d events of portal %s processed: %w", p.events, events, portal, ctx.Err())
		}
	}
}

// cpu is the CPU time of the engine so far, 0 on systems without /proc.
func (e *engine) cpu() time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", e.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // after the program's name
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11]) // fields 14 and 15 of proc(5), in hundredths of a second
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// stop ends the engine in the same way as Ctrl-C.
func (e *engine) stop() error {
	if e.profiles != "" {
		if err := e.writeProfiles(); err != nil {
			return err
		}
	}
	if err := e.cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	select {
	case err := <-e.ended:
		return err
	case <-time.After(20 * time.Second):
		return errors.Join(errors.New("the engine did not end"), e.cmd.Process.Kill())
	}
}

// postUpdates posts one update event for each deal over several connections, like the
// portal's queue server. It returns when all are answered.
func (e *engine) postUpdates(ctx context.Context, portal string, deals []int, connections int) error {
	_, err := post(ctx, e.hook+portal, connections, deals)
	return err
}

// traceFile opens the log of the engine or the command with this name for more lines.
func traceFile(dir, name string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return os.OpenFile(filepath.Join(dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}
