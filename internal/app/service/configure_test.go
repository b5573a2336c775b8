package service_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/alerts"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/app/service"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/hold"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/notes"
	"github.com/b24rules/b24rules/internal/queue"
)

// live is a configuration that a test changes while the service runs.
type live struct {
	mu       sync.Mutex
	c        *config.Config
	findings diag.List
}

func (l *live) read() (*config.Config, diag.List, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := *l.c
	next.Portals = append([]config.Portal(nil), l.c.Portals...)
	return &next, l.findings, nil
}

// change changes the configuration, and makes the service read it.
func (h *harness) change(l *live, do func(c *config.Config)) {
	h.T.Helper()
	l.mu.Lock()
	next := *l.c
	next.Portals = append([]config.Portal(nil), l.c.Portals...)
	do(&next)
	l.c = &next
	l.mu.Unlock()
	h.Until("the reload has ended", func() bool { return !h.Service.Reload() })
}

// newLive starts a harness whose configuration can change.
func newLive(t *testing.T, o apptest.Options) (*harness, *live) {
	t.Helper()
	l := &live{}
	o.Read = l.read
	h := newHarness(t, o)
	l.c = h.Config()
	return h, l
}

// TestRemovedPortal: a portal that is removed from the configuration still stores its events,
// nothing runs, and everything continues when it is back. Strangers are refused all the time.
func TestRemovedPortal(t *testing.T) {
	t.Parallel()
	h, l := newLive(t, apptest.Options{})
	var main config.Portal
	h.change(l, func(c *config.Config) { main, c.Portals = c.Portals[0], nil })
	if holds := h.holds(); len(holds) != 1 || holds[0].Cause != hold.Removed || h.Service.Portal(demo.PortalName) != nil {
		t.Fatalf("holds %+v", holds)
	}
	before := len(h.Portal.History())
	deal, err := h.People.AddDeal(h.Context(), "Roof", row("Tiles", "10", "1"))
	if err != nil {
		t.Fatal(err)
	}
	h.Until("the events are stored", func() bool { return h.unrouted() >= 1 })
	if status := h.Post(h.HookURL, formType, "event=ONCRMDEALUPDATE&data[FIELDS][ID]=1&auth[application_token]=wrong"); status != http.StatusForbidden {
		t.Errorf("a wrong token gives %d", status)
	}
	h.change(l, func(c *config.Config) { c.Portals = []config.Portal{main} })
	h.Until("processed", func() bool { return len(h.Elements(deal)) == 1 && len(h.holds()) == 0 && h.unrouted() == 0 })
	if h.Logged("portal added") != 1 || len(h.Portal.History()) == before {
		t.Error("the log does not name the portal")
	}
}

// TestNewCredentials: a changed webhook ends the wait for valid credentials without a command,
// and loses no run.
func TestNewCredentials(t *testing.T) {
	t.Parallel()
	h, l := newLive(t, apptest.Options{Limits: config.Limits{Attempts: 1}})
	h.change(l, func(c *config.Config) { c.Portals[0].Webhook = bitrix.Secret(h.PortalURL + "/rest/1/revoked/") })
	var deals []int
	for range 5 {
		deal, err := h.People.AddDeal(h.Context(), "Roof", row("Tiles", "10", "1"))
		if err != nil {
			t.Fatal(err)
		}
		deals = append(deals, deal)
	}
	h.Until("held", func() bool { return len(h.holds()) == 1 && h.holds()[0].Cause == hold.Unauthorised })
	h.change(l, func(c *config.Config) { c.Portals[0].Webhook = h.Webhook() })
	h.Until("the hold has ended", func() bool { return len(h.holds()) == 0 })
	h.Wait()
	for _, d := range deals {
		apptest.WantNames(t, h.Elements(d), "Tiles × 1")
	}
	if n := h.States()[journal.Parked]; n != 0 {
		t.Errorf("%d runs are parked", n)
	}
}

