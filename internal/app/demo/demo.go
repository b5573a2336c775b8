// Package demo runs the program with an emulated portal and simulated users, who
// change deals and invoices.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/wakeup"
	"github.com/b24rules/b24rules/rules"
)

// demoPatience is how long a demo waits until all events are processed.
const demoPatience = 2 * time.Minute

// Options configure Run.
type Options struct {
	// Actions are the actions that rules may use.
	Actions []*engine.Action
	// Out receives the result, as text (Bold allows bold text) or as one JSON object.
	Out        io.Writer
	Bold, JSON bool
	// Once ends the demo after the first round.
	Once bool
	Log  *slog.Logger
}

// Run runs the demo until it ends or ctx ends. wrong describes wrong totals and
// lists, and failed runs.
func Run(ctx context.Context, o Options) (wrong []string, err error) {
	dir, err := os.MkdirTemp("", "b24rules-demo-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := NewFixture(ctx, FixtureOptions{
		Emulator: emulator.Config{Plan: emulator.PlanEnterprise, ApplicationToken: "demo-application-token"},
		Rules:    fleet.FilesIn(rules.FS),
		Actions:  o.Actions,
		Inputs:   ShippedInputs(),
		Dir:      dir,
		Log:      o.Log,
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()

	d := &demonstration{Fixture: s, page: newPage(o.Out, o.Bold)}
	if o.JSON {
		d.page = newPage(io.Discard, false)
	}
	r, err := d.show(ctx)
	if err == nil && o.JSON {
		err = r.writeJSON(o.Out)
	}
	if err == nil && !o.Once {
		err = d.continueChanges(ctx)
	}
	if err != nil || r == nil {
		return nil, interrupted(ctx, err)
	}
	return r.disagreements(), nil
}

// show runs the scenes and returns the report.
func (d *demonstration) show(ctx context.Context) (*report, error) {
	if err := d.play(ctx); err != nil {
		return nil, err
	}
	r, err := d.report(ctx)
	if err != nil {
		return nil, err
	}
	d.page.report(r)
	return r, d.page.failed
}

// interrupted hides the errors that Ctrl-C causes.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// ShippedInputs are the inputs of the shipped rule sets on a seeded portal.
func ShippedInputs() map[string]map[string]string {
	return map[string]map[string]string{
		"invoice-total":  {"helper_type": "{type}"},
		"deal-shipments": {"list": "{list}"},
	}
}

// demonstration is one demo: the data that people have changed, and the output.
type demonstration struct {
	*Fixture
	page     *page
	deals    []*demoDeal
	invoices []*demoInvoice
}

type demoDeal struct {
	id      int
	title   string
	rows    []Row
	deleted bool
}

type demoInvoice struct {
	id    int
	title string
	rows  []Row
}

// play runs the scenes of the demo.
func (d *demonstration) play(ctx context.Context) error {
	d.page.title("Portal (open it in a browser): %s/\nEngine: %s", d.PortalURL, d.HookURL)
	for _, scene := range []struct {
		title string
		steps []func(context.Context) error
	}{
		{"People add deals and invoices", []func(context.Context) error{d.addDeals, d.addInvoices}},
		{"A storekeeper checks SHIPPED in the list", []func(context.Context) error{d.ship}},
		{"People change deals and invoices", []func(context.Context) error{d.changeDeals, d.changeInvoices}},
	} {
		d.page.scene(scene.title)
		for _, step := range scene.steps {
			if err := step(ctx); err != nil {
				return err
			}
		}
		if err := d.quiet(ctx); err != nil {
			return err
		}
	}
	return nil
}

// quiet waits until all events are processed.
func (d *demonstration) quiet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, demoPatience)
	defer cancel()
	return d.Wait(ctx)
}

func (d *demonstration) addDeals(ctx context.Context) error {
	for _, deal := range []*demoDeal{
		{title: "Roof", rows: []Row{{"Tiles", "33.33", "3"}, {"Battens", "4.20", "25"}, {"Nails", "0.07", "1000"}}},
		{title: "Garage", rows: []Row{{"Door", "1250", "1"}, {"Drive", "349.90", "1"}, {"Remote", "39.90", "2"}, {"Assembly", "85", "6.5"}}},
		{title: "Fence", rows: []Row{{"Post", "18.75", "12"}, {"Panel", "64.99", "11"}}},
		{title: "Shed", rows: []Row{{"Shed", "890", "1"}, {"Delivery", "49", "1"}}},
	} {
		id, err := d.People.AddDeal(ctx, deal.title, deal.rows...)
		if err != nil {
			return err
		}
		deal.id = id
		d.deals = append(d.deals, deal)
		d.page.did("add deal %d %q with %s", id, deal.title, amount(len(deal.rows), "row"))
	}
	return nil
}

