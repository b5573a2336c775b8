//go:build unix

package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/probe"
	"github.com/b24rules/b24rules/internal/app/testkit"
)

// probed is an emulated portal whose events are collected.
type probed struct {
	t      *testing.T
	portal *emulator.Portal
	url    string
	client *bitrix.Client

	mu     sync.Mutex
	events []url.Values
	// since is the time of the last change, and from the first event after it. end is how
	// many events there were at the last look.
	since     time.Time
	from, end int
}

func newProbed(t *testing.T, cfg emulator.Config) *probed {
	t.Helper()
	cfg.Plan, cfg.EventDelay, cfg.Secret = emulator.PlanUnlimited, time.Millisecond, "pr0be-s3cret"
	p := &probed{t: t, portal: emulator.New(cfg)}
	t.Cleanup(p.portal.Close)
	server := httptest.NewServer(p.portal)
	t.Cleanup(server.Close)
	p.portal.SetBaseURL(server.URL)
	p.portal.AddDealCategory()
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err == nil {
			p.mu.Lock()
			p.events = append(p.events, r.PostForm)
			p.mu.Unlock()
		}
	}))
	t.Cleanup(receiver.Close)
	p.portal.AddWebhook(receiver.URL, "ONCRMDEALADD", "ONCRMDEALUPDATE", "ONCRMDEALDELETE", "ONCRMDEALMOVETOCATEGORY")
	p.url = server.URL + p.portal.WebhookPath()
	client, err := bitrix.NewClient(bitrix.Config{Webhook: bitrix.Secret(p.url), Plan: bitrix.PlanUnlimited, OperatingLimit: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	p.client = client
	for range 3 { // people have made deals, which no question may count
		fields := map[string]any{"title": "Roof"}
		err := client.Call(t.Context(), "crm.item.add", map[string]any{"entityTypeId": 2, "fields": fields}, nil)
		if err != nil && !bitrix.IsCode(err, "insufficient_scope") {
			t.Fatal(err)
		}
	}
	return p
}

// deal returns the codes of the events of a deal that have arrived since the last change.
func (p *probed) deal(ctx context.Context, id int, since time.Time) ([]string, error) {
	if err := p.portal.WaitIdle(ctx); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !since.Equal(p.since) {
		p.from, p.since = p.end, since
	}
	p.end = len(p.events)
	var codes []string
	for _, e := range p.events[p.from:] {
		if e.Get("data[FIELDS][ID]") == fmt.Sprint(id) {
			codes = append(codes, e.Get("event"))
		}
	}
	slices.Sort(codes)
	return slices.Compact(codes), nil
}

func (p *probed) run(ctx context.Context) (*probe.Report, error) {
	return probe.Run(ctx, probe.Options{
		Client: p.client, Events: p.deal, Wait: time.Minute, Quiet: time.Millisecond, Say: func(string) {},
		Now: time.Now,
	})
}

// left names what a probe has left on the portal.
func (p *probed) left() []string {
	p.t.Helper()
	left, err := probe.Leftovers(p.t.Context(), p.client)
	if err != nil {
		p.t.Fatal(err)
	}
	return left
}

// reported is a report with one answer to all questions.
func reported(v probe.Value, events map[string][]string) *probe.Report {
	r := &probe.Report{
		Version: probe.Version, Date: "2026-11-29", Offset: "+02:00", Currency: "EUR",
		Scopes: []string{"crm", "lists"}, Answers: map[string]probe.Answer{}, Events: events,
	}
	for _, name := range probe.Names() {
		r.Answers[name] = probe.Answer{Value: v}
	}
	return r
}

// TestProbe gets both answers to each question: from a portal made of a report with all
// answers yes, and from one with all answers no.
func TestProbe(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		answer probe.Value
		events map[string][]string
	}{
		{probe.Yes, map[string][]string{
			"add": {"ONCRMDEALADD"}, "update": {"ONCRMDEALUPDATE"}, "unchanged": nil, "rows": {"ONCRMDEALUPDATE"},
			"move": {"ONCRMDEALMOVETOCATEGORY", "ONCRMDEALUPDATE"}, "delete": {"ONCRMDEALDELETE"},
		}},
		{probe.No, map[string][]string{
			"add": {"ONCRMDEALADD"}, "update": {"ONCRMDEALUPDATE"}, "unchanged": {"ONCRMDEALUPDATE"}, "rows": nil,
			"move": {"ONCRMDEALMOVETOCATEGORY"}, "delete": {"ONCRMDEALDELETE"},
		}},
	} {
		t.Run(string(tt.answer), func(t *testing.T) {
			t.Parallel()
			// The report goes through a file, as that of another portal does.
			given, err := probe.Decode(reported(tt.answer, tt.events).Encode())
			if err != nil {
				t.Fatal(err)
			}
			cfg := emulator.Config{Now: func() time.Time { return time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC) }}
			like(&cfg, given)
			p := newProbed(t, cfg)
			before := len(p.portal.Notifications())
			got, err := p.run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for name, a := range got.Answers {
				if a.Value != tt.answer {
					t.Errorf("%s: %s (%s), want %s", name, a.Value, a.Seen, tt.answer)
				}
			}
			if diff := cmp.Diff(tt.events, got.Events); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			if got.Offset != "+02:00" || got.Currency != "EUR" || !slices.Equal(got.Scopes, given.Scopes) {
				t.Errorf("%+v", got)
			}
			if left := p.left(); len(left) > 0 || len(p.portal.Notifications()) != before {
				t.Errorf("the probe has left %v", left)
			}
			text := string(got.Encode())
			for _, private := range []string{"pr0be-s3cret", "127.0.0.1", "Anna", "http"} {
				if strings.Contains(text, private) {
					t.Errorf("the report has %s:\n%s", private, text)
				}
			}
		})
	}
}

