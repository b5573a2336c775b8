package rest

import (
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// Event is an event that a command has raised.
type Event struct {
	*Origin
	Code string
	Data *php.Array
	Auth AuthKind
}

// Origin is what caused an event.
type Origin struct {
	User      int64  // 0 for a robot or an agent
	App       bool   // a call of the application
	Connector string // its source key
	Hops      int    // events that may still follow one another
}

// AuthKind is what an event tells an application about its authorization.
type AuthKind uint8

const (
	authUser AuthKind = iota // an access token, if a user is the cause
	AuthLong                 // a refresh token too
	AuthNone                 // no tokens
	AuthBare                 // no application_token either
)

// Raise raises an event whose data is FIELDS.
func (c *Call) Raise(code string, fields *php.Array) {
	c.RaiseData(code, value.Object("FIELDS", fields))
}

// RaiseData raises an event with other data. A write with the token of an event raises
// no more than a few events in a row.
func (c *Call) RaiseData(code string, data *php.Array) {
	if c.Request.By.Hops > 0 {
		c.RaiseEvent(code, data, authUser)
	}
}

// RaiseEvent raises an event whatever caused the command.
func (c *Call) RaiseEvent(code string, data *php.Array, auth AuthKind) {
	c.Request.Raised = append(c.Request.Raised, Event{Origin: &c.Request.By, Code: code, Data: data, Auth: auth})
}
