package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/describe"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/app/service"
	"github.com/b24rules/b24rules/internal/catchup"
	"github.com/b24rules/b24rules/internal/database"
	"github.com/b24rules/b24rules/internal/journal"
)

var syncCmd = &command{
	name:  "sync",
	args:  "[--config FILE] [--portal NAME] --rule ID [--since TIME] [--dry-run [--exit-code]] [--restart] [--allow-effects] [--allow-gone] [--yes] [--format text|json]",
	short: "run a rule for all entities, or for changed ones",
	long: `Sync runs a rule for all its entities: to fill a list for the first time, or to
repair it after lost events.

The rule's events determine the entities. With --since, sync takes only entities
that changed after TIME. Runs are queued behind those of live events. If serve is
running, it does the work; otherwise sync does. Progress is stored in the database:
repeat the command to resume an interrupted sync, or add --restart to start over.

If the rule has deleted steps that find records by the entity's id, sync also runs
these steps for entities that no longer exist. This scan always covers all records,
even with --since. If more than 50 of them, or more than a tenth, are missing at
once, sync deletes nothing: perhaps the webhook's user has lost the right to see
them. --allow-gone allows any number.

--dry-run shows the changes and writes nothing. It uses part of the portal's rate
limit. Rules with steps that take effect in every run, such as call without once,
require --allow-effects. With --exit-code the exit code is 1 if entities differ;
b24rules drift does that for all rules and portals.

Exit codes: 0 all runs succeeded, 1 some runs failed or a rule file has findings, 2
usage error, 3 sync could not run.`,
	setup: func(fs *flag.FlagSet) runFunc {
		s := &syncing{}
		configVar(fs, &s.config)
		portalsVar(fs, &s.portal, "not needed if there is only one: the portal")
		fs.StringVar(&s.rule, "rule", "", "the rule's `ID`")
		fs.StringVar(&s.since, "since", "", "only entities that changed since `TIME`: 2h, 3d, 2026-01-31 or 2026-01-31T15:00:00+03:00")
		fs.BoolVar(&s.dry, "dry-run", false, "show the changes, write nothing")
		fs.BoolVar(&s.exitCode, "exit-code", false, "with --dry-run: exit with 1 if entities differ")
		fs.BoolVar(&s.restart, "restart", false, "start over instead of resuming an interrupted sync")
		fs.BoolVar(&s.effects, "allow-effects", false, "allow steps that take effect in every run, such as calls")
		fs.BoolVar(&s.gone, "allow-gone", false, "run the deleted steps for any number of missing entities")
		fs.BoolVar(&s.yes, "yes", false, "confirm --portal all")
		fs.StringVar(&s.format, "format", "text", "print as `FORMAT`: text or json")
		return s.run
	},
}

type syncing struct {
	single
	since, format    string
	restart, effects bool
	exitCode         bool // a dry run ends with 1 if something would change
	gone, yes        bool
}

