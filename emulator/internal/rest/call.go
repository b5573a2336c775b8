package rest

import (
	"fmt"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/model"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// Handler runs a method. The portal's lock is held.
type Handler func(*Call) (any, error)

// AdminOnly is a method of the CRM or of lists that only administrators may call:
// unlike those of the platform it refuses with status 400.
func AdminOnly(run Handler) Handler {
	return func(c *Call) (any, error) {
		if !c.IsAdmin() {
			return nil, Fail("ACCESS_DENIED", "Access denied.")
		}
		return run(c)
	}
}

// Method is a REST method.
type Method struct {
	Name   string
	Scope  string // "" needs none
	Run    Handler
	Legacy bool // its parameters' names are in any case; they reach it in upper case
	App    bool // only for an application, not for an inbound webhook
}

// Call is one command that is running: a single request or one command of a batch.
type Call struct {
	Store   *model.Store
	Options *Options
	Journal *Journal
	Request *Request
	Params  *php.Array
	Now     time.Time
	Start   int                        // the parameter start
	Unkept  func(field ...string) bool // names the fields whose new values the portal does not keep; nil for none

	// What lists answer next to the result.
	Total    int
	HasTotal bool
	Next     int
}

// SavedAt is when what the call writes is changed, as the portal stores it.
func (c *Call) SavedAt() time.Time { return c.Store.Zone.Second(c.Now) }

// Param returns a parameter, nil without it.
func (c *Call) Param(name string) any {
	v, _ := c.Params.Get(name)
	return v
}

// IntParam reads a number that a controller method needs.
func (c *Call) IntParam(name string) (int64, error) {
	v := c.Param(name)
	if v == nil {
		return 0, c.Missing(name)
	}
	if !value.IsNumeric(v) {
		return 0, c.WrongType(name, "int")
	}
	return value.Int(v), nil
}

// ArrayParam reads an array that a controller method may get. Without it the
// array is empty.
func (c *Call) ArrayParam(name string) (*php.Array, error) {
	v := c.Param(name)
	if value.IsEmpty(v) {
		return nil, nil
	}
	a, ok := value.Array(v)
	if !ok {
		return nil, c.WrongType(name, "array")
	}
	return a, nil
}

// OptionalArray reads an array that a legacy method may get. ok is false when
// it is something else.
func (c *Call) OptionalArray(name string) (a *php.Array, ok bool) {
	v := c.Param(name)
	if value.IsEmpty(v) {
		return nil, true
	}
	return value.Array(v)
}

// Missing and WrongType are the errors of the controller methods' parameters.
func (c *Call) Missing(name string) error {
	return Fail("100", fmt.Sprintf("Could not find value for parameter {%s}", name))
}

func (c *Call) WrongType(name, want string) error {
	v := c.Param(name)
	if v == nil {
		return c.Missing(name)
	}
	shown := value.Text(v)
	if _, isArray := value.Array(v); isArray {
		shown = ""
	}
	return Fail("100", fmt.Sprintf("Invalid value {%s} to match with parameter {%s}. Should be value of type %s.", shown, name, want))
}

// Forgets reports whether a fault prevents that a field gets its new value. names
// are the names of the field.
func (c *Call) Forgets(names ...string) bool {
	return c.Unkept != nil && c.Unkept(names...)
}

// IsAdmin reports whether the caller is an administrator.
func (c *Call) IsAdmin() bool {
	u := c.Store.Users[c.Request.User]
	return u != nil && !u.NotAdmin
}

// OwnItems reports whether the caller has a right only to the caller's own CRM items. What
// people do in the pages of the portal is not limited.
func (c *Call) OwnItems() bool {
	u := c.Store.Users[c.Request.User]
	return u != nil && u.OwnItems && !c.Request.Inside
}

// UserName is what a user is called, "" for none.
func (c *Call) UserName(id int64) string {
	u := c.Store.Users[id]
	if u == nil {
		return ""
	}
	return strings.TrimSpace(u.Name + " " + u.LastName)
}

// NeedAdmin refuses other users, as the methods of offline events do.
func (c *Call) NeedAdmin(why string) error {
	if c.IsAdmin() {
		return nil
	}
	return FailStatus(403, "ACCESS_DENIED", strings.TrimSpace("Access denied! "+why))
}

// Selection returns the names in SELECT, in upper case. nil is everything.
func (c *Call) Selection() map[string]bool {
	chosen, _ := c.OptionalArray("SELECT")
	if chosen.Len() == 0 {
		return nil
	}
	only := map[string]bool{}
	for _, v := range chosen.All() {
		name := strings.ToUpper(value.Text(v))
		if name == "*" {
			return nil
		}
		only[name] = true
	}
	return only
}

// ScopeFilter returns which permissions a call asks about: the one in SCOPE, all with
// FULL, or the caller's.
func (c *Call) ScopeFilter() func(scope string) bool {
	switch only := c.Param("SCOPE"); {
	case only != nil:
		return func(scope string) bool { return scope == value.Text(only) }
	case !value.IsEmpty(c.Param("FULL")):
		return func(string) bool { return true }
	}
	return c.Options.Allows
}

// WithSettings returns the settings of a field with those of a call over them, whose names
// are converted by name. It returns a copy, because an answer that is not written yet may
// hold the old ones.
func WithSettings(settings *php.Array, v any, name func(string) string) *php.Array {
	after := php.NewArray()
	for key, old := range settings.All() {
		after.Set(key, old)
	}
	given, _ := value.Array(v)
	for key, v := range given.All() {
		after.Set(name(key), v)
	}
	return after
}
