package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/rules"
)

// cli is the command line over the database and the portal of a harness. The engine
// may be running.
type cli struct {
	h      *harness
	config string
}

// newCLI writes the configuration that fits a harness.
func newCLI(h *harness, dir string) *cli {
	h.T.Helper()
	c := &cli{h: h, config: filepath.Join(dir, "b24rules.yaml")}
	shipped := filepath.Join(dir, "rules")
	if err := os.CopyFS(shipped, rules.FS); err != nil {
		h.T.Fatal(err)
	}
	database := "sqlite:b24rules.db"
	if h.Options.Database != "" {
		database = h.Options.Database
	}
	text := fmt.Sprintf(`database: %s
rules: [rules]
portals:
  demo:
    webhook: %s
    application_token: %s
    plan: unlimited
    inputs:
      invoice-total: {helper_type: %d}
      deal-shipments: {list: %d}
`, database, h.Webhook().Reveal(), h.Options.Emulator.ApplicationToken, h.IDs.TotalsType, h.IDs.ShipmentList)
	if err := os.WriteFile(c.config, []byte(text), 0o600); err != nil {
		h.T.Fatal(err)
	}
	return c
}

// run runs a command and checks its exit code.
func (c *cli) run(code int, args ...string) (out, talk string) {
	c.h.T.Helper()
	return c.runWith(c.h.Context(), code, args...)
}

// runWith is run with an end.
func (c *cli) runWith(ctx context.Context, code int, args ...string) (out, talk string) {
	c.h.T.Helper()
	return c.bareWith(ctx, code, append(args, "--config", c.config)...)
}

// bare is run without the configuration.
func (c *cli) bare(code int, args ...string) (out, talk string) {
	c.h.T.Helper()
	return c.bareWith(c.h.Context(), code, args...)
}

