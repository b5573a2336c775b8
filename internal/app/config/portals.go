package config

import (
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// portalFiles are the portals in the order of the file, or the folder that has a file for
// each portal.
type portalFiles struct {
	all    []namedPortal
	folder scalar
	pos    diag.Pos
}

// namedPortal is what a file says of a portal.
type namedPortal struct {
	name string
	pos  diag.Pos
	portalBlock
	// found are the findings in the portal's file. unread says that they leave nothing of it.
	found  diag.List
	unread bool
}

// portalBlock are the keys of a portal.
type portalBlock struct {
	portalFile
	file  *yamlfile.File
	node  *yaml.Node
	given []string // the keys that the file has
}

// UnmarshalNode implements yamlfile.NodeUnmarshaler.
func (p *portalFiles) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	p.pos = f.Pos(n)
	if yamlfile.Resolve(n).Kind == yaml.ScalarNode && yamlfile.Resolve(n).Tag != "!!null" {
		return p.folder.UnmarshalNode(f, n)
	}
	m, list := f.Mapping(n)
	for _, e := range m.Entries {
		one := namedPortal{name: e.Name, pos: f.Pos(e.Key)}
		list.Add(one.UnmarshalNode(f, e.Value)...)
		p.all = append(p.all, one)
	}
	return list
}

// UnmarshalNode implements yamlfile.NodeUnmarshaler.
func (p *portalBlock) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	p.file, p.node = f, n
	m, _ := f.Mapping(n) // Decode reports its mistakes
	for _, e := range m.Entries {
		p.given = append(p.given, e.Name)
	}
	return yamlfile.Decode(f, n, &p.portalFile)
}

// PortalFiles returns the files of a folder of portals, sorted, and the names of those that
// are not read.
func PortalFiles(folder string) (files, others []string, err error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		name := filepath.Join(folder, e.Name())
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		info, err := os.Stat(name) // of the file that a link leads to
		if err == nil && info.Mode().IsRegular() && yamlfile.Ext(e.Name()) != "" {
			files = append(files, name)
		} else {
			others = append(others, name)
		}
	}
	return files, others, nil
}

// folder reads the portals of a folder.
func (r *reader) folder(c *Config, in *portalFiles) {
	c.Folder = r.path(in.folder)
	files, others, err := PortalFiles(c.Folder)
	if err != nil {
		r.errorf(in.folder.pos, "unreadable-file", "portals: %v", Plain(err)).Hint = "name a folder with a file for each portal, or write portals: {main: {webhook: …, application_token: …}}"
		return
	}
	for _, name := range others {
		r.list.Warnf(diag.Pos{File: name, Line: 1, Column: 1}, "unread-file", "this is no file of a portal, so it is not read").Hint = "the name of such a file ends in .yaml; move other files elsewhere"
	}
	first := map[string]string{}
	for _, name := range files {
		r.files = append(r.files, name)
		one := readPortal(name)
		if other := first[one.name]; other != "" {
			one.unread = true
			one.found.Errorf(one.pos, "duplicate-key", "portal %s has a file already: %s", one.name, other).Hint = "remove one of them"
			i := slices.IndexFunc(in.all, func(p namedPortal) bool { return p.name == one.name })
			in.all[i].found.Add(one.found...) // it is not known which of them is meant
			continue
		}
		first[one.name] = name
		in.all = append(in.all, one)
	}
	if len(in.all) == 0 {
		r.errorf(in.folder.pos, "missing-key", "the folder %s has no file of a portal", in.folder.text).Hint = "write a file for each portal, such as " + filepath.Join(in.folder.text, "main.yaml")
	}
}

// readPortal reads the file of one portal.
func readPortal(name string) namedPortal {
	one := namedPortal{name: yamlfile.Stem(name), pos: diag.Pos{File: name, Line: 1, Column: 1}}
	data, err := yamlfile.ReadFile(name)
	if err != nil {
		one.unread = true
		one.found.Errorf(one.pos, "unreadable-file", "%v", Plain(err))
		return one
	}
	f, list := yamlfile.Parse(name, data)
	one.found = list
	if f.Root == nil { // an empty file takes everything from defaults
		one.unread = list.HasErrors()
		return one
	}
	one.found.Add(one.UnmarshalNode(f, f.Root)...)
	return one
}

// instead are keys of a portal that replace each other: a portal with one of them takes none
// of the others from defaults.
var instead = [][]string{
	{"webhook", "webhook_file", "oauth"},
	{"application_token", "application_token_file", "oauth"},
}