func (s *syncing) run(ctx context.Context, env environment, args []string) error {
	if err := none(args); err != nil {
		return err
	}
	if err := oneOf("format", s.format, "text", "json"); err != nil {
		return err
	}
	if s.rule == "" {
		return usagef("which rule? --rule ID")
	}
	if s.since != "" {
		if _, err := parseSince(s.since, time.Now()); err != nil {
			return err
		}
	}
	if s.exitCode && !s.dry {
		return usagef("--exit-code needs --dry-run")
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	c, err := loadConfig(env, s.config)
	if err != nil {
		return err
	}
	return eachPortal(env, c, s.portal, s.yes || s.dry, func(name string) error {
		one := *s
		one.portal = name
		return one.portalRun(ctx, env)
	})
}

// portalRun is run for one portal.
func (s *syncing) portalRun(ctx context.Context, env environment) error {
	a, t, done, err := s.openSync(ctx, env)
	if err != nil {
		return err
	}
	defer done()
	if s.dry {
		return s.dryRun(ctx, env, a, t)
	}
	if a.Portal(s.portal).Shadow() {
		env.say("portal %s is in shadow mode: the runs compare and write nothing, 'b24rules shadow' shows the results", s.portal)
	}
	job, err := s.begin(ctx, env, a, t)
	if err != nil {
		return err
	}
	return s.follow(ctx, env, a, job)
}

// openSync reads the configuration and the rule and creates the service.
func (s *syncing) openSync(ctx context.Context, env environment) (a *service.Service, t service.Target, done func(), err error) {
	c, err := loadConfig(env, s.config)
	if err != nil {
		return nil, t, nil, err
	}
	if s.portal, err = onePortal(env, c, s.portal); err != nil {
		return nil, t, nil, err
	}
	c.Only, s.redactor = s.portal, c.Redactor
	if len(s.files) > 0 {
		c.Rules, c.RulesAt = s.files, nil
	}
	rules, gen, err := loadRules(env, c)
	if err != nil {
		return nil, t, nil, err
	}
	r, inputs, ok := gen.Rule(s.rule, s.portal)
	if !ok {
		return nil, t, nil, s.without(env, gen, usageOf(gen.CheckRule(s.rule, s.portal)))
	}
	if err := s.fit(r); err != nil {
		return nil, t, nil, err
	}
	if a, done, err = openService(ctx, c, rules, s.dry, env.log(slog.LevelError)); err != nil {
		return nil, t, nil, err
	}
	if err := checkMade(ctx, env, a, s.dry, len(s.files) > 0); err != nil {
		done()
		return nil, t, nil, err
	}
	return a, service.Target{Rule: r, Inputs: inputs}, done, nil
}

// fit refuses rules that cannot run without their events.
func (s *syncing) fit(r *engine.Rule) error {
	if err := service.CanList(r); err != nil {
		return usageOf(err)
	}
	if repeats := describe.Repeats(r); len(repeats) > 0 && !s.effects && !s.dry {
		return usagef("rule %s has steps that take effect in every run (%s), so once for each entity: add once to the step, or --allow-effects", r.ID, strings.Join(repeats, ", "))
	}
	return nil
}

// begin stores a new job, or resumes the interrupted one.
func (s *syncing) begin(ctx context.Context, env environment, a *service.Service, t service.Target) (catchup.Job, error) {
	old, ok, err := catchup.Load(ctx, a.Queue(), s.portal, s.rule)
	if err != nil && !s.restart {
		return catchup.Job{}, err
	}
	open, err := s.inProgress(ctx, a, old, ok)
	if err != nil {
		return catchup.Job{}, err
	}
	if open && !s.restart {
		if err := s.same(old, a.Portal(s.portal).Zone); err != nil {
			return catchup.Job{}, err
		}
		env.say("resuming the sync of %s: %d of %s", old.Started.Local().Format(time.DateTime), old.Seen, report.Plural(old.Total, "entity", "entities"))
		return old, nil
	}
	job, err := s.job(ctx, a, t)
	if err != nil {
		return job, err
	}
	if err := job.CountAll(ctx, a.Portal(s.portal).Later()); err != nil {
		return job, err
	}
	job.Gone = s.gone
	return job, catchup.Start(ctx, a.Queue(), job)
}

// same refuses to resume a sync that covers fewer entities than the flags request.
func (s *syncing) same(old catchup.Job, zone *time.Location) error {
	stored := old.Since.Format(time.RFC3339)
	switch {
	case s.since == "" && old.Since.IsZero():
		return nil
	case s.since == "":
		return fmt.Errorf("a sync of changes since %s is in progress for rule %s: add --since %[1]s to resume it, or --restart", stored, s.rule)
	case old.Since.IsZero():
		return fmt.Errorf("a sync of all entities is in progress for rule %s: remove --since to resume it, or add --restart", s.rule)
	}
	// A difference of up to a minute between the clocks does not matter.
	since, err := parseSince(s.since, service.InZone(time.Now(), zone))
	if err == nil && since.Before(old.Since.Add(-time.Minute)) {
		err = fmt.Errorf("the sync in progress for rule %s takes changes since %s, and --since %s requests more: wait until it ends, or add --restart", s.rule, stored, s.since)
	}
	return err
}

// inProgress reports whether a job still has entities to find or runs to finish.
func (s *syncing) inProgress(ctx context.Context, a *service.Service, j catchup.Job, ok bool) (bool, error) {
	if !ok || j.Failed != "" || !j.Over() {
		return ok && j.Failed == "", nil
	}
	counts, err := journal.Tally(ctx, a.Queue().Database(), j.Portal, j.Code(), j.Rule, j.Event)
	return catchup.Open(counts) > 0, err
}

// job returns the new job of the sync.
func (s *syncing) job(ctx context.Context, a *service.Service, t service.Target) (catchup.Job, error) {
	job, err := a.SyncJob(ctx, s.portal, t, s.since)
	return job, usageOfFilter(err)
}

// follow shows the progress of a job until its last run has ended. It executes the
// runs if no other process does.
func (s *syncing) follow(ctx context.Context, env environment, a *service.Service, job catchup.Job) error {
	all, err := a.Queue().Pauses(ctx)
	if err != nil {
		return err
	}
	for _, p := range report.PausesOf(all, job.Portal, job.Rule) {
		env.say("%s: the runs wait", report.PauseText(p, a.Portal(s.portal).Zone))
	}
	w := &jobWatch{queue: a.Queue(), env: env, job: job, format: s.format, command: "b24rules sync --rule " + s.rule}
	end := func() {}
	defer func() { end() }()
	working, served := false, false
	var lockAt time.Time
	for {
		if !working && time.Now().After(lockAt) {
			stop, err := a.Work(ctx, s.portal)
			switch {
			case err == nil:
				end, working, served = stop, true, false
			case ctx.Err() != nil:
			case !errors.Is(err, database.ErrInUse):
				return err
			case !served:
				env.say("serve is running and does the work; Ctrl-C does not stop the sync")
				served = true
			}
			lockAt = time.Now().Add(5 * time.Second) // the other process may end
		}
		over, err := w.look(ctx)
		if err == nil && over {
			return w.finish()
		}
		if ctx.Err() != nil {
			w.clear()
			if working && a.Queue().Leases().Holds(s.portal) == nil || !working && !served {
				return fmt.Errorf("stopped at %d of %s: repeat the command to resume", w.job.Seen, report.Plural(w.job.Total, "entity", "entities"))
			}
			env.say("serve continues the sync")
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
		}
	}
}
