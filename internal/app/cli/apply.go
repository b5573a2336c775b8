package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/app/rollout"
	"github.com/b24rules/b24rules/internal/audit"
	"github.com/b24rules/b24rules/internal/queue"
)

var applyCmd = &command{
	name:  "apply",
	args:  "[--config FILE] [--portal NAME] [--waves TAG,TAG] [--bake TIME] [--halt N] [--allow-effects] [--yes] [PLANFILE]",
	short: "let new versions of rule sets run, wave by wave",
	long: `With reload: manual in the configuration, serve does not run new versions of rule
sets at once. Apply lists the portals that run other versions than those on disk. With
--yes serve runs the versions on disk.

Apply brings the new versions to the portals of the first wave, and watches them for the
time of --bake. If more than --halt of their runs are parked in that time, or if a rule
or its portal is held, apply ends, and the portals of later waves keep their versions.
The same is true if serve refuses a version, or if you interrupt apply. To continue,
repeat the command: what runs already is not applied again.

With PLANFILE, which b24rules plan --save has written, apply takes the versions of the
plan, and runs their rules for the entities of the plan, wave by wave. Before it runs a
rule for an entity, it looks what the rule would write now. If that is nothing, the
entity is done. If it is other than planned, somebody has changed the entity: it is not
run but listed. A portal whose rule sets are no longer those of the plan keeps them. This
also works without reload: manual. Rules with steps that take effect in every run, such as
call without once, run for the entities only with --allow-effects. Repeat the command to
continue: it knows from the portals what is done.

Apply has no command for the way back. Put the old files back, and apply them to the
portals of the wave. Then a sync of the rule repairs what the wrong version has written.

Exit codes: 0 what is on disk runs, or the plan is applied, 1 a wave has ended apply,
--yes is missing, something on disk has errors, or something of the plan was omitted, 2
usage error, 3 apply could not run, or a portal did not answer.`,
	setup: func(fs *flag.FlagSet) runFunc {
		a := &applying{halt: -1}
		configVar(fs, &a.config)
		portalsVar(fs, &a.portal, "only the portal")
		fs.StringVar(&a.waves, "waves", "", "the waves: tags of portals `TAG,TAG`; the default is that of the configuration")
		fs.DurationVar(&a.bake, "bake", 0, "watch each wave for `TIME`; the default is that of the configuration")
		fs.IntVar(&a.halt, "halt", -1, "how many parked runs a wave may have: `N`; the default is that of the configuration")
		fs.BoolVar(&a.effects, "allow-effects", false, "with a plan: also run rules with steps that take effect in every run")
		fs.BoolVar(&a.yes, "yes", false, "apply the versions; without it they are only listed")
		return a.run
	},
}

type applying struct {
	config, portal, waves string
	bake                  time.Duration
	halt                  int
	yes, effects          bool
}

func (a *applying) run(ctx context.Context, env environment, args []string) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	if len(args) == 1 {
		return a.runPlan(ctx, env, args[0])
	}
	if err := none(args); err != nil {
		return err
	}
	return withHistory(ctx, env, a.config, func(c *config.Config, q *queue.Queue) error {
		if !c.Manual {
			return errors.New("the configuration does not have reload: manual, so serve runs new versions at once")
		}
		names, err := selectPortals(c, a.portal)
		if err != nil {
			return err
		}
		_, gen, err := loadRules(env, c)
		if err != nil {
			return err
		}
		found := gen.Findings()
		for _, name := range names {
			if b := c.BrokenPortal(name); b != nil {
				found = append(found, b.Findings...)
			}
		}
		if len(found) > 0 {
			_ = printFindings(env, found) // the rest is applied
		}
		all, err := rollout.NotLive(ctx, q, gen, names)
		if err != nil {
			return err
		}
		waves, err := a.split(c, all)
		if err != nil {
			return err
		}
		if err := a.apply(ctx, env, q, waves, nil); err != nil {
			return err
		}
		if found.HasErrors() {
			env.say("what has errors does not run, all else on disk runs")
			return errFindings
		}
		env.say("what is on disk runs")
		return nil
	})
}

// runPlan applies the plan in a file.
func (a *applying) runPlan(ctx context.Context, env environment, file string) error {
	c, err := loadConfig(env, a.config)
	if err != nil {
		return err
	}
	plan, err := rollout.ReadPlan(file)
	if err != nil {
		return err
	}
	names, err := selectPortals(c, a.portal)
	if err != nil {
		return err
	}
	if err := haveDatabase(c); err != nil {
		return err
	}
	rules, gen, err := loadRules(env, c)
	if err != nil {
		return err
	}
	s, done, err := openService(ctx, c, rules, true, warnings(env))
	if err != nil {
		return err
	}
	defer done()
	say := func(portal, format string, args ...any) {
		env.say("portal %s%s", portal, env.redactor.Text(fmt.Sprintf(format, args...)))
	}
	planned := &rollout.Planned{
		Service: s, Rules: gen, Effects: a.effects,
		Omitted: func(portal, why string) { say(portal, ": %s", why) },
		Filled:  func(portal string, f rollout.Filled) { say(portal, ": %s", filledText(f)) },
		Away: func(portal string, why error, f rollout.Filled) {
			say(portal, " %v; %s; the rest is not applied", why, filledText(f))
		},
	}
	all, err := planned.Check(ctx, c, plan, names)
	if err != nil {
		return err
	}
	waves, err := a.split(c, all)
	if err != nil {
		return err
	}
	if a.yes && len(waves) > 0 {
		e := audit.Entry{Action: audit.Applied, Target: "plan " + file, Result: fmt.Sprintf("made %s by %s", plan.Made.Format(time.RFC3339), plan.By)}
		if err := note(ctx, s.Queue(), e); err != nil {
			return err
		}
	}
	if err := a.apply(ctx, env, s.Queue(), waves, planned); err != nil {
		return err
	}
	switch omitted, away := planned.Rest(); {
	case away > 0:
		return fmt.Errorf("the plan is not applied in %s: repeat the command later", report.Plural(away, "portal", "portals"))
	case omitted > 0:
		env.say("the rest of the plan is applied")
		return errFindings
	}
	env.say("the plan is applied")
	return nil
}

