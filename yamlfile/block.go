package yamlfile

// block maps a literal or folded block scalar that starts at its header. The
// indentation is not in the node. Without an indentation indicator it is that
// of the first line with text; with one it depends on the parent's, so the
// indentations that are possible are tried until one spells the value.
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

	most := s.indentation(i)
	least := most
	if given {
		least = 0
	}
	for indent := most; indent >= least; indent-- {
		b := blockReader{scalarReader: *s, indent: indent, literal: literal}
		if cells := spelled(b.read(i), value); cells != nil {
			return cells
		}
	}
	return nil
}

// indentation returns the number of blanks before the first text of a block,
// or the most on its lines if there is none.
func (s *scalarReader) indentation(i int) int {
	most := 0
	for i <= len(s.runes) {
		n := 0
		for ; s.at(i) == ' '; i++ {
			n++
		}
		most = max(most, n)
		if s.breakAt(i) == 0 {
			break
		}
		i += s.breakAt(i)
	}
	return max(most, 1)
}

// blockReader reads the lines of one block scalar at a known indentation.
type blockReader struct {
	scalarReader
	indent  int
	literal bool
}

// read returns the cells of the text and of all line breaks after it, of which
// chomping may leave some out: the value says how many.
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

// emptyLines skips indentation and collects the breaks of lines that hold no
// more than it. It returns the offset and the column of the next text.
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
