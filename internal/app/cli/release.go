package cli

import (
	"context"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/audit"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/ledger"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/store"
)

var releaseCmd = &command{
	name:  "release",
	args:  "[--config FILE] --rule ID [--portal NAME]",
	short: "let what a rule has made stay without a rule",
	long: `Serve refuses a new version of a rule that would make again what the rule has made,
for example with another id, key or list (would-double). Release says that the old
records may stay unchanged. Serve then loads the new version, within 15 seconds or
at the next reload, and status no longer shows the records.

Release changes nothing in the portal.

Exit codes: 0 success, 2 usage error or the rule has made nothing, 3 release could not
write to the database.`,
	setup: func(fs *flag.FlagSet) runFunc {
		m := &madeFlags{}
		m.flags(fs)
		return func(ctx context.Context, env environment, args []string) error {
			if err := none(args); err != nil {
				return err
			}
			return withHistory(ctx, env, m.config, func(c *config.Config, q *queue.Queue) error {
				marks, err := m.marks(ctx, c, q)
				if err != nil {
					return err
				}
				l := ledger.New(q.Database())
				var lines []string
				var entries []audit.Entry
				for _, one := range marks {
					n, err := l.Count(ctx, one.ID)
					if err != nil {
						return err
					}
					what := report.Plural(n, "record", "records") + " of " + fleet.PlaceName(one.Place)
					entries = append(entries, byPerson(audit.Entry{Action: audit.Released, Portal: one.Portal, Target: "rule " + one.Rule, Result: what}))
					lines = append(lines, fmt.Sprintf("released %s that rule %s has made in portal %s\n", what, one.Rule, one.Portal))
				}
				if err := l.Release(ctx, time.Now(), func(ctx context.Context, t store.Tx) error { return audit.AddIn(ctx, t, entries...) }, marks...); err != nil {
					return err
				}
				_, err = io.WriteString(env.Out, strings.Join(lines, ""))
				return err
			})
		}
	},
}

// madeFlags select what a rule has made.
type madeFlags struct {
	config, rule, portal string
}

func (m *madeFlags) flags(fs *flag.FlagSet) {
	configVar(fs, &m.config)
	fs.StringVar(&m.rule, "rule", "", "the rule `ID`, also of a rule that no longer exists")
	portalsVar(fs, &m.portal, "only in the portal")
}

// marks returns the marks of the rule that have records. Without any it returns an error.
func (m *madeFlags) marks(ctx context.Context, c *config.Config, q *queue.Queue) ([]ledger.Mark, error) {
	if m.rule == "" {
		return nil, usagef("which rule? --rule ID")
	}
	if err := checkPortal(c, m.portal); err != nil {
		return nil, err
	}
	portals, err := historyPortals(c, m.portal)
	if err != nil {
		return nil, err
	}
	all, err := ledger.New(q.Database()).Marks(ctx, "")
	if err != nil {
		return nil, err
	}
	if portals != nil {
		all = slices.DeleteFunc(all, func(one ledger.Mark) bool { return !slices.Contains(portals, one.Portal) })
	}
	var names []string
	for _, one := range all {
		names = append(names, one.Rule)
	}
	marks := slices.DeleteFunc(all, func(one ledger.Mark) bool { return one.Rule != m.rule || !one.Made })
	if len(marks) > 0 {
		return marks, nil
	}
	text := fmt.Sprintf("rule %q has made nothing", m.rule)
	if m.portal != "" {
		text += " in portal " + m.portal
	}
	if near := diag.Closest(m.rule, names); near != "" && near != m.rule {
		text += fmt.Sprintf(" (did you mean %s?)", near)
	}
	return nil, &usageError{text: text}
}
