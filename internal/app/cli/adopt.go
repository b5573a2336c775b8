package cli

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/app/service"
	"github.com/b24rules/b24rules/internal/audit"
)

var adoptCmd = &command{
	name:  "adopt",
	args:  "[--config FILE] --rule ID [--portal NAME] [--yes] [RULEFILE...]",
	short: "let a rule take over records that exist already",
	long: `Adopt goes through all entities of a rule, and finds the records that its steps with
match could take over: list elements that people have made, or that a rule of another
installation has made, and items with empty key fields, whose fields equal those of one
row. It lists how many, and which fit no row. With --yes it takes them over: they get the
code or the key of their row, and every other field stays as it is.

Adopt adds and deletes nothing, and does nothing else that the rule does. A row that fits
several elements, or shares one with another row, takes over none. With RULEFILE adopt
uses the rules of these files, so you can try a rule before serve runs it. If adopt is
interrupted, repeat it.

Exit codes: 0 nothing is left to take over, 1 --yes is missing, a row is unclear, or a run
would fail, 2 usage error, 3 adopt could not run.`,
	setup: func(fs *flag.FlagSet) runFunc {
		a := &adopting{}
		configVar(fs, &a.config)
		fs.StringVar(&a.rule, "rule", "", "the rule `ID`")
		portalsVar(fs, &a.portal, "not needed if there is only one: the portal")
		fs.BoolVar(&a.write, "yes", false, "take the records over; without it they are only listed")
		return a.run
	},
}

// adopting are the flags of adopt.
type adopting struct {
	single
	write bool
}

func (a *adopting) run(ctx context.Context, env environment, args []string) error {
	if a.rule == "" {
		return usagef("which rule? --rule ID")
	}
	a.files, a.dry = args, !a.write
	ctx, stop := interruptible(ctx)
	defer stop()
	c, err := loadConfig(env, a.config)
	if err != nil {
		return err
	}
	return eachPortal(env, c, a.portal, true, func(name string) error {
		one := *a
		one.portal = name
		return one.portalRun(ctx, env)
	})
}

// portalRun is run for one portal.
func (a *adopting) portalRun(ctx context.Context, env environment) error {
	sync := &syncing{single: a.single, effects: true}
	s, t, done, err := sync.openSync(ctx, env)
	if err != nil {
		return err
	}
	defer done()
	if err := canAdopt(t.Rule); err != nil {
		return err
	}
	if s.Portal(sync.portal).Shadow() && a.write {
		return fmt.Errorf("portal %s is in shadow mode, so rules write nothing: add adopt when the mode ends", sync.portal)
	}
	found := &adoptions{by: map[string]*engine.Adopted{}}
	var act *audit.Act
	if a.write {
		e := audit.Entry{Action: audit.Adopted, Portal: sync.portal, Target: "rule " + a.rule}
		if act, err = begin(ctx, s.Queue(), e, func(n int) string { return report.Plural(n, "record", "records") }); err != nil {
			return err
		}
	}
	job, err := sync.job(ctx, s, t)
	if err == nil {
		err = job.EachPage(ctx, s.Portal(sync.portal).Later(), env.pages(), func(typ int, ids []int) error {
			return t.Together(typ, ids, func(_ int, one service.Target) error {
				all, err := s.Adopt(ctx, sync.portal, one, act)
				found.add(all)
				if err != nil && ctx.Err() == nil {
					found.fail(fmt.Sprintf("%s: %v", one.Entity, env.redactor.Error(err)))
					return nil
				}
				return ctx.Err()
			})
		})
	}
	if err != nil {
		return err
	}
	return found.write(env, a.rule, sync.portal, a.write)
}

// canAdopt refuses a rule none of whose steps takes over records.
func canAdopt(r *engine.Rule) error {
	for _, s := range r.AllSteps() {
		if s.Types.Given("match") {
			return nil
		}
	}
	return usagef("no step of rule %s (%s) has match, which says what a record of a row is known by: match: {PRODUCT: =row.productId}", r.ID, r.Pos)
}

// adoptions are what the entities of a rule would take over, by place.
type adoptions struct {
	mu     sync.Mutex
	by     map[string]*engine.Adopted
	failed []string
}

func (f *adoptions) add(all []engine.Adopted) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, one := range all {
		sum := f.by[one.Place]
		if sum == nil {
			sum = &engine.Adopted{Place: one.Place}
			f.by[one.Place] = sum
		}
		sum.Pairs, sum.Left = append(sum.Pairs, one.Pairs...), append(sum.Left, one.Left...)
		sum.Written, sum.Unclear, sum.Without = sum.Written+one.Written, sum.Unclear+one.Unclear, sum.Without+one.Without
	}
}

func (f *adoptions) fail(text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failed = append(f.failed, text)
}

// write prints what was found. Its error says that something is left to do.
func (f *adoptions) write(env environment, rule, portal string, written bool) error {
	open := len(f.failed) > 0
	pairs := 0
	for _, place := range slices.Sorted(maps.Keys(f.by)) {
		one := f.by[place]
		words := []string{recordsOf(place, len(one.Pairs)) + " to take over"}
		if written {
			words[0] = recordsOf(place, one.Written) + " taken over"
		}
		pairs += len(one.Pairs) - one.Written
		open = open || one.Unclear > 0 || one.Written < len(one.Pairs)
		if one.Unclear > 0 {
			words = append(words, report.Plural(one.Unclear, "row is", "rows are")+" unclear")
		}
		if one.Without > 0 {
			words = append(words, report.Plural(one.Without, "row fits", "rows fit")+" no record")
		}
		if n := len(one.Left); n > 0 {
			slices.Sort(one.Left)
			words = append(words, fmt.Sprintf("%s no row: %s", report.Plural(n, "record fits", "records fit"), someIDs(one.Left)))
		}
		if _, err := fmt.Fprintf(env.Out, "rule %s in portal %s, %s: %s\n", rule, portal, fleet.PlaceName(place), strings.Join(words, ", ")); err != nil {
			return err
		}
	}
	if len(f.by) == 0 {
		if _, err := fmt.Fprintf(env.Out, "rule %s in portal %s: no entity has rows\n", rule, portal); err != nil {
			return err
		}
	}
	for _, text := range f.failed[:min(len(f.failed), 10)] {
		env.say("%s", text)
	}
	if pairs > 0 && !written {
		env.say("add --yes to take them over")
	}
	if open {
		return errFindings
	}
	return nil
}

// recordsOf counts records of a place.
func recordsOf(place string, n int) string {
	if strings.HasPrefix(place, "item:") {
		return report.Plural(n, "item", "items")
	}
	return report.Plural(n, "element", "elements")
}

// someIDs lists the first ids.
func someIDs(ids []int) string {
	const most = 10
	var words []string
	for _, id := range ids[:min(len(ids), most)] {
		words = append(words, strconv.Itoa(id))
	}
	if len(ids) > most {
		words = append(words, fmt.Sprintf("and %d more", len(ids)-most))
	}
	return strings.Join(words, ", ")
}
