package actions

import (
	"context"
	"maps"
	"slices"

	"github.com/b24rules/b24rules/actions/internal/value"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
)

// Aggregate groups rows and computes values for each group.
var Aggregate = engine.Define(engine.Spec[aggregateArgs]{
	Name: "aggregate",
	Doc: `group rows and compute values for each group

The formulas of compute use group.key and group.rows. The result is a list of
records with key and the computed names, in the order in which the groups first
appear. Without by, all rows are one group, even if there are no rows.`,
	Says:   "groups {rows}{ by @by} and computes {compute}",
	Run:    aggregate,
	Result: aggregateType,
	Check: func(c *engine.StepCheck) {
		if _, taken := c.Types().Type("compute").Fields["key"]; taken {
			c.Errorf("compute", "bad-name", "key is reserved for the value of by")
		}
		checkGroupRows(c)
	},
})

// checkGroupRows warns of a value of a group that reads all rows and nothing of the group.
func checkGroupRows(c *engine.StepCheck) {
	all := c.Reads("rows")
	if !c.Types().Given("by") || len(all) != 1 || all[0] == engine.NameInputs || all[0] == engine.NameVars {
		return
	}
	c.EachName("compute", func(n engine.NamedArg) {
		if reads := n.Reads(); slices.Contains(reads, all[0]) && !slices.Contains(reads, engine.NameGroup) {
			n.WarnValuef("row-shadow", "%s has the rows of all groups, so each group gets the same value", all[0]).Hint = "write group.rows for the rows of the group"
		}
	})
}

type aggregateArgs struct {
	Rows    []any           `yaml:"rows" validate:"required" doc:"the rows to group" example:"=rows"`
	By      engine.RowValue `yaml:"by" rows:"rows" doc:"what rows of one group have in common" example:"=row.productId"`
	Compute engine.Names    `yaml:"compute" group:"rows,by" validate:"required" doc:"the values of a group" example:"{total: '=sum(group.rows, .price)'}"`
}

func aggregateType(t *engine.ArgTypes) formula.Type {
	fields := maps.Clone(t.Type("compute").Fields)
	if fields == nil {
		fields = map[string]formula.Type{}
	}
	fields["key"] = formula.Type{Kind: formula.Nil}
	if t.Given("by") {
		fields["key"] = t.Type("by")
		return formula.ListOf(formula.RecordOf(fields))
	}
	return formula.SizedList(formula.RecordOf(fields), 1)
}

// group is the rows that have one key.
type group struct {
	key  any
	rows []any
}

func aggregate(ctx context.Context, _ *engine.Call, a aggregateArgs) (any, error) {
	groups, err := a.groups(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]any, len(groups))
	for i, g := range groups {
		fields, err := a.Compute.Eval(ctx, map[string]any{"group": map[string]any{"key": g.key, "rows": g.rows}})
		if err != nil {
			return nil, err
		}
		m := fields.Map()
		m["key"] = g.key
		out[i] = m
	}
	return out, nil
}

func (a aggregateArgs) groups(ctx context.Context) ([]*group, error) {
	if !a.By.Given() {
		return []*group{{rows: a.Rows}}, nil
	}
	var order []*group
	byKey := map[string]*group{}
	for i, row := range a.Rows {
		key, err := a.By.Eval(ctx, row, i)
		if err != nil {
			return nil, err
		}
		text, err := groupKey(key)
		if err != nil {
			return nil, a.By.Errorf("row %d: %w", i+1, err)
		}
		g := byKey[text]
		if g == nil {
			g = &group{key: key}
			byKey[text] = g
			order = append(order, g)
		}
		g.rows = append(g.rows, row)
	}
	return order, nil
}

// groupKey writes a key as text. Equal values have equal texts, and the text "5"
// differs from the number 5.
func groupKey(v any) (string, error) {
	if v == nil {
		return "nil", nil
	}
	text, err := formula.ToText(v)
	if err != nil {
		return "", err
	}
	return value.KindOf(v) + ":" + text, nil
}
