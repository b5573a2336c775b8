package datetime

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Language is the language of names and separators.
type Language string

// The languages that formulas write.
const (
	English Language = "en"
	Russian Language = "ru"
)

// Languages lists the languages.
func Languages() []Language { return []Language{English, Russian} }

// Part is a piece of a pattern: a part that a time fills in, such as dd, a text in
// quotes, or other characters, which appear unchanged.
type Part struct {
	// Text is the piece as the pattern has it, without the quotes of a text in quotes.
	Text   string
	Filled bool
	Quoted bool
}

// fill writes the parts of a time. afterDay says that the day of the month precedes.
var fill = map[string]func(t time.Time, lang Language, afterDay bool) string{
	"yyyy": layout("2006"), "yy": layout("06"),
	"MM": layout("01"), "M": layout("1"),
	"dd": layout("02"), "d": layout("2"),
	"HH": layout("15"),
	"H":  func(t time.Time, _ Language, _ bool) string { return strconv.Itoa(t.Hour()) },
	"mm": layout("04"), "ss": layout("05"),
	"MMMM": func(t time.Time, lang Language, afterDay bool) string {
		if afterDay {
			return names[lang].monthsAfterDay[t.Month()-1]
		}
		return names[lang].months[t.Month()-1]
	},
	"MMM": func(t time.Time, lang Language, afterDay bool) string {
		if afterDay {
			return names[lang].shortMonthsAfterDay[t.Month()-1]
		}
		return names[lang].shortMonths[t.Month()-1]
	},
	"EEEE": func(t time.Time, lang Language, _ bool) string { return names[lang].days[t.Weekday()] },
	"EEE":  func(t time.Time, lang Language, _ bool) string { return names[lang].shortDays[t.Weekday()] },
}

func layout(l string) func(time.Time, Language, bool) string {
	return func(t time.Time, _ Language, _ bool) string { return t.Format(l) }
}

// always are the parts that are filled in also inside a word that has other letters, as
// in "ddTHH". The others are letters of a word there.
var always = []string{"yyyy", "yy", "MM", "dd", "HH", "mm", "ss"}

// Parts cuts a pattern into its pieces. unclosed reports a quote without its end.
func Parts(pattern string) (parts []Part, unclosed bool) {
	for pattern != "" {
		switch {
		case pattern[0] == '\'':
			text, rest, closed := quoted(pattern[1:])
			if !closed { // the character itself
				text, rest, unclosed = "'", pattern[1:], true
			}
			parts, pattern = append(parts, Part{Text: text, Quoted: true}), rest
		case IsLetter(pattern[0]):
			end := 0
			for end < len(pattern) && IsLetter(pattern[end]) {
				end++
			}
			parts, pattern = append(parts, word(pattern[:end])...), pattern[end:]
		default:
			_, size := utf8.DecodeRuneInString(pattern)
			parts, pattern = append(parts, Part{Text: pattern[:size]}), pattern[size:]
		}
	}
	return parts, unclosed
}

// quoted reads a text up to its closing quote. Two quotes are one of the text.
func quoted(s string) (text, rest string, closed bool) {
	var b strings.Builder
	for {
		part, after, found := strings.Cut(s, "'")
		b.WriteString(part)
		if !found {
			return b.String(), "", false
		}
		if !strings.HasPrefix(after, "'") {
			if b.Len() == 0 { // '' alone
				b.WriteByte('\'')
			}
			return b.String(), after, true
		}
		b.WriteByte('\'')
		s = after[1:]
	}
}

// word cuts a word into its parts.
func word(w string) (parts []Part) {
	runs := Runs(w)
	for i, run := range runs {
		if !IsPart(run) && (run != "T" || i == 0 || i+1 == len(runs)) {
			return wordParts(w)
		}
		parts = append(parts, Part{Text: run, Filled: IsPart(run)})
	}
	return parts
}

// wordParts fills only those parts of a word that no text has.
func wordParts(w string) (parts []Part) {
	for w != "" {
		part := Part{Text: w[:1]}
		for _, name := range always {
			if strings.HasPrefix(w, name) {
				part = Part{Text: name, Filled: true}
				break
			}
		}
		parts, w = append(parts, part), w[len(part.Text):]
	}
	return parts
}

// Runs cuts a word into runs of one letter.
func Runs(word string) (runs []string) {
	for word != "" {
		size := len(word) - len(strings.TrimLeft(word, word[:1]))
		runs, word = append(runs, word[:size]), word[size:]
	}
	return runs
}

// IsLetter reports whether a character of a pattern is a letter of a word.
func IsLetter(b byte) bool { return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' }

// IsPart reports whether a run of one letter is a part that a time fills in.
func IsPart(run string) bool { return fill[run] != nil }

// Format writes a time by a pattern such as d MMMM yyyy, HH:mm.
func Format(t time.Time, pattern string, lang Language) string {
	if names[lang] == nil {
		lang = English
	}
	var b strings.Builder
	parts, _ := Parts(pattern)
	last := ""
	for _, p := range parts {
		if !p.Filled {
			b.WriteString(p.Text)
			continue
		}
		b.WriteString(fill[p.Text](t, lang, last == "d" || last == "dd"))
		last = p.Text
	}
	return b.String()
}

// nameTable has the names of months, from January, and of days, from Sunday.
type nameTable struct {
	months, monthsAfterDay, shortMonths, shortMonthsAfterDay [12]string
	days, shortDays                                          [7]string
}

// names are those of CLDR.
var names = map[Language]*nameTable{
	English: {
		months:              englishMonths,
		monthsAfterDay:      englishMonths,
		shortMonths:         englishShortMonths,
		shortMonthsAfterDay: englishShortMonths,
		days:                [7]string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"},
		shortDays:           [7]string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"},
	},
	Russian: {
		months:              [12]string{"январь", "февраль", "март", "апрель", "май", "июнь", "июль", "август", "сентябрь", "октябрь", "ноябрь", "декабрь"},
		monthsAfterDay:      [12]string{"января", "февраля", "марта", "апреля", "мая", "июня", "июля", "августа", "сентября", "октября", "ноября", "декабря"},
		shortMonths:         [12]string{"янв.", "февр.", "март", "апр.", "май", "июнь", "июль", "авг.", "сент.", "окт.", "нояб.", "дек."},
		shortMonthsAfterDay: [12]string{"янв.", "февр.", "мар.", "апр.", "мая", "июн.", "июл.", "авг.", "сент.", "окт.", "нояб.", "дек."},
		days:                [7]string{"воскресенье", "понедельник", "вторник", "среда", "четверг", "пятница", "суббота"},
		shortDays:           [7]string{"вс", "пн", "вт", "ср", "чт", "пт", "сб"},
	},
}

var (
	englishMonths      = [12]string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"}
	englishShortMonths = [12]string{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"}
)
