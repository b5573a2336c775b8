package plan

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/b24rules/b24rules/actions/internal/value"
	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
)

// Scope is a scope of a list with its elements.
type Scope struct {
	List     *List
	Values   []FieldValue // those that all elements of the scope have
	Elements []*Record    // in the order of their ids
	// OldValues are those of the scope that the step had before, or Values. Moving are the
	// elements that are only there.
	OldValues []FieldValue
	Moving    []*Record
}

// OpenScope reads the elements of a scope, and those of the scope that the step had before, if
// there is one.
func OpenScope(ctx context.Context, c *engine.Call, iblock int, listType string, scope, old engine.Fields) (*Scope, error) {
	l, err := OpenList(ctx, c, iblock, listType)
	if err != nil {
		return nil, err
	}
	s := &Scope{List: l}
	if s.Values, err = l.scopeValues(scope); err != nil {
		return nil, err
	}
	if s.Elements, err = l.readScope(ctx, c, s.Values, false); err != nil {
		return nil, err
	}
	if s.OldValues = s.Values; len(old) == 0 {
		return s, nil
	}
	if s.OldValues, err = l.scopeValues(old); err != nil {
		return nil, err
	}
	s.Moving, err = s.readMoving(ctx, c, false)
	return s, err
}

// readMoving reads the elements of the old scope that are not in the new one.
func (s *Scope) readMoving(ctx context.Context, c *engine.Call, immediate bool) ([]*Record, error) {
	all, err := s.List.readScope(ctx, c, s.OldValues, immediate)
	return slices.DeleteFunc(all, func(r *Record) bool { return r.Holds(s.Values) }), err
}

// scopeValues resolves a scope: the values of all elements that a step may touch.
// An empty value would mean the whole list.
func (l *List) scopeValues(scope engine.Fields) ([]FieldValue, error) {
	if len(scope) == 0 {
		return nil, engine.ParkError("scope has no property: the step would touch the whole list")
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
			return nil, engine.ParkError("scope %s is a list, but takes one value", w.Field.Label())
		}
	}
	return out, nil
}

// readScope reads all elements of a scope, in the order of their ids. It checks
// the answer and returns only elements that have the scope's values. With
// immediate the call goes before those of others.
func (l *List) readScope(ctx context.Context, c *engine.Call, scope []FieldValue, immediate bool) ([]*Record, error) {
	conditions := make([]Condition, len(scope))
	for i, w := range scope {
		conditions[i] = Condition{Field: w.Field, Op: "=", Value: w.Value}
	}
	call := l.Call("lists.element.get", map[string]any{
		"ELEMENT_ORDER": map[string]any{"ID": "asc"},
		"FILTER":        FilterParams(conditions, (*value.Field).ListOne),
	})
	call.Immediate, call.Many = immediate, manyOwners(conditions[0], elementValue)
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
		if !l.current { // the portal ignores a property that it no longer has
			if a := c.Portal.Do(ctx, bitrix.DescribeList(l.typ, l.id))[0]; a.Err != nil {
				return nil, a.Err
			}
			if err := l.changed(ctx, c, scope); err != nil {
				return nil, err
			}
		}
		c.Note("the portal also returned %d elements outside the scope, which stay unchanged", outside)
	}
	return inside, nil
}

// manyOwners lets a listing share a command with listings for other values of the
// condition. It is nil if a value can be written in several ways.
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

// elementValue decodes the values of a property of an element.
func elementValue(row map[string]json.RawMessage, name string) []any {
	v, err := formula.FromJSON(row[name])
	if err != nil {
		return nil
	}
	values, _ := decodeProperty(v)
	return values
}

// itemValue decodes the values of a field of an item.
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

// EntityExists returns an error if the entity of the run can no longer be read.
// Steps call it before they delete the last records of the entity. In the deleted
// steps a missing entity is expected and not an error.
func EntityExists(ctx context.Context, c *engine.Call) error {
	id, err := strconv.Atoi(c.Entity.ID)
	if c.Entity.TypeID == 0 || err != nil {
		return nil
	}
	a := c.Portal.Do(ctx, GetItemCall(c.Entity.TypeID, id))[0]
	if bitrix.IsNotFound(a.Err) {
		// In the deleted steps Missing returns the error unchanged.
		if gone := c.Missing(c.Entity.TypeID, id, a.Err); gone != a.Err { //nolint:errorlint // the same value, not its kind
			return gone
		}
		return nil
	}
	if a.Err != nil {
		return fmt.Errorf("check that %s exists before its last records are deleted: %w", c.Entity, a.Err)
	}
	return nil
}

// Reread reads the elements of the scope again, before the calls of others.
func (s *Scope) Reread(ctx context.Context, c *engine.Call) ([]*Record, error) {
	all, err := s.List.readScope(ctx, c, s.Values, true)
	if err != nil || len(s.Moving) == 0 {
		return all, err
	}
	moving, err := s.readMoving(ctx, c, true)
	return append(all, moving...), err
}

// MadeByRule reports whether a step of the rule of a call has made an element of the scope: in the scope
// itself, in that of another step, or in none.
func (s *Scope) MadeByRule(c *engine.Call, r *Record) bool {
	if NewCodes(c.Owner, s.Values).Owns(r.Code) || NewCodes(c.Owner, nil).Owns(r.Code) {
		return true
	}
	if c.Records == nil {
		return false
	}
	return slices.ContainsFunc(c.Records.Owners(engine.PlaceOfList(s.List.id)), func(m engine.Mark) bool {
		return m.Owner == c.Owner && !m.AnyScope && s.List.madeUnder(m, r)
	})
}
