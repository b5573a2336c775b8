package cli

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/testkit"
)

// dumpToken is a secret with characters that are spelled in several ways.
const dumpToken = `t0ken "quoted"\/<x>`

// dumpPortal is an emulated portal with a deal whose texts have the secrets of the
// configuration in several spellings.
func dumpPortal(t *testing.T) (webhook string) {
	t.Helper()
	portal := emulator.New(emulator.Config{Plan: emulator.PlanUnlimited, Secret: "c0de0fthewebhook"})
	server := httptest.NewServer(portal)
	t.Cleanup(func() { server.Close(); portal.Close() })
	portal.SetBaseURL(server.URL)
	webhook = server.URL + portal.WebhookPath()
	client, err := bitrix.NewClient(bitrix.Config{Webhook: bitrix.Secret(webhook), Plan: bitrix.PlanUnlimited})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	title := strings.Join([]string{"Roof", "c0de0fthewebhook", dumpToken, url.QueryEscape(dumpToken), webhook}, " ")
	if err := client.Call(context.Background(), "crm.deal.add", map[string]any{"fields": map[string]any{"TITLE": title}}, nil); err != nil {
		t.Fatal(err)
	}
	return webhook
}

// dumpServe starts serve with a rule that reads a deal twice, in a batch, and sends it an
// event.
func dumpServe(t *testing.T, dir, log string) (serve *testkit.Process, event func()) {
	t.Helper()
	steps := testkit.ReadDeal + "      - fetch_products: {owner: deal, id: =event.id}\n        id: rows\n"
	testkit.WriteFile(t, filepath.Join(dir, "rules", "r.yaml"), testkit.Rule("r", steps))
	addr := testkit.FreeAddr(t)
	path := testkit.ServeConfig(t, dir, addr, dumpPortal(t), "", "rules")
	testkit.WriteFile(t, path, strings.Replace(testkit.ReadFile(t, path), "log: {level: debug}", log, 1))
	serve = testkit.StartProcess(t, []string{"TEST_TOKEN=" + dumpToken}, "serve", "--config", path)
	serve.Log.Wait(t, 0, "portal demo: events at")
	return serve, func() {
		t.Helper()
		resp, err := http.PostForm("http://"+addr+"/hooks/demo", url.Values{
			"event": {"ONCRMDEALUPDATE"}, "data[FIELDS][ID]": {"1"}, "auth[application_token]": {dumpToken}, "auth[member_id]": {"m"},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _ = resp.Body.Close(); resp.StatusCode != http.StatusOK {
			t.Fatalf("status %d", resp.StatusCode)
		}
	}
}

// noSecrets fails if a text has a secret in any usual spelling.
func noSecrets(t *testing.T, where, text string) {
	t.Helper()
	quoted, err := json.Marshal(dumpToken)
	if err != nil {
		t.Fatal(err)
	}
	inside := strings.Trim(string(quoted), `"`)
	for _, secret := range []string{
		"c0de0fthewebhook", dumpToken, inside, strings.ReplaceAll(inside, "/", `\/`), url.QueryEscape(dumpToken), url.PathEscape(dumpToken), "t0ken",
	} {
		if i := strings.Index(text, secret); i >= 0 {
			t.Errorf("%s has the secret as %s: …%s", where, secret, text[max(0, i-80):min(len(text), i+60)])
		}
	}
}

// TestDump checks that log.dump writes the event, the requests and the answers to
// log.dir, without secrets.
func TestDump(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	serve, event := dumpServe(t, dir, "log: {level: info, dump: true, dir: logs}")
	event()
	log := stopAfterRun(t, dir, serve)
	text := testkit.ReadFile(t, filepath.Join(dir, "logs", "dump.log"))
	noSecrets(t, "the dump", text)
	seen := map[string]int{}
	for line := range strings.Lines(text) {
		var r struct {
			Msg, Portal, Method string
			Form                struct{ Event string }
			Answer              struct{ Result json.RawMessage }
			Result              json.RawMessage
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil || r.Portal != "demo" {
			t.Fatalf("%s: %v", line, err)
		}
		seen[r.Msg+" "+r.Method+r.Form.Event]++
		if r.Msg == "command" && len(r.Result) == 0 || r.Msg == "request" && r.Method != "batch" && len(r.Answer.Result) == 0 {
			t.Errorf("no answer: %s", line)
		}
	}
	if seen["event ONCRMDEALUPDATE"] != 1 || seen["request batch"] == 0 || seen["command crm.item.productrow.list"] == 0 {
		t.Errorf("the dump has %v:\n%s\n%s", seen, text, log)
	}
	if strings.Contains(log, "msg=command") {
		t.Errorf("the log has the dump: %s", log)
	}
}

// TestDumpToTheLog checks that without log.dir the dump is in the log at each level.
func TestDumpToTheLog(t *testing.T) {
	t.Parallel()
	serve, event := dumpServe(t, t.TempDir(), "log: {level: error, dump: true}")
	event()
	serve.Log.Wait(t, 0, "msg=event portal=demo form=")
	serve.Log.Wait(t, 0, "msg=command portal=demo")
	serve.Signal(syscall.SIGTERM)
	if code := serve.Exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	noSecrets(t, "the log", serve.Log.String())
}

// TestDumpOnAFullDisk checks that a full disk stops the dump with one warning, and
// neither the storing nor the processing of events.
func TestDumpOnAFullDisk(t *testing.T) {
	t.Parallel()
	const full = "/dev/full" // each write to it fails
	if _, err := os.Stat(full); err != nil {
		t.Skip("this system has no /dev/full")
	}
	dir := t.TempDir()
	testkit.WriteFile(t, filepath.Join(dir, "logs", "empty"), "")
	if err := os.Symlink(full, filepath.Join(dir, "logs", "dump.log")); err != nil {
		t.Fatal(err)
	}
	serve, event := dumpServe(t, dir, "log: {level: info, dump: true, dir: logs}")
	event()
	log := stopAfterRun(t, dir, serve)
	if n := strings.Count(log, `msg="cannot write log file, omitting its lines until it works again" file=dump.log`); n != 1 {
		t.Errorf("%d warnings, want one:\n%s", n, log)
	}
}

// stopAfterRun waits until the log in dir reports a successful run, stops serve and
// returns the log.
func stopAfterRun(t *testing.T, dir string, serve *testkit.Process) string {
	t.Helper()
	path := filepath.Join(dir, "logs", "b24rules.log")
	for end := time.Now().Add(testkit.Patience); !strings.Contains(testkit.ReadFile(t, path), "outcome=done"); {
		if time.Now().After(end) {
			t.Fatalf("no run:\n%s", testkit.ReadFile(t, path))
		}
		time.Sleep(20 * time.Millisecond)
	}
	serve.Signal(syscall.SIGTERM)
	if code := serve.Exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	return testkit.ReadFile(t, path)
}
