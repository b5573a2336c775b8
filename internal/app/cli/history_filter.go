package cli

import (
	"context"
	"flag"
	"time"

	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
)

// historyFilter are the flags that select runs and events.
type historyFilter struct {
	portal, rule, entity string
	from, until          string
	since, to            string // other spellings of from and until
}

// flags declares the flags. what are runs or events; arrived says which time of them is
// compared.
func (f *historyFilter) flags(fs *flag.FlagSet, what, arrived string) {
	portalsVar(fs, &f.portal, "only "+what+" of the portal")
	fs.StringVar(&f.rule, "rule", "", "only "+what+" of the rule `ID`")
	fs.StringVar(&f.entity, "entity", "", "only "+what+" for `ENTITY`, such as deal:759 or item:31:7")
	fs.StringVar(&f.from, "from", "", "only "+what+" "+arrived+" at `TIME` or later: 2h (ago), 3d, 2026-01-31, '2026-01-31 15:00' or 2026-01-31T15:00:00+03:00")
	fs.StringVar(&f.until, "until", "", "only "+what+" "+arrived+" before `TIME`; a date includes that day")
	fs.StringVar(&f.since, "since", "", "the same as --from `TIME`")
	fs.StringVar(&f.to, "to", "", "the same as --until `TIME`")
}

// entityText returns the stored form of the entity.
func (f *historyFilter) entityText() (string, error) {
	if f.entity == "" {
		return "", nil
	}
	e, err := report.ParseEntity("--entity", f.entity)
	return e.String(), usageOf(err)
}

// times reads the times of the flags. Without an offset they are times of the portal.
func (f *historyFilter) times(c *config.Config, now time.Time) (from, until time.Time, err error) {
	if f.from != "" && f.since != "" {
		return from, until, usagef("--from and --since are the same: remove one")
	}
	if f.until != "" && f.to != "" {
		return from, until, usagef("--until and --to are the same: remove one")
	}
	portals, err := historyPortals(c, f.portal)
	if err != nil {
		return from, until, err
	}
	zone, same := known(c).Zone(portals...)
	for _, flag := range []struct {
		name, text string
		value      *time.Time
		end        bool
	}{{"from", f.from, &from, false}, {"since", f.since, &from, false}, {"until", f.until, &until, true}, {"to", f.to, &until, true}} {
		if flag.text == "" {
			continue
		}
		at, local, err := report.ParseTime("--"+flag.name, flag.text, now.In(zone), flag.end)
		if err != nil {
			return from, until, usageOf(err)
		}
		if local && !same {
			return from, until, usagef("--%s %q: the portals have different time zones: add --portal, or write the offset, such as 2026-01-31T15:00:00+03:00", flag.name, flag.text)
		}
		*flag.value = at
	}
	if !from.IsZero() && !until.IsZero() && !from.Before(until) {
		return from, until, usagef("no time is at %s or later and before %s", from.Format(time.RFC3339), until.Format(time.RFC3339))
	}
	return from, until, nil
}

// known refuses a portal or a rule that neither the configuration nor the history has.
func (f *historyFilter) known(ctx context.Context, env environment, c *config.Config, q *queue.Queue) error {
	names, err := historyPortals(c, f.portal)
	if err != nil {
		return err
	}
	if err := checkPortal(c, f.portal); err != nil {
		if past, readErr := f.inHistory(ctx, q, journal.Filter{Portal: f.portal}); past || readErr != nil {
			return readErr
		}
		return usagef("%v, and the history has nothing of it", err)
	}
	if f.rule == "" {
		return nil
	}
	past, err := f.inHistory(ctx, q, journal.Filter{Rule: f.rule})
	if past || err != nil {
		return err
	}
	_, gen, err := loadRules(env, c)
	if err != nil {
		return err
	}
	portal := ""
	if len(names) == 1 {
		portal = names[0]
	}
	switch err := gen.CheckRule(f.rule, portal); {
	case err != nil && gen.Incomplete():
		return usagef("%v, and the history has no run of it; a rule file with errors may contain it: run 'b24rules validate'", err)
	case err != nil:
		return usagef("%v, and the history has no run of it", err)
	}
	return nil
}

// inHistory reports whether the history has a run, or an event of a portal.
func (f *historyFilter) inHistory(ctx context.Context, q *queue.Queue, filter journal.Filter) (bool, error) {
	filter.Limit = 1
	runs, err := journal.FindRuns(ctx, q.Database(), filter)
	if err != nil || len(runs) > 0 || filter.Portal == "" {
		return len(runs) > 0, err
	}
	events, err := journal.FindEvents(ctx, q.Database(), journal.EventFilter{Portal: filter.Portal, Limit: 1})
	return len(events) > 0, err
}

// known is what a configuration says about portals.
func known(c *config.Config) report.Known { return report.KnownOf(c) }

// zoneOf is the time zone of a portal; an empty name means that of all portals.
func zoneOf(c *config.Config, portal string) *time.Location {
	if portal == "" {
		zone, _ := known(c).Zone()
		return zone
	}
	zone, _ := known(c).Zone(portal)
	return zone
}

// parseSince is parseTime for the flag --since.
func parseSince(text string, now time.Time) (time.Time, error) {
	at, _, err := report.ParseTime("--since", text, now, false)
	return at, usageOf(err)
}
