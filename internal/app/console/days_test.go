package console_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/b24rules/b24rules/engine/dryrun"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/jobs"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/store"
)

// TestDays: runs are counted by day, with the runs of an older version, which did not store what they did.
// The page's JSON is that of runs list --by day.
func TestDays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("Roof")
	w.deal("Gutter", 50)
	c := w.client()
	w.h.Until("one wrote, one had nothing to do", func() bool {
		runs, err := journal.FindRuns(t.Context(), w.h.Service.Queue().Database(), journal.Filter{States: []journal.State{journal.Succeeded}})
		return err == nil && len(runs) == 2
	})
	c.want(c.get("/portals/"+demo.PortalName), http.StatusOK, "3 runs</a>, 1 wrote")
	c.want(c.get("/runs?group=day&portal="+demo.PortalName), http.StatusOK, "b24rules runs list --by day --portal demo", "/runs?from="+time.Now().UTC().Format(time.DateOnly)+"&amp;portal=demo&amp;to=")
	c.want(c.get("/rules/share"), http.StatusOK, "Last seven days")
	c.want(c.get("/runs?group=day&state=praked"), http.StatusBadRequest, "did you mean parked?")
	var want bytes.Buffer
	days, err := report.ReadDays(t.Context(), w.h.Service.Queue(), journal.Filter{}, time.UTC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := report.WriteDays(&want, "json", days); err != nil {
		t.Fatal(err)
	}
	if got := days.Days[0].RunCounts; got != (journal.RunCounts{Runs: 3, Wrote: 1, Nothing: 1, Parked: 1}) {
		t.Errorf("today: %+v", got)
	}
	if got := c.get("/runs?group=day", "Accept", "application/json").body; got != want.String() {
		t.Errorf("the page's JSON:\n%.500s\nwant\n%.500s", got, want.String())
	}
	c.want(c.get("/runs?outcome=wrote"), http.StatusOK)
	err = w.h.Service.Queue().Database().Write(t.Context(), func(ctx context.Context, tx store.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE b24_run SET outcome = '', writes = 0 WHERE state = 'succeeded'`)
		if err == nil {
			_, err = tx.Exec(ctx, `UPDATE b24_attempt SET record = '' WHERE outcome = 'succeeded'`)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	c.want(c.get("/runs?group=day"), http.StatusOK, "What 2 runs did is not known: an older version has finished them")
	list := c.get("/runs?outcome=wrote")
	c.want(list, http.StatusOK, "No run matches", "Runs that an older version has finished have no outcome")
	runs, err := journal.FindRuns(t.Context(), w.h.Service.Queue().Database(), journal.Filter{States: []journal.State{journal.Succeeded}})
	if err != nil || len(runs) != 2 {
		t.Fatal(runs, err)
	}
	c.want(c.get(fmt.Sprintf("/runs/%d", runs[0].ID)), http.StatusOK, "is done: what it did is not stored")
	c.want(c.get("/runs"), http.StatusOK, "what it did is not stored")
}

// TestNewerRuns: the page of a run says how many newer ones of the same rule and entity there are.
func TestNewerRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	run := w.fail("Roof")
	entity := w.run(run).Entity
	for _, sum := range []int{10, 20} {
		w.setSum(strings.TrimPrefix(entity, "deal:"), sum)
		w.h.Wait()
	}
	runs, err := journal.FindRuns(t.Context(), w.h.Service.Queue().Database(), journal.Filter{Entity: entity})
	if err != nil || len(runs) < 3 {
		t.Fatalf("%d runs: %v", len(runs), err)
	}
	c := w.client()
	c.want(c.get(fmt.Sprintf("/runs/%d", run)), http.StatusOK, fmt.Sprintf("%d runs of the rule and entity are newer.", len(runs)-1), fmt.Sprintf("Run %d of the same rule and entity succeeded later", runs[0].ID))
}

// TestDriftOfPortal: the page of a portal shows what the last comparison has found. Users who do not see
// records see no values of it, also not as JSON.
func TestDriftOfPortal(t *testing.T) {
	t.Parallel()
	w := openWorld(t, apptest.Options{
		Rules: fstest.MapFS{"share.yaml": {Data: []byte(testRules)}}, Inputs: map[string]map[string]string{},
		Configure: func(c *config.Config) { c.Drift = config.Drift{Every: 24 * time.Hour, Share: 1, Start: -1} },
	}, users(t)...)
	w.h.Until("the first comparison has ended", func() bool {
		s, err := report.ReadStatus(t.Context(), w.h.Service.Queue(), []string{demo.PortalName}, false)
		return err == nil && s.Portals[0].Drift != nil
	})
	differs := report.Plan{Rule: "share", Portal: demo.PortalName, Entity: "deal:7", Changes: []dryrun.Change{{
		Kind: dryrun.ChangeUpdate, Record: "item 2:7", Title: "Roof " + script, Fields: []dryrun.FieldChange{{Name: "comments", Before: "mine", After: "Part 2"}},
	}}}
	result := &report.DriftResult{At: time.Now(), Drift: report.Drift{Rules: []report.RuleDrift{
		{Portal: demo.PortalName, Rule: "share", Entities: 120, Differing: 3, Plans: []report.Plan{differs}},
		{Portal: demo.PortalName, Rule: "other", NotSeen: "the portal answers " + script},
	}}}
	place, err := json.Marshal(report.DriftState{Times: "24h0m0s -1", Last: result})
	if err != nil {
		t.Fatal(err)
	}
	if err := jobs.New(w.h.Service.Queue().Database()).Replace(t.Context(), jobs.Job{Portal: demo.PortalName, Kind: report.KindDrift, Place: place, Due: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	const page = "/portals/" + demo.PortalName
	oncall, guest := w.client(), w.client()
	oncall.signIn("oncall", "correct horse")
	guest.signIn("guest", "correct horse")
	a := oncall.get(page)
	oncall.want(a, http.StatusOK, "3 of 120 entities differ", "deal:7: 1 to change", "<del>mine</del> → <ins>Part 2</ins>", "b24rules sync --rule share --portal demo", "2 further entities", "not compared with the portal")
	if strings.Contains(a.body, script) {
		t.Error("data of the portal is markup")
	}
	oncall.want(oncall.get(page+"?lang=ru"), http.StatusOK, "3 из 120 объектов")
	for _, address := range []string{page, "/portals"} {
		for _, accept := range []string{"text/html", "application/json"} {
			a := guest.get(address, "Accept", accept)
			guest.want(a, http.StatusOK)
			if strings.Contains(a.body, "mine") {
				t.Errorf("%s as %s: a user without records sees values", address, accept)
			}
		}
	}
	guest.want(guest.get(page), http.StatusOK, "3 of 120 entities differ")
}

// TestPlanOfBrokenDisk: of a file with errors on disk the plan says what is wrong, and shows what runs.
func TestPlanOfBrokenDisk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.deal("Roof", 50)
	w.h.Wait()
	w.files["share.yaml"].Data = []byte(strings.ReplaceAll(testRules, "=100 / deal.opportunity", "=100 / dela.opportunity"))
	c := w.client()
	plan := fmt.Sprintf("/plan?entity=deal:%d", id)
	c.want(c.get(plan+"&version=disk"), http.StatusOK, "would not run:", "unknown name &#34;dela&#34;", "nothing to change", "These are the versions that run now.")
	c.want(c.get(plan), http.StatusOK, "nothing to change")
	c.want(c.get(plan+"&version=dsik"), http.StatusBadRequest, "want live or disk")
	c.want(c.post(plan+"&version=disk", "plan", "00000000"), http.StatusBadRequest)
	if w.h.Service.Generation().Refused() != nil {
		t.Error("a plan has changed what runs")
	}
	// The audit log has one language.
	c.want(c.get(plan+"&lang=ru"), http.StatusOK, "менять нечего")
	a := c.get("/audit?lang=en")
	c.want(a, http.StatusOK, "nothing to change")
	if strings.Contains(a.body, "менять") {
		t.Error("the audit log is in the language of who planned")
	}
}
