package service

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/ingest"
	"github.com/b24rules/b24rules/internal/refused"
)

// storeRefusals is how often counts of refused requests are stored. Strangers cannot cause
// more writes.
const storeRefusals = 10 * time.Second

// refusals counts refused requests for doctor: those that nothing proved, and those of this
// process that a portal refused because of its rate limit.
type refusals struct {
	store   *refused.Store
	portals *portals
	log     *slog.Logger

	mu     sync.Mutex
	counts map[refusal]refused.Count
	// limited is how many requests of a client are counted already.
	limited map[*bitrix.Client]int64
}

type refusal struct{ portal, kind string }

// count counts a request.
func (f *refusals) count(r ingest.Result) {
	if r.Status != http.StatusForbidden {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.counts == nil {
		f.counts = map[refusal]refused.Count{}
	}
	key := refusal{r.Portal, r.Kind}
	f.counts[key] = refused.Count{Portal: r.Portal, Kind: r.Kind, Requests: f.counts[key].Requests + 1, Last: time.Now(), Asked: r.Asked}
}

// ours returns the requests of this process that portals have refused because of their rate
// limit since the last call. The caller holds mu.
func (f *refusals) ours(now time.Time) (counts []refused.Count) {
	limited := map[*bitrix.Client]int64{}
	for _, p := range f.portals.all() {
		n := p.Client.Stats().Refused
		if more := n - f.limited[p.Client]; more > 0 {
			counts = append(counts, refused.Count{Portal: p.Name, Kind: refused.KindRate, Requests: int(more), Last: now})
		}
		limited[p.Client] = n
	}
	f.limited = limited // without the clients of portals that were removed or changed
	return counts
}

// flush stores the counts. If the database does not take them, they are lost: they are only a
// hint.
func (f *refusals) flush(ctx context.Context) {
	f.mu.Lock()
	counts := slices.Collect(maps.Values(f.counts))
	f.counts = nil
	counts = append(counts, f.ours(time.Now())...)
	f.mu.Unlock()
	if len(counts) == 0 {
		return
	}
	if err := f.store.Add(ctx, counts...); err != nil && ctx.Err() == nil {
		f.log.Warn("cannot store how many requests were refused", "error", err)
	}
}
