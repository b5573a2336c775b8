package b24rules_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

var wordsTodo = flag.Bool("words-todo", false, "TestWords also lists what is left in the folders of todo")

// todo are folders whose names or texts still have words that we no longer use.
// Run `go test . -run TestWords -words-todo` to see them. The list must be empty in
// the end.
var todo []string

// banned is a word that no declared identifier may contain.
type banned struct {
	instead string
	// in are the folders in which the word has the meaning that we replaced; empty
	// means all. Elsewhere it is innocent: a line of text, a company of the CRM.
	in []string
}

// notNames are the words that the glossary replaced, in singular. A name says what a
// Go or CRM developer would search for.
var notNames = map[string]banned{
	"absence": {instead: "downtime"}, "ahead": {instead: "prefetch"}, "attend": {instead: "poll"}, "barred": {instead: "errNotPermitted"},
	"beat": {instead: "heartbeat"}, "bell": {instead: "notifier"}, "beside": {instead: "nextTo, parallel"}, "birth": {instead: "adds"},
	"carried": {instead: "preserved"}, "carrier": {instead: "mergedCall"}, "carry": {instead: "preserve, apply"}, "carries": {instead: "preserves"},
	"deaf": {instead: "mismatch, pollOnly"}, "disproof": {instead: "violation"}, "fresh": {instead: "maxAge"}, "gate": {instead: "permit"},
	"hand": {instead: "manual, pass"}, "handover": {instead: "takeover"}, "hear": {instead: "match"}, "hearer": {instead: "subscriber"},
	"imagine": {instead: "simulateWrite"}, "knock": {instead: "notify"}, "landed": {instead: "result"}, "loose": {instead: "approximate"},
	"loud": {instead: "repeats"}, "meet": {instead: "overlap, match"}, "meeting": {instead: "match"}, "mend": {instead: "repair, recoverTokens"},
	"misfit": {instead: "seedError"}, "moment": {instead: "dateTime"}, "pretend": {instead: "answerWrite"}, "prompt": {instead: "immediate"},
	"proof": {instead: "check"}, "recall": {instead: "lookUp"}, "rehearsal": {instead: "dryrun"}, "rehearse": {instead: "dryrun"},
	"rehearsed": {instead: "dryrun"}, "remain": {instead: "leftover"}, "rested": {instead: "SpareSince"}, "restless": {instead: "nonTerminating"},
	"ring": {instead: "cycle"}, "roomy": {instead: "hasBurst"}, "rush": {instead: "urgent"}, "rushes": {instead: "urgent"}, "seat": {instead: "join"},
	"settle":  {instead: "deliver, process, resolve, retryAsUpdate, update, finish"},
	"settled": {instead: "safeAfter, Terminates"}, "sighting": {instead: "seenRead"}, "silence": {instead: "downtime"}, "story": {instead: "report"},
	"stray": {instead: "orphan"}, "summon": {instead: "wakeUp"}, "tell": {instead: "log"}, "thing": {instead: "record"}, "told": {instead: "logged"},
	"wanted": {instead: "desired"}, "wish": {instead: "desired"}, "wished": {instead: "desired"}, "wishes": {instead: "desired"},

	"alone":   {instead: "ownTransaction, unmerged", in: []string{"bitrix", "internal/queue"}},
	"company": {instead: "gatherWait", in: []string{"bitrix"}},
	"keep":    {instead: "retention", in: []string{"internal/app/config"}},
	"kept":    {instead: "retention", in: []string{"internal/app/config"}},
	"life":    {instead: "lifecycle", in: []string{"internal/app"}},
	"line":    {instead: "requestQueue", in: []string{"bitrix"}},
	"missed":  {instead: "catchUp", in: []string{"internal/app", "internal/catchup"}},
	"stage":   {instead: "fixture", in: []string{"internal/app"}},
}

// bannedWord returns the word of notNames that word is, in a file of folder.
func bannedWord(word, folder string) (banned, bool) {
	b, ok := notNames[word]
	if !ok {
		b, ok = notNames[strings.TrimSuffix(word, "s")]
	}
	return b, ok && (len(b.in) == 0 || slices.ContainsFunc(b.in, func(in string) bool { return within(folder, in) }))
}

// within reports whether a path is folder or lies below it.
func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

