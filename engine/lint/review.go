package lint

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/internal/diag"
)

// File reports what is allowed in one rule file and is probably a mistake. The set
// must have no errors. Otherwise names that only broken steps use would be reported as
// unused. File also returns the summary of the set, which it has to make anyway.
func File(set *engine.RuleSet) (*Summary, diag.List) {
	c := &reviewer{set: set}
	used := map[string]bool{}
	read := func(path string) { used[engine.PathPrefix(path, 2)] = true }
	for _, v := range c.set.Vars {
		v.Value.Paths(read)
	}
	for _, r := range c.set.Rules {
		r.When.Paths(read)
		r.Entity.Paths(read)
		if r.Hook != nil {
			r.Hook.Key.Paths(read)
		}
		for _, s := range r.Schedules {
			(&engine.Value{Record: s.Filter}).Paths(read)
		}
		for _, s := range r.AllSteps() {
			s.EachValue(func(v *engine.Value) { v.Paths(read) })
		}
		c.reviewRule(r)
	}
	c.unusedConstants(used)
	own := Summarize(c.set)
	c.list = append(c.list, checkCycles(own, false)...)
	c.list = append(c.list, checkConflicts(own, false)...)
	checkSources(own, false, &c.list)
	return own[0], c.list
}

// reviewer collects what it finds in one file.
type reviewer struct {
	set  *engine.RuleSet
	list diag.List
}

func (c *reviewer) warnf(n *yaml.Node, code, format string, args ...any) *diag.Finding {
	return c.set.Source.WithEnd(n, c.list.Warnf(c.set.Source.Pos(n), code, format, args...))
}

// unusedConstants warns of inputs and vars that no formula reads. A formula that reads
// inputs as a whole reads all of them.
func (c *reviewer) unusedConstants(used map[string]bool) {
	for _, in := range c.set.Inputs {
		if !used[engine.NameInputs] && !used[engine.NameInputs+"."+in.Name] {
			format := "no formula reads the input %q"
			if !in.HasDefault {
				format = "no formula reads the input %q, but every portal must supply it"
			}
			c.warnf(in.Node, "unused-input", format, in.Name).Hint = "remove it"
		}
	}
	for _, v := range c.set.Vars {
		if !used[engine.NameVars] && !used[engine.NameVars+"."+v.Name] {
			c.warnf(v.Key, "unused-var", "no formula reads the var %q", v.Name).Hint = "remove it"
		}
	}
}

func (c *reviewer) reviewRule(r *engine.Rule) {
	c.reviewTriggers(r)
	c.constantWhen(r.When, diag.Phrasef("the rule"))
	names := map[string]bool{}
	for _, s := range r.AllSteps() {
		s.EachValue(func(v *engine.Value) { v.Reads(func(name string) { names[name] = true }) })
	}
	f := newFlow(r)
	c.startedWithoutEvent(r)
	for _, s := range r.AllSteps() {
		c.constantWhen(s.When, diag.Phrasef("the step"))
		c.constantEntered(s.Entered)
		c.enteredByChange(s.Entered)
		c.neverEntered(s)
		c.nilID(f, s.When)
		c.nilID(f, s.Entered)
		c.reviewOnce(f, s)
		c.reviewReads(f, s)
		c.unusedNames(s, names)
		c.idleLoop(s)
	}
	checkReminders(c, r)
	c.stepLists(r.Steps)
	c.stepLists(r.Deleted)
}

// systemTimes are fields that the portal sets when something happens. A schedule that looks for
// them reports what has happened. It is no reminder.
var systemTimes = []string{"createdTime", "updatedTime", "movedTime", "lastActivityTime", "createdDate", "id"}

// checkReminders warns of a schedule that looks for the entities with a certain date.
func checkReminders(c *reviewer, r *engine.Rule) {
	for _, s := range r.Schedules {
		if s.Filter == nil {
			continue
		}
		for _, e := range s.Filter.Entries {
			key, _ := e.Key.Const()
			name, _ := key.(string)
			byTime := false
			e.Value.Paths(func(path string) { byTime = byTime || path == engine.NameEvent+".time" })
			if name = strings.TrimPrefix(name, "="); !byTime || name == "" || strings.ContainsAny(name[:1], "<>!%@") || slices.Contains(systemTimes, name) {
				continue
			}
			c.warnf(e.Key.Node, "schedule-for-date", "the tick that should find this date may be missed, and a date that is set later than that is never found").Hint = "write a rule with the events of the entity and a step with at: it waits for the date, and follows it when it changes"
		}
	}
}

