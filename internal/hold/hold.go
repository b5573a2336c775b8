package hold

import (
	"context"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/queue"
)

// The causes of a hold of a portal.
const (
	Unreachable  = "unreachable"  // the portal does not answer, or not with REST
	Unauthorised = "unauthorised" // the portal refuses the credentials
	Blocked      = "blocked"      // the portal has blocked REST because of overload
)

// Stopped is the cause of a hold of a rule in a portal: the portal refuses a step of the
// rule for one entity after another.
const Stopped = "stopped"

// The causes of a hold of a rule, of a rule set (see queue.AllOf) or of a portal that files cause.
// They have no probe: the files end them.
const (
	Broken  = "broken"  // no version of the rule set is valid
	Removed = "removed" // the file of the rule set was removed, or the portal's configuration
)

// OfFiles reports whether files start and end a hold with this cause.
func OfFiles(cause string) bool { return cause == Broken || cause == Removed }

// Store keeps holds where the queue and other processes see them. While a hold is
// stored, the queue starts no run that it covers.
type Store interface {
	// SetHold replaces the hold of the same portal and rule.
	SetHold(ctx context.Context, h queue.Hold) error
	// EndHold removes the hold of a portal and a rule, if there is one. Runs that
	// waited start.
	EndHold(ctx context.Context, portal, rule string) error
	// HoldList returns all holds, sorted by portal and rule.
	HoldList(ctx context.Context) ([]queue.Hold, error)
}

// causeOf is the cause of a hold for a fault.
func causeOf(f bitrix.PortalFault) string {
	switch f {
	case bitrix.Unreachable:
		return Unreachable
	case bitrix.Unauthorised:
		return Unauthorised
	case bitrix.Blocked:
		return Blocked
	case bitrix.NoFault:
	}
	return ""
}

// pauses are the times between probes for a cause. The last one repeats.
func pauses(c string) []time.Duration {
	switch c {
	case Unauthorised:
		return []time.Duration{10 * time.Second, 20 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute}
	case Blocked:
		return []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 15 * time.Minute}
	case Stopped:
		return []time.Duration{time.Minute, 2 * time.Minute, 5 * time.Minute}
	case Unreachable:
	}
	return []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second, time.Minute}
}

// pause is the time after the n-th probe, counted from 0.
func pause(c string, n int) time.Duration {
	all := pauses(c)
	return all[min(n, len(all)-1)]
}
