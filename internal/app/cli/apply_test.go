//go:build unix

package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/b24rules/b24rules/internal/app/testkit"
)

// refusing is the address of portals that refuse each command of a batch. It notes which
// portals were asked to write.
type refusing struct {
	mu     sync.Mutex
	writes map[string]int
}

func (r *refusing) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	_ = req.ParseForm()
	body, _ := io.ReadAll(req.Body)
	portal := regexp.MustCompile(`^/rest/(\d+)/`).FindStringSubmatch(req.URL.Path)
	if len(portal) == 2 && strings.Contains(fmt.Sprint(req.URL.Path, req.Form, string(body)), "crm.deal.update") {
		r.mu.Lock()
		r.writes[portal[1]]++
		r.mu.Unlock()
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error": "ERROR_CORE", "error_description": "no"}`)
		return
	}
	_, _ = io.WriteString(w, `{"result": true, "time": {"start": 1, "finish": 1}}`)
}

func (r *refusing) portals() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for p := range r.writes {
		out = append(out, p)
	}
	slices.Sort(out)
	return out
}

// TestApply brings a wrong rule to portals in waves, 100 with APPLY_PORTALS=100: it writes only in the canaries and ends,
// and the old file ends it there, too.
func TestApply(t *testing.T) {
	t.Parallel()
	api := &refusing{writes: map[string]int{}}
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	dir := t.TempDir()
	file := filepath.Join(dir, "b24rules.yaml")
	testkit.WriteFile(t, file, `listen: 127.0.0.1:0
database: sqlite:test.db
rules: [rules]
reload: manual
limits: {attempts: 1}
apply: {waves: [canary, all], bake: 1h, halt: 1}
defaults: {application_token: t, use: {one: }}
portals: portals
`)
	count := testkit.EnvInt(t, "APPLY_PORTALS", 20)
	last := 99 + count
	for i := range count {
		text := fmt.Sprintf("webhook: %s/rest/%d/s3cr3t/\n", server.URL, 100+i)
		if i < 2 {
			text += "tags: [canary]\n"
		}
		testkit.WriteFile(t, filepath.Join(dir, "portals", fmt.Sprintf("p%d.yaml", 100+i)), text)
	}
	rule := filepath.Join(dir, "rules", "one.yaml")
	testkit.WriteFile(t, rule, reloadRule)
	command := func(want int, args ...string) (out, talk string) {
		t.Helper()
		p := testkit.StartProcess(t, nil, append(args, "--config", file)...)
		b, err := io.ReadAll(p.Stdout)
		if code := p.Exit(); err != nil || code != want {
			t.Fatalf("%v: exit code %d, want %d, %v\n%s%s", args, code, want, err, b, p.Log)
		}
		return string(b), p.Log.String()
	}
	serve := testkit.StartProcess(t, nil, "serve", "--config", file)
	serve.Log.Wait(t, 0, fmt.Sprintf("portal p%d: events at", last))
	address := regexp.MustCompile(`portal p100: events at (http://\S+)/p100`).FindStringSubmatch(serve.Log.String())[1]
	send := func(portal, deal int) {
		t.Helper()
		resp, err := http.PostForm(fmt.Sprintf("%s/p%d", address, portal), url.Values{"event": {"ONCRMDEALUPDATE"}, "data[FIELDS][ID]": {fmt.Sprint(deal)}, "auth[application_token]": {"t"}})
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("portal p%d answers with %s", portal, resp.Status)
		}
	}
	for end := time.Now().Add(testkit.Patience); ; { // serve has stored what runs
		p := testkit.StartProcess(t, nil, "apply", "--config", file)
		_, _ = io.Copy(io.Discard, p.Stdout)
		if code := p.Exit(); code == exitFine {
			break
		} else if time.Now().After(end) {
			t.Fatalf("apply: exit code %d\n%s", code, p.Log)
		}
	}

	// The new version is on disk and runs nowhere.
	wrong := strings.Replace(reloadRule, "- log: {message: hi}", "- call: {method: crm.deal.update, params: {id: =event.id, fields: {TITLE: x}}}", 1)
	testkit.WriteFile(t, rule, wrong)
	out, talk := command(exitFindings, "apply")
	if !strings.Contains(out, "wave 1, canary: 2 portals\n") || !strings.Contains(out, fmt.Sprintf("wave 2, all: %d portals\n", count-2)) || !strings.Contains(talk, "add --yes") {
		t.Fatalf("%s%s", out, talk)
	}
	for portal := 100; portal <= last; portal += 7 {
		send(portal, 1)
	}
	apply := testkit.StartProcess(t, nil, "apply", "--yes", "--config", file)
	apply.Log.Wait(t, 0, "wave canary runs in 2 portals")
	for portal := range count {
		send(100+portal, 2)
	}
	text, err := io.ReadAll(apply.Stdout)
	if code := apply.Exit(); err != nil || code != exitFindings {
		t.Fatalf("apply: exit code %d, %v\n%s%s", code, err, text, apply.Log)
	}
	if !strings.Contains(apply.Log.String(), "wave canary has ended apply") || !strings.Contains(string(text), "portal p10") {
		t.Errorf("%s%s", text, apply.Log)
	}
	if got := api.portals(); !slices.Equal(got, []string{"100", "101"}) {
		t.Errorf("the wrong rule wrote in %v", got)
	}

	// The old file ends it.
	testkit.WriteFile(t, rule, reloadRule)
	if out, _ := command(exitFine, "apply", "--yes", "--bake", "1s"); !strings.Contains(out, "wave 1, canary: 2 portals") || strings.Contains(out, "wave 2") {
		t.Errorf("back: %s", out)
	}
	command(exitFine, "apply")

	// What has errors is said, though it is not among the new versions.
	testkit.WriteFile(t, rule, "version: 1\nrules: 7\n")
	if out, talk := command(exitFindings, "apply"); !strings.Contains(out+talk, "one.yaml:2:8") || !strings.Contains(talk, "what has errors does not run") {
		t.Errorf("errors on disk: %s%s", out, talk)
	}
	if out, _ := command(exitFine, "audit", "--what", "applied", "--format", "json"); strings.Count(out, `"target": "rule set one"`) != 4 { // two portals, there and back
		t.Errorf("audit: %s", out)
	}
}
