package limit

import (
	"strings"
	"sync"
	"time"
)

// Operating counts the working time that each method has used. The portal adds
// up ten minutes per method and refuses a method that is over its limit. The
// call that crosses the limit still runs. Answers carry the sum so far; an
// answer without it says nothing. An Operating is safe for concurrent use.
// Source: https://apidocs.bitrix24.com/limits.html
type Operating struct {
	limit time.Duration // 0 or less: none

	mu      sync.Mutex
	methods map[string]*methodTime // by method in lower case: names of methods have no case
}

// methodTime is what the portal's answers said of one method.
type methodTime struct {
	used  time.Duration // in the last ten minutes
	cost  time.Duration // of one call, smoothed
	reset time.Time     // when the oldest of the ten minutes drops out
	until time.Time     // the portal refuses the method until then
	next  time.Time     // when the next call may leave, while the method is paced
}

const (
	// paceShare is the part of the limit above which a method is paced, so that
	// the rest lasts until some of the used time drops out.
	paceShare = 0.8
	// maxPace is how long a call may be held back here. For a longer wait the
	// caller gets an error with the time, because it has other work.
	maxPace = 10 * time.Second
	// unknownReset is the wait when the portal named no time. One of the ten
	// minutes drops out at a time.
	unknownReset = time.Minute
)

// NewOperating returns a counter for a portal whose methods may each use limit
// in ten minutes. 0 or less means no limit.
func NewOperating(limit time.Duration) *Operating {
	return &Operating{limit: limit, methods: map[string]*methodTime{}}
}

// method returns the counters of a method. The caller holds o.mu.
func (o *Operating) method(name string) *methodTime {
	key := strings.ToLower(name)
	m := o.methods[key]
	if m == nil {
		m = &methodTime{}
		o.methods[key] = m
	}
	return m
}

// Blocked reports whether the portal refuses a method until later than now.
func (o *Operating) Blocked(method string, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	m := o.methods[strings.ToLower(method)]
	return m != nil && m.until.After(now)
}

// Admission says when a call may leave.
type Admission struct {
	// NotBefore is when the call may leave. Zero means now.
	NotBefore time.Time
	// TooLong says that NotBefore is too far away to wait for it: the call fails.
	TooLong bool
	// Used is the working time of the method, if the call fails.
	Used time.Duration
}

// Admit says when a call of a method may leave.
func (o *Operating) Admit(method string, now time.Time) Admission {
	o.mu.Lock()
	defer o.mu.Unlock()
	m := o.methods[strings.ToLower(method)]
	if m == nil {
		return Admission{}
	}
	if m.until.After(now) {
		return m.tooLong(m.until)
	}
	part := 0.0
	if o.limit > 0 && m.reset.After(now) {
		part = float64(m.used) / float64(o.limit)
	}
	if part < paceShare {
		m.next = time.Time{}
		return Admission{}
	}
	// The calls that are left of the limit are spread over the time until reset.
	calls := float64(o.limit-m.used) / float64(max(m.cost, time.Millisecond))
	switch {
	case calls < 1:
		return m.tooLong(m.reset)
	case m.next.Sub(now) > maxPace:
		return m.tooLong(m.next)
	case m.next.After(now):
		return Admission{NotBefore: m.next}
	}
	m.next = now.Add(time.Duration(float64(m.reset.Sub(now)) / calls))
	return Admission{}
}

func (m *methodTime) tooLong(until time.Time) Admission {
	return Admission{NotBefore: until, TooLong: true, Used: m.used}
}

// Note takes the counters of an answer: the time that a method has used in the
// last ten minutes, and in how long the oldest minute drops out, 0 if the
// portal did not say.
func (o *Operating) Note(method string, used, resetIn time.Duration, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	m := o.method(method)
	if grown := used - m.used; grown > 0 && m.used > 0 {
		m.cost = (3*m.cost + grown) / 4
	} else if m.cost == 0 {
		m.cost = min(used, time.Second) // a guess until there are two answers
	}
	m.used = used
	m.reset = time.Time{}
	if resetIn > 0 {
		m.reset = now.Add(resetIn)
	}
}

// Refuse notes that the portal refused a method because of its limit, and
// returns when it will take the method again.
func (o *Operating) Refuse(method string, now time.Time) time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	m := o.method(method)
	m.until = m.reset
	if !m.until.After(now) {
		m.until = now.Add(unknownReset)
	}
	return m.until
}
