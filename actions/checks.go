package actions

import (
	"maps"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/actions/internal/inportal"
	"github.com/b24rules/b24rules/actions/internal/plan"
	"github.com/b24rules/b24rules/actions/internal/value"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/schemas"
)

// Checks of a step's arguments, most of them for what is allowed and likely a mistake.

// ownerArg is the argument that names the type of the items.
func ownerArg(t *engine.ArgTypes) string {
	if t.Given("owner") {
		return "owner"
	}
	return "entityTypeId"
}

// checkItemOfEvent also warns when a step looks up an item by the id of another
// entity: in a rule about deals, event.id is not the id of a lead.
func checkItemOfEvent(c *engine.StepCheck) {
	checkOwner(c)
	typ, events := constType(c.Types()), c.Rule().EventTypes()
	if c.Source("id") != "event.id" || typ == 0 || events == nil {
		return
	}
	if slices.Contains(events, typ) {
		if c.Deleted() && len(events) == 1 && c.Parks() && !c.Types().Written("optional") {
			c.Errorf("id", "deleted-entity", "%s no longer exists when the deleted steps run, so this step fails and the run is parked", typeName(typ)).Hint = "only event.id is left: use it to find what the rule made"
		}
		return
	}
	checkEventOf(c, "id", typ)
}

// checkEventOf warns of event.id in an argument that takes the id of another type.
func checkEventOf(c *engine.StepCheck, arg string, typ int) {
	events := c.Rule().EventTypes()
	if events == nil || slices.Contains(events, typ) {
		return
	}
	about := make([]string, len(events))
	for i, id := range events {
		about[i] = typeName(id)
	}
	c.Warnf(arg, "other-entity", "event.id is the id of %s here, but this step reads %s", strings.Join(about, " or "), typeName(typ))
}

// typeName names one item of a type.
func typeName(id int) string {
	if id == 0 {
		return "something outside the CRM"
	}
	return engine.TypeWord(id)
}

func checkUpdateItem(c *engine.StepCheck) {
	checkItemOfEvent(c)
	checkItemFields(c, "fields", true)
	checkFmMode(c)
	checkOneItem(c)
}

// checkFmMode reports an fm_mode without an fm.
func checkFmMode(c *engine.StepCheck) {
	fields := c.Types().Type("fields")
	if _, named := fields.Fields["fm"]; c.Types().Given("fm_mode") && fields.Kind == formula.Record && !fields.Open && !named {
		c.Errorf("fm_mode", "missing-argument", "fm_mode says what happens to the entries of fm, and fields does not name fm").Hint = "add fm to fields, or remove fm_mode"
	}
}

// checkOneItem warns of a rule about deals that writes what it reads of each of them into one deal,
// such as the one with which the author has tried it.
func checkOneItem(c *engine.StepCheck) {
	id, constant := c.Types().Const("id")
	typ, events := constType(c.Types()), c.Rule().EventTypes()
	if _, isNumber := id.(num.Num); !constant || !isNumber || len(c.Reads("id")) > 0 || len(events) != 1 || events[0] != typ || !c.DependsOnEvent("fields") {
		return
	}
	c.Warnf("id", "constant-key", "the id is the same in every run, so all runs write the same item").Hint = "write id: =event.id"
}

// checkSetProducts also warns of columns that product rows do not have.
func checkSetProducts(c *engine.StepCheck) {
	checkItemOfEvent(c)
	rows := c.Types().Type("rows")
	if rows.Elem == nil || rows.Elem.Kind != formula.Record || rows.Elem.Open {
		return
	}
	known := schemas.ProductRowFields()
	names := make([]string, len(known))
	for i, f := range known {
		names[i] = f.Name
	}
	for _, name := range slices.Sorted(maps.Keys(rows.Elem.Fields)) {
		if name == "key" || slices.Contains(names, name) {
			continue
		}
		f := c.Warnf("rows", "unknown-item-field", "product rows have no column %q", name)
		if near := diag.Closest(name, names); near != "" {
			f.Hint = "did you mean " + near + "?" + diag.Lookalike(name, near)
		}
	}
}

func checkUpsertItem(c *engine.StepCheck) {
	checkOwner(c)
	checkItemFields(c, "key", false)
	checkItemFields(c, "fields", true)
	checkFmMode(c)
	checkItemFields(c, "old_key", false)
	checkItemFields(c, "match", false)
	t := c.Types()
	if key := t.Type("key"); t.Given("key") && len(key.Fields) == 0 && !key.Open {
		c.Errorf("key", "empty-key", "an empty key finds every item").Hint = "key: {ufCrm5InvoiceId: =event.id}"
		return
	}
	if t.Given("key") && !dependsOnRun(c, "key") && c.DependsOnEvent("fields") {
		c.Warnf("key", "constant-key", "the key is the same in every run, so all runs write the same item").Hint = "use event.id in it"
		return
	}
	checkKeyFields(c)
	checkSharedKey(c, "item", diag.Phrasef("add the entity to the key, such as {ufCrm5Deal: =event.id}"))
	checkRepeatedKey(c, "item")
}

