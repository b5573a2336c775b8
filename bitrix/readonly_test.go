package bitrix_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/php"
	"github.com/b24rules/b24rules/schemas"
)

// TestReadOnly sends each method of the table, unknown methods and odd spellings through
// a client that only reads, alone and in batches. A portal that records what arrives sees
// reads only, and the reads next to a write are answered.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	p := &portal{methods: map[string]methodFunc{}}
	var all []bitrix.Call
	for _, m := range schemas.Methods() {
		all = append(all, bitrix.Call{Method: m.Name})
		p.methods[strings.ToLower(m.Name)] = func(*php.Array) reply { return reply{result: "x"} }
	}
	odd := []bitrix.Call{
		{Method: "batch", Params: map[string]any{"cmd": []any{"crm.item.add?x=1"}}},
		{Method: "Crm.Item.Add"},
		{Method: "crm.item.add.json"},
		{Method: "vendor.thing.do"},
		{Method: "crm.item.add?x=crm.item.get"},
		{Method: ""},
		{Method: "crm.item.delete", Params: map[string]any{"list": []any{}}}, // a request without a batch
	}
	all = append(all, odd...)
	pages := bitrix.Call{Method: "batch", Params: map[string]any{"halt": 1, "cmd": []string{"crm.item.list?start=-1", "crm.item.list?filter[>id]=$result[0][49][id]"}}}
	c := newClient(t, p, func(cfg *bitrix.Config) { cfg.ReadOnly = true })
	var mu sync.Mutex
	answered, refused := 0, 0
	check := func(call bitrix.Call, a bitrix.Answer) {
		mu.Lock()
		defer mu.Unlock()
		m, known := schemas.LookupMethod(call.Method)
		events := strings.HasPrefix(m.Name, "event.")
		switch {
		case errors.Is(a.Err, bitrix.ErrReadOnly):
			refused++
			if known && m.Effect == schemas.Read {
				t.Errorf("%s is refused", call.Method)
			}
		case known && (m.Effect == schemas.Read || events):
			answered++
		default:
			t.Errorf("%s: %v", call.Method, a.Err)
		}
	}
	for i, a := range c.Do(t.Context(), all...) {
		check(all[i], a)
	}
	if a := c.Do(t.Context(), pages)[0]; a.Err != nil {
		t.Errorf("a batch of reads: %v", a.Err)
	}
	var wg sync.WaitGroup
	for _, call := range all {
		wg.Go(func() { check(call, c.Do(context.Background(), call)[0]) })
	}
	wg.Wait()
	if answered < 500 || refused < 500 {
		t.Errorf("%d answered, %d refused", answered, refused)
	}
	for _, request := range p.asked() {
		names := strings.Fields(strings.TrimSuffix(strings.TrimPrefix(request, "batch("), ")"))
		if i := slices.IndexFunc(names, func(name string) bool {
			m, known := schemas.LookupMethod(name)
			return !known || m.Effect != schemas.Read && !strings.HasPrefix(name, "event.")
		}); i >= 0 {
			t.Errorf("the portal received %s", names[i])
		}
	}
}
