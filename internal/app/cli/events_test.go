package cli

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/internal/app/apptest"
)

// TestEventsWhileServeIsRunning lists and shows events, also one that no rule matched.
func TestEventsWhileServeIsRunning(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := newHarness(t, apptest.Options{Dir: dir})
	c := newCLI(h, dir)
	if _, talk := c.run(exitFine, "events", "list"); talk != "b24rules: no events\n" {
		t.Errorf("an empty history: %q", talk)
	}
	deal := h.AddDeal("Roof", row("Tiles", "33.33", "3"))
	h.Wait()
	const token = "&auth[application_token]="
	if got := h.Post(h.HookURL, "application/x-www-form-urlencoded", "event=ONCRMLEADADD&data[FIELDS][ID]=5&data[X]=<b>&ts=1729797011"+token+h.Options.Emulator.ApplicationToken); got != 200 {
		t.Fatalf("status %d", got)
	}

	text, _ := c.run(exitFine, "events", "list", "--no-rule")
	if lines := strings.Split(strings.TrimSpace(text), "\n"); len(lines) != 3 || !strings.Contains(lines[2], `ONCRMLEADADD  0      {"FIELDS":{"ID":"5"},"X":"<b>"}`) {
		t.Errorf("events without a rule:\n%s", text)
	}
	text, _ = c.run(exitFine, "events", "list", "--code", "oncrmdealadd", "--portal", "demo", "--since", "1h")
	if !strings.Contains(text, "ONCRMDEALADD") || strings.Contains(text, "ONCRMLEADADD") {
		t.Errorf("events of a code:\n%s", text)
	}
	text, talk := c.run(exitFine, "events", "list", "--limit", "1")
	if !strings.Contains(text, "ONCRMLEADADD") || !strings.Contains(talk, "for more events add --before ") {
		t.Errorf("the first page: %s%s", text, talk)
	}

	var list struct {
		Events []struct {
			ID    int64  `json:"id"`
			Event string `json:"event"`
			TS    int64  `json:"ts"`
			Rules int    `json:"rules"`
		} `json:"events"`
	}
	text, _ = c.run(exitFine, "events", "list", "--format", "json")
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list.Events) < 2 || list.Events[0].TS != 1729797011 || list.Events[0].Rules != 0 {
		t.Fatalf("%v: %s", err, text)
	}
	lead, first := strconv.FormatInt(list.Events[0].ID, 10), strconv.FormatInt(list.Events[len(list.Events)-1].ID, 10)
	if text, _ = c.run(exitFine, "events", "show", lead); !strings.Contains(text, "no rule matched this event") || !strings.Contains(text, `"ID": "5"`) || !strings.Contains(text, "2024-10-24") {
		t.Errorf("the event of the lead:\n%s", text)
	}
	if text, _ = c.run(exitFine, "events", "show", first); !strings.Contains(text, "deal-shipments for deal:"+strconv.Itoa(deal)+", succeeded") {
		t.Errorf("the event of the deal:\n%s", text)
	}

	// explain reads the stored form.
	text, _ = c.run(exitFine, "events", "show", first, "--format", "json")
	var out, errs strings.Builder
	code := runCommand(t.Context(), []string{"explain", "--event", "-", dir + "/rules"}, environment{Std: Std{In: strings.NewReader(text), Out: &out, Err: &errs}, actions: actions.All})
	if code != exitFine || !strings.Contains(out.String(), "deal-shipments runs its steps for deal:") {
		t.Errorf("explain says %d, %s%s of %s", code, out.String(), errs.String(), text)
	}
	for _, flags := range [][]string{{"--rule", "deal-shipments"}, {"--entity", "deal:" + strconv.Itoa(deal)}} {
		text, _ = c.run(exitFine, append([]string{"events", "list", "--until", "2999-01-01"}, flags...)...)
		if !strings.Contains(text, "ONCRMDEALADD") || strings.Contains(text, "ONCRMLEADADD") {
			t.Errorf("events of %v:\n%s", flags, text)
		}
	}
	for _, tt := range []struct {
		flags []string
		want  string
	}{
		{[]string{"--code", "ONCRMDEALAD"}, "did you mean ONCRMDEALADD?"},
		{[]string{"--portal", "dem"}, "did you mean demo?"},
		{[]string{"--rule", "deal-shipment"}, "did you mean deal-shipments?"},
		{[]string{"--no-rule", "--rule", "deal-shipments"}, "remove --no-rule"},
		{[]string{"--until", "soon"}, "--until \"soon\""},
	} {
		if _, talk := c.run(exitUsage, append([]string{"events", "list"}, tt.flags...)...); !strings.Contains(talk, tt.want) {
			t.Errorf("%v: %s", tt.flags, talk)
		}
	}
	if _, talk = c.run(exitFailure, "events", "show", "99999"); !strings.Contains(talk, "event 99999 does not exist") {
		t.Errorf("an unknown event: %s", talk)
	}
}
