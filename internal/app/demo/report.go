package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/journal"
)

// report is the result of a demo. Its JSON form is part of the command line.
type report struct {
	Events   int            `json:"events"`
	Runs     int            `json:"runs"`
	Failed   int            `json:"failed"`
	Requests int64          `json:"requests"`
	Commands int64          `json:"commands"`
	Writes   int64          `json:"writes"`
	Invoices []invoiceState `json:"invoices"`
	Deals    []dealState    `json:"deals"`

	codes map[string]int // of events that a rule subscribes to
	other int            // events that no rule subscribes to
	ran   []ranRun
}

type invoiceState struct {
	ID          int      `json:"id"`
	Title       string   `json:"title"`
	Rows        int      `json:"rows"`
	Total       num.Num  `json:"total"`
	HelperTotal *num.Num `json:"helper_total"` // null without a helper
	Helpers     int      `json:"helpers"`
}

func (s invoiceState) agrees() bool {
	return s.Helpers == 1 && s.HelperTotal != nil && s.HelperTotal.Equal(s.Total)
}

type dealState struct {
	ID       int    `json:"id"`
	Title    string `json:"title"`
	Deleted  bool   `json:"deleted"`
	Rows     int    `json:"rows"`
	Elements int    `json:"elements"`
	Shipped  int    `json:"shipped"`
}

func (s dealState) agrees() bool { return s.Rows == s.Elements }

// ranRun is a run with the record of its last attempt.
type ranRun struct {
	journal.Run
	trace history.Record
	took  time.Duration
}

// report reads the history of the engine and the data of the portal.
func (d *demonstration) report(ctx context.Context) (*report, error) {
	r := &report{Invoices: []invoiceState{}, Deals: []dealState{}}
	stats := d.Service.Portal(PortalName).Client.Stats()
	r.Requests, r.Commands, r.Writes = stats.Requests, stats.Commands, stats.Writes
	if err := d.history(ctx, r); err != nil {
		return nil, err
	}
	for _, deal := range d.deals {
		s, err := d.dealState(ctx, deal)
		if err != nil {
			return nil, err
		}
		r.Deals = append(r.Deals, s)
	}
	for _, in := range d.invoices {
		s, err := d.invoiceState(ctx, in)
		if err != nil {
			return nil, err
		}
		r.Invoices = append(r.Invoices, s)
	}
	return r, nil
}

func (d *demonstration) history(ctx context.Context, r *report) error {
	stats, err := journal.Count(ctx, d.Service.Queue().Database())
	if err != nil {
		return err
	}
	r.Events, r.other = stats.Events, stats.NoRule
	if r.ran, err = d.runsAfter(ctx, 0); err != nil {
		return err
	}
	r.Runs, r.Failed = len(r.ran), stats.Runs[journal.Parked]
	r.codes = map[string]int{}
	seen := map[int64]bool{}
	for _, run := range r.ran {
		events, err := journal.EventsOf(ctx, d.Service.Queue().Database(), run.ID)
		if err != nil {
			return err
		}
		for _, e := range events {
			if !seen[e.ID] {
				seen[e.ID] = true
				r.codes[e.Code]++
			}
		}
	}
	return nil
}

// lastRun returns the id of the newest run.
func (d *demonstration) lastRun(ctx context.Context) (int64, error) {
	newest, err := journal.FindRuns(ctx, d.Service.Queue().Database(), journal.Filter{Limit: 1})
	if err != nil || len(newest) == 0 {
		return 0, err
	}
	return newest[0].ID, nil
}

// demoRuns is larger than the number of runs in a round.
const demoRuns = 10_000

// runsAfter returns the runs after the one with the given id, in order.
func (d *demonstration) runsAfter(ctx context.Context, id int64) ([]ranRun, error) {
	infos, err := journal.FindRuns(ctx, d.Service.Queue().Database(), journal.Filter{Limit: demoRuns})
	if err != nil {
		return nil, err
	}
	var out []ranRun
	for _, info := range slices.Backward(infos) {
		if info.ID <= id {
			continue
		}
		run := ranRun{Run: info}
		attempts, err := journal.Attempts(ctx, d.Service.Queue().Database(), info.ID)
		if err != nil {
			return nil, err
		}
		if len(attempts) > 0 {
			last := attempts[len(attempts)-1]
			run.took = last.Finished.Sub(last.Started)
			if last.Record != nil {
				record, err := history.ReadRecord(last.Record)
				if err != nil {
					return nil, fmt.Errorf("run %d: %w", info.ID, err)
				}
				run.trace = *record
			}
		}
		out = append(out, run)
	}
	return out, nil
}

func (d *demonstration) dealState(ctx context.Context, deal *demoDeal) (dealState, error) {
	s := dealState{ID: deal.id, Title: deal.title, Deleted: deal.deleted}
	if !deal.deleted {
		rows, err := d.People.Rows(ctx, "D", deal.id)
		if err != nil {
			return s, err
		}
		s.Rows = len(rows)
	}
	elements, err := d.People.Elements(ctx, deal.id)
	if err != nil {
		return s, err
	}
	s.Elements = len(elements)
	for _, e := range elements {
		if slices.Equal(e.Values(d.People.Props["SHIPPED"]), []string{d.People.Shipped}) {
			s.Shipped++
		}
	}
	return s, nil
}

func (d *demonstration) invoiceState(ctx context.Context, in *demoInvoice) (invoiceState, error) {
	s := invoiceState{ID: in.id, Title: in.title}
	rows, err := d.People.Rows(ctx, "SI", in.id)
	if err != nil {
		return s, err
	}
	s.Rows = len(rows)
	if s.Total, err = total(rows); err != nil {
		return s, err
	}
	helpers, err := d.People.Helpers(ctx, d.IDs.TotalsType, in.id)
	if err != nil {
		return s, err
	}
	if s.Helpers = len(helpers); s.Helpers > 0 {
		s.HelperTotal = &helpers[0]
	}
	return s, nil
}

// disagreements describes wrong totals and lists, and failed runs.
func (r *report) disagreements() []string {
	var out []string
	if r.Failed > 0 {
		out = append(out, amount(r.Failed, "run")+" failed")
	}
	for _, s := range r.Invoices {
		if !s.agrees() {
			held := "nothing"
			if s.HelperTotal != nil {
				held = s.HelperTotal.String()
			}
			out = append(out, fmt.Sprintf("invoice %d: the total is %s, %s with %s", s.ID, s.Total, amount(s.Helpers, "helper"), held))
		}
	}
	for _, s := range r.Deals {
		if !s.agrees() {
			out = append(out, fmt.Sprintf("deal %d has %s and %s", s.ID, amount(s.Rows, "row"), amount(s.Elements, "element")))
		}
	}
	return out
}

func (r *report) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// sortedCodes returns the codes of the events in alphabetical order.
func (r *report) sortedCodes() []string { return slices.Sorted(maps.Keys(r.codes)) }
