package cli

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/app/testkit"
	"github.com/b24rules/b24rules/internal/catchup"
	"github.com/b24rules/b24rules/internal/queue"
)

func TestSyncWithAndWithoutServe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := newHarness(t, apptest.Options{Dir: dir})
	c := newCLI(h, dir)
	h.Stop()
	deals := h.Fill(120) // more than two pages
	last := len(h.Portal.History())

	plan, _ := c.run(exitFine, "sync", "--rule", "deal-shipments", "--dry-run")
	if !strings.Contains(plan, "deal-shipments would change 120 of 120 entities: + 120  ~ 0  - 0  ! 0, and fail for 0") {
		t.Errorf("the dry run says %s", plan)
	}
	asJSON, _ := c.run(exitFine, "sync", "--rule", "deal-shipments", "--dry-run", "--format", "json")
	var dry report.DrySync
	if err := json.Unmarshal([]byte(asJSON), &dry); err != nil || dry.Add != 120 || len(dry.Plans) != 120 {
		t.Errorf("the dry run says %v, %+v", err, dry.Add)
	}
	if n := len(h.Portal.History()) - last; n != 0 {
		t.Fatalf("the dry run has changed %d things", n)
	}

	out, _ := c.run(exitFine, "sync", "--rule", "deal-shipments")
	if !strings.HasPrefix(out, "deal-shipments: 120 entities, 120 runs, 0 failed") || h.Missing(deals) != 0 {
		t.Errorf("sync says %s, %d deals have no element", out, h.Missing(deals))
	}

	// Everything agrees: a second sync writes nothing.
	last = len(h.Portal.History())
	if out, _ = c.run(exitFine, "sync", "--rule", "deal-shipments", "--format", "json"); !strings.Contains(out, `"runs": 120`) {
		t.Errorf("a second sync says %s", out)
	}
	if n := len(h.Portal.History()) - last; n != 0 {
		t.Errorf("a second sync has changed %d things", n)
	}

	// A running serve does the work. A deal that was deleted in the meantime leaves
	// nothing, a changed one is updated, and --since omits the others.
	since := time.Now().Truncate(time.Second).Add(time.Second) // updatedTime has whole seconds
	time.Sleep(time.Until(since))
	if err := h.People.DeleteDeal(h.Context(), deals[0]); err != nil {
		t.Fatal(err)
	}
	h.SetRowsQuietly(deals[1], row("Nails", "1", "7"))
	h.Start()
	out, talk := c.run(exitFine, "sync", "--rule", "deal-shipments", "--since", since.Format(time.RFC3339))
	if !strings.Contains(talk, "serve is running and does the work") || !strings.Contains(out, "1 of deleted entities, 0 failed") {
		t.Errorf("beside serve: %s%s", out, talk)
	}
	if n := len(h.Elements(deals[0])); n != 0 {
		t.Errorf("a deleted deal has %d elements", n)
	}
	apptest.WantNames(t, h.Elements(deals[1]), "Nails × 7")
}

func TestSyncGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := newHarness(t, apptest.Options{Dir: dir})
	c := newCLI(h, dir)
	h.Stop()
	deals := h.Fill(230)
	// The portal fails after the second page.
	if err := h.Portal.SetFaults(emulator.Fault{Kind: emulator.FaultRefuse, Code: "ACCESS_DENIED", Method: "crm.item.list", Skip: 3}); err != nil {
		t.Fatal(err)
	}
	_, talk := c.run(exitFailure, "sync", "--rule", "deal-shipments")
	if !strings.Contains(talk, "the sync is incomplete: crm.item.list: ACCESS_DENIED") {
		t.Errorf("it says %s", talk)
	}
	if err := h.Portal.SetFaults(); err != nil {
		t.Fatal(err)
	}
	// An interrupted sync resumes with the same command. It is interrupted after the
	// entities were counted and read, with five pages and one after the end in one request.
	const read = 1 + 6
	if err := h.Portal.SetFaults(emulator.Fault{Kind: emulator.FaultDelay, Method: "crm.item.list", Delay: 2 * time.Second, Skip: read}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(h.Context())
	go func() {
		defer cancel()
		for ctx.Err() == nil && h.matched(0) <= read {
			time.Sleep(10 * time.Millisecond)
		}
	}()
	if _, talk = c.runWith(ctx, exitFailure, "sync", "--rule", "deal-shipments"); !strings.Contains(talk, "repeat the command to resume") {
		t.Errorf("stopped, it says %s", talk)
	}
	if err := h.Portal.SetFaults(); err != nil {
		t.Fatal(err)
	}
	q, err := queue.Open(h.Context(), "sqlite:"+filepath.Join(dir, "b24rules.db"), queue.Options{Log: h.Log.Logger()})
	if err != nil {
		t.Fatal(err)
	}
	job, ok, err := catchup.Load(h.Context(), q, demo.PortalName, "deal-shipments")
	if err != nil || !ok || job.Over() {
		t.Fatalf("the job: %v, %v, %+v", ok, err, job)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	out, talk := c.run(exitFine, "sync", "--rule", "deal-shipments")
	if !strings.Contains(talk, "resuming the sync of") || !strings.HasPrefix(out, "deal-shipments: 230 entities, ") {
		t.Errorf("it says %s%s, the job was at %d", talk, out, job.Seen)
	}
	h.Start()
	if job.Seen != 230 || h.Missing(deals) != 0 {
		t.Errorf("it was stopped at %d; %d deals have no element in the end", job.Seen, h.Missing(deals))
	}
}

func TestSyncWrong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := newHarness(t, apptest.Options{Dir: dir})
	c := newCLI(h, dir)
	c.addRule("tasks", "ONTASKUPDATE", "log: {message: x}")
	c.addRule("derived", "ONCRMDEALUPDATE", "log: {message: x}", "entity: =event.data.FIELDS.PARENT_ID")
	c.addRule("loud", "ONCRMDEALUPDATE", "call: {method: crm.timeline.comment.add, params: {fields: {ENTITY_TYPE: deal, ENTITY_ID: =event.id, COMMENT: x}}}")
	for _, tt := range []struct {
		code int
		args []string
		says string
	}{
		{exitUsage, nil, "which rule? --rule ID"},
		{exitUsage, []string{"--rule", "deal-shipment"}, "did you mean deal-shipments?"},
		{exitUsage, []string{"--rule", "deal-shipments", "--portal", "dmeo"}, "did you mean demo?"},
		{exitUsage, []string{"--rule", "deal-shipments", "--since", "yesterday"}, `--since "yesterday": want a duration before now`},
		{exitUsage, []string{"--rule", "deal-shipments", "--format", "xml"}, "want text or json"},
		{exitUsage, []string{"--rule", "deal-shipments", "--dryrun"}, "did you mean --dry-run?"},
		{exitUsage, []string{"--rule", "deal-shipments", "all"}, `unexpected argument "all"`},
		{exitUsage, []string{"--rule", "tasks"}, "rule tasks has only events whose entities cannot be listed: ONTASKUPDATE"},
		{exitUsage, []string{"--rule", "derived"}, "it cannot run without one"},
		{exitUsage, []string{"--rule", "loud"}, "steps that take effect in every run"},
		{exitUsage, []string{"--rule", "deal-shipments", "--since", "2199-01-01"}, "--since 2199-01-01 is in the future: the time of the portal is 20"},
	} {
		if _, talk := c.run(tt.code, append([]string{"sync"}, tt.args...)...); !strings.Contains(talk, tt.says) {
			t.Errorf("%v says %q, want %q", tt.args, talk, tt.says)
		}
	}
	// Of several portals one has to be chosen, and a rule may be another one's.
	c.add("  other: {webhook: 'https://acme.bitrix24.com/rest/1/code/', application_token: t, inputs: {deal-shipments: {list: 1}, invoice-total: {helper_type: 1}}}\n")
	c.addRule("elsewhere", "ONCRMDEALUPDATE", "log: {message: x}", "portals: [other]")
	if _, talk := c.run(exitUsage, "sync", "--rule", "elsewhere"); !strings.Contains(talk, "which portal? --portal demo or other") {
		t.Errorf("without a portal it says %q", talk)
	}
	if _, talk := c.run(exitUsage, "sync", "--rule", "elsewhere", "--portal", "demo"); !strings.Contains(talk, `portal demo has no rule "elsewhere": it is for other`) {
		t.Errorf("with a portal that has no such rule it says %q", talk)
	}
}

