package config

import (
	"net/url"
	"regexp"
	"strings"
)

// letsEncrypt is the directory of the authority that issues certificates by default.
const letsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

// httpsFile is listen with certificates.
type httpsFile struct {
	HTTPS     scalars `yaml:"https" doc:"the host name, or a list of them, for which certificates are obtained; each must lead to this machine, with port 443" example:"b24.example.com"`
	Address   scalar  `yaml:"address" default:":443" doc:"the address to listen on"`
	Folder    scalar  `yaml:"folder" doc:"a folder that keeps the certificates and their keys; without it the database keeps them"`
	Email     scalar  `yaml:"email" doc:"an address to which the authority writes when a certificate ends" example:"admin@example.com"`
	Directory scalar  `yaml:"directory" default:"https://acme-v02.api.letsencrypt.org/directory" doc:"the URL of the ACME directory of another authority"`
}

// hostName is a name for which an authority issues certificates.
var hostName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]$`)

// listening reads listen.
func (r *reader) listening(c *Config, in listenBlock) {
	if !in.secure {
		if in.set() {
			c.Listen = r.listen("listen", in.scalar, "127.0.0.1:8400, or https: listen: {https: b24.example.com}")
		}
		return
	}
	c.Listen, c.HTTPS = ":443", &HTTPS{Directory: letsEncrypt}
	if in.Address.set() {
		c.Listen = r.listen("listen: address", in.Address, "0.0.0.0:443")
	}
	if len(in.HTTPS.all) == 0 && !in.HTTPS.bad {
		r.errorf(in.pos, "missing-key", "listen has no https").Hint = "write listen: {https: b24.example.com}, or an address such as listen: 127.0.0.1:8400"
	}
	for _, s := range in.HTTPS.all {
		name := strings.ToLower(s.text)
		if !hostName.MatchString(name) {
			r.errorf(s.pos, "invalid-value", "%q is not a host name for which certificates are issued", s.text).Hint = "write the name under which portals reach this machine, such as b24.example.com, without https:// and port"
			continue
		}
		c.HTTPS.Hosts = append(c.HTTPS.Hosts, name)
	}
	if in.Folder.set() {
		c.HTTPS.Folder = r.path(in.Folder)
	}
	if in.Email.set() {
		if c.HTTPS.Email = in.Email.text; !strings.Contains(in.Email.text, "@") {
			r.errorf(in.Email.pos, "invalid-value", "email %q is not an e-mail address", in.Email.text).Hint = "write an address such as admin@example.com"
		}
	}
	if in.Directory.set() {
		c.HTTPS.Directory = in.Directory.text
		u, err := url.Parse(in.Directory.text)
		if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(in.Directory.text)) {
			r.errorf(in.Directory.pos, "invalid-value", "directory %q is not an https address", in.Directory.text).Hint = "write the URL of an ACME directory, such as " + letsEncrypt
		}
	}
}

// SecureURL is the address under which portals reach the program with HTTPS, "" without it.
func (c *Config) SecureURL() string {
	if c.HTTPS == nil || len(c.HTTPS.Hosts) == 0 {
		return ""
	}
	return "https://" + c.HTTPS.Hosts[0]
}
