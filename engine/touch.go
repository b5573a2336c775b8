package engine

// TouchKind says which kind of records a step reads or changes.
type TouchKind uint8

// The kinds of records.
const (
	TouchItems    TouchKind = iota // items of the CRM; the portal sends events for their changes
	TouchElements                  // elements of lists; the portal sends no events for them
	TouchOther                     // other records, whose change sends Touch.Event
	TouchRule                      // runs of another rule
)

// Touch describes records that a step may read or change. It names arguments of the
// step, so that checks can read their values without knowing the action.
type Touch struct {
	Kind TouchKind
	// Reads says that the step only reads the records.
	Reads bool
	// Adds, Updates and Deletes say what the step may do.
	Adds, Updates, Deletes bool
	// Of is the argument that names the list or the type of items: owner,
	// entityTypeId, list.
	Of string
	// Type is the entityTypeId when it does not depend on an argument. Of then only names
	// the place of findings.
	Type int
	// Event is the code of the event that the portal sends for a record of TouchOther.
	Event string
	// ListType is the argument with the list's IBLOCK_TYPE_ID; "" means lists.
	ListType string
	// Which is the argument that selects the records: id, key, scope, filter. "" means
	// that nothing is known about them.
	Which string
	// Fields is the argument with the values to write, "" when they are not known. Which
	// and Fields may name a part of an argument: params.fields.
	Fields string
	// StoredNames says that Fields has the names of fields as the portal stores them:
	// ASSIGNED_BY_ID.
	StoredNames bool
	// Names are the arguments whose names are fields that the step keeps up to date:
	// key, fields, scope. Key is the argument whose fields tell one record from
	// another, "" when no fields do.
	Names []string
	Key   string
	// Compares says that the step writes only values that differ.
	Compares bool
	// Syncs says that the step deletes those elements of the scope that the rule made
	// and that have no row.
	Syncs bool
}
