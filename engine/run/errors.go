package run

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/diag"
)

// Verdict says what should follow after a failed attempt.
type Verdict uint8

// The verdicts.
const (
	Retry Verdict = iota // try again after a while
	Park                 // another attempt would fail too, until a person fixes the cause
	Later                // try again at the time that the portal named; this was no attempt
)

// RunError is why a run failed, with the step and the place in the rule file.
type RunError struct {
	Rule      string
	Step      string
	Pos       diag.Pos
	Verdict   Verdict
	NotBefore time.Time // of Later, and of Retry when a write may still be running
	// Handled says that the step has an on_error, which decides after the last attempt.
	Handled bool
	Err     error
}

func (e *RunError) Error() string {
	if e.Step == "" {
		return fmt.Sprintf("rule %s: %s", e.Rule, e.Err)
	}
	return fmt.Sprintf("%s: rule %s, step %s: %s", e.Pos, e.Rule, e.Step, e.Err)
}

// Unwrap returns the cause.
func (e *RunError) Unwrap() error { return e.Err }

// TooSoonError says that a run must wait: what it has read has changed a moment ago, and the
// event of that may still be on its way. It is no failure.
type TooSoonError struct{ Until time.Time }

func (e *TooSoonError) Error() string {
	return "the entity has changed a moment ago, and its event may still be on its way"
}

// overAgain is after what time a run starts again that has met a pause of the portal which
// is over. It is not at once, because the pause may be for some methods only.
const overAgain = time.Minute

// verdict returns what should follow after an error, and the earliest time for it.
// While the portal is down, a run only waits: for the end of a write that may still
// be running, and otherwise until the portal answers again.
func (x *execution) verdict(ctx context.Context, err error) (Verdict, time.Time) {
	if x.run.PortalDown == nil {
		return verdictOf(err)
	}
	if !x.run.PortalDown(ctx, err) {
		v, at := verdictOf(err)
		if soon := time.Now().Add(overAgain); v == Later && at.After(soon) && bitrix.FaultOf(err) != bitrix.NoFault {
			at = soon // the portal has just answered, so its pause is over
		}
		return v, at
	}
	var rest *bitrix.Error
	if errors.As(err, &rest) {
		return Later, rest.SafeAfter
	}
	return Later, time.Time{}
}

// verdictOf returns what should follow after an error, and the earliest time for it.
func verdictOf(err error) (Verdict, time.Time) {
	var parked *engine.ParkedError
	var placed *engine.PlaceError
	var rest *bitrix.Error
	if errors.As(err, &rest) && rest.Outcome == bitrix.Unknown && !rest.SafeAfter.IsZero() {
		return Retry, rest.SafeAfter // before that, a read does not show whether the write was done
	}
	var soon *TooSoonError
	if errors.As(err, &soon) {
		return Later, soon.Until
	}
	var later *engine.LaterError
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
