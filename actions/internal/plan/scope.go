package plan

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/b24rules/b24rules/actions/internal/value"
	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
)

// Scope is a scope of a list and what it holds.
type Scope struct {
	List     *List
	Values   []FieldValue // what all elements of the scope have
	Elements []*Record    // in the order of their ids
}

// OpenScope reads what a scope holds.
func OpenScope(ctx context.Context, c *engine.Call, iblock int, listType string, scope engine.Fields) (*Scope, error) {
	l, err := OpenList(ctx, c, iblock, listType)
	if err != nil {
		return nil, err
	}
	s := &Scope{List: l}
	if s.Values, err = l.scopeWishes(scope); err != nil {
		return nil, err
	}
	if s.Elements, err = l.readScope(ctx, c, s.Values, false); err != nil {
		return nil, err
	}
	return s, nil
}

// scopeWishes resolves a scope: all that a step may touch. A value that is
// empty would mean the whole list.
func (l *List) scopeWishes(scope engine.Fields) ([]FieldValue, error) {
	if len(scope) == 0 {
		return nil, engine.ParkError("scope names no property: the step would touch the whole list")
	}
	out, err := l.Schema.FieldValues(scope)
	if err != nil {
		return nil, err
	}
	for _, w := range out {
		if w.Field.Empty(w.Value) {
			return nil, engine.ParkError("scope %s has no value: the step would touch other elements", w.Field.Label())
		}
		if _, isList := w.Value.([]any); isList {
			return nil, engine.ParkError("scope %s is a list, want one value", w.Field.Label())
		}
	}
	return out, nil
}

// readScope reads all elements of a scope, in the order of their ids. The
// portal's filter is not believed: only elements that have the scope's values
// are returned. prompt goes before what others ask for.
func (l *List) readScope(ctx context.Context, c *engine.Call, scope []FieldValue, prompt bool) ([]*Record, error) {
	conditions := make([]Condition, len(scope))
	for i, w := range scope {
		conditions[i] = Condition{Field: w.Field, Op: "=", Value: w.Value}
	}
	call := l.Call("lists.element.get", map[string]any{
		"ELEMENT_ORDER": map[string]any{"ID": "asc"},
		"FILTER":        FilterParams(conditions, (*value.Field).ListOne),
	})
	call.Immediate, call.Many = prompt, manyOwners(conditions[0], elementValue)
	if call.Many != nil {
		call.Many.Param = "FILTER"
	}
	raw, err := c.Portal.List(ctx, call, "")
	if err != nil {
		return nil, err
	}
	all, err := l.Schema.DecodeElements(raw)
	if err != nil {
		return nil, err
	}
	if err := l.LearnDates(ctx, c, all); err != nil {
		return nil, err
	}
	inside := make([]*Record, 0, len(all))
	for _, e := range all {
		if e.Holds(scope) {
			inside = append(inside, e)
		}
	}
	if outside := len(all) - len(inside); outside > 0 {
		c.Note("the portal also returned %d elements outside the scope, they were left alone", outside)
	}
	return inside, nil
}

// manyOwners lets a listing share a command with those of other owners, the
// values of a condition. It is nil where a value can be written in several ways.
func manyOwners(c Condition, stored func(row map[string]json.RawMessage, name string) []any) *bitrix.Many {
	if c.Field.Kind != value.KindNumber && c.Field.Kind != value.KindText {
		return nil
	}
	f := c.Field
	many := &bitrix.Many{
		Param: "filter", Key: c.key(), Owner: f.CanonicalOne(c.Value), Bare: true,
		Owners: func(row json.RawMessage) []string {
			var members map[string]json.RawMessage
			if json.Unmarshal(row, &members) != nil {
				return nil
			}
			var owners []string
			for _, v := range stored(members, f.Name) {
				owners = append(owners, f.CanonicalOne(v))
			}
			return owners
		},
	}
	if f.Kind == value.KindNumber {
		many.From, many.To = ">="+f.Name, "<="+f.Name
	}
	return many
}

// elementValue reads the values of a property of a list's element.
func elementValue(row map[string]json.RawMessage, name string) []any {
	v, err := formula.FromJSON(row[name])
	if err != nil {
		return nil
	}
	values, _ := decodeProperty(v)
	return values
}

// itemValue reads the values of an item's field.
func itemValue(row map[string]json.RawMessage, name string) []any {
	v, err := formula.FromJSON(row[name])
	if err != nil {
		return nil
	}
	if list, ok := v.([]any); ok {
		return list
	}
	return []any{v}
}

// OwnerStands makes sure that the entity of the run can still be read, before
// its last elements are deleted. In the steps of a deleted entity its absence
// is what is expected.
func OwnerStands(ctx context.Context, c *engine.Call) error {
	id, err := strconv.Atoi(c.Entity.ID)
	if c.Entity.TypeID == 0 || err != nil {
		return nil
	}
	a := c.Portal.Do(ctx, GetItemCall(c.Entity.TypeID, id))[0]
	if bitrix.IsNotFound(a.Err) {
		// In the steps of a deleted entity Missing gives the error back.
		if gone := c.Missing(c.Entity.TypeID, id, a.Err); gone != a.Err { //nolint:errorlint // the same value, not its kind
			return gone
		}
		return nil
	}
	if a.Err != nil {
		return fmt.Errorf("look at %s again before its last elements are deleted: %w", c.Entity, a.Err)
	}
	return nil
}

// Reread reads the elements of the scope again, before what others ask for.
func (s *Scope) Reread(ctx context.Context, c *engine.Call) ([]*Record, error) {
	return s.List.readScope(ctx, c, s.Values, true)
}
