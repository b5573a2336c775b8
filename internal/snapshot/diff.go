package snapshot

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Change is one difference between two snapshots of a portal.
type Change struct {
	// Kind is added, removed or changed.
	Kind string `json:"kind"`
	// Where is what has the difference: deals, list 47 (Shipments), portal.
	Where string `json:"where"`
	// Text says what is different.
	Text string `json:"text"`
}

func (c Change) String() string { return fmt.Sprintf("%-8s %s: %s", c.Kind, c.Where, c.Text) }

// The kinds of changes.
const (
	Added   = "added"
	Removed = "removed"
	Changed = "changed"
)

// Diff lists what has changed between two snapshots, in the order of the file. What one of
// them does not know is not compared.
func Diff(before, after *Snapshot) []Change {
	before.sortAll()
	after.sortAll()
	d := &differ{before: before, after: after}
	d.unread()
	if d.both(PartScopes) {
		d.words("portal", "permission", before.Scopes, after.Scopes)
	}
	if d.both(PartCurrencies) {
		d.words("portal", "currency", before.Currencies, after.Currencies)
	}
	if d.both(PartDirectories) {
		d.directories()
	}
	if d.both(PartTypes) {
		d.types()
	}
	d.lists()
	return d.changes
}

type differ struct {
	before, after *Snapshot
	changes       []Change
}

func (d *differ) both(part string) bool { return d.before.Knows(part) && d.after.Knows(part) }

func (d *differ) add(kind, where, format string, args ...any) {
	d.changes = append(d.changes, Change{kind, where, fmt.Sprintf(format, args...)})
}

// unread reports what only one of the snapshots could read.
func (d *differ) unread() {
	for _, part := range slices.Sorted(maps.Keys(d.after.Unread)) {
		if d.before.Knows(part) {
			d.add(Changed, "portal", "%s cannot be read any more: %s", part, d.after.Unread[part])
		}
	}
	for _, part := range slices.Sorted(maps.Keys(d.before.Unread)) {
		if d.after.Knows(part) {
			d.add(Changed, "portal", "%s can be read now", part)
		}
	}
}

// words compares lists of words.
func (d *differ) words(where, what string, before, after []string) {
	for _, w := range before {
		if !slices.Contains(after, w) {
			d.add(Removed, where, "%s %s", what, w)
		}
	}
	for _, w := range after {
		if !slices.Contains(before, w) {
			d.add(Added, where, "%s %s", what, w)
		}
	}
}

// merge compares two lists by the keys of their elements.
func merge[K cmp.Ordered, T any](before, after []T, key func(T) K, removed, added func(T), both func(a, b T)) {
	at := map[K]int{}
	for i, x := range after {
		at[key(x)] = i
	}
	seen := map[K]bool{}
	for _, x := range before {
		seen[key(x)] = true
		if i, there := at[key(x)]; there {
			both(x, after[i])
		} else {
			removed(x)
		}
	}
	for _, x := range after {
		if !seen[key(x)] {
			added(x)
		}
	}
}

// named is a name with its title.
func named(name, title string) string {
	if title == "" || title == name {
		return name
	}
	return name + " (" + title + ")"
}

// choices compares what a field or a directory can hold.
func (d *differ) choices(where, what string, before, after []Choice) {
	merge(before, after, func(c Choice) string { return c.ID },
		func(c Choice) { d.add(Removed, where, "%s %s", what, named(c.ID, c.Title)) },
		func(c Choice) { d.add(Added, where, "%s %s", what, named(c.ID, c.Title)) },
		func(a, b Choice) {
			d.text(where, what+" "+a.ID, "title", a.Title, b.Title)
			d.text(where, what+" "+a.ID, "meaning", a.Semantics, b.Semantics)
		})
}

// text compares one attribute.
func (d *differ) text(where, what, attribute, before, after string) {
	if before != after {
		d.add(Changed, where, "%s: %s %q is now %q", what, attribute, before, after)
	}
}

func (d *differ) flag(where, what, attribute string, before, after bool) {
	switch {
	case before && !after:
		d.add(Changed, where, "%s: no longer %s", what, attribute)
	case !before && after:
		d.add(Changed, where, "%s: now %s", what, attribute)
	}
}

