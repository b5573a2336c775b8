package bitrix_test

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/b24rules/b24rules/bitrix"
)

// TestWithNext checks that a call with WithNext stands directly before its write in
// the same request, also when other callers leave an odd number of places.
func TestWithNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &portal{methods: items()}
		p.methods["crm.item.list"] = p.methods["crm.item.get"]
		c := newClient(t, p, func(*bitrix.Config) {})
		defer c.Close()
		var wg sync.WaitGroup
		for i := range 60 {
			wg.Go(func() {
				calls := []bitrix.Call{get(i)}
				for range i % 7 {
					read, write := get(i), update(i)
					read.Method, read.WithNext, write.Unordered = "crm.item.list", true, true
					calls = append(calls, read, write)
				}
				for _, a := range c.Do(t.Context(), calls...) {
					if a.Err != nil {
						t.Error(a.Err)
					}
				}
			})
		}
		wg.Wait()
		pairs := 0
		for _, request := range p.asked() {
			commands := strings.Fields(strings.TrimSuffix(strings.TrimPrefix(request, "batch("), ")"))
			for i, method := range commands {
				if method != "crm.item.list" {
					continue
				}
				if pairs++; i+1 == len(commands) || commands[i+1] != "crm.item.update" {
					t.Errorf("command %d of %s has no write behind it", i+1, request)
				}
			}
		}
		if pairs == 0 {
			t.Error("no pair was sent")
		}
	})
}
