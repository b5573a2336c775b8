// Package snapshot describes what people have set up in a portal: types, fields, lists,
// stages, currencies. A file holds it for the checker and for tests.
//
// A snapshot has no data of people: no entities, users, addresses or secrets.
package snapshot

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/schemas"
)

// Format is the version of the file format that this program writes.
const Format = 1

// Snapshot describes one portal. What the credentials may not read is in Unread.
type Snapshot struct {
	// Portal is the portal's name in the configuration.
	Portal string
	// Scopes are the permissions of the credentials, sorted.
	Scopes []string
	// Currencies are their codes, sorted.
	Currencies []string
	// Directories are the entries of crm.status.list by the ENTITY_ID of the directory:
	// sources, kinds of companies, and the stages of each pipeline.
	Directories map[string][]Choice
	Types       []Type
	Lists       []List
	// Unread are the parts that could not be read, with the reason. Nothing is known about
	// them.
	Unread map[string]string
}

// The parts of a snapshot, as Unread names them.
const (
	PartScopes      = "scopes"
	PartCurrencies  = "currencies"
	PartDirectories = "directories"
	PartTypes       = "types"
	PartLists       = "lists" // of all kinds
	PartProcesses   = "lists of business processes"
)

// PartType is a type of items in Unread.
func PartType(entityTypeID int) string { return fmt.Sprintf("type %d", entityTypeID) }

// PartPipelines are the pipelines of a type in Unread.
func PartPipelines(entityTypeID int) string { return fmt.Sprintf("pipelines of type %d", entityTypeID) }

// PartList is a list in Unread.
func PartList(id int) string { return fmt.Sprintf("list %d", id) }

// The IBLOCK_TYPE_ID of lists and of business processes.
const (
	typeLists     = "lists"
	typeProcesses = "bitrix_processes"
)

// Choice is a value that a field can have: an option, a stage, an entry of a directory.
type Choice struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	// Semantics is S for a stage that means success, F for one that means failure.
	Semantics string `json:"semantics,omitempty"`
}

// Pipeline is a pipeline of a type. Its stages are in a directory.
type Pipeline struct {
	ID    int    `json:"id"`
	Title string `json:"title"`
	// Stages is the ENTITY_ID of the directory with the stages.
	Stages string `json:"stages"`
}

// Type is a type of items.
type Type struct {
	ID int `json:"id"`
	// Number is the type's own id, which the names of its custom fields have: 5 in
	// UF_CRM_5_TOTAL. 0 if it is a built-in type or not known.
	Number    int        `json:"number,omitempty"`
	Title     string     `json:"title"`
	Products  bool       `json:"products,omitempty"`
	Pipelines []Pipeline `json:"pipelines"`
	Fields    []Field    `json:"fields"`
}

// Field is a field of items.
type Field struct {
	// Name is how crm.item.* calls the field, Stored how the portal stores it.
	Name   string `json:"name"`
	Stored string `json:"stored"`
	Title  string `json:"title"`
	// Type is integer, double, string, enumeration, crm_status and so on.
	Type string `json:"type"`
	// Directory is the ENTITY_ID of the directory of a crm_status field.
	Directory string `json:"directory,omitempty"`
	Custom    bool   `json:"custom,omitempty"`
	Required  bool   `json:"required,omitempty"`
	ReadOnly  bool   `json:"readOnly,omitempty"`
	Immutable bool   `json:"immutable,omitempty"`
	Multiple  bool   `json:"multiple,omitempty"`
	// Digits are those after the point of a number; nil means not known.
	Digits  *int     `json:"digits,omitempty"`
	Choices []Choice `json:"choices,omitempty"`
}

// List is a universal list.
type List struct {
	ID    int    `json:"id"`
	Type  string `json:"type"` // IBLOCK_TYPE_ID
	Code  string `json:"code,omitempty"`
	Title string `json:"title"`
	// Properties are its properties and its system fields.
	Properties []Property `json:"properties"`
}

