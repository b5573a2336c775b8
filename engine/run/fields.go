package run

import (
	"sync"

	"github.com/b24rules/b24rules/engine/formula"
)

// maxFields bounds the fields of a place that are remembered.
const maxFields = 2000

// Fields are the fields that the records of a portal have had since the program started, as
// far as people can add and delete them. So a run can tell a deleted field from an empty one.
// The zero value is ready, and one Fields serves all runs of a portal.
type Fields struct {
	mu   sync.Mutex
	seen map[string]map[string]bool // by place
}

// markDeleted is engine.Call.MarkDeleted.
func (f *Fields) markDeleted(place string, record map[string]any, names []string) {
	if f == nil {
		return
	}
	now := make(map[string]bool, len(names))
	for _, name := range names {
		now[name] = true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seen == nil {
		f.seen = map[string]map[string]bool{}
	}
	seen := f.seen[place]
	if seen == nil {
		seen = map[string]bool{}
		f.seen[place] = seen
	}
	for _, name := range names {
		if len(seen) < maxFields {
			seen[name] = true
		}
	}
	for name := range seen {
		if !now[name] {
			record[name] = formula.Deleted(name)
		}
	}
}
