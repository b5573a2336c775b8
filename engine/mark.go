package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/engine/num"
)

// MarkKind says how a step finds what it has made.
type MarkKind string

// The kinds of marks.
const (
	MarkElements MarkKind = "elements" // of a list, by a code of the owner, the scope and the key
	MarkItems    MarkKind = "items"    // by fields of the item
	MarkFields   MarkKind = "fields"   // the step only updates records: it makes none
)

// A Mark is what one step of a rule may make in one place of one portal. Steps with the
// same Kind, Place and Identity find the records of each other.
type Mark struct {
	Rule string // the rule's id
	Step string // the step's Key
	Kind MarkKind
	// Place is the list or the type of items, as PlaceOfList and PlaceOfItems return it;
	// "" if only a run knows it.
	Place string
	// Identity is a digest of what tells the records of the step from others.
	Identity string
	// Owner, Scope and Key are the parts of the identity for people. Owner is "" for items.
	Owner, Scope, Key string
	// ScopeNames are the names of the scope's fields, as the file has them. AnyScope says that
	// some are only known to a run.
	ScopeNames []string
	AnyScope   bool
	// Was is the Identity that the step had before its key or scope was changed, "" if old_key
	// and old_scope do not say so. The step finds the records of both.
	Was string
	// Fields are the names of the fields that the step writes, as the file has them.
	Fields []string
	// Version is that of the rule file.
	Version string
	Pos     Pos // of the step
}

// PlaceOfList names a list as a place.
func PlaceOfList(id int) string { return fmt.Sprintf("list:%d", id) }

// PlaceOfItems names a type of items as a place.
func PlaceOfItems(entityTypeID int) string { return fmt.Sprintf("item:%d", entityTypeID) }

// A Made says what a step has done with one record.
type Made struct {
	Mark Mark
	ID   int
	What MadeWhat
}

// MadeWhat says what a step has done with a record.
type MadeWhat uint8

// What a step does with a record.
const (
	MadeKept    MadeWhat = iota // found it as it should be
	MadeWritten                 // added or updated it
	MadeDeleted                 // deleted it
)

// Marks returns the marks of the steps of a rule, with the inputs of a portal.
func (r *Rule) Marks(inputs map[string]any) []Mark {
	var out []Mark
	for _, s := range r.AllSteps() {
		if m, ok := r.MarkOf(s, inputs); ok {
			out = append(out, m)
		}
	}
	return out
}

// MarkOf returns the mark of a step. ok is false if the step neither adds nor updates
// records that it finds again.
func (r *Rule) MarkOf(s *Step, inputs map[string]any) (m Mark, ok bool) {
	for _, t := range s.Touches() {
		if t.Reads || !t.Compares || !t.Adds && !t.Updates || t.Kind != TouchItems && t.Kind != TouchElements {
			continue
		}
		c := &canon{rule: r, inputs: inputs, names: NewOrigins(r).Computed}
		m = Mark{Rule: r.ID, Step: s.Key, Kind: MarkFields, Version: r.Set.Version, Pos: s.Pos}
		if m.Fields = c.namesOf(s, t.Fields); t.Key != "" {
			m.Fields = append(m.Fields, c.namesOf(s, t.Key)...)
		}
		m.Place = c.place(s, t)
		if t.Adds {
			c.identify(&m, s, t)
		}
		return m, true
	}
	return m, false
}

// identify sets what tells the records of a step from others.
func (c *canon) identify(m *Mark, s *Step, t Touch) {
	m.Kind = MarkItems
	if t.Kind == TouchElements {
		m.Kind, m.Owner = MarkElements, c.rule.Owner
	}
	scope, source := c.given(s, "scope")
	m.Scope = source
	key, source := c.given(s, "key")
	m.Key = source
	m.Identity = identityOf(m, scope, key)
	if entries, _ := s.Types.Part("scope"); s.Types.Given("scope") {
		m.ScopeNames = c.namesOf(s, "scope")
		m.AnyScope = len(entries) == 0 || len(m.ScopeNames) < len(entries)
	}
	if s.Types.Given("old_scope") || s.Types.Given("old_key") {
		if s.Types.Given("old_scope") {
			scope, _ = c.given(s, "old_scope")
		}
		if s.Types.Given("old_key") {
			key, _ = c.given(s, "old_key")
		}
		m.Was = identityOf(m, scope, key)
	}
}

// given is argument, with empty texts for one that the file does not give.
func (c *canon) given(s *Step, arg string) (text, source string) {
	if !s.Types.Given(arg) {
		return "", ""
	}
	return c.argument(s, arg)
}