func (c *cli) bareWith(ctx context.Context, code int, args ...string) (out, talk string) {
	c.h.T.Helper()
	var stdout, stderr bytes.Buffer
	got := runCommand(ctx, args, environment{Std: Std{In: strings.NewReader(""), Out: &stdout, Err: &stderr}, actions: actions.All})
	if got != code {
		c.h.T.Fatalf("b24rules %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, code, stdout.String(), stderr.String())
	}
	return stdout.String(), stderr.String()
}

// changing are the parts of an output that differ from run to run.
var changing = []struct {
	is *regexp.Regexp
	by string
}{
	{regexp.MustCompile(`\b(\d\d:\d\d:\d\d|[A-Z][a-z]{2} \d\d \d\d:\d\d)\b`), "TIME"},
	{regexp.MustCompile(`\b(\d+m)?\d+(\.\d+)?(µs|ms|s)\b`), "TOOK"},
	{regexp.MustCompile(`version [0-9a-f]{12}`), "version VERSION"},
	{regexp.MustCompile(`b24r-[0-9a-f]{12}-[0-9a-f]{16}`), "CODE"},
	{regexp.MustCompile(`in a batch of \d+`), "in a batch of N"},
	{regexp.MustCompile(`(?m)^  events .*`), "  events   EVENTS"},
	{regexp.MustCompile(`(?m)^\d+( +)(parked|succeeded)`), "N$1$2"},
	{regexp.MustCompile(`\b(run|replay|discard) \d+`), "$1 N"},
	{regexp.MustCompile(`(?m) +$`), ""},
}

func steady(text string) string {
	for _, c := range changing {
		text = c.is.ReplaceAllString(text, c.by)
	}
	return text
}

// golden compares an output with testdata/runs/NAME.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", "runs", name)
	if os.Getenv("UPDATE_SCRIPTS") != "" {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// TestStatusOfAStoppedRule shows a rule that the portal refuses for every entity.
func TestStatusOfAStoppedRule(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// All events of a deal must be in one run, also on a slow machine.
	h := newHarness(t, apptest.Options{Dir: dir, Limits: config.Limits{Attempts: 1}, Debounce: time.Second})
	c := newCLI(h, dir)
	if err := h.Portal.SetFaults(emulator.Fault{Kind: emulator.FaultRefuse, Method: "lists.element.add", Code: "ACCESS_DENIED", Status: 400}); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if _, err := h.People.AddDeal(h.Context(), "Roof", row("Tiles", "10", "1")); err != nil {
			t.Fatal(err)
		}
	}
	h.Until("the runs wait", func() bool {
		holds, err := h.Service.Queue().HoldList(h.Context())
		return err == nil && len(holds) == 1 && h.States()[journal.Waiting] == 5 && h.States()[journal.Parked] == 0
	})
	status, _ := c.run(exitFindings, "status")
	golden(t, "status_stopped.txt", steadyDates(steady(status)))
	if err := h.Portal.SetFaults(); err != nil {
		t.Fatal(err)
	}
	if _, said := c.run(exitFine, "runs", "resume", "--portal", demo.PortalName, "--rule", "deal-shipments"); !strings.Contains(said, "serve looks now whether the fault of rule deal-shipments in portal "+demo.PortalName+" is over") {
		t.Errorf("resume says %q", said)
	}
	h.Wait()
	if out, _ := c.run(exitFine, "status"); out != "1 portal, no fault\n" {
		t.Errorf("status after the fault: %q", out)
	}
}

// TestStatusOfAFault shows a portal at fault, asks it again and sees its runs start.
func TestStatusOfAFault(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := newHarness(t, apptest.Options{Dir: dir, Limits: config.Limits{Attempts: 1}})
	c := newCLI(h, dir)
	if out, _ := c.run(exitFine, "status"); out != "1 portal, no fault\n" {
		t.Errorf("status without a fault: %q", out)
	}
	var faults []emulator.Fault
	for _, method := range []string{"batch", "server.time", "lists.*", "crm.item.productrow.list"} {
		faults = append(faults, emulator.Fault{Kind: emulator.FaultRefuse, Method: method, Code: "INVALID_CREDENTIALS"})
	}
	if err := h.Portal.SetFaults(faults...); err != nil {
		t.Fatal(err)
	}
	var deal int
	h.AtOnce(func() {
		var err error
		if deal, err = h.People.AddDeal(h.Context(), "Roof", row("Tiles", "10", "1")); err != nil {
			t.Fatal(err)
		}
	})
	h.Until("the run waits", func() bool {
		holds, err := h.Service.Queue().HoldList(h.Context())
		return err == nil && len(holds) == 1 && h.States()[journal.Waiting] == 1
	})
	status, _ := c.run(exitFindings, "status")
	golden(t, "status.txt", steadyDates(steady(status)))
	list, said := c.run(exitFine, "runs", "list")
	golden(t, "list_held.txt", steadyDates(steady(said+list)))
	show, _ := c.run(exitFine, "runs", "show", firstRun(c))
	golden(t, "show_held.txt", steadyDates(steady(strings.ReplaceAll(show, dir, "DIR"))))
	out, _ := c.run(exitFindings, "status", "--format", "json", "--portal", demo.PortalName)
	var got report.Status
	if err := json.Unmarshal([]byte(out), &got); err != nil || len(got.Portals) != 1 {
		t.Fatalf("%v: %s", err, out)
	}
	if p := got.Portals[0]; p.State != "unauthorised" || p.Waiting != 1 || p.Since == nil || p.Probe == nil {
		t.Errorf("status as JSON: %s", out)
	}
	c.run(exitUsage, "status", "--portal", "nobody")
	if err := h.Portal.SetFaults(); err != nil {
		t.Fatal(err)
	}
	if _, said := c.run(exitFine, "runs", "resume", "--portal", demo.PortalName); !strings.Contains(said, "serve looks now whether the fault of portal "+demo.PortalName+" is over") {
		t.Errorf("resume says %q", said)
	}
	h.Wait()
	apptest.WantNames(t, h.Elements(deal), "Tiles × 1")
	c.run(exitFine, "status")
}

// steadyDates also replaces dates.
func steadyDates(text string) string {
	return regexp.MustCompile(`\b\d{4}-\d\d-\d\d( TIME|T[\d:]+Z)`).ReplaceAllString(text, "TIME")
}

// TestRunsWhileServeIsRunning looks at runs, replays and discards them while the engine
// works the same database.
func TestRunsWhileServeIsRunning(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := newHarness(t, apptest.Options{Dir: dir, Limits: config.Limits{Attempts: 2}})
	c := newCLI(h, dir)

	_, talk := c.run(exitFine, "runs", "list")
	if talk != "b24rules: no runs\n" {
		t.Errorf("an empty history: %q", talk)
	}
	c.h.AddDeal("Roof", row("Плитка", "33.33", "3"), row("Nails", "0.07", "1000"))
	h.Wait()
	if err := h.Portal.SetFaults(emulator.Fault{Kind: emulator.FaultRefuse, Method: "lists.element.*", Code: "ACCESS_DENIED"}); err != nil {
		t.Fatal(err)
	}
	second := h.AddDeal("Wall", row("Bricks", "1", "500"))
	third := h.AddDeal("Floor", row("Parquet", "80", "20"))
	h.Wait()

	list, _ := c.run(exitFine, "runs", "list", "--rule", "deal-shipments")
	golden(t, "list.txt", steady(list))
	show, _ := c.run(exitFine, "runs", "show", firstRun(c, "--state", "succeeded"))
	golden(t, "show_succeeded.txt", steady(show))
	parked := firstRun(c, "--entity", fmt.Sprintf("deal:%d", second))
	show, _ = c.run(exitFine, "runs", "show", parked)
	golden(t, "show_parked.txt", steady(strings.ReplaceAll(show, dir, "DIR")))
	verbose, _ := c.run(exitFine, "runs", "show", "-v", parked)
	if !strings.Contains(verbose, `"Bricks"`) || !strings.Contains(verbose, "inputs ") {
		t.Errorf("-v does not tell the answers and inputs:\n%s", verbose)
	}

	// The cause is fixed: one is replayed by its number, the other discarded.
	if err := h.Portal.SetFaults(); err != nil {
		t.Fatal(err)
	}
	out, talk := c.run(exitUsage, "runs", "replay", "--state", "parked")
	if out != "" || !strings.Contains(talk, "this would replay 2 runs: check them with") {
		t.Errorf("replay without --yes: %q %q", out, talk)
	}
	causes, _ := c.run(exitFine, "runs", "list", "--by", "cause")
	golden(t, "list_causes.txt", steady(regexp.MustCompile(`\b[0-9a-f]{8}\b( +2 +\d+)?`).ReplaceAllString(causes, "CAUSE")))
	var byCause struct {
		Causes []report.Cause
		Total  int
	}
	causes, _ = c.run(exitFine, "runs", "list", "--by", "cause", "--format", "json")
	if err := json.Unmarshal([]byte(causes), &byCause); err != nil || len(byCause.Causes) != 1 || byCause.Total != 2 || byCause.Causes[0].Runs != 2 {
		t.Fatalf("causes as JSON: %v\n%s", err, causes)
	}
	var days report.Days
	out, _ = c.run(exitFine, "runs", "list", "--by", "day", "--format", "json")
	if err := json.Unmarshal([]byte(out), &days); err != nil || len(days.Days) != 7 || days.Days[0].Parked+days.Days[1].Parked != 2 || days.Days[0].Runs+days.Days[1].Runs != len(listJSON(c)) {
		t.Fatalf("days as JSON: %v\n%s", err, out)
	}
	if out, _ = c.run(exitFine, "runs", "list", "--by", "day", "--from", "2026-01-30", "--until", "2026-02-01"); strings.Count(out, "\n") != 5 || !strings.Contains(out, "2026-01-31  0     0      0        0") {
		t.Errorf("days:\n%s", out)
	}
	id := byCause.Causes[0].ID
	if n := len(listJSON(c, "--cause", id[:5])); n != 2 {
		t.Errorf("%d runs of the cause, want 2", n)
	}
	if out, _ = c.run(exitFine, "runs", "replay", parked); out != "replayed run "+parked+"\n" {
		t.Errorf("replay: %q", out)
	}
	h.Wait()
	show, _ = c.run(exitFine, "runs", "show", parked)
	if !strings.Contains(show, "  attempts 2 of 3, 1 of them before it last started over\n") || !strings.Contains(show, " by "+person()+"\n") || !strings.Contains(show, "\nattempt 2 succeeded") {
		t.Errorf("show of a replayed run:\n%s", show)
	}
	if n := len(h.Elements(second)); n != 1 {
		t.Errorf("%d elements after the replay, want 1", n)
	}
	if out, _ = c.run(exitFine, "runs", "discard", "--state", "parked", "--yes"); out != "discarded 1 run\n" {
		t.Errorf("discard: %q", out)
	}
	if n := len(h.Elements(third)); n != 0 {
		t.Errorf("%d elements of a discarded run", n)
	}
	if _, talk = c.run(exitFailure, "runs", "discard", parked, "9999"); !strings.Contains(talk, "run "+parked+" is succeeded: only parked or waiting runs can be discarded") || !strings.Contains(talk, "run 9999: no such run") {
		t.Errorf("discard of what cannot be: %q", talk)
	}
	if _, talk = c.run(exitFailure, "runs", "show", "9999"); !strings.Contains(talk, "run 9999: no such run") {
		t.Errorf("show of an unknown run: %q", talk)
	}
	if _, talk = c.run(exitFine, "runs", "discard", "--state", "parked"); talk != "b24rules: no runs to discard\n" {
		t.Errorf("nothing to discard: %q", talk)
	}
}

// firstRun is the number of the latest run that flags choose.
func firstRun(c *cli, flags ...string) string {
	c.h.T.Helper()
	runs := listJSON(c, flags...)
	if len(runs) == 0 {
		c.h.T.Fatalf("no run for %v", flags)
	}
	return fmt.Sprint(runs[0].ID)
}

// listedRun is a run in the JSON of runs list.
type listedRun struct {
	ID      int64
	Rule    string
	Entity  string
	State   string
	Error   string
	Outcome string
	Events  int
	Attempt int
	Writes  int
}

func listJSON(c *cli, flags ...string) []listedRun {
	c.h.T.Helper()
	out, _ := c.run(exitFine, append([]string{"runs", "list", "--format", "json"}, flags...)...)
	var list struct{ Runs []listedRun }
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		c.h.T.Fatalf("%v: %s", err, out)
	}
	return list.Runs
}

