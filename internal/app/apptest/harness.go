// Package apptest runs the program for tests: an emulated portal and the engine,
// in one process but talking HTTP.
package apptest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/service"
	"github.com/b24rules/b24rules/internal/app/testkit"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/notes"
	"github.com/b24rules/b24rules/rules"
)

// Options configure New. The zero value means the shipped rule sets on a portal
// without limits, with short waits everywhere.
type Options struct {
	// Plan is the portal's; "" means emulator.PlanUnlimited.
	Plan string
	// Emulator is the portal's configuration; its Plan is set by plan, its
	// EventDelay is 5 ms unless given.
	Emulator emulator.Config
	// Rules are the rule sets; nil means the shipped ones. Debounce applies to rules
	// without a debounce.
	Rules fs.FS
	// Debounce of rules; 0 means 30 ms.
	Debounce time.Duration
	// Inputs of the rule sets; nil means the inputs of the shipped ones. {list} and
	// {type} are replaced with the seed's list and smart process.
	Inputs map[string]map[string]string
	// Limits of the engine. By default retries wait 20 ms at most.
	Limits config.Limits
	// Application, CatchUp and Shadow are as in demo.FixtureOptions.
	Application string
	CatchUp     *config.CatchUp
	Shadow      time.Duration
	// Dir is the folder of the database; "" means a temporary one.
	Dir string
	// Database is a DSN; "" means SQLite in dir.
	Database string
	// Events are those that the portal sends; nil means demo.CRMEvents.
	Events []string
	// Findings, Read and Configure are as in demo.FixtureOptions.
	Findings  bool
	Read      func() (*config.Config, diag.List, error)
	Configure func(*config.Config)
	// Before is called before the engine starts. It can for example add elements of
	// an older script to the list.
	Before func(s *demo.Fixture)
}

// Harness is an emulated portal and the engine in one process. They communicate over
// HTTP, and the database is SQLite on disk. A failure ends the test.
type Harness struct {
	*demo.Fixture
	T   testing.TB
	Log *testkit.Log
}

