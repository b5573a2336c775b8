package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/b24rules/b24rules/internal/app/doctor"
	"github.com/b24rules/b24rules/internal/app/report"
)

var doctorCmd = &command{
	name:  "doctor",
	args:  "[--config FILE] [--portal NAME] [--format text|json]",
	short: "check that portals have what the rules need",
	long: `Doctor asks each portal for what the rules of its configuration need: the address
and its certificate, the credentials and their user, permissions, lists, types and
fields, the filter that a catch-up uses, clocks, and whether events arrive. It
changes nothing in the portal. It prints one line for each check, with what to do
when a check fails.

Unknown means that a check could not be made. It is no success.

Exit codes: 0 all checks passed, 1 a check failed, is unknown or has a warning, 2
usage error, 3 doctor could not run.`,
	setup: func(fs *flag.FlagSet) runFunc {
		path := configFlag(fs)
		portal := new(string)
		portalsVar(fs, portal, "only the portal")
		format := fs.String("format", "text", "print as `FORMAT`: text or json")
		return func(ctx context.Context, env environment, args []string) error {
			if err := none(args); err != nil {
				return err
			}
			if err := oneOf("format", *format, "text", "json"); err != nil {
				return err
			}
			return runDoctor(ctx, env, *path, *portal, *format)
		}
	},
}

func runDoctor(ctx context.Context, env environment, path, portal, format string) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	c, err := loadConfig(env, path)
	if err != nil {
		return err
	}
	rules, gen, err := loadRules(env, c)
	if err != nil {
		return err
	}
	if err := checkPortal(c, portal); err != nil {
		return err
	}
	s, done, err := openService(ctx, c, rules, true, warnings(env))
	if err != nil {
		return err
	}
	defer done()
	checks := []doctor.Check{}
	for _, f := range gen.Findings() {
		checks = append(checks, doctor.Check{Portal: "all", Name: "rules", State: doctor.Failed, Text: f.String(), Advice: "correct it: the portals are checked for the other rules"})
	}
	if format == "text" {
		if err := writeChecks(env.Out, checks); err != nil {
			return err
		}
	}
	for _, name := range portalNames(c, portal) {
		var found []doctor.Check
		if b := brokenPortal(c, name); b != nil {
			found = []doctor.Check{{Portal: name, Name: "configuration", State: doctor.Failed, Text: b.Reason(), Advice: "correct it: nothing else of the portal was checked"}}
		} else {
			found = doctor.Examine(ctx, s.DoctorPortal(name, time.Now))
		}
		if format == "text" {
			if err := writeChecks(env.Out, found); err != nil {
				return err
			}
		}
		checks = append(checks, found...)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if format == "json" {
		if err := report.WriteJSON(env.Out, checks); err != nil {
			return err
		}
	}
	if doctor.Worst(checks) != doctor.OK {
		return errFindings
	}
	return nil
}

// writeChecks prints the checks of one portal.
func writeChecks(w io.Writer, checks []doctor.Check) error {
	var errs []error
	for _, c := range checks {
		_, err := fmt.Fprintf(w, "%-10s %-12s %-8s %s\n", c.Portal, c.Name, c.State, c.Text)
		errs = append(errs, err)
		if c.Advice != "" {
			_, err := fmt.Fprintf(w, "%-10s %-12s %-8s -> %s\n", "", "", "", c.Advice)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
