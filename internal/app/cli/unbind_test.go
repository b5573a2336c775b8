package cli

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/testkit"
	"github.com/b24rules/b24rules/rules"
)

// newAppCLI writes the configuration that fits a harness whose engine is an
// application, with the shipped rules that are named.
func newAppCLI(h *harness, sets ...string) *cli {
	h.T.Helper()
	dir := h.Options.Dir
	c := &cli{h: h, config: filepath.Join(dir, strings.Join(sets, "-")+"-config.yaml")}
	inputs := map[string]string{"invoice-total": "invoice-total: {helper_type: 1}", "deal-shipments": "deal-shipments: {list: 1}"}
	var names, values []string
	for _, set := range sets {
		data, err := rules.FS.ReadFile(set + ".yaml")
		if err != nil {
			h.T.Fatal(err)
		}
		testkit.WriteFile(h.T, filepath.Join(dir, set+".yaml"), string(data))
		names, values = append(names, set+".yaml"), append(values, inputs[set])
	}
	testkit.WriteFile(h.T, c.config, fmt.Sprintf(`public_url: http://%s
database: sqlite:b24rules.db
rules: [%s]
portals:
  demo:
    events: %s
    oauth: {portal: %s, client_id: %s, client_secret: %s, token_url: %s/oauth/token/}
    inputs: {%s}
`, h.HookAddr, strings.Join(names, ", "), h.Options.Application, h.PortalURL, h.Portal.App().ClientID(), h.Portal.App().ClientSecret(), h.PortalURL, strings.Join(values, ", ")))
	return c
}

// bound are the events that the portal sends to the application or keeps for
// it, offline ones with an exclamation mark.
func (h *harness) bound() []string {
	h.T.Helper()
	var rows []struct {
		Event   string `json:"event"`
		Offline int    `json:"offline"`
	}
	h.AsApp("event.get", nil, &rows)
	out := []string{}
	for _, r := range rows {
		if r.Offline > 0 {
			r.Event += "!"
		}
		out = append(out, r.Event)
	}
	slices.Sort(out)
	return out
}

func TestUnbind(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"online", "offline"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			h := &harness{apptest.NewApplication(t, kind, emulator.Config{})}
			all := h.bound()
			deal := h.AddDeal("Roof", row("Tiles", "33.33", "3"))
			h.Until("the engine is at work", func() bool { return len(h.Elements(deal)) == 1 })
			h.AsApp("event.bind", map[string]any{"event": "ONCRMLEADADD", "handler": "http://old.example/hooks/demo"}, nil)

			both, invoices := newAppCLI(h, "deal-shipments", "invoice-total"), newAppCLI(h, "invoice-total")

			// What rules hear is not unused.
			if out, _ := both.run(exitFine, "unbind", "--unused", "--yes"); !strings.HasPrefix(out, "portal demo: 0 handlers unbound\n") {
				t.Errorf("all is heard: %s", out)
			}
			// A rule set was taken away; serve need not be stopped for that.
			out, talk := invoices.run(exitFine, "unbind", "--unused")
			if strings.Count(out, "ONCRMDEAL") != 3 || !strings.Contains(talk, "nothing was removed: add --yes to remove them") {
				t.Errorf("shown: %s%s", out, talk)
			}
			if got := h.bound(); len(got) != len(all)+1 {
				t.Errorf("without --yes something was removed: %v are left", got)
			}
			if out, talk := invoices.run(exitFine, "unbind", "--unused", "--yes"); !strings.Contains(out, "3 handlers unbound") {
				t.Errorf("unused: %s%s", out, talk)
			}
			if got := h.bound(); len(got) != len(all)-2 || slices.ContainsFunc(got, func(e string) bool { return strings.HasPrefix(e, "ONCRMDEAL") }) {
				t.Errorf("%v are left", got)
			}

			// All of it: not while serve would bind it again.
			if _, talk := both.run(exitFailure, "unbind", "--yes"); !strings.Contains(talk, "serve would bind the events again, stop it first") {
				t.Errorf("beside serve: %s", talk)
			}
			h.Stop()
			out, talk = both.run(exitFine, "unbind", "--yes")
			if !strings.Contains(out, "1 handler stays:\n  ONCRMLEADADD  http://old.example/hooks/demo\n") {
				t.Errorf("ours: %s%s", out, talk)
			}
			if got := h.bound(); !slices.Equal(got, []string{"ONCRMLEADADD"}) {
				t.Errorf("%v are left, want the one with another address", got)
			}
			out, _ = both.run(exitFine, "unbind", "--all", "--yes", "--format", "json")
			want := `{"portal":"demo","removed":true,"unbind":[{"event":"ONCRMLEADADD","handler":"http://old.example/hooks/demo"}],"keep":[]}`
			if got := strings.Join(strings.Fields(out), ""); got != want {
				t.Errorf("%s, want %s", got, want)
			}
			if got := h.bound(); len(got) != 0 {
				t.Errorf("%v are left", got)
			}
			h.Start() // the next start binds what its rules hear
			h.Until("bound anew", func() bool { return slices.Equal(h.bound(), all) })
		})
	}
}
