package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/b24rules/b24rules/internal/access"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/console"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/cause"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/pgtemp"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/store"
)

// The report of pages is written between these marks.
const (
	pagesBegin = "<!-- make bench-pages writes from here -->"
	pagesEnd   = "<!-- to here, the pages -->"
)

const (
	pagePortals = 500
	pageTries   = 7
	// livePages are open at the same time for liveFor, while an event arrives each second.
	livePages = 50
	liveFor   = 30 * time.Second
	// fillAtOnce is how many rows one statement inserts.
	fillAtOnce = 20_000
)

// pages measures the pages of the console over a database with many runs of 500 portals, on SQLite
// and PostgreSQL. It writes the report into file, unless file is "". keep, if not "", is where
// the database of SQLite stays.
func pages(ctx context.Context, b *bench, runs int, keep, file string) (err error) {
	if keep == "" {
		keep = filepath.Join(b.dir, "pages.db")
	}
	var pool pgtemp.Pool
	defer func() { err = errors.Join(err, pool.Close()) }()
	_, dsn, err := pool.Create(ctx, "")
	if err != nil {
		return err
	}
	if err := b.build(ctx); err != nil {
		return err
	}
	results := map[string]*pageResult{}
	var questions []question
	for _, one := range []struct{ name, dsn string }{{"SQLite", "sqlite:" + keep}, {"PostgreSQL", dsn}} {
		b.say("%s: filling %d runs", one.name, runs)
		r, err := pagesOf(ctx, b, one.dsn, runs)
		if err == nil {
			questions = r.questions
			r.commands, err = ask(ctx, b, one.dsn, questions)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", one.name, err)
		}
		results[one.name] = r
		for i, path := range r.paths {
			b.say("%s: first %.0f ms, then %.0f ms: %s", one.name, ms(r.first[i]), ms(r.median[i]), path)
		}
		b.say("%s: %d open pages take %.1f %% of a core; the load is %s", one.name, livePages, r.live, load())
	}
	var out strings.Builder
	fmt.Fprintf(&out, "Measured %s, %s, %d cores with a load of %s from this and other work: %d runs, %d events and as many attempts of %d portals. The first answer after the start, and the median of %d further ones, in ms.\n\n"+
		"| page | SQLite, first | median | PostgreSQL, first | median |\n|---|---:|---:|---:|---:|\n",
		time.Now().UTC().Format(time.DateOnly), runtime.Version(), runtime.NumCPU(), load(), runs, eventsFor(runs), pagePortals, pageTries-1)
	lite, pg := results["SQLite"], results["PostgreSQL"]
	for i, path := range lite.paths {
		fmt.Fprintf(&out, "| `%s` | %.0f | %.0f | %.0f | %.0f |\n", path, ms(lite.first[i]), ms(lite.median[i]), ms(pg.first[i]), ms(pg.median[i]))
	}
	fmt.Fprintf(&out, "\n%d open pages of runs, with an event each second, take %.1f %% of a core on SQLite and %.1f %% on PostgreSQL, the browsers' part included (%s each).\n",
		livePages, lite.live, pg.live, liveFor)
	out.WriteString("\nThe questions of the person on call over this database. A command is a process that starts, reads the configuration of all portals and answers. The clicks are pages, the last one has the answer; their time is the sum of the medians.\n\n" +
		"| question | command | SQLite | PostgreSQL | clicks | SQLite | PostgreSQL |\n|---|---|---:|---:|---:|---:|---:|\n")
	for i, q := range questions {
		fmt.Fprintf(&out, "| %s | `%s` | %.0f | %.0f | %d | %.0f | %.0f |\n", q.text, strings.Join(q.command, " "), ms(lite.commands[i]), ms(pg.commands[i]), len(q.clicks)-1, ms(lite.clicks[i]), ms(pg.clicks[i]))
	}
	b.say("%s", out.String())
	if file == "" {
		return nil
	}
	return replaceBetween(file, pagesBegin, pagesEnd, out.String())
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// load is how many processes wanted to run in the last minute.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown size"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

// pageResult is what was measured on one database.
type pageResult struct {
	paths         []string
	first, median []time.Duration
	live          float64 // in percent of a core
	// commands and clicks are the times of the questions.
	questions        []question
	commands, clicks []time.Duration
}

func pagesOf(ctx context.Context, b *bench, dsn string, runs int) (r *pageResult, err error) {
	log := slog.New(slog.DiscardHandler)
	q, err := queue.Open(ctx, dsn, queue.Options{Log: log})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, q.Close()) }()
	started := time.Now()
	newest, err := journal.FindEvents(ctx, q.Database(), journal.EventFilter{Limit: 1})
	if err != nil {
		return nil, err
	}
	now := started
	if len(newest) == 0 {
		err = fill(ctx, q.Database(), runs, now)
	} else { // it was filled before
		now = newest[0].Received
	}
	if err != nil {
		return nil, err
	}
	b.say("filled in %s", time.Since(started).Round(time.Second))
	c := &config.Config{Console: config.Console{Listen: "127.0.0.1:0", Access: access.Rules{Open: true}}}
	for i := range pagePortals {
		c.Portals = append(c.Portals, config.Portal{Name: pagePortal(i)})
	}
	pages := console.New(console.Options{
		Queue: q, Config: func() *config.Config { return c }, Broken: func() []config.BrokenPortal { return nil },
		Rules: func() *fleet.Generation { return nil }, Log: log,
	})
	server := httptest.NewServer(pages.Handler())
	defer server.Close()
	running, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { pages.Run(running) })
	defer wg.Wait()
	defer stop()
	r = &pageResult{paths: pagePaths(runs, now)}
	for _, path := range r.paths {
		first, median, _, err := timesOf(ctx, server.URL+path)
		if err != nil {
			return nil, err
		}
		r.first, r.median = append(r.first, first), append(r.median, median)
	}
	r.questions = onCall(runs, now)
	for _, q := range r.questions {
		var sum time.Duration
		for i, path := range q.clicks {
			_, median, body, err := timesOf(ctx, server.URL+path)
			if err == nil && i == len(q.clicks)-1 && !strings.Contains(body, q.page) {
				err = fmt.Errorf("%s: %s has no %q", q.text, path, q.page)
			}
			if err != nil {
				return nil, err
			}
			sum += median
		}
		r.clicks = append(r.clicks, sum)
	}
	r.live, err = live(ctx, q, server.URL)
	return r, err
}

