//go:build linux

package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/internal/app/testkit"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

// TestADiskWithoutRoom lets the real program run into a limit on the size of
// its files, which to SQLite is a disk that takes no more. What cannot be
// stored is answered 503, never 200. Events are taken again as soon as there is
// room, without a restart, and then each event is stored once, also those that
// got 503.
func TestADiskWithoutRoom(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	testkit.WriteFile(t, filepath.Join(dir, "rules", "r.yaml"), testkit.Rule("r", testkit.ReadDeal))
	addr := testkit.FreeAddr(t)
	file := testkit.ServeConfig(t, dir, addr, "http://127.0.0.1:1/rest/1/s3cr3t/", "", "rules")
	serve := testkit.StartProcess(t, []string{"TEST_TOKEN=t0k3n"}, "serve", "--config", file)
	serve.Log.Wait(t, 0, "portal demo: events at")
	hook := "http://" + addr + "/hooks/demo"
	limit := func(bytes string) {
		t.Helper()
		text, err := exec.Command("prlimit", "--pid", fmt.Sprint(serve.Cmd.Process.Pid), "--fsize="+bytes+":unlimited").CombinedOutput()
		if err != nil {
			t.Fatalf("prlimit: %v: %s", err, text)
		}
	}
	var sent []string // the events that serve has answered
	event := func(size int) int {
		t.Helper()
		number := fmt.Sprint(len(sent))
		resp, err := http.PostForm(hook, url.Values{ // an event of no rule
			"event": {"ONNOBODYSEVENT"}, "data[FIELDS][ID]": {number}, "data[FIELDS][TEXT]": {strings.Repeat("x", size)}, "auth[application_token]": {"t0k3n"},
		})
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		sent = append(sent, number)
		return resp.StatusCode
	}
	post := func() int { t.Helper(); return event(8 << 10) } // so that the files grow
	if got := post(); got != http.StatusOK {
		t.Fatalf("status %d, want 200", got)
	}
	wal, err := os.Stat(filepath.Join(dir, "test.db-wal"))
	if err != nil {
		t.Fatal(err)
	}
	limit(fmt.Sprint(wal.Size() + 64<<10))
	refused := 0
	for range 40 {
		switch got := post(); got {
		case http.StatusOK:
		case http.StatusServiceUnavailable:
			refused++
		default:
			t.Fatalf("status %d on a full disk, want 503", got)
		}
	}
	if refused < 20 {
		t.Errorf("%d of 40 events were refused on a full disk", refused)
	}
	for event(1) == http.StatusOK { // until there is no room for small ones either
	}
	// What was found a moment ago is believed for a second.
	ready := func(want int) {
		t.Helper()
		for deadline := time.Now().Add(testkit.Patience); ; <-time.After(50 * time.Millisecond) {
			resp, err := http.Get("http://" + addr + "/healthz")
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("/healthz says %d, want %d", resp.StatusCode, want)
			}
		}
	}
	ready(http.StatusServiceUnavailable)
	limit("unlimited")
	ready(http.StatusOK)
	for deadline := time.Now().Add(testkit.Patience); post() != http.StatusOK; {
		if time.Now().After(deadline) {
			t.Fatal("no event is taken though there is room again")
		}
	}
	serve.Signal(syscall.SIGTERM)
	if code := serve.Exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if !strings.Contains(serve.Log.String(), "stopping: current runs have 10s to finish") {
		t.Error("it does not say that it is stopping")
	}
	stored := storedIDs(t, filepath.Join(dir, "test.db"))
	slices.Sort(sent)
	if diff := cmp.Diff(sent, stored); diff != "" {
		t.Errorf("events (-sent +stored):\n%s", diff)
	}
}

// storedIDs returns the sorted ids in the events of a database that no process has open.
func storedIDs(t *testing.T, path string) []string {
	t.Helper()
	q, err := queue.Open(t.Context(), "sqlite:"+path, queue.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = q.Close() }()
	events, err := journal.FindEvents(t.Context(), q.Database(), journal.EventFilter{Limit: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]string, len(events))
	for i, e := range events {
		var data struct{ FIELDS struct{ ID string } }
		if err := json.Unmarshal(e.Data, &data); err != nil {
			t.Fatal(err)
		}
		ids[i] = data.FIELDS.ID
	}
	slices.Sort(ids)
	return ids
}

// TestIdle: a program that has nothing to do does next to nothing.
func TestIdle(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	testkit.WriteFile(t, filepath.Join(dir, "rules", "r.yaml"), testkit.Rule("r", testkit.ReadDeal))
	file := testkit.ServeConfig(t, dir, testkit.FreeAddr(t), "http://127.0.0.1:1/rest/1/s3cr3t/", "", "rules")
	serve := testkit.StartProcess(t, []string{"TEST_TOKEN=t0k3n"}, "serve", "--config", file)
	serve.Log.Wait(t, 0, "portal demo: events at")
	used := func() (ticks int) {
		t.Helper()
		text := testkit.ReadFile(t, fmt.Sprintf("/proc/%d/stat", serve.Cmd.Process.Pid))
		fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
		for _, i := range []int{11, 12} { // utime and stime, in hundredths of a second
			n, err := strconv.Atoi(fields[i])
			if err != nil {
				t.Fatal(err)
			}
			ticks += n
		}
		return ticks
	}
	// The start may leave something to do for a while.
	for end := time.Now().Add(testkit.Patience); ; {
		before := used()
		<-time.After(2 * time.Second)
		ticks := used() - before
		if ticks <= 20 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d ms of processor time in 2 idle seconds", ticks*10)
		}
	}
}
