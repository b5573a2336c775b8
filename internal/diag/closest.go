package diag

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// longestWord bounds the work of Closest: a name longer than this is no typo.
const longestWord = 64

// Closest returns the candidate that word was probably meant to be, for a
// "did you mean", or "" when nothing is near. A candidate that differs only in
// case, in dashes and underscores, or in letters of another alphabet that look
// the same, wins; then the one at the smallest edit
// distance (an exchange of neighbours is one edit) if that is at most a third
// of the longer word. Among equals the first candidate wins.
func Closest(word string, candidates []string) string {
	if word == "" || utf8.RuneCountInString(word) > longestWord {
		return ""
	}
	for _, fold := range []func(string) string{strings.ToLower, bare, latin} {
		folded := fold(word)
		for _, c := range candidates {
			if c != "" && fold(c) == folded {
				return c
			}
		}
	}
	lower := []rune(strings.ToLower(word))
	best, nearest := "", longestWord
	for _, c := range candidates {
		other := []rune(strings.ToLower(c))
		limit := max(len(lower), len(other)) / 3
		if len(other) > longestWord || len(other)-len(lower) > limit || len(lower)-len(other) > limit {
			continue
		}
		if d := distance(lower, other); d <= limit && d < nearest {
			best, nearest = c, d
		}
	}
	return best
}

// mostNames is how many names a hint lists at most.
const mostNames = 8

// Suggest sets the hint about a word that is none of the names: the name that it
// was probably meant to be, or all names when they are few. It returns f.
func (f *Finding) Suggest(word string, names []string) *Finding {
	if near := Closest(word, names); near != "" {
		return f.Hintf("did you mean %s?%s", near, Lookalike(word, near))
	}
	if len(names) > mostNames {
		return f
	}
	return f.Hintf("use one of %s", strings.Join(names, ", "))
}

// cyrillic letters look like these Latin ones; a keyboard that was left in the
// other layout gives them unseen.
var cyrillic = strings.NewReplacer(
	"а", "a", "в", "b", "е", "e", "к", "k", "м", "m", "н", "h", "о", "o", "р", "p", "с", "c", "т", "t", "у", "y", "х", "x", "і", "i",
)

func latin(s string) string { return cyrillic.Replace(strings.ToLower(s)) }

// Lookalike completes a "did you mean near?" about a word that looks the same:
// it names the letters of word that are Cyrillic where near's are Latin, with a
// space before it; "" when there are none.
func Lookalike(word, near string) string {
	a, b := []rune(strings.ToLower(word)), []rune(strings.ToLower(near))
	if latin(word) != strings.ToLower(near) {
		return ""
	}
	var letters []string
	for i, r := range []rune(word) {
		if a[i] != b[i] && !slices.Contains(letters, string(r)) {
			letters = append(letters, string(r))
		}
	}
	if len(letters) == 0 {
		return ""
	}
	return " The " + strings.Join(letters, ", ") + " here is Cyrillic"
}

var joints = strings.NewReplacer("_", "", "-", "")

func bare(s string) string { return strings.ToLower(joints.Replace(s)) }

// distance is the Damerau-Levenshtein distance in its restricted form (no
// substring is edited twice), which is enough for typos.
func distance(a, b []rune) int {
	before := make([]int, len(b)+1)
	last := make([]int, len(b)+1)
	row := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

// Alternatives writes "a, b or c".
func Alternatives(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
