// Package yamlfile reads YAML files and reports mistakes at their exact places.
//
// Every node and every character of a scalar has its place in the file, and syntax
// errors have a line and a column. Where YAML cuts a formula, the finding explains why.
// Decoding into Go values is strict and reports all mistakes at once.
package yamlfile

import (
	"bytes"
	"path/filepath"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/internal/diag"
)

// Limits of a file. They are far above the size of files that people write, and stop
// hostile files from using much memory or time.
const (
	MaxBytes = 1 << 20 // yaml.v3 needs about 36 bytes of memory for a byte of YAML
	MaxNodes = 100_000 // counted with aliases expanded, so that an alias bomb counts
	MaxDepth = 50
)

// File is one parsed YAML file. It does not change after Parse and may be used
// from several goroutines.
type File struct {
	Name string
	Root *yaml.Node // the document's value; nil if it is empty or cannot be used

	data []byte
	text text
}

// Bytes returns the text of the file that Parse got.
func (f *File) Bytes() []byte { return f.data }

// Line returns the i-th line, from 1, without its line break; "" outside the file.
func (f *File) Line(i int) string {
	from, to := f.text.lineN(i)
	return f.text.slice(from, to)
}

// Pos returns the place where the node starts: at its tag or anchor if it has one, at the *
// of an alias. For a nil node it is the start of the file.
func (f *File) Pos(n *yaml.Node) diag.Pos {
	if n == nil || n.Line < 1 {
		return f.pos(0)
	}
	return f.pos(f.text.offset(n.Line, n.Column))
}

func (f *File) pos(offset int) diag.Pos {
	line, column := f.text.place(offset)
	return diag.Pos{File: f.Name, Line: line, Column: column}
}

// At returns the place of the i-th rune of a scalar's value, whatever the scalar's
// style. An i after the last rune gives the place after it. For an alias it is the
// place in the anchored scalar. If the place is unknown, At returns that of the node.
func (f *File) At(n *yaml.Node, i int) diag.Pos {
	start, _ := f.Span(n, i, i)
	return start
}

// Span returns the places of the runes from…to of a scalar's value: that of the
// first one and that after the last one.
func (f *File) Span(n *yaml.Node, from, to int) (start, end diag.Pos) {
	n = Resolve(n)
	cells := f.cells(n)
	if len(cells) == 0 {
		p := f.Pos(n)
		return p, p
	}
	from = min(max(from, 0), len(cells))
	to = min(max(to, from), len(cells))
	first := cells[len(cells)-1].to
	if from < len(cells) {
		first = cells[from].from
	}
	last := first
	if to > from {
		last = cells[to-1].to
	}
	return f.pos(first), f.pos(last)
}

// End returns the place after the last character of a scalar, its closing quote
// included. For other nodes it is the place where the node starts.
func (f *File) End(n *yaml.Node) diag.Pos {
	n = Resolve(n)
	if n == nil || n.Kind != yaml.ScalarNode || n.Value == "" {
		return f.Pos(n)
	}
	if end, ok := f.text.verbatimEnd(n); ok {
		return f.pos(end)
	}
	_, end := f.Span(n, 0, len([]rune(n.Value)))
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
		end.Column++
	}
	return end
}

// WithEnd gives a finding about a scalar its end. It returns the finding.
func (f *File) WithEnd(n *yaml.Node, finding *diag.Finding) *diag.Finding {
	if end := f.End(n); finding.Pos.Before(end) {
		finding.EndLine, finding.EndColumn = end.Line, end.Column
	}
	return finding
}

// Resolve follows aliases to the node that they name. It returns nil for nil.
func Resolve(n *yaml.Node) *yaml.Node {
	for range MaxDepth {
		if n == nil || n.Kind != yaml.AliasNode {
			return n
		}
		n = n.Alias
	}
	return n
}

// Parse reads a YAML file of one document. The file is never nil: with findings it has
// as much as Parse could read. All findings have a place in the file.
func Parse(name string, data []byte) (*File, diag.List) {
	f := &File{Name: name, data: data}
	var list diag.List
	src := strings.TrimPrefix(string(data), "\ufeff")
	if !f.readable(src, &list) {
		return f, list
	}
	root, ok := f.parse(src, &list)
	if !ok {
		list.Sort()
		return f, list
	}
	if f.bounded(root, &list) {
		f.Root = root
		f.repair(&list)
		f.check(&list)
	}
	list.Sort()
	return f, list
}

// parse runs yaml.v3 over the text.
func (f *File) parse(src string, list *diag.List) (root *yaml.Node, ok bool) {
	d := yaml.NewDecoder(strings.NewReader(src))
	var doc, second yaml.Node
	switch err := decode(d, &doc); {
	case isEOF(err):
		return nil, true
	case err != nil:
		f.syntaxError(src, list)
		return nil, false
	}
	if err := decode(d, &second); err == nil {
		list.Errorf(f.secondDocument(&second), "yaml-document", "a second document starts here: a file holds one").Hint = "move it to its own file"
		return nil, false
	} else if !isEOF(err) {
		f.syntaxError(src, list)
		return nil, false
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) == 0 {
		return nil, true
	}
	root = doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" && root.Value == "" {
		return nil, true
	}
	return root, true
}

// secondDocument finds the --- before the second document's value.
func (f *File) secondDocument(doc *yaml.Node) diag.Pos {
	at := f.text.offset(doc.Line, doc.Column)
	for from, _ := f.text.line(at); from >= 0; from, _ = f.text.line(from - 1) {
		if f.text.slice(from, from+3) == "---" {
			return f.pos(from)
		}
		if from == 0 {
			break
		}
	}
	return f.pos(at)
}

// readable checks what yaml.v3 would report without a place, or not at all.
func (f *File) readable(src string, list *diag.List) bool {
	f.text = newText("")
	if len(f.data) > MaxBytes {
		list.Errorf(f.pos(0), "yaml-limit", "the file is larger than %d MiB", MaxBytes>>20).Hint = "split it into several files"
		return false
	}
	if plain := plainName(f.Name); Ext(f.Name) != "" && plain != filepath.Base(f.Name) {
		list.Errorf(f.pos(0), "yaml-name", "the name of a YAML file ends in .yaml or .yml, not in %q", Ext(f.Name)).Hintf("rename it to %s", plain)
		return false
	}
	if isUTF16(f.data) {
		list.Errorf(f.pos(0), "yaml-encoding", "the file is UTF-16, it must be UTF-8").Hint = "save it as UTF-8"
		return false
	}
	// Invalid bytes become one U+FFFD each, so that lines and columns still count.
	f.text = newText(src)
	return f.printable(src, list)
}

// isUTF16 reports whether a text is UTF-16, with its mark at the start or without. In text
// without a mark, every second byte of the first characters is 0.
func isUTF16(data []byte) bool {
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return true
	}
	return len(data) > 3 && (data[0] == 0) != (data[1] == 0) && (data[0] == 0) == (data[2] == 0) && (data[1] == 0) == (data[3] == 0)
}
