package cli

import (
	"context"
	"errors"
	"flag"

	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/app/service"
	"github.com/b24rules/b24rules/internal/redact"
)

// single are the flags of plan and run: rules for one entity of a portal.
type single struct {
	config, rule, portal, entity string
	deleted                      bool
	dry                          bool             // nothing is written, neither to the portal nor to the database
	redactor                     *redact.Redactor // of the configuration
	known                        report.Known
	files                        []string // instead of the configured rules
}

func (s *single) flags(fs *flag.FlagSet) {
	configVar(fs, &s.config)
	fs.StringVar(&s.rule, "rule", "", "only the rule `ID`; without it, all rules that subscribe to events of such entities")
	portalsVar(fs, &s.portal, "not needed if there is only one: the portal")
	fs.StringVar(&s.entity, "entity", "", "the `ENTITY`: deal:759, smart_invoice:7, item:31:7, or hook:NAME:KEY for the latest request of a hook")
	fs.BoolVar(&s.deleted, "deleted", false, "run as after a delete event; the run still checks whether the entity exists")
}

// open reads the configuration and the rules and creates the service. The caller must
// call done.
func (s *single) open(ctx context.Context, env environment) (a *service.Service, targets []service.Target, done func(), err error) {
	if s.entity == "" {
		return nil, nil, nil, usagef("which entity? --entity deal:759")
	}
	entity, err := report.ParseEntity("--entity", s.entity)
	if err != nil {
		return nil, nil, nil, usageOf(err)
	}
	c, err := loadConfig(env, s.config)
	if err != nil {
		return nil, nil, nil, err
	}
	if s.portal, err = onePortal(env, c, s.portal); err != nil {
		return nil, nil, nil, err
	}
	c.Only, s.redactor, s.known = s.portal, c.Redactor, known(c)
	if len(s.files) > 0 {
		c.Rules, c.RulesAt = s.files, nil
	}
	rules, gen, err := loadRules(env, c)
	if err != nil {
		return nil, nil, nil, err
	}
	if targets, err = service.TargetsOf(gen, s.portal, s.rule, entity, s.deleted); err != nil || len(targets) == 0 {
		return nil, nil, nil, s.without(env, gen, usageOf(err))
	}
	if a, done, err = openService(ctx, c, rules, s.dry, warnings(env)); err != nil {
		return nil, nil, nil, err
	}
	err = checkMade(ctx, env, a, s.dry, len(s.files) > 0)
	for i := range targets {
		if err == nil {
			err = targets[i].FindRequest(ctx, a.Queue(), s.portal)
		}
	}
	if err != nil {
		done()
		return nil, nil, nil, err
	}
	return a, targets, done, nil
}

// without reports why no rule runs: it prints findings of the rule files first.
func (s *single) without(env environment, gen *fleet.Generation, err error) error {
	if all := gen.Findings(); len(all) > 0 {
		if printed := printFindings(env, all); !errors.Is(printed, errFindings) || err == nil {
			return printed
		}
		return err
	}
	if err != nil {
		return err
	}
	return usagef("no rule of portal %s has an event of %s", s.portal, s.entity)
}
