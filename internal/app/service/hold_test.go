package service_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/testkit"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/store"
)

// ofTheEngine are the methods that only the engine calls here.
var ofTheEngine = []string{"batch", "server.time", "lists.*", "crm.item.productrow.list", "crm.item.get", "crm.item.list"}

// TestPortalAtFault holds that a fault of the portal as a whole parks no run: the runs
// wait, the log says so once, and all are worked when the portal answers again. With
// one attempt, any failure that is taken for a run's own would park it.
func TestPortalAtFault(t *testing.T) {
	t.Parallel()
	refuse := func(code string) emulator.Fault {
		return emulator.Fault{Kind: emulator.FaultRefuse, Code: code, Status: 403}
	}
	for _, tt := range []struct {
		name, cause string
		fault       emulator.Fault
	}{
		{"a page of the provider", "unreachable", emulator.Fault{Kind: emulator.FaultHTML, Status: 502}},
		{"connections are reset", "unreachable", emulator.Fault{Kind: emulator.FaultReset}},
		{"server faults", "unreachable", refuse("INTERNAL_SERVER_ERROR")},
		{"a revoked webhook", "unauthorised", refuse("INVALID_CREDENTIALS")},
		{"no authorization", "unauthorised", refuse("NO_AUTH_FOUND")},
		{"an unpaid plan", "unauthorised", refuse("PAYMENT_REQUIRED")},
		{"a deleted portal", "unauthorised", refuse("PORTAL_DELETED")},
		{"a renamed portal", "unauthorised", emulator.Fault{Kind: emulator.FaultMoved, Location: "https://new.bitrix24.com"}},
		{"a login page", "unauthorised", emulator.Fault{Kind: emulator.FaultHTML, Status: 403}},
		{"overload", "blocked", refuse("OVERLOAD_LIMIT")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, apptest.Options{Limits: config.Limits{Attempts: 1}})
			deal := h.AddDeal("Before", row("Tiles", "10", "1"))
			var faults []emulator.Fault
			for _, method := range ofTheEngine {
				f := tt.fault
				f.Method = method
				faults = append(faults, f)
			}
			if err := h.Portal.SetFaults(faults...); err != nil {
				t.Fatal(err)
			}
			deals := []int{deal}
			for range 4 {
				d, err := h.People.AddDeal(h.Context(), "Under the fault", row("Nails", "1", "2"))
				if err != nil {
					t.Fatal(err)
				}
				deals = append(deals, d)
			}
			h.Until("held", func() bool { return len(h.holds()) == 1 })
			h.Until("all runs wait", func() bool { s := h.States(); return s[journal.Waiting] >= 4 && s[journal.Running] == 0 })
			if hold := h.holds()[0]; hold.Cause != tt.cause || hold.Portal != demo.PortalName || hold.Reason == "" {
				t.Errorf("the hold is %+v, want cause %s", hold, tt.cause)
			}
			h.Stop() // a restart under the fault changes nothing
			h.Start()
			if n := h.States()[journal.Parked]; n != 0 {
				t.Errorf("%d runs are parked", n)
			}
			if err := h.Portal.SetFaults(); err != nil {
				t.Fatal(err)
			}
			if _, err := h.Service.Queue().ProbeNow(h.Context(), demo.PortalName, ""); err != nil {
				t.Fatal(err)
			}
			h.Wait()
			if s := h.States(); s[journal.Parked] != 0 || len(h.holds()) != 0 {
				t.Errorf("after the fault: states %v, holds %v", s, h.holds())
			}
			for _, d := range deals[1:] {
				apptest.WantNames(t, h.Elements(d), "Nails × 2")
			}
			if n := h.Logged("portal is held"); n != 1 {
				t.Errorf("the log says %d times that the portal is held, want once", n)
			}
		})
	}
}

