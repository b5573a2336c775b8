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
