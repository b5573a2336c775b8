package export

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/internal/ruletest/compare"
	"github.com/b24rules/b24rules/internal/ruletest/testfile"
)

// masks replaces names and texts. A nil *masks replaces nothing.
type masks struct {
	texts map[string]string
	codes map[string]string // codes of elements
	// prefixes of codes, for elements whose rows do not exist any more.
	prefixes map[string]string
	replacer *strings.Replacer
	remover  *strings.Replacer // removes the texts
}

// value masks the texts in a value.
func (m *masks) value(v any) any {
	if m == nil {
		return v
	}
	switch x := v.(type) {
	case string:
		return m.text(x)
	case []any:
		out := make([]any, len(x))
		for i, e := range x {
			out[i] = m.value(e)
		}
		return out
	case map[string]any:
		return m.values(x)
	}
	return v
}

func (m *masks) values(fields map[string]any) map[string]any {
	if m == nil {
		return fields
	}
	out := make(map[string]any, len(fields))
	for name, v := range fields {
		out[name] = m.value(v)
	}
	return out
}

// text masks a text: as a whole, or the known texts in it.
func (m *masks) text(s string) string {
	if t, ok := m.texts[s]; ok {
		return t
	}
	return m.replacer.Replace(s)
}

// code returns the code of an element whose key is masked.
func (m *masks) code(code string) string {
	if m == nil {
		return code
	}
	if c, ok := m.codes[code]; ok {
		return c
	}
	for from, to := range m.prefixes {
		if rest, ok := strings.CutPrefix(code, from); ok {
			return to + rest
		}
	}
	return code
}

// masker finds the texts that can identify people or products.
type masker struct {
	w      *recording
	texts  map[string]string
	counts map[string]int
	keep   map[string]bool // list options
	words  map[string]bool // words of the rule file
}

var (
	looksLikeCode = regexp.MustCompile(`^[A-Z0-9_:.\-]+$`)
	looksLikeDate = regexp.MustCompile(`^\d{1,4}[-./]\d{1,2}[-./]\d{1,4}([T ].*)?$`)
	looksLikeSum  = regexp.MustCompile(`^-?\d+(\.\d+)?\|[A-Z]{3}$`)
	looksLikeTel  = regexp.MustCompile(`^\+?[\d\s()\-]{7,}$`)
)

// isSensitive reports whether a text can identify a person or a product. A word in
// capitals is a code unless it is a name.
func (k *masker) isSensitive(s string, isName bool) bool {
	if k.keep[s] || k.quoted(s) {
		return false
	}
	if isName {
		return strings.IndexFunc(s, unicode.IsLetter) >= 0
	}
	if looksLikeDate.MatchString(s) || looksLikeSum.MatchString(s) || looksLikeCode.MatchString(s) && !looksLikeTel.MatchString(s) {
		return false
	}
	if looksLikeTel.MatchString(s) {
		return strings.ContainsAny(s, "+ ()-")
	}
	return strings.IndexFunc(s, unicode.IsLetter) >= 0
}

// quoted reports whether the rule compares with the text.
func (k *masker) quoted(s string) bool {
	return strings.Contains(k.w.ruleText, `"`+s+`"`) || strings.Contains(k.w.ruleText, `'`+s+`'`)
}

// name assigns a mask to a name.
func (k *masker) name(what string, v any) {
	if s, ok := v.(string); ok && k.isSensitive(s, true) {
		k.assign(what, s)
	}
}

// isRuleText reports whether a text consists only of masked names and words of the rule,
// such as "Tile × 3" or "Invoice 5". Such a text must not be masked as a whole, because
// the rule would not produce the mask.
func (k *masker) isRuleText(s string, names *masks) bool {
	if looksLikeTel.MatchString(s) {
		return false
	}
	for _, word := range wordsOf(names.remover.Replace(s)) {
		if !k.words[word] {
			return false
		}
	}
	return true
}

func wordsOf(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) })
}

// text assigns masks to the texts in a value, except to texts of the rule.
func (k *masker) text(what string, v any, names *masks) {
	switch x := v.(type) {
	case string:
		if k.isSensitive(x, false) && !k.isRuleText(x, names) {
			k.assign(what, x)
		}
	case []any:
		for _, e := range x {
			k.text(what, e, names)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(x)) {
			k.text(what, x[name], names)
		}
	}
}

func (k *masker) assign(what, s string) {
	if _, known := k.texts[s]; !known {
		k.counts[what]++
		k.texts[s] = fmt.Sprintf("%s %d", what, k.counts[what])
	}
}

