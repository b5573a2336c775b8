package cli

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// TestAlertsTest sends a test message to stand-ins, and fails loudly if one is down.
func TestAlertsTest(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		switch {
		case down.Load():
			w.WriteHeader(http.StatusBadGateway)
		case !bytes.Contains(text, []byte("This is a test of b24rules")):
			t.Errorf("body %s", text)
		default:
			_, _ = io.WriteString(w, `{"ok":true}`)
		}
	}))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "b24rules.yaml")
	head := "rules: [rules]\nportals: {main: {webhook: 'https://x.bitrix24.com/rest/1/abcdef/', application_token: abcdef}}\n"
	write := func(text string) {
		if err := os.WriteFile(file, []byte(head+text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(code int) string {
		t.Helper()
		var out, talk bytes.Buffer
		if got := runCommand(t.Context(), []string{"alerts", "test", "--config", file}, environment{Std: Std{In: strings.NewReader(""), Out: &out, Err: &talk}}); got != code {
			t.Fatalf("exit code %d, want %d: %s%s", got, code, out.String(), talk.String())
		}
		return out.String() + talk.String()
	}
	write("")
	if said := run(exitFailure); !strings.Contains(said, "has no receivers of alerts") {
		t.Errorf("without receivers: %s", said)
	}
	write("alerts: {to: {duty: {telegram: {chat: 1, token: '12:s3cr3t', api: '" + server.URL + "'}}, hook: {webhook: '" + server.URL + "/in'}}}\n")
	if said := run(exitFine); said != "duty: sent\nhook: sent\n" {
		t.Errorf("receivers: %s", said)
	}
	down.Store(true)
	if said := run(exitFailure); strings.Count(said, "status 502") != 2 || strings.Contains(said, "s3cr3t") {
		t.Errorf("receivers that are down: %s", said)
	}
}
