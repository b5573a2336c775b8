package engine

import (
	"math"
	"strings"
	"sync"

	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/schemas"
)

// idDomains keeps one domain for each type, so that equal domains have one address.
var idDomains sync.Map

// IDDomain is what is known of an id of an entity type, or of a user for
// schemas.TypeUser: it is never negative and no id of another type. It is nil for type 0.
func IDDomain(typ int) *formula.Domain {
	if typ == 0 {
		return nil
	}
	if d, ok := idDomains.Load(typ); ok {
		return d.(*formula.Domain)
	}
	d, _ := idDomains.LoadOrStore(typ, &formula.Domain{IDOf: typ, IDName: TypeWord(typ), Range: &formula.Range{Max: math.MaxInt64}})
	return d.(*formula.Domain)
}

// TypeWord names one record of a type: a deal, an item of type 1072, a user.
func TypeWord(typ int) string {
	switch o := schemas.OwnerByType(typ); {
	case typ == schemas.TypeUser:
		return "a user"
	case typ >= schemas.FirstDynamicType || o.Name == "":
		return "an item of type " + numInt(typ).String()
	default:
		return "a " + strings.ReplaceAll(o.Name, "_", " ")
	}
}