// startedWithoutEvent warns of what only events carry in a rule that has none.
func (c *reviewer) startedWithoutEvent(r *engine.Rule) {
	if len(r.Triggers) > 0 || r.AboutKind == nil || r.Hook != nil || len(r.Robots) > 0 {
		return
	}
	how := diag.Phrasef("only other rules start rule %s", r.ID)
	if len(r.Schedules) > 0 {
		how = diag.Phrasef("only a schedule starts rule %s", r.ID)
	}
	check := func(v *engine.Value) {
		v.Paths(func(path string) {
			switch {
			case path == "event.added":
				c.warnf(v.Node, "no-such-data", "event.added is always false, because %s", how).Hint = "ask for a field of the entity, such as createdTime"
			case engine.PathPrefix(path, 2) == "event.data" && len(r.Schedules) == 0:
				c.warnf(v.Node, "no-such-data", "event.data is empty, because %s", how).Hint = "use event.id, and read the entity in a step"
			}
		})
	}
	check(r.When)
	for _, s := range r.AllSteps() {
		s.EachValue(check)
	}
}

// constantWhen warns of a condition that decides nothing.
func (c *reviewer) constantWhen(v *engine.Value, what diag.Phrase) {
	x, constant := v.Const()
	if b, ok := x.(bool); constant && ok {
		if b {
			c.warnf(v.Node, "constant-condition", "when is always true, so %s always runs", what).Hint = "remove when"
		} else {
			c.warnf(v.Node, "constant-condition", "when is always false, so %s never runs", what).Hintf("remove %s, or allow this finding while it is paused", what)
		}
	}
}

// constantEntered warns of a condition that never becomes true again.
func (c *reviewer) constantEntered(v *engine.Value) {
	x, constant := v.Const()
	if b, ok := x.(bool); constant && ok {
		if b {
			c.warnf(v.Node, "constant-condition", "entered is always true, so the step runs only once for each entity").Hint = "write the condition that becomes true, such as =deal.stageId == \"WON\""
		} else {
			c.warnf(v.Node, "constant-condition", "entered is always false, so the step never runs").Hint = "remove the step, or allow this finding while it is paused"
		}
	}
}

// changed is the canonical text of a comparison of a value with its value before.
var changed = regexp.MustCompile(`^\(*(?:before(\S+) != (\S+?)|(\S+) != before(\S+?))\)*$`)

// enteredByChange warns of a condition that is true after each change: after two changes
// in a row it was true before.
func (c *reviewer) enteredByChange(v *engine.Value) {
	parts := v.Conjuncts()
	if len(parts) != 1 {
		return
	}
	if m := changed.FindStringSubmatch(parts[0]); m != nil {
		value := formula.Dotted(strings.Trim(m[2]+m[3], "()"))
		c.warnf(v.Node, "once-of-condition", "entered omits the second of two changes in a row, because the condition was true before").Hintf("to run the step for each new value, write once: =%s", value)
	}
}

// unusedNames warns of results that no formula reads. The id of a step that writes
// also names the step in the history, so it needs no reader.
func (c *reviewer) unusedNames(s *engine.Step, names map[string]bool) {
	for _, a := range s.Args {
		for _, n := range a.Names {
			own := s.ID != "" && names[s.ID]
			if s.Action.Spread && !names[n.Name] && !own {
				c.warnf(n.Key, "unused-name", "no formula reads the computed name %q", n.Name).Hint = "remove it"
			}
		}
	}
	if s.Action.Result == nil || s.Action.Spread || s.Effect() == engine.Writes {
		return
	}
	switch {
	case s.ID == "":
		c.warnf(s.Verb, "unused-result", "the result of %s has no name, so no formula can read it", s.Action.Name).Hint = "give the step an id, or remove it"
	case !names[s.ID]:
		c.warnf(s.IDNode, "unused-result", "no formula reads the result %q of %s", s.ID, s.Action.Name).Hint = "remove the step"
	}
}

// idleLoop warns of a for_each whose step does the same each time.
func (c *reviewer) idleLoop(s *engine.Step) {
	if s.ForEach == nil {
		return
	}
	reads := false
	for _, a := range s.Args {
		if a.Field.PerRow != "" {
			continue // its row differs each time
		}
		a.EachValue(func(v *engine.Value) { reads = reads || readsRow(v) })
	}
	if !reads {
		c.warnf(s.ForEach.Node, "idle-loop", "for_each runs %s with the same arguments for every element", s.Action.Name).Hint = "use row in the arguments, or remove for_each"
		return
	}
	if !readsRow(s.When) && !readsRow(s.Once) && slices.ContainsFunc(s.Touches(), func(t engine.Touch) bool { return overwrites(s, t) }) {
		c.warnf(s.ForEach.Node, "idle-loop", "for_each writes the same record for every element, so only the values of the last one stay").Hint = "choose the record by row, or write one value of the whole list, such as =join(map(rows, .productName), \", \")"
	}
}

