package console

import (
	"context"
	"errors"
	"sync"

	"github.com/b24rules/b24rules/internal/app/config"
)

// A page that is open reads itself again with the header X-Live. Its value is afterChange if the hub
// has sent it that something has changed.
const (
	liveHeader  = "X-Live"
	afterChange = "changed"
)

// shared are the pages that were read since the last change. All open pages with the same address of
// one user share one look at the database.
type shared struct {
	mu    sync.Mutex
	mark  string // of the last change
	pages map[sharedKey]*sharedPage
}

// sharedKey is who looks at what.
type sharedKey struct {
	address, user, via string
	lang               int
	config             *config.Config
}

// sharedPage is a page that is read once.
type sharedPage struct {
	ready chan struct{} // closed when the others are set
	page  *page
	err   error
}

// join returns a page that was read after the change with the mark, or is being read. If none was, leads
// is true: the caller reads it and calls end.
func (s *shared) join(key sharedKey, mark string) (p *sharedPage, leads bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mark != mark || s.pages == nil {
		s.mark, s.pages = mark, map[sharedKey]*sharedPage{}
	}
	p = s.pages[key]
	if p == nil {
		p = &sharedPage{ready: make(chan struct{})}
		s.pages[key] = p
		leads = true
	}
	return p, leads
}

// end gives a page to those who wait for it. One that could not be read is tried again by the next one.
func (s *shared) end(key sharedKey, p *sharedPage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if (p.err != nil || p.page == nil) && s.pages[key] == p {
		delete(s.pages, key)
	}
	close(p.ready)
}

// readAgain is do for a page that is open.
func (c *Console) readAgain(q *request, do handler) (*page, error) {
	mark, _ := c.live.last.Load().(string)
	if q.Header.Get(liveHeader) != afterChange || mark == "" {
		return c.readAlone(q, do)
	}
	key := sharedKey{q.URL.RequestURI(), q.user.Name, q.via, q.lang, c.Config()}
	for {
		p, leads := c.shared.join(key, mark)
		if leads {
			p.page, p.err = c.readAlone(q, do)
			c.shared.end(key, p)
			return p.page, p.err
		}
		select {
		case <-p.ready:
		case <-q.Context().Done():
			return nil, q.Context().Err()
		}
		switch {
		case p.err == nil && p.page != nil:
			if p.page.made != nil {
				q.now = p.page.made.at
			}
			return p.page, nil
		case p.err != nil && !errors.Is(p.err, context.Canceled): // the browser that read it may have gone
			return nil, p.err
		}
	}
}

// readAlone reads a page when it is its turn, and makes its HTML.
func (c *Console) readAlone(q *request, do handler) (*page, error) {
	end, err := c.live.read(q.Context())
	if err != nil {
		return nil, err
	}
	defer end()
	p, err := do(q)
	if err == nil && p != nil && p.redirect == "" {
		p.made, err = c.make(q, p)
	}
	return p, err
}