// TestTheClientSurvives: a change that does not concern the client keeps it, with the rate
// that it has learned.
func TestTheClientSurvives(t *testing.T) {
	t.Parallel()
	h, l := newLive(t, apptest.Options{})
	client := h.Service.Portal(demo.PortalName).Client
	h.change(l, func(c *config.Config) { c.Portals[0].Zone = time.FixedZone("there", 3600) })
	if p := h.Service.Portal(demo.PortalName); p.Client != client || p.Zone == nil {
		t.Errorf("the client was replaced, or the zone is %v", p.Zone)
	}
	h.change(l, func(c *config.Config) { c.Portals[0].Shared = true })
	if h.Service.Portal(demo.PortalName).Client == client {
		t.Error("another rate limit keeps the client")
	}
	deal := h.AddDeal("Roof", row("Tiles", "10", "1"))
	apptest.WantNames(t, h.Elements(deal), "Tiles × 1")
}

// TestModeChanges: a portal that goes to shadow mode writes nothing from then on, and one
// that comes back works again.
func TestModeChanges(t *testing.T) {
	t.Parallel()
	h, l := newLive(t, apptest.Options{})
	h.change(l, func(c *config.Config) { c.Portals[0].Shadow = 50 * time.Millisecond })
	deal, err := h.People.AddDeal(h.Context(), "Roof", row("Tiles", "10", "1"))
	if err != nil {
		t.Fatal(err)
	}
	h.Wait()
	if got := h.Elements(deal); len(got) != 0 {
		t.Errorf("elements %v in shadow mode", got)
	}
	inShadow := func() bool { return strings.Contains(h.scrape(), "b24rules_portal_shadow{") }
	if !inShadow() {
		t.Error("the shadow mode is not measured")
	}
	var main config.Portal
	h.change(l, func(c *config.Config) { main, c.Portals = c.Portals[0], nil })
	if inShadow() {
		t.Error("a removed portal is measured as in shadow mode")
	}
	h.change(l, func(c *config.Config) { c.Portals = []config.Portal{main} })
	h.Until("the portal is back", func() bool { return len(h.holds()) == 0 })
	h.change(l, func(c *config.Config) { c.Portals[0].Shadow = 0 })
	h.Touch(deal, "Roof and walls")
	h.Wait()
	apptest.WantNames(t, h.Elements(deal), "Tiles × 1")
}

// TestConfigurationsThatAreKept: errors and changes that need a restart keep what runs, and are
// logged.
func TestConfigurationsThatAreKept(t *testing.T) {
	t.Parallel()
	h, l := newLive(t, apptest.Options{})
	h.change(l, func(c *config.Config) {
		c.Listen, c.Limits.Runs = "127.0.0.1:1", 7
		c.Console.Listen, c.Console.Access.Open = "127.0.0.1:2", true
	})
	if h.Logged("the configuration has changes that need a restart") != 1 || !strings.Contains(h.Log.String(), "limits") || !strings.Contains(h.Log.String(), "console") {
		t.Error("the changes are not logged")
	}
	if h.Service.Config().Console.Access.Open {
		t.Error("the console is open at its old address")
	}
	l.findings.Errorf(diag.Pos{File: "b24rules.yaml", Line: 3, Column: 1}, "invalid-value", "wrong")
	h.change(l, func(c *config.Config) { c.Portals = nil })
	if h.Logged("configuration is invalid, keeping the current one") != 1 || !strings.Contains(h.Log.String(), "b24rules.yaml:3:1") {
		t.Error("the finding is not logged")
	}
	l.findings = nil
	h.change(l, func(c *config.Config) { c.Portals = h.Config().Portals })
	if h.Logged("configuration is valid again") != 1 || h.Service.Portal(demo.PortalName) == nil {
		t.Error("the portal does not run")
	}
}

