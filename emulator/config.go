package emulator

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/events"
	"github.com/b24rules/b24rules/emulator/internal/faults"
	"github.com/b24rules/b24rules/emulator/internal/rest"
)

// Plans of a portal, which decide its limit on requests.
const (
	PlanStandard   = "standard"   // bucket of 50, 2 requests a second
	PlanEnterprise = "enterprise" // bucket of 250, 5 requests a second
	PlanUnlimited  = "unlimited"  // no limits, as on one's own server
)

// Config says what kind of portal it is. The zero value is a standard cloud
// portal.
type Config struct {
	// Plan is PlanStandard, PlanEnterprise or PlanUnlimited. Empty, and
	// anything else, is PlanStandard; see CheckPlan.
	Plan string
	// Secret is the secret of the inbound webhook, which is a part of its URL.
	// Empty is "emulator".
	Secret string
	// ApplicationToken is the token that the first outbound webhook sends; each
	// other one has its own token. Empty is "emulator-application-token".
	ApplicationToken string
	// EventDelay is how long an event stays in the queue before it is sent.
	// 0 is 100 ms; a negative delay is none.
	EventDelay time.Duration
	// EventJitter lets each event stay up to so much longer, by chance, so that
	// they overtake one another. 0 is none.
	EventJitter time.Duration
	// EventLoss is the probability that the queue loses an event. 0 is none.
	EventLoss float64
	// EventWorkers is how many events are sent to one handler at the same
	// time. 0 is 8, a negative number is 1.
	EventWorkers int
	// SlowHandler is the time an answer may take before the portal starts to
	// leave gaps between the events for this handler. 0 is 2 s.
	SlowHandler time.Duration
	// Client sends the events. Nil is a client with a timeout of 30 s.
	Client *http.Client
	// Latency makes answers slow. The zero value does not.
	Latency Latency
	// Operating is the limit on execution time; the zero value is the cloud's.
	Operating Operating
	// Others are other applications on the clients' machines, which share the
	// bucket with them. The zero value is none.
	Others rest.Others
	// RequestLimit is how long a request may take before it is cut off, with
	// 504 and a page. 0 is 60 s, a negative limit is none.
	RequestLimit time.Duration
	// Seed chooses what happens by chance. The same requests in the same order
	// come to the same with the same seed.
	Seed uint64
	// SingleOwner makes filters refuse lists of owners: an array at =ownerId of
	// crm.item.productrow.list and at the filters of lists.element.get. The
	// documentation and the server's source accept them.
	SingleOwner bool
	// MoveAlsoUpdates says that moving a deal to another pipeline sends
	// ONCRMDEALUPDATE in addition to ONCRMDEALMOVETOCATEGORY. The documentation denies
	// it, the server's source suggests it.
	MoveAlsoUpdates bool
	// CommentFields says that the events of timeline comments name the comment
	// in data[FIELDS][ID], as the server's source does. The documentation shows
	// data[ID].
	CommentFields bool
	// StrictElementCode says that lists.element.update and .delete find an
	// element only when ELEMENT_ID and ELEMENT_CODE both fit, as the server's
	// source does. Without it ELEMENT_ID alone finds the element and
	// ELEMENT_CODE becomes its code.
	StrictElementCode bool
	// DoubleCodes lets lists.element.add make a second element with one ELEMENT_CODE. The
	// documentation refuses it.
	DoubleCodes bool
	// KeepOmitted lets an element keep the properties that lists.element.update omits. The
	// documentation clears them.
	KeepOmitted bool
	// NoReferences leaves references to earlier commands of a batch as text. The
	// documentation resolves them.
	NoReferences bool
	// UnchangedUpdates lets crm.item.update send an event although nothing has changed. The
	// documentation denies it.
	UnchangedUpdates bool
	// SilentRows says that new product rows send no event of their owner. The
	// documentation promises one.
	SilentRows bool
	// TextNumbers prints all numbers of crm.item.* as texts, as the old methods do. The
	// documentation shows numbers.
	TextNumbers bool
	// LongFloats prints fractional numbers of answers with 17 significant digits,
	// as a server with PHP's serialize_precision=17 does: 1.0049999999999999 for
	// 1.005.
	LongFloats bool
	// CodeRace is how long after its adding lists.element.add does not see an
	// element: the server looks for the code and adds the element in two steps,
	// so two elements with one code can arise. 0 is none.
	CodeRace time.Duration
	// Scopes are the permissions of the inbound webhook and the application.
	// Nil is crm, im, lists, user and userfieldconfig.
	Scopes []string
	// TokenLife is how long an access token of the application lives, and
	// RefreshLife a refresh token. 0 is an hour and 180 days.
	TokenLife, RefreshLife time.Duration
	// RedirectURI is the application's address that users come back to from the
	// authorization. Empty shows them the code.
	RedirectURI string
	// NoOfflineExtended and NoAuthConnector say that the plan lacks reserving
	// offline events, and their source keys. feature.get tells.
	NoOfflineExtended, NoAuthConnector bool
	// Location is the portal's time zone. Nil is three hours east of UTC.
	Location *time.Location
	// DayFirst lets lists write dates as 31/12/2024 23:59:59, as portals in
	// Brazil, France or India do, rather than 12/31/2024 11:59:59 pm. Like these
	// the portal still reads what has slashes with the month first.
	DayFirst bool
	// Now is the portal's clock, by which it dates items and answers. Nil is the time of
	// the machine.
	Now func() time.Time
	// Currency is the base currency. Empty is USD.
	Currency string
	// KeepCalls is how many of the latest commands Calls remembers. 0 is
	// 20,000, a negative number none.
	KeepCalls int
	// KeepChanges is how many of the latest changes History remembers. 0 is
	// 100,000, a negative number none.
	KeepChanges int
	// Log tells about events that failed, without secrets. Nil is silent.
	Log *slog.Logger
}

