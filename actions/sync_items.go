package actions

import (
	"context"
	"slices"

	"github.com/b24rules/b24rules/actions/internal/plan"
	"github.com/b24rules/b24rules/actions/internal/value"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
)

// SyncItems keeps one item for each row.
var SyncItems = engine.Define(engine.Spec[syncItemsArgs]{
	Name:   "sync_items",
	Effect: engine.Writes,
	Doc: `keep one item of a smart process for each row

The step adds, updates and deletes items until the scope has one item for each
row. The fields of key identify an item. Use a field of the smart process that
only the rule fills in. An unchanged item is not written, and fields that the
step does not name keep what people wrote into them.

The step touches only items of the scope, and also writes the fields of the
scope. Items of the scope with empty key fields were made by people. They stay,
unless foreign: remove deletes them, or match adopts them (if their fields equal those
of a row). If two items have one key, the older one stays.

If the key of a rule changes, its items would be deleted and made again, without what
people wrote. With old_key they stay, and get the new key. Remove old_key later: as
long as items have the old key, serve refuses that and says how many.

Nothing is written if a formula fails, two rows have one key, or more items than
delete_limit would be deleted. Before the step deletes the last item, it checks
that the entity of the run still exists.

The result counts the items: added, updated, deleted, kept, adopted.`,
	Says: "keeps one {owner|item of type @entityTypeId} for each of {rows} where {scope}, known by {key}, and writes what differs in {fields}",
	Cost: engine.Cost{
		Least: engine.Pages("items"), Typical: engine.Pages("items").Plus(engine.Commands(1)),
		Worst: engine.Pages("items").Plus(engine.Per("rows")),
	},
	Run: syncItems,
	Result: func(*engine.ArgTypes) formula.Type {
		whole := formula.Type{Kind: formula.Int}
		return formula.RecordOf(map[string]formula.Type{"added": whole, "updated": whole, "deleted": whole, "kept": whole, "adopted": whole})
	},
	Touches: func(t *engine.ArgTypes) []engine.Touch {
		return []engine.Touch{{
			Kind: engine.TouchItems, Of: ownerArg(t), Adds: true, Updates: true, Deletes: true, Which: "scope", Fields: "fields", Names: []string{"scope", "key", "fields"}, Key: "key", Compares: true,
		}}
	},
	Check: checkSyncItems,
})

type syncItemsArgs struct {
	Owner        string           `yaml:"owner" validate:"oneof=deal lead quote smart_invoice contact company" doc:"the type of the items" example:"lead"`
	EntityTypeID int              `yaml:"entityTypeId" validate:"min=1" doc:"instead of owner: the type of a smart process" example:"=inputs.line_type"`
	Scope        engine.Fields    `yaml:"scope" validate:"required" doc:"the fields that all items of this step share" example:"{ufCrm5Deal: =event.id}"`
	Rows         []any            `yaml:"rows" validate:"required" doc:"the rows; each has one item" example:"=rows"`
	Key          engine.RowFields `yaml:"key" rows:"rows" validate:"required" doc:"the fields that identify an item permanently, and their values" example:"{ufCrm5Row: =row.key}"`
	Fields       engine.RowFields `yaml:"fields" rows:"rows" validate:"required" doc:"the fields to keep up to date; nil clears a field, omit leaves it unchanged" example:"{title: =row.productName}"`
	OldKey       engine.RowFields `yaml:"old_key" rows:"rows" doc:"the key before it was changed: items with it get the new one, and keep what people wrote" example:"{ufCrm5Sku: =row.productId}"`
	Match        engine.RowFields `yaml:"match" rows:"rows" doc:"adopts items with empty key fields whose fields are equal" example:"{title: =row.productName}"`
	Foreign      string           `yaml:"foreign" validate:"oneof=keep remove" default:"keep" doc:"keep or remove items of the scope whose key fields are empty"`
	DeleteLimit  any              `yaml:"delete_limit" doc:"the largest number of items to delete: 200 or 50%; the default is half of the items, but at least 5"`
}

// maxScopeItems is the largest number of items in a scope.
const maxScopeItems = 5000

