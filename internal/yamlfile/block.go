package yamlfile

// block maps a literal or folded block scalar that starts at its header. The node does not
// have the indentation. Without an indentation indicator it is that of the first line with
// text. With one, it is that of the line less the blanks that the value starts with.
func (s *scalarReader) block(i int, literal bool, value []rune) []cell {
	if s.at(i) != '|' && s.at(i) != '>' {
		return nil
	}
	given := false
	for i++; s.breakAt(i) == 0 && i < len(s.runes); i++ {
		if s.at(i) == '#' {
			for i < len(s.runes) && s.breakAt(i) == 0 {
				i++
			}
			break
		}
		given = given || s.at(i) >= '1' && s.at(i) <= '9'
	}
	i += s.breakAt(i)

	most, text := s.indentation(i)
	if given {
		most = max(text-leading(value), 0)
	}
	b := blockReader{scalarReader: *s, indent: most, literal: literal}
	return spelled(b.read(i), value)
}

// indentation returns the most blanks before a line break or the first text of
// a block, which is its indentation by libyaml's rule, and those before the text.
func (s *scalarReader) indentation(i int) (most, text int) {
	for {
		for text = 0; s.at(i) == ' '; i++ {
			text++
		}
		most = max(most, text)
		n := s.breakAt(i)
		if n == 0 {
			break
		}
		i += n
	}
	return max(most, 1), text
}

// leading returns the number of blanks before the first text of a value.
func leading(value []rune) int {
	n := 0
	for _, r := range value {
		switch r {
		case ' ':
			n++
		case '\n', '\u2028', '\u2029':
			n = 0
		default:
			return n
		}
	}
	return n
}

// blockReader reads the lines of one block scalar at a known indentation.
type blockReader struct {
	scalarReader
	indent  int
	literal bool
}

// read returns the cells of the text and of all line breaks after it. Chomping may drop
// some of these: the value shows how many.
func (b *blockReader) read(i int) []cell {
	var last, more []cell // the break that ends the last line, and those of empty lines after it
	blankBefore := false
	i, column := b.emptyLines(i, &more)
	for column == b.indent && i < len(b.runes) && !b.full() {
		blank := isBlank(b.at(i))
		fold := !b.literal && !blankBefore && !blank && len(last) > 0 && last[0].r == '\n'
		switch {
		case fold && len(more) == 0:
			b.emit(' ', last[0].from, last[0].to)
		case !fold:
			b.cells = append(b.cells, last...)
		}
		b.cells = append(b.cells, more...)
		last, more = nil, nil

		blankBefore = blank
		for ; i < len(b.runes) && b.breakAt(i) == 0; i++ {
			b.emit(b.at(i), i, i+1)
		}
		if n := b.breakAt(i); n > 0 {
			last = []cell{{b.breakRune(i), i, i + n}}
			i += n
		}
		i, column = b.emptyLines(i, &more)
	}
	return append(append(b.cells, last...), more...)
}

// emptyLines skips indentation and collects the breaks of lines that have nothing else. It
// returns the offset and the column of the next text.
func (b *blockReader) emptyLines(i int, breaks *[]cell) (next, column int) {
	for {
		column = 0
		for ; column < b.indent && b.at(i) == ' '; i++ {
			column++
		}
		n := b.breakAt(i)
		if n == 0 {
			return i, column
		}
		*breaks = append(*breaks, cell{b.breakRune(i), i, i + n})
		i += n
	}
}
