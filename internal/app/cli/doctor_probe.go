package cli

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/probe"
)

// probing is one run of doctor --probe.
type probing struct {
	path, portal, out string
	// wait and quiet are those of probe.Options.
	wait, quiet time.Duration
}

// run makes the probe and writes its report.
func (p *probing) run(ctx context.Context, env environment) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	c, err := loadConfig(env, p.path)
	if err != nil {
		return err
	}
	rules, _, err := loadRules(env, c)
	if err != nil {
		return err
	}
	name, err := onePortal(env, c, p.portal)
	if err != nil {
		return err
	}
	hasEvents := haveDatabase(c) == nil
	forget, err := withoutDatabase(c)
	if err != nil {
		return err
	}
	defer forget()
	s, done, err := openService(ctx, c, rules, false, warnings(env))
	if err != nil {
		return err
	}
	defer done()
	o := probe.Options{
		Client: s.DoctorPortal(name, time.Now).Client, Wait: p.wait, Quiet: p.quiet, Now: time.Now,
		Say: func(text string) { env.say("%s", text) },
	}
	if hasEvents {
		o.Events = s.DealEvents(name)
	}
	report, err := probe.Run(ctx, o)
	if err != nil {
		return fmt.Errorf("portal %s: %w", name, err)
	}
	file := p.out
	if file == "" {
		file = name + ".probe.yaml"
	}
	if err := os.WriteFile(file, report.Encode(), 0o666); err != nil {
		return config.Plain(err)
	}
	for _, q := range probe.Names() {
		a := report.Answers[q]
		if _, err := fmt.Fprintf(env.Out, "%-23s %-8s %s\n", q, a.Value, a.Seen); err != nil {
			return err
		}
	}
	for _, change := range probe.Changes() {
		codes, ok := report.Events[change]
		text := "not seen"
		if ok && len(codes) == 0 {
			text = "no event"
		} else if ok {
			text = strings.Join(codes, ", ")
		}
		if _, err := fmt.Fprintf(env.Out, "%-23s %-8s %s\n", "events of "+change, "", text); err != nil {
			return err
		}
	}
	env.say("wrote %s; what the probe made is removed", file)
	return nil
}

// likeness sets an emulated portal to the answers of a report.
var likeness = map[string]func(c *emulator.Config, yes bool){
	"owners_of_rows":        func(c *emulator.Config, yes bool) { c.SingleOwner = c.SingleOwner || !yes },
	"owners_of_elements":    func(c *emulator.Config, yes bool) { c.SingleOwner = c.SingleOwner || !yes },
	"references_in_filters": func(c *emulator.Config, yes bool) { c.NoReferences = !yes },
	"element_code_unique":   func(c *emulator.Config, yes bool) { c.DoubleCodes = !yes },
	"element_code_checked":  func(c *emulator.Config, yes bool) { c.StrictElementCode = yes },
	"update_clears":         func(c *emulator.Config, yes bool) { c.KeepOmitted = !yes },
	"ids_are_numbers":       func(c *emulator.Config, yes bool) { c.TextNumbers = !yes },
	"long_numbers":          func(c *emulator.Config, yes bool) { c.LongFloats = yes },
	"dates_day_first":       func(c *emulator.Config, yes bool) { c.DayFirst = yes },
	"operating_counts_short": func(c *emulator.Config, yes bool) {
		if yes {
			c.Operating.Cost = func(string) time.Duration { return countedAlways }
		}
	},
	"offline_extended": func(c *emulator.Config, yes bool) { c.NoOfflineExtended = !yes },
	"auth_connector":   func(c *emulator.Config, yes bool) { c.NoAuthConnector = !yes },
}

// countedAlways is what each command counts on a portal that counts short ones.
const countedAlways = 101 * time.Millisecond

// like makes an emulated portal answer as a report says. What is unknown stays.
func like(c *emulator.Config, r *probe.Report) {
	for name, a := range r.Answers {
		if a.Value != probe.Unknown {
			likeness[name](c, a.Value == probe.Yes)
		}
	}
	if codes, ok := r.Events["unchanged"]; ok {
		c.UnchangedUpdates = len(codes) > 0
	}
	if codes, ok := r.Events["rows"]; ok {
		c.SilentRows = len(codes) == 0
	}
	if codes, ok := r.Events["move"]; ok {
		c.MoveAlsoUpdates = contains(codes, "ONCRMDEALUPDATE")
	}
	if at, err := time.Parse("-07:00", r.Offset); err == nil {
		_, seconds := at.Zone()
		c.Location = time.FixedZone("", seconds)
	}
	c.Currency = r.Currency
	c.Scopes = r.Scopes
}
