package access

import (
	"sync"
	"time"
)

const (
	// limitTime is the time in which failures count.
	limitTime = 15 * time.Minute
	// The failures in limitTime after which a name and an address have to wait, and the
	// attempts of all in a minute.
	failuresOfName    = 5
	failuresOfAddress = 20
	attemptsPerMinute = 30
	// mostKeys bounds the memory: strangers choose names.
	mostKeys = 10000
)

// Limiter bounds how often a password may be tried. It counts in memory. The zero value is
// ready.
type Limiter struct {
	mu       sync.Mutex
	failures map[string][]time.Time // by "name "+name and "address "+address
	attempts []time.Time
}

// Allow reports whether a sign-in may be tried now. Otherwise wait is how long it has to wait.
func (l *Limiter) Allow(name, address string, now time.Time) (wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.attempts = since(l.attempts, now.Add(-time.Minute))
	if len(l.attempts) >= attemptsPerMinute {
		return l.attempts[0].Add(time.Minute).Sub(now), false
	}
	for _, k := range []struct {
		key  string
		most int
	}{{"name " + name, failuresOfName}, {"address " + address, failuresOfAddress}} {
		list := since(l.failures[k.key], now.Add(-limitTime))
		if len(list) >= k.most {
			wait = max(wait, list[len(list)-k.most].Add(limitTime).Sub(now))
		}
	}
	if wait > 0 {
		return wait, false
	}
	l.attempts = append(l.attempts, now)
	return 0, true
}

// Failed counts a wrong password, and returns how many tries the name has left.
func (l *Limiter) Failed(name, address string, now time.Time) (left int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failures == nil {
		l.failures = map[string][]time.Time{}
	}
	if len(l.failures) >= mostKeys {
		for key, list := range l.failures { // a quarter of them, so that the next failures need not look again
			if len(since(list, now.Add(-limitTime))) == 0 || len(l.failures) >= mostKeys*3/4 {
				delete(l.failures, key)
			}
		}
	}
	for _, key := range []string{"name " + name, "address " + address} {
		l.failures[key] = append(since(l.failures[key], now.Add(-limitTime)), now)
	}
	return max(failuresOfName-len(l.failures["name "+name]), 0)
}

// Succeeded forgets the failures of a name.
func (l *Limiter) Succeeded(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.failures, "name "+name)
}

// since returns the times after t.
func since(times []time.Time, t time.Time) []time.Time {
	for i, at := range times {
		if at.After(t) {
			return times[i:]
		}
	}
	return nil
}