func pagePortal(i int) string { return fmt.Sprintf("portal-%d", i) }

// pagePaths are the pages and filters that are measured.
func pagePaths(runs int, now time.Time) []string {
	long := now.Add(-20 * 24 * time.Hour).UTC()
	parked := runs / 2 / parkedEach * parkedEach
	return []string{
		"/portals", "/portals/portal-7", "/runs", "/runs?portal=portal-7", "/runs?rule=rule-3", "/runs?portal=portal-7&rule=rule-7", "/runs?entity=deal:123", "/runs?portal=portal-7&entity=deal:7",
		"/runs?state=parked", "/runs?state=parked&portal=portal-7", "/runs?state=parked&group=cause", "/runs?state=parked&cause=" + cause.ID(pageCauses()[0]),
		"/runs?from=" + long.Format("2006-01-02T15:04") + "&to=" + long.Add(time.Hour).Format("2006-01-02T15:04"), "/runs?q=nothing+has+this+text", "/runs?outcome=wrote", "/runs?outcome=gone",
		"/runs?group=day", "/runs?group=day&portal=portal-7", "/runs?group=day&rule=rule-3",
		fmt.Sprintf("/runs/%d", parked), "/runs/replay?cause=" + cause.ID(pageCauses()[0]),
		"/events", "/events?portal=portal-7", "/events?rule=none", "/events/11", "/why?portal=portal-7&of=deal:7", "/rules", "/audit",
	}
}

