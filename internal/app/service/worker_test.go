package service

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/testkit"
	"github.com/b24rules/b24rules/internal/ingest"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/php"
	"github.com/b24rules/b24rules/internal/queue"
)

// bench is an app without HTTP in front of it, whose portal is a function.
type bench struct {
	*Service
	t     *testing.T
	files map[string]string
	log   *testkit.Log
}

const brokenText = "version: 1\nrules:\n  Broken: {}\n"

// memorySource serves what files holds at the moment.
func memorySource(files map[string]string, names ...string) fleet.RuleSource {
	return func() ([]fleet.RuleFile, error) {
		var out []fleet.RuleFile
		for _, name := range names {
			if text, ok := files[name]; ok {
				out = append(out, fleet.RuleFile{Name: name, Data: []byte(text)})
			}
		}
		return out, nil
	}
}

func newBench(t *testing.T, files map[string]string, portal http.HandlerFunc) *bench {
	t.Helper()
	if portal == nil {
		portal = func(http.ResponseWriter, *http.Request) { t.Error("the portal was asked") }
	}
	server := httptest.NewServer(portal)
	t.Cleanup(server.Close)
	c := &config.Config{
		Database: "sqlite:" + t.TempDir() + "/test.db",
		Portals:  []config.Portal{{Name: "main", Webhook: bitrix.Secret(server.URL + "/rest/1/s3cr3t/"), Plan: bitrix.PlanUnlimited, Token: "t"}},
		Limits:   config.Limits{Attempts: 2, RetryFirst: time.Millisecond, RetryMax: time.Millisecond},
	}
	b := &bench{t: t, files: files, log: testkit.NewLog()}
	l := &fleet.Rules{Actions: actions.All, Source: memorySource(files, "a.yaml", "b.yaml"), Portals: c.Portals}
	if _, _, err := l.Load(); err != nil {
		t.Fatal(err)
	}
	a, err := New(t.Context(), Options{Config: c, Rules: l, Log: b.log.Logger()})
	if err != nil {
		t.Fatal(err)
	}
	b.Service = a
	t.Cleanup(a.Close)
	return b
}

// send pushes an event of a deal.
func (b *bench) send(deal string) {
	b.t.Helper()
	fields := php.NewArray()
	fields.Set("ID", deal)
	data := php.NewArray()
	data.Set("FIELDS", fields)
	if err := b.intake.push(b.t.Context(), "main", bitrix.Event{Code: "ONCRMDEALUPDATE", Data: data, Time: time.Unix(1729797011, 0)}); err != nil {
		b.t.Fatal(err)
	}
}

// run works until the only run is in the state and returns it.
func (b *bench) run(state journal.State) journal.Run {
	b.t.Helper()
	from := b.log.Size()
	ctx, stop := testkit.Context(b.t)
	ended := make(chan error, 1)
	go func() { ended <- b.queue.Work(ctx, b.worker.work) }()
	switch state {
	case journal.Waiting:
		b.log.Wait(b.t, from, "msg=run ", "outcome=postponed")
	default:
		if err := b.queue.WaitIdle(ctx); err != nil {
			b.t.Fatalf("%v\n%s", err, b.log)
		}
	}
	stop()
	if err := <-ended; err != nil {
		b.t.Fatal(err)
	}
	runs, err := journal.FindRuns(context.WithoutCancel(ctx), b.queue.Database(), journal.Filter{})
	if err != nil || len(runs) != 1 {
		b.t.Fatalf("%d runs, %v", len(runs), err)
	}
	if runs[0].State != state {
		b.t.Errorf("state %s, want %s: %s", runs[0].State, state, runs[0].Error)
	}
	return runs[0]
}

func TestWorkLogsOneLine(t *testing.T) {
	t.Parallel()
	b := newBench(t, map[string]string{"a.yaml": testkit.Rule("note", "      - log: {message: 'deal {{ event.id }} of {{ event.portal }}'}\n")}, nil)
	b.send("7")
	run := b.run(journal.Succeeded)
	line := b.log.Wait(t, 0, "msg=run ")
	for _, want := range []string{"portal=main", "rule=note", "entity=deal:7", "outcome=done", "calls=0", "writes=0", "took=", "attempt=1", "events=1"} {
		if !strings.Contains(line, want) {
			t.Errorf("the line lacks %s: %s", want, line)
		}
	}
	attempts, err := journal.Attempts(t.Context(), b.queue.Database(), run.ID)
	if err != nil || len(attempts) != 1 || !strings.Contains(string(attempts[0].Record), `"rule":"note"`) {
		t.Errorf("attempts %+v, %v", attempts, err)
	}
}

// answersProbes is a portal that is not at fault as a whole: it answers probes.
func answersProbes(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/server.time") {
			_, _ = w.Write([]byte(`{"result":"2026-03-01T12:00:00+03:00"}`))
			return
		}
		h(w, r)
	}
}

