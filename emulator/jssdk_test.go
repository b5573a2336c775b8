package emulator_test

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/emulator"
)

// sdkFolder holds the scripts that use the official JavaScript SDK.
const sdkFolder = "../tools/jssdk"

// sdk runs one script with the official JavaScript SDK, as it is published,
// against the portal over TLS and returns the script's report.
func (p *portal) sdk(script string, env ...string) string {
	p.t.Helper()
	return p.sdkThrough(p.Portal, script, env...)
}

// sdkThrough is sdk with something before the portal.
func (p *portal) sdkThrough(handler http.Handler, script string, env ...string) string {
	p.t.Helper()
	return p.node(handler, sdkFolder, "@bitrix24/b24jssdk", script, env...)
}

// node runs a script of a folder that uses a package of npm, and returns its last line.
func (p *portal) node(handler http.Handler, folder, client, script string, env ...string) string {
	p.t.Helper()
	node := needClient(p.t, folder, client)
	server := httptest.NewTLSServer(handler)
	p.t.Cleanup(server.Close)
	p.SetBaseURL(server.URL)
	// Node trusts the server by its certificate alone; nothing is switched off.
	authority := filepath.Join(p.t.TempDir(), "ca.pem")
	block := pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}
	if err := os.WriteFile(authority, pem.EncodeToMemory(&block), 0o600); err != nil {
		p.t.Fatal(err)
	}
	var out, complaints bytes.Buffer
	cmd := exec.CommandContext(p.t.Context(), node, script)
	cmd.Dir = folder
	_, app := p.send("GET", "/_emulator/app", "", "")
	cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+authority, "NO_PROXY=127.0.0.1",
		"B24_WEBHOOK="+server.URL+p.WebhookPath(), "B24_APPLICATION="+app)
	cmd.Env = append(cmd.Env, env...)
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		p.t.Fatalf("node %s: %v\n%.4000s", script, err, complaints.String())
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	return lines[len(lines)-1]
}

// needClient skips a test where a client is not installed, except in CI, where it
// must not be missing. It returns the path of Node.
func needClient(t testing.TB, folder, client string) string {
	t.Helper()
	node, err := exec.LookPath("node")
	if err == nil {
		_, err = os.Stat(filepath.Join(folder, "node_modules", filepath.FromSlash(client)))
	}
	switch {
	case err == nil:
		return node
	case os.Getenv("CI") != "":
		t.Fatalf("%s is missing (npm ci --prefix %s): %v", client, strings.TrimPrefix(folder, "../"), err)
	default:
		t.Skipf("%s is missing (npm ci --prefix %s): %v", client, strings.TrimPrefix(folder, "../"), err)
	}
	return ""
}

func TestSDKCalls(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{})
	emulator.Demo(p.Portal)
	p.match("calls", sdkCalls, p.sdk("calls.mjs"))
}

func TestSDKBatch(t *testing.T) {
	t.Parallel()
	p := batchPortal(t)
	emulator.Demo(p.Portal)
	p.must("crm.deal.update", `{"id":1,"fields":{"TITLE":"A & b=c+d %23 #Ж"}}`)
	p.match("batch", sdkBatch, p.sdk("batch.mjs"))
}

func TestSDKTraversal(t *testing.T) {
	t.Parallel()
	const deals = 1000
	p := open(t, emulator.Config{})
	emulator.Demo(p.Portal)
	for i := range deals {
		p.add(2, fmt.Sprintf(`{"title":"Deal %d"}`, i))
	}
	for i := range 120 {
		p.must("lists.element.add", fmt.Sprintf(`{"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":47,"ELEMENT_CODE":"e%d","FIELDS":{"NAME":"E"}}`, i))
	}
	p.Reset()
	p.match("traversal", sdkTraversal, p.sdk("traversal.mjs", fmt.Sprint("DEALS=", deals)))
	// Twenty pages each time: by offset the portal says that there is no next,
	// by id the SDK asks once more, because the last page was full.
	want := map[string]int64{"crm.deal.list": 20 + 21, "crm.item.list": 20 + 21 + 21 + 11 + 1, "lists.element.get": 3}
	if diff := cmp.Diff(want, p.Stats().Commands); diff != "" {
		t.Errorf("commands (-want +got)\n%s", diff)
	}
}

func TestSDKLimits(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{Plan: emulator.PlanStandard})
	// When the SDK's first request arrives, another application on the same
	// machine has just filled the bucket.
	var fill sync.Once
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fill.Do(func() {
			other := httptest.NewRequest(http.MethodGet, p.WebhookPath()+"scope", nil)
			other.RemoteAddr = r.RemoteAddr
			for range 50 {
				p.ServeHTTP(httptest.NewRecorder(), other)
			}
		})
		p.ServeHTTP(w, r)
	})
	p.match("limits", `{"succeeded":true,"again":true}`, p.sdkThrough(handler, "limits.mjs"))
	s := p.Stats()
	if diff := cmp.Diff(map[string]int64{"scope": 50, "profile": 5}, s.Commands); diff != "" || s.Refused == 0 {
		t.Errorf("%d requests refused; commands (-want +got)\n%s", s.Refused, diff)
	}
}

func TestSDKErrors(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{
		Scopes: []string{"crm", "lists"}, Secret: "quite-secret-secret",
		Operating: emulator.Operating{Limit: time.Minute, Cost: func(method string) time.Duration {
			if method == "crm.deal.fields" {
				return 2 * time.Minute
			}
			return 0
		}},
	})
	p.match("errors", sdkErrors, p.sdk("errors.mjs"))
}

func TestSDKApplication(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{})
	p.match("application", sdkApplication, p.sdk("application.mjs"))
}

// TestSDKRenewal: the first access token of the SDK has expired.
func TestSDKRenewal(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{})
	var expire sync.Once
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		expire.Do(p.App().ExpireTokens)
		p.ServeHTTP(w, r)
	})
	p.match("renewal", sdkRenewal, p.sdkThrough(handler, "renewal.mjs"))
	if got := p.Stats().Commands["oauth.token"]; got != 4 {
		t.Errorf("%d requests to the token endpoint, want 4", got)
	}
}