// timesOf reads a page pageTries times: how long the first answer takes, the median of the others, and
// what the page is.
func timesOf(ctx context.Context, address string) (first, median time.Duration, body string, err error) {
	var took []time.Duration
	for range pageTries {
		at := time.Now()
		if body, err = get(ctx, address); err != nil {
			return 0, 0, "", err
		}
		took = append(took, time.Since(at))
	}
	rest := took[1:]
	slices.Sort(rest)
	return took[0], rest[len(rest)/2], body, nil
}

func get(ctx context.Context, address string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: status %d: %.300s", address, resp.StatusCode, body)
	}
	return string(body), err
}

// live opens pages that read themselves again, and returns the CPU time that they take, in percent
// of a core.
func live(ctx context.Context, q *queue.Queue, base string) (float64, error) {
	idle, err := cpuOf(func() error { return arrive(ctx, q) })
	if err != nil {
		return 0, err
	}
	open, end := context.WithCancel(ctx)
	defer end()
	var wg sync.WaitGroup
	var ready sync.WaitGroup
	var reads atomic.Int64
	errs := make([]error, livePages)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2 * livePages}}
	for i := range livePages {
		ready.Add(1)
		wg.Go(func() { errs[i] = follow(open, client, base, ready.Done, &reads) })
	}
	ready.Wait()
	busy, err := cpuOf(func() error { return arrive(ctx, q) })
	end()
	wg.Wait()
	client.CloseIdleConnections()
	if reads.Load() == 0 {
		return 0, errors.New("no open page has read itself again")
	}
	return busy - idle, errors.Join(append(errs, err)...)
}

// follow is one open page.
func follow(ctx context.Context, client *http.Client, base string, ready func(), reads *atomic.Int64) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/live", nil)
	if err != nil {
		ready()
		return err
	}
	resp, err := client.Do(req)
	ready()
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewScanner(resp.Body)
	have := "" // the digest of what the page shows
	for lines.Scan() {
		if lines.Text() != "event: changed" {
			continue
		}
		page, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/runs", nil)
		if err != nil {
			return err
		}
		page.Header.Set("X-Live", "changed")
		page.Header.Set("X-Have", have)
		got, err := client.Do(page)
		if err != nil {
			break // the measurement has ended
		}
		_, _ = io.Copy(io.Discard, got.Body)
		_ = got.Body.Close()
		have = got.Header.Get("X-Digest")
		reads.Add(1)
	}
	return nil
}

