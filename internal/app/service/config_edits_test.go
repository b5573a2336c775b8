package service_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/app/testkit"
	"github.com/b24rules/b24rules/internal/diag"
)

// configEdits is a service with two portals, whose files and rule files a person edits.
type configEdits struct {
	*harness
	dir     string
	base    *config.Config
	portals []*harness // the emulated portals
	deals   []int
	before  map[string]string
}

// memoRule keeps an element with the title of a deal.
const memoRule = "version: 1\ninputs: {list: {type: integer}}\nrules:\n  memo:\n    on: ONCRMDEALUPDATE\n    debounce: 10ms\n    steps:\n      - id: deal\n" +
	"        fetch_item: {owner: deal, id: =event.id}\n      - upsert_element: {list: =inputs.list, key: =event.id, fields: {NAME: =deal.title, DEAL: =event.id}}\n"

// newConfigEdits starts a service. {list} in files is a list that both portals have.
func newConfigEdits(t *testing.T, files map[string]string) *configEdits {
	t.Helper()
	c := &configEdits{dir: t.TempDir()}
	for range 2 {
		p := newHarness(t, apptest.Options{Rules: fstest.MapFS{"a.yaml": {Data: []byte(testkit.Rule("none", "      - log: {message: x}\n"))}}, Inputs: map[string]map[string]string{}, Events: []string{"ONAPPTEST"}})
		c.portals, c.deals = append(c.portals, p), append(c.deals, p.AddDeal("Roof"))
		p.Stop()
	}
	c.write(files)
	c.harness = newHarness(t, apptest.Options{
		Rules: os.DirFS(filepath.Join(c.dir, "rules")), Inputs: map[string]map[string]string{}, Findings: true, Read: c.read,
		Configure: func(now *config.Config) {
			base := *now
			c.base = &base
			next, _, err := c.read()
			if err != nil {
				t.Fatal(err)
			}
			*now = *next
		},
	})
	return c
}

// read reads the portals of the folder.
func (c *configEdits) read() (*config.Config, diag.List, error) {
	found, list, err := config.Read(filepath.Join(c.dir, config.DefaultFile))
	if err != nil || found == nil {
		return nil, list, err
	}
	next := *c.base
	list = found.Usable(list)
	next.Portals, next.Broken, next.Folder, next.Files, next.Notes = found.Portals, found.Broken, found.Folder, found.Files, found.Notes
	return &next, list, nil
}

// write writes the files of a person, and removes the others. {0} and {1} in a portal's file are how the
// emulated portals are called.
func (c *configEdits) write(files map[string]string) {
	for name := range c.before {
		if _, there := files[name]; !there {
			testkit.Remove(c.portals[0].T, filepath.Join(c.dir, name))
		}
	}
	if c.before = maps.Clone(files); c.before == nil {
		c.before = map[string]string{}
	}
	testkit.WriteFile(c.portals[0].T, filepath.Join(c.dir, config.DefaultFile), "rules: [rules]\nportals: portals\n")
	for name, text := range files {
		for i, p := range c.portals {
			text = strings.ReplaceAll(text, fmt.Sprintf("{%d}", i), fmt.Sprintf("webhook: %s\napplication_token: %s\nplan: unlimited\n", p.Webhook().Reveal(), p.Options.Emulator.ApplicationToken))
		}
		testkit.WriteFile(c.portals[0].T, filepath.Join(c.dir, name), strings.ReplaceAll(text, "{list}", fmt.Sprint(c.portals[0].IDs.ShipmentList)))
	}
}

// reload loads the files, when none is being written any more.
func (c *configEdits) reload() {
	for c.Service.Reload() {
		time.Sleep(fleet.QuietTime)
	}
}

// touch sends an event of the deal in a portal that has a name in the configuration, and waits for its runs.
func (c *configEdits) touch(portal int, name string) {
	c.T.Helper()
	url := strings.TrimSuffix(c.HookURL, "demo") + name
	body := fmt.Sprintf("event=ONCRMDEALUPDATE&data[FIELDS][ID]=%d&auth[application_token]=%s", c.deals[portal], c.portals[portal].Options.Emulator.ApplicationToken)
	if code := c.Post(url, formType, body); code != 200 {
		c.T.Fatalf("an event of %s: %d", name, code)
	}
	c.Wait()
}

