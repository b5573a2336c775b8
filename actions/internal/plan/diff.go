package plan

import "github.com/b24rules/b24rules/actions/internal/value"

// Desired is a record as a rule wants it to be.
type Desired struct {
	Row int // of the rows, from 0
	// Key is what the record is found again by: the code of an element, the
	// values of an item's key fields as one text.
	Key    string
	Values []FieldValue // of all fields that the rule names, those of key and scope too
	// Exact are values that a record found by its key must have.
	Exact []FieldValue
	// Match are values that a record without a key must have to be adopted.
	Match []FieldValue
}

// Change is a record that has to become what a rule wants.
type Change struct {
	Record  *Record
	Desired Desired
	// Changed are the values that differ.
	Changed []FieldValue
}

// Plan is what a sync would do. Making one reads and writes nothing.
type Plan struct {
	Adds    []Desired
	Updates []Change
	Deletes []*Record
	Kept    int
	Adopted int // of the updates
	Doubles int // of the deletes: records with the key of an older one
	Foreign int // records that stay though no row asks for them
	Mine    int // records that the step may delete: the base of a limit in per cent
}

// Options say which of the existing records belong to a step.
type Options struct {
	// Key returns the key of a record that the step made.
	Key func(*Record) (key string, ours bool)
	// Free reports whether a record that is not ours may be adopted or removed.
	Free func(*Record) bool
	// RemoveForeign deletes free records that no row has adopted.
	RemoveForeign bool
}

// Diff compares the existing records with the desired ones. existing is in the
// order of ids, so that equal runs make equal plans.
func Diff(existing []*Record, wanted []Desired, o Options) Plan {
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
	for _, d := range wanted {
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

// adoptable finds the oldest free record that no row has taken yet and whose
// match values are equal. Values that are all empty match nothing.
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
// An element that another rule made is not free: two rules would take it from
// each other without end.
func ElementOptions(codes Codes, removeForeign bool) Options {
	return Options{
		Key:           func(r *Record) (string, bool) { return r.Code, codes.Owns(r.Code) },
		Free:          func(r *Record) bool { return !made(r.Code) },
		RemoveForeign: removeForeign,
	}
}

// ItemOptions are the options for items, which are known by the values of their
// key fields. An item whose key fields are empty was made by a person.
func ItemOptions(keys []*value.Field, removeForeign bool) Options {
	return Options{
		Key:           func(r *Record) (string, bool) { return keyOf(r, keys) },
		Free:          func(*Record) bool { return true },
		RemoveForeign: removeForeign,
	}
}
