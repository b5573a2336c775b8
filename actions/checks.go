package actions

import (
	"slices"
	"strings"

	"b24rules/diag"
	"b24rules/engine"
	"b24rules/schemas"
)

// What is allowed in a step's arguments and likely a mistake.

// ownerArg is the argument that says which items are meant.
func ownerArg(t *engine.ArgTypes) string {
	if t.Given("owner") {
		return "owner"
	}
	return "entityTypeId"
}

// checkItemOfEvent also warns of an item that is looked up by the id of
// something else: event.id in a rule about deals is no lead's.
func checkItemOfEvent(c *engine.StepCheck) {
	checkOwner(c)
	typ, heard := constType(c.Types()), c.Rule().EventTypes()
	if c.Source("id") != "event.id" || typ == 0 || heard == nil || slices.Contains(heard, typ) {
		return
	}
	about := make([]string, len(heard))
	for i, id := range heard {
		about[i] = typeName(id)
	}
	c.Warnf("id", "other-entity", "event.id is the id of %s here, and this step asks for %s", strings.Join(about, " or "), typeName(typ))
}

// typeName names one thing of a type.
func typeName(id int) string {
	switch o := schemas.OwnerByType(id); {
	case id == 0:
		return "something outside the CRM"
	case id >= schemas.FirstDynamicType || o.Name == "":
		return "an item of type " + count(id).String()
	default:
		return "a " + strings.ReplaceAll(o.Name, "_", " ")
	}
}

// checkItemFields warns of names that items of a known type do not have, and
// of fields that the portal fills in itself. The portal's own fields are not
// known here.
func checkItemFields(c *engine.StepCheck, arg string, written bool) {
	fields := schemas.ItemFields(constType(c.Types()))
	what := typeName(constType(c.Types()))
	if len(fields) == 0 { // the type is an input's: any field of any type may be meant
		what = "an item"
		for _, typ := range []int{schemas.TypeLead, schemas.TypeDeal, schemas.TypeContact, schemas.TypeCompany, schemas.TypeQuote, schemas.TypeSmartInvoice, schemas.FirstDynamicType} {
			fields = append(fields, schemas.ItemFields(typ)...)
		}
	}
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	c.EachName(arg, func(name string, warn func(code, format string, args ...any) *diag.Finding) {
		if !written {
			_, name = splitOperator(name)
		}
		for _, own := range []string{"ufCrm", "UF_CRM_", "parentId", "PARENT_ID_"} {
			if strings.HasPrefix(name, own) {
				return
			}
		}
		at := slices.IndexFunc(names, func(n string) bool { return n == name || storedName(n) == name })
		switch {
		case !written && name == "logic": // joins the parts of a filter
		case at < 0:
			f := warn("unknown-item-field", "%s has no field %q that is documented, and the portal's own begin with ufCrm", what, name)
			if near := diag.Closest(name, names); near != "" {
				f.Hint = "did you mean " + near + "?"
			}
		case written && fields[at].ReadOnly && what != "an item":
			warn("read-only-field", "the portal fills in %s itself, a rule cannot write it", name)
		}
	})
}

