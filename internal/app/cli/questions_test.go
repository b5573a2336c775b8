package cli

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/journal"
)

// TestQuestionsInOneCommand: the four questions of the person on call, each with one command.
// TestQuestionsInThreeClicks asks them in the console.
func TestQuestionsInOneCommand(t *testing.T) {
	t.Parallel()
	const text = `version: 1
rules:
  note:
    on: [ONCRMDEALADD, ONCRMDEALUPDATE]
    debounce: 10ms
    steps:
      - id: deal
        fetch_item: {owner: deal, id: =event.id}
      - upsert_element: {list: 47, key: =event.id, fields: {NAME: =deal.title, DEAL: =event.id}}
      - compute: {part: =100 / deal.opportunity}
`
	dir := t.TempDir()
	h := newHarness(t, apptest.Options{Dir: dir, Rules: fstest.MapFS{"a.yaml": {Data: []byte(text)}}, Inputs: map[string]map[string]string{}})
	c := newCLI(h, dir)
	deal := h.AddDeal("Roof") // without a sum
	h.Until("the run is parked", func() bool { return h.States()[journal.Parked] > 0 })
	var elements []struct{ ID string }
	h.Rest("lists.element.get", map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": h.IDs.ShipmentList}, &elements)
	if len(elements) != 1 {
		t.Fatalf("elements %v", elements)
	}
	for _, tt := range []struct {
		question, command string
		code              int
		want              []string
	}{
		{"why is the list of the deal wrong", fmt.Sprintf("runs list --entity deal:%d", deal), exitFine, []string{"parked", "division by zero"}},
		{"which rule wrote this field", fmt.Sprintf("why element:%d:%s NAME", h.IDs.ShipmentList, elements[0].ID), exitFine, []string{"rule note", "NAME: Roof"}},
		{"what failed in a time", "runs list --state parked --from 1h --until 0m", exitFine, []string{"division by zero"}},
		{"what failed in a time, by cause", "runs list --by cause --from 1h", exitFine, []string{"1 ", "note"}},
		{"is anything stuck", "status", exitFindings, []string{"1 of 1 portal needs attention", "1 parked"}},
	} {
		out, talk := c.run(tt.code, strings.Fields(tt.command)...)
		for _, want := range tt.want {
			if !strings.Contains(out+talk, want) {
				t.Errorf("%s: b24rules %s says no %q:\n%s%s", tt.question, tt.command, want, out, talk)
			}
		}
	}
}
