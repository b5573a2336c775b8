package console

import (
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/b24rules/b24rules/internal/access"
	"github.com/b24rules/b24rules/internal/app/config"
)

const (
	// mostSeen bounds the pages that seen keeps, and mostSeenBytes the size of one of them.
	mostSeen      = 64
	mostSeenBytes = 512 << 10
	// seenFor is how long a page is kept. A session that is not used ends after this time, too.
	seenFor = time.Hour
)

// seen keeps the pages that were shown last. While the database is away, the console shows them
// again to those who have seen them. A page is not read from it at any other time.
type seen struct {
	mu    sync.Mutex
	pages []seenPage // the one that was shown last is the last
}

// seenPage is a page as it was shown.
type seenPage struct {
	holder, address string
	lang            int
	config          *config.Config // another one may hide more, or know the user no more
	user            access.User
	page            *page
	parked          int
	at              time.Time
}

func (p seenPage) is(q *request) bool {
	return p.holder == q.holder && p.address == q.URL.RequestURI() && p.lang == q.lang
}

// keep notes that a page was shown. holder is who has seen it: only this one gets it.
func (s *seen) keep(p seenPage, q *request) {
	p.holder, p.address, p.lang, p.user, p.at = q.holder, q.URL.RequestURI(), q.lang, q.user, q.now
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pages = slices.DeleteFunc(s.pages, func(old seenPage) bool { return old.is(q) || q.now.Sub(old.at) >= seenFor })
	if len(s.pages) >= mostSeen {
		s.pages = slices.Delete(s.pages, 0, 1)
	}
	s.pages = append(s.pages, p)
}

// find returns the page that a request asks for, as its sender has seen it last.
func (s *seen) find(q *request, now *config.Config) (seenPage, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.pages, func(p seenPage) bool { return p.is(q) && p.config == now && q.now.Sub(p.at) < seenFor })
	if i < 0 || q.holder == "" {
		return seenPage{}, false
	}
	return s.pages[i], true
}

// forget removes what somebody has seen, because the session is over.
func (s *seen) forget(holder string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pages = slices.DeleteFunc(s.pages, func(p seenPage) bool { return p.holder == holder })
}

// isKept reports whether a page may be shown again while the database is away. A page that asks
// before it does something may not.
func (q *request) isKept(p *page, status int) bool {
	return q.Method == http.MethodGet && q.holder != "" && status == http.StatusOK && p.section != "login" && p.template != "plan" && p.template != "confirm"
}
