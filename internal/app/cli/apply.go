package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/audit"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/reload"
	"github.com/b24rules/b24rules/internal/wakeup"
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

	broken bool         // something on disk has errors, so it is not among the new versions
	plan   *planApplied // nil without a plan
}

// newVersion is a version of a rule set that a portal does not run.
type newVersion struct {
	portal, set   string
	before, after string   // before is "" if none runs, and after if that runs already
	rules         []string // of the version
}

// wave is a part of the new versions.
type wave struct {
	name string
	all  []newVersion
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
		a.defaults(c)
		all, err := a.findNew(ctx, env, c, q, names)
		if err != nil {
			return err
		}
		waves, err := a.split(c, all)
		if err != nil {
			return err
		}
		if len(all) == 0 {
			return a.end(env)
		}
		if err := a.applyWaves(ctx, env, q, waves); err != nil {
			return err
		}
		return a.end(env)
	})
}

// applyWaves lists the waves, and applies them if that is confirmed.
func (a *applying) applyWaves(ctx context.Context, env environment, q *queue.Queue, waves []wave) error {
	for i, w := range waves {
		if err := w.write(env, i+1); err != nil {
			return err
		}
	}
	if !a.yes {
		env.say("add --yes to apply them")
		return errFindings
	}
	for i, w := range waves {
		if err := a.applyWave(ctx, env, q, w, i == len(waves)-1); err != nil {
			return err
		}
	}
	return nil
}

// end says what runs.
func (a *applying) end(env environment) error {
	if a.broken {
		env.say("what has errors does not run, all else on disk runs")
		return errFindings
	}
	env.say("what is on disk runs")
	return nil
}

// defaults takes what the flags do not say from the configuration.
func (a *applying) defaults(c *config.Config) {
	if a.waves == "" {
		a.waves = strings.Join(c.Apply.Waves, ",")
	}
	if a.bake == 0 {
		a.bake = c.Apply.Bake
	}
	if a.halt < 0 {
		a.halt = c.Apply.Halt
	}
}

// findNew returns the versions on disk that do not run in portals. It prints what has errors
// and is not among them.
func (a *applying) findNew(ctx context.Context, env environment, c *config.Config, q *queue.Queue, names []string) ([]newVersion, error) {
	_, gen, err := loadRules(env, c)
	if err != nil {
		return nil, err
	}
	found := gen.Findings()
	for _, name := range names {
		if b := brokenPortal(c, name); b != nil {
			found = append(found, b.Findings...)
		}
	}
	if a.broken = found.HasErrors(); len(found) > 0 {
		_ = printFindings(env, found) // the rest is applied
	}
	live, err := liveVersions(ctx, q)
	if err != nil {
		return nil, err
	}
	var all []newVersion
	for _, name := range names {
		for _, i := range gen.Instances(name) {
			one := newVersion{portal: name, set: i.Set.Name, before: live[[2]string{name, i.Set.Name}].Version, after: i.Set.Version}
			for _, r := range i.Set.Rules {
				one.rules = append(one.rules, r.ID)
			}
			if one.before != one.after {
				all = append(all, one)
			}
		}
	}
	return all, nil
}

// liveVersions are the versions that run, by portal and rule set.
func liveVersions(ctx context.Context, q *queue.Queue) (map[[2]string]fleet.Live, error) {
	rows, err := fleet.NewStore(q.Database()).List(ctx, "")
	out := map[[2]string]fleet.Live{}
	for _, l := range rows {
		out[[2]string{l.Portal, l.Set}] = l
	}
	return out, err
}

