package console

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	usedText   = regexp.MustCompile(`(?:\bt|text\(lang,|key:|"[a-z_]+", s\.|\{)\s*\(?"([a-z]+(?:\.[a-z _-]+)+)"`)
	usedPlural = regexp.MustCompile(`(?:\bn|counted\(lang,) ?\(?"([A-Za-z.]+)"`)
	verb       = regexp.MustCompile(`%(\[\d\])?[a-z]`)
	builtKeys  = []string{"cond.", "rule.stopped", "rule.removed", "rule.broken", "rule.outdated", "state.", "set.", "outcome.", "role.", "plan.", "cause.", "did.", "act.", "run.later.", "attempt.", "problem.", "step."} // made from words of the program
)

func sources(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, pattern := range []string{"*.go", "templates/*.html"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if file == "texts.go" || strings.HasSuffix(file, "_test.go") {
				continue
			}
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(data)
		}
	}
	return all.String()
}

// TestTexts: each key that a page uses has both languages with the same arguments, and each text
// is used.
func TestTexts(t *testing.T) {
	source := sources(t)
	for _, m := range usedText.FindAllStringSubmatch(source, -1) {
		if _, ok := texts[m[1]]; !ok && !strings.HasSuffix(m[1], ".html") && !strings.HasSuffix(m[1], ".css") && !strings.HasSuffix(m[1], ".js") && !strings.HasSuffix(m[1], ".svg") {
			t.Errorf("no text for %q", m[1])
		}
	}
	for key, form := range texts {
		for lang, one := range form {
			if strings.TrimSpace(one) == "" {
				t.Errorf("%s has no text in %s", key, languages[lang])
			}
		}
		if a, b := len(verb.FindAllString(form[0], -1)), len(verb.FindAllString(form[1], -1)); a != b {
			t.Errorf("%s has %d arguments in English and %d in Russian", key, a, b)
		}
		if russianLetters(form[0]) || form[1] == form[0] && regexp.MustCompile(`[a-z]{4}`).MatchString(verb.ReplaceAllString(form[1], "")) && key != "problem.reload" {
			t.Errorf("%s is in the wrong language: %q, %q", key, form[0], form[1])
		}
		if !strings.Contains(source, `"`+key+`"`) && !slices.ContainsFunc(builtKeys, func(p string) bool { return strings.HasPrefix(key, p) }) {
			t.Errorf("nothing uses the text %s", key)
		}
	}
}

func russianLetters(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r >= 'А' && r <= 'я' })
}

// TestPlurals renders each noun with each kind of number.
func TestPlurals(t *testing.T) {
	source := sources(t)
	for _, m := range usedPlural.FindAllStringSubmatch(source, -1) {
		if _, ok := plurals[m[1]]; !ok && m[1] != "did." {
			t.Errorf("no noun for %q", m[1])
		}
	}
	for key, form := range plurals {
		if n := strings.Count(form[0], "|"); n != 1 {
			t.Errorf("%s has %d English forms", key, n+1)
		}
		if n := strings.Count(form[1], "|"); n != 2 {
			t.Errorf("%s has %d Russian forms", key, n+1)
		}
		for lang := range languages {
			for _, n := range []int{0, 1, 2, 5, 11, 21, 112, 1000} {
				if got := counted(lang, key, n); !strings.Contains(got, number(lang, n)) || strings.ContainsAny(got, "|%") {
					t.Errorf("%s of %d is %q", key, n, got)
				}
			}
		}
	}
	for n, want := range map[int]string{1: "1 портал", 2: "2 портала", 5: "5 порталов", 11: "11 порталов", 21: "21 портал", 1222333: "1\u00a0222\u00a0333 портала"} {
		if got := counted(russian, "portals", n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	if got := fmt.Sprint(number(0, 1222333), " ", number(0, -1222), " ", number(0, 12)); got != "1,222,333 -1,222 12" {
		t.Error(got)
	}
}
