package service_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/b24rules/b24rules/internal/app/apptest"
)

// TestNumbers: 50 contracts at once get the numbers 1
// to 50, each once, and keep them at a later edit.
func TestNumbers(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{
		Inputs: map[string]map[string]string{},
		Rules: fstest.MapFS{"contract.yaml": {Data: []byte(`version: 1
rules:
  contract:
    on: [ONCRMDEALADD, ONCRMDEALUPDATE]
    debounce: 30ms
    steps:
      - id: contract
        next_number: {series: CONT}
      - update_item: {owner: deal, id: =event.id, fields: {comments: "CONT-{{ padStart(string(contract.number), 3, '0') }}"}}
`)}},
	})
	const n = 50
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			h.Rest("crm.deal.add", map[string]any{"fields": map[string]any{"TITLE": fmt.Sprint("Contract ", i)}}, nil)
		})
	}
	wg.Wait()
	numbers := func() map[int]string {
		h.Wait()
		out := map[int]string{}
		for page := 0; page < n; page += 50 {
			var deals []struct {
				ID       json.Number `json:"ID"`
				Comments string      `json:"COMMENTS"`
			}
			h.Rest("crm.deal.list", map[string]any{"select": []string{"ID", "COMMENTS"}, "start": page}, &deals)
			for _, d := range deals {
				id, _ := d.ID.Int64()
				out[int(id)] = d.Comments
			}
		}
		return out
	}
	first := numbers()
	var got, want []string
	for i := range n {
		want = append(want, fmt.Sprintf("CONT-%03d", i+1))
	}
	for _, text := range first {
		got = append(got, text)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Fatalf("numbers %q", got)
	}
	for id := range first {
		h.Rest("crm.deal.update", map[string]any{"id": id, "fields": map[string]any{"TITLE": "edited"}}, nil)
	}
	for id, text := range numbers() {
		if text != first[id] {
			t.Errorf("deal %d had %s and has %s", id, first[id], text)
		}
	}
}
