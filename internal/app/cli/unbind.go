package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/app/service"
	"github.com/b24rules/b24rules/internal/database"
)

var unbindCmd = &command{
	name:  "unbind",
	args:  "[--config FILE] [--portal NAME] [--unused|--all] [--yes] [--format text|json]",
	short: "remove the event handlers of an application from a portal",
	long: `Unbind removes event handlers that serve has bound in a portal, so that the portal
no longer sends these events. It is for applications (oauth). A portal with an
inbound webhook sends events through an outbound webhook, which you delete in the
portal. Uninstalling an application also removes its handlers.

Without --yes, unbind only shows the handlers. It keeps handlers of the same
application with another address, such as that of an earlier public_url, unless you
add --all. --unused removes only events that no rule subscribes to any more, and
works while serve is running. Otherwise stop serve first, because it binds its
events again at each start.

Events that arrived before are processed as usual.

Exit codes: 0 handlers removed or shown, 1 the configuration has findings, or with
--unused a rule file, 2 usage error, 3 unbind could not run.`,
	setup: func(fs *flag.FlagSet) runFunc {
		u := &unbinding{}
		configVar(fs, &u.config)
		portalsVar(fs, &u.portal, "not needed if there is only one: the portal")
		fs.BoolVar(&u.unused, "unused", false, "only handlers of events that no rule subscribes to any more")
		fs.BoolVar(&u.all, "all", false, "all handlers of the application, also with other addresses")
		fs.BoolVar(&u.yes, "yes", false, "remove the handlers; without it they are only shown")
		fs.StringVar(&u.format, "format", "text", "print as `FORMAT`: text or json")
		return u.run
	},
}

type unbinding struct {
	config, portal, format string
	unused, all, yes       bool

	hook string // the configured address for events of the portal
}

func (u *unbinding) run(ctx context.Context, env environment, args []string) error {
	if err := none(args); err != nil {
		return err
	}
	if err := oneOf("format", u.format, "text", "json"); err != nil {
		return err
	}
	if u.unused && u.all {
		return usagef("--unused cannot be combined with --all")
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	c, err := loadConfig(env, u.config)
	if err != nil {
		return err
	}
	return eachPortal(env, c, u.portal, true, func(name string) error { // without --yes it only shows
		one := *u
		one.portal = name
		return one.portalRun(ctx, env)
	})
}

func (u *unbinding) portalRun(ctx context.Context, env environment) error {
	a, err := u.open(ctx, env)
	if err != nil {
		return err
	}
	defer a.Close()
	p := a.Portal(u.portal)
	if u.yes && !u.unused {
		if err := a.Queue().Lock(ctx); errors.Is(err, database.ErrInUse) {
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

// unbindAll removes subscriptions. A portal finds an offline subscription only by
// the connector of the request, which all commands of a batch share.
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

// open reads the configuration, with --unused also the rules, and creates the
// service. The caller closes it.
func (u *unbinding) open(ctx context.Context, env environment) (*service.Service, error) {
	c, err := loadConfig(env, u.config)
	if err != nil {
		return nil, err
	}
	if u.portal, err = onePortal(env, c, u.portal); err != nil {
		return nil, err
	}
	i := slices.IndexFunc(c.Portals, func(p config.Portal) bool { return p.Name == u.portal })
	if c.Portals[i].OAuth == nil {
		return nil, fmt.Errorf("portal %s has an inbound webhook and no application: delete its outbound webhook in Bitrix24", u.portal)
	}
	u.hook = c.Hook(u.portal)
	rules := &fleet.Rules{}
	if u.unused {
		var gen *fleet.Generation
		if rules, gen, err = loadRules(env, c); err != nil {
			return nil, err
		}
		if found := gen.Findings(); len(found) > 0 {
			return nil, printFindings(env, found) // their events are unknown
		}
	}
	if err := haveDatabase(c); err != nil {
		return nil, err
	}
	return service.New(ctx, service.Options{Config: c, Rules: rules, Log: warnings(env)})
}

// choose divides the subscriptions into those to remove and those to keep.
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
		env.say("nothing was removed: add --yes to remove them")
	}
	return nil
}