func TestRunsFilters(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := newHarness(t, apptest.Options{Dir: dir})
	c := newCLI(h, dir)
	first := h.AddDeal("One", row("A", "1", "1"))
	if _, err := h.People.AddInvoice(h.Context(), "Two", row("B", "1", "1")); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		h.Touch(first, "again")
		h.Wait()
	}
	today := time.Now().Format(time.DateOnly)
	all := listJSON(c)
	if len(all) < 4 {
		t.Fatalf("%d runs", len(all))
	}
	for _, tt := range []struct {
		flags []string
		want  func(r listedRun) bool
	}{
		{[]string{"--rule", "invoice-total"}, func(r listedRun) bool { return r.Rule == "invoice-total" }},
		{[]string{"--entity", fmt.Sprintf("deal:%d", first)}, func(r listedRun) bool { return r.Entity == fmt.Sprintf("deal:%d", first) }},
		{[]string{"--state", "succeeded,parked"}, func(listedRun) bool { return true }},
		{[]string{"--state", "running"}, func(listedRun) bool { return false }},
		{[]string{"--since", "1h"}, func(listedRun) bool { return true }},
		{[]string{"--since", "2999-01-01"}, func(listedRun) bool { return false }},
		{[]string{"--portal", "demo"}, func(listedRun) bool { return true }},
		{[]string{"--from", "1h", "--until", "2999-01-01"}, func(listedRun) bool { return true }},
		{[]string{"--until", "1h"}, func(listedRun) bool { return false }},
		{[]string{"--to", "2020-01-01 15:00"}, func(listedRun) bool { return false }},
		{[]string{"--from", today, "--until", today}, func(listedRun) bool { return true }},
		{[]string{"--outcome", "wrote"}, func(r listedRun) bool { return r.Writes > 0 }},
		{[]string{"--outcome", "nothing"}, func(r listedRun) bool { return r.Outcome == "done" && r.Writes == 0 }},
		{[]string{"--outcome", "skipped,gone"}, func(r listedRun) bool { return r.Outcome == "skipped" || r.Outcome == "gone" }},
	} {
		var want, got []int64
		for _, r := range all {
			if tt.want(r) {
				want = append(want, r.ID)
			}
		}
		for _, r := range listJSON(c, tt.flags...) {
			got = append(got, r.ID)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v (-want +got):\n%s", tt.flags, diff)
		}
	}
	// Page after page gives each run once.
	var paged []int64
	before := int64(0)
	for range len(all) + 1 {
		out, _ := c.run(exitFine, "runs", "list", "--format", "json", "--limit", "2", "--before", fmt.Sprint(before))
		var list struct {
			Runs []listedRun
			Next int64
		}
		if err := json.Unmarshal([]byte(out), &list); err != nil {
			t.Fatal(err)
		}
		for _, r := range list.Runs {
			paged = append(paged, r.ID)
		}
		if before = list.Next; before == 0 {
			break
		}
	}
	if len(paged) != len(all) {
		t.Errorf("pages give %d runs, there are %d", len(paged), len(all))
	}
	for _, tt := range []struct {
		flags []string
		want  string
	}{
		{[]string{"--state", "parkt"}, `--state "parkt": want waiting`},
		{[]string{"--state", "parked,"}, `--state "": want waiting`},
		{[]string{"--since", "yesterday"}, `--since "yesterday": want a duration`},
		{[]string{"--until", "tomorrow"}, `--until "tomorrow": want a duration`},
		{[]string{"--from", "1h", "--since", "1h"}, "--from and --since are the same"},
		{[]string{"--until", "1h", "--to", "1h"}, "--until and --to are the same"},
		{[]string{"--from", "1h", "--until", "2h"}, "no time is at "},
		{[]string{"--entity", "deal"}, "want a kind and an id"},
		{[]string{"--entity", "dael:1"}, `no event has entities of the kind "dael" (did you mean deal?)`},
		{[]string{"--portal", "demos"}, `--portal "demos" is not in the configuration (did you mean demo?), and the history has nothing of it`},
		{[]string{"--portal", "an old one"}, `--portal "an old one" is not in the configuration, and the history has nothing of it`},
		{[]string{"--rule", "deal-shipment"}, `no portal has a rule "deal-shipment" (did you mean deal-shipments?), and the history has no run of it`},
		{[]string{"--cause", "12345678"}, `--cause "12345678": no run has failed because of it`},
		{[]string{"--outcome", "wroet"}, `--outcome "wroet": want wrote, nothing, done, skipped, stopped, deleted, gone or retrying (did you mean wrote?)`},
		{[]string{"--outcome", "parked"}, "parked is a state"},
		{[]string{"--by", "rule"}, `--by "rule": want cause or day`},
		{[]string{"--by", "cause", "--limit", "5"}, "remove --limit and --before"},
	} {
		if _, talk := c.run(exitUsage, append([]string{"runs", "list"}, tt.flags...)...); !strings.Contains(talk, tt.want) {
			t.Errorf("%v: %s", tt.flags, talk)
		}
	}
}

