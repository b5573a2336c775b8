package engine

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/b24rules/b24rules/internal/diag"
)

// Call is what an action knows of the step that it runs for.
type Call struct {
	Portal     Portal
	PortalName string
	// Rule is the rule's id and Owner the name under which it owns elements.
	Rule, Owner string
	// Step is the step's id, or its verb and number.
	Step string
	// Entity is what the run is about.
	Entity Entity
	// Key names this effect of this run: equal in every attempt, different
	// for every step, row and entity.
	Key string
	// Pos is the place of the step in the rule file.
	Pos    diag.Pos
	Log    *slog.Logger
	Memory Memory
	// Zone is the portal's time zone; nil when the configuration names none.
	Zone *time.Location

	x     *execution
	trace *StepTrace
	read  func(context.Context) (any, error) // what the action's Ahead reads
}

// Note adds a line to the step's history. It must not hold data of the portal
// beyond ids and counts.
func (c *Call) Note(format string, args ...any) {
	c.trace.Notes = append(c.trace.Notes, fmt.Sprintf(format, args...))
}

// Missing turns a portal's "not found" for an entity into the right error: when
// it is the one that the run is about, the run goes on with its deleted steps
// or ends; otherwise the error stands.
func (c *Call) Missing(entityTypeID, id int, err error) error {
	if !c.x.deleted && c.Entity.TypeID == entityTypeID && c.Entity.ID == strconv.Itoa(id) {
		return &errGone{err: err}
	}
	return err
}

// Deleting holds back a step that would delete more than the rule's limits
// allow. It is asked before anything is written.
func (c *Call) Deleting(n int) error {
	limit := c.x.rule.Limits.Deletes
	if limit > 0 && c.x.removed+n > limit {
		return ParkError("the run would delete %d things, limits.deletes of rule %s is %d", c.x.removed+n, c.Rule, limit)
	}
	c.x.removed += n
	return nil
}
