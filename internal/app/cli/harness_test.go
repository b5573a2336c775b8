package cli

import (
	"bytes"
	"context"
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
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/rules"
)

// harnessOptions say what newHarness sets up. The zero value is the shipped
// rule sets on a portal without limits, with short waits everywhere.
type harnessOptions struct {
	// plan is the portal's; "" means emulator.PlanUnlimited.
	plan string
	// emulator is the portal's configuration; its Plan is set by plan, its
	// EventDelay is 5 ms unless given.
	emulator emulator.Config
	// rules are the rule sets; nil means the shipped ones. A rule without a
	// debounce of its own gets debounce.
	rules fs.FS
	// debounce of rules; 0 means 30 ms.
	debounce time.Duration
	// inputs of the rule sets; nil means what the shipped ones need. {list}
	// and {type} stand for the seed's list and smart process.
	inputs map[string]map[string]string
	// limits of the engine. Retries wait 20 ms at most unless said otherwise.
	limits config.Limits
	// application and catchUp are as in stageOptions.
	application string
	catchUp     *config.CatchUp
	// dir is the folder of the database; "" means one of the test's own.
	dir string
	// database is a DSN; "" means SQLite in dir.
	database string
	// before is called before the engine is started, such as to put elements
	// of an older script into the list.
	before func(s *stage)
}

// harness is an emulated portal and the engine, in this process but talking
// HTTP, with SQLite on disk. Failures end the test.
type harness struct {
	*stage
	t   testing.TB
	log *logBuffer
}

// harnessPatience is how long a test waits for anything: so long that what has
// not come by then will not come, on the busiest machine.
const harnessPatience = 3 * time.Minute

