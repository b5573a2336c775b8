package testportal

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
	"github.com/b24rules/b24rules/schemas"
)

// kind is a type of items in the settings of a portal: deals, or the entityTypeId of a
// smart process.
type kind struct {
	typ int
	pos diag.Pos
}

// readKind reads a kind by its key.
func readKind(list *diag.List, pos diag.Pos, key string) (kind, bool) {
	for typ, word := range BuiltinKeys {
		if word == key {
			return kind{typ, pos}, true
		}
	}
	if id, err := strconv.Atoi(key); err == nil && id >= schemas.FirstDynamicType {
		return kind{id, pos}, true
	}
	finding := list.Errorf(pos, "invalid-value", "expected a kind of items, such as deals, or the entityTypeId of a smart process, got %q", key)
	finding.Hint = Hint(key, slices.Sorted(maps.Values(BuiltinKeys)))
	return kind{}, false
}

// pipelines are the pipelines of the kinds that have other ones than a new portal.
type pipelines []kindPipelines

type kindPipelines struct {
	kind
	list []emulator.Pipeline
}

// pipelineForm is a pipeline in a test file.
type pipelineForm struct {
	Name   string `yaml:"name" doc:"the name of the pipeline"`
	Stages stages `yaml:"stages" doc:"the stages in order, by id, with P (in process), S (success) or F (failure); by default those of a new pipeline" example:"{NEW: P, PAID: S, LOSE: F}"`
}

// stages are the stages of a pipeline in the order of the file.
type stages []emulator.PipelineStage

// stageForm is the long form of a stage. The short form is only the semantics.
type stageForm struct {
	Name      string `yaml:"name" doc:"the name that people see"`
	Semantics string `yaml:"semantics" validate:"required" doc:"P (in process), S (success) or F (failure)"`
}

// semantics are the meanings of a stage.
var semantics = [...]string{"P", "S", "F"}

// UnmarshalNode reads a mapping of kinds to pipelines by id.
func (ps *pipelines) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	m, list := f.Mapping(n)
	for _, e := range m.Entries {
		k, ok := readKind(&list, f.Pos(e.Key), e.Name)
		if !ok {
			continue
		}
		byID, more := f.Mapping(e.Value)
		list.Add(more...)
		of := kindPipelines{kind: k}
		for _, p := range byID.Entries {
			id, err := strconv.ParseInt(p.Name, 10, 64)
			if err != nil || id < 0 {
				list.Errorf(f.Pos(p.Key), "invalid-value", "expected the id of a pipeline, got %q", p.Name).Hint = "9: {name: Wholesale}"
				continue
			}
			var form pipelineForm
			list.Add(yamlfile.Decode(f, p.Value, &form)...)
			of.list = append(of.list, emulator.Pipeline{ID: id, Name: form.Name, Stages: form.Stages})
		}
		*ps = append(*ps, of)
	}
	return list
}

// UnmarshalNode reads a mapping of stage ids to their semantics or long forms.
func (ss *stages) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	m, list := f.Mapping(n)
	ends := 0
	for _, e := range m.Entries {
		var form stageForm
		if v := yamlfile.Resolve(e.Value); v.Kind == yaml.MappingNode {
			list.Add(yamlfile.Decode(f, e.Value, &form)...)
		} else {
			list.Add(yamlfile.Decode(f, e.Value, &form.Semantics)...)
		}
		if !slices.Contains(semantics[:], form.Semantics) {
			list.Errorf(f.Pos(e.Value), "invalid-value", "a stage is P (in process), S (success) or F (failure), not %q", form.Semantics)
		}
		if form.Semantics == "S" {
			ends++
		}
		*ss = append(*ss, emulator.PipelineStage{ID: e.Name, Name: form.Name, Semantics: form.Semantics})
	}
	if ends != 1 && !list.HasErrors() {
		list.Errorf(f.Pos(n), "invalid-value", "a pipeline has one stage of success, this one has %d", ends).Hint = "WON: S"
	}
	return list
}

// relations are the types whose items can be parents, by the type of the children.
type relations []relation

type relation struct {
	child   kind
	parents []kind
}