// directories compares the entries of directories. A directory that only one of the two has
// belongs to a pipeline or a type, which is reported itself.
func (d *differ) directories() {
	for _, name := range d.before.directoryNames() {
		if after, there := d.after.Directories[name]; there {
			what := "entry"
			if strings.Contains(name, "STAGE") || name == "STATUS" {
				what = "stage"
			}
			d.choices("directory "+name, what, d.before.Directories[name], after)
		}
	}
}

func (d *differ) types() {
	known := func(types []Type) []Type {
		return slices.DeleteFunc(slices.Clone(types), func(t Type) bool { return !d.both(PartType(t.ID)) })
	}
	merge(known(d.before.Types), known(d.after.Types), func(t Type) int { return t.ID },
		func(t Type) { d.add(Removed, "portal", "%s", t.Name()) },
		func(t Type) { d.add(Added, "portal", "%s", t.Name()) },
		func(a, b Type) {
			where := a.Name()
			d.text(where, "the type", "title", a.Title, b.Title)
			d.flag(where, "the type", "with product rows", a.Products, b.Products)
			if d.both(PartPipelines(a.ID)) {
				merge(a.Pipelines, b.Pipelines, func(p Pipeline) int { return p.ID },
					func(p Pipeline) { d.add(Removed, where, "pipeline %s", named(fmt.Sprint(p.ID), p.Title)) },
					func(p Pipeline) { d.add(Added, where, "pipeline %s", named(fmt.Sprint(p.ID), p.Title)) },
					func(x, y Pipeline) { d.text(where, fmt.Sprintf("pipeline %d", x.ID), "title", x.Title, y.Title) })
			}
			merge(a.Fields, b.Fields, func(f Field) string { return f.Name },
				func(f Field) { d.add(Removed, where, "field %s", named(f.Name, f.Title)) },
				func(f Field) { d.add(Added, where, "field %s", named(f.Name, f.Title)) },
				func(x, y Field) { d.field(where, x, y) })
		})
}

func (d *differ) field(where string, a, b Field) {
	what := "field " + a.Name
	d.text(where, what, "title", a.Title, b.Title)
	d.text(where, what, "stored name", a.Stored, b.Stored)
	d.text(where, what, "type", a.Type, b.Type)
	d.text(where, what, "directory", a.Directory, b.Directory)
	d.flag(where, what, "multiple", a.Multiple, b.Multiple)
	d.flag(where, what, "required", a.Required, b.Required)
	d.flag(where, what, "read-only", a.ReadOnly, b.ReadOnly)
	d.flag(where, what, "immutable", a.Immutable, b.Immutable)
	d.text(where, what, "digits", digits(a.Digits), digits(b.Digits))
	d.choices(where, what+": choice", a.Choices, b.Choices)
}

func digits(n *int) string {
	if n == nil {
		return ""
	}
	return fmt.Sprint(*n)
}

func (d *differ) lists() {
	known := func(lists []List) []List {
		return slices.DeleteFunc(slices.Clone(lists), func(l List) bool {
			return !d.before.KnowsLists(l.Type) || !d.after.KnowsLists(l.Type) || !d.both(PartList(l.ID))
		})
	}
	merge(known(d.before.Lists), known(d.after.Lists), func(l List) string { return l.Type + " " + fmt.Sprint(l.ID) },
		func(l List) { d.add(Removed, "portal", "%s", l.name()) },
		func(l List) { d.add(Added, "portal", "%s", l.name()) },
		func(a, b List) {
			where := a.name()
			d.text(where, "the list", "title", a.Title, b.Title)
			d.text(where, "the list", "code", a.Code, b.Code)
			merge(a.Properties, b.Properties, func(p Property) string { return p.ID },
				func(p Property) { d.add(Removed, where, "property %s", named(cmp.Or(p.Code, p.ID), p.Title)) },
				func(p Property) { d.add(Added, where, "property %s", named(cmp.Or(p.Code, p.ID), p.Title)) },
				func(x, y Property) {
					what := "property " + cmp.Or(x.Code, x.ID)
					d.text(where, what, "code", x.Code, y.Code)
					d.text(where, what, "title", x.Title, y.Title)
					d.text(where, what, "type", x.Type, y.Type)
					d.flag(where, what, "multiple", x.Multiple, y.Multiple)
					d.flag(where, what, "required", x.Required, y.Required)
					d.choices(where, what+": choice", x.Choices, y.Choices)
				})
		})
}

func (l *List) name() string { return fmt.Sprintf("list %d (%s)", l.ID, l.Title) }