// TestTokensAtFault holds the same for an application whose tokens the portal no longer takes,
// and whose token server renews none.
func TestTokensAtFault(t *testing.T) {
	t.Parallel()
	for name, token := range map[string]emulator.Fault{
		"revoked tokens":                   {Kind: emulator.FaultRefuse, Code: "invalid_grant"},
		"the token server is away":         {Kind: emulator.FaultHTML, Status: 502},
		"the token server takes no client": {Kind: emulator.FaultRefuse, Code: "invalid_client", Status: 401},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newApplicationHarness(t, "online", emulator.Config{})
			token.Method = "oauth.token"
			if err := h.Portal.SetFaults(token); err != nil {
				t.Fatal(err)
			}
			h.Portal.App().ExpireTokens()
			var deals []int
			for range 4 {
				deal, err := h.People.AddDeal(h.Context(), "Under the fault", row("Nails", "1", "2"))
				if err != nil {
					t.Fatal(err)
				}
				deals = append(deals, deal)
			}
			h.Until("held, and all runs wait", func() bool {
				s := h.States()
				return len(h.holds()) == 1 && h.holds()[0].Rule == "" && s[journal.Waiting] >= 4 && s[journal.Running] == 0
			})
			if n := h.States()[journal.Parked]; n != 0 {
				t.Errorf("%d runs are parked", n)
			}
			if err := h.Portal.SetFaults(); err != nil {
				t.Fatal(err)
			}
			h.Until("the hold has ended", func() bool {
				h.probesAged(time.Hour)
				return len(h.holds()) == 0
			})
			h.Wait()
			if n := h.States()[journal.Parked]; n != 0 {
				t.Errorf("%d runs are parked after the fault", n)
			}
			for _, deal := range deals {
				apptest.WantNames(t, h.Elements(deal), "Nails × 2")
			}
		})
	}
}

// TestEntityAtFault holds that an answer that looks like the portal's fault, while the
// portal answers a probe, is the run's own.
func TestEntityAtFault(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{Limits: config.Limits{Attempts: 2}})
	if err := h.Portal.SetFaults(emulator.Fault{Kind: emulator.FaultHTML, Status: 500, Method: "lists.element.get"}); err != nil {
		t.Fatal(err)
	}
	h.AddDeal("Roof", row("Tiles", "10", "1"))
	if s := h.States(); s[journal.Parked] < 1 || s[journal.Succeeded] > 0 || len(h.holds()) != 0 {
		t.Errorf("states %v, holds %v; want parked runs and no hold", s, h.holds())
	}
}