// allowedNames are identifiers that keep such a word, with the reason.
var allowedNames = map[string]string{
	"ReadAhead":  "public name for a kind of read that the field calls read-ahead",
	"SkipProofs": "the key skip_proofs of rule tests",
	"Proofs":     "the key proofs of the JSON report",
	"Settle":     "the key settle of the configuration",
	"SettleTime": "the same, with its default",
	"ring":       "a ring buffer, as the field calls it",
}

// phrases are wordings that a reader whose first language is not English has to
// read twice, with what to write instead.
var phrases = []struct {
	name    string
	pattern *regexp.Regexp
	instead string
}{
	{"tell", regexp.MustCompile(`(?i)\btold\b|\btells? of\b|\btells (what|how|which|whether|when|where|that|why)\b`), "describe, report, log, receive"},
	{"nobody", regexp.MustCompile(`(?i)\bnobody\b|\bwhoever\b`), "no process, the process that"},
	{"as it is now", regexp.MustCompile(`(?i)\bas it is now\b|\bas they are\b`), "the current …, unchanged"},
	{"there is no", regexp.MustCompile(`(?i)\bthere (is|are) no \w+ that\b`), "no X does …"},
	{"begins", regexp.MustCompile(`\b[Bb]egins\b|\bbegun\b|\bbegan\b`), "starts"},
	{"goes on", regexp.MustCompile(`(?i)\bgo(es)? on\b|\bwent on\b`), "continues, resumes"},
	{"anew", regexp.MustCompile(`(?i)\banew\b`), "again, new"},
	{"hears", regexp.MustCompile(`(?i)\bhears\b|\bhear an event\b|\bhears? of\b`), "subscribes to, matches"},
	{"beside", regexp.MustCompile(`(?i)\bbeside\b`), "next to, while … is running"},
	{"made up for", regexp.MustCompile(`(?i)\bma[dk]es? up for\b`), "caught up"},
	{"stands for", regexp.MustCompile(`(?i)\bstands? (for|in|twice|there|under)\b`), "means, is in, is listed twice"},
	{"worked off", regexp.MustCompile(`(?i)\bwork(s|ed|ing)? (them |it )?off\b`), "processed"},
	{"mend", regexp.MustCompile(`(?i)\bmend(s|ed|ing)?\b`), "fix, repair"},
	{"take it out", regexp.MustCompile(`(?i)\btake (it|them|one of them) out\b|\bleaves? (it|them) out\b|\bleaves? out\b|\bleft out\b`), "remove, omit"},
	{"by itself", regexp.MustCompile(`(?i)\bof (its|their) own\b|\bby (itself|themselves)\b`), "its own, automatically"},
	{"under way", regexp.MustCompile(`(?i)\bunder way\b|\bat work\b`), "running, in progress"},
	{"in place of", regexp.MustCompile(`(?i)\bmeanwhile\b|\bin place of\b`), "in the meantime, instead of"},
	{"for good", regexp.MustCompile(`(?i)\bfor good([.,;:)]|$)`), "permanently"},
	{"wished", regexp.MustCompile(`(?i)\bwish(ed|es)\b`), "desired, expected"},
	{"it is looked whether", regexp.MustCompile(`(?i)\b(is|are) looked (whether|at|for|after|through|into)\b`), "the service checks whether"},
	{"wants", regexp.MustCompile(`(?i)\bwants\b`), "requires, needs"},
	{"that there is", regexp.MustCompile(`(?i)\bwhich (is|are) not there\b|\bthat there (is|are)( not\b| now\b|[.,;:)]|$)`), "missing, existing"},
	{"glossary", regexp.MustCompile(`(?i)\b(restless|misfits?|rehears\w+|summons(es)?|hearers?|roomy|sightings?|strays?|disproofs?|handover|knock(s|ed|ing)?)\b`), "the word of notNames"},
}

// allowedPhrases are files that may hold such a wording, with the reason.
var allowedPhrases = map[string]string{
	"words_test.go": "this list",
	"CHANGELOG.md":  "it lists old log messages",

	"internal/pgtemp/pgtemp.go": "nobody is a user of Unix",
	"THIRD_PARTY_NOTICES.md":    "texts of others",
}

