package cli

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/queue"
)

// TestSecretsStaySecret looks for the webhook's code and the application token
// in everything that stays behind: the log at its most talkative, and the
// database with its histories and error texts.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	const code, token, password = "c0de0fthewebhook", "t0ken0ftheapplication", "hunter2hunter2"
	dir := t.TempDir()
	h := newHarness(t, harnessOptions{
		dir:      dir,
		emulator: emulator.Config{Secret: code, ApplicationToken: token},
		limits:   config.Limits{Attempts: 2},
	})
	// What people wrote, and what a portal puts into addresses of its own.
	deal := h.addDeal("Roof", row{"Tiles " + code, "10", "1"}, row{"see https://bob:" + password + "@host.example/?auth=" + token, "1", "1"})
	h.wait()
	h.post(h.hookURL, formType, h.form("ONCRMDEALUPDATE", nil)+"x") // a wrong token that begins like the right one
	h.event("ONCRMDEALUPDATE", map[string]string{"ID": "0"})
	// The portal goes away: the run's attempts fail on the network.
	if err := h.server.Close(); err != nil {
		t.Fatal(err)
	}
	h.event("ONCRMDEALUPDATE", map[string]string{"ID": fmt.Sprint(deal)})
	if err := h.service.Queue().WaitIdle(h.context()); err != nil {
		t.Fatal(err)
	}
	if parked := h.states()["parked"]; parked != 1 {
		t.Errorf("%d runs are parked, want the one without a portal: the scenario shows nothing", parked)
	}
	left := map[string][]byte{"the history": h.history()}
	h.stop()
	left["the log"] = []byte(h.log.String())
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if left[f], err = os.ReadFile(f); err != nil {
			t.Fatal(err)
		}
	}
	if len(left) < 3 || len(left["the log"]) == 0 || !bytes.Contains(left["the history"], []byte("lists.element.add")) {
		t.Fatalf("nothing to look through: %d", len(left))
	}
	for where, data := range left {
		for _, secret := range []string{code, token, password} {
			if bytes.Contains(data, []byte(secret)) {
				t.Errorf("%s holds a secret", where)
			}
		}
	}
}

// history is what is kept of all runs, unpacked.
func (h *harness) history() []byte {
	h.t.Helper()
	var out bytes.Buffer
	runs, err := h.service.Queue().Runs(h.context(), queue.Filter{Limit: 1000})
	if err != nil {
		h.t.Fatal(err)
	}
	for _, r := range runs {
		attempts, err := h.service.Queue().Attempts(h.context(), r.ID)
		if err != nil {
			h.t.Fatal(err)
		}
		for _, a := range attempts {
			text, err := history.UnpackRecord(a.Record)
			if err != nil {
				h.t.Fatal(err)
			}
			fmt.Fprintf(&out, "%+v\n%s\n", a, text)
		}
	}
	return out.Bytes()
}

// TestLimitIsKept changes more deals at once than a standard portal takes
// requests, with people using the same limit: no run fails, and no request of
// ours is refused.
func TestLimitIsKept(t *testing.T) {
	t.Parallel()
	h := newHarness(t, harnessOptions{plan: emulator.PlanStandard})
	for i := range 12 {
		if _, err := h.people.addDeal(h.context(), fmt.Sprintf("Deal %d", i), row{"Tiles", "10", "1"}, row{"Nails", "1", "5"}); err != nil {
			t.Fatal(err)
		}
	}
	h.wait()
	if refused := h.counters().Refused; refused > 1 {
		// The bucket is per source address, so people's requests fill it
		// without our knowing: one refusal may teach that.
		t.Errorf("%d requests were refused", refused)
	}
	if states := h.states(); states["parked"] != 0 || states["succeeded"] == 0 {
		t.Errorf("runs: %v", states)
	}
}

// TestAChainOfRunsIsCut: a rule whose own write starts it again, and which never
// finds the deal as it wants it, is parked after 25 links and not run for ever.
func TestAChainOfRunsIsCut(t *testing.T) {
	t.Parallel()
	h := newHarness(t, harnessOptions{debounce: time.Millisecond, rules: fstest.MapFS{"count.yaml": {Data: []byte(`version: 1
rules:
  count:
    on: ONCRMDEALUPDATE
    steps:
      - id: deal
        fetch_item: {owner: deal, id: =event.id}
      - update_item: # b24rules: allow rule-ring the test is about what happens then
          owner: deal
          id: =event.id
          fields: {title: "{{ deal.title }}x"}
`)}}})
	deal := h.addDeal("Roof", row{"Tiles", "10", "1"})
	h.event("ONCRMDEALUPDATE", map[string]string{"ID": fmt.Sprint(deal)})
	h.until("the chain is cut", func() bool { return h.states()["parked"] == 1 })
	if writes := h.states()["succeeded"]; writes < 20 || writes > 27 {
		t.Errorf("%d runs have written, want about 25", writes)
	}
	if history := h.history(); !bytes.Contains(history, []byte("25 runs have followed from one another")) {
		t.Errorf("the history does not say why:\n%s", history)
	}
}
