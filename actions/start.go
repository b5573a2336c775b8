package actions

import (
	"context"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
)

type startArgs struct {
	Rule string `yaml:"rule" validate:"required" doc:"the id of the rule to start" example:"won-total"`
	ID   any    `yaml:"id" doc:"the id of the entity, or a list of ids; nil and 0 start nothing. A rule about the portal takes no id" example:"=deal.companyId"`
}

// maxStarts is how many runs one step starts.
const maxStarts = 1000

// Start starts runs of another rule.
var Start = engine.Define(engine.Spec[startArgs]{
	Name: "start",
	Doc: `start a run of another rule

The run starts after this one has succeeded. Several starts for one entity become
one run. The started rule says with about what the id is an id of.

The rule remembers which entities it has named. An entity that it named in its last
successful run and does not name now is started once more. So a deal that moves from
one company to another updates both, and a deleted deal updates the company that it
had: then the rule needs the delete event in on, and no deleted steps.`,
	Starts: true,
	Run:    startRun,
	Check:  checkStart,
	Touches: func(*engine.ArgTypes) []engine.Touch {
		return []engine.Touch{{Kind: engine.TouchRule, Of: "rule", Updates: true}}
	},
	Says:       "starts rule {rule} {for @id}",
	AlsoCalled: []string{"trigger", "run_rule", "run", "execute", "call_rule", "emit"},
})

func checkStart(c *engine.StepCheck) {
	a := c.Types().Arg("rule")
	if a == nil {
		return
	}
	v, constant := a.Value.Const()
	name, _ := v.(string)
	switch {
	case !constant:
		c.Errorf("rule", "start-rule", "argument rule takes the id of a rule and no formula, so that the checks know which rule starts").Hint = "write a step with when for each rule"
	case name == c.Rule().ID:
		c.Errorf("rule", "start-rule", "a rule cannot start itself").Hint = "to run again at a time, give a step at"
	}
	about, ok := c.Rule().Subject()
	if v, fixed := c.Types().Const("id"); fixed {
		switch n, isNumber := v.(num.Num); {
		case isNumber && (!n.IsInt() || n.Sign() < 0):
			c.Errorf("id", "wrong-type", "argument id takes an id or a list of ids, not %s", n).Hint = "write id: =deal.companyId"
		case isNumber && constant && name != c.Rule().ID && ok && !about.Portal && len(c.Reads("id")) == 0:
			c.Warnf("id", "start-rule", "each run starts rule %s for the same entity", name).Hint = "take the id from the entity, such as =deal.companyId, or from an input"
		}
	}
	t := c.Types().Type("id")
	of := ""
	if t.Kind == formula.List && t.Elem != nil {
		t, of = *t.Elem, "a list of "
	}
	switch t.Kind {
	case formula.String:
		c.Errorf("id", "wrong-type", "argument id takes an id or a list of ids, not %stext", of).Hint = "write id: =deal.companyId"
	case formula.Record, formula.Bool, formula.Time, formula.List:
		word := map[formula.Kind]string{formula.Record: "records", formula.Bool: "true or false", formula.Time: "times", formula.List: "lists"}[t.Kind]
		c.Errorf("id", "wrong-type", "argument id takes an id or a list of ids, not %s%s", of, word).Hint = "take the ids of records with map(rows, .companyId)"
	}
}

func startRun(_ context.Context, c *engine.Call, a startArgs) (any, error) {
	list, ok := a.ID.([]any)
	if !ok {
		list = []any{a.ID}
	}
	if len(list) > maxStarts {
		return nil, engine.ParkError("start has %d ids, at most %d are allowed", len(list), maxStarts)
	}
	var ids []int
	for _, v := range list {
		if v == nil {
			continue
		}
		n, isNum := v.(num.Num)
		if !isNum {
			return nil, engine.ParkError("start takes ids, not %s", engine.KindOf(v))
		}
		id, exact := n.Int64()
		if !exact || id < 0 {
			return nil, engine.ParkError("start takes ids, and %s is none", n)
		}
		if id > 0 {
			ids = append(ids, int(id))
		}
	}
	return nil, c.Start(a.Rule, ids)
}
