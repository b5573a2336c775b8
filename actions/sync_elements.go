package actions

import (
	"context"

	"github.com/b24rules/b24rules/actions/internal/inportal"
	"github.com/b24rules/b24rules/actions/internal/plan"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
)

// SyncElements keeps one list element for each row.
var SyncElements = engine.Define(engine.Spec[syncElementsArgs]{
	Name:   "sync_elements",
	Effect: engine.Writes,
	Doc: `keep one element of a universal list for each row

The step adds, updates and deletes elements until the scope has one element for
each row. The key of a row becomes the symbolic code of its element, so that a
later run finds the element again. An unchanged element is not written. Columns
that the step does not name keep what people wrote into them.

Properties are named by their code, their name or as PROPERTY_101. The step
touches only elements of the scope, and also writes the properties of the scope.
Elements of the scope that no rule made stay, unless match adopts them (if their
properties equal those of a row) or foreign: remove deletes them.

Nothing is written if a formula fails, two rows have one key, or more elements
than delete_limit would be deleted. Before the step deletes the last element, it
checks that the entity of the run still exists.

The result counts the elements: added, updated, deleted, kept, adopted.`,
	Says: "keeps one element of list {list} where {scope} for each of {rows}, by the key {key}: adds, updates and deletes elements until they have {fields}",
	Cost: engine.Cost{Least: engine.Pages("elements"), Typical: engine.Pages("elements").Plus(engine.Commands(2)), Worst: engine.Pages("elements").Plus(engine.Per("rows")).Plus(engine.Per("elements"))},
	Run:  syncElements,
	Prefetch: func(ctx context.Context, c *engine.Call, a syncElementsArgs) (any, error) {
		return plan.OpenScope(ctx, c, a.List, a.ListType, a.Scope)
	},
	PrefetchArgs: []string{"list", "list_type", "scope"},
	Result:       syncResultType,
	Touches: func(*engine.ArgTypes) []engine.Touch {
		return []engine.Touch{{Kind: engine.TouchElements, Of: "list", Adds: true, Updates: true, Deletes: true, ListType: "list_type", Which: "scope", Fields: "fields", Names: []string{"scope", "fields"}, Compares: true, Syncs: true}}
	},
	Check: checkSyncElements,
})

type syncElementsArgs struct {
	List        int              `yaml:"list" validate:"required,min=1" doc:"the list's IBLOCK_ID" example:"=inputs.list"`
	ListType    string           `yaml:"list_type" validate:"oneof=lists bitrix_processes" default:"lists" doc:"lists or bitrix_processes"`
	Scope       engine.Fields    `yaml:"scope" validate:"required" doc:"the properties that all elements of this step share" example:"{DEAL: =event.id}"`
	Rows        []any            `yaml:"rows" validate:"required" doc:"the rows; each has one element" example:"=rows"`
	Key         engine.RowValue  `yaml:"key" rows:"rows" validate:"required" doc:"identifies a row permanently" example:"=row.key"`
	Fields      engine.RowFields `yaml:"fields" rows:"rows" validate:"required" doc:"the fields to keep up to date, including NAME; nil clears a field, omit leaves it unchanged" example:"{NAME: '{{ row.productName }}'}"`
	Match       engine.RowFields `yaml:"match" rows:"rows" doc:"adopts elements that no rule made and whose properties are equal" example:"{PRODUCT: =row.productId}"`
	Foreign     string           `yaml:"foreign" validate:"oneof=keep remove" default:"keep" doc:"keep or remove elements of the scope that no rule made"`
	DeleteLimit any              `yaml:"delete_limit" doc:"the largest number of elements to delete: 200 or 50%; the default is half of the elements, but at least 5"`
}

func syncResultType(*engine.ArgTypes) formula.Type {
	whole := formula.Type{Kind: formula.Int}
	return formula.RecordOf(map[string]formula.Type{
		"added": whole, "updated": whole, "deleted": whole, "kept": whole, "adopted": whole,
	})
}