// overwrites reports whether a step writes values of the row into a record that is the
// same for all rows.
func overwrites(s *engine.Step, t engine.Touch) bool {
	which, fields := s.Types.Arg(t.Which), s.Types.Arg(t.Fields)
	if t.Reads || t.Adds || !t.Updates || which == nil || fields == nil {
		return false
	}
	chosen, written := false, false
	which.EachValue(func(v *engine.Value) { chosen = chosen || readsRow(v) })
	fields.EachValue(func(v *engine.Value) { written = written || readsRow(v) })
	return written && !chosen
}

// readsRow reports whether a formula reads the row of for_each.
func readsRow(v *engine.Value) (reads bool) {
	v.Reads(func(name string) { reads = reads || name == engine.NameRow || name == engine.NameIndex })
	return reads
}

// stepLists checks the steps of one list: steps after the end of the run, and steps
// that do the same as an earlier one.
func (c *reviewer) stepLists(steps []*engine.Step) {
	checkImpossible(c, steps)
	first := map[string]*engine.Step{}
	var end *engine.Step
	for _, s := range steps {
		if end != nil {
			c.warnf(s.Verb, "unreachable-step", "this step never runs: the %s on line %d ends every run", end.Action.Name, end.Pos.Line).Hint = "add a when to that step, or remove this one"
			end = nil // one finding is enough
		}
		if s.Action.Ends && s.When == nil && !s.Remembers && s.ForEach == nil && s.OnError == engine.OnErrorPark {
			end = s
		}
		c.stepLists(s.Instead)
		if !slices.ContainsFunc(steps, func(o *engine.Step) bool { return o != s && o.Action == s.Action }) {
			continue // no other step does the same
		}
		text := c.stepText(s)
		if prev := first[text]; prev != nil && !s.Action.Spread {
			c.warnf(s.Verb, "duplicate-step", "this step does the same as the one on line %d", prev.Pos.Line).Hint = "remove one of them"
		} else {
			first[text] = s
		}
	}
}

// stepText is a text that is equal for steps that do the same.
func (c *reviewer) stepText(s *engine.Step) string {
	var b strings.Builder
	b.WriteString(s.Action.Name)
	for _, n := range []*engine.Value{s.When, s.Entered, s.At, s.Once, s.ForEach} {
		b.WriteString("|")
		if n != nil {
			writeNode(&b, n.Node)
		}
	}
	for _, a := range s.Args {
		b.WriteString("|" + a.Field.Name)
		a.EachValue(func(v *engine.Value) { writeNode(&b, v.Node) })
		fmt.Fprintf(&b, "%v", a.Fixed)
	}
	return b.String()
}

func writeNode(b *strings.Builder, n *yaml.Node) {
	if n == nil {
		return
	}
	fmt.Fprintf(b, "<%d %s %q", n.Kind, n.Tag, n.Value)
	for _, child := range n.Content {
		writeNode(b, child)
	}
	b.WriteString(">")
}

// reviewTriggers warns of events that a portal does not send to a webhook, or no
// longer sends.
func (c *reviewer) reviewTriggers(r *engine.Rule) {
	for _, t := range r.Triggers {
		switch {
		case t.AppOnly:
			f := c.warnf(t.Node, "app-only-event", "%s cannot be selected in an outbound webhook: only an application can subscribe to it", t.Code)
			if t.Entity != "" {
				f.Hintf("a webhook can send ONCRM%sUPDATE", strings.ToUpper(t.Entity))
			}
		case t.Legacy:
			f := c.warnf(t.Node, "legacy-event", "%s belongs to a part of the CRM that Bitrix24 no longer develops", t.Code)
			if strings.HasPrefix(t.Code, "ONCRMINVOICE") && t.Op != "" {
				f.Hintf("smart invoices send ONCRMDYNAMICITEM%s with entityTypeId 31", strings.ToUpper(t.Op))
			}
		}
		if len(t.IDs) == 0 {
			c.warnf(t.Node, "event-without-id", "%s carries no id, so no run can start for it", t.Code)
		}
	}
}