func TestWorkVerdicts(t *testing.T) {
	t.Parallel()
	refuse := func(status int, code string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(`{"error":"` + code + `","error_description":"because"}`))
		}
	}
	tests := []struct {
		name     string
		steps    string
		portal   http.HandlerFunc
		state    journal.State
		attempts int
		text     string
		outcome  string
	}{
		{"a failed formula is parked at once", "      - compute: {a: =1 / (event.count - 1)}\n", nil, journal.Parked, 1, "a.yaml:7:", "outcome=parked"},
		{"a refusal that nothing mends is parked at once", testkit.ReadDeal, answersProbes(refuse(http.StatusUnauthorized, "INVALID_CREDENTIALS")), journal.Parked, 1, "INVALID_CREDENTIALS", "outcome=parked"},
		{"a broken answer is tried again", testkit.ReadDeal, answersProbes(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }), journal.Parked, 2, "BAD_ANSWER", "outcome=failed"},
		{"a portal that is over its time postpones", testkit.ReadDeal, refuse(http.StatusTooManyRequests, "OPERATION_TIME_LIMIT"), journal.Waiting, 0, "OPERATION_TIME_LIMIT", "outcome=postponed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, map[string]string{"a.yaml": testkit.Rule("r", tt.steps)}, tt.portal)
			b.send("7")
			run := b.run(tt.state)
			if run.Attempt != tt.attempts || !strings.Contains(run.Error, tt.text) {
				t.Errorf("attempt %d, error %q; want %d and %q", run.Attempt, run.Error, tt.attempts, tt.text)
			}
			b.log.Wait(t, 0, "msg=run ", tt.outcome)
			if strings.Contains(b.log.String()+run.Error, "s3cr3t") {
				t.Errorf("the webhook's secret is told:\n%s", b.log)
			}
		})
	}
}

func TestWorkUsesTheRuleOfNow(t *testing.T) {
	t.Parallel()
	text := testkit.Rule("r", "      - compute: {a: =1 / (event.count - 1)}\n")
	tests := []struct {
		name   string
		change map[string]string
		state  journal.State
		error  string
	}{
		{"changed", map[string]string{"a.yaml": testkit.Rule("r", "      - log: {message: hi}\n")}, journal.Succeeded, ""},
		{"removed", map[string]string{"a.yaml": testkit.Rule("other", "      - log: {message: hi}\n")}, journal.Waiting, "the rule is in no rule file of the portal"},
		{"moved into a file that is broken", map[string]string{"a.yaml": testkit.Rule("other", "      - log: {message: hi}\n"), "b.yaml": brokenText}, journal.Waiting, "the rule is in no valid rule file: b.yaml:3:3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, map[string]string{"a.yaml": text}, nil)
			b.send("7")
			for name, text := range tt.change {
				b.files[name] = text
			}
			if _, _, err := b.rules.Load(); err != nil {
				t.Fatal(err)
			}
			if run := b.run(tt.state); !strings.Contains(run.Error, tt.error) {
				t.Errorf("error %q, want %q", run.Error, tt.error)
			}
		})
	}
}

func TestWorkPortalRemoved(t *testing.T) {
	t.Parallel()
	b := newBench(t, map[string]string{"a.yaml": testkit.Rule("r", "      - log: {message: hi}\n")}, nil)
	b.send("7")
	gone := b.portals.get("main")
	b.portals.stop("main", ingest.Digest{})
	gone.Client.Close()
	if run := b.run(journal.Waiting); !strings.Contains(run.Error, "the portal is not in the configuration") {
		t.Errorf("error %q", run.Error)
	}
}

func TestPushKeepsTheData(t *testing.T) {
	t.Parallel()
	b := newBench(t, map[string]string{"a.yaml": testkit.Rule("r", "      - log: {message: hi}\n")}, nil)
	b.send("007")
	runs, err := journal.FindRuns(t.Context(), b.queue.Database(), journal.Filter{})
	if err != nil || len(runs) != 1 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	if e := runs[0].Event; string(e.Data) != `{"FIELDS":{"ID":"007"}}` || e.Sent.Unix() != 1729797011 || runs[0].Entity != "deal:7" {
		t.Errorf("data %s, sent %s, entity %s", e.Data, e.Sent, runs[0].Entity)
	}
	if err := b.intake.push(t.Context(), "main", bitrix.Event{Code: "ONCRMWHATEVER", Data: php.NewArray()}); err != nil {
		t.Errorf("an event that no rule hears: %v", err)
	}
	if stats, err := journal.Count(t.Context(), b.queue.Database()); err != nil || stats.Events != 2 || stats.NoRule != 1 {
		t.Errorf("stats %+v, %v; want two events, one without a rule", stats, err)
	}
}

// TestBackfillLeavesTheBurst: a run that no event asked for goes through the
// client's door for what can wait.
func TestBackfillLeavesTheBurst(t *testing.T) {
	p := &Portal{Client: new(bitrix.Client)}
	for _, tt := range []struct {
		priority journal.Priority
		later    bool
	}{{journal.Live, false}, {journal.Backfill, true}} {
		r := &queue.Run{Run: journal.Run{Entity: "deal:7", Priority: tt.priority, Event: journal.Event{Data: []byte("null")}}}
		w := &worker{config: &settings{}}
		w.config.Store(&config.Config{})
		run, err := w.engineRun(p, r, nil, nil)
		if _, later := run.Client.(bitrix.Later); err != nil || later != tt.later {
			t.Errorf("%s: later %t, %v", tt.priority, later, err)
		}
	}
}
