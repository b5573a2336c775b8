package ledger

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/store"
)

// Entities says which records the steps of rules have made for an entity. It is for steps that are
// about to make one: they ask for each entity, while all records of a mark have to be read for the
// answer. So it keeps which entities a mark has for entitiesAge.
type Entities struct {
	db store.DB

	mu    sync.Mutex
	marks map[int64]entitySet
}

// entitySet has the numbers of the entities of a mark.
type entitySet struct {
	at  time.Time // of reading
	has map[int64]struct{}
}

const entitiesAge = time.Minute

// NewEntities returns what is known from the ledger in a database.
func NewEntities(db store.DB) *Entities { return &Entities{db: db, marks: map[int64]entitySet{}} }

// Made returns the ids of at most n records of a place that a step of a rule has made or written
// last in runs about an entity. It may not know those of the last minute.
func (s *Entities) Made(ctx context.Context, portal, rule, step, place string, e engine.Entity, n int) ([]int, error) {
	entity := entityNumber(e)
	if entity == 0 {
		return nil, nil
	}
	marks, err := store.All(ctx, s.db, "read what rules have made", scanID[int64], `SELECT id FROM b24_mark WHERE portal = $1 AND rule = $2 AND step = $3 AND place = $4`, portal, rule, step, place)
	if err != nil {
		return nil, err
	}
	var out []int
	for _, mark := range marks {
		has, err := s.entities(ctx, mark)
		if err != nil {
			return nil, err
		}
		if _, ok := has[entity]; !ok || len(out) >= n {
			continue
		}
		ids, err := store.All(ctx, s.db, "read what rules have made", scanID[int], `SELECT thing FROM b24_made WHERE mark = $1 AND entity = $2 ORDER BY thing LIMIT $3`, mark, entity, n-len(out))
		if err != nil {
			return nil, err
		}
		out = append(out, ids...)
	}
	return out, nil
}

// entities returns the numbers of the entities of a mark. The caller does not change the map.
func (s *Entities) entities(ctx context.Context, mark int64) (map[int64]struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.marks[mark]; ok && time.Since(known.at) < entitiesAge {
		return known.has, nil
	}
	maps.DeleteFunc(s.marks, func(_ int64, old entitySet) bool { return time.Since(old.at) >= entitiesAge })
	now := time.Now()
	all, err := store.All(ctx, s.db, "read what rules have made", scanID[int64], `SELECT DISTINCT entity FROM b24_made WHERE mark = $1`, mark)
	if err != nil {
		return nil, err
	}
	has := make(map[int64]struct{}, len(all))
	for _, entity := range all {
		has[entity] = struct{}{}
	}
	s.marks[mark] = entitySet{now, has}
	return has, nil
}

func scanID[T int | int64](row store.Row) (id T, err error) {
	err = row.Scan(&id)
	return id, err
}
