package emulator

import (
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// event is an event that a command has raised.
type event struct {
	*origin
	code string
	data *php.Array
	auth authKind
}

// origin is what caused an event.
type origin struct {
	user      int64  // 0 for a robot or an agent
	app       bool   // a call of the application
	connector string // its source key
	hops      int    // events that may still follow one another
}

// authKind is what an event tells an application about its authorization.
type authKind uint8

const (
	authUser authKind = iota // an access token, if a user is the cause
	authLong                 // a refresh token too
	authNone                 // no tokens
	authBare                 // no application_token either
)

// raise raises an event whose data is FIELDS.
func (c *call) raise(code string, fields *php.Array) {
	c.raiseData(code, value.Object("FIELDS", fields))
}

// raiseData raises an event with other data. A write with the token of an event raises
// no more than a few events in a row.
func (c *call) raiseData(code string, data *php.Array) {
	if c.req.by.hops > 0 {
		c.raiseEvent(code, data, authUser)
	}
}

// raiseEvent raises an event whatever caused the command.
func (c *call) raiseEvent(code string, data *php.Array, auth authKind) {
	c.req.raised = append(c.req.raised, event{origin: &c.req.by, code: code, data: data, auth: auth})
}
