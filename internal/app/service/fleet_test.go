package service_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/app/testkit"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/journal"
)

// fleetRules have a rule without requests, and one that needs an input and makes elements.
var fleetRules = fstest.MapFS{
	"notes.yaml": {Data: []byte("version: 1\nrules:\n  notes:\n    on: ONCRMDEALUPDATE\n    steps:\n      - log: {message: hi}\n")},
	"names.yaml": {Data: []byte("version: 1\ninputs: {list: {type: integer}}\nrules:\n  names:\n    on: ONCRMLEADADD\n    steps:\n      - upsert_element: {list: =inputs.list, key: =event.id, fields: {NAME: x}}\n")},
}

// folder is a configuration with a folder of portals, next to the portal of the harness.
type folder struct {
	*harness
	dir  string
	main config.Portal
	base *config.Config
}

func (f *folder) path(name string) string { return filepath.Join(f.dir, "portals", name) }

// read reads the folder, and adds the portal of the harness.
func (f *folder) read() (*config.Config, diag.List, error) {
	c, list, err := config.Read(filepath.Join(f.dir, config.DefaultFile))
	if err != nil || c == nil {
		return nil, list, err
	}
	next := *f.base
	next.Portals = append([]config.Portal{f.main}, c.Portals...)
	next.Folder, next.Files, next.Notes = c.Folder, c.Files, c.Notes
	list = c.Usable(list)
	next.Portals, next.Broken = append([]config.Portal{f.main}, c.Portals...), c.Broken
	return &next, list, nil
}

