package engine

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/diag"
)

// Verdict says what should follow from a failed run.
type Verdict uint8

// The verdicts.
const (
	Retry Verdict = iota // try again after a while
	Park                 // trying again changes nothing until somebody does something
	Later                // the portal said when to come back; this was no attempt
)

// RunError is why a run failed, with the step and the place in the rule file.
type RunError struct {
	Rule      string
	Step      string
	Pos       diag.Pos
	Verdict   Verdict
	NotBefore time.Time // of Later, and of Retry when a write may still be under way
	Err       error
}

func (e *RunError) Error() string {
	if e.Step == "" {
		return fmt.Sprintf("rule %s: %s", e.Rule, e.Err)
	}
	return fmt.Sprintf("%s: rule %s, step %s: %s", e.Pos, e.Rule, e.Step, e.Err)
}

// Unwrap returns the cause.
func (e *RunError) Unwrap() error { return e.Err }

// parkError is a failure that a retry cannot mend.
type parkError struct{ err error }

func (e *parkError) Error() string { return e.err.Error() }
func (e *parkError) Unwrap() error { return e.err }

// ParkError returns an error that parks the run at once: an action's way to say
// that trying again changes nothing.
func ParkError(format string, args ...any) error {
	return &parkError{err: fmt.Errorf(format, args...)}
}

// errStop ends a run early and well.
type errStop struct{ reason string }

func (e *errStop) Error() string { return "stopped: " + e.reason }

// Stop returns the error with which an action ends the run as a success.
func Stop(reason string) error { return &errStop{reason: reason} }

// errGone says that the entity that the run is about does not exist.
type errGone struct{ err error }

func (e *errGone) Error() string { return "the entity is gone: " + e.err.Error() }
func (e *errGone) Unwrap() error { return e.err }

// verdict tells from an error what should follow.
func verdict(err error) (Verdict, time.Time) {
	var parked *parkError
	var placed *PlaceError
	var rest *bitrix.Error
	if errors.As(err, &rest) && rest.Outcome == bitrix.Unknown && !rest.Settled.IsZero() {
		return Retry, rest.Settled // before that, looking whether it was done tells nothing
	}
	var later *LaterError
	if errors.As(err, &later) {
		return Retry, later.NotBefore
	}
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return Retry, time.Time{}
	case errors.As(err, &parked):
		return Park, time.Time{}
	case errors.As(err, &rest):
		if !rest.NotBefore.IsZero() {
			return Later, rest.NotBefore
		}
		if rest.Temporary() || rest.Outcome == bitrix.Unknown {
			return Retry, time.Time{}
		}
		return Park, time.Time{}
	case errors.As(err, &placed):
		return Park, time.Time{}
	}
	return Retry, time.Time{}
}

// ErrorCode returns the portal's code for an error, the status of another
// system's answer, or "error".
func ErrorCode(err error) string {
	var status *statusError
	if errors.As(err, &status) {
		return strconv.Itoa(status.status)
	}
	var rest *bitrix.Error
	if errors.As(err, &rest) && rest.Code != "" {
		return rest.Code
	}
	return "error"
}
