package service

import (
	"context"
	"sync"
	"time"
)

// pollers are the goroutines of single portals while Serve runs. The zero value runs none.
type pollers struct {
	mu     sync.Mutex
	ctx    context.Context //nolint:containedctx // of Serve; portals come later
	all    sync.WaitGroup
	cancel map[string]context.CancelFunc
}

// start lets goroutines run until ctx ends.
func (p *pollers) start(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ctx, p.cancel = ctx, map[string]context.CancelFunc{}
}

// stop waits until all have ended. Their context has ended.
func (p *pollers) stop() {
	p.mu.Lock()
	p.ctx = nil
	p.mu.Unlock()
	p.all.Wait()
}

// replace ends the goroutine of a portal and starts another one, none if do is nil.
func (p *pollers) replace(portal string, do func(ctx context.Context)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx == nil {
		return
	}
	if cancel := p.cancel[portal]; cancel != nil {
		cancel()
		delete(p.cancel, portal)
	}
	if do != nil {
		ctx, cancel := context.WithCancel(p.ctx)
		p.cancel[portal] = cancel
		p.all.Go(func() { do(ctx) })
	}
}

// poll binds and fetches the events of an application.
func (s *Service) poll(p *Portal) {
	if p.app == nil {
		s.pollers.replace(p.Name, nil)
		return
	}
	s.pollers.replace(p.Name, newOfflinePoller(s.config.Load(), s.rules, p, s.intake.push, s.log).run)
}

// retire closes the client of a portal that was replaced or removed, when the runs that use it
// have ended.
func (s *Service) retire(p *Portal) {
	close := func(ctx context.Context) {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for quiet := 0; quiet < 2 && ctx.Err() == nil; quiet++ {
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
			if p.running.Load() > 0 {
				quiet = -1
			}
		}
		p.Client.Close()
	}
	s.pollers.mu.Lock()
	defer s.pollers.mu.Unlock()
	if s.pollers.ctx == nil {
		p.Client.Close()
		return
	}
	ctx, left := s.pollers.ctx, s.portals.leave(p)
	s.pollers.all.Go(func() {
		defer left()
		close(ctx)
	})
}
