package engine

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/b24rules/b24rules/bitrix"
)

// ParkedError is a failure that a retry cannot fix. The run becomes a dead letter.
type ParkedError struct {
	// Kind says what kind of failure it is: ParkedByCycle, ParkedByMissing,
	// ParkedByLostField, ParkedByDoubling, the key of a limit in the rule file, such as delete_limit, or ""
	// for all others.
	Kind string
	Err  error
}

// Kinds of failures, besides the keys of limits.
const (
	ParkedByCycle     = "cycle"      // rules start each other without an end
	ParkedByMissing   = "missing"    // the portal has no such field or property
	ParkedByLostField = "lost-field" // the portal does not keep a value that was written
	ParkedByDoubling  = "doubling"   // the step would make again what a rule of another database has made
)

func (e *ParkedError) Error() string { return e.Err.Error() }
func (e *ParkedError) Unwrap() error { return e.Err }

// ParkError returns an error that parks the run at once. An action returns it when
// another attempt would fail in the same way.
func ParkError(format string, args ...any) error {
	return &ParkedError{Err: fmt.Errorf(format, args...)}
}

// ParkErrorOf is ParkError for a kind of failure.
func ParkErrorOf(kind, format string, args ...any) error {
	return &ParkedError{Kind: kind, Err: fmt.Errorf(format, args...)}
}

// StopError ends a run early as a success.
type StopError struct{ Reason string }

func (e *StopError) Error() string { return "stopped: " + e.Reason }

// Stop returns the error with which an action ends the run as a success.
func Stop(reason string) error { return &StopError{Reason: reason} }

// GoneError says that the entity that the run is about does not exist.
type GoneError struct{ Err error }

func (e *GoneError) Error() string { return "the entity is gone: " + e.Err.Error() }
func (e *GoneError) Unwrap() error { return e.Err }

// ErrorCode returns the portal's code for an error, the status of another
// system's answer, or "error".
func ErrorCode(err error) string {
	var status *StatusError
	if errors.As(err, &status) {
		return strconv.Itoa(status.Status)
	}
	var rest *bitrix.Error
	if errors.As(err, &rest) && rest.Code != "" {
		return rest.Code
	}
	return "error"
}