// TestWall holds that an answer that all entities get at one step of a rule stops the
// rule and parks no run, while other rules and the portal continue.
func TestWall(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		fault emulator.Fault
	}{
		{"no right to the list", emulator.Fault{Kind: emulator.FaultRefuse, Code: "ACCESS_DENIED", Status: 400, Method: "lists.element.add"}},
		{"a scope is missing", emulator.Fault{Kind: emulator.FaultRefuse, Code: "insufficient_scope", Status: 403, Method: "lists.element.add"}},
		{"a page for one method", emulator.Fault{Kind: emulator.FaultHTML, Status: 502, Method: "lists.element.add"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, apptest.Options{Limits: config.Limits{Attempts: 1}})
			if err := h.Portal.SetFaults(tt.fault); err != nil {
				t.Fatal(err)
			}
			var deals []int
			for range 12 {
				d, err := h.People.AddDeal(h.Context(), "Behind the wall", row("Nails", "1", "2"))
				if err != nil {
					t.Fatal(err)
				}
				deals = append(deals, d)
			}
			h.Until("stopped", func() bool { return len(h.holds()) == 1 })
			if hold := h.holds()[0]; hold.Cause != "stopped" || hold.Rule != "deal-shipments" || hold.Reason == "" {
				t.Errorf("the hold is %+v", hold)
			}
			h.Until("all runs wait", func() bool {
				s := h.States()
				return s[journal.Waiting] == 12 && s[journal.Running] == 0 && s[journal.Parked] == 0
			})
			if !strings.Contains(h.scrape(), `b24rules_hold{cause="stopped",portal="`+demo.PortalName+`",rule="deal-shipments"} 1`) {
				t.Error("metrics do not show the hold")
			}
			invoice, err := h.People.AddInvoice(h.Context(), "Another rule", row("A third", "33.33", "3"))
			if err != nil {
				t.Fatal(err)
			}
			h.Until("another rule runs", func() bool {
				helpers, err := h.People.Helpers(h.Context(), h.IDs.TotalsType, invoice)
				return err == nil && len(helpers) == 1
			})
			h.Stop() // a restart lets one run through, and the wall is still there
			h.Start()
			h.Until("all runs wait", func() bool { s := h.States(); return s[journal.Waiting] == 12 && s[journal.Running] == 0 })
			if err := h.Portal.SetFaults(); err != nil {
				t.Fatal(err)
			}
			if _, err := h.Service.Queue().ProbeNow(h.Context(), demo.PortalName, "deal-shipments"); err != nil {
				t.Fatal(err)
			}
			h.Until("the hold ends", func() bool { return len(h.holds()) == 0 })
			h.Wait()
			if s := h.States(); s[journal.Parked] != 0 {
				t.Errorf("after the wall: states %v", s)
			}
			for _, d := range deals {
				apptest.WantNames(t, h.Elements(d), "Nails × 2")
			}
			if begin, end := h.Logged("rule is stopped"), h.Logged("rule is no longer stopped"); begin != 1 || end != 1 {
				t.Errorf("the log says %d times that the rule is stopped and %d times that it is not, want once", begin, end)
			}
		})
	}
}

// TestOneDealWithoutRights holds that one deal whose list element is refused, among
// others that are not, is parked alone.
func TestOneDealWithoutRights(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{})
	if err := h.Portal.SetFaults(emulator.Fault{Kind: emulator.FaultRefuse, Code: "ACCESS_DENIED", Status: 400, Method: "lists.element.add", Count: 1}); err != nil {
		t.Fatal(err)
	}
	for range 30 {
		if _, err := h.People.AddDeal(h.Context(), "Deal", row("Nails", "1", "2")); err != nil {
			t.Fatal(err)
		}
	}
	h.Wait()
	if s := h.States(); s[journal.Parked] != 1 || len(h.holds()) != 0 || h.Logged("is stopped") != 0 {
		t.Errorf("states %v, holds %v; want one parked run and no hold", s, h.holds())
	}
}

// TestCatchUpUnderAFault holds that a catch-up whose portal refuses everything at the
// start waits for the end of the fault, and is not given up.
func TestCatchUpUnderAFault(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{CatchUp: apptest.QuickCatchUp()})
	deal := h.AddDeal("Roof", row("Tiles", "10", "1"))
	h.Stop()
	h.SetRowsQuietly(deal, row("Tiles", "10", "3"))
	h.aged(3 * time.Second)
	if err := h.Portal.SetFaults(emulator.Fault{Kind: emulator.FaultMoved, Location: "https://new.bitrix24.com"}); err != nil {
		t.Fatal(err)
	}
	h.Start()
	h.Until("the job waits", func() bool { return h.Logged("a job waits, trying again") > 0 && len(h.holds()) == 1 })
	if h.Logged("a job was given up") != 0 {
		t.Error("the catch-up was given up")
	}
	h.Stop() // as after the new address was written to the configuration
	if err := h.Portal.SetFaults(); err != nil {
		t.Fatal(err)
	}
	h.Start()
	h.Until("caught up", func() bool { return h.Logged("catch-up: all entities of the downtime are in the queue") > 0 })
	h.Wait()
	apptest.WantNames(t, h.Elements(deal), "Tiles × 3")
}

