package plan

import (
	"errors"
	"fmt"
	"time"

	"github.com/b24rules/b24rules/bitrix"
)

// Failures collects the errors of calls that were sent together. One refused
// write does not hide the others, and those that are done stay done.
type Failures struct {
	count int
	cause error
}

// Add adds an error. An error that another attempt may fix decides what happens to
// the run. If there are several, the call that may run longest decides.
func (f *Failures) Add(err error) {
	f.count++
	if f.cause == nil || mayPass(err) && (!mayPass(f.cause) || endOf(err).After(endOf(f.cause))) {
		f.cause = err
	}
}

// Park adds an error that no other attempt can fix.
func (f *Failures) Park(err error) {
	f.count++
	if f.cause == nil {
		f.cause = err
	}
}

// Err is the error of all calls together, nil if none has failed. what names them.
func (f *Failures) Err(what string) error {
	switch {
	case f.count == 0:
		return nil
	case f.count == 1:
		return fmt.Errorf("%s: %w", what, f.cause)
	}
	return fmt.Errorf("%s: %d calls failed, one of them: %w", what, f.count, f.cause)
}

// Removed is the error for a record that no longer exists when it is updated. The
// run is retried, and the next attempt adds the record again.
func Removed(what *Record) error { return fmt.Errorf("%s was deleted while the step ran", what) }

// endOf is when a call has certainly ended.
func endOf(err error) time.Time {
	if e := (*bitrix.Error)(nil); errors.As(err, &e) {
		return e.SafeAfter
	}
	return time.Time{}
}

// mayPass reports whether another attempt may succeed.
func mayPass(err error) bool {
	var e *bitrix.Error
	if errors.As(err, &e) {
		return e.Temporary() || e.Outcome == bitrix.Unknown || !e.NotBefore.IsZero()
	}
	return true
}
