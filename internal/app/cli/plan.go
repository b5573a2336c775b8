package cli

import (
	"context"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/b24rules/b24rules/engine/dryrun"
	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/internal/app/service"
)

var planCmd = &command{
	name:  "plan",
	args:  "[--config FILE] [--rule ID] [--portal NAME] --entity ENTITY [--deleted] [--format text|json] [RULEFILE...]",
	short: "show what rules would do to an entity, and do nothing",
	long: `Plan reads an entity of a real portal and what belongs to it, as a run would, and
shows what would change: + what would be added, ~ what would change with each
field before and after, - what would be deleted, ! calls whose effect is not known
here. Nothing is written.

Without RULEFILE the rules of the configuration are taken, with it those of the
files, with the inputs that the configuration has for them. A rule that is being
written can be tried on real data like this.

A later step sees items that an earlier one would add or change when it reads
them by their id, but not in lists; what a writing call would answer is unknown
and nothing to it. Whether a once is new is looked up in the database.

Exit codes: 0 fine, whether there are changes or none; 1 a run would fail, or a
rule file has findings; 2 wrong usage; 3 it could not be done.`,
	setup: func(fs *flag.FlagSet) runFunc {
		p := &planning{}
		p.flags(fs)
		fs.StringVar(&p.format, "format", "text", "print as `FORMAT`: text or json")
		return p.run
	},
}

type planning struct {
	single
	format string
	later  bool // nobody waits for it: what others want goes first
}

// planned is what one rule would do.
type planned struct {
	Rule    string          `json:"rule"`
	File    string          `json:"file"`
	Version string          `json:"version"`
	Portal  string          `json:"portal"`
	Entity  string          `json:"entity"`
	Outcome history.Outcome `json:"outcome,omitempty"`
	Error   string          `json:"error,omitempty"`
	Calls   int             `json:"calls"`
	Skipped []skippedStep   `json:"skipped,omitempty"`
	Changes []dryrun.Change `json:"changes"`
}

type skippedStep struct {
	Step   string `json:"step"`
	Line   int    `json:"line"`
	Reason string `json:"reason"`
}

func (p *planning) run(ctx context.Context, env environment, args []string) error {
	if err := oneOf("format", p.format, "text", "json"); err != nil {
		return err
	}
	p.files, p.dry = args, true
	ctx, stop := interruptible(ctx)
	defer stop()
	a, targets, done, err := p.open(ctx, env)
	if err != nil {
		return err
	}
	defer done()
	plans := make([]planned, 0, len(targets))
	for _, t := range targets {
		one, err := p.plan(ctx, a, t)
		if err != nil {
			return err
		}
		plans = append(plans, one)
	}
	if err := p.print(env.Out, plans); err != nil {
		return err
	}
	if slices.ContainsFunc(plans, func(one planned) bool { return one.Error != "" }) {
		return errFindings
	}
	return nil
}

func (p *planning) plan(ctx context.Context, a *service.Service, t service.Target) (planned, error) {
	run := t.PlanRun(a.Portal(p.portal), a.Queue(), p.deleted)
	if p.later {
		run.Client = a.Portal(p.portal).Later()
	}
	dry := &dryrun.Run{}
	run.DryRun = dry
	trace, err := run.Do(ctx, t.Rule)
	if ctx.Err() != nil {
		return planned{}, ctx.Err()
	}
	changes, readErr := dry.Changes(ctx)
	if readErr != nil {
		return planned{}, readErr
	}
	out := planned{
		Rule: t.Rule.ID, File: trace.File, Version: trace.Version, Portal: p.portal, Entity: t.Entity.String(),
		Outcome: trace.Outcome, Calls: trace.Calls, Changes: changes,
	}
	if err != nil {
		out.Error = p.hider.Text(err.Error())
	}
	for _, s := range trace.Steps {
		if s.Skipped != "" {
			out.Skipped = append(out.Skipped, skippedStep{s.Step, s.Line, s.Skipped})
		}
	}
	return out, nil
}