// checkRepeatedKey warns of a step that for_each repeats on the same item or
// element: each pass would overwrite the previous one.
func checkRepeatedKey(c *engine.StepCheck, what string) {
	if c.Repeated() && c.Types().Given("key") && !readsRow(c, "key") {
		c.Warnf("key", "same-key", "the key is the same in every pass of for_each, so each pass overwrites the same %s", what).Hint = "use row in the key"
	}
}

// checkRepeatedScope warns of a sync that for_each repeats in one scope: each
// pass would delete what the previous one has made.
func checkRepeatedScope(c *engine.StepCheck) {
	if c.Repeated() && c.Types().Given("scope") && !readsRow(c, "scope") {
		c.Warnf("scope", "same-scope", "the scope is the same in every pass of for_each, so each pass deletes what the previous one made").Hint = "use row in the scope, or sync once with all rows: flatten(map(list, .rows))"
	}
}

func readsRow(c *engine.StepCheck, arg string) bool {
	reads := c.Reads(arg)
	return slices.Contains(reads, "row") || slices.Contains(reads, "index")
}

func checkFetchItems(c *engine.StepCheck) {
	checkOwner(c)
	checkItemFields(c, "filter", false)
	checkItemFields(c, "order", false)
	checkOrder(c)
	checkSelect(c)
	checkNoFilter(c)
}

// checkNoFilter warns of a step that reads all deals, contacts and so on again for each entity of
// the rule. Items of a smart process may be a short list of settings.
func checkNoFilter(c *engine.StepCheck) {
	about, ok := c.Rule().Subject()
	_, what, known := documented(c.Types())
	if !known || constType(c.Types()) >= schemas.FirstDynamicType || !ok || about.Portal || c.Types().Written("filter") {
		return
	}
	_, kind, _ := strings.Cut(what, " ")
	c.Warnf("filter", "empty-filter", "without a filter the step reads each %s of the portal, and fails when there are more than limit", kind).
		Hint = "add a filter, such as filter: {companyId: =deal.companyId}"
}

// checkOrder warns of a direction that is none.
func checkOrder(c *engine.StepCheck) {
	c.EachName("order", func(n engine.NamedArg) {
		v, constant := n.Const()
		if text, _ := v.(string); constant && !strings.EqualFold(text, "asc") && !strings.EqualFold(text, "desc") {
			n.WarnValuef("field-value", "order takes asc or desc, never %.40q", value.TextOf(v)).Hint = "write desc for the largest first"
		}
	})
}

func checkUpsertElement(c *engine.StepCheck) {
	inportal.CheckList(c, "fields", "match")
	checkElementName(c)
	checkElementValues(c, "fields")
	checkElementValues(c, "match")
	if !checkElementKey(c) {
		return
	}
	if c.Types().Given("key") && !dependsOnRun(c, "key") && c.DependsOnEvent("fields") {
		c.Warnf("key", "constant-key", "the key is the same in every run, so all runs write the same element").Hint = "use event.id in it"
		return
	}
	checkSharedKey(c, "element", diag.Phrasef("use event.id in it"))
	checkRepeatedKey(c, "element")
}

// checkElementKey reports a key that is no number or text: the steps for items take a record there. It
// reports whether the key can be one.
func checkElementKey(c *engine.StepCheck) bool {
	kind := map[formula.Kind]string{formula.Record: "a record", formula.List: "a list"}[c.Types().Type("key").Kind]
	if kind == "" {
		return true
	}
	c.Errorf("key", "wrong-type", "key takes a number or text, not "+kind).Hint = "write the value alone, such as key: =event.id; properties belong into fields"
	return false
}

// checkElementValues warns of properties in the shape of lists.element.add, which has
// records where a rule has values.
func checkElementValues(c *engine.StepCheck, arg string) {
	c.EachName(arg, func(n engine.NamedArg) {
		t := n.Type()
		if t.Kind == formula.List && t.Elem != nil {
			t = *t.Elem
		}
		if t.Kind != formula.Record || t.Open {
			return
		}
		for name := range t.Fields {
			if strings.EqualFold(name, "TEXT") || strings.HasPrefix(name, "file") { // HTML, a file
				return
			}
		}
		n.WarnValuef("field-type", "%s takes a value or a list of values, this is a record", n.Name).Hint = "write the value alone, without n0 or VALUE"
	})
}

