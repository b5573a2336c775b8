package bitrix_test

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/b24rules/b24rules/bitrix"
)

// TestSharedDescription: writes of many callers that leave in one request share one
// description of the list behind them, which takes one place of the request. All callers
// then use it.
func TestSharedDescription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &portal{methods: items()}
		p.methods["lists.field.get"] = recorded(t, listFields)
		c := newClient(t, p)
		defer c.Close()
		before, err := c.ListFields(t.Context(), "lists", 47)
		if err != nil {
			t.Fatal(err)
		}
		if c.Do(t.Context(), get(1))[0].Err != nil { // the others wait for the end of this one
			t.Fatal("no answer")
		}
		asked := len(p.asked())
		const callers = 120
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				write := update(i + 1)
				write.Unordered = true
				for _, a := range c.Do(t.Context(), write, bitrix.DescribeList("lists", 47)) {
					if a.Err != nil {
						t.Error(a.Err)
					}
				}
				now, err := c.ListFields(t.Context(), "lists", 47)
				if err != nil || !now.Asked().After(before.Asked()) && now == before {
					t.Errorf("the description is the one of before, %v", err)
				}
			})
		}
		wg.Wait()
		writes, requests := 0, p.asked()[asked:]
		for _, request := range requests {
			commands := strings.Fields(strings.TrimSuffix(strings.TrimPrefix(request, "batch("), ")"))
			if len(commands) > 50 {
				t.Errorf("a request has %d commands", len(commands))
			}
			if n := strings.Count(request, "lists.field.get"); n != 1 || commands[len(commands)-1] != "lists.field.get" {
				t.Errorf("%d descriptions in %s, want one at the end", n, request)
			}
			writes += strings.Count(request, "crm.item.update")
		}
		// 49 writes and a description are a request.
		if writes != callers || len(requests) > 5 {
			t.Errorf("%d writes in %d requests, want %d in at most 5", writes, len(requests), callers)
		}
	})
}