// split divides new versions into waves.
func (a *applying) split(c *config.Config, all []newVersion) ([]wave, error) {
	words := []string{config.AllPortals}
	if a.waves != "" {
		words = strings.Split(a.waves, ",")
	}
	var out []wave
	rest := all
	for _, word := range words {
		text := word
		if word != config.AllPortals {
			text = "tag=" + word
		}
		names, err := selectPortals(c, text)
		if err != nil {
			return nil, err
		}
		w := wave{name: word}
		var later []newVersion
		for _, v := range rest {
			if slices.Contains(names, v.portal) {
				w.all = append(w.all, v)
			} else {
				later = append(later, v)
			}
		}
		if rest = later; len(w.all) > 0 {
			out = append(out, w)
		}
	}
	if len(rest) > 0 && len(out) == 0 {
		return nil, usagef("none of the waves %s has one of the portals", a.waves)
	}
	return out, nil
}

func (w wave) portals() []string {
	var names []string
	for _, v := range w.all {
		names = append(names, v.portal)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// write prints a wave: each change with its portals.
func (w wave) write(env environment, number int) error {
	changes := map[string][]string{}
	for _, v := range w.all {
		text := fmt.Sprintf("%s %s -> %s", v.set, v.before, v.after)
		switch v.before {
		case "":
			text = fmt.Sprintf("%s, new: %s", v.set, v.after)
		case v.after:
			text = fmt.Sprintf("%s %s, which runs already,", v.set, v.after)
		}
		changes[text] = append(changes[text], v.portal)
	}
	if _, err := fmt.Fprintf(env.Out, "wave %d, %s: %s\n", number, w.name, report.Plural(len(w.portals()), "portal", "portals")); err != nil {
		return err
	}
	for _, text := range slices.Sorted(maps.Keys(changes)) {
		if _, err := fmt.Fprintf(env.Out, "  %s in %s\n", text, strings.Join(changes[text], ", ")); err != nil {
			return err
		}
	}
	return nil
}

// applyWave applies the versions of a wave, does what the plan says, and watches the wave.
func (a *applying) applyWave(ctx context.Context, env environment, q *queue.Queue, w wave, last bool) error {
	before, err := w.trouble(ctx, q)
	if err != nil {
		return err
	}
	if err := w.makeLive(ctx, env, q); err != nil {
		return err
	}
	// halts reports whether the wave has ended apply, and says why.
	halts := func() (bool, error) {
		now, err := w.trouble(ctx, q)
		if err != nil {
			return false, err
		}
		parked, held := now.since(before)
		if len(parked) <= a.halt && len(held) == 0 {
			return false, nil
		}
		for _, text := range append(held, parked...) {
			if _, err := fmt.Fprintln(env.Out, text); err != nil {
				return false, err
			}
		}
		env.say("wave %s has ended apply: put the old files back and apply them to its portals, or correct the new ones", w.name)
		return true, nil
	}
	if a.plan != nil {
		if err := a.plan.fill(ctx, env, w, halts); err != nil {
			return err
		}
	}
	bake := a.bake
	if last { // no wave waits for it
		bake = min(bake, lastBake)
	}
	env.say("wave %s runs in %s, watching for %s", w.name, report.Plural(len(w.portals()), "portal", "portals"), bake)
	for end := time.Now().Add(bake); ; {
		if halted, err := halts(); err != nil {
			return err
		} else if halted {
			return errFindings
		}
		if !time.Now().Before(end) {
			return nil
		}
		if err := wakeup.Sleep(ctx, min(watchEvery, time.Until(end))); err != nil {
			env.say("interrupted: the portals of later waves keep their versions; repeat the command to continue")
			return err
		}
	}
}

// makeLive applies the versions of a wave and waits until serve runs them.
func (w wave) makeLive(ctx context.Context, env environment, q *queue.Queue) error {
	versions := fleet.Applied{}
	var notes []audit.Entry
	for _, v := range w.all {
		versions[[2]string{v.portal, v.set}] = v.after
		if v.before != v.after {
			notes = append(notes, audit.Entry{Action: audit.Applied, Portal: v.portal, Target: "rule set " + v.set, Result: strings.TrimSpace(v.before + " -> " + v.after)})
		}
	}
	if err := fleet.NewStore(q.Database()).Apply(ctx, versions, person(), notedIn(notes...)); err != nil {
		return err
	}
	if len(notes) == 0 { // all of them run already
		return nil
	}
	_, silent, err := askReload(ctx, q, reload.Request{ID: rand.Text(), By: person()})
	if err != nil {
		return err
	}
	if len(silent) > 0 {
		return fmt.Errorf("wave %s: no answer within %s from %s", w.name, reloadPatience, strings.Join(silent, ", "))
	}
	return w.waitLive(ctx, env, q)
}

const (
	// watchEvery is how often apply looks at a wave.
	watchEvery = time.Second
	// lastBake is how long the last wave is watched at the most.
	lastBake = time.Minute
)

// waitLive waits until serve has stored what became of the versions of a wave.
func (w wave) waitLive(ctx context.Context, env environment, q *queue.Queue) error {
	for until := time.Now().Add(reloadPatience); ; {
		live, err := liveVersions(ctx, q)
		if err != nil {
			return err
		}
		var missing, refused []string
		for _, v := range w.all {
			l := live[[2]string{v.portal, v.set}]
			switch {
			case l.Version == v.after:
			case l.Refused != "" && !strings.Contains(l.Refused, "[not-applied]"):
				refused = append(refused, fmt.Sprintf("portal %s refuses %s: %s", v.portal, v.set, l.Refused))
			default:
				missing = append(missing, v.portal)
			}
		}
		switch {
		case len(refused) > 0:
			env.say("%s", strings.Join(refused, "\n"))
			return errFindings
		case len(missing) == 0:
			return nil
		case time.Now().After(until):
			return fmt.Errorf("after %s serve does not run the new versions in %s", reloadPatience, strings.Join(missing, ", "))
		}
		if err := wakeup.Sleep(ctx, reloadLook); err != nil {
			return err
		}
	}
}

// trouble is what is wrong with the rules and the portals of a wave, as texts by what tells
// it from other trouble.
type trouble struct{ parked, held map[string]string }

// trouble reads the parked runs of a wave's rules, and the holds.
func (w wave) trouble(ctx context.Context, q *queue.Queue) (trouble, error) {
	out := trouble{map[string]string{}, map[string]string{}}
	portals := w.portals()
	rules := map[[2]string]bool{}
	var ids []string
	for _, v := range w.all {
		for _, id := range v.rules {
			rules[[2]string{v.portal, id}] = true
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	runs, err := q.Runs(ctx, queue.Filter{Portals: portals, Rules: ids, States: []queue.State{queue.Parked}, Limit: 1000 * len(ids)})
	if err != nil {
		return out, err
	}
	for _, r := range runs {
		if rules[[2]string{r.Portal, r.Rule}] {
			out.parked[fmt.Sprintf("%d %d", r.ID, r.Attempt)] = fmt.Sprintf("portal %s: run %d of rule %s for %s is parked: %s", r.Portal, r.ID, r.Rule, r.Entity, r.Error)
		}
	}
	holds, err := q.HoldList(ctx)
	for _, h := range holds {
		if slices.Contains(portals, h.Portal) && (h.Rule == "" || rules[[2]string{h.Portal, h.Rule}]) {
			what := report.Paused(h.Portal, h.Rule)
			out.held[what+" "+h.Cause] = fmt.Sprintf("%s is %s: %s", what, h.Cause, h.Reason)
		}
	}
	return out, err
}

// since returns the trouble that was not there before.
func (t trouble) since(before trouble) (parked, held []string) {
	for _, key := range slices.Sorted(maps.Keys(t.parked)) {
		if before.parked[key] == "" {
			parked = append(parked, t.parked[key])
		}
	}
	for _, key := range slices.Sorted(maps.Keys(t.held)) {
		if before.held[key] == "" {
			held = append(held, t.held[key])
		}
	}
	return parked, held
}
