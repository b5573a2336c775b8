package cli

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/queue"
)

var eventsCmd = &command{
	name:  "events",
	args:  "COMMAND [FLAGS] [ARGUMENTS]",
	short: "show received events",
	long: `Events shows the stored events of portals, also those that no rule matched. It
works with and without a running serve.

history.events and history.succeeded in the configuration limit how long events are
stored.`,
	setup: func(*flag.FlagSet) runFunc { return nil },
	subs:  []*command{eventsListCmd, eventsShowCmd},
}

var eventsListCmd = &command{
	name:  "events list",
	args:  "[--config FILE] [--portal NAME] [--code CODE] [--no-rule] [--since TIME] [--limit N] [--before EVENT] [--format text|json]",
	short: "list events, the latest first",
	long: `List prints events, the latest first: the time, the portal, the code, the number of
rules that matched, and the data.

On a terminal the lines are cut to its width. --format json prints one object
with "events" and "next", the number for --before that returns the next page.`,
	setup: func(fs *flag.FlagSet) runFunc {
		l := &eventsList{}
		path := configFlag(fs)
		fs.StringVar(&l.filter.Portal, "portal", "", "only events of the portal `NAME`")
		fs.StringVar(&l.filter.Code, "code", "", "only events with the `CODE`, such as ONCRMDEALUPDATE")
		fs.BoolVar(&l.filter.NoRule, "no-rule", false, "only events that no rule matched")
		fs.StringVar(&l.since, "since", "", "only events that arrived since `TIME`: 2h, 3d, 2026-01-31 or 2026-01-31T15:00:00+03:00")
		fs.IntVar(&l.filter.Limit, "limit", 50, "print at most `N` events")
		fs.Int64Var(&l.filter.Before, "before", 0, "only events before the number `EVENT`: the next page")
		fs.StringVar(&l.format, "format", "text", "print as `FORMAT`: text or json")
		return func(ctx context.Context, env environment, args []string) error {
			if err := none(args); err != nil {
				return err
			}
			return l.run(ctx, env, *path)
		}
	},
}

type eventsList struct {
	filter        queue.EventFilter
	since, format string
}

func (l *eventsList) run(ctx context.Context, env environment, path string) error {
	if err := oneOf("format", l.format, "text", "json"); err != nil {
		return err
	}
	if err := checkPage(l.filter.Limit, l.filter.Before, "an event"); err != nil {
		return err
	}
	f := l.filter
	f.Code = strings.ToUpper(f.Code)
	if l.since != "" {
		var err error
		if f.From, err = parseSince(l.since, time.Now()); err != nil {
			return err
		}
	}
	return withHistory(ctx, env, path, func(c *config.Config, q *queue.Queue) error {
		if err := checkPortal(c, f.Portal, true); err != nil {
			return err
		}
		f.Limit++ // to see whether there is a next page
		events, err := q.FindEvents(ctx, f)
		if err != nil {
			return err
		}
		next := int64(0)
		if len(events) == f.Limit {
			events = events[:f.Limit-1]
			next = events[len(events)-1].ID
		}
		for i := range events {
			events[i].Data = c.Redactor.JSON(events[i].Data)
		}
		if l.format == "text" && len(events) == 0 {
			env.say("no events")
			return nil
		}
		if err := report.WriteEvents(env.Out, l.format, events, next); err != nil {
			return err
		}
		if l.format == "text" && next != 0 {
			env.say("for more events add --before %d", next)
		}
		return nil
	})
}

// checkPage checks --limit and --before.
func checkPage(limit int, before int64, what string) error {
	if limit < 1 || limit > 10_000 {
		return usagef("--limit %d: want 1 to 10000", limit)
	}
	if before < 0 {
		return usagef("--before %d: want the number of %s", before, what)
	}
	return nil
}

var eventsShowCmd = &command{
	name:  "events show",
	args:  "[--config FILE] [--format text|json] EVENT",
	short: "show an event in detail",
	long: `Show prints the stored form of an event: its code, its data and its times, and the
runs that it has started.

b24rules explain --event - can read the output of --format json. It shows which
rules match the event, and why the others do not.`,
	setup: func(fs *flag.FlagSet) runFunc {
		path := configFlag(fs)
		format := fs.String("format", "text", "print as `FORMAT`: text or json")
		return func(ctx context.Context, env environment, args []string) error {
			if err := oneOf("format", *format, "text", "json"); err != nil {
				return err
			}
			ids, err := numbers(args, "an event", "events list")
			if err != nil {
				return err
			}
			if len(ids) != 1 {
				return usagef("which event? 'b24rules events list' shows the numbers")
			}
			return withHistory(ctx, env, *path, func(c *config.Config, q *queue.Queue) error {
				e, err := readEvent(ctx, q, ids[0])
				if err != nil {
					return err
				}
				e.Data = c.Redactor.JSON(e.Data)
				return report.WriteEvent(env.Out, *format, e)
			})
		}
	},
}

// readEvent reads an event and its runs.
func readEvent(ctx context.Context, q *queue.Queue, id int64) (report.Event, error) {
	events, err := q.FindEvents(ctx, queue.EventFilter{ID: id})
	if err != nil {
		return report.Event{}, err
	}
	if len(events) == 0 {
		return report.Event{}, fmt.Errorf("event %d does not exist; the history may have been deleted", id)
	}
	runs, err := q.Runs(ctx, queue.Filter{Event: id})
	return report.Event{Event: events[0], Runs: runs}, err
}
