package catchup

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/emulator"
)

// sweepPortal is an emulated portal with deals, of which some are deleted, and the
// elements of a list that belong to them.
type sweepPortal struct {
	*bitrix.Client
	server *emulator.Portal
	gone   []int // the deleted deals
}

const (
	sweepDeals    = 330
	sweepElements = 3 // of each deal
)

func newSweepPortal(t *testing.T, before func(http.Handler) http.Handler) *sweepPortal {
	t.Helper()
	e := emulator.New(emulator.Config{Plan: emulator.PlanUnlimited})
	t.Cleanup(e.Close)
	server := httptest.NewServer(before(e))
	t.Cleanup(server.Close)
	e.SetBaseURL(server.URL)
	e.AddList(emulator.List{ID: 47, Name: "Shipments", Fields: []emulator.ListField{{ID: 1, Code: "DEAL", Type: "N"}}})
	c, err := bitrix.NewClient(bitrix.Config{Webhook: bitrix.Secret(server.URL + e.WebhookPath()), Plan: bitrix.PlanUnlimited})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	p := &sweepPortal{Client: c, server: e}
	p.fill(t)
	return p
}

func (p *sweepPortal) fill(t *testing.T) {
	t.Helper()
	fields, err := p.ListFields(t.Context(), "lists", 47)
	if err != nil {
		t.Fatal(err)
	}
	deal, err := fields.Lookup("DEAL")
	if err != nil {
		t.Fatal(err)
	}
	var calls []bitrix.Call
	for i := range sweepDeals {
		calls = append(calls, bitrix.Call{Method: "crm.deal.add", Write: true, Params: map[string]any{"fields": map[string]any{"TITLE": fmt.Sprint("D", i)}}})
	}
	p.must(t, calls)
	calls = nil
	for i := range sweepDeals * sweepElements {
		calls = append(calls, bitrix.Call{Method: "lists.element.add", Write: true, Params: map[string]any{
			"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": 47, "ELEMENT_CODE": fmt.Sprint("c", i),
			"FIELDS": map[string]any{"NAME": "x", deal.ID: i/sweepElements + 1},
		}})
	}
	p.must(t, calls)
	calls = nil
	for id := 1; id <= sweepDeals; id++ {
		if id%33 == 7 {
			p.gone = append(p.gone, id)
			calls = append(calls, bitrix.Call{Method: "crm.deal.delete", Write: true, Params: map[string]any{"id": id}})
		}
	}
	p.must(t, calls)
}

func (p *sweepPortal) must(t *testing.T, calls []bitrix.Call) {
	t.Helper()
	for _, a := range p.Do(t.Context(), calls...) {
		if a.Err != nil {
			t.Fatal(a.Err)
		}
	}
}

// sweep runs a job over all deals and what deleted ones have left.
func (p *sweepPortal) sweep(ctx context.Context) (seen, gone []int, requests int64, err error) {
	before := p.Stats().Requests
	j := Job{Portal: "acme", Rule: "r", Types: []int{2}, Leftovers: []Leftover{{TypeID: 2, List: 47, ListType: "lists", Field: "DEAL"}}}
	r := NewReader(p)
	for more := true; more; {
		leftovers := j.Stage >= len(j.Types)
		var ids []int
		if _, ids, more, err = j.Next(ctx, r); err != nil {
			return nil, nil, 0, err
		}
		if leftovers {
			gone = append(gone, ids...)
		} else {
			seen = append(seen, ids...)
		}
	}
	return seen, gone, p.Stats().Requests - before, nil
}

// TestSweep holds that a sync finds all entities and all leftovers of deleted ones, in
// at most a request for 1,000 elements and for 1,000 entities, and a few more.
func TestSweep(t *testing.T) {
	p := newSweepPortal(t, func(h http.Handler) http.Handler { return h })
	seen, gone, requests, err := p.sweep(t.Context())
	if err != nil || len(seen) != sweepDeals-len(p.gone) || !slices.Equal(gone, p.gone) {
		t.Errorf("%d of %d deals, %v of %v gone, %v", len(seen), sweepDeals-len(p.gone), gone, p.gone, err)
	}
	if limit := int64(ceil(sweepDeals*sweepElements)+ceil(sweepDeals)) + 5; requests > limit {
		t.Errorf("%d requests, at most %d", requests, limit)
	}
}

