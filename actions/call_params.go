package actions

import (
	"slices"
	"strings"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/schemas"
)

// Checks of the parameters of a call against the documented ones.

// checkParams warns of parameters that the method does not have, and of the id of
// another entity.
func checkParams(c *engine.StepCheck, m schemas.Method) {
	names := m.Params()
	c.EachName("params", func(n engine.NamedArg) {
		if len(names) == 0 || slices.Contains(names, n.Name) {
			return
		}
		same := slices.IndexFunc(names, func(name string) bool { return strings.EqualFold(name, n.Name) })
		switch {
		case same >= 0 && m.ExactNames():
			n.WarnNamef("unknown-parameter", "%s knows its parameters in one spelling only, and not %s", m.Name, n.Name).Hint = "write " + names[same]
		case same < 0:
			f := n.WarnNamef("unknown-parameter", "%s has no parameter %s, and the portal ignores it", m.Name, n.Name)
			if f.Hint = "it has " + strings.Join(names, ", "); diag.Closest(n.Name, names) != "" {
				f.Hint = "did you mean " + diag.Closest(n.Name, names) + "?"
			}
		}
	})
	checkStoredNames(c, m)
	if typ, param := callEntity(c.Types(), m); typ != 0 {
		if _, v := c.Types().Part("params." + param); v != nil && v.Formula != nil && strings.TrimSpace(v.Formula.Source()) == "event.id" {
			checkEventOf(c, "params", typ)
		}
	}
}

// callEntity returns the entityTypeId whose id a call takes, and the name of that
// parameter.
func callEntity(t *engine.ArgTypes, m schemas.Method) (typ int, param string) {
	name := strings.ToLower(m.Name)
	parts := strings.Split(name, ".")
	switch {
	case name == "crm.item.productrow.set":
		short, _ := t.Entry("params", "ownerType")
		for _, o := range schemas.Owners() {
			if short == o.Short {
				return o.ID, "ownerId"
			}
		}
	case len(parts) >= 3 && parts[0] == "crm" && slices.Contains([]string{"get", "update", "delete", "set"}, parts[len(parts)-1]) && (len(parts) == 3 || parts[2] == "productrows"):
		o, _ := schemas.LookupOwner(parts[1])
		for _, param := range []string{"id", "ID"} {
			if _, v := t.Part("params." + param); v != nil {
				return o.ID, param
			}
		}
	}
	return 0, ""
}

// checkStoredNames warns of fields of an old CRM method in the spelling of crm.item: the portal
// ignores them.
func checkStoredNames(c *engine.StepCheck, m schemas.Method) {
	parts := strings.Split(strings.ToLower(m.Name), ".")
	if len(parts) != 3 || parts[0] != "crm" || parts[2] != "add" && parts[2] != "update" {
		return
	}
	if o, _ := schemas.LookupOwner(parts[1]); o.ID == 0 || parts[1] == "item" {
		return
	}
	c.EachName("params.fields", func(n engine.NamedArg) {
		if name := schemas.StoredName(n.Name); name != n.Name && n.Name != strings.ToUpper(n.Name) {
			n.WarnNamef("unknown-item-field", "%s writes %s, and the portal ignores %s", m.Name, name, n.Name).Hintf("write %s", name)
		}
	})
}
