package main

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	_ "modernc.org/sqlite" // the driver of the handler to compare with
)

// The burst: so many events over so many deals, from so many connections.
const (
	burstEvents      = 10_000
	burstDeals       = 500
	burstConnections = 64
)

// marks of the burst's part of the report.
const (
	burstBegin = "<!-- go run ./bench -burst writes from here -->"
	burstEnd   = "<!-- to here, the burst -->"
)

// burst measures how events are taken: by the engine, and by a handler that
// gives each of them a commit of its own.
func (b *bench) burst(ctx context.Context, file string) error {
	s, err := newSite(ctx, "main", true, burstDeals, rowsPerDeal)
	if err != nil {
		return err
	}
	defer s.close()
	var deals []int
	for len(deals) < burstEvents {
		deals = append(deals, s.deals...)
	}
	plain, err := b.burstPlain(ctx, deals)
	if err != nil {
		return fmt.Errorf("a commit for each event: %w", err)
	}
	e, err := b.startEngine(ctx, s)
	if err != nil {
		return err
	}
	defer func() { _ = e.stop() }()
	start := time.Now()
	ours, err := post(ctx, e.hook+s.name, burstConnections, deals)
	if err != nil {
		return err
	}
	p, err := e.worked(ctx, s.name, len(deals))
	if err != nil {
		return err
	}
	st := s.portal.Stats()
	text := fmt.Sprintf("Measured %s, %s, %d cores shared by the handler, the portal and this program: %d events over %d deals from %d connections.\n\n"+
		"| handler | events/s | p50 | p99 | longest | all answered |\n|---|---:|---:|---:|---:|---:|\n%s%s\n"+
		"The engine took %.1f times as many events a second. It had worked them off %s after the first: %d runs, %d requests with %d commands, %d refused.\n",
		time.Now().UTC().Format(time.DateOnly), runtime.Version(), runtime.NumCPU(), len(deals), burstDeals, burstConnections,
		ours.line("b24rules"), plain.line("a commit for each event"),
		ours.rate()/plain.rate(), seconds(p.at.Sub(start)), p.runs, st.Requests, commands(st), st.Refused)
	b.say("%s", text)
	if file == "" {
		return nil
	}
	return replaceBetween(file, burstBegin, burstEnd, text)
}

// answers are what became of a burst's events.
type answers struct {
	took []time.Duration // sorted
	wall time.Duration
}

func (a answers) rate() float64 { return float64(len(a.took)) / a.wall.Seconds() }

func (a answers) at(share float64) time.Duration {
	return a.took[min(len(a.took)-1, int(share*float64(len(a.took))))].Round(100 * time.Microsecond)
}

func (a answers) line(name string) string {
	return fmt.Sprintf("| %s | %.0f | %s | %s | %s | %s |\n", name, a.rate(), a.at(0.5), a.at(0.99), a.at(1), seconds(a.wall))
}

// post posts an update of each deal. Every event must be answered with 200.
func post(ctx context.Context, hook string, connections int, deals []int) (answers, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
	defer client.CloseIdleConnections()
	a := answers{took: make([]time.Duration, len(deals))}
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, connections)
	start := time.Now()
	for worker := range connections {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(deals)); i = next.Add(1) - 1 {
				began := time.Now()
				if errs[worker] = postOne(ctx, client, hook, deals[i]); errs[worker] != nil {
					return
				}
				a.took[i] = time.Since(began)
			}
		})
	}
	wg.Wait()
	a.wall = time.Since(start)
	slices.Sort(a.took)
	return a, errors.Join(errs...)
}

// burstPlain measures the handler to compare with, a process of its own as the
// engine is.
func (b *bench) burstPlain(ctx context.Context, deals []int) (answers, error) {
	program, err := os.Executable()
	if err != nil {
		return answers{}, err
	}
	cmd := exec.CommandContext(ctx, program, "-plain", filepath.Join(b.dir, "plain.db"))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return answers{}, err
	}
	if err := cmd.Start(); err != nil {
		return answers{}, err
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	hook, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return answers{}, err
	}
	return post(ctx, strings.TrimSpace(hook), burstConnections, deals)
}

// servePlain is the handler that many would write: it reads the form, checks
// the token and inserts the event, each with its own commit, on the same kind
// of database with the same promise.
func servePlain(path string) error {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(5000)")
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1) // several would only wait for each other
	if _, err := db.Exec(`CREATE TABLE event (id INTEGER PRIMARY KEY, code TEXT NOT NULL, data TEXT NOT NULL, received_at BIGINT NOT NULL)`); err != nil {
		return err
	}
	insert, err := db.Prepare(`INSERT INTO event (code, data, received_at) VALUES (?, ?, ?)`)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("http://%s/\n", ln.Addr())
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil || r.PostForm.Get("auth[application_token]") != token {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		if _, err := insert.ExecContext(r.Context(), r.PostForm.Get("event"), r.PostForm.Encode(), time.Now().UnixMicro()); err != nil {
			http.Error(w, "no", http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "stored\n")
	})}
	return server.Serve(ln)
}

func postOne(ctx context.Context, client *http.Client, hook string, deal int) error {
	form := url.Values{
		"event": {"ONCRMDEALUPDATE"}, "data[FIELDS][ID]": {strconv.Itoa(deal)}, "ts": {strconv.FormatInt(time.Now().Unix(), 10)},
		"auth[application_token]": {token}, "auth[domain]": {"portal.example"},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, hook, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("an event was answered with %s", resp.Status)
	}
	return nil
}