// arrive stores an event each second for liveFor.
func arrive(ctx context.Context, q *queue.Queue) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for range int(liveFor / time.Second) {
		e := journal.Event{Portal: pagePortal(1), Code: "ONCRMDEALUPDATE"}
		if err := q.Push(ctx, e, nil); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// cpuOf is the CPU time of this process while do runs, in percent of a core.
func cpuOf(do func() error) (float64, error) {
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			return 0
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before, at := used(), time.Now()
	err := do()
	return 100 * float64(used()-before) / float64(time.Since(at)), err
}

// madeRecords is how many records rules have made.
const madeRecords = 200_000

// parkedEach is the distance of parked runs: 2,967 of 1,000,000.
const parkedEach = 337

// eventsFor is how many events the runs have: each eleventh event has none.
func eventsFor(runs int) int { return runs + (runs-1)/10 }

// pageCauses are the causes of the parked runs.
func pageCauses() []string {
	var out []string
	for i := range 5 {
		c := cause.Cause{Kind: cause.Refused, Method: "lists.element.get", Code: fmt.Sprintf("ERROR_%d", i)}
		out = append(out, c.String())
	}
	return out
}

// fill stores runs of the last 30 days.
func fill(ctx context.Context, db store.DB, runs int, now time.Time) error {
	events := eventsFor(runs)
	step := (30 * 24 * time.Hour).Microseconds() / int64(events)
	from := now.Add(-30 * 24 * time.Hour).UnixMicro()
	const numbers = `WITH RECURSIVE n (i) AS (SELECT CAST($1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < CAST($2 AS BIGINT)) `
	at := func(i string) string { return fmt.Sprintf("%d + %s * %d", from, i, step) }
	const event = `(i + (i - 1) / 10)` // of run i
	portal := func(i string) string { return fmt.Sprintf("'portal-' || (%s %% %d)", i, pagePortals) }
	causes := pageCauses()
	why := "CASE (i / 337) % 5"
	for i, c := range causes {
		why += fmt.Sprintf(" WHEN %d THEN '%s'", i, strings.ReplaceAll(c, "'", "''"))
	}
	why += " END"
	isParked := fmt.Sprintf("i %% %d = 0", parkedEach)
	state := fmt.Sprintf("CASE WHEN %s THEN 'parked' WHEN i > %d THEN 'waiting' ELSE 'succeeded' END", isParked, runs-pagePortals)
	failure := "'r.yaml:7:9: rule total, step write: ACCESS_DENIED: the portal denies access'"
	for _, table := range []struct {
		rows int
		text string
	}{
		{pagePortals, `INSERT INTO b24_mark (portal, rule, step, kind, place, identity, owner, scope, key, fields, file, first_version, last_version) SELECT ` + portal("i") + `, 'total', 'write', 'elements', 'list:47', 'a',
			'', '', '', '["NAME","SUM"]', 'r.yaml:7:9', 'a', 'a' FROM n`},
		{madeRecords, `INSERT INTO b24_made (mark, thing, entity, run, at) SELECT 1 + i % ` + fmt.Sprint(pagePortals) + `, 1 + i / ` + fmt.Sprint(pagePortals) + `, 0, i, ` + fmt.Sprint(now.Unix()) + ` FROM n`},
		{events, `INSERT INTO b24_event (portal, code, data, routes, sent_at, received_at, why) SELECT ` + portal("i") + `, 'ONCRMDEALUPDATE', '{"FIELDS":{"ID":"' || (i % 5000) || '"}}',
			CASE WHEN i % 11 = 0 THEN 0 ELSE 1 END, ` + at("i") + `, ` + at("i") + `, CASE WHEN i % 11 = 0 THEN '[{"rule":"total","why":"it has other events"}]' ELSE '' END FROM n`},
		{runs, `INSERT INTO b24_run (portal, rule, entity, state, added, deleted, count, attempt, max_attempts, event_id, first_at, opened_at, due_at, started_at, finished_at, error, cause, outcome, writes)
			SELECT ` + portal(event) + `, 'rule-' || (i % 20), 'deal:' || (` + event + ` % 5000), ` + state + `, false, false, 1, 1, 20, ` + event + `, ` + at(event) + `, ` + at(event) + `, ` + at(event) + `, ` + at(event) + `,
			` + at(event) + ` + 300000, CASE WHEN ` + isParked + ` THEN ` + failure + ` ELSE '' END, CASE WHEN ` + isParked + ` THEN ` + why + ` ELSE '' END,
			CASE WHEN ` + state + ` = 'succeeded' THEN 'done' ELSE '' END, CASE WHEN ` + state + ` = 'succeeded' THEN i % 2 ELSE 0 END FROM n`},
		{runs, `INSERT INTO b24_run_event (run_id, event_id) SELECT i, ` + event + ` FROM n`},
		{runs, `INSERT INTO b24_attempt (run_id, number, outcome, error, record, started_at, finished_at) SELECT i, 1, CASE WHEN ` + isParked + ` THEN 'parked' ELSE 'succeeded' END,
			CASE WHEN ` + isParked + ` THEN ` + failure + ` ELSE '' END, '{"rule":"total","outcome":"done","calls":2,"writes":1}', ` + at(event) + `, ` + at(event) + ` + 300000 FROM n`},
	} {
		for first := 1; first <= table.rows; first += fillAtOnce {
			err := db.Write(ctx, func(ctx context.Context, t store.Tx) error {
				_, err := t.Exec(ctx, numbers+table.text, first, min(first+fillAtOnce-1, table.rows))
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return db.Write(ctx, func(ctx context.Context, t store.Tx) error {
		_, err := t.Exec(ctx, `ANALYZE`)
		return err
	})
}
