package plan

import "github.com/b24rules/b24rules/actions/internal/value"

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
	Kept    int
	Adopted int // of the updates
	Doubles int // of the deletes: records with the key of another one
	Foreign int // records that stay though they belong to no row
	Mine    int // records that the step may delete, the base of a limit in per cent
}

// Options decide which of the existing records belong to a step.
type Options struct {
	// Key returns the key of a record that the step made.
	Key func(*Record) (key string, ours bool)
	// Free reports whether a record that is not ours may be adopted or deleted.
	Free func(*Record) bool
	// RemoveForeign deletes free records that no row has adopted.
	RemoveForeign bool
}

// Diff compares the existing records with the desired ones. existing must be in
// the order of ids, so that equal runs make equal plans.
func Diff(existing []*Record, desired []Desired, o Options) Plan {
	var p Plan
	byKey := make(map[string]*Record, len(existing))
	var others []*Record
	ours := make(map[*Record]bool, len(existing))
	for _, r := range existing {
		key, is := o.Key(r)
		switch {
		case !is:
			others = append(others, r)
			continue
		case byKey[key] != nil:
			// lists.element.add looks for the code and then inserts, without a
			// lock: two adds at once make two elements. The older one stays.
			p.Doubles++
		default:
			byKey[key] = r
		}
		ours[r] = true
		p.Mine++
	}
	taken := make(map[*Record]bool, len(existing))
	for _, d := range desired {
		r := byKey[d.Key]
		if r != nil && r.Holds(d.Exact) {
			taken[r] = true
			if changed := r.Differing(d.Values); len(changed) > 0 {
				p.Updates = append(p.Updates, Change{r, d, changed})
			} else {
				p.Kept++
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
		case taken[r]:
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
func ElementOptions(codes Codes, removeForeign bool) Options {
	return Options{
		Key:           func(r *Record) (string, bool) { return r.Code, codes.Owns(r.Code) },
		Free:          func(r *Record) bool { return !made(r.Code) },
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
