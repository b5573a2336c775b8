package service_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/app/service"
	"github.com/b24rules/b24rules/internal/catchup"
	"github.com/b24rules/b24rules/internal/jobs"
	"github.com/b24rules/b24rules/schemas"
)

// compareNow makes the job of a comparison due, with a state, and returns what it has found.
func (h *harness) compareNow(state report.DriftState) *report.DriftResult {
	h.T.Helper()
	h.Service.SetDriftConfirm(time.Millisecond)
	table := jobs.New(h.Service.Queue().Database())
	state.Times = "24h0m0s -1"
	place, err := json.Marshal(state)
	if err != nil {
		h.T.Fatal(err)
	}
	if err := table.Replace(h.Context(), jobs.Job{Portal: demo.PortalName, Kind: report.KindDrift, Place: place}); err != nil {
		h.T.Fatal(err)
	}
	var out *report.DriftResult
	h.Until("the portal is compared", func() bool {
		s, err := report.ReadStatus(h.Context(), h.Service.Queue(), []string{demo.PortalName}, false)
		if err != nil {
			h.T.Fatal(err)
		}
		out = s.Portals[0].Drift
		return out != nil
	})
	return out
}

// TestDriftJob: serve compares the rules with the portal automatically, writes nothing, continues where it was
// stopped, omits what is agreed, and never says that nothing differs when it has not seen all.
func TestDriftJob(t *testing.T) {
	t.Parallel()
	var ignore []config.Ignore
	h := newHarness(t, apptest.Options{Configure: func(c *config.Config) {
		c.Drift = config.Drift{Every: 24 * time.Hour, Share: 1, Start: -1}
		c.Portals[0].Ignore = ignore
	}})
	h.Until("the first comparison, which needs no order", func() bool {
		s, err := report.ReadStatus(h.Context(), h.Service.Queue(), []string{demo.PortalName}, false)
		return err == nil && s.Portals[0].Drift != nil
	})
	deal := h.AddDeal("Roof", row("Tiles", "33.33", "3"), row("Nails", "1", "100"))
	h.Wait()
	one := func(d *report.DriftResult, rule string) report.RuleDrift {
		t.Helper()
		i := slices.IndexFunc(d.Rules, func(r report.RuleDrift) bool { return r.Rule == rule })
		if i < 0 {
			t.Fatalf("rule %s was not compared: %+v", rule, d)
		}
		return d.Rules[i]
	}
	if d := h.compareNow(report.DriftState{}); d.Attention() || one(d, "deal-shipments").Entities != 1 {
		t.Errorf("nothing differs: %+v", d)
	}
	h.AtOnce(func() {}) // no event is on its way
	tiles := h.Elements(deal)["Tiles × 3"]
	params := h.ElementParams(apptest.Text(tiles, "CODE"), "Tiles × 3", map[string]any{"DEAL": deal, "PRODUCT_ID": 0, "QUANTITY": 3, "SUM": "1.00"})
	params["ELEMENT_ID"] = tiles.ID()
	h.Rest("lists.element.update", params, nil)
	h.Portal.Reset()
	before := len(h.Portal.History())
	d := h.compareNow(report.DriftState{})
	if r := one(d, "deal-shipments"); r.Differing != 1 || len(r.Plans) != 1 || !strings.Contains(r.Plans[0].Changes[0].Record, "element ") || !d.Attention() {
		t.Fatalf("a changed element: %+v", d)
	}
	for _, call := range h.Portal.Calls() {
		if m, known := schemas.LookupMethod(call.Method); !known || m.Effect == schemas.Write {
			t.Errorf("the comparison has called %s", call.Method)
		}
	}
	if after := len(h.Portal.History()); after != before {
		t.Errorf("the comparison has changed %d records", after-before)
	}
	record, field := one(d, "deal-shipments").Plans[0].Changes[0].Record, one(d, "deal-shipments").Plans[0].Changes[0].Fields[0].Name
	if text := h.scrape(); !strings.Contains(text, `b24rules_drift{portal="demo",rule="deal-shipments"} 1`) || !strings.Contains(text, `b24rules_drift_checked_seconds{portal="demo"} `) {
		t.Errorf("metrics: %s", text)
	}
	var text strings.Builder
	s, err := report.ReadStatus(h.Context(), h.Service.Queue(), []string{demo.PortalName}, false)
	if err != nil || s.Attention() != 1 || s.Write(&text, false) != nil || !strings.Contains(text.String(), "deal-shipments drift seen ") || !strings.Contains(text.String(), "1 of 1 entity differ") {
		t.Errorf("status: %v %s", err, text.String())
	}

	// It continues with the rule that was not compared before it was stopped.
	resumed := h.compareNow(report.DriftState{Began: time.Now(), Rules: []report.RuleDrift{{Portal: demo.PortalName, Rule: "deal-shipments", Entities: 77, Plans: []report.Plan{}}}})
	if one(resumed, "deal-shipments").Entities != 77 || one(resumed, "invoice-total").NotSeen != "" {
		t.Errorf("resumed: %+v", resumed)
	}
	// It continues within a rule, and what differs is new to it.
	resumed = h.compareNow(report.DriftState{
		Began: time.Now(),
		Now:   &report.RuleDrift{Portal: demo.PortalName, Rule: "deal-shipments", Entities: 40, Failed: 1, First: "deal:9: no answer", Plans: []report.Plan{}},
		Job:   &catchup.Job{Portal: demo.PortalName, Rule: "deal-shipments", Types: []int{2}},
	})
	if r := one(resumed, "deal-shipments"); r.Entities != 41 || r.Differing != 1 || r.Failed != 1 || r.First != "deal:9: no answer" {
		t.Errorf("resumed within a rule: %+v", resumed)
	}

	// What is agreed is not counted; what is agreed and does not differ is said.
	h.Stop()
	ignore = []config.Ignore{
		{Rule: "deal-shipments", Record: record, Field: strings.ToLower(field), Until: time.Now().Add(time.Hour)},
		{Rule: "deal-shipments", Record: "element 47:9999", Until: time.Now().Add(time.Hour)},
	}
	h.Start()
	if d = h.compareNow(report.DriftState{}); one(d, "deal-shipments").Differing != 0 || len(d.Unused) != 1 || !strings.Contains(d.Unused[0], "element 47:9999") {
		t.Errorf("with ignore: %+v", d)
	}
	h.Stop()
	ignore[0].Until = time.Now().Add(-time.Hour)
	h.Start()
	if d = h.compareNow(report.DriftState{}); one(d, "deal-shipments").Differing != 1 {
		t.Errorf("after its last day: %+v", d)
	}

	if err := h.Portal.SetFaults(emulator.Fault{Method: "crm.item.list", Kind: emulator.FaultRefuse, Code: "ACCESS_DENIED"}); err != nil {
		t.Fatal(err)
	}
	if d = h.compareNow(report.DriftState{}); d.Complete() || !d.Attention() {
		t.Errorf("a portal that refuses to list: %+v", d)
	}
}

