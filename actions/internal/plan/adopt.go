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
	has := map[string]bool{}
	for _, r := range s.Elements {
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
	found := engine.Adopted{Place: engine.PlaceOfList(s.List.id)}
	for i, d := range desired {
		switch all := fits[i]; {
		case has[d.Key]:
		case len(all) == 0:
			found.Without++
		case len(all) > 1 || claims[all[0]] > 1:
			found.Unclear++
		default:
			found.Pairs = append(found.Pairs, all[0].ID)
			d.Values = nil
			p.Updates = append(p.Updates, Change{Record: all[0], Desired: d})
		}
	}
	for _, r := range free {
		if claims[r] == 0 {
			found.Left = append(found.Left, r.ID)
		}
	}
	p.Adopted = len(p.Updates)
	writing := c.Adopting()
	t, err := Apply(ctx, writing, NewElementTarget(s.List, func() ([]*Record, error) { return s.Reread(ctx, writing) }), p)
	if c.Adopt.Portal != nil {
		found.Written = t.Updated
	}
	c.Adopt.Add(found)
	return err
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
