package cli

import (
	"context"
	"errors"
	"flag"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/shadow"
)

var shadowCmd = &command{
	name:  "shadow",
	args:  "[--config FILE] [--portal NAME] [--rule ID] [--limit N] [--reset] [--format text|json]",
	short: "show how often a portal in shadow mode agreed with its rules",
	long: `Shadow shows, for each rule of a portal with mode: shadow, how often the portal had
what the rule would have written, and each entity that differs: the record, the
field, what is there and what the rule would write. An entity that differs is
compared a second time after shadow_delay before it counts.

Messages, calls, requests to other systems and steps with once leave no trace that a
later read shows. They are listed as what would have been sent, and are no difference.

The counts start again when the rule file changes. --reset deletes them, for example
after the script has been fixed or an input has changed.

Exit codes: 0 each rule was compared and no entity differs, 1 an entity differs or
could not be compared, 2 usage error, 3 a rule was not compared yet, or the database
could not be read.`,
	setup: func(fs *flag.FlagSet) runFunc {
		s := &shadowing{}
		path := configFlag(fs)
		portalsVar(fs, &s.portal, "only the portal")
		fs.StringVar(&s.rule, "rule", "", "only the rule `ID`")
		fs.IntVar(&s.limit, "limit", 50, "print at most `N` entities of a rule")
		fs.BoolVar(&s.reset, "reset", false, "delete the results and start again")
		fs.StringVar(&s.format, "format", "text", "print as `FORMAT`: text or json")
		return func(ctx context.Context, env environment, args []string) error {
			if err := none(args); err != nil {
				return err
			}
			if err := oneOf("format", s.format, "text", "json"); err != nil {
				return err
			}
			if s.limit < 1 || s.limit > 10_000 {
				return usagef("--limit %d: want 1 to 10000", s.limit)
			}
			return withHistory(ctx, env, *path, func(c *config.Config, q *queue.Queue) error { return s.run(ctx, env, c, q) })
		}
	},
}

type shadowing struct {
	portal, rule, format string
	limit                int
	reset                bool
}

// errNotCompared says that a rule was not compared yet.
var errNotCompared = errors.New("not each rule was compared yet: wait for events, or run 'b24rules sync --rule ID', which compares all entities")

func (s *shadowing) run(ctx context.Context, env environment, c *config.Config, q *queue.Queue) error {
	if err := checkPortal(c, s.portal); err != nil {
		return err
	}
	if s.reset {
		return s.forget(ctx, env, c, q)
	}
	portals, err := s.read(ctx, env, c, q)
	if err != nil {
		return err
	}
	if err := report.WriteShadow(env.Out, s.format, portals, known(c)); err != nil {
		return err
	}
	switch {
	case slices.ContainsFunc(portals, report.ShadowPortal.Differs):
		return errFindings
	case !slices.ContainsFunc(portals, func(p report.ShadowPortal) bool { return !p.Complete() }):
		return nil
	}
	return errNotCompared
}

// read returns the results of the portals in shadow mode, and of a portal in live mode
// that the flags name.
func (s *shadowing) read(ctx context.Context, env environment, c *config.Config, q *queue.Queue) ([]report.ShadowPortal, error) {
	_, gen, err := loadRules(env, c)
	if err != nil {
		return nil, err
	}
	var out []report.ShadowPortal
	for _, p := range c.Portals {
		if named := s.portal != "" && s.portal != selectAll; named && !slices.Contains(portalNames(c, s.portal), p.Name) || !named && p.Shadow == 0 {
			continue
		}
		found, err := shadow.Read(ctx, q.Database(), p.Name, s.limit)
		if err != nil {
			return nil, err
		}
		one := report.ShadowPortal{Portal: p.Name, Mode: "live", Rules: []*shadow.Result{}}
		if p.Shadow != 0 {
			one.Mode = "shadow"
			for rule := range gen.Rules(p.Name) { // also those without an event so far
				if found[rule.ID] == nil {
					found[rule.ID] = &shadow.Result{Rule: rule.ID}
				}
			}
		}
		for _, r := range found {
			if s.rule == "" || s.rule == r.Rule {
				one.Rules = append(one.Rules, r)
			}
		}
		if s.rule != "" && len(one.Rules) == 0 {
			return nil, usageOf(gen.CheckRule(s.rule, p.Name))
		}
		slices.SortFunc(one.Rules, func(a, b *shadow.Result) int { return strings.Compare(a.Rule, b.Rule) })
		out = append(out, one)
	}
	if len(out) == 0 {
		return nil, errors.New("no portal is in shadow mode: add mode: shadow to a portal of the configuration")
	}
	return out, nil
}

// forget deletes the results of the portals that the flags select.
func (s *shadowing) forget(ctx context.Context, env environment, c *config.Config, q *queue.Queue) error {
	for _, name := range portalNames(c, s.portal) {
		if err := shadow.Forget(ctx, q.Database(), name, s.rule); err != nil {
			return err
		}
	}
	env.say("the results of the shadow mode are deleted")
	return nil
}
