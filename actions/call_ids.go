package actions

import (
	"slices"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/actions/internal/value"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/schemas"
)

// Checks of the ids in the parameters of a call. The fields of CRM items are checked with the
// steps that write them.

// idParams are parameters that hold ids, by their names without case and underscores.
var idParams = map[string]int{
	"responsibleid": schemas.TypeUser, "assignedbyid": schemas.TypeUser, "createdby": schemas.TypeUser, "authorid": schemas.TypeUser,
	"userid": schemas.TypeUser, "accomplices": schemas.TypeUser, "auditors": schemas.TypeUser,
	"companyid": schemas.TypeCompany, "contactid": schemas.TypeContact, "dealid": schemas.TypeDeal, "leadid": schemas.TypeLead,
}

// pairs are parameters that hold the id of an entity, and those that say its type.
var pairs = map[string][]string{
	"entityid": {"entitytype", "entitytypeid"},
	"ownerid":  {"ownertypeid", "ownertype"},
	"id":       {"entitytypeid"},
}

// checkIDParams warns of the id of another kind of entity in the parameters of a call.
func checkIDParams(c *engine.StepCheck, m schemas.Method) {
	checked, _ := callEntity(c.Types(), m)
	for _, arg := range []string{"params", "params.fields", "params.filter"} {
		named := map[string]engine.NamedArg{}
		c.EachName(arg, func(n engine.NamedArg) { named[bareName(n.Name)] = n })
		for name, n := range named {
			typ := idParams[name]
			for _, kind := range pairs[name] {
				if k, ok := named[kind]; ok {
					typ = entityTypeOf(k)
				}
			}
			if n.Source() != "event.id" || checked == 0 {
				checkIDParam(c, n, typ)
			}
		}
	}
}

func bareName(name string) string { return strings.ReplaceAll(strings.ToLower(name), "_", "") }

// entityTypeOf returns the entityTypeId that a parameter names as a number or a word, 0 if the file
// does not say it.
func entityTypeOf(n engine.NamedArg) int {
	x, _ := n.Const()
	if number, ok := value.NumberOf(x); ok {
		id, _ := strconv.Atoi(number.String())
		return id
	}
	word, _ := x.(string)
	for _, o := range schemas.Owners() {
		if strings.EqualFold(o.Name, word) || o.Short == word {
			return o.ID
		}
	}
	return 0
}

func checkIDParam(c *engine.StepCheck, n engine.NamedArg, typ int) {
	if typ == 0 {
		return
	}
	if n.Source() == "event.id" {
		if events := c.Rule().EventTypes(); len(events) == 1 && events[0] != typ {
			n.WarnValuef("other-entity", "%s takes the id of %s, and event.id is the id of %s here", n.Name, typeName(typ), typeName(events[0]))
		}
		return
	}
	t := n.Type()
	if t.Kind == formula.List && t.Elem != nil {
		t = *t.Elem
	}
	if d := t.Domain; d != nil && d.IDOf != 0 && d.IDOf != typ {
		n.WarnValuef("wrong-id", "%s takes the id of %s, and this is the id of %s", n.Name, typeName(typ), d.IDName)
	}
}

// writesItems reports whether a call writes items of the CRM, whose fields are checked as those of other
// steps.
func writesItems(c *engine.StepCheck) bool {
	return slices.ContainsFunc(callTouches(c.Types()), func(t engine.Touch) bool { return t.Kind == engine.TouchItems })
}
