package actions

import (
	"context"

	"github.com/b24rules/b24rules/actions/internal/plan"
	"github.com/b24rules/b24rules/engine"
)

// DeleteElements deletes the list elements of a scope.
var DeleteElements = engine.Define(engine.Spec[deleteElementsArgs]{
	Name:   "delete_elements",
	Effect: engine.Writes,
	Doc: `delete the elements of a universal list that belong to a scope

Use it in the deleted steps. It deletes all elements of the scope, also those
that people added, because the entity that they belonged to no longer exists.
With foreign: keep it deletes only elements that this rule made. The step checks
that every element belongs to the scope before it deletes the first one. More
elements than limit are an error, and nothing is deleted.

The result has the number of deleted elements.`,
	Says:   "deletes the elements of list {list} where {scope}",
	Cost:   engine.Cost{Least: engine.Pages("elements"), Typical: engine.Pages("elements").Plus(engine.Per("elements")), Worst: engine.Pages("elements").Plus(engine.Per("elements"))},
	Run:    deleteElements,
	Result: deletedType,
	Touches: func(*engine.ArgTypes) []engine.Touch {
		return []engine.Touch{{Kind: engine.TouchElements, Of: "list", Deletes: true, ListType: "list_type", Which: "scope", Names: []string{"scope"}}}
	},
	Prefetch: func(ctx context.Context, c *engine.Call, a deleteElementsArgs) (any, error) {
		return plan.OpenScope(ctx, c, a.List, a.ListType, a.Scope, nil)
	},
	PrefetchArgs: []string{"list", "list_type", "scope"},
	Check:        checkDeleteElements,
})

type deleteElementsArgs struct {
	List     int           `yaml:"list" validate:"required,min=1" doc:"the list's IBLOCK_ID" example:"=inputs.list"`
	ListType string        `yaml:"list_type" validate:"oneof=lists bitrix_processes" default:"lists" doc:"lists or bitrix_processes"`
	Scope    engine.Fields `yaml:"scope" validate:"required" doc:"the properties that the elements share" example:"{DEAL: =event.id}"`
	Foreign  string        `yaml:"foreign" validate:"oneof=keep remove" default:"remove" doc:"remove or keep elements that this rule did not make"`
	Limit    int           `yaml:"limit" validate:"min=1,max=50000" default:"1000" doc:"the largest number of elements to delete; more are an error"`
}

const defaultDeleteElements = 1000

func deleteElements(ctx context.Context, c *engine.Call, a deleteElementsArgs) (any, error) {
	s, err := engine.ReadAhead[*plan.Scope](ctx, c)
	if err != nil {
		return nil, err
	}
	var going []*plan.Record
	for _, e := range s.Elements {
		if a.Foreign != "keep" || s.MadeByRule(c, e) {
			going = append(going, e)
		}
	}
	limit := a.Limit
	if limit == 0 {
		limit = defaultDeleteElements
	}
	if len(going) > limit {
		return nil, engine.ParkErrorOf("limit", "the step would delete %d elements, its limit is %d: nothing was deleted", len(going), limit)
	}
	if len(going) == 0 {
		return map[string]any{"deleted": count(0)}, nil
	}
	if err := c.Deleting(len(going)); err != nil {
		return nil, err
	}
	deleted, err := plan.Delete(ctx, c, plan.NewElementTarget(s.List, nil), going)
	c.Note("%d deleted, %d kept", deleted, len(s.Elements)-len(going))
	return map[string]any{"deleted": count(deleted)}, err
}