// Latency is how long the portal takes, in addition to its real work.
type Latency struct {
	Request time.Duration // for each HTTP request
	Command time.Duration // for each command in it
	// Jitter lets both vary by chance: by at most this part of them in either
	// direction, 0.2 is a fifth. 0 is none.
	Jitter float64
}

// Operating is the limit on a method's execution time: the sum over ten
// minutes, for each method and each application or webhook.
type Operating struct {
	// Limit is the sum from which on a method is refused. 0 is 480 s, a
	// negative limit is none. A portal without plan limits has none either.
	Limit time.Duration
	// Cost says how much execution time a command of a method counts, in addition to
	// the Latency of a command. Nil counts none: only the real time, which is
	// too short to be counted.
	Cost func(method string) time.Duration
}

// free is how long a command may take without being counted.
const free = 100 * time.Millisecond

// cost is the execution time that a command counts.
func (c Config) cost(method string, took time.Duration) time.Duration {
	if c.Operating.Cost != nil {
		took += c.Operating.Cost(strings.ToLower(method))
	}
	if took <= free {
		return 0
	}
	return took
}

// CheckPlan reports whether a plan's name is known.
func CheckPlan(plan string) error {
	switch plan {
	case PlanStandard, PlanEnterprise, PlanUnlimited:
		return nil
	}
	return fmt.Errorf("unknown plan %q: want %s, %s or %s", plan, PlanStandard, PlanEnterprise, PlanUnlimited)
}

func (c Config) withDefaults() Config {
	if CheckPlan(c.Plan) != nil {
		c.Plan = PlanStandard
	}
	c.Secret = cmp.Or(c.Secret, "emulator")
	c.ApplicationToken = cmp.Or(c.ApplicationToken, "emulator-application-token")
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Currency = cmp.Or(c.Currency, "USD")
	c.EventDelay = defaultTo(c.EventDelay, 100*time.Millisecond)
	c.EventWorkers = max(1, defaultTo(c.EventWorkers, 8))
	c.RequestLimit = defaultTo(c.RequestLimit, faults.RequestCeiling)
	c.SlowHandler = defaultTo(c.SlowHandler, 2*time.Second)
	c.TokenLife = defaultTo(c.TokenLife, time.Hour)
	c.RefreshLife = defaultTo(c.RefreshLife, 180*24*time.Hour)
	c.KeepCalls = defaultTo(c.KeepCalls, 20_000)
	c.KeepChanges = defaultTo(c.KeepChanges, 100_000)
	if c.Client == nil {
		c.Client = &http.Client{Timeout: 30 * time.Second}
	}
	if c.Scopes == nil {
		c.Scopes = []string{"calendar", "crm", "im", "lists", "user", "userfieldconfig"}
	}
	if c.Location == nil {
		c.Location = time.FixedZone("", 3*60*60)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// options are the settings that methods ask for.
func (c Config) options() rest.Options {
	return rest.Options{
		SingleOwner: c.SingleOwner, CodeRace: c.CodeRace, StrictElementCode: c.StrictElementCode, MoveAlsoUpdates: c.MoveAlsoUpdates, CommentFields: c.CommentFields,
		DoubleCodes: c.DoubleCodes, KeepOmitted: c.KeepOmitted, UnchangedUpdates: c.UnchangedUpdates, SilentRows: c.SilentRows,
		NoOfflineExtended: c.NoOfflineExtended, NoAuthConnector: c.NoAuthConnector, Currency: c.Currency, Scopes: c.Scopes,
	}
}

// limits are those of the plan.
func (c Config) limits() rest.Limits {
	var capacity, drain float64
	switch c.Plan {
	case PlanEnterprise:
		capacity, drain = 250, 5
	case PlanStandard:
		capacity, drain = 50, 2
	}
	operating := max(c.Operating.Limit, 0)
	if c.Operating.Limit == 0 && c.Plan != PlanUnlimited {
		operating = rest.OperatingDefault
	}
	return rest.NewLimits(capacity, drain, operating, c.Others)
}

// delivery says how events reach their handlers.
func (c Config) delivery() events.Delivery {
	return events.Delivery{
		Delay: c.EventDelay, Jitter: c.EventJitter, Loss: c.EventLoss, Workers: c.EventWorkers, SlowHandler: c.SlowHandler,
		Client: c.Client, Log: c.Log, Secret: c.Secret, ApplicationToken: c.ApplicationToken,
	}
}

// defaultTo gives a zero setting its default and turns a negative one into
// none.
func defaultTo[T time.Duration | int](v, byDefault T) T {
	if v == 0 {
		return byDefault
	}
	return max(v, 0)
}
