//go:build unix

package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/b24rules/b24rules/internal/app/testkit"
	"github.com/b24rules/b24rules/internal/reload"
)

// reloadTest is serve with many portals, in one process or more.
type reloadTest struct {
	t      *testing.T
	dir    string
	portal string // the address of all portals
}

// write writes the configuration of a process with so many portals.
func (r *reloadTest) write(name, database string, portals int, more string) string {
	r.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "listen: 127.0.0.1:0\ndatabase: %s\nrules: [rules]\n%sportals:\n", database, more)
	for i := range portals {
		fmt.Fprintf(&b, "  p%d: {webhook: '%s/rest/1/s3cr3t/', application_token: t}\n", i, r.portal)
	}
	path := filepath.Join(r.dir, name)
	testkit.WriteFile(r.t, path, b.String())
	return path
}

// ask runs reload and returns the answers and the exit code.
func (r *reloadTest) ask(file string, flags ...string) (answers []reload.Answer, code int) {
	r.t.Helper()
	p := testkit.StartProcess(r.t, nil, append([]string{"reload", "--config", file, "--format", "json"}, flags...)...)
	out, err := io.ReadAll(p.Stdout)
	if err != nil {
		r.t.Fatal(err)
	}
	code = p.Exit()
	var all struct{ Processes []reload.Answer }
	if len(out) > 0 {
		if err := json.Unmarshal(out, &all); err != nil {
			r.t.Fatalf("%s: %v\n%s", out, err, p.Log)
		}
	}
	return all.Processes, code
}

const reloadRule = "version: 1\nrules:\n  one:\n    on: ONCRMDEALUPDATE\n    steps:\n      - log: {message: hi}\n"

func newReloadTest(t *testing.T) *reloadTest {
	t.Helper()
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	r := &reloadTest{t, t.TempDir(), server.URL}
	testkit.WriteFile(t, filepath.Join(r.dir, "rules", "one.yaml"), reloadRule)
	return r
}

// TestReloadCommand: reload says what has changed and what does not run, and confirms that
// many portals are removed.
func TestReloadCommand(t *testing.T) {
	t.Parallel()
	r := newReloadTest(t)
	const database = "sqlite:test.db"
	file := r.write("b24rules.yaml", database, 12, "")
	if answers, code := r.ask(file); code != exitFailure || len(answers) > 0 {
		t.Errorf("without serve: exit code %d, %v", code, answers)
	}
	serve := testkit.StartProcess(t, nil, "serve", "--config", file)
	serve.Log.Wait(t, 0, "portal p11: events at")
	check := func(name string, want reload.Answer, wantCode int, flags ...string) {
		t.Helper()
		answers, code := r.ask(file, flags...)
		if code != wantCode || len(answers) != 1 {
			t.Errorf("%s: exit code %d, answers %v, want %d and one answer", name, code, answers, wantCode)
			return
		}
		a := answers[0]
		if !strings.HasPrefix(a.Process, fmt.Sprintf("process %d on ", serve.Cmd.Process.Pid)) {
			t.Errorf("%s: the answer is of %s", name, a.Process)
		}
		sortedPrefixes(t, name+": refused", a.Refused, want.Refused)
		for part, lists := range map[string][2][]string{"restart": {a.Restart, want.Restart}, "missing": {a.Missing, want.Missing}} {
			if !slices.Equal(lists[0], lists[1]) && len(lists[0])+len(lists[1]) > 0 {
				t.Errorf("%s: %s %v, want %v", name, part, lists[0], lists[1])
			}
		}
	}
	check("unchanged", reload.Answer{}, exitFine)
	rule := filepath.Join(r.dir, "rules", "one.yaml")
	testkit.WriteFile(t, rule, strings.Replace(reloadRule, "steps", "stepps", 1))
	for range 2 { // also when it is not new
		check("a rule file with errors", reload.Answer{Refused: []string{rule + ":3:3: "}}, exitFindings)
	}
	testkit.WriteFile(t, rule, reloadRule)
	r.write("b24rules.yaml", database, 12, "limits: {grace: 5s}\n")
	for range 2 {
		check("a key that needs a restart", reload.Answer{Restart: []string{"limits"}}, exitFindings)
	}
	r.write("b24rules.yaml", database, 9, "")
	testkit.WriteFile(t, filepath.Join(r.dir, "rules", "two.yaml"), strings.Replace(reloadRule, "one", "two", 1))
	for range 2 {
		check("many portals are removed", reload.Answer{Missing: []string{"p9", "p10", "p11"}}, exitFindings)
	}
	serve.Log.Wait(t, 0, "rule set loaded", "two.yaml") // the rules are loaded all the same
	check("confirmed", reload.Answer{}, exitFine, "--yes")
	for _, name := range []string{"p9", "p10", "p11"} {
		serve.Log.Wait(t, 0, "portal removed", "portal="+name)
	}
	r.write("b24rules.yaml", database, 10, "")
	check("a portal is back", reload.Answer{}, exitFine)
	serve.Log.Wait(t, 0, "portal added", "portal=p9")
}

// sortedPrefixes checks that each text starts with the one that is wanted at its place.
func sortedPrefixes(t *testing.T, name string, got, want []string) {
	t.Helper()
	if !slices.EqualFunc(got, want, strings.HasPrefix) {
		t.Errorf("%s: %q, want %q", name, got, want)
	}
}

// TestReloadOfProcesses: each process of a PostgreSQL database answers for its own files.
func TestReloadOfProcesses(t *testing.T) {
	t.Parallel()
	database := "'" + testkit.NewPostgres(t) + "'"
	r := newReloadTest(t)
	files := []string{r.write("a.yaml", database, 2, ""), r.write("b.yaml", database, 2, "")}
	killed := testkit.StartProcess(t, nil, "serve", "--config", files[0])
	killed.Log.Wait(t, 0, "portal p1: events at")
	killed.Signal(syscall.SIGKILL) // it is still among the processes of the database
	killed.Exit()
	for _, file := range files {
		testkit.StartProcess(t, nil, "serve", "--config", file).Log.Wait(t, 0, "portal p1: events at")
	}
	r.write("b.yaml", database, 2, "limits: {grace: 5s}\n")
	answers, code := r.ask(files[0])
	restart := 0
	for _, a := range answers {
		restart += len(a.Restart)
	}
	if code != exitFindings || len(answers) != 2 || restart != 1 {
		t.Errorf("exit code %d, %+v; want the answers of two processes, of which one needs a restart", code, answers)
	}
}