// Property is a property or a system field of a list.
type Property struct {
	ID       string   `json:"id"` // PROPERTY_101, NAME
	Code     string   `json:"code,omitempty"`
	Title    string   `json:"title"`
	Type     string   `json:"type"` // S, N, L, S:Date and so on
	Required bool     `json:"required,omitempty"`
	Multiple bool     `json:"multiple,omitempty"`
	Choices  []Choice `json:"choices,omitempty"`
}

// Knows reports whether a part could be read.
func (s *Snapshot) Knows(part string) bool { return s != nil && s.Unread[part] == "" }

// KnowsLists reports whether the lists of an IBLOCK_TYPE_ID could be read.
func (s *Snapshot) KnowsLists(typ string) bool {
	switch typ {
	case typeLists:
		return s.Knows(PartLists)
	case typeProcesses:
		return s.Knows(PartLists) && s.Knows(PartProcesses)
	}
	return false
}

// TypeOf returns the type with an entityTypeId, nil if there is none or it is not known.
func (s *Snapshot) TypeOf(entityTypeID int) *Type {
	if s == nil {
		return nil
	}
	for i := range s.Types {
		if s.Types[i].ID == entityTypeID {
			return &s.Types[i]
		}
	}
	return nil
}

// ListOf returns a list, nil if there is none or it is not known.
func (s *Snapshot) ListOf(typ string, id int) *List {
	if s == nil {
		return nil
	}
	for i := range s.Lists {
		if s.Lists[i].ID == id && s.Lists[i].Type == typ {
			return &s.Lists[i]
		}
	}
	return nil
}

// Name names the type for people: deals, items of type 1038 (Invoice totals).
func (t *Type) Name() string {
	if o := schemas.OwnerByType(t.ID); o.Name != "" && t.ID < schemas.FirstDynamicType {
		return o.Plural()
	}
	return fmt.Sprintf("items of type %d (%s)", t.ID, t.Title)
}

// Field finds a field by either spelling of its name, nil without one.
func (t *Type) Field(name string) *Field {
	for _, called := range []func(Field) string{func(f Field) string { return f.Name }, func(f Field) string { return f.Stored }} {
		if i := slices.IndexFunc(t.Fields, func(f Field) bool { return called(f) == name && name != "" }); i >= 0 {
			return &t.Fields[i]
		}
	}
	return nil
}

// ItemFields returns the fields as the portal's client would.
func (t *Type) ItemFields() *bitrix.ItemFields {
	out := make([]bitrix.ItemField, len(t.Fields))
	for i, f := range t.Fields {
		out[i] = bitrix.ItemField{
			Name: f.Name, UpperName: f.Stored, Title: f.Title, Type: f.Type, StatusType: f.Directory, Required: f.Required, ReadOnly: f.ReadOnly,
			Immutable: f.Immutable, Multiple: f.Multiple, Dynamic: f.Custom, Precision: -1, Enum: enum(f.Choices),
		}
		if f.Digits != nil {
			out[i].Precision = *f.Digits
		}
	}
	return bitrix.NewItemFields(out)
}

// ListFields returns the properties as the portal's client would.
func (l *List) ListFields() *bitrix.ListFields {
	out := make([]bitrix.ListField, len(l.Properties))
	for i, p := range l.Properties {
		out[i] = bitrix.ListField{ID: p.ID, Code: p.Code, Name: p.Title, Type: p.Type, Multiple: p.Multiple, Required: p.Required, Enum: enum(p.Choices)}
	}
	return bitrix.NewListFields(out)
}

func enum(choices []Choice) map[string]string {
	if choices == nil {
		return nil
	}
	out := make(map[string]string, len(choices))
	for _, c := range choices {
		out[c.ID] = c.Title
	}
	return out
}