// storedName spells a field as the portal's tables do, which steps take too:
// stageId is STAGE_ID.
func storedName(name string) string {
	var b strings.Builder
	for _, r := range name {
		if r >= 'A' && r <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToUpper(b.String())
}

func checkUpdateItem(c *engine.StepCheck) {
	checkItemOfEvent(c)
	checkItemFields(c, "fields", true)
}

func checkUpsertItem(c *engine.StepCheck) {
	checkOwner(c)
	checkItemFields(c, "key", false)
	checkItemFields(c, "fields", true)
	t := c.Types()
	if key := t.Type("key"); t.Given("key") && len(key.Fields) == 0 && !key.Open {
		c.Errorf("key", "empty-key", "an empty key would find every item").Hint = "key: {ufCrm5InvoiceId: =event.id}"
		return
	}
	if t.Given("key") && !dependsOnRun(c, "key") {
		c.Warnf("key", "constant-key", "the key is the same in every run, so all of them keep one and the same item").Hint = "use event.id in it"
	}
}

func checkFetchItems(c *engine.StepCheck) {
	checkOwner(c)
	checkItemFields(c, "filter", false)
	checkItemFields(c, "order", false)
}

func checkUpsertElement(c *engine.StepCheck) {
	checkElementName(c)
	if c.Types().Given("key") && !dependsOnRun(c, "key") {
		c.Warnf("key", "constant-key", "the key is the same in every run, so all of them keep one and the same element").Hint = "use event.id in it"
	}
}

// checkElementName wants the NAME that every element needs.
func checkElementName(c *engine.StepCheck) {
	var names []string
	c.EachName("fields", func(name string, _ func(code, format string, args ...any) *diag.Finding) {
		names = append(names, name)
	})
	if len(names) == 0 || slices.Contains(names, "NAME") {
		return
	}
	f := c.Warnf("fields", "no-name", "the fields have no NAME, which every element needs")
	f.Hint = "NAME: '{{ event.id }}'"
	if near := diag.Closest("NAME", names); near != "" {
		f.Hint = "write NAME instead of " + near
	}
}

func checkDeleteElements(c *engine.StepCheck) {
	checkScope(c)
	checkScopeOfRun(c, "deletes the elements of all the others")
}

// checkScopeOfRun warns of a scope that all entities share: the run of one
// would touch the elements of the others.
func checkScopeOfRun(c *engine.StepCheck, does string) {
	t := c.Types()
	if scope := t.Type("scope"); t.Given("scope") && (len(scope.Fields) > 0 || scope.Open) && !dependsOnRun(c, "scope") {
		c.Warnf("scope", "scope-of-all", "the scope is the same in every run, so the run of one entity %s", does).Hint = "name the entity in it: {DEAL: =event.id}"
	}
}

// dependsOnRun reports whether an argument reads anything but the file's own
// constants.
func dependsOnRun(c *engine.StepCheck, arg string) bool {
	return slices.ContainsFunc(c.Reads(arg), func(name string) bool { return name != "inputs" && name != "vars" })
}

// checkRowKey warns of a key that does not tell rows apart, or not for long.
func checkRowKey(c *engine.StepCheck) {
	rows := c.Types().Type("rows")
	hint := ""
	if rows.Elem != nil {
		if _, ok := rows.Elem.Fields["key"]; ok {
			hint = "=row.key"
		}
	}
	reads := c.Reads("key")
	switch {
	case !c.Types().Given("key"):
	case c.Source("key") == "row.id" && hint != "":
		c.Warnf("key", "row-id-key", "a row's id changes when the row is edited, and the element would be made anew").Hint = hint
	case !slices.Contains(reads, "row") && !slices.Contains(reads, "index"):
		c.Warnf("key", "same-key", "the key is the same for every row, and an element stands for one row").Hint = hint
	case !slices.Contains(reads, "row"):
		c.Warnf("key", "index-key", "the place of a row changes when another one is added or removed, and elements would change their rows").Hint = hint
	}
}

// callEffect tells a reading call from a writing one.
func callEffect(t *engine.ArgTypes) engine.Effect {
	method, _ := t.Const("method")
	effect, _ := t.Const("effect")
	name, _ := method.(string)
	given, _ := effect.(string)
	a := callArgs{Method: name, Effect: given}
	if writes, err := a.writes(); err == nil && !writes {
		return engine.Reads
	}
	return engine.Writes
}

// callTouches tells what a method of the CRM does to which items.
func callTouches(t *engine.ArgTypes) []engine.Touch {
	if callEffect(t) == engine.Reads {
		return nil
	}
	method, _ := t.Const("method")
	name, _ := method.(string)
	parts := strings.Split(strings.ToLower(strings.TrimSpace(name)), ".")
	if len(parts) != 3 || parts[0] != "crm" {
		return nil
	}
	touch := engine.Touch{Kind: engine.TouchItems, Adds: parts[2] == "add", Updates: parts[2] == "update", Deletes: parts[2] == "delete"}
	if parts[1] == "item" {
		typ, _ := t.Entry("params", "entityTypeId")
		n, _ := numberOf(typ)
		id, _ := n.Int64()
		touch.Type = int(id)
	} else if o, ok := schemas.LookupOwner(parts[1]); ok {
		touch.Type = o.ID
	}
	if touch.Type == 0 || !touch.Adds && !touch.Updates && !touch.Deletes {
		return nil
	}
	return []engine.Touch{touch}
}
