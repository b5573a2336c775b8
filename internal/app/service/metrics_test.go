package service_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/service"
	"github.com/b24rules/b24rules/internal/app/testkit"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

// scrape reads the metrics of a harness's engine.
func (h *harness) scrape() string {
	h.T.Helper()
	from := h.Log.Size()
	end, err := h.Service.ServeMetrics(h.Context(), "127.0.0.1:0")
	if err != nil {
		h.T.Fatal(err)
	}
	defer end()
	line := h.Log.Wait(h.T, from, "msg=metrics url=")
	url := regexp.MustCompile(`url=(\S+)`).FindStringSubmatch(line)[1]
	resp, err := http.Get(url)
	if err != nil {
		h.T.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		h.T.Fatalf("status %d, %v:\n%s", resp.StatusCode, err, text)
	}
	return string(text)
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{})
	h.AddDeal("Roof", row("Tiles", "10", "1"), row("Nails", "1", "5"))
	for i := range 20 { // strangers choose no labels
		h.Post(h.HookURL[:strings.LastIndex(h.HookURL, "/")+1]+fmt.Sprintf("stranger-%d", i), formType, "event=ONCRMDEALUPDATE")
	}
	h.Post(h.HookURL, formType, "event=ONCRMDEALUPDATE&auth[application_token]=wr0ng")
	text := h.scrape()
	for _, want := range []string{
		`b24rules_events_total{portal="demo",status="200"} `,
		`b24rules_unproven_requests_total{portal="demo",status="403"} 1`,
		`b24rules_unproven_requests_total{portal="",status="403"} 20`,
		`b24rules_event_seconds_count `,
		`b24rules_events_storing{portal="demo"} 0`,
		`b24rules_run_attempts_total{outcome="done",portal="demo"} `,
		`b24rules_run_seconds_bucket{le="0.001"} `,
		`b24rules_event_to_end_seconds_count `,
		`b24rules_runs{portal="demo",state="waiting"} 0`,
		`b24rules_runs{portal="demo",state="parked"} 0`,
		`b24rules_oldest_due_seconds{portal="demo"} 0`,
		`b24rules_database_up 1`,
		`b24rules_rest_requests_total{portal="demo"} `,
		`b24rules_rest_writes_total{portal="demo"} 2`,
		`b24rules_rest_refused_total{portal="demo"} 0`,
		`b24rules_rest_request_seconds_count{portal="demo"} `,
		`b24rules_connections_refused_total 0`,
		`go_memstats_heap_inuse_bytes `,
		`process_cpu_seconds_total `,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	for _, secret := range []string{"stranger", "wr0ng", h.Options.Emulator.ApplicationToken, h.Portal.WebhookPath(), "/rest/"} {
		if strings.Contains(text, secret) {
			t.Errorf("the metrics hold %q", secret)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
	// They are not where strangers can see them.
	resp, err := http.Get("http://" + h.HookAddr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("status %d for /metrics at the address of events, want 404", resp.StatusCode)
	}
}

// TestFallingBehind: an old backlog is logged once, and its end too.
func TestFallingBehind(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		log := testkit.NewLog()
		c := &config.Config{
			Database: "sqlite:" + dir + "/q.db",
			Portals:  []config.Portal{{Name: "demo", Webhook: bitrix.Secret("http://127.0.0.1:1/rest/1/s3cr3t/"), Plan: bitrix.PlanStandard}, {Name: "idle", Webhook: "http://127.0.0.1:1/rest/1/s3cr3t/", Plan: bitrix.PlanStandard}},
		}
		a, err := service.New(t.Context(), service.Options{Config: c, Rules: &fleet.Rules{}, Log: log.Logger()})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); a.WatchBacklog(ctx) }()
		if err := a.Queue().Push(ctx, journal.Event{Portal: "demo", Code: "X"}, []queue.Route{{Rule: "r", Entity: "deal:1"}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		if n := strings.Count(log.String(), "backlog is growing"); n != 1 || !strings.Contains(log.String(), "portal=demo overdue=1m") {
			t.Errorf("told %d times, want once:\n%s", n, log)
		}
		if err := a.Queue().Discard(ctx, 1, ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if n := strings.Count(log.String(), "backlog is cleared"); n != 1 || strings.Contains(log.String(), "portal=idle") {
			t.Errorf("the end was told %d times, want once:\n%s", n, log)
		}
		cancel()
		<-ended
	})
}

// Events whose code promises an id are refused without one, because no rule could run for
// them. When the id cannot be read, they are stored, and a warning tells a person.
func TestEventsWithoutAReadableID(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{})
	token := "&auth[application_token]=" + h.Options.Emulator.ApplicationToken
	bad := []string{
		"event=ONCRMDEALUPDATE", "event=ONCRMDEALUPDATE&data[FIELDS][ID]=",
		"event=ONCRMDEALUPDATE&data[FIELDS][ID][]=5", "event=ONCRMDYNAMICITEMUPDATE&data[FIELDS][ENTITY_TYPE_ID]=31",
	}
	for _, form := range bad {
		if got := h.Post(h.HookURL, formType, form+token); got != http.StatusBadRequest {
			t.Errorf("%s: status %d, want 400", form, got)
		}
	}
	unreadable := []string{
		"event=ONCRMDEALUPDATE&data[FIELDS][ID]=D_5", "event=ONCRMDEALUPDATE&data[FIELDS][ID]=-5", "event=ONCRMDEALUPDATE&data[FIELDS][ID]=5.0",
		"event=ONCRMDEALUPDATE&data[FIELDS][ID]=%2B5%2B", "event=ONTASKADD&data[FIELDS_AFTER][ID]=x",
	}
	good := []string{"event=ONCRMCURRENCYUPDATE&data[FIELDS][ID]=EUR", "event=ONAPPTEST", "event=ONTASKDELETE&data[FIELDS_BEFORE][ID]=7&data[FIELDS_AFTER]=undefined"}
	good = append(good, unreadable...)
	for _, form := range good {
		if got := h.Post(h.HookURL, formType, form+token); got != http.StatusOK {
			t.Errorf("%s: status %d, want 200", form, got)
		}
	}
	if n := h.Logged(`level=WARN msg="an event is stored and starts no rule"`); n != len(unreadable) {
		t.Errorf("%d warnings, want %d", n, len(unreadable))
	}
	if n := h.Logged(`cannot read the id \"D_5\"`); n != 1 {
		t.Errorf("the id is logged %d times, want once", n)
	}
	if want := fmt.Sprintf(`b24rules_events_total{portal="demo",status="400"} %d`, len(bad)); !strings.Contains(h.scrape(), want) {
		t.Errorf("the metrics lack %s", want)
	}
	events, err := journal.FindEvents(t.Context(), h.Service.Queue().Database(), journal.EventFilter{Limit: 100})
	if err != nil || len(events) != len(good) {
		t.Errorf("%d events are stored, %v; want %d", len(events), err, len(good))
	}
	if states := h.States(); len(states) > 0 {
		t.Errorf("runs %v, want none", states)
	}
}
