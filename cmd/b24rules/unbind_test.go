package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"b24rules/emulator"
	"b24rules/rules"
)

// unbindCommand runs the command with a configuration of the harness's engine
// and the shipped rules that are named.
func (h *harness) unbindCommand(kind string, sets []string, args ...string) (code int, stdout, stderr string) {
	h.t.Helper()
	dir := h.options.dir
	names, inputs := make([]string, len(sets)), ""
	for i, set := range sets {
		data, err := rules.FS.ReadFile(set + ".yaml")
		if err != nil {
			h.t.Fatal(err)
		}
		names[i] = filepath.Join("rules", set+".yaml")
		writeFile(h.t, filepath.Join(dir, names[i]), string(data))
		inputs += map[string]string{"invoice-total": "invoice-total: {helper_type: 1}, ", "deal-shipments": "deal-shipments: {list: 1}, "}[set]
	}
	file := filepath.Join(dir, "b24rules.yaml")
	writeFile(h.t, file, fmt.Sprintf(`public_url: http://%s
database: sqlite:b24rules.db
rules: [%s]
portals:
  demo:
    events: %s
    oauth: {portal: %s, client_id: %s, client_secret: %s, token_url: %s/oauth/token/}
    inputs: {%s}
`, h.hookAddr, strings.Join(names, ", "), kind, h.portalURL, h.portal.ClientID(), h.portal.ClientSecret(), h.portalURL, strings.TrimSuffix(inputs, ", ")))
	var out, talk bytes.Buffer
	code = run(h.context(), append([]string{"unbind", "--config", file}, args...), stdio{in: strings.NewReader(""), out: &out, err: &talk})
	return code, out.String(), talk.String()
}

// bound are the events that the portal sends to the application or keeps for
// it, offline ones with an exclamation mark.
func (h *harness) bound() []string {
	h.t.Helper()
	var rows []struct {
		Event   string `json:"event"`
		Offline int    `json:"offline"`
	}
	h.asApp("event.get", nil, &rows)
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
	both := []string{"deal-shipments", "invoice-total"}
	for _, kind := range []string{"online", "offline"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			h := newApplicationHarness(t, kind, emulator.Config{})
			all := h.bound()
			h.asApp("event.bind", map[string]any{"event": "ONCRMLEADADD", "handler": "http://old.example/hooks/demo"}, nil)

			// What rules hear is not unused.
			if code, out, _ := h.unbindCommand(kind, both, "--unused", "--yes"); code != 0 || !strings.HasPrefix(out, "portal demo: 0 handlers unbound\n") {
				t.Errorf("code %d: %s", code, out)
			}
			// A rule set was taken away; serve need not be stopped for that.
			code, out, talk := h.unbindCommand(kind, both[1:], "--unused")
			if code != 0 || strings.Count(out, "ONCRMDEAL") != 3 || !strings.Contains(talk, "nothing was removed: --yes does it") {
				t.Errorf("code %d: %s%s", code, out, talk)
			}
			if got := h.bound(); len(got) != len(all)+1 {
				t.Errorf("without --yes something was removed: %v are left", got)
			}
			if code, out, talk := h.unbindCommand(kind, both[1:], "--unused", "--yes"); code != 0 || !strings.Contains(out, "3 handlers unbound") {
				t.Errorf("code %d: %s%s", code, out, talk)
			}
			if got := h.bound(); len(got) != len(all)-2 || slices.ContainsFunc(got, func(e string) bool { return strings.HasPrefix(e, "ONCRMDEAL") }) {
				t.Errorf("%v are left", got)
			}

			// All of it: not while serve would bind it again.
			if code, _, talk := h.unbindCommand(kind, both, "--yes"); code != 3 || !strings.Contains(talk, "serve would bind the events again, stop it first") {
				t.Errorf("beside serve: code %d, %s", code, talk)
			}
			h.stop()
			code, out, talk = h.unbindCommand(kind, both, "--yes")
			if code != 0 || !strings.Contains(out, "1 handler stays:\n  ONCRMLEADADD  http://old.example/hooks/demo\n") {
				t.Errorf("code %d: %s%s", code, out, talk)
			}
			if got := h.bound(); !slices.Equal(got, []string{"ONCRMLEADADD"}) {
				t.Errorf("%v are left, want the one with another address", got)
			}
			code, out, _ = h.unbindCommand(kind, both, "--all", "--yes", "--format", "json")
			want := `{"portal":"demo","removed":true,"unbind":[{"event":"ONCRMLEADADD","handler":"http://old.example/hooks/demo"}],"keep":[]}`
			if got := strings.Join(strings.Fields(out), ""); code != 0 || got != want {
				t.Errorf("code %d: %s, want %s", code, got, want)
			}
			if got := h.bound(); len(got) != 0 {
				t.Errorf("%v are left", got)
			}
			h.start() // the next start binds what its rules hear
			h.until("bound anew", func() bool { return slices.Equal(h.bound(), all) })
		})
	}
}
