package model

import (
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/value"
)

// Comment is a comment in an item's timeline.
type Comment struct {
	ID      int64
	Type    *EntityType
	Item    int64
	Author  int64
	Text    string
	Created time.Time
	Files   []CommentFile
}

// CommentFile is a file of a comment, of which the content is not kept.
type CommentFile struct {
	ID   int64
	Name string
	Size int
}

// TypeByCode finds the type that ENTITY_TYPE names: its symbolic code in lower
// case, such as deal or dynamic_1046.
func (s *Store) TypeByCode(name string) *EntityType {
	for _, t := range s.Types {
		if strings.EqualFold(t.Code, name) {
			return t
		}
	}
	return nil
}

// CommentByID finds the comment that a call names, nil without one.
func (s *Store) CommentByID(id any) *Comment {
	for _, m := range s.Comments {
		if m.ID == value.Int(id) {
			return m
		}
	}
	return nil
}

// DropComments takes the comments of an item that is deleted away.
func (s *Store) DropComments(it *Item) {
	s.Comments = slices.DeleteFunc(s.Comments, func(m *Comment) bool { return m.Type == it.Type && m.Item == it.ID })
}
