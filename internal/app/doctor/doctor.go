// Package doctor examines a portal for what rules need of it. It only reads.
package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/describe"
	"github.com/b24rules/b24rules/internal/app/probe"
)

// State is the result of a check.
type State string

// The results of a check, from good to bad. Unknown means that the check could not be
// made: nothing is known.
const (
	OK      State = "ok"
	Warning State = "warning"
	Failed  State = "failed"
	Unknown State = "unknown"
)

// Check is one thing that was examined.
type Check struct {
	Portal string `json:"portal"`
	Name   string `json:"check"`
	State  State  `json:"state"`
	// Text says what was found, Advice what to do about it.
	Text   string `json:"text"`
	Advice string `json:"advice,omitempty"`
}

// Portal is what Examine needs to know.
type Portal struct {
	Name   string
	Client *bitrix.Client
	// URL is an address of the portal. Only its scheme and host are used.
	URL string
	// Insecure accepts any certificate.
	Insecure bool
	// Webhook says that the portal is called by an inbound webhook. The subscriptions of
	// its events then cannot be read.
	Webhook bool
	// Zone is the time zone of the configuration, nil without one.
	Zone *time.Location
	// NoToken says that the configuration does not have the token of the outbound webhook yet, but the
	// placeholder of init.
	NoToken bool
	// Rules are the rules that run in the portal.
	Rules []Rule
	// Hook is the address to which the portal sends its events, "" if it is not known.
	Hook string
	// Offline says that the program fetches the events.
	Offline bool
	// Latest returns when the latest event with a code arrived, the zero time if none is
	// stored. A nil Latest means that there is no database yet.
	Latest func(ctx context.Context, code string) (time.Time, error)
	// Arrivals returns what has reached the program. It is nil with Latest.
	Arrivals func(ctx context.Context) (Arrivals, error)
	// Limited returns how many requests of serve the portal's rate limit has refused in the
	// last hour or two. It is nil with Latest.
	Limited func(ctx context.Context) (Refused, error)
	// Shared says that the configuration expects other programs to use the rate limit too.
	Shared bool
	// Now is the clock.
	Now func() time.Time
}

// Rule is a rule with the inputs of the portal.
type Rule struct {
	*engine.Rule
	Inputs map[string]any
}

// examination collects the checks of one portal.
type examination struct {
	Portal
	checks []Check
	needs  map[string]describe.Needs // by rule
}

// names are the names of the checks, in their order.
var names = []string{"address", "credentials", "clock", "user", "scopes", "places", "time filter", "events", "reachability", "rate"}

// Names are the names of the checks, in their order.
func Names() []string { return slices.Clone(names) }

// Examine makes all checks. After the first failure that concerns the whole portal, the
// other checks are Unknown.
func Examine(ctx context.Context, p Portal) []Check {
	x := &examination{Portal: p, needs: map[string]describe.Needs{}}
	for _, r := range p.Rules {
		x.needs[r.ID] = describe.NeedsOf(r.Rule, r.Inputs)
	}
	if !x.address(ctx) || !x.credentials(ctx) {
		asked := len(x.checks)
		for _, name := range names[asked:] {
			x.add(name, Unknown, "not checked: the portal cannot be asked", "")
		}
		return x.checks
	}
	x.user(ctx, "user")
	x.scopes(ctx, "scopes")
	x.places(ctx, "places")
	x.timeFilter(ctx, "time filter")
	x.events(ctx, "events")
	x.reachability(ctx, "reachability")
	x.rate(ctx, "rate")
	x.leftovers(ctx, "probe")
	return x.checks
}

func (x *examination) add(name string, state State, text, advice string) {
	x.checks = append(x.checks, Check{Portal: x.Name, Name: name, State: state, Text: text, Advice: advice})
}

// credentials asks for the portal's time, which needs valid credentials and no
// permission, and compares the clocks. It reports whether the portal answers.
func (x *examination) credentials(ctx context.Context) bool {
	sent := x.Now()
	at, err := x.Client.Probe(ctx)
	if bitrix.IsCode(err, bitrix.CodeQueryLimit) {
		// Others have used up the rate. This says nothing about the credentials.
		sent = x.Now()
		at, err = x.Client.ServerTime(ctx)
	}
	if err != nil {
		x.add("credentials", Failed, err.Error(), x.adviceFor(err))
		return false
	}
	x.add("credentials", OK, "the portal accepts them", "")
	x.clock(sent, x.Now(), at)
	return true
}

// unasked adds a check that could not be made because a call has failed.
func (x *examination) unasked(name, text string, err error) {
	x.add(name, Unknown, text, x.adviceFor(err))
}

// adviceFor says what to do about a call that has failed for a reason that concerns no single place.
func (x *examination) adviceFor(err error) string {
	var e *bitrix.Error
	answered := errors.As(err, &e)
	switch bitrix.FaultOf(err) {
	case bitrix.Unauthorised:
		return newCredentials(err, x.Webhook)
	case bitrix.Blocked:
		return "the portal has blocked REST because of too many requests: find the program that sends them, and wait"
	case bitrix.Unreachable:
		switch {
		case bitrix.IsCode(err, bitrix.CodeNetwork):
			return "the host takes connections and does not answer: try again in a minute, then check the address, the network and the firewall"
		case answered && e.Status >= http.StatusInternalServerError:
			return "the portal's server has a fault: try again in some minutes, then ask the portal's administrator"
		}
		return "the host answers, but not as a portal: check the address"
	case bitrix.NoFault:
	}
	return "run the command again; if the portal answers the same, ask its support what the answer means"
}