// made are the names of the elements of rules in a portal.
func (c *configEdits) made(portal int) []string {
	c.T.Helper()
	p := c.portals[portal]
	var rows []struct{ NAME, CODE string }
	p.Rest("lists.element.get", map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": p.IDs.ShipmentList}, &rows)
	out := []string{}
	for _, r := range rows {
		if strings.HasPrefix(r.CODE, "b24r-") {
			out = append(out, r.NAME)
		}
	}
	return out
}

// orphans counts what status says that no rule has, by portal.
func (c *configEdits) orphans(names ...string) map[string]int {
	c.T.Helper()
	s, err := report.ReadStatus(c.Context(), c.Service.Queue(), names, true)
	if err != nil {
		c.T.Fatal(err)
	}
	out := map[string]int{}
	for _, p := range s.Portals {
		for _, o := range p.Orphans {
			out[p.Portal] += o.Records
		}
	}
	return out
}

// TestConfigEdits edits the use of rule sets and the names of portals, instances and files: nothing is made
// twice, and nothing loses its rule without a word.
func TestConfigEdits(t *testing.T) {
	t.Parallel()
	first := map[string]string{
		"portals/acme.yaml": "{0}use: {memo@spb: {list: {list}}}\n", "portals/bolt.yaml": "{1}use: {other: on}\n",
		"rules/memo.yaml": memoRule, "rules/other.yaml": testkit.Rule("other", "      - log: {message: x}\n"),
	}
	changed := func(pairs ...string) map[string]string {
		out := maps.Clone(first)
		for i := 0; i < len(pairs); i += 2 {
			if out[pairs[i]] = pairs[i+1]; pairs[i+1] == "" {
				delete(out, pairs[i])
			}
		}
		return out
	}
	moved := strings.Replace(memoRule, "  memo:\n", "  slip:\n    moved: {from: memo}\n", 1)
	for _, tt := range []struct {
		name    string
		files   map[string]string
		doubles bool           // it is refused, because it would make the element again
		orphans map[string]int // what status says
		names   [2]string      // of the portals
		made    [2]int         // after an event of each deal
	}{
		{"an instance with another name", changed("portals/acme.yaml", "{0}use: {memo@msk: {list: {list}}}\n"), true, map[string]int{"acme": 1}, [2]string{}, [2]int{1, 0}},
		{"an instance without its name", changed("portals/acme.yaml", "{0}use: {memo: {list: {list}}}\n"), true, map[string]int{"acme": 1}, [2]string{}, [2]int{1, 0}},
		{"an instance in the other portal", changed("portals/acme.yaml", "{0}use: {other: on}\n", "portals/bolt.yaml", "{1}use: {memo@spb: {list: {list}}}\n"), false, map[string]int{"acme": 1}, [2]string{}, [2]int{1, 1}},
		{"a rule with moved in the other portal", changed("portals/acme.yaml", "{0}use: {other: on}\n", "portals/bolt.yaml", "{1}use: {slip@spb: {list: {list}}}\n", "rules/memo.yaml", "", "rules/slip.yaml", moved), false, map[string]int{"acme": 1}, [2]string{}, [2]int{1, 1}},
		{"a rule set and its rule with moved", changed("portals/acme.yaml", "{0}use: {slip@spb: {list: {list}}}\n", "rules/memo.yaml", "", "rules/slip.yaml", moved), false, nil, [2]string{}, [2]int{1, 0}},
		{"a rule set and its rule", changed("portals/acme.yaml", "{0}use: {slip@spb: {list: {list}}}\n", "rules/memo.yaml", "", "rules/slip.yaml", strings.Replace(memoRule, "  memo:\n", "  slip:\n", 1)), true, map[string]int{"acme": 1}, [2]string{}, [2]int{1, 0}},
		{"a rule set and its use in one portal only", changed("rules/memo.yaml", "", "rules/slip.yaml", memoRule), false, nil, [2]string{}, [2]int{1, 0}},
		{"a portal with another name while a rule changes", changed("portals/acme.yaml", "", "portals/zoo.yaml", "{0}use: {memo@spb: {list: {list}}}\n", "rules/memo.yaml", strings.Replace(memoRule, "=deal.title,", "'deal {{ deal.title }}',", 1)), false, nil, [2]string{"zoo"}, [2]int{1, 0}},
		{"two portals with each other's names", changed("portals/acme.yaml", "{1}use: {other: on}\n", "portals/bolt.yaml", "{0}use: {memo@spb: {list: {list}}}\n"), false, map[string]int{"acme": 1}, [2]string{"bolt", "acme"}, [2]int{1, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newConfigEdits(t, first)
			c.touch(0, "acme")
			c.touch(1, "bolt")
			if got := c.made(0); !slices.Equal(got, []string{"Roof"}) {
				t.Fatalf("the rule has made %v", got)
			}
			for range 2 { // there and back, twice
				c.write(tt.files)
				c.reload()
				if c.Service.Generation().Doubles() != tt.doubles {
					t.Errorf("would it double: %t, want %t: %v", !tt.doubles, tt.doubles, c.Service.Generation().Findings())
				}
				for i, name := range tt.names {
					if name == "" {
						name = []string{"acme", "bolt"}[i]
					}
					c.touch(i, name)
					if got := c.made(i); len(got) != tt.made[i] {
						t.Errorf("in portal %d there are %v, want %d", i, got, tt.made[i])
					}
				}
				c.Until("status says the orphans", func() bool {
					return maps.Equal(c.orphans("acme", "bolt", "zoo"), tt.orphans) || tt.orphans == nil && len(c.orphans("acme", "bolt", "zoo")) == 0
				})

				c.write(first)
				c.reload()
				if c.Service.Generation().Doubles() || c.Service.Generation().Findings().HasErrors() {
					t.Errorf("back: %v", c.Service.Generation().Findings())
				}
				c.touch(0, "acme")
				c.touch(1, "bolt")
				if got := c.made(0); !slices.Equal(got, []string{"Roof"}) {
					t.Errorf("back, there are %v", got)
				}
			}
		})
	}
}