func newHarness(t testing.TB, o harnessOptions) *harness {
	t.Helper()
	if o.plan == "" {
		o.plan = emulator.PlanUnlimited
	}
	o.emulator.Plan = o.plan
	if o.emulator.EventDelay == 0 {
		o.emulator.EventDelay = 5 * time.Millisecond
	}
	if o.rules == nil {
		o.rules = rules.FS
		if o.inputs == nil {
			o.inputs = shippedInputs()
		}
	}
	if o.debounce == 0 {
		o.debounce = 30 * time.Millisecond
	}
	if o.limits.RetryMax == 0 {
		o.limits.RetryFirst, o.limits.RetryMax = 10*time.Millisecond, 20*time.Millisecond
	}
	if o.limits.Settle == 0 {
		o.limits.Settle = time.Millisecond // the emulator ends a request with its connection
	}
	if o.dir == "" {
		o.dir = t.TempDir()
	}
	h := &harness{t: t, log: newLogBuffer()}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of the engine:\n%s", h.log)
		}
	})
	s, err := newStage(h.context(), stageOptions{
		listen: freeAddr(t), emulator: o.emulator, rules: quick(FilesIn(o.rules), o.debounce), actions: actions.All, inputs: o.inputs, limits: o.limits, dir: o.dir, database: o.database,
		application: o.application, catchUp: o.catchUp,
		log: h.log.logger(), before: o.before,
	})
	if err != nil {
		t.Fatalf("stage: %v", err)
	}
	h.stage = s
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Errorf("close the stage: %v", err)
		}
	})
	if o.catchUp != nil { // who stops it before its first sign of life sees another absence
		h.until("alive", func() bool {
			_, ok, err := h.service.Queue().Note(h.context(), HeartbeatNote(stagePortal))
			return ok && err == nil
		})
		// The first one may not have heard yet that it is stored.
		if err := h.service.downtime.heartbeat(h.context(), h.service.Portal(stagePortal)); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

var ruleOn = regexp.MustCompile(`(?m)^    on:`)

// quick gives rules a shorter debounce than the default one.
func quick(source RuleSource, debounce time.Duration) RuleSource {
	return func() ([]RuleFile, error) {
		files, err := source()
		for i, f := range files {
			if !bytes.Contains(f.Data, []byte("debounce:")) {
				files[i].Data = ruleOn.ReplaceAll(f.Data, []byte("    debounce: "+debounce.String()+"\n    on:"))
			}
		}
		return files, err
	}
}

// context returns a context that ends with the test or its patience.
func (h *harness) context() context.Context {
	ctx, cancel := context.WithTimeout(h.t.Context(), harnessPatience)
	h.t.Cleanup(cancel)
	return ctx
}

// wait returns when no event and no run is under way.
func (h *harness) wait() {
	h.t.Helper()
	if err := h.stage.wait(h.context()); err != nil {
		h.t.Fatalf("wait: %v (%v)", err, h.states())
	}
}

func (h *harness) states() map[queue.State]int {
	stats, err := h.service.Queue().Stats(context.WithoutCancel(h.t.Context()))
	if err != nil {
		h.t.Errorf("stats: %v", err)
	}
	return stats.Runs
}

// atOnce lets people do several things before any run begins, so that their
// events have one run, however slow the machine is.
func (h *harness) atOnce(do func()) {
	h.t.Helper()
	if err := h.service.Queue().Pause(h.context(), stagePortal, "", "people are at work"); err != nil {
		h.t.Fatal(err)
	}
	do()
	if err := h.portal.WaitIdle(h.context()); err != nil {
		h.t.Fatal(err)
	}
	if _, err := h.service.Queue().Resume(h.context(), stagePortal, ""); err != nil {
		h.t.Fatal(err)
	}
}

// rest calls a method of the portal as a person or another script does and
// decodes its result, if into is not nil.
func (h *harness) rest(method string, params map[string]any, into any) {
	h.t.Helper()
	if err := h.people.client.Call(h.context(), method, params, into); err != nil {
		h.t.Fatalf("%s: %v", method, err)
	}
}

// counters are what the engine has sent to the portal.
func (h *harness) counters() bitrix.Stats {
	return h.service.Portal(stagePortal).Client.Stats()
}

// stop stops the engine as Ctrl-C does.
func (h *harness) stop() {
	h.t.Helper()
	if err := h.stopEngine(); err != nil {
		h.t.Fatalf("stop: %v", err)
	}
}

// start starts it again, on the same address and database.
func (h *harness) start() {
	h.t.Helper()
	if err := h.startEngine(context.WithoutCancel(h.t.Context())); err != nil {
		h.t.Fatalf("start: %v", err)
	}
}

// post sends a body to a hook and returns the status.
func (h *harness) post(url, contentType, body string) int {
	h.t.Helper()
	resp, err := http.Post(url, contentType, strings.NewReader(body))
	if err != nil {
		h.t.Fatalf("post: %v", err)
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// TestHarness shows the harness at work, and that the two shipped rule sets
// run from an event to changed data.
func TestHarness(t *testing.T) {
	t.Parallel()
	h := newHarness(t, harnessOptions{})
	ctx := h.context()
	deal, err := h.people.addDeal(ctx, "Roof", row{"Tiles", "33.33", "3"}, row{"Nails", "0.07", "1000"})
	if err != nil {
		t.Fatal(err)
	}
	invoice, err := h.people.addInvoice(ctx, "Thirds", row{"A third", "33.33", "3"})
	if err != nil {
		t.Fatal(err)
	}
	h.wait()
	elements, err := h.people.elements(ctx, deal)
	if err != nil || len(elements) != 2 {
		t.Errorf("%d elements, %v; want 2", len(elements), err)
	}
	helpers, err := h.people.helpers(ctx, h.seed.TypeID, invoice)
	if err != nil || len(helpers) != 1 || helpers[0].String() != "99.99" {
		t.Errorf("helpers %v, %v; want one with 99.99", helpers, err)
	}
	before := h.counters()
	if status := h.post(h.hookURL, "application/x-www-form-urlencoded", "event=ONCRMDEALUPDATE&data[FIELDS][ID]=1&auth[application_token]=wrong"); status != http.StatusForbidden {
		t.Errorf("a wrong token gives status %d, want 403", status)
	}
	h.stop()
	h.start()
	h.wait()
	if after := h.counters(); after.Writes != 0 || before.Writes != 3 {
		t.Errorf("%d writes before the restart and %d after it, want 3 (two elements, one helper) and none", before.Writes, after.Writes)
	}
}
