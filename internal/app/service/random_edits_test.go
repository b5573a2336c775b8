package service_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/testkit"
	"github.com/b24rules/b24rules/internal/journal"
)

// TestRandomEdits makes random edits of rule files and portals while events arrive: new
// versions, mistakes, rules and files that go and come back, portals that are added, removed and
// wrong. In the end what is on disk runs in each portal, every event was taken, and none waits.
// EDIT_ROUNDS makes the test longer.
func TestRandomEdits(t *testing.T) {
	t.Parallel()
	const sets, portals = 6, 5
	edits := testkit.EnvInt(t, "EDIT_ROUNDS", testkit.Rounds(200, 50))
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	// setText is a version of a rule set with some of its three rules.
	setText := func(set, version int, rules uint) string {
		text := fmt.Sprintf("version: 1\ntitle: Version %d\nrules:\n", version)
		for i := range 3 {
			if rules&(1<<i) != 0 {
				text += fmt.Sprintf("  set%d-rule%d: {on: ONCRMDEALUPDATE, steps: [{log: {message: version %d}}]}\n", set, i, version)
			}
		}
		return text
	}
	name := func(set int) string { return fmt.Sprintf("set%d.yaml", set) }
	files := &ruleFiles{files: fstest.MapFS{}}
	for set := range sets {
		files.put(name(set), &fstest.MapFile{Data: []byte(setText(set, 0, 7))})
	}
	h, l := newLive(t, apptest.Options{Rules: files, Inputs: map[string]map[string]string{}, Findings: true, CatchUp: apptest.QuickCatchUp()})
	main := h.Config().Portals[0]
	portal := func(n int) config.Portal {
		p := main
		if p.Name = fmt.Sprintf("p%d", n); n == 0 {
			p.Name = demo.PortalName // its name is in the address of the portal's events
		}
		return p
	}
	// set makes the configuration have some portals, of which others are wrong.
	set := func(c *config.Config, there, wrong uint) {
		c.Portals, c.Broken = nil, nil
		for n := range portals {
			switch p := portal(n); {
			case there&(1<<n) == 0:
			case wrong&(1<<n) != 0:
				c.Broken = append(c.Broken, config.BrokenPortal{Name: p.Name, Token: p.Token})
			default:
				c.Portals = append(c.Portals, p)
			}
		}
	}
	const all = 1<<portals - 1
	h.change(l, func(c *config.Config) { set(c, all, 0) })

	var stop atomic.Bool
	var posted, refused atomic.Int64
	var people sync.WaitGroup
	for n := range portals {
		url := strings.TrimSuffix(h.HookURL, demo.PortalName) + portal(n).Name
		people.Go(func() {
			for deal := 1; !stop.Load(); deal++ {
				if status := h.Post(url, formType, h.form("ONCRMDEALUPDATE", map[string]string{"ID": fmt.Sprint(deal%50 + 1)})); status == http.StatusOK {
					posted.Add(1)
				} else {
					refused.Add(1)
				}
			}
		})
	}
	versions := make([]int, sets)
	there, wrong := uint(all), uint(0)
	for range edits {
		one := r.IntN(sets)
		versions[one]++
		text := setText(one, versions[one], uint(r.IntN(7)+1))
		switch r.IntN(8) {
		case 0: // a mistake
			text = strings.Replace(text, "log:", "lgo:", 1)
		case 1:
			files.remove(name(one))
			text = ""
		case 2:
			there = all &^ (1 << r.IntN(portals)) // two at once need a confirmation
			wrong = 0
		case 3:
			there, wrong = all, 1<<r.IntN(portals)
		}
		if text != "" {
			files.put(name(one), &fstest.MapFile{Data: []byte(text)})
		}
		h.change(l, func(c *config.Config) { set(c, there, wrong) })
	}
	want := map[string]string{}
	for one := range sets {
		text := []byte(setText(one, 1_000_000, 7))
		files.put(name(one), &fstest.MapFile{Data: text})
		compiled, list := load.File(name(one), text, actions.All)
		if compiled == nil {
			t.Fatal(list)
		}
		want[compiled.Name] = compiled.Version
	}
	h.change(l, func(c *config.Config) { set(c, all, 0) })
	stop.Store(true)
	people.Wait()

	store := fleet.NewStore(h.Service.Queue().Database())
	h.Until("what is on disk runs in each portal", func() bool {
		rows, err := store.List(h.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		same := 0
		for _, one := range rows {
			if one.Version == want[one.Set] && one.Refused == "" {
				same++
			}
		}
		return same == sets*portals && len(rows) == same && len(h.holds()) == 0
	})
	h.Until("no event waits", func() bool { return h.unrouted() == 0 })
	h.Until("no run waits", func() bool {
		s := h.States()
		return s[journal.Waiting]+s[journal.Running] == 0
	})
	if n := h.States()[journal.Parked]; n != 0 || refused.Load() != 0 || posted.Load() == 0 {
		t.Errorf("%d runs are parked; of %d events %d were refused", n, posted.Load()+refused.Load(), refused.Load())
	}
	t.Logf("%d events during %d edits", posted.Load(), edits)
}
