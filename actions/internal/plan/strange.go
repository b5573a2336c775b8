package plan

import (
	"context"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/actions/internal/value"
	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
)

// CheckDoubling returns an error if the scope has elements that a rule has made and that neither
// a rule of the portal nor the ledger knows: an installation with another database has made them,
// under another id or owner of the rule. The step would make them again. adds is how many.
func (s *Scope) CheckDoubling(ctx context.Context, c *engine.Call, codes Codes, adds int) error {
	strange, err := s.strange(ctx, c, codes.Owns)
	if err != nil || len(strange) == 0 {
		return err
	}
	return engine.ParkErrorOf(engine.ParkedByDoubling, "the step would add %d elements, but a rule that the portal does not have has made %d elements of its scope, such as %s: "+
		"if rule %s had another id or owner before, write it as moved or owner; otherwise take them over with b24rules adopt, or delete them", adds, len(strange), strange[0], c.Rule)
}

// strange returns the elements of the scope that a rule has made which neither the portal nor the
// ledger has. Those for whose code owns is true are those of the step.
func (s *Scope) strange(ctx context.Context, c *engine.Call, owns func(code string) bool) ([]*Record, error) {
	var others []*Record
	for _, r := range s.Elements {
		if Made(r.Code) && !owns(r.Code) {
			others = append(others, r)
		}
	}
	return s.List.unknown(ctx, c, others)
}

// unknown returns those of some elements that rules have made which neither a rule of the portal
// nor the ledger has.
func (l *List) unknown(ctx context.Context, c *engine.Call, others []*Record) ([]*Record, error) {
	if c.Records == nil || len(others) == 0 {
		return nil, nil
	}
	place := engine.PlaceOfList(l.id)
	owners := c.Records.Owners(place)
	var out []*Record
	var ids []int
	for _, r := range others {
		if !slices.ContainsFunc(owners, func(m engine.Mark) bool { return l.madeUnder(m, r) }) {
			out, ids = append(out, r), append(ids, r.ID)
		}
	}
	if len(out) == 0 {
		return nil, nil
	}
	recorded, err := c.Records.Recorded(ctx, place, ids)
	return slices.DeleteFunc(out, func(r *Record) bool { return recorded[r.ID] }), err
}

// CheckDoublingOf is CheckDoubling for a step without a scope that is about to add an element with a
// key. The end of a code is that of the key, for each owner. But a list has no filter for codes,
// so the elements with the value that is the key, or with the name, are read: one page of them, until
// the step has made an element.
func (l *List) CheckDoublingOf(ctx context.Context, c *engine.Call, key string, d Desired) error {
	if c.Records == nil {
		return nil
	}
	known, err := c.Records.HasMade(ctx, c.Rule, c.StepKey, engine.PlaceOfList(l.id))
	if err != nil || known {
		return err
	}
	var by *Condition
	for _, v := range d.Values {
		if v.Field.Name == "NAME" && by == nil || !v.Field.Empty(v.Value) && v.Field.Canonical(v.Value) == key {
			by = &Condition{Field: v.Field, Op: "=", Value: v.Value}
		}
	}
	end := d.Key[strings.LastIndexByte(d.Key, '-'):]
	a := c.Portal.Do(ctx, l.Call("lists.element.get", map[string]any{
		"ELEMENT_ORDER": map[string]any{"ID": "asc"}, "FILTER": FilterParams([]Condition{*by}, (*value.Field).ListOne),
	}))[0]
	raw, _, err := bitrix.FirstPage("lists.element.get", a, "")
	if err != nil {
		return err
	}
	all, err := l.Schema.DecodeElements(raw)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(r *Record) bool { return !Made(r.Code) || !strings.HasSuffix(r.Code, end) || r.Code == d.Key })
	strange, err := l.unknown(ctx, c, all)
	if err != nil || len(strange) == 0 {
		return err
	}
	return engine.ParkErrorOf(engine.ParkedByDoubling, "the step would add an element, but a rule that the portal does not have has made %s with the same key: "+
		"if rule %s had another id or owner before, write it as moved or owner; otherwise take it over with b24rules adopt, or delete it", strange[0], c.Rule)
}

// madeUnder reports whether a step with a mark may have made an element: its code is that of the
// owner and of the values that the element has in the scope of the step.
func (l *List) madeUnder(m engine.Mark, r *Record) bool {
	if m.AnyScope {
		return true
	}
	var scope []FieldValue
	for _, name := range m.ScopeNames {
		f, err := l.Schema.Resolve(name)
		if err != nil {
			return false
		}
		scope = append(scope, FieldValue{f, r.Values[f.Name]})
	}
	return NewCodes(m.Owner, scope).Owns(r.Code)
}
