package cli

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/testkit"
)

// TestMade: why, a renamed rule in commands without serve, release, and orphans in status.
func TestMade(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rule := func(id string) string {
		return "version: 1\nrules:\n  " + id + ":\n    on: [ONCRMDEALADD, ONCRMDEALUPDATE]\n    debounce: 10ms\n    steps:\n      - id: deal\n        fetch_item: {owner: deal, id: =event.id}\n" +
			"      - upsert_element: {list: 47, key: =event.id, fields: {NAME: =deal.title, DEAL: =event.id}}\n"
	}
	h := newHarness(t, apptest.Options{Dir: dir, Rules: fstest.MapFS{"a.yaml": {Data: []byte(rule("note"))}}, Inputs: map[string]map[string]string{}})
	c := newCLI(h, dir)
	deal := h.AddDeal("Roof")
	h.Wait()
	h.Stop()
	var elements []struct{ ID string }
	h.Rest("lists.element.get", map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": h.IDs.ShipmentList}, &elements)
	if len(elements) != 1 {
		t.Fatalf("elements %v", elements)
	}
	record := fmt.Sprintf("element:%d:%s", h.IDs.ShipmentList, elements[0].ID)
	check := func(exit int, args []string, want ...string) {
		t.Helper()
		out, talk := c.run(exit, args...)
		for _, w := range want {
			if !strings.Contains(out+talk, w) {
				t.Errorf("%s\nwant %q in\n%s%s", strings.Join(args, " "), w, out, talk)
			}
		}
	}
	check(exitFine, []string{"why", record, "name"}, "rule note (a.yaml:9:9), version ", fmt.Sprintf("for deal:%d, because of ONCRMDEALADD (1 event)", deal), "name: Roof")
	check(exitFine, []string{"why", "element", strings.TrimPrefix(record, "element:"), "--format", "json"}, `"rule": "note"`, `"DEAL"`)
	check(exitFine, []string{"why", record}, "writes NAME, DEAL")
	check(exitFindings, []string{"why", record, "SUM"}, "no rule is known to have written SUM")
	check(exitFindings, []string{"why", fmt.Sprint("deal:", deal)}, "no rule is known to have written it")
	for _, bad := range [][]string{{}, {"elemnt:47:1"}, {"element:47"}, {"element:x:1"}, {"deal:0"}, {"deal:1", "a", "b"}} {
		check(exitUsage, append([]string{"why"}, bad...), "element:47:12")
	}

	testkit.WriteFile(t, filepath.Join(dir, "rules", "a.yaml"), rule("remark"))
	const refused = "would-double"
	check(exitFindings, []string{"sync", "--rule", "remark"}, "rule remark would make again what rule note has made: 1 element of list 47", refused, "moved: {from: note}")
	check(exitFindings, []string{"run", "--rule", "remark", "--entity", fmt.Sprint("deal:", deal)}, refused)
	check(exitFine, []string{"plan", "--rule", "remark", "--entity", fmt.Sprint("deal:", deal)}, refused, "+ ")
	check(exitUsage, []string{"release", "--rule", "nota"}, `rule "nota" has made nothing (did you mean note?)`)
	check(exitUsage, []string{"release"}, "which rule? --rule ID")
	check(exitFine, []string{"release", "--rule", "note"}, "released 1 record of list 47 that rule note has made in portal demo")
	check(exitFine, []string{"plan", "--rule", "remark", "--entity", fmt.Sprint("deal:", deal)}, "+ ")
}