// TestProbeOfAPoorPortal: without permissions, pipelines and events the questions are
// unknown, and say why.
func TestProbeOfAPoorPortal(t *testing.T) {
	t.Parallel()
	p := newProbed(t, emulator.Config{Scopes: []string{"crm"}})
	got, err := probe.Run(t.Context(), probe.Options{Client: p.client, Now: time.Now, Say: func(string) {}})
	if err != nil {
		t.Fatal(err)
	}
	if a := got.Answers["update_clears"]; a.Value != probe.Unknown || a.Seen != "the credentials have no permission lists" {
		t.Errorf("%+v", a)
	}
	if a := got.Answers["owners_of_rows"]; a.Value != probe.Yes || len(got.Events) != 0 {
		t.Errorf("%+v %v", a, got.Events)
	}
	p = newProbed(t, emulator.Config{Scopes: []string{"lists"}})
	if _, err := p.run(t.Context()); err == nil || !strings.Contains(err.Error(), "tick crm") {
		t.Errorf("%v", err)
	}
	// A portal that refuses in the middle: the probe ends, and nothing is left.
	p = newProbed(t, emulator.Config{})
	if err := p.portal.SetFaults(emulator.Fault{Method: "lists.field.add", Kind: emulator.FaultRefuse, Code: "ACCESS_DENIED"}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.run(t.Context()); !bitrix.IsCode(err, "ACCESS_DENIED") {
		t.Errorf("%v", err)
	}
	if left := p.left(); len(left) > 0 {
		t.Errorf("the probe has left %v", left)
	}
}

// config writes a configuration for the portal and returns its path.
func (p *probed) config() string {
	p.t.Helper()
	dir := p.t.TempDir()
	testkit.WriteFile(p.t, filepath.Join(dir, "rules.yaml"), "version: 1\nrules:\n  a:\n    on: ONCRMDEALADD\n    steps: [{log: {message: added}}]\n")
	path := filepath.Join(dir, "b24rules.yaml")
	testkit.WriteFile(p.t, path, fmt.Sprintf("rules: [rules.yaml]\nportals:\n  main: {webhook: %q, application_token: t0k3n, plan: unlimited}\n", p.url))
	return path
}

// TestProbeIsInterrupted: what a probe has made goes at once after Ctrl-C. After a kill
// doctor names it, and the next probe removes it.
func TestProbeIsInterrupted(t *testing.T) {
	t.Parallel()
	p := newProbed(t, emulator.Config{})
	config := p.config()
	file := filepath.Join(filepath.Dir(config), "report.yaml")
	// start starts a probe that stops in the middle of a question.
	start := func() *testkit.Process {
		t.Helper()
		if err := p.portal.SetFaults(emulator.Fault{Method: "lists.element.add", Kind: emulator.FaultDelay, Delay: time.Hour}); err != nil {
			t.Fatal(err)
		}
		process := testkit.StartProcess(t, nil, "doctor", "--probe", "--config", config, "--out", file)
		process.Log.Wait(t, 0, "lists.element.get takes a list")
		for end := time.Now().Add(testkit.Patience); p.portal.Faults()[0].Hit == 0; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s", process.Log)
			}
		}
		return process
	}
	process := start()
	process.Signal(syscall.SIGINT)
	if code := process.Exit(); code != exitFailure {
		t.Errorf("exit code %d", code)
	}
	if left := p.left(); len(left) > 0 {
		t.Errorf("after Ctrl-C there is %v", left)
	}
	process = start()
	process.Signal(syscall.SIGKILL)
	process.Exit()
	if left := p.left(); len(left) != 3 {
		t.Errorf("after a kill there is %v, want two deals and a list", left)
	}
	if err := p.portal.SetFaults(); err != nil {
		t.Fatal(err)
	}
	out, _ := initCommand(t.Context(), t, exitFindings, nil, "doctor", "--config", config)
	if !strings.Contains(out, "a probe was interrupted and has left deal ") || !strings.Contains(out, "b24rules doctor --probe --portal main removes it") {
		t.Errorf("%s", out)
	}
	out, talk := initCommand(t.Context(), t, exitFine, nil, "doctor", "--probe", "--config", config, "--out", file)
	if !strings.Contains(talk, "removed what an interrupted probe has left: deal ") || !strings.Contains(out, "owners_of_rows          yes      2 of 2 rows\n") || !strings.Contains(out, "events of add                    not seen\n") {
		t.Errorf("%s\n%s", out, talk)
	}
	if left := p.left(); len(left) > 0 {
		t.Errorf("the probe has left %v", left)
	}
	if out, _ = initCommand(t.Context(), t, exitFindings, nil, "doctor", "--config", config); strings.Contains(out, "interrupted") {
		t.Errorf("%s", out)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(config), "b24rules.db")); err == nil {
		t.Error("the probe has created the database")
	}
	// The emulator takes the report.
	emulated := testkit.StartProcess(t, nil, "emulator", "--listen", "127.0.0.1:0", "--like", file)
	answer, err := http.Get(emulated.Line() + "scope")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.Body.Close() != nil {
		t.Fatal(err)
	}
	var scopes struct{ Result []string }
	if err := json.Unmarshal(body, &scopes); err != nil || !slices.Contains(scopes.Result, "lists") {
		t.Errorf("%s %v", body, err)
	}
}

// TestProbeFiles: what is no report of this version is one sentence.
func TestProbeFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for text, want := range map[string]string{
		"a list":   "this is no report of doctor --probe",
		"probe: 2": "this report has format 2, and this b24rules reads format 1: make the report again with this version",
		"probe: 1\nanswers: {update_clear: {answer: yes}}":   `unknown question "update_clear" (did you mean update_clears?)`,
		"probe: 1\nanswers: {update_clears: {answer: true}}": `the answer to update_clears is "true": want yes, no or unknown`,
	} {
		path := filepath.Join(dir, "report.yaml")
		testkit.WriteFile(t, path, text)
		if _, talk := initCommand(t.Context(), t, exitFailure, nil, "emulator", "--listen", "127.0.0.1:0", "--like", path); !strings.Contains(talk, want) || !strings.Contains(talk, path) {
			t.Errorf("%s: %s, want %s", text, talk, want)
		}
	}
	initCommand(t.Context(), t, exitUsage, nil, "doctor", "--out", "x")
}
