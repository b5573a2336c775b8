package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/describe"
	"github.com/b24rules/b24rules/engine/lint"
)

// Limits of the standard plan: sustained requests per second, and commands per
// batch. https://apidocs.bitrix24.com/limits.html
const (
	planRequests  = 2
	batchCommands = 50
)

// sampleRows is the number of rows, elements and items in the example figures.
const sampleRows = 10

// explained is the JSON form of a description of rules.
type explained struct {
	Version int                    `json:"version"`
	Sets    []describe.Description `json:"sets"`
	Cycles  []cycleText            `json:"rings"`
}

// cycleText is a cycle in which rules trigger themselves or each other.
type cycleText struct {
	Rules      []string `json:"rules"`
	Chain      string   `json:"chain"`
	Terminates bool     `json:"settles"`
	Why        string   `json:"why"`
}

// WriteRules describes rules; format is text or json. now is the time after which the next
// tick of a schedule is.
func WriteRules(w io.Writer, format string, sets []*engine.RuleSet, now time.Time) error {
	out := explained{Version: 1, Sets: []describe.Description{}, Cycles: []cycleText{}}
	for _, s := range sets {
		out.Sets = append(out.Sets, describe.Set(s))
		for i, r := range s.Rules {
			out.Sets[len(out.Sets)-1].Rules[i].Next = nextTicks(r, now)
		}
	}
	for _, r := range lint.Cycles(sets) {
		out.Cycles = append(out.Cycles, cycleText{r.Rules, r.Chain.String(), r.Terminates, r.Why.String()})
	}
	if format == "json" {
		return WriteJSON(w, out)
	}
	p := &prose{w: w}
	for i, s := range out.Sets {
		if i > 0 {
			p.line(0, "")
		}
		p.set(s)
	}
	for i, r := range out.Cycles {
		if i == 0 {
			p.line(0, "")
			p.line(0, "Cycles in which the writes of rules trigger these rules again:")
		}
		rest := "may not terminate: " + r.Why
		if r.Terminates {
			rest = "terminates: " + r.Why
		}
		p.line(1, "%s; %s", r.Chain, rest)
	}
	return p.err
}

// nextTicks returns the next tick of each schedule of a rule. A schedule without a zone has
// that of the portal, which is not known here.
func nextTicks(r *engine.Rule, now time.Time) []string {
	var out []string
	for _, s := range r.Schedules {
		next := s.Next(now, nil)
		text := next.Format("2006-01-02 15:04 MST")
		if s.Zone == nil {
			text = next.Format("2006-01-02 15:04") + " if the portal is in UTC"
		}
		out = append(out, text)
	}
	return out
}

// prose writes lines and keeps the first error.
type prose struct {
	w   io.Writer
	err error
}

func (p *prose) line(indent int, format string, args ...any) {
	if p.err == nil {
		text := strings.Repeat("  ", indent) + fmt.Sprintf(format, args...)
		_, p.err = fmt.Fprintln(p.w, strings.TrimRight(text, " "))
	}
}

func (p *prose) set(s describe.Description) {
	p.line(0, "%s", join(": ", s.File, s.Title))
	if len(s.Inputs) > 0 {
		p.line(1, "inputs from the portal's configuration:")
	}
	for _, in := range s.Inputs {
		without := "required"
		if !in.Required {
			without = cmp.Or(in.Default, `""`) + " by default"
		}
		p.line(2, "%s (%s, %s)%s", in.Name, in.Type, without, after(": ", in.Title))
	}
	for _, r := range s.Rules {
		p.line(0, "")
		p.rule(r)
	}
}

func (p *prose) rule(r describe.RuleDescription) {
	p.line(0, "rule %s", join(": ", r.ID, r.Title))
	for i, s := range r.Schedules {
		p.line(1, "runs at %s; next: %s", s, r.Next[i])
	}
	if r.Hook != "" {
		p.line(1, "runs when another system posts to %s", r.Hook)
		p.line(2, "with %s", r.HookFields)
		if r.Key != "" {
			p.line(2, "one run at a time for each %s, with the latest data", r.Key)
		} else {
			p.line(2, "each request is a run")
		}
	}
	for _, robot := range r.Robots {
		p.line(1, "runs when a robot or a business process calls %s", robot)
	}
	if r.About != "" {
		p.line(1, "is about %s, and other rules can start it", r.About)
	}
	if len(r.Events) > 0 {
		p.line(1, "listens to %s", strings.Join(r.Events, ", "))
	}
	if len(r.Portals) > 0 {
		p.line(1, "only in %s", portalNames(r.Portals))
	}
	if r.Entity != "" {
		p.line(1, "uses the entity with the id %s", r.Entity)
	}
	if r.When != "" {
		p.line(1, "stops at once unless %s", r.When)
	}
	switch {
	case r.Hook == "":
		p.line(1, "runs when the entity has not changed for %s, after %s at the latest", r.Quiet, r.Max)
	case r.Quiet > 0:
		p.line(1, "runs when nothing has arrived for %s, after %s at the latest", r.Quiet, r.Max)
	}
	if len(r.Steps) > 0 {
		p.line(1, "while the entity exists:")
		p.steps(2, r.Steps)
		p.cost(2, "an event", r.Cost)
	}
	if len(r.Deleted) > 0 {
		p.line(1, "after the entity is deleted:")
		p.steps(2, r.Deleted)
		p.cost(2, "a deletion", r.DeletedCost)
	}
	limits := fmt.Sprintf("after %d commands", r.Limits.Calls)
	if r.Limits.Deletes > 0 {
		limits += fmt.Sprintf(" or %d deletions", r.Limits.Deletes)
	}
	p.line(1, "is parked %s, or when a step without on_error fails permanently", limits)
}

