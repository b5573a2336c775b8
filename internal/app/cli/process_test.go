//go:build unix

package cli

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/testkit"
)

// TestTwoProcesses runs the emulator and the engine as two programs, stops the
// engine with Ctrl-C under a storm of events and starts it again: every event
// that was answered with 200 has had its effect.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	emu := testkit.StartProcess(t, nil, "emulator", "--listen", "127.0.0.1:0", "--plan", "unlimited", "--token", "t0k3n")
	webhook := emu.Line()
	if !strings.HasPrefix(webhook, "http://127.0.0.1:") || !strings.HasSuffix(webhook, "/") {
		t.Fatalf("the first line is %q", webhook)
	}
	p := personAt(t, webhook)
	var deals []int
	for i := range 24 {
		id, err := p.AddDeal(t.Context(), fmt.Sprintf("Deal %d", i), row("a", "1.10", "2"), row("b", "3", "1"))
		if err != nil {
			t.Fatal(err)
		}
		deals = append(deals, id)
	}
	dir := t.TempDir()
	addr := testkit.FreeAddr(t)
	rules, err := filepath.Abs("../../../rules")
	if err != nil {
		t.Fatal(err)
	}
	inputs := fmt.Sprintf("    inputs: {invoice-total: {helper_type: 1038}, deal-shipments: {list: %d}}\n", p.List)
	file := testkit.ServeConfig(t, dir, addr, webhook, inputs, rules)
	start := func() *testkit.Process {
		s := testkit.StartProcess(t, []string{"TEST_TOKEN=t0k3n"}, "serve", "--config", file)
		s.Log.Wait(t, 0, "b24rules: portal demo: events at http://"+addr+"/hooks/demo")
		return s
	}
	serve := start()
	hook := "http://" + addr + "/hooks/demo"

	var wg sync.WaitGroup
	var answered atomic.Int32
	stored := make([]bool, len(deals))
	for i, deal := range deals {
		wg.Go(func() {
			stored[i] = postDeal(hook, "t0k3n", deal)
			if stored[i] && answered.Add(1) == int32(len(deals)/3) {
				serve.Signal(syscall.SIGINT)
			}
		})
	}
	wg.Wait()
	if code := serve.Exit(); code != 0 {
		t.Fatalf("serve ended with %d after SIGINT\n%s", code, serve.Log)
	}
	if stdout, _ := io.ReadAll(serve.Stdout); len(stdout) > 0 {
		t.Errorf("serve wrote to stdout: %s", stdout)
	}
	again := start()
	want := 0
	for i, deal := range deals {
		if !stored[i] {
			continue
		}
		want++
		done := fmt.Sprintf("entity=deal:%d outcome=done", deal)
		if !strings.Contains(serve.Log.String(), done) {
			again.Log.Wait(t, 0, done)
		}
		if elements, err := p.Elements(t.Context(), deal); err != nil || len(elements) != 2 {
			t.Errorf("deal %d has %d elements, %v; want 2", deal, len(elements), err)
		}
	}
	t.Logf("%d of %d events were stored before the stop, and none was lost", want, len(deals))

	for _, s := range []*testkit.Process{again, emu} {
		s.Signal(syscall.SIGTERM)
		if code := s.Exit(); code != 0 {
			t.Errorf("%v ended with %d after SIGTERM", s.Cmd.Args[1:], code)
		}
	}
	for _, s := range []*testkit.Process{serve, again} {
		if strings.Contains(s.Log.String(), "t0k3n") || strings.Contains(s.Log.String(), "rest/1/") {
			t.Errorf("a secret is in the log:\n%s", s.Log)
		}
	}
}

// TestTakenPortAndDatabase starts a second engine while one is running.
func TestTakenPortAndDatabase(t *testing.T) {
	t.Parallel()
	dir, env, addr := t.TempDir(), []string{"TEST_TOKEN=t0k3n"}, testkit.FreeAddr(t)
	const webhook = "http://127.0.0.1:1/rest/1/s3cr3t/"
	testkit.WriteFile(t, filepath.Join(dir, "rules", "r.yaml"), testkit.Rule("r", testkit.ReadDeal))
	file := testkit.ServeConfig(t, dir, addr, webhook, "", "rules")
	first := testkit.StartProcess(t, env, "serve", "--config", file)
	first.Log.Wait(t, 0, "portal demo: events at")
	port := testkit.StartProcess(t, env, "serve", "--config", file)
	if port.Exit() != 3 || !strings.Contains(port.Log.String(), "cannot listen on "+addr+": another program uses this address") {
		t.Errorf("a taken port: exit code %d, %s", port.Exit(), port.Log)
	}
	file = testkit.ServeConfig(t, dir, testkit.FreeAddr(t), webhook, "", "rules")
	database := testkit.StartProcess(t, env, "serve", "--config", file)
	if database.Exit() != 3 || !strings.Contains(database.Log.String(), "another process works this database: process ") {
		t.Errorf("a taken database: exit code %d, %s", database.Exit(), database.Log)
	}
	resp, err := http.Get("http://" + addr + "/healthz")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("the first is not well: %v, %v", resp, err)
	}
	_ = resp.Body.Close()
	first.Signal(syscall.SIGTERM)
	if code := first.Exit(); code != 0 {
		t.Errorf("exit code %d after SIGTERM", code)
	}
}