// A sync does not replace another one that covers more. It waits while the rule is
// paused.
func TestSyncWhileAnotherIsRunning(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := newHarness(t, apptest.Options{Dir: dir})
	c := newCLI(h, dir)
	h.AddDeal("Roof", row("Tiles", "10", "1"))
	c.run(exitFine, "runs", "pause", "--rule", "deal-shipments", "--reason", "stocktaking")
	since := time.Now().Add(-time.Hour).Format(time.RFC3339)
	job := catchup.Job{Portal: demo.PortalName, Rule: "deal-shipments", Types: []int{2}, Started: time.Now(), Since: time.Now().Add(-time.Hour).Truncate(time.Second)}
	if err := catchup.Start(h.Context(), h.Service.Queue(), job); err != nil {
		t.Fatal(err)
	}
	h.Until("found", func() bool {
		j, _, err := catchup.Load(h.Context(), h.Service.Queue(), demo.PortalName, "deal-shipments")
		return err == nil && j.Over()
	})
	if _, talk := c.run(exitFailure, "sync", "--rule", "deal-shipments"); !strings.Contains(talk, "a sync of changes since "+since[:16]) {
		t.Errorf("asked for all, it says %s", talk)
	}
	if _, talk := c.run(exitFailure, "sync", "--rule", "deal-shipments", "--since", "3d"); !strings.Contains(talk, "--since 3d requests more") {
		t.Errorf("asked for more, it says %s", talk)
	}
	ctx, cancel := context.WithCancel(h.Context())
	talk := &watchedText{until: "rule deal-shipments in all portals is paused since", then: cancel}
	args := []string{"sync", "--rule", "deal-shipments", "--since", "1h", "--config", c.config}
	if code := runCommand(ctx, args, environment{Std: Std{In: strings.NewReader(""), Out: io.Discard, Err: talk}, actions: actions.All}); code != exitFailure || !strings.Contains(talk.String(), "resuming the sync of") {
		t.Errorf("exit code %d, it says %s", code, talk)
	}
	c.run(exitFine, "runs", "resume", "--rule", "deal-shipments")
	if out, _ := c.run(exitFine, "sync", "--rule", "deal-shipments", "--since", "1h"); !strings.Contains(out, "1 entity, 1 run, 0 failed") {
		t.Errorf("it says %s", out)
	}
}

// watchedText is a text that signals when a certain text is written to it.
type watchedText struct {
	strings.Builder
	until string
	then  func()
}

func (w *watchedText) Write(p []byte) (int, error) {
	n, err := w.Builder.Write(p)
	if strings.Contains(w.String(), w.until) {
		w.then()
	}
	return n, err
}

// addRule adds a rule of one step to the rules of the configuration.
func (c *cli) addRule(id, event, step string, more ...string) {
	c.h.T.Helper()
	text := "version: 1\nrules:\n  " + id + ":\n    on: " + event + "\n"
	for _, m := range more {
		text += "    " + m + "\n"
	}
	text += "    steps:\n      - " + step + "\n"
	if err := os.WriteFile(filepath.Join(filepath.Dir(c.config), "rules", id+".yaml"), []byte(text), 0o600); err != nil {
		c.h.T.Fatal(err)
	}
}

// A sync is killed and restarted repeatedly. In the end each deal has its element, and
// none ever had two.
func TestSyncIsKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := newHarness(t, apptest.Options{Dir: dir})
	c := newCLI(h, dir)
	h.Stop()
	deals := h.Fill(200)
	if err := h.Portal.SetFaults(
		emulator.Fault{Kind: emulator.FaultDelay, Method: "crm.item.list", Delay: 60 * time.Millisecond},
		emulator.Fault{Kind: emulator.FaultDelay, Method: "lists.element.add", Delay: 20 * time.Millisecond},
	); err != nil {
		t.Fatal(err)
	}
	c.add("limits: {settle: 300ms}\n") // longer than the portal takes here
	resumed := 0
	for round := range 6 {
		adds := h.matched(1) + 1 + 7*round
		p := testkit.StartProcess(t, nil, "sync", "--rule", "deal-shipments", "--config", c.config)
		var ended atomic.Bool // a late one finds all done
		go func() {
			_, _ = io.Copy(io.Discard, p.Stdout)
			ended.Store(true)
		}()
		h.Until("so many elements were added", func() bool { return h.matched(1) >= adds || ended.Load() })
		p.Signal(syscall.SIGKILL)
		p.Exit()
		resumed += strings.Count(p.Log.String(), "resuming the sync of")
	}
	if err := h.Portal.SetFaults(); err != nil {
		t.Fatal(err)
	}
	out, _ := c.run(exitFine, "sync", "--rule", "deal-shipments")
	if resumed == 0 || !strings.HasPrefix(out, "deal-shipments: 200 entities, ") {
		t.Errorf("%d processes resumed the sync; the last says %s", resumed, out)
	}
	if n := h.Missing(deals); n != 0 {
		t.Errorf("%d deals do not have one element", n)
	}
	added := 0
	for _, change := range h.Portal.History() {
		if change.IBlockID != 0 && change.Op == "add" {
			added++
		}
	}
	if added != 200 {
		t.Errorf("%d elements were added over time, want 200", added)
	}
}

// matched is how many commands a fault was meant for, struck or not.
func (h *harness) matched(fault int) int { return h.Portal.Faults()[fault].Matched }

// add appends to the configuration.
func (c *cli) add(text string) {
	c.h.T.Helper()
	old, err := os.ReadFile(c.config)
	if err != nil {
		c.h.T.Fatal(err)
	}
	if err := os.WriteFile(c.config, append(old, text...), 0o600); err != nil {
		c.h.T.Fatal(err)
	}
}
