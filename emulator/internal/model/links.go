package model

import (
	"slices"

	"github.com/b24rules/b24rules/emulator/internal/value"
)

// linkField is a list of links with a field for the main one.
type linkField struct {
	List, Main string
	target     int // the type that it links to
}

func linkFields() []linkField {
	return []linkField{
		{"CONTACT_IDS", "CONTACT_ID", TypeContact},
		{"COMPANY_IDS", "COMPANY_ID", TypeCompany},
	}
}

// LinkTo finds the list of links to contacts or companies that a type has.
func (t *EntityType) LinkTo(target int) (linkField, bool) {
	for _, l := range linkFields() {
		if l.target == target && t.Fields.ByName[l.List] != nil {
			return l, true
		}
	}
	return linkField{}, false
}

// LinkMain keeps the main link and the list of links in step. The main one is
// the first of the list, unless both are given and fit.
func (t *EntityType) LinkMain(v, changes map[string]any) {
	for _, l := range linkFields() {
		if t.Fields.ByName[l.List] == nil || t.Fields.ByName[l.Main] == nil {
			continue
		}
		main, mainGiven := changes[l.Main]
		if several, ok := changes[l.List]; ok {
			links, _ := several.([]any)
			if !mainGiven || !slices.Contains(links, main) {
				v[l.Main] = value.First(several)
			}
			continue
		}
		if mainGiven {
			v[l.List] = []any{}
			if main != nil && main != int64(0) {
				v[l.List] = []any{main}
			}
		}
	}
}

// MirrorLinks keeps the two sides of the links between contacts and companies
// the same: a contact's companyIds and a company's contactIds.
func (s *Store) MirrorLinks(it *Item, before map[string]any) {
	other, mine, theirs := mirrorOf(it.Type.ID)
	if other == 0 {
		return
	}
	was, _ := before[mine].([]any)
	is, _ := it.Values[mine].([]any)
	for _, id := range was {
		if !slices.Contains(is, id) {
			s.setLink(other, id, theirs, it.ID, false)
		}
	}
	for _, id := range is {
		if !slices.Contains(was, id) {
			s.setLink(other, id, theirs, it.ID, true)
		}
	}
}

// mirrorOf names the other side of a contact's or a company's links, 0 for other
// types.
func mirrorOf(entityTypeID int) (other int, mine, theirs string) {
	switch entityTypeID {
	case TypeContact:
		return TypeCompany, "COMPANY_IDS", "CONTACT_IDS"
	case TypeCompany:
		return TypeContact, "CONTACT_IDS", "COMPANY_IDS"
	}
	return 0, "", ""
}

// setLink adds a link to an item's list, or takes it away, without a save: the
// other side is what was saved.
func (s *Store) setLink(entityTypeID int, id any, list string, link int64, want bool) {
	number, _ := id.(int64)
	it := s.Item(entityTypeID, number)
	if it == nil {
		return
	}
	v := it.Working()
	links, _ := v[list].([]any)
	links = slices.Clone(links)
	switch at := slices.Index(links, any(link)); {
	case want && at < 0:
		links = append(links, link)
	case !want && at >= 0:
		links = slices.Delete(links, at, at+1)
	default:
		return
	}
	v[list] = links
	if l, ok := it.Type.LinkTo(TypeCompany); ok && l.List == list && !slices.Contains(links, v[l.Main]) {
		v[l.Main] = value.First(links)
	}
	it.Values = v
}

// Unlink takes an item out of the links of the other side.
func (s *Store) Unlink(it *Item) {
	other, mine, theirs := mirrorOf(it.Type.ID)
	if other == 0 {
		return
	}
	links, _ := it.Values[mine].([]any)
	for _, id := range links {
		s.setLink(other, id, theirs, it.ID, false)
	}
}