// TestOnePortalOfTwo is the case one-portal-stops-all: a portal with errors is held and named, the
// other one runs. It joins when it is valid, without a restart.
func TestOnePortalOfTwo(t *testing.T) {
	t.Parallel()
	other := emulator.New(emulator.Config{Plan: emulator.PlanUnlimited})
	t.Cleanup(other.Close)
	broken := config.BrokenPortal{Name: "second", Token: "second-token"}
	broken.Findings.Errorf(diag.Pos{File: "b24rules.yaml", Line: 9, Column: 5}, "unreadable-file", "application_token_file not-there: no such file")
	h, l := newLive(t, apptest.Options{Configure: func(c *config.Config) { c.Broken = []config.BrokenPortal{broken} }})
	deal := h.AddDeal("Roof", row("Tiles", "10", "1"))
	apptest.WantNames(t, h.Elements(deal), "Tiles × 1")
	if holds := h.holds(); len(holds) != 1 || holds[0].Portal != "second" || holds[0].Cause != hold.Broken || !strings.HasPrefix(holds[0].Reason, "b24rules.yaml:9:5") {
		t.Errorf("holds %+v", holds)
	}
	hook := strings.Replace(h.HookURL, demo.PortalName, "second", 1)
	if status := h.Post(hook, formType, "event=ONCRMDEALUPDATE&data[FIELDS][ID]=1&auth[application_token]=second-token"); status != http.StatusOK || h.unrouted() != 1 {
		t.Errorf("status %d, %d events wait", status, h.unrouted())
	}
	h.change(l, func(c *config.Config) {
		second := c.Portals[0]
		second.Name, second.Token = "second", "second-token"
		c.Portals = append(c.Portals, second)
		c.Broken = nil
	})
	h.Until("processed", func() bool { return len(h.holds()) == 0 && h.unrouted() == 0 })
	h.Wait()
	runs, err := journal.FindRuns(h.Context(), h.Service.Queue().Database(), journal.Filter{Portal: "second"})
	if err != nil || len(runs) != 1 || runs[0].State != journal.Succeeded {
		t.Errorf("runs %v, %v", runs, err)
	}
}

// TestRemovedPortalWithErrors: a portal that never was valid and is removed from the configuration
// is forgotten. If it has events, it is held as removed: the hold does not say for ever that a place
// has errors that is gone.
func TestRemovedPortalWithErrors(t *testing.T) {
	t.Parallel()
	broken := config.BrokenPortal{Name: "second", Token: "second-token"}
	broken.Findings.Errorf(diag.Pos{File: "b24rules.yaml", Line: 9, Column: 5}, "unreadable-file", "application_token_file not-there: no such file")
	h, l := newLive(t, apptest.Options{})
	h.change(l, func(c *config.Config) { c.Broken = []config.BrokenPortal{broken} })
	hook := strings.Replace(h.HookURL, demo.PortalName, "second", 1)
	event := func(want int) {
		t.Helper()
		if status := h.Post(hook, formType, "event=ONCRMDEALUPDATE&data[FIELDS][ID]=1&auth[application_token]=second-token"); status != want {
			t.Errorf("an event of the portal gives %d, want %d", status, want)
		}
	}
	if holds := h.holds(); len(holds) != 1 || holds[0].Portal != "second" || holds[0].Cause != hold.Broken {
		t.Errorf("holds with the portal: %+v", holds)
	}
	h.change(l, func(c *config.Config) { c.Broken = nil })
	if holds := h.holds(); len(holds) != 0 {
		t.Errorf("holds without the portal, which never ran: %+v", holds)
	}
	event(http.StatusForbidden)
	h.change(l, func(c *config.Config) { c.Broken = []config.BrokenPortal{broken} })
	event(http.StatusOK)
	h.change(l, func(c *config.Config) { c.Broken = nil })
	if holds := h.holds(); len(holds) != 1 || holds[0].Portal != "second" || holds[0].Cause != hold.Removed {
		t.Errorf("holds without the portal, which has an event: %+v", holds)
	}
	event(http.StatusOK)
}

