package report

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/dryrun"
	"github.com/b24rules/b24rules/engine/history"
)

// Plan is the result of a dry run of a rule.
type Plan struct {
	Rule    string `json:"rule"`
	File    string `json:"file"`
	Version string `json:"version"`
	Portal  string `json:"portal"`
	Entity  string `json:"entity"`
	// StartedBy is the run that would start this one, in a plan that follows starts.
	StartedBy string          `json:"started_by,omitempty"`
	Outcome   history.Outcome `json:"outcome,omitempty"`
	Error     string          `json:"error,omitempty"`
	Calls     int             `json:"calls"`
	Skipped   []SkippedStep   `json:"skipped,omitempty"`
	Changes   []dryrun.Change `json:"changes"`
	// Follows are the runs that the run would start, and the time of its next one.
	Follows []string `json:"follows,omitempty"`
	// Starts are the runs of Follows.
	Starts []engine.Start `json:"-"`
	// NotPlanned is how many runs of Starts have no plan, because a plan that follows starts
	// has a limit.
	NotPlanned int `json:"not_planned,omitempty"`
	// Ticks are the next ticks of the rule's schedules.
	Ticks []string `json:"ticks,omitempty"`
}

// MaxFollowed bounds the started runs that a plan follows.
const MaxFollowed = 50

// Follow plans the runs that plans would start, and the runs that those would start. It
// plans a run once, however many others start it, and at most MaxFollowed runs. plan plans
// one of them.
func Follow(plans []Plan, plan func(engine.Start) (Plan, error)) ([]Plan, error) {
	type run struct{ rule, entity string }
	planned := map[run]bool{}
	for _, p := range plans {
		planned[run{p.Rule, p.Entity}] = true
	}
	first := len(plans)
	for i := 0; i < len(plans); i++ { // plans grows
		for _, s := range plans[i].Starts {
			key := run{s.Rule, s.Entity.String()}
			if planned[key] {
				continue
			}
			if len(plans)-first == MaxFollowed {
				plans[i].NotPlanned++
				continue
			}
			planned[key] = true
			one, err := plan(s)
			if err != nil {
				return nil, err
			}
			one.StartedBy = plans[i].Rule + " for " + plans[i].Entity
			plans = append(plans, one)
		}
	}
	return plans, nil
}

// NextTicks returns the next tick of each schedule of a rule in a portal with a zone.
func NextTicks(r *engine.Rule, now time.Time, zone *time.Location) []string {
	var out []string
	for _, s := range r.Schedules {
		out = append(out, fmt.Sprintf("the next tick of %s is at %s", s, s.Next(now, zone).Format("2006-01-02 15:04 MST")))
	}
	return out
}

// SkippedStep is a step that a run would skip.
type SkippedStep struct {
	Step   string `json:"step"`
	Line   int    `json:"line"`
	Reason string `json:"reason"`
	// When are the parts of its condition, if that was false.
	When []history.Term `json:"when,omitempty"`
}

// WritePlans prints plans; format is text or json.
func WritePlans(w io.Writer, format string, plans []Plan) error {
	if format == "json" {
		return WriteJSON(w, struct {
			Plans []Plan `json:"plans"`
		}{plans})
	}
	s := newSheet(w, nil)
	for i, one := range plans {
		if i > 0 {
			s.WriteString("\n")
		}
		s.plan(one)
	}
	_, err := io.WriteString(w, s.String())
	return err
}

func (s *sheet) plan(p Plan) {
	by := ""
	if p.StartedBy != "" {
		by = ", started by " + p.StartedBy
	}
	fmt.Fprintf(s, "%s for %s of portal %s%s: %s\n", s.in(bold, p.Rule), s.in(bold, p.Entity), p.Portal, by, planSummary(p))
	for _, c := range p.Changes {
		s.change(c)
	}
	for _, f := range p.Follows {
		fmt.Fprintf(s, "  > %s\n", f)
	}
	if p.NotPlanned > 0 {
		fmt.Fprintf(s, "  %s\n", s.in(yellow, fmt.Sprintf("%d of these runs are not planned: --follow plans at most %d runs", p.NotPlanned, MaxFollowed)))
	}
	for _, t := range p.Ticks {
		fmt.Fprintf(s, "  > %s\n", t)
	}
	for _, k := range p.Skipped {
		fmt.Fprintf(s, "  %s\n", s.in(dim, fmt.Sprintf("step %s (line %d) would be skipped: %s", k.Step, k.Line, k.Reason)))
	}
	if p.Error != "" {
		s.WriteString("  " + s.in(red, "would fail") + " ")
		s.wrapped(4, p.Error)
	}
}

func planSummary(p Plan) string {
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
		text += " (it does not exist, and the rule has no deleted steps)"
	case history.Removed:
		text += " (it does not exist: the deleted steps run)"
	case history.Stopped:
		text += " (a stop step ends the run)"
	case history.Done:
	}
	return text
}

// change prints a change with its fields below it.
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
	head = OneLine(head)
	fmt.Fprintf(s, "  %s\n", s.in(colour, sign+" "+Fit(head, s.room(4))))
	width := 0
	for _, f := range c.Fields {
		width = max(width, utf8.RuneCountInString(f.Name))
	}
	width = min(width, 30)
	for _, f := range c.Fields {
		name := Fit(f.Name, width)
		line := "      " + name + spaces(width-utf8.RuneCountInString(name)) + "  "
		text := fieldText(f.After)
		if c.Kind == dryrun.ChangeUpdate {
			text = fieldText(f.Before) + " -> " + text
		}
		s.WriteString(line + Fit(text, s.room(utf8.RuneCountInString(line))) + "\n")
	}
	if c.Kind == dryrun.ChangeUpdate && len(c.Fields) == 0 {
		fmt.Fprintf(s, "      %s\n", s.in(dim, "the same values again"))
	}
}

// fieldText writes a field's value; nothing is said to be nothing.
func fieldText(v any) string {
	if text := OneLine(value(v)); text != "" && text != "null" {
		return text
	}
	return "nothing"
}