func portalNames(names []string) string {
	if len(names) == 1 {
		return "the portal " + names[0]
	}
	return "the portals " + strings.Join(names, ", ")
}

func (p *prose) steps(indent int, steps []describe.StepDescription) {
	for i, s := range steps {
		p.line(indent, "%d. %s%s", i+1, s.Does, options(s))
		if s.OnError == "steps" {
			p.line(indent+1, "if it fails:")
			p.steps(indent+2, s.Instead)
		}
	}
}

// options describes the options of a step.
func options(s describe.StepDescription) string {
	var out []string
	add := func(given bool, format string, args ...any) {
		if given {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	add(s.ForEach != "", "for each of %s, at most %d", s.ForEach, s.Limit)
	add(s.When != "", "only when %s", s.When)
	add(s.Entered != "", "each time when %s has become true", s.Entered)
	add(s.At != "", "at the time %s, or up to %s later", s.At, s.Late)
	add(s.Once != "", "once for each value of %s", s.Once)
	add(s.Timeout > 0, "within %s", s.Timeout)
	add(s.Retry > 0, "in at most %d attempts", s.Retry)
	add(s.OnError == "skip", "skipped if it fails")
	return after("; ", strings.Join(out, "; "))
}

// cost prints the cost of an event and how many such events per second the plan
// sustains.
func (p *prose) cost(indent int, what string, c describe.CostDescription) {
	if c.Worst.Zero() {
		p.line(indent, "%s causes no REST commands", what)
		return
	}
	p.line(indent, "cost of %s%s:", what, sample(c.Worst))
	said := ""
	for _, x := range []struct {
		when   string
		amount engine.Amount
	}{{"no difference", c.Least}, {"one difference", c.Typical}, {"worst case", c.Worst}} {
		if text := x.amount.String(); text != said {
			p.line(indent+1, "%-15s %s, %s per second: %s", x.when+":", Plural(x.amount.At(sampleRows), "command", "commands"), rate(x.amount), text)
			said = text
		}
	}
}

// sample names the numbers of the example figures.
func sample(a engine.Amount) string {
	var of []string
	for _, t := range a.Terms {
		if !slices.Contains(of, t.Of) {
			of = append(of, t.Of)
		}
	}
	if len(of) == 0 {
		return ""
	}
	for i := range of {
		of[i] = fmt.Sprintf("%d %s", sampleRows, of[i])
	}
	return ", with " + strings.Join(of, " and ")
}

// rate returns how many events per second the standard plan sustains.
func rate(a engine.Amount) string {
	n := a.At(sampleRows)
	if n == 0 {
		return "any number"
	}
	if perSecond := float64(planRequests*batchCommands) / float64(n); perSecond < 10 {
		return fmt.Sprintf("%.1f", perSecond)
	}
	return fmt.Sprint(planRequests * batchCommands / n)
}

// WriteMatches prints which rules an event of a portal starts, and why the others
// do not match; format is text or json. Inputs have their defaults.
func WriteMatches(w io.Writer, format, portal string, sets []*engine.RuleSet, event engine.Event) error {
	all := []describe.RuleMatch{}
	for _, s := range sets {
		all = append(all, describe.Match(s, portal, event, defaults(s))...)
	}
	if format == "json" {
		return WriteJSON(w, map[string]any{"version": 1, "event": strings.ToUpper(event.Code), "rules": all})
	}
	p := &prose{w: w}
	met := slices.ContainsFunc(all, func(m describe.RuleMatch) bool { return m.Matches || m.Perhaps })
	if !met {
		p.line(0, "%s matches no rule", strings.ToUpper(event.Code))
	} else {
		p.line(0, "%s", strings.ToUpper(event.Code))
	}
	for _, m := range all {
		p.match(m)
	}
	return p.err
}

func (p *prose) match(m describe.RuleMatch) {
	says := "does not run"
	switch {
	case m.Matches:
		says = fmt.Sprintf("runs its %s for %s", m.Part, m.Entity)
	case m.Perhaps:
		says = fmt.Sprintf("may run its %s for %s", m.Part, m.Entity)
	}
	p.line(1, "%s:%d: rule %s %s", m.File, m.Line, m.Rule, says)
	for _, why := range m.Why {
		p.line(2, "%s", why)
	}
}

func join(sep string, words ...string) string {
	return strings.Join(slices.DeleteFunc(words, func(s string) bool { return s == "" }), sep)
}

func after(sep, text string) string {
	if text == "" {
		return ""
	}
	return sep + text
}

// defaults returns the inputs that have a default.
func defaults(s *engine.RuleSet) map[string]any {
	out := map[string]any{}
	for _, in := range s.Inputs {
		if in.HasDefault {
			out[in.Name] = in.Default
		}
	}
	return out
}
