package cli

import (
	"context"
	"flag"
	"slices"

	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/audit"
	"github.com/b24rules/b24rules/internal/queue"
)

var auditCmd = &command{
	name:  "audit",
	args:  "[--config FILE] [--who NAME] [--what ACTION] [--portal NAME] [--limit N] [--before ENTRY] [--format text|json]",
	short: "show what people and programs did",
	long: `Audit shows who replayed, discarded, paused, resumed, ran, planned, applied, pruned,
released, reloaded or acknowledged something, and who signed in to the console, the
latest first. Entries are kept for 400 days.

--format json prints one object with "entries" and "next", the number for --before that
returns the next page.`,
	setup: func(fs *flag.FlagSet) runFunc {
		path := configFlag(fs)
		var f audit.Filter
		what := fs.String("what", "", "only the `ACTION`, such as replayed")
		fs.StringVar(&f.Who, "who", "", "only what `NAME` did")
		fs.StringVar(&f.Portal, "portal", "", "only what was done to the portal `NAME`")
		fs.IntVar(&f.Limit, "limit", 50, "print at most `N` entries")
		fs.Int64Var(&f.Before, "before", 0, "only entries before the number `ENTRY`: the next page")
		format := fs.String("format", "text", "print as `FORMAT`: text or json")
		return func(ctx context.Context, env environment, args []string) error {
			if err := none(args); err != nil {
				return err
			}
			if err := oneOf("format", *format, "text", "json"); err != nil {
				return err
			}
			if err := checkPage(f.Limit, f.Before, "an entry"); err != nil {
				return err
			}
			var words []string
			for _, a := range audit.Actions() {
				words = append(words, string(a))
			}
			if f.Action = audit.Action(*what); *what != "" && !slices.Contains(words, *what) {
				return oneOf("what", *what, words...)
			}
			return withHistory(ctx, env, *path, func(c *config.Config, q *queue.Queue) error {
				limit := f.Limit
				f.Limit++
				list, err := audit.New(q.Database()).List(ctx, f)
				if err != nil {
					return err
				}
				next := int64(0)
				if len(list) > limit {
					list = list[:limit]
					next = list[limit-1].ID
				}
				if len(list) == 0 && *format == "text" {
					env.say("no entries")
					return nil
				}
				return report.WriteAudit(env.Out, *format, list, next, known(c))
			})
		}
	},
}

// note stores what the user of the command line did.
func note(ctx context.Context, q *queue.Queue, e audit.Entry) error {
	return audit.New(q.Database()).Add(ctx, byPerson(e))
}

// begin stores the entry of an act of many transactions. result says what it has done so far.
func begin(ctx context.Context, q *queue.Queue, e audit.Entry, result func(n int) string) (*audit.Act, error) {
	return audit.New(q.Database()).Begin(ctx, byPerson(e), result)
}

// noted stores it in the transaction of the act.
func noted(e audit.Entry) queue.Also { return audit.Counting(byPerson(e)) }

func byPerson(e audit.Entry) audit.Entry {
	e.Who, e.Via = person(), audit.ViaCLI
	return e
}
