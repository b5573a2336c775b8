package emulator

import (
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/value"
)

// comment is a comment in an item's timeline.
type comment struct {
	id      int64
	typ     *entityType
	item    int64
	author  int64
	text    string
	created time.Time
	files   []commentFile
}

// commentFile is a file of a comment, of which the content is not kept.
type commentFile struct {
	id   int64
	name string
	size int
}

// commentType finds the type that ENTITY_TYPE names: its symbolic code in lower
// case, such as deal or dynamic_1046.
func (s *store) commentType(name string) *entityType {
	for _, t := range s.types {
		if strings.EqualFold(t.code, name) {
			return t
		}
	}
	return nil
}

// commentOf finds the comment that a call names, nil without one.
func (s *store) commentOf(id any) *comment {
	for _, m := range s.comments {
		if m.id == value.Int(id) {
			return m
		}
	}
	return nil
}

// dropComments takes the comments of an item that is deleted away.
func (s *store) dropComments(it *item) {
	s.comments = slices.DeleteFunc(s.comments, func(m *comment) bool { return m.typ == it.typ && m.item == it.id })
}