func (d *demonstration) addInvoices(ctx context.Context) error {
	for _, in := range []*demoInvoice{
		{title: "Thirds", rows: []Row{{"A third", "33.33", "3"}}},
		{title: "Tenths", rows: []Row{{"A tenth", "0.1", "1"}, {"Two tenths", "0.2", "1"}}},
		{title: "Many", rows: []Row{{"Screw", "0.07", "1000"}, {"Cable", "1.15", "12.5"}, {"Hour", "59.95", "7.25"}}},
		{title: "Round", rows: []Row{{"Gold", "57.835", "1"}}},
	} {
		id, err := d.People.AddInvoice(ctx, in.title, in.rows...)
		if err != nil {
			return err
		}
		in.id = id
		d.invoices = append(d.invoices, in)
		d.page.did("add invoice %d %q with %s", id, in.title, written(in.rows))
	}
	return nil
}

func (d *demonstration) ship(ctx context.Context) error {
	roof := d.deals[0]
	elements, err := d.People.Elements(ctx, roof.id)
	if err != nil {
		return err
	}
	if len(elements) == 0 {
		return fmt.Errorf("deal %d has no elements to ship", roof.id)
	}
	d.page.did("element %d of deal %d is shipped", elements[0].ID(), roof.id)
	return d.People.Ship(ctx, elements[0])
}

func (d *demonstration) changeDeals(ctx context.Context) error {
	roof, garage, shed := d.deals[0], d.deals[1], d.deals[3]
	for i := range roof.rows {
		roof.rows[i].Quantity = roof.rows[i].Quantity + "0"
	}
	d.page.did("deal %d: ten times the quantities", roof.id)
	if err := d.People.SetRows(ctx, "D", roof.id, roof.rows); err != nil {
		return err
	}
	garage.rows = garage.rows[:3]
	d.page.did("deal %d: remove the row %q", garage.id, "Assembly")
	if err := d.People.SetRows(ctx, "D", garage.id, garage.rows); err != nil {
		return err
	}
	shed.deleted, shed.rows = true, nil
	d.page.did("delete deal %d", shed.id)
	return d.People.DeleteDeal(ctx, shed.id)
}

func (d *demonstration) changeInvoices(ctx context.Context) error {
	thirds, tenths := d.invoices[0], d.invoices[1]
	thirds.rows = append(thirds.rows, Row{"Discounted", "12.49", "2"})
	d.page.did("invoice %d: %s", thirds.id, written(thirds.rows))
	if err := d.People.SetRows(ctx, "SI", thirds.id, thirds.rows); err != nil {
		return err
	}
	d.page.did("invoice %d: two people rename it at the same time", tenths.id)
	return d.People.Race(ctx, tenths.id, "Tenths, paid", "Tenths, sent")
}

// continueChanges makes small changes until ctx ends.
func (d *demonstration) continueChanges(ctx context.Context) error {
	d.page.scene("Small changes until Ctrl-C")
	const pause = 3 * time.Second
	for n := 1; ; n++ {
		if wakeup.Sleep(ctx, pause) != nil {
			return nil
		}
		deal := d.deals[n%3]
		i := n % len(deal.rows)
		deal.rows[i].Quantity = fmt.Sprint(n%9 + 1)
		d.page.did("deal %d: %s × %s", deal.id, deal.rows[i].Name, deal.rows[i].Quantity)
		last, err := d.lastRun(ctx)
		if err != nil {
			return err
		}
		if err := d.People.SetRows(ctx, "D", deal.id, deal.rows); err != nil {
			return err
		}
		if err := d.quiet(ctx); err != nil {
			return err
		}
		ran, err := d.runsAfter(ctx, last)
		if err != nil {
			return err
		}
		d.page.runs(ran)
	}
}

// written formats rows: 3 × 33.33 + 1 × 0.10.
func written(rows []Row) string {
	text := ""
	for i, r := range rows {
		if i > 0 {
			text += " + "
		}
		text += r.Quantity + " × " + r.Price
	}
	return text
}

// amount formats a number with its noun.
func amount(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
