package emulator

import (
	"slices"

	"github.com/b24rules/b24rules/emulator/internal/value"
)

// linkField is a list of links that has a main one beside it.
type linkField struct {
	list, main string
	target     int // the type that it links to
}

func linkFields() []linkField {
	return []linkField{
		{"CONTACT_IDS", "CONTACT_ID", typeContact},
		{"COMPANY_IDS", "COMPANY_ID", typeCompany},
	}
}

// linkTo finds the list of links to contacts or companies that a type has.
func (t *entityType) linkTo(target int) (linkField, bool) {
	for _, l := range linkFields() {
		if l.target == target && t.fields.byName[l.list] != nil {
			return l, true
		}
	}
	return linkField{}, false
}

// linkMain keeps the main link and the list of links in step. The main one is
// the first of the list, unless both are given and fit.
func (t *entityType) linkMain(v, changes map[string]any) {
	for _, l := range linkFields() {
		if t.fields.byName[l.list] == nil || t.fields.byName[l.main] == nil {
			continue
		}
		main, mainGiven := changes[l.main]
		if several, ok := changes[l.list]; ok {
			links, _ := several.([]any)
			if !mainGiven || !slices.Contains(links, main) {
				v[l.main] = value.First(several)
			}
			continue
		}
		if mainGiven {
			v[l.list] = []any{}
			if main != nil && main != int64(0) {
				v[l.list] = []any{main}
			}
		}
	}
}

// mirrorLinks keeps the two sides of the links between contacts and companies
// the same: a contact's companyIds and a company's contactIds.
func (s *store) mirrorLinks(it *item, before map[string]any) {
	other, mine, theirs := mirrorOf(it.typ.id)
	if other == 0 {
		return
	}
	was, _ := before[mine].([]any)
	is, _ := it.values[mine].([]any)
	for _, id := range was {
		if !slices.Contains(is, id) {
			s.setLink(other, id, theirs, it.id, false)
		}
	}
	for _, id := range is {
		if !slices.Contains(was, id) {
			s.setLink(other, id, theirs, it.id, true)
		}
	}
}

// mirrorOf names the other side of a contact's or a company's links, 0 for other
// types.
func mirrorOf(entityTypeID int) (other int, mine, theirs string) {
	switch entityTypeID {
	case typeContact:
		return typeCompany, "COMPANY_IDS", "CONTACT_IDS"
	case typeCompany:
		return typeContact, "CONTACT_IDS", "COMPANY_IDS"
	}
	return 0, "", ""
}

// setLink adds a link to an item's list, or takes it away, without a save: the
// other side is what was saved.
func (s *store) setLink(entityTypeID int, id any, list string, link int64, want bool) {
	number, _ := id.(int64)
	it := s.item(entityTypeID, number)
	if it == nil {
		return
	}
	v := it.working()
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
	if l, ok := it.typ.linkTo(typeCompany); ok && l.list == list && !slices.Contains(links, v[l.main]) {
		v[l.main] = value.First(links)
	}
	it.values = v
}

// unlink takes an item out of the links of the other side.
func (s *store) unlink(it *item) {
	other, mine, theirs := mirrorOf(it.typ.id)
	if other == 0 {
		return
	}
	links, _ := it.values[mine].([]any)
	for _, id := range links {
		s.setLink(other, id, theirs, it.id, false)
	}
}
