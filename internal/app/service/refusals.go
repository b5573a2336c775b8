package service

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/b24rules/b24rules/internal/ingest"
	"github.com/b24rules/b24rules/internal/refused"
)

// storeRefusals is how often counts of refused requests are stored. Strangers cannot cause
// more writes.
const storeRefusals = 10 * time.Second

// refusals counts the requests that were refused because nothing proved them, for doctor.
type refusals struct {
	store *refused.Store
	log   *slog.Logger

	mu     sync.Mutex
	counts map[refusal]refused.Count
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

// flush stores the counts. If the database does not take them, they are lost: they are only a
// hint.
func (f *refusals) flush(ctx context.Context) {
	f.mu.Lock()
	counts := slices.Collect(maps.Values(f.counts))
	f.counts = nil
	f.mu.Unlock()
	if len(counts) == 0 {
		return
	}
	if err := f.store.Add(ctx, counts...); err != nil && ctx.Err() == nil {
		f.log.Warn("cannot store how many requests were refused", "error", err)
	}
}
