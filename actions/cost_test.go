package actions_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/run"
)

// TestCost counts the HTTP requests of 20 deals that change at the same moment.
// Runs that are ready together share batches; an unchanged deal writes nothing.
func TestCost(t *testing.T) {
	for _, many := range []bool{false, true} {
		t.Run(fmt.Sprintf("many owners in one read %v", many), func(t *testing.T) { testCost(t, many) })
	}
}

func testCost(t *testing.T, many bool) {
	const deals = 20
	s := newScript(t, emulator.Config{SingleOwner: !many})
	s.compile([]byte(peopleRule))
	s.perform("portal", peopleList)
	for i := range deals {
		s.perform("rest", fmt.Sprintf(`crm.deal.add {"fields":{"TITLE":"Deal %d"}}`, i+1))
		s.perform("rest", fmt.Sprintf(`crm.item.productrow.set {"ownerType":"D","ownerId":%d,"productRows":[{"productId":1,"productName":"A","price":1,"quantity":1,"sort":10},{"productId":2,"productName":"B","price":2,"quantity":2,"sort":20}]}`, i+1))
	}
	round := func() (requests, writes int64) {
		before := s.client.Stats()
		var all sync.WaitGroup
		for i := range deals {
			all.Go(func() {
				run := run.Run{
					Portal: "test", Client: s.client, Entity: engine.Entity{Kind: "deal", TypeID: 2, ID: fmt.Sprint(i + 1)},
					Count: 1, Attempt: 1, Memory: s.memory,
				}
				if _, err := run.Do(context.Background(), s.rules.Rules[0]); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		after := s.client.Stats()
		return after.Requests - before.Requests, after.Writes - before.Writes
	}
	requests, writes := round()
	t.Logf("%d new deals: %d requests, %d writes", deals, requests, writes)
	if writes != 2*deals {
		t.Errorf("%d writes for %d elements", writes, 2*deals)
	}
	if requests > deals {
		t.Errorf("%d requests for %d deals", requests, deals)
	}
	requests, writes = round()
	t.Logf("%d unchanged deals: %d requests, %d writes", deals, requests, writes)
	if writes != 0 || requests > deals {
		t.Errorf("%d unchanged deals cost %d requests and %d writes", deals, requests, writes)
	}
}