func checkSyncItems(c *engine.StepCheck) {
	checkOwner(c)
	t := c.Types()
	if scope := t.Type("scope"); t.Given("scope") && len(scope.Fields) == 0 && !scope.Open {
		c.Errorf("scope", "empty-scope", "an empty scope means every item").Hint = "scope: {ufCrm5Deal: =event.id}"
	}
	if key := t.Type("key"); t.Given("key") && len(key.Fields) == 0 && !key.Open {
		c.Errorf("key", "empty-key", "an empty key does not distinguish items").Hint = "key: {ufCrm5Row: =row.key}"
	}
	checkScopeOfRun(c, "would delete the items of all other entities")
	checkScopeOfEntity(c)
	checkRepeatedScope(c)
	checkRowKey(c)
	checkKeyFields(c)
	for _, arg := range []string{"scope", "key", "fields", "old_key", "match"} {
		checkItemFields(c, arg, true)
	}
	checkDeleteLimit(c)
}

func syncItems(ctx context.Context, c *engine.Call, a syncItemsArgs) (any, error) {
	schema, err := openItems(ctx, c, a.Owner, a.EntityTypeID)
	if err != nil {
		return nil, err
	}
	limit, err := plan.ParseDeleteLimit(a.DeleteLimit)
	if err != nil {
		return nil, engine.ParkError("%w", err)
	}
	scope, err := schema.FieldValues(a.Scope)
	if err != nil {
		return nil, err
	}
	conditions := make([]plan.Condition, len(scope))
	for i, w := range scope {
		conditions[i] = plan.Condition{Field: w.Field, Op: "=", Value: w.Value}
	}
	if len(scope) == 0 {
		return nil, engine.ParkError("sync_items: an empty scope means every item")
	}
	if err := plan.RefuseEmpty(conditions); err != nil {
		return nil, err
	}
	// All formulas first: a bad one writes nothing.
	desired, keys, err := a.desired(ctx, schema, scope)
	if err != nil {
		return nil, err
	}
	old, oldKeys, err := a.oldKeys(ctx, schema)
	if err != nil {
		return nil, err
	}
	existing, err := schema.FindItems(ctx, c, conditions, plan.ItemQuery{Selected: selectedBy(desired, slices.Concat(keys, oldKeys)), Order: plan.ByID(), Limit: maxScopeItems, Strict: true})
	if err != nil {
		return nil, err
	}
	options := plan.ItemOptions(keys, a.Foreign == "remove")
	if a.OldKey.Given() {
		if err := plan.TakeOldKeys(existing, keys, oldKeys, old, desired, &options); err != nil {
			return nil, err
		}
	}
	if c.Adopt != nil {
		return nil, plan.AdoptItems(ctx, c, schema, existing, desired, options)
	}
	p := plan.Diff(existing, desired, options)
	if len(p.Adds) > 0 {
		hidden, err := schema.Hidden(ctx, c, existing)
		if err != nil {
			return nil, err
		}
		if hidden = slices.DeleteFunc(hidden, func(r *plan.Record) bool { return !r.Holds(scope) }); len(hidden) > 0 {
			p = plan.Diff(append(existing, hidden...), desired, options)
		}
	}
	if len(desired) == 0 && p.Mine > 0 {
		if err := plan.EntityExists(ctx, c); err != nil {
			return nil, err
		}
	}
	if err := limit.Check(len(p.Deletes), p.Mine, "items"); err != nil {
		return nil, err
	}
	if err := c.Deleting(len(p.Deletes)); err != nil {
		return nil, err
	}
	plan.NoteShortened(c, plan.ValuesOf(desired)...)
	t, err := plan.Apply(ctx, c, &plan.ItemTarget{Schema: schema}, p)
	return map[string]any{"added": count(t.Added), "updated": count(t.Updated), "deleted": count(t.Deleted), "kept": count(t.Kept), "adopted": count(t.Adopted)}, err
}

