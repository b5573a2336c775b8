package cli

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/schemas"
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
	args:  "[--config FILE] [--portal NAME] [--code CODE] [--no-rule] [--any-rule] [--rule ID] [--entity ENTITY] [--from TIME] [--until TIME] [--limit N] [--before EVENT] [--format text|json]",
	short: "list events, the latest first",
	long: `List prints events, the latest first: the time, the portal, the code, the number of
rules that matched, and the data.

--rule and --entity select the events that started a run of the rule or for the entity,
or joined one. Times are those of the portal, and the first line names its time zone.
--from and --until also accept --since and --to.

On a terminal the lines are cut to its width. --format json prints one object
with "events" and "next", the number for --before that returns the next page.`,
	setup: func(fs *flag.FlagSet) runFunc {
		l := &eventsList{}
		path := configFlag(fs)
		l.historyFilter.flags(fs, "events", "that arrived")
		fs.StringVar(&l.filter.Code, "code", "", "only events with the `CODE`, such as ONCRMDEALUPDATE")
		fs.BoolVar(&l.filter.NoRule, "no-rule", false, "only events that no rule matched")
		fs.BoolVar(&l.filter.AnyRule, "any-rule", false, "only events that a rule matched")
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
	historyFilter
	filter journal.EventFilter
	format string
}

func (l *eventsList) run(ctx context.Context, env environment, path string) error {
	if err := oneOf("format", l.format, "text", "json"); err != nil {
		return err
	}
	if err := checkPage(l.filter.Limit, l.filter.Before, "an event"); err != nil {
		return err
	}
	f := l.filter
	f.Rule, f.Code = l.rule, strings.ToUpper(f.Code)
	var err error
	if f.Entity, err = l.entityText(); err != nil {
		return err
	}
	if f.NoRule && (f.Rule != "" || f.Entity != "") {
		return usagef("an event that no rule matched has no run: remove --no-rule, or --rule and --entity")
	}
	if f.NoRule && f.AnyRule {
		return usagef("no event is selected by both --no-rule and --any-rule: remove one")
	}
	return withHistory(ctx, env, path, func(c *config.Config, q *queue.Queue) error {
		if f.Portals, err = historyPortals(c, l.portal); err != nil {
			return err
		}
		if f.From, f.To, err = l.times(c, time.Now()); err != nil {
			return err
		}
		if err := l.known(ctx, env, c, q); err != nil {
			return err
		}
		if err := knownCode(ctx, q, f.Code); err != nil {
			return err
		}
		f.Limit++ // to see whether there is a next page
		events, err := journal.FindEvents(ctx, q.Database(), f)
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
		if err := report.WriteEvents(env.Out, l.format, events, next, known(c)); err != nil {
			return err
		}
		if l.format == "text" && next != 0 {
			env.say("for more events add --before %d", next)
		}
		return nil
	})
}

// knownCode refuses the code of an event that neither Bitrix24 nor the history has.
func knownCode(ctx context.Context, q *queue.Queue, code string) error {
	if _, _, ok := schemas.LookupEvent(code); ok || code == "" {
		return nil
	}
	found, err := journal.FindEvents(ctx, q.Database(), journal.EventFilter{Code: code, Limit: 1})
	if err != nil || len(found) > 0 {
		return err
	}
	var codes []string
	for _, e := range schemas.Events() {
		codes = append(codes, e.Code)
	}
	text := fmt.Sprintf("--code %q: Bitrix24 has no such event, and the history has none", code)
	if near := diag.Closest(code, codes); near != "" {
		text += fmt.Sprintf(" (did you mean %s?)", near)
	}
	return &usageError{text: text}
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
				return report.WriteEvent(env.Out, *format, e, known(c))
			})
		}
	},
}

// readEvent reads an event and its runs.
func readEvent(ctx context.Context, q *queue.Queue, id int64) (report.Event, error) {
	events, err := journal.FindEvents(ctx, q.Database(), journal.EventFilter{ID: id})
	if err != nil {
		return report.Event{}, err
	}
	if len(events) == 0 {
		return report.Event{}, fmt.Errorf("event %d does not exist; the history may have been deleted", id)
	}
	runs, err := journal.FindRuns(ctx, q.Database(), journal.Filter{Event: id})
	return report.Event{Event: events[0], Runs: runs}, err
}