// newCredentials says what to change after the portal has refused the credentials.
func newCredentials(err error, webhook bool) string {
	switch {
	case bitrix.IsCode(err, "PAYMENT_REQUIRED"):
		return "the portal's plan has ended or has no REST: the customer must pay"
	case bitrix.IsCode(err, "ACCESS_DENIED"):
		return "the portal's plan has no REST, or the portal does not allow it to this user: the customer must pay, or an administrator must allow it"
	case bitrix.IsCode(err, bitrix.CodeMoved):
		return "use the new address for the portal"
	case bitrix.IsCode(err, "PORTAL_DELETED"):
		return "remove the portal from the configuration"
	case webhook:
		return "make a new inbound webhook in the portal and use its URL; a webhook ends when its user is dismissed"
	}
	return "install the application again in the portal"
}

// checkDatabase is what to do if the database cannot be read.
const checkDatabase = "check that this user can read the database of the configuration"

// Limits of what is normal.
const (
	// maxClockSkew: what changed during a downtime is found by comparing times.
	maxClockSkew = 30 * time.Second
	// eventsExpected is how long a subscribed event may be absent.
	eventsExpected = 30 * 24 * time.Hour
	// usualRefusals of serve's requests have another reason than another program: a command
	// such as plan that runs next to serve causes a few.
	usualRefusals = 10
	// usualRefusalsOfOne is the same for the requests of one examination, which often follows another
	// command, such as init.
	usualRefusalsOfOne = 1
)

// clock compares our clock and time zone with the portal's. The portal's time is from
// between sent and received, which a slow portal sets far apart, and whole seconds.
func (x *examination) clock(sent, received, at time.Time) {
	lead := max(0, sent.Sub(at)-time.Second)
	if behind := at.Sub(received); behind > 0 {
		lead = -behind
	}
	if lead > maxClockSkew || lead < -maxClockSkew {
		word := "ahead of"
		if lead < 0 {
			word = "behind"
		}
		x.add("clock", Warning, fmt.Sprintf("the clock of this machine is %s %s the portal's", lead.Abs().Round(time.Second), word), "set the clock: a catch-up compares times")
		return
	}
	_, theirs := at.Zone()
	if x.Zone != nil {
		if name, ours := at.In(x.Zone).Zone(); ours != theirs {
			x.add("clock", Warning, fmt.Sprintf("the portal's time has the offset %s, time_zone %s has %s (%s)", at.Format("-07:00"), x.Zone, at.In(x.Zone).Format("-07:00"), name),
				"set time_zone of the portal to the zone of its settings")
			return
		}
	}
	x.add("clock", OK, "the clocks agree, the portal's offset is "+at.Format("-07:00"), "")
}

// user asks whose credentials these are. A user who is no administrator does not see
// the entities of other departments, and a rule would take them for deleted.
// https://apidocs.bitrix24.com/api-reference/common/users/profile.html
func (x *examination) user(ctx context.Context, name string) {
	u, err := x.Client.Profile(ctx)
	if err != nil {
		x.unasked(name, err.Error(), err)
		return
	}
	if !u.Admin {
		x.add(name, Warning, u.String()+", is not an administrator: what this user may not see looks deleted", "let an administrator make the webhook or install the application")
		return
	}
	x.add(name, OK, u.String()+", is an administrator", "")
}

// leftovers reports what an interrupted probe has left on the portal.
func (x *examination) leftovers(ctx context.Context, name string) {
	left, err := probe.Leftovers(ctx, x.Client)
	if err != nil || len(left) == 0 {
		return // the other checks report a portal that does not answer
	}
	x.add(name, Warning, "a probe was interrupted and has left "+strings.Join(left, ", "), "b24rules doctor --probe --portal "+x.Name+" removes it")
}

// rate reports refusals of this examination and those that serve has counted: neither is
// ever over the limit, unless another program uses it too.
func (x *examination) rate(ctx context.Context, name string) {
	const advice = "another program at this address uses the portal: set shared: true"
	s := x.Client.Stats()
	text := fmt.Sprintf("none of %s was refused", plural(int(s.Requests), "request"))
	switch {
	case s.Refused > usualRefusalsOfOne && !x.Shared:
		x.add(name, Warning, fmt.Sprintf("%d of %d requests were refused because of the rate limit", s.Refused, s.Requests), advice)
		return
	case s.Refused > 0:
		text = fmt.Sprintf("%d of %s refused because of the rate limit, which a command before this one or serve also uses", s.Refused, plural(int(s.Requests), "request"))
	}
	if x.Limited == nil {
		x.add(name, OK, text, "")
		return
	}
	serve, err := x.Limited(ctx)
	switch {
	case err != nil:
		x.add(name, Unknown, err.Error(), checkDatabase)
	case serve.Requests > usualRefusals && !x.Shared:
		x.add(name, Warning, fmt.Sprintf("the rate limit has refused %d requests of serve within two hours, the last %s", serve.Requests, ago(x.Now(), serve.Last)), advice)
	case serve.Requests > 0:
		x.add(name, OK, fmt.Sprintf("%s, and %s of serve within two hours", text, plural(serve.Requests, "request")), "")
	default:
		x.add(name, OK, text, "")
	}
}

// Worst returns the state that describes all checks: Failed, then Unknown, then
// Warning.
func Worst(checks []Check) State {
	order := []State{OK, Warning, Unknown, Failed}
	worst := OK
	for _, c := range checks {
		if slices.Index(order, c.State) > slices.Index(order, worst) {
			worst = c.State
		}
	}
	return worst
}

// plural returns "1 rule" or "2 rules".
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// sortedKeys returns the keys of a map in order.
func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
