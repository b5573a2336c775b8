package actions

import (
	"context"

	"github.com/b24rules/b24rules/actions/internal/plan"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
)

// UpsertElement adds or updates one list element.
var UpsertElement = engine.Define(engine.Spec[upsertElementArgs]{
	Name:       "upsert_element",
	Effect:     engine.Writes,
	AlsoCalled: []string{"create_element", "add_element"},
	Doc: `find an element of a universal list by a key and update it, or add it

The symbolic code of the element is made of the rule's owner and the key, so that
a repeated run finds the element again. The step writes the element only if it
differs. Columns that the step does not name keep what people wrote into them.

If the key of a rule changes, the step would add a second element. With old_key it
finds the element of the old key, and gives it the new one. With match the step takes
over an element that no rule made instead of adding one: the only one whose properties
equal those of match.

The result has the id of the element and the flags created and updated.`,
	Says: "finds the element of list {list} with the key {key} and writes what differs in {fields}; adds it if there is none",
	Cost: engine.Cost{Least: engine.Commands(1), Typical: engine.Commands(3), Worst: engine.Commands(5)},
	Run:  upsertElement,
	Result: func(*engine.ArgTypes) formula.Type {
		return formula.RecordOf(map[string]formula.Type{
			"id": {Kind: formula.Int}, "created": {Kind: formula.Bool}, "updated": {Kind: formula.Bool},
		})
	},
	Touches: func(*engine.ArgTypes) []engine.Touch {
		return []engine.Touch{{Kind: engine.TouchElements, Of: "list", Adds: true, Updates: true, ListType: "list_type", Which: "key", Fields: "fields", Names: []string{"fields"}, Compares: true}}
	},
	Prefetch:     func(ctx context.Context, c *engine.Call, a upsertElementArgs) (any, error) { return a.find(ctx, c) },
	PrefetchArgs: []string{"list", "list_type", "key", "old_key"},
	Check:        checkUpsertElement,
})

type upsertElementArgs struct {
	List     int           `yaml:"list" validate:"required,min=1" doc:"the list's IBLOCK_ID" example:"=inputs.list"`
	ListType string        `yaml:"list_type" validate:"oneof=lists bitrix_processes" default:"lists" doc:"lists or bitrix_processes"`
	Key      any           `yaml:"key" validate:"required" doc:"identifies the element among those of this rule: a number or text" example:"=event.id"`
	Fields   engine.Fields `yaml:"fields" validate:"required" doc:"the fields to keep up to date, including NAME; nil clears a field, omit leaves it unchanged" example:"{NAME: 'Deal {{ event.id }}'}"`
	OldKey   any           `yaml:"old_key" doc:"the key before it was changed: the element with it gets the new one, and keeps what people wrote" example:"=deal.title"`
	Match    engine.Fields `yaml:"match" doc:"takes over the only element that no rule made and whose properties are equal" example:"{DEAL: =event.id}"`
}

func upsertElement(ctx context.Context, c *engine.Call, a upsertElementArgs) (any, error) {
	f, err := engine.ReadAhead[*foundElement](ctx, c)
	if err != nil {
		return nil, err
	}
	d := plan.Desired{Row: plan.NoRow, Key: f.code}
	if d.Values, err = f.list.ElementValues(a.Fields, nil); err != nil {
		return nil, engine.ParkError("upsert_element: %w", err)
	}
	plan.NoteShortened(c, d.Values...)
	if d.Match, err = f.list.Schema.FieldValues(a.Match); err != nil {
		return nil, engine.ParkError("upsert_element, match: %w", err)
	}
	codes, matching := f.codes, func() ([]*plan.Record, error) { return nil, nil }
	if f.element == nil && len(a.Match) > 0 {
		matching = func() ([]*plan.Record, error) { return f.list.ReadHolding(ctx, c, d.Match) }
	}
	if c.Adopt != nil && len(a.Match) > 0 {
		return nil, f.list.AdoptOne(ctx, c, f.element, d)
	}
	p := plan.Plan{Adds: []plan.Desired{d}}
	switch e := f.element; {
	case e == nil:
		free, err := matching()
		if err == nil && len(free) == 0 {
			err = f.list.CheckDoublingOf(ctx, c, f.key, d)
		}
		if err != nil {
			return nil, err
		}
		switch {
		case len(free) > 1:
			return nil, engine.ParkError("upsert_element: %d elements that no rule made have the properties of match, such as %s and %s, so it cannot be known which one to take over", len(free), free[0], free[1])
		case len(free) == 1:
			p = plan.Plan{Updates: []plan.Change{{Record: free[0], Desired: d}}, Adopted: 1}
		}
	case e.Code == f.code && e.Holds(d.Values):
		c.Made(engine.PlaceOfList(a.List), e.ID, engine.MadeKept)
		return upserted(e.ID, false, false), nil
	default:
		p = plan.Plan{Updates: []plan.Change{{Record: e, Desired: d}}}
	}
	one := plan.NewOneElement(f.list, func() ([]*plan.Record, error) {
		free, err := matching()
		if err != nil {
			return nil, err
		}
		found, err := f.list.ReadByCode(ctx, c, codes, true)
		return append(found, free...), err
	})
	t, err := plan.Apply(ctx, c, one, p)
	if err != nil {
		return nil, err
	}
	return upserted(one.ID(f.code), t.Added > 0, t.Updated > 0), nil
}

// foundElement is the element with a code, or with that of the old key. element is nil if there is
// none.
type foundElement struct {
	list    *plan.List
	key     string
	code    string
	codes   []string // with that of the old key
	element *plan.Record
}

// find reads the element that has the key.
func (a upsertElementArgs) find(ctx context.Context, c *engine.Call) (*foundElement, error) {
	key, err := plan.KeyText(a.Key)
	if err != nil {
		return nil, engine.ParkError("upsert_element: %w", err)
	}
	l, err := plan.OpenList(ctx, c, a.List, a.ListType)
	if err != nil {
		return nil, err
	}
	f := &foundElement{list: l, key: key, code: plan.NewCodes(c.Owner, nil).Of(key)}
	f.codes = []string{f.code}
	if a.OldKey != nil {
		old, err := plan.KeyText(a.OldKey)
		if err != nil {
			return nil, engine.ParkError("upsert_element, old_key: %w", err)
		}
		f.codes = append(f.codes, plan.NewCodes(c.Owner, nil).Of(old))
	}
	f.element, err = l.FindByCode(ctx, c, f.codes...)
	return f, err
}
