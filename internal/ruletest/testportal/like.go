package testportal

import (
	"cmp"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/snapshot"
	"github.com/b24rules/b24rules/schemas"
)

// readSnapshot makes the portal like the one that a file of `schema pull` describes. What
// the test file has itself comes on top.
func (p *Setup) readSnapshot(list *diag.List, pos diag.Pos, path string) {
	if path == "" {
		return
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(pos.File), filepath.FromSlash(path))
	}
	s, err := snapshot.Read(path)
	if err != nil {
		list.Errorf(pos, "unreadable-file", "%v", err)
		return
	}
	p.Name = cmp.Or(p.Name, s.Portal)
	var types []emulator.Type
	var lines pipelines
	for i := range s.Types {
		t := &s.Types[i]
		if t.ID >= schemas.FirstDynamicType {
			types = append(types, typeLike(t))
		} else {
			p.fields[t.ID] = append(fieldsLike(t), p.fields[t.ID]...)
		}
		if of := pipelinesLike(s, t); len(of) > 0 {
			lines = append(lines, kindPipelines{kind: kind{t.ID, pos}, list: of})
		}
		for _, f := range t.Fields {
			if parent, err := strconv.Atoi(strings.TrimPrefix(f.Name, "parentId")); err == nil && s.TypeOf(parent) != nil {
				p.parents = append(p.parents, [2]int{t.ID, parent})
			}
		}
	}
	p.types, p.pipelines = append(types, p.types...), append(lines, p.pipelines...)
	var lists []emulator.List
	for i := range s.Lists {
		lists = append(lists, listLike(&s.Lists[i]))
	}
	p.lists = append(lists, p.lists...)
}

// typeLike is a smart process as the emulator sets it up.
func typeLike(t *snapshot.Type) emulator.Type {
	has := func(name string) bool { return t.Field(name) != nil }
	return emulator.Type{
		EntityTypeID: t.ID, ID: t.Number, Title: t.Title, Fields: fieldsLike(t), NoStages: len(t.Pipelines) == 0 || !has("stageId"),
		Products: t.Products, Clients: has("companyId"), Dates: has("begindate"), OwnCompany: has("mycompanyId"), Sources: has("sourceId"),
		Observers: has("observers"),
	}
}

// fieldsLike are the custom fields of a type. Kinds that the emulator does not have are
// texts.
func fieldsLike(t *snapshot.Type) []emulator.UserField {
	var out []emulator.UserField
	for _, f := range t.Fields {
		if !f.Custom || !strings.HasPrefix(f.Stored, "UF_") {
			continue
		}
		u := emulator.UserField{Name: f.Stored, Type: f.Type, Title: f.Title, Multiple: f.Multiple, Required: f.Required}
		if f.Digits != nil {
			u.Precision = *f.Digits
		}
		if !slices.Contains(FieldWords[:], f.Type) {
			u.Type = "string"
		}
		for _, c := range f.Choices {
			u.Options, u.OptionIDs = append(u.Options, c.Title), append(u.OptionIDs, number(c.ID))
		}
		out = append(out, u)
	}
	return out
}

// pipelinesLike are the pipelines of a type with their stages.
func pipelinesLike(s *snapshot.Snapshot, t *snapshot.Type) []emulator.Pipeline {
	from := t.Pipelines
	switch t.ID {
	case schemas.TypeLead:
		from = []snapshot.Pipeline{{Stages: "STATUS"}}
	case schemas.TypeQuote:
		from = []snapshot.Pipeline{{Stages: "QUOTE_STATUS"}}
	}
	var out []emulator.Pipeline
	for _, p := range from {
		stages := s.Directories[p.Stages]
		if len(stages) == 0 {
			continue
		}
		made := emulator.Pipeline{ID: int64(p.ID), Name: p.Title}
		for _, c := range stages {
			made.Stages = append(made.Stages, emulator.PipelineStage{ID: c.ID, Name: c.Title, Semantics: cmp.Or(c.Semantics, "P")})
		}
		out = append(out, made)
	}
	return out
}

func listLike(l *snapshot.List) emulator.List {
	out := emulator.List{ID: l.ID, TypeID: l.Type, Code: l.Code, Name: l.Title}
	for _, f := range l.Properties {
		if f.ID == "NAME" {
			continue // every list has it
		}
		made := emulator.ListField{ID: int(number(strings.TrimPrefix(f.ID, "PROPERTY_"))), Type: f.Type, Code: f.Code, Name: f.Title, Required: f.Required, Multiple: f.Multiple}
		for _, c := range f.Choices {
			made.Options, made.OptionIDs = append(made.Options, c.Title), append(made.OptionIDs, number(c.ID))
		}
		out.Fields = append(out.Fields, made)
	}
	return out
}

// number reads an id, 0 if the text is none.
func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
