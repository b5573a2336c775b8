package actions

import (
	"context"
	"errors"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
)

// UpsertElement makes sure that one list element exists and has the given
// fields.
var UpsertElement = engine.Define(engine.Spec[upsertElementArgs]{
	Name:   "upsert_element",
	Effect: engine.Writes,
	Doc: `find an element of a universal list by a key and change it, or add it

The element's symbolic code is made of the rule's owner and the key, so that a
repeated run finds it again. Only an element that differs is written, and columns
that the step does not name keep what people wrote into them.

The result has the element's id and says whether it was created or updated.`,
	Says: "finds the element of list {list} with the key {key} and writes what differs in {fields}; adds it when there is none",
	Cost: engine.Cost{Least: engine.Commands(1), Typical: engine.Commands(2), Worst: engine.Commands(4)},
	Run:  upsertElement,
	Result: func(*engine.ArgTypes) formula.Type {
		return formula.RecordOf(map[string]formula.Type{
			"id": {Kind: formula.Int}, "created": {Kind: formula.Bool}, "updated": {Kind: formula.Bool},
		})
	},
	Touches: func(*engine.ArgTypes) []engine.Touch {
		return []engine.Touch{{Kind: engine.TouchElements, Of: "list", Adds: true, Updates: true, Which: "key", Fields: "fields", Compares: true}}
	},
	Ahead:     func(ctx context.Context, c *engine.Call, a upsertElementArgs) (any, error) { return a.find(ctx, c) },
	AheadArgs: []string{"list", "list_type", "key"},
	Check:     checkUpsertElement,
})

type upsertElementArgs struct {
	List     int           `yaml:"list" validate:"required,min=1" doc:"the list's IBLOCK_ID" example:"=inputs.list"`
	ListType string        `yaml:"list_type" validate:"oneof=lists bitrix_processes" default:"lists" doc:"lists or bitrix_processes"`
	Key      any           `yaml:"key" validate:"required" doc:"what tells the element from others of this rule: a number or text" example:"=event.id"`
	Fields   engine.Fields `yaml:"fields" validate:"required" doc:"the fields to keep up to date, NAME among them; nil clears, omit leaves alone" example:"{NAME: 'Deal {{ event.id }}'}"`
}

func upsertElement(ctx context.Context, c *engine.Call, a upsertElementArgs) (any, error) {
	f, err := engine.ReadAhead[*foundElement](ctx, c)
	if err != nil {
		return nil, err
	}
	l, e, w := f.list, f.element, wanted{key: f.key, code: f.code}
	if w.wishes, err = l.elementWishes(a.Fields, nil); err != nil {
		return nil, engine.ParkError("upsert_element: %w", err)
	}
	noteShortened(c, w.wishes...)
	if e != nil {
		return l.changeOne(ctx, c, e, w)
	}
	answer := c.Portal.Do(ctx, l.addCall(w))[0]
	if bitrix.IsCode(answer.Err, "ERROR_ELEMENT_ALREADY_EXISTS") {
		if e, err = l.findOne(ctx, c, w.code, false); err != nil || e == nil {
			return nil, orElse(err, answer.Err)
		}
		return l.changeOne(ctx, c, e, w)
	}
	if answer.Err != nil {
		return nil, answer.Err
	}
	id, err := formula.FromJSON(answer.Result)
	if err != nil {
		return nil, err
	}
	c.Note("added element %s", textOf(id))
	return map[string]any{"id": typed(id, formula.Int, false), "created": true, "updated": false}, nil
}

// foundElement is the element with a key, nil when there is none.
type foundElement struct {
	list      *list
	key, code string
	element   *element
}

// find reads the element that has the key.
func (a upsertElementArgs) find(ctx context.Context, c *engine.Call) (*foundElement, error) {
	key, err := keyText(a.Key)
	if err != nil {
		return nil, engine.ParkError("upsert_element: %w", err)
	}
	l, err := openList(ctx, c, a.List, a.ListType)
	if err != nil {
		return nil, err
	}
	f := &foundElement{list: l, key: key, code: newOwnCodes(c.Owner, nil).of(key)}
	if f.element, err = l.findOne(ctx, c, f.code, false); err != nil {
		return nil, err
	}
	return f, nil
}

// findOne reads the oldest element with a code; nil when there is none.
func (l *list) findOne(ctx context.Context, c *engine.Call, code string, prompt bool) (*element, error) {
	found, err := l.readByCode(ctx, c, []string{code}, prompt)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	if n := len(found); n > 1 {
		c.Note("%d elements have the code %s: the oldest is kept up to date", n, code)
	}
	return found[0], nil
}

func (l *list) changeOne(ctx context.Context, c *engine.Call, e *element, w wanted) (any, error) {
	result := map[string]any{"id": count(int(e.id)), "created": false, "updated": false}
	if e.holds(w.wishes) {
		return result, nil
	}
	answer := c.Portal.Do(ctx, l.updateCall(e, w))[0]
	if errors.Is(answer.Err, bitrix.ErrStale) {
		now, err := l.findOne(ctx, c, w.code, true)
		switch {
		case err != nil:
			return nil, err
		case now == nil:
			return nil, removed(e.String())
		case now.holds(w.wishes):
			return result, nil
		}
		answer = c.Portal.Do(ctx, l.promptUpdate(now, w))[0]
	}
	if bitrix.IsCode(answer.Err, "ERROR_ELEMENT_NOT_FOUND") {
		return nil, removed(e.String())
	}
	if answer.Err != nil {
		return nil, answer.Err
	}
	c.Note("updated %s", e)
	result["updated"] = true
	return result, nil
}

func orElse(err, other error) error {
	if err != nil {
		return err
	}
	return other
}
