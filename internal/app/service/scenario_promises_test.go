package service_test

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
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/journal"
)

// TestSecretsStaySecret looks for the webhook's code and the application token
// in everything that stays behind: the log at its most talkative, and the
// database with its histories and error texts.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	const code, token, password = "c0de0fthewebhook", "t0ken0ftheapplication", "hunter2hunter2"
	dir := t.TempDir()
	h := newHarness(t, apptest.Options{
		Dir:      dir,
		Emulator: emulator.Config{Secret: code, ApplicationToken: token},
		Limits:   config.Limits{Attempts: 2},
	})
	// Texts of people, and parts of addresses of a portal.
	deal := h.AddDeal("Roof", row("Tiles "+code, "10", "1"), row("see https://bob:"+password+"@host.example/?auth="+token, "1", "1"))
	h.Wait()
	h.Post(h.HookURL, formType, h.form("ONCRMDEALUPDATE", nil)+"x") // a wrong token with the prefix of the right one
	h.event("ONCRMWHATEVER", map[string]string{"ID": "0"})
	// The portal goes away: the run fails on the network, and the hold has the reason.
	if err := h.StopPortal(); err != nil {
		t.Fatal(err)
	}
	h.event("ONCRMDEALUPDATE", map[string]string{"ID": fmt.Sprint(deal)})
	h.Until("the run waits for the portal", func() bool { return len(h.holds()) == 1 && h.States()[journal.Waiting] == 1 })
	left := map[string][]byte{"the history": h.history()}
	h.Stop()
	left["the log"] = []byte(h.Log.String())
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
	h.T.Helper()
	var out bytes.Buffer
	runs, err := journal.FindRuns(h.Context(), h.Service.Queue().Database(), journal.Filter{Limit: 1000})
	if err != nil {
		h.T.Fatal(err)
	}
	for _, r := range runs {
		attempts, err := journal.Attempts(h.Context(), h.Service.Queue().Database(), r.ID)
		if err != nil {
			h.T.Fatal(err)
		}
		for _, a := range attempts {
			text, err := history.UnpackRecord(a.Record)
			if err != nil {
				h.T.Fatal(err)
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
	h := newHarness(t, apptest.Options{Plan: emulator.PlanStandard})
	for i := range 12 {
		if _, err := h.People.AddDeal(h.Context(), fmt.Sprintf("Deal %d", i), row("Tiles", "10", "1"), row("Nails", "1", "5")); err != nil {
			t.Fatal(err)
		}
	}
	h.Wait()
	if refused := h.Counters().Refused; refused > 1 {
		// The bucket is per source address, so people's requests fill it
		// without our knowing: one refusal may teach that.
		t.Errorf("%d requests were refused", refused)
	}
	if states := h.States(); states["parked"] != 0 || states["succeeded"] == 0 {
		t.Errorf("runs: %v", states)
	}
}

// TestAChainOfRunsIsCut: a rule that starts itself by its write, and that has to write
// in every run, is parked after 25 runs and does not run for ever.
func TestAChainOfRunsIsCut(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{Debounce: time.Millisecond, Rules: fstest.MapFS{"count.yaml": {Data: []byte(`version: 1
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
	deal := h.AddDeal("Roof", row("Tiles", "10", "1"))
	h.event("ONCRMDEALUPDATE", map[string]string{"ID": fmt.Sprint(deal)})
	h.Until("the chain is cut", func() bool { return h.States()["parked"] == 1 })
	if writes := h.States()["succeeded"]; writes < 20 || writes > 27 {
		t.Errorf("%d runs have written, want about 25", writes)
	}
	if history := h.history(); !bytes.Contains(history, []byte("25 runs have started each other by their writes")) {
		t.Errorf("the history does not say why:\n%s", history)
	}
}
