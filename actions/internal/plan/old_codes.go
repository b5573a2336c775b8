package plan

import (
	"slices"

	"github.com/b24rules/b24rules/actions/internal/value"
	"github.com/b24rules/b24rules/engine"
)

// TakeOldKeys makes o recognise the items that the step has made with other key fields or other
// values of them: they get the key of their row. keys are the key fields, oldKeys those of that time,
// and old has the old key of each desired item.
func TakeOldKeys(existing []*Record, keys, oldKeys []*value.Field, old []string, desired []Desired, o *Options) error {
	there, rows := map[string]bool{}, map[string]int{}
	for _, r := range existing {
		if key, ours := keyOf(r, keys); ours {
			there[key] = true
		}
	}
	for i, d := range desired {
		rows[d.Key] = i
	}
	renamed := map[string]string{} // from old keys
	for i, d := range desired {
		if j, taken := rows[old[i]]; taken && j != i && there[old[i]] {
			return engine.ParkError("the old key of row %d is the new key of row %d, so it cannot be known which one has the item", d.Row+1, desired[j].Row+1)
		}
		if _, taken := renamed[old[i]]; taken {
			return engine.ParkError("row %d has the old key of another row, so it cannot be known which one has the item", d.Row+1)
		}
		if old[i] != d.Key && !there[d.Key] {
			renamed[old[i]] = d.Key
		}
	}
	key := o.Key
	o.Key = func(r *Record) (string, bool) {
		was, ours := keyOf(r, oldKeys)
		if now := renamed[was]; ours && now != "" {
			return now, true
		}
		if now, is := key(r); is {
			return now, true
		}
		return "old " + was, ours
	}
	o.Renames = func(r *Record, d Desired) bool { now, _ := keyOf(r, keys); return now != d.Key }
	return nil
}

// TakeOld makes o recognise the elements that the step has made with another key or in another
// scope: they get the code of their row. codes are those of that time, and old has the old code
// of each desired element.
//
// An element of the old scope that has no row stays. Otherwise a step whose old scope was that of
// several entities would delete what it has made for the others.
func (s *Scope) TakeOld(codes Codes, old []string, desired []Desired, o *Options) error {
	there := map[string]bool{}
	for _, r := range slices.Concat(s.Elements, s.Moving) {
		there[r.Code] = true
	}
	rows := map[string]int{}
	for i, d := range desired {
		rows[d.Key] = i
	}
	renamed := map[string]string{} // from old codes
	for i, d := range desired {
		if j, taken := rows[old[i]]; taken && j != i && there[old[i]] {
			return engine.ParkError("the old key of row %d is the new key of row %d, so it cannot be known which one has the element: "+
				"choose a key with other values, such as '{{ row.id }}-n'", d.Row+1, desired[j].Row+1)
		}
		if _, taken := renamed[old[i]]; taken {
			return engine.ParkError("row %d has the old key of another row, so it cannot be known which one has the element", d.Row+1)
		}
		// The list would take a code that another element has, so the new one comes first.
		if old[i] != d.Key && there[old[i]] && !there[d.Key] {
			renamed[old[i]] = d.Key
		}
	}
	for _, r := range s.Moving {
		if renamed[r.Code] != "" {
			s.Elements = append(s.Elements, r)
		}
	}
	slices.SortFunc(s.Elements, func(a, b *Record) int { return a.ID - b.ID })
	key := o.Key
	o.Key = func(r *Record) (string, bool) {
		if now := renamed[r.Code]; now != "" {
			return now, true
		}
		if codes.Owns(r.Code) {
			return r.Code, true
		}
		return key(r)
	}
	o.Renames = func(r *Record, d Desired) bool { return r.Code != d.Key }
	return nil
}
