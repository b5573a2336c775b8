package config

import (
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// uses are the rule sets that a portal runs, with their inputs.
type uses struct {
	pos  diag.Pos
	Sets []SetInputs
	// off are the rule sets that the portal does not run, whatever the defaults say.
	off []SetInputs
}

func (u *uses) set() bool { return u.pos.Line > 0 }

// UnmarshalNode implements yamlfile.NodeUnmarshaler.
func (u *uses) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	u.pos = f.Pos(n)
	if k := yamlfile.Resolve(n).Kind; k != yaml.MappingNode {
		return wrongType(u.pos, "want rule sets with their inputs such as use: {deal-shipments: {list: 47}}, got "+kindName(yamlfile.Resolve(n)))
	}
	sets, list := f.Mapping(n)
	for _, e := range sets.Entries {
		one := SetInputs{Name: e.Name, Pos: f.Pos(e.Key), home: f.Pos(e.Key)}
		if set, instance, ok := strings.Cut(e.Name, "@"); ok && (set == "" || !instanceName(instance)) {
			list.Errorf(one.Pos, "bad-name", "%q cannot be the name of a rule set in use", e.Name).Hint = "write SET, or SET@NAME with letters, digits, dashes and underscores in NAME"
		}
		switch v := yamlfile.Resolve(e.Value); {
		case v.Kind == yaml.ScalarNode && (v.Value == "off" || v.Value == "false"):
			u.off = append(u.off, one)
			continue
		case v.Kind == yaml.ScalarNode && (v.Tag == "!!null" || v.Value == "on" || v.Value == "true"): // without inputs
		case v.Kind == yaml.MappingNode:
			list.Add(one.read(f, e.Value)...)
		default:
			list.Add(wrongType(f.Pos(e.Value), "want inputs such as {list: 47}, or off")...)
		}
		u.Sets = append(u.Sets, one)
	}
	return list
}

// instanceName reports whether a text can follow the @ of an instance.
func instanceName(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == "" && len(s) <= 40
}

// with returns the uses of a portal at a place whose defaults are u.
func (u uses) with(own uses, portal diag.Pos) uses {
	out := uses{pos: own.pos, off: own.off}
	if !own.set() {
		out.pos = u.pos
	}
	isOff := func(s SetInputs) bool {
		return slices.ContainsFunc(out.off, func(o SetInputs) bool { return o.Name == s.Name })
	}
	out.Sets = mergeSets(slices.DeleteFunc(slices.Clone(u.Sets), isOff), own.Sets, portal)
	for _, o := range u.off {
		if !slices.ContainsFunc(own.Sets, func(s SetInputs) bool { return s.Name == o.Name }) {
			out.off = append(slices.Clone(out.off), o)
		}
	}
	return out
}

// mergeSets returns the inputs of all sets; those of own win. What is missing in those of
// defaults is missing in the portal.
func mergeSets(defaults, own []SetInputs, portal diag.Pos) []SetInputs {
	out := slices.Clone(defaults)
	for i := range out {
		out[i].home = portal
	}
	for _, s := range own {
		i := slices.IndexFunc(out, func(o SetInputs) bool { return o.Name == s.Name })
		if i < 0 {
			out = append(out, s)
			continue
		}
		merged := s
		merged.values = slices.Clone(s.values)
		for _, v := range out[i].values {
			if !slices.ContainsFunc(s.values, func(o inputValue) bool { return o.name == v.name }) {
				merged.values = append(merged.values, v)
			}
		}
		out[i] = merged
	}
	return out
}

// rules returns the inputs of a portal, from its use or its inputs.
func (r *reader) rules(p namedPortal) Inputs {
	out := p.Inputs
	if p.Use.set() {
		if slices.Contains(p.given, "inputs") {
			f := r.errorf(r.inputsPos(p), "duplicate-key", "portal %s has both use and inputs", p.name)
			f.Hint = "write the inputs into use: " + p.Inputs.asUse(p.Use)
		}
		out = Inputs{Sets: p.Use.Sets, Only: true, Off: p.Use.off}
	}
	out.env = r.env
	return out
}

// someUse warns of portals that run all rule sets, next to portals that say which.
func (r *reader) someUse(all []Portal) {
	if !slices.ContainsFunc(all, func(p Portal) bool { return p.Inputs.Only }) {
		return
	}
	for _, p := range all {
		if !p.Inputs.Only {
			r.list.Warnf(p.Pos, "no-use", "portal %s has no use, so it runs every rule set", p.Name).Hint = "add use, as other portals have it"
		}
	}
}

// inputsPos is the place of the key inputs.
func (r *reader) inputsPos(p namedPortal) diag.Pos {
	m, _ := p.file.Mapping(p.node)
	if e, ok := m.Get("inputs"); ok {
		return p.file.Pos(e.Key)
	}
	return p.pos
}

// asUse writes inputs as a use.
func (t Inputs) asUse(with uses) string {
	var sets []string
	for _, s := range mergeSets(with.Sets, t.Sets, diag.Pos{}) {
		var values []string
		for _, v := range s.values {
			text := "…" // it may be a secret
			if _, err := strconv.Atoi(v.text); err == nil {
				text = v.text
			}
			values = append(values, v.name+": "+text)
		}
		sets = append(sets, s.Name+": {"+strings.Join(values, ", ")+"}")
	}
	return "use: {" + strings.Join(sets, ", ") + "}"
}

// SplitInstance splits the name of an instance, SET@NAME, into the rule set and its own name,
// "" for a set that has none.
func SplitInstance(name string) (set, instance string) {
	set, instance, _ = strings.Cut(name, "@")
	return set, instance
}
