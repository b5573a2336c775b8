package emulator

import (
	"slices"
	"time"
)

// section is a section of a list, which elements name in IBLOCK_SECTION_ID.
type section struct {
	id, parent        int64
	code, name        string
	external          string
	sort              int64
	active            bool
	created, changed  time.Time
	creator, modifier int64
}

func (b *iblock) section(id int64) *section {
	for _, x := range b.sections {
		if x.id == id {
			return x
		}
	}
	return nil
}

// depth is 1 for a section at the root.
func (b *iblock) depth(x *section) int64 {
	depth := int64(1)
	for p := b.section(x.parent); p != nil && depth < 100; p = b.section(p.parent) {
		depth++
	}
	return depth
}

// shown tells whether a section and all those above it are active.
func (b *iblock) shown(x *section) bool {
	for n := 0; x != nil && n < 100; n++ {
		if !x.active {
			return false
		}
		x = b.section(x.parent)
	}
	return true
}

// margins are the section's bounds in the tree of the list.
func (b *iblock) margins(of *section) (left, right int64) {
	n := int64(0)
	var walk func(parent int64, level int)
	walk = func(parent int64, level int) {
		for _, x := range b.sections {
			if x.parent != parent || level > 100 {
				continue
			}
			n++
			from := n
			walk(x.id, level+1)
			n++
			if x == of {
				left, right = from, n
			}
		}
	}
	walk(0, 0)
	return left, right
}

func (b *iblock) dropSection(id int64) {
	b.sections = slices.DeleteFunc(b.sections, func(x *section) bool { return x.id == id })
	for _, e := range b.elements {
		if e.section == id {
			e.section = 0
		}
	}
	for _, x := range slices.Clone(b.sections) {
		if x.parent == id {
			b.dropSection(x.id)
		}
	}
}