// New starts an emulated portal and an engine, which end with the test.
func New(t testing.TB, o Options) *Harness {
	t.Helper()
	if o.Plan == "" {
		o.Plan = emulator.PlanUnlimited
	}
	o.Emulator.Plan = o.Plan
	if o.Emulator.EventDelay == 0 {
		o.Emulator.EventDelay = 5 * time.Millisecond
	}
	if o.Rules == nil {
		o.Rules = rules.FS
		if o.Inputs == nil {
			o.Inputs = demo.ShippedInputs()
		}
	}
	if o.Debounce == 0 {
		o.Debounce = 30 * time.Millisecond
	}
	if o.Limits.RetryMax == 0 {
		o.Limits.RetryFirst, o.Limits.RetryMax = 10*time.Millisecond, 20*time.Millisecond
	}
	if o.Limits.Attempts == 0 {
		o.Limits.Attempts = 8
	}
	if o.Limits.Settle == 0 {
		o.Limits.Settle = time.Millisecond // the emulator ends a request with its connection
	}
	if o.Limits.EventDelay == 0 {
		o.Limits.EventDelay = time.Millisecond
	}
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	h := &Harness{T: t, Log: testkit.NewLog()}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of the engine:\n%s", h.Log)
		}
	})
	s, err := demo.NewFixture(h.Context(), demo.FixtureOptions{
		Listen: testkit.FreeAddr(t), Emulator: o.Emulator, Rules: quick(fleet.FilesIn(o.Rules), o.Debounce), Actions: actions.All, Inputs: o.Inputs, Limits: o.Limits, Dir: o.Dir, Database: o.Database,
		Application: o.Application, CatchUp: o.CatchUp, Shadow: o.Shadow, Events: o.Events,
		Log: h.Log.Logger(), Findings: o.Findings, Read: o.Read, Configure: o.Configure, Before: o.Before,
	})
	if err != nil {
		t.Fatalf("fixture: %v", err)
	}
	h.Fixture = s
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close the fixture: %v", err)
		}
	})
	if o.CatchUp != nil { // a stop before the first heartbeat would hide the downtime
		h.Until("alive", func() bool {
			_, ok, err := notes.Get(h.Context(), h.Service.Queue().Database(), service.HeartbeatNote(demo.PortalName))
			return ok && err == nil
		})
		// The engine may not know yet that its heartbeat is stored. This write waits
		// for the engine's transaction.
		if err := notes.Set(h.Context(), h.Service.Queue().Database(), service.HeartbeatNote(demo.PortalName), ""); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

var ruleOn = regexp.MustCompile(`(?m)^    on:`)

// quick adds a debounce to rules without one.
func quick(source fleet.RuleSource, debounce time.Duration) fleet.RuleSource {
	return func() ([]fleet.RuleFile, error) {
		files, err := source()
		for i, f := range files {
			if !bytes.Contains(f.Data, []byte("debounce:")) {
				files[i].Data = ruleOn.ReplaceAll(f.Data, []byte("    debounce: "+debounce.String()+"\n    on:"))
			}
		}
		return files, err
	}
}

// Context returns a context that ends with the test, at the latest after Patience.
func (h *Harness) Context() context.Context {
	ctx, cancel := context.WithTimeout(h.T.Context(), testkit.Patience)
	h.T.Cleanup(cancel)
	return ctx
}

// Wait returns when no event is being delivered and no run is pending.
func (h *Harness) Wait() {
	h.T.Helper()
	if err := h.Fixture.Wait(h.Context()); err != nil {
		h.T.Fatalf("wait: %v (%v)", err, h.States())
	}
}

// States returns the number of runs by state.
func (h *Harness) States() map[journal.State]int {
	stats, err := journal.Count(context.WithoutCancel(h.T.Context()), h.Service.Queue().Database())
	if err != nil {
		h.T.Errorf("stats: %v", err)
	}
	return stats.Runs
}

// AtOnce calls do while runs are paused, so that the events of do have one run even
// on a slow machine.
func (h *Harness) AtOnce(do func()) {
	h.T.Helper()
	if err := h.Service.Queue().Pause(h.Context(), demo.PortalName, "", "several changes"); err != nil {
		h.T.Fatal(err)
	}
	do()
	if err := h.Portal.WaitIdle(h.Context()); err != nil {
		h.T.Fatal(err)
	}
	if _, err := h.Service.Queue().Resume(h.Context(), demo.PortalName, ""); err != nil {
		h.T.Fatal(err)
	}
}

// Rest calls a method of the portal as a person or another script. It decodes the
// result if into is not nil.
func (h *Harness) Rest(method string, params map[string]any, into any) {
	h.T.Helper()
	if err := h.People.Client.Call(h.Context(), method, params, into); err != nil {
		h.T.Fatalf("%s: %v", method, err)
	}
}

// Counters returns the counters of the requests to the portal.
func (h *Harness) Counters() bitrix.Stats {
	return h.Service.Portal(demo.PortalName).Client.Stats()
}

// Stop stops the engine as Ctrl-C does.
func (h *Harness) Stop() {
	h.T.Helper()
	if err := h.Fixture.Stop(); err != nil {
		h.T.Fatalf("stop: %v", err)
	}
	http.DefaultClient.CloseIdleConnections() // Post must not reuse a connection of the old server
}

// Start starts the engine again, on the same address and database.
func (h *Harness) Start() {
	h.T.Helper()
	if err := h.Fixture.Start(context.WithoutCancel(h.T.Context())); err != nil {
		h.T.Fatalf("start: %v", err)
	}
}

// Post sends a body to a hook and returns the status.
func (h *Harness) Post(url, contentType, body string) int {
	h.T.Helper()
	resp, err := http.Post(url, contentType, strings.NewReader(body))
	if err != nil {
		h.T.Fatalf("post: %v", err)
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// Until waits until a condition is true.
func (h *Harness) Until(what string, so func() bool) {
	h.T.Helper()
	for end := time.Now().Add(testkit.Patience); !so(); {
		if time.Now().After(end) {
			h.T.Fatalf("not true after %s: %s", testkit.Patience, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Logged returns how often text is in the log.
func (h *Harness) Logged(text string) int { return strings.Count(h.Log.String(), text) }

// AsApp calls a method with a token of the application.
func (h *Harness) AsApp(method string, params map[string]any, into any) {
	h.T.Helper()
	tokens, err := h.Portal.App().Authorize(1)
	if err != nil {
		h.T.Fatal(err)
	}
	store := &fixedTokens{bitrix.Tokens{Access: bitrix.Secret(tokens.Access), Endpoint: h.PortalURL + "/rest/"}}
	c, err := bitrix.NewClient(bitrix.Config{Plan: bitrix.PlanUnlimited, OAuth: &bitrix.OAuth{ClientID: "x", ClientSecret: "x", Store: store}})
	if err != nil {
		h.T.Fatal(err)
	}
	defer c.Close()
	if err := c.Call(h.Context(), method, params, into); err != nil {
		h.T.Fatalf("%s: %v", method, err)
	}
}

// fixedTokens are tokens that cannot be renewed.
type fixedTokens struct{ t bitrix.Tokens }

func (f *fixedTokens) Load(context.Context) (bitrix.Tokens, error) { return f.t, nil }

func (f *fixedTokens) Update(context.Context, func(context.Context, bitrix.Tokens) (bitrix.Tokens, error)) error {
	return errors.New("not renewed")
}
