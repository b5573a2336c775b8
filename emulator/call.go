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

// call is one command under way: a request of its own or one of a batch.
type call struct {
	store   *model.Store
	options *options
	journal *journal
	req     *request
	params  *php.Array
	now     time.Time
	start   int                        // the parameter start
	unkept  func(field ...string) bool // names the fields whose new values the portal does not keep; nil for none

	// What lists answer beside the result.
	total    int
	hasTotal bool
	next     int
}

// savedAt is when what the call writes is changed, as the portal stores it.
func (c *call) savedAt() time.Time { return c.store.Zone.Second(c.now) }

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
	return c.unkept != nil && c.unkept(names...)
}

// isAdmin tells whether the caller is an administrator.
func (c *call) isAdmin() bool {
	u := c.store.Users[c.req.user]
	return u != nil && !u.NotAdmin
}

// userName is what a user is called, "" for none.
func (c *call) userName(id int64) string {
	u := c.store.Users[id]
	if u == nil {
		return ""
	}
	return strings.TrimSpace(u.Name + " " + u.LastName)
}

// needAdmin refuses other users, as the methods of offline events do.
func (c *call) needAdmin(why string) error {
	if c.isAdmin() {
		return nil
	}
	return failStatus(403, "ACCESS_DENIED", strings.TrimSpace("Access denied! "+why))
}
