//go:build unix

package cli

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/testkit"
	"github.com/b24rules/b24rules/schemas"
)

// changed is a world for plans of new versions: a portal with deals, a rule that has made an
// element of each, and serve with reload: manual.
type changed struct {
	*cli
	h     *harness
	dir   string
	deals []int
	serve *testkit.Process
}

// titles is a rule that keeps an element with the title of each deal.
func titles(name string) string {
	return "version: 1\nrules:\n  lines:\n    on: [ONCRMDEALADD, ONCRMDEALUPDATE]\n    debounce: 10ms\n    steps:\n      - id: deal\n        fetch_item: {owner: deal, id: =event.id}\n" +
		"      - upsert_element: {list: 47, key: =event.id, fields: {NAME: '" + name + "', DEAL: =event.id}}\n"
}

// newChanged starts a world with deals of titles. portals are the portals of the configuration; {webhook} and {token} are replaced.
func newChanged(t *testing.T, database, portals string, deals ...string) *changed {
	t.Helper()
	dir := t.TempDir()
	h := newHarness(t, apptest.Options{Dir: dir, Database: database, Rules: fstest.MapFS{"lines.yaml": {Data: []byte(titles("{{ deal.title }}"))}}, Inputs: map[string]map[string]string{}})
	w := &changed{cli: &cli{h: h, config: filepath.Join(dir, "b24rules.yaml")}, h: h, dir: dir}
	for _, title := range deals {
		w.deals = append(w.deals, h.AddDeal(title))
	}
	h.Wait()
	h.Stop()
	w.put("{{ deal.title }}")
	testkit.WriteFile(t, w.config, "listen: "+h.HookAddr+"\ndatabase: "+cmp.Or(database, "sqlite:b24rules.db")+"\nrules: [rules]\nreload: manual\nlimits: {attempts: 1, settle: 1ms}\n"+
		strings.NewReplacer("{webhook}", h.Webhook().Reveal(), "{token}", h.Options.Emulator.ApplicationToken).Replace(portals))
	w.serve = testkit.StartProcess(t, nil, "serve", "--config", w.config)
	w.serve.Log.Wait(t, 0, "events at")
	w.until("what runs is stored", func() bool {
		p := testkit.StartProcess(t, nil, "apply", "--config", w.config)
		_, _ = io.Copy(io.Discard, p.Stdout)
		return p.Exit() == exitFine
	})
	return w
}

func (w *changed) until(what string, so func() bool) { w.h.T.Helper(); w.h.Until(what, so) }

// put writes the version of the rule that gives elements a name.
func (w *changed) put(name string) {
	testkit.WriteFile(w.h.T, filepath.Join(w.dir, "rules", "lines.yaml"), titles(name))
}

