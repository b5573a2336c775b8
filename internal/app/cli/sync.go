package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/describe"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/app/service"
	"github.com/b24rules/b24rules/internal/catchup"
	"github.com/b24rules/b24rules/internal/queue"
)

var syncCmd = &command{
	name:  "sync",
	args:  "[--config FILE] [--portal NAME] --rule ID [--since TIME] [--dry-run] [--restart] [--allow-effects] [--format text|json]",
	short: "run a rule for all entities, or for those that have changed",
	long: `Sync runs a rule for every entity that it is about: the first fill of a list, and
the repair after events were lost. Which entities these are is known from the
rule's events. With --since only those are taken that have changed since then.

The runs go through the queue, behind those of live events. A serve that is under
way does the work; without one sync does it itself. How far it is stands in the
database: a sync that was stopped or killed goes on where it was when the same
command is given again; --restart begins anew.

When the rule has deleted steps and these find what belongs to an entity by a
field that holds its id, sync also looks there for entities that no longer exist,
and runs the steps for them. With --since it looks through all of them too.

--dry-run shows what would be written, and writes nothing. It asks the portal
beside a serve that is under way, and so takes a share of its rate.

A rule with a step that does something each time it runs, such as a call, would
do it for each entity: that wants --allow-effects.

Exit codes: 0 all runs succeeded, 1 some failed, or a rule file has findings, 2
wrong usage, 3 it could not be done.`,
	setup: func(fs *flag.FlagSet) runFunc {
		s := &syncing{}
		fs.StringVar(&s.config, "config", config.DefaultFile, "read the configuration from `FILE`")
		fs.StringVar(&s.portal, "portal", "", "the portal `NAME`; not needed when there is one")
		fs.StringVar(&s.rule, "rule", "", "the rule's `ID`")
		fs.StringVar(&s.since, "since", "", "only entities that have changed since `TIME`: 2h, 3d, 2026-01-31 or 2026-01-31T15:00:00+03:00")
		fs.BoolVar(&s.dry, "dry-run", false, "show what would be written, and write nothing")
		fs.BoolVar(&s.restart, "restart", false, "begin anew instead of going on with a sync that was stopped")
		fs.BoolVar(&s.effects, "allow-effects", false, "run steps that do something each time, such as calls")
		fs.StringVar(&s.format, "format", "text", "print as `FORMAT`: text or json")
		return s.run
	},
}

type syncing struct {
	single
	since, format         string
	dry, restart, effects bool
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
	ctx, stop := interruptible(ctx)
	defer stop()
	a, t, done, err := s.openSync(ctx, env)
	if err != nil {
		return err
	}
	defer done()
	if s.dry {
		return s.dryRun(ctx, env, a, t)
	}
	job, err := s.begin(ctx, env, a, t)
	if err != nil {
		return err
	}
	return s.follow(ctx, env, a, job)
}

// openSync reads the configuration, the rule, and opens the app.
func (s *syncing) openSync(ctx context.Context, env environment) (a *service.Service, t service.Target, done func(), err error) {
	c, err := loadConfig(env, s.config)
	if err != nil {
		return nil, t, nil, err
	}
	if s.portal, err = onePortal(c, s.portal); err != nil {
		return nil, t, nil, err
	}
	c.Only, s.hider = s.portal, c.Hider()
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
	forget := func() {}
	if s.dry {
		if forget, err = temporaryDatabase(c); err != nil {
			return nil, t, nil, err
		}
	}
	log := slog.New(slog.NewTextHandler(env.Err, &slog.HandlerOptions{Level: slog.LevelError}))
	if a, err = service.New(ctx, service.Options{Config: c, Rules: rules, Log: log}); err != nil {
		forget()
		return nil, t, nil, err
	}
	return a, service.Target{Rule: r, Inputs: inputs}, func() { a.Close(); forget() }, nil
}

// fit refuses rules that cannot be run without their events.
func (s *syncing) fit(r *engine.Rule) error {
	if r.Derived() {
		return usagef("rule %s says by a formula (entity) what it is about: only an event can tell", r.ID)
	}
	types, every, foreign := service.ScopeOf(r)
	if len(types) == 0 && !every {
		return usagef("rule %s hears %s, which is about no entity of the CRM that could be listed", r.ID, strings.Join(foreign, ", "))
	}
	if repeats := describe.Repeats(r); len(repeats) > 0 && !s.effects && !s.dry {
		return usagef("rule %s does something each time it runs (%s), and would do it for each entity: give the step a once, or --allow-effects", r.ID, strings.Join(repeats, ", "))
	}
	return nil
}

