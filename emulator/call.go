package emulator

import (
	"fmt"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/model"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// handler runs a method. The portal's lock is held.
type handler func(*call) (any, error)

// adminOnly is a method of the CRM or of lists that only administrators may call:
// unlike those of the platform it refuses with status 400.
func adminOnly(run handler) handler {
	return func(c *call) (any, error) {
		if !c.isAdmin() {
			return nil, fail("ACCESS_DENIED", "Access denied.")
		}
		return run(c)
	}
}

// method is a REST method.
type method struct {
	name   string
	scope  string // "" needs none
	run    handler
	legacy bool // its parameters' names are in any case; they reach it in upper case
	app    bool // only for an application, not for an inbound webhook
}

// methodTable lists what is emulated, by lower-case name.
func methodTable() map[string]*method {
	table := map[string]*method{}
	for _, group := range [][]method{
		platformMethods(), userMethods(), eventMethods(),
		legacyMethods(), itemMethods(), typeMethods(), categoryMethods(), statusMethods(), enumMethods(), userFieldConfigMethods(),
		timelineMethods(), notifyMethods(), listMethods(),
	} {
		for _, m := range group {
			table[strings.ToLower(m.name)] = &m
		}
	}
	return table
}

func itemMethods() []method {
	return []method{
		{name: "crm.item.get", scope: "crm", run: itemGet},
		{name: "crm.item.list", scope: "crm", run: itemList},
		{name: "crm.item.add", scope: "crm", run: itemAdd},
		{name: "crm.item.update", scope: "crm", run: itemUpdate},
		{name: "crm.item.delete", scope: "crm", run: itemDelete},
		{name: "crm.item.fields", scope: "crm", run: itemFields},
		{name: "crm.item.import", scope: "crm", run: itemImport},
		{name: "crm.item.batchImport", scope: "crm", run: itemBatchImport},
		{name: "crm.item.productrow.get", scope: "crm", run: rowGet},
		{name: "crm.item.productrow.list", scope: "crm", run: rowList},
		{name: "crm.item.productrow.add", scope: "crm", run: rowAdd},
		{name: "crm.item.productrow.update", scope: "crm", run: rowUpdate},
		{name: "crm.item.productrow.delete", scope: "crm", run: rowDelete},
		{name: "crm.item.productrow.set", scope: "crm", run: rowSet},
		{name: "crm.item.productrow.getAvailableForPayment", scope: "crm", run: rowsAvailable},
		{name: "crm.item.productrow.fields", scope: "crm", run: rowFields},
	}
}

func listMethods() []method {
	return []method{
		{name: "lists.get", scope: "lists", legacy: true, run: listsGet},
		{name: "lists.add", scope: "lists", legacy: true, run: adminOnly(listsAdd)},
		{name: "lists.update", scope: "lists", legacy: true, run: adminOnly(listsUpdate)},
		{name: "lists.delete", scope: "lists", legacy: true, run: adminOnly(listsDelete)},
		{name: "lists.get.iblock.type.id", scope: "lists", legacy: true, run: listsTypeID},
		{name: "lists.field.get", scope: "lists", legacy: true, run: listFieldGet},
		{name: "lists.field.add", scope: "lists", legacy: true, run: adminOnly(listFieldAdd)},
		{name: "lists.field.update", scope: "lists", legacy: true, run: adminOnly(listFieldUpdate)},
		{name: "lists.field.delete", scope: "lists", legacy: true, run: adminOnly(listFieldDelete)},
		{name: "lists.field.type.get", scope: "lists", legacy: true, run: listFieldTypes},
		{name: "lists.section.get", scope: "lists", legacy: true, run: sectionGet},
		{name: "lists.section.add", scope: "lists", legacy: true, run: sectionAdd},
		{name: "lists.section.update", scope: "lists", legacy: true, run: sectionUpdate},
		{name: "lists.section.delete", scope: "lists", legacy: true, run: sectionDelete},
		{name: "lists.element.get", scope: "lists", legacy: true, run: elementGet},
		{name: "lists.element.add", scope: "lists", legacy: true, run: elementAdd},
		{name: "lists.element.update", scope: "lists", legacy: true, run: elementUpdate},
		{name: "lists.element.delete", scope: "lists", legacy: true, run: elementDelete},
	}
}

// call is one command under way: a request of its own or one of a batch.
type call struct {
	p      *Portal
	req    *request
	method *method
	params *php.Array
	now    time.Time
	start  int    // the parameter start
	unkept *Fault // the portal does not keep the value of its field; nil for none

	// What lists answer beside the result.
	total    int
	hasTotal bool
	next     int
}

func (c *call) store() *model.Store { return &c.p.store }

// savedAt is when what the call writes is changed, as the portal stores it.
func (c *call) savedAt() time.Time { return c.store().Zone.Second(c.now) }

// param returns a parameter, nil without it.
func (c *call) param(name string) any {
	v, _ := c.params.Get(name)
	return v
}

// intParam reads a number that a controller method needs.
func (c *call) intParam(name string) (int64, error) {
	v := c.param(name)
	if v == nil {
		return 0, c.missing(name)
	}
	if !value.IsNumeric(v) {
		return 0, c.wrongType(name, "int")
	}
	return value.Int(v), nil
}

// arrayParam reads an array that a controller method may get. Without it the
// array is empty.
func (c *call) arrayParam(name string) (*php.Array, error) {
	v := c.param(name)
	if value.IsEmpty(v) {
		return nil, nil
	}
	a, ok := value.Array(v)
	if !ok {
		return nil, c.wrongType(name, "array")
	}
	return a, nil
}

// optionalArray reads an array that a legacy method may get. ok is false when
// it is something else.
func (c *call) optionalArray(name string) (a *php.Array, ok bool) {
	v := c.param(name)
	if value.IsEmpty(v) {
		return nil, true
	}
	return value.Array(v)
}

// missing and wrongType are the errors of the controller methods' parameters.
func (c *call) missing(name string) error {
	return fail("100", fmt.Sprintf("Could not find value for parameter {%s}", name))
}

func (c *call) wrongType(name, want string) error {
	v := c.param(name)
	if v == nil {
		return c.missing(name)
	}
	shown := value.Text(v)
	if _, isArray := value.Array(v); isArray {
		shown = ""
	}
	return fail("100", fmt.Sprintf("Invalid value {%s} to match with parameter {%s}. Should be value of type %s.", shown, name, want))
}

// forgets tells whether a fault prevents that a field gets its new value. names
// are the names of the field.
func (c *call) forgets(names ...string) bool {
	return c.unkept != nil && c.unkept.names(names...)
}

// isAdmin tells whether the caller is an administrator.
func (c *call) isAdmin() bool {
	u := c.store().Users[c.req.user]
	return u != nil && !u.NotAdmin
}

// userName is what a user is called, "" for none.
func (c *call) userName(id int64) string {
	u := c.store().Users[id]
	if u == nil {
		return ""
	}
	return strings.TrimSpace(u.Name + " " + u.LastName)
}
