package actions

import "strings"

// wanted is an element as a rule wants it to be.
type wanted struct {
	row    int // of the rows, from 0
	key    string
	code   string
	wishes []wish
	match  []wish // what an element without our code must have to be taken over
}

// change is an element that has to become what a rule wants.
type change struct {
	element *element
	want    wanted
}

// plan is what a sync would do. Making one reads and writes nothing.
type plan struct {
	adds    []wanted
	updates []change
	deletes []*element
	kept    int
	adopted int // of the updates
	// doubles are elements with a code that an older element has, too. They
	// are among the deletes.
	doubles int
	// foreign are elements of the scope that stay though no row stands for them.
	foreign int
	// mine is how many elements the step may delete: the base of a limit in
	// per cent.
	mine int
}

// sorted parts the elements of a scope into ours, by code, and the others.
type sorted struct {
	ours    map[string]*element
	order   []*element // ours, by id
	doubles []*element
	others  []*element
}

func sortElements(existing []*element, codes ownCodes) sorted {
	s := sorted{ours: map[string]*element{}}
	for _, e := range existing {
		switch {
		case !codes.owns(e.code):
			s.others = append(s.others, e)
		case s.ours[e.code] != nil:
			// lists.element.add looks for the code and then inserts, without a
			// lock: two adds at once make two. The older one stays.
			s.doubles = append(s.doubles, e)
		default:
			s.ours[e.code] = e
			s.order = append(s.order, e)
		}
	}
	return s
}

// planSync compares what is with what is wanted. existing is in the order of
// ids, so that equal runs make equal plans. removeOthers deletes what no rule
// made and no row took over.
func planSync(existing []*element, wants []wanted, codes ownCodes, removeOthers bool) plan {
	s := sortElements(existing, codes)
	p := plan{doubles: len(s.doubles), deletes: s.doubles, mine: len(s.order) + len(s.doubles)}
	taken := map[*element]bool{}
	for _, w := range wants {
		e := s.ours[w.code]
		if e == nil {
			if e = adoptable(s.others, taken, w); e != nil {
				p.adopted++
				p.updates = append(p.updates, change{e, w})
				taken[e] = true
				continue
			}
			p.adds = append(p.adds, w)
			continue
		}
		taken[e] = true
		if e.holds(w.wishes) {
			p.kept++
		} else {
			p.updates = append(p.updates, change{e, w})
		}
	}
	for _, e := range s.order {
		if !taken[e] {
			p.deletes = append(p.deletes, e)
		}
	}
	for _, e := range s.others {
		switch {
		case taken[e]:
		case removeOthers && !made(e.code):
			p.mine++
			p.deletes = append(p.deletes, e)
		default:
			p.foreign++
		}
	}
	return p
}

// adoptable finds the oldest element that no rule made, no row has taken yet
// and whose match properties are equal. Values that are all empty match nothing.
func adoptable(others []*element, taken map[*element]bool, w wanted) *element {
	blank := true
	for _, m := range w.match {
		blank = blank && m.field.empty(m.value)
	}
	if blank {
		return nil
	}
	for _, e := range others {
		// What another rule made stays its own: two rules would else take it
		// from each other for ever.
		if !taken[e] && !made(e.code) && e.holds(w.match) {
			return e
		}
	}
	return nil
}

// made reports whether a rule, this one or another, made an element.
func made(code string) bool {
	return strings.HasPrefix(code, codePrefix)
}
