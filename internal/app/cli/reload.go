package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/audit"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/reload"
)

var reloadCmd = &command{
	name:  "reload",
	args:  "[--config FILE] [--yes] [--format text|json]",
	short: "make serve read the configuration and the rules again, and show the result",
	long: `Reload asks each running serve of the database to read its configuration and its rule
files again, and prints what has changed and what does not run. Serve does this
automatically when files change. Reload waits for the result, and works where serve
cannot see changes.

If more than one portal and more than a tenth of them are missing in the new
configuration, serve keeps the current one, because the file is more likely wrong.
--yes removes these portals.

Exit codes: 0 what is on disk runs, 1 some of it does not, 2 usage error, 3 serve is
not running or does not answer.`,
	setup: func(fs *flag.FlagSet) runFunc {
		path := configFlag(fs)
		yes := fs.Bool("yes", false, "remove any number of portals")
		format := fs.String("format", "text", "print as `FORMAT`: text or json")
		return func(ctx context.Context, env environment, args []string) error {
			if err := errors.Join(none(args), oneOf("format", *format, "text", "json")); err != nil {
				return err
			}
			return withHistory(ctx, env, *path, func(_ *config.Config, q *queue.Queue) error {
				answers, silent, err := reload.Ask(ctx, q, reload.Request{ID: rand.Text(), Confirmed: *yes, By: person()})
				if err != nil {
					return err
				}
				if err := note(ctx, q, audit.Entry{Action: audit.Reloaded, Result: reloadText(answers, silent)}); err != nil {
					return err
				}
				if err := report.WriteReload(env.Out, *format, answers); err != nil {
					return err
				}
				if len(silent) > 0 {
					return fmt.Errorf("no answer within %s from %s", reload.Patience, strings.Join(silent, ", "))
				}
				if slices.ContainsFunc(answers, func(a reload.Answer) bool { return !a.Live() }) {
					return errFindings
				}
				return nil
			})
		}
	},
}
