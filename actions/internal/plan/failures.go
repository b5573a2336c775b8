package plan

import (
	"errors"
	"fmt"
	"time"

	"github.com/b24rules/b24rules/bitrix"
)

// Failures collects what went wrong among calls that were sent together. One
// refused write does not hide the others, and those that were done stay done.
type Failures struct {
	count int
	cause error
}

// Add notes a failure. One that another attempt may mend decides what becomes
// of the run: what is done by then is found done. Of such the one decides that
// may be under way the longest.
func (f *Failures) Add(err error) {
	f.count++
	if f.cause == nil || mayPass(err) && (!mayPass(f.cause) || endOf(err).After(endOf(f.cause))) {
		f.cause = err
	}
}

// Park notes a failure that no attempt can mend.
func (f *Failures) Park(err error) {
	f.count++
	if f.cause == nil {
		f.cause = err
	}
}

func (f *Failures) Err(what string) error {
	switch {
	case f.count == 0:
		return nil
	case f.count == 1:
		return fmt.Errorf("%s: %w", what, f.cause)
	}
	return fmt.Errorf("%s: %d calls failed, one of them: %w", what, f.count, f.cause)
}

// Removed says that what was to be changed is gone. The error passes: the next
// attempt finds it gone and makes it anew.
func Removed(what *Record) error { return fmt.Errorf("%s was removed meanwhile", what) }

// endOf is when a call has ended for sure.
func endOf(err error) time.Time {
	if e := (*bitrix.Error)(nil); errors.As(err, &e) {
		return e.Settled
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