// TestHoldIsMeasured holds that metrics show a hold while it lasts.
func TestHoldIsMeasured(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{})
	line := `b24rules_hold{cause="unreachable",portal="` + demo.PortalName + `",rule=""} 1`
	if strings.Contains(h.scrape(), "b24rules_hold{") {
		t.Error("a hold is shown before there is one")
	}
	var faults []emulator.Fault
	for _, method := range ofTheEngine {
		faults = append(faults, emulator.Fault{Kind: emulator.FaultHTML, Method: method})
	}
	if err := h.Portal.SetFaults(faults...); err != nil {
		t.Fatal(err)
	}
	if _, err := h.People.AddDeal(h.Context(), "Roof", row("Tiles", "10", "1")); err != nil {
		t.Fatal(err)
	}
	h.Until("the hold is shown", func() bool { return strings.Contains(h.scrape(), line) })
	if err := h.Portal.SetFaults(); err != nil {
		t.Fatal(err)
	}
	h.Until("the hold has ended", func() bool { return !strings.Contains(h.scrape(), "b24rules_hold{") })
	h.Wait()
}

// holds are the stored holds.
func (h *harness) holds() []queue.Hold {
	h.T.Helper()
	all, err := h.Service.Queue().HoldList(h.Context())
	if err != nil {
		h.T.Fatal(err)
	}
	return all
}

// TestRefusedOnPostgres is TestEverythingRefused in real time on PostgreSQL: under one refusal
// after another all runs wait, the time of the next probe comes, and all is worked without a command.
func TestRefusedOnPostgres(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{Database: testkit.NewPostgres(t), Limits: config.Limits{Attempts: 1}})
	refuse := func(code string, status int) emulator.Fault {
		return emulator.Fault{Kind: emulator.FaultRefuse, Code: code, Status: status}
	}
	const deals = 5
	for _, tt := range []struct {
		name  string
		fault emulator.Fault
	}{
		{"a revoked webhook", refuse("INVALID_CREDENTIALS", 401)},
		{"a page of the provider", emulator.Fault{Kind: emulator.FaultHTML, Status: 502}},
		{"overload", refuse("OVERLOAD_LIMIT", 429)},
	} {
		var faults []emulator.Fault
		for _, method := range ofTheEngine {
			f := tt.fault
			f.Method = method
			faults = append(faults, f)
		}
		if err := h.Portal.SetFaults(faults...); err != nil {
			t.Fatal(err)
		}
		var added []int
		for range deals {
			deal, err := h.People.AddDeal(h.Context(), tt.name, row("Nails", "1", "2"))
			if err != nil {
				t.Fatal(err)
			}
			added = append(added, deal)
		}
		h.Until(tt.name+": held, and all runs wait", func() bool {
			s, holds := h.States(), h.holds()
			return len(holds) == 1 && holds[0].Rule == "" && s[journal.Waiting] >= deals && s[journal.Running] == 0
		})
		if n := h.States()[journal.Parked]; n != 0 {
			t.Errorf("%s: %d runs are parked under it", tt.name, n)
		}
		if err := h.Portal.SetFaults(); err != nil {
			t.Fatal(err)
		}
		h.Until(tt.name+": the hold has ended", func() bool {
			h.probesAged(time.Hour)
			return len(h.holds()) == 0
		})
		h.Wait()
		if n := h.States()[journal.Parked]; n != 0 {
			t.Errorf("%s: %d runs are parked after it", tt.name, n)
		}
		for _, deal := range added {
			apptest.WantNames(t, h.Elements(deal), "Nails × 2")
		}
	}
}

// probesAged makes the next probes of holds come earlier, as if so much time had passed.
func (h *harness) probesAged(by time.Duration) {
	h.T.Helper()
	err := h.Service.Queue().Database().Write(h.Context(), func(ctx context.Context, tx store.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE b24_hold SET probe_at = probe_at - $1`, by.Microseconds())
		return err
	})
	if err != nil {
		h.T.Fatal(err)
	}
}
