package bitrix

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// operating watches how much working time each method has used. The portal adds
// up ten minutes per method and refuses a method that is over its limit; the
// call that crosses the limit still runs. Answers carry the sum so far; a
// missing one says nothing.
// Source: https://apidocs.bitrix24.com/limits.html
type operating struct {
	limit time.Duration

	mu      sync.Mutex
	methods map[string]methodTime
	// blocked holds for all methods: the portal blocked REST by hand.
	blocked time.Time
}

// methodTime is what the last answer of a method said.
type methodTime struct {
	used  time.Duration
	reset time.Time // when the oldest of the ten minutes drops out
	until time.Time // held back until then; zero when not
}

const (
	// operatingShare is the part of the limit at which a method is held back.
	operatingShare = 0.95
	// operatingWindow is what is waited when the portal named no time.
	operatingWindow = 10 * time.Minute
	// overloadPause is how long a portal that blocked REST is left alone.
	overloadPause = 10 * time.Minute
)

func newOperating(limit time.Duration) *operating {
	return &operating{limit: limit, methods: map[string]methodTime{}}
}

// held returns the error of a call that the portal would refuse now.
func (o *operating) held(method string) error {
	now := time.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.blocked.After(now) {
		return &Error{Method: method, Code: CodeOverload, Detail: "the portal has blocked REST because of overload; only its support can lift that", Outcome: NotExecuted, NotBefore: o.blocked}
	}
	m := o.methods[strings.ToLower(method)]
	if m.until.After(now) {
		return &Error{Method: method, Code: CodeOperationLimit, Detail: fmt.Sprintf("the method has used %s of its time", m.used.Round(time.Second)), Outcome: NotExecuted, NotBefore: m.until}
	}
	return nil
}

// note takes the counters of an answer.
func (o *operating) note(method string, t *answerTime) {
	if t == nil || t.Operating == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	key := strings.ToLower(method)
	m := o.methods[key]
	m.used = time.Duration(*t.Operating * float64(time.Second))
	if t.ResetAt > 0 {
		m.reset = time.Unix(t.ResetAt, 0)
	}
	m.until = time.Time{}
	if m.used >= time.Duration(float64(o.limit)*operatingShare) {
		m.until = o.resetOf(m)
	}
	o.methods[key] = m
}

// refuse notes that a method is over its limit and returns when to come back.
func (o *operating) refuse(method string) time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	key := strings.ToLower(method)
	m := o.methods[key]
	m.until = o.resetOf(m)
	o.methods[key] = m
	return m.until
}

// block notes that the portal has blocked REST and returns when to look again.
func (o *operating) block() time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.blocked = time.Now().Add(overloadPause)
	return o.blocked
}

// resetOf is when a method can be used again: what the portal said last, or a
// whole window.
func (o *operating) resetOf(m methodTime) time.Time {
	now := time.Now()
	if m.reset.After(now) {
		return m.reset
	}
	return now.Add(operatingWindow)
}
