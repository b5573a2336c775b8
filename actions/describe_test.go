package actions_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/describe"
	"github.com/b24rules/b24rules/engine/run"
)

// TestSays checks that every action has Says, which explain prints.
func TestSays(t *testing.T) {
	t.Parallel()
	for _, a := range actions.All {
		if a.Says == "" {
			t.Errorf("%s has no Says", a.Name)
		}
	}
}

// TestCostHolds runs a rule and compares the commands that it sent with what its
// description promised.
func TestCostHolds(t *testing.T) {
	const rows = 3
	s := newScript(t, emulator.Config{})
	s.compile([]byte(peopleRule))
	s.perform("portal", peopleList)
	s.perform("rest", `crm.deal.add {"fields":{"TITLE":"Deal"}}`)
	text := ""
	for i := range rows {
		text += fmt.Sprintf(`,{"productId":%d,"productName":"A","price":1,"quantity":1}`, i+1)
	}
	s.perform("rest", `crm.item.productrow.set {"ownerType":"D","ownerId":1,"productRows":[`+text[1:]+`]}`)
	cost := describe.Set(s.rules).Rules[0].Cost
	sent := func() int {
		trace, err := run.Run{
			Portal: "test", Client: s.client, Entity: engine.Entity{Kind: "deal", TypeID: 2, ID: "1"},
			Count: 1, Attempt: 1, Memory: s.memory,
		}.Do(context.Background(), s.rules.Rules[0])
		if err != nil {
			t.Fatal(err)
		}
		return trace.Calls
	}
	if got, most := sent(), cost.Worst.At(rows); got > most || got < rows {
		t.Errorf("a new deal of %d rows sent %d commands, worst is %s = %d", rows, got, cost.Worst, most)
	}
	if got, want := sent(), cost.Least.At(rows); got != want {
		t.Errorf("an unchanged deal sent %d commands, least is %s = %d", got, cost.Least, want)
	}
	s.perform("rest", `crm.item.productrow.set {"ownerType":"D","ownerId":1,"productRows":[{"productId":1,"productName":"A","price":1,"quantity":2},{"productId":2,"productName":"A","price":1,"quantity":1},{"productId":3,"productName":"A","price":1,"quantity":1}]}`)
	if got, want := sent(), cost.Typical.At(rows); got != want {
		t.Errorf("a deal with one changed row sent %d commands, typical is %s = %d", got, cost.Typical, want)
	}
}
