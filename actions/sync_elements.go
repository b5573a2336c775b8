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

If the key or the scope of a rule changes, its elements would be deleted and made
again, without what people wrote. With old_key or old_scope they stay: they get the
new code and scope. Remove these later: as long as elements have the old key, serve
refuses that and says how many.

Nothing is written if a formula fails, two rows have one key, or more elements
than delete_limit would be deleted. Before the step deletes the last element, it
checks that the entity of the run still exists.

The result counts the elements: added, updated, deleted, kept, adopted.`,
	Says: "keeps one element of list {list} where {scope} for each of {rows}, by the key {key}: adds, updates and deletes elements until they have {fields}",
	Cost: engine.Cost{Least: engine.Pages("elements"), Typical: engine.Pages("elements").Plus(engine.Commands(2)), Worst: engine.Pages("elements").Plus(engine.Per("rows")).Plus(engine.Per("elements"))},
	Run:  syncElements,
	Prefetch: func(ctx context.Context, c *engine.Call, a syncElementsArgs) (any, error) {
		return plan.OpenScope(ctx, c, a.List, a.ListType, a.Scope, a.OldScope)
	},
	PrefetchArgs: []string{"list", "list_type", "scope", "old_scope"},
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
	OldKey      engine.RowValue  `yaml:"old_key" rows:"rows" doc:"the key before it was changed: elements with it get the new one, and keep what people wrote" example:"=row.id"`
	OldScope    engine.Fields    `yaml:"old_scope" doc:"the scope before it was changed: elements of the rows in it move to the new one" example:"{DEAL_ID: =event.id}"`
	DeleteLimit any              `yaml:"delete_limit" doc:"the largest number of elements to delete: 200 or 50%; the default is half of the elements, but at least 5"`
}

func syncResultType(*engine.ArgTypes) formula.Type {
	whole := formula.Type{Kind: formula.Int}
	return formula.RecordOf(map[string]formula.Type{
		"added": whole, "updated": whole, "deleted": whole, "kept": whole, "adopted": whole,
	})
}

func checkSyncElements(c *engine.StepCheck) {
	inportal.CheckList(c, "scope", "old_scope", "fields", "match")
	checkScope(c)
	checkOldScope(c)
	checkScopeOfRun(c, "would delete the elements of all other entities")
	checkScopeOfEntity(c)
	checkRepeatedScope(c)
	checkElementKey(c)
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
	old := plan.NewCodes(c.Owner, s.OldValues)
	// All formulas first: a bad one writes nothing.
	desired, err := a.desired(ctx, l, s.Values, codes)
	if err != nil {
		return nil, err
	}
	options := plan.ElementOptions(l, codes, a.Foreign == "remove")
	if err := a.takeOld(ctx, s, old, desired, &options); err != nil {
		return nil, err
	}
	if c.Adopt != nil {
		return nil, plan.Adopt(ctx, c, s, desired, options)
	}
	p := plan.Diff(s.Elements, desired, options)
	if len(p.Adds) > 0 {
		if err := s.CheckDoubling(ctx, c, codes, len(p.Adds)); err != nil {
			return nil, err
		}
	}
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

// takeOld makes the options recognise the elements that the step has made with its old key or
// in its old scope.
func (a syncElementsArgs) takeOld(ctx context.Context, s *plan.Scope, codes plan.Codes, desired []plan.Desired, o *plan.Options) error {
	if !a.OldKey.Given() && len(a.OldScope) == 0 {
		return nil
	}
	key := a.OldKey
	if !key.Given() {
		key = a.Key
	}
	old := make([]string, len(desired))
	for i, d := range desired {
		v, err := key.Eval(ctx, a.Rows[d.Row], d.Row)
		if err != nil {
			return err
		}
		text, err := plan.KeyText(v)
		if err != nil {
			return a.OldKey.Errorf("row %d: %w", d.Row+1, err)
		}
		old[i] = codes.Of(text)
	}
	return s.TakeOld(codes, old, desired, o)
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
