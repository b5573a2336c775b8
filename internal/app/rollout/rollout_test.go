package rollout_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/app/rollout"
	"github.com/b24rules/b24rules/internal/app/testkit"
)

// world is a service with reload: manual, and a rule that keeps an element with the title of each deal.
type world struct {
	*apptest.Harness
	t     *testing.T
	rules string // the folder of the files on disk
}

func newWorld(t *testing.T, deals ...string) *world {
	t.Helper()
	w := &world{t: t, rules: filepath.Join(t.TempDir(), "rules")}
	w.put("lines", "{{ deal.title }}")
	w.Harness = apptest.New(t, apptest.Options{
		Rules: os.DirFS(w.rules), Inputs: map[string]map[string]string{}, Limits: config.Limits{Attempts: 1}, Configure: func(c *config.Config) { c.Manual = true },
	})
	for _, title := range deals {
		w.AddDeal(title)
	}
	w.Wait()
	w.Until("what runs is stored", func() bool { return len(w.changes()) == 0 })
	return w
}

// put writes a version of the rule.
func (w *world) put(rule, name string) {
	testkit.WriteFile(w.t, filepath.Join(w.rules, "lines.yaml"), "version: 1\nrules:\n  "+rule+":\n    on: [ONCRMDEALADD, ONCRMDEALUPDATE]\n    debounce: 10ms\n    steps:\n      - id: deal\n"+
		"        fetch_item: {owner: deal, id: =event.id}\n      - upsert_element: {list: 47, key: =event.id, fields: {NAME: '"+name+"', DEAL: =event.id}}\n")
}

// disk are the rules on disk.
func (w *world) disk() *fleet.Generation {
	w.t.Helper()
	_, gen, err := (&fleet.Rules{Source: fleet.FilesIn(os.DirFS(w.rules)), Actions: actions.All, Portals: w.Service.Config().Portals}).Load()
	if err != nil {
		w.t.Fatal(err)
	}
	return gen
}

// changes are those on disk that do not run.
func (w *world) changes() []rollout.Change {
	w.t.Helper()
	all, err := rollout.NotLive(w.Context(), w.Service.Queue(), w.disk(), []string{demo.PortalName})
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

// plan is what the version on disk would change.
func (w *world) plan(s rollout.Scope) report.PortalChange {
	w.t.Helper()
	p, err := rollout.NewPlanner(w.Context(), w.Service, w.Service.Config(), w.disk(), actions.All, s)
	if err != nil {
		w.t.Fatal(err)
	}
	one, err := p.Portal(w.Context(), demo.PortalName)
	if err != nil {
		w.t.Fatal(err)
	}
	return one
}

// apply applies changes in one wave, and returns what became of the entities of a plan.
func (w *world) apply(ctx context.Context, plan *report.PortalChange, all []rollout.Change, watched func()) (filled rollout.Filled, omitted []string, err error) {
	a := rollout.Applying{Queue: w.Service.Queue(), Who: "anna", Via: "cli", Bake: 10 * time.Millisecond, Watched: func(rollout.Wave, time.Duration) { watched() }}
	if plan != nil {
		a.Planned = &rollout.Planned{
			Service: w.Service, Rules: w.disk(), Omitted: func(_, why string) { omitted = append(omitted, why) },
			Filled: func(_ string, f rollout.Filled) { filled = f }, Away: func(_ string, why error, _ rollout.Filled) { omitted = append(omitted, why.Error()) },
		}
		all, err = a.Planned.Check(ctx, w.Service.Config(), report.ChangePlan{Portals: []report.PortalChange{*plan}}, []string{demo.PortalName})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	return filled, omitted, a.Run(ctx, rollout.Split(all, []rollout.Wave{{Name: "all", Portals: []string{demo.PortalName}}}))
}

// names are those of all elements of the list.
func (w *world) names() []string {
	w.t.Helper()
	var rows []struct{ NAME string }
	w.Rest("lists.element.get", map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": w.IDs.ShipmentList}, &rows)
	var out []string
	for _, r := range rows {
		out = append(out, r.NAME)
	}
	slices.Sort(out)
	return out
}

// TestRollout plans a version, applies the plan, and sees each way in which a wave ends a rollout.
func TestRollout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "Roof", "Wall")
	w.put("lines", "Deal {{ deal.title }}")
	plan := w.plan(rollout.Scope{All: true})
	if len(plan.Sets) != 1 || plan.Compared != 2 || len(plan.Entities) != 2 || plan.NotSeen != "" {
		t.Fatalf("the plan is %+v", plan)
	}
	if one := w.plan(rollout.Scope{Stored: true}); len(one.Entities) != 2 {
		t.Errorf("from the history: %+v", one)
	}

	// A failure of a run halts it, and the version runs already.
	refuse := emulator.Fault{Method: "lists.element.update", Kind: emulator.FaultRefuse, Code: "ERROR_CORE"}
	if err := w.Portal.SetFaults(refuse); err != nil {
		t.Fatal(err)
	}
	_, _, err := w.apply(w.Context(), &plan, nil, func() { t.Error("it was watched after failures") })
	var halted *rollout.HaltedError
	if !errors.As(err, &halted) || halted.Queued != 50 || len(halted.Trouble) != 2 || !strings.HasPrefix(halted.Trouble[0], "portal demo: run ") {
		t.Errorf("with failures: %v", err)
	}
	if err := w.Portal.SetFaults(); err != nil {
		t.Fatal(err)
	}
	if left := w.changes(); len(left) > 0 {
		t.Errorf("after the wave, %v do not run", left)
	}

	// The rest of the plan follows, and then nothing is left.
	filled, omitted, err := w.apply(w.Context(), &plan, nil, func() {})
	if want := (rollout.Filled{Ran: 2}); filled != want || err != nil || len(omitted) > 0 {
		t.Errorf("again: %+v, %v, %v", filled, omitted, err)
	}
	if got, want := w.names(), []string{"Deal Roof", "Deal Wall"}; !slices.Equal(got, want) {
		t.Errorf("the elements are %v, want %v", got, want)
	}
	if filled, _, err := w.apply(w.Context(), &plan, nil, func() {}); filled != (rollout.Filled{Done: 2}) || err != nil {
		t.Errorf("a third time: %+v, %v", filled, err)
	}

	// The end of the context is said, and by when the versions ran.
	w.put("lines", "{{ deal.title }}")
	if _, omitted, _ = w.apply(w.Context(), &plan, nil, func() {}); len(omitted) != 1 || !strings.Contains(omitted[0], "the plan is stale") {
		t.Errorf("a stale plan: %v", omitted)
	}
	ctx, cancel := context.WithCancel(w.Context())
	_, _, err = w.apply(ctx, nil, w.changes(), cancel)
	var interrupted *rollout.InterruptedError
	if !errors.As(err, &interrupted) || interrupted.Filling || !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}

	// What serve refuses ends it: this version would make all elements again.
	w.put("rows", "{{ deal.title }}")
	_, _, err = w.apply(w.Context(), nil, w.changes(), func() { t.Error("what is refused was watched") })
	var refused *rollout.RefusedError
	if !errors.As(err, &refused) || len(refused.Reasons) != 1 || !strings.Contains(refused.Reasons[0], "would-double") {
		t.Errorf("refused: %v", err)
	}
}

