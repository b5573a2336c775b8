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
	PrefetchArgs: []string{"list", "list_type", "key"},
	Check:        checkUpsertElement,
})

type upsertElementArgs struct {
	List     int           `yaml:"list" validate:"required,min=1" doc:"the list's IBLOCK_ID" example:"=inputs.list"`
	ListType string        `yaml:"list_type" validate:"oneof=lists bitrix_processes" default:"lists" doc:"lists or bitrix_processes"`
	Key      any           `yaml:"key" validate:"required" doc:"identifies the element among those of this rule: a number or text" example:"=event.id"`
	Fields   engine.Fields `yaml:"fields" validate:"required" doc:"the fields to keep up to date, including NAME; nil clears a field, omit leaves it unchanged" example:"{NAME: 'Deal {{ event.id }}'}"`
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
	p := plan.Plan{Adds: []plan.Desired{d}}
	switch e := f.element; {
	case e == nil:
	case e.Holds(d.Values):
		c.Made(engine.PlaceOfList(a.List), e.ID, engine.MadeKept)
		return upserted(e.ID, false, false), nil
	default:
		p = plan.Plan{Updates: []plan.Change{{Record: e, Desired: d}}}
	}
	one := plan.NewOneElement(f.list, func() ([]*plan.Record, error) {
		return f.list.ReadByCode(ctx, c, []string{f.code}, true)
	})
	t, err := plan.Apply(ctx, c, one, p)
	if err != nil {
		return nil, err
	}
	return upserted(one.ID(f.code), t.Added > 0, t.Updated > 0), nil
}

// foundElement is the element with a code. element is nil if there is none.
type foundElement struct {
	list    *plan.List
	code    string
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
	f := &foundElement{list: l, code: plan.NewCodes(c.Owner, nil).Of(key)}
	if f.element, err = l.FindByCode(ctx, c, f.code); err != nil {
		return nil, err
	}
	return f, nil
}