// samePortal warns if a portal has another name already. names are those of the portals before, by
// their addresses. In shadow mode that does no harm, and an emulator may play several portals.
func (r *reader) samePortal(names map[string]string, p Portal) {
	address := p.address()
	if address == "" || p.Shadow != 0 {
		return
	}
	if other := names[address]; other != "" {
		r.list.Warnf(p.Pos, "same-portal", "portals %s and %s are both %s: runs of one do not wait for those of the other, and together they ask for more than the portal allows",
			other, p.Name, address).Hint = "keep one of them, with the rule sets of both; use: gives a rule set several instances"
		return
	}
	names[address] = p.Name
}

// address is the address of the portal itself, without its user and secret. It is "" if that
// is not known, and for an emulator on this machine.
func (p Portal) address() string {
	text := p.Webhook.Reveal()
	if p.OAuth != nil {
		text = p.OAuth.Portal
	}
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || IsLoopbackHost(u.Hostname()) {
		return ""
	}
	folder, _, _ := strings.Cut(u.Path, "/rest/")
	return strings.ToLower(u.Host) + strings.TrimRight(folder, "/")
}

// withDefaults gives a portal the keys of defaults that it does not have itself.
func (p *namedPortal) withDefaults(d *portalBlock) {
	to, from := reflect.ValueOf(&p.portalFile).Elem(), reflect.ValueOf(&d.portalFile).Elem()
	for i := range to.NumField() {
		key, _, _ := strings.Cut(to.Type().Field(i).Tag.Get("yaml"), ",")
		if key == "use" || key == "inputs" {
			continue
		}
		replaced := slices.ContainsFunc(instead, func(keys []string) bool {
			return slices.Contains(keys, key) && slices.ContainsFunc(keys, func(k string) bool { return slices.Contains(p.given, k) })
		})
		if slices.Contains(d.given, key) && !slices.Contains(p.given, key) && !replaced {
			to.Field(i).Set(from.Field(i))
		}
	}
	if slices.Contains(d.given, "use") {
		p.Use = d.Use.with(p.Use, p.pos)
	}
	if slices.Contains(d.given, "inputs") && !slices.Contains(p.given, "use") {
		p.Inputs.Sets = mergeSets(d.Inputs.Sets, p.Inputs.Sets, p.pos)
	}
}

// portalVariable matches a variable of the environment whose name has {portal}.
var portalVariable = regexp.MustCompile(`\$\{([^{}$\s]*)\{portal\}([^{}$\s]*)\}`)

// notInVariable matches what the name of a variable cannot have.
var notInVariable = regexp.MustCompile(`[^A-Za-z0-9_]`)

// withName replaces {portal} by the name of the portal: in names of variables, and in paths
// of files with secrets.
func (p *namedPortal) withName() {
	inVariables := func(text string) string {
		return portalVariable.ReplaceAllStringFunc(text, func(v string) string {
			return strings.ReplaceAll(v, "{portal}", notInVariable.ReplaceAllString(p.name, "_"))
		})
	}
	values := []*scalar{&p.Webhook, &p.ApplicationToken, &p.OAuth.ClientID, &p.OAuth.ClientSecret}
	for _, sets := range []*[]SetInputs{&p.Inputs.Sets, &p.Use.Sets} {
		*sets = slices.Clone(*sets)
		for i := range *sets {
			all := slices.Clone((*sets)[i].values)
			(*sets)[i].values = all
			for j := range all {
				values = append(values, &all[j].scalar)
			}
		}
	}
	for _, s := range values {
		s.text = inVariables(s.text)
	}
	for _, s := range []*scalar{&p.WebhookFile, &p.ApplicationTokenFile, &p.OAuth.ClientSecretFile} {
		s.text = strings.ReplaceAll(inVariables(s.text), "{portal}", p.name)
	}
}

// misplacedName reports {portal} where it is not replaced.
func (r *reader) misplacedName(f *yamlfile.File, n *yaml.Node) {
	n = yamlfile.Resolve(n)
	switch {
	case n == nil:
	case n.Kind == yaml.ScalarNode && strings.Contains(portalVariable.ReplaceAllLiteralString(n.Value, ""), "{portal}"):
		r.errorf(f.Pos(n), "invalid-value", "{portal} is not replaced in this value").
			Hint = "it is replaced in paths such as webhook_file, and in names of variables, such as ${HOOK_{portal}}"
	case n.Kind == yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !strings.HasSuffix(n.Content[i].Value, "_file") {
				r.misplacedName(f, n.Content[i+1])
			}
		}
	default:
		for _, child := range n.Content {
			r.misplacedName(f, child)
		}
	}
}
