package testportal

import (
	"cmp"
	"errors"
	"slices"
	"strconv"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// Seed is the initial content of a portal: its settings and data, in the format of test
// files.
type Seed struct {
	layout seedLayout
	users  []emulator.User
	schema *Schema
}

// seedLayout is the decoded file.
type seedLayout struct {
	Version string              `yaml:"version" doc:"1; optional"`
	Portal  *Setup              `yaml:"portal" doc:"the settings of the portal: demo, or types and lists; by default demo" example:"demo"`
	Users   map[string]userForm `yaml:"users" doc:"users by id; user 1 is the administrator who owns the webhook" example:"{7: {name: Berta, admin: false}}"`
	Data    Data                `yaml:",inline"`
}

type userForm struct {
	Name     string `yaml:"name" validate:"required" doc:"first name"`
	LastName string `yaml:"last_name" doc:"last name"`
	Email    string `yaml:"email" doc:"email address"`
	Admin    bool   `yaml:"admin" default:"false" doc:"the user is an administrator"`
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
	s.readUsers(list, f)
	w, err := newPortal(s.layout.Portal, nil, emulator.Config{KeepChanges: -1})
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

func (s *Seed) readUsers(list *diag.List, f *yamlfile.File) {
	m, _ := f.Mapping(f.Root) // it was decoded before
	e, ok := m.Get("users")
	if !ok {
		return
	}
	users, _ := f.Mapping(e.Value)
	for _, u := range users.Entries {
		id, err := strconv.ParseInt(u.Name, 10, 64)
		if err != nil || id <= 0 {
			list.Errorf(f.Pos(u.Key), "invalid-value", "expected a user's id, got %q", u.Name).Hint = "7: {name: Berta}"
			continue
		}
		form := s.layout.Users[u.Name]
		if id == 1 && !form.Admin {
			list.Errorf(f.Pos(u.Key), "invalid-value", "user 1 must be an administrator because the webhook belongs to this user").Hint = "admin: true"
		}
		s.users = append(s.users, emulator.User{ID: id, Name: form.Name, LastName: form.LastName, Email: form.Email, NotAdmin: !form.Admin})
	}
	slices.SortFunc(s.users, func(a, b emulator.User) int { return cmp.Compare(a.ID, b.ID) })
}

// Fill applies the seed to a new portal as changes of people, without rate limits.
// Counters and history start after it. It returns an error if the portal is not new.
func (s *Seed) Fill(emulated *emulator.Portal) error {
	if err := s.layout.Portal.setUp(emulated); err != nil {
		return err
	}
	for _, u := range s.users {
		emulated.AddUser(u)
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