// filledText says what became of the entities of a portal.
func filledText(f rollout.Filled) string {
	words := []string{report.Plural(f.Ran, "entity", "entities") + " run"}
	for _, one := range []struct {
		n    int
		text string
	}{{f.Done, "had nothing left to change"}, {f.Moved, "moved on"}, {f.Failed, "failed"}} {
		if one.n > 0 {
			words = append(words, fmt.Sprintf("%d %s", one.n, one.text))
		}
	}
	return strings.Join(words, ", ")
}

// apply lists waves, and applies them if that is confirmed.
func (a *applying) apply(ctx context.Context, env environment, q *queue.Queue, waves []rollout.Wave, planned *rollout.Planned) error {
	if len(waves) == 0 {
		return nil
	}
	for i, w := range waves {
		if err := writeWave(env, i+1, w); err != nil {
			return err
		}
	}
	if !a.yes {
		env.say("add --yes to apply them")
		return errFindings
	}
	applying := rollout.Applying{
		Queue: q, Who: person(), Via: audit.ViaCLI, Bake: a.bake, Halt: a.halt, Planned: planned,
		Watched: func(w rollout.Wave, bake time.Duration) {
			env.say("wave %s runs in %s, watching for %s", w.Name, report.Plural(len(w.Portals), "portal", "portals"), bake)
		},
	}
	return sayEnd(env, applying.Run(ctx, waves))
}

// sayEnd says why waves have ended apply.
func sayEnd(env environment, err error) error {
	var halted *rollout.HaltedError
	var refused *rollout.RefusedError
	var interrupted *rollout.InterruptedError
	switch {
	case errors.As(err, &halted):
		for _, text := range halted.Trouble {
			if _, err := fmt.Fprintln(env.Out, text); err != nil {
				return err
			}
		}
		env.say("wave %s has ended apply: put the old files back and apply them to its portals, or correct the new ones", halted.Wave)
		if halted.Queued > 0 {
			env.say("at most %d runs of each of its portals are still in the queue", halted.Queued)
		}
		return errFindings
	case errors.As(err, &refused):
		env.say("%v", refused)
		return errFindings
	case errors.As(err, &interrupted) && interrupted.Filling:
		env.say("interrupted: repeat the command to continue")
	case errors.As(err, &interrupted):
		env.say("interrupted: the portals of later waves keep their versions; repeat the command to continue")
	}
	return err
}

// split divides changes into the waves of the flags. What these do not say is in the configuration.
func (a *applying) split(c *config.Config, all []rollout.Change) ([]rollout.Wave, error) {
	words := c.Apply.Waves
	if a.waves != "" {
		words = strings.Split(a.waves, ",")
	}
	if len(words) == 0 {
		words = []string{config.AllPortals}
	}
	if a.bake == 0 {
		a.bake = c.Apply.Bake
	}
	if a.halt < 0 {
		a.halt = c.Apply.Halt
	}
	var named []rollout.Wave
	for _, word := range words {
		text := word
		if word != config.AllPortals {
			text = "tag=" + word
		}
		names, err := selectPortals(c, text)
		if err != nil {
			return nil, err
		}
		named = append(named, rollout.Wave{Name: word, Portals: names})
	}
	waves := rollout.Split(all, named)
	if len(all) > 0 && len(waves) == 0 {
		return nil, usagef("none of the waves %s has one of the portals", strings.Join(words, ","))
	}
	return waves, nil
}

// writeWave prints a wave: each change with its portals.
func writeWave(env environment, number int, w rollout.Wave) error {
	changes := map[string][]string{}
	for _, c := range w.Changes {
		text := fmt.Sprintf("%s %s -> %s", c.Set, c.Before, c.After)
		switch c.Before {
		case "":
			text = fmt.Sprintf("%s, new: %s", c.Set, c.After)
		case c.After:
			text = fmt.Sprintf("%s %s, which runs already,", c.Set, c.After)
		}
		changes[text] = append(changes[text], c.Portal)
	}
	if _, err := fmt.Fprintf(env.Out, "wave %d, %s: %s\n", number, w.Name, report.Plural(len(w.Portals), "portal", "portals")); err != nil {
		return err
	}
	for _, text := range slices.Sorted(maps.Keys(changes)) {
		if _, err := fmt.Fprintf(env.Out, "  %s in %s\n", text, strings.Join(changes[text], ", ")); err != nil {
			return err
		}
	}
	return nil
}
