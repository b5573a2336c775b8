package actions

import (
	"context"

	"github.com/b24rules/b24rules/actions/internal/plan"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
)

// SyncElements keeps one list element for each row.
var SyncElements = engine.Define(engine.Spec[syncElementsArgs]{
	Name:   "sync_elements",
	Effect: engine.Writes,
	Doc: `keep one element of a universal list for each row

Elements are added, changed and deleted until the scope holds one element for
each row. An element is known again by its key, which becomes its symbolic code;
an unchanged element is not written. Columns that the step does not name keep
what people wrote into them.

Properties are named by their code, their name or as PROPERTY_101. The scope is
all that the step may touch; its properties are written, too. Elements of the
scope that no rule made stay, unless match takes them over (those whose named
properties are equal to a row's) or foreign: remove deletes them.

Nothing is written when a formula fails, two rows have one key, or more elements
than delete_limit would be deleted. When the last element would go, the entity
of the run is looked up again first.

The result counts the elements: added, updated, deleted, kept, adopted.`,
	Says: "keeps one element of list {list} where {scope} for each of {rows}, by the key {key}: adds, changes and deletes elements until they say {fields}",
	Cost: engine.Cost{Least: engine.Pages("elements"), Typical: engine.Pages("elements").Plus(engine.Commands(1)), Worst: engine.Pages("elements").Plus(engine.Per("rows")).Plus(engine.Per("elements"))},
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
	Rows        []any            `yaml:"rows" validate:"required" doc:"one element is kept for each" example:"=rows"`
	Key         engine.RowValue  `yaml:"key" rows:"rows" validate:"required" doc:"what tells the rows apart for good" example:"=row.key"`
	Fields      engine.RowFields `yaml:"fields" rows:"rows" validate:"required" doc:"the fields to keep up to date, NAME among them; nil clears, omit leaves alone" example:"{NAME: '{{ row.productName }}'}"`
	Match       engine.RowFields `yaml:"match" rows:"rows" doc:"takes over elements that no rule made and whose properties are equal" example:"{PRODUCT: =row.productId}"`
	Foreign     string           `yaml:"foreign" validate:"oneof=keep remove" default:"keep" doc:"keep or remove elements of the scope that no rule made"`
	DeleteLimit any              `yaml:"delete_limit" doc:"how many elements may be deleted: 200 or 50%; half of what there is, but at least 5, when it is not given"`
}

func syncResultType(*engine.ArgTypes) formula.Type {
	whole := formula.Type{Kind: formula.Int}
	return formula.RecordOf(map[string]formula.Type{
		"added": whole, "updated": whole, "deleted": whole, "kept": whole, "adopted": whole,
	})
}

func checkSyncElements(c *engine.StepCheck) {
	checkScope(c)
	checkScopeOfRun(c, "would delete the elements of all the others")
	checkRepeatedScope(c)
	checkRowKey(c)
	checkElementName(c)
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
	wants, err := a.wants(ctx, l, s.Values, codes)
	if err != nil {
		return nil, err
	}
	p := plan.Diff(s.Elements, wants, plan.ElementOptions(codes, a.Foreign == "remove"))
	if len(wants) == 0 && p.Mine > 0 {
		if err := plan.OwnerStands(ctx, c); err != nil {
			return nil, err
		}
	}
	if err := limit.Check(len(p.Deletes), p.Mine, "elements"); err != nil {
		return nil, err
	}
	if err := c.Deleting(len(p.Deletes)); err != nil {
		return nil, err
	}
	var wishes []plan.FieldValue
	for _, w := range wants {
		wishes = append(wishes, w.Values...)
	}
	plan.NoteShortened(c, wishes...)
	t, err := plan.Apply(ctx, c, plan.NewElementTarget(l, func() ([]*plan.Record, error) { return s.Reread(ctx, c) }), p)
	return map[string]any{
		"added": count(t.Added), "updated": count(t.Updated), "deleted": count(t.Deleted),
		"kept": count(t.Kept), "adopted": count(t.Adopted),
	}, err
}

// wants computes what each row's element should be.
func (a syncElementsArgs) wants(ctx context.Context, l *plan.List, scope []plan.FieldValue, codes plan.Codes) ([]plan.Desired, error) {
	out := make([]plan.Desired, 0, len(a.Rows))
	first := map[string]int{}
	for i, row := range a.Rows {
		w, err := a.want(ctx, l, scope, codes, row, i)
		if err != nil {
			return nil, err
		}
		if prev, taken := first[w.Key]; taken {
			return nil, a.Key.Errorf("rows %d and %d have the same key: an element stands for one row", prev+1, i+1)
		}
		first[w.Key] = i
		out = append(out, w)
	}
	return out, nil
}

func (a syncElementsArgs) want(ctx context.Context, l *plan.List, scope []plan.FieldValue, codes plan.Codes, row any, i int) (plan.Desired, error) {
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