// mask masks all texts. If same is true, the current rule makes the recorded calls; then
// the test expects its calls with the masked texts. Otherwise the test expects the masked
// recorded calls.
func (x *exporter) mask(ctx context.Context, same bool) error {
	w := x.rec
	k := &masker{w: w, texts: map[string]string{}, counts: map[string]int{}, keep: map[string]bool{}, words: map[string]bool{}}
	for _, described := range []map[string][]history.FieldRecord{w.run.Record.Types, w.run.Record.Lists} {
		for _, fields := range described {
			for _, f := range fields {
				for _, option := range f.Enum {
					k.keep[option] = true
				}
			}
		}
	}
	for _, word := range wordsOf(w.ruleText) {
		k.words[word] = true
	}
	w.eachItem(func(_ int, item *recordedItem) {
		for _, r := range item.rows {
			k.name("Product", r["productName"])
		}
	})
	w.eachItem(func(typ int, item *recordedItem) {
		if typ == w.run.Entity.TypeID {
			k.name("Title", item.fields["title"])
		}
	})
	plain := newMasks(maps.Clone(k.texts))
	w.eachItem(func(_ int, item *recordedItem) {
		k.text("Title", item.fields["title"], plain)
		for _, name := range slices.Sorted(maps.Keys(item.fields)) {
			k.text("Text", item.fields[name], plain)
		}
		for _, r := range item.rows {
			for _, name := range slices.Sorted(maps.Keys(r)) {
				k.text("Text", r[name], plain)
			}
		}
	})
	for _, id := range slices.Sorted(maps.Keys(w.elements)) {
		for _, e := range w.elements[id] {
			for _, name := range slices.Sorted(maps.Keys(e.values)) {
				k.text("Text", e.values[name], plain)
			}
		}
	}
	k.text("Text", w.answers, plain)
	for name, v := range w.run.Data {
		if name != "FIELDS" {
			k.text("Text", v, plain)
		}
	}
	m := newMasks(k.texts)
	if err := x.maskCodes(ctx, m); err != nil {
		return err
	}
	x.text.masks = m
	return x.expectMasked(ctx, same)
}

// newMasks returns masks that replace the longest texts first.
func newMasks(texts map[string]string) *masks {
	var replaced, removed []string
	for _, t := range longestFirst(texts) {
		replaced = append(replaced, t, texts[t])
		removed = append(removed, t, " ")
	}
	return &masks{
		texts: texts, codes: map[string]string{}, prefixes: map[string]string{},
		replacer: strings.NewReplacer(replaced...), remover: strings.NewReplacer(removed...),
	}
}

// longestFirst returns the texts that can be replaced inside other texts.
func longestFirst(texts map[string]string) []string {
	var out []string
	for t := range texts {
		if utf8.RuneCountInString(t) > 1 {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	return out
}

// bare returns the same run without the records that the rule writes: no elements, and
// only items of the run's own type.
func (x *exporter) bare(m *masks) *exporter {
	rec := *x.rec
	rec.elements, rec.refuse = nil, nil
	rec.items = map[int]map[int64]*recordedItem{}
	if own, ok := x.rec.items[x.rec.run.Entity.TypeID]; ok {
		rec.items[x.rec.run.Entity.TypeID] = own
	}
	return &exporter{rec: &rec, text: &testText{rec: &rec, masks: m}}
}

// maskCodes finds the codes of elements whose keys are masked. A run that finds no elements
// adds all of them in the order of the rows.
func (x *exporter) maskCodes(ctx context.Context, m *masks) error {
	if len(x.rec.elements) == 0 {
		return nil
	}
	codes := func(masked *masks) (out []string, err error) {
		a, err := x.bare(masked).playAgain(ctx)
		for _, c := range a.made {
			if strings.EqualFold(c.Method, "lists.element.add") {
				out = append(out, compare.Text(c.Params["ELEMENT_CODE"]))
			}
		}
		return out, err
	}
	before, err := codes(nil)
	if err != nil {
		return err
	}
	after, err := codes(m)
	if err != nil || len(before) != len(after) {
		return err
	}
	for i, code := range before {
		m.codes[code] = after[i]
		if a, b := strings.LastIndexByte(code, '-'), strings.LastIndexByte(after[i], '-'); a > 0 && b > 0 {
			m.prefixes[code[:a+1]] = after[i][:b+1]
		}
	}
	return nil
}

// expectMasked sets the expected calls for the masked data.
func (x *exporter) expectMasked(ctx context.Context, same bool) error {
	if !same || x.rec.incomplete {
		return nil // the recorded calls are masked when they are written
	}
	a, err := x.playAgain(ctx)
	if err != nil {
		return err
	}
	var made []testfile.Call
	for _, c := range a.made {
		made = append(made, a.trial.Expected(c))
	}
	recorded := x.text.calls
	sameShape := len(made) == len(recorded)
	for i := 0; sameShape && i < len(made); i++ {
		sameShape = strings.EqualFold(made[i].Method, recorded[i].Method)
	}
	if !sameShape {
		x.rec.warn("with masked names the rule makes other calls (use --keep-names to turn masking off)")
		return nil
	}
	x.text.calls, x.text.callsAreMasked = made, true
	return nil
}
