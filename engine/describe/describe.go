package describe

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/engine"
	"gopkg.in/yaml.v3"
)

// Description says what a rule set does, for people and for programs.
type Description struct {
	Name   string             `json:"name"`
	Title  string             `json:"title,omitempty"`
	File   string             `json:"file"`
	Inputs []InputDescription `json:"inputs,omitempty"`
	Rules  []RuleDescription  `json:"rules"`
}

// InputDescription is a value that a portal's configuration supplies.
type InputDescription struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Title    string `json:"title,omitempty"`
	Default  string `json:"default,omitempty"`
	Required bool   `json:"required"`
}

// RuleDescription says what a rule subscribes to and does. A formula is given as its
// text without the =.
type RuleDescription struct {
	ID     string   `json:"id"`
	Title  string   `json:"title,omitempty"`
	Line   int      `json:"line"`
	Events []string `json:"events"` // ONCRMDEALADD, ONCRMDYNAMICITEMADD of type 31
	// Schedules are the times at which the rule runs.
	Schedules []string `json:"schedules,omitempty"`
	// Next are the next ticks of Schedules, for a caller that knows the time.
	Next []string `json:"next,omitempty"`
	// Hook is the address that starts the rule, /hooks/PORTAL/in/NAME; HookFields is what
	// it takes, and Key what the runs are for.
	Hook       string `json:"hook,omitempty"`
	HookFields string `json:"hook_fields,omitempty"`
	Key        string `json:"key,omitempty"`
	// Robots are the addresses that robots call, with the entities.
	Robots  []string `json:"robots,omitempty"`
	About   string   `json:"about,omitempty"` // what the runs are for, if the file says it: a company
	Portals []string `json:"portals,omitempty"`
	When    string   `json:"when,omitempty"`
	Entity  string   `json:"entity,omitempty"`
	// Quiet is how long an entity must be quiet before its run, Max how long a
	// run may be put off.
	Quiet  Duration          `json:"quiet"`
	Max    Duration          `json:"max"`
	Limits LimitsDescription `json:"limits"`

	Steps   []StepDescription `json:"steps,omitempty"`
	Deleted []StepDescription `json:"deleted,omitempty"`
	// Cost is the cost of steps, DeletedCost that of deleted. Neither counts the steps
	// of on_error.
	Cost        CostDescription `json:"cost"`
	DeletedCost CostDescription `json:"deleted_cost,omitzero"`
}

// LimitsDescription are the limits of a run. Deletes is 0 when it has no limit.
type LimitsDescription struct {
	Calls   int `json:"calls"`
	Deletes int `json:"deletes,omitempty"`
}

// Duration is a time.Duration that is written as text in JSON.
type Duration time.Duration

// MarshalText writes the duration as 1m30s.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (d Duration) String() string { return time.Duration(d).String() }

// CostDescription is a Cost as JSON.
type CostDescription struct {
	Least   engine.Amount `json:"least"`
	Typical engine.Amount `json:"typical"`
	Worst   engine.Amount `json:"worst"`
}

// StepDescription says what a step does.
type StepDescription struct {
	Step   string `json:"step"` // its id, or its action and number
	Action string `json:"action"`
	Line   int    `json:"line"`
	// Does says in words what the step does.
	Does string `json:"does"`
	// Effect is reads, writes or "" for a step that stays inside the run.
	Effect  string   `json:"effect,omitempty"`
	When    string   `json:"when,omitempty"`
	Entered string   `json:"entered,omitempty"`
	At      string   `json:"at,omitempty"`
	Late    Duration `json:"late,omitempty"` // after at
	Once    string   `json:"once,omitempty"`
	ForEach string   `json:"for_each,omitempty"`
	Limit   int      `json:"limit,omitempty"` // of for_each
	Timeout Duration `json:"timeout,omitzero"`
	Retry   int      `json:"retry,omitempty"`
	// Ends says that the run ends with this step.
	Ends bool `json:"ends,omitempty"`
	// OnError is park, skip or steps.
	OnError string                `json:"on_error"`
	Instead []StepDescription     `json:"instead,omitempty"` // the steps of on_error
	Args    []ArgumentDescription `json:"args,omitempty"`
	Cost    CostDescription       `json:"cost"`
}

// ArgumentDescription is an argument with the text of its value.
type ArgumentDescription struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Set describes the rules of the set.
func Set(s *engine.RuleSet) Description {
	out := Description{Name: s.Name, Title: s.Title, File: s.File, Rules: []RuleDescription{}}
	for _, in := range s.Inputs {
		d := InputDescription{Name: in.Name, Type: in.Type, Title: in.Title, Required: !in.HasDefault}
		if in.HasDefault {
			d.Default = fmt.Sprint(in.Default)
		}
		out.Inputs = append(out.Inputs, d)
	}
	for _, r := range s.Rules {
		out.Rules = append(out.Rules, describeRule(r))
	}
	return out
}

