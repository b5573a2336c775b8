package fleet

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/testkit"
	"github.com/b24rules/b24rules/internal/diag"
)

// ruleText is a rule file with one rule; its title makes versions differ.
func ruleText(id, title string) string {
	return fmt.Sprintf("version: 1\ntitle: %s\nrules:\n  %s:\n    on: ONCRMDEALUPDATE\n    steps:\n      - log: {message: hi}\n", title, id)
}

const (
	needsInput = "version: 1\ninputs:\n  list: {type: integer}\nrules:\n  needs:\n    on: ONCRMDEALUPDATE\n    steps:\n      - log: {message: '{{ inputs.list }}'}\n"
	brokenText = "version: 1\nrules:\n  Broken: {}\n"
)

// memorySource serves what files holds at the moment.
func memorySource(files map[string]string, names ...string) RuleSource {
	return func() ([]RuleFile, error) {
		var out []RuleFile
		for _, name := range names {
			if text, ok := files[name]; ok {
				out = append(out, RuleFile{Name: name, Data: []byte(text)})
			}
		}
		return out, nil
	}
}

// describeSets writes a generation down, as portal main sees it.
func describeSets(g *Generation) []string {
	var out []string
	for _, s := range append(g.sets(), g.idle...) {
		out = append(out, "runs "+s.File+" "+s.Title)
	}
	for _, r := range g.Refused() {
		text := "removed " + r.File
		if !r.Removed() {
			text = "broken " + r.File + " " + r.Findings[0].Code
		}
		if r.Running != "" {
			text += ", runs on"
		}
		out = append(out, text)
	}
	for _, n := range g.notes {
		out = append(out, "note "+n.Code)
	}
	return out
}

func TestLoader(t *testing.T) {
	main := config.Portal{Name: "main", Inputs: config.NewInputs(map[string]map[string]string{"c": {"list": "5"}})}
	files := map[string]string{}
	l := &Rules{Actions: actions.All, Source: memorySource(files, "a.yaml", "b.yaml", "c.yaml", "d.yaml"), Portals: []config.Portal{main}}
	set := func(pairs ...string) {
		for i := 0; i < len(pairs); i += 2 {
			if files[pairs[i]] = pairs[i+1]; pairs[i+1] == "" {
				delete(files, pairs[i])
			}
		}
	}
	steps := []struct {
		name   string
		change []string
		want   []string
	}{
		{"start", []string{"a.yaml", ruleText("a", "1"), "c.yaml", needsInput}, []string{"runs a.yaml 1", "runs c.yaml "}},
		{"an edit", []string{"a.yaml", ruleText("a", "2")}, []string{"runs a.yaml 2", "runs c.yaml "}},
		{"a bad edit", []string{"a.yaml", brokenText}, []string{"runs a.yaml 2", "runs c.yaml ", "broken a.yaml bad-name, runs on"}},
		{"mended", []string{"a.yaml", ruleText("a", "3")}, []string{"runs a.yaml 3", "runs c.yaml "}},
		{"a new file with mistakes", []string{"b.yaml", brokenText}, []string{"runs a.yaml 3", "runs c.yaml ", "broken b.yaml bad-name"}},
		{"a new file takes a rule's id", []string{"b.yaml", ruleText("a", "thief")}, []string{"runs a.yaml 3", "runs c.yaml ", "broken b.yaml duplicate-rule"}},
		{"the owner gives the id up", []string{"a.yaml", ruleText("other", "4")}, []string{"runs a.yaml 4", "runs b.yaml thief", "runs c.yaml "}},
		{"an edit takes an id that runs", []string{"a.yaml", ruleText("needs", "5")}, []string{"runs a.yaml 4", "runs b.yaml thief", "runs c.yaml ", "broken a.yaml duplicate-rule, runs on"}},
		{"a new input that nothing is configured for", []string{"a.yaml", strings.Replace(needsInput, "needs", "more", 1)}, []string{"runs a.yaml 4", "runs b.yaml thief", "runs c.yaml ", "broken a.yaml bad-input, runs on"}},
		{"removed", []string{"a.yaml", "", "b.yaml", ""}, []string{"runs c.yaml ", "removed a.yaml", "removed b.yaml"}},
		{"its rules in another file", []string{"d.yaml", ruleText("a", "thief")}, []string{"runs c.yaml ", "runs d.yaml thief", "removed a.yaml"}},
		{"removed again", []string{"d.yaml", ""}, []string{"runs c.yaml ", "removed a.yaml", "removed d.yaml"}},
		{"forgotten", nil, []string{"runs c.yaml "}},
		{"a file with mistakes", []string{"b.yaml", brokenText}, []string{"runs c.yaml ", "broken b.yaml bad-name"}},
		{"it is removed", []string{"b.yaml", ""}, []string{"runs c.yaml ", "removed b.yaml"}},
		{"it is back", []string{"b.yaml", ruleText("b", "1")}, []string{"runs b.yaml 1", "runs c.yaml "}},
		{"it is forgotten", []string{"b.yaml", ""}, []string{"runs c.yaml "}},
		{"inputs without their set", []string{"c.yaml", "", "a.yaml", ruleText("a", "6")}, []string{"runs a.yaml 6", "removed c.yaml", "note unknown-set"}},
		{"a rule for another portal", []string{"a.yaml", strings.Replace(ruleText("a", "7"), "    on:", "    portals: [mian]\n    on:", 1)}, []string{"runs a.yaml 7", "removed c.yaml", "note unknown-set", "note unknown-portal"}},
	}
	for _, s := range steps {
		set(s.change...)
		if s.name == "forgotten" {
			l.Forget("main", "a")
			l.Forget("main", "d")
		}
		if s.name == "it is forgotten" {
			l.Forget("main", "b")
		}
		_, now, err := l.Load()
		if err != nil {
			t.Fatal(err)
		}
		got := describeSets(now)
		if diff := cmp.Diff(s.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", s.name, diff)
		}
	}
}

