package faults

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/rest"
)

// Kind says what goes wrong.
type Kind string

// Kinds of faults. A fault that cuts a request off before a command leaves the
// commands of a batch that ran before it done, and the later ones undone; with
// After the request runs to its end, a whole batch too, and its answer is lost.
const (
	// Delay waits Delay before the command, or with After behind it. A
	// client that gives up before takes the command with it.
	Delay Kind = "delay"
	// Refuse answers Code instead of running the command. In a batch only
	// the command is refused, unless Code is one that a portal says of whole
	// requests, such as QUERY_LIMIT_EXCEEDED or expired_token: then nothing of
	// the batch runs.
	Refuse Kind = "refuse"
	// Timeout gives no answer: the connection is closed after Delay, or
	// when the client gives up.
	Timeout Kind = "timeout"
	// Reset resets the connection without an answer.
	Reset Kind = "reset"
	// HTML answers a page of the server before the portal, with Status.
	HTML Kind = "html"
	// Truncate runs the request to its end and cuts the JSON of its answer
	// in half.
	Truncate Kind = "truncate"
	// Moved answers 302 with a page, as a renamed portal does: Location is
	// the new portal's address. Nothing of the request runs.
	// https://apidocs.bitrix24.com/settings/how-to-call-rest-api/change-domen.html
	Moved Kind = "moved"
	// ChangeShape runs the command and changes the shape of its answer to Shape.
	ChangeShape Kind = "shape"
	// Undone does not run the command. Its answer has no error, but a result
	// that does not say that the command is done: false, or Shape.
	Undone Kind = "undone"
	// Unkept runs a write and answers success, but the field Field keeps the
	// value that it had. Without Field no field gets its new value.
	// https://github.com/bitrix-tools/b24-rest-docs/issues/269
	Unkept Kind = "unkept"
	// BOM runs the request and puts a byte order mark before the JSON of its
	// answer.
	BOM Kind = "bom"
	// ContentType runs the request and answers its JSON as text/html.
	ContentType Kind = "content_type"
)

// Fault is something that goes wrong with commands, whether they come alone or
// in a batch. Which it hits is the same each time the same commands come in the
// same order.
type Fault struct {
	// Kind is what goes wrong. It has no default.
	Kind Kind `yaml:"kind" validate:"required" doc:"what goes wrong"`
	// Method chooses commands by their method: a name, or a pattern such as
	// crm.item.* or *.add. batch is a batch as a whole, oauth.token the renewal
	// of tokens. Empty is all.
	Method string `yaml:"method" doc:"commands by method: a name or a pattern such as crm.item.* or *.add; empty is all"`
	// After lets FaultDelay, FaultTimeout, FaultReset and FaultHTML strike
	// when the command has run.
	After bool `yaml:"after" doc:"delay, timeout, reset, html: strike when the command has run"`
	// Code is the error of FaultRefuse. Its status is the portal's.
	Code string `yaml:"code" doc:"refuse: the error code"`
	// Status is that of FaultHTML, 0 is 502; and that of a Code which the
	// emulator does not know.
	Status int `yaml:"status" validate:"omitempty,min=400,max=599" doc:"html: the status, 502 by default; refuse: the status of a code that the emulator does not know"`
	// Delay is how long FaultDelay waits, and FaultTimeout before it closes the
	// connection; 0 is 60 s there.
	Delay time.Duration `yaml:"delay" doc:"delay: how long it waits; timeout: when the connection is closed, 60s by default"`
	// Location is the new address of a portal that has moved, such as
	// https://new.bitrix24.com.
	Location string `yaml:"location" doc:"moved: the address of the new portal"`
	// Shape is the shape of the answer with FaultShape and FaultUndone.
	Shape Shape `yaml:"shape" doc:"shape, undone: the shape of the answer"`
	// Keep is how many rows of a page remain with ShapeShort.
	Keep int `yaml:"keep" validate:"min=0" doc:"shape short: how many rows of the page remain"`
	// Total is the total that ShapeTotal answers.
	Total int `yaml:"total" validate:"min=0" doc:"shape wrong_total: the total"`
	// Field is the field that FaultUnkept leaves unchanged, by its name in
	// either spelling. A property of a list is also found by its code.
	Field string `yaml:"field" doc:"unkept: the field that keeps its value; empty is all"`
	// Skip is how many matching commands pass before the first can be hit.
	Skip int `yaml:"skip" validate:"min=0" doc:"how many matching commands pass before the first can be hit"`
	// Count is how many are hit at most. 0 is no limit.
	Count int `yaml:"count" validate:"min=0" doc:"how many commands are hit at most; 0 is no limit"`
	// Probability is that of each matching command to be hit; 0 is always.
	Probability float64 `yaml:"probability" validate:"min=0,max=1" doc:"the probability of each matching command to be hit; 0 is always"`
	// Seed chooses other commands at the same Probability.
	Seed uint64 `yaml:"seed" doc:"chooses other commands at the same probability"`
}

