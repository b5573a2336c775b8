package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/app/service"
	"github.com/b24rules/b24rules/internal/audit"
	"github.com/b24rules/b24rules/internal/ledger"
)

var pruneCmd = &command{
	name:  "prune",
	args:  "[--config FILE] --rule ID [--portal NAME] [--list-type TYPE] [--yes]",
	short: "delete what a rule has made and no rule has any more",
	long: `Prune reads the list elements that a rule has made, and says how many of them still
exist. With --yes it deletes them. It deletes only elements that no running rule has:
those of a removed rule, of its former list, or under its former id.

Nothing is deleted only because the database says that a rule has made it: the element
must have a code that rules give to their elements. Elements whose code people have
changed stay. If prune is interrupted, repeat it.

Items of smart processes have no such code, so prune does not delete them. To let
what a rule has made stay, run release.

Exit codes: 0 nothing is left to delete, 1 --yes is missing, or something stays, 2 usage
error or the rule has made nothing, 3 prune could not run.`,
	setup: func(fs *flag.FlagSet) runFunc {
		p := &pruning{}
		p.flags(fs)
		fs.StringVar(&p.listType, "list-type", "lists", "the `TYPE` of the list")
		fs.BoolVar(&p.yes, "yes", false, "delete the elements; without it they are only counted")
		return p.run
	},
}

type pruning struct {
	madeFlags
	listType string
	yes      bool
}

func (p *pruning) run(ctx context.Context, env environment, args []string) error {
	if err := none(args); err != nil {
		return err
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	c, err := loadConfig(env, p.config)
	if err != nil {
		return err
	}
	if err := haveDatabase(c); err != nil {
		return err
	}
	rules, _, err := loadRules(env, c)
	if err != nil {
		return err
	}
	s, done, err := openService(ctx, c, rules, !p.yes, warnings(env))
	if err != nil {
		return err
	}
	defer done()
	marks, err := p.marks(ctx, c, s.Queue())
	if err != nil {
		return err
	}
	left, failed := false, false
	for _, m := range marks {
		rest, err := p.one(ctx, env, c, s, m)
		if err != nil && ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			env.say("portal %s, %s: %v", m.Portal, fleet.PlaceName(m.Place), env.redactor.Error(err))
			failed = true
		}
		left = left || rest
	}
	switch {
	case failed:
		return errors.New("not everything could be pruned")
	case left && !p.yes:
		env.say("add --yes to delete them")
		return errFindings
	case left:
		return errFindings
	}
	return nil
}

// one prunes one mark. left says that something stays.
func (p *pruning) one(ctx context.Context, env environment, c *config.Config, s *service.Service, m ledger.Mark) (left bool, err error) {
	if !slices.ContainsFunc(c.Portals, func(one config.Portal) bool { return one.Name == m.Portal }) {
		return false, errors.New("the configuration does not have the portal, or it has errors")
	}
	found, err := s.FindPrune(ctx, m, p.listType)
	if err != nil {
		return false, err
	}
	words := []string{report.Plural(len(found.IDs), "element", "elements")}
	if p.yes {
		deleted := func(n int) string { return report.Plural(n, "element", "elements") + " deleted" }
		e := audit.Entry{Action: audit.Pruned, Portal: m.Portal, Target: "rule " + m.Rule}
		act, err := begin(ctx, s.Queue(), e, func(n int) string { return deleted(n) + " of " + fleet.PlaceName(m.Place) })
		if err != nil {
			return false, err
		}
		n, err := s.DoPrune(ctx, found, act)
		if err != nil {
			return false, err
		}
		words[0] = deleted(n)
	}
	for _, other := range []struct {
		n    int
		text string
	}{{len(found.Gone), "no longer there"}, {found.Kept, "of rules that run stay"}, {len(found.Foreign), "with another code stay"}} {
		if other.n > 0 {
			words = append(words, fmt.Sprintf("%d %s", other.n, other.text))
		}
	}
	_, err = fmt.Fprintf(env.Out, "%s of portal %s, made by rule %s: %s\n", fleet.PlaceName(m.Place), m.Portal, m.Rule, strings.Join(words, ", "))
	return !p.yes && len(found.IDs) > 0 || len(found.Foreign) > 0, err
}
