package formula_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/internal/diag"
)

func doubtEnv() formula.Env {
	num, text := formula.Type{Kind: formula.Int}, formula.Type{Kind: formula.String}
	kind := formula.Type{Kind: formula.String, Maybe: true, Domain: &formula.Domain{Code: "never-equal", Excludes: func(text string) (why, hint diag.Phrase) {
		if text != "A" {
			why = diag.Phrasef("kind is A, never %q", text)
		}
		return why, hint
	}}}
	return formula.Env{
		Vars: map[string]formula.Type{
			"event":    formula.RecordOf(map[string]formula.Type{"id": num, "added": {Kind: formula.Bool}}),
			"deal":     formula.OpenRecord(map[string]formula.Type{"opportunity": num, "stageId": text, "kind": kind}),
			"rows":     formula.ListOf(formula.RecordOf(map[string]formula.Type{"price": num})),
			"x":        num,
			"time":     {Kind: formula.Time},
			"any_list": formula.ListOf(formula.Type{}),
			"many":     formula.RecordOf(map[string]formula.Type{"a": num.Optional(), "list": formula.ListOf(num).Optional(), "ok": formula.Type{Kind: formula.Bool}.Optional()}),
		},
		Absent: map[string]string{"event.name": "no event name"},
	}
}

func TestDoubts(t *testing.T) {
	for _, tt := range []struct{ src, want string }{
		{"true", ``}, // a value; the engine knows where it is a condition
		{"event.added || true", `0-19 constant-condition: this condition is always true`},
		{"event.added && 1 == 2", `0-21 constant-condition: this condition is always false`},
		{"x > 1 && 2 > 1", `9-14 constant-condition: this condition is always true`},
		{"x == x", `0-6 constant-condition: this condition is always true`},
		{"x == 1 && x == 2", `0-16 constant-condition: this condition is always false`},
		{"x != 1 || x != 2", `0-16 constant-condition: this condition is always true`},
		{"x == 1 && x == 1.0", ``},
		{"false ? 1 : 2", `0-5 constant-condition: this condition is always false`},
		{"x in []", `0-7 constant-condition: this condition is always false`},
		{"deal.opportunty > 1", `5-15 doubtful-field: no field "opportunty" is known here`},
		{"deal.ufCrmOpportunity > 1 && deal.parentId177 > 2", ``},
		{"x > 1 && event.added", ``},
		{"filter(rows, .price > 0)", ``},

		{"len(rows) >= 0", `0-14 constant-condition: this condition is always true, because len(rows) is at least 0`},
		{"len(rows) < 0", `0-13 constant-condition: this condition is always false, because len(rows) is at least 0`},
		{"0 > len(deal.stageId)", `0-21 constant-condition: this condition is always false, because len(deal.stageId) is at least 0`},
		{"-1 < count(rows, .price > 1)", `0-28 constant-condition: this condition is always true, because count(rows, .price > 1) is at least 0`},
		{"len(rows) == -1 || x > 1", `0-15 constant-condition: this condition is always false, because len(rows) is at least 0`},
		{"len(rows) > 0 || len(rows) >= 1 || len(rows) == 0", ``},
		{"-len(rows) < 0 || len(rows) - 3 < 0 || sum(rows, .price + len(deal.stageId)) > 5", ``},
		{"weekdayOf(time) == 0", `0-20 constant-condition: this condition is always false, because weekdayOf(time) is from 1 to 7`},
		{"weekdayOf(time) in [0, 6]", `20-21 constant-condition: weekdayOf(time) is never this value, because weekdayOf(time) is from 1 to 7`},
		{"monthOf(time) in [12, 1, 2] && hourOf(time) < 24 && hourOf(time) >= 0", ``},
		{"monthOf(time) in [12, 1, 2] && hourOf(time) >= 24", `31-49 constant-condition: this condition is always false, because hourOf(time) is from 0 to 23`},
		{"monthOf(time) in [12, 1, 2] && hourOf(time) < 23 && dayOf(time) == 31 && minuteOf(time) > 0", ``},
		{"let d = weekdayOf(time); d > 7", `25-30 constant-condition: this condition is always false, because d is from 1 to 7`},
		{"any(rows, #index < 0)", `10-20 constant-condition: this condition is always false, because #index is at least 0`},
		{"reduce(rows, #acc - 1, len(rows)) < 0", ``},
		{"isEmpty(x)", `0-10 constant-condition: isEmpty is always false for a whole number, also for 0 and false`},
		{"isEmpty(rows) || isEmpty(deal.stageId) || isEmpty(many.a) || isEmpty(deal.kind)", ``},
		{"deal.stageId matches `/\\d+/`", `21-28 foreign-syntax: the slashes around the pattern are a part of it`},
		{"abs(x - 5) < 0", `0-14 constant-condition: this condition is always false, because abs(x - 5) is at least 0`},
		{"floor(abs(x)) == -1", `0-19 constant-condition: this condition is always false, because floor(abs(x)) is at least 0`},
		{"-abs(x) > 0", `0-11 constant-condition: this condition is always false, because -abs(x) is at most 0`},
		{"max(x, 0) < 0", `0-13 constant-condition: this condition is always false, because max(x, 0) is at least 0`},
		{"min(x, 100) > 100", `0-17 constant-condition: this condition is always false, because min(x, 100) is at most 100`},
		{"len(rows) + 1 == 0", `0-18 constant-condition: this condition is always false, because len(rows) + 1 is at least 1`},
		{"len(rows) * 2 < 0", `0-17 constant-condition: this condition is always false, because len(rows) * 2 is at least 0`},
		{"len(rows) % 7 == 7", `0-18 constant-condition: this condition is always false, because len(rows) % 7 is from 0 to 6`},
		{"x ** 2 < 0", `0-10 constant-condition: this condition is always false, because x ** 2 is at least 0`},
		{"sum(rows, abs(.price)) < 0", `0-26 constant-condition: this condition is always false, because sum(rows, abs(.price)) is at least 0`},
		{"yearOf(time) == 26", `0-18 constant-condition: this condition is always false, because yearOf gives all four digits of a year`},
		{"findIndex(rows, .price > 5) == -1", `0-33 constant-condition: this condition is always false, because findIndex(rows, .price > 5) is at least 0, or nil`},
		{"round(x / 3, 2) == 10.005", `0-25 constant-condition: this condition is always false, because round(x / 3, 2) has at most 2 digits after the point`},
		{"abs(x) > 0 || abs(x) == 0 || max(x, 0) == 0 || min(x, 5) == 5 || x % 7 == -6 || len(rows) - 1 < 0 || x ** 3 < 0", ``},
		{"round(x / 3, 2) == 10.05 || round(x / 3, 2) < 10.005 || max(x, 0) > 0 || yearOf(time) == 2026 || yearOf(time) < 1990", ``},
		{"9223372036854775807 + len(rows) < 0 || -9223372036854775808 - len(rows) > 0 || len(rows) - 9000000000000000000 - 9000000000000000000 < 0", ``},
		{`formatDate(time, "dd.MM.yyyy") == "2026-01-31"`, `0-46 constant-condition: this condition is always false, because formatDate gives texts in the form "dd.MM.yyyy" here`},
		{`formatDate(time, "dd.MM.yyyy") < "31.01.2026"`, `0-45 constant-condition: this order is not meant, because texts of days have the order of texts, in which 02.01.2026 comes before 31.12.2025`},
		{`formatDate(time, "HH:mm") in ["9:00", "18:00"]`, `30-36 constant-condition: formatDate(time, "HH:mm") is never this value, because formatDate gives texts in the form "HH:mm" here`},
		{`formatDate(time, "d MMMM") == "5 мая" || formatDate(time, "yyyy-MM-dd") < "2026-01-31" || formatDate(time, "MM-dd") >= "06-01" || formatDate(time, "HH:mm") < "09:00"`, ``},
		{`string(x) < "9"`, `0-15 constant-condition: this order is not meant, because texts of numbers have the order of texts, in which 10 comes before 9`},
		{`capitalize(deal.stageId) == "won"`, `0-33 constant-condition: this condition is always false, because capitalize(…) starts with a capital letter`},
		{`digits(deal.stageId) == "8 900"`, `0-31 constant-condition: this condition is always false, because digits(…) gives only the digits of a text`},
		{`digits(deal.stageId) contains "-"`, `0-33 constant-condition: this condition is always false, because digits(…) gives only the digits of a text`},
		{`phone(deal.stageId) == "89001112233"`, `0-36 constant-condition: this condition is always false, because phone(…) gives a number such as +79001112233`},
		{`phone(deal.stageId) == "+79001112233" || digits(deal.stageId) == "8900" || digits(deal.stageId) startsWith "8" || capitalize(deal.stageId) == "Won"`, ``},
		{`trim(deal.stageId) == " NEW"`, `0-28 constant-condition: this condition is always false, because trim(…) leaves no blanks around a text`},
		{`trim(deal.stageId) in ["NEW", "WON "]`, `30-36 constant-condition: trim(deal.stageId) is never this value, because trim(…) leaves no blanks around a text`},
		{`trim(deal.stageId, "#") == " NEW" || trim(deal.stageId) == "a b" || trim(lower(deal.stageId)) == "a"`, ``},
		{`hasPrefix(lower(deal.stageId), "Vip")`, `0-37 constant-condition: this condition is always false, because lower(…) has no capital letters`},
		{`hasSuffix(upper(deal.stageId), "vip")`, `0-37 constant-condition: this condition is always false, because upper(…) has no small letters`},
		{`hasPrefix(lower(deal.stageId), "vip") || hasSuffix(deal.stageId, "Vip")`, ``},

		{`indexOf(deal.stageId, "VIP") > 0`, `0-32 constant-condition: this condition is false for a text that starts with the part, because indexOf(deal.stageId, "VIP") is 0 then`},
		{`indexOf(deal.stageId, "VIP") >= 1`, `0-33 constant-condition: this condition is false for a text that starts with the part, because indexOf(deal.stageId, "VIP") is 0 then`},
		{`0 < indexOf(deal.stageId, "VIP")`, `0-32 constant-condition: this condition is false for a text that starts with the part, because indexOf(deal.stageId, "VIP") is 0 then`},
		{`indexOf(deal.stageId, "@") > 0 || indexOf(deal.stageId, "VIP") >= 0 || indexOf(deal.stageId, "VIP") == 0`, ``},
		{`indexOf(deal.stageId, "VIP") != nil`, `0-35 constant-condition: this condition is always true, because indexOf(deal.stageId, "VIP") is never missing (nil)`},
		{`nil == rows[0]`, `0-14 constant-condition: this condition is always false, because rows[0] is never missing (nil)|7-14 may-be-empty: rows may have no element 0`},
		{`(deal.opportunity ?? 0) != nil`, `1-30 constant-condition: this condition is always true, because deal.opportunity ?? 0 is never missing (nil)`},
		{`deal.opportunity != nil && deal != nil && first(rows) != nil && rows != nil`, ``},

		{`lower(deal.stageId) contains "VIP"`, `0-34 constant-condition: this condition is always false, because lower(…) has no capital letters`},
		{`trim(upper(deal.stageId)) == "Won"`, `0-34 constant-condition: this condition is always false, because upper(…) has no small letters`},
		{`upper(deal.stageId)[:3] startsWith "won"`, `0-40 constant-condition: this condition is always false, because upper(…) has no small letters`},
		{`lower(deal.stageId) in ["won", "LOSE"]`, `31-37 constant-condition: lower(deal.stageId) is never this value, because lower(…) has no capital letters`},
		{`lower(deal.stageId) == "won" || upper(deal.stageId) contains "VIP №5" || lower(deal.stageId) == ""`, ``},
		{`(deal.kind ?? "") == "B"`, `21-24 never-equal: kind is A, never "B"`},
		{`(deal.kind ?? "") == "" || deal.kind != "A" || deal.kind in ["A", ""]`, ``},
		{`(deal.kind ?? "")[0:1] == "B" || (deal.kind ?? "") + "B" == "AB" || (deal.kind ?? "") contains "B"`, ``},
		{`x > 1 ? 5 : 5`, `0-13 constant-condition: both branches give the same value, whatever the condition is`},
		{`x > 1 ? 5 : 6`, ``},

		{`formatDate(time, "dd.mm.yyyy")`, `17-29 foreign-syntax: mm is the minutes, not the month`},
		{`formatDate(time, "dd.mm.yyyy HH:mm")`, `17-35 foreign-syntax: mm is the minutes, not the month`},
		{`formatDate(time, x > 1 ? "yyyy-mm" : "dd.MM HH:MM")`, `25-34 foreign-syntax: mm is the minutes, not the month|37-50 foreign-syntax: MM is the month, not the minutes`},
		{`formatDate(time, "yyyyMMddHHMMss")`, `17-33 foreign-syntax: MM is the month, not the minutes`},
		{`formatDate(time, "dd.MM.yyyy HH:mm a")`, `17-37 foreign-syntax: "a" is no part of a pattern of formatDate`},
		{`formatDate(time, "eee, dd.MM")`, `17-29 foreign-syntax: "eee" is no part of a pattern of formatDate`},
		{`formatDate(time, "EEE, dd MMMM") + formatDate(time, "EEEE d.M.yy H:mm 'at' HH") + formatDate(time, "MMMM yyyy", "ru")`, ``},
		{`formatDate(time, "MMMMM yyyy")`, `17-29 foreign-syntax: "MMMMM" is no part of a pattern of formatDate`},
		{`formatDate(time, "d.M.yyyy H:M")`, `17-31 foreign-syntax: MM is the month, not the minutes`},
		{`formatDate(time, "dd.MM 'yy")`, `17-28 foreign-syntax: a quote of the pattern has no end, so it appears in the text`},
		{`formatDate(time, "yyyy-MM-dd'T'HH:mm:ssxxx")`, `17-43 foreign-syntax: "xxx" is no part of a pattern of formatDate`},
		{`formatDate(time, "yyyy-MM-dd'T'HH:mm:ss")`, ``},
		{`formatDate(time, "yyyy-MM-ddTHH:mm:ssZ")`, `17-39 foreign-syntax: "Z" is no part of a pattern of formatDate`},
		{`formatDate(time, "HH:mm address")`, `17-32 foreign-syntax: formatDate fills in a part of the word "address"`},
		{`formatDate(time, "dd.MM.yyyy") + formatDate(time, "HH:mm") + formatDate(time, "mm:ss") + formatDate(time, "HHmmss, HH") + formatDate(time, "dd месяца MM, yy г.")`, ``},
		{`formatDate(time, "yyyy-MM-ddTHH:mm:ss") + formatDate(time, "dd.MM.yyyy um HH:mm Uhr") + formatDate(time, "MM.yyyy, HH:mm:ss") + formatDate(time, "mm")`, ``},

		{`deal.stageId matches "^\\w+$"`, `21-29 ascii-pattern: \w knows only the letters a to z, so other letters do not match`},
		{`deal.stageId matches "(?i)\\bкрыша\\b"`, `21-38 ascii-pattern: \b knows only the letters a to z, so other letters do not match`},
		{`deal.stageId matches "Иванов\\s[\\w-]+"`, `21-39 ascii-pattern: \w knows only the letters a to z, so other letters do not match`},
		{"deal.stageId matches `^[\\w.-]+@[\\w-]+\\.ru$` || deal.stageId matches `INV-\\w+` || deal.stageId matches `\\bVIP\\b` || deal.stageId matches `^[\\wа-яё]+$`", ``},
		{"deal.stageId matches `^[\\w\\p{L}]+$` || deal.stageId matches `\\b\\d{6}\\b` || deal.stageId matches `^\\d+$` || deal.stageId matches `^\\pL\\S*$`", ``},
		{`deal.stageId matches "/^VIP/i"`, `21-30 foreign-syntax: the slashes around the pattern are a part of it`},
		{`deal.stageId matches "%VIP%"`, `21-28 foreign-syntax: % in a pattern is the character itself`},
		{`deal.stageId matches "\bVIP"`, `21-28 foreign-syntax: in quotes \b is a control character, not a part of a pattern`},
		{`deal.stageId matches "/crm/deal/" || deal.stageId matches "^50%$"`, ``},
		{`lower(deal.stageId) matches "^VIP"`, `28-34 constant-condition: nothing matches the pattern, because lower(…) has no capital letters`},
		{`lower(deal.stageId) matches "(?i)^VIP"`, ``},
		{`deal.stageId contains "*VIP*"`, `22-29 foreign-syntax: * is the character itself in contains, not any text`},
		{`deal.stageId contains "VIP|ВИП"`, `22-31 foreign-syntax: | is the character itself in contains, not a choice`},
		{`deal.stageId startsWith "%VIP%"`, `24-31 foreign-syntax: % is the character itself in startsWith, not any text`},
		{`deal.stageId contains "*" || deal.stageId contains "50%" || deal.stageId contains "|RUB"`, ``},

		{`rows[0].price + rows[-1].price + rows[2].price`, `0-7 may-be-empty: rows may have no element 0|16-24 may-be-empty: rows may have no element -1|33-40 may-be-empty: rows may have no element 2`},
		{`len(rows) > 0 ? rows[0].price : 0`, ``},
		{`len(rows) == 0 ? 0 : rows[0].price + x / len(rows)`, ``},
		{`len(rows) > 1 && rows[1].price > 5 && rows[-2].price > 6`, ``},
		{`len(rows) > 1 ? rows[2].price : 0`, `16-23 may-be-empty: rows may have no element 2`},
		{`!isEmpty(rows) && rows[0].price > 5 || isEmpty(rows) || rows[0].price > 1`, ``},
		{`isEmpty(rows) ? rows[0].price : 0`, `16-23 may-be-empty: rows may have no element 0`},
		{`rows != [] && rows[0].price > 5 && any(rows, .price / len(rows) > 3)`, ``},
		{`sum(map(rows, .price / len(rows))) + sum(filter(rows, .price > rows[0].price), .price)`, ``},
		{`map(groupBy(rows, .price), .items[0].price / len(.items) + 1 / sum(.items, .price))`, ``},
		{`map(groupBy(rows, .price), .items[1].price)`, `27-36 may-be-empty: .items may have no element 1`},
		{`split(deal.stageId, ":")[0] + split(deal.stageId, ":")[1]`, `30-57 may-be-empty: split(deal.stageId, ":") may have no element 1`},
		{`sort(map(rows, .price))[0] + sortBy(rows, .price)[0].price`, `0-26 may-be-empty: sort(map(rows, .price)) may have no element 0|29-52 may-be-empty: sortBy(rows, .price) may have no element 0`},
		{`len(rows) > 0 ? sort(map(rows, .price))[0] + sortBy(rows, .price, "desc")[0].price : 0`, ``},
		{`x / len(rows)`, `4-13 may-be-empty: the division fails where len(rows) is 0`},
		{`x % count(rows, .price > 5) + x / sum(rows, .price)`, `4-27 may-be-empty: the division fails where count(rows, .price > 5) is 0|34-51 may-be-empty: the division fails where sum(rows, .price) is 0`},
		{`sum(rows, .price) != 0 ? x / sum(rows, .price) + x / len(rows) : 0`, ``},
		{`let n = len(rows); n > 0 ? x / n : 0`, ``},
		{`let n = len(rows); x / n`, `23-24 may-be-empty: the division fails where len(rows) is 0`},
		{`x / max(len(rows), 1) + x / (len(rows) + 1) + x / (len(rows) > 0 ? len(rows) : 1)`, ``},
		{`x / (many.a ?? 0)`, `5-16 may-be-empty: the division fails where many.a is missing`},
		{`(many.a ?? 0) > 0 ? x / (many.a ?? 0) + x / many.a : 0`, ``},
		{`(many.a ?? 0) == 0 ? 0 : x / many.a`, ``},
		{`many.a != nil && many.a > 0 ? x / (many.a ?? 0) : 1`, ``},
		{`x / (many.a ?? 1)`, ``},
		{`len(many.list ?? []) > 0 ? many.list[0] + (many.list ?? [])[0] : 0`, ``},
		{`(many.ok ?? false) && many.list == nil ? 1 : (many.list ?? [1])[0]`, `46-66 may-be-empty: many.list ?? [1] may have no element 0`},
		{`many.a in [1, 2] && many.a > 1`, ``},

		{`map([12, 15], count(any_list, .a == #))`, `30-37 row-shadow: a part of the element is compared with the element itself: # is the element of the innermost loop`},
		{`map([12, 15], let who = #; count(any_list, .a == who)) == map(any_list, .b.c) || any([1, 2], # == x)`, ``},
		{`count(rows, x > 1)`, `12-17 row-shadow: the condition of count does not read the element, so it is the same for all`},
		{`filter(rows, x > 1 && any(groupBy(rows, .price), .key == 1))`, `13-59 row-shadow: the condition of filter does not read the element, so it is the same for all`},
		{`filter(rows, any([.price], # == x)) == filter(rows, #index > 1) || count([true], #) == 1 || any(rows, true)`, ``},
		{`"Deal ${deal.stageId}"`, `0-22 foreign-syntax: "${deal.stageId}" is sent unchanged: ${…} of JavaScript inserts no value`},
		{`"Deal " + "$deal"`, `10-17 foreign-syntax: "$deal" is sent unchanged: a variable of PHP inserts no value`},
		{`"costs $20, $USD, ${} #5 [[1]] 100%"`, ``},
	} {
		f, problems := formula.Compile(tt.src, doubtEnv())
		if len(problems) > 0 {
			t.Errorf("%s: %v", tt.src, problems)
			continue
		}
		var got []string
		for _, d := range f.Doubts() {
			got = append(got, fmt.Sprintf("%d-%d %s: %s", d.From, d.To, d.Code, d.Text()))
		}
		if s := strings.Join(got, "|"); s != tt.want {
			t.Errorf("%s: doubts %s, want %s", tt.src, s, tt.want)
		}
	}
}

func TestPaths(t *testing.T) {
	f, problems := formula.Compile(`let y = event.id; sum(rows, .price * y) + x + (deal?.opportunity ?? 0) + len(deal["stageId"])`, doubtEnv())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if diff := cmp.Diff([]string{"deal.opportunity", "deal.stageId", "event.id", "rows", "x"}, f.Paths()); diff != "" {
		t.Error(diff)
	}
	_, problems = formula.Compile(`event.name == "x"`, doubtEnv())
	if len(problems) != 1 || problems[0].Hint != "no event name" {
		t.Errorf("absent field: %v", problems)
	}
}