// TestRenamedFile: the rules of a file that gets another name run on until the new one can be read.
func TestRenamedFile(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	testkit.WriteFile(t, path("a.yaml"), ruleText("a", "1"))
	testkit.WriteFile(t, path("b.yaml"), ruleText("b", "1"))
	source := FilesOf([]string{dir})
	read := func() (out []string) {
		t.Helper()
		files, err := source()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if f.Data != nil {
				out = append(out, filepath.Base(f.Name))
			}
		}
		return out
	}
	testkit.WriteFile(t, path("new.yaml"), "") // the first look takes each file at once
	want := func(names ...string) {
		t.Helper()
		if got := read(); !slices.Equal(got, names) {
			t.Errorf("the files are %v, want %v", got, names)
		}
	}
	want("a.yaml", "b.yaml", "new.yaml")
	testkit.Remove(t, path("new.yaml"))
	want("a.yaml", "b.yaml")
	testkit.Rename(t, path("a.yaml"), path("c.yaml"))
	want("a.yaml", "b.yaml")
	time.Sleep(QuietTime)
	want("b.yaml", "c.yaml")
	testkit.Remove(t, path("c.yaml"))
	want("b.yaml")
}

// TestLoaderKeepsWhatRuns: a failure to read the files leaves everything.
func TestLoaderKeepsWhatRuns(t *testing.T) {
	files := map[string]string{"a.yaml": ruleText("a", "1")}
	l := &Rules{Actions: actions.All, Source: memorySource(files, "a.yaml")}
	if _, _, err := l.Load(); err != nil {
		t.Fatal(err)
	}
	good := l.Current()
	l.Source = func() ([]RuleFile, error) { return nil, os.ErrPermission }
	if _, _, err := l.Load(); err == nil || l.Current() != good {
		t.Errorf("error %v, generation changed: %v", err, l.Current() != good)
	}
}

