package engine

import (
	"strings"

	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/snapshot"
	"github.com/b24rules/b24rules/schemas"
)

// UnknownType says why a known portal does not have a type of items, and which it has. The
// reason is empty if it has the type, or if that is not known.
func UnknownType(portal *snapshot.Snapshot, entityTypeID int) (why, hint diag.Phrase) {
	if entityTypeID <= 0 || !portal.Knows(snapshot.PartTypes) || !portal.Knows(snapshot.PartType(entityTypeID)) || portal.TypeOf(entityTypeID) != nil {
		return why, hint
	}
	why = diag.Phrasef("portal %s has no type %d of items", portal.Portal, entityTypeID)
	var has []string
	for _, t := range portal.Types {
		if t.ID >= schemas.FirstDynamicType {
			has = append(has, numInt(t.ID).String()+" ("+t.Title+")")
		}
	}
	if len(has) > 0 {
		hint = diag.Phrasef("its smart processes are %s", fewOf(has))
	}
	return why, hint
}

// fewOf lists names, at most eight.
func fewOf(names []string) string {
	const most = 8
	if len(names) > most {
		names = append(names[:most:most], "…")
	}
	return strings.Join(names, ", ")
}
