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
	"github.com/b24rules/b24rules/internal/app/service"
	"github.com/b24rules/b24rules/internal/app/testkit"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/rules"
)

// Options say what newHarness sets up. The zero value is the shipped
// rule sets on a portal without limits, with short waits everywhere.
type Options struct {
	// Plan is the portal's; "" means emulator.PlanUnlimited.
	Plan string
	// Emulator is the portal's configuration; its Plan is set by plan, its
	// EventDelay is 5 ms unless given.
	Emulator emulator.Config
	// Rules are the rule sets; nil means the shipped ones. A rule without a
	// Debounce of its own gets debounce.
	Rules fs.FS
	// Debounce of rules; 0 means 30 ms.
	Debounce time.Duration
	// Inputs of the rule sets; nil means what the shipped ones need. {list}
	// and {type} stand for the seed's list and smart process.
	Inputs map[string]map[string]string
	// Limits of the engine. Retries wait 20 ms at most unless said otherwise.
	Limits config.Limits
	// Application and catchUp are as in demo.FixtureOptions.
	Application string
	CatchUp     *config.CatchUp
	// Dir is the folder of the database; "" means one of the test's own.
	Dir string
	// Database is a DSN; "" means SQLite in dir.
	Database string
	// Before is called before the engine is started, such as to put elements
	// of an older script into the list.
	Before func(s *demo.Fixture)
}

// Harness is an emulated portal and the engine, in this process but talking
// HTTP, with SQLite on disk. Failures end the test.
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
	if o.Limits.Settle == 0 {
		o.Limits.Settle = time.Millisecond // the emulator ends a request with its connection
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
		Listen: testkit.FreeAddr(t), Emulator: o.Emulator, Rules: quick(service.FilesIn(o.Rules), o.Debounce), Actions: actions.All, Inputs: o.Inputs, Limits: o.Limits, Dir: o.Dir, Database: o.Database,
		Application: o.Application, CatchUp: o.CatchUp,
		Log: h.Log.Logger(), Before: o.Before,
	})
	if err != nil {
		t.Fatalf("stage: %v", err)
	}
	h.Fixture = s
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close the stage: %v", err)
		}
	})
	if o.CatchUp != nil { // who stops it before its first sign of life sees another absence
		h.Until("alive", func() bool {
			_, ok, err := h.Service.Queue().Note(h.Context(), service.HeartbeatNote(demo.PortalName))
			return ok && err == nil
		})
		// The engine may not know yet that its heartbeat is stored; this one waits
		// behind it.
		if err := h.Service.Queue().SetNote(h.Context(), service.HeartbeatNote(demo.PortalName), ""); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

var ruleOn = regexp.MustCompile(`(?m)^    on:`)

// quick gives rules a shorter debounce than the default one.
func quick(source service.RuleSource, debounce time.Duration) service.RuleSource {
	return func() ([]service.RuleFile, error) {
		files, err := source()
		for i, f := range files {
			if !bytes.Contains(f.Data, []byte("debounce:")) {
				files[i].Data = ruleOn.ReplaceAll(f.Data, []byte("    debounce: "+debounce.String()+"\n    on:"))
			}
		}
		return files, err
	}
}

// Context returns a context that ends with the test or its patience.
func (h *Harness) Context() context.Context {
	ctx, cancel := context.WithTimeout(h.T.Context(), testkit.Patience)
	h.T.Cleanup(cancel)
	return ctx
}

// Wait returns when no event and no run is under way.
func (h *Harness) Wait() {
	h.T.Helper()
	if err := h.Fixture.Wait(h.Context()); err != nil {
		h.T.Fatalf("wait: %v (%v)", err, h.States())
	}
}

func (h *Harness) States() map[queue.State]int {
	stats, err := h.Service.Queue().Stats(context.WithoutCancel(h.T.Context()))
	if err != nil {
		h.T.Errorf("stats: %v", err)
	}
	return stats.Runs
}

// AtOnce lets people do several things before any run begins, so that their
// events have one run, however slow the machine is.
func (h *Harness) AtOnce(do func()) {
	h.T.Helper()
	if err := h.Service.Queue().Pause(h.Context(), demo.PortalName, "", "people are at work"); err != nil {
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

// Rest calls a method of the portal as a person or another script does and
// decodes its result, if into is not nil.
func (h *Harness) Rest(method string, params map[string]any, into any) {
	h.T.Helper()
	if err := h.People.Client.Call(h.Context(), method, params, into); err != nil {
		h.T.Fatalf("%s: %v", method, err)
	}
}

// Counters are what the engine has sent to the portal.
func (h *Harness) Counters() bitrix.Stats {
	return h.Service.Portal(demo.PortalName).Client.Stats()
}

// Stop stops the engine as Ctrl-C does.
func (h *Harness) Stop() {
	h.T.Helper()
	if err := h.Fixture.Stop(); err != nil {
		h.T.Fatalf("stop: %v", err)
	}
}

// Start starts it again, on the same address and database.
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

// Until waits until something is so.
func (h *Harness) Until(what string, so func() bool) {
	h.T.Helper()
	for end := time.Now().Add(testkit.Patience); !so(); {
		if time.Now().After(end) {
			h.T.Fatalf("not so after %s: %s", testkit.Patience, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

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

// fixedTokens are tokens that nobody renews.
type fixedTokens struct{ t bitrix.Tokens }

func (f *fixedTokens) Load(context.Context) (bitrix.Tokens, error) { return f.t, nil }

func (f *fixedTokens) Update(context.Context, func(context.Context, bitrix.Tokens) (bitrix.Tokens, error)) error {
	return errors.New("not renewed")
}
