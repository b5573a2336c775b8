package cli

import (
	"context"
	"flag"

	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/queue"
)

var whyCmd = &command{
	name:  "why",
	args:  "[--config FILE] [--portal NAME] [--format text|json] RECORD [FIELD]",
	short: "show which rule has written an element or an item",
	long: `Why shows which step of which rule has written a record, in which run, when and for
which entity. With FIELD it shows only the steps that write this field, and what they
have written as far as history has the run. For an entity of the CRM it also shows the
records that rules have made from it.

RECORD is an element of a list (element:47:12), an item of a smart process
(item:1038:5), or another entity of the CRM (deal:7, smart_invoice:3).

Why reads only the database. It knows what rules have written since the database was
made or upgraded, or since the last sync. It does not know what call and set_products
have written.

Exit codes: 0 a rule has written the record or made something from it, 1 no rule is
known, 2 usage error, 3 why could not read the database.`,
	setup: func(fs *flag.FlagSet) runFunc {
		path := configFlag(fs)
		portal := new(string)
		portalsVar(fs, portal, "not needed if there is only one: the portal")
		format := fs.String("format", "text", "print as `FORMAT`: text or json")
		return func(ctx context.Context, env environment, args []string) error {
			if err := oneOf("format", *format, "text", "json"); err != nil {
				return err
			}
			place, id, field, err := report.ParseRecord(args)
			if err != nil {
				return usageOf(err)
			}
			return withHistory(ctx, env, *path, func(c *config.Config, q *queue.Queue) error {
				return eachPortal(env, c, *portal, true, func(name string) error {
					w, err := report.ReadWhy(ctx, q, name, place, id, field)
					if err != nil {
						return err
					}
					if *format == "json" {
						err = report.WriteJSON(env.Out, w)
					} else {
						err = w.Write(env.Out, zoneOf(c, name))
					}
					if err == nil && !w.Known() {
						err = errFindings
					}
					return err
				})
			})
		}
	},
}