// TestSplit: a portal is in the first wave that names it, and empty waves are omitted.
func TestSplit(t *testing.T) {
	t.Parallel()
	change := func(portal, set string) rollout.Change { return rollout.Change{Portal: portal, Set: set} }
	all := []rollout.Change{change("b", "x"), change("a", "x"), change("b", "y"), change("c", "x"), change("d", "x")}
	got := rollout.Split(all, []rollout.Wave{{Name: "none", Portals: []string{"z"}}, {Name: "canary", Portals: []string{"b"}}, {Name: "rest", Portals: []string{"a", "b", "c"}}})
	want := []rollout.Wave{
		{Name: "canary", Portals: []string{"b"}, Changes: []rollout.Change{change("b", "x"), change("b", "y")}},
		{Name: "rest", Portals: []string{"a", "c"}, Changes: []rollout.Change{change("a", "x"), change("c", "x")}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if all[0].Portal != "b" || all[4].Portal != "d" {
		t.Errorf("the changes were moved: %v", all)
	}
}

// TestReadPlan: a saved plan is read as it was, by its user only, and what is no plan, too old or of
// another program is an error.
func TestReadPlan(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "plan.json")
	plan := report.ChangePlan{Format: report.PlanFormat, Made: time.Now().UTC().Truncate(time.Second), By: "anna", Portals: []report.PortalChange{{Portal: "demo", Sets: []report.SetChange{{Set: "lines", After: "1"}}}}}
	if err := rollout.Save(file, plan); err != nil {
		t.Fatal(err)
	}
	got, err := rollout.ReadPlan(file)
	if diff := cmp.Diff(plan, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v %v", info, err)
	}
	data := testkit.ReadFile(t, file)
	var made string
	if text, err := json.Marshal(plan.Made); err == nil {
		made = string(text)
	}
	for text, want := range map[string]string{
		"": "it is no plan", "{}": "it is no plan", "[1]": "it is no plan", data[:len(data)/2]: "it is no plan",
		strings.Replace(data, `"b24rules_plan": 1`, `"b24rules_plan": 2`, 1): "it has the form 2",
		strings.Replace(data, made, `"2020-01-31T00:00:00Z"`, 1):             "after 7 days much may have changed: plan again",
	} {
		testkit.WriteFile(t, file, text)
		if _, err := rollout.ReadPlan(file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
	if _, err := rollout.ReadPlan(filepath.Join(filepath.Dir(file), "nowhere.json")); err == nil || !strings.HasPrefix(err.Error(), "cannot read the plan: ") {
		t.Error(err)
	}
	if err := rollout.Save(filepath.Join(filepath.Dir(file), "no", "plan.json"), plan); err == nil || !strings.HasPrefix(err.Error(), "the plan is not saved: ") {
		t.Error(err)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(file), ".*")); len(left) > 0 || err != nil {
		t.Errorf("files are left: %v %v", left, err)
	}
}
