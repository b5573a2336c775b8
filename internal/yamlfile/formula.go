package yamlfile

// formulaScan follows the brackets, strings and comments of a formula, to know whether a
// place is inside one.
type formulaScan struct {
	closers []rune // what ends each open bracket
	quote   rune   // of the string around, or 0
	comment bool   // inside /* */
	escaped bool
	last    rune
}

func (s *formulaScan) next(r rune) {
	switch {
	case s.comment:
		s.comment = s.last != '*' || r != '/'
	case s.escaped:
		s.escaped = false
	case s.quote != 0:
		s.escaped = r == '\\' && s.quote != '`'
		if r == s.quote {
			s.quote = 0
		}
	default:
		s.code(r)
	}
	s.last = r
}

func (s *formulaScan) code(r rune) {
	switch r {
	case '"', '\'', '`':
		s.quote = r
	case '(':
		s.closers = append(s.closers, ')')
	case '[':
		s.closers = append(s.closers, ']')
	case '{':
		s.closers = append(s.closers, '}')
	case ')', ']', '}':
		if n := len(s.closers); n > 0 && s.closers[n-1] == r {
			s.closers = s.closers[:n-1]
		}
	case '*':
		s.comment = s.last == '/'
	}
}

func (s *formulaScan) open() bool { return len(s.closers) > 0 || s.quote != 0 || s.comment }

// unbalanced reports whether a formula ends inside a bracket, string or comment.
func unbalanced(formula string) bool {
	var s formulaScan
	for _, r := range formula {
		s.next(r)
	}
	return s.open()
}

// formulaEnd returns the offset after the part of a formula that is on the line of from. In
// flow style, the next comma or bracket of YAML ends it.
func (t text) formulaEnd(from int, flow bool) int {
	var s formulaScan
	_, eol := t.line(from)
	for i := from; i < eol; i++ {
		r := t.at(i)
		if flow && !s.open() && (r == ',' || r == '}' || r == ']') {
			return i
		}
		s.next(r)
	}
	return eol
}