// begin stores the job, or goes on with the one that was stopped.
func (s *syncing) begin(ctx context.Context, env environment, a *service.Service, t service.Target) (catchup.Job, error) {
	old, ok, err := catchup.Load(ctx, a.Queue(), s.portal, s.rule)
	if err != nil && !s.restart {
		return catchup.Job{}, err
	}
	under, err := s.underWay(ctx, a, old, ok)
	if err != nil {
		return catchup.Job{}, err
	}
	if under && !s.restart {
		if err := s.same(old, a.Portal(s.portal).Zone); err != nil {
			return catchup.Job{}, err
		}
		env.say("going on with the sync of %s: %d of %s", old.Started.Local().Format(time.DateTime), old.Seen, report.Plural(old.Total, "entity", "entities"))
		return old, nil
	}
	job, err := s.job(ctx, a, t)
	if err != nil {
		return job, err
	}
	if err := countAll(ctx, a.Portal(s.portal).Later(), &job); err != nil {
		return job, err
	}
	return job, catchup.Start(ctx, a.Queue(), job)
}

// countAll counts the entities of a sync.
func countAll(ctx context.Context, p catchup.Portal, j *catchup.Job) error {
	for _, typ := range j.Types {
		n, err := catchup.Count(ctx, p, typ, j.Since)
		if err != nil {
			return err
		}
		j.Total += n
	}
	return nil
}

// same refuses to go on with a sync that takes less than what is asked for.
func (s *syncing) same(old catchup.Job, zone *time.Location) error {
	begun := old.Since.Format(time.RFC3339)
	switch {
	case s.since == "" && old.Since.IsZero():
		return nil
	case s.since == "":
		return fmt.Errorf("a sync of what has changed since %s is under way for rule %s: give --since %[1]s to follow it, or --restart", begun, s.rule)
	case old.Since.IsZero():
		return fmt.Errorf("a sync of all entities is under way for rule %s: leave --since out to follow it, or say --restart", s.rule)
	}
	// The portal's clock is not asked for this: a minute does not matter.
	since, err := parseSince(s.since, inZone(time.Now(), zone))
	if err == nil && since.Before(old.Since.Add(-time.Minute)) {
		err = fmt.Errorf("the sync that is under way for rule %s takes what has changed since %s, and --since %s asks for more: wait for its end, or say --restart", s.rule, begun, s.since)
	}
	return err
}

// inZone is a moment in a portal's zone, as far as it is known.
func inZone(t time.Time, zone *time.Location) time.Time {
	if zone == nil {
		return t.Local()
	}
	return t.In(zone)
}

// underWay reports whether a job still has something to find, or runs that are
// not over.
func (s *syncing) underWay(ctx context.Context, a *service.Service, j catchup.Job, ok bool) (bool, error) {
	if !ok || j.Failed != "" || !j.Over() {
		return ok && j.Failed == "", nil
	}
	counts, err := a.Queue().Tally(ctx, j.Portal, j.Code(), j.Rule, j.Event)
	return catchup.Open(counts) > 0, err
}

// job is what is to be gone over.
func (s *syncing) job(ctx context.Context, a *service.Service, t service.Target) (catchup.Job, error) {
	client := a.Portal(s.portal).Later()
	job := catchup.Job{Portal: s.portal, Rule: s.rule, Started: time.Now()}
	types, every, _ := service.ScopeOf(t.Rule)
	if every {
		all, err := service.DynamicTypes(ctx, client)
		if err != nil {
			return job, err
		}
		for _, typ := range all {
			if !slices.Contains(types, typ) {
				types = append(types, typ)
			}
		}
	}
	job.Types = types
	if s.since != "" {
		now, err := catchup.Now(ctx, client) // the times of entities are by this clock
		if err != nil {
			return job, err
		}
		if job.Since, err = parseSince(s.since, inZone(now, a.Portal(s.portal).Zone)); err != nil {
			return job, err
		}
		if job.Since.After(now) {
			return job, usagef("--since %s lies in the future: at the portal it is %s", s.since, now.Format(time.RFC3339))
		}
	}
	job.Leftovers = t.Leftovers()
	return job, nil
}

// follow shows how a job goes on until its last run has ended. When nobody
// works the queue it does.
func (s *syncing) follow(ctx context.Context, env environment, a *service.Service, job catchup.Job) error {
	all, err := a.Queue().Pauses(ctx)
	if err != nil {
		return err
	}
	for _, p := range report.PausesOf(all, job.Portal, job.Rule) {
		env.say("%s: the runs wait", report.PauseText(p))
	}
	w := &jobWatch{queue: a.Queue(), env: env, job: job, format: s.format, begun: time.Now(), command: "b24rules sync --rule " + s.rule}
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
			case !errors.Is(err, queue.ErrInUse):
				return err
			case !served:
				env.say("serve does it; Ctrl-C ends only the watching")
				served = true
			}
			lockAt = time.Now().Add(5 * time.Second) // it may end meanwhile
		}
		over, err := w.look(ctx)
		if err == nil && over {
			return w.finish()
		}
		if ctx.Err() != nil {
			w.clear()
			if working && a.Queue().Holds(s.portal) == nil || !working && !served {
				return fmt.Errorf("stopped at %d of %s: the same command goes on from there", w.job.Seen, report.Plural(w.job.Total, "entity", "entities"))
			}
			env.say("serve goes on")
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case <-time.After(w.pause()):
		case <-ctx.Done():
		}
	}
}
