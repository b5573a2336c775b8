package cli

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/b24rules/b24rules/internal/app/testkit"
)

// TestLogIsAStreamOfJSON: each line that serve writes to stderr is a JSON object, from the start to
// the end, also when it cannot start. Each event and each attempt of a run has one line, with
// the same keys whatever happened.
func TestLogIsAStreamOfJSON(t *testing.T) {
	t.Parallel()
	dir, env, addr := t.TempDir(), []string{"TEST_TOKEN=t0k3n"}, testkit.FreeAddr(t)
	testkit.WriteFile(t, filepath.Join(dir, "rules", "r.yaml"), testkit.Rule("r", "      - when: =event.id == 8\n        fail: {message: eight}\n"))
	file := testkit.ServeConfig(t, dir, addr, "http://127.0.0.1:1/rest/1/s3cr3t/", "", "rules")
	testkit.WriteFile(t, file, strings.Replace(testkit.ReadFile(t, file), "log: {level: debug}", "log: {format: json}\nconsole: {listen: 127.0.0.1:0}", 1))
	serve := testkit.StartProcess(t, env, "serve", "--config", file)
	serve.Log.Wait(t, 0, "portal demo: events at")
	hook := "http://" + addr + "/hooks/demo"
	if !postDeal(hook, "t0k3n", 7) || !postDeal(hook, "t0k3n", 8) || postDeal(hook, "wr0ng", 9) {
		t.Fatal("the events were not answered as they should")
	}
	serve.Log.Wait(t, 0, `"msg":"run"`, `"entity":"deal:7"`)
	serve.Log.Wait(t, 0, `"msg":"run"`, `"entity":"deal:8"`)
	other := testkit.StartProcess(t, env, "serve", "--config", file)
	if code := other.Exit(); code != 3 || !strings.Contains(other.Log.String(), "another program uses this address") {
		t.Errorf("a taken port: exit code %d, %s", code, other.Log)
	}
	serve.Signal(syscall.SIGTERM)
	if code := serve.Exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	lines := map[string][]string{} // the keys of lines by message
	for line := range strings.Lines(serve.Log.String() + other.Log.String()) {
		var all map[string]any
		if err := json.Unmarshal([]byte(line), &all); err != nil {
			t.Errorf("a line is no JSON: %s", line)
			continue
		}
		what := all["msg"].(string)
		delete(all, "error") // only failures have it
		lines[what] = append(lines[what], strings.Join(slices.Sorted(maps.Keys(all)), " "))
	}
	const eventKeys, runKeys = "event id level msg portal status time took", "attempt calls entity events level msg outcome portal rule run time took writes"
	if got := lines["event"]; len(got) != 3 || got[0] != eventKeys || got[1] != eventKeys || got[2] != strings.ReplaceAll(eventKeys, " id", "") {
		t.Errorf("lines of events have the keys %q", got)
	}
	if got := lines["run"]; len(got) != 2 || got[0] != runKeys || got[1] != runKeys {
		t.Errorf("lines of runs have the keys %q", got)
	}
}
