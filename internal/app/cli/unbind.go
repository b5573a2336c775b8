package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/app/service"
	"github.com/b24rules/b24rules/internal/queue"
)

var unbindCmd = &command{
	name:  "unbind",
	args:  "[--config FILE] [--portal NAME] [--unused|--all] [--yes] [--format text|json]",
	short: "make a portal send an application no more events",
	long: `Unbind removes the event handlers that serve has bound in a portal, when events of
it are no longer wanted here. It is for applications (oauth): the events of an
inbound webhook's portal come from an outbound webhook, which is deleted in the
portal. What uninstalls the application removes its handlers too.

Without --yes it shows which handlers these are, and removes none. Those of the
same application with another address, such as that of an earlier public_url,
stay unless --all is given. --unused removes only what no rule hears any more, and
can be done beside a serve that is under way; otherwise stop serve first, for it
binds what its rules hear whenever it starts.

Events that came before are kept and worked off as ever.

Exit codes: 0 removed, or shown; 1 the configuration has findings, or with
--unused a rule file; 2 wrong usage; 3 it could not be done.`,
	setup: func(fs *flag.FlagSet) runFunc {
		u := &unbinding{}
		fs.StringVar(&u.config, "config", config.DefaultFile, "read the configuration from `FILE`")
		fs.StringVar(&u.portal, "portal", "", "the portal `NAME`; not needed when there is one")
		fs.BoolVar(&u.unused, "unused", false, "only handlers of events that no rule hears any more")
		fs.BoolVar(&u.all, "all", false, "all handlers of the application, those with other addresses too")
		fs.BoolVar(&u.yes, "yes", false, "remove them; without it they are only shown")
		fs.StringVar(&u.format, "format", "text", "print as `FORMAT`: text or json")
		return u.run
	},
}

type unbinding struct {
	config, portal, format string
	unused, all, yes       bool

	hook string // where the portal posts events, by the configuration
}

func (u *unbinding) run(ctx context.Context, env environment, args []string) error {
	if err := none(args); err != nil {
		return err
	}
	if err := oneOf("format", u.format, "text", "json"); err != nil {
		return err
	}
	if u.unused && u.all {
		return usagef("--unused or --all, not both")
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	a, err := u.open(ctx, env)
	if err != nil {
		return err
	}
	defer a.Close()
	p := a.Portal(u.portal)
	if u.yes && !u.unused {
		if err := a.Queue().Lock(ctx); errors.Is(err, queue.ErrInUse) {
			return fmt.Errorf("serve would bind the events again, stop it first: %w", err)
		} else if err != nil {
			return err
		}
	}
	bound, err := p.Client.Subscriptions(ctx)
	if err != nil {
		return err
	}
	drop, keep, err := u.choose(ctx, a, p, bound)
	if err != nil {
		return err
	}
	if u.yes {
		if err := unbindAll(ctx, p.Client, drop); err != nil {
			return err
		}
	}
	return u.print(env, drop, keep)
}

// unbindAll removes subscriptions. A portal finds an offline one only under the
// connector of the request, which all commands of a batch share.
func unbindAll(ctx context.Context, c *bitrix.Client, all []bitrix.Subscription) error {
	for rest := slices.Clone(all); len(rest) > 0; {
		connector := rest[0].Connector
		other := func(s bitrix.Subscription) bool { return s.Connector != connector }
		c.SetConnector(connector)
		if err := c.Unbind(ctx, slices.DeleteFunc(slices.Clone(rest), other)...); err != nil {
			return fmt.Errorf("unbind %w", err)
		}
		rest = slices.DeleteFunc(rest, func(s bitrix.Subscription) bool { return !other(s) })
	}
	return nil
}

// open reads the configuration, and the rules when they are asked, and opens
// the app. The caller closes it.
func (u *unbinding) open(ctx context.Context, env environment) (*service.Service, error) {
	c, err := loadConfig(env, u.config)
	if err != nil {
		return nil, err
	}
	if u.portal, err = onePortal(c, u.portal); err != nil {
		return nil, err
	}
	i := slices.IndexFunc(c.Portals, func(p config.Portal) bool { return p.Name == u.portal })
	if c.Portals[i].OAuth == nil {
		return nil, fmt.Errorf("portal %s has a webhook, so nothing is bound from here: delete its outbound webhook in Bitrix24", u.portal)
	}
	u.hook = c.Hook(u.portal)
	rules := &service.Rules{}
	if u.unused {
		var gen *service.Generation
		if rules, gen, err = loadRules(env, c); err != nil {
			return nil, err
		}
		if found := gen.Findings(); len(found) > 0 {
			return nil, printFindings(env, found) // nobody knows what they hear
		}
	}
	if err := haveDatabase(c); err != nil {
		return nil, err
	}
	return service.New(ctx, service.Options{Config: c, Rules: rules, Log: warnings(env)})
}

// choose divides what is bound into what goes and what stays.
func (u *unbinding) choose(ctx context.Context, a *service.Service, p *service.Portal, bound []bitrix.Subscription) (drop, keep []bitrix.Subscription, err error) {
	var want []bitrix.Subscription
	if u.unused {
		if want, err = a.DesiredSubscriptions(ctx, p); err != nil {
			return nil, nil, err
		}
	}
	hook := u.hook
	for _, s := range bound {
		ours := u.all || s.Offline && (s.Connector == "" || s.Connector == p.Connector()) || hook != "" && s.Handler == hook
		plain := s
		plain.Connector = "" // whether one is in use depends on the portal's plan
		switch {
		case slices.Contains(drop, s) || slices.Contains(keep, s): // bound for several users
		case ours && !slices.Contains(want, plain):
			drop = append(drop, s)
		default:
			keep = append(keep, s)
		}
	}
	return drop, keep, nil
}

func (u *unbinding) print(env environment, drop, keep []bitrix.Subscription) error {
	if err := report.WriteUnbind(env.Out, u.format, report.Unbind{Portal: u.portal, Removed: u.yes, Unbind: drop, Keep: keep}); err != nil {
		return err
	}
	if u.format != "json" && len(drop) > 0 && !u.yes {
		env.say("nothing was removed: --yes does it")
	}
	return nil
}
