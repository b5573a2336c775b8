package plan

import (
	"context"
	"slices"

	"github.com/b24rules/b24rules/engine"
)

// Adopt is what a sync does when a person asks which elements its rows could take over: it pairs
// each row that has no element with the one that has the values of match. It adds and deletes
// nothing, and each column stays as it is.
func Adopt(ctx context.Context, c *engine.Call, s *Scope, desired []Desired, o Options) error {
	free, err := s.free(ctx, c, o)
	if err != nil {
		return err
	}
	writing := c.Adopting()
	return adopt(ctx, writing, NewElementTarget(s.List, func() ([]*Record, error) { return s.Reread(ctx, writing) }), s.Elements, free, desired, o)
}

// AdoptItems is Adopt for items: those without a key that have the values of match get the key.
func AdoptItems(ctx context.Context, c *engine.Call, s *ItemSchema, existing []*Record, desired []Desired, o Options) error {
	free := slices.DeleteFunc(slices.Clone(existing), func(r *Record) bool { _, ours := o.Key(r); return ours })
	return adopt(ctx, c.Adopting(), &ItemTarget{Schema: s}, existing, free, desired, o)
}

// adopt pairs the desired records that do not exist with free ones.
func adopt(ctx context.Context, c *engine.Call, to Target, existing, free []*Record, desired []Desired, o Options) error {
	has := map[string]bool{}
	for _, r := range existing {
		if key, ours := o.Key(r); ours {
			has[key] = true
		}
	}
	fits, claims := make([][]*Record, len(desired)), map[*Record]int{}
	for i, d := range desired {
		for _, r := range free {
			if !has[d.Key] && adoptable([]*Record{r}, nil, d, func(*Record) bool { return true }) != nil {
				fits[i] = append(fits[i], r)
				claims[r]++
			}
		}
	}
	var p Plan
	found := engine.Adopted{Place: to.place()}
	for i, d := range desired {
		switch all := fits[i]; {
		case has[d.Key]:
		case len(all) == 0:
			found.Without++
		case len(all) > 1 || claims[all[0]] > 1:
			found.Unclear++
		default:
			found.Pairs = append(found.Pairs, all[0].ID)
			d.Values = d.Exact // a code is written anyway
			p.Updates = append(p.Updates, Change{all[0], d, d.Exact})
		}
	}
	for _, r := range free {
		if claims[r] == 0 {
			found.Left = append(found.Left, r.ID)
		}
	}
	p.Adopted = len(p.Updates)
	t, err := Apply(ctx, c, to, p)
	if c.Adopt.Portal != nil {
		found.Written = t.Updated
	}
	c.Adopt.Add(found)
	return err
}

// AdoptOne is Adopt for a step that keeps one element. has is the element that it has, nil for none.
func (l *List) AdoptOne(ctx context.Context, c *engine.Call, has *Record, d Desired) error {
	if has != nil {
		c.Adopt.Add(engine.Adopted{Place: engine.PlaceOfList(l.id)})
		return nil
	}
	s := &Scope{List: l, Values: d.Match, OldValues: d.Match}
	blank := !slices.ContainsFunc(d.Match, func(v FieldValue) bool { return !v.Field.Empty(v.Value) })
	var err error
	if !blank {
		if s.Elements, err = l.readScope(ctx, c, d.Match, false); err != nil {
			return err
		}
	}
	return Adopt(ctx, c, s, []Desired{d}, ElementOptions(l, Codes{prefix: d.Key}, false))
}

// free returns the elements of the scope that no rule of the portal has, in the order of ids.
func (s *Scope) free(ctx context.Context, c *engine.Call, o Options) ([]*Record, error) {
	ours := func(r *Record) bool { _, is := o.Key(r); return is }
	out := slices.DeleteFunc(slices.Clone(s.Elements), func(r *Record) bool { return ours(r) || !o.Free(r) })
	strange, err := s.strange(ctx, c, func(string) bool { return false })
	out = append(out, slices.DeleteFunc(strange, ours)...)
	slices.SortFunc(out, func(a, b *Record) int { return a.ID - b.ID })
	return out, err
}
