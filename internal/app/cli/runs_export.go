package cli

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/ruletest/export"
	"github.com/b24rules/b24rules/internal/yamlfile"
	"github.com/b24rules/b24rules/schemas"
)

var runsExportCmd = &command{
	name:  "runs export",
	args:  "[--config FILE] [--out FILE] [--attempt N] [--keep-names] RUN",
	short: "write a run as a rule test",
	long: `Export writes a run as a test for b24rules test: the data that it read from the
portal, the event, and its REST calls or its error. So you can reproduce and fix a
problem of a real portal without the portal, and keep the test.

Names and texts are masked, each always by the same mask: "Tile × 3" becomes
"Product 1 × 3". Numbers, dates, choices and texts of the rule file are not
masked. --keep-names masks nothing. The history of a run that succeeded and wrote
nothing has no reads, so it cannot be exported.

Export runs the test before it writes it, and warns if the test fails with the
current rule or cannot cover a part of the run.`,
	setup: func(fs *flag.FlagSet) runFunc {
		e := &exporting{}
		path := configFlag(fs)
		fs.StringVar(&e.out, "out", "", "write to `FILE`, named NAME_test.yaml, instead of stdout")
		fs.IntVar(&e.attempt, "attempt", 0, "export attempt `N` instead of the last one")
		fs.BoolVar(&e.keepNames, "keep-names", false, "mask nothing")
		return func(ctx context.Context, env environment, args []string) error {
			ids, err := runIDs(args)
			if err != nil {
				return err
			}
			if len(ids) != 1 {
				return usagef("which run? 'b24rules runs list' shows the numbers")
			}
			if base := filepath.Base(e.out); e.out != "" && (fleet.IsRuleFile(base) || !strings.HasSuffix(yamlfile.Stem(base), "_test")) {
				return usagef("--out %q: want the name of a test file, such as deal_test.yaml", e.out)
			}
			return withHistory(ctx, env, *path, func(c *config.Config, q *queue.Queue) error {
				return e.export(ctx, env, c, q, ids[0])
			})
		}
	},
}

type exporting struct {
	out       string
	attempt   int
	keepNames bool
}

func (e *exporting) export(ctx context.Context, env environment, c *config.Config, q *queue.Queue, id int64) error {
	st, err := report.ReadRun(ctx, q, id)
	if err != nil {
		return err
	}
	if st.Listed.ID != id {
		env.say("run %d joined run %d", id, st.Listed.ID)
	}
	a, err := e.choose(st)
	if err != nil {
		return err
	}
	r, err := e.recorded(env, c, st, a)
	if err != nil {
		return err
	}
	text, warnings, err := export.FromRun(ctx, r)
	if errors.Is(err, export.ErrNoReads) {
		return fmt.Errorf("run %d cannot be exported: %w", id, err)
	}
	if err != nil {
		return fmt.Errorf("run %d cannot be exported: %w", id, config.Plain(err))
	}
	for _, w := range warnings {
		env.say("%s", strings.TrimSpace(w))
	}
	if e.out == "" {
		_, err = env.Out.Write(text)
		return err
	}
	f, err := os.OpenFile(e.out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return config.Plain(err)
	}
	_, err = bytes.NewReader(text).WriteTo(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	env.say("wrote %s: b24rules test %s", e.out, e.out)
	return nil
}

// choose returns the requested attempt, or the last one with more than a brief
// record.
func (e *exporting) choose(st *report.Run) (report.Attempt, error) {
	last := st.Recorded(e.attempt)
	switch {
	case last != nil:
		return *last, nil
	case e.attempt != 0:
		return report.Attempt{}, usagef("--attempt %d: the run has %s", e.attempt, report.Plural(len(st.Attempts), "attempt", "attempts"))
	}
	return report.Attempt{}, fmt.Errorf("run %d cannot be exported: it has not run yet", st.Listed.ID)
}

func (e *exporting) recorded(env environment, c *config.Config, st *report.Run, a report.Attempt) (export.Run, error) {
	out := export.Run{
		Actions: env.actions,
		Name:    fmt.Sprintf("run %d: %s for %s", st.Listed.ID, st.Listed.Rule, st.Listed.Entity),
		Comment: fmt.Sprintf("Run %d of rule %s for %s, exported by b24rules runs export.\nThe rule file had the version %s.", st.Listed.ID, st.Listed.Rule, st.Listed.Entity, a.Trace.Version),
		Record:  a.Trace, KeepNames: e.keepNames,
	}
	if !e.keepNames {
		out.Comment += "\nNames and texts are masked."
	}
	var err error
	if out.Entity, err = engine.ParseEntity(st.Listed.Entity); err != nil {
		return out, err
	}
	if out.RuleFile, err = ruleFileFor(c, a.Trace); err != nil {
		return out, err
	}
	if out.Rules, err = e.fromTest(out.RuleFile); err != nil {
		return out, err
	}
	if a.Outcome == journal.OutcomeParked || a.Outcome == journal.OutcomeFailed {
		out.Parked = a.Error
	}
	out.Code, out.Data, out.Time, err = eventFor(st, out.Entity)
	return out, err
}

// ruleFileFor finds the file of the rule at its former path or in the paths of the
// configuration.
func ruleFileFor(c *config.Config, r *history.Record) (string, error) {
	if info, err := os.Stat(r.File); err == nil && !info.IsDir() {
		return r.File, nil
	}
	names, err := fleet.FindRuleFiles(c.Rules)
	if err != nil {
		return "", err
	}
	for _, name := range names {
		if filepath.Base(name) == filepath.Base(r.File) {
			return name, nil
		}
	}
	return "", fmt.Errorf("the rule file %s no longer exists", r.File)
}

// fromTest returns the path of the rule file relative to the test.
func (e *exporting) fromTest(file string) (string, error) {
	from, err := filepath.Abs(filepath.Dir(e.out)) // the current folder without --out
	if err != nil {
		return "", err
	}
	to, err := filepath.Abs(file)
	if err != nil {
		return "", err
	}
	rel, err := filepath.Rel(from, to)
	return filepath.ToSlash(rel), err
}

// eventFor chooses the event of a test: one of the same kind as the run, so an add
// for a new entity and a delete for a deleted one. If no event came from the portal,
// the test has an update.
func eventFor(st *report.Run, entity engine.Entity) (code string, data map[string]any, at time.Time, err error) {
	events := slices.Clone(st.Events)
	slices.Reverse(events)
	op := "update"
	switch {
	case st.Listed.Deleted:
		op = "delete"
	case st.Listed.Added:
		op = "add"
	}
	rank := func(e journal.Event) int {
		known, _, ok := schemas.LookupEvent(e.Code)
		switch {
		case !ok:
			return 2
		case known.Op == op:
			return 0
		}
		return 1
	}
	slices.SortStableFunc(events, func(a, b journal.Event) int { return rank(a) - rank(b) })
	e := st.Listed.Event
	if len(events) > 0 {
		e = events[0]
	}
	if rank(e) == 2 {
		return synthetic(entity, op), nil, e.Sent, nil
	}
	v, err := formula.FromJSON(e.Data)
	if err != nil {
		return "", nil, e.Sent, fmt.Errorf("data of event %s: %w", e.Code, err)
	}
	data, _ = v.(map[string]any)
	return strings.ToUpper(e.Code), data, e.Sent, nil
}

// synthetic returns the code of an event about e.
func synthetic(e engine.Entity, op string) string {
	if e.Kind == "item" {
		return "ONCRMDYNAMICITEM" + strings.ToUpper(op)
	}
	return "ONCRM" + strings.ToUpper(e.Kind) + strings.ToUpper(op)
}