func TestGenerationRoute(t *testing.T) {
	only := strings.Replace(ruleText("only", "x"), "    on:", "    portals: [b]\n    on:", 1)
	l := &Rules{
		Actions: actions.All,
		Source:  memorySource(map[string]string{"a.yaml": ruleText("all", "x"), "b.yaml": only}, "a.yaml", "b.yaml"),
		Portals: []config.Portal{{Name: "a"}, {Name: "b"}},
	}
	_, g, err := l.Load()
	if err != nil {
		t.Fatal(err)
	}
	event := engine.Event{Code: "ONCRMDEALUPDATE", Data: map[string]any{"FIELDS": map[string]any{"ID": "7"}}}
	for portal, want := range map[string][]string{"a": {"all"}, "b": {"all", "only"}, "c": nil} {
		var got []string
		for _, r := range g.Route(portal, event) {
			got = append(got, r.Rule.ID)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("portal %s (-want +got):\n%s", portal, diff)
		}
	}
	if _, _, ok := g.Rule("only", "a"); ok {
		t.Error("portal a finds a rule of portal b")
	}
	if _, _, ok := g.Rule("only", "b"); !ok {
		t.Error("portal b does not find its rule")
	}
}

func TestFindRuleFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.yaml", "b.yml", "a_test.yaml", ".c.yaml", "d.txt", "below/e.yaml", ".git/f.yaml", "below/.hidden/g.yaml", "copies/.b24rulesignore", "copies/m.yaml", "copies/below/n.yaml", "h.YAML", "i.yaml.txt", "j.yml ", "k_test.YML", "l.yaml.bak"} {
		testkit.WriteFile(t, filepath.Join(dir, name), "x")
	}
	if err := os.Symlink(filepath.Join(dir, "d.txt"), filepath.Join(dir, "link.yaml")); err != nil {
		t.Fatal(err)
	}
	got, err := FindRuleFiles([]string{dir, filepath.Join(dir, "a.yaml"), filepath.Join(dir, "d.txt")})
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		got[i], _ = filepath.Rel(dir, got[i])
	}
	if diff := cmp.Diff([]string{"a.yaml", "b.yml", "below/e.yaml", "d.txt", "h.YAML", "i.yaml.txt", "j.yml ", "link.yaml"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, err := FindRuleFiles([]string{filepath.Join(dir, "copies")}); err != nil || len(got) != 2 {
		t.Errorf("a path leads to the ignored folder, and the files are %v, %v", got, err)
	}
	if _, err := FindRuleFiles([]string{filepath.Join(dir, "nope")}); err == nil {
		t.Error("a path that is not there is no error")
	}
	if err := os.Symlink(filepath.Join(dir, "gone"), filepath.Join(dir, "broken.yaml")); err != nil {
		t.Fatal(err)
	}
	if _, err := FindRuleFiles([]string{dir}); err == nil || !strings.Contains(err.Error(), "broken.yaml") {
		t.Errorf("a link to a missing file gives %v", err)
	}
}

func TestReload(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir := filepath.Join(root, "rules")
	testkit.WriteFile(t, filepath.Join(dir, "a.yaml"), ruleText("a", "1"))
	l := &Rules{Actions: actions.All, Source: FilesOf([]string{dir}), Portals: []config.Portal{{Name: "main"}}}
	if _, _, err := l.Load(); err != nil {
		t.Fatal(err)
	}
	log := testkit.NewLog()
	w, err := NewWatcher(func() []string { return []string{dir} }, func() bool {
		before, now, err := l.Load()
		if err != nil {
			log.Logger().Error("keeping the current rules", "error", err)
			return false
		}
		LogChanges(log.Logger(), before, now)
		return now.Changing
	}, log.Logger())
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan os.Signal)
	ctx, stop := testkit.Context(t)
	ended := make(chan struct{})
	go func() { defer close(ended); w.Run(ctx, asked) }()
	defer func() { stop(); <-ended }()

	steps := []struct {
		name   string
		change func()
		log    []string
	}{
		{"a bad edit", func() { testkit.WriteFile(t, filepath.Join(dir, "a.yaml"), brokenText) }, []string{"rule set is invalid, keeping the last valid one", "a.yaml", "a.yaml:3:3"}},
		{"mended", func() { testkit.WriteFile(t, filepath.Join(dir, "a.yaml"), ruleText("a", "2")) }, []string{"rule set is valid again", "a.yaml"}},
		{"an editor that renames", func() {
			testkit.WriteFile(t, filepath.Join(dir, "a.tmp"), ruleText("a", "3"))
			testkit.Rename(t, filepath.Join(dir, "a.tmp"), filepath.Join(dir, "a.yaml"))
		}, []string{"rule set loaded", "a.yaml"}},
		{"a new folder", func() { testkit.WriteFile(t, filepath.Join(dir, "new", "b.yaml"), ruleText("b", "1")) }, []string{"rule set loaded", "b.yaml"}},
		{"a file in the new folder", func() { testkit.WriteFile(t, filepath.Join(dir, "new", "c.yaml"), ruleText("c", "1")) }, []string{"rule set loaded", "c.yaml"}},
		{"a removed file", func() { testkit.Remove(t, filepath.Join(dir, "new", "b.yaml")) }, []string{"rule set removed", "b.yaml"}},
		{"the whole folder is exchanged", func() {
			testkit.WriteFile(t, filepath.Join(root, "next", "d.yaml"), ruleText("d", "1"))
			testkit.Rename(t, dir, filepath.Join(root, "old"))
			testkit.Rename(t, filepath.Join(root, "next"), dir)
		}, []string{"rule set loaded", "d.yaml"}},
		{"a change in the exchanged folder", func() { testkit.WriteFile(t, filepath.Join(dir, "d.yaml"), ruleText("d", "2")) }, []string{"rule set loaded", "d.yaml"}},
		{"a signal", func() { asked <- os.Interrupt }, []string{"received a signal to load the rules again"}},
	}
	for _, s := range steps {
		from := log.Size()
		s.change()
		log.Wait(t, from, s.log...)
	}
	runs := slices.DeleteFunc(describeSets(l.Current()), func(s string) bool { return strings.HasPrefix(s, "removed ") })
	if diff := cmp.Diff([]string{"runs " + filepath.Join(dir, "d.yaml") + " 2"}, runs); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestWatchOfTheCurrentFolder: b24rules serve without a path watches files that are named
// without a folder.
func TestWatchOfTheCurrentFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	testkit.WriteFile(t, "b24rules.yaml", "a")
	testkit.WriteFile(t, filepath.Join("rules", "a.yaml"), "a")
	reloads := make(chan bool, 10)
	w, err := NewWatcher(func() []string { return []string{"b24rules.yaml", "rules"} }, func() bool { reloads <- true; return false }, testkit.NewLog().Logger())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), lookEvery/2) // before all files are compared
	defer stop()
	go w.Run(ctx, nil)
	for _, file := range []string{"b24rules.yaml", filepath.Join("rules", "a.yaml")} {
		testkit.WriteFile(t, file, "b")
		select {
		case <-reloads:
		case <-ctx.Done():
			t.Fatalf("a change of %s is not seen", file)
		}
	}
}

func TestStartFindings(t *testing.T) {
	bad := func(running string) Refused {
		return Refused{Portal: "main", Set: "a", File: "a.yaml", Running: running, Findings: diag.List{{Pos: diag.Pos{File: "a.yaml", Line: 1, Column: 1}, Code: "x"}}}
	}
	note := diag.List{{Pos: diag.Pos{File: "b24rules.yaml", Line: 8, Column: 1}, Code: "unknown-set"}}
	fine := []*Instance{{Set: &engine.RuleSet{}}}
	for _, tt := range []struct {
		name string
		gen  Generation
		want []string
	}{
		{"all is well", Generation{portals: map[string]*portalRules{"main": {live: fine}}}, nil},
		{"one file is broken, another runs", Generation{portals: map[string]*portalRules{"main": {live: fine, refused: []Refused{bad("")}}}}, nil},
		{"nothing runs", Generation{portals: map[string]*portalRules{"main": {refused: []Refused{bad("")}}}, notes: note}, []string{"x", "unknown-set"}},
		{"nothing is there", Generation{}, []string{"no-rules"}},
	} {
		var got []string
		for _, f := range tt.gen.StartFindings("b24rules.yaml") {
			got = append(got, f.Code)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}
