package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/rules"
)

var demoCmd = &command{
	name:  "demo",
	args:  "[--once] [--format text|json]",
	short: "show both shipped rule sets at work",
	long: `Demo starts an emulated portal and the engine with both shipped rule sets on
loopback, with a database in a temporary folder. Then it changes deals and
invoices as people do, through the portal's REST API, and shows what came in,
what ran and what the portal holds in the end.

On a terminal it goes on with small changes until Ctrl-C; otherwise, and with
--once or --format json, it ends by itself.

Exit codes: 0 everything agrees, 1 a total or a list does not agree or a run has
failed, 2 wrong usage, 3 it could not be shown.`,
	setup: func(fs *flag.FlagSet) runFunc {
		once := fs.Bool("once", false, "end after the first round, on a terminal too")
		format := fs.String("format", "text", "print the result as `FORMAT`: text or json")
		return func(ctx context.Context, env environment, args []string) error {
			if err := none(args); err != nil {
				return err
			}
			if err := oneOf("format", *format, "text", "json"); err != nil {
				return err
			}
			return demo(ctx, env, *once || *format == "json" || !terminal(env.Out), *format == "json")
		}
	},
}

// demoPatience is how long a demo waits for its portal to become quiet.
const demoPatience = 2 * time.Minute

func demo(ctx context.Context, env environment, once, asJSON bool) (err error) {
	ctx, stop := interruptible(ctx)
	defer stop()
	dir, err := os.MkdirTemp("", "b24rules-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := newStage(ctx, stageOptions{
		emulator: emulator.Config{Plan: emulator.PlanEnterprise, ApplicationToken: "demo-application-token"},
		rules:    FilesIn(rules.FS),
		actions:  env.actions,
		inputs:   shippedInputs(),
		dir:      dir,
		log:      slog.New(slog.NewTextHandler(env.Err, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()

	d := &demonstration{stage: s, page: newPage(env.Out)}
	if asJSON {
		d.page = newPage(io.Discard)
	}
	r, err := d.show(ctx)
	if err == nil && asJSON {
		err = r.writeJSON(env.Out)
	}
	if err == nil && !once {
		err = d.goOn(ctx)
	}
	if err != nil || r == nil {
		return interrupted(ctx, err)
	}
	if wrong := r.disagreements(); len(wrong) > 0 {
		for _, w := range wrong {
			env.say("%s", w)
		}
		return errFindings
	}
	return nil
}

// show plays the story and writes down how it ends.
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

// interrupted hides the failures that the end of a demo by Ctrl-C brings.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// shippedInputs are what the shipped rule sets need on a seeded portal.
func shippedInputs() map[string]map[string]string {
	return map[string]map[string]string{
		"invoice-total":  {"helper_type": "{type}"},
		"deal-shipments": {"list": "{list}"},
	}
}

// demonstration is one demo: what people have done and what is to be shown.
type demonstration struct {
	*stage
	page     *page
	deals    []*demoDeal
	invoices []*demoInvoice
}

type demoDeal struct {
	id      int
	title   string
	rows    []row
	deleted bool
}

type demoInvoice struct {
	id    int
	title string
	rows  []row
}

// play is the story of the demo.
func (d *demonstration) play(ctx context.Context) error {
	d.page.title("A portal at %s/, to be looked at in a browser\nThe engine at %s", d.portalURL, d.hookURL)
	for _, scene := range []struct {
		title string
		steps []func(context.Context) error
	}{
		{"People add deals and invoices", []func(context.Context) error{d.addDeals, d.addInvoices}},
		{"A storekeeper ticks SHIPPED in the list", []func(context.Context) error{d.ship}},
		{"People change what they have added", []func(context.Context) error{d.changeDeals, d.changeInvoices}},
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

// quiet waits until the engine has caught up.
func (d *demonstration) quiet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, demoPatience)
	defer cancel()
	return d.wait(ctx)
}

func (d *demonstration) addDeals(ctx context.Context) error {
	for _, deal := range []*demoDeal{
		{title: "Roof", rows: []row{{"Tiles", "33.33", "3"}, {"Battens", "4.20", "25"}, {"Nails", "0.07", "1000"}}},
		{title: "Garage", rows: []row{{"Door", "1250", "1"}, {"Drive", "349.90", "1"}, {"Remote", "39.90", "2"}, {"Assembly", "85", "6.5"}}},
		{title: "Fence", rows: []row{{"Post", "18.75", "12"}, {"Panel", "64.99", "11"}}},
		{title: "Shed", rows: []row{{"Shed", "890", "1"}, {"Delivery", "49", "1"}}},
	} {
		id, err := d.people.addDeal(ctx, deal.title, deal.rows...)
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
		{title: "Thirds", rows: []row{{"A third", "33.33", "3"}}},
		{title: "Tenths", rows: []row{{"A tenth", "0.1", "1"}, {"Two tenths", "0.2", "1"}}},
		{title: "Many", rows: []row{{"Screw", "0.07", "1000"}, {"Cable", "1.15", "12.5"}, {"Hour", "59.95", "7.25"}}},
		{title: "Round", rows: []row{{"Gold", "57.835", "1"}}},
	} {
		id, err := d.people.addInvoice(ctx, in.title, in.rows...)
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
	elements, err := d.people.elements(ctx, roof.id)
	if err != nil {
		return err
	}
	if len(elements) == 0 {
		return fmt.Errorf("deal %d has no elements to ship", roof.id)
	}
	d.page.did("element %d of deal %d is shipped", elements[0].id(), roof.id)
	return d.people.ship(ctx, elements[0])
}

func (d *demonstration) changeDeals(ctx context.Context) error {
	roof, garage, shed := d.deals[0], d.deals[1], d.deals[3]
	for i := range roof.rows {
		roof.rows[i].quantity = roof.rows[i].quantity + "0"
	}
	d.page.did("deal %d: ten times the quantities", roof.id)
	if err := d.people.setRows(ctx, "D", roof.id, roof.rows); err != nil {
		return err
	}
	garage.rows = garage.rows[:3]
	d.page.did("deal %d: remove the row %q", garage.id, "Assembly")
	if err := d.people.setRows(ctx, "D", garage.id, garage.rows); err != nil {
		return err
	}
	shed.deleted, shed.rows = true, nil
	d.page.did("delete deal %d", shed.id)
	return d.people.deleteDeal(ctx, shed.id)
}

func (d *demonstration) changeInvoices(ctx context.Context) error {
	thirds, tenths := d.invoices[0], d.invoices[1]
	thirds.rows = append(thirds.rows, row{"Discounted", "12.49", "2"})
	d.page.did("invoice %d: %s", thirds.id, written(thirds.rows))
	if err := d.people.setRows(ctx, "SI", thirds.id, thirds.rows); err != nil {
		return err
	}
	d.page.did("invoice %d: two people rename it at the same moment", tenths.id)
	return d.people.race(ctx, tenths.id, "Tenths, paid", "Tenths, sent")
}

// goOn makes small changes until ctx ends.
func (d *demonstration) goOn(ctx context.Context) error {
	d.page.scene("Small changes go on until Ctrl-C")
	const pause = 3 * time.Second
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		deal := d.deals[n%3]
		i := n % len(deal.rows)
		deal.rows[i].quantity = fmt.Sprint(n%9 + 1)
		d.page.did("deal %d: %s × %s", deal.id, deal.rows[i].name, deal.rows[i].quantity)
		last, err := d.lastRun(ctx)
		if err != nil {
			return err
		}
		if err := d.people.setRows(ctx, "D", deal.id, deal.rows); err != nil {
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

// written writes rows down as people say them: 3 × 33.33 + 1 × 0.10.
func written(rows []row) string {
	text := ""
	for i, r := range rows {
		if i > 0 {
			text += " + "
		}
		text += r.quantity + " × " + r.price
	}
	return text
}
