package cli

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/testkit"
)

// requirePHP returns the path of PHP. It skips the test where PHP is not installed; CI has it.
func requirePHP(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("php")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("PHP is not installed (apt-get install php-cli php-curl)")
		}
		t.Skip("PHP is not installed (apt-get install php-cli php-curl)")
	}
	return program
}

// startPHP starts PHP's web server with a router and returns its URL. The router finds
// the portal and env in its environment.
func startPHP(t *testing.T, router, portal string, env ...string) string {
	t.Helper()
	program := requirePHP(t)
	addr := testkit.FreeAddr(t)
	log := testkit.NewLog()
	cmd := exec.Command(program, "-d", "display_errors=stderr", "-S", addr, router)
	cmd.Env, cmd.Stderr = append(append(os.Environ(), "PORTAL="+portal), env...), log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("PHP:\n%s", log)
		}
	})
	for end := time.Now().Add(testkit.Patience); ; time.Sleep(10 * time.Millisecond) {
		if conn, err := net.Dial("tcp", addr); err == nil {
			_ = conn.Close()
			return "http://" + addr
		}
		if time.Now().After(end) {
			t.Fatalf("PHP does not start: %s", log)
		}
	}
}

// TestWindows1251 runs a rule on a portal in windows-1251: a filter in a batch, an event,
// an answer and a write with letters of Ukrainian; and a text of Kazakh, which the
// encoding does not have. PHP converts on the portal's side.
func TestWindows1251(t *testing.T) {
	t.Parallel()
	const title = "Договір № 5 – ґанок «Їжак» Ёлка"
	portal := emulator.New(emulator.Config{Plan: emulator.PlanUnlimited, Secret: "s3cr3t"})
	server := httptest.NewServer(portal)
	t.Cleanup(func() { server.Close(); portal.Close() })
	portal.SetBaseURL(server.URL)
	client, err := bitrix.NewClient(bitrix.Config{Webhook: bitrix.Secret(server.URL + portal.WebhookPath()), Plan: bitrix.PlanUnlimited})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	add := map[string]any{"entityTypeId": 2, "fields": map[string]any{"title": title}}
	if err := client.Call(t.Context(), "crm.item.add", add, nil); err != nil {
		t.Fatal(err)
	}

	dir, addr := t.TempDir(), testkit.FreeAddr(t)
	testkit.WriteFile(t, filepath.Join(dir, "rules", "r.yaml"), testkit.Rule("r", `
      - fetch_item: {owner: deal, id: =event.id}
        id: deal
      - fetch_items: {entityTypeId: 2, filter: {title: "`+title+`"}, limit: 5}
        id: same
      - update_item:
          owner: deal
          id: =event.id
          fields: {comments: "{{ deal.title }}, {{ len(same) }}, {{ event.data.FIELDS.NAME }}"}
`))
	path := testkit.ServeConfig(t, dir, addr, startPHP(t, "testdata/windows1251.php", server.URL)+portal.WebhookPath(), "    encoding: windows-1251\n", "rules")
	config := strings.Replace(testkit.ReadFile(t, path), "log: {level: debug}", "log: {level: info, dump: true, dir: logs}", 1)
	testkit.WriteFile(t, path, config)
	serve := testkit.StartProcess(t, []string{"TEST_TOKEN=t0k3n"}, "serve", "--config", path)
	serve.Log.Wait(t, 0, "portal demo: events at")
	event := func(name string) {
		t.Helper()
		resp, err := http.Post("http://"+addr+"/hooks/demo", "application/x-www-form-urlencoded",
			strings.NewReader("event=ONCRMDEALUPDATE&data%5BFIELDS%5D%5BID%5D=1&auth%5Bapplication_token%5D=t0k3n&data%5BFIELDS%5D%5BNAME%5D="+name))
		if err != nil {
			t.Fatal(err)
		}
		if _ = resp.Body.Close(); resp.StatusCode != http.StatusOK {
			t.Fatalf("status %d", resp.StatusCode)
		}
	}
	log := filepath.Join(dir, "logs", "b24rules.log")
	waitFor := func(text string) {
		t.Helper()
		for end := time.Now().Add(testkit.Patience); !strings.Contains(testkit.ReadFile(t, log), text); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("no %q in:\n%s", text, testkit.ReadFile(t, log))
			}
		}
	}

	event("%D1%EA%EB%E0%E4") // in windows-1251
	waitFor("outcome=done")
	var deal struct {
		Item struct{ Comments string }
	}
	read := func() string {
		t.Helper()
		if err := client.Call(t.Context(), "crm.item.get", map[string]any{"entityTypeId": 2, "id": 1}, &deal); err != nil {
			t.Fatal(err)
		}
		return deal.Item.Comments
	}
	if got, want := read(), title+", 1, Склад"; got != want {
		t.Errorf("the comment is %q, want %q", got, want)
	}
	event("%D2%9A%D0%B0%D0%B7%D0%B0%D2%9B") // in UTF-8, with letters that windows-1251 does not have
	waitFor("outcome=parked")
	waitFor("fields.comments has the character 'Қ' (U+049A), which windows-1251 does not have")
	if got, want := read(), title+", 1, Склад"; got != want {
		t.Errorf("after a text that cannot be sent the comment is %q, want %q", got, want)
	}
	serve.Signal(syscall.SIGTERM)
	if code := serve.Exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	dump := testkit.ReadFile(t, filepath.Join(dir, "logs", "dump.log"))
	for _, want := range []string{`"filter":{"=title":"` + title, `"comments":"` + title + `, 1, Склад"`, `"NAME":"Склад"`} {
		if !strings.Contains(dump, want) {
			t.Errorf("the dump lacks %s:\n%.3000s", want, dump)
		}
	}
}
