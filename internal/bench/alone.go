package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// alone measures single events.
type alone struct{ *bench }

// caseSingle measures one event while the engine is idle.
func (b alone) caseSingle(ctx context.Context) error {
	const n = 5
	s, err := newSite(ctx, "main", true, n+1, rowsPerDeal)
	if err != nil {
		return err
	}
	defer s.close()
	e, err := b.startEngine(ctx, s)
	if err != nil {
		return err
	}
	defer func() { _ = e.stop() }()
	if _, _, err := b.measure(ctx, e, s, s.deals[n:]); err != nil { // the engine learns how to read the list
		return err
	}
	var rows []row
	for _, id := range s.deals[:n] {
		r, _, err := b.measure(ctx, e, s, []int{id})
		if err != nil {
			return err
		}
		rows = append(rows, r)
	}
	r := median(rows)
	r.what, r.events, r.note = "4 one event alone", 0, "median of 5; includes the debounce of 1 s"
	b.add(r)
	if err := b.singleInvoice(ctx, e, s, n); err != nil {
		return err
	}

	o, err := newSite(ctx, "sequential", false, n, rowsPerDeal)
	if err != nil {
		return err
	}
	defer o.close()
	q := newSequential(o)
	took, err := q.all(ctx, o.deals)
	if err != nil {
		return err
	}
	b.add(row{what: "4 one event alone", client: "sequential", wall: took / n, requests: q.sent / n, note: "mean of 5; no debounce"})
	return nil
}

func median(rows []row) row {
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.wall, b.wall) })
	return rows[len(rows)/2]
}

// singleInvoice measures single events of a rule whose first event need not wait.
func (b alone) singleInvoice(ctx context.Context, e *engine, s *site, n int) error {
	ids, err := s.addInvoices(ctx, n+1)
	if err != nil {
		return err
	}
	client := newPoster(1)
	defer client.CloseIdleConnections()
	var rows []row
	for _, id := range ids {
		r, _, err := e.measure(ctx, s, 1, func() error {
			return postEvent(ctx, client, e.hook+s.name, "ONCRMDYNAMICITEMUPDATE", id, map[string]string{"ENTITY_TYPE_ID": "31"})
		})
		if err != nil {
			return err
		}
		rows = append(rows, r)
	}
	r := median(rows[1:]) // with the first, the engine learns the fields of the helper
	r.what, r.events, r.note = "4 one event alone, `invoice-total`", 0, fmt.Sprintf("median of %d; the first event need not wait", n)
	b.add(r)
	return nil
}