// TestRenamedWhileRunning: a portal gets another name while one of its runs is in the middle of
// its work. The queue keeps the runs of an entity apart only under one name, so those of the
// new name wait until those of the old one have ended.
func TestRenamedWhileRunning(t *testing.T) {
	t.Parallel()
	h, l := newLive(t, apptest.Options{})
	// A run that has found no helper adds it two seconds later.
	if err := h.Portal.SetFaults(emulator.Fault{Kind: emulator.FaultDelay, Method: "crm.item.list", After: true, Delay: 2 * time.Second}); err != nil {
		t.Fatal(err)
	}
	invoice := h.addInvoice("10")
	h.Until("a run looks for the helper", func() bool { return h.Portal.Faults()[0].Hit > 0 })
	h.change(l, func(c *config.Config) {
		c.Portals[0].Name = "acme"
		c.Portals[0].Inputs = h.Config().Portals[0].Inputs
	})
	url := strings.Replace(h.HookURL, "/"+demo.PortalName, "/acme", 1)
	if status := h.Post(url, formType, h.form("ONCRMDYNAMICITEMUPDATE", map[string]string{"ID": fmt.Sprint(invoice), "ENTITY_TYPE_ID": "31"})); status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	h.Until("a run under the new name", func() bool {
		runs, err := journal.FindRuns(h.Context(), h.Service.Queue().Database(), journal.Filter{Portal: "acme", States: []journal.State{journal.Succeeded}})
		return err == nil && len(runs) > 0
	})
	if got := h.helpers(invoice); got != "[30]" {
		t.Errorf("helpers %s, want one with 30", got)
	}
	if h.Logged("a portal has another name now") != 1 {
		t.Error("the log does not say that the portal has another name")
	}
}

// TestForgottenPortal: what waits for a portal that was removed long ago is given up, with the
// holds of its rules, and its events are refused.
func TestForgottenPortal(t *testing.T) {
	t.Parallel()
	h, l := newLive(t, apptest.Options{})
	var main config.Portal
	h.change(l, func(c *config.Config) { main, c.Portals = c.Portals[0], nil })
	q := h.Service.Queue()
	for _, one := range []queue.Hold{
		{Portal: main.Name, Rule: "deal-shipments", Cause: hold.Stopped, Since: time.Now()},
		{Portal: main.Name, Cause: hold.Removed, Since: time.Now().Add(-8 * 24 * time.Hour)},
	} {
		if err := q.SetHold(h.Context(), one); err != nil {
			t.Fatal(err)
		}
	}
	h.Service.Reload()
	h.Until("forgotten", func() bool { return len(h.holds()) == 0 })
	if status := h.Post(h.HookURL, formType, "event=ONCRMDEALUPDATE&data[FIELDS][ID]=1&auth[application_token]="+main.Token.Reveal()); status != http.StatusForbidden {
		t.Errorf("an event of the forgotten portal gives %d", status)
	}
}

// TestManyPortalsAreNotRemovedAtOnce: a reload that removes more than a tenth of the portals, and
// more than one, needs a confirmation.
func TestManyPortalsAreNotRemovedAtOnce(t *testing.T) {
	t.Parallel()
	h, l := newLive(t, apptest.Options{})
	h.change(l, func(c *config.Config) {
		for _, name := range []string{"second", "third"} {
			p := c.Portals[0]
			p.Name = name
			c.Portals = append(c.Portals, p)
		}
	})
	h.change(l, func(c *config.Config) { c.Portals = c.Portals[:1] })
	if h.Service.Portal("second") == nil || h.Logged("the configuration removes many portals") != 1 || len(h.holds()) != 0 {
		t.Error("two of three portals were removed")
	}
}