// names are those of all elements of the list.
func (w *changed) names() []string {
	w.h.T.Helper()
	var rows []struct{ NAME string }
	w.h.Rest("lists.element.get", map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": w.h.IDs.ShipmentList}, &rows)
	var out []string
	for _, r := range rows {
		out = append(out, r.NAME)
	}
	slices.Sort(out)
	return out
}

// rename gives the element of a deal a name, as a person does.
func (w *changed) rename(deal int, name string) {
	w.h.T.Helper()
	for _, e := range w.h.Elements(deal) {
		params := w.h.ElementParams(apptest.Text(e, "CODE"), name, map[string]any{"DEAL": deal})
		params["ELEMENT_ID"] = e.ID()
		w.h.Rest("lists.element.update", params, nil)
	}
}

const demoPortal = "portals: {demo: {webhook: '{webhook}', application_token: '{token}', plan: unlimited}}\n"

// TestPlanOfChange: plan shows what a new version of a rule would change, and nothing else; apply
// does that, omits what has moved on since, can be repeated, and refuses a plan that is stale.
func TestPlanOfChange(t *testing.T) { onEachDatabase(t, testPlanOfChange) }

func testPlanOfChange(t *testing.T, database string) {
	w := newChanged(t, database, demoPortal, "Roof", "Wall", "Door")
	check := func(exit int, args []string, want ...string) string {
		t.Helper()
		out, talk := w.run(exit, args...)
		for _, text := range want {
			if !strings.Contains(out+talk, text) {
				t.Errorf("%v: want %q in\n%s%s", args, text, out, talk)
			}
		}
		return out + talk
	}
	names := func(want ...string) {
		t.Helper()
		if got := w.names(); !slices.Equal(got, want) {
			t.Errorf("the elements are %v, want %v", got, want)
		}
	}
	check(exitFine, []string{"plan", "--since", "7d"}, "demo: nothing new")
	w.rename(w.deals[1], "Wall of today") // before the change: drift, and not an effect of it
	const next = "Deal {{ deal.title }}"
	draft, file := filepath.Join(w.dir, "new", "lines.yaml"), filepath.Join(w.dir, "plan.json")
	testkit.WriteFile(t, draft, titles(next))
	w.h.Portal.Reset()
	before := len(w.h.Portal.History())
	check(exitFine, []string{"plan", "--all", filepath.Dir(draft)}, "demo: lines ", " -> ", "Roof -> Deal Roof", "Wall of today -> Deal Wall",
		"demo: 3 of 3 compared entities would change, ~ 3 (NAME), 1 differed before; ")
	check(exitFine, []string{"plan", "--stored", filepath.Dir(draft)}, "demo: 3 of 3 compared entities would change, + 3; ", "element 47:new  Deal Roof")
	check(exitFine, []string{"plan", "--entity", fmt.Sprint("deal:", w.deals[0]), "--save", file, filepath.Dir(draft)}, "1 of 1 compared entity would change")
	check(exitFine, []string{"plan", "--since", "1h", "--save", file, "--format", "json", filepath.Dir(draft)}, `"digest"`, "saved "+file)
	for _, call := range w.h.Portal.Calls() {
		if m, known := schemas.LookupMethod(call.Method); !known || m.Effect == schemas.Write {
			t.Errorf("plan has called %s", call.Method)
		}
	}
	if after := len(w.h.Portal.History()); after != before {
		t.Errorf("plan has changed %d records", after-before)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the plan: %v %v", info, err)
	}

	check(exitFindings, []string{"apply", file, "--yes"}, "the plan is stale: rule set lines has the version ", "put the planned file there")
	w.put(next)
	check(exitFindings, []string{"apply", file}, "wave 1, all: 1 portal", "add --yes")
	names("Door", "Roof", "Wall of today")
	w.rename(w.deals[1], "by hand")
	w.rename(w.deals[2], "Deal Door")
	check(exitFindings, []string{"apply", file, "--yes", "--bake", "1ms"},
		fmt.Sprintf("portal demo: deal:%d has moved on since the plan, so rule lines is not run for it", w.deals[1]),
		"portal demo: 1 entity run, 1 had nothing left to change, 1 moved on", "the rest of the plan is applied")
	names("Deal Door", "Deal Roof", "by hand")

	// An event of that entity runs the new version, and then nothing is left.
	w.h.Rest("crm.deal.update", map[string]any{"id": w.deals[1], "fields": map[string]any{"TITLE": "Wall"}}, nil)
	w.until("the event has run", func() bool { return slices.Contains(w.names(), "Deal Wall") })
	check(exitFine, []string{"apply", file, "--yes", "--bake", "1ms"}, "0 entities run, 3 had nothing left to change", "the plan is applied")
	check(exitFine, []string{"audit", "--what", "applied"}, "plan "+file, "rule set lines")

	// A version that is refused is shown before, with what to write.
	testkit.WriteFile(t, draft, strings.Replace(titles(next), "  lines:\n", "  rows:\n", 1))
	check(exitFindings, []string{"plan", "--all", filepath.Dir(draft)}, "demo: cannot take ", "would-double", "rule rows would make again what rule lines has made")

	// The way back is a plan like any other.
	w.put("{{ deal.title }}")
	back := filepath.Join(w.dir, "back.json")
	check(exitFine, []string{"plan", "--all", "--save", back}, "Deal Roof -> Roof")
	check(exitFindings, []string{"apply", file, "--yes"}, "the plan is stale")
	check(exitFine, []string{"apply", back, "--yes", "--bake", "1ms"}, "3 entities run", "the plan is applied")
	names("Door", "Roof", "Wall")
	check(exitFindings, []string{"apply", file, "--yes"}, "the plan is stale")

	testkit.WriteFile(t, file, "{}")
	check(exitFailure, []string{"apply", file, "--yes"}, "cannot read the plan "+file+": it is no plan")
	check(exitFailure, []string{"apply", filepath.Join(w.dir, "nowhere.json")}, "cannot read the plan")
	check(exitFailure, []string{"plan", "--all", "--save", filepath.Join(w.dir, "no", "folder.json")}, "the plan is not saved")
	for _, wrong := range [][]string{{"--all", "--since", "7d"}, {"--since", "soon"}, {"--since", "2999-01-01"}, {"--all", "--stored"}, {"--all", "--follow"}, {"--all", "--entity", "deal:1"}, {"--all", "--rule", "line"}, {"--entity", "deal", "--save", file}} {
		check(exitUsage, append([]string{"plan"}, wrong...))
	}
}

// TestPlanAway: a portal that does not answer is said, is not planned and not applied, and nothing is
// written half; the rest of the plan follows when it is back.
func TestPlanAway(t *testing.T) {
	t.Parallel()
	w := newChanged(t, "", demoPortal, "Roof", "Wall")
	fault := emulator.Fault{Method: "lists.element.get", Kind: emulator.FaultHTML, Status: 503}
	set := func(f ...emulator.Fault) {
		t.Helper()
		if err := w.h.Portal.SetFaults(f...); err != nil {
			t.Fatal(err)
		}
	}
	w.put("Deal {{ deal.title }}")
	file := filepath.Join(w.dir, "plan.json")
	if out, talk := w.run(exitFine, "plan", "--all", "--save", file); !strings.Contains(out, "2 of 2 compared entities") {
		t.Fatalf("%s%s", out, talk)
	}
	set(fault)
	if out, talk := w.run(exitFailure, "apply", file, "--yes", "--bake", "1ms"); !strings.Contains(talk, "portal demo does not answer: ") {
		t.Errorf("%s%s", out, talk)
	}
	set()
	if got := w.names(); !slices.Equal(got, []string{"Roof", "Wall"}) {
		t.Errorf("elements %v", got)
	}
	if out, talk := w.run(exitFine, "apply", file, "--yes", "--bake", "1ms"); !strings.Contains(talk, "2 entities run") {
		t.Errorf("%s%s", out, talk)
	}
	if got := w.names(); !slices.Equal(got, []string{"Deal Roof", "Deal Wall"}) {
		t.Errorf("elements %v", got)
	}
}

// TestApplyPlanHalts: a wave with failures ends apply. The portal of the next wave keeps its version,
// and its entities are not run.
func TestApplyPlanHalts(t *testing.T) {
	t.Parallel()
	const portal = "{webhook: '{webhook}', application_token: '{token}', plan: unlimited, tags: [TAG]}"
	w := newChanged(t, "", "apply: {waves: [canary, all], bake: 1s, halt: 0}\nportals:\n  demo: "+strings.Replace(portal, "TAG", "canary", 1)+"\n  other: "+strings.Replace(portal, "TAG", "rest", 1)+"\n", "Roof")
	w.put("Deal {{ deal.title }}")
	file := filepath.Join(w.dir, "plan.json")
	w.run(exitFine, "plan", "--all", "--save", file)
	if err := w.h.Portal.SetFaults(emulator.Fault{Method: "lists.element.update", Kind: emulator.FaultRefuse, Code: "ERROR_CORE"}); err != nil {
		t.Fatal(err)
	}
	out, talk := w.run(exitFindings, "apply", file, "--yes")
	if !strings.Contains(out, "wave 2, all: 1 portal") || !strings.Contains(talk, "wave canary has ended apply") || strings.Contains(talk, "portal other") {
		t.Errorf("%s%s", out, talk)
	}
	if err := w.h.Portal.SetFaults(); err != nil {
		t.Fatal(err)
	}
	live := map[string]string{}
	shown, _ := w.run(exitFindings, "apply") // what does not run yet
	for _, name := range []string{"demo", "other"} {
		live[name] = fmt.Sprint(strings.Contains(shown, "in "+name))
	}
	if want := map[string]string{"demo": "false", "other": "true"}; !maps.Equal(live, want) {
		t.Errorf("not live yet: %v, want %v\n%s", live, want, shown)
	}
	if got := w.names(); !slices.Equal(got, []string{"Roof"}) {
		t.Errorf("elements %v", got)
	}
}

// TestApplyWithoutRoom: a full disk of apply, and a serve that ends in the middle, are said. Nothing is
// half-written in an entity, and the command can be repeated.
func TestApplyWithoutRoom(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("prlimit"); err != nil {
		t.Skip(err)
	}
	w := newChanged(t, "", demoPortal, "Roof", "Wall", "Door")
	w.put("Deal {{ deal.title }}")
	file := filepath.Join(w.dir, "plan.json")
	w.run(exitFine, "plan", "--all", "--save", file)
	apply := []string{"apply", file, "--yes", "--bake", "1ms", "--config", w.config}
	full := exec.Command("prlimit", append([]string{"--fsize=1:unlimited", filepath.Join(testkit.ProgramDir(t), "b24rules")}, apply...)...)
	text, err := full.CombinedOutput()
	if full.ProcessState.ExitCode() != exitFailure || !strings.Contains(string(text), "disk") {
		t.Errorf("without room for the database: %v\n%s", err, text)
	}
	if got := w.names(); !slices.Equal(got, []string{"Door", "Roof", "Wall"}) {
		t.Errorf("the elements are %v", got)
	}

	// Serve ends while the runs of the plan are in the queue.
	if err := w.h.Portal.SetFaults(emulator.Fault{Method: "lists.element.update", Kind: emulator.FaultDelay, Delay: 30 * time.Second}); err != nil {
		t.Fatal(err)
	}
	p := testkit.StartProcess(t, nil, apply...)
	w.until("a run writes", func() bool { return w.h.Portal.Faults()[0].Hit > 0 })
	w.serve.Signal(syscall.SIGKILL)
	w.serve.Exit()
	if code := p.Exit(); code != exitFailure || !strings.Contains(p.Log.String(), "portal demo has 3 runs in the queue, and serve does not run") {
		t.Errorf("without serve: exit code %d\n%s", code, p.Log)
	}
	if err := w.h.Portal.SetFaults(); err != nil {
		t.Fatal(err)
	}
	w.serve = testkit.StartProcess(t, nil, "serve", "--config", w.config)
	w.serve.Log.Wait(t, 0, "events at")
	w.run(exitFine, apply[:len(apply)-2]...)
	w.until("all are applied", func() bool { return slices.Equal(w.names(), []string{"Deal Door", "Deal Roof", "Deal Wall"}) })
}

// TestPruneOfWhatRuns: prune deletes nothing of a rule that is removed on disk while serve still runs
// it, because the version on disk is not applied.
func TestPruneOfWhatRuns(t *testing.T) {
	t.Parallel()
	w := newChanged(t, "", demoPortal, "Roof")
	testkit.WriteFile(t, filepath.Join(w.dir, "rules", "lines.yaml"), testkit.Rule("other", "      - log: {message: hi}\n"))
	if _, talk := w.run(exitFailure, "prune", "--rule", "lines", "--yes"); !strings.Contains(talk, "rule lines still runs in portal demo") {
		t.Error(talk)
	}
	if got := w.names(); !slices.Equal(got, []string{"Roof"}) {
		t.Errorf("the list has %v", got)
	}
	w.run(exitFine, "apply", "--yes", "--bake", "1ms")
	w.run(exitFine, "prune", "--rule", "lines", "--yes")
	if got := w.names(); len(got) > 0 {
		t.Errorf("the list has %v", got)
	}
}

// TestMovedNotApplied: a command leaves to a rule that runs what it has made, though the rule has
// another id on disk that is not applied yet.
func TestMovedNotApplied(t *testing.T) {
	t.Parallel()
	w := newChanged(t, "", demoPortal, "Roof")
	testkit.WriteFile(t, filepath.Join(w.dir, "rules", "lines.yaml"), strings.Replace(titles("{{ deal.title }}"), "  lines:\n", "  parts:\n    moved: {from: lines}\n", 1))
	if _, talk := w.run(exitFailure, "prune", "--rule", "lines", "--yes"); !strings.Contains(talk, "rule lines runs in portal demo and has them") {
		t.Error(talk)
	}
	w.run(exitFine, "release", "--rule", "lines")
}
