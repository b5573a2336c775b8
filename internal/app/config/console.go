package config

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/internal/access"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// Console is the configuration of the web pages.
type Console struct {
	// Listen is the address of the pages; "" serves none.
	Listen string
	// URL is the address under which people reach Listen, without a slash at its end; "" if it
	// is not configured.
	URL string
	// Access says who may enter.
	Access access.Rules
}

// consoleFile is the key console.
type consoleFile struct {
	Listen scalar                   `yaml:"listen" doc:"the address of the pages, another one than that of the events" example:"127.0.0.1:8402"`
	URL    scalar                   `yaml:"url" doc:"the address under which people reach the pages; alerts link to it" example:"https://ops.example"`
	Users  blocks[consoleUserFile]  `yaml:"users" doc:"who may sign in, by name; without users and proxy the pages are open, and only on loopback" example:"{oncall: {role: operator, password_file: oncall-password}}"`
	Tokens blocks[consoleTokenFile] `yaml:"tokens" doc:"programs that read the pages as JSON with a bearer token, by name" example:"{nightly: {role: viewer, token_file: nightly-token}}"`
	Proxy  proxyBlock               `yaml:"proxy" doc:"a proxy that signs people in and names them in a header"`
}

type consoleUserFile struct {
	Role         scalar  `yaml:"role" words:"viewer operator" doc:"viewer: sees what is stored; operator: also replays, discards, pauses, plans, runs, acknowledges, reloads"`
	PasswordFile scalar  `yaml:"password_file" doc:"a file with the hash of the password: b24rules console passwd prints it"`
	Portals      scalars `yaml:"portals" doc:"the only portals that the user sees" example:"[main]"`
	Records      scalar  `yaml:"records" words:"true false" default:"true" doc:"false hides parameters and answers of REST commands, which have data of customers"`
}

type consoleTokenFile struct {
	Role      scalar  `yaml:"role" words:"viewer operator" doc:"as of a user"`
	TokenFile scalar  `yaml:"token_file" doc:"a file with the hash of the token: b24rules console token prints both"`
	Portals   scalars `yaml:"portals" doc:"the only portals that the token sees"`
	Records   scalar  `yaml:"records" words:"true false" default:"true" doc:"as of a user"`
}

type proxyFile struct {
	From   scalars    `yaml:"from" doc:"addresses and networks of the proxy: the headers of all others are ignored" example:"[10.0.0.2]"`
	User   scalar     `yaml:"user" default:"X-Forwarded-User" doc:"the header with the name"`
	Groups scalar     `yaml:"groups" doc:"a header with the groups of the person, between commas" example:"X-Forwarded-Groups"`
	Roles  proxyRoles `yaml:"roles" doc:"roles by group or by name; others may not enter" example:"{ops: operator}"`
}

// consoleBlock is console with its place. false switches it off.
type consoleBlock struct {
	block
	off bool
	consoleFile
}

// UnmarshalNode implements yamlfile.NodeUnmarshaler.
func (c *consoleBlock) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	if r := yamlfile.Resolve(n); r.Kind == yaml.ScalarNode && r.Value == "false" {
		c.pos, c.off = f.Pos(n), true
		return nil
	}
	return c.decode(f, n, &c.consoleFile, "console: {listen: 127.0.0.1:8402}")
}

// NodeSchema implements yamlfile.NodeSchema.
func (c *consoleBlock) NodeSchema() yamlfile.Schema {
	return yamlfile.AnySchema(yamlfile.Schema{"const": false}, yamlfile.SchemaFor[consoleFile]())
}

// proxyBlock is proxy with its place.
type proxyBlock struct {
	block
	proxyFile
}

// UnmarshalNode implements yamlfile.NodeUnmarshaler.
func (p *proxyBlock) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	return p.decode(f, n, &p.proxyFile, "proxy: {from: [10.0.0.2], roles: {ops: operator}}")
}

// NodeSchema implements yamlfile.NodeSchema.
func (p *proxyBlock) NodeSchema() yamlfile.Schema { return yamlfile.SchemaFor[proxyFile]() }

// proxyRoles are the roles in the order of the file.
type proxyRoles struct{ all []named[scalar] }

// UnmarshalNode implements yamlfile.NodeUnmarshaler.
func (p *proxyRoles) UnmarshalNode(f *yamlfile.File, n *yaml.Node) (list diag.List) {
	m, list := f.Mapping(n)
	for _, e := range m.Entries {
		one := named[scalar]{name: e.Name, pos: f.Pos(e.Key)}
		list.Add(one.in.UnmarshalNode(f, e.Value)...)
		p.all = append(p.all, one)
	}
	return list
}

// NodeSchema implements yamlfile.NodeSchema.
func (p *proxyRoles) NodeSchema() yamlfile.Schema {
	return yamlfile.MapSchema(yamlfile.EnumSchema("viewer", "operator"))
}

