package formula_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/engine/formula"
)

// marked cuts the marks ‹ and › out of a source; what is between them is where
// problems are wanted.
func marked(t testing.TB, source string) (src string, places [][2]int) {
	t.Helper()
	var b strings.Builder
	at, from := 0, 0
	for _, r := range source {
		switch r {
		case '‹':
			from = at
		case '›':
			places = append(places, [2]int{from, at})
		default:
			b.WriteRune(r)
			at++
		}
	}
	return b.String(), places
}

func TestProblems(t *testing.T) {
	tests := []struct{ source, code, message, hint string }{
		// names
		{"‹rws›", "unknown-name", `unknown name "rws"`, `did you mean "rows"?`},
		{"‹total› + 1", "unknown-name", `"total" is defined by the step on line 30, below`, ""},
		{"‹totl› + 1", "unknown-name", `unknown name "totl"`, `"total" is defined by the step on line 30, below`},
		{"x == ‹null›", "unknown-name", `unknown name "null"`, "write nil"},
		{"ok == ‹TRUE›", "unknown-name", `unknown name "TRUE"`, "write true"},
		{"‹$env›", "unknown-name", `unknown name "$env"`, "a formula sees the names of its rule only"},
		{"‹$add›", "unknown-name", `unknown name "$add"`, "a formula sees the names of its rule only"},
		{"‹sum›", "unknown-name", `"sum" is a function`, "write sum(…)"},
		{"!‹откыто›", "unknown-name", `unknown name "откыто"`, `did you mean "открыто"?`},
		{"let ‹x› = 1; x", "name-taken", `"x" is named already`, "take another name"},
		{"let ‹len› = 1; len", "name-taken", `"len" is a function`, "take another name"},
		{"map(rows, ‹#acc›)", "unknown-name", "#acc is not known here", "#acc is what reduce(list, …) has gathered so far"},
		{"reduce(rows, sum(names, ‹#acc›), 0)", "unknown-name", "#acc is not known here", "in a loop inside of reduce write {let acc = #acc; …} around it"},

		// functions
		{"‹summ›(rows, .price)", "unknown-function", `unknown function "summ"`, `did you mean "sum"?`},
		{"1 + ‹summ›(rows, .price * .quantity) + 2", "unknown-function", `unknown function "summ"`, `did you mean "sum"?`},
		{"‹SUM›(rows, .price)", "unknown-function", `unknown function "SUM"`, `did you mean "sum"?`},
		{"‹rond›(x, 2)", "unknown-function", `unknown function "rond"`, `did you mean "round"?`},
		{"‹now›()", "unknown-function", `no function "now" exists`, "a formula has no clock: use event.time"},
		{"‹toJSON›(rows)", "unknown-function", `no function "toJSON" exists`, "write string(…) of a part, or join(…)"},
		{"‹float›(s)", "unknown-function", `no function "float" exists`, "numbers are exact decimals: write number(…)"},
		{"‹IF›(ok, 1, 2)", "unknown-function", `unknown function "IF"`, "write condition ? a : b"},
		{"‹strpos›(s, 'a') > 0", "unknown-function", `no function "strpos" exists`, "write indexOf(text, part), or text contains part"},
		{"‹mb_strtoupper›(s)", "unknown-function", `unknown function "mb_strtoupper"`, "write upper(text)"},
		{"‹ЕСЛИ›(x > 1; 2; 3)", "unknown-function", `unknown function "ЕСЛИ"`, "write condition ? a : b"},
		{"'a' . ‹s›", "unknown-field", `text has no field "s"`, "write + to join texts"},
		{`s matches ‹"*VIP*"›`, "wrong-type", "not a pattern: missing argument to repetition operator: \"*\"", `write text contains "VIP"`},
		{"‹rows›(1)", "unknown-function", `"rows" is no function`, ""},
		{"s.‹upper›()", "unknown-function", "values have no methods", "write upper(value, …)"},
		{"s.‹contains›('a')", "unknown-function", "values have no methods", "write text contains part"},
		{"x.‹toFixed›(2)", "unknown-function", "values have no methods", "write round(number, places)"},
		{"event.time.‹Format›('x')", "unknown-function", "values have no methods", `write formatDate(time, "dd.MM.yyyy") or string(round(number, places))`},
		{"s.‹uper›()", "unknown-function", "values have no methods", "write upper(value, …)"},
		{"‹contains›(s, 'a')", "syntax", `unexpected "contains"`, "write text contains part"},
		{"sum(rows, ‹price›)", "unknown-name", `unknown name "price"`, "a field of the element is written .price"},
		{"sum(rows, ‹row›.price)", "unknown-name", `unknown name "row"`, "the element is #, and a field of it .name"},
		{"map(rows, x ‹=›> 1)", "syntax", "unexpected arrow", "write the body alone, with .name for a field of the element: map(list, .price * 2)"},
		{"‹dеal›.id", "unknown-name", `unknown name "dеal"`, `did you mean "deal"? The е here is Cyrillic`},
		{"event.time.‹year›", "unknown-field", `time has no field "year"`, "write yearOf(time)"},
		{"date(‹deal.contact?.phone›)", "maybe-missing", `"deal.contact?.phone" may be missing (nil)`, "write deal.contact?.phone == nil ? nil : date(deal.contact?.phone), or a when for the step"},
		{"date(deal.contact?.phone ?? ‹''›)", "wrong-arguments", `"" is not a date: write it like 2026-01-31 or 31.01.2026 15:04`, "write x == nil ? nil : date(x), or a when for the step"},
		{"date(‹'31.13.2026'›)", "wrong-arguments", `"31.13.2026" is not a date: write it like 2026-01-31 or 31.01.2026 15:04`, ""},
		{"date(s, ‹'Europe/Rga'›)", "wrong-arguments", `unknown time zone "Europe/Rga": write one like "Europe/Riga"`, ""},
		{"formatDate(event.time, ‹'d.m.Y'›)", "wrong-arguments", `"m" is no part of a pattern of formatDate`, "write mm for the minutes"},
		{"formatDate(event.time, ‹'DD.MM.YYYY'›)", "wrong-arguments", `"DD" is no part of a pattern of formatDate`, "write d or dd for the day of the month"},
		{"formatDate(event.time, 'd MMMM', ‹'rus'›)", "wrong-arguments", `unknown language "rus": write "ru" or "en"`, ""},
		{"inZone(event.time, ‹'Moscow'›)", "wrong-arguments", `unknown time zone "Moscow": write one like "Europe/Riga"`, ""},
		{"atTime(event.time, ‹'9:00'›)", "wrong-arguments", `"9:00" is not a time of day: write it like 09:00`, ""},
		{"atTime(‹deal.closed›, '09:00')", "maybe-missing", `"deal.closed" may be missing (nil)`, "write (deal.closed ?? …)"},
		{"addWorkdays(event.time, ‹1.5›)", "wrong-type", "the second argument of addWorkdays must be a whole number, not a number", "write int(…), round(…) or floor(…)"},
		{"tryDate(‹x›)", "wrong-type", "tryDate takes a text, not number", ""},
		{"formatDate(event.time, ‹'2006-01-02'›)", "wrong-arguments", "the pattern of formatDate has no part that is filled in", `write it with d, dd, M, MM, MMM, MMMM, yy, yyyy, H, HH, mm, ss, EEE, EEEE: "dd.MM.yyyy HH:mm"`},
		{"min(rows, ‹.›price)", "syntax", "min takes no `.name` or `#`", "write min(map(list, .name))"},
		{"‹round›()", "wrong-arguments", "round takes 1 to 2 arguments", "write round(number, places)"},
		{"‹round›(x, 2, 3)", "wrong-arguments", "round takes 1 to 2 arguments", "write round(number, places)"},
		{"‹count›(rows)", "wrong-arguments", "count takes a condition", "write len(list)"},

		// fields
		{"rows[0].‹pryce›", "unknown-field", `unknown field "pryce"`, `did you mean "price"?`},
		{"sum(rows, .‹pryce›)", "unknown-field", `unknown field "pryce"`, `did you mean "price"?`},
		{"rows.‹price›", "unknown-field", `a list has no field "price"`, "write map(list, .price) for those of all elements, or list[0].price"},
		{"x.‹y›", "unknown-field", `number has no field "y"`, ""},
		{"first(rows).‹price›", "maybe-missing", "the value may be missing (nil)", "write ?.price, or ?? for what to take instead"},
		{"deal.contact.‹name›", "maybe-missing", `"deal.contact" may be missing (nil)`, "write ?.name, or ?? for what to take instead"},
		{"deal.contact?.‹nam›", "unknown-field", `unknown field "nam"`, `did you mean "name"?`},

		// what may be missing
		{"‹deal.amount› + 1", "maybe-missing", `"deal.amount" may be missing (nil)`, "write (deal.amount ?? 0)"},
		{"‹maybe› > 1", "maybe-missing", `"maybe" may be missing (nil)`, "write (maybe ?? 0)"},
		{"round(‹maybe›)", "maybe-missing", `"maybe" may be missing (nil)`, "write (maybe ?? 0)"},
		{"sum(‹late›)", "maybe-missing", `"late" may be missing (nil)`, "write (late ?? [])"},
		{"sum(rows, ‹.productId›)", "maybe-missing", `".productId" may be missing (nil)`, "write (.productId ?? 0)"},
		{"upper(‹deal.contact?.phone›)", "maybe-missing", `"deal.contact?.phone" may be missing (nil)`, `write (deal.contact?.phone ?? "")`},
		{"s + ‹deal.contact?.name›", "maybe-missing", `"deal.contact?.name" may be missing (nil)`, `write (deal.contact?.name ?? "")`},
		{"mean(‹map(rows, .productId)›)", "maybe-missing", "elements of the list may be missing (nil)", "write map(list, # ?? …) or filter(list, # != nil)"},
		{"deal.amount == nil ? ‹deal.amount› + 1 : 0", "maybe-missing", `"deal.amount" may be missing (nil)`, "write (deal.amount ?? 0)"},
		{"maybe != nil || ‹maybe› > 1", "maybe-missing", `"maybe" may be missing (nil)`, "write (maybe ?? 0)"},

		// types
		{"‹x == 'a'›", "wrong-type", "number never equals text", "write number(…) of the text or string(…) of the number"},
		{"‹event.added == 'Y'›", "wrong-type", "true or false never equals text", `compare the text with "Y" or "N"`},
		{"‹s in [1, 2]›", "wrong-type", "text is never in a list of whole number", "write number(…) of the text or string(…) of the number"},
		{"‹'a' in s›", "wrong-type", "a text has no elements", "write text contains part"},
		{"‹s in 'A,B'›", "wrong-type", "a text has no elements", `write the texts one by one: … in ["A", "B"]`},
		{"s == 'A' || ‹'B'›", "wrong-type", "the right side of || must be true or false, not text", `write … in ["A", "B"]`},
		{"‹names contains s›", "wrong-type", "contains looks into a text, and this is a list", "write value in list"},
		{"x ‹between› 1 and 2", "syntax", `unexpected "between"`, "write x >= from && x <= to"},
		{"s ‹like› 'a%'", "syntax", `unexpected "like"`, "write text contains part, startsWith, endsWith or matches"},
		{"s | ‹upper›", "syntax", `after | write the call of a function, this is "upper"`, "write value | upper(), or upper(value)"},
		{"s | ‹default›('x')", "unknown-function", `no function "default" exists`, "write value ?? other"},
		{"s + ‹x›", "wrong-type", "a number is not converted to text automatically", "write string(…)"},
		{"‹s› * 2", "wrong-type", "* takes numbers, not text", "write number(…)"},
		{"‹rows› + 1", "wrong-type", "+ takes numbers, not a list", "write sum(…) or len(…) of the list"},
		{"‹s < 2›", "wrong-type", "text cannot be compared with whole number", "write number(…) of the text or string(…) of the number"},
		{"‹rows› > 0", "wrong-type", "list of {key: text, price: number, productId: whole number, productName: text, …} has no order", "write len(…) for the number of elements"},
		{"‹x› ? 1 : 2", "wrong-type", "the condition must be true or false, not a number", "compare it: … != 0"},
		{"filter(rows, ‹.price›)", "wrong-type", "the condition of filter must be true or false, not a number", "compare it: … != 0"},
		{"ok && ‹s›", "wrong-type", "the right side of && must be true or false, not text", `compare it: … != ""`},
		{"rows[‹x›]", "wrong-type", "the index of a list must be a whole number, not a number", "write int(…), round(…) or floor(…)"},
		{"rows[‹n / 2›]", "wrong-type", "the index of a list must be a whole number, not a number", "write int(…), round(…) or floor(…)"},
		{"repeat(s, ‹x›)", "wrong-type", "the second argument of repeat must be a whole number, not a number", "write int(…), round(…) or floor(…)"},
		{"upper(‹x›)", "wrong-type", "the argument of upper must be a text, not a number", "write string(…)"},
		{"names ‹+› names", "wrong-type", "+ does not join lists", "write concat(a, b)"},
		{"event.time ‹-› event.time", "wrong-type", "times cannot be subtracted", "write daysBetween(from, to)"},
		{"x / ‹0›", "wrong-type", "division by zero", ""},
		{"sum(‹rows›)", "wrong-type", "sum takes numbers, not records", "write sum(list, .field)"},
		{"reduce(rows, ‹.productName›, 0)", "wrong-type", "reduce starts with whole number, but its body gives text", "give reduce a first value of the type that its body gives"},
		{"sortBy(rows, .price, ‹'up'›)", "wrong-type", `unknown order "up"`, `write "asc" or "desc"`},
		{"s matches ‹s›", "wrong-type", "the pattern of matches has to be fixed", `write the pattern in quotes: name matches "^A"`},
		{"s matches ‹'['›", "wrong-type", `not a pattern: missing closing ]: "["`, ""},
		{"{a: 1, ‹a›: 2}", "name-taken", `the record has two fields "a"`, ""},

		// syntax
		{"‹›", "syntax", "the formula is empty", ""},
		{"‹ /* c */ ›", "syntax", "the formula is empty", ""},
		{"round(n‹,)›", "syntax", "an argument is missing after the comma", ""},
		{"round(n‹, /* c */ )›", "syntax", "an argument is missing after the comma", ""},
		{"x + ) ‹×› 2", "syntax", "unexpected character '×'", "write *"}, // the lexer's problem comes before the parser's
		{"‹=› x", "syntax", "a formula starts with a single =", "remove this one"},
		{"x ‹=› 1", "syntax", `unexpected "="`, "write == to compare"},
		{"ok ‹AND› ok", "syntax", `unexpected "AND"`, "write and in small letters"},
		{"s ‹&› s", "syntax", `unexpected "&"`, "write + to join texts, && for “and”"},
		{"x ‹<>› 1", "syntax", `unexpected "<>"`, "write !="},
		{"round(x‹;› 2)", "syntax", `unexpected ";"`, "arguments are separated by commas"},
		{"sum(rows‹;› .price)", "syntax", `unexpected ";"`, "arguments are separated by commas"},
		{"‹1,5› + x", "syntax", `unexpected "1,5"`, "write 1.5"},
		{"{‹{› x }}", "syntax", "a record is written {name: value, …}", "inside a formula write the name alone, without {{ }}"},
		{"x ‹×› 2", "syntax", "unexpected character '×'", "write *"},
		{"s == ‹“›Y”", "syntax", "unexpected character '“'", `write "`},
		{"sum‹(›rows, .price", "syntax", `this "(" is not closed`, ""},
		{"x ‹+›", "syntax", `something is missing after "+"`, ""},
		{`s + ‹"›abc + 1`, "syntax", "the text has no closing quote", ""},
		{"x ‹y›", "syntax", `unexpected "y"`, "an operator or a comma is missing before it"},
		{"x‹)›", "syntax", `unexpected ")"`, "nothing is open here, or something is missing before it"},
		{"maybe ?? 0 ‹+› 1", "syntax", "?? and + cannot be mixed", "put one of them in brackets: (a ?? 0) + b"},
		{"‹x›; n", "syntax", "the value before the ; is not used", "a formula is one expression; let name = …; names a part of it"},
		{"if‹(›ok", "syntax", `this "(" is not closed`, ""},
	}
	for _, test := range tests {
		t.Run(test.source, func(t *testing.T) {
			src, places := marked(t, test.source)
			want := []formula.Problem{{From: places[0][0], To: places[0][1], Code: test.code, Message: test.message, Hint: test.hint}}
			f, got := formula.Compile(src, testEnv)
			if f != nil {
				t.Errorf("a formula of type %s together with its problems", f.Type())
			}
			if diff := cmp.Diff(want, asTexts(got)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAllProblems holds that one formula gives all its problems, sorted, and that
// none of them causes another.
func TestAllProblems(t *testing.T) {
	for _, source := range []string{
		"sum(rows, .‹pryce›) + sum(‹rws›, .price) + x.‹foo›",
		"‹a› + ‹b› + ‹c›.d + ‹f›(‹g›)",
		"map(rows, {a: .‹aa›, b: {c: .‹cc›}})",
		"let y = ‹foo›; y.bar + y * 2 + ‹baz›",
		`event["ad"‹›] ?? 1`,
	} {
		t.Run(source, func(t *testing.T) {
			src, want := marked(t, source)
			if strings.Contains(source, `"ad"`) {
				want = [][2]int{{6, 10}}
			}
			_, problems := formula.Compile(src, testEnv)
			var got [][2]int
			for _, p := range problems {
				got = append(got, [2]int{p.From, p.To})
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("places (-want +got):\n%s%v", diff, problems)
			}
		})
	}
}

// asTexts puts the values of problems into their texts.
func asTexts(problems []formula.Problem) []formula.Problem {
	var texts []formula.Problem
	for _, p := range problems {
		p.Message, p.Args, p.Hint, p.HintArgs = p.Text(), nil, p.HintText(), nil
		texts = append(texts, p)
	}
	return texts
}

// checkPlaces reports a problem that is not inside of its source.
func checkPlaces(t testing.TB, src string, problems []formula.Problem) {
	t.Helper()
	length := utf8.RuneCountInString(src)
	for _, p := range problems {
		if p.From < 0 || p.To < p.From || p.To > length {
			t.Errorf("%q: place %d-%d is not in a source of %d characters: %s", src, p.From, p.To, length, p.Text())
		}
		if p.Code == "" || p.Message == "" {
			t.Errorf("%q: a problem without code or message: %+v", src, p)
		}
	}
}
