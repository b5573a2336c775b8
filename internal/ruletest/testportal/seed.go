package testportal

import (
	"errors"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// Seed is the initial content of a portal: its settings and data, in the format of test
// files.
type Seed struct {
	layout seedLayout
	schema *Schema
}

// seedLayout is the decoded file.
type seedLayout struct {
	Version string `yaml:"version" doc:"1; optional"`
	Portal  *Setup `yaml:"portal" doc:"the settings of the portal: demo, or types and lists; by default demo" example:"demo"`
	Data    Data   `yaml:",inline"`
}

// ReadSeed reads a seed file and tries it on a new portal. name is the file name in
// findings. The seed is nil if a finding is an error.
func ReadSeed(name string, data []byte) (*Seed, diag.List) {
	f, list := yamlfile.Parse(name, data)
	if list.HasErrors() {
		return nil, list
	}
	s := &Seed{}
	list.Add(yamlfile.Decode(f, f.Root, &s.layout)...)
	if s.layout.Portal == nil {
		s.layout.Portal = &Setup{demo: true}
	}
	if !list.HasErrors() {
		s.check(&list, f)
	}
	list.Sort()
	if list.HasErrors() {
		return nil, list
	}
	return s, list
}

// check checks the seed against a new portal and fills that portal.
func (s *Seed) check(list *diag.List, f *yamlfile.File) {
	start := f.Pos(f.Root)
	if v := s.layout.Version; v != "" && v != "1" {
		list.Errorf(start, "invalid-value", "unknown version %q, the current version is 1", v)
	}
	w, err := newPortal(s.layout.Portal, nil, emulator.Config{KeepChanges: -1})
	if finding, ok := errors.AsType[*diag.Finding](err); ok {
		list.Add(*finding)
		return
	}
	if err != nil {
		list.Errorf(start, "invalid-value", "the portal cannot be set up: %v", err)
		return
	}
	defer w.Close()
	s.schema, w.isNew = w.Schema, true
	c := DataChecker{w.Schema, list}
	if c.State(&s.layout.Data, false); list.HasErrors() {
		return
	}
	if err := w.Apply(&s.layout.Data, nil); err != nil {
		if finding, ok := errors.AsType[*diag.Finding](err); ok {
			list.Add(*finding)
			return
		}
		list.Errorf(start, "invalid-value", "the portal refuses this: %v", err)
	}
}

// Fill applies the seed to a new portal as changes of people, without rate limits.
// Counters and history start after it. It returns an error if the portal is not new.
func (s *Seed) Fill(emulated *emulator.Portal) error {
	if err := s.layout.Portal.setUp(emulated); err != nil {
		return err
	}
	w := &Portal{Emulator: emulated, path: "/_emulator/person/", Schema: s.schema, isNew: true}
	if err := w.Apply(&s.layout.Data, nil); err != nil {
		return err
	}
	emulated.Reset()
	return nil
}

// SingleOwner reports whether filters of the portal refuse lists of owners.
func (s *Seed) SingleOwner() bool { return s != nil && s.layout.Portal.singleOwner }

// Counts returns the number of items by entityTypeId, and the number of elements.
func (s *Seed) Counts() (items map[int]int, elements int) {
	items = map[int]int{}
	for typ, list := range s.layout.Data.ByType() {
		items[typ] = len(list)
	}
	for _, list := range s.layout.Data.Elements {
		elements += len(list)
	}
	return items, elements
}
