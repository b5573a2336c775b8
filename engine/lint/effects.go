package lint

import (
	"slices"
	"strings"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/schemas"
)

// stepSummary is a step that writes.
type stepSummary struct {
	action string
	line   int
	// conditional says that the step has a when, forEach that it has a for_each, and remembers
	// that it has once, entered or at.
	conditional, forEach, remembers bool
	// conditions are the conjuncts of when, of the rule and of the step.
	conditions []string
	// asks are the paths on which these depend.
	asks []string
}

func (f *flow) stepOf(s *engine.Step) *stepSummary {
	out := &stepSummary{
		action: s.Action.Name, line: s.Pos.Line, conditional: s.When != nil, forEach: s.ForEach != nil, remembers: s.Remembers,
		conditions: append(f.rule.When.Conjuncts(), s.When.Conjuncts()...),
	}
	for _, v := range []*engine.Value{s.When, f.rule.When} {
		f.Sources(v, func(p string) { out.asks = append(out.asks, p) })
	}
	return out
}

// reads reports whether a condition of the step or its rule reads the field.
func (s *stepSummary) reads(field string) bool {
	return slices.ContainsFunc(s.asks, func(p string) bool { return strings.HasSuffix(p, "."+field) })
}

// effect is what one step does to records of one kind.
type effect struct {
	engine.Touch
	rule    *ruleSummary
	step    *stepSummary
	deleted bool // in the steps of a deleted entity
	// typ is the entityTypeId or the list's id, 0 when it is not known.
	typ int
	// of is a text that is equal for equal types or lists, "" when it is not known.
	of string

	// at is the place of what names the records, whichAt of what selects them, fieldsAt of
	// what is written.
	at, whichAt, fieldsAt place
	conflictFacts
	cycleFacts
}

// conflictFacts say which records a step writes and what.
type conflictFacts struct {
	// key tells the records from others: one text, or the names and values of fields. An
	// unknown text is "".
	key       string
	keyFields namedTexts
	// values are the fields that are written. rows, if setsRows, are all product rows of
	// the item.
	values   namedTexts
	setsRows bool
	rows     string
	// ownLoop says that for_each goes over records of the kind that is written.
	ownLoop bool
}

// namedText is a field with a text that is equal for equal values, "" when that is not known.
type namedText struct{ name, text string }

func byName(x namedText, name string) int { return strings.Compare(x.name, name) }

// namedTexts are sorted by name.
type namedTexts []namedText

// text returns the text of a field.
func (t namedTexts) text(name string) (string, bool) {
	i, ok := slices.BinarySearchFunc(t, name, byName)
	if !ok {
		return "", false
	}
	return t[i].text, true
}

// cycleFacts say whether a step writes again when the events of its writes arrive.
type cycleFacts struct {
	// grows says that it adds new items in every run.
	grows bool
	// again says why an update writes again in a second pass; empty when it does not.
	again diag.Phrase
	// passive says that what it writes depends only on the file and its inputs.
	passive bool
	// blame is the place of what makes a cycle continue.
	blame place
	// fields are the fields that are written.
	fields []field
}

// field is a field that a step writes.
type field struct {
	name string // "" when only a run knows it
	at   place  // of its value
	// reads are the fields of other records that the value depends on.
	reads []readOf
	value selfApplied
}

// readOf is a field of records of a kind that a step has read. With whole records, name is "".
type readOf struct{ of, name string }

// readsField reports whether the value depends on a field of the records that before writes.
// No path shows fields of a list's elements, so readsField searches the formula for them.
func (x *field) readsField(before *effect, name string) bool {
	return slices.ContainsFunc(x.reads, func(r readOf) bool {
		return r.of == before.of && (r.name == name || r.name == "" && x.value.mentions(name))
	})
}

// effectOf summarizes what a step of the rule writes.
func (f *flow) effectOf(a *access, rule *ruleSummary, step *stepSummary) *effect {
	e := &effect{Touch: a.Touch, rule: rule, step: step, deleted: a.deleted, typ: a.typ, of: a.of}
	file := f.rule.Set.Source
	e.at = placeOf(file, a.node())
	if a.Kind != engine.TouchElements {
		e.cycleFacts = f.cycleFacts(e, a)
	}
	if a.of != "" && a.Which != "" {
		e.whichAt, e.fieldsAt = placeOf(file, a.argNode(a.Which)), placeOf(file, a.argNode(a.written()))
		e.conflictFacts = f.conflictFacts(a)
	}
	return e
}

func (f *flow) conflictFacts(a *access) conflictFacts {
	var out conflictFacts
	entries, value := a.step.Types.Part(a.Which)
	if entries == nil {
		out.key = textOf(a.rule, value, nil)
	}
	out.keyFields = a.texts(entries)
	if a.Kind != engine.TouchItems || !a.Updates {
		return out
	}
	out.values = a.texts(a.entries(a.Fields))
	if rows := a.rows(); rows != nil {
		out.setsRows, out.rows = true, textOf(a.rule, rows, nil)
	}
	a.step.ForEach.Paths(func(p string) {
		s := f.Fetched[engine.PathPrefix(p, 1)]
		out.ownLoop = out.ownLoop || s != nil && f.reads(s, a.of)
	})
	return out
}

func (f *flow) cycleFacts(e *effect, a *access) cycleFacts {
	out := cycleFacts{grows: a.Adds && f.grows(a), passive: true, blame: e.at}
	var unstable diag.Phrase // why the first unstable field is one
	for _, entry := range a.entries(a.Fields) {
		v := entry.Value
		out.passive = out.passive && !f.depends(v)
		x := field{name: a.fieldName(entry), reads: f.readsOf(v)}
		if len(x.reads) > 0 {
			x.at, x.value = placeOf(v.File, v.Node), f.selfApplied(v)
		}
		if unstable.Empty() {
			if unstable = f.unstable(e, a, &x, v); !unstable.Empty() {
				out.blame = placeOf(v.File, v.Node)
			}
		}
		out.fields = append(out.fields, x)
	}
	if a.Updates {
		out.again = f.writesAgain(a, unstable)
	}
	return out
}

// ops lists the operations of the events that the effect may cause.
func (e *effect) ops() []string {
	var out []string
	if e.Updates { // first, because the second pass of an upsert updates
		out = append(out, schemas.OpUpdate)
	}
	if e.Adds {
		out = append(out, schemas.OpAdd)
	}
	if e.Deletes {
		out = append(out, schemas.OpDelete)
	}
	return out
}

// keepsGoing says why the effect writes again when the event of that write arrives.
// The phrase is empty when it finds nothing to write.
func (e *effect) keepsGoing(op string) diag.Phrase {
	switch {
	case op == schemas.OpDelete:
		return diag.Phrase{} // no record is deleted twice
	case op == schemas.OpAdd && e.Which == "":
		return diag.Phrasef("the step adds an item without checking whether it exists")
	case op == schemas.OpAdd:
		return diag.Phrase{} // the second pass finds it by its key
	}
	return e.again
}

// passesOn reports whether the values of e depend on what before wrote. changed is a
// value that differs from the field that it reads even in a second pass. It is nil
// when each value repeats what it reads.
func (e *effect) passesOn(before *effect) (depends bool, changed *place) {
	if e.step.remembers {
		return false, nil
	}
	for i := range e.fields {
		x := &e.fields[i]
		for _, w := range before.fields {
			if w.name == "" || !x.readsField(before, w.name) {
				continue
			}
			if e.step.reads(w.name) {
				return false, nil
			}
			depends = true
			if changed == nil && !x.value.repeats(w.name) {
				changed = &x.at
			}
		}
	}
	return depends, changed
}
