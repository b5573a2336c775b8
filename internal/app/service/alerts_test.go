package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/alerts"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/catchup"
	"github.com/b24rules/b24rules/internal/cause"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/notes"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/store"
)

// alertWorld is a queue, its faults, and a stand-in for a receiver.
type alertWorld struct {
	t      *testing.T
	queue  *queue.Queue
	faults *faults
	keeper *alerts.Keeper
	now    time.Time

	mu       sync.Mutex
	messages []string
}

func newAlertWorld(t *testing.T) *alertWorld {
	w := &alertWorld{t: t, now: time.Now()}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m struct{ Message string }
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Error(err)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.messages = append(w.messages, m.Message)
	}))
	t.Cleanup(server.Close)
	log := slog.New(slog.DiscardHandler)
	var err error
	if w.queue, err = queue.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "queue.db"), queue.Options{Attempts: 1, Log: log}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.queue.Close() })
	c := &settings{}
	c.Store(&config.Config{Portals: []config.Portal{{Name: "acme"}}, Console: config.Console{Listen: "127.0.0.1:1", URL: "https://ops.example"}})
	w.faults = &faults{config: c, queue: w.queue, backlogs: &backlogs{config: c, queue: w.queue, log: log}, losses: &losses{}, outcome: &atomic.Pointer[outcome]{}}
	w.faults.status = (&Service{config: c, queue: w.queue}).status
	w.keeper = &alerts.Keeper{
		DB: w.queue.Database(), Shared: w.faults.shared, Log: log,
		Receivers: Receivers([]config.AlertReceiver{{Name: "hook", Webhook: bitrix.Secret(server.URL), Now: true}}),
	}
	return w
}

// pass lets time pass for the alerts, with a look every few seconds or, in a long time, minutes.
func (w *alertWorld) pass(d time.Duration) {
	w.t.Helper()
	for end := w.now.Add(d); w.now.Before(end); {
		w.now = w.now.Add(max(2*time.Second, d/200))
		if err := w.keeper.Step(w.t.Context(), w.now); err != nil {
			w.t.Fatal(err)
		}
	}
}

// take returns the messages since the last call.
func (w *alertWorld) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.messages
	w.messages = nil
	slices.Sort(out)
	return out
}