// TestDriftShare: a comparison sends at most its share of the requests that the portal allows, also
// while a burst would let it send more.
func TestDriftShare(t *testing.T) {
	t.Parallel()
	const share, rate = 0.5, 5 // requests a second of an enterprise portal
	h := newHarness(t, apptest.Options{Plan: emulator.PlanEnterprise, Configure: func(c *config.Config) {
		c.Drift = config.Drift{Every: 24 * time.Hour, Share: share, Start: 0}
	}})
	if err := h.Service.Queue().Pause(h.Context(), demo.PortalName, "", "only the comparison works"); err != nil {
		t.Fatal(err)
	}
	h.Fill(100)
	h.Portal.Reset()
	began := time.Now()
	d := h.compareNow(report.DriftState{})
	took, sent := time.Since(began), h.Portal.Stats().Requests
	t.Logf("%d requests in %s for %d entities", sent, took, d.Rules[0].Entities)
	// The last page and the lists before the first one have no rest.
	if most := share*rate*took.Seconds() + 6; d.Rules[0].Entities != 100 || sent < 12 || float64(sent) > most {
		t.Errorf("%d requests in %s, want at most %.0f: %+v", sent, took, most, d.Rules)
	}
}

// TestNextDrift: comparisons are counted from the start of the day, in the zone of the portal.
func TestNextDrift(t *testing.T) {
	t.Parallel()
	moscow := time.FixedZone("Moscow", 3*3600)
	at := func(text string) time.Time {
		out, err := time.ParseInLocation("2006-01-02 15:04", text, moscow)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, tt := range []struct {
		every     time.Duration
		start     int
		now, want string
	}{
		{24 * time.Hour, 120, "2026-11-30 01:59", "2026-11-30 02:00"},
		{24 * time.Hour, 120, "2026-11-30 02:00", "2026-12-01 02:00"},
		{6 * time.Hour, 120, "2026-11-30 09:00", "2026-11-30 14:00"},
		{6 * time.Hour, 120, "2026-11-30 01:00", "2026-11-30 02:00"},
		{7 * time.Hour, 0, "2026-11-30 22:00", "2026-12-01 00:00"},
		{24 * time.Hour, -1, "2026-11-30 09:00", "2026-12-01 09:00"},
	} {
		got := service.NextDrift(config.Drift{Every: tt.every, Start: tt.start}, moscow, at(tt.now).UTC())
		if !got.Equal(at(tt.want)) {
			t.Errorf("every %s from %d, now %s: %s, want %s", tt.every, tt.start, tt.now, got.In(moscow), tt.want)
		}
	}
	// Of each two days exactly one.
	c := config.Drift{Every: 48 * time.Hour, Start: 60}
	first := service.NextDrift(c, moscow, at("2026-11-30 09:00"))
	if second := service.NextDrift(c, moscow, first); second.Sub(first) != 48*time.Hour {
		t.Errorf("%s, then %s", first, second)
	}
}
