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
	limit time.Duration // 0 or less: none

	mu      sync.Mutex
	methods map[string]*methodTime
}

// methodTime is what the answers of a method said.
type methodTime struct {
	used  time.Duration // of the window
	cost  time.Duration // of a call, smoothed
	reset time.Time     // when the oldest of the ten minutes drops out
	until time.Time     // held back until then: the portal refused it
	next  time.Time     // when the next call may go, while it is paced
}

const (
	// paceShare is the part of the limit from which on a method is paced so
	// that what is left lasts until some of the time drops out.
	paceShare = 0.8
	// maxPace is how long a call may be held back here. Longer waits are told
	// to the caller, who has better things to do.
	maxPace = 10 * time.Second
	// unknownReset is what is waited when the portal named no time. A minute
	// of the ten drops out at a time.
	unknownReset = time.Minute
)

func newOperating(limit time.Duration) *operating {
	return &operating{limit: limit, methods: map[string]*methodTime{}}
}

// of wants o.mu held. Names of methods have no case.
func (o *operating) of(method string) *methodTime {
	key := strings.ToLower(method)
	m := o.methods[key]
	if m == nil {
		m = &methodTime{}
		o.methods[key] = m
	}
	return m
}

// blocked reports whether the portal has refused a method until later than now.
func (o *operating) blocked(method string, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	m := o.methods[strings.ToLower(method)]
	return m != nil && m.until.After(now)
}

// admit lets a call go, or tells when it may, or fails it when that is too long
// to wait for here.
func (o *operating) admit(method string, now time.Time) (time.Time, *Error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	m := o.methods[strings.ToLower(method)]
	if m == nil {
		return time.Time{}, nil
	}
	if m.until.After(now) {
		return time.Time{}, m.hold(m.until)
	}
	part := 0.0
	if o.limit > 0 && m.reset.After(now) {
		part = float64(m.used) / float64(o.limit)
	}
	if part < paceShare {
		m.next = time.Time{}
		return time.Time{}, nil
	}
	// What is left of the limit, in calls, is spread over the time until reset.
	calls := float64(o.limit-m.used) / float64(max(m.cost, time.Millisecond))
	switch {
	case calls < 1:
		return time.Time{}, m.hold(m.reset)
	case m.next.Sub(now) > maxPace:
		return time.Time{}, m.hold(m.next)
	case m.next.After(now):
		return m.next, nil
	}
	m.next = now.Add(time.Duration(float64(m.reset.Sub(now)) / calls))
	return time.Time{}, nil
}

func (m *methodTime) hold(until time.Time) *Error {
	return &Error{
		Code: CodeOperationLimit, Detail: fmt.Sprintf("the method has used %s of working time in ten minutes", m.used.Round(time.Second)),
		Outcome: NotExecuted, NotBefore: until,
	}
}

// note takes the counters of an answer.
func (o *operating) note(method string, t callTime, now time.Time) {
	if !t.known {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	m := o.of(method)
	if grown := t.used - m.used; grown > 0 && m.used > 0 {
		m.cost = (3*m.cost + grown) / 4
	} else if m.cost == 0 {
		m.cost = min(t.used, time.Second) // a guess until two answers tell
	}
	m.used = t.used
	m.reset = time.Time{}
	if t.resetIn > 0 {
		m.reset = now.Add(t.resetIn)
	}
}

// refuse notes that a method is over its limit and returns when to come back.
func (o *operating) refuse(method string, now time.Time) time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	m := o.of(method)
	m.until = m.reset
	if !m.until.After(now) {
		m.until = now.Add(unknownReset)
	}
	return m.until
}