// checkElementName warns when the fields have no NAME, which every element needs.
func checkElementName(c *engine.StepCheck) {
	var names []string
	c.EachName("fields", func(n engine.NamedArg) { names = append(names, n.Name) })
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
	inportal.CheckList(c, "scope")
	checkScope(c)
	checkScopeOfRun(c, "deletes the elements of all other entities")
}

// checkScopeOfRun warns of a scope that all entities share: the run of one
// entity would change the elements of the others.
func checkScopeOfRun(c *engine.StepCheck, does string) {
	t := c.Types()
	if scope := t.Type("scope"); t.Given("scope") && (len(scope.Fields) > 0 || scope.Open) && !dependsOnRun(c, "scope") {
		c.Warnf("scope", "scope-of-all", "the scope is the same in every run, so the run of one entity %s", does).Hint = "add the entity, such as {DEAL: =event.id}"
	}
}

// checkScopeOfEntity warns of a scope that several entities share although each has its own
// rows: the run of one would delete what the run of another made.
func checkScopeOfEntity(c *engine.StepCheck) {
	s := sharedValues(c, "scope")
	if s.path == "" || !slices.ContainsFunc(c.ReadFor("rows"), func(p string) bool { return s.ids[p] }) {
		return
	}
	f := c.Warnf("scope", "key-not-unique", "several entities have the same %s and share this scope, but the rows are those of one: each run would delete what the others made", s.path)
	f.Hint = "add the entity to the scope, such as {DEAL: =event.id}, or fetch the rows of all that share " + s.field
}

// checkSharedKey warns of a key that several entities share although the fields are those of one: each
// run would overwrite what the run of another wrote.
func checkSharedKey(c *engine.StepCheck, what string, hint diag.Phrase) {
	s := sharedValues(c, "key")
	if s.path == "" || s.record { // a record of a company may say what its latest deal says
		return
	}
	for _, p := range c.ReadFor("fields") {
		name := engine.PathPrefix(p, 1)
		if !s.names[name] || s.paths[p] || p == name {
			continue
		}
		c.Warnf("key", "key-not-unique", "several entities have the same %s, so they share one %s, and each run would overwrite the %s of another", s.path, what, p).SetHint(hint)
		return
	}
}

// shared is what an argument reads of the entity of the run, all of which many entities have.
type shared struct {
	path, field string          // one of the values; "" when some value tells the entities apart
	paths       map[string]bool // all of them
	ids         map[string]bool // the paths of the id of the entity
	names       map[string]bool // the steps that read the entity
	record      bool            // one of the values is the id of a company, a contact and so on
}

func sharedValues(c *engine.StepCheck, arg string) shared {
	events := c.Rule().EventTypes()
	s := shared{paths: map[string]bool{}, ids: map[string]bool{engine.NameEvent + ".id": true}, names: map[string]bool{}}
	if len(events) != 1 || events[0] == 0 {
		return s
	}
	distinct := false
	see := func(v string, constant bool) {
		name, field, isPath := strings.Cut(v, ".")
		if constant || slices.Contains([]string{engine.NameInputs, engine.NameVars}, name) {
			return
		}
		step := c.StepBefore(name)
		if !isPath || step == nil || step.Types == nil || constType(step.Types) != events[0] {
			distinct = true
			return
		}
		s.ids[name+".id"], s.names[name] = true, true
		f, known := schemas.ItemField(events[0], field)
		if !known || !sharedByMany(f) {
			distinct = true
			return
		}
		s.path, s.field, s.paths[v] = v, f.Name, true
		s.record = s.record || f.HoldsID() > 0
	}
	named := false
	c.EachName(arg, func(n engine.NamedArg) {
		named = true
		_, constant := n.Const()
		see(n.Source(), constant)
	})
	if !named && c.Types().Given(arg) { // one value
		_, constant := c.Types().Const(arg)
		see(c.Source(arg), constant)
	}
	if distinct {
		s.path = ""
	}
	return s
}

// dependsOnRun reports whether an argument reads anything except inputs and vars.
func dependsOnRun(c *engine.StepCheck, arg string) bool {
	return slices.ContainsFunc(c.Reads(arg), func(name string) bool { return name != "inputs" && name != "vars" })
}

// sharedByMany reports whether many entities have the same value of a field: that of another
// record, of a directory or of a pipeline, or a flag.
func sharedByMany(f schemas.Field) bool {
	if f.Multiple {
		return false
	}
	switch f.Type {
	case "crm_status", "crm_currency", "crm_category", "boolean":
		return true
	}
	return f.HoldsID() != 0
}

