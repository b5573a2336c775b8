package plan

import (
	"slices"

	"github.com/b24rules/b24rules/actions/internal/value"
)

// Desired is a record as it should be after the step.
type Desired struct {
	Row int // of the rows, from 0
	// Key identifies the record: the code of an element, or the values of an
	// item's key fields as one text.
	Key    string
	Values []FieldValue // of all fields that the rule names, including key and scope
	// Exact are values that a record with the Key must have.
	Exact []FieldValue
	// Match are the values of a record that may be adopted.
	Match []FieldValue
}

// names reports whether the rule names a field.
func (d Desired) names(name string) bool {
	return slices.ContainsFunc(d.Values, func(v FieldValue) bool { return v.Field.Name == name })
}

// Change is a record that differs from the desired one.
type Change struct {
	Record  *Record
	Desired Desired
	// Changed are the values that differ.
	Changed []FieldValue
}

// Plan is the difference between the existing and the desired records.
type Plan struct {
	Adds    []Desired
	Updates []Change
	Deletes []*Record
	Kept    []*Record // as they should be
	Adopted int       // of the updates
	Doubles int       // of the deletes: records with the key of another one
	// Spared are records with the key of another one that stay, because people
	// have written values into them that the other one does not have.
	Spared  []*Record
	Foreign int // records that stay though they belong to no row
	Mine    int // records that the step may delete, the base of a limit in per cent
}

// Options decide which of the existing records belong to a step.
type Options struct {
	// Key returns the key of a record that the step made.
	Key func(*Record) (key string, ours bool)
	// Free reports whether a record that is not ours may be adopted or deleted.
	Free func(*Record) bool
	// Loses reports whether values of people would be lost if one record was
	// deleted and another one with the same key stayed. nil means never.
	Loses func(deleted, stays *Record, d Desired) bool
	// Renames reports whether a record gets another key. nil means never.
	Renames func(r *Record, d Desired) bool
	// RemoveForeign deletes free records that no row has adopted.
	RemoveForeign bool
}

// Diff compares the existing records with the desired ones. existing must be in
// the order of ids, so that equal runs make equal plans.
func Diff(existing []*Record, desired []Desired, o Options) Plan {
	var p Plan
	byKey := make(map[string][]*Record, len(existing))
	var others []*Record
	ours := make(map[*Record]bool, len(existing))
	for _, r := range existing {
		key, is := o.Key(r)
		if !is {
			others = append(others, r)
			continue
		}
		byKey[key] = append(byKey[key], r)
		ours[r] = true
		p.Mine++
	}
	for _, same := range byKey {
		p.Doubles += len(same) - 1
	}
	taken := make(map[*Record]bool, len(existing))
	for _, d := range desired {
		r := p.choose(byKey[d.Key], d, o)
		renamed := r != nil && o.Renames != nil && o.Renames(r, d)
		if r != nil && (renamed || r.Holds(d.Exact)) {
			taken[r] = true
			if changed := r.Differing(d.Values); len(changed) > 0 || renamed {
				p.Updates = append(p.Updates, Change{r, d, changed})
			} else {
				p.Kept = append(p.Kept, r)
			}
			continue
		}
		if r = adoptable(others, taken, d, o.Free); r != nil {
			taken[r] = true
			p.Adopted++
			p.Updates = append(p.Updates, Change{r, d, r.Differing(d.Values)})
			continue
		}
		p.Adds = append(p.Adds, d)
	}
	for _, r := range existing {
		switch {
		case taken[r] || slices.Contains(p.Spared, r):
		case ours[r]:
			p.Deletes = append(p.Deletes, r)
		case o.RemoveForeign && o.Free(r):
			p.Mine++
			p.Deletes = append(p.Deletes, r)
		default:
			p.Foreign++
		}
	}
	return p
}

// choose returns the record that stays of those with the key of d, nil if there
// are none. It is the oldest, unless only a newer one has values of people. The
// others are deleted, but those with such values are spared.
//
// Several records can have one key, because lists.element.add looks for the code
// and then inserts, without a lock: two adds at the same time make two elements.
func (p *Plan) choose(same []*Record, d Desired, o Options) *Record {
	if len(same) < 2 || o.Loses == nil {
		if len(same) == 0 {
			return nil
		}
		return same[0]
	}
	stays := same[0]
	for _, r := range same[1:] {
		if o.Loses(r, stays, d) && !o.Loses(stays, r, d) {
			stays = r
		}
	}
	for _, r := range same {
		if r != stays && o.Loses(r, stays, d) {
			p.Spared = append(p.Spared, r)
			p.Doubles--
		}
	}
	return stays
}

// adoptable finds the oldest free record that has the values of Match and is not
// taken by another row. If all values are empty, they match nothing.
func adoptable(others []*Record, taken map[*Record]bool, d Desired, free func(*Record) bool) *Record {
	blank := true
	for _, m := range d.Match {
		blank = blank && m.Field.Empty(m.Value)
	}
	if blank {
		return nil
	}
	for _, r := range others {
		if !taken[r] && free(r) && r.Holds(d.Match) {
			return r
		}
	}
	return nil
}

// ElementOptions are the options for elements: the key of an element is its code.
// An element of another rule is not free. Otherwise two rules would adopt it
// from each other endlessly.
func ElementOptions(l *List, codes Codes, removeForeign bool) Options {
	return Options{
		Loses:         l.Schema.loses,
		Key:           func(r *Record) (string, bool) { return r.Code, codes.Owns(r.Code) },
		Free:          func(r *Record) bool { return !Made(r.Code) },
		RemoveForeign: removeForeign,
	}
}

// ItemOptions are the options for items, which the values of their key fields
// identify. An item with empty key fields was made by a person.
func ItemOptions(keys []*value.Field, removeForeign bool) Options {
	return Options{
		Key:           func(r *Record) (string, bool) { return keyOf(r, keys) },
		Free:          func(*Record) bool { return true },
		RemoveForeign: removeForeign,
	}
}

// ValuesOf returns the values of all desired records.
func ValuesOf(desired []Desired) []FieldValue {
	var out []FieldValue
	for _, d := range desired {
		out = append(out, d.Values...)
	}
	return out
}
