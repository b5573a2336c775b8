package rules_test

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/engine/describe"
	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/rules"
)

// mutations is how many single mistakes are made in each file.
const mutations = 200

// wantCaught is the share of mistakes that must be found, in percent.
const wantCaught = 95

var (
	wordPattern = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_]*|[0-9]+`)
	// words are what a renamed token becomes: names of the language and of
	// rules, so that a mistake is as plausible as can be.
	words = strings.Fields("id on when steps deleted owner list rows key fields scope row event inputs total product price sum round title name value ONCRMLEADADD deal lead 7 entityTypeId count quantity productId")
)

// mutant is a rule file with one mistake.
type mutant struct{ what, text string }

// mutate makes one mistake in a token that is not in a comment.
func mutate(rnd *rand.Rand, text string) mutant {
	var spans [][]int
	at := 0
	for line := range strings.Lines(text) {
		code, _, _ := strings.Cut(line, "#")
		for _, m := range wordPattern.FindAllStringIndex(code, -1) {
			spans = append(spans, []int{at + m[0], at + m[1]})
		}
		at += len(line)
	}
	s := spans[rnd.IntN(len(spans))]
	word := text[s[0]:s[1]]
	line := 1 + strings.Count(text[:s[0]], "\n")
	kind, put := mistake(rnd, word)
	return mutant{fmt.Sprintf("line %d: %s %q to %q", line, kind, word, put), text[:s[0]] + put + text[s[1]:]}
}

func mistake(rnd *rand.Rand, word string) (kind, put string) {
	switch rnd.IntN(4) {
	case 0:
		return "delete", ""
	case 1:
		return "rename", words[rnd.IntN(len(words))]
	case 2:
		return "retype", []string{"5", "[" + word + "]", "{a: " + word + "}", "true", "'" + word + "'", "2s"}[rnd.IntN(6)]
	}
	return "misspell", misspell(rnd, word)
}

func misspell(rnd *rand.Rand, word string) string {
	i := rnd.IntN(len(word))
	switch rnd.IntN(3) {
	case 0: // a letter is missing
		return word[:i] + word[i+1:]
	case 1: // a letter is doubled
		return word[:i] + word[i:i+1] + word[i:]
	}
	if j := i + 1; j < len(word) { // two letters have changed places
		return word[:i] + word[j:j+1] + word[i:j] + word[j+1:]
	}
	return word + "s"
}

// TestMutations makes random single mistakes in the shipped files. Those that
// change what the file does must be found, nearly all of them and in each file,
// and none may panic. A mistake that leaves the compiled model as it was does
// not count: a title, a comment, the words around a hole.
//
// MUTATIONS asks for more rounds of 200 mistakes in each file.
func TestMutations(t *testing.T) {
	files, err := fs.Glob(rules.FS, "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	rounds, _ := strconv.Atoi(os.Getenv("MUTATIONS"))
	for n, file := range files {
		t.Run(file, func(t *testing.T) {
			data, err := fs.ReadFile(rules.FS, file)
			if err != nil {
				t.Fatal(err)
			}
			whole, _ := load.File(file, data, actions.All)
			caught, counted := 0, 0
			for round := range max(rounds, 1) {
				rnd := rand.New(rand.NewPCG(uint64(4+round), uint64(n)))
				for range mutations {
					m := mutate(rnd, string(data))
					changes, found := try(t, file, m, describe.Logic(whole))
					if changes {
						counted++
					}
					if found {
						caught++
					} else if changes {
						t.Logf("not found: %s", m.what)
					}
				}
			}
			t.Logf("%d of %d mistakes that change meaning are found: %.1f %%", caught, counted, 100*float64(caught)/float64(counted))
			if caught*100 < counted*wantCaught {
				t.Errorf("fewer than %d %%", wantCaught)
			}
			if counted < mutations/2 {
				t.Errorf("only %d mistakes changed meaning: the test tests nothing", counted)
			}
		})
	}
}

// try compiles a file with a mistake: whether the mistake changes meaning, and
// whether it is found.
func try(t *testing.T, file string, m mutant, model string) (changes, found bool) {
	t.Helper()
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("%s: panic: %v", m.what, p)
		}
	}()
	set, list := load.File(file, []byte(m.text), actions.All)
	found = len(list) > 0
	return found || describe.Logic(set) != model, found
}