// TestRemovedPortalAfterARestart: a portal that was removed while no process ran is held, and its
// proven events are stored, over any number of restarts. They are processed when it is back.
func TestRemovedPortalAfterARestart(t *testing.T) {
	t.Parallel()
	gone := false
	h := newHarness(t, apptest.Options{Configure: func(c *config.Config) {
		if gone {
			c.Portals = nil
		}
	}})
	token := h.Options.Emulator.ApplicationToken
	h.Until("the digest is stored", func() bool {
		_, ok, err := notes.Get(h.Context(), h.Service.Queue().Database(), "token."+demo.PortalName)
		return ok && err == nil
	})
	h.Stop()
	deal, err := h.People.AddDeal(h.Context(), "Roof", row("Tiles", "10", "1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Portal.WaitIdle(h.Context()); err != nil { // the event of the deal itself is lost
		t.Fatal(err)
	}
	gone = true
	for range 2 {
		h.Start()
		h.Until("held", func() bool { return len(h.holds()) == 1 && h.holds()[0].Cause == hold.Removed })
		line := `b24rules_hold{cause="removed",portal="` + demo.PortalName + `",rule=""} 1`
		h.Until("the hold is measured", func() bool { return strings.Contains(h.scrape(), line) })
		for want, sent := range map[int]string{http.StatusOK: token, http.StatusForbidden: "wrong"} {
			if status := h.Post(h.HookURL, formType, fmt.Sprintf("event=ONCRMDEALUPDATE&data[FIELDS][ID]=%d&auth[application_token]=%s", deal, sent)); status != want {
				t.Errorf("the answer is %d, want %d", status, want)
			}
		}
		h.Stop()
	}
	gone = false
	h.Start()
	h.Until("processed", func() bool { return len(h.holds()) == 0 && h.unrouted() == 0 })
	h.Wait()
	apptest.WantNames(t, h.Elements(deal), "Tiles × 1")
}

// TestAddedPortal: a portal that comes while the service runs has its first heartbeat at once.
func TestAddedPortal(t *testing.T) {
	t.Parallel()
	h, l := newLive(t, apptest.Options{CatchUp: apptest.QuickCatchUp()})
	h.change(l, func(c *config.Config) {
		p := c.Portals[0]
		p.Name = "second"
		c.Portals = append(c.Portals, p)
	})
	if _, ok, err := notes.Get(h.Context(), h.Service.Queue().Database(), service.HeartbeatNote("second")); !ok || err != nil {
		t.Errorf("heartbeat %v, %v", ok, err)
	}
	if h.Logged("first start with this portal") != 2 {
		t.Error("the first start is not logged")
	}
}

// TestAlertsOfRefusedReload: a configuration that is refused is a message, however often it is
// read again, and so is one portal with errors, and portals that are removed by mistake. When
// it is accepted, each is over. A portal that never ran has its hold, and no second message.
func TestAlertsOfRefusedReload(t *testing.T) {
	t.Parallel()
	h, l := newLive(t, apptest.Options{})
	var got messages
	now := time.Now()
	keeper := &alerts.Keeper{DB: h.Service.Queue().Database(), Own: h.Service.OwnFaults, Process: "host a", Receivers: []alerts.Receiver{{Name: "hook", Sink: &got, Now: true}}, Log: slog.New(slog.DiscardHandler)}
	after := func(what string, findings diag.List, do func(c *config.Config), want ...string) {
		t.Helper()
		l.mu.Lock()
		l.findings = findings
		l.mu.Unlock()
		got = nil
		for range 3 {
			h.change(l, do)
			for range 2 {
				now = now.Add(15 * time.Second)
				if err := keeper.Step(h.Context(), now); err != nil {
					t.Fatal(err)
				}
			}
		}
		if text := strings.Join(got, "\n--\n"); text != strings.Join(want, "\n--\n") {
			t.Errorf("%s: messages\n%s", what, text)
		}
	}
	wrong := diag.List{{Code: "unknown-key", Severity: diag.Error, Pos: diag.Pos{File: "b24rules.yaml", Line: 2, Column: 1}, Message: "unknown key limts"}}
	after("an error", wrong, func(*config.Config) {},
		"The changed configuration or rules were refused. What ran before still runs.\n"+wrong[0].String()+"\nFix it. b24rules reload shows whether it runs.")
	after("no error", nil, func(*config.Config) {}, "Over: the configuration and the rules are accepted.")

	main := h.Config().Portals[0]
	broken := func(names ...string) func(c *config.Config) {
		return func(c *config.Config) {
			c.Portals, c.Broken = nil, nil
			for _, name := range names {
				c.Broken = append(c.Broken, config.BrokenPortal{Name: name, Findings: wrong, Token: main.Token})
			}
		}
	}
	after("a portal", nil, broken(main.Name, "never-ran"),
		"The changed configuration of portal demo has errors. Its last valid one still runs.\n"+wrong[0].String())
	var names []string
	for _, b := range h.Service.Broken() {
		names = append(names, b.Name)
	}
	if slices.Sort(names); !slices.Equal(names, []string{"demo", "never-ran"}) {
		t.Errorf("the portals with errors are %v", names)
	}
	after("removed", nil, broken(),
		"Over: portal demo no longer runs with an older configuration.",
		"The changed configuration removes 2 portals (demo, never-ran) and was refused. They still run.\nIf this is meant: b24rules reload --yes. Otherwise add the portals again.")
	after("back", nil, func(c *config.Config) { c.Portals = []config.Portal{main} },
		"Over: the configuration no longer waits for a confirmation.")
}

// messages are what a receiver of alerts has got.
type messages []string

// Send keeps a message.
func (m *messages) Send(_ context.Context, one alerts.Message) error {
	*m = append(*m, one.ForPeople())
	return nil
}

// TestRefusedEvents: somebody writes a wrong application token. The portal's events are refused,
// status says so, and they are caught up when the token is right again: the portal does not send
// them a second time.
func TestRefusedEvents(t *testing.T) {
	t.Parallel()
	h, l := newLive(t, apptest.Options{CatchUp: apptest.QuickCatchUp()})
	deal := h.AddDeal("Roof", row("Tiles", "10", "1"))
	apptest.WantNames(t, h.Elements(deal), "Tiles × 1")
	read := func() report.PortalStatus {
		h.Service.FlushRefusals(h.Context())
		s, err := report.ReadStatus(h.Context(), h.Service.Queue(), []string{demo.PortalName}, false)
		if err != nil {
			t.Fatal(err)
		}
		return s.Portals[0]
	}
	if p := read(); p.Refused != nil || p.Attention() || p.Condition != report.PortalFine {
		t.Errorf("before: %+v", p)
	}
	h.change(l, func(c *config.Config) { c.Portals[0].Token = "mistyped" })
	h.SetRowsQuietly(deal, row("Nails", "1", "2"))
	if p := read(); p.Refused == nil || p.Refused.Requests == 0 || !strings.Contains(p.Refused.Text(), "application_token") || !p.Attention() || p.Condition != report.PortalRefused {
		t.Errorf("while events are refused: %+v", p)
	}
	apptest.WantNames(t, h.Elements(deal), "Tiles × 1")
	h.change(l, func(c *config.Config) { c.Portals[0].Token = h.Config().Portals[0].Token })
	h.Until("caught up", func() bool { return h.Elements(deal)["Nails × 2"].ID() != 0 })
	h.Until("the portal needs no attention", func() bool {
		p := read()
		return p.Refused == nil && !p.Attention() && p.Condition == report.PortalFine
	})
}

// TestRefusedEventsOverErrors: the token is corrected in a configuration that has an error, which is
// corrected later. The events that were refused before are caught up, too.
func TestRefusedEventsOverErrors(t *testing.T) {
	t.Parallel()
	var configure func(c *config.Config)
	h := newHarness(t, apptest.Options{CatchUp: apptest.QuickCatchUp(), Configure: func(c *config.Config) {
		if configure != nil {
			configure(c)
		}
	}})
	deal := h.AddDeal("Roof", row("Tiles", "10", "1"))
	restart := func(with func(c *config.Config)) {
		h.Stop()
		configure = with
		h.Start()
	}
	kept := func() string {
		note, _, err := notes.Get(h.Context(), h.Service.Queue().Database(), report.TokenNote(demo.PortalName))
		if err != nil {
			t.Fatal(err)
		}
		return note.Value
	}
	right := kept()
	restart(func(c *config.Config) { c.Portals[0].Token = "mistyped" })
	h.Until("the wrong token is kept", func() bool { return kept() != right })
	h.SetRowsQuietly(deal, row("Nails", "1", "2"))
	restart(func(c *config.Config) {
		broken := config.BrokenPortal{Name: demo.PortalName, Token: c.Portals[0].Token}
		broken.Findings.Errorf(diag.Pos{File: "b24rules.yaml", Line: 9, Column: 5}, "invalid-value", "plan is unknown")
		c.Broken, c.Portals = []config.BrokenPortal{broken}, nil
	})
	h.Until("the right token is kept", func() bool { return kept() == right })
	restart(nil)
	h.Until("caught up", func() bool { return h.Elements(deal)["Nails × 2"].ID() != 0 })
	if h.Logged("events were refused because of their application token") != 1 {
		t.Error("no window was opened for the refused events")
	}
}
