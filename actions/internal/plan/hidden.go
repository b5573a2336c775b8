package plan

import (
	"context"
	"slices"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
)

// maxHidden bounds the items that are read one by one.
const maxHidden = 50

// Hidden returns the items that the step has made for the run's entity before, and that exist but
// are not among those listed. A step that is about to add an item asks for them, because the portal
// omits items that its user may not read without a word (crm.item.list), and a second item
// would be made. One that may not be read is an error.
func (s *ItemSchema) Hidden(ctx context.Context, c *engine.Call, listed []*Record) ([]*Record, error) {
	if c.Records == nil {
		return nil, nil
	}
	ids, err := c.Records.MadeFor(ctx, c.Rule, c.StepKey, s.Place(), c.Entity, maxHidden)
	if err != nil {
		return nil, err
	}
	ids = slices.DeleteFunc(ids, func(id int) bool {
		return slices.ContainsFunc(listed, func(r *Record) bool { return r.ID == id })
	})
	if len(ids) == 0 {
		return nil, nil
	}
	calls := make([]bitrix.Call, len(ids))
	for i, id := range ids {
		calls[i] = GetItemCall(s.Type, id)
	}
	var out []*Record
	for i, a := range c.Portal.Do(ctx, calls...) {
		switch {
		case bitrix.IsNotFound(a.Err): // somebody has deleted it
		case bitrix.IsCode(a.Err, "ACCESS_DENIED"):
			return nil, engine.ParkError("the step has made %s for %s before and may not read it now, so it adds no other: give the user of the webhook or application the right to read all items of the type: %w",
				itemName(s.Type, ids[i]), c.Entity, a.Err)
		case a.Err != nil:
			return nil, a.Err
		default:
			r, err := s.DecodeItem(a.Result)
			if err != nil {
				return nil, err
			}
			c.Note("%s is not in the portal's list of items, but exists", r)
			out = append(out, r)
		}
	}
	return out, nil
}
