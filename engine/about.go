package engine

import (
	"slices"
	"strconv"

	"github.com/b24rules/b24rules/schemas"
)

// KindPortal is the kind of a rule that is about the portal as a whole. Each such rule
// has its own entity, so that a long run of one does not hold up the others.
const KindPortal = "portal"

// About is the kind of entity that the runs of a rule are for.
type About struct {
	// Portal says that it is the portal as a whole. TypeID is the entityTypeId otherwise.
	Portal bool
	TypeID int
}

// String names it for people: a company, an item of type 1072, the portal.
func (a About) String() string {
	if a.Portal {
		return "the portal"
	}
	return TypeWord(a.TypeID)
}

// Subject returns what the runs of the rule are for: what the file says, or else the type
// of all its events and robots. ok is false if these are about several types or about none
// of the CRM.
func (r *Rule) Subject() (a About, ok bool) {
	if r.AboutKind != nil {
		return *r.AboutKind, true
	}
	var types []int
	for _, t := range r.Triggers {
		types = append(types, t.ItemType())
	}
	for _, b := range r.Robots {
		types = append(types, b.Types...)
	}
	slices.Sort(types)
	if types = slices.Compact(types); len(types) != 1 || types[0] == 0 || r.Entity != nil {
		return About{}, false
	}
	return About{TypeID: types[0]}, true
}

// EntityWithID returns the entity of a run of the rule. id has no meaning for a rule
// about the portal.
func (a About) EntityWithID(r *Rule, id int) Entity {
	if a.Portal {
		return Entity{Kind: KindPortal, ID: r.ID}
	}
	return EntityOfType(a.TypeID, strconv.Itoa(id))
}

// EntityOfType returns an entity of the CRM as its events name it.
func EntityOfType(typeID int, id string) Entity {
	kind := "item"
	switch typeID {
	case schemas.TypeLead, schemas.TypeDeal, schemas.TypeContact, schemas.TypeCompany, schemas.TypeQuote:
		kind = schemas.OwnerByType(typeID).Name
	}
	return Entity{Kind: kind, TypeID: typeID, ID: id}
}