func checkSyncElements(c *engine.StepCheck) {
	inportal.CheckList(c, "scope", "fields", "match")
	checkScope(c)
	checkScopeOfRun(c, "would delete the elements of all other entities")
	checkScopeOfEntity(c)
	checkRepeatedScope(c)
	checkRowKey(c)
	checkElementName(c)
	checkElementValues(c, "fields")
	checkElementValues(c, "scope")
	checkElementValues(c, "match")
	checkDeleteLimit(c)
}

func syncElements(ctx context.Context, c *engine.Call, a syncElementsArgs) (any, error) {
	limit, err := plan.ParseDeleteLimit(a.DeleteLimit)
	if err != nil {
		return nil, engine.ParkError("%w", err)
	}
	s, err := engine.ReadAhead[*plan.Scope](ctx, c)
	if err != nil {
		return nil, err
	}
	l, codes := s.List, plan.NewCodes(c.Owner, s.Values)
	// All formulas first: a bad one writes nothing.
	desired, err := a.desired(ctx, l, s.Values, codes)
	if err != nil {
		return nil, err
	}
	p := plan.Diff(s.Elements, desired, plan.ElementOptions(l, codes, a.Foreign == "remove"))
	if len(desired) == 0 && p.Mine > 0 {
		if err := plan.EntityExists(ctx, c); err != nil {
			return nil, err
		}
	}
	if err := limit.Check(len(p.Deletes), p.Mine, "elements"); err != nil {
		return nil, err
	}
	if err := c.Deleting(len(p.Deletes)); err != nil {
		return nil, err
	}
	plan.NoteShortened(c, plan.ValuesOf(desired)...)
	t, err := plan.Apply(ctx, c, plan.NewElementTarget(l, func() ([]*plan.Record, error) { return s.Reread(ctx, c) }), p)
	return map[string]any{
		"added": count(t.Added), "updated": count(t.Updated), "deleted": count(t.Deleted),
		"kept": count(t.Kept), "adopted": count(t.Adopted),
	}, err
}

// desired computes the desired element of each row.
func (a syncElementsArgs) desired(ctx context.Context, l *plan.List, scope []plan.FieldValue, codes plan.Codes) ([]plan.Desired, error) {
	out := make([]plan.Desired, 0, len(a.Rows))
	first := map[string]int{}
	for i, row := range a.Rows {
		w, err := a.desiredOf(ctx, l, scope, codes, row, i)
		if err != nil {
			return nil, err
		}
		if prev, taken := first[w.Key]; taken {
			return nil, a.Key.Errorf("rows %d and %d have the same key, but each element belongs to one row", prev+1, i+1)
		}
		first[w.Key] = i
		out = append(out, w)
	}
	return out, nil
}

func (a syncElementsArgs) desiredOf(ctx context.Context, l *plan.List, scope []plan.FieldValue, codes plan.Codes, row any, i int) (plan.Desired, error) {
	w := plan.Desired{Row: i}
	key, err := a.Key.Eval(ctx, row, i)
	if err != nil {
		return w, err
	}
	text, err := plan.KeyText(key)
	if err != nil {
		return w, a.Key.Errorf("row %d: %w", i+1, err)
	}
	w.Key = codes.Of(text)
	fields, err := a.Fields.Eval(ctx, row, i)
	if err != nil {
		return w, err
	}
	if w.Values, err = l.ElementValues(fields, scope); err != nil {
		return w, engine.ParkError("row %d: %w", i+1, err)
	}
	if a.Match.Given() {
		match, err := a.Match.Eval(ctx, row, i)
		if err != nil {
			return w, err
		}
		if w.Match, err = l.Schema.FieldValues(match); err != nil {
			return w, engine.ParkError("row %d, match: %w", i+1, err)
		}
	}
	return w, nil
}
