package cli

import (
	"context"
	"flag"

	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/report"
)

var demoCmd = &command{
	name:  "demo",
	args:  "[--once] [--format text|json]",
	short: "run both shipped rule sets on an emulated portal",
	long: `Demo starts an emulated portal and the engine with both shipped rule sets on
loopback, with a database in a temporary folder. Simulated users change deals and
invoices through the portal's REST API. The command shows events and runs, and
finally the data of the portal.

On a terminal the users continue with small changes until Ctrl-C. Otherwise, and
with --once or --format json, the demo ends after the first round.

Exit codes: 0 all totals and lists are correct, 1 a total or a list is wrong or a
run failed, 2 usage error, 3 the demo could not run.`,
	setup: func(fs *flag.FlagSet) runFunc {
		once := fs.Bool("once", false, "end after the first round, also on a terminal")
		format := fs.String("format", "text", "print the result as `FORMAT`: text or json")
		return func(ctx context.Context, env environment, args []string) error {
			if err := none(args); err != nil {
				return err
			}
			if err := oneOf("format", *format, "text", "json"); err != nil {
				return err
			}
			return runDemo(ctx, env, *once || *format == "json" || !report.IsTerminal(env.Out), *format == "json")
		}
	},
}

func runDemo(ctx context.Context, env environment, once, asJSON bool) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	wrong, err := demo.Run(ctx, demo.Options{
		Actions: env.actions, Out: env.Out, Bold: report.UsesColor(env.Out), JSON: asJSON, Once: once, Log: warnings(env),
	})
	if err != nil {
		return err
	}
	for _, w := range wrong {
		env.say("%s", w)
	}
	if len(wrong) > 0 {
		return errFindings
	}
	return nil
}
