//go:build unix

package cli

import (
	"context"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/testkit"
)

// wayOver returns the commands of the section "The way over" of docs/from-crest.md.
func wayOver(t *testing.T) []string {
	t.Helper()
	_, section, ok := strings.Cut(testkit.ReadFile(t, "../../../docs/from-crest.md"), "## The way over\n")
	if !ok {
		t.Fatal("docs/from-crest.md has no section The way over")
	}
	var out []string
	for _, m := range regexp.MustCompile("`b24rules ([^`]+)`").FindAllStringSubmatch(section, -1) {
		out = append(out, m[1])
	}
	return out
}

// TestWayOver follows the commands of docs/from-crest.md in the folder that the tutorial makes,
// on a portal where a script has written a list: nothing is written before the change over, and
// nothing is doubled after it. TestShadow does the same with the script itself.
func TestWayOver(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long, and other tests run the same commands")
	}
	t.Parallel()
	commands := wayOver(t)
	if want := []string{"validate rules/", "test rules/", "serve", "shadow", "sync --rule deal-shipments", "sync --rule deal-shipments"}; !slices.Equal(commands, want) {
		t.Fatalf("the page has the commands %q, and this test runs %q", commands, want)
	}
	portal := emulator.New(emulator.Config{Plan: emulator.PlanUnlimited, EventDelay: time.Millisecond})
	t.Cleanup(portal.Close)
	ids := emulator.Demo(portal)
	server := httptest.NewServer(portal)
	t.Cleanup(server.Close)
	portal.SetBaseURL(server.URL)
	webhook := server.URL + portal.WebhookPath()
	people := personAt(t, webhook)
	addr := testkit.FreeAddr(t)
	token := portal.AddWebhook("http://"+addr+"/hooks/main", demo.CRMEvents...)
	dir := filepath.Join(t.TempDir(), "shop")
	initCommand(t.Context(), t, exitFine, nil, "init", "--yes", "--listen", addr, "--webhook", webhook, "--token", token, "--rules", "deal-shipments", dir)
	config := filepath.Join(dir, "b24rules.yaml")
	setMode := func(from, to string) {
		t.Helper()
		text := testkit.ReadFile(t, config)
		if !strings.Contains(text, from) {
			t.Fatalf("%s is not in\n%s", from, text)
		}
		testkit.WriteFile(t, config, strings.Replace(text, from, to, 1))
	}
	// run runs a command of the page. Only the paths differ.
	run := func(code int, command string) string {
		t.Helper()
		args := strings.Fields(strings.Replace(command, "rules/", filepath.Join(dir, "rules"), 1))
		if args[0] != "validate" && args[0] != "test" {
			args = append(args, "--config", config)
		}
		out, talk := initCommand(t.Context(), t, code, nil, args...)
		return out + talk
	}
	// The script has written elements for deal 1, and has missed a row of deal 2.
	deal := func(title string) int {
		t.Helper()
		id, err := people.AddDeal(t.Context(), title)
		if err != nil {
			t.Fatal(err)
		}
		rows := []any{map[string]any{"productId": 100, "productName": "Nails", "price": "1.10", "quantity": 3}, map[string]any{"productId": 101, "productName": "Tiles", "price": "12.5", "quantity": 2}}
		if err := people.Write(t.Context(), "crm.item.productrow.set", map[string]any{"ownerType": "D", "ownerId": id, "productRows": rows}, nil); err != nil {
			t.Fatal(err)
		}
		return id
	}
	written := 0
	element := func(deal, product int, name, quantity, sum string) {
		t.Helper()
		written++
		err := people.Write(t.Context(), "lists.element.add", map[string]any{
			"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": ids.ShipmentList, "ELEMENT_CODE": fmt.Sprint("script-", written),
			"FIELDS": map[string]any{"NAME": name, people.Props["DEAL"]: deal, people.Props["PRODUCT_ID"]: product, people.Props["QUANTITY"]: quantity, people.Props["SUM"]: sum},
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
	}
	whole, part := deal("Whole"), deal("Part")
	for _, id := range []int{whole, part} {
		element(id, 100, "Nails × 3", "3", "3.3")
	}
	element(whole, 101, "Tiles × 2", "2", "25")
	elements := func(deal int) (names []string) {
		t.Helper()
		all, err := people.Elements(context.Background(), deal)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range all {
			names = append(names, fmt.Sprintf("%d %s", e.ID(), e["NAME"]))
		}
		slices.Sort(names)
		return names
	}
	before := [][]string{elements(whole), elements(part)}

	run(exitFine, commands[0])
	run(exitFine, commands[1])
	setMode("  main:\n", "  main:\n    mode: shadow\n    shadow_delay: 1s\n")
	serve := testkit.StartProcess(t, nil, commands[2], "--config", config)
	serve.Log.Wait(t, 0, "portal main: events at")
	if err := people.Write(t.Context(), "crm.item.update", map[string]any{"entityTypeId": 2, "id": part, "fields": map[string]any{"title": "Part 2"}}, nil); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(testkit.Patience); ; time.Sleep(100 * time.Millisecond) {
		var out strings.Builder
		code := runCommand(t.Context(), []string{commands[3], "--config", config}, environment{Std: Std{Out: &out, Err: &out}})
		if code == exitFindings && strings.Contains(out.String(), fmt.Sprint("deal:", part)) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("shadow: exit code %d\n%s", code, &out)
		}
	}
	run(exitFine, commands[4])
	if after := [][]string{elements(whole), elements(part)}; !slices.EqualFunc(before, after, slices.Equal[[]string]) {
		t.Fatalf("shadow mode has written: %v, before %v", after, before)
	}

	at := serve.Log.Size()
	setMode("mode: shadow", "mode: live")
	serve.Log.Wait(t, at, "portal changed")
	run(exitFine, commands[5])
	if after := elements(whole); !slices.Equal(after, before[0]) {
		t.Errorf("deal %d has %v, before %v", whole, after, before[0])
	}
	if after := elements(part); len(after) != 2 || after[0] != before[1][0] {
		t.Errorf("deal %d has %v, before %v", part, after, before[1])
	}
}
