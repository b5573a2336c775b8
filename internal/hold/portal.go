package hold

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/queue"
)

// probeGap is the shortest time between two probes that runs ask for.
const probeGap = 5 * time.Second

// Options are what a Portal needs. All fields but Changed are required.
type Options struct {
	Name  string
	Store Store
	// Probe asks the portal whether it answers and accepts the credentials.
	Probe func(ctx context.Context) error
	// Mine reports nil if this process may send requests to the portal.
	Mine func() error
	// Changed, if not nil, is called when a hold starts, changes and ends, and when
	// another process takes over the portal. In the last two cases the hold has no
	// cause.
	Changed func(h queue.Hold)
	Log     *slog.Logger
}

// Portal is the state of one portal. It is safe for concurrent use.
type Portal struct {
	opt Options

	mu      sync.Mutex
	probing *probe      // in progress
	fine    time.Time   // when a probe last succeeded
	hold    *queue.Hold // nil when the portal is fine
	changed time.Time   // when a probe last changed hold
	probes  int         // unsuccessful ones of the cause
}

// A probe is one question to the portal, and everybody who waits for its answer.
type probe struct {
	done chan struct{}
	held bool
}

// NewPortal returns the state of a portal that is fine. Keep reads a stored hold.
func NewPortal(opt Options) *Portal {
	if opt.Changed == nil {
		opt.Changed = func(queue.Hold) {}
	}
	return &Portal{opt: opt}
}

// Judge reports whether an error of a call is the portal's fault and not the
// run's. The run then waits for the end of the hold, without an attempt. Judge
// asks the portal, at most once in probeGap: an answer from before the error does
// not show that the portal is fine, so Judge waits for the next probe. Without an
// answer the run also waits: a process that ends must not park it.
func (p *Portal) Judge(ctx context.Context, err error) (held bool) {
	if bitrix.FaultOf(err) == bitrix.NoFault {
		return false
	}
	failed := time.Now()
	for {
		current, held, wait := p.probeFor(ctx, failed)
		if current == nil && wait <= 0 {
			return held
		}
		var gap <-chan time.Time
		var done chan struct{}
		if current != nil {
			done = current.done
		} else {
			gap = time.After(wait)
		}
		select {
		case <-done:
			return current.held
		case <-gap:
		case <-ctx.Done():
			return true
		}
	}
}

// probeFor returns the probe that decides about an error, and starts it when its time has
// come. Without a probe it returns how long to wait for it; 0 means that held is known.
func (p *Portal) probeFor(ctx context.Context, failed time.Time) (current *probe, held bool, wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.hold != nil:
		return nil, true, 0
	case p.fine.After(failed):
		return nil, false, 0 // the probe of another run has succeeded since
	case p.probing != nil:
		return p.probing, false, 0
	}
	if wait = probeGap - time.Since(p.fine); wait > 0 {
		return nil, false, wait
	}
	p.probing = &probe{done: make(chan struct{})}
	go p.ask(context.WithoutCancel(ctx), p.probing)
	return p.probing, false, 0
}

// ask sends a probe and applies its answer.
func (p *Portal) ask(ctx context.Context, current *probe) {
	err := p.opt.Probe(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	current.held = p.apply(ctx, err)
	p.probing = nil
	close(current.done)
}

// apply starts, changes or ends the hold after a probe. It reports whether the
// portal is held.
func (p *Portal) apply(ctx context.Context, err error) (held bool) {
	now := time.Now()
	cause, known := p.verdict(err)
	if !known {
		return true
	}
	if cause == "" {
		p.fine = now
		p.end(ctx, now)
		return false
	}
	next := queue.Hold{Portal: p.opt.Name, Cause: cause, Reason: err.Error(), Since: now}
	if p.hold == nil || p.hold.Cause != cause {
		p.probes = 0
	}
	if p.hold != nil {
		next.Since = p.hold.Since
	}
	next.Probe = now.Add(pause(cause, p.probes))
	p.probes++
	if err := p.opt.Store.SetHold(ctx, next); err != nil {
		p.opt.Log.Error("cannot store that the portal is held, its runs are tried again instead", "portal", p.opt.Name, "error", err)
		return p.hold != nil
	}
	was := p.hold
	p.hold, p.changed = &next, time.Now()
	if was == nil || was.Cause != cause {
		level := slog.LevelError
		if cause == Unreachable {
			level = slog.LevelWarn
		}
		p.opt.Log.Log(ctx, level, "portal is held, its runs wait", "portal", p.opt.Name, "cause", cause, "reason", next.Reason, "next_probe", next.Probe)
	}
	p.opt.Changed(next)
	return true
}

// verdict is the cause that a probe's answer shows: "" if the portal is fine.
// known is false when the answer shows nothing, because the probe was not sent.
func (p *Portal) verdict(err error) (cause string, known bool) {
	if err == nil {
		return "", true
	}
	if p.opt.Mine() != nil || errors.Is(err, context.Canceled) || errors.Is(err, bitrix.ErrClosed) {
		return "", false
	}
	return causeOf(bitrix.FaultOf(err)), true // any other refusal is an answer: the portal is there and knows us
}

// end ends the hold, if there is one.
func (p *Portal) end(ctx context.Context, now time.Time) {
	if p.hold == nil {
		return
	}
	if err := p.opt.Store.EndHold(ctx, p.opt.Name, ""); err != nil {
		p.opt.Log.Error("cannot end the hold of a portal, trying again", "portal", p.opt.Name, "error", err)
		p.hold.Probe = now.Add(probeGap)
		return
	}
	p.opt.Log.Info("portal is no longer held, its runs start", "portal", p.opt.Name, "cause", p.hold.Cause, "took", now.Sub(p.hold.Since).Round(time.Second))
	p.forget()
}

// forget drops the hold: it has ended, or another process works the portal now.
func (p *Portal) forget() {
	if p.hold == nil {
		return
	}
	p.hold, p.probes, p.changed = nil, 0, time.Now()
	p.opt.Changed(queue.Hold{Portal: p.opt.Name})
}

// Held reports whether the portal is held, as far as this process knows.
func (p *Portal) Held() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hold != nil
}

// continueFrom takes over the hold, nil for none, that was stored at a time, and
// sends a probe if one is due.
func (p *Portal) continueFrom(ctx context.Context, stored *queue.Hold, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.opt.Mine() != nil { // the process that works the portal probes it
		p.forget()
		return
	}
	if p.probing != nil || p.changed.After(at) {
		return // what was read is outdated
	}
	if p.adopt(stored) {
		p.probing = &probe{done: make(chan struct{})}
		go p.ask(ctx, p.probing)
	}
}

// adopt takes over what the store has and reports whether a probe is due.
func (p *Portal) adopt(stored *queue.Hold) (due bool) {
	switch {
	case stored == nil: // another process may have ended it
		p.forget()
		return false
	case p.hold == nil: // a process that starts does not wait for the next probe of another one
		p.hold = stored
		p.opt.Changed(*stored)
		return true
	case stored.Probe.Before(p.hold.Probe): // a person has asked for a probe
		p.hold.Probe = stored.Probe
	}
	return !time.Now().Before(p.hold.Probe)
}