// ceil is how many requests of 1,000 rows n rows take.
// TestSweepOfOwnRecords: a job does not read the records that its own runs have added.
func TestSweepOfOwnRecords(t *testing.T) {
	p := newSweepPortal(t, func(h http.Handler) http.Handler { return h })
	for _, addedBefore := range []bool{false, true} {
		list := 48
		if addedBefore {
			list = 49
		}
		p.server.AddList(emulator.List{ID: list, Name: fmt.Sprint("List ", list), Fields: []emulator.ListField{{ID: list, Code: "DEAL", Type: "N"}}})
		add := func(n, deal int) {
			var calls []bitrix.Call
			for range n {
				calls = append(calls, bitrix.Call{Method: "lists.element.add", Write: true, Params: map[string]any{
					"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": list, "ELEMENT_CODE": fmt.Sprint(rand.Uint64()),
					"FIELDS": map[string]any{"NAME": "x", fmt.Sprint("PROPERTY_", list): deal},
				}})
			}
			p.must(t, calls)
		}
		if addedBefore {
			add(60, p.gone[0])
		}
		j := Job{Portal: "acme", Rule: "r", Types: []int{2}, Leftovers: []Leftover{{TypeID: 2, List: list, ListType: "lists", Field: "DEAL"}}}
		r := NewReader(p)
		if _, _, _, err := j.Next(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		add(1500, p.gone[1])
		before := p.server.Stats().Commands["lists.element.get"]
		var gone []int
		for more := true; more; {
			leftovers := j.Stage >= len(j.Types)
			_, ids, again, err := j.Next(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			if more = again; leftovers {
				gone = append(gone, ids...)
			}
		}
		pages := p.server.Stats().Commands["lists.element.get"] - before
		if !addedBefore && (pages > 0 || len(gone) > 0) {
			t.Errorf("%d pages of a list that was empty were read, and %v found", pages, gone)
		}
		if addedBefore && (pages > 20 || !slices.Contains(gone, p.gone[0])) {
			t.Errorf("%d pages were read, and %v found, want %d", pages, gone, p.gone[0])
		}
	}
}

func ceil(n int) int { return (n + pageRows - 1) / pageRows }

// bend changes what a portal answers to the commands of a batch, or to a single call.
type bend struct {
	http.Handler
	change func(key string, result json.RawMessage) json.RawMessage
	on     *bool
}

func (b bend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec := httptest.NewRecorder()
	b.Handler.ServeHTTP(rec, r)
	var env map[string]json.RawMessage
	if !*b.on || json.Unmarshal(rec.Body.Bytes(), &env) != nil || env["result"] == nil {
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
		return
	}
	if strings.HasSuffix(r.URL.Path, "/batch") {
		var batch map[string]json.RawMessage
		_ = json.Unmarshal(env["result"], &batch)
		results := map[string]json.RawMessage{}
		var list []json.RawMessage
		if json.Unmarshal(batch["result"], &list) == nil {
			for i, v := range list {
				results[fmt.Sprint(i)] = v
			}
		} else {
			_ = json.Unmarshal(batch["result"], &results)
		}
		for k, v := range results {
			results[k] = b.change(k, v)
		}
		batch["result"], _ = json.Marshal(results)
		env["result"], _ = json.Marshal(batch)
	} else {
		env["result"] = b.change("0", env["result"])
	}
	_ = json.NewEncoder(w).Encode(env)
}

// TestSweepOfOddPortals holds that no answer makes an entity look deleted that exists,
// and that none is skipped without an error: pages that are short, repeated, empty or
// not in order, references that are not resolved.
func TestSweepOfOddPortals(t *testing.T) {
	on := false
	change := func(_ string, r json.RawMessage) json.RawMessage { return r }
	p := newSweepPortal(t, func(h http.Handler) http.Handler {
		return bend{h, func(k string, r json.RawMessage) json.RawMessage { return change(k, r) }, &on}
	})
	rows := func(r json.RawMessage, f func([]json.RawMessage) []json.RawMessage) json.RawMessage {
		var wrapped struct{ Items []json.RawMessage }
		var list []json.RawMessage
		switch {
		case json.Unmarshal(r, &list) == nil && list != nil:
			out, _ := json.Marshal(f(list))
			return out
		case json.Unmarshal(r, &wrapped) == nil && wrapped.Items != nil:
			out, _ := json.Marshal(map[string]any{"items": f(wrapped.Items)})
			return out
		}
		return r
	}
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 0))
	var first json.RawMessage
	for name, c := range map[string]struct {
		change func(string, json.RawMessage) json.RawMessage
		whole  bool // everything must be found
	}{
		"short pages": {func(_ string, r json.RawMessage) json.RawMessage {
			return rows(r, func(l []json.RawMessage) []json.RawMessage { return l[:len(l)-len(l)/3] })
		}, true},
		"each page is the first": {func(k string, r json.RawMessage) json.RawMessage {
			if k == "0" {
				first = r
			}
			return first
		}, true},
		"only the first page": {func(k string, r json.RawMessage) json.RawMessage {
			if k == "0" {
				return r
			}
			return json.RawMessage("null")
		}, true},
		"turned round": {func(_ string, r json.RawMessage) json.RawMessage {
			return rows(r, func(l []json.RawMessage) []json.RawMessage { l = slices.Clone(l); slices.Reverse(l); return l })
		}, false},
		"one row is missing": {func(_ string, r json.RawMessage) json.RawMessage {
			return rows(r, func(l []json.RawMessage) []json.RawMessage {
				if len(l) < pageSize {
					return l
				}
				return slices.Concat(l[:7], l[8:])
			})
		}, false},
		"without ids": {func(_ string, r json.RawMessage) json.RawMessage {
			return rows(r, func(l []json.RawMessage) []json.RawMessage {
				return slices.Repeat([]json.RawMessage{json.RawMessage("{}")}, len(l))
			})
		}, false},
		"no list": {func(string, json.RawMessage) json.RawMessage { return json.RawMessage("{}") }, false},
		"null":    {func(string, json.RawMessage) json.RawMessage { return json.RawMessage("null") }, false},
		"sometimes": {func(_ string, r json.RawMessage) json.RawMessage {
			if rnd.IntN(8) == 0 {
				return json.RawMessage("false")
			}
			return r
		}, false},
	} {
		on, change = true, c.change
		seen, gone, _, err := p.sweep(t.Context())
		on = false
		if c.whole && (err != nil || len(seen) != sweepDeals-len(p.gone) || !slices.Equal(gone, p.gone)) {
			t.Errorf("%s: %d of %d deals, %d of %d gone, %v", name, len(seen), sweepDeals-len(p.gone), len(gone), len(p.gone), err)
		}
		if err == nil && len(seen) != sweepDeals-len(p.gone) {
			t.Errorf("%s (seed %d): %d of %d deals without an error", name, seed, len(seen), sweepDeals-len(p.gone))
		}
		for _, id := range gone {
			if !slices.Contains(p.gone, id) {
				t.Errorf("%s (seed %d): deal %d exists and counts as deleted", name, seed, id)
			}
		}
	}
}