// TestWords looks for words of notNames in declared identifiers, and for phrases
// in comments, string literals and manual pages. Strings of tests are not
// looked at: they quote what the program prints.
func TestWords(t *testing.T) {
	counts := map[string]int{}
	report := func(file string, line int, text string) {
		at := slices.IndexFunc(todo, func(p string) bool { return within(file, p) })
		if at < 0 {
			t.Errorf("%s:%d: %s", file, line, text)
			return
		}
		counts[path.Dir(file)]++
		if *wordsTodo {
			t.Logf("%s:%d: %s", file, line, text)
		}
	}
	for _, file := range trackedFiles(t, ".go") {
		if allowedPhrases[file] == "" {
			checkGoWords(t, file, report)
		}
	}
	for _, ext := range []string{".md", ".yaml", ".js", ".css", ".html", ".sh"} {
		for _, file := range trackedFiles(t, ext) {
			if allowedPhrases[file] == "" && !strings.Contains(file, "/testdata/") {
				checkText(readText(t, file), func(line int, text string) { report(file, line, text) })
			}
		}
	}
	checkText(readText(t, "Makefile"), func(line int, text string) { report("Makefile", line, text) })
	if *wordsTodo {
		t.Logf("left in todo: %v", counts)
	}
}

// structTag matches tags of fields: keys of stored documents stay.
var structTag = regexp.MustCompile("^`(json|yaml):")

func checkGoWords(t *testing.T, file string, report func(file string, line int, text string)) {
	t.Helper()
	fset := token.NewFileSet()
	parsed, err := parser.ParseFile(fset, file, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range parsed.Comments {
		// A phrase may be split over two lines of a comment.
		text := strings.Join(strings.Fields(strings.ReplaceAll(group.Text(), "\n", " ")), " ")
		checkPhrases(text, func(text string) { report(file, fset.Position(group.Pos()).Line, text) })
	}
	isTest := strings.HasSuffix(file, "_test.go")
	ast.Inspect(parsed, func(n ast.Node) bool {
		for _, name := range declared(n) {
			for _, word := range words(name.Name) {
				if b, ok := bannedWord(word, path.Dir(file)); ok && allowedNames[name.Name] == "" {
					report(file, fset.Position(name.Pos()).Line, fmt.Sprintf("the name %s has the word %q: write %s", name.Name, word, b.instead))
				}
			}
		}
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING && !isTest && !structTag.MatchString(lit.Value) {
			checkPhrases(lit.Value, func(text string) { report(file, fset.Position(lit.Pos()).Line, text) })
		}
		return true
	})
}

// checkText looks for phrases in the paragraphs of a text, because a phrase may be
// split over two lines. It reports the first line of the paragraph.
func checkText(text string, report func(line int, text string)) {
	line := 1
	for _, paragraph := range strings.Split(text, "\n\n") {
		checkPhrases(strings.Join(strings.Fields(paragraph), " "), func(text string) { report(line, text) })
		line += strings.Count(paragraph, "\n") + 2
	}
}

func checkPhrases(text string, report func(string)) {
	for _, p := range phrases {
		if m := p.pattern.FindString(text); m != "" {
			report(fmt.Sprintf("%q: write %s", m, p.instead))
		}
	}
}

// declared returns the identifiers that a node declares.
func declared(n ast.Node) []*ast.Ident {
	var out []*ast.Ident
	expressions := func(list ...ast.Expr) {
		for _, e := range list {
			if id, ok := e.(*ast.Ident); ok {
				out = append(out, id)
			}
		}
	}
	switch n := n.(type) {
	case *ast.FuncDecl:
		out = append(out, n.Name)
	case *ast.TypeSpec:
		out = append(out, n.Name)
	case *ast.ValueSpec:
		out = append(out, n.Names...)
	case *ast.Field:
		out = append(out, n.Names...)
	case *ast.AssignStmt:
		if n.Tok == token.DEFINE {
			expressions(n.Lhs...)
		}
	case *ast.RangeStmt:
		if n.Tok == token.DEFINE {
			expressions(n.Key, n.Value)
		}
	}
	return out
}

// words splits a name as "readHTTPBody" into "read", "http", "body".
func words(name string) []string {
	var out []string
	var word []rune
	runes := []rune(name)
	flush := func() {
		if len(word) > 0 {
			out = append(out, strings.ToLower(string(word)))
			word = nil
		}
	}
	for i, r := range runes {
		switch {
		case !unicode.IsLetter(r):
			flush()
			continue
		case unicode.IsUpper(r) && (i > 0 && unicode.IsLower(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])):
			flush()
		}
		word = append(word, r)
	}
	flush()
	return out
}