func describeRule(r *engine.Rule) RuleDescription {
	d := RuleDescription{
		ID: r.ID, Title: r.Title, Line: r.Pos.Line, Events: []string{}, Portals: r.Portals, When: valueText(r.When), Entity: valueText(r.Entity),
		Quiet: Duration(r.Debounce), Max: Duration(r.Ceiling), Limits: LimitsDescription(r.Limits),
		Steps: describeSteps(r.Steps), Deleted: describeSteps(r.Deleted),
		Cost: CostDescription(costOf(r.Steps)), DeletedCost: CostDescription(costOf(r.Deleted)),
	}
	if r.AboutKind != nil {
		d.About = r.AboutKind.String()
	}
	for _, s := range r.Schedules {
		d.Schedules = append(d.Schedules, s.String())
	}
	if h := r.Hook; h != nil {
		d.Hook, d.HookFields, d.Key = hookAddress+h.Name, h.Form.Model(), valueText(h.Key)
	}
	for _, b := range r.Robots {
		words := make([]string, len(b.Types))
		for i, id := range b.Types {
			words[i] = engine.TypeWord(id)
		}
		d.Robots = append(d.Robots, fmt.Sprintf("%s%s/SECRET for %s", robotAddress, b.Code, strings.Join(words, ", ")))
	}
	for _, t := range r.Triggers {
		d.Events = append(d.Events, triggerText(t))
	}
	if d.Limits.Calls == 0 {
		d.Limits.Calls = engine.DefaultCalls
	}
	if subscribesToDelete(r) {
		// A run first asks the portal whether the entity still exists.
		ask := engine.Commands(1)
		d.DeletedCost = CostDescription(engine.Cost{Least: ask, Typical: ask, Worst: ask}.Plus(costOf(r.Deleted)))
	}
	return d
}

// The addresses of hooks and robots, before their names.
const (
	hookAddress  = "/hooks/PORTAL/in/"
	robotAddress = "/hooks/PORTAL/robot/"
)

func subscribesToDelete(r *engine.Rule) bool {
	return slices.ContainsFunc(r.Triggers, func(t engine.Trigger) bool { return t.Op == "delete" && t.Entity != "" })
}

// triggerText names the event of a trigger.
func triggerText(t engine.Trigger) string {
	switch {
	case t.Entity == "item" && t.EntityTypeID == 0:
		return t.Code + " of any type"
	case t.Entity == "item":
		return fmt.Sprintf("%s of type %d", t.Code, t.EntityTypeID)
	}
	return t.Code
}

func costOf(steps []*engine.Step) engine.Cost {
	var c engine.Cost
	for _, s := range steps {
		c = c.Plus(stepCost(s))
	}
	return c
}

func describeSteps(steps []*engine.Step) []StepDescription {
	var out []StepDescription
	for _, s := range steps {
		d := StepDescription{
			Step: s.Label, Action: s.Action.Name, Line: s.Pos.Line,
			Effect: map[engine.Effect]string{engine.Reads: "reads", engine.Writes: "writes"}[s.Effect()],
			When:   valueText(s.When), Entered: valueText(s.Entered), At: valueText(s.At), Late: Duration(s.Late), Once: valueText(s.Once), ForEach: valueText(s.ForEach),
			Timeout: Duration(s.Timeout), Retry: s.Retry, Ends: s.Action.Ends,
			OnError: map[engine.OnError]string{engine.OnErrorPark: "park", engine.OnErrorSkip: "skip", engine.OnErrorSteps: "steps"}[s.OnError],
			Instead: describeSteps(s.Instead), Cost: CostDescription(stepCost(s)),
		}
		if s.ForEach != nil {
			d.Limit = s.Limit
		}
		for _, a := range s.Args {
			d.Args = append(d.Args, describeArgument(a)...)
		}
		d.Does = says(s, d.Args)
		out = append(out, d)
	}
	return out
}

func describeArgument(a *engine.Argument) []ArgumentDescription {
	name := a.Field.Name
	switch {
	case a.Fields != nil:
		return []ArgumentDescription{{name, fieldsText(a.Fields)}}
	case a.Value != nil:
		return []ArgumentDescription{{name, valueText(a.Value)}}
	case a.Names != nil:
		var parts []string
		for _, n := range a.Names {
			parts = append(parts, n.Name+": "+valueText(n.Value))
		}
		return []ArgumentDescription{{name, strings.Join(parts, ", ")}}
	}
	return []ArgumentDescription{{name, fmt.Sprint(a.Fixed)}}
}

// says fills the arguments of a step into the Says text of its action.
func says(s *engine.Step, args []ArgumentDescription) string {
	var b strings.Builder
	rest := s.Action.Says
	for {
		before, after, ok := strings.Cut(rest, "{")
		b.WriteString(before)
		if !ok {
			return strings.Join(strings.Fields(b.String()), " ")
		}
		var hole string
		hole, rest, _ = strings.Cut(after, "}")
		b.WriteString(fillHole(hole, args))
	}
}

// fillHole returns the text for one pair of braces of a Says text: the value of the
// first argument that the file gives, with the words before its @. From
// "owner|items of type @entityTypeId" it takes the owner, or "items of type 31".
func fillHole(hole string, args []ArgumentDescription) string {
	for alternative := range strings.SplitSeq(hole, "|") {
		words, name, ok := strings.Cut(alternative, "@")
		if !ok {
			words, name = "", alternative
		}
		for _, a := range args {
			if a.Name == name {
				return words + a.Value
			}
		}
	}
	return ""
}

// valueText is the text of a value's formula or literal.
func valueText(v *engine.Value) string {
	switch {
	case v == nil:
		return ""
	case v.Formula != nil:
		return strings.TrimSpace(v.Formula.Source())
	case v.List != nil:
		parts := make([]string, len(v.List))
		for i, e := range v.List {
			parts[i] = valueText(e)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case v.Record != nil:
		return "{" + fieldsText(v.Record) + "}"
	case v.Node.Kind == yaml.ScalarNode && v.Template == nil && v.Literal == nil:
		return "nothing"
	case v.Template != nil:
		return `"` + v.Node.Value + `"`
	}
	return fmt.Sprint(v.Literal)
}

func fieldsText(f *engine.FieldsValue) string {
	parts := make([]string, len(f.Entries))
	for i, e := range f.Entries {
		parts[i] = valueText(e.Key) + " = " + valueText(e.Value)
	}
	return strings.Join(parts, ", ")
}