// console reads the console.
func (r *reader) console(in consoleBlock, portals []Portal) Console {
	var out Console
	if in.off || in.bad || !in.set() {
		return out
	}
	if !in.Listen.set() {
		if !in.Listen.bad {
			r.errorf(in.pos, "missing-key", "console needs listen").Hint = "listen: 127.0.0.1:8402"
		}
		return out
	}
	out.Listen = r.listen("console: listen", in.Listen, "127.0.0.1:8402")
	if in.URL.set() {
		u, err := url.Parse(in.URL.text)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Path != "" && u.Path != "/" || u.RawQuery != "" {
			r.errorf(in.URL.pos, "invalid-value", "console: url %q is not the address of a server", in.URL.text).Hint = "write https://HOST"
		} else {
			out.URL = strings.TrimRight(in.URL.text, "/")
			r.plainAddress(in.URL, "url")
		}
	}
	for _, u := range in.Users.all {
		if one, ok := r.consoleUser("user "+u.name, u.name, u.pos, u.in.Role, u.in.Portals, u.in.Records, portals); ok {
			one.Hash, ok = r.consoleHash("user "+u.name, u.pos, "password", u.in.PasswordFile, access.CheckHash)
			if ok {
				out.Access.Users = append(out.Access.Users, one)
			}
		}
	}
	for _, t := range in.Tokens.all {
		if one, ok := r.consoleUser("token "+t.name, t.name, t.pos, t.in.Role, t.in.Portals, t.in.Records, portals); ok {
			one.Hash, ok = r.consoleHash("token "+t.name, t.pos, "token", t.in.TokenFile, access.CheckTokenHash)
			if ok {
				out.Access.Tokens = append(out.Access.Tokens, one)
			}
		}
	}
	out.Access.Proxy = r.consoleProxy(in.Proxy)
	if len(in.Users.all) > 0 || in.Proxy.pos.Line > 0 {
		return out
	}
	out.Access.Open = true
	if host, _, err := net.SplitHostPort(out.Listen); err == nil && !IsLoopbackHost(host) {
		r.errorf(in.Listen.pos, "open-console", "everybody who reaches %s could replay and discard runs, because the console has no users", out.Listen).Hint = "add users or proxy, or listen on 127.0.0.1"
	}
	return out
}

func (r *reader) consoleUser(owner, name string, pos diag.Pos, role scalar, portals scalars, records scalar, known []Portal) (access.User, bool) {
	out := access.User{Name: name}
	ok := true
	switch {
	case role.bad:
		ok = false
	case !role.set():
		r.errorf(pos, "missing-key", "%s needs role", owner).Hint = "role: viewer, or role: operator"
		ok = false
	default:
		ok = r.words(role, "role", "viewer", "operator")
		out.Role = access.Role(role.text)
	}
	if records.set() {
		ok = r.words(records, "records", "true", "false") && ok
		out.NoRecords = records.text == "false"
	}
	if portals.pos.Line > 0 {
		out.Portals = []string{} // an empty list lets the user see none
	}
	for _, p := range portals.all {
		if !slices.ContainsFunc(known, func(one Portal) bool { return one.Name == p.text }) {
			r.errorf(p.pos, "invalid-value", "%s: the configuration has no portal %q", owner, p.text)
			ok = false
		}
		out.Portals = append(out.Portals, p.text)
	}
	return out, ok && !portals.bad
}

func (r *reader) consoleHash(owner string, pos diag.Pos, key string, file scalar, check func(string) error) (string, bool) {
	if file.bad {
		return "", false
	}
	if !file.set() {
		r.errorf(pos, "missing-key", "%s needs %s_file", owner, key).Hintf("b24rules console %s prints its content", map[string]string{"password": "passwd", "token": "token"}[key])
		return "", false
	}
	text, ok := r.secretFile(file, key)
	if text = strings.TrimSpace(text); ok {
		if err := check(text); err != nil {
			r.errorf(file.pos, "invalid-value", "%s: %s has no hash", owner, file.text).Hint = strings.TrimPrefix(err.Error(), "not a "+key+" hash: ")
			ok = false
		}
	}
	return text, ok
}

func (r *reader) consoleProxy(in proxyBlock) *access.Proxy {
	if !in.set() || in.bad {
		return nil
	}
	out := &access.Proxy{User: "X-Forwarded-User", Groups: in.Groups.text, Roles: map[string]access.Role{}}
	if in.User.set() {
		out.User = in.User.text
	}
	if len(in.From.all) == 0 && !in.From.bad {
		r.errorf(in.pos, "missing-key", "proxy needs from, or everybody could write its headers").Hint = "from: [10.0.0.2]"
	}
	for _, s := range in.From.all {
		prefix, err := netip.ParsePrefix(s.text)
		if err != nil {
			address, addressErr := netip.ParseAddr(s.text)
			if addressErr != nil {
				r.errorf(s.pos, "invalid-value", "proxy: from: %q is neither an address nor a network", s.text).Hint = "write 10.0.0.2 or 10.0.0.0/24"
				continue
			}
			prefix = netip.PrefixFrom(address.Unmap(), address.Unmap().BitLen())
		}
		out.From = append(out.From, prefix)
	}
	if len(in.Roles.all) == 0 {
		r.errorf(in.pos, "missing-key", "proxy needs roles, or no person may enter").Hint = "roles: {ops: operator}"
	}
	for _, role := range in.Roles.all {
		if !role.in.bad && r.words(role.in, "role", "viewer", "operator") {
			out.Roles[role.name] = access.Role(role.in.text)
		}
	}
	return out
}
