package plan

import (
	"math"
	"sync"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
)

// ownIDDomains keeps one domain for each type, so that equal domains have one address.
var ownIDDomains sync.Map

// OwnIDDomain is engine.IDDomain for the id of a record itself, which is never 0. Other fields
// with an id are 0 when they are empty.
func OwnIDDomain(typ int) *formula.Domain {
	d := engine.IDDomain(typ)
	if d == nil {
		return nil
	}
	own := *d
	own.Range = &formula.Range{Min: 1, Max: math.MaxInt64}
	kept, _ := ownIDDomains.LoadOrStore(typ, &own)
	return kept.(*formula.Domain)
}
