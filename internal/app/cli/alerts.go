package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"github.com/b24rules/b24rules/internal/alerts"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/app/service"
	"github.com/b24rules/b24rules/internal/audit"
	"github.com/b24rules/b24rules/internal/cause"
	"github.com/b24rules/b24rules/internal/queue"
)

var alertsCmd = &command{
	name:  "alerts",
	args:  "COMMAND [FLAGS]",
	short: "test the receivers of alerts, acknowledge a cause",
	long: `Serve sends alerts to the receivers in the configuration (alerts) when something is
wrong and when it is over: a fault of a portal, a stopped rule, late runs, parked runs,
events that could not be stored, an invalid rule file. One message is sent for a cause,
and not for each run. Receivers of the daily summary get all of it once a day.`,
	setup: func(*flag.FlagSet) runFunc { return nil },
	subs:  []*command{alertsTestCmd, alertsAcknowledgeCmd},
}

var alertsAcknowledgeCmd = &command{
	name:  "alerts acknowledge",
	args:  "[--config FILE] [--note TEXT] CAUSE",
	short: "say that you know why runs are parked",
	long: `Acknowledge stores that a person knows of a cause. There is no alert about its parked
runs, and their portals are not failing, until another portal or rule fails because of
it. 'b24rules runs list --by cause' lists the causes.

Exit codes: 0 acknowledged, 1 the configuration has errors, 2 usage error, also an
unknown cause, 3 the history cannot be read.`,
	setup: func(fs *flag.FlagSet) runFunc {
		path := configFlag(fs)
		note := fs.String("note", "", "what others should know: `TEXT`")
		return func(ctx context.Context, env environment, args []string) error {
			if len(args) != 1 {
				return usagef("which cause? b24rules runs list --by cause lists them")
			}
			return withHistory(ctx, env, *path, func(c *config.Config, q *queue.Queue) error {
				stored, err := report.FindCause(ctx, q, "cause", args[0])
				if filter := (*report.FilterError)(nil); errors.As(err, &filter) {
					return usageOf(err)
				}
				if err != nil {
					return err
				}
				n, err := report.Acknowledge(ctx, q, stored, c.Redactor.Text(*note), nil, byPerson(audit.Entry{At: time.Now()}))
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(env.Out, "acknowledged cause %s: %s, %s\n", cause.ID(stored), cause.Parse(stored).Title(), report.Plural(n, "parked run", "parked runs"))
				return err
			})
		}
	},
}

var alertsTestCmd = &command{
	name:  "alerts test",
	args:  "[--config FILE]",
	short: "send a test message to each receiver",
	long: `Test sends a message to each receiver of the configuration at once, and prints which
have taken it. It needs no serve and no database.

Exit codes: 0 all receivers have taken it, 1 the configuration has errors, 2 usage
error, 3 a receiver has not taken it.`,
	setup: func(fs *flag.FlagSet) runFunc {
		path := configFlag(fs)
		return func(ctx context.Context, env environment, args []string) error {
			if err := none(args); err != nil {
				return err
			}
			c, err := loadConfig(env, *path)
			if err != nil {
				return err
			}
			receivers := service.Receivers(c.Alerts)
			if len(receivers) == 0 {
				return fmt.Errorf("%s has no receivers of alerts: add alerts: {to: {NAME: {webhook: https://…}}}", *path)
			}
			failed := 0
			for i, err := range alerts.SendTest(ctx, receivers, time.Now()) {
				if err != nil {
					env.say("%s: %v", receivers[i].Name, env.redactor.Error(err))
					failed++
					continue
				}
				_, _ = fmt.Fprintf(env.Out, "%s: sent\n", receivers[i].Name)
			}
			if failed > 0 {
				return errors.New("not every receiver has taken the message")
			}
			return nil
		}
	},
}
