package service

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/hold"
	"github.com/b24rules/b24rules/internal/ingest"
)

// settings are the configuration that runs.
type settings struct{ atomic.Pointer[config.Config] }

// portals are the portals that run, by their names. It is safe for concurrent use.
type portals struct {
	mu     sync.RWMutex
	byName map[string]*Portal
	// digests are those of portals whose events are stored and that do not run.
	digests map[string]ingest.Digest
	// leaving are the removed portals whose runs have not ended.
	leaving []*Portal
}

func newPortals() *portals {
	return &portals{byName: map[string]*Portal{}, digests: map[string]ingest.Digest{}}
}

// get returns a portal, nil if it does not run.
func (all *portals) get(name string) *Portal {
	all.mu.RLock()
	defer all.mu.RUnlock()
	return all.byName[name]
}

// all returns the portals, sorted by name.
func (all *portals) all() []*Portal {
	all.mu.RLock()
	defer all.mu.RUnlock()
	out := make([]*Portal, 0, len(all.byName))
	for _, name := range slices.Sorted(maps.Keys(all.byName)) {
		out = append(out, all.byName[name])
	}
	return out
}

// put adds a portal, or replaces the one of its name.
func (all *portals) put(p *Portal) {
	all.mu.Lock()
	defer all.mu.Unlock()
	all.byName[p.Name] = p
	delete(all.digests, p.Name)
}

// stop removes a portal. Its proven events are still stored.
func (all *portals) stop(name string, digest ingest.Digest) {
	all.mu.Lock()
	defer all.mu.Unlock()
	delete(all.byName, name)
	all.digests[name] = digest
}

// leave notes that the runs of a removed portal may still be in progress. It returns what ends
// that.
func (all *portals) leave(p *Portal) (left func()) {
	all.mu.Lock()
	defer all.mu.Unlock()
	all.leaving = append(all.leaving, p)
	return func() {
		all.mu.Lock()
		defer all.mu.Unlock()
		all.leaving = slices.DeleteFunc(all.leaving, func(o *Portal) bool { return o == p })
	}
}

// renamed reports whether runs are in progress that have the same portal under a name
// that it has no more. Two runs of one entity must not work at the same time, and the queue
// only knows names.
func (all *portals) renamed(p *Portal) bool {
	all.mu.RLock()
	defer all.mu.RUnlock()
	return slices.ContainsFunc(all.leaving, func(o *Portal) bool { return o.Name != p.Name && o.address == p.address })
}

// forget makes the events of a portal that does not run refused.
func (all *portals) forget(name string) {
	all.mu.Lock()
	defer all.mu.Unlock()
	delete(all.digests, name)
}

// stopped returns what proves the events of a portal that does not run.
func (all *portals) stopped(name string) (ingest.Digest, bool) {
	all.mu.RLock()
	defer all.mu.RUnlock()
	digest, ok := all.digests[name]
	return digest, ok
}

// takeover makes the client of a portal ("" means all) consider the requests that
// another process may have sent until a time.
func (all *portals) takeover(portal string, until time.Time) {
	for _, p := range all.all() {
		if portal == "" || portal == p.Name {
			p.Client.UsedUntil(until)
		}
	}
}

// spareSince returns Client.SpareSince of a portal, for the next process.
func (all *portals) spareSince(portal string) time.Duration {
	if p := all.get(portal); p != nil {
		return p.Client.SpareSince()
	}
	return 0
}

// holds are the states of the portals and of their rules.
func (all *portals) holds() (holds []*hold.Portal, rules []*hold.Rules) {
	for _, p := range all.all() {
		holds, rules = append(holds, p.hold), append(rules, p.rules)
	}
	return holds, rules
}

// down returns a function that reports whether an error of a run or of a job says nothing
// about its entity: the portal is at fault, or the configuration has replaced or removed its
// client since. The work then starts again, with the client that the portal has by then.
func (all *portals) down(p *Portal) func(ctx context.Context, err error) bool {
	return func(ctx context.Context, err error) bool {
		now := all.get(p.Name)
		if replaced := now == nil || now.Client != p.Client; replaced && (errors.Is(err, bitrix.ErrClosed) || bitrix.FaultOf(err) != bitrix.NoFault) {
			return true
		}
		return p.hold.Judge(ctx, err)
	}
}