func identityOf(m *Mark, scope, key string) string {
	h := sha256.New()
	for _, p := range []string{string(m.Kind), m.Owner, scope, key} {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return IdentityForm + hex.EncodeToString(h.Sum(nil)[:9])
}

// IdentityForm starts every Identity. It changes with the form of the texts of which the
// digest is made: identities of different forms cannot be compared.
const IdentityForm = "1-"

// Finds reports whether a step with the mark m finds the records that were made under the
// mark old. Otherwise it would make them again.
func (m Mark) Finds(old Mark) bool {
	if m.Kind != old.Kind || m.Place != "" && m.Place != old.Place {
		return false
	}
	if m.Identity == old.Identity || m.Was != "" && m.Was == old.Identity {
		return true
	}
	// Another version of the program has made the digest of the same text.
	return !strings.HasPrefix(old.Identity, IdentityForm) && m.Rule == old.Rule && m.Step == old.Step && m.Version == old.Version
}

// canon writes values of a rule as texts that are equal for equal values.
type canon struct {
	rule   *Rule
	inputs map[string]any
	names  map[string]*Value // the computed values
	open   []string          // the names that are being written
	spent  int               // names replaced so far
}

// place returns the place that a step writes to, "" if only a run knows it.
func (c *canon) place(s *Step, t Touch) string {
	id := t.Type
	if a := s.Types.Arg(t.Of); id == 0 && a != nil {
		switch v, _ := c.rule.Fixed(a.Value, c.inputs); x := v.(type) {
		case num.Num:
			n, _ := x.Int64()
			id = int(n)
		case string:
			id = OwnerTypeID(x)
		}
	}
	switch {
	case id == 0:
		return ""
	case t.Kind == TouchElements:
		return PlaceOfList(id)
	}
	return PlaceOfItems(id)
}

// namesOf returns the names in an argument that is a mapping.
func (c *canon) namesOf(s *Step, arg string) []string {
	entries, _ := s.Types.Part(arg)
	var out []string
	for _, e := range entries {
		if name, ok := c.rule.Fixed(e.Key, c.inputs); ok {
			out = append(out, fmt.Sprint(name))
		}
	}
	return out
}

// argument returns the canonical text of an argument, and its text in the file.
func (c *canon) argument(s *Step, arg string) (text, source string) {
	a := s.Types.Arg(arg)
	if a.Fields != nil {
		return c.fields(a.Fields)
	}
	if a.Value != nil && a.Value.Record != nil {
		return c.fields(a.Value.Record)
	}
	return c.text(a.Value), sourceOf(a.Value)
}

// fields writes a mapping. The order of its names does not matter.
func (c *canon) fields(f *FieldsValue) (text, source string) {
	var texts, sources []string
	for _, e := range f.Entries {
		texts = append(texts, c.text(e.Key)+": "+c.text(e.Value))
		sources = append(sources, sourceOf(e.Key)+": "+sourceOf(e.Value))
	}
	slices.Sort(texts)
	return strings.Join(texts, ", "), "{" + strings.Join(sources, ", ") + "}"
}

// sourceOf is the text of a value in the file.
func sourceOf(v *Value) string {
	if v == nil || v.Node == nil {
		return ""
	}
	return strings.Join(strings.Fields(v.Node.Value), " ")
}

// text writes a value. Computed names, constants and inputs are replaced by what they are, so a
// value that gets a name, or another one, has the same text.
func (c *canon) text(v *Value) string {
	if v == nil {
		return ""
	}
	if x, ok := c.rule.Fixed(v, c.inputs); ok {
		return literal(x)
	}
	switch {
	case v.Formula != nil:
		return c.expand(strings.Join(v.Formula.Conjuncts(), " && "))
	case v.Template != nil:
		var b strings.Builder
		for i, part := range strings.Split(v.Node.Value, "{{") {
			source, rest, ok := strings.Cut(part, "}}")
			if i == 0 || !ok {
				b.WriteString(strconv.Quote(part))
				continue
			}
			b.WriteString("{{" + c.expand(strings.Join(strings.Fields(source), " ")) + "}}" + strconv.Quote(rest))
		}
		return b.String()
	case v.Record != nil:
		text, _ := c.fields(v.Record)
		return "{" + text + "}"
	}
	texts := make([]string, len(v.List))
	for i, e := range v.List {
		texts[i] = c.text(e)
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

// literal writes a constant as formulas do.
func literal(x any) string {
	if s, ok := x.(string); ok {
		return strconv.Quote(s)
	}
	return fmt.Sprint(x)
}

// word matches the parts of a formula's text: a text, or a name with the name after it.
var word = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|'[^']*'|[\p{L}_][\p{L}\p{N}_]*(?:\["[^"]*"\]|\.[\p{L}_][\p{L}\p{N}_.]*)?|\.[\p{L}_][\p{L}\p{N}_.]*`)

// expand replaces names in the text of a formula.
func (c *canon) expand(text string) string {
	return word.ReplaceAllStringFunc(text, func(w string) string {
		name := strings.TrimRight(strings.NewReplacer(`["`, ".", `"]`, "").Replace(w), ".")
		space, rest, _ := strings.Cut(name, ".")
		switch space {
		case NameInputs:
			if x, ok := c.inputs[rest]; ok && !c.rule.Set.SecretInputs()[rest] {
				return literal(x)
			}
		case NameVars:
			for _, v := range c.rule.Set.Vars {
				if v.Name == rest {
					return c.inside(name, v.Value, w)
				}
			}
		case "":
		default:
			if of := c.names[space]; of != nil {
				return c.inside(space, of, space) + w[len(space):]
			}
		}
		return w
	})
}

// maxExpanded bounds the names that are replaced in one identity.
const maxExpanded = 500

// inside writes the value of a name, or the name itself if it is a part of that value.
func (c *canon) inside(name string, v *Value, itself string) string {
	if c.spent++; slices.Contains(c.open, name) || c.spent > maxExpanded {
		return itself
	}
	c.open = append(c.open, name)
	defer func() { c.open = c.open[:len(c.open)-1] }()
	return c.text(v)
}