// checkRowKey warns of a key that does not identify rows, or not permanently.
func checkRowKey(c *engine.StepCheck) {
	rows := c.Types().Type("rows")
	hint := ""
	if rows.Elem != nil {
		if _, ok := rows.Elem.Fields["key"]; ok {
			hint = "=row.key"
		}
	}
	reads := c.Reads("key")
	field, ofRow := strings.CutPrefix(c.Source("key"), "row.")
	switch {
	case !c.Types().Given("key"):
	case ofRow && hint != "" && slices.Contains(repeatedRowFields, field):
		c.Warnf("key", "key-not-unique", "two rows may have one %s, and then they share one record", field).Hint = hint
	case c.Source("key") == "row.id" && hint != "":
		c.Warnf("key", "row-id-key", "the id of a row changes when the row is edited, so its element would be deleted and added again").Hint = hint
	case !slices.Contains(reads, "row") && !slices.Contains(reads, "index"):
		c.Warnf("key", "same-key", "the key is the same for every row, but each element belongs to one row").Hint = hint
	case !slices.Contains(reads, "row"):
		c.Warnf("key", "index-key", "the position of a row changes when another row is added or removed, so elements would get other rows").Hint = hint
	}
}

// repeatedRowFields are the fields that several product rows of one owner often share.
var repeatedRowFields = []string{"productId", "productName", "price", "quantity", "sort", "type", "measureCode", "measureName", "discountSum", "taxRate"}

// checkKeyFields warns of a key by a field that people change or that repeats.
func checkKeyFields(c *engine.StepCheck) {
	c.EachName("key", func(n engine.NamedArg) {
		if n.Name == "title" || n.Name == "TITLE" {
			n.WarnNamef("key-not-unique", "people change titles, and two items may have the same, so the title is no key").Hint = "store the key in a custom field: key: {ufCrm5_ROW: =row.key}"
		}
	})
}

// callEffect reports whether a call reads or writes.
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

// callTouches reports which records a method writes, and the events of other records
// that the portal sends for it.
func callTouches(t *engine.ArgTypes) []engine.Touch {
	if callEffect(t) == engine.Reads {
		return nil
	}
	method, _ := t.Const("method")
	name, _ := method.(string)
	name = strings.ToLower(strings.TrimSpace(name))
	parts := strings.Split(name, ".")
	op := parts[len(parts)-1]
	touch := engine.Touch{Kind: engine.TouchItems, Of: "method", Fields: "params.fields", Adds: op == "add", Updates: op == "update", Deletes: op == "delete"}
	if !touch.Adds && !touch.Updates && !touch.Deletes {
		return nil
	}
	if touch.Adds && t.Given("params") {
		touch.Of = "params"
	}
	switch {
	case len(parts) != 3 || parts[0] != "crm":
	case parts[1] == "item":
		typ, _ := t.Entry("params", "entityTypeId")
		n, _ := value.NumberOf(typ)
		id, _ := n.Int64()
		touch.Type = int(id)
	default:
		o, _ := schemas.LookupOwner(parts[1])
		touch.Type, touch.StoredNames = o.ID, true
		params, _ := t.Part("params")
		for _, p := range params { // these methods know their parameters in any case
			if name, _ := p.Key.Literal.(string); strings.EqualFold(name, "fields") {
				touch.Fields = "params." + name
			}
		}
	}
	switch code := schemas.EventOf(name); {
	case touch.Type != 0:
		if touch.Updates {
			touch.Which = "params.id"
		}
	case code != "":
		touch.Kind, touch.Event = engine.TouchOther, code
	default:
		return nil
	}
	return []engine.Touch{touch}
}

// checkScope finds a missing or empty scope when the file is loaded.
func checkScope(c *engine.StepCheck) {
	t := c.Types()
	if !t.Given("scope") {
		return // reported as a missing argument
	}
	if scope := t.Type("scope"); len(scope.Fields) == 0 && !scope.Open {
		c.Errorf("scope", "empty-scope", "an empty scope means the whole list").Hint = "scope: {DEAL: =event.id}"
	}
}

// checkOldScope finds an empty scope of an earlier version.
func checkOldScope(c *engine.StepCheck) {
	t := c.Types()
	if scope := t.Type("old_scope"); t.Given("old_scope") && len(scope.Fields) == 0 && !scope.Open {
		c.Errorf("old_scope", "empty-scope", "an empty scope means the whole list").Hint = "write the scope as it was, or remove old_scope"
	}
}

// checkDeleteLimit finds a wrong limit when the file is loaded.
func checkDeleteLimit(c *engine.StepCheck) {
	if v, ok := c.Types().Const("delete_limit"); ok && v != nil {
		if _, err := plan.ParseDeleteLimit(v); err != nil {
			c.Errorf("delete_limit", "invalid-value", "%s", err)
		}
	}
}
