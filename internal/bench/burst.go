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

	_ "modernc.org/sqlite" // the driver of servePlain
)

// The size of the burst.
const (
	burstEvents      = 10_000
	burstDeals       = 500
	burstConnections = 64
)

// The marks around the report of the burst.
const (
	burstBegin = "<!-- make bench-burst writes from here -->"
	burstEnd   = "<!-- to here, the burst -->"
)

// bursts measures many events at the same time.
type bursts struct{ *bench }

// measure measures how fast events are accepted by the engine, and by a handler that
// commits each event separately.
func (b bursts) measure(ctx context.Context, file string) error {
	s, err := newSite(ctx, "main", true, burstDeals, rowsPerDeal)
	if err != nil {
		return err
	}
	defer s.close()
	var deals []int
	for len(deals) < burstEvents {
		deals = append(deals, s.deals...)
	}
	plain, err := b.plain(ctx, deals)
	if err != nil {
		return fmt.Errorf("one commit per event: %w", err)
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
	p, err := e.waitProcessed(ctx, s.name, len(deals))
	if err != nil {
		return err
	}
	st := s.portal.Stats()
	text := fmt.Sprintf("Measured %s, %s, %d cores shared by the handler, the portal and this program: %d events of %d deals from %d connections.\n\n"+
		"| handler | events/s | p50 | p99 | longest | all answered |\n|---|---:|---:|---:|---:|---:|\n%s%s\n"+
		"The engine accepted %.1f times as many events per second. All were processed %s after the first event: %d runs, %d requests with %d commands, %d refused.\n",
		time.Now().UTC().Format(time.DateOnly), runtime.Version(), runtime.NumCPU(), len(deals), burstDeals, burstConnections,
		ours.line("b24rules"), plain.line("one commit per event"),
		ours.rate()/plain.rate(), seconds(p.at.Sub(start)), p.runs, st.Requests, commands(st), st.Refused)
	b.say("%s", text)
	if file == "" {
		return nil
	}
	return replaceBetween(file, burstBegin, burstEnd, text)
}

// answers holds the times in which the events of a burst were answered.
type answers struct {
	took []time.Duration // sorted
	wall time.Duration
}

func (a answers) rate() float64 { return float64(len(a.took)) / a.wall.Seconds() }

func (a answers) quantile(share float64) time.Duration {
	return a.took[min(len(a.took)-1, int(share*float64(len(a.took))))].Round(100 * time.Microsecond)
}

func (a answers) line(name string) string {
	return fmt.Sprintf("| %s | %.0f | %s | %s | %s | %s |\n", name, a.rate(), a.quantile(0.5), a.quantile(0.99), a.quantile(1), seconds(a.wall))
}

// newPoster is a client that keeps connections open, like the portal's queue server.
func newPoster(connections int) *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
}

// post posts an update event for each deal. It fails if an event gets another answer
// than 200.
func post(ctx context.Context, hook string, connections int, deals []int) (answers, error) {
	client := newPoster(connections)
	defer client.CloseIdleConnections()
	a := answers{took: make([]time.Duration, len(deals))}
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, connections)
	start := time.Now()
	for worker := range connections {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(deals)); i = next.Add(1) - 1 {
				started := time.Now()
				if errs[worker] = postOne(ctx, client, hook, deals[i]); errs[worker] != nil {
					return
				}
				a.took[i] = time.Since(started)
			}
		})
	}
	wg.Wait()
	a.wall = time.Since(start)
	slices.Sort(a.took)
	return a, errors.Join(errs...)
}

// plain measures servePlain in a separate process, like the engine.
func (b bursts) plain(ctx context.Context, deals []int) (answers, error) {
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

// servePlain is a simple event handler for comparison. It reads the form, checks the
// token and inserts the event in its own commit, on the same kind of database and with
// the same promise as the engine.
func servePlain(path string) error {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(5000)")
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1) // more connections would only wait for each other
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

// postOne posts an update event of a deal.
func postOne(ctx context.Context, client *http.Client, hook string, deal int) error {
	return postEvent(ctx, client, hook, "ONCRMDEALUPDATE", deal, nil)
}

// postEvent posts an event of the entity with this id. fields are further ones of data[FIELDS].
func postEvent(ctx context.Context, client *http.Client, hook, code string, id int, fields map[string]string) error {
	form := url.Values{
		"event": {code}, "data[FIELDS][ID]": {strconv.Itoa(id)}, "ts": {strconv.FormatInt(time.Now().Unix(), 10)},
		"auth[application_token]": {token}, "auth[domain]": {"portal.example"},
	}
	for name, value := range fields {
		form.Set("data[FIELDS]["+name+"]", value)
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
		return fmt.Errorf("an event was answered with %s, expected 200", resp.Status)
	}
	return nil
}
