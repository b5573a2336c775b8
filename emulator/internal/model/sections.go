package model

import (
	"slices"
	"time"
)

// Section is a section of a list, which elements name in IBLOCK_SECTION_ID.
type Section struct {
	ID, Parent        int64
	Code, Name        string
	External          string
	Sort              int64
	Active            bool
	Created, Changed  time.Time
	Creator, Modifier int64
}

func (b *IBlock) Section(id int64) *Section {
	for _, x := range b.Sections {
		if x.ID == id {
			return x
		}
	}
	return nil
}

// Depth is 1 for a section at the root.
func (b *IBlock) Depth(x *Section) int64 {
	depth := int64(1)
	for p := b.Section(x.Parent); p != nil && depth < 100; p = b.Section(p.Parent) {
		depth++
	}
	return depth
}

// Shown reports whether a section and all those above it are active.
func (b *IBlock) Shown(x *Section) bool {
	for n := 0; x != nil && n < 100; n++ {
		if !x.Active {
			return false
		}
		x = b.Section(x.Parent)
	}
	return true
}

// Margins are the section's bounds in the tree of the list.
func (b *IBlock) Margins(of *Section) (left, right int64) {
	n := int64(0)
	var walk func(parent int64, level int)
	walk = func(parent int64, level int) {
		for _, x := range b.Sections {
			if x.Parent != parent || level > 100 {
				continue
			}
			n++
			from := n
			walk(x.ID, level+1)
			n++
			if x == of {
				left, right = from, n
			}
		}
	}
	walk(0, 0)
	return left, right
}

func (b *IBlock) DropSection(id int64) {
	b.Sections = slices.DeleteFunc(b.Sections, func(x *Section) bool { return x.ID == id })
	for _, e := range b.Elements.All() {
		if e.Section == id {
			e.Section = 0
		}
	}
	for _, x := range slices.Clone(b.Sections) {
		if x.Parent == id {
			b.DropSection(x.ID)
		}
	}
}
