package crm

import (
	"cmp"
	"slices"

	"github.com/b24rules/b24rules/emulator/internal/model"
	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// legacyLinks are the methods crm.deal.contact.* and their like.
type legacyLinks struct{ legacyEntity }

// idName is the field that names what is linked.
func (e legacyLinks) idName() string {
	if e.target == model.TypeCompany {
		return "COMPANY_ID"
	}
	return "CONTACT_ID"
}

// owner finds the item of crm.deal.contact.* and the like. missing is what
// the method says of one that is not there.
func (e legacyLinks) owner(c *rest.Call, invalid, missing string) (*model.Item, error) {
	id := value.Int(c.Param("ID"))
	if id < 1 {
		return nil, rest.FailText(invalid)
	}
	if it := c.Store.Item(e.typ, id); it != nil {
		return legacySeen(c, it)
	}
	return nil, rest.Fail(e.linkCode, missing)
}

const (
	noLinksOwner = "The parameter ownerEntityID is invalid or not defined."
	noLinkOwner  = "The parameter 'ownerEntityID' is invalid or not defined."
	invalidLink  = "The parameter 'fields' is not valid."
	linkSortStep = 10
	linkNotFound = "Not found."
)

// describe is crm.deal.contact.fields and the like.
func (e legacyLinks) describe(*rest.Call) (any, error) {
	return describeAll(
		model.NewField(e.idName(), "integer", e.idName(), model.Required), model.NewField("SORT", "integer", "Sorting", 0), model.NewField("IS_PRIMARY", "char", "Primary", 0),
	), nil
}

// links are those of an item, in their order.
func (e legacyLinks) links(it *model.Item) []any {
	l, _ := it.Type.LinkTo(e.target)
	links, _ := it.Values[l.List].([]any)
	return links
}

// primary is the main link of an item: the first, where none is said to be.
func (e legacyLinks) primary(it *model.Item) any {
	l, _ := it.Type.LinkTo(e.target)
	if it.Type.Fields.ByName[l.Main] == nil {
		return value.First(e.links(it))
	}
	return it.Values[l.Main]
}

// sortOf is the SORT of a link.
func sortOf(it *model.Item, at int, id int64) int64 {
	if sort, ok := it.LinkSort[id]; ok {
		return sort
	}
	return int64(at+1) * linkSortStep
}

// get is crm.deal.contact.items.get and the like. Its ids are numbers under
// upper-case names.
func (e legacyLinks) get(c *rest.Call) (any, error) {
	it, err := e.owner(c, noLinksOwner, linkNotFound)
	if err != nil {
		return nil, err
	}
	answer := php.NewArray()
	primary := e.primary(it)
	for i, v := range e.links(it) {
		id, _ := v.(int64)
		answer.Append(value.Object(e.idName(), id, "SORT", sortOf(it, i, id), "ROLE_ID", 0, "IS_PRIMARY", value.YesNo(v == primary)))
	}
	return answer, nil
}

// linkInput is one link of a call.
type linkInput struct {
	id, sort int64
	sorted   bool
	primary  bool
}

func (e legacyLinks) readLink(a *php.Array) (linkInput, bool) {
	id, _ := a.Get(e.idName())
	sort, sorted := a.Get("SORT")
	primary, _ := a.Get("IS_PRIMARY")
	in := linkInput{id: value.Int(id), sort: value.Int(sort), sorted: sorted, primary: primary == "Y"}
	return in, in.id > 0
}

// set is crm.deal.contact.items.set and the like: it replaces all links.
func (e legacyLinks) set(c *rest.Call) (any, error) {
	it, err := e.owner(c, noLinksOwner, linkNotFound)
	if err != nil {
		return nil, err
	}
	items, ok := value.Array(c.Param("ITEMS"))
	if !ok {
		return nil, rest.FailText("The parameter items must be array.")
	}
	var links []linkInput
	for _, v := range items.All() {
		if a, ok := value.Array(v); ok {
			if in, ok := e.readLink(a); ok {
				links = append(links, in)
			}
		}
	}
	return e.saveLinks(c, it, links)
}

// clear is crm.deal.contact.items.delete and the like.
func (e legacyLinks) clear(c *rest.Call) (any, error) {
	missing := linkNotFound
	if e.linkCode == "" {
		missing = "Not found"
	}
	it, err := e.owner(c, noLinksOwner, missing)
	if err != nil {
		return nil, err
	}
	return e.saveLinks(c, it, nil)
}

// oneLink reads a call about one link: the item, the link, and those that the
// item has. word is what the method calls fields when they are no array.
func (e legacyLinks) oneLink(c *rest.Call, word string) (*model.Item, linkInput, []linkInput, error) {
	it, err := e.owner(c, noLinkOwner, linkNotFound)
	if err != nil {
		return nil, linkInput{}, nil, err
	}
	fields, ok := value.Array(c.Param("FIELDS"))
	if !ok {
		return nil, linkInput{}, nil, rest.FailText("The parameter '" + word + "' must be array.")
	}
	in, ok := e.readLink(fields)
	if !ok {
		return nil, linkInput{}, nil, rest.FailText(invalidLink)
	}
	return it, in, e.current(it), nil
}

// add is crm.deal.contact.add and the like. Its result is false where the
// link is there already.
func (e legacyLinks) add(c *rest.Call) (any, error) {
	it, in, links, err := e.oneLink(c, "fields")
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(links, func(l linkInput) bool { return l.id == in.id }) {
		return false, nil
	}
	if in.primary {
		for i := range links {
			links[i].primary = false
		}
	}
	return e.saveLinks(c, it, append(links, in))
}

// remove is crm.deal.contact.delete and the like. Its result is false where
// there is no such link.
func (e legacyLinks) remove(c *rest.Call) (any, error) {
	word := "item"
	if e.target == model.TypeCompany {
		word = "fields"
	}
	it, in, links, err := e.oneLink(c, word)
	if err != nil {
		return nil, err
	}
	others := slices.DeleteFunc(slices.Clone(links), func(l linkInput) bool { return l.id == in.id })
	if len(others) == len(links) {
		return false, nil
	}
	return e.saveLinks(c, it, others)
}

func (e legacyLinks) current(it *model.Item) []linkInput {
	var links []linkInput
	primary := e.primary(it)
	for i, v := range e.links(it) {
		id, _ := v.(int64)
		links = append(links, linkInput{id: id, sort: sortOf(it, i, id), sorted: true, primary: v == primary})
	}
	return links
}

// saveLinks replaces an item's links and saves it. That it raises the item's
// update event is not documented; it follows from the save.
func (e legacyLinks) saveLinks(c *rest.Call, it *model.Item, links []linkInput) (any, error) {
	for i := range links {
		if !links[i].sorted {
			links[i].sort = int64(i+1) * linkSortStep
		}
	}
	slices.SortStableFunc(links, func(a, b linkInput) int { return cmp.Compare(a.sort, b.sort) })
	ids, sorts := []any{}, map[int64]int64{}
	var primary any
	for _, l := range links {
		ids = append(ids, l.id)
		sorts[l.id] = l.sort
		if l.primary && primary == nil {
			primary = l.id
		}
	}
	l, _ := it.Type.LinkTo(e.target)
	changes := map[string]any{l.List: ids, l.Main: value.First(ids)}
	if primary != nil {
		changes[l.Main] = primary
	}
	if it.Type.Fields.ByName[l.Main] == nil {
		delete(changes, l.Main)
	}
	it.LinkSort = sorts
	if err := saveItem(c, it, changes, saveOptions{always: true}); err != nil {
		return nil, err
	}
	return true, nil
}
