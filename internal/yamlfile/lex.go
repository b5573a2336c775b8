package yamlfile

// token is the part of a plain scalar on one line of the source. The lexer serves
// explanations only: it also reads what yaml.v3 refuses.
type token struct {
	from, to int  // offsets, without trailing blanks
	flow     bool // inside {} or []
	key      bool // a colon follows, and the token is the first of its entry
	value    bool // a key is before it, on its line or in its entry
}

// bracket is an open { or [ of flow style.
type bracket struct {
	at    int
	value bool // the key of the entry has been read
}

// lexer walks over YAML and collects its plain scalars, until its end or a limit.
type lexer struct {
	text
	i      int
	end    int
	tokens []token
	open   []bracket
	keyed  bool // in block style: a key is before on this line
	// quoteAt is where a quote was opened that is not closed before end, or -1.
	quoteAt int
	// lastQuoted is the last text in quotes that is closed; its from is -1 when
	// there is none.
	lastQuoted token
}

// lex reads the text up to an offset.
func lex(t text, end int) *lexer {
	l := &lexer{text: t, end: min(end, len(t.runes)), quoteAt: -1, lastQuoted: token{from: -1}}
	for l.i < l.end {
		l.step()
	}
	return l
}

func (l *lexer) step() {
	r := l.at(l.i)
	switch {
	case l.breakAt(l.i) > 0:
		l.i += l.breakAt(l.i)
		l.keyed = false
	case isBlank(r):
		l.i++
	case r == '#':
		l.skipLine()
	case r == '"' || r == '\'':
		l.quoted(r)
	case r == '{' || r == '[':
		l.open = append(l.open, bracket{at: l.i})
		l.i++
	case len(l.open) > 0 && (r == '}' || r == ']'):
		l.open = l.open[:len(l.open)-1]
		l.i++
	case len(l.open) > 0 && r == ',':
		l.open[len(l.open)-1].value = false
		l.i++
	case l.colonAt(l.i):
		l.sawKey()
		l.i++
	case len(l.open) == 0 && (r == '-' || r == '?') && l.blankz(l.i+1):
		l.i++
	case r == '&' || r == '!' || r == '*':
		for l.i < l.end && !l.blankz(l.i) && !l.flowEnd(l.i) {
			l.i++
		}
	case len(l.open) == 0 && (r == '|' || r == '>'):
		l.block()
	default:
		l.plain()
	}
}

func (l *lexer) sawKey() {
	if n := len(l.open); n > 0 {
		l.open[n-1].value = true
		return
	}
	l.keyed = true
}

func (l *lexer) hasKey() bool {
	if n := len(l.open); n > 0 {
		return l.open[n-1].value
	}
	return l.keyed
}

// blankz reports whether a blank, a line break or the end is at the offset.
func (l *lexer) blankz(i int) bool {
	return i >= len(l.runes) || isBlank(l.at(i)) || l.breakAt(i) > 0
}

// colonAt reports whether the colon that ends a key is at the offset.
func (l *lexer) colonAt(i int) bool {
	if l.at(i) != ':' {
		return false
	}
	return l.blankz(i+1) || len(l.open) > 0 && l.flowEnd(i+1)
}

// flowEnd reports whether the character ends a plain scalar of flow style. Only in yaml.v3
// does the question mark end one.
func (l *lexer) flowEnd(i int) bool {
	if len(l.open) == 0 {
		return false
	}
	switch l.at(i) {
	case ',', '?', '[', ']', '{', '}':
		return true
	}
	return false
}

func (l *lexer) skipLine() {
	for l.i < l.end && l.breakAt(l.i) == 0 {
		l.i++
	}
}

func (l *lexer) quoted(quote rune) {
	start := l.i
	for l.i++; l.i < l.end; l.i++ {
		switch r := l.at(l.i); {
		case r == '\\' && quote == '"':
			l.i++
		case r == quote && quote == '\'' && l.at(l.i+1) == quote:
			l.i++
		case r == quote:
			l.i++
			l.lastQuoted = token{from: start, to: l.i}
			return
		}
	}
	l.i = l.end
	l.quoteAt = start
}

func (l *lexer) plain() {
	t := token{from: l.i, flow: len(l.open) > 0, value: l.hasKey()}
	for l.i < l.end && l.breakAt(l.i) == 0 && !l.colonAt(l.i) && !l.flowEnd(l.i) {
		if l.at(l.i) == '#' && isBlank(l.at(l.i-1)) {
			break
		}
		l.i++
	}
	if l.i == t.from { // a ? in flow style is not a scalar: skip it
		l.i++
		return
	}
	for t.to = l.i; t.to > t.from && isBlank(l.at(t.to-1)); t.to-- {
	}
	t.key = !t.value && l.colonAt(l.i)
	l.tokens = append(l.tokens, t)
}

// block skips a block scalar: all lines that are indented deeper than its header's.
func (l *lexer) block() {
	from, _ := l.line(l.i)
	indent := l.indentAt(from)
	l.skipLine()
	for l.i < l.end {
		next := l.i + l.breakAt(l.i)
		if n := l.indentAt(next); n <= indent && !l.blankLine(next) {
			return
		}
		l.i = next
		l.skipLine()
		if l.i == next && l.breakAt(l.i) == 0 {
			return
		}
	}
}

func (l *lexer) indentAt(i int) int {
	n := 0
	for ; l.at(i) == ' '; i++ {
		n++
	}
	return n
}

func (l *lexer) blankLine(i int) bool {
	for ; isBlank(l.at(i)); i++ {
	}
	return i >= len(l.runes) || l.breakAt(i) > 0
}