// UnmarshalNode reads a mapping of kinds to lists of kinds.
func (rs *relations) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	m, list := f.Mapping(n)
	for _, e := range m.Entries {
		child, ok := readKind(&list, f.Pos(e.Key), e.Name)
		if !ok {
			continue
		}
		r := relation{child: child}
		var nodes []*yaml.Node
		list.Add(yamlfile.Decode(f, e.Value, &nodes)...)
		for _, p := range nodes {
			var key string
			list.Add(yamlfile.Decode(f, p, &key)...)
			parent, ok := readKind(&list, f.Pos(p), key)
			switch {
			case !ok:
			case parent.typ == child.typ:
				list.Errorf(f.Pos(p), "invalid-value", "items of a type cannot be parents of items of the same type")
			default:
				r.parents = append(r.parents, parent)
			}
		}
		*rs = append(*rs, r)
	}
	return list
}

// readKinds takes the pipelines and the relations. A smart process without relations has
// those to all kinds that every portal has.
func (p *Setup) readKinds(list *diag.List, form setupForm) {
	known := func(k kind) bool {
		if BuiltinKeys[k.typ] != "" || slices.ContainsFunc(p.types, func(t emulator.Type) bool { return t.EntityTypeID == k.typ }) {
			return true
		}
		list.Errorf(k.pos, "unknown-type", "the portal has no type %d of items", k.typ).Hint = fmt.Sprintf("types: {%d: …} adds one", k.typ)
		return false
	}
	for _, of := range form.Pipelines {
		if !known(of.kind) {
			continue
		}
		for i, t := range p.types {
			p.types[i].NoStages = t.NoStages && t.EntityTypeID != of.typ
		}
		p.pipelines = append(p.pipelines, of)
	}
	named := map[int]bool{}
	for _, r := range form.Relations {
		if !known(r.child) || slices.ContainsFunc(r.parents, func(k kind) bool { return !known(k) }) {
			continue
		}
		named[r.child.typ] = true
		for _, parent := range r.parents {
			p.parents = append(p.parents, [2]int{r.child.typ, parent.typ})
		}
	}
	for _, t := range p.types {
		for _, parent := range slices.Sorted(maps.Keys(BuiltinKeys)) {
			if !named[t.EntityTypeID] {
				p.parents = append(p.parents, [2]int{t.EntityTypeID, parent})
			}
		}
	}
}

// setUpKinds gives the types of a new portal their pipelines and relations.
func (p *Setup) setUpKinds(portal *emulator.Portal) error {
	for _, of := range p.pipelines {
		if err := portal.SetPipelines(of.typ, of.list...); err != nil {
			return &diag.Finding{Pos: of.pos, Code: "invalid-value", Message: err.Error()}
		}
	}
	for _, r := range p.parents {
		if err := portal.AddParent(r[0], r[1]); err != nil {
			return err
		}
	}
	return nil
}

// users are users by id, in the order of the file.
type users []emulator.User

type userForm struct {
	Name     string `yaml:"name" validate:"required" doc:"first name"`
	LastName string `yaml:"last_name" doc:"last name"`
	Email    string `yaml:"email" doc:"email address"`
	Admin    bool   `yaml:"admin" default:"false" doc:"the user is an administrator"`
	Active   bool   `yaml:"active" default:"true" doc:"the user works here; false is a dismissed user"`
}

// UnmarshalNode reads a mapping of ids to users.
func (us *users) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	m, list := f.Mapping(n)
	for _, u := range m.Entries {
		id, err := strconv.ParseInt(u.Name, 10, 64)
		if err != nil || id <= 0 {
			list.Errorf(f.Pos(u.Key), "invalid-value", "expected a user's id, got %q", u.Name).Hint = "7: {name: Berta}"
			continue
		}
		form := userForm{Active: true}
		list.Add(yamlfile.Decode(f, u.Value, &form)...)
		switch {
		case id == 1 && !form.Admin:
			list.Errorf(f.Pos(u.Key), "invalid-value", "user 1 must be an administrator because the webhook belongs to this user").Hint = "admin: true"
		case id == 1 && !form.Active:
			list.Errorf(f.Pos(u.Key), "invalid-value", "user 1 cannot be dismissed because the webhook belongs to this user")
		}
		*us = append(*us, emulator.User{
			ID: id, Name: strings.TrimSpace(form.Name), LastName: form.LastName, Email: form.Email,
			NotAdmin: !form.Admin, Dismissed: !form.Active,
		})
	}
	return list
}