// TestStatusOfRules: a rule file that serve has not read yet, and one with an error, do not run as on
// disk, and status says in which lines they differ.
func TestStatusOfRules(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := newHarness(t, apptest.Options{Dir: dir}) // its rules have a short debounce
	c := newCLI(h, dir)
	h.Until("the versions are stored", func() bool {
		live, err := fleet.NewStore(h.Service.Queue().Database()).List(t.Context(), "")
		return err == nil && len(live) == 2
	})
	out, _ := c.run(exitFindings, "status", "--rules")
	for _, want := range []string{"2 of 2 rule sets do not run as on disk", "deal-shipments  behind", "deal-shipments.yaml: live (-) against disk (+)", "|     debounce: 30ms"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	file := filepath.Join(dir, "rules", "deal-shipments.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(text, "nonsense: 1\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	out, _ = c.run(exitFindings, "status", "--rules", "--format", "json")
	var got report.Sets
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if s := got.Sets[0]; s.Name != "deal-shipments" || s.State != report.SetOutdated || s.Errors != 1 || !slices.ContainsFunc(s.Diff, func(l report.Line) bool { return l.Op == "+" && l.Text == "nonsense: 1" }) {
		t.Errorf("%+v", s)
	}
	if len(got.Findings) != 1 || !strings.Contains(got.Findings[0].Message, "nonsense") {
		t.Errorf("findings %+v", got.Findings)
	}
}

// TestRunsPause: a paused rule keeps what came and does it when it is resumed.
func TestRunsPause(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := newHarness(t, apptest.Options{Dir: dir})
	c := newCLI(h, dir)
	c.run(exitUsage, "runs", "pause", "--portal", "dmeo")
	c.run(exitUsage, "runs", "pause", "--portal", "somewhere")
	if _, talk := c.run(exitUsage, "runs", "pause", "--rule", "deal-shipment"); !strings.Contains(talk, `no portal has a rule "deal-shipment" (did you mean deal-shipments?)`) {
		t.Errorf("a misspelt rule: %s", talk)
	}
	if _, talk := c.run(exitUsage, "runs", "pause", "--rule", "x", "--portal", "demo"); !strings.Contains(talk, `portal demo has no rule "x"`) {
		t.Errorf("an unknown rule: %s", talk)
	}
	c.run(exitFine, "runs", "pause", "--rule", "to-come", "--force")
	for _, wrong := range []string{"tag=TYPO", "demo,dmeo"} {
		c.run(exitUsage, "runs", "pause", "--portal", wrong, "--force")
		c.run(exitUsage, "runs", "list", "--portal", wrong)
	}
	c.run(exitFine, "runs", "resume", "--rule", "to-come")
	if out, _ := c.run(exitFine, "runs", "pause", "--rule", "deal-shipments", "--reason", "stocktaking"); out != "paused rule deal-shipments in all portals\n" {
		t.Errorf("pause: %q", out)
	}
	deal, err := h.People.AddDeal(h.Context(), "Roof", row("Tiles", "1", "1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Portal.WaitIdle(h.Context()); err != nil {
		t.Fatal(err)
	}
	_, talk := c.run(exitFine, "runs", "list")
	if !strings.Contains(talk, "rule deal-shipments in all portals is paused since ") || !strings.Contains(talk, ": stocktaking") {
		t.Errorf("list does not tell of the pause: %q", talk)
	}
	show, _ := c.run(exitFine, "runs", "show", firstRun(c, "--state", string(journal.Waiting)))
	if !strings.Contains(show, "stocktaking") || !strings.Contains(show, "b24rules runs resume --rule deal-shipments") {
		t.Errorf("show does not tell of the pause:\n%s", show)
	}
	if _, talk := c.run(exitFailure, "runs", "resume", "--portal", "demo"); !strings.Contains(talk, "portal demo is not paused") {
		t.Errorf("resume of what is not paused: %q", talk)
	}
	c.run(exitFine, "runs", "resume", "--rule", "deal-shipments")
	for _, command := range []string{"pause", "resume"} {
		if out, _ := c.run(exitFine, "runs", command, "--portal", "all"); !strings.Contains(out, "d portal demo\n") {
			t.Errorf("%s of all portals: %q", command, out)
		}
	}
	h.Wait()
	if n := len(h.Elements(deal)); n != 1 {
		t.Errorf("%d elements after the pause, want 1", n)
	}
}

// TestRunsWithoutServe says the truth about a portal's fault while no process works, and
// finds a run that has joined another one.
func TestRunsWithoutServe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := newHarness(t, apptest.Options{Dir: dir, Limits: config.Limits{Attempts: 1}})
	c := newCLI(h, dir)
	if err := h.Portal.SetFaults(emulator.Fault{Kind: emulator.FaultRefuse, Method: "lists.element.*", Code: "ACCESS_DENIED"}); err != nil {
		t.Fatal(err)
	}
	deal := h.AddDeal("Roof", row("Tiles", "10", "1"))
	h.Wait()
	first := firstRun(c)
	h.Touch(deal, "again")
	h.Wait()
	second := firstRun(c)
	if first == second {
		t.Fatal("one run only")
	}
	ctx := h.Context()
	if served, err := h.Service.Queue().Served(ctx); err != nil || !served {
		t.Errorf("served %t, %v", served, err)
	}
	if err := h.Service.Queue().SetHold(ctx, queue.Hold{Portal: "demo", Cause: "unreachable", Since: time.Now(), Probe: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	h.Stop()
	if _, talk := c.run(exitFine, "runs", "resume", "--portal", "demo"); !strings.Contains(talk, "serve is not running: when it starts, it looks whether the fault of portal demo is over") {
		t.Errorf("resume without serve: %s", talk)
	}
	c.run(exitFine, "runs", "replay", second)
	c.run(exitFine, "runs", "replay", first)
	show, talk := c.run(exitFine, "runs", "show", second)
	if !strings.Contains(talk, "run "+second+" joined run "+first) || !strings.Contains(show, "run "+first+" waiting") || !strings.Contains(show, "joined by run "+second) {
		t.Errorf("show of a run that has joined another one: %s%s", talk, show)
	}
	if _, talk := c.run(exitFailure, "runs", "replay", second); !strings.Contains(talk, "run "+second+" joined run "+first+", which is waiting") {
		t.Errorf("replay of a run that has joined another one: %s", talk)
	}
}

// TestRunsAsleep shows a run that waits for a time of its rule, and discards it.
func TestRunsAsleep(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := newHarness(t, apptest.Options{Dir: dir, Inputs: map[string]map[string]string{}, Rules: fstest.MapFS{"remind.yaml": {Data: []byte(`version: 1
rules:
  remind:
    on: [ONCRMDEALADD, ONCRMDEALUPDATE]
    steps:
      - id: deal
        fetch_item: {owner: deal, id: =event.id}
      - at: =date(deal.title)
        notify: {to: 1, message: "deal {{ event.id }} is due"}
`)}}})
	c := newCLI(h, dir)
	h.AddDeal("2999-01-01T09:00:00Z")
	h.Wait()
	run := firstRun(c, "--state", "asleep")
	show, _ := c.run(exitFine, "runs", "show", run)
	for _, want := range []string{"run " + run + " asleep", "sleeps until 2999-01-01 ", "b24rules runs discard " + run} {
		if !strings.Contains(show, want) {
			t.Errorf("%s\nwant %s", show, want)
		}
	}
	if out, _ := c.run(exitFine, "runs", "discard", "--state", "asleep", "--yes"); out != "discarded 1 run\n" {
		t.Errorf("discard: %q", out)
	}
}
