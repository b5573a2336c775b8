package engine

// TouchKind says what a step changes.
type TouchKind uint8

// The kinds of things that steps change.
const (
	TouchItems    TouchKind = iota // items of the CRM, whose changes send events
	TouchElements                  // elements of lists, whose changes send none
)

// Touch is something that a step may change. It names arguments of the step, so
// that the checks between rules can look at their values without knowing the
// action.
type Touch struct {
	Kind TouchKind
	// Reads says that the step only reads the records; nothing of them changes.
	Reads bool
	// Adds, Updates and Deletes say what may happen.
	Adds, Updates, Deletes bool
	// Of is the argument that says which list or which type of items: owner,
	// entityTypeId, list.
	Of string
	// Type is the entityTypeId where the action knows it better than Of.
	Type int
	// ListType is the argument with the list's IBLOCK_TYPE_ID; "" means lists.
	ListType string
	// Which is the argument that says which of them: id, key, scope, filter. ""
	// means that nothing is known of it.
	Which string
	// Fields is the argument with what is written, "" when that is not known.
	Fields string
	// Names are the arguments whose names are the fields that the step keeps up to
	// date: key, fields, scope. Key is the argument whose fields tell one record from
	// another; "" when no fields do.
	Names []string
	Key   string
	// Compares says that what is as wished already is not written again.
	Compares bool
	// Syncs says that the elements of the scope which the rule made, and for
	// which there is no row, are deleted.
	Syncs bool
}
