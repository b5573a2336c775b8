package rules

import (
	"slices"
	"strings"
	"unicode"
)

// fillers are words that say nothing about a rule set.
var fillers = strings.Fields("a an and are at by for from how i if in is it my not of on or the to when with " +
	"без в во для до если за и из или к как когда ко мне на не о об от по при с со то у что")

// Search returns the rule sets that have all words in their name, a title or their words. If
// none has, all is false, and it returns those that have the most of them, but at least half.
// Case, endings and words such as "when" do not matter. Without words it returns all.
func Search(words []string) (sets []Set, all bool) {
	asked := split(fold(strings.Join(words, " ")))
	asked = slices.DeleteFunc(asked, func(w string) bool { return len(asked) > 1 && slices.Contains(fillers, w) })
	most := (len(asked) + 1) / 2
	for _, s := range Catalogue() {
		found := s.count(asked)
		if found < most {
			continue
		}
		if found > most {
			sets, most = nil, found
		}
		sets = append(sets, s)
	}
	return sets, most == len(asked) && len(sets) > 0
}

// count returns how many of the words the rule set has.
func (s Set) count(words []string) int {
	_, title, _ := strings.Cut(string(s.Rules), "\ntitle: ")
	title, _, _ = strings.Cut(title, "\n")
	text := fold(strings.Join([]string{s.Name, title, s.Russian, s.words}, " "))
	known := append(split(text), split(strings.ReplaceAll(text, "-", " "))...)
	n := 0
	for _, w := range words {
		if slices.ContainsFunc(known, func(k string) bool { return strings.HasPrefix(k, w) || similar([]rune(w), []rune(k)) }) {
			n++
		}
	}
	return n
}

// fold removes differences that people do not type: case, and the dots of ё.
func fold(text string) string { return strings.ReplaceAll(strings.ToLower(text), "ё", "е") }

// split returns the words of a text. A name such as won-invoice is one word, and so is +7.
func split(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '-' && r != '+'
	})
}

// maxEnding is the length of the longest ending in which two forms of a word may differ.
const maxEnding = 3

// similar says whether two words look like forms of one, such as лид and лидов, or счета and счету.
func similar(a, b []rune) bool {
	same := 0
	for same < len(a) && same < len(b) && a[same] == b[same] {
		same++
	}
	short, long := min(len(a), len(b)), max(len(a), len(b))
	return same >= 3 && long-same <= maxEnding && (same == short || 3*same >= 2*long)
}