// personAt is somebody who works in the portal of an emulator process.
func personAt(t *testing.T, webhook string) *demo.People {
	t.Helper()
	client, err := bitrix.NewClient(bitrix.Config{Webhook: bitrix.Secret(webhook), Plan: bitrix.PlanUnlimited})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	var lists []struct {
		ID bitrix.ID `json:"ID"`
	}
	if err := client.Call(t.Context(), "lists.get", map[string]any{"IBLOCK_TYPE_ID": "lists"}, &lists); err != nil || len(lists) != 1 {
		t.Fatalf("lists %v, %v", lists, err)
	}
	p, err := demo.NewPeople(t.Context(), client, int(lists[0].ID))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// postDeal posts an event and reports whether it was answered with 200.
func postDeal(hook, token string, deal int) bool {
	resp, err := http.PostForm(hook, url.Values{
		"event": {"ONCRMDEALUPDATE"}, "data[FIELDS][ID]": {fmt.Sprint(deal)}, "auth[application_token]": {token},
	})
	if err != nil {
		return false // the engine is down: the portal would lose the event
	}
	defer func() { _ = resp.Body.Close() }()
	return resp.StatusCode == http.StatusOK
}

// TestSecondSignal has a run hang in a portal that never answers: the first
// signal waits for it, the second does not.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 100)
	release := make(chan struct{})
	portal := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer portal.Close()
	defer close(release)
	dir := t.TempDir()
	testkit.WriteFile(t, filepath.Join(dir, "rules", "r.yaml"), testkit.Rule("r", testkit.ReadDeal))
	addr := testkit.FreeAddr(t)
	file := testkit.ServeConfig(t, dir, addr, portal.URL+"/rest/1/s3cr3t/", "", "rules")
	serve := testkit.StartProcess(t, []string{"TEST_TOKEN=t0k3n"}, "serve", "--config", file)
	serve.Log.Wait(t, 0, "portal demo: events at")
	if !postDeal("http://"+addr+"/hooks/demo", "t0k3n", 7) {
		t.Fatal("the event was not taken")
	}
	<-asked
	serve.Signal(syscall.SIGINT)
	// Once it takes no more events it is waiting for the run. Before, a second
	// signal might become one with the first.
	ctx, stop := testkit.Context(t)
	defer stop()
	for refused := false; !refused && ctx.Err() == nil; {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		if refused = errors.Is(err, syscall.ECONNREFUSED); err == nil {
			_ = conn.Close()
		}
	}
	serve.Signal(syscall.SIGTERM) // what a shell starts in the background does not die of SIGINT
	serve.Exit()
	if how := serve.Cmd.ProcessState.Sys().(syscall.WaitStatus); how.Signal() != syscall.SIGTERM {
		t.Errorf("it ended with %v, want an end by the second signal", serve.Cmd.ProcessState)
	}
}

// TestEmulatorCommand looks at what the emulator says of itself.
func TestEmulatorCommand(t *testing.T) {
	t.Parallel()
	got := make(chan url.Values, 100)
	handler := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		got <- r.PostForm
	}))
	defer handler.Close()
	emu := testkit.StartProcess(t, nil, "emulator", "-listen=127.0.0.1:0", "-plan", "enterprise", "--handler", handler.URL+"/hooks/x", "--token", "t0k3n")
	webhook := emu.Line()
	p := personAt(t, webhook)
	deal, err := p.AddDeal(t.Context(), "Roof")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := testkit.Context(t)
	defer stop()
	select {
	case form := <-got:
		if form.Get("event") != "ONCRMDEALADD" || form.Get("data[FIELDS][ID]") != fmt.Sprint(deal) || form.Get("auth[application_token]") != "t0k3n" {
			t.Errorf("event %v", form)
		}
	case <-ctx.Done():
		t.Fatal("no event came")
	}
	text := []string{}
	for line := ""; !strings.Contains(line, "deal-shipments:"); text = append(text, line) {
		line = emu.Line()
	}
	whole := strings.Join(text, "\n")
	for _, want := range []string{"entityTypeId 1038", "IBLOCK_ID 47", "t0k3n", handler.URL + "/hooks/x", "    webhook: " + webhook, "    plan: enterprise"} {
		if !strings.Contains(whole, want) {
			t.Errorf("no %q in:\n%s", want, whole)
		}
	}
	emu.Signal(syscall.SIGINT)
	if code := emu.Exit(); code != 0 {
		t.Errorf("exit code %d after SIGINT, want 0", code)
	}
}

// TestEmulatorSnippet pastes what the emulator prints into a configuration.
func TestEmulatorSnippet(t *testing.T) {
	t.Parallel()
	emu := testkit.StartProcess(t, nil, "emulator", "--listen", "127.0.0.1:0")
	text := "rules: [rules]\n"
	for line, on := "", false; !strings.Contains(line, "deal-shipments:"); {
		line = emu.Line()
		if on = on || line == "portals:"; on {
			text += line + "\n"
		}
	}
	c, list := config.Parse("etc/b24rules.yaml", []byte(text), os.LookupEnv)
	if len(list) > 0 || len(c.Portals) != 1 {
		t.Errorf("findings %v in:\n%s", list, text)
	}
}

// TestEmulatorFiles starts with the examples of a seed and of faults.
func TestEmulatorFiles(t *testing.T) {
	t.Parallel()
	const seed, faults = "../../../docs/examples/seed.yaml", "../../../docs/examples/faults.yaml"
	emu := testkit.StartProcess(t, nil, "emulator", "--listen", "127.0.0.1:0", "--seed", seed, "--faults", faults, "--latency", "1ms+1ms~10%")
	webhook := emu.Line()
	if got, want := emu.Line(), seed+": 2 deals, 1 invoice, 1 item of type 1038, 1 element"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	base, _, _ := strings.Cut(webhook, "/rest/")
	for path, want := range map[string]string{
		"/":                  "<title>Emulated portal</title>",
		"/_emulator/faults":  `{"kind":"html","method":"batch","count":3,"matched":0,"hit":0}`,
		"/_emulator/history": "[]",
	} {
		resp, err := http.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
			t.Errorf("%s: %v, status %d, %s", path, err, resp.StatusCode, body)
		}
	}
}