// State is a fault that is set and what it has done.
type State struct {
	Fault
	Matched int // commands that it could have hit
	Hit     int // of them it has
}

// TokenMethod is what faults call the token endpoint of applications.
const TokenMethod = "oauth.token"

// Check reports what is wrong with faults, nil for nothing. methods are the names of the
// methods that faults may name.
func Check(list []Fault, methods []string) error {
	var errs []error
	for _, f := range list {
		for _, wrong := range f.problems(methods) {
			errs = append(errs, errors.New(wrong.String()))
		}
	}
	return errors.Join(errs...)
}

// Set are what goes wrong.
type Set struct {
	mu   sync.Mutex
	list []*armedFault
}

type armedFault struct {
	Fault
	pattern      string
	chance       *rand.Rand
	matched, hit int
}

// States returns the faults that are set, in their order.
func (fs *Set) States() []State {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	states := make([]State, len(fs.list))
	for i, f := range fs.list {
		states[i] = State{Fault: f.Fault, Matched: f.matched, Hit: f.hit}
	}
	return states
}

func (fs *Set) Arm(list []Fault) {
	armed := make([]*armedFault, len(list))
	for i, f := range list {
		armed[i] = &armedFault{
			Fault: f, pattern: cmp.Or(strings.ToLower(f.Method), "*"),
			chance: rand.New(rand.NewPCG(f.Seed, uint64(i))),
		}
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.list = armed
}

// strike is what faults do to one command.
type strike struct {
	Before, After time.Duration // delays
	Fault         *Fault        // what else goes wrong, nil for nothing
}

// OnCommand finds what goes wrong with a command.
func (fs *Set) OnCommand(method string) strike {
	return fs.find(false, strings.ToLower(method))
}

// OnRequest finds what goes wrong with a request as a whole, by the methods of
// all its commands.
func (fs *Set) OnRequest(methods func() []string) *Fault {
	fs.mu.Lock()
	quiet := len(fs.list) == 0
	fs.mu.Unlock()
	if quiet {
		return nil
	}
	return fs.find(true, methods()...).Fault
}

// find lets faults strike: those that hit whole requests or the others.
func (fs *Set) find(whole bool, methods ...string) (s strike) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, f := range fs.list {
		if f.whole() != whole || !f.matches(methods) || !f.strikes() {
			continue
		}
		if f.Kind != Delay {
			s.Fault = &f.Fault
			return s
		}
		if f.After {
			s.After += f.Delay
		} else {
			s.Before += f.Delay
		}
	}
	return s
}

func (f *armedFault) matches(methods []string) bool {
	for _, m := range methods {
		if ok, _ := path.Match(f.pattern, m); ok { // the pattern has been checked
			return true
		}
	}
	return false
}

// strikes counts a match and decides whether it is hit.
func (f *armedFault) strikes() bool {
	f.matched++
	if f.matched <= f.Skip || f.Count > 0 && f.hit >= f.Count {
		return false
	}
	if f.Probability > 0 && f.chance.Float64() >= f.Probability {
		return false
	}
	f.hit++
	return true
}

// whole reports whether a fault is one of whole requests.
func (f *Fault) whole() bool {
	_, whole := rest.IsRefusal(f.Code)
	return f.Kind == Moved || f.Kind == Refuse && whole
}

// Refuses is the error that a fault answers with.
func (f *Fault) Refuses() *rest.Error {
	e := rest.Refusal(f.Code)
	e.Text = cmp.Or(e.Text, "a fault of the emulator")
	e.Status = cmp.Or(f.Status, e.Status)
	return e
}

// Afterwards reports whether a fault lets the command run.
func (f *Fault) Afterwards() bool {
	switch f.Kind {
	case Truncate, BOM, ContentType:
		return true
	}
	return f.After
}

// AltersAnswer reports whether a fault changes the answer of one command.
func (f *Fault) AltersAnswer() bool { return f.Kind == ChangeShape || f.Kind == Unkept }
