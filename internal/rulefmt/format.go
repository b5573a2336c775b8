// Package rulefmt formats rule files.
//
// Keys get a fixed order, each level is indented by two spaces, and formulas are quoted
// only where YAML requires it. Comments stay with their lines, and the meaning of a file
// never changes.
package rulefmt

import (
	"bytes"
	"errors"
	"strings"

	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// ErrShape is returned for YAML that is no rule file in shape, or one whose
// layout cannot be changed without changing what it says.
var ErrShape = errors.New("the file is written in a way that fmt cannot keep: it is left as it is")

// Format returns the text of a rule file in the canonical layout. It looks at
// the YAML alone, not at the rules. The findings say why the text is no YAML;
// the error is ErrShape. Format of what it returned is the same text.
func Format(name string, data []byte) ([]byte, diag.List, error) {
	f, list := yamlfile.Parse(name, data)
	if list.HasErrors() {
		return nil, list, nil
	}
	if f.Root == nil {
		return nil, nil, ErrShape
	}
	text := unify(data)
	f, list = yamlfile.Parse(name, text)
	if list.HasErrors() || f.Root == nil {
		return nil, nil, ErrShape
	}
	if spaced, changed := respaceHoles(f, text); changed {
		text = spaced
		if f, list = yamlfile.Parse(name, text); list.HasErrors() || f.Root == nil {
			return nil, nil, ErrShape
		}
	}
	doc, err := read(f, text)
	if err != nil {
		return nil, nil, err
	}
	// An alias has to follow its anchor, which moving keys may break.
	for _, reorder := range []bool{true, false} {
		if reorder && doc.anchorsTwice {
			continue
		}
		if out := doc.print(reorder); doc.same(out, reorder) {
			return out, nil, nil
		}
		if !doc.aliases {
			break
		}
	}
	return nil, nil, ErrShape
}

// unify takes out the byte order mark and the line breaks of other systems.
func unify(data []byte) []byte {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if bytes.IndexByte(data, '\r') < 0 {
		return data
	}
	return []byte(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(data)))
}