func (p *planning) print(w io.Writer, plans []planned) error {
	if p.format == "json" {
		return writeJSON(w, struct {
			Plans []planned `json:"plans"`
		}{plans})
	}
	s := newSheet(w)
	for i, one := range plans {
		if i > 0 {
			s.WriteString("\n")
		}
		s.plan(one)
	}
	_, err := io.WriteString(w, s.String())
	return err
}

func (s *sheet) plan(p planned) {
	fmt.Fprintf(s, "%s for %s of portal %s: %s\n", s.in(bold, p.Rule), s.in(bold, p.Entity), p.Portal, planSummary(p))
	for _, c := range p.Changes {
		s.change(c)
	}
	for _, k := range p.Skipped {
		fmt.Fprintf(s, "  %s\n", s.in(dim, fmt.Sprintf("step %s (line %d) would be skipped: %s", k.Step, k.Line, k.Reason)))
	}
	if p.Error != "" {
		s.WriteString("  " + s.in(red, "would fail") + " ")
		s.wrapped(4, p.Error)
	}
}

func planSummary(p planned) string {
	counts := map[dryrun.ChangeKind]int{}
	for _, c := range p.Changes {
		counts[c.Kind]++
	}
	var parts []string
	for _, k := range []struct {
		kind dryrun.ChangeKind
		word string
	}{
		{dryrun.ChangeAdd, "to add"},
		{dryrun.ChangeUpdate, "to change"},
		{dryrun.ChangeDelete, "to delete"},
		{dryrun.ChangeCall, "to call"},
		{dryrun.ChangeOutside, "elsewhere"},
	} {
		if n := counts[k.kind]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, k.word))
		}
	}
	text := strings.Join(parts, ", ")
	if text == "" {
		text = "nothing to change"
	}
	switch p.Outcome {
	case history.Skipped:
		text += " (the rule's when is false)"
	case history.Gone:
		text += " (it does not exist, and the rule has no steps for that)"
	case history.Removed:
		text += " (it does not exist: the deleted steps run)"
	case history.Stopped:
		text += " (a stop step ends the run)"
	case history.Done:
	}
	return text
}

// change writes one change with its fields below it.
func (s *sheet) change(c dryrun.Change) {
	sign, colour := "!", cyan
	switch c.Kind {
	case dryrun.ChangeAdd:
		sign, colour = "+", green
	case dryrun.ChangeUpdate:
		sign, colour = "~", yellow
	case dryrun.ChangeDelete:
		sign, colour = "-", red
	case dryrun.ChangeCall, dryrun.ChangeOutside:
	}
	head := c.Record
	if head == "" {
		head = c.Method
	}
	if c.Title != "" {
		head += "  " + c.Title
	}
	head = oneLine(head)
	fmt.Fprintf(s, "  %s\n", s.in(colour, sign+" "+fit(head, s.room(4))))
	width := 0
	for _, f := range c.Fields {
		width = max(width, utf8.RuneCountInString(f.Name))
	}
	width = min(width, 30)
	for _, f := range c.Fields {
		name := fit(f.Name, width)
		line := "      " + name + spaces(width-utf8.RuneCountInString(name)) + "  "
		text := fieldText(f.After)
		if c.Kind == dryrun.ChangeUpdate {
			text = fieldText(f.Before) + " -> " + text
		}
		s.WriteString(line + fit(text, s.room(utf8.RuneCountInString(line))) + "\n")
	}
	if c.Kind == dryrun.ChangeUpdate && len(c.Fields) == 0 {
		fmt.Fprintf(s, "      %s\n", s.in(dim, "the same values again"))
	}
}

// fieldText writes a field's value; nothing is said to be nothing.
func fieldText(v any) string {
	if text := oneLine(value(v)); text != "" && text != "null" {
		return text
	}
	return "nothing"
}
