package engine

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"time"
)

// Call describes the step that an action runs for.
type Call struct {
	Portal     Portal
	PortalName string // in the configuration
	// Rule is the rule's id and Owner the name under which it owns elements.
	Rule, Owner string
	// Step is the step's id, or its action and number.
	Step string
	// StepKey names the step in the memory of runs.
	StepKey string
	// Entity is what the run is about.
	Entity Entity
	// Key names this effect of this run. It is the same in every attempt, and
	// different for each step, row and entity.
	Key string
	// Pos is the place of the step in the rule file.
	Pos    Pos
	Log    *slog.Logger
	Memory Memory
	// Adopt is set in a run that only takes over records that exist. See Adoption.
	Adopt *Adoption
	// Records says what rules have made in the portal. It is nil where no database can say that.
	Records Records
	// Zone is the portal's time zone; nil when the configuration names none.
	Zone *time.Location

	// RunID is the run's id, the same in every attempt; "" for a run that is never
	// repeated.
	RunID string
	// Removed says that the step runs for an entity that no longer exists.
	Removed bool

	host Host
}

// Host is what the engine does for a call. Package run implements it.
type Host interface {
	// Note adds a line to the history of the step.
	Note(text string)
	// Start starts runs of another rule if this run succeeds.
	Start(rule string, ids []int) error
	// Delete counts n deletions of the run. Its error refuses them.
	Delete(n int) error
	// Send sends a request to another system and adds it to the history; sent is false
	// for a request of a dry run that is not sent.
	Send(ctx context.Context, r Request, send SendFunc) (reply Reply, sent bool, err error)
	// Made notes what the step has done with a record of a place.
	Made(place string, id int, what MadeWhat)
	// MarkDeleted sets the fields that records of a place have had, and that are not among
	// names now, to formula.Deleted.
	MarkDeleted(place string, record map[string]any, names []string)
	// Number returns the number of the run's entity in a series.
	Number(ctx context.Context, series string, atLeast int) (int, error)
	// Prefetched returns the result of the action's Prefetch, and calls it now if the
	// engine has not called it before.
	Prefetched(ctx context.Context) (any, error)
}

// NewCall returns a call whose methods use h.
func NewCall(c Call, h Host) *Call {
	c.host = h
	return &c
}

// Note adds a line to the step's history. It must not hold data of the portal
// beyond ids and counts.
func (c *Call) Note(format string, args ...any) {
	c.host.Note(fmt.Sprintf(format, args...))
}

// Start starts runs of another rule, for entities with these ids, if this run succeeds.
// Without ids it starts the one run of a rule about the portal.
func (c *Call) Start(rule string, ids []int) error { return c.host.Start(rule, ids) }

// MarkDeleted sets the fields that records of a place have had since the program started, and
// that are not among names now, to formula.Deleted. names are the fields that people can add
// and delete. See PlaceOfList and PlaceOfItems.
func (c *Call) MarkDeleted(place string, record map[string]any, names []string) {
	c.host.MarkDeleted(place, record, names)
}

// Made says what the step has done with a record of a place, for the list of what rules
// have made. See PlaceOfList and PlaceOfItems.
func (c *Call) Made(place string, id int, what MadeWhat) { c.host.Made(place, id, what) }

// Missing returns the error for an entity that the portal does not find. If the run is
// about this entity, the run continues with its deleted steps or ends. Otherwise the
// step fails with err.
func (c *Call) Missing(entityTypeID, id int, err error) error {
	if !c.Removed && c.Entity.TypeID == entityTypeID && c.Entity.ID == strconv.Itoa(id) {
		return &GoneError{Err: err}
	}
	return err
}

// Deleting returns an error when n more deletions would exceed the rule's limits. Call
// it before anything is written.
func (c *Call) Deleting(n int) error {
	return c.host.Delete(n)
}

// ReadAhead returns the result of the action's Prefetch for this step. It calls
// Prefetch if the engine has not done so before. Run calls ReadAhead once.
func ReadAhead[T any](ctx context.Context, c *Call) (T, error) {
	v, err := c.host.Prefetched(ctx)
	if err != nil {
		var none T
		return none, err
	}
	return v.(T), nil
}
