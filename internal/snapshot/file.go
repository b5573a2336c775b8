package snapshot

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Suffix is the end of the names of files with snapshots: main.portal.json.
const Suffix = ".portal.json"

// FileName is the name of the file for a portal.
func FileName(portal string) string { return portal + Suffix }

// renew says how to write a snapshot again.
const renew = "run `b24rules schema pull` to write it again"

// layout is the file. The lines of a list stay lines, so that a change of one field is a
// change of one line.
type layout struct {
	Format      int                 `json:"format"`
	Portal      string              `json:"portal"`
	Scopes      []string            `json:"scopes"`
	Currencies  []string            `json:"currencies"`
	Directories map[string][]Choice `json:"directories"`
	Types       []Type              `json:"types"`
	Lists       []List              `json:"lists"`
	Unread      map[string]string   `json:"unread"`
}

// Read reads a snapshot. Its errors name the file and say what to do.
func Read(path string) (*Snapshot, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, data)
}

// Parse is Read for a text. path is the name of the file in errors.
func Parse(path string, data []byte) (*Snapshot, error) {
	var head struct {
		Format *int `json:"format"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("%s is no snapshot of a portal: %s: %s", path, place(data, err), renew)
	}
	switch {
	case head.Format == nil:
		return nil, fmt.Errorf("%s is no snapshot of a portal: it has no format: %s", path, renew)
	case *head.Format < Format:
		return nil, fmt.Errorf("%s has the format %d of an older b24rules, this one reads %d: %s", path, *head.Format, Format, renew)
	case *head.Format > Format:
		return nil, fmt.Errorf("%s has the format %d of a newer b24rules, this one reads %d: update b24rules, or %s", path, *head.Format, Format, renew)
	}
	var in layout
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return nil, fmt.Errorf("%s is no snapshot of a portal: %s: %s", path, place(data, err), renew)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s has text after the snapshot: %s", path, renew)
	}
	if in.Portal == "" || in.Types == nil || in.Lists == nil {
		return nil, fmt.Errorf("%s is no whole snapshot: it has no portal, types or lists: %s", path, renew)
	}
	return &Snapshot{
		Portal: in.Portal, Scopes: in.Scopes, Currencies: in.Currencies, Directories: in.Directories, Types: in.Types, Lists: in.Lists, Unread: in.Unread,
	}, nil
}

// place adds the line to an error of the decoder.
func place(data []byte, err error) string {
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	at := int64(-1)
	switch {
	case errors.As(err, &syntax):
		at = syntax.Offset
	case errors.As(err, &typ):
		at = typ.Offset
	}
	text := strings.TrimPrefix(err.Error(), "json: ")
	if at < 0 || at > int64(len(data)) {
		return text
	}
	return fmt.Sprintf("line %d: %s", 1+bytes.Count(data[:at], []byte("\n")), text)
}

// Find returns the paths of the snapshots for the rule files of a folder: those in it, or in
// the nearest of the two folders above that has any. The result is sorted.
func Find(folder string) ([]string, error) {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	for range 3 {
		found, err := inFolder(folder)
		if len(found) > 0 || err != nil {
			return found, err
		}
		folder = filepath.Dir(folder)
	}
	return nil, nil
}

// inFolder lists the snapshots in a folder.
func inFolder(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // of a text that an editor has not saved yet
	}
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		if !e.IsDir() && strings.HasSuffix(e.Name(), Suffix) && !strings.HasPrefix(e.Name(), ".") {
			out = append(out, filepath.Join(folder, e.Name()))
		}
	}
	slices.Sort(out)
	return out, nil
}

// Write writes the file as a whole: a reader sees the old text or the new one.
func (s *Snapshot) Write(path string) error {
	text, err := s.Encode()
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".snapshot-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // nothing is there after the rename
	_, err = f.Write(text)
	if err := cmp.Or(err, f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// Encode returns the text of the file. Equal snapshots have equal texts.
func (s *Snapshot) Encode() ([]byte, error) {
	s.sortAll()
	w := &writer{}
	w.line("{")
	w.member(1, "format", Format, ",")
	w.member(1, "portal", s.Portal, ",")
	w.member(1, "scopes", orEmpty(s.Scopes), ",")
	w.member(1, "currencies", orEmpty(s.Currencies), ",")
	w.line(` "directories": {`)
	names := s.directoryNames()
	for i, name := range names {
		w.line("  " + w.json(name) + ": [")
		lines(w, 3, s.Directories[name])
		w.line("  ]" + comma(i, len(names)))
	}
	w.line(" },")
	w.line(` "types": [`)
	for i, t := range s.Types {
		fields, pipelines := t.Fields, t.Pipelines
		t.Fields, t.Pipelines = nil, nil
		w.open(t, "pipelines", "fields")
		w.line(`   "pipelines": [`)
		lines(w, 4, pipelines)
		w.line("   ],")
		w.line(`   "fields": [`)
		lines(w, 4, fields)
		w.line("   ]}" + comma(i, len(s.Types)))
	}
	w.line(" ],")
	w.line(` "lists": [`)
	for i, l := range s.Lists {
		properties := l.Properties
		l.Properties = nil
		w.open(l, "properties")
		w.line(`   "properties": [`)
		lines(w, 4, properties)
		w.line("   ]}" + comma(i, len(s.Lists)))
	}
	w.line(" ],")
	unread := s.Unread
	if unread == nil {
		unread = map[string]string{}
	}
	w.member(1, "unread", unread, "")
	w.line("}")
	return w.b.Bytes(), w.err
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// writer writes JSON line by line. err is the first error.
type writer struct {
	b   bytes.Buffer
	err error
}

func (w *writer) line(text string) { w.b.WriteString(text + "\n") }

// json returns a value in one line.
func (w *writer) json(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // titles stay readable
	if err := e.Encode(v); err != nil && w.err == nil {
		w.err = err
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (w *writer) member(indent int, name string, v any, end string) {
	w.line(strings.Repeat(" ", indent) + w.json(name) + ": " + w.json(v) + end)
}

// open writes the first line of an object. The named members follow on their own lines.
func (w *writer) open(v any, later ...string) {
	text := w.json(v)
	for _, name := range later {
		text = strings.Replace(text, `,"`+name+`":null`, "", 1)
	}
	w.line("  " + strings.TrimSuffix(text, "}") + ",")
}

// lines writes each element on a line.
func lines[T any](w *writer, indent int, list []T) {
	for i, x := range list {
		w.line(strings.Repeat(" ", indent) + w.json(x) + comma(i, len(list)))
	}
}

func comma(i, n int) string {
	if i == n-1 {
		return ""
	}
	return ","
}