// TestAlertsOfParkedRuns: 500 runs that park for two causes are two messages within ten seconds,
// with links, and the end of one cause is one more.
func TestAlertsOfParkedRuns(t *testing.T) {
	w := newAlertWorld(t)
	var fixed atomic.Bool
	ctx, stop := context.WithCancel(t.Context())
	var working sync.WaitGroup
	working.Go(func() {
		if err := w.queue.Work(ctx, func(_ context.Context, r *queue.Run) error {
			why := cause.Cause{Kind: cause.Refused, Method: "lists.element.get", Code: "ACCESS_DENIED"}
			if strings.HasSuffix(r.Entity, "0") {
				why = cause.Cause{Kind: cause.Limit, Code: "delete_limit", Rule: "r", File: "rules/r.yaml", Step: "sync"}
			} else if fixed.Load() {
				return nil
			}
			r.SetCause(why.String())
			return queue.Park(errors.New("failed"))
		}); err != nil {
			t.Error(err)
		}
	})
	defer working.Wait()
	defer stop()
	for i := range 500 {
		if err := w.queue.Push(t.Context(), journal.Event{Portal: "acme", Code: "ONCRMDEALUPDATE"}, []queue.Route{{Rule: "r", Entity: fmt.Sprint("deal:", i)}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.queue.WaitIdle(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 4 { // the time between two reads of runs depends on the speed of this machine
		w.faults.runsNext = time.Time{}
		w.pass(2 * time.Second)
	}
	got := w.take()
	w.pass(time.Hour)
	if more := w.take(); len(more) > 0 {
		t.Errorf("further messages: %q", more)
	}
	denied := cause.Cause{Kind: cause.Refused, Method: "lists.element.get", Code: "ACCESS_DENIED"}
	if len(got) != 2 || !strings.HasSuffix(got[0], "\nhttps://ops.example/runs?state=parked&cause="+cause.ID(denied.String())) || !strings.HasPrefix(got[0], "450 runs are parked: the portal refuses lists.element.get: ACCESS_DENIED (portal acme, rule r).\n") ||
		!strings.HasPrefix(got[1], "50 runs are parked: delete_limit stops step sync of rule r") || !strings.Contains(got[1], "raise delete_limit in rules/r.yaml") {
		t.Fatalf("messages: %q", got)
	}
	fixed.Store(true)
	if n, err := w.queue.ReplayAll(t.Context(), journal.Filter{States: []journal.State{journal.Parked}}, "anna@web1"); err != nil || n != 500 {
		t.Fatal(n, err)
	}
	if err := w.queue.WaitIdle(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.pass(time.Hour)
	if got := w.take(); len(got) != 1 || got[0] != "Over: no run is parked any more because: the portal refuses lists.element.get: ACCESS_DENIED." {
		t.Errorf("messages after the replay: %q", got)
	}
}

// TestAlertsOfAcknowledgedCauses: no message about a cause that a person knows of, until another
// rule fails because of it.
func TestAlertsOfAcknowledgedCauses(t *testing.T) {
	w := newAlertWorld(t)
	denied := cause.Cause{Kind: cause.Refused, Method: "lists.element.get", Code: "ACCESS_DENIED"}.String()
	ctx, stop := context.WithCancel(t.Context())
	var working sync.WaitGroup
	working.Go(func() {
		if err := w.queue.Work(ctx, func(_ context.Context, r *queue.Run) error {
			r.SetCause(denied)
			return queue.Park(errors.New("failed"))
		}); err != nil {
			t.Error(err)
		}
	})
	defer working.Wait()
	defer stop()
	park := func(rule string) {
		t.Helper()
		if err := w.queue.Push(t.Context(), journal.Event{Portal: "acme", Code: "ONCRMDEALUPDATE"}, []queue.Route{{Rule: rule, Entity: "deal:1"}}); err != nil {
			t.Fatal(err)
		}
		if err := w.queue.WaitIdle(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	park("r")
	err := w.queue.Database().Write(t.Context(), func(ctx context.Context, tx store.Tx) error {
		return cause.Acknowledge(ctx, tx, cause.Acknowledged{Cause: cause.ID(denied), By: "anna", At: time.Now(), Known: []string{cause.Place("acme", "r")}})
	})
	if err != nil {
		t.Fatal(err)
	}
	w.pass(time.Hour)
	if got := w.take(); len(got) != 0 {
		t.Errorf("messages about an acknowledged cause: %q", got)
	}
	park("other")
	w.pass(time.Hour)
	if got := w.take(); len(got) != 1 || !strings.HasPrefix(got[0], "2 runs are parked") {
		t.Errorf("messages when another rule fails: %q", got)
	}
}

// TestAlertsOfHolds: the start and the end of a fault are messages, except of a short
// outage and of a portal that somebody has paused.
func TestAlertsOfHolds(t *testing.T) {
	w := newAlertWorld(t)
	set := func(rule, cause string) {
		t.Helper()
		if err := w.queue.SetHold(t.Context(), queue.Hold{Portal: "acme", Rule: rule, Cause: cause, Since: w.now}); err != nil {
			t.Fatal(err)
		}
	}
	end := func(rule string) {
		t.Helper()
		if err := w.queue.EndHold(t.Context(), "acme", rule); err != nil {
			t.Fatal(err)
		}
	}
	set("", "unreachable")
	w.pass(9 * time.Minute)
	end("")
	w.pass(time.Minute)
	if got := w.take(); len(got) != 0 {
		t.Errorf("messages about a short outage: %q", got)
	}
	set("", "unauthorised")
	set("r", "stopped")
	w.pass(time.Hour)
	end("")
	end("r")
	w.pass(time.Minute)
	want := []string{"Over: portal acme is no longer unauthorised", "Over: rule r of portal acme is no longer stopped", "Portal acme is unauthorised. Its runs wait.\nThe portal does not accept", "Rule r of portal acme is stopped. Its runs wait."}
	got := w.take()
	if len(got) != len(want) {
		t.Fatalf("messages: %q", got)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("message %q, want %q", got[i], want[i])
		}
	}
	if err := w.queue.Pause(t.Context(), "acme", "", "stocktaking"); err != nil {
		t.Fatal(err)
	}
	set("", "blocked")
	w.pass(time.Hour)
	if got := w.take(); len(got) != 0 {
		t.Errorf("messages about a paused portal: %q", got)
	}
}

// TestAlertsOfLateRuns: runs that start again after a fault of the portal are late as before.
// Under the fault they are neither late nor no longer late.
func TestAlertsOfLateRuns(t *testing.T) {
	w := newAlertWorld(t)
	if err := w.queue.Push(t.Context(), journal.Event{Portal: "acme", Code: "ONCRMDEALUPDATE"}, []queue.Route{{Rule: "r", Entity: "deal:1"}}); err != nil {
		t.Fatal(err)
	}
	late := func(by time.Duration) {
		t.Helper()
		err := w.queue.Database().Write(t.Context(), func(ctx context.Context, tx store.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE b24_run SET due_at = $1`, store.Micros(time.Now().Add(-by)))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		w.faults.runsNext = time.Time{}
	}
	hold := func(do func()) {
		t.Helper()
		if err := w.queue.SetHold(t.Context(), queue.Hold{Portal: "acme", Cause: "unreachable", Since: w.now}); err != nil {
			t.Fatal(err)
		}
		do()
		if err := w.queue.EndHold(t.Context(), "acme", ""); err != nil {
			t.Fatal(err)
		}
	}
	late(5 * time.Minute)
	w.pass(9 * time.Minute)
	hold(func() { w.pass(9 * time.Minute) })
	w.pass(9 * time.Minute)
	wantMessages(t, w.take(), nil) // ten minutes without a hold are not over
	w.pass(2 * time.Minute)
	wantMessages(t, w.take(), []string{"The runs of portal acme are late by more than 10m0s."})
	hold(func() { w.pass(9 * time.Minute) })
	w.pass(time.Minute)
	wantMessages(t, w.take(), nil)
	late(0)
	w.pass(time.Minute)
	wantMessages(t, w.take(), []string{"Over: the runs of portal acme are no longer late."})
}

// TestAlertsOfPortalsThatDoNotRun: a portal whose configuration has errors is a message, again
// after six hours, and a removed portal is one.
func TestAlertsOfPortalsThatDoNotRun(t *testing.T) {
	w := newAlertWorld(t)
	for portal, cause := range map[string]string{"acme": "broken", "bolt": "removed"} {
		if err := w.queue.SetHold(t.Context(), queue.Hold{Portal: portal, Cause: cause, Reason: "b24rules.yaml:9:5: wrong", Since: w.now}); err != nil {
			t.Fatal(err)
		}
	}
	w.pass(7 * time.Hour)
	for _, portal := range []string{"acme", "bolt"} {
		if err := w.queue.EndHold(t.Context(), portal, ""); err != nil {
			t.Fatal(err)
		}
	}
	w.pass(time.Minute)
	want := []string{
		"Over: nothing waits for the removed portal bolt any more", "Over: the configuration of portal acme is valid again.",
		"Portal bolt was removed from the configuration. Its events and runs wait for 7 days.\nIf that",
		"The configuration of portal acme has errors. Its events and runs wait.\nb24rules.yaml:9:5: wrong",
		"The configuration of portal acme has errors. Its events and runs wait.",
	}
	got := w.take()
	if len(got) != len(want) {
		t.Fatalf("messages: %q", got)
	}
	for i := range want {
		if !strings.Contains(got[i], want[i]) {
			t.Errorf("message %q, want %q", got[i], want[i])
		}
	}
}

// TestAlertsOfWindows: a catch-up after lost events that does not end is a message, and one
// that a person decides about is one. A pause of the portal ends none of them.
func TestAlertsOfWindows(t *testing.T) {
	w := newAlertWorld(t)
	windows := catchup.NewWindows(w.queue.Database())
	began := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	open := func(one catchup.Window) {
		t.Helper()
		one.Portal, one.From, one.To = "acme", began, began.Add(time.Minute)
		if err := windows.Open(t.Context(), one); err != nil {
			t.Fatal(err)
		}
	}
	drop := func() {
		t.Helper()
		all, err := windows.List(t.Context(), "acme")
		if err == nil {
			err = windows.Drop(t.Context(), all)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, why := range []string{"no process received events", eventNotStored} {
		open(catchup.Window{Why: why})
		w.pass(29 * time.Minute)
		drop()
		w.pass(time.Minute)
	}
	if got := w.take(); len(got) != 0 {
		t.Errorf("messages about a catch-up that has ended: %q", got)
	}
	open(catchup.Window{Why: eventNotStored})
	open(catchup.Window{Rule: "r", Why: "no process received events", Note: "ACCESS_DENIED", Next: time.Now().Add(time.Hour)})
	open(catchup.Window{Rule: "s", Why: eventNotStored, Note: "downtime of 201h0m0s, catch_up.longest is 168h0m0s", Held: true})
	w.pass(31 * time.Minute)
	want := []string{
		"Portal acme is not caught up: events since 2026-03-01 09:00 UTC are missing.\nThe reason: ACCESS_DENIED.\nserve tries again until",
		"You decide about the catch-up of portal acme: what has changed since 2026-03-01 09:00 UTC was not worked.\nThe reason: downtime of 201h0m0s, catch_up.longest is 168h0m0s.\nb24rules catchup run --portal acme",
	}
	wantMessages(t, w.take(), want)
	if err := w.queue.Pause(t.Context(), "acme", "", "stocktaking"); err != nil {
		t.Fatal(err)
	}
	w.pass(6 * time.Hour)
	wantMessages(t, w.take(), nil)
	drop()
	w.pass(time.Minute)
	wantMessages(t, w.take(), []string{"Over: no catch-up of portal acme waits for a decision any more.", "Over: serve has caught up on the missing events of portal acme"})
}

// TestAlertsOfRights: lost rights are a message, and so is their end. Those of a portal that is not
// in the configuration are none.
func TestAlertsOfRights(t *testing.T) {
	w := newAlertWorld(t)
	set := func(portal string, r report.Rights) {
		t.Helper()
		value, err := json.Marshal(r)
		if err == nil {
			err = notes.Set(t.Context(), w.queue.Database(), report.RightsNote(portal), string(value))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	set("acme", report.Rights{User: "user 7, Anna", Admin: true})
	set("removed", report.Rights{User: "user 1, Boris", Lost: w.now})
	w.pass(time.Minute)
	wantMessages(t, w.take(), nil)
	set("acme", report.Rights{User: "user 7, Anna", Lost: w.now})
	w.pass(time.Minute)
	wantMessages(t, w.take(), []string{"The user of portal acme has lost rights.\nuser 7, Anna is no administrator any more: "})
	set("acme", report.Rights{User: "user 7, Anna", Admin: true})
	w.pass(time.Minute)
	wantMessages(t, w.take(), []string{"Over: the user of portal acme is an administrator again"})
}

// wantMessages compares the beginnings of messages.
func wantMessages(t *testing.T, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("messages: %q, want %q", got, want)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("message %q, want %q", got[i], want[i])
		}
	}
}

// TestAlertsOfLostEvents: an event that was not stored is a message, and so is a rule file
// with errors.
func TestAlertsOfLostEvents(t *testing.T) {
	w := newAlertWorld(t)
	text := "version: 1\nrules: {r: {on: [ONCRMDEALUPDATE], steps: [{log: {message: hello}}]}}\n"
	w.faults.rules = &fleet.Rules{Portals: w.faults.config.Load().Portals, Actions: actions.All, Source: func() ([]fleet.RuleFile, error) {
		return []fleet.RuleFile{{Name: "rules/r.yaml", Data: []byte(text)}}, nil
	}}
	load := func(data string) {
		t.Helper()
		text = data
		if _, _, err := w.faults.rules.Load(); err != nil {
			t.Fatal(err)
		}
	}
	valid := text
	load(valid)
	load("version: 1\nrulse: {}\n")
	w.keeper.Own, w.keeper.Process = w.faults.own, "host a"
	for range 3 {
		w.faults.losses.add("acme", w.now)
		w.pass(20 * time.Second)
	}
	load(valid)
	w.pass(10 * time.Minute)
	got := w.take()
	if len(got) != 4 || !strings.HasPrefix(got[0], "Events of portal acme could not be stored") || got[1] != "Over: events of portal acme are stored again." ||
		got[2] != "Over: the rule file rules/r.yaml is valid again." || got[3] != "The rule file rules/r.yaml has errors. Its last valid version still runs.\nb24rules validate rules/r.yaml shows the errors.\nhttps://ops.example/rules" {
		t.Errorf("messages: %q", got)
	}
}

// TestDailySummaryOfPortals says how the portals are, and what is wrong.
func TestDailySummaryOfPortals(t *testing.T) {
	w := newAlertWorld(t)
	if c, err := w.faults.summary(t.Context(), w.now, nil); err != nil || c.Title != "1 portal, all fine." || c.Text != "" {
		t.Errorf("a fine portal: %+v, %v", c, err)
	}
	if err := w.queue.Pause(t.Context(), "acme", "", "moves"); err != nil {
		t.Fatal(err)
	}
	wrong := make([]alerts.Condition, mostWrong+2)
	wrong[0] = alerts.Condition{Title: "Runs are parked.", Since: time.Date(2026, 3, 1, 8, 47, 0, 0, time.UTC)}
	c, err := w.faults.summary(t.Context(), w.now, wrong)
	if err != nil || c.Title != "0 of 1 portal is fine." || !strings.HasPrefix(c.Text, "- Runs are parked. Since 2026-03-01 08:47 UTC.\n- ") || !strings.HasSuffix(c.Text, "\n… and 2 more\n- Portals that are paused: acme.") {
		t.Errorf("a paused portal: %+v, %v", c, err)
	}
}
