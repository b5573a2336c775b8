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
	args:  "[--config FILE] [--portal NAME] [--format text|json] [--probe [--out FILE]]",
	short: "check that portals have what the rules need",
	long: `Doctor asks each portal for what the rules of its configuration need: the address
and its certificate, the credentials and their user, permissions, lists, types and
fields, the filter that a catch-up uses, clocks, whether events arrive, also those that
serve has refused because of a wrong token, and whether the portal has refused requests
because of its rate limit. It prints one line for each check, with what to do when a
check fails. It changes nothing in the portal.

Unknown means that a check could not be made. It is no success.

With --probe, doctor asks one portal what no documentation decides: whether filters take
lists of owners, what an update clears, which events follow which change, and more.
This writes: it makes two or three deals and a list, and removes them, also after
Ctrl-C. The next probe removes what a killed one has left. Robots and rules of the portal
see these deals. The report is a file without data of the portal. With it, b24rules
emulator --like is a portal that answers in the same way. The questions about events
need a running serve that receives the events of the portal.

Exit codes: 0 all checks passed, 1 a check failed, is unknown or has a warning, 2
usage error, 3 doctor could not run.`,
	setup: func(fs *flag.FlagSet) runFunc {
		path := configFlag(fs)
		portal := new(string)
		portalsVar(fs, portal, "only the portal")
		format := fs.String("format", "text", "print as `FORMAT`: text or json")
		ask := fs.Bool("probe", false, "ask the portal what no documentation decides; makes and removes deals and a list")
		out := fs.String("out", "", "write the report of --probe to `FILE` (default NAME.probe.yaml)")
		return func(ctx context.Context, env environment, args []string) error {
			if err := none(args); err != nil {
				return err
			}
			if err := oneOf("format", *format, "text", "json"); err != nil {
				return err
			}
			if *out != "" && !*ask {
				return usagef("--out needs --probe")
			}
			if *ask {
				return (&probing{path: *path, portal: *portal, out: *out}).run(ctx, env)
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
	served := haveDatabase(c) == nil // openService may replace the database by an empty one
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
		if b := c.BrokenPortal(name); b != nil {
			found = []doctor.Check{{Portal: name, Name: "configuration", State: doctor.Failed, Text: b.Reason(), Advice: "correct it: nothing else of the portal was checked"}}
		} else {
			p := s.DoctorPortal(name, time.Now)
			if !served {
				p.Latest, p.Arrivals, p.Limited = nil, nil, nil
			}
			found = doctor.Examine(ctx, p)
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
