package plan

import (
	"fmt"
	"slices"
	"time"

	"github.com/b24rules/b24rules/actions/internal/value"
)

// Record is an element of a list or an item of the CRM in the portal.
type Record struct {
	ID int
	// typ is the entityTypeId of an item, 0 for an element.
	typ int
	// Code is the symbolic code of an element.
	Code   string
	Values map[string]any // as read, by field: "NAME", "PROPERTY_101", "stageId"
	// valueIDs are the ids of the values of an element's properties, in the same
	// order.
	valueIDs map[string][]string
	// read is the time when an element was read.
	read time.Time
	// stored are the values that the step has last written into an element, if
	// they differ from Values: a repair puts back what a person wrote.
	stored map[string]any
	// back are the fields that a repair puts back. Their values have no ids,
	// because the portal deleted them.
	back map[string]bool
}

// String names the record in messages.
func (r *Record) String() string {
	if r.typ == 0 {
		return fmt.Sprintf("element %d", r.ID)
	}
	return itemName(r.typ, r.ID)
}

// Holds reports whether the record has all the values.
func (r *Record) Holds(values []FieldValue) bool {
	for _, v := range values {
		if !v.Field.Same(r.Values[v.Field.Name], v.Value) {
			return false
		}
	}
	return true
}

// Differing returns the values that the record does not have. Of multifields these are
// only the entries that are missing.
func (r *Record) Differing(values []FieldValue) []FieldValue {
	var out []FieldValue
	for _, v := range values {
		if !v.Field.Same(r.Values[v.Field.Name], v.Value) {
			if v.Field.Kind == value.KindMultifields {
				v.Value = value.Missing(r.Values[v.Field.Name], v.Value)
			}
			out = append(out, v)
		}
	}
	return out
}

// Replacing returns the values with an fm that deletes the entries of the record which it does
// not name.
func (r *Record) Replacing(values []FieldValue) []FieldValue {
	out := slices.Clone(values)
	for i, v := range out {
		if v.Field.Kind == value.KindMultifields {
			out[i].Value = value.Replacing(r.Values[v.Field.Name], v.Value)
		}
	}
	return out
}

// itemName names an item in messages.
func itemName(entityTypeID, id int) string {
	return fmt.Sprintf("item %d of type %d", id, entityTypeID)
}