// ChoicesOf returns the values that a field of a type can have. known is false if any
// value is possible, or if they could not be read.
func (s *Snapshot) ChoicesOf(t *Type, f *Field) (choices []Choice, known bool) {
	switch {
	case f.Name == "stageId" || f.Name == "previousStageId":
		if len(t.Pipelines) == 0 {
			return s.directory(f.Directory)
		}
		for _, p := range t.Pipelines {
			stages, known := s.directory(p.Stages)
			if !known {
				return nil, false
			}
			choices = append(choices, stages...)
		}
		return choices, true
	case f.Type == "crm_status":
		return s.directory(f.Directory)
	case f.Type == "crm_currency":
		for _, c := range s.Currencies {
			choices = append(choices, Choice{ID: c, Title: c})
		}
		return choices, s.Knows(PartCurrencies)
	case f.Type == "crm_category":
		for _, p := range t.Pipelines {
			choices = append(choices, Choice{ID: fmt.Sprint(p.ID), Title: p.Title})
		}
		return choices, len(choices) > 0
	case f.Type == "enumeration":
		return f.Choices, len(f.Choices) > 0
	}
	return nil, false
}

func (s *Snapshot) directory(id string) ([]Choice, bool) {
	entries, known := s.Directories[id]
	return entries, known && len(entries) > 0
}

// Choose finds a choice by its id. If there is none, near is the choice that the text may
// mean: one with this title, or one that is spelled similarly.
func Choose(choices []Choice, text string) (found bool, near *Choice) {
	for i := range choices {
		if choices[i].ID == text {
			return true, &choices[i]
		}
	}
	return false, Nearest(text, choices, func(c Choice) []string { return []string{c.ID, c.Title} })
}

// Titled returns the names of the elements with a title, in any case.
func Titled[T any](title string, list []T, of func(T) (name, title string)) (names []string) {
	for _, x := range list {
		if name, called := of(x); title != "" && strings.EqualFold(called, title) {
			names = append(names, name)
		}
	}
	return names
}

// Nearest returns the element one of whose names is most similar to text: equal in any
// case, then spelled similarly, then the only one that starts with it. Of names that are equally
// similar, the first of an element goes before the second of another one. The result is nil if none is.
func Nearest[T any](text string, list []T, names func(T) []string) *T {
	var candidates []string
	owner := map[string]int{}
	for k, more := 0, true; more; k++ {
		more = false
		for i, x := range list {
			called := names(x)
			if k >= len(called) {
				continue
			}
			more = true
			n := called[k]
			if strings.EqualFold(n, text) && n != "" {
				return &list[i]
			}
			if _, taken := owner[n]; n != "" && !taken {
				owner[n] = i
				candidates = append(candidates, n)
			}
		}
	}
	if near := diag.Closest(text, candidates); near != "" {
		return &list[owner[near]]
	}
	started := slices.DeleteFunc(candidates, func(n string) bool {
		return len([]rune(text)) < 3 || !strings.HasPrefix(strings.ToLower(n), strings.ToLower(text))
	})
	if len(started) == 1 {
		return &list[owner[started[0]]]
	}
	return nil
}

// sortAll puts everything in the order of the file.
func (s *Snapshot) sortAll() {
	slices.Sort(s.Scopes)
	slices.Sort(s.Currencies)
	slices.SortFunc(s.Types, func(a, b Type) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(s.Lists, func(a, b List) int { return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.ID, b.ID)) })
	for i := range s.Types {
		slices.SortFunc(s.Types[i].Fields, func(a, b Field) int { return cmp.Compare(a.Name, b.Name) })
		slices.SortFunc(s.Types[i].Pipelines, func(a, b Pipeline) int { return cmp.Compare(a.ID, b.ID) })
		for _, f := range s.Types[i].Fields {
			sortChoices(f.Choices)
		}
	}
	for _, l := range s.Lists {
		slices.SortFunc(l.Properties, func(a, b Property) int {
			return cmp.Or(cmp.Compare(len(a.ID), len(b.ID)), cmp.Compare(a.ID, b.ID))
		})
		for _, p := range l.Properties {
			sortChoices(p.Choices)
		}
	}
}

// sortChoices sorts options by their numbers. The entries of directories keep their order,
// which has a meaning.
func sortChoices(list []Choice) {
	slices.SortFunc(list, func(a, b Choice) int { return cmp.Or(cmp.Compare(len(a.ID), len(b.ID)), cmp.Compare(a.ID, b.ID)) })
}

// directoryNames are the ids of the directories, sorted.
func (s *Snapshot) directoryNames() []string { return slices.Sorted(maps.Keys(s.Directories)) }