// newFolder starts a service with portals whose files are given.
func newFolder(t *testing.T, files map[string]string) *folder {
	t.Helper()
	f := &folder{dir: t.TempDir()}
	testkit.WriteFile(t, filepath.Join(f.dir, config.DefaultFile), `rules: [rules]
defaults:
  webhook: http://127.0.0.1:1/rest/1/x/
  application_token: token
  use: {notes: , names: {list: 1}}
portals: portals
`)
	for name, text := range files {
		testkit.WriteFile(t, f.path(name), text)
	}
	f.harness = newHarness(t, apptest.Options{
		Rules: fleetRules, Findings: true, Inputs: map[string]map[string]string{"names": {"list": "{list}"}}, Read: f.read,
		Configure: func(c *config.Config) {
			base := *c
			f.base, f.main = &base, c.Portals[0]
			now, _, err := f.read()
			if err != nil {
				t.Fatal(err)
			}
			*c = *now
		},
	})
	end, err := f.Service.Watch(context.WithoutCancel(t.Context()), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(end)
	return f
}

// send sends an event of a portal and returns the status of the answer.
func (f *folder) send(portal string) int {
	url := strings.TrimSuffix(f.HookURL, demo.PortalName) + portal
	return f.Post(url, formType, "event=ONCRMDEALUPDATE&data[FIELDS][ID]=7&auth[application_token]=token")
}

// succeeded returns how many runs of a portal have succeeded.
func (f *folder) succeeded(portal string) int {
	runs, err := journal.FindRuns(f.Context(), f.Service.Queue().Database(), journal.Filter{Portal: portal, States: []journal.State{journal.Succeeded}, Limit: 1000})
	if err != nil {
		f.T.Fatal(err)
	}
	return len(runs)
}

// attention returns the portals that a person should look at, and why.
func (f *folder) attention() map[string]string {
	c, _, err := f.read()
	if err != nil {
		f.T.Fatal(err)
	}
	var names []string
	for _, p := range c.Portals {
		names = append(names, p.Name)
	}
	for _, b := range c.Broken {
		names = append(names, b.Name)
	}
	s, err := report.ReadStatus(f.Context(), f.Service.Queue(), names, true)
	if err != nil {
		f.T.Fatal(err)
	}
	for _, b := range c.Broken {
		s.Outdated(b.Name, b.Reason())
	}
	out := map[string]string{}
	for _, p := range s.Portals {
		if !p.Attention() {
			continue
		}
		out[p.Portal] = p.Reason
		for _, r := range p.Rules {
			out[p.Portal] += r.Reason
		}
	}
	return out
}

// brokenFiles are ten ways to break the file of a portal, with what status says of it.
var brokenFiles = []struct{ text, reason string }{
	{"webhook_file: no/such/file", "no/such/file"},
	{"use: {notes: on", "yaml-syntax"},
	{"tagz: [a]", `unknown key "tagz"`},
	{"time_zone: Moscow", `time zone "Moscow" is unknown`},
	{"use: {nots: on}", `no rule file is named "nots"`},
	{"use: {names: {list: many}}", "input list of rule set names must be an integer"},
	{"use: {names@b: {list: 1}}", "both write list 1"},
	{"inputs: {names: {list: 1}}", "has both use and inputs"},
	{"application_token: ${NO_SUCH_VARIABLE}", "no variable NO_SUCH_VARIABLE"},
	{"use: {'names@': on}", "cannot be the name of a rule set in use"},
}

// TestFleet: of 200 portals 20 are broken in ten ways. The other 180 run, and status names the
// 20. Then a new one comes, a portal gets errors and is repaired, and one goes and comes back, and no
// event is lost.
func TestFleet(t *testing.T) {
	t.Parallel()
	sound := 180
	if testing.Short() {
		sound = 30
	}
	files := map[string]string{}
	for i := range sound {
		files[fmt.Sprintf("p%03d.yaml", i)] = "tags: [sound]\n"
	}
	for i := range 20 {
		files[fmt.Sprintf("x%03d.yaml", i)] = brokenFiles[i%10].text + "\n"
	}
	f := newFolder(t, files)
	f.Until("status names the 20", func() bool { return len(f.attention()) == 20 })
	for name, reason := range f.attention() {
		var i int
		if _, err := fmt.Sscanf(name, "x%03d", &i); err != nil || !strings.Contains(reason, brokenFiles[i%10].reason) {
			t.Errorf("status names portal %s: %s", name, reason)
		}
	}
	for i := range sound {
		if status := f.send(fmt.Sprintf("p%03d", i)); status != http.StatusOK {
			t.Errorf("portal p%03d answers with %d", i, status)
		}
	}
	f.Until("the others run", func() bool { return f.States()[journal.Succeeded] == sound })

	began := time.Now()
	testkit.WriteFile(t, f.path("new.yaml"), "tags: [new]\n")
	f.Until("a new portal is there", func() bool { return f.send("new") == http.StatusOK })
	t.Logf("a new portal is live after %s", time.Since(began).Round(10*time.Millisecond))
	f.Until("a new portal runs", func() bool { return f.succeeded("new") > 0 })

	// An error keeps what runs, and is named.
	testkit.WriteFile(t, f.path("p007.yaml"), "use: {nots: on}\n")
	f.Until("p007 is named", func() bool { return strings.Contains(f.attention()["p007"], `"nots"`) })
	testkit.WriteFile(t, f.path("p008.yaml"), "tags: [a b]\n")
	f.Until("p008 is named", func() bool { return strings.Contains(f.attention()["p008"], "cannot be a tag") })
	for _, name := range []string{"p007", "p008"} {
		if status := f.send(name); status != http.StatusOK {
			t.Errorf("portal %s answers with %d", name, status)
		}
		f.Until(name+" runs on", func() bool { return f.succeeded(name) == 2 })
	}
	// A file that is gone deletes nothing.
	if err := os.Remove(f.path("p009.yaml")); err != nil {
		t.Fatal(err)
	}
	f.Until("p009 is removed", func() bool { return f.attention()["p009"] != "" })
	if status := f.send("p009"); status != http.StatusOK {
		t.Errorf("a removed portal answers with %d", status)
	}
	testkit.WriteFile(t, f.path("p009.yaml"), "")
	for _, name := range []string{"p007", "p008"} {
		testkit.WriteFile(t, f.path(name+".yaml"), "")
	}
	f.Until("p009 processes what came in between", func() bool { return f.succeeded("p009") == 2 })
	f.Until("only the 20 are named", func() bool { return len(f.attention()) == 20 })

	// Many portals do not go at once.
	for i := range sound / 2 {
		if err := os.Remove(f.path(fmt.Sprintf("p%03d.yaml", i))); err != nil {
			t.Fatal(err)
		}
	}
	f.Until("the removal is refused", func() bool { return f.Logged("removes many portals") > 0 })
	if status := f.send("p010"); status != http.StatusOK {
		t.Errorf("portal p010 answers with %d", status)
	}
}