// oldKeys computes the old key of each row, and the fields of these keys.
func (a syncItemsArgs) oldKeys(ctx context.Context, s *plan.ItemSchema) (old []string, fields []*value.Field, err error) {
	if !a.OldKey.Given() {
		return nil, nil, nil
	}
	if fields, err = resolveNames(ctx, s, a.OldKey); err != nil {
		return nil, nil, err
	}
	for i, row := range a.Rows {
		given, err := a.OldKey.Eval(ctx, row, i)
		if err != nil {
			return nil, nil, err
		}
		values, err := s.FieldValues(given)
		if err != nil {
			return nil, nil, engine.ParkError("row %d, old_key: %w", i+1, err)
		}
		text, err := plan.ItemKey(values)
		if err != nil {
			return nil, nil, engine.ParkError("row %d, old_key: %w", i+1, err)
		}
		old = append(old, text)
	}
	return old, fields, nil
}

// desired computes the desired item of each row, and the fields of the key.
func (a syncItemsArgs) desired(ctx context.Context, s *plan.ItemSchema, scope []plan.FieldValue) (out []plan.Desired, keys []*value.Field, err error) {
	first := map[string]int{}
	for i, row := range a.Rows {
		w, err := a.desiredOf(ctx, s, scope, row, i)
		if err != nil {
			return nil, nil, err
		}
		if prev, taken := first[w.Key]; taken {
			return nil, nil, engine.ParkError("sync_items: rows %d and %d have the same key, but each item belongs to one row", prev+1, i+1)
		}
		first[w.Key] = i
		for _, k := range w.Exact {
			if !slices.Contains(keys, k.Field) {
				keys = append(keys, k.Field)
			}
		}
		out = append(out, w)
	}
	if len(a.Rows) == 0 {
		// The key fields decide which items are ours.
		keys, err = resolveNames(ctx, s, a.Key)
	}
	return out, keys, err
}

// resolveNames returns the fields that an argument names.
func resolveNames(ctx context.Context, s *plan.ItemSchema, of engine.RowFields) (fields []*value.Field, err error) {
	names, err := of.Names(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		f, err := s.Resolve(name)
		if err != nil {
			return nil, err
		}
		fields = append(fields, f)
	}
	return fields, nil
}

func (a syncItemsArgs) desiredOf(ctx context.Context, s *plan.ItemSchema, scope []plan.FieldValue, row any, i int) (plan.Desired, error) {
	w := plan.Desired{Row: i}
	fields, err := a.Key.Eval(ctx, row, i)
	if err != nil {
		return w, err
	}
	if w.Exact, err = s.FieldValues(fields); err != nil {
		return w, engine.ParkError("row %d, key: %w", i+1, err)
	}
	if w.Key, err = plan.ItemKey(w.Exact); err != nil {
		return w, engine.ParkError("row %d: %w", i+1, err)
	}
	if a.Match.Given() {
		match, err := a.Match.Eval(ctx, row, i)
		if err != nil {
			return w, err
		}
		if w.Match, err = s.FieldValues(match); err != nil {
			return w, engine.ParkError("row %d, match: %w", i+1, err)
		}
	}
	if fields, err = a.Fields.Eval(ctx, row, i); err != nil {
		return w, err
	}
	if w.Values, err = s.FieldValues(fields); err != nil {
		return w, engine.ParkError("row %d: %w", i+1, err)
	}
	named := map[*value.Field]string{}
	for _, part := range []struct {
		of     string
		values []plan.FieldValue
	}{{"fields", w.Values}, {"key", w.Exact}, {"scope", scope}} {
		for _, x := range part.values {
			if other := named[x.Field]; other != "" {
				return w, engine.ParkError("field %s is in %s and in %s", x.Field.Name, other, part.of)
			}
			named[x.Field] = part.of
		}
	}
	w.Values = slices.Concat(w.Values, w.Exact, scope)
	return w, nil
}

// selectedBy returns the names of the fields to read.
func selectedBy(desired []plan.Desired, keys []*value.Field) []string {
	var out []string
	for _, x := range plan.ValuesOf(desired) {
		out = append(out, x.Field.Name)
	}
	for _, d := range desired {
		for _, m := range d.Match {
			out = append(out, m.Field.Name)
		}
	}
	for _, f := range keys {
		out = append(out, f.Name)
	}
	slices.Sort(out)
	return slices.Compact(append(out, "id"))
}
